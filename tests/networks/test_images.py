from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zcsr.errors import InputError
from zcsr.networks.images import PUBLISHED_NORMALISATION, ImageSet, pool_and_pad

MEAN, STD = PUBLISHED_NORMALISATION["cifar10"]


def image_set(count: int = 20, size: int = 8, channels: int = 3, **changes: Any) -> ImageSet:
    generator = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "name": "noise",
        "pixels": generator.integers(0, 256, (count, size, size, channels), dtype=np.uint8),
        "labels": generator.integers(0, 10, count),
        "classes": 10,
        "mean": MEAN[:channels],
        "std": STD[:channels],
    }
    return ImageSet(**(fields | changes))


def test_normalisation_pixel_by_pixel() -> None:
    images = image_set()
    batch = images.batch([7, 2])
    assert batch.shape == (2, 3, 8, 8)
    assert batch.dtype == torch.float32
    for position, index in enumerate([7, 2]):
        for channel, row, column in np.ndindex(3, 8, 8):
            expected = (images.pixels[index, row, column, channel] / 255 - MEAN[channel]) / STD[channel]
            assert float(batch[position, channel, row, column]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet16-120", "fashion-mnist"])
def test_published_normalisation(name: str) -> None:
    mean, std = PUBLISHED_NORMALISATION[name]
    assert len(mean) == len(std) == (1 if name == "fashion-mnist" else 3)
    assert all(0.2 < m < 0.6 for m in mean)
    assert all(0.2 < s < 0.4 for s in std)


def test_published_normalisation_standardises_real_images(shared: Any) -> None:
    import polars

    table = polars.read_parquet(shared / "data" / "cifar10_train256_lossless.parquet")
    pixels = np.stack([np.frombuffer(row, np.uint8) for row in table["pixels_hwc_u8"]]).reshape(-1, 32, 32, 3)
    images = image_set(pixels=pixels, labels=table["label"].to_numpy().astype(np.int64))
    batch = images.batch(range(len(images)))
    assert batch.mean((0, 2, 3)).abs().max() < 0.1
    assert (batch.std((0, 2, 3)) - 1).abs().max() < 0.1


def test_smaller_images_are_block_means() -> None:
    images = image_set(size=8)
    blocks = images.batch(range(20)).reshape(20, 3, 4, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(images.batch(range(20), height=4, width=4), blocks)
    assert images.batch([0], width=4).shape == (1, 3, 8, 4)


@pytest.mark.parametrize("size", [(9, 8), (8, 9), (0, 8)])
def test_larger_images_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="8x8 and cannot be brought to"):
        image_set().batch([0], *size)


@pytest.mark.parametrize("index", [-1, 20])
def test_images_outside_are_refused(index: int) -> None:
    with pytest.raises(InputError, match=f"no image {index}: .* 20 images"):
        image_set().batch([0, index])


@given(st.integers(1, 20), st.integers(0, 2**32))
def test_minibatch_draws_distinct_images_by_seed(size: int, seed: int) -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    images = image_set(pixels=pixels, labels=np.arange(20), classes=20, mean=(0.0,), std=(1 / 255,))
    batch, labels = images.minibatch(size, seed, 1, 1)
    assert labels.dtype == torch.int64
    assert len(set(labels.tolist())) == size
    torch.testing.assert_close(batch.flatten(), labels.float())
    repeated, repeated_labels = images.minibatch(size, seed, 1, 1)
    assert torch.equal(batch, repeated)
    assert torch.equal(labels, repeated_labels)


def test_minibatches_of_other_seeds_differ() -> None:
    drawn = {tuple(image_set().minibatch(5, seed, 8, 8)[1].tolist()) for seed in range(10)}
    assert len(drawn) > 5


@pytest.mark.parametrize("size", [0, 21])
def test_impossible_minibatches_are_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"cannot draw {size} images: .* has 20"):
        image_set().minibatch(size, 0, 8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": np.zeros((20, 8, 8, 3), dtype=np.float32)}, "pixels must be uint8"),
        ({"pixels": np.zeros((20, 8, 8), dtype=np.uint8)}, "pixels must be uint8"),
        ({"labels": np.zeros(19, dtype=np.int64)}, "one for each of 20 images"),
        ({"labels": np.zeros(20, dtype=np.int32)}, "labels must be int64"),
        ({"labels": np.full(20, 10)}, r"labels must be in 0..9"),
        ({"labels": np.full(20, -1)}, r"labels must be in 0..9"),
        ({"mean": (0.5,)}, "3 channels need as many"),
        ({"std": (0.5, 0.5, 0.0)}, "must be positive"),
    ],
)
def test_inconsistent_image_sets_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"image set 'noise': .*{message}"):
        image_set(**changes)


def test_an_empty_image_set_is_allowed() -> None:
    empty = image_set(pixels=np.zeros((0, 8, 8, 3), np.uint8), labels=np.zeros(0, np.int64))
    assert len(empty) == 0
    assert empty.batch([]).shape == (0, 3, 8, 8)


def test_pooling_rounds_half_up_and_pads_with_black() -> None:
    pixels = np.array([[0, 1, 254, 255], [0, 1, 255, 255]], dtype=np.uint8).reshape(1, 2, 4, 1)
    pooled = pool_and_pad(pixels, factor=2, padding=1)
    assert pooled[0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 1, 255, 0], [0, 0, 0, 0]]


def test_fashion_mnist_becomes_16_by_16() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    pooled = pool_and_pad(pixels, factor=2, padding=1)
    assert pooled.shape == (3, 16, 16, 1)
    assert pooled.dtype == np.uint8
    block_mean = pixels[1, 4:6, 6:8, 0].mean()
    assert pooled[1, 3, 4, 0] == np.floor(block_mean + 0.5)


def test_pooling_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match="cannot pool 28x28 images by 3"):
        pool_and_pad(np.zeros((1, 28, 28, 1), np.uint8), factor=3, padding=0)
