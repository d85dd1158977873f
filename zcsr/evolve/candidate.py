"""What a representation proposes, before anything is known of its values."""

from __future__ import annotations

from dataclasses import dataclass

from zcsr.evolve.memory import Refusal
from zcsr.evolve.records import Genotype, Origin
from zcsr.language.program import Node


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed expression and how it came about.

    `genotype` is what it is bred as, None for a tree, which is its own. A genotype without an expression that may
    be admitted has None as `root`, and `refusal` says why.
    """

    root: Node | None
    origin: Origin
    genotype: Genotype | None = None
    refusal: Refusal | None = None
