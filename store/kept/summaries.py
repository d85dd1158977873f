"""Summaries of a network's tensors as programs see them: one row for each layer and tensor, for SQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from zcsr.language.tensors import TENSORS
from zcsr.networks.instances import NetworkStatistics
from zcsr.store.tables.declarations import SUMMARIES
from zcsr.store.tables.frames import schema_of

Values = npt.NDArray[np.float64]
Stack = npt.NDArray[np.floating]
"""Tensors, [tensors, elements], in their own precision."""

CANCELLED = 1e-3
"""Of the mean square: a smaller variance is not trusted as its difference from the squared mean."""

STACKED_ELEMENTS = 1 << 17
"""Tensors of a shape are summarised together up to so many elements, which stay in the processor's cache."""

SUMMARY_SCHEMA = schema_of(SUMMARIES)


def summaries(network: NetworkStatistics, names: Mapping[str, str]) -> pl.DataFrame:
    """The rows of a network, with the columns of `SUMMARY_SCHEMA`; `names` gives collection, space and dataset.

    A tensor that the network has none of has no row.
    """
    distinct: dict[_Key, _Measured] = {}
    places = []
    for instance in network.instances:
        for tensor in (tensor for tensor in TENSORS if tensor.name in instance.raw):
            measured = tuple(instance.raw[name] for name in (tensor.name, tensor.reference) if name)
            key = tuple(map(id, measured))
            distinct.setdefault(key, measured)
            places.append((instance.layer, instance.module, tensor.name, key))
    known = dict(_summarised(distinct))
    rows = [(layer, module, name, *known[key]) for layer, module, name, key in places]
    constant = {**names, "arch": network.arch}
    schema = {name: dtype for name, dtype in SUMMARY_SCHEMA.items() if name not in constant}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("layer", maintain_order=True)
    keys = [pl.lit(value, dtype=pl.String).alias(name) for name, value in constant.items()]
    return frame.with_columns(keys).select(list(SUMMARY_SCHEMA))


_Measured = tuple[Tensor, ...]
"""A tensor, and the one that programs see it as the difference from, if any."""
_Key = tuple[int, ...]
"""The identities of a `_Measured`."""


def _as_seen(alike: Sequence[_Measured]) -> Stack:
    """Tensors of one shape as programs see them, [tensors, elements]."""
    # Not the instances' own differences, which they would keep: together they are a third of a network's memory.
    seen = [of[0] - of[1] if len(of) > 1 else of[0] for of in alike]
    stack: Stack = torch.stack(seen).detach().reshape(len(seen), seen[0].numel()).numpy()
    return stack


def _summarised(distinct: Mapping[_Key, _Measured]) -> Iterator[tuple[_Key, tuple[Any, ...]]]:
    """The columns of `SUMMARY_SCHEMA` from shape on for every tensor, a stack of those of one shape at a time."""
    alike: dict[tuple[int, ...], list[_Key]] = {}
    for key, measured in distinct.items():
        alike.setdefault(tuple(measured[0].shape), []).append(key)
    for shape, keys in alike.items():
        text = "x".join(map(str, shape)) or "scalar"
        together = max(1, STACKED_ELEMENTS // max(1, math.prod(shape)))
        for start in range(0, len(keys), together):
            taken = keys[start : start + together]
            for key, columns in zip(taken, summarise(_as_seen([distinct[key] for key in taken])), strict=True):
                yield key, (text, *columns)


def summarise(stack: Stack) -> list[tuple[Any, ...]]:
    """The columns of `SUMMARY_SCHEMA` from numel on for each tensor of a stack, [tensors, elements].

    `std` is the population's, `l1` the sum of absolute values, `l2` the root of the sum of squares. From `mean` to
    `fraction_zero` all are over the finite values, in float64, and None where there are none.
    """
    count = stack.shape[1]
    with np.errstate(all="ignore"):
        wide = stack.astype(np.float64)
        sums = wide.sum(1)
        if count and np.isfinite(sums).all():
            return [(count, *moments, 0) for moments in _moments(stack, wide, sums)]
        return [_of_finite(tensor) for tensor in wide]


def _of_finite(tensor: Values) -> tuple[Any, ...]:
    finite = tensor[np.isfinite(tensor)][np.newaxis]
    moments = next(_moments(finite, finite, finite.sum(1))) if finite.size else (None,) * 8
    return (tensor.size, *moments, tensor.size - finite.size)


def _moments(stack: Stack, wide: Values, sums: Values) -> Iterator[tuple[float, ...]]:
    """The moments of tensors that are finite; `wide` holds the same numbers, and `sums` their sums."""
    count = stack.shape[1]
    means = sums / count
    scratch = np.square(wide)
    squares = scratch.sum(1) / count
    variances = squares - means * means
    for place in np.flatnonzero(variances < squares * CANCELLED):
        variances[place] = np.square(wide[place] - means[place]).sum() / count
    columns = (
        means,
        np.sqrt(variances),
        stack.min(1),
        stack.max(1),
        np.abs(wide, out=scratch).sum(1),
        np.sqrt(squares * count),
        _shares(stack > 0),
        _shares(stack == 0),
    )
    return zip(*(column.tolist() for column in columns), strict=True)


def _shares(holds: npt.NDArray[np.bool_]) -> Values:
    """The share of each row that holds."""
    shares: Values = np.array([np.count_nonzero(row) for row in holds]) / holds.shape[1]
    return shares


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
