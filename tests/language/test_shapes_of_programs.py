"""The shapes worked out of programs, against what the bare computation does with tensors of such shapes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from zcsr.errors import ShapeError
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.typed_trees import TypedTrees
from zcsr.language.languages import ZCSR
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program, infer_shape
from zcsr.language.shapes import Shape
from zcsr.language.tensors import TENSORS

LAYOUTS: dict[str, dict[str, Shape]] = {
    "3x3": {"input": (2, 3, 4, 4), "weight": (5, 3, 3, 3), "output": (2, 5, 4, 4)},
    "1x1, one image": {"input": (1, 3, 4, 4), "weight": (3, 3, 1, 1), "output": (1, 3, 4, 4)},
    "stride": {"input": (2, 2, 4, 4), "weight": (4, 2, 3, 3), "output": (2, 4, 2, 2)},
    "one pixel": {"input": (2, 4, 1, 1), "weight": (4, 4, 1, 1), "output": (2, 4, 1, 1)},
    "grouped, one image": {"input": (1, 4, 3, 3), "weight": (4, 1, 3, 3), "output": (1, 4, 3, 3)},
}
PROGRAMS = 10_000
RAISED = (RuntimeError, IndexError, ValueError, ShapeError)
"""By torch, or by a function of zcsr that looks at shapes itself."""


@pytest.fixture(scope="module")
def columns() -> list[Node]:
    drawn = TypedTrees(ZCSR).random(EvolveConfig(max_depth=6), PROGRAMS, random.Random(0))
    return [column for one in drawn if isinstance(one.outcome, Program) for column in one.outcome.columns]


def bare(operation: Operation, *args: Tensor) -> Tensor:
    """The value without a look at the shape rule."""
    value: Tensor = operation.stacked(*(arg.unsqueeze(0) for arg in args)).squeeze(0)
    return value


def executed(column: Node, tensors: Mapping[str, Tensor]) -> Shape | None:
    try:
        return tuple(column.fold(lambda leaf: tensors[leaf.name], bare).shape)
    except RAISED:
        return None


def inferred(column: Node, tensors: Mapping[str, Tensor]) -> Shape | None:
    try:
        return infer_shape(column, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except ShapeError:
        return None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_shape_of_a_column_is_that_of_its_value(layout: str, columns: list[Node]) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {row.name: torch.randn(LAYOUTS[layout][row.kind], generator=generator) for row in TENSORS}
    seen: Counter[bool] = Counter()
    for column in columns[list(LAYOUTS).index(layout) :: len(LAYOUTS)]:
        expected = executed(column, tensors)
        assert inferred(column, tensors) == expected, column
        assert expected in ((), None)  # a column is a number of an instance
        seen[expected is None] += 1
    assert min(seen[True], seen[False]) > 100


def test_all_operations_are_drawn(columns: list[Node]) -> None:
    seen = {node.word for column in columns for node in column.walk()}
    assert {operation.name for operation in ZCSR.operations if operation not in seen} == set()


@pytest.mark.parametrize("operation", ZCSR.operations, ids=lambda one: f"{one.name}-{one.of}")
@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (2, 2), (2, 3), (1, 2, 2), (2, 3, 2, 2)], ids=str)
def test_a_shape_is_refused_exactly_where_the_bare_computation_raises(operation: Operation, shape: Shape) -> None:
    args = [torch.rand(shape)] * operation.arity
    try:
        expected: Shape | None = tuple(bare(operation, *args).shape)
    except RAISED:
        expected = None
    try:
        found: Shape | None = operation.shape(*[shape] * operation.arity)
    except ShapeError:
        found = None
    assert found == expected
