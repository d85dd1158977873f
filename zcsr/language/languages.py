"""Languages: which words programs are made of. A language is a value, so several can stand beside each other.

`EZNAS` is the paper's. `ZCSR` has all its words and reads all its texts as they are meant there, and adds what good
proxies are made of: spectra over channels, every aggregation, and formulas of several numbers of a network.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from zcsr.errors import ProgramError, nearest
from zcsr.language.instance_operations import INSTANCE_OPERATIONS
from zcsr.language.network_operations import COUNTS, NETWORK_AGGREGATIONS, SCORE_OPERATIONS, Constant, Known
from zcsr.language.operations import AGGREGATIONS, OPERATIONS, READOUTS, Of, Operation, Type
from zcsr.language.program import Node, Program, Word
from zcsr.language.tensors import TENSORS, Tensor

_LONGEST = 60
"""Characters of an unknown name that a message shows."""


@dataclass(frozen=True, eq=False)
class Language:
    """The words of programs: what is at the leaves, operations above it, and the two steps at the root.

    tensors, operations: of instances
    readouts, aggregations: the steps, from an instance's value to its number, and from the instances' numbers to
        the score
    network: the operations that make numbers of a network; without any, a program ends in the two steps
    known: what is known of a network besides its instances
    """

    name: str
    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    readouts: tuple[Operation, ...]
    aggregations: tuple[Operation, ...]
    network: tuple[Operation, ...] = ()
    known: tuple[Known, ...] = ()

    @cached_property
    def meanings(self) -> Mapping[str, tuple[Word, ...]]:
        """By its name what may be meant by it; several where the arguments decide."""
        words: dict[str, tuple[Word, ...]] = {}
        every: tuple[Word, ...] = (*self.operations, *self.network, *self.tensors, *self.known)
        for word in every:
            words[word.name] = (*words.get(word.name, ()), word)
        return words

    @cached_property
    def words(self) -> Mapping[str, Word]:
        """By its name what is meant by it, the first where the arguments decide."""
        return {name: words[0] for name, words in self.meanings.items()}

    def node(self, name: str, *args: Node) -> Node:
        """Return the node of a leaf or an operation by its name; ProgramError, with a suggestion, for others.

        Of several operations of that name it is the one whose arguments have just these types, or else the first
        that takes them.
        """
        if name not in self.words:
            listed = "; `zcsr operations` lists the operations and tensors"
            near = nearest(name[:_LONGEST], self.words, otherwise=listed, quoted=False)
            shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
            raise ProgramError(f"unknown name '{shown}'{near}")
        return Node(_meant(self.meanings[name], args), args)

    def constant(self, value: float) -> Node:
        """Return the node of a decimal number; ProgramError where the language has none."""
        if not self.network:
            raise ProgramError(f"the language {self.name} has no constants, such as {Constant(value).name}")
        return Node(Constant(value))

    def program(self, expression: Node, to_scalar: str = "mean", aggregation: str = "mean") -> Program:
        """Return the program of an expression and the names of the two steps; ProgramError for unknown ones."""
        number = Node(_step("to_scalar", to_scalar, self.readouts), (expression,))
        return Program(Node(_step("aggregation", aggregation, self.aggregations), (number,)))

    def having(self, *words: Word) -> Language:
        """Return the language with these words as well, in the place of operations on instances of their names."""
        names = {word.name for word in words}

        def with_words(kind: type[Any], before: Sequence[Any]) -> tuple[Any, ...]:
            return *(word for word in before if word.name not in names), *(w for w in words if isinstance(w, kind))

        return replace(
            self,
            tensors=with_words(Tensor, self.tensors),
            operations=with_words(Operation, self.operations),
            known=with_words(Known, self.known),
        )


def _meant(words: Sequence[Word], args: Sequence[Node]) -> Word:
    if len(words) > 1 and args:
        types, of = [arg.type for arg in args], args[0].of
        fitting = [word for word in words if isinstance(word, Operation) and word.accepts(types, of)]
        exact = [word for word in fitting if word.takes == tuple(types)]
        # None fits: the nearest says what is wrong with the arguments.
        nearest_first = sorted(words, key=lambda word: -_alike(word, types))
        return next(iter((*exact, *fitting, *nearest_first)))
    return words[0]


def _alike(word: Word, types: Sequence[Type]) -> int:
    """How many of the arguments' types an operation takes; -1 where it takes another number of them."""
    taken = word.takes if isinstance(word, Operation) else ()
    return sum(map(operator.eq, taken, types)) if len(taken) == len(types) else -1


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

ZCSR = replace(
    EZNAS,
    name="zcsr",
    operations=(*OPERATIONS, *INSTANCE_OPERATIONS),
    network=(*NETWORK_AGGREGATIONS, *SCORE_OPERATIONS),
    known=COUNTS,
)
"""The larger language, which every text is read in where no other is named."""


@cache
def knowing(proxies: tuple[str, ...]) -> Language:
    """Return the larger language that also takes the scores by these known proxies as numbers of a network."""
    others = (name for name in proxies if name not in ZCSR.words)
    return ZCSR.having(*(Known(name, f"score by the known proxy {name}") for name in others))


LANGUAGES: Mapping[str, Language] = {language.name: language for language in (ZCSR, EZNAS)}
"""The languages that a search may be of, by their names."""


def operation_identified(name: str, step: bool, gives: Type, takes: tuple[Type, ...], of: Of | None) -> Operation:
    """Return a row again by its `identity`, as other processes do that are sent a program."""
    rows = (*ZCSR.operations, *ZCSR.network, *ZCSR.readouts, *ZCSR.aggregations)
    return next(row for row in rows if row.identity == (name, step, gives, takes, of))
