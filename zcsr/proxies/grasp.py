"""How much each weight serves the flow of gradients."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zcsr.proxies._common import gradients, loss_gradients, total
from zcsr.proxies.proxy import proxy


@proxy(
    measures="-w (H g), what each weight does for the gradient's norm, summed over weights",
    source="Wang et al., GraSP, ICLR 2020; sign, and no temperature, as in Abdelfattah et al., ICLR 2021",
)
def grasp(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum of -w * (H g) over the weights w of all Conv2d and Linear layers; of either sign.

    g is the gradient of the mean cross-entropy of the minibatch for these weights, and H its Hessian for them, so
    that H g is half the gradient of |g|^2. GraSP divides the logits by a temperature of 200 and prunes the weights
    with the largest -w * (H g); Abdelfattah et al. divide by nothing, and found that accuracy grows with the sum.
    """
    with sdpa_kernel(SDPBackend.MATH):  # torch's fused attention has no second derivative
        weights, slopes = loss_gradients(network, images, labels, create_graph=True)
    products = [(slope.detach() * slope).sum() for slope in slopes]
    curved = gradients(sum(products, start=images.new_zeros(())), weights)
    return total([-weight * curve for weight, curve in zip(weights, curved, strict=True)])
