"""Kinds of runs against each other: spreads over seeds, and tests of whether they differ.

Runs of one seed on the same networks are compared in pairs, as what a seed decides moves both alike. All p-values
of a comparison are corrected together by Holm's method (1979).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean, stdev

from scipy import stats


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    kind: what it shares with runs that differ from it in the seed alone
    networks: what is equal for runs that evolved and were tested on the same networks
    values: by measure; None where it is not known
    """

    run: str
    kind: str
    seed: int
    networks: Hashable
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over the runs of a kind; `deviation` (of the sample) is None for a single run."""

    kind: str
    measure: str
    runs: int
    mean: float
    deviation: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure's mean of one kind less that of another, with its 95% interval.

    paired: whether it is over pairs of runs of one seed on the same networks
    runs: how many pairs, or runs of both kinds
    p: of the t test, two-sided; `adjusted` after Holm's correction. None, as the interval's ends, where runs are
        too few or do not differ among themselves
    """

    first: str
    second: str
    measure: str
    paired: bool
    runs: int
    mean: float
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None = None


def spreads(outcomes: Sequence[Outcome], measures: Sequence[str]) -> list[Spread]:
    """Return how the measures spread within each kind, in the order of the outcomes, less values not known."""
    found = []
    for kind in dict.fromkeys(one.kind for one in outcomes):
        for measure in measures:
            values = _known([one for one in outcomes if one.kind == kind], measure)
            if values:
                deviation = stdev(values) if len(values) > 1 else None
                found.append(Spread(kind, measure, len(values), fmean(values), deviation, min(values), max(values)))
    return found


def differences(outcomes: Sequence[Outcome], measures: Sequence[str]) -> list[Difference]:
    """Return how each two kinds differ by each measure.

    By Student's t test of the pairs where at least two seeds have one run of each kind on the same networks, and by
    Welch's of all runs otherwise.
    """
    kinds = list(dict.fromkeys(one.kind for one in outcomes))
    found = [
        difference
        for first, second in combinations(kinds, 2)
        for measure in measures
        if (difference := _difference(outcomes, first, second, measure))
    ]
    adjusted = iter(holm([one.p for one in found if one.p is not None]))
    return [one if one.p is None else replace(one, adjusted=next(adjusted)) for one in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected so that any of them is falsely below a level with at most that probability.

    The smallest is multiplied by their number, the next by one less, and so on; none is below a smaller one, and
    none above 1 (Holm, Scandinavian Journal of Statistics 6, 1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [0.0] * len(p_values)
    reached = 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = reached
    return corrected


def _difference(outcomes: Sequence[Outcome], first: str, second: str, measure: str) -> Difference | None:
    of_kinds = [[one for one in outcomes if one.kind == kind] for kind in (first, second)]
    pairs = [
        (left, right)
        for one in of_kinds[0]
        for other in of_kinds[1]
        if (one.seed, one.networks) == (other.seed, other.networks)
        and (left := one.values[measure]) is not None
        and (right := other.values[measure]) is not None
    ]
    seeds = [[one.seed for one in of_kind] for of_kind in of_kinds]
    once = all(len(set(of_kind)) == len(of_kind) for of_kind in seeds)
    paired = once and len(pairs) > 1
    if paired:
        sides = [[pair[side] for pair in pairs] for side in (0, 1)]
        moving = len({round(left - right, 12) for left, right in pairs}) > 1
    else:
        sides = [_known(of_kind, measure) for of_kind in of_kinds]
        moving = all(len(side) > 1 for side in sides) and any(len(set(side)) > 1 for side in sides)
    if not all(sides):
        return None
    runs = len(pairs) if paired else sum(map(len, sides))
    mean = fmean(sides[0]) - fmean(sides[1])
    if not moving:
        return Difference(first, second, measure, paired, runs, mean, None, None, None)
    tested = stats.ttest_rel(*sides) if paired else stats.ttest_ind(*sides, equal_var=False)
    interval = tested.confidence_interval()
    return Difference(
        first,
        second,
        measure,
        paired,
        runs,
        mean,
        float(interval.low),
        float(interval.high),
        float(tested.pvalue),
    )


def _known(outcomes: Sequence[Outcome], measure: str) -> list[float]:
    return [value for one in outcomes if (value := one.values[measure]) is not None]
