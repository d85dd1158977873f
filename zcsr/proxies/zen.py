"""How much the features of a network answer to a small change of its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.networks.trace import Watch
from zcsr.proxies._common import first_input, redraw
from zcsr.proxies.proxy import proxy

_STEP = 0.01


@proxy(
    measures="log of how far the features move with the input, with what the BatchNorms scale away put back",
    source="Lin et al., Zen-NAS, ICCV 2021 (Zen-score); shortcuts kept, as NAS-Bench-Suite-Zero keeps them",
)
def zen(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return log d + sum of log sqrt(v) over the BatchNorms.

    d is the mean over images of the sum of |f(x) - f(x + 0.01 e)|, as in the release (the paper has the Frobenius
    norm), x and e are N(0, 1) of the images' shape, and only that shape matters. v is the mean over channels of the
    batch variance that a BatchNorm sees for x (the release has a running mean of it). Weights are drawn anew from
    N(0, 1), biases are 0, BatchNorms are in training. The paper takes shortcuts out of the network; they stay here,
    since in a cell of a search space it is not said which edge is one.

    f is what the last linear layer takes, or without one what the network gives, before the poolings, means,
    reshapings and dropouts that lead to it. A BatchNorm that sees no variance, in a dead part, is left out; the
    score is -inf where no change reaches the features.
    """
    redraw(network, nn.init.normal_)
    noise, change = torch.randn_like(images), torch.randn_like(images)
    with torch.no_grad():
        observed, moved = _observe(network, noise), _observe(network, noise + _STEP * change)
    distances = (observed.features - moved.features).abs().flatten(1).sum(1, dtype=torch.float64)
    return distances.mean().log().item() + observed.log_scale


def _observe(network: nn.Module, inputs: Tensor) -> _Observation:
    observation = _Observation()
    with observation:
        observation.features = network(inputs)
    observation.find_features()
    return observation


class _Observation(Watch):
    """The features of a network, and what its BatchNorms divide by, seen while it runs."""

    features: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = 0.0
        self._classified: Tensor | None = None
        self._pooled_from: dict[int, tuple[Tensor, Tensor]] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        output = func(*args, **options)
        if func in _OBSERVED:
            taken = first_input(args, options)
            if func is F.linear:
                self._classified = taken
            elif func is F.batch_norm:
                self._add_scale(taken)
            elif output is not taken:  # a flattening of what is flat gives back the same
                self._pooled_from[id(output)] = (output, taken)
        return output

    def find_features(self) -> None:
        """Go back from the classifier, or from the output that `features` holds before, through the pooling."""
        features = self.features if self._classified is None else self._classified
        while id(features) in self._pooled_from:
            features = self._pooled_from[id(features)][1]
        self.features = features

    def _add_scale(self, taken: Tensor) -> None:
        variance = taken.transpose(0, 1).flatten(1).double().var(1, correction=0).mean().item()
        if variance != 0:
            self.log_scale += math.log(variance) / 2


_POOLINGS: frozenset[Callable[..., Any]] = frozenset(
    {
        F.adaptive_avg_pool2d,
        F.avg_pool2d,
        F.dropout,
        torch.flatten,
        torch.mean,
        torch.reshape,
        torch.squeeze,
        Tensor.flatten,
        Tensor.mean,
        Tensor.reshape,
        Tensor.squeeze,
        Tensor.view,
    }
)
_OBSERVED = _POOLINGS | {F.linear, F.batch_norm}
