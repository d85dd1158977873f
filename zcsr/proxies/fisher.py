"""How much the loss depends on each channel being there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zcsr.proxies._common import cross_entropy, gradients, total, weighted_layers
from zcsr.proxies.proxy import proxy


@proxy(
    measures="the Fisher information of each output channel, summed over weights",
    source="Turner et al., BlockSwap, ICLR 2020; summed over weights as in Abdelfattah et al., ICLR 2021",
)
def fisher(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the summed information of the channels of all Conv2d and Linear layers' outputs; never negative.

    With a the output of a layer and g the gradient of the minibatch's mean cross-entropy for it, a channel's
    information is half the mean over images of (sum over positions of a * g)^2. As in the release of Abdelfattah
    et al. it counts once for each weight that makes the channel, without bias: in channels of its group times
    kernel size; Theis and Turner count it once. A layer that no gradient reaches counts 0.
    """
    outputs: list[Tensor] = []
    layers: list[nn.Conv2d | nn.Linear] = []

    def keep(layer: nn.Conv2d | nn.Linear, inputs: Any, output: Tensor) -> Tensor:  # noqa: ARG001
        if output.requires_grad:
            layers.append(layer)
            outputs.append(output)
        return output.clone()  # what follows may work in place

    for layer in weighted_layers(network):
        layer.register_forward_hook(keep)
    slopes = gradients(cross_entropy(network, images, labels), outputs)
    return total([_information(*called) for called in zip(layers, outputs, slopes, strict=True)])


def _information(layer: nn.Conv2d | nn.Linear, output: Tensor, slope: Tensor) -> Tensor:
    """What each channel counts, [channels]."""
    axis = 1 if isinstance(layer, nn.Conv2d) else -1
    products = (output * slope).detach().movedim(axis, 1)
    by_channel = products.reshape(*products.shape[:2], -1).sum(2, dtype=torch.float64)
    return by_channel.square().mean(0) / 2 * layer.weight[0].numel()
