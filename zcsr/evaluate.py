"""Programs times a network's statistics: one score each.

The one place where programs run. A score is `aggregation` over instances of `to_scalar` of the root's value
(EZNAS, section 3.4); values are computed in the statistics' own precision, aggregation is in float64.

An `Evaluator` makes many programs cheap without changing what they compute: see `zcsr.plan`. How instances are
stacked depends on the network and on the program alone, so the score of a program is the same, bit for bit,
whatever other programs are evaluated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError
from zcsr.operations import BY_NAME
from zcsr.plan import Block, Plan, blocks, kind_of, shape_of, tensor_named
from zcsr.program import Aggregation, Node, Program

if TYPE_CHECKING:
    from zcsr.operations import Shape
    from zcsr.statistics import NetworkStatistics

Values = npt.NDArray[np.float64]
Outcome = Values | EvaluationError


def apply_node(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the value of a tree on one instance's tensors; a subtree that occurs twice is computed once.

    Raises `EvaluationError` where an operation refuses its arguments.
    """
    known: dict[Node, Tensor] = {}

    def value(node: Node) -> Tensor:
        if not node.args:
            return tensor_named(node.op, tensors)
        if node not in known:
            known[node] = _checked(node.op, [value(arg) for arg in node.args])
        return known[node]

    return value(node)


def instance_values(program: Program, statistics: NetworkStatistics) -> Values:
    """Return `to_scalar` of the program's value for every instance, shape [instances]; NaN and inf stay.

    Raises `EvaluationError` where the program does not apply to an instance's tensors.
    """
    return raised(Evaluator((program,)).instance_values(statistics)[0])


def aggregate(values: Values, aggregation: Aggregation) -> float:
    """Return one score from the instances' values, shape [instances].

    NaN when any value is NaN or infinite; 0.0 for a network without instances, whose sum is empty (its mean is
    taken to be 0 as well, so that such a network still has a rank).
    """
    if values.size == 0:
        return 0.0
    if not np.isfinite(values).all():
        return math.nan
    return float(values.mean() if aggregation == "mean" else values.sum())


def score(program: Program, statistics: NetworkStatistics) -> float:
    """Return the score of one network, by `aggregate` of `instance_values`."""
    return aggregate(instance_values(program, statistics), program.aggregation)


def scores(programs: Sequence[Program], statistics: NetworkStatistics) -> Values:
    """Return the scores of one network under many programs, shape [programs], as `score` gives each."""
    values = Evaluator(programs).instance_values(statistics)
    return np.array(
        [aggregate(raised(of), program.aggregation) for program, of in zip(programs, values, strict=True)],
        dtype=np.float64,
    )


class Evaluator:
    """Programs made ready to be evaluated together on many networks.

    What depends on shapes alone is worked out when a block of new shapes comes along, and kept for the next.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = tuple(programs)
        self._kinds: dict[frozenset[str], list[int]] = {}
        for position, program in enumerate(self.programs):
            self._kinds.setdefault(_kinds_of(program), []).append(position)
        self._plans: dict[tuple[frozenset[str], tuple[tuple[str, Shape], ...]], Plan] = {}

    def scores(self, statistics: NetworkStatistics) -> Values:
        """Return the programs' scores, [programs]; NaN where one is not finite or does not apply."""
        return np.array(
            [
                math.nan if isinstance(values, EvaluationError) else aggregate(values, program.aggregation)
                for program, values in zip(self.programs, self.instance_values(statistics), strict=True)
            ],
            dtype=np.float64,
        )

    def instance_values(self, statistics: NetworkStatistics) -> list[Outcome]:
        """Return for each program what `instance_values` returns, or the error that it raises."""
        values = np.empty((len(self.programs), len(statistics.instances)))
        errors: dict[int, EvaluationError] = {}
        with torch.inference_mode():
            for kinds in self._kinds:
                for block in blocks(statistics.instances, kinds):
                    for position, outcome in self._outcomes(kinds, block):
                        if isinstance(outcome, EvaluationError):
                            errors.setdefault(position, outcome)
                        else:
                            values[position, block.places] = outcome
        return [errors.get(position) or values[position] for position in range(len(self.programs))]

    def _outcomes(self, kinds: frozenset[str], block: Block) -> Iterable[tuple[int, Outcome]]:
        positions = self._kinds[kinds]
        key = (kinds, block.shapes)
        if key not in self._plans:
            self._plans[key] = Plan([self.programs[position] for position in positions], dict(block.shapes))
        plan = self._plans[key]
        try:
            found: list[tuple[int, Outcome]] = [*plan.errors.items(), *plan.run(block)]
        except RuntimeError as error:  # a decomposition that does not converge
            if len(positions) == 1:
                return [(positions[0], EvaluationError(f"torch cannot compute it: {_first_line(error)}"))]
            return self._apart(kinds, block)
        return [(positions[number], outcome) for number, outcome in found]

    def _apart(self, kinds: frozenset[str], block: Block) -> Iterator[tuple[int, Outcome]]:
        """Each program by itself, to see which ones fail."""
        for position in self._kinds[kinds]:
            for _, outcome in Evaluator((self.programs[position],))._outcomes(kinds, block):
                yield position, outcome


def _kinds_of(program: Program) -> frozenset[str]:
    return frozenset(map(kind_of, program.root.tensors()))


def _checked(op: str, args: Sequence[Tensor]) -> Tensor:
    shape_of(op, [tuple(arg.shape) for arg in args])
    try:
        return BY_NAME[op].apply(*args)
    except RuntimeError as error:
        raise EvaluationError(f"torch cannot compute {op}: {_first_line(error)}") from error


def raised(outcome: Outcome) -> Values:
    """Return the values that an evaluation gave, or raise the error that it gave instead."""
    if isinstance(outcome, EvaluationError):
        raise outcome
    return outcome


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
