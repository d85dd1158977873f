"""Images as networks see them: normalised float batches out of labelled 8-bit pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from zcsr.errors import InputError

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]

# Channel means and standard deviations of pixels scaled to 0..1, as the benchmarks' authors normalise them.
PUBLISHED_NORMALISATION: Mapping[str, Normalisation] = MappingProxyType(
    {
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
        "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        "imagenet16-120": ((122.68 / 255, 116.66 / 255, 104.01 / 255), (63.22 / 255, 61.26 / 255, 65.09 / 255)),
        "fashion-mnist": ((0.2860,), (0.3530,)),
    }
)


def blank_images(count: int, channels: int, height: int, width: int) -> ImageSet:
    """Return so many black images of that shape, for programs that look at noise alone, whose shape is theirs."""
    pixels = np.zeros((count, height, width, channels), dtype=np.uint8)
    labels = np.zeros(count, dtype=np.int64)
    return ImageSet("none", pixels, labels, 1, (0.0,) * channels, (1.0,) * channels)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Labelled images in memory.

    `pixels` is uint8 [n, h, w, c], `labels` int64 [n] in 0..classes-1; `mean` and `std` have one value a channel,
    for pixels scaled to 0..1. InputError where these do not fit together.
    """

    name: str
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise InputError(f"image set {self.name!r}: {problem}")

    def _problem(self) -> str | None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4:
            return f"pixels must be uint8 [n, h, w, c], these are {self.pixels.dtype} {list(self.pixels.shape)}"
        if self.labels.dtype != np.int64 or self.labels.shape != self.pixels.shape[:1]:
            seen = f"{self.labels.dtype} {list(self.labels.shape)}"
            return f"labels must be int64, one for each of {len(self.pixels)} images, these are {seen}"
        if np.any((self.labels < 0) | (self.labels >= self.classes)):
            seen = f"{self.labels.min()} to {self.labels.max()}"
            return f"labels must be in 0..{self.classes - 1} ({self.classes} classes), these go from {seen}"
        if not len(self.mean) == len(self.std) == self.channels:
            seen = f"{len(self.mean)} means and {len(self.std)} standard deviations"
            return f"{self.channels} channels need as many means and standard deviations, there are {seen}"
        if not all(deviation > 0 for deviation in self.std):
            return f"standard deviations must be positive, these are {self.std}"
        return None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[2])

    @property
    def channels(self) -> int:
        """Colours: 1 for grey, 3 for RGB."""
        return int(self.pixels.shape[3])

    def batch(
        self,
        indices: Sequence[int] | npt.NDArray[np.integer],
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """Images in the order of `indices`, float32 [b, c, h, w], normalised to (pixel / 255 - mean) / std.

        Where a smaller height or width is asked for, adaptive average pooling makes the images smaller.
        InputError where a larger one is, or where an index is outside of the set.
        """
        selected = self._selected(indices)
        height, width = self._target_size(height, width)
        images = torch.from_numpy(np.ascontiguousarray(self.pixels[selected].transpose(0, 3, 1, 2))).float() / 255
        if (height, width) != (self.height, self.width):
            images = F.adaptive_avg_pool2d(images, (height, width))
        return (images - _by_channel(self.mean)) / _by_channel(self.std)

    def minibatch(
        self, size: int, seed: int, height: int | None = None, width: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw `size` distinct images by `seed`: their batch as of `batch`, and their labels, int64 [size].

        InputError where the set has fewer images, or a size below 1 is asked for.
        """
        if not 1 <= size <= len(self):
            raise InputError(f"cannot draw {size} images: image set {self.name!r} has {len(self)}, draw 1 or more")
        indices = np.random.default_rng(seed).choice(len(self), size=size, replace=False)
        return self.batch(indices, height, width), torch.from_numpy(self.labels[indices])

    def _selected(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        selected = np.asarray(indices, dtype=np.int64)
        outside = selected[(selected < 0) | (selected >= len(self))]
        if outside.size:
            known = f"image set {self.name!r} has {len(self)} images, counted from 0"
            raise InputError(f"no image {outside[0]}: {known}")
        return selected

    def _target_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        wanted = (self.height if height is None else height, self.width if width is None else width)
        if not (1 <= wanted[0] <= self.height and 1 <= wanted[1] <= self.width):
            raise InputError(
                f"image set {self.name!r} is {self.height}x{self.width} and cannot be brought to "
                f"{wanted[0]}x{wanted[1]}: images are only ever made smaller; import larger ones"
            )
        return wanted


def _by_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def pool_and_pad(pixels: npt.NDArray[np.uint8], factor: int, padding: int) -> npt.NDArray[np.uint8]:
    """Average over factor x factor blocks, round half up, then a border of `padding` black pixels.

    uint8 [n, h, w, c] -> uint8 [n, h / factor + 2 * padding, w / factor + 2 * padding, c]. InputError where
    `factor` does not divide height and width. With factor 2 and padding 1 Fashion-MNIST's 28x28 becomes 16x16.
    """
    count, height, width, channels = pixels.shape
    if factor < 1 or height % factor or width % factor:
        raise InputError(f"cannot pool {height}x{width} images by {factor}: it must divide height and width")
    blocks = pixels.reshape(count, height // factor, factor, width // factor, factor, channels)
    sums = blocks.sum(axis=(2, 4), dtype=np.int64)
    means = (2 * sums + factor**2) // (2 * factor**2)
    border = (padding, padding)
    return np.pad(means.astype(np.uint8), ((0, 0), border, border, (0, 0)))
