"""Every aggregation and every operation on numbers of a network, against plain Python from its definition."""

from __future__ import annotations

import inspect
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import exported
import numpy as np
import pytest
from scipy import stats

from zcsr.language.network_operations import NETWORK_AGGREGATIONS, SCORE_OPERATIONS
from zcsr.language.operations import Operation

# Oracles --------------------------------------------------------------------------------------------------------


def abslogs(values: Sequence[float]) -> list[float]:
    return [math.log(abs(value)) if value != 0 else 0.0 for value in values]


def slope(values: Sequence[float]) -> float:
    if len(values) == 1:
        return 0.0
    return float(stats.linregress(np.linspace(0, 1, len(values)), values).slope)


def median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


AGGREGATING: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "average": lambda values: math.fsum(values) / len(values),
    "median": median,
    "largest": max,
    "smallest": min,
    "std": lambda values: (
        math.sqrt(math.fsum((value - statistics.fmean(values)) ** 2 for value in values)) / math.sqrt(len(values))
    ),
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "sum_abslog": lambda values: math.fsum(abslogs(values)),
    "mean_abslog": lambda values: math.fsum(abslogs(values)) / len(values),
    "slope": slope,
}


def either(choose: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, b: math.nan if math.isnan(a) or math.isnan(b) else choose(a, b)


OF_SCORES: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b != 0 else math.nan,
    "neg": lambda a: -a,
    "abs": abs,
    "log": lambda a: math.log(a) if a > 0 else math.nan,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else math.nan,
    "square": lambda a: a * a,
    "minimum": either(min),
    "maximum": either(max),
}

VALUES: dict[str, list[float]] = {
    "ordinary": [1.5, -2.0, 0.25, 7.0, 3.0],
    "an even number": [4.0, 1.0, -1.0, 2.0],
    "one": [-2.5],
    "two": [1.0, 4.0],
    "zeros": [0.0, 0.0, 0.0],
    "a zero among others": [2.0, 0.0, -3.0],
    "equal": [0.1] * 7,
    "never negative": [3.0, 0.0, 1.0, 2.0],
    "huge": [1e18, -3e18, 2e18, 1e17],
    "huge and ordinary": [1e18, 1.0, 2.0, 5.0],
    "tiny": [1e-18, -3e-18, 2e-18],
    "many": np.random.default_rng(0).normal(size=101).tolist(),
}
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e18, -1e18, 1e300, 1e-300, math.inf, -math.inf, math.nan)
NOT_FINITE = ([1.0, math.nan, 2.0], [1.0, math.inf, 2.0], [-math.inf, 1.0, 2.0], [math.nan], [math.inf])


def row_of(operation: Operation, folder: Path) -> ModuleType:
    """A file with a function `row` that an operation is exported as."""
    names = "ab"[: operation.arity]
    helpers = [inspect.getsource(helper) for helper in operation.helpers]
    row = f"def row({', '.join(names)}):\n    return {operation.source.format(*names)}\n"
    return exported.loaded(folder / "row.py", "\n\n".join(["import math\nimport statistics", *helpers, row]))


# The rows -------------------------------------------------------------------------------------------------------


def test_every_row_has_an_oracle() -> None:
    assert [row.name for row in NETWORK_AGGREGATIONS] == list(AGGREGATING)
    assert [row.name for row in SCORE_OPERATIONS] == list(OF_SCORES)


@pytest.mark.parametrize("given", VALUES)
@pytest.mark.parametrize("row", NETWORK_AGGREGATIONS, ids=lambda row: row.name)
def test_an_aggregation_is_its_oracle_and_what_is_exported(row: Operation, given: str, tmp_path: Path) -> None:
    values = VALUES[given]
    array = np.array(values)
    expected = AGGREGATING[row.name](values)
    atol = 1e-15 * len(values) * max(map(abs, values))  # what cancellation leaves
    assert float(row.stacked(array)) == pytest.approx(expected, rel=1e-12, abs=atol)
    assert float(row_of(row, tmp_path).row(list(values))) == pytest.approx(expected, rel=1e-12, abs=atol)
    assert array.tolist() == values


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, about the infinities
@pytest.mark.parametrize("values", NOT_FINITE, ids=str)
@pytest.mark.parametrize("row", NETWORK_AGGREGATIONS, ids=lambda row: row.name)
def test_an_aggregation_of_what_is_not_finite_is_a_number_of_float64(row: Operation, values: list[float]) -> None:
    found = float(row.stacked(np.array(values)))
    exact = {"first": values[0], "last": values[-1], "largest": max(values), "smallest": min(values)}
    if any(map(math.isnan, values)) and row.name not in ("first", "last") and len(values) > 1:
        assert math.isnan(found)
    elif row.name in exact:
        assert np.array_equal(found, exact[row.name], equal_nan=True)


@pytest.mark.parametrize("row", NETWORK_AGGREGATIONS, ids=lambda row: row.name)
def test_what_is_stated_of_an_aggregations_sign_holds(row: Operation) -> None:
    for values in VALUES.values():
        taken = np.abs(values) if row.sign == "as arguments" else np.array(values)
        assert row.sign == "any" or row.stacked(taken) >= 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", SCORE_OPERATIONS, ids=lambda row: row.name)
def test_an_operation_on_scores_is_its_oracle_and_what_is_exported(row: Operation, tmp_path: Path) -> None:
    written = row_of(row, tmp_path).row
    tuples = list(itertools.product(NUMBERS, repeat=row.arity))
    expected = [OF_SCORES[row.name](*numbers) for numbers in tuples]
    columns = [np.array(column) for column in zip(*tuples, strict=True)]
    before = [column.copy() for column in columns]
    np.testing.assert_allclose(row.stacked(*columns), expected, rtol=1e-15)
    np.testing.assert_allclose([written(*numbers) for numbers in tuples], expected, rtol=1e-15)
    for numbers, value in zip(tuples, expected, strict=True):
        np.testing.assert_allclose(float(row.stacked(*map(np.asarray, numbers))), value, rtol=1e-15)
    for column, copy in zip(columns, before, strict=True):
        np.testing.assert_array_equal(column, copy)


@pytest.mark.parametrize("row", SCORE_OPERATIONS, ids=lambda row: row.name)
def test_what_is_stated_of_operations_on_scores_holds(row: Operation) -> None:
    for numbers in itertools.product(NUMBERS, repeat=row.arity):
        value = float(row.stacked(*map(np.asarray, numbers)))
        positive = float(row.stacked(*(np.asarray(abs(number)) for number in numbers)))
        negated = float(row.stacked(*(np.asarray(-number) for number in numbers)))
        swapped = float(row.stacked(*map(np.asarray, reversed(numbers))))
        assert row.sign != "never negative" or not value < 0
        assert row.sign != "as arguments" or not positive < 0
        assert not row.even or np.array_equal(value, negated, equal_nan=True)
        assert not row.commutative or np.array_equal(value, swapped, equal_nan=True)
