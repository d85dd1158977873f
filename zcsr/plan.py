"""How programs are evaluated together on many instances at once, computing nothing twice and nothing for nothing.

- A subtree that occurs twice, in one program or in two, is computed once, and freed after its last use.
- What only needs a shape (`numel`, `ones_like`, `zeros_like`) does not compute its argument.
- A value that is the same everywhere in a tensor is kept, and worked on, as one number.
- Instances of the same shapes are stacked, in blocks that stay in the processor's cache.
- Where instances share all the tensors that a subtree takes, its value is computed once for them: edges of a cell
  that leave the same node, say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError, ShapeError
from zcsr.operations import BY_NAME, Shape
from zcsr.program import Node, Program, ToScalar

if TYPE_CHECKING:
    from zcsr.statistics import Instance

Values = npt.NDArray[np.float64]
Given = TypeVar("Given")

Shapes = tuple[tuple[str, Shape], ...]
"""The names of an instance's tensors with their shapes."""

Partition = tuple[int, ...]
"""For each instance of a block, the number of its distinct value, counted from 0 as they first occur."""

BLOCK_ELEMENTS = 1 << 18
"""Instances are stacked up to so many elements of their largest tensor."""

FROM_SHAPE = {"ones_like": 1.0, "zeros_like": 0.0}
"""Operations whose value depends on their argument's shape alone, with the number that fills it."""


# --- blocks of instances ----------------------------------------------------------------------------------------


def kind_of(tensor: str) -> str:
    """Whether a tensor, by its name, has the shape of a "weight" or of an "activation".

    Programs are stacked by the kinds that they take: the sizes of kernels then do not part instances for programs
    that only look at activations.
    """
    return "weight" if tensor.startswith("T3") else "activation"


