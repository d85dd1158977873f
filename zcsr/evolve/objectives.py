"""What makes one program better than another, and three designs of who survives and who has children."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from deap import base, tools
from numpy.typing import NDArray

from zcsr.evolve.records import Evaluated
from zcsr.language.network_operations import COUNTED
from zcsr.language.program import Program

FORWARD, BACKWARD = 1, 2
"""What a pass costs: a backward pass does about twice the arithmetic of a forward pass."""

BY_PROXY = FORWARD + BACKWARD
"""What asking a known proxy costs, which all but the counts make passes of their own for."""


def cost_of(program: Program) -> int:
    """Return what a score costs: the passes through the network, forward passes counted once, backward ones twice.

    A tensor for perturbed data is the difference from that for data, so it takes both.
    """
    forward: set[str] = set()
    backward: set[str] = set()
    for tensor in program.root.tensors():
        if tensor.input is not None:
            inputs = {tensor.input, "D"} if tensor.reference else {tensor.input}
            forward |= inputs
            backward |= inputs if tensor.gradient else set()
    asked = set(program.known) - COUNTED
    return FORWARD * len(forward) + BACKWARD * len(backward) + BY_PROXY * len(asked)


class _Objectives(base.Fitness):  # type: ignore[misc]  # DEAP is untyped
    weights = (1.0, 1.0, -1.0, -1.0)


@dataclass(slots=True, eq=False)
class _Placed:
    """A program as DEAP wants it: with a fitness."""

    one: Evaluated
    fitness: base.Fitness


def _by_objectives(pool: Sequence[Evaluated]) -> list[_Placed]:
    return [_Placed(one, _Objectives((one.least, one.mean, one.program.root.size, one.cost))) for one in pool]


def front(pool: Sequence[Evaluated]) -> list[Evaluated]:
    """Return the programs that no other one is better than: no worse by any objective, and better by one."""
    if not pool:
        return []
    (first, *_) = tools.sortNondominated(_by_objectives(pool), len(pool), first_front_only=True)
    return [placed.one for placed in first]


# --- designs ----------------------------------------------------------------------------------------------------

Order = Callable[[Sequence[Evaluated], Random], Iterator[Evaluated]]
"""Yields a pool from the one that should survive first; may draw from the generator."""


def _by_fronts(pool: Sequence[Evaluated], _: Random) -> Iterator[Evaluated]:
    """NSGA-II (Deb et al. 2002): fronts one after another, within one the lonelier first."""
    for of_front in tools.sortNondominated(_by_objectives(pool), len(pool)):
        tools.emo.assignCrowdingDist(of_front)
        yield from (placed.one for placed in sorted(of_front, key=lambda placed: -placed.fitness.crowding_dist))


def _by_cases(pool: Sequence[Evaluated], generator: Random) -> Iterator[Evaluated]:
    """Epsilon-lexicase over the tasks (La Cava et al. 2016), without replacement, the fittest of all first.

    Tasks come in a random order; at each, those stay that are within the median absolute deviation of the best;
    of those left at the end the smallest is taken.
    """
    left = sorted(pool, key=lambda one: (-one.least, one.program.root.size))
    values = np.array([list(one.taus.values()) for one in left], dtype=np.float64).reshape(len(left), -1)
    cases = list(range(values.shape[1]))
    alive = np.arange(len(left))
    while len(alive):
        generator.shuffle(cases)
        best = _last_left(values, alive, cases)
        chosen = min(best, key=lambda place: (left[place].program.root.size, place))
        yield left[chosen]
        alive = alive[alive != chosen]


def _last_left(values: NDArray[np.float64], alive: NDArray[np.intp], cases: Sequence[int]) -> list[int]:
    places = alive
    for case in cases:
        of_case = values[places, case]
        reach = float(np.median(np.abs(of_case - np.median(of_case))))
        places = places[of_case >= of_case.max() - reach]
        if len(places) == 1:
            break
    return [int(place) for place in places]


def _by_both(pool: Sequence[Evaluated], generator: Random) -> Iterator[Evaluated]:
    """Two islands on one pool: one of each of the other designs in turn."""
    seen: set[str] = set()
    orders = [_by_fronts(pool, generator), _by_cases(pool, generator)]
    while orders:
        for order in list(orders):
            one = next((one for one in order if one.program.id not in seen), None)
            if one is None:
                orders.remove(order)
            else:
                seen.add(one.program.id)
                yield one


DESIGNS: Mapping[str, Order] = {"nsga2": _by_fronts, "lexicase": _by_cases, "islands": _by_both}
"""By the name that a config has for it."""


def survivors(
    pool: Sequence[Evaluated], design: str, size: int, shape_only: int, generator: Random
) -> list[Evaluated]:
    """Return `size` of the pool, or all; at most `shape_only` of them look at sizes alone."""
    kept: list[Evaluated] = []
    for one in DESIGNS[design](pool, generator):
        if len(kept) == size:
            break
        if not one.shape_only or sum(other.shape_only for other in kept) < shape_only:
            kept.append(one)
    return kept


def parents(
    population: Sequence[Evaluated], design: str, count: int, rivals: int, generator: Random
) -> list[Evaluated]:
    """Return `count` of the population, drawn with replacement, for children.

    By tournaments of `rivals` in the design's order, or, by lexicase, each the first of another order of the tasks.
    """
    if design == "lexicase":
        return [next(_by_cases(population, generator)) for _ in range(count)]
    ranked = list(DESIGNS[design](population, generator))
    return [ranked[min(generator.randrange(len(ranked)) for _ in range(rivals))] for _ in range(count)]
