"""SQL functions that DuckDB lacks: rank correlations and intervals over lists of numbers, and what queries share.

Typical use, all lists in one order: `kendall(list(score ORDER BY arch), list(accuracy ORDER BY arch))`. Rows in
which any list is NULL or NaN are left out first. NULL comes back when a list is NULL, when fewer than two rows are
left, and where the correlation is undefined (a constant side, say). Lists of different lengths are an InputError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from zcsr.errors import InputError

Values = Sequence[float | None] | None
Vector = NDArray[np.float64]

REPEATS = 1000
"""Bootstrap samples of `kendall_interval`."""

MANY = 5000
REPEATS_OF_MANY = 200
"""Bootstrap samples for more than `MANY` rows, where 1000 would take seconds. Fewer place the ends of an interval
less surely, by about a fifth of tau's standard error, which is small there: less than 0.002."""


def kendall(x: Values, y: Values) -> float | None:
    """Kendall's tau-b, in -1..1, ties counted as in scipy."""
    return _correlation("kendall", x, y)


def spearman(x: Values, y: Values) -> float | None:
    """Spearman's rho, in -1..1."""
    return _correlation("spearman", x, y)


def partial_spearman(x: Values, y: Values, control: Values) -> float | None:
    """Spearman's rho between `x` and `y` with the ranks of `control` regressed out, in -1..1.

    Also NULL when `control` orders either side perfectly.
    """
    return _correlation("partial_spearman", x, y, control)


def kendall_of_top(x: Values, y: Values, fraction: float | None) -> float | None:
    """Kendall's tau-b among the highest `fraction` (0 < fraction <= 1) of `y`, rounded up, with ties of the last.

    NULL for the fraction NULL. Raises InputError for another fraction.
    """
    return None if fraction is None else _correlation("kendall_of_top", x, y, fraction=fraction)


def kendall_interval(x: Values, y: Values) -> list[float] | None:
    """The ends [low, high] of the 95% bootstrap percentile interval of `kendall`, drawn with the seed 0.

    Over `REPEATS` samples of the rows, or `REPEATS_OF_MANY` for more than `MANY` rows.
    """
    from zcsr import ranking

    vectors = _complete(x, y)
    if vectors is None or math.isnan(ranking.kendall(*vectors)):
        return None
    repeats = _repeats(len(vectors[0]))
    return list(ranking.bootstrap_interval(ranking.kendall, *vectors, seed=0, repeats=repeats))


def kendall_difference_interval(x: Values, other: Values, y: Values) -> list[float] | None:
    """The ends [low, high] of the 95% paired bootstrap interval of `kendall(x, y) - kendall(other, y)`, seed 0.

    Over as many samples as `kendall_interval`.
    """
    from zcsr import ranking

    vectors = _complete(x, other, y)
    if vectors is None or len(vectors[0]) < 2:
        return None
    repeats = _repeats(len(vectors[0]))
    low, high = ranking.kendall_difference_interval(*vectors, seed=0, repeats=repeats)
    return None if math.isnan(low) else [low, high]


def mean_interval(x: Values) -> list[float] | None:
    """The ends [low, high] of the 95% interval of Student's t for the mean of the values."""
    from zcsr.ranking import mean_interval as interval

    vectors = _complete(x)
    if vectors is None or len(vectors[0]) < 2:
        return None
    return list(interval(vectors[0]))


FUNCTIONS: Mapping[Callable[..., Any], str] = {
    kendall: "Kendall's tau-b, -1..1",
    spearman: "Spearman's rho, -1..1",
    kendall_interval: "the ends of the 95% bootstrap interval of Kendall's tau-b, as a list",
    kendall_difference_interval: "the ends of the 95% paired bootstrap interval of the difference",
    kendall_of_top: "Kendall's tau-b among the highest `fraction` of y",
    partial_spearman: "Spearman's rho that is left once the ranks of `control` are regressed out",
    mean_interval: "the ends of the 95% interval of Student's t for the mean, as a list",
}
"""What the functions give that bear their own names in SQL; their annotations say the types."""

_SQL_TYPES = {"Values": "DOUBLE[]", "list[float] | None": "DOUBLE[]", "float | None": "DOUBLE"}

AGGREGATES: Mapping[str, str] = {"tau": "kendall", "rho": "spearman"}
"""Functions of score, accuracy and arch over the rows of a group whose score is finite, each with its base."""

CHOICES: Mapping[str, tuple[str, str]] = {"chosen_run": ("runs", "run"), "chosen_search": ("searches", "search")}
"""Functions from a name, or 'latest', to that name, each with the table and the column that have it."""


def documented() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Every function, with the names of its arguments and what it gives."""
    for call, meaning in FUNCTIONS.items():
        yield call.__name__, tuple(signature(call).parameters), meaning
    for name, base in AGGREGATES.items():
        yield name, ("score", "accuracy", "arch"), f"`{base}` over the rows of a group whose score is finite"
    for name, (_, column) in CHOICES.items():
        yield name, ("name",), f"the {column} of that name, or the one started last for 'latest'; NULL for none"


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection to an index, which must be closed before the interpreter ends."""
    for call in FUNCTIONS:
        *arguments, returned = (_SQL_TYPES[kind] for kind in call.__annotations__.values())
        _create(connection, call.__name__, call, arguments, returned)
    for name, base in AGGREGATES.items():
        finite = (f"list({column} ORDER BY arch) FILTER (isfinite(score))" for column in ("score", "accuracy"))
        connection.execute(f"CREATE MACRO {name}(score, accuracy, arch) AS {base}({', '.join(finite)})")
    for name, (table, column) in CHOICES.items():
        latest_first = f"SELECT {column} FROM stored.{table} ORDER BY started DESC, {column} DESC"
        known = [one for (one,) in connection.execute(latest_first).fetchall()]
        # In Python and not as a subquery: DuckDB then knows the name before it reads anything else.
        _create(connection, name, partial(_chosen, known), ("VARCHAR",), "VARCHAR")


def _create(
    connection: duckdb.DuckDBPyConnection, name: str, call: Callable[..., Any], given: Sequence[str], returned: str
) -> None:
    connection.create_function(  # type: ignore[call-overload]  # the constant "special" moves between versions
        name, call, list(given), returned, null_handling="special"
    )


def _chosen(known: Sequence[str], name: str | None) -> str | None:
    return next((one for one in known if name in ("latest", one)), None)


def _repeats(rows: int) -> int:
    return REPEATS if rows <= MANY else REPEATS_OF_MANY


def _correlation(name: str, *lists: Values, **options: float) -> float | None:
    """That of `zcsr.ranking` by that name."""
    from zcsr import ranking  # not before it is needed: scipy takes longer to load than most queries do

    vectors = _complete(*lists)
    if vectors is None:
        return None
    coefficient = getattr(ranking, name)(*vectors, **options)
    return None if math.isnan(coefficient) else coefficient


def _complete(*lists: Values) -> list[Vector] | None:
    """The lists without the rows in which any is NULL or NaN; None when a list is NULL."""
    given = [one for one in lists if one is not None]
    if len(given) < len(lists):
        return None
    if len({len(one) for one in given}) > 1:
        lengths = " and ".join(str(len(one)) for one in given)
        count = "two" if len(given) == 2 else "three"
        raise InputError(
            f"a rank correlation needs {count} lists of equal length, got {lengths} values; aggregate all over the "
            "same rows, in the same order"
        )
    vectors = [np.array(one, dtype=np.float64) for one in given]  # None becomes NaN
    complete = ~np.any([np.isnan(vector) for vector in vectors], axis=0)
    return [vector[complete] for vector in vectors]
