"""Which programs of a run deserve the test on networks that evolution never saw (EZNAS, 3.7)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zcsr.evolve.fitness import merits, taus
from zcsr.evolve.records import Evaluated, Generation
from zcsr.language.program import Program

Vector = NDArray[np.float64]
Role = Literal["last", "seen", "chosen", "highest", "simplest"]


@dataclass(frozen=True, slots=True)
class Finalist:
    """A distinct program to be tested, and the place in the run that earned it.

    `role` is "last" for the fittest of the last population and "seen" for the fittest seen, or what
    `finalists_of_front` says, which may have had no slot; `fitness` is that of the individual in `slot` of
    `generation`.
    """

    program: Program
    role: Role
    generation: int
    slot: int | None
    fitness: float


def finalists(generations: Iterable[Generation], seen: int = 2) -> tuple[Finalist, ...]:
    """Return the fittest program of the last generation, then the `seen` fittest others of all generations.

    They are distinct programs, none of them refused since; of equally fit ones the earliest comes first. There
    are fewer where too few programs have a finite fitness, and none without generations.
    """
    past = tuple(generations)
    distinct = {record.program.id: record.program for g in past for record in g.programs}
    refused = {rejection.text for g in past for rejection in g.rejections}
    admissible = {program_id: program for program_id, program in distinct.items() if str(program) not in refused}
    last = _fittest(past[-1:], admissible, "last")[:1]
    for finalist in last:
        del admissible[finalist.program.id]
    return (*last, *_fittest(past, admissible, "seen")[:seen])


def _fittest(
    generations: Sequence[Generation], admissible: dict[str, Program], role: Literal["last", "seen"]
) -> list[Finalist]:
    """Return every admissible program once, at its best, the fittest first."""
    places = [
        Finalist(admissible[individual.same_as], role, generation.number, individual.slot, individual.fitness)
        for generation in generations
        for individual in generation.individuals
        if individual.same_as in admissible and math.isfinite(individual.fitness)
    ]
    best: dict[Program, Finalist] = {}
    for place in sorted(places, key=lambda place: -place.fitness):
        best.setdefault(place.program, place)
    return list(best.values())


# --- of a search over fronts ------------------------------------------------------------------------------------

CANDIDATES = 12
"""Programs of a front that held-out networks choose among: of each size the best ones."""


PRICE = 0.002
"""What each node of a program must add to how good it is: a larger one that adds less is not chosen."""


def candidates(front: Sequence[Evaluated], count: int = CANDIDATES) -> tuple[Program, ...]:
    """Return the programs of a front that are scored on the held-out networks, the smaller first.

    Of each size the best by half the least and half the mean tau, then the second best of each, up to `count`. One
    without a column is left out: a count is what finalists are compared with.
    """
    by_size: dict[int, list[Evaluated]] = defaultdict(list)
    for one in sorted((one for one in front if one.program.columns), key=lambda one: -one.merit):
        by_size[one.program.root.size].append(one)
    rounds = zip_longest(*(by_size[size] for size in sorted(by_size)))
    chosen = [one for of_round in rounds for one in of_round if one is not None][:count]
    return tuple(one.program for one in sorted(chosen, key=lambda one: one.program.root.size))


def finalists_of_front(
    generations: Iterable[Generation], scores: Mapping[str, Mapping[str, Vector]], accuracies: Mapping[str, Vector]
) -> tuple[Finalist, ...]:
    """Return the finalists of a search over fronts, given scores on the held-out networks.

    scores: by program id and task, [networks]; of the programs that come into question
    accuracies: by task, [networks]; those of evolution where nothing is held out

    What is good is half the least and half the mean tau over the tasks. "chosen" is the best program, less `PRICE`
    for each node; "highest" the best at any size, "simplest" the best of one column.
    """
    known = [place for place in _first_places(generations) if place.program.id in scores]
    if not known:
        return ()
    reached = [_merit(scores[place.program.id], accuracies) for place in known]
    priced = [merit - PRICE * place.program.root.size for merit, place in zip(reached, known, strict=True)]
    simple = [number for number, place in enumerate(known) if len(place.program.columns) == 1]
    roles: dict[int, Role] = {int(np.argmax(priced)): "chosen"}
    roles.setdefault(int(np.argmax(reached)), "highest")
    if simple:
        roles.setdefault(max(simple, key=lambda number: reached[number]), "simplest")
    return tuple(replace(known[number], role=role) for number, role in roles.items())


def _first_places(generations: Iterable[Generation]) -> list[Finalist]:
    """Every program that was evaluated, at its place in the population of that generation if it has one."""
    places: list[Finalist] = []
    for generation in generations:
        slots = {one.same_as: one.slot for one in generation.individuals}
        for one in generation.evaluated:
            slot = slots.get(one.program.id)
            places.append(Finalist(one.program, "chosen", generation.number, slot, one.least))
    return places


def _merit(scores: Mapping[str, Vector], accuracies: Mapping[str, Vector]) -> float:
    """How good a program is on the networks; a task where a score is not finite counts as -1."""
    by_task = [float(taus(scores[task][None], of_task)[0]) for task, of_task in accuracies.items()]
    return float(merits(np.nan_to_num(np.array(by_task), nan=-1.0)))
