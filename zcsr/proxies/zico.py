"""How large and how steady the gradients of a network are from minibatch to minibatch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.proxies._common import loss_gradients
from zcsr.proxies.proxy import proxy


@proxy(
    measures="log of the gradients' absolute mean over their deviation between two minibatches, summed over layers",
    source="Li et al., ZiCo, ICLR 2023, with two minibatches as in the paper; the deviation as in the release",
)
def zico(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the sum over Conv2d and Linear layers of log(sum over weights of mean |g| / deviation of g).

    The two minibatches are the first half of the images and the rest; g is the gradient of the mean cross-entropy
    of each, and mean and deviation (of the population, as in the release; of g, where the paper's formula has |g|)
    are over the two. Weights whose two gradients are the same are left out, and so is a layer of only such, a dead
    one for instance. The network keeps its weights; BatchNorms are in training. InputError for a single image.
    """
    if len(images) < 2:
        raise InputError(
            f"zico compares the gradients of two halves of the minibatch: it needs 2 images, not {len(images)}"
        )
    halves = slice(len(images) // 2), slice(len(images) // 2, None)
    slopes = [loss_gradients(network, images[half], labels[half])[1] for half in halves]
    return sum(_layer(torch.stack(pair)) for pair in zip(*slopes, strict=True))


def _layer(slopes: Tensor) -> float:
    """What a layer counts, from the gradients [2, ...] of its weights."""
    slopes = slopes.double()
    deviations = slopes.std(0, correction=0)
    steady = slopes.abs().mean(0)[deviations != 0] / deviations[deviations != 0]
    # A weight whose gradient differs between the halves has one that is not 0, so the sum is 0 only without any.
    return steady.sum().log().item() if len(steady) else 0.0
