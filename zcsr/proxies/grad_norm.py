"""How large the gradients of the weights are."""

from __future__ import annotations

from torch import Tensor, nn

from zcsr.proxies._common import loss_gradients, total
from zcsr.proxies.proxy import proxy


@proxy(
    measures="the norms of the weights' gradients, summed over layers",
    source="Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021",
)
def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of |dL/dw|_2 over the weights w of all Conv2d and Linear layers; never negative.

    L is the mean cross-entropy of the minibatch. Biases and BatchNorms do not count; a layer that no gradient
    reaches counts 0.
    """
    _, slopes = loss_gradients(network, images, labels)
    return total([slope.norm() for slope in slopes])
