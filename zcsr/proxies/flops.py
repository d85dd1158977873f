"""How much a network computes for one image."""

from __future__ import annotations

from torch import Tensor, nn

from zcsr.networks.counts import flops_of
from zcsr.proxies.proxy import proxy


@proxy(
    measures="floating-point operations of the forward pass of one image",
    source="torch.utils.flop_counter: convolutions and matrix products, 2 for a multiply-add",
    counts=True,
)
def flops(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the operations for the first image.

    A multiply-add counts as 2, where many papers count 1. Convolutions and matrix products count, attention's too;
    normalisation, activations, pooling, sums and biases do not. Only the images' shape matters.
    """
    return flops_of(network, images)