def blocks(instances: Sequence[Instance], kinds: frozenset[str]) -> Iterator[Block]:
    """Instances whose tensors of these kinds have the same shapes, as many at a time as a block takes."""
    alike: dict[Shapes, list[int]] = {}
    for place, instance in enumerate(instances):
        alike.setdefault(_shapes(instance, kinds), []).append(place)
    for shapes, places in alike.items():
        largest = max((math.prod(shape) for _, shape in shapes), default=1)
        together = max(1, BLOCK_ELEMENTS // max(1, largest))
        for start in range(0, len(places), together):
            taken = places[start : start + together]
            yield Block(shapes, taken, [instances[place] for place in taken])


def _shapes(instance: Instance, kinds: frozenset[str]) -> Shapes:
    return tuple((name, tuple(tensor.shape)) for name, tensor in instance.raw.items() if kind_of(name) in kinds)


@dataclass(slots=True)
class Block:
    """Instances of the same shapes with their places in the network, and which of them share which tensors."""

    shapes: Shapes
    places: Sequence[int]
    instances: Sequence[Instance]
    _of_tensor: dict[str, Partition] = field(default_factory=dict)
    _of_tensors: dict[frozenset[str], Partition] = field(default_factory=dict)

    def partition(self, names: frozenset[str]) -> Partition:
        """Which instances share every one of the tensors of these names."""
        if names not in self._of_tensors:
            parts = {self._partition_by(name) for name in names} or {(0,) * len(self.instances)}
            self._of_tensors[names] = parts.pop() if len(parts) == 1 else _meet(tuple(sorted(parts)))
        return self._of_tensors[names]

    def stack(self, name: str) -> Tensor:
        """The distinct tensors of a name, [distinct, *shape]."""
        distinct = [self.instances[first].tensors[name] for first in _firsts(self._partition_by(name))]
        return torch.stack(distinct) if len(distinct) > 1 else distinct[0].unsqueeze(0)

    def constant(self, number: float, dimensions: int) -> Tensor:
        """A number that stands for tensors of so many dimensions, the same for all the instances."""
        like = next(iter(self.instances[0].raw.values()))
        return like.new_full((1,) * (1 + dimensions), number)

    def _partition_by(self, name: str) -> Partition:
        if name not in self._of_tensor:
            # A P tensor is the difference from D's, so both must be shared.
            parts = [name, f"{name[:-1]}D"] if name.endswith("_P") else [name]
            self._of_tensor[name] = _numbered([[id(i.raw[part]) for part in parts] for i in self.instances])
        return self._of_tensor[name]


def _numbered(keys: Iterable[Sequence[int]]) -> Partition:
    numbers: dict[tuple[int, ...], int] = {}
    return tuple(numbers.setdefault(tuple(key), len(numbers)) for key in keys)


@lru_cache(maxsize=4096)
def _meet(parts: tuple[Partition, ...]) -> Partition:
    return _numbered(zip(*parts, strict=True))


@lru_cache(maxsize=4096)
def _firsts(partition: Partition) -> tuple[int, ...]:
    """The first instance of each distinct value."""
    return tuple(partition.index(number) for number in range(max(partition) + 1))


@lru_cache(maxsize=4096)
def _places(finer: Partition, coarser: Partition) -> Tensor:
    """For each distinct value of the finer partition, the place of its value among those of the coarser."""
    return torch.tensor([coarser[first] for first in _firsts(finer)])


# --- plans ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Expression:
    """A distinct subtree: what it computes, from which others, and what follows from the tensors' shapes.

    `stands_for` is the value's shape; the value itself only broadcasts to it where it is the same all over.
    `tensors` are the names of those whose values it depends on, and not just their shapes.
    """

    op: str
    args: tuple[int, ...]
    stands_for: Shape
    tensors: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Step:
    """Compute one expression, hand it to the programs whose root it is, and free what nothing uses any more."""

    number: int
    roots: tuple[int, ...]
    frees: tuple[int, ...]


class Plan:
    """The order in which some programs' distinct subtrees are computed on instances of certain shapes.

    `errors` has those programs, by their positions, that do not apply to such instances.
    """

    def __init__(self, programs: Sequence[Program], shapes: Mapping[str, Shape]) -> None:
        self.errors: dict[int, EvaluationError] = {}
        self._programs = programs
        self._shapes = shapes
        self._expressions: list[_Expression] = []
        self._numbers: dict[tuple[str, tuple[int, ...]], int] = {}
        roots: dict[int, list[int]] = {}
        for position, program in enumerate(programs):
            try:
                roots.setdefault(self._number(program.root), []).append(position)
            except EvaluationError as error:
                self.errors[position] = error
        self._steps = self._schedule(roots)

    def run(self, block: Block) -> Iterator[tuple[int, Values]]:
        """Yield the positions of the programs that apply, with their scalars, [instances]."""
        known: dict[int, Tensor] = {}
        for step in self._steps:
            value = known[step.number] = self._compute(self._expressions[step.number], known, block)
            for position in step.roots:
                yield position, self._scalars(step.number, value, self._programs[position].to_scalar, block)
            for number in step.frees:
                del known[number]

    def _number(self, node: Node) -> int:
        """The number of the expression a node stands for; EvaluationError where it does not apply."""
        args = tuple(self._number(arg) for arg in node.args)
        commutes = node.args and BY_NAME[node.op].commutative
        key = (node.op, tuple(sorted(args)) if commutes else args)
        if key not in self._numbers:
            self._expressions.append(self._expression(node.op, args))
            self._numbers[key] = len(self._expressions) - 1
        return self._numbers[key]

    def _expression(self, op: str, args: tuple[int, ...]) -> _Expression:
        if op in BY_NAME:
            stands_for = shape_of(op, [self._expressions[arg].stands_for for arg in args])
        else:
            stands_for = tensor_named(op, self._shapes)
        if op == "numel" or op in FROM_SHAPE:
            return _Expression(op, args, stands_for, frozenset())
        tensors = (
            frozenset({op}) if not args else frozenset().union(*(self._expressions[arg].tensors for arg in args))
        )
        return _Expression(op, args, stands_for, tensors)

    def _needs(self, number: int) -> tuple[int, ...]:
        """The expressions whose values it takes."""
        expression = self._expressions[number]
        return () if expression.op == "numel" or expression.op in FROM_SHAPE else expression.args

    def _schedule(self, roots: Mapping[int, Sequence[int]]) -> tuple[_Step, ...]:
        """Program by program, arguments first, so that few values are held at a time."""
        order: dict[int, None] = {}
        for root in roots:
            self._visit(root, order)
        last = {needed: number for number in order for needed in self._needs(number)}
        frees: dict[int, list[int]] = {}
        for number in order:
            frees.setdefault(last.get(number, number), []).append(number)
        return tuple(_Step(number, tuple(roots.get(number, ())), tuple(frees.get(number, ()))) for number in order)

    def _visit(self, number: int, order: dict[int, None]) -> None:
        if number not in order:
            for needed in self._needs(number):
                self._visit(needed, order)
            order[number] = None

    def _compute(self, expression: _Expression, known: Mapping[int, Tensor], block: Block) -> Tensor:
        if expression.op not in BY_NAME:
            return block.stack(expression.op)
        if expression.op == "numel":
            size = math.prod(self._expressions[expression.args[0]].stands_for)
            return block.constant(float(size), 0)
        if expression.op in FROM_SHAPE:
            return block.constant(FROM_SHAPE[expression.op], len(expression.stands_for))
        operation = BY_NAME[expression.op]
        values = [self._argument(arg, expression, known, block) for arg in expression.args]
        if not operation.elementwise:
            values = [
                value.expand(len(value), *self._expressions[arg].stands_for)
                for arg, value in zip(expression.args, values, strict=True)
            ]
        return operation.stacked(*values)

    def _argument(self, arg: int, of: _Expression, known: Mapping[int, Tensor], block: Block) -> Tensor:
        """An argument's value with as many tensors in its stack as the expression's own has."""
        own, wanted = block.partition(self._expressions[arg].tensors), block.partition(of.tensors)
        return known[arg] if own == wanted else known[arg].index_select(0, _places(wanted, own))

    def _scalars(self, number: int, value: Tensor, to_scalar: ToScalar, block: Block) -> Values:
        expression = self._expressions[number]
        rows = value.reshape(len(value), math.prod(value.shape[1:]))
        if to_scalar == "mean":
            numbers = rows.mean(1)
        else:
            repeated = math.prod(expression.stands_for) / rows.shape[1] if rows.shape[1] else 1.0
            numbers = torch.linalg.vector_norm(rows, dim=1) * math.sqrt(repeated)
        scalars: Values = numbers.numpy().astype(np.float64)[list(block.partition(expression.tensors))]
        return scalars


def shape_of(op: str, shapes: Sequence[Shape]) -> Shape:
    """The shape of an operation's value; EvaluationError, naming the shapes, where it does not apply to them."""
    try:
        return BY_NAME[op].shape(*shapes)
    except ShapeError as error:
        raise EvaluationError(f"{op} does not apply to shapes {', '.join(map(str, shapes))}: {error}") from None


def tensor_named(name: str, given: Mapping[str, Given]) -> Given:
    """What is given for a tensor's name; EvaluationError where nothing is."""
    try:
        return given[name]
    except KeyError:
        raise EvaluationError(f"no tensor named {name} is given; given are {', '.join(given)}") from None
