"""What every known proxy is: a function of an untrained network, a minibatch and its labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.networks.initialisation import seeded

Measure = Callable[[nn.Module, Tensor, Tensor], float]
"""From a network that it may change, images [b, c, h, w] and labels [b] to a number."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A known zero-cost proxy: call it with a network, a minibatch and its labels; more is always better.

    name: what commands, tables and columns call it
    measures: what it looks at and which way it counts, in a line
    source: the paper, and whose conventions it follows where papers differ
    measure: the function behind it
    """

    name: str
    measures: str
    source: str
    measure: Measure

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """Return the score of `network` on images, float [b, c, h, w], and labels, int64 [b].

        The network is left as it is: the measure works on a copy, in training mode, whose parameters all take
        gradients and have none yet. It may be frozen, and gradients may be switched off around the call. torch
        computes with one thread, and what is drawn comes from a seed of its own, so a score is a function of
        the arguments alone. NaN and infinities come back as they are. Raises InputError for labels that are not
        one for each image, and for a network that cannot be copied.
        """
        _check_labels(images, labels)
        network = _working_copy(network)
        with torch.inference_mode(False), torch.enable_grad(), one_thread(), seeded():
            return float(self.measure(network, images.detach().clone(), labels.clone()))


def proxy(*, measures: str, source: str) -> Callable[[Measure], Proxy]:
    """Make a `Proxy` of the function below, which gives it its name."""
    return lambda measure: Proxy(measure.__name__, measures, source, measure)


def _working_copy(network: nn.Module) -> nn.Module:
    try:
        with torch.inference_mode(False):
            copied = copy.deepcopy(network)
    except RuntimeError as error:
        raise InputError(f"the network cannot be copied, which every proxy works on: {error}") from error
    copied.train()
    for parameter in copied.parameters():
        parameter.grad = None
        parameter.requires_grad_(True)
    return copied


def _check_labels(images: Tensor, labels: Tensor) -> None:
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"labels must be int64 [{len(images)}], one for each image, not {labels.dtype} {list(labels.shape)}"
        )
