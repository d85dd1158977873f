"""What tests of networks count and show them."""

from __future__ import annotations

import torch
from torch import nn


def parameter_count(network: nn.Module) -> int:
    """The number of parameters, those of a module that stands in several places once for each."""
    return sum(p.numel() for _, p in network.named_parameters(remove_duplicate=False))


def random_images(count: int, channels: int, size: int) -> torch.Tensor:
    """Normally distributed images, always the same."""
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(1))
