"""AZ-NAS: what the blocks of a network do to noise, seen from four sides."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.proxies._common import gradients, he_fan_in, redraw
from zcsr.proxies.flops import flops
from zcsr.proxies.proxy import proxy

_SOURCE = "Lee and Ham, AZ-NAS, CVPR 2024"
_FEWEST_BLOCKS = 3
_SMALL = 1e-6


@proxy(measures="entropy of the principal components of the features, summed over blocks", source=_SOURCE)
def az_expressivity(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the sum of the features' entropies; what features and blocks are: see `_features`."""
    return sum(_entropies(network, images))


@proxy(measures="least growth of the entropy of the features from a block to the next", source=_SOURCE)
def az_progressivity(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the least difference of entropies of neighbouring features, later less earlier: see `_features`."""
    entropies = _entropies(network, images)
    return float(np.diff(entropies).min())


@proxy(measures="how near to 1 the blocks keep the size of gradients", source=_SOURCE)
def az_trainability(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return the mean over blocks of 2 - s - 1 / (s + 1e-6): about 0, the most, where s is 1.

    s is the spectral norm of a block's Jacobian as the paper estimates it: random signs for each element of the
    block's features go back to the features before them, and s is that of the mean over images and pixels of the
    product of the two. Where a block makes the map smaller by k, k x k pixels before it belong to one after it.
    A block that gives back the very signs does nothing, and makes the score -inf, as in the release. A dead one
    counts 2 - 1e6. See `_features` for what blocks are.
    """
    features = _features(network, images)
    return float(np.mean([_trainability(before, after) for before, after in pairwise(features)]))


@proxy(measures="floating-point operations of the forward pass of one image", source=_SOURCE, counts=True)
def az_complexity(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the same as the proxy `flops`; never negative."""
    return flops.measure(network, images, labels)


def _entropies(network: nn.Module, images: Tensor) -> list[float]:
    return [_entropy(features.detach()) for features in _features(network, images)]


def _entropy(features: Tensor) -> float:
    """The entropy of the eigenvalues of the channels' covariance, as shares of their sum; 0 where that is 0."""
    values = features.movedim(1, -1).flatten(0, -2)
    values = values - values.mean(0)
    products = (values.T @ values).double()
    if not bool(products.isfinite().all()):
        return float("nan")
    spectrum = torch.linalg.eigvalsh(products).clamp(min=0)
    total = spectrum.sum()
    # The release adds 1e-8 within the logarithm, and has -inf for a dead block.
    return float(torch.special.entr(spectrum / total).sum()) if total != 0 else 0.0


def _trainability(before: Tensor, after: Tensor) -> float:
    signs = torch.randint(2, after.shape).to(after) * 2 - 1
    (slopes,) = gradients(after, [before], signs, retain_graph=True)
    if torch.equal(signs, slopes):
        return -np.inf
    height, width = min(before.shape[2], after.shape[2]), min(before.shape[3], after.shape[3])
    rows, columns = _by_pixel(slopes, height, width), _by_pixel(signs, height, width)
    jacobian = (rows.T @ columns / len(rows)).double()
    if not bool(jacobian.isfinite().all()):
        return float("nan")
    norm = float(torch.linalg.matrix_norm(jacobian, ord=2))
    return 2 - norm - 1 / (norm + _SMALL)


def _by_pixel(maps: Tensor, height: int, width: int) -> Tensor:
    """[b, c, h, w] -> [b * height * width, c * kh * kw]: blocks of kh x kw pixels are one, the remainder is cut."""
    by_rows, by_columns = maps.shape[2] // height, maps.shape[3] // width
    blocks = maps.unfold(2, by_rows, by_rows).unfold(3, by_columns, by_columns)[:, :, :height, :width]
    return blocks.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


# --- features ---------------------------------------------------------------------------------------------------


def _features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """The feature maps [b, c, h, w] around the network's blocks, with their graph, in the order of computation.

    They are what the first block takes (its last argument, where there are several), unless these are the images,
    and what every block gives, for noise N(0, 1) of the images' shape; only that shape matters. Weights are He
    normal by fan-in, biases 0, BatchNorms in training.

    Blocks are the children of one module, whether container or not: those that have children themselves and give a
    map of more than one pixel. The first module, level by level from the network itself, with three of them or
    more is taken. In the spaces of cells these are the cells and the reductions between them. Where there is no
    such module, every Conv2d is a block. InputError where that gives fewer than two maps.
    """
    redraw(network, he_fan_in)
    noise = torch.randn_like(images).requires_grad_()  # a first block may have no weights before it
    recorder = _Recorder(noise)
    for block in _blocks(network, noise):
        block.register_forward_pre_hook(recorder.before)
        block.register_forward_hook(recorder.after)
    network(noise)
    if len(recorder.maps) < 2:
        raise InputError(
            f"az_nas compares the feature maps [b, c, h, w] that blocks give, and finds {len(recorder.maps)}: it "
            "needs three modules of several layers side by side that give maps, not tokens, or two convolutions"
        )
    return recorder.maps


class _Recorder:
    """Keeps the feature maps around blocks; what follows gets copies, since it may work in place."""

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self.maps: list[Tensor] = []

    def before(self, block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:  # noqa: ARG002
        if self.maps or not inputs or not _is_map(inputs[-1]) or inputs[-1] is self._images:
            return None
        self.maps.append(inputs[-1])
        return (*inputs[:-1], inputs[-1].clone())

    def after(self, block: nn.Module, inputs: Any, output: Any) -> Tensor | None:  # noqa: ARG002
        if not _is_map(output):
            return None
        self.maps.append(output)
        copied: Tensor = output.clone()
        return copied


def _blocks(network: nn.Module, images: Tensor) -> list[nn.Module]:
    giving_maps = _giving_maps(network, images)
    modules = network.named_modules(remove_duplicate=False)
    for _, parent in sorted(modules, key=lambda named: named[0].count(".")):  # the network itself is the first
        blocks = [child for child in parent.children() if child in giving_maps and any(child.children())]
        if len(blocks) >= _FEWEST_BLOCKS:
            return blocks
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _giving_maps(network: nn.Module, images: Tensor) -> set[nn.Module]:
    found: set[nn.Module] = set()

    def look(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001
        if _is_map(output) and output.shape[2:].numel() > 1:
            found.add(module)

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4
