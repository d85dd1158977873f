"""How programs are drawn and bred: as expression trees, or as sequences of instructions (EZNAS, appendix 8.2).

The search knows a representation by this protocol alone. Whatever it proposes is admitted, recognised and scored as
the expression that it stands for, so a sequential program and a tree that compute the same are the same program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from zcsr.evolve import sequences as rows
from zcsr.evolve import trees as variation
from zcsr.evolve.candidate import Candidate
from zcsr.evolve.config import EvolveConfig, RepresentationName
from zcsr.evolve.instructions import SequentialProgram, parse_sequential
from zcsr.evolve.records import Individual


class Representation(Protocol):
    """Proposes candidates. What it draws depends on the config, the parents and the generator alone."""

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return `count` random candidates. `generator` moves on."""
        ...

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return `lambda_` children of `parents` (at least two). `generator` moves on."""
        ...


class Trees:
    """Expression trees, see `zcsr.evolve.trees`."""

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return random trees by ramped half-and-half."""
        return variation.random_programs(config, count, generator)

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return children by subtree crossover, subtree mutation or reproduction."""
        return variation.children(config, [parent.program.root for parent in parents], generator)


class Sequences:
    """Sequences of instructions, see `zcsr.evolve.sequences`."""

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return random programs of every length from `min_length` to `max_length`."""
        return rows.random_sequential(config, count, generator)

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return children by Mate, by one of the four mutations or by reproduction."""
        return rows.children_of(config, [_genotype(parent) for parent in parents], generator)


REPRESENTATIONS: Mapping[RepresentationName, Representation] = {"tree": Trees(), "sequential": Sequences()}
"""By the name that a config has for it."""


def _genotype(individual: Individual) -> SequentialProgram:
    assert individual.genotype is not None, "a sequential program is bred from its rows"
    return parse_sequential(individual.genotype.text)
