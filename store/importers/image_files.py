"""Read labelled images from the files that users hold."""

from __future__ import annotations

import gzip
import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from zcsr.errors import InputError
from zcsr.store.importers.class_folders import class_folders, read_class_folders, read_pictures
from zcsr.store.importers.limits import content_of, read_parquet, short, unpacked
from zcsr.store.importers.pickle_reader import load_plain
from zcsr.store.importers.user_tables import listed
from zcsr.store.kept.images import LABEL, PIXELS

CHANNELS = (1, 3)
_NPZ_PIXELS = ("images", "x", "pixels")
_NPZ_LABELS = ("labels", "y")

Labelled = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class _Batches:
    """How an official folder of pickled batches is laid out; labels count from `first_label`."""

    pattern: str
    labels: str
    first_label: int


# CIFAR-10, CIFAR-100 and the down-sampled ImageNet: the training images of each.
_FOLDERS = (
    _Batches("data_batch_*", "labels", 0),
    _Batches("train", "fine_labels", 0),
    _Batches("train_data_batch_*", "labels", 1),
)


def read_images(path: Path, classes: int | None = None) -> Labelled:
    """The images of a Parquet file, an NPZ file or an official folder; `import_images` says what these hold.

    Returns uint8 [n, h, w, c] and int64 [n]. Raises InputError when they cannot be read.
    """
    if path.is_dir():
        if _idx_files(path):
            return _read_idx(path)
        folders = class_folders(path)
        return read_class_folders(path, folders) if folders else _read_folder(path, classes)
    if not path.is_file():
        raise InputError(f"cannot import {path}: there is no such file or folder")
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    raise InputError(
        f"cannot import {path}: give a .parquet file, an .npz file, or the folder cifar-10-batches-py, "
        "cifar-100-python, of ImageNet's train_data_batch files, of MNIST's idx files, or one of class folders"
    )


_IDX_PARTS = ("train", "t10k")
_IDX_BYTES = 0x08  # the code of unsigned bytes, the only element type of such images and labels


def _idx_files(folder: Path) -> list[tuple[Path, Path]]:
    """The pairs of image and label files of MNIST's layout, training before test; gzipped or not."""
    pairs = []
    for part in _IDX_PARTS:
        images = next(iter(sorted(folder.glob(f"{part}-images*idx3-ubyte*"))), None)
        labels = next(iter(sorted(folder.glob(f"{part}-labels*idx1-ubyte*"))), None)
        if images is not None and labels is not None:
            pairs.append((images, labels))
    return pairs


def _read_idx(folder: Path) -> Labelled:
    """Read MNIST's layout: the training images, then the test images, of one channel."""
    parts = [(_idx_array(images, 3), _idx_array(labels, 1)) for images, labels in _idx_files(folder)]
    for (pixels, labels), (file, _) in zip(parts, _idx_files(folder), strict=True):
        if len(pixels) != len(labels):
            raise InputError(f"{file} holds {len(pixels)} images and its label file {len(labels)} labels")
    pixels = np.concatenate([pixels for pixels, _ in parts])[..., np.newaxis]
    labels = np.concatenate([labels for _, labels in parts])
    return pixels, _labels(folder, labels, len(pixels))


