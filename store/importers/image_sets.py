"""Sets of labelled images from what a user holds: made smaller, normalised and stored under a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zcsr.errors import InputError
from zcsr.networks.images import PUBLISHED_NORMALISATION, ImageSet, pool_and_pad
from zcsr.store.importers.image_files import read_images
from zcsr.store.kept.images import check_images_name, write_images
from zcsr.store.kept.store import Store


def import_images(
    store: Store,
    path: Path,
    *,
    name: str,
    classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    pool: int = 1,
    pad: int = 0,
    first: int | None = None,
    colours: int | None = None,
) -> ImageSet:
    """Import labelled 8-bit images under a name, and return them; a set of that name is replaced.

    `path` is a Parquet file (columns pixels_hwc_u8 and label; square images of 1 or 3 channels; or, as Hugging
    Face's, image files in the field bytes of img or image, and label, labels or fine_label), an NPZ file
    (images, x or pixels, uint8 [n, h, w], [n, h, w, c] or [n, c, h, w]; labels or y), the folder of CIFAR-10,
    CIFAR-100 or the down-sampled ImageNet (training images), of MNIST's idx files (training images, then test
    images), or one with a folder of PNG or JPEG files for each class (numbered by name; their images take turns).
    Images are averaged over blocks of `pool` x `pool` pixels, then get a black border of `pad` pixels.
    Labels that count from 1, as none of all images is 0 and one is 1, count from 0 afterwards.
    `first` is how many are taken, all when None. Grey images become ones of `colours` equal channels where that is
    given. `classes` is one more than the highest label unless given; for
    the down-sampled ImageNet it selects the first classes, 120 for ImageNet16-120. The normalisation is the given
    mean and std (for pixels in 0..1), else the published one of that name, else computed from the set; which of
    the three is kept in the metadata.

    Raises InputError when the file cannot be read or its content does not fit.
    """
    check_images_name(name)
    pixels, labels = read_images(path, classes)
    if not len(pixels):
        raise InputError(f"{path} holds no images")
    if not pixels.size:
        raise InputError(f"{path} holds images without a pixel: they are {'x'.join(map(str, pixels.shape[1:]))}")
    pixels, labels = pool_and_pad(pixels[:first], pool, pad), _from_zero(labels, classes)[:first]
    if colours is not None:
        if pixels.shape[3] not in (1, colours):
            raise InputError(
                f"images of {pixels.shape[3]} channels cannot become ones of {colours}: only grey ones can"
            )
        pixels = np.repeat(pixels, colours // pixels.shape[3], axis=3)
    images, origin = normalised(name, pixels, labels, classes, mean, std)
    write_images(store, images, origin)
    return images


def normalised(
    name: str,
    pixels: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> tuple[ImageSet, str]:
    """Return images as a set of that name, and where their normalisation is from, as `import_images` says both."""
    chosen_mean, chosen_std, origin = _normalisation(name, pixels, mean, std)
    count = int(labels.max()) + 1 if classes is None else classes
    return ImageSet(name, pixels, labels, count, chosen_mean, chosen_std), origin


def _from_zero(labels: npt.NDArray[np.int64], classes: int | None) -> npt.NDArray[np.int64]:
    """The labels counted from 0, where they count from 1."""
    from_one = int(labels.min()) == 1 and (classes is None or int(labels.max()) == classes)
    return labels - 1 if from_one else labels


def _normalisation(
    name: str,
    pixels: npt.NDArray[np.uint8],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    if (mean is None) != (std is None):
        raise InputError("give both mean and std of the images, or neither")
    if mean is not None and std is not None:
        return tuple(map(float, mean)), tuple(map(float, std)), "given"
    published = PUBLISHED_NORMALISATION.get(name)
    if published is not None and len(published[0]) == pixels.shape[3]:
        return *published, "published"
    return *_computed(pixels), "computed"


def _computed(pixels: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    means, deviations = [], []
    for channel in range(pixels.shape[3]):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        levels = np.arange(256) / 255
        mean = float(np.average(levels, weights=counts))
        deviation = float(np.sqrt(np.average((levels - mean) ** 2, weights=counts)))
        if deviation == 0.0:
            raise InputError(f"channel {channel} of the images is the same everywhere: give mean and std")
        means.append(mean)
        deviations.append(deviation)
    return tuple(means), tuple(deviations)
