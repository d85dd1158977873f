"""A program: a tree whose parts have types, from the tensors of an instance to the score of a network.

What is in a tree are words: the rows of a language's tensors and operations. How the value of an expression becomes
one number per instance, and how instances become one number per network, are the two steps at its root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from zcsr.errors import EvaluationError, ProgramError
from zcsr.language.operations import Operation, Type
from zcsr.language.shapes import Shape
from zcsr.language.tensors import Tensor

Word: TypeAlias = Operation | Tensor
Value = TypeVar("Value")

MAX_HEIGHT = 200
"""Of any expression, so that what recurses over a tree stays within Python's own limit."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation with its arguments, or a tensor without any. Immutable and hashable.

    `type` is that of the value. `size` counts the nodes; `height` counts the edges of the longest path to a leaf (a
    leaf has 0, as in DEAP); neither counts steps. Raises `ProgramError` for a wrong number of arguments, one of
    another type, or a height above `MAX_HEIGHT`.
    """

    word: Word
    args: tuple[Node, ...] = ()
    type: Type = field(init=False, compare=False, repr=False)
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
        """The name of the operation or tensor."""
        return self.word.name

    @property
    def operation(self) -> Operation:
        """The operation of a node that is no tensor."""
        assert isinstance(self.word, Operation), f"{self.op} is a tensor"
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

    def fold(self, leaf: Callable[[Tensor], Value], apply: Callable[..., Value]) -> Value:
        """Return what the root becomes when tensors become `leaf(tensor)` and operations `apply(operation, *args)`.

        A subtree that occurs twice is worked out once, arguments first and from the left.
        """
        known: dict[Node, Value] = {}

        def value(node: Node) -> Value:
            if node not in known:
                args = [value(arg) for arg in node.args]
                known[node] = leaf(node.word) if isinstance(node.word, Tensor) else apply(node.word, *args)
            return known[node]

        return value(self)


@dataclass(frozen=True, slots=True)
class Program:
    """A tree that gives the score of a network.

    `expression` is its value on an instance; the two steps that follow map it to one number per instance
    (`to_scalar`), and the instances' numbers to the score (`aggregation`).
    """

    root: Node

    def __post_init__(self) -> None:
        if self.root.type != "score":
            raise ProgramError(f"{self.root} gives a {self.root.type} of an instance, not the score of a network")

    def __repr__(self) -> str:
        return f"Program({str(self)!r})"

    def __str__(self) -> str:
        if (self.to_scalar, self.aggregation) == ("mean", "mean"):
            return str(self.expression)
        return str(self.root)

    @property
    def number(self) -> Node:
        """The part that gives one number an instance."""
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


def _check_arguments(word: Word, args: tuple[Node, ...]) -> None:
    count = len(args)
    if isinstance(word, Tensor):
        if count:
            raise ProgramError(f"{word.name} is a tensor and takes no arguments, {count} were given")
        return
    if word.arity != count:
        plural = "" if word.arity == 1 else "s"
        raise ProgramError(f"{word.name} takes {word.arity} argument{plural}, {count} given: {word.meaning}")
    for wanted, arg in zip(word.takes, args, strict=True):
        if arg.type != wanted and (arg.type, wanted) != ("number", "tensor"):
            raise ProgramError(f"{word.name} takes a {wanted}, and {arg} gives a {arg.type}: {word.meaning}")
