"""Languages: which words programs are made of. A language is a value, so several can stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from zcsr.errors import ProgramError, nearest
from zcsr.language.operations import AGGREGATIONS, OPERATIONS, READOUTS, Operation
from zcsr.language.program import Node, Program, Word
from zcsr.language.tensors import TENSORS, Tensor


@dataclass(frozen=True, eq=False)
class Language:
    """The words of programs: tensors at the leaves, operations above them, and the two steps at the root.

    readouts: from an instance's value to its number; aggregations: from the instances' numbers to the score
    """

    name: str
    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    readouts: tuple[Operation, ...]
    aggregations: tuple[Operation, ...]

    @cached_property
    def words(self) -> Mapping[str, Word]:
        """The tensors and operations of expressions by their names."""
        words: tuple[Word, ...] = (*self.operations, *self.tensors)
        return {word.name: word for word in words}

    def node(self, name: str, *args: Node) -> Node:
        """Return the node of a tensor or an operation by its name; ProgramError, with a suggestion, for others."""
        if name not in self.words:
            listed = "; `zcsr operations` lists the operations and tensors"
            raise ProgramError(f"unknown name '{name}'{nearest(name, self.words, otherwise=listed, quoted=False)}")
        return Node(self.words[name], args)

    def program(self, expression: Node, to_scalar: str = "mean", aggregation: str = "mean") -> Program:
        """Return the program of an expression and the names of the two steps; ProgramError for unknown ones."""
        number = Node(_step("to_scalar", to_scalar, self.readouts), (expression,))
        return Program(Node(_step("aggregation", aggregation, self.aggregations), (number,)))

    def having(self, *words: Word) -> Language:
        """Return the language with these words as well, in the place of those that have their names."""
        names = {word.name for word in words}
        having = *(word for name, word in self.words.items() if name not in names), *words
        return replace(
            self,
            tensors=tuple(word for word in having if isinstance(word, Tensor)),
            operations=tuple(word for word in having if isinstance(word, Operation)),
        )


def _step(what: str, name: str, steps: tuple[Operation, ...]) -> Operation:
    found = next((step for step in steps if step.name == name), None)
    if found is None:
        raise ProgramError(f"{what} is one of {', '.join(step.name for step in steps)}, not '{name}'")
    return found


_PLACES = ("T1", "T2", "T3", "T4")
EZNAS = Language(
    "eznas",
    tuple(tensor for tensor in TENSORS if tensor.place.name in _PLACES),
    OPERATIONS,
    READOUTS,
    AGGREGATIONS,
)
"""The language of the paper: 22 tensors and 34 operations (EZNAS, 3.2 and Table 5)."""


def operation_named(name: str, step: bool, gives: str) -> Operation:
    """Return a row again by what tells it from all others, as other processes do that are sent a program."""
    rows = (*EZNAS.operations, *EZNAS.readouts, *EZNAS.aggregations)
    return next(row for row in rows if (row.name, row.step, row.gives) == (name, step, gives))
