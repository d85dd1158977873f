"""What a search over fronts knows of its networks: numbers of instances by column, and the scores made of them.

A base column is a part of a program that makes one number of an instance's tensors. It is the only thing that is
computed from tensors, once on each network; what programs make of base columns (functions of them, aggregations,
formulas) is arithmetic on vectors, which costs microseconds.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zcsr.evaluation.scorer import ColumnSource, Network, Wanted
from zcsr.evolve.tasks import TaskData
from zcsr.language.network_operations import EMPTY, INSTANCES, Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program

Vector = NDArray[np.float64]

MEMORY = 1 << 30
"""Bytes of numbers of instances that are kept; what falls out is asked of the source again."""

SHAPES_DECIDE = 1e-3
"""Largest relative difference between the numbers of instances of equal shapes, where shapes decide the numbers."""


def _is_base(node: Node) -> bool:
    return any(arg.type == "tensor" for arg in node.args)


def _applied(operation: Operation, *args: Any) -> Any:
    return operation.stacked(*args)


def base_columns(column: Node) -> tuple[Node, ...]:
    """Return the parts of a number of an instance that make a number of tensors, each once, in their order."""
    found: dict[Node, None] = {}
    pending = [column]
    while pending:
        node = pending.pop()
        if _is_base(node):
            found[node] = None
        else:
            pending.extend(reversed(node.args))
    return tuple(found)


def base_columns_of(program: Program) -> tuple[Node, ...]:
    """Return the base columns of a program, each once, in the order of the text."""
    return tuple(dict.fromkeys(base for column in program.columns for base in base_columns(column)))


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where the instances of the networks are in a vector of all: those of network i from `starts[i]`, `counts[i]`.

    `by_count` has, for each number of instances, the networks that have it and the places of their instances,
    [networks, instances]; `shapes` tells the shapes of each instance by their place in `kinds`.
    """

    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    by_count: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    shapes: NDArray[np.intp]
    kinds: tuple[Mapping[str, tuple[int, ...]], ...]


