"""TE-NAS: how well conditioned a network's neural tangent kernel is, and how finely it cuts its input space."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.proxies._common import UnitsOn, gradients, he_fan_in, redraw
from zcsr.proxies.proxy import proxy

_SOURCE = "Chen et al., TE-NAS, ICLR 2021; on smaller images where its release takes narrower networks"
_SIZE_FOR_GRADIENTS = 8
_ZERO = 1e-10
_SIZE_FOR_CODES = 4
_MINIBATCHES = 3
_LINES = 40
_POINTS = 25
_LENGTH = 0.001


@proxy(measures="condition number of the neural tangent kernel, negated", source=_SOURCE)
def te_nas_condition(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return minus the largest over the smallest eigenvalue of the kernel [b, b]: -1 at most.

    The kernel holds, for each two images, the product of the gradients of their summed logits for the weights,
    that is for the parameters whose names end in "weight", as in the release. Weights of layers are drawn anew, He
    normal by fan-in, biases are 0, and BatchNorms are in training, so the gradient of an image's logits includes
    what the others do to them. To be affordable it is computed for images averaged down to 8 x 8 pixels, or
    16 x 16, 32 x 32 ..., the first that the network takes; the release keeps the images and makes the network 3
    channels wide and one cell a stage deep, which cannot be done to any network. One draw, where the release
    averages over three. The eigenvalues of few images say little: take 32 or more.

    One eigenvalue of 0 is left out where there is one, that is less than 1e-10 of the largest: where only linear
    layers follow a BatchNorm, as in many cells of NDS, the images' logits have the same sum for any weights. The
    score is -inf for more zeros than that, as in a network that carries nothing, and NaN where a gradient is not
    finite. InputError for a single image.
    """
    if len(images) < 2:
        raise InputError(f"te_nas_condition compares the gradients of images: it needs 2, not {len(images)}")
    redraw(network, he_fan_in)
    kernel = _tangent_kernel(network, _shrunk(network, images, _SIZE_FOR_GRADIENTS))
    if not bool(kernel.isfinite().all()):
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(kernel)
    largest = eigenvalues[-1].item()
    zeros = int((eigenvalues <= largest * _ZERO).sum())
    if zeros > 1 or zeros == len(images) - 1:
        return float("-inf")
    return float(-largest / eigenvalues[zeros])


@proxy(measures="number of linear regions met on lines through input space", source=_SOURCE)
def te_nas_regions(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return how many distinct codes 3,000 inputs have, 1 to 3,000: a code says which ReLU units have inputs > 0.

    The inputs are x + t e, with x and e N(0, 1) and t in 25 even steps from 0 to 0.001, so they lie on short lines;
    three minibatches have 40 lines each. They have 4 x 4 pixels, or 8 x 8, 16 x 16 ..., the first that the network
    takes, up to the size of the images, of which only the shape matters. Weights are He normal by fan-in, biases 0,
    BatchNorms in training. The release counts the codes of 3,000 random crops of one colour and 3 x 3 pixels, in a
    network one channel wide; in one of full width any two such inputs differ, and it would count the inputs. Along
    a line the codes change unit by unit; only very large networks have a code a point there too. A network without
    a ReLU has one region.
    """
    redraw(network, he_fan_in)
    like = _shrunk(network, images, _SIZE_FOR_CODES)
    codes: set[bytes] = set()
    for _ in range(_MINIBATCHES):
        inputs = _on_lines(like)
        units = [torch.zeros(len(inputs), 0, dtype=torch.bool)]
        with torch.no_grad(), UnitsOn("te_nas_regions", len(inputs), units.append):
            network(inputs)
        codes |= {code.tobytes() for code in np.packbits(torch.cat(units, 1).numpy(), axis=1)}
    return float(len(codes))


def _on_lines(like: Tensor) -> Tensor:
    """Points of some lines, [lines * points, c, h, w] with c, h and w those of `like`."""
    starts, directions = torch.randn(2, _LINES, 1, *like.shape[1:]).to(like)
    steps = torch.linspace(0, _LENGTH, _POINTS).to(like).view(1, -1, 1, 1, 1)
    points: Tensor = starts + steps * directions
    return points.flatten(0, 1)


def _tangent_kernel(network: nn.Module, images: Tensor) -> Tensor:
    """[b, b] in float64."""
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    kernel = images.new_zeros(len(images), len(images), dtype=torch.float64)
    logits = network(images).flatten(1).sum(1)
    slopes = [gradients(logit, weights, retain_graph=True) for logit in logits]
    for of_weight in zip(*slopes, strict=True):
        rows = torch.stack(of_weight).flatten(1).double()
        kernel += rows @ rows.T
    return kernel


def _shrunk(network: nn.Module, images: Tensor, size: int) -> Tensor:
    """The images averaged down to size x size pixels, or the first of 2 size, 4 size ... that the network takes."""
    while size < min(images.shape[2:]):
        smaller = F.adaptive_avg_pool2d(images, size)
        if _takes(network, smaller):
            return smaller
        size *= 2
    return images


def _takes(network: nn.Module, images: Tensor) -> bool:
    try:
        with torch.no_grad():
            network(images.expand(max(2, len(images)), -1, -1, -1))  # a BatchNorm needs two values a channel
    except (RuntimeError, ValueError):  # what torch raises for maps that are too small, or do not add up
        return False
    return True
