"""Summaries of a network's tensors as programs see them: one row for each layer and tensor, for SQL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor

from zcsr.program import TENSOR_NAMES
from zcsr.statistics import NetworkStatistics

CANCELLED = 1e-3
"""Of the mean square: a smaller variance is not trusted as its difference from the squared mean."""

SUMMARY_SCHEMA = pl.Schema(
    {
        "collection": pl.String,
        "space": pl.String,
        "dataset": pl.String,
        "arch": pl.String,
        "layer": pl.Int32,
        "module": pl.String,
        "tensor": pl.String,
        "shape": pl.String,
        "numel": pl.Int64,
        "mean": pl.Float64,
        "std": pl.Float64,
        "min": pl.Float64,
        "max": pl.Float64,
        "l1": pl.Float64,
        "l2": pl.Float64,
        "fraction_positive": pl.Float64,
        "fraction_zero": pl.Float64,
        "non_finite": pl.Int64,
    }
)


def summaries(network: NetworkStatistics, names: Mapping[str, str]) -> pl.DataFrame:
    """The rows of a network, with the columns of `SUMMARY_SCHEMA`; `names` gives collection, space and dataset."""
    known: dict[tuple[int, ...], tuple[Any, ...]] = {}
    rows = []
    for instance in network.instances:
        for name in TENSOR_NAMES:
            measured = _measured(instance.raw, name)
            key = tuple(map(id, measured))
            if key not in known:
                known[key] = summarise(_as_seen(measured).detach().numpy())
            rows.append((instance.layer, instance.module, name, *known[key]))
    constant = {**names, "arch": network.arch}
    schema = {name: dtype for name, dtype in SUMMARY_SCHEMA.items() if name not in constant}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("layer", maintain_order=True)
    keys = [pl.lit(value, dtype=pl.String).alias(name) for name, value in constant.items()]
    return frame.with_columns(keys).select(list(SUMMARY_SCHEMA))


def _measured(raw: Mapping[str, Tensor], name: str) -> tuple[Tensor, ...]:
    """The tensor of a name, and for a P tensor the one that programs see it as the difference from."""
    return (raw[name], raw[f"{name[:-1]}D"]) if name.endswith("_P") else (raw[name],)


def _as_seen(measured: tuple[Tensor, ...]) -> Tensor:
    # Not the instance's own difference, which it would keep: together they are a third of a network's memory.
    return measured[0] - measured[1] if len(measured) > 1 else measured[0]


def summarise(values: npt.NDArray[np.floating[Any]]) -> tuple[Any, ...]:
    """The columns of `SUMMARY_SCHEMA` from shape on, for one tensor.

    `std` is the population's, `l1` the sum of absolute values, `l2` the root of the sum of squares. From `mean` to
    `fraction_zero` all are over the finite values, accumulated in float64, and None where there are none.
    """
    shape = "x".join(map(str, values.shape)) or "scalar"
    flat = values.ravel()
    with np.errstate(all="ignore"):
        total = flat.sum(dtype=np.float64)
        finite = flat if np.isfinite(total) else flat[np.isfinite(flat)]
        moments = _moments(finite) if finite.size else (None,) * 8
    return (shape, flat.size, *moments, flat.size - finite.size)


def _moments(finite: npt.NDArray[np.floating[Any]]) -> tuple[float, ...]:
    count = finite.size
    wide = finite.astype(np.float64)
    mean = float(wide.sum()) / count
    square = float(np.square(wide).sum()) / count
    variance = square - mean * mean
    if variance < square * CANCELLED:
        variance = float(np.square(wide - mean).sum()) / count
    return (
        mean,
        math.sqrt(variance),
        float(finite.min()),
        float(finite.max()),
        float(np.abs(wide, out=wide).sum()),
        math.sqrt(square * count),
        np.count_nonzero(finite > 0) / count,
        (count - np.count_nonzero(finite)) / count,
    )


def difference(stored: pl.DataFrame, again: pl.DataFrame) -> str | None:
    """What distinguishes two summaries of one network beyond rounding; None when nothing does."""
    if stored.height != again.height:
        return f"it has {stored.height} rows of summaries, its values give {again.height}"
    scale = np.maximum(again["min"].abs().to_numpy(), again["max"].abs().to_numpy())
    for name, dtype in SUMMARY_SCHEMA.items():
        equal = stored[name].eq_missing(again[name]).to_numpy()
        if dtype == pl.Float64:
            distance = np.abs(stored[name].to_numpy() - again[name].to_numpy())
            equal = equal | (distance <= 1e-9 * np.abs(again[name].to_numpy()) + 1e-12 * scale)
        if not equal.all():
            row = again.row(int(np.argmin(equal)), named=True)
            return f"{name} of layer {row['layer']} {row['tensor']} is not that of its values"
    return None