class Bank:
    """Numbers of instances and scores on all networks of some tasks.

    `first` tells the networks, of all tasks one after another, whose numbers are asked for before those of the
    rest: [networks].
    """

    def __init__(self, tasks: Sequence[TaskData], source: ColumnSource, first: NDArray[np.bool_]) -> None:
        self.tasks = tuple(tasks)
        self.first = first
        self.networks: tuple[Network, ...] = tuple((task.task, arch) for task in tasks for arch in task.archs)
        ends = np.cumsum([len(task.archs) for task in tasks]).tolist()
        self.slices = {task.task: slice(end - len(task.archs), end) for task, end in zip(tasks, ends, strict=True)}
        self._source = source
        self._numbers: OrderedDict[Node, Vector] = OrderedDict()
        self._known: dict[str, Vector] = {}
        self._aggregates: OrderedDict[Node, Vector] = OrderedDict()

    @property
    def shapes(self) -> tuple[Mapping[str, tuple[int, ...]], ...]:
        """The different shapes of instances, by the names of tensors."""
        return self._layout.kinds

    # --- columns ------------------------------------------------------------------------------------------------

    def begin(self, columns: Sequence[Node]) -> list[Vector | None]:
        """Return each base column's numbers on the first networks, NaN elsewhere; None where it does not apply."""
        return self._asked(columns, self.first)

    def complete(self, begun: Mapping[Node, Vector]) -> list[Vector | None]:
        """Return the same on all networks, given what `begin` returned, and keep it."""
        rest = self._asked(list(begun), ~self.first)
        found: list[Vector | None] = []
        for (column, first), others in zip(begun.items(), rest, strict=True):
            found.append(None if others is None else np.where(np.isnan(others), first, others))
            if (numbers := found[-1]) is not None:
                self._keep(column, numbers)
        return found

    def ensure(self, columns: Iterable[Node]) -> None:
        """Ask for those of the base columns, known to be good, that are not kept at present."""
        missing = [column for column in dict.fromkeys(columns) if column not in self._numbers]
        everywhere = np.ones(len(self.networks), dtype=bool)
        for column, numbers in zip(missing, self._asked(missing, everywhere), strict=True):
            assert numbers is not None, f"{column} applied to all networks before"
            self._keep(column, numbers)

    def finite(self, numbers: Vector, where: NDArray[np.bool_]) -> bool:
        """Whether the numbers of all instances of the networks `where` that is true are finite."""
        return bool(np.isfinite(numbers[np.repeat(where, self._layout.counts)]).all())

    def counted(self, where: NDArray[np.bool_]) -> list[int]:
        """Return how many networks of each task there are `where` that is true."""
        return [int(where[place].sum()) for place in self.slices.values()]

    def depends_on_shapes_alone(self, column: Node) -> bool:
        """Whether instances of equal shapes, if there are any, have equal numbers to `SHAPES_DECIDE`."""
        order, bounds, repeated = self._equal_shapes
        if not repeated:
            return False
        sorted_ = self._of_base(column)[order]
        high, low = np.maximum.reduceat(sorted_, bounds), np.minimum.reduceat(sorted_, bounds)
        return bool((high - low <= SHAPES_DECIDE * np.maximum(np.abs(high), np.abs(low))).all())

    def _asked(self, columns: Sequence[Node], where: NDArray[np.bool_]) -> list[Vector | None]:
        if not columns:
            return []
        layout = self._layout
        numbers = np.full((len(columns), len(layout.shapes)), np.nan)
        applies = np.ones(len(columns), dtype=bool)
        places = np.flatnonzero(where)
        wanted = [Wanted(*self.networks[place], tuple(columns)) for place in places]
        for place, found in zip(places, self._source.numbers(wanted), strict=True):
            begin = layout.starts[place]
            for position, values in enumerate(found):
                if values is None:
                    applies[position] = False
                else:
                    numbers[position, begin : begin + len(values)] = values
        return [row if applied else None for row, applied in zip(numbers, applies, strict=True)]

    def _keep(self, column: Node, numbers: Vector) -> None:
        self._numbers[column] = numbers
        while len(self._numbers) > max(1, MEMORY // numbers.nbytes):
            self._numbers.popitem(last=False)

    def _of_base(self, column: Node) -> Vector:
        if column not in self._numbers:
            self.ensure([column])
        self._numbers.move_to_end(column)
        return self._numbers[column]

    # --- scores -------------------------------------------------------------------------------------------------

    def scores(self, program: Program, instead: Mapping[Node, Vector] | None = None) -> Vector:
        """Return a program's score on every network, [networks]; NaN where it is not finite.

        Base columns are those kept, or those given in their stead.
        """
        given = instead or {}

        def aggregated(node: Node) -> Vector | None:
            if not node.word.aggregates:
                return None
            if node in self._aggregates:
                self._aggregates.move_to_end(node)
                return self._aggregates[node]
            (column,) = node.args
            found = self._aggregated(node.operation, self._of_column(column, given))
            if not given:
                self._aggregates[node] = found
                if len(self._aggregates) > MEMORY // (16 * max(1, found.nbytes)):
                    self._aggregates.popitem(last=False)
            return found

        scores = program.root.fold(self._leaf, _applied, aggregated)
        everywhere = np.broadcast_to(np.asarray(scores, dtype=np.float64), len(self.networks))
        return np.where(np.isfinite(everywhere), everywhere, np.nan)

    def by_task(
        self, measure: Callable[[Vector, Vector], Vector], scores: Vector, where: NDArray[np.bool_] | None = None
    ) -> Vector:
        """Return `measure(scores, accuracies)` of each program and task: [programs, tasks].

        `scores` are [programs, networks]; only the networks `where` that is true count.
        """
        values = np.empty((len(scores), len(self.tasks)))
        for position, task in enumerate(self.tasks):
            of_task = self.slices[task.task]
            chosen = slice(None) if where is None else where[of_task]
            values[:, position] = measure(scores[:, of_task][:, chosen], task.accuracies[chosen])
        return values

    def ranking_of(self, scores: Vector) -> str:
        """Return a text that programs share which rank the networks of every task alike, to rounding."""
        digest = hashlib.sha256()
        rounded = scores.astype(np.float32)
        for place in self.slices.values():
            digest.update(np.unique(rounded[place], return_inverse=True)[1].astype(np.int32).tobytes())
        return digest.hexdigest()[:16]

    def _of_column(self, column: Node, given: Mapping[Node, Vector]) -> Vector:
        """Numbers of instances from those of base columns, in the precision that they were computed in."""

        def base(node: Node) -> torch.Tensor | None:
            if not _is_base(node):
                return None
            numbers = given[node] if node in given else self._of_base(node)
            return torch.from_numpy(numbers.astype(np.float32))

        with torch.inference_mode():
            value: torch.Tensor = column.fold(_no_tensor, _applied, base)
        return value.double().numpy()

    def _aggregated(self, operation: Operation, numbers: Vector) -> Vector:
        out = np.full(len(self.networks), EMPTY)
        with np.errstate(all="ignore"):
            for networks, places in self._layout.by_count:
                of_networks = numbers[places]
                values = np.asarray(operation.stacked(of_networks), dtype=np.float64)
                out[networks] = np.where(np.isfinite(of_networks).all(axis=1), values, np.nan)
        return out

    def _leaf(self, word: Constant | Known) -> Vector:
        if isinstance(word, Constant):
            return np.asarray(word.value)
        if word.name not in self._known:
            counted = word.name == INSTANCES
            found = self._layout.counts if counted else [*self._source.known(word.name, self.networks)]
            self._known[word.name] = np.asarray(found, dtype=np.float64)
        return self._known[word.name]

    # --- networks -----------------------------------------------------------------------------------------------

    @cached_property
    def _layout(self) -> _Layout:
        of_networks = list(self._source.shapes(self.networks))
        kinds = dict.fromkeys(shapes for network in of_networks for shapes in network)
        numbers = {shapes: number for number, shapes in enumerate(kinds)}
        counts = np.array([len(network) for network in of_networks], dtype=np.intp)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
        by_count = []
        for count in np.unique(counts[counts > 0]):
            networks = np.flatnonzero(counts == count)
            by_count.append((networks, starts[networks][:, None] + np.arange(count)))
        flat = [numbers[shapes] for network in of_networks for shapes in network]
        return _Layout(starts, counts, tuple(by_count), np.array(flat, dtype=np.intp), tuple(map(dict, kinds)))

    @cached_property
    def _equal_shapes(self) -> tuple[NDArray[np.intp], NDArray[np.intp], bool]:
        shapes = self._layout.shapes
        order = np.argsort(shapes, kind="stable")
        _, bounds, sizes = np.unique(shapes[order], return_index=True, return_counts=True)
        return order, bounds, bool((sizes > 1).any())


def _no_tensor(leaf: object) -> torch.Tensor:
    raise AssertionError(f"{leaf} is a tensor, which belongs to a base column")
