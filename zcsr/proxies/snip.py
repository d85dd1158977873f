"""How much the loss depends on each weight being there."""

from __future__ import annotations

from torch import Tensor, nn

from zcsr.proxies._common import loss_gradients, saliency
from zcsr.proxies.proxy import proxy


@proxy(
    measures="the connection sensitivity |w dL/dw|, summed over weights",
    source="Lee et al., SNIP, ICLR 2019; summed, and not normalised, as in Abdelfattah et al., ICLR 2021",
)
def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of |w * dL/dw| over the weights w of all Conv2d and Linear layers; never negative.

    L is the mean cross-entropy of the minibatch. Biases and BatchNorms do not count; a layer that no gradient
    reaches counts 0. SNIP divides each sensitivity by their sum, which would make every network's score 1; the
    weights are drawn as the network's builder did, not by SNIP's own variance scaling.
    """
    return saliency(*loss_gradients(network, images, labels))
