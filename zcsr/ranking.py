"""How well scores rank architectures: Kendall, Spearman, and how sure that is.

One policy holds for every function here. Only order counts, so infinities rank like any other value. A
correlation is NaN, never an error, where it is undefined: fewer than two values, a constant side, or a NaN
anywhere. Arrays of the wrong shape, and parameters out of range, are an `InputError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from zcsr.errors import InputError

Vector = NDArray[np.float64]
Statistic = Callable[[Vector, Vector], float]

BOOTSTRAP_SEED = 0
BOOTSTRAP_REPEATS = 1000

# From here on scipy's merge sort, O(n log n) a program, overtakes the n * (n - 1) / 2 signs.
SORTING_PAYS_FROM = 200
# Bounds the memory that the signs of one block of programs take.
PAIRS_PER_BLOCK = 1 << 20


def kendall(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b between `x` and `y`, both [n], in -1..1 (1: the same order); ties count as in scipy.

    NaN for n < 2, when either side is constant, and when either holds a NaN.
    """
    left, right = _paired(x, y)
    return float(kendall_many(left[np.newaxis], right)[0])


def kendall_many(scores: ArrayLike, accuracies: ArrayLike) -> Vector:
    """Kendall's tau-b of each row of `scores` [P, n] with `accuracies` [n]: [P], what `kendall` gives a row.

    By the signs of all pairs while networks are few (under 3 us a program at n = 20), by scipy otherwise.
    """
    rows = np.asarray(scores, dtype=np.float64)
    reference = _vector(accuracies, "accuracies")
    if rows.ndim != 2 or rows.shape[1] != len(reference):
        raise InputError(
            f"scores must have one row a program and one column for each of the {len(reference)} accuracies, "
            f"got shape {rows.shape}"
        )
    taus = np.full(len(rows), np.nan)
    if _is_unrankable(reference):
        return taus
    rankable = ~np.isnan(rows).any(axis=1)
    correlate = _taus_by_signs if len(reference) < SORTING_PAYS_FROM else _taus_by_sorting
    taus[rankable] = correlate(rows[rankable], reference)
    return taus


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rho between `x` and `y`, both [n], in -1..1; ties share their mean rank, as in scipy.

    NaN for n < 2, when either side is constant, and when either holds a NaN.
    """
    left, right = _paired(x, y)
    if _is_unrankable(left) or _is_unrankable(right):
        return math.nan
    return _pearson(_ranks(left), _ranks(right))


def partial_spearman(x: ArrayLike, y: ArrayLike, control: ArrayLike) -> float:
    """Spearman's rho that is left between `x` and `y` once the ranks of `control` are regressed out, -1..1.

    All three are [n]. A constant control explains nothing, so the plain rho comes back. NaN as `spearman`,
    when the control holds a NaN, and when it orders either side perfectly, up or down: nothing is left.
    """
    left, right = _paired(x, y)
    _, third = _paired(x, control, "x", "control")
    if _is_unrankable(left) or _is_unrankable(right) or np.isnan(third).any():
        return math.nan
    if _is_constant(third):
        return spearman(left, right)
    of_left, of_right, of_control = _ranks(left), _ranks(right), _ranks(third)
    if _same_or_reversed(of_left, of_control) or _same_or_reversed(of_right, of_control):
        return math.nan
    left_control, right_control = _pearson(of_left, of_control), _pearson(of_right, of_control)
    unexplained = math.sqrt(1 - left_control**2) * math.sqrt(1 - right_control**2)
    return _clipped((_pearson(of_left, of_right) - left_control * right_control) / unexplained)


def kendall_of_top(scores: ArrayLike, accuracies: ArrayLike, fraction: float) -> float:
    """Kendall's tau-b among the most accurate `fraction` (0 < fraction <= 1) of the networks, rounded up.

    Networks tied with the last one taken are taken too. NaN as `kendall`, judged on the networks taken, and
    when the accuracies hold a NaN.
    """
    left, right = _paired(scores, accuracies, "scores", "accuracies")
    if not 0 < fraction <= 1:
        raise InputError(f"fraction must be above 0 and at most 1, got {fraction}")
    if len(right) == 0 or np.isnan(right).any():
        return math.nan
    last = len(right) - math.ceil(fraction * len(right))
    taken = right >= np.partition(right, last)[last]
    return kendall(left[taken], right[taken])


def bootstrap_interval(
    statistic: Statistic,
    x: ArrayLike,
    y: ArrayLike,
    *,
    seed: int,
    repeats: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """The bootstrap percentile interval (low, high) of `statistic(x, y)` at confidence `level`.

    Pairs are drawn with replacement, `repeats` times, by a generator of this call's own, so the same seed
    gives the same interval. Draws whose statistic is NaN (a constant draw, say) are left out; (NaN, NaN) when
    none is left.
    """
    left, right = _paired(x, y)
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, got {repeats}")
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, both excluded, got {level}")
    return _percentiles(lambda draw: statistic(left[draw], right[draw]), len(left), seed, repeats, level)


def kendall_interval(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """The 95% bootstrap interval (low, high) of Kendall's tau-b over the pairs with a finite x, always the same."""
    left, right = _paired(x, y)
    finite = np.isfinite(left)
    return bootstrap_interval(kendall, left[finite], right[finite], seed=BOOTSTRAP_SEED, repeats=BOOTSTRAP_REPEATS)


