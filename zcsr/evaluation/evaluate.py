"""Programs times a network's statistics: one score each.

The one place where programs run. The columns of a program, a number for each instance (EZNAS, section 3.4), are
computed in the statistics' own precision; what makes the score of them is in float64.

An `Evaluator` makes many programs on many networks cheap without changing what they compute: see
`zcsr.evaluation.plan`. How instances are stacked depends on the networks and on the column alone, so the value of
a column is the same, bit for bit, whatever other columns are evaluated beside it. Nor does it depend on the other
networks: the members of a stack do not see each other. (To rounding, where a tensor is no multiple of 64 bytes:
matrix products may depend on where in memory a matrix begins.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from zcsr.errors import EvaluationError
from zcsr.evaluation.plan import Block, Instances, Plan, Values, shape_of
from zcsr.language.network_operations import EMPTY, INSTANCES, Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program, tensor_named
from zcsr.language.tensors import Kind

if TYPE_CHECKING:
    from zcsr.language.shapes import Shape
    from zcsr.networks.instances import NetworkStatistics

T = TypeVar("T")

PROBED_LENGTHS = 16
"""Parts of a network, each from its first instance on, on which programs of several columns are compared."""

ColumnOutcome = Values | EvaluationError


def apply_node(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the value of a tree on one instance's tensors; a subtree that occurs twice is computed once.

    Raises `EvaluationError` where an operation refuses its arguments.
    """
    return node.fold(lambda tensor: tensor_named(tensor.name, tensors), _checked)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What a program gives for each instance of a network, from which `score` makes the network's number.

    values: by the program's columns, [instances] each; NaN and inf stay
    known: by the names in `Program.known`
    """

    program: Program
    values: Mapping[Node, Values]
    known: Mapping[str, float] = field(default_factory=dict)

    @property
    def per_instance(self) -> Values:
        """The values of the only column, [instances], or of several side by side, [instances, columns]."""
        columns = [self.values[column] for column in self.program.columns]
        return columns[0] if len(columns) == 1 else np.array(columns, dtype=np.float64).T

    @property
    def finite(self) -> bool:
        """Whether all values are."""
        return all(bool(np.isfinite(values).all()) for values in self.values.values())

    def score(self) -> float:
        """Return the score: NaN where a value is NaN or infinite, and where the score would be infinite.

        0 for a network without instances where that is all that the score is made of (`EMPTY`).
        """
        if not self.finite:
            return math.nan
        found = float(self.program.root.fold(self._leaf, _of_network, self._aggregated))
        return found if math.isfinite(found) else math.nan

    def probe_values(self) -> Values:
        """Return numbers that equal programs have in common: of a program with steps, its numbers of instances.

        Of any other they are its finite scores for the first of the instances alone, for `PROBED_LENGTHS` numbers
        of them, the last of which is that for all.
        """
        if self.program.has_steps:
            return self.per_instance
        count = max((len(values) for values in self.values.values()), default=0)
        lengths = np.unique(np.linspace(min(count, 1), count, PROBED_LENGTHS).astype(int))
        scores = np.array([self.up_to(length).score() for length in lengths.tolist()], dtype=np.float64)
        return scores[np.isfinite(scores)]

    def up_to(self, instances: int) -> Columns:
        """Return the same of the first instances alone."""
        first = {column: values[:instances] for column, values in self.values.items()}
        known = {**self.known, INSTANCES: float(instances)} if INSTANCES in self.known else self.known
        return Columns(self.program, first, known)

    def _leaf(self, word: Constant | Known) -> Values:
        return np.asarray(word.value if isinstance(word, Constant) else self.known[word.name], dtype=np.float64)

    def _aggregated(self, node: Node) -> Values | None:
        if not node.word.aggregates:
            return None
        values = self.values[node.args[0]]
        return np.asarray(node.operation.stacked(values) if values.size else EMPTY, dtype=np.float64)


Outcome = Columns | EvaluationError


def _of_network(operation: Operation, *args: Values) -> Values:
    values: Values = operation.stacked(*args)
    return values


def columns_of(program: Program, statistics: NetworkStatistics) -> Columns:
    """Return the program's values on the instances of a network.

    Raises `EvaluationError` where the program does not apply to an instance's tensors.
    """
    return raised(Evaluator((program,)).columns_of((statistics,))[0][0])


def instance_values(program: Program, statistics: NetworkStatistics) -> Values:
    """Return the only column's values, or those of several side by side: [instances] or [instances, columns].

    Raises `EvaluationError` where the program does not apply to an instance's tensors.
    """
    return columns_of(program, statistics).per_instance


def score(program: Program, statistics: NetworkStatistics) -> float:
    """Return the score of one network; raises `EvaluationError` as `columns_of` does."""
    return columns_of(program, statistics).score()


class ColumnEvaluator:
    """Columns made ready to be evaluated together on many networks.

    What depends on shapes alone is worked out when a block of new shapes comes along, and kept for the next.
    """

    def __init__(self, columns: Iterable[Node]) -> None:
        self.columns = tuple(dict.fromkeys(columns))
        self._kinds: dict[frozenset[Kind], list[int]] = {}
        for position, column in enumerate(self.columns):
            kinds = frozenset(tensor.kind for tensor in column.tensors())
            self._kinds.setdefault(kinds, []).append(position)
        self._plans: dict[tuple[frozenset[Kind], tuple[tuple[str, Shape], ...]], Plan] = {}

    def values_of(self, networks: Sequence[NetworkStatistics]) -> list[dict[Node, ColumnOutcome]]:
        """Return for each network the values of each column, [instances], or the error of its first instance.

        Instances are stacked across networks.
        """
        if not networks:
            return []
        instances = Instances(instance for network in networks for instance in network.instances)
        owners = [place for place, network in enumerate(networks) for _ in network.instances]
        values = np.empty((len(self.columns), len(owners)))
        errors: dict[tuple[int, int], tuple[int, EvaluationError]] = {}
        with torch.inference_mode():
            for kinds in self._kinds:
                for block in instances.blocks(kinds):
                    for position, part, outcome in self._outcomes(kinds, block, owners):
                        if isinstance(outcome, EvaluationError):
                            for place in part.places:  # of a network's errors that of its first instance
                                key, found = (owners[place], position), (place, outcome)
                                errors[key] = min(errors.get(key, found), found, key=itemgetter(0))
                        else:
                            values[position, part.places] = outcome
        ends = np.cumsum([len(network.instances) for network in networks])
        return [
            {
                column: errors[(owner, position)][1] if (owner, position) in errors else of_network[position]
                for position, column in enumerate(self.columns)
            }
            for owner, of_network in enumerate(np.split(values, ends[:-1], axis=1))
        ]

    def _outcomes(
        self, kinds: frozenset[Kind], block: Block, owners: Sequence[int]
    ) -> Iterable[tuple[int, Block, ColumnOutcome]]:
        """The columns' values on a block, or the errors that they raise; on its parts where torch gives up."""
        positions = self._kinds[kinds]
        key = (kinds, block.shapes)
        if key not in self._plans:
            self._plans[key] = Plan([self.columns[position] for position in positions], dict(block.shapes))
        plan = self._plans[key]
        try:
            found: list[tuple[int, ColumnOutcome]] = [*plan.errors.items(), *plan.run(block)]
        except RuntimeError as error:  # a decomposition that does not converge
            return self._apart(kinds, block, owners, error)
        return [(positions[number], block, outcome) for number, outcome in found]

    def _apart(
        self, kinds: frozenset[Kind], block: Block, owners: Sequence[int], error: RuntimeError
    ) -> Iterator[tuple[int, Block, ColumnOutcome]]:
        """Each column, and then each network, by itself, to see which ones fail."""
        positions = self._kinds[kinds]
        parts = block.split(owners)
        if len(positions) > 1:
            for position in positions:
                for _, part, outcome in ColumnEvaluator((self.columns[position],))._outcomes(kinds, block, owners):
                    yield position, part, outcome
        elif len(parts) > 1:
            for part in parts:
                yield from self._outcomes(kinds, part, owners)
        else:
            yield positions[0], block, EvaluationError(f"torch cannot compute it: {_first_line(error)}")


