"""Which programs of a run deserve the test on networks that evolution never saw (EZNAS, 3.7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from zcsr.evolve.records import Generation
from zcsr.language.program import Program


@dataclass(frozen=True, slots=True)
class Finalist:
    """A distinct program to be tested, and the place in the run that earned it.

    `role` is "last" for the fittest of the last population and "seen" for the fittest seen; `fitness` is that of
    the individual in `slot` of `generation`.
    """

    program: Program
    role: Literal["last", "seen"]
    generation: int
    slot: int
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
