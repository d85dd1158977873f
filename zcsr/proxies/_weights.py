"""Weights as the proxies draw them that prescribe an initialisation of their own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zcsr.proxies._common import weighted_layers

_Norm = nn.modules.batchnorm._BatchNorm | nn.GroupNorm


def standard_normal(weight: Tensor) -> None:
    """Draw from N(0, 1)."""
    nn.init.normal_(weight)


def he_fan_in(weight: Tensor) -> None:
    """Draw from N(0, 2 / fan-in)."""
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


@torch.no_grad()
def redraw(network: nn.Module, draw: Callable[[Tensor], None]) -> None:
    """Draw every weight of Conv2d and Linear layers anew, in place, from torch's own generator.

    Their biases become 0; BatchNorms and GroupNorms get weight 1 and bias 0. Other parameters stay as they are.
    """
    for layer in weighted_layers(network):
        draw(layer.weight)
        _fill(layer.bias, 0.0)
    for module in network.modules():
        if isinstance(module, _Norm):
            _fill(module.weight, 1.0)
            _fill(module.bias, 0.0)


def _fill(parameter: Tensor | None, value: float) -> None:
    if parameter is not None:  # bias=False, or affine=False
        nn.init.constant_(parameter, value)
