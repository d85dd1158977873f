"""How deep a network is."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zcsr.proxies.proxy import proxy

_WEIGHTED = ("ConvolutionBackward", "AddmmBackward", "MmBackward", "BmmBackward")
"""How autograd's graph calls the steps back through convolutions and linear layers."""


@proxy(
    measures="most convolutions and matrix products on a way from the images to the logits",
    source="the length of the longest path in the graph of the computation",
)
def depth(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the most convolutions and matrix products on any way through the network.

    Only the images' shape matters. A layer that runs twice one after the other counts twice; of layers side by side
    the longer way counts. 0 where no weighted layer leads to the logits.
    """
    network.eval()  # a BatchNorm in training refuses a single value a channel
    logits = network(images[:1].requires_grad_())
    return float(_longest(logits.grad_fn))


def _longest(end: Any) -> int:
    """The most weighted steps on a way that begins at a node of the graph, without recursion: graphs are deep."""
    known: dict[Any, int] = {}
    pending = [end] if end is not None else []
    while pending:
        node = pending[-1]
        before = [other for other, _ in node.next_functions if other is not None]
        unknown = [other for other in before if other not in known]
        if unknown:
            pending += unknown
            continue
        pending.pop()
        known[node] = max((known[other] for other in before), default=0) + node.name().startswith(_WEIGHTED)
    return known.get(end, 0)
