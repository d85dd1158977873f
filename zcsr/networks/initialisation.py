"""Weights as EZNAS draws them before it looks at a network, and the seeded streams that randomness comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

LINEAR_STD = 0.01


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """Return a generator on the processor that is seeded by `seed` and `purpose` together.

    One seed so gives independent streams, one for each purpose: the generator's seed is the first 63 bits of
    the SHA-256 of `"{seed}/{purpose}"`.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """torch's own generator at `seed` in the body, for code that draws from it, and afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Set the weights of `model` in place, by the rules of EZNAS's release.

    Conv2d, and so Conv1d and Conv3d: He normal (fan-out, ReLU), bias 0. BatchNorm: weight 1, bias 0. Linear: weight
    N(0, 0.01^2), bias 0. Other parameters (`kept`), and buffers, stay as they are; so does whether a parameter
    requires a gradient. Every draw comes from `generator`, module by module in the order of registration.
    """
    for module in model.modules():
        match module:
            case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
                fill(module.bias, 0.0)
            case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d() | nn.SyncBatchNorm():
                fill(module.weight, 1.0)
                fill(module.bias, 0.0)
            case nn.Linear():
                nn.init.normal_(module.weight, mean=0.0, std=LINEAR_STD, generator=generator)
                fill(module.bias, 0.0)


_DRAWN = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
)


def kept(model: nn.Module) -> tuple[str, ...]:
    """Return the paths of the parameters of `model` that `initialise` leaves as they are.

    Such are those of attention, embeddings, other norms, transposed convolutions, of a user's own modules, and what
    a weight norm or another parametrisation computes a weight from.
    """
    drawn = {
        id(module._parameters.get(name))
        for module in model.modules()
        if isinstance(module, _DRAWN)
        for name in ("weight", "bias")
    }
    return tuple(name for name, parameter in model.named_parameters() if id(parameter) not in drawn)


def fill(parameter: torch.Tensor | None, value: float) -> None:
    """Set all of a parameter, where a module has it."""
    if parameter is not None:  # bias=False, or affine=False
        nn.init.constant_(parameter, value)