def kendall_difference_interval(
    x: ArrayLike, other: ArrayLike, y: ArrayLike, *, seed: int = BOOTSTRAP_SEED, repeats: int = BOOTSTRAP_REPEATS
) -> tuple[float, float]:
    """The 95% bootstrap interval (low, high) of tau(x, y) - tau(other, y), paired: both on the same draws of rows.

    Rows in which x or other is not finite are left out. (NaN, NaN) where no draw has both correlations.
    """
    left, right = _paired(x, y)
    rival, _ = _paired(other, y)
    finite = np.isfinite(left) & np.isfinite(rival)
    rows, targets = np.array([left[finite], rival[finite]]), right[finite]

    def difference(draw: NDArray[np.intp]) -> float:
        own, others = kendall_many(rows[:, draw], targets[draw])
        return float(own - others)

    return _percentiles(difference, len(targets), seed, repeats, level=0.95)


def _percentiles(
    statistic: Callable[[NDArray[np.intp]], float], count: int, seed: int, repeats: int, level: float
) -> tuple[float, float]:
    """The percentile interval of a statistic of a draw, with replacement, of the rows 0..count - 1."""
    if count == 0:
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    draws = (generator.integers(count, size=count) for _ in range(repeats))
    values = np.array([statistic(draw) for draw in draws])
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The interval (low, high) of Student's t for the mean of `values` [n], at confidence `level`.

    (NaN, NaN) for fewer than two values, and where one is NaN.
    """
    vector = _vector(values, "values")
    if len(vector) < 2 or np.isnan(vector).any():
        return math.nan, math.nan
    reach = _t_quantile(len(vector) - 1, level) * float(vector.std(ddof=1)) / math.sqrt(len(vector))
    mean = float(vector.mean())
    return mean - reach, mean + reach


def chance_deviation(networks: int) -> float:
    """The standard deviation of Kendall's tau between unrelated rankings without ties (Kendall 1938)."""
    return math.sqrt(2 * (2 * networks + 5) / (9 * networks * (networks - 1)))


@lru_cache(maxsize=64)
def _t_quantile(freedom: int, level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))


def _taus_by_signs(scores: Vector, accuracies: Vector) -> Vector:
    first, second = _pairs(len(accuracies))
    block = max(1, PAIRS_PER_BLOCK // len(first))
    by_accuracy = _signs(accuracies[first], accuracies[second]).astype(np.float32)
    taus = np.empty(len(scores))
    for start in range(0, len(scores), block):
        # One row a network: picking a pair's rows then copies the programs' scores side by side.
        networks = np.ascontiguousarray(scores[start : start + block].T)
        by_score = _signs(networks[first], networks[second]).astype(np.float32)
        # Both counts stay below 2^24, so single precision holds them exactly.
        concordant_minus_discordant = by_accuracy @ by_score
        untied = np.abs(by_score).sum(axis=0)
        taus[start : start + block] = _tau_b(
            concordant_minus_discordant.astype(np.float64),
            untied.astype(np.float64),
            float(np.count_nonzero(by_accuracy)),
        )
    return taus


def _tau_b(concordant_minus_discordant: Vector, untied_scores: Vector, untied_accuracies: float) -> Vector:
    # Two divisions and a clip, in scipy's order, so that both ways round alike.
    with np.errstate(invalid="ignore"):
        taus: Vector = concordant_minus_discordant / np.sqrt(untied_scores) / np.sqrt(untied_accuracies)
    return taus.clip(-1.0, 1.0)


def _taus_by_sorting(scores: Vector, accuracies: Vector) -> Vector:
    # The statistic does not depend on the method, which only chooses how scipy finds the p-value.
    return np.array(
        [stats.kendalltau(row, accuracies, method="asymptotic").statistic for row in scores], dtype=np.float64
    )


@lru_cache(maxsize=8)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(count, k=1)
    return first, second


def _signs(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int8]:
    # Not sign(left - right), which would lose infinities and differences that underflow.
    return (left > right).view(np.int8) - (left < right).view(np.int8)


def _ranks(values: Vector) -> Vector:
    return np.asarray(stats.rankdata(values), dtype=np.float64)


def _pearson(left: Vector, right: Vector) -> float:
    of_left, of_right = left - left.mean(), right - right.mean()
    return _clipped(_dot(of_left, of_right) / math.sqrt(_dot(of_left, of_left) * _dot(of_right, of_right)))


def _dot(left: Vector, right: Vector) -> float:
    # Not `@`, whose library wakes a thread on every core for it.
    return float((left * right).sum())


def _clipped(correlation: float) -> float:
    return max(-1.0, min(1.0, correlation))


def _same_or_reversed(ranks: Vector, others: Vector) -> bool:
    # Ranks are multiples of a half, so this is exact where 1 - rho ** 2 would be lost in rounding.
    return np.array_equal(ranks, others) or np.array_equal(ranks, len(ranks) + 1 - others)


def _is_unrankable(values: Vector) -> bool:
    return len(values) < 2 or bool(np.isnan(values).any()) or _is_constant(values)


def _is_constant(values: Vector) -> bool:
    return bool((values == values[0]).all())


def _paired(x: ArrayLike, y: ArrayLike, x_name: str = "x", y_name: str = "y") -> tuple[Vector, Vector]:
    left, right = _vector(x, x_name), _vector(y, y_name)
    if len(left) != len(right):
        raise InputError(f"{x_name} and {y_name} must have the same length, got {len(left)} and {len(right)}")
    return left, right


def _vector(values: ArrayLike, name: str) -> Vector:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, got shape {vector.shape}")
    return vector
