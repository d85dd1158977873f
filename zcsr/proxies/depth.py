"""How many layers lie one behind the other in a network."""

from __future__ import annotations

from torch import Tensor, nn

from zcsr.networks.counts import depth_of
from zcsr.proxies.proxy import proxy


@proxy(
    measures="most convolutional and linear layers on any way from the images to the logits",
    source="the depth of a network, without normalisation, activations and pooling",
    counts=True,
)
def depth(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the most convolutions and products of matrices on a way from the images to the logits; 0 without one.

    Ways are those of autograd's graph of the logits, so it does not matter what modules do it, and a part that the
    logits do not depend on counts nothing; a layer that runs twice counts twice. A way ends at what is multiplied
    by the number 0, as it is on an edge "none" of a cell. A product counts that is called as one, attention's too;
    torch's fused attention does not. Only the images' shape matters.
    """
    return depth_of(network, images)
