"""A program: an expression tree over the 22 tensors of an instance, and how its value becomes a network's score.

The text form is the only one: function calls over tensor names, `fro(sigmoid(logdet(sign(T1G_D))))`. How the
value of the root becomes one number per instance, and how instances become one number per network, follow as
` -> mean -> sum`; both are `mean`, as in the paper's main results, when nothing is said.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from zcsr.errors import ProgramError, nearest
from zcsr.language.operations import BY_NAME, Shape

ToScalar = Literal["mean", "l2"]
Aggregation = Literal["mean", "sum"]
INPUTS = ("D", "N", "P")

MAX_HEIGHT = 200
"""Of any expression, so that what recurses over a tree stays within Python's own limit."""


def _tensor_names() -> tuple[str, ...]:
    names: list[str] = []
    for base in ("T1", "T2", "T3", "T4", "T1G", "T2G", "T3G", "T4G"):
        names.extend([base] if base == "T3" else [f"{base}_{which}" for which in INPUTS])
    return tuple(names)


TENSOR_NAMES: tuple[str, ...] = _tensor_names()
"""The 22 tensors of an instance: T1 to T4 and their gradients, for data, noise and perturbed data (section 3.2)."""

_TENSORS = frozenset(TENSOR_NAMES)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation with its arguments, or a tensor's name without any. Immutable and hashable.

    `size` counts the nodes; `height` counts the edges of the longest path to a leaf (a leaf has 0, as in DEAP).
    Raises `ProgramError` for an unknown name, a wrong number of arguments, or a height above `MAX_HEIGHT`.
    """

    op: str
    args: tuple[Node, ...] = ()
    size: int = field(init=False, compare=False, repr=False)
    height: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_arity(self.op, len(self.args))
        object.__setattr__(self, "size", 1 + sum(arg.size for arg in self.args))
        object.__setattr__(self, "height", 1 + max((arg.height for arg in self.args), default=-1))
        if self.height > MAX_HEIGHT:
            raise ProgramError(f"operations are nested {self.height} deep here; at most {MAX_HEIGHT} are allowed")

    def __str__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.args))})" if self.args else self.op

    def walk(self) -> Iterator[Node]:
        """Yield every node of the tree in prefix order."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.args))

    def tensors(self) -> frozenset[str]:
        """Return the names of the tensors at the leaves."""
        return frozenset(node.op for node in self.walk() if not node.args)


@dataclass(frozen=True, slots=True)
class Program:
    """An expression with the two steps that turn its value into a network's score.

    `to_scalar` maps the root's value to one number per instance: its mean, or its L2 norm. `aggregation` maps the
    instances' numbers to the network's score.
    """

    root: Node
    to_scalar: ToScalar = "mean"
    aggregation: Aggregation = "mean"

    def __post_init__(self) -> None:
        _check_choice("to_scalar", self.to_scalar, get_args(ToScalar))
        _check_choice("aggregation", self.aggregation, get_args(Aggregation))

    def __str__(self) -> str:
        if (self.to_scalar, self.aggregation) == ("mean", "mean"):
            return str(self.root)
        return f"{self.root} -> {self.to_scalar} -> {self.aggregation}"

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that name this text in every store."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:12]


def parse(text: str) -> Program:
    """Return the program a text stands for; `str` gives the text back (up to white space).

    Raises `ProgramError` with the position of the error and, for a misspelt name, a suggestion.
    """
    return _Parser(text).program()


def infer_shape(node: Node, shapes: Mapping[str, Shape]) -> Shape:
    """Return the shape of a tree's value for tensors of the given shapes, without computing anything.

    Raises `ShapeError` where evaluation would refuse the shapes, and `ProgramError` for a tensor without a shape.
    """
    if not node.args:
        if node.op not in shapes:
            raise ProgramError(f"no tensor named {node.op} is given; given are {', '.join(shapes)}")
        return shapes[node.op]
    return BY_NAME[node.op].shape(*(infer_shape(arg, shapes) for arg in node.args))


def _check_arity(op: str, count: int) -> None:
    if op in _TENSORS:
        if count:
            raise ProgramError(f"{op} is a tensor and takes no arguments, {count} were given")
        return
    operation = BY_NAME.get(op)
    if operation is None:
        raise ProgramError(_unknown_name(op))
    if operation.arity != count:
        plural = "" if operation.arity == 1 else "s"
        raise ProgramError(f"{op} takes {operation.arity} argument{plural}, {count} given: {operation.doc}")


def _check_choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ProgramError(f"{what} is one of {', '.join(allowed)}, not '{value}'")


def _unknown_name(name: str) -> str:
    listed = "; `zcsr operations` lists the operations and tensors"
    return f"unknown name '{name}'{nearest(name, [*BY_NAME, *TENSOR_NAMES], otherwise=listed, quoted=False)}"


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(r"\s*(?:(?P<name>\w+)|(?P<arrow>->)|(?P<mark>[(),])|(?P<other>\S))")


class _Frame(NamedTuple):
    """An operation whose arguments are still being read."""

    token: _Token
    args: list[Node]


class _Parser:
    """Reads one program text with an explicit stack, so that depth is bounded by memory only."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [
            _Token(str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup)))
            for match in _TOKEN.finditer(text)
        ]
        self._next = 0

    def program(self) -> Program:
        root = self._expression()
        steps: list[str] = []
        while self._peek().kind == "arrow":
            self._take("arrow", "'->'")
            steps.append(self._take("name", "mean, l2 or sum").text)
        if self._peek().kind != "end":
            raise self._error("unexpected text after the end of the program", self._peek())
        return self._with_steps(root, steps)

    def _with_steps(self, root: Node, steps: list[str]) -> Program:
        if not steps:
            return Program(root)
        if len(steps) != 2:
            raise ProgramError(
                f"a program ends in two steps or none, as in 'fro(T1_D) -> l2 -> sum' (per instance, then over "
                f"instances); {len(steps)} given"
            )
        return Program(root, *steps)  # type: ignore[arg-type]  # checked by Program itself

    def _expression(self) -> Node:
        frames: list[_Frame] = []
        while True:
            token = self._take("name", "an operation or a tensor")
            if self._peek().text == "(":
                self._next += 1
                frames.append(_Frame(token, []))
                continue
            node = self._node(token, ())
            while frames:
                frames[-1].args.append(node)
                closing = self._take("mark", f"',' or ')' in the arguments of {frames[-1].token.text}")
                if closing.text == ",":
                    break
                if closing.text != ")":
                    raise self._error("expected ',' or ')'", closing)
                frame = frames.pop()
                node = self._node(frame.token, tuple(frame.args))
            else:
                return node

    def _node(self, token: _Token, args: tuple[Node, ...]) -> Node:
        try:
            return Node(token.text, args)
        except ProgramError as error:
            raise self._error(str(error), token) from None

    def _peek(self) -> _Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return _Token("end", "the end of the text", len(self._text))

    def _take(self, kind: str, expected: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            found = token.text if token.kind == "end" else repr(token.text)
            raise self._error(f"expected {expected}, found {found}", token)
        self._next += 1
        return token

    def _error(self, message: str, token: _Token) -> ProgramError:
        return ProgramError(f"program, column {token.position + 1}: {message}", token.position)
