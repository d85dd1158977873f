"""How well the ReLUs of a network tell images apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zcsr.proxies._common import UnitsOn
from zcsr.proxies.proxy import proxy


@proxy(
    measures="log-determinant of how many ReLU units agree, on or off, for each two images",
    source="Mellor et al., Neural Architecture Search without Training, ICML 2021 (NASWOT)",
)
def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return log |det K|: K [b, b] counts, for each two images, the ReLU units with both inputs > 0, or neither.

    Rectifiers are found however they are called, as modules or as functions: relu, relu6, leaky_relu, rrelu, prelu,
    in place or not. One counts each time it is called, if its input has an entry for each image. BatchNorms are in
    training. The score is -inf where two images have the same code in every unit, and where there is no ReLU.
    """
    kernel = images.new_zeros(len(images), len(images), dtype=torch.float64)

    def count(on: Tensor) -> None:
        signs = on.float() * 2 - 1
        kernel.add_((signs @ signs.T + signs.shape[1]) / 2)  # agreements less disagreements, plus all

    with torch.no_grad(), UnitsOn("naswot", len(images), count):
        network(images)
    same_codes = kernel == kernel.diagonal()  # a determinant of 0 that rounding may hide
    if int(same_codes.sum()) > len(images):
        return float("-inf")
    return float(torch.linalg.slogdet(kernel).logabsdet)
