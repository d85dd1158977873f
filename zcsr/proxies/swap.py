"""How many patterns the ReLUs of a network make of a minibatch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zcsr.language.matrices import distinct_columns
from zcsr.proxies._common import UnitsOn
from zcsr.proxies.params import params
from zcsr.proxies.proxy import proxy

_SOURCE = "Peng et al., SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS, ICLR 2024"

MU, SIGMA = 1.0, 1.0
"""The size that `swap_regularised` favours, in millions of parameters, and how far it reaches, in their square."""


@proxy(measures="number of different patterns, over the images, of the values of all ReLUs", source=_SOURCE)
def swap(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the number of sample-wise activation patterns: 0 without a ReLU, and at most 2 to the images.

    Each value that a ReLU gives has a pattern: for which of the images it is above 0. The patterns of all ReLUs are
    taken together, and equal ones count once. A ReLU, or another rectifier, counts each time it is called,
    module or function, if its input has an entry for each image; the release counts modules alone, and maps alone,
    and has the mean over 32 draws of the weights. BatchNorms are in training.
    """
    units = [torch.zeros(len(images), 0, dtype=torch.bool)]
    with torch.no_grad(), UnitsOn("swap", len(images), units.append):
        network(images)
    return distinct_columns(torch.cat(units, 1))


@proxy(
    measures="swap, times a bell curve of the number of parameters",
    source=f"{_SOURCE}; around one million parameters",
)
def swap_regularised(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return `swap` times exp(-(theta - mu)^2 / sigma), with theta the number of parameters.

    The paper chooses mu and sigma for each space and each size that is wanted, and the release has no default: its
    mu and sigma are `None`, and the factor then 1. Here theta is in millions, where the release has thousands, and
    mu and sigma are 1 (`MU`, `SIGMA`): a size within the spaces of cells for CIFAR-10, and a bell so wide that the
    factor is above 0, in float64, up to 27 million parameters.
    """
    return swap.measure(network, images, labels) * size_factor(params.measure(network, images, labels))


def size_factor(parameters: float, mu: float = MU, sigma: float = SIGMA) -> float:
    """Return exp(-(theta - mu)^2 / sigma), with theta, mu and the root of sigma in millions of parameters."""
    return math.exp(-((parameters / 1e6 - mu) ** 2) / sigma)
