"""Rank statistics against scipy, naive definitions, and the properties they must have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from zcsr import ranking
from zcsr.errors import InputError
from zcsr.ranking import (
    bootstrap_interval,
    kendall,
    kendall_many,
    kendall_of_top,
    partial_spearman,
    spearman,
)

# Few distinct values make many ties; the wide ones bring infinities, subnormals and signed zeros.
tied_values = st.integers(-3, 3).map(float)
wide_values = st.floats(allow_nan=False, width=64)
values = st.one_of(tied_values, wide_values)


def vectors(size: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, size, elements=values)


pairs = st.integers(2, 30).flatmap(lambda size: st.tuples(vectors(size), vectors(size)))


def naive_kendall(x: np.ndarray, y: np.ndarray) -> float:
    concordant = discordant = tied_x = tied_y = 0
    count = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        count += 1
        tied_x += x[i] == x[j]
        tied_y += y[i] == y[j]
        concordant += (x[i] < x[j] and y[i] < y[j]) or (x[i] > x[j] and y[i] > y[j])
        discordant += (x[i] < x[j] and y[i] > y[j]) or (x[i] > x[j] and y[i] < y[j])
    if tied_x == count or tied_y == count:
        return math.nan
    return (concordant - discordant) / math.sqrt((count - tied_x) * (count - tied_y))


def agree(value: float, expected: float, tolerance: float = 1e-12) -> bool:
    return (math.isnan(value) and math.isnan(expected)) or abs(value - expected) <= tolerance


@given(pairs)
def test_kendall_is_the_naive_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert agree(kendall(*pair), naive_kendall(*pair))


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@given(pairs)
def test_correlations_are_scipys(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    assert agree(kendall(x, y), stats.kendalltau(x, y).statistic)
    assert agree(spearman(x, y), stats.spearmanr(x, y).statistic)


@given(pairs)
def test_correlations_are_symmetric_and_odd_and_bounded(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    for correlation in (kendall, spearman):
        value = correlation(x, y)
        assert agree(correlation(y, x), value)
        assert agree(correlation(-x, y), -value)
        assert math.isnan(value) or -1 <= value <= 1


@given(pairs, st.randoms(use_true_random=False))
def test_only_order_counts(pair: tuple[np.ndarray, np.ndarray], random: object) -> None:
    x, y = pair
    order = np.array(random.sample(range(len(x)), len(x)))  # type: ignore[attr-defined]
    ranks = stats.rankdata(x)
    for correlation in (kendall, spearman):
        assert agree(correlation(ranks**3, y), correlation(x, y))
        assert agree(correlation(x[order], y[order]), correlation(x, y))


@pytest.mark.parametrize("correlation", [kendall, spearman])
def test_perfect_orders(correlation: Callable[..., float]) -> None:
    x = [3.0, -1.0, 2.0, math.inf, -math.inf]
    assert correlation(x, x) == pytest.approx(1.0, abs=1e-15)
    assert correlation(x, [-value for value in x]) == pytest.approx(-1.0, abs=1e-15)


@pytest.mark.parametrize("correlation", [kendall, spearman])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [-5.0, -5.0, -5.0]),
        ([0.0, -0.0], [1.0, 2.0]),
        ([math.inf, math.inf], [1.0, 2.0]),
        ([1.0, math.nan, 3.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, math.nan]),
    ],
)
def test_undefined_correlations_are_nan(correlation: Callable[..., float], x: list[float], y: list[float]) -> None:
    assert math.isnan(correlation(x, y))


def test_differences_that_underflow_still_rank() -> None:
    tiny = np.array([5e-324, 1e-323, 1.5e-323])
    assert kendall(tiny, [1, 2, 3]) == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [2, 3, 20, 199, 200, 450])
def test_kendall_many_is_scipy_a_row_on_both_sides_of_the_switch(count: int) -> None:
    generator = np.random.default_rng(count)
    accuracies = generator.integers(-4, 5, count).astype(float)
    accuracies[:2] = 0, 1
    scores = np.vstack(
        [
            generator.normal(size=(5, count)),
            generator.integers(-2, 3, (5, count)),
            np.full((1, count), -7.0),
            accuracies,
            -accuracies,
            np.where(np.arange(count) == 1, np.nan, generator.normal(size=count)),
            np.where(np.arange(count) == 1, np.inf, generator.normal(size=count)),
        ]
    )
    taus = kendall_many(scores, accuracies)
    assert taus.shape == (15,)
    expected = [stats.kendalltau(row, accuracies).statistic for row in scores]
    np.testing.assert_allclose(taus, expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(np.isnan(taus), np.isnan(expected))
    assert np.isnan(taus[[10, 13]]).all()
    np.testing.assert_array_equal(taus, [kendall(row, accuracies) for row in scores])


def test_blocks_of_programs_do_not_change_a_tau(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    scores, accuracies = generator.integers(0, 5, (37, 20)), generator.normal(size=20)
    whole = kendall_many(scores, accuracies)
    monkeypatch.setattr(ranking, "PAIRS_PER_BLOCK", 190 * 4)
    np.testing.assert_array_equal(kendall_many(scores, accuracies), whole)


def test_kendall_many_without_programs_or_with_useless_accuracies() -> None:
    assert kendall_many(np.empty((0, 20)), np.arange(20)).shape == (0,)
    for accuracies in ([1.0, 1.0, 1.0], [1.0, math.nan, 2.0]):
        assert np.isnan(kendall_many([[1.0, 2.0, 3.0]] * 2, accuracies)).all()
    assert np.isnan(kendall_many(np.empty((2, 0)), [])).all()
    assert np.isnan(kendall_many([[1.0], [2.0]], [3.0])).all()


def test_inputs_are_left_as_they_were() -> None:
    scores, accuracies = np.array([[3.0, 1.0, 2.0]]), np.array([1.0, 3.0, 2.0])
    kendall_many(scores, accuracies)
    kendall_of_top(scores[0], accuracies, 0.5)
    np.testing.assert_array_equal(scores, [[3.0, 1.0, 2.0]])
    np.testing.assert_array_equal(accuracies, [1.0, 3.0, 2.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: kendall([1, 2], [1, 2, 3]),
        lambda: spearman([[1, 2]], [[1, 2]]),
        lambda: kendall_many([1, 2, 3], [1, 2, 3]),
        lambda: kendall_many([[1, 2]], [1, 2, 3]),
        lambda: partial_spearman([1, 2], [1, 2], [1, 2, 3]),
    ],
)
def test_shapes_that_do_not_match_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"must (have|be)"):
        call()


# Partial correlation


def residuals(ranks: np.ndarray, control: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(control)), control])
    return np.asarray(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])


@pytest.mark.parametrize("seed", range(20))
def test_partial_spearman_correlates_what_a_regression_on_the_control_leaves(seed: int) -> None:
    generator = np.random.default_rng(seed)
    control = generator.integers(-10, 10, 60)
    x, y = control + generator.normal(0, 5, 60), generator.integers(-3, 3, 60) - control
    ranks = [stats.rankdata(side) for side in (x, y, control)]
    expected = np.corrcoef(residuals(ranks[0], ranks[2]), residuals(ranks[1], ranks[2]))[0, 1]
    assert partial_spearman(x, y, control) == pytest.approx(expected, abs=1e-12)


def test_partial_spearman_sees_through_a_common_cause() -> None:
    generator = np.random.default_rng(0)
    cause = generator.normal(size=5000)
    x, y = cause + generator.normal(size=5000), cause + generator.normal(size=5000)
    assert spearman(x, y) > 0.4
    assert abs(partial_spearman(x, y, cause)) < 0.05


def test_partial_spearman_where_the_control_says_nothing_or_everything() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]
    assert partial_spearman(x, y, [5.0, 5.0, 5.0, 5.0]) == spearman(x, y)
    assert math.isnan(partial_spearman(x, y, x))
    assert math.isnan(partial_spearman(x, y, [-value for value in y]))
    assert math.isnan(partial_spearman(x, y, [1.0, math.nan, 2.0, 3.0]))
    assert math.isnan(partial_spearman([1.0] * 4, y, x))


@given(
    st.integers(2, 12).flatmap(lambda size: st.tuples(*[hnp.arrays(np.float64, size, elements=tied_values)] * 3))
)
def test_partial_spearman_is_bounded(triple: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    value = partial_spearman(*triple)
    assert math.isnan(value) or -1 <= value <= 1
    assert agree(partial_spearman(triple[1], triple[0], triple[2]), value)


# The best few


def test_kendall_of_top_looks_only_at_the_most_accurate() -> None:
    accuracies = np.arange(20.0)
    scores = np.where(accuracies < 10, -accuracies, accuracies)
    assert kendall_of_top(scores, accuracies, 0.5) == pytest.approx(1.0)
    assert kendall_of_top(scores, accuracies, 1.0) == kendall(scores, accuracies)
    assert kendall_of_top(scores, accuracies, 0.45) == kendall(scores[-9:], accuracies[-9:])
    assert kendall_of_top(-scores, accuracies, 0.11) == pytest.approx(-1.0)


def test_kendall_of_top_takes_ties_with_the_last() -> None:
    accuracies = [1.0, 2.0, 2.0, 2.0, 3.0]
    scores = [9.0, 1.0, 5.0, 2.0, 3.0]
    assert kendall_of_top(scores, accuracies, 0.4) == kendall(scores[1:], accuracies[1:])


def test_kendall_of_top_undefined_or_out_of_range() -> None:
    assert math.isnan(kendall_of_top([1, 2, 3], [1, 2, 3], 0.1))
    assert math.isnan(kendall_of_top([1, 2, 3], [1, math.nan, 3], 0.9))
    assert math.isnan(kendall_of_top([], [], 0.5))
    assert kendall_of_top([math.nan, 2, 3], [1, 2, 3], 0.5) == 1.0
    for fraction in (0.0, -0.1, 1.1, math.nan):
        with pytest.raises(InputError, match="fraction must be above 0"):
            kendall_of_top([1, 2], [1, 2], fraction)


# Bootstrap


def test_bootstrap_is_seeded_and_keeps_numpys_global_state() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=40)
    y = x + generator.normal(size=40)
    before = str(np.random.get_state())  # noqa: NPY002
    interval = bootstrap_interval(kendall, x, y, seed=1, repeats=200)
    assert interval == bootstrap_interval(kendall, x, y, seed=1, repeats=200)
    assert interval != bootstrap_interval(kendall, x, y, seed=2, repeats=200)
    assert str(np.random.get_state()) == before  # noqa: NPY002
    low, high = interval
    assert low < kendall(x, y) < high
    wide = bootstrap_interval(kendall, x, y, seed=1, repeats=200, level=0.99)
    assert wide[0] <= low
    assert high <= wide[1]


def test_bootstrap_of_a_mean_is_scipys_percentile_interval() -> None:
    x = np.random.default_rng(5).exponential(size=200)
    ours = bootstrap_interval(lambda a, _: float(a.mean()), x, x, seed=0, repeats=4000)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=4000, method="percentile", random_state=1
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_bootstrap_covers_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for seed in range(100):
        x, y = generator.normal(size=(2, 50))
        low, high = bootstrap_interval(kendall, x, y, seed=seed, repeats=200, level=0.9)
        covered += low <= 0 <= high
    assert 80 <= covered <= 98


@pytest.mark.filterwarnings("error")
def test_bootstrap_leaves_undefined_draws_out() -> None:
    low, high = bootstrap_interval(kendall, [1.0, 2.0], [1.0, 2.0], seed=0, repeats=50)
    assert (low, high) == (1.0, 1.0)
    for x in ([], [1.0], [1.0, 1.0, 1.0]):
        assert all(math.isnan(end) for end in bootstrap_interval(kendall, x, x, seed=0, repeats=20))


def test_bootstrap_refuses_parameters_out_of_range() -> None:
    with pytest.raises(InputError, match="repeats"):
        bootstrap_interval(kendall, [1, 2], [1, 2], seed=0, repeats=0)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(InputError, match="level"):
            bootstrap_interval(kendall, [1, 2], [1, 2], seed=0, level=level)
