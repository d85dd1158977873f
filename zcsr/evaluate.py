"""Programs times a network's statistics: one score each.

The one place where programs run. A score is `aggregation` over instances of `to_scalar` of the root's value
(EZNAS, section 3.4); values are computed in the statistics' own precision, aggregation is in float64.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError
from zcsr.operations import BY_NAME
from zcsr.program import Aggregation, Node, Program, ToScalar

if TYPE_CHECKING:
    from zcsr.statistics import NetworkStatistics

Values = npt.NDArray[np.float64]


def apply_node(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the value of a tree on one instance's tensors; a subtree that occurs twice is computed once.

    Raises `EvaluationError` where an operation refuses its arguments.
    """
    return _apply(node, tensors, _repeated(node), {})


def instance_values(program: Program, statistics: NetworkStatistics) -> Values:
    """Return `to_scalar` of the program's value for every instance, shape [instances]; NaN and inf stay.

    Raises `EvaluationError` where the program does not apply to an instance's tensors.
    """
    repeated = _repeated(program.root)
    with torch.inference_mode():
        return np.array(
            [
                _to_scalar(_apply(program.root, instance.tensors, repeated, {}), program.to_scalar)
                for instance in statistics.instances
            ],
            dtype=np.float64,
        )


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
    """Return the scores of one network under many programs, shape [programs]."""
    return np.array([score(program, statistics) for program in programs], dtype=np.float64)


def _repeated(root: Node) -> frozenset[Node]:
    """Return the subtrees that occur more than once: only their values are worth keeping."""
    counts = Counter(node for node in root.walk() if node.args)
    return frozenset(node for node, count in counts.items() if count > 1)


def _apply(
    node: Node, tensors: Mapping[str, Tensor], repeated: frozenset[Node], known: dict[Node, Tensor]
) -> Tensor:
    if not node.args:
        return _leaf(node.op, tensors)
    if node in known:
        return known[node]
    value = _operate(node.op, [_apply(arg, tensors, repeated, known) for arg in node.args])
    if node in repeated:
        known[node] = value
    return value


def _operate(op: str, args: Sequence[Tensor]) -> Tensor:
    try:
        return BY_NAME[op].apply(*args)
    except (RuntimeError, IndexError) as error:
        shapes = ", ".join(str(tuple(arg.shape)) for arg in args)
        raise EvaluationError(f"{op} does not apply to shapes {shapes}: {_first_line(error)}") from error


def _leaf(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    try:
        return tensors[name]
    except KeyError:
        raise EvaluationError(f"no tensor named {name} is given; given are {', '.join(tensors)}") from None


def _to_scalar(value: Tensor, to_scalar: ToScalar) -> float:
    return float(value.mean() if to_scalar == "mean" else torch.linalg.vector_norm(value))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
