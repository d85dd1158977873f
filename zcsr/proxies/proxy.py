"""What every known proxy is: a function of an untrained network, a minibatch and its labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.networks.initialisation import seeded
from zcsr.networks.outputs import no_logits
from zcsr.networks.trace import Watch, by_batch

Measure = Callable[[nn.Module, Tensor, Tensor], float]
"""From a network that it may change, images [b, c, h, w] and labels [b] to a number."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A known zero-cost proxy: call it with a network, a minibatch and its labels; more is always better.

    name: what commands, tables and columns call it
    measures: what it looks at and which way it counts, in a line
    source: the paper, and whose conventions it follows where papers differ
    measure: the function behind it
    counts: whether it is one of the counts, for which values make no difference
    """

    name: str
    measures: str
    source: str
    measure: Measure
    counts: bool = False

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """Return the score of `network` on images, float [b, c, h, w], and labels, int64 [b].

        The network is left as it is: the measure works on a copy whose parameters all take gradients and have none
        yet. It is in evaluation mode, so that dropout does nothing, but BatchNorms use the statistics of the batch
        unless the proxy only counts. The network may be frozen, and gradients may be switched off around the call.
        torch computes with one thread, and what is drawn comes from a seed of its own, so a score is a function of
        the arguments alone. NaN and infinities come back as they are. Raises InputError for labels that are not
        one for each image, for a network that cannot be copied or does not return logits alone, and where a
        BatchNorm sees one value a channel.
        """
        _check_labels(images, labels)
        network = _working_copy(network)
        norms = nullcontext() if self.counts else _BatchStatistics()
        with torch.inference_mode(False), torch.enable_grad(), one_thread(), seeded(), norms:
            return float(self.measure(network, images.detach().clone(), labels.clone()))


def proxy(*, measures: str, source: str, counts: bool = False) -> Callable[[Measure], Proxy]:
    """Make a `Proxy` of the function below, which gives it its name."""
    return lambda measure: Proxy(measure.__name__, measures, source, measure, counts)


def _working_copy(network: nn.Module) -> nn.Module:
    try:
        with torch.inference_mode(False):
            copied = copy.deepcopy(network)
    except RuntimeError as error:
        raise InputError(f"the network cannot be copied, which every proxy works on: {error}") from error
    copied.eval()
    copied.register_forward_hook(_check_output)
    for parameter in copied.parameters():
        parameter.grad = None
        parameter.requires_grad_(True)
    return copied


class _BatchStatistics(Watch):
    """Makes every batch normalisation, of a module or not, use the statistics of the batch."""

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return by_batch(*args, **options) if func is F.batch_norm else func(*args, **options)


def _check_output(_: nn.Module, __: Any, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise InputError(no_logits(output))


def _check_labels(images: Tensor, labels: Tensor) -> None:
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"labels must be int64 [{len(images)}], one for each image, not {labels.dtype} {list(labels.shape)}"
        )
