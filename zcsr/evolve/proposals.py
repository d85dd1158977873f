"""What a search over fronts proposes where the columns are known: readouts of one, and formulas of several.

Both cost arithmetic alone, so thousands are tried for each that is proposed. A readout is an aggregation of a
column, or of a function of it. A formula is a program that is improved by one more readout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zcsr.errors import ProgramError
from zcsr.language.languages import Language
from zcsr.language.program import Node, Program

Vector = NDArray[np.float64]

FUNCTIONS = ("sqrt", "log")
"""Functions of an instance's number that readouts try before they aggregate, besides none."""

WEIGHTS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
"""Weights of a further term, in deviations of the program that it is added to."""

_DIGITS = 2


def readouts(language: Language, column: Node) -> tuple[Program, ...]:
    """Return a column's readouts: each aggregation of it, of its square root and of its logarithm."""
    numbers = (column, *(language.node(name, column) for name in FUNCTIONS))
    aggregations = [word for word in language.network if word.aggregates]
    return tuple(Program(language.node(word.name, number)) for number in numbers for word in aggregations)


def negated(language: Language, program: Program) -> Program:
    """Return the program that ranks the other way round."""
    (root, *_) = program.root.args or (None,)
    if program.root.op == "neg" and root is not None:
        return Program(root)
    return Program(language.node("neg", program.root))


def parts(program: Program) -> Iterator[Program]:
    """Yield the parts of a program that are programs, itself left out."""
    for node in dict.fromkeys(program.root.walk()):
        if node.type == "score" and node.args and node is not program.root:
            yield Program(node)


@dataclass(frozen=True, slots=True)
class Formulas:
    """Formulas of a program and each of some terms: their scores, [formulas, networks], and how to write them."""

    scores: NDArray[np.float64]
    program: Program
    terms: Sequence[Program]
    language: Language
    _made: Sequence[tuple[str, int, float]]

    @classmethod
    def of(
        cls,
        language: Language,
        program: Program,
        own: Vector,
        terms: Sequence[Program],
        others: NDArray[np.float64],
    ) -> Formulas:
        """Try a program, whose scores are `own`, with terms, whose scores are `others` [terms, networks].

        A term is added with a weight, multiplies the program, or divides it.
        """
        made: list[tuple[str, int, float]] = []
        rows: list[Vector] = []
        deviation = float(own.std())
        with np.errstate(all="ignore"):
            for place, other in enumerate(others):
                reach = float(other.std())
                if reach > 0 and deviation > 0:
                    for weight in WEIGHTS:
                        factor = _rounded(weight * deviation / reach)
                        made.append(("add", place, factor))
                        rows.append(own + factor * other)
                made += (("mul", place, 1.0), ("div", place, 1.0))
                rows += (own * other, np.where(other == 0, np.nan, own / other))
        scores = np.array(rows).reshape(len(rows), len(own))
        return cls(scores, program, terms, language, made)

    def program_at(self, place: int) -> Program | None:
        """Return the formula at a place of `scores`; None where it would be nested too deep."""
        how, term, factor = self._made[place]
        node, root, other = self.language.node, self.program.root, self.terms[term].root
        try:
            if how != "add":
                return Program(node(how, root, other))
            size = abs(factor)
            weighted = other if size == 1.0 else node("mul", self.language.constant(size), other)
            return Program(node("sub" if factor < 0 else "add", root, weighted))
        except ProgramError:
            return None


def _rounded(value: float) -> float:
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0.0
