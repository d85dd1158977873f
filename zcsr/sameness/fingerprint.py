"""When are two programs the same by numbers: their values on fixed probe instances.

The probes are small instances drawn once from a fixed seed, in float64, so that equal formulas differ by less than
the digits kept. Together they give each of the 22 tensors about a thousand values, from 1e-3 to 1e3 and of both
signs, dense and with exact zeros; batches of one and two; 1x1 and 3x3 weights; blocks that keep and blocks that
change the number of channels and the map's size; a block that no gradient reaches and one that no signal reaches,
as cells with zeroed edges have them. Maps are square, as determinants and products want them.

The probes obey what holds in every ReLU-Conv-BN instance (T2 = relu(T1); T1G is T2G where T1 > 0, else 0; P tensors
are differences from D), so that programs which differ by such an identity alone are found as well. Where it does
not hold, in Conv-BN-ReLU instances, the confirmation on real statistics keeps them apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr.errors import EvaluationError
from zcsr.evaluation.evaluate import Columns, apply_node
from zcsr.language.network_operations import INSTANCES
from zcsr.language.program import Node, Program
from zcsr.language.tensors import INPUTS, TENSORS
from zcsr.sameness.normal_form import scalar_tree

Array = npt.NDArray[np.float64]

DIGITS = 5
"""Significant digits of a probe value that count."""

_SEED = 20_221_128
_OFF_TIES = 1.0461739  # averages of zeros and ones are short decimals: a factor keeps them from rounding both ways
_ROUNDING_NOISE = 1e-12  # what is left where values of size 1 cancel


@dataclass(frozen=True, slots=True)
class ProbeLayout:
    """The shapes of one probe instance (in and out of the convolution) and the kind of its values.

    `scale` multiplies normal values, and for each of T1, T3, T4 and the gradients another factor of up to
    `spread` decades; a `scale` of None draws magnitudes evenly in the logarithm from 1e-3 to 1e3. `zeros` is the
    share of exact zeros. `signal` "positive" makes the ReLU's input positive; "none" makes inputs, outputs and the
    weight's gradient 0, as behind a zeroed edge. `gradients` False makes all gradients 0.
    """

    batch: int
    channels: tuple[int, int]
    size: tuple[int, int]
    kernel: int
    scale: float | None
    zeros: float = 0.0
    spread: float = 0.0
    signal: Literal["both_signs", "positive", "none"] = "both_signs"
    gradients: bool = True


LAYOUTS: tuple[ProbeLayout, ...] = (
    ProbeLayout(1, (4, 4), (8, 8), 3, scale=1.0),
    ProbeLayout(2, (3, 3), (7, 7), 1, scale=0.03, zeros=0.2, spread=1.0),
    ProbeLayout(1, (4, 4), (8, 8), 1, scale=None, zeros=0.1),
    ProbeLayout(1, (4, 6), (8, 4), 3, scale=1e-3),
    ProbeLayout(2, (3, 5), (6, 5), 3, scale=30.0, zeros=0.5),
    ProbeLayout(1, (3, 3), (5, 5), 1, scale=1.0, signal="none"),
    ProbeLayout(1, (2, 2), (4, 4), 3, scale=0.3, signal="positive", gradients=False),
)
"""The probe instances of every program, in the order of the values in a fingerprint."""


NETWORKS: tuple[tuple[int, ...], ...] = ((0, 1, 2), (3, 4), (1, 2, 3, 4, 5, 6), (6, 0), (2, 1, 5, 3), (4, 0, 6))
"""The probe networks of programs without the paper's steps: their instances, by the places in `LAYOUTS`."""

DRAWN = 48
_LENGTHS = (1, 2, 3, 5, 8, 13, 1, 4)
DRAWN_NETWORKS: tuple[tuple[int, ...], ...] = tuple(
    tuple(range(2 * place, 2 * place + length)) for place, length in enumerate(_LENGTHS * 2)
)
"""Further ones, whose instances have numbers that are drawn for each column, by their places among `DRAWN`.

Formulas of the same columns differ there if they differ at all; the others tell columns of other values apart.
"""


def fingerprint(program: Program) -> str | None:
    """Return 32 hexadecimal digits that programs with the same values on the probes share.

    A value is `to_scalar` of the root on one probe instance, to `DIGITS` significant digits; NaN, inf and -inf are
    values of their own, as is a probe whose shapes the program refuses; -0.0 is 0.0, as is what is below 1e-12. How
    instances are aggregated does not enter. Of a program without steps a value is the score of a probe network
    (`NETWORKS`, `DRAWN_NETWORKS`). None if the program runs on no probe.
    """
    values = fingerprint_values(program)
    if all(value is None for value in values):
        return None
    text = " ".join(map(rounded, values))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def rounded(value: float | None) -> str:
    """Return the text of a probe value that counts in a fingerprint."""
    if value is None:
        return "refused"
    if abs(value) < _ROUNDING_NOISE:
        return "0"
    return f"{value * _OFF_TIES:.{DIGITS - 1}e}" if math.isfinite(value) else str(value)


