"""In how many different ways the units of a network tell images apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zcsr.language.matrices import distinct_columns
from zcsr.proxies._common import UnitsOn
from zcsr.proxies.proxy import proxy


@proxy(
    measures="number of different patterns that ReLU units have over the images",
    source="Peng et al., SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS, ICLR 2024",
)
def swap(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the number of different patterns: the pattern of a unit says of each image whether its input is > 0.

    Units of all ReLUs count together, of layers without maps too, where the release looks at maps alone; ReLUs are
    found as `naswot` finds them. BatchNorms are in training. At most 2^b patterns can differ for b images, so b
    should be 16 or more; the paper takes 16 on cells of NAS-Bench-201. 0 for a network without a ReLU. The paper's
    regularisation by the number of parameters is not in it: it has two constants for each space, chosen by hand.
    """
    patterns: list[Tensor] = []

    with torch.no_grad(), UnitsOn(len(images), patterns.append):
        network(images)
    return distinct_columns(torch.cat(patterns, dim=1)) if patterns else 0.0
