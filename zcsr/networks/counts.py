"""What can be counted of a network without data: parameters, operations and layers.

`zcsr.export.python_file` copies these functions.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def parameters_of(network: nn.Module) -> float:
    """Return the number of elements of all parameters, frozen ones included; a shared one counts once."""
    return float(sum(parameter.numel() for parameter in network.parameters()))


def flops_of(network: nn.Module, images: Tensor) -> float:
    """Return the operations of a forward pass of the first image, as `zcsr.proxies.flops` counts them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images[:1])
    return float(counter.get_total_flops())


def depth_of(network: nn.Module, images: Tensor) -> float:
    """Return the most layers on a way from the first image to the logits; see `zcsr.proxies.depth`."""
    with torch.enable_grad():
        start = images[:1].detach().requires_grad_().clone()  # what follows may work in place
        return float(max(0, layers_between(start.grad_fn, network(start).grad_fn)))


def layers_between(entry: Any, last: Any) -> int:
    """Return the most layers on a way from one node of autograd's graph to another; -1 where there is none."""
    layer = re.compile(r"\w*Conv\w*|(Add|Badd?)?b?mmBackward0|LinearBackward0", re.IGNORECASE)
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
                carries = longest >= 0 and not multiplies_by_zero(node)
                most[node] = longest + bool(layer.fullmatch(node.name())) if carries else -1
    return most[last]


def multiplies_by_zero(node: Any) -> bool:
    """Return whether a node of autograd's graph is a product with the number 0."""
    factor = node._saved_other if node.name() == "MulBackward0" else None
    return isinstance(factor, Tensor) and factor.ndim == 0 and not bool(factor)
