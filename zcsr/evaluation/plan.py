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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError, ShapeError
from zcsr.language.operations import BY_NAME, Shape
from zcsr.language.program import TENSOR_NAMES, Node, Program, ToScalar

if TYPE_CHECKING:
    from zcsr.networks.instances import Instance

Values = npt.NDArray[np.float64]
Given = TypeVar("Given")

Shapes = tuple[tuple[str, Shape], ...]
"""The names of an instance's tensors with their shapes."""

Partition = tuple[int, ...]
"""For each instance of a block, the number of its distinct value, counted from 0 as they first occur."""

BLOCK_ELEMENTS = 1 << 18
"""Instances are stacked up to so many elements of their largest tensor."""

FROM_SHAPE: Mapping[str, Callable[[Shape], float]] = {
    "ones_like": lambda _: 1.0,
    "zeros_like": lambda _: 0.0,
    "numel": lambda shape: float(math.prod(shape)),
}
"""Operations whose value depends on their argument's shape alone, and the number that then fills it."""


# --- blocks of instances ----------------------------------------------------------------------------------------


def kind_of(tensor: str) -> str:
    """Which shape a tensor has, by its name: that of the "weight", or of the convolution's "input" or "output".

    Programs are stacked by the kinds that they take: the sizes of kernels then do not part instances for programs
    that only look at activations, nor the number of output channels for those that only look at what comes in.
    """
    return _KIND_OF[tensor]


_KINDS = {"T1": "input", "T2": "input", "T3": "weight", "T4": "output"}
_KIND_OF = {name: _KINDS[name.partition("_")[0].removesuffix("G")] for name in TENSOR_NAMES}


class Instances:
    """Instances of one network or several, whose shapes are looked at once."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._instances = tuple(instances)
        self._shapes = [_shapes_by_kind(instance) for instance in self._instances]

    def blocks(self, kinds: frozenset[str]) -> Iterator[Block]:
        """Instances whose tensors of these kinds have the same shapes, as many at a time as a block takes."""
        order = sorted(kinds)
        alike: dict[tuple[Shapes, ...], list[int]] = {}
        for place, shapes in enumerate(self._shapes):
            alike.setdefault(tuple(shapes[kind] for kind in order), []).append(place)
        for parts, places in alike.items():
            shapes_of_block = tuple(chain.from_iterable(parts))
            largest = max((math.prod(shape) for _, shape in shapes_of_block), default=1)
            together = max(1, BLOCK_ELEMENTS // max(1, largest))
            for start in range(0, len(places), together):
                taken = places[start : start + together]
                yield Block(shapes_of_block, taken, [self._instances[place] for place in taken])


def _shapes_by_kind(instance: Instance) -> dict[str, Shapes]:
    shapes: dict[str, list[tuple[str, Shape]]] = {kind: [] for kind in _KINDS.values()}
    for name, tensor in instance.raw.items():
        shapes[kind_of(name)].append((name, tuple(tensor.shape)))
    return {kind: tuple(of_kind) for kind, of_kind in shapes.items()}


@dataclass(slots=True)
class Block:
    """Instances of the same shapes with their places among all, and which of them share which tensors."""

    shapes: Shapes
    places: Sequence[int]
    instances: Sequence[Instance]
    _of_tensor: dict[str, Partition] = field(default_factory=dict)
    _of_tensors: dict[frozenset[str], Partition] = field(default_factory=dict)

    def split(self, owners: Sequence[int]) -> list[Block]:
        """A block for each owner of any of the instances; `owners` has one for each place."""
        parts: dict[int, list[int]] = {}
        for number, place in enumerate(self.places):
            parts.setdefault(owners[place], []).append(number)
        return [
            Block(self.shapes, [self.places[n] for n in part], [self.instances[n] for n in part])
            for part in parts.values()
        ]

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

    `shape` is that of its value, `kept` the one that the value is kept in: the same, or one that broadcasts to it
    where the value is the same all over. `takes` are those of `args` whose values it needs, not just their shapes.
    `tensors` are the names of those whose values it depends on.
    """

    op: str
    args: tuple[int, ...]
    shape: Shape
    kept: Shape
    takes: tuple[int, ...]
    tensors: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Argument:
    """An expression whose value another takes, and the shape it takes it in, where that is not the one it has."""

    number: int
    tensors: frozenset[str]
    expanded: Shape | None


@dataclass(frozen=True, slots=True)
class _Step:
    """Compute one expression, hand it to the programs whose root it is, and free what nothing uses any more."""

    number: int
    compute: Callable[..., Tensor]
    args: tuple[_Argument, ...]
    tensors: frozenset[str]
    roots: tuple[tuple[int, Callable[[Tensor], Tensor]], ...]
    frees: tuple[int, ...]