def _idx_array(file: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array of an idx file: two zero bytes, element type, number of dimensions, big-endian sizes, elements."""
    content = content_of(file)
    if file.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = unpacked(file, stream)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"cannot read {file}: {error}") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, _IDX_BYTES, dimensions)) or len(content) < start:
        raise InputError(f"{file} is no idx file of bytes in {dimensions} dimensions")
    shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).tolist()
    if len(content) - start != math.prod(shape):
        raise InputError(f"{file} says {'x'.join(map(str, shape))} bytes and holds {len(content) - start}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _read_parquet(path: Path) -> Labelled:
    frame = read_parquet(path)
    encoded = next((name for name in _ENCODED if _holds_files(frame, name)), None)
    if encoded is not None:
        return _read_encoded(path, frame, encoded)
    for column in (PIXELS, LABEL):
        if column not in frame.columns:
            raise InputError(f"{path} has no column {column!r}: it has {listed(frame.columns)}")
    if frame[PIXELS].dtype != pl.Binary or frame[PIXELS].null_count():
        raise InputError(f"{path}: column {PIXELS!r} must hold bytes in every row, it is {frame[PIXELS].dtype}")
    labels = _labels(path, frame[LABEL].to_numpy(), frame.height)
    images = frame[PIXELS].to_list()
    sizes = sorted({len(image) for image in images})
    if len(sizes) > 1:
        raise InputError(f"{path}: the images differ in size ({sizes[0]} to {sizes[-1]} bytes); make them equal")
    side, channels = _square(path, sizes[0] if sizes else 0)
    pixels = np.frombuffer(b"".join(images), dtype=np.uint8)
    return pixels.reshape(len(images), side, side, channels), labels


_ENCODED = ("img", "image")
_ENCODED_LABELS = (LABEL, "labels", "fine_label")


def _holds_files(frame: pl.DataFrame, column: str) -> bool:
    """Whether a column holds whole image files, as data sets of Hugging Face do: structs with their bytes."""
    kind = frame.schema.get(column)
    return isinstance(kind, pl.Struct) and any(field.name == "bytes" for field in kind.fields)


def _read_encoded(path: Path, frame: pl.DataFrame, column: str) -> Labelled:
    """Read image files in the rows of a table, with their labels."""
    named = next((name for name in _ENCODED_LABELS if name in frame.columns), None)
    if named is None:
        raise InputError(f"{path} has no column {' or '.join(_ENCODED_LABELS)}: it has {listed(frame.columns)}")
    files = frame[column].struct.field("bytes").to_list()
    pictures = [
        (f"row {row} of {path}", b"" if content is None else content) for row, content in enumerate(files, start=1)
    ]
    return read_pictures(path, pictures), _labels(path, frame[named].to_numpy(), frame.height)


def _square(path: Path, size: int) -> tuple[int, int]:
    for channels in CHANNELS:
        side = int(np.sqrt(size // channels) + 0.5)
        if side * side * channels == size:
            return side, channels
    raise InputError(
        f"{path}: {size} bytes are no square image of {' or '.join(map(str, CHANNELS))} channels; "
        "import images of another form as an .npz file"
    )


def _read_npz(path: Path) -> Labelled:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(_NPY) for name in archive.namelist() if name.endswith(_NPY)]
            pixels = _npy(path, archive, _key(path, names, _NPZ_PIXELS))
            labels = _npy(path, archive, _key(path, names, _NPZ_LABELS))
    except _BAD_ARCHIVE as error:
        raise InputError(f"cannot read {path}: {short(error)}") from error
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
        seen = f"{pixels.dtype} {list(pixels.shape)}"
        raise InputError(f"{path}: images must be uint8 [n, h, w, c], [n, c, h, w] or [n, h, w], these are {seen}")
    return _channels_last(path, pixels), _labels(path, labels, len(pixels))


_NPY = ".npy"
_BAD_ARCHIVE = (
    *(OSError, EOFError, ValueError, KeyError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError),
    RuntimeError,  # it is encrypted
)


def _npy(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """An array of numbers in an archive; how large it is shows as it is unpacked, whatever its head says."""
    with archive.open(name + _NPY) as stream:
        content = io.BytesIO(unpacked(f"{name} of {path}", stream))
    try:
        version = np.lib.format.read_magic(content)
        form = np.lib.format
        read_head = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, by_columns, dtype = read_head(content)
    except ValueError as error:
        raise InputError(f"cannot read {path}: {name} does not begin as an array does") from error
    if dtype.kind not in "biuf":
        raise InputError(f"cannot read {path}: {name} holds {dtype}, not numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content.getbuffer()) - content.tell():
        said = "x".join(map(str, shape))
        raise InputError(f"{path}: {name} says that it has {said} numbers of {dtype}, and has not as many")
    numbers: npt.NDArray[Any] = np.frombuffer(content.getvalue(), dtype, offset=content.tell())
    return numbers.reshape(shape, order="F") if by_columns else numbers.reshape(shape)


def _key(path: Path, there: Sequence[str], wanted: Sequence[str]) -> str:
    for key in wanted:
        if key in there:
            return key
    raise InputError(f"{path} has no array {' or '.join(wanted)}: it has {listed(there) or 'none'}")


def _channels_last(path: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if pixels.ndim == 3:
        return pixels[..., np.newaxis]
    if pixels.shape[3] in CHANNELS:
        return pixels
    if pixels.shape[1] in CHANNELS:
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    raise InputError(f"{path}: images must have 1 or 3 channels, last or second, these are {list(pixels.shape)}")


def _labels(path: Path, labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        seen = f"{labels.dtype} {list(labels.shape)}"
        raise InputError(f"{path}: labels must be whole numbers, one for each of {count} images, these are {seen}")
    if count and int(labels.min()) < 0:
        raise InputError(f"{path}: label {int(labels.min())} is negative; labels count from 0")
    return labels.astype(np.int64)


def _read_folder(path: Path, classes: int | None) -> Labelled:
    for batches in _FOLDERS:
        files = sorted(file for file in path.glob(batches.pattern) if file.is_file())
        if files:
            parts = [_read_batch(file, batches, classes) for file in files]
            if len({pixels.shape[1:] for pixels, _ in parts}) > 1:
                raise InputError(f"{path}: the batches hold images of different sizes")
            return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([labels for _, labels in parts])
    patterns = ", ".join(batches.pattern for batches in _FOLDERS)
    raise InputError(
        f"{path} holds no batches of images: looked for {patterns}, and for folders of .png or .jpg files"
    )


def _read_batch(file: Path, batches: _Batches, classes: int | None) -> Labelled:
    content = load_plain(file)
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__}, not the dict of a batch of images")
    batch = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    for key in ("data", batches.labels):
        if key not in batch:
            there = listed([one for one in batch if isinstance(one, str)])
            raise InputError(f"{file} has no {key!r}: it has {there or 'no names'}")
    data = batch["data"]
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2):
        raise InputError(f"{file}: 'data' must be a uint8 array [n, 3 * side * side]")
    side, channels = _square(file, data.shape[1])
    pixels = data.reshape(len(data), channels, side, side).transpose(0, 2, 3, 1)
    labels = _labels(file, _label_array(file, batch[batches.labels]), len(data)) - batches.first_label
    if classes is not None and batches.first_label:
        pixels, labels = pixels[labels < classes], labels[labels < classes]
    return np.ascontiguousarray(pixels), labels


def _label_array(file: Path, labels: Any) -> npt.NDArray[Any]:
    if isinstance(labels, list) and not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise InputError(f"{file}: labels must be whole numbers")
    return np.asarray(labels)
