"""A program: a tree whose parts have types, from the tensors of an instance to the score of a network.

What is in a tree are words: the rows of a language's leaves and operations. A column is a part that gives one
number of each instance; an aggregation makes one number of the network of it. In the paper's programs the
aggregation is the root, and it and the way to the number, the readout, are steps that are written after an arrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from zcsr.errors import EvaluationError, ProgramError
from zcsr.language.network_operations import INSTANCES, Constant, Known
from zcsr.language.operations import Of, Operation, Type
from zcsr.language.shapes import Shape
from zcsr.language.tensors import Tensor

Word: TypeAlias = Operation | Tensor | Constant | Known
Value = TypeVar("Value")

MAX_HEIGHT = 200
"""Of any expression, so that what recurses over a tree stays within Python's own limit."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation with its arguments, or a leaf without any. Immutable and hashable.

    `type` is that of the value, `of` what it is made of. `size` counts the nodes; `height` counts the edges of the
    longest path to a leaf (a leaf has 0, as in DEAP); neither counts steps. Raises `ProgramError` for a wrong
    number of arguments, one of another type, or a height above `MAX_HEIGHT`.
    """

    word: Word
    args: tuple[Node, ...] = ()
    type: Type = field(init=False, compare=False, repr=False)
    of: Of = field(init=False, compare=False, repr=False)
    size: int = field(init=False, compare=False, repr=False)
    height: int = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_arguments(self.word, self.args)
        counted = int(not self.word.step)
        height = counted + max((arg.height for arg in self.args), default=-1)
        if height > MAX_HEIGHT:
            raise ProgramError(f"operations are nested {height} deep here; at most {MAX_HEIGHT} are allowed")
        facts: dict[str, object] = {
            "type": self.word.type_of(*(arg.type for arg in self.args)),
            "of": _made_of(self.word, self.args),
            "size": counted + sum(arg.size for arg in self.args),
            "height": height,
            "_hash": hash((self.op, *(arg._hash for arg in self.args))),
        }
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Node({str(self)!r})"

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable[..., Node], tuple[Word, tuple[Node, ...]]]:
        return Node, (self.word, self.args)  # a hash means nothing in another process

    def __str__(self) -> str:
        if self.word.step:
            return f"{self.args[0]} -> {self.op}"
        return f"{self.op}({', '.join(map(str, self.args))})" if self.args else self.op

    @property
    def op(self) -> str:
        """The name of the operation or leaf."""
        return self.word.name

    @property
    def operation(self) -> Operation:
        """The operation of a node that is no leaf."""
        assert isinstance(self.word, Operation), f"{self.op} is a leaf"
        return self.word

    def walk(self) -> Iterator[Node]:
        """Yield every node of the tree in prefix order."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.args))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors at the leaves, each once, in the order of the paper."""
        found = {node.word for node in self.walk() if isinstance(node.word, Tensor)}
        return tuple(sorted(found, key=lambda tensor: tensor.order))

    def fold(
        self,
        leaf: Callable[[Any], Value],
        apply: Callable[..., Value],
        instead: Callable[[Node], Value | None] = lambda _: None,
    ) -> Value:
        """Return what the root becomes when leaves become `leaf(word)` and operations `apply(operation, *args)`.

        A subtree that occurs twice is worked out once, arguments first and from the left. One for which `instead`
        has a value becomes that.
        """
        known: dict[Node, Value] = {}

        def value(node: Node) -> Value:
            if node not in known:
                found = instead(node)
                if found is None:
                    args = [value(arg) for arg in node.args]
                    found = apply(node.word, *args) if isinstance(node.word, Operation) else leaf(node.word)
                known[node] = found
            return known[node]

        return value(self)


@dataclass(frozen=True, slots=True)
class Program:
    """A tree that gives the score of a network.

    `columns` are its parts that give one number of each instance, each once, in the order of the text.
    """

    root: Node

    def __post_init__(self) -> None:
        if self.root.type != "score":
            raise ProgramError(f"{self.root} gives a {self.root.type} of an instance, not the score of a network")

    def __repr__(self) -> str:
        return f"Program({str(self)!r})"

    def __str__(self) -> str:
        if self.has_steps and (self.to_scalar, self.aggregation) == ("mean", "mean"):
            return str(self.expression)
        return str(self.root)

    @property
    def columns(self) -> tuple[Node, ...]:
        """The parts that give one number of each instance."""
        return tuple(dict.fromkeys(node.args[0] for node in self.root.walk() if node.word.aggregates))

    @property
    def known(self) -> tuple[str, ...]:
        """The names of what must be known of a network besides its instances."""
        return tuple(dict.fromkeys(node.op for node in self.root.walk() if isinstance(node.word, Known)))

    @property
    def known_by_proxy(self) -> tuple[str, ...]:
        """The names of the known proxies that it asks for: of `known` all but the count of instances."""
        return tuple(name for name in self.known if name != INSTANCES)

    @property
    def has_steps(self) -> bool:
        """Whether it is one column that ends in the two steps of the paper."""
        return self.root.word.step

    @property
    def number(self) -> Node:
        """The only column of a program with steps."""
        assert self.has_steps, f"{self} has no steps"
        return self.root.args[0]

    @property
    def expression(self) -> Node:
        """The part before the two steps."""
        return self.number.args[0]

    @property
    def to_scalar(self) -> str:
        """The name of the step from an instance's value to its number."""
        return self.number.op

    @property
    def aggregation(self) -> str:
        """The name of the step from the instances' numbers to the score."""
        assert self.has_steps, f"{self} has no steps"
        return self.root.op

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that name this text in every store."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:12]


def infer_shape(node: Node, shapes: Mapping[str, Shape]) -> Shape:
    """Return the shape of a tree's value for tensors of the given shapes, without computing anything.

    Raises `ShapeError` where evaluation would refuse the shapes, `EvaluationError` for a tensor without a shape.
    """
    return node.fold(
        lambda tensor: tensor_named(tensor.name, shapes), lambda operation, *args: operation.shape(*args)
    )


def tensor_named(name: str, given: Mapping[str, Value]) -> Value:
    """Return what is given for a tensor's name; EvaluationError where nothing is."""
    try:
        return given[name]
    except KeyError:
        raise EvaluationError(f"no tensor named {name} is given; given are {', '.join(given)}") from None


def _made_of(word: Word, args: tuple[Node, ...]) -> Of:
    if isinstance(word, Tensor):
        return "weights" if word.kind == "weight" else "activations"
    tensors = [arg for arg in args if arg.type == "tensor"]
    return "weights" if tensors and all(arg.of == "weights" for arg in tensors) else "activations"


def _check_arguments(word: Word, args: tuple[Node, ...]) -> None:
    count = len(args)
    if not isinstance(word, Operation):
        if count:
            kind = "tensor" if isinstance(word, Tensor) else "number of the network"
            raise ProgramError(f"{word.name} is a {kind} and takes no arguments, {count} were given")
        return
    if word.arity != count:
        plural = "" if word.arity == 1 else "s"
        raise ProgramError(f"{word.name} takes {word.arity} argument{plural}, {count} given: {word.meaning}")
    if not word.accepts([arg.type for arg in args], args[0].of):
        taken, given = (
            " and ".join(map(_TYPES.__getitem__, types)) for types in (word.takes, [a.type for a in args])
        )
        made = f" of {word.of}" if word.of else ""
        raise ProgramError(f"{word.name} takes {taken}{made}, not {given}: {word.meaning}")


_TYPES: Mapping[Type, str] = {
    "tensor": "a tensor",
    "number": "a number of an instance",
    "score": "a number of the network",
}
