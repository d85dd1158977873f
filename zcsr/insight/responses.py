"""What a formula makes of shapes alone: its values for random tensors as their sizes vary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zcsr.engine.threads import one_thread
from zcsr.errors import EvaluationError
from zcsr.evaluation.evaluate import apply_node
from zcsr.language.program import Node, Program, infer_shape
from zcsr.language.shapes import Shape
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.initialisation import random_stream
from zcsr.sameness.normal_form import is_number, number_tree

Filling = Literal["own", "weight", "activation"]
"""Which shapes random tensors have: each that of its name, or all that of a weight, or of an activation."""

Varied = Literal["kernel", "channels", "map"]

VALUES: Mapping[Varied, tuple[int, ...]] = {
    "kernel": (1, 3, 5, 7),
    "channels": (8, 16, 32, 64, 128),
    "map": (4, 8, 16, 32),
}

_VARIED: Mapping[Filling, tuple[Varied, ...]] = {
    "own": ("kernel", "channels", "map"),
    "weight": ("kernel", "channels"),
    "activation": ("channels", "map"),
}

DRAWS = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of random tensors: weights are [channels, channels, kernel, kernel], activations [batch, channels,
    map, map]."""

    batch: int = 1
    channels: int = 64
    kernel: int = 3
    map: int = 8

    def shape(self, filling: Filling, tensor: TensorRow) -> Shape:
        """Return the shape of a tensor."""
        if (filling_of(tensor) if filling == "own" else filling) == "weight":
            return (self.channels, self.channels, self.kernel, self.kernel)
        return (self.batch, self.channels, self.map, self.map)


@dataclass(frozen=True, slots=True)
class Response:
    """What a program gives for random tensors of certain sizes.

    varied, value: which size is varied, and its value here; `sizes` has all of them
    mean, deviation: of the program's value on an instance, over the draws; NaN where one is not finite, or where
        the program does not apply to such shapes
    root_mean_square: where the value is a norm (`fro` at the root, or to_scalar l2), of the elements it is taken
        over: the norm over the square root of their number, averaged over the draws; None otherwise
    refused: why the program does not apply to such shapes; "" where it does
    column: which of the program's columns it is; "" where there is but one
    """

    filling: Filling
    varied: Varied
    value: int
    sizes: Sizes
    mean: float
    deviation: float
    root_mean_square: float | None
    refused: str = ""
    column: str = ""


def fillings(program: Program | Node) -> tuple[Filling, ...]:
    """Return the shapes that random tensors are given for a program, its own first.

    A program that takes weights (and their gradients) alone, or activations alone, is shown on the other kind too:
    what it makes of a shape does not depend on the name. One that takes both is shown on its own shapes first.
    """
    root = program.root if isinstance(program, Program) else program
    kinds = {filling_of(tensor) for tensor in root.tensors()}
    if len(kinds) == 2:
        return ("own", "weight", "activation")
    return ("weight", "activation") if kinds == {"weight"} else ("activation", "weight")


def filling_of(tensor: TensorRow) -> Filling:
    """Return whether a tensor has the shape of a weight or of an activation."""
    return "weight" if tensor.kind == "weight" else "activation"


def responses(program: Program, draws: int = DRAWS, seed: int = 0) -> tuple[Response, ...]:
    """Return what the program's columns give for standard normal tensors as their sizes vary, one size at a time.

    The same for the same arguments: each tensor of each draw has a stream of its own (`random_stream`).
    """
    with torch.inference_mode(), one_thread():
        return tuple(
            response(program, filling, varied, value, draws, seed, number)
            for number, column in enumerate(program.columns)
            for filling in fillings(column)
            for varied in _VARIED[filling]
            for value in VALUES[varied]
        )


def response(
    program: Program,
    filling: Filling,
    varied: Varied,
    value: int,
    draws: int = DRAWS,
    seed: int = 0,
    number: int = 0,
) -> Response:
    """Return what the program's column of that number gives at one size, the others being those of `Sizes`."""
    sizes = replace(Sizes(), **{varied: value})
    shapes = {tensor.name: sizes.shape(filling, tensor) for tensor in program.columns[number].tensors()}
    tree = number_tree(program) if program.has_steps else program.columns[number]
    column = str(tree) if len(program.columns) > 1 else ""
    try:
        values = [float(apply_node(tree, _normal(shapes, seed, draw))) for draw in range(draws)]
        count = _elements_of_norm(tree, shapes)
    except EvaluationError as error:
        return Response(filling, varied, value, sizes, math.nan, math.nan, None, str(error), column)
    array = np.array(values)
    usable = bool(np.isfinite(array).all())
    mean, deviation = (float(array.mean()), float(array.std())) if usable else (math.nan, math.nan)
    root_mean_square = mean / math.sqrt(count) if count else None
    return Response(filling, varied, value, sizes, mean, deviation, root_mean_square, column=column)


def described(group: Sequence[Response]) -> str:
    """Return in words how the value moves along a group of responses to one size.

    A movement counts that is larger than twice the largest deviation between draws.
    """
    usable = [one for one in group if math.isfinite(one.mean)]
    if len(usable) < 2:
        reason = next((f": {one.refused}" for one in group if one.refused), ", nor any finite value")
        return f"the program does not apply to such shapes{reason}" if not usable else "a value at one size only"
    means = [one.mean for one in usable]
    noise = max(one.deviation for one in usable)
    first, last = usable[0], usable[-1]
    high, low = max(usable, key=lambda one: one.mean), min(usable, key=lambda one: one.mean)
    if high.mean - low.mean <= 2 * noise:
        return f"stays near {np.mean(means):.4g}"
    steps = np.diff(means) if last.mean > first.mean else -np.diff(means)
    if (steps >= -noise).all() and abs(last.mean - first.mean) > 0.9 * (high.mean - low.mean):
        verb = "grows" if last.mean > first.mean else "falls"
        return f"{verb} from {first.mean:.4g} at {first.value} to {last.mean:.4g} at {last.value}"
    return f"highest at {high.value} ({high.mean:.4g}), lowest at {low.value} ({low.mean:.4g})"


def response_groups(found: Sequence[Response]) -> list[tuple[Response, ...]]:
    """Return responses in groups that share the shapes and the size that is varied, in their order."""
    groups = itertools.groupby(found, key=lambda one: (one.column, one.filling, one.varied))
    return [tuple(group) for _, group in groups]


def _normal(shapes: Mapping[str, Shape], seed: int, draw: int) -> dict[str, Tensor]:
    return {
        name: torch.randn(shape, generator=random_stream(seed, f"explain/{name}/{shape}/{draw}"))
        for name, shape in shapes.items()
    }


def _elements_of_norm(tree: Node, shapes: Mapping[str, Shape]) -> int:
    """The number of elements that the norm at the root of a tree is taken over; 0 where there is none."""
    while tree.op == "fro" and is_number(tree.args[0]):
        tree = tree.args[0]
    return math.prod(infer_shape(tree.args[0], shapes)) if tree.op == "fro" else 0
