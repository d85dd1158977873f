"""What tests of networks count and show them."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from zcsr.networks.images import ImageSet
from zcsr.spaces import nasbench201_network as nasbench201


def parameter_count(network: nn.Module) -> int:
    """The number of parameters, those of a module that stands in several places once for each."""
    return sum(p.numel() for _, p in network.named_parameters(remove_duplicate=False))


def build_equal_parts_once(patch: pytest.MonkeyPatch) -> None:
    """Let networks of cells share their equal parts, so that many are built in little time; `patch` ends it."""
    for part in ("_edge", "Cell", "Reduction"):
        patch.setattr(nasbench201, part, functools.lru_cache(4096)(getattr(nasbench201, part)))


def random_images(count: int, channels: int, size: int) -> torch.Tensor:
    """Normally distributed images, always the same."""
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(1))


def noise(count: int, size: int = 16, channels: int = 1, classes: int = 10, seed: int = 0) -> ImageSet:
    """An image set of random bytes, the labels of which take turns."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    return ImageSet("noise", pixels, labels, classes, (0.5,) * channels, (0.25,) * channels)
