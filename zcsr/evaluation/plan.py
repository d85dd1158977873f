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
from typing import TYPE_CHECKING, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError, ShapeError
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Word, tensor_named
from zcsr.language.shapes import Shape
from zcsr.language.tensors import BY_NAME, Kind

if TYPE_CHECKING:
    from zcsr.networks.instances import Instance

Values = npt.NDArray[np.float64]

Shapes = tuple[tuple[str, Shape], ...]
"""The names of an instance's tensors with their shapes."""

Partition = tuple[int, ...]
"""For each instance of a block, the number of its distinct value, counted from 0 as they first occur."""

BLOCK_ELEMENTS = 1 << 18
"""Instances are stacked up to so many elements of their largest tensor."""


# --- blocks of instances ----------------------------------------------------------------------------------------


class Instances:
    """Instances of one network or several, whose shapes are looked at once."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._instances = tuple(instances)
        self._shapes = [_shapes_by_kind(instance) for instance in self._instances]

    def blocks(self, kinds: frozenset[Kind]) -> Iterator[Block]:
        """Instances whose tensors of these kinds have the same shapes, as many at a time as a block takes.

        Programs are stacked by the kinds that they take: the sizes of kernels then do not part instances for
        programs that only look at activations, nor the number of output channels for those that only look at what
        comes in.
        """
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


def _shapes_by_kind(instance: Instance) -> dict[Kind, Shapes]:
    shapes: dict[Kind, list[tuple[str, Shape]]] = {kind: [] for kind in get_args(Kind)}
    for name, tensor in instance.raw.items():
        shapes[BY_NAME[name].kind].append((name, tuple(tensor.shape)))
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
            # What programs see as a difference from another tensor is shared where both are.
            parts = [part for part in (name, BY_NAME[name].reference) if part]
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

    word: Word
    args: tuple[int, ...]
    shape: Shape
    kept: Shape
    takes: tuple[int, ...]
    tensors: frozenset[str]


class Plan:
    """The order in which the distinct subtrees of some numbers of instances are computed, for certain shapes.

    `errors` has those of the numbers, by their positions, that do not exist for such instances.
    """

    def __init__(self, numbers: Sequence[Node], shapes: Mapping[str, Shape]) -> None:
        self.errors: dict[int, EvaluationError] = {}
        self._shapes = shapes
        self._expressions: list[_Expression] = []
        self._numbers: dict[tuple[Word, tuple[int, ...]], int] = {}
        wanted: dict[int, list[int]] = {}
        for position, node in enumerate(numbers):
            try:
                wanted.setdefault(node.fold(self._number, self._number), []).append(position)
            except EvaluationError as error:
                self.errors[position] = error
        self._wanted = wanted
        self._steps = tuple(self._schedule())

    def run(self, block: Block) -> Iterator[tuple[int, Values]]:
        """Yield the positions of the numbers that exist, with their values, [instances]."""
        known: dict[int, Tensor] = {}
        for number, compute, freed in self._steps:
            expression = self._expressions[number]
            own = block.partition(expression.tensors)
            taken = [self._taken(arg, known[arg], own, expression, block) for arg in expression.takes]
            value = known[number] = compute(*taken) if taken else compute(block)
            for position in self._wanted.get(number, ()):
                yield position, _for_each(own, value)
            for other in freed:
                del known[other]

    def _number(self, word: Word, *args: int) -> int:
        """The number of the expression that a word makes of others; EvaluationError where it does not apply."""
        key = (word, tuple(sorted(args)) if word.commutative else args)
        if key not in self._numbers:
            self._expressions.append(self._expression(word, args))
            self._numbers[key] = len(self._expressions) - 1
        return self._numbers[key]

    def _expression(self, word: Word, args: tuple[int, ...]) -> _Expression:
        if not isinstance(word, Operation):
            shape = tensor_named(word.name, self._shapes)
            return _Expression(word, args, shape, shape, (), frozenset({word.name}))
        given = [self._expressions[arg] for arg in args]
        shape = shape_of(word, [one.shape for one in given])
        if word.from_shape:
            return _Expression(word, args, shape, (1,) * len(shape), (), frozenset())
        tensors = frozenset().union(*(one.tensors for one in given))
        kept = shape_of(word, [one.kept for one in given]) if word.elementwise else shape
        return _Expression(word, args, shape, kept, args, tensors)

    def _schedule(self) -> Iterator[tuple[int, Callable[..., Tensor], Sequence[int]]]:
        """Each expression with what computes it, and those that nothing uses any more once it is computed.

        Number by number, arguments first, so that few values are held at a time.
        """
        order: dict[int, None] = {}
        for number in self._wanted:
            self._visit(number, order)
        last = {taken: number for number in order for taken in self._expressions[number].takes}
        frees: dict[int, list[int]] = {}
        for number in order:
            frees.setdefault(last.get(number, number), []).append(number)
        for number in order:
            yield number, self._computation(self._expressions[number]), frees.get(number, ())

    def _visit(self, number: int, order: dict[int, None]) -> None:
        if number not in order:
            for taken in self._expressions[number].takes:
                self._visit(taken, order)
            order[number] = None

    def _computation(self, expression: _Expression) -> Callable[..., Tensor]:
        """What computes it: from the block where it takes no values, else from these."""
        word = expression.word
        if not isinstance(word, Operation):
            return partial(Block.stack, name=word.name)
        if word.from_shape:
            number = word.from_shape(*(self._expressions[arg].shape for arg in expression.args))
            return partial(Block.constant, number=number, dimensions=len(expression.shape))
        if word.of_repeated:
            (arg,) = (self._expressions[arg] for arg in expression.args)
            kept = math.prod(arg.kept)
            factor = word.of_repeated(math.prod(arg.shape) / kept) if kept else 1.0
            return lambda value: word.stacked(value) * factor
        return word.stacked

    def _taken(self, number: int, value: Tensor, wanted: Partition, by: _Expression, block: Block) -> Tensor:
        """The value of an expression in the stack and the shape that another takes it in."""
        argument = self._expressions[number]
        own = block.partition(argument.tensors)
        if own != wanted:
            value = value.index_select(0, _places(wanted, own))
        word = by.word
        takes_kept = isinstance(word, Operation) and (word.elementwise or word.of_repeated is not None)
        as_kept = argument.kept == argument.shape or takes_kept
        return value if as_kept else value.expand(len(value), *argument.shape)


def _for_each(partition: Partition, numbers: Tensor) -> Values:
    """The numbers of distinct values, [distinct], for every instance, [instances]."""
    values: Values = numbers.numpy()
    return values if len(values) == len(partition) else values[list(partition)]


def shape_of(operation: Operation, shapes: Sequence[Shape]) -> Shape:
    """The shape of an operation's value; EvaluationError, naming the shapes, where it does not apply to them."""
    try:
        return operation.shape(*shapes)
    except ShapeError as error:
        seen = ", ".join(map(str, shapes))
        raise EvaluationError(f"{operation.name} does not apply to shapes {seen}: {error}") from None
