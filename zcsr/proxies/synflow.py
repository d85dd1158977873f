"""How much can flow through a network, whatever the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.networks.trace import Watch
from zcsr.proxies._common import first_input, gradients, layer_weights, rectifies, saliency
from zcsr.proxies.proxy import proxy


@proxy(
    measures="the synaptic flow |w dR/dw| of an all-ones image through absolute weights, summed over weights",
    source="Tanaka et al., SynFlow, NeurIPS 2020; without BatchNorm, as in Abdelfattah et al., ICLR 2021",
)
def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the sum of |w * dR/dw| over the weights w of all Conv2d and Linear layers; never negative.

    Every parameter is replaced by its absolute value, and R is the sum of the outputs for one image of ones. Of
    the images only the shape matters. BatchNorms pass their input on as it is, with which Abdelfattah et al. report
    a Spearman of .74 with accuracy on NAS-Bench-201: scaling each channel back would undo what is measured. All of
    it is computed in float64, as values of 1e30 are common; the sum is not made a logarithm, which ranks alike. It
    is inf, or NaN where an edge multiplies by 0, for networks so deep that float64 overflows. A ReLU6, or another
    rectifier with an upper end, passes on what is above that: it would cut off the flow that is measured.
    """
    return saliency(*_flow(network, images))


@proxy(
    measures="synflow with the logarithm of each gradient, plus 1, in the gradient's place",
    source="Cavagnero et al., FreeREA, WACV 2023, LogSynflow; without BatchNorm",
)
def logsynflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the sum of |w * log(dR/dw + 1)| over the weights of all Conv2d and Linear layers; never negative.

    R and the weights are those of `synflow`. Gradients span tens of powers of ten there, so that synflow's sum is
    that of a few weights; with the logarithm every weight counts. No gradient is negative in a network of
    convolutions and rectifiers; where one is below -1, as LayerNorm and attention have, the score is NaN. It is inf
    or NaN where synflow is.
    """
    weights, slopes = _flow(network, images)
    return saliency(weights, [slope.log1p() for slope in slopes])


def _flow(network: nn.Module, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Make every parameter absolute; return the layers' weights and their gradients of the flow of ones."""
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    weights = layer_weights(network)
    with _Linear():
        flow: Tensor = network(torch.ones_like(images[:1], dtype=torch.float64)).sum()
    return weights, gradients(flow, weights)


class _Linear(Watch):
    """Makes every batch normalisation, of a module or not, return its input, and rectifiers have no upper end."""

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if func is F.batch_norm:
            return first_input(args, options).clone()  # what follows may work in place
        if func is F.relu6 or (func is F.hardtanh and rectifies(func, args, options)):
            return F.relu(first_input(args, options))
        return func(*args, **options)
