"""How many layers lie one behind the other in a network."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from zcsr.proxies.proxy import proxy

_LAYER = re.compile(r"\w*Conv\w*|(Add|Badd?)?b?mmBackward0|LinearBackward0", re.IGNORECASE)
"""The nodes of autograd's graph that are a convolution or a product of matrices."""


@proxy(
    measures="most convolutional and linear layers on any way from the images to the logits",
    source="the depth of a network, without normalisation, activations and pooling",
)
def depth(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the most convolutions and products of matrices on a way from the images to the logits; 0 without one.

    Ways are those of autograd's graph of the logits, so it does not matter what modules do it, and a part that the
    logits do not depend on counts nothing; a layer that runs twice counts twice. A way ends at what is multiplied
    by the number 0, as it is on an edge "none" of a cell. A product counts that is called as one, attention's too;
    torch's fused attention does not. Only the images' shape matters.
    """
    network.eval()  # a BatchNorm in training refuses a single value a channel
    start = images[:1].requires_grad_().clone()  # what follows may work in place
    entry = start.grad_fn
    return float(max(0, _layers_between(entry, network(start).grad_fn)))


def _layers_between(entry: Any, last: Any) -> int:
    """The most layers on a way from one node of the graph to another; -1 where there is none."""
    most = {None: -1, entry: 0}  # each node has the most of those before it, and its own
    pending = [last]
    while pending:
        node = pending[-1]
        before = [] if node in most else [earlier for earlier, _ in node.next_functions]
        unknown = [earlier for earlier in before if earlier not in most]
        pending += unknown
        if not unknown:
            pending.pop()
            if node not in most:
                longest = max((most[earlier] for earlier in before), default=-1)
                carries = longest >= 0 and not _by_zero(node)
                most[node] = longest + bool(_LAYER.fullmatch(node.name())) if carries else -1
    return most[last]


def _by_zero(node: Any) -> bool:
    factor = node._saved_other if node.name() == "MulBackward0" else None
    return isinstance(factor, Tensor) and factor.ndim == 0 and not factor
