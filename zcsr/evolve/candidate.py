"""What a representation proposes, before anything is known of its values."""

from __future__ import annotations

from dataclasses import dataclass

from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.records import Genotype, Origin
from zcsr.language.program import Program


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal and how it came about.

    text: by which it is known: the program's or, without one, the genotype's
    outcome: the program that it stands for, or why it stands for none that may be admitted
    genotype: what it is bred as; None for a tree, which is bred as its expression
    """

    text: str
    origin: Origin
    outcome: Program | Refusal
    genotype: Genotype | None = None
