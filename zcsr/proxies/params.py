"""How many parameters a network has."""

from __future__ import annotations

from torch import Tensor, nn

from zcsr.networks.counts import parameters_of
from zcsr.proxies.proxy import proxy


@proxy(
    measures="the number of parameters",
    source="as NAS benchmarks count: weights and biases of every layer, BatchNorm's too; no buffers",
    counts=True,
)
def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the number of parameters, frozen ones too; one that several layers share counts once."""
    return parameters_of(network)