class Plan:
    """The order in which some programs' distinct subtrees are computed on instances of certain shapes.

    `errors` has those programs, by their positions, that do not apply to such instances.
    """

    def __init__(self, programs: Sequence[Program], shapes: Mapping[str, Shape]) -> None:
        self.errors: dict[int, EvaluationError] = {}
        self._shapes = shapes
        self._expressions: list[_Expression] = []
        self._numbers: dict[tuple[str, tuple[int, ...]], int] = {}
        roots: dict[int, list[int]] = {}
        for position, program in enumerate(programs):
            try:
                roots.setdefault(self._number(program.root), []).append(position)
            except EvaluationError as error:
                self.errors[position] = error
        self._steps = tuple(self._schedule(programs, roots))

    def run(self, block: Block) -> Iterator[tuple[int, Values]]:
        """Yield the positions of the programs that apply, with their scalars, [instances]."""
        known: dict[int, Tensor] = {}
        for step in self._steps:
            own = block.partition(step.tensors)
            value = known[step.number] = (
                step.compute(*(_taken(arg, known[arg.number], own, block) for arg in step.args))
                if step.args
                else step.compute(block)
            )
            for position, to_scalar in step.roots:
                yield position, _for_each(own, to_scalar(value))
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
        if not args:
            shape = tensor_named(op, self._shapes)
            return _Expression(op, args, shape, shape, (), frozenset({op}))
        given = [self._expressions[arg] for arg in args]
        shape = shape_of(op, [one.shape for one in given])
        if op in FROM_SHAPE:
            return _Expression(op, args, shape, (1,) * len(shape), (), frozenset())
        tensors = frozenset().union(*(one.tensors for one in given))
        kept = shape_of(op, [one.kept for one in given]) if BY_NAME[op].elementwise else shape
        return _Expression(op, args, shape, kept, args, tensors)

    def _schedule(self, programs: Sequence[Program], roots: Mapping[int, Sequence[int]]) -> Iterator[_Step]:
        """Program by program, arguments first, so that few values are held at a time."""
        order: dict[int, None] = {}
        for root in roots:
            self._visit(root, order)
        last = {taken: number for number in order for taken in self._expressions[number].takes}
        frees: dict[int, list[int]] = {}
        for number in order:
            frees.setdefault(last.get(number, number), []).append(number)
        for number in order:
            expression = self._expressions[number]
            yield _Step(
                number,
                self._computation(expression),
                tuple(self._argument(taken, expression) for taken in expression.takes),
                expression.tensors,
                tuple((root, _to_scalar(expression, programs[root].to_scalar)) for root in roots.get(number, ())),
                tuple(frees.get(number, ())),
            )

    def _visit(self, number: int, order: dict[int, None]) -> None:
        if number not in order:
            for taken in self._expressions[number].takes:
                self._visit(taken, order)
            order[number] = None

    def _computation(self, expression: _Expression) -> Callable[..., Tensor]:
        """What computes it: from the block where it takes no values, else from these."""
        if not expression.args:
            return partial(Block.stack, name=expression.op)
        if expression.op in FROM_SHAPE:
            number = FROM_SHAPE[expression.op](*(self._expressions[arg].shape for arg in expression.args))
            return partial(Block.constant, number=number, dimensions=len(expression.shape))
        return BY_NAME[expression.op].stacked

    def _argument(self, number: int, of: _Expression) -> _Argument:
        argument = self._expressions[number]
        as_kept = argument.kept == argument.shape or BY_NAME[of.op].elementwise
        return _Argument(number, argument.tensors, None if as_kept else argument.shape)


def _for_each(partition: Partition, numbers: Tensor) -> Values:
    """The numbers of distinct values, [distinct], for every instance, [instances]."""
    values: Values = numbers.numpy()
    return values if len(values) == len(partition) else values[list(partition)]


def _taken(arg: _Argument, value: Tensor, wanted: Partition, block: Block) -> Tensor:
    """An argument's value in the stack and the shape that an expression takes it in."""
    own = block.partition(arg.tensors)
    if own != wanted:
        value = value.index_select(0, _places(wanted, own))
    return value if arg.expanded is None else value.expand(len(value), *arg.expanded)


def _to_scalar(expression: _Expression, to_scalar: ToScalar) -> Callable[[Tensor], Tensor]:
    """From the values of a root, as they are kept, to a number for each."""
    kept = math.prod(expression.kept)
    if to_scalar == "mean" and kept == 1:
        return lambda value: value.reshape(len(value))
    if to_scalar == "mean":
        return lambda value: value.reshape(len(value), kept).mean(1)
    repeated = math.sqrt(math.prod(expression.shape) / kept) if kept else 1.0
    return lambda value: torch.linalg.vector_norm(value.reshape(len(value), kept), dim=1) * repeated


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
