"""What several proxies share: the loss, the layers, gradients that are never missing, and what a call takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import InputError


def first_input(args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Return the tensor that a call takes first, by its place or by its name."""
    taken: Tensor = args[0] if args else options["input"]
    return taken


def weighted_layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the Conv2d and Linear layers, the only ones whose weights count, in the order of registration."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def layer_weights(network: nn.Module) -> list[Tensor]:
    """Return the weight, without the bias, of every one of `weighted_layers`."""
    return [layer.weight for layer in weighted_layers(network)]


def cross_entropy(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the minibatch, a scalar with its graph.

    Raises InputError for an output that is not logits [b, classes], and for labels that are no such class.
    """
    logits: Tensor = network(images)
    if logits.ndim != 2 or len(logits) != len(labels):
        raise InputError(
            f"the network must map {len(labels)} images to logits [{len(labels)}, classes], "
            f"not to {list(logits.shape)}"
        )
    classes = logits.shape[1]
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise InputError(
            f"labels must lie in 0..{classes - 1}, as the network has {classes} outputs; "
            f"these go from {int(labels.min())} to {int(labels.max())}"
        )
    return F.cross_entropy(logits, labels)


def gradients(value: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """Return the gradient of the scalar `value` for each input: zeros for those that it does not depend on."""
    if not inputs or not value.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    found = torch.autograd.grad(value, inputs, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    return list(found)


def total(terms: Sequence[Tensor]) -> float:
    """Return the sum of all elements of all terms, accumulated in float64; 0 for no terms."""
    return sum(term.sum(dtype=torch.float64).item() for term in terms)
