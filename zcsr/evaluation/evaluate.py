"""Programs times a network's statistics: one score each.

The one place where programs run. A score is `aggregation` over instances of `to_scalar` of the root's value
(EZNAS, section 3.4); values are computed in the statistics' own precision, aggregation is in float64.

An `Evaluator` makes many programs on many networks cheap without changing what they compute: see
`zcsr.evaluation.plan`. How instances are stacked depends on the networks and on the program alone, so the score of
a program is the same, bit for bit, whatever other programs are evaluated beside it. Nor does it depend on the other
networks: the members of a stack do not see each other. (To rounding, where a tensor is no multiple of 64 bytes:
matrix products may depend on where in memory a matrix begins.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zcsr.errors import EvaluationError
from zcsr.evaluation.plan import Block, Instances, Plan, Values, shape_of
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program, tensor_named
from zcsr.language.tensors import Kind

if TYPE_CHECKING:
    from zcsr.language.shapes import Shape
    from zcsr.networks.instances import NetworkStatistics

Outcome = Values | EvaluationError


def apply_node(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the value of a tree on one instance's tensors; a subtree that occurs twice is computed once.

    Raises `EvaluationError` where an operation refuses its arguments.
    """
    return node.fold(lambda tensor: tensor_named(tensor.name, tensors), _checked)


def instance_values(program: Program, statistics: NetworkStatistics) -> Values:
    """Return `to_scalar` of the program's value for every instance, shape [instances]; NaN and inf stay.

    Raises `EvaluationError` where the program does not apply to an instance's tensors.
    """
    return raised(Evaluator((program,)).instance_values_of((statistics,))[0][0])


def aggregate(values: Values, program: Program) -> float:
    """Return the score that a program makes of the instances' values, shape [instances].

    NaN when any value is NaN or infinite; 0.0 for a network without instances, whose sum is empty (its mean is
    taken to be 0 as well, so that such a network still has a rank).
    """
    if values.size == 0:
        return 0.0
    if not np.isfinite(values).all():
        return math.nan
    return float(program.root.operation.stacked(values))


def score(program: Program, statistics: NetworkStatistics) -> float:
    """Return the score of one network, by `aggregate` of `instance_values`."""
    return aggregate(instance_values(program, statistics), program)


class Evaluator:
    """Programs made ready to be evaluated together on many networks.

    What depends on shapes alone is worked out when a block of new shapes comes along, and kept for the next.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = tuple(programs)
        self._kinds: dict[frozenset[Kind], list[int]] = {}
        for position, program in enumerate(self.programs):
            kinds = frozenset(tensor.kind for tensor in program.root.tensors())
            self._kinds.setdefault(kinds, []).append(position)
        self._plans: dict[tuple[frozenset[Kind], tuple[tuple[str, Shape], ...]], Plan] = {}

    def scores_of(self, networks: Sequence[NetworkStatistics]) -> Values:
        """Return the scores, [networks, programs]; NaN where one is not finite or does not apply."""
        return np.array(
            [
                [
                    math.nan if isinstance(values, EvaluationError) else aggregate(values, program)
                    for program, values in zip(self.programs, outcomes, strict=True)
                ]
                for outcomes in self.instance_values_of(networks)
            ],
            dtype=np.float64,
        ).reshape(len(networks), len(self.programs))

    def instance_values_of(self, networks: Sequence[NetworkStatistics]) -> list[list[Outcome]]:
        """Return for each network, by program, what `instance_values` returns, or the error that it raises.

        Instances are stacked across networks.
        """
        if not networks:
            return []
        instances = Instances(instance for network in networks for instance in network.instances)
        owners = [place for place, network in enumerate(networks) for _ in network.instances]
        values = np.empty((len(self.programs), len(owners)))
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
            [
                errors[(owner, position)][1] if (owner, position) in errors else of_network[position]
                for position in range(len(self.programs))
            ]
            for owner, of_network in enumerate(np.split(values, ends[:-1], axis=1))
        ]

    def _outcomes(
        self, kinds: frozenset[Kind], block: Block, owners: Sequence[int]
    ) -> Iterable[tuple[int, Block, Outcome]]:
        """The programs' values on a block, or the errors that they raise; on its parts where torch gives up."""
        positions = self._kinds[kinds]
        key = (kinds, block.shapes)
        if key not in self._plans:
            self._plans[key] = Plan([self.programs[position].number for position in positions], dict(block.shapes))
        plan = self._plans[key]
        try:
            found: list[tuple[int, Outcome]] = [*plan.errors.items(), *plan.run(block)]
        except RuntimeError as error:  # a decomposition that does not converge
            return self._apart(kinds, block, owners, error)
        return [(positions[number], block, outcome) for number, outcome in found]

    def _apart(
        self, kinds: frozenset[Kind], block: Block, owners: Sequence[int], error: RuntimeError
    ) -> Iterator[tuple[int, Block, Outcome]]:
        """Each program, and then each network, by itself, to see which ones fail."""
        positions = self._kinds[kinds]
        parts = block.split(owners)
        if len(positions) > 1:
            for position in positions:
                for _, part, outcome in Evaluator((self.programs[position],))._outcomes(kinds, block, owners):
                    yield position, part, outcome
        elif len(parts) > 1:
            for part in parts:
                yield from self._outcomes(kinds, part, owners)
        else:
            yield positions[0], block, EvaluationError(f"torch cannot compute it: {_first_line(error)}")


def _checked(operation: Operation, *args: Tensor) -> Tensor:
    shape_of(operation, [tuple(arg.shape) for arg in args])
    try:
        return operation.apply(*args)
    except RuntimeError as error:
        raise EvaluationError(f"torch cannot compute {operation.name}: {_first_line(error)}") from error


def raised(outcome: Outcome) -> Values:
    """Return the values that an evaluation gave, or raise the error that it gave instead."""
    if isinstance(outcome, EvaluationError):
        raise outcome
    return outcome


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
