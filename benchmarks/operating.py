"""The operations on an instance that the paper lacks, each beside a line of plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from measuring import Pair, in_turns
from rows import Report, Row, Table, seconds
from setting import Setting
from torch import Tensor

from zcsr.language.instance_operations import INSTANCE_OPERATIONS
from zcsr.language.operations import Operation

IMAGES, INSTANCES, CELLS = 4, 6, 3
"""Images in a minibatch, instances in a stack, and how often all stacks are taken to measure a time."""

MOST = 2
"""How many times the plain lines' time all together may take."""

STAGES = ((16, 32), (32, 16), (64, 8))
"""Channels and pixels of the stages of NAS-Bench-201."""


def _rows(a: Tensor) -> Tensor:
    return a.flatten(1)


def _spectrum(a: Tensor) -> Tensor:
    values = torch.linalg.eigvalsh(torch.cov(_rows(a)))
    return values / values.sum()


def _participation(covariance: Tensor) -> Tensor:
    return covariance.trace() ** 2 / covariance.square().sum()


PLAIN: Mapping[str, Callable[..., Any]] = {
    "channels/activations": lambda a: a.transpose(0, 1).flatten(1),
    "channels/weights": _rows,
    "samples": _rows,
    "maps": lambda a: a.flatten(2).flatten(0, 1),
    "centre": lambda a: a - _rows(a).mean(1).view(-1, *[1] * (a.ndim - 1)),
    "gram": lambda a: _rows(a) @ _rows(a).T,
    "row_sums": lambda a: _rows(a).sum(1),
    "effective_rank": lambda a: _participation(torch.cov(_rows(a))),
    "spectral_entropy": lambda a: torch.special.entr(_spectrum(a)).sum(),
    "largest_share": lambda a: _spectrum(a)[-1],
    "nuclear_norm": lambda a: torch.linalg.matrix_norm(_rows(a), "nuc"),
    "logdet_gram": lambda a: torch.logdet(_rows(a) @ _rows(a).T),
    "agreement": lambda a: ((_rows(a)[:, None] > 0) == (_rows(a) > 0)).sum(2),
    "patterns": lambda a: torch.unique(_rows(a) > 0, dim=1).shape[1],
    "sum": torch.sum,
    "std": lambda a: a.std(correction=0),
    "largest": torch.amax,
    "smallest": torch.amin,
    "median": lambda a: a.flatten().quantile(0.5),
    "quantile_10": lambda a: a.flatten().quantile(0.1),
    "quantile_25": lambda a: a.flatten().quantile(0.25),
    "quantile_75": lambda a: a.flatten().quantile(0.75),
    "quantile_90": lambda a: a.flatten().quantile(0.9),
    "fraction": lambda a: (a > 0).to(a.dtype).mean(),
    "sqrt": torch.sqrt,
    "div": torch.div,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
}
"""What a user of torch writes for one tensor, by the operation's name, and of what it is where two share that."""


def measure(setting: Setting) -> Report:
    """The time of each operation, a tensor, beside the plain line's."""
    found = {label: _compared(operation, PLAIN[label], setting) for label, operation in labelled().items()}
    table = Table(
        "What an operation that the paper lacks takes, a tensor of the stages of NAS-Bench-201 (batch size "
        f"{IMAGES}, operations on rows: a row for each channel; weights: of 3x3 convolutions), "
        "beside a line of plain torch.",
        ("operation", "plain torch", "ours", "ratio"),
        [
            (label, seconds(pair.reference), seconds(pair.ours), f"{pair.ratio:.2f}x")
            for label, pair in found.items()
        ],
    )
    plain, ours = (sum(getattr(pair, side) for pair in found.values()) for side in ("reference", "ours"))
    what = f"{len(found)} operations that the paper lacks, once each on a tensor of NAS-Bench-201"
    row = Row(
        what,
        f"{seconds(plain)} (plain torch)",
        seconds(ours),
        plain / ours,
        target=f"under {MOST:g} times plain torch",
        met=ours < MOST * plain,
    )
    return Report([row], tables=[table])


def labelled() -> dict[str, Operation]:
    """The operations by the names that `PLAIN` has."""
    return {one.name + (f"/{one.of}" if one.of else ""): one for one in INSTANCE_OPERATIONS}


def _compared(operation: Operation, plain: Callable[..., Any], setting: Setting) -> Pair:
    stacks = [_arguments(operation, channels, pixels) for channels, pixels in STAGES]
    apart = [list(zip(*stack, strict=True)) for stack in stacks]
    count = CELLS * INSTANCES * len(STAGES)

    @torch.inference_mode()
    def reference() -> None:
        for _ in range(CELLS):
            for tensors in apart:
                for arguments in tensors:
                    plain(*arguments)

    @torch.inference_mode()
    def ours() -> None:
        for _ in range(CELLS):
            for stack in stacks:
                operation.stacked(*stack)

    pair = in_turns(reference, ours, setting.sizes.repeats)
    return Pair(pair.reference / count, pair.ours / count)


def _arguments(operation: Operation, channels: int, pixels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(channels)
    if operation.of == "weights":
        shape: tuple[int, ...] = (INSTANCES, channels, channels, 3, 3)
    elif operation.name in ("channels", "samples", "maps"):
        shape = (INSTANCES, IMAGES, channels, pixels, pixels)
    else:
        shape = (INSTANCES, channels, IMAGES * pixels * pixels)
    return [torch.randn(shape, generator=generator) for _ in range(operation.arity)]