def fingerprint_values(program: Program) -> tuple[float | None, ...]:
    """Return `to_scalar` of the root's value on the probe instances of `LAYOUTS`, None where shapes are refused.

    Of a program without steps they are the scores of the probe networks.
    """
    if not program.has_steps:
        return _scores(program)
    tree = scalar_tree(program)
    with torch.inference_mode():
        return tuple(_value(tree, probe) for probe in probes())


@cache
def probes() -> tuple[dict[str, Tensor], ...]:
    """Return the 22 tensors of a probe instance of each of `LAYOUTS` (do not write to them)."""
    generator = np.random.default_rng(_SEED)
    return tuple(_probe(layout, generator) for layout in LAYOUTS)


def _scores(program: Program) -> tuple[float | None, ...]:
    with torch.inference_mode():
        of_column = {column: [_value(column, probe) for probe in probes()] for column in program.columns}
    return (
        *(_score(program, of_column, places) for places in NETWORKS),
        *(_score(program, _drawn(of_column), places) for places in DRAWN_NETWORKS),
    )


def _drawn(of_column: Mapping[Node, Sequence[float | None]]) -> dict[Node, Sequence[float | None]]:
    """Numbers of all magnitudes for each column, the same for equal ones; of both signs if it is."""
    drawn: dict[Node, Sequence[float | None]] = {}
    for column, found in of_column.items():
        own = np.random.default_rng([_SEED, *" ".join(map(rounded, found)).encode()])
        values = 10.0 ** own.uniform(-3.0, 3.0, DRAWN) * own.choice((-1.0, 1.0), DRAWN)
        signed = any(value is not None and value < 0 for value in found)
        runs = any(value is not None for value in found)
        drawn[column] = (values if signed else np.abs(values)).tolist() if runs else [None] * DRAWN
    return drawn


def _score(
    program: Program, of_column: Mapping[Node, Sequence[float | None]], places: Sequence[int]
) -> float | None:
    values: dict[Node, Array] = {}
    for column, found in of_column.items():
        chosen = [value for place in places if (value := found[place]) is not None]
        if len(chosen) < len(places):
            return None
        values[column] = np.array(chosen)
    return Columns(program, values, {name: _known(name, places) for name in program.known}).score()


def _known(name: str, places: Sequence[int]) -> float:
    """What stands for a count, or for the score by a known proxy: a number like one, the same at every call."""
    if name == INSTANCES:
        return float(len(places))
    own = np.random.default_rng([_SEED, *name.encode(), *places])
    return float(10.0 ** own.uniform(0.0, 3.0))


def _value(tree: Node, probe: dict[str, Tensor]) -> float | None:
    try:
        return float(apply_node(tree, probe))
    except EvaluationError:
        return None


def _probe(layout: ProbeLayout, generator: np.random.Generator) -> dict[str, Tensor]:
    channels_in, channels_out = layout.channels
    size_in, size_out = layout.size
    shape_in = (layout.batch, channels_in, size_in, size_in)
    shape_out = (layout.batch, channels_out, size_out, size_out)
    shape_weight = (channels_out, channels_in, layout.kernel, layout.kernel)

    def for_each_input(base: str, shape: tuple[int, ...], factor: float) -> dict[str, Array]:
        factor *= 10.0 ** generator.uniform(-layout.spread, layout.spread)
        data, noise, change = (factor * _draw(layout, shape, generator) + 0.0 for _ in INPUTS)  # no -0.0
        return {f"{base}_D": data, f"{base}_N": noise, f"{base}_P": data + 0.3 * change}

    signal = float(layout.signal != "none")
    gradient = float(layout.gradients)
    raw = {"T3": for_each_input("T3", shape_weight, 1.0)["T3_D"]}
    raw |= for_each_input("T1", shape_in, signal)
    raw |= for_each_input("T4", shape_out, signal)
    raw |= for_each_input("T2G", shape_in, gradient)
    raw |= for_each_input("T3G", shape_weight, signal * gradient)
    raw |= for_each_input("T4G", shape_out, gradient)
    for which in INPUTS:
        if layout.signal == "positive":
            raw[f"T1_{which}"] = np.abs(raw[f"T1_{which}"])
        raw[f"T2_{which}"] = np.maximum(raw[f"T1_{which}"], 0.0)
        raw[f"T1G_{which}"] = np.where(raw[f"T1_{which}"] > 0, raw[f"T2G_{which}"], 0.0)
    shapes = {"input": shape_in, "output": shape_out, "weight": shape_weight}
    for row in TENSORS:
        if row.name not in raw:  # none of the paper's, from a stream of its own: it must not move the others
            own = np.random.default_rng([_SEED, *row.name.encode()])
            raw[row.name] = _draw(layout, shapes[row.kind], own)
    seen = {row.name: raw[row.name] - raw[row.reference] if row.reference else raw[row.name] for row in TENSORS}
    return {name: torch.from_numpy(values) for name, values in seen.items()}


def _draw(layout: ProbeLayout, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    if layout.scale is None:
        values = 10.0 ** generator.uniform(-3.0, 3.0, shape) * generator.choice((-1.0, 1.0), shape)
    else:
        values = layout.scale * generator.standard_normal(shape)
    return np.where(generator.random(shape) < layout.zeros, 0.0, values)
