"""How programs are drawn and bred: as expression trees, or as sequences of instructions (EZNAS, appendix 8.2).

The search knows a representation by this protocol alone. Whatever it proposes is admitted, recognised and scored as
the expression that it stands for, so a sequential program and a tree that compute the same are the same program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

from zcsr.evolve.config import EvolveConfig, RepresentationName
from zcsr.evolve.records import Candidate, Individual
from zcsr.evolve.sequences import Sequences
from zcsr.evolve.trees import Trees
from zcsr.evolve.typed_trees import TypedTrees
from zcsr.language.languages import Language


class Representation(Protocol):
    """Proposes candidates, which are not checked in any way.

    What it draws depends on the config, the parents and the generator alone, which moves on.
    """

    @property
    def taller_by(self) -> str:
        """The parameter that makes its programs taller."""
        ...

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return `count` random candidates."""
        ...

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return `lambda_` children of `parents` (at least two)."""
        ...


def _trees(language: Language) -> Representation:
    return TypedTrees(language) if language.network else Trees(language)


REPRESENTATIONS: Mapping[RepresentationName, Callable[[Language], Representation]] = {
    "tree": _trees,
    "sequential": Sequences,
}
"""By the name that a config has for it."""