class Evaluator:
    """Programs made ready to be evaluated together on many networks, and each of their columns once."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = tuple(programs)
        self._columns = ColumnEvaluator(column for program in self.programs for column in program.columns)

    def scores_of(self, networks: Sequence[NetworkStatistics]) -> Values:
        """Return the scores, [networks, programs]; NaN where one is not finite or does not apply."""
        return np.array(
            [
                [math.nan if isinstance(one, EvaluationError) else one.score() for one in outcomes]
                for outcomes in self.columns_of(networks)
            ],
            dtype=np.float64,
        ).reshape(len(networks), len(self.programs))

    def columns_of(self, networks: Sequence[NetworkStatistics]) -> list[list[Outcome]]:
        """Return for each network, by program, what `columns_of` returns, or the error that it raises."""
        return [
            [_of_program(program, network, values) for program in self.programs]
            for network, values in zip(networks, self._columns.values_of(networks), strict=True)
        ]

    def instance_values_of(self, networks: Sequence[NetworkStatistics]) -> list[list[ColumnOutcome]]:
        """Return for each network, by program, what `instance_values` returns, or the error that it raises."""
        return [
            [one if isinstance(one, EvaluationError) else one.per_instance for one in outcomes]
            for outcomes in self.columns_of(networks)
        ]


def _of_program(program: Program, network: NetworkStatistics, found: Mapping[Node, ColumnOutcome]) -> Outcome:
    values: dict[Node, Values] = {}
    for column in program.columns:
        of_column = found[column]
        if isinstance(of_column, EvaluationError):
            return of_column
        values[column] = of_column
    try:
        return Columns(program, values, {name: network.known_of(name) for name in program.known})
    except EvaluationError as error:
        return error


def _checked(operation: Operation, *args: Tensor) -> Tensor:
    shape_of(operation, [tuple(arg.shape) for arg in args])
    try:
        return operation.apply(*args)
    except RuntimeError as error:
        raise EvaluationError(f"torch cannot compute {operation.name}: {_first_line(error)}") from error


def raised(outcome: T | EvaluationError) -> T:
    """Return what an evaluation gave, or raise the error that it gave instead."""
    if isinstance(outcome, EvaluationError):
        raise outcome
    return outcome


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
