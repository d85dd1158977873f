"""What several proxies share: the loss, the layers and their weights, gradients that are never missing, ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.networks.initialisation import fill
from zcsr.networks.trace import RECTIFIERS, SMOOTH, Watch

_Norm = nn.modules.batchnorm._BatchNorm | nn.GroupNorm


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


def gradients(value: Tensor, inputs: Sequence[Tensor], along: Tensor | None = None, **kept: bool) -> list[Tensor]:
    """Return the gradient of a scalar, or of the sum of `along` times `value`, for each input.

    Zeros for those that it does not depend on. `kept` is what torch may keep: retain_graph, create_graph.
    """
    if not (value.requires_grad and inputs and all(tensor.requires_grad for tensor in inputs)):
        return [torch.zeros_like(tensor) for tensor in inputs]
    return list(torch.autograd.grad(value, inputs, along, allow_unused=True, materialize_grads=True, **kept))


def loss_gradients(
    network: nn.Module, images: Tensor, labels: Tensor, create_graph: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the `layer_weights` and the gradient of the minibatch's cross-entropy for each."""
    weights = layer_weights(network)
    return weights, gradients(cross_entropy(network, images, labels), weights, create_graph=create_graph)


def saliency(weights: Sequence[Tensor], slopes: Sequence[Tensor]) -> float:
    """Return the sum of |weight * slope| over all elements."""
    return total([(weight * slope).abs() for weight, slope in zip(weights, slopes, strict=True)])


def total(terms: Sequence[Tensor]) -> float:
    """Return the sum of all elements of all terms, accumulated in float64; 0 for no terms."""
    return sum(term.sum(dtype=torch.float64).item() for term in terms)


he_fan_in = partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu")
"""Draws from N(0, 2 / fan-in)."""


@torch.no_grad()
def redraw(network: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
    """Draw every weight of Conv2d and Linear layers anew, in place, from torch's own generator.

    Their biases become 0; BatchNorms and GroupNorms get weight 1 and bias 0. Other parameters stay as they are.
    """
    for layer in weighted_layers(network):
        draw(layer.weight)
        fill(layer.bias, 0.0)
    for module in network.modules():
        if isinstance(module, _Norm):
            fill(module.weight, 1.0)
            fill(module.bias, 0.0)


def rectifies(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Return whether a call is one of a rectifier: what is below 0 becomes 0, or smaller."""
    if func is F.hardtanh:  # what an nn.ReLU6 calls
        return bool((args[1] if len(args) > 1 else options.get("min_val", -1.0)) == 0)
    return func in RECTIFIERS


class UnitsOn(Watch):
    """Tells, while a network runs on `count` inputs, which units of each rectifier have inputs > 0: [count, units].

    Rectifiers are found however they are called, as modules or as functions: relu, relu6, leaky_relu, rrelu, prelu,
    in place or not. One counts each time it is called, if its input has an entry for each of the network's. A
    network with activations of which none is a rectifier is refused in the name of `proxy` at the end.
    """

    def __init__(self, proxy: str, count: int, take: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._proxy, self._count, self._take = proxy, count, take
        self._found = False
        self._others: dict[str, None] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if rectifies(func, args, options):
            self._found = True
            taken = first_input(args, options)
            if len(taken) == self._count:
                self._take(taken.flatten(1) > 0)
        elif func in SMOOTH:
            self._others.setdefault(func.__name__)
        return func(*args, **options)

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        if self._others and not self._found and raised[0] is None:
            raise InputError(
                f"{self._proxy} looks at which units of rectifiers (relu, relu6, leaky_relu, rrelu, prelu) are on, "
                f"and the network has none: its activations are {', '.join(self._others)}"
            )
