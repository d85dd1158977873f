"""Rank correlations as SQL functions: `kendall(x, y)` and `spearman(x, y)` over two lists of numbers.

DuckDB has neither. Typical use, both lists in one order:
`kendall(list(score ORDER BY arch), list(accuracy ORDER BY arch))`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from zcsr.errors import InputError

Values = Sequence[float | None] | None
Vector = NDArray[np.float64]


def kendall(x: Values, y: Values) -> float | None:
    """Kendall's tau-b of two lists of equal length, in -1..1, ties counted as in scipy.

    Pairs in which either value is NULL or NaN are left out first. None (NULL) when a list is NULL, when fewer
    than two pairs are left, and when either side is constant. Raises InputError for lists of different lengths.
    """
    from zcsr import ranking

    return _correlation(ranking.kendall, x, y)


def spearman(x: Values, y: Values) -> float | None:
    """Spearman's rho of two lists of equal length, in -1..1; what is left out and what is NULL as in `kendall`."""
    from zcsr import ranking

    return _correlation(ranking.spearman, x, y)


FUNCTIONS: dict[str, Callable[[Values, Values], float | None]] = {"kendall": kendall, "spearman": spearman}


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection, which must be closed before the interpreter ends."""
    for name, function in FUNCTIONS.items():
        connection.create_function(  # type: ignore[call-overload]  # the constant "special" moves between versions
            name, function, ["DOUBLE[]", "DOUBLE[]"], "DOUBLE", null_handling="special"
        )


def _correlation(correlate: Callable[[Vector, Vector], float], x: Values, y: Values) -> float | None:
    if x is None or y is None:
        return None
    if len(x) != len(y):
        raise InputError(
            f"a rank correlation needs two lists of equal length, got {len(x)} and {len(y)} values; "
            "aggregate both over the same rows, in the same order"
        )
    left, right = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)  # None becomes NaN
    both = ~(np.isnan(left) | np.isnan(right))
    coefficient = correlate(left[both], right[both])
    return None if math.isnan(coefficient) else coefficient
