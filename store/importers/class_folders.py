"""Labelled images in a folder for each class, as PNG or JPEG files.

Classes are numbered by the names of their folders, and images are ordered by name. Classes take turns, so that the
first images of the set are of all classes.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zcsr.errors import InputError
from zcsr.store.importers.limits import check_bytes

SUFFIXES = (".png", ".jpg", ".jpeg")


def class_folders(path: Path) -> Mapping[str, Sequence[Path]]:
    """The image files of each folder in `path` that has any, both in the order of their names."""
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder.name: _images(folder) for folder in folders}
    return {name: files for name, files in found.items() if files}


def read_class_folders(
    path: Path, folders: Mapping[str, Sequence[Path]]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The images uint8 [n, h, w, c] and their classes int64 [n]; c is 1 when all are grey, otherwise 3.

    Raises InputError when one cannot be read, when they differ in size, or when Pillow is missing.
    """
    rounds = zip_longest(*([(file, label) for file in files] for label, files in enumerate(folders.values())))
    order = [pair for one_round in rounds for pair in one_round if pair is not None]
    pixels = read_pictures(path, [(str(file), file) for file, _ in order])
    return pixels, np.array([label for _, label in order], dtype=np.int64)


def read_pictures(path: Path, pictures: Sequence[tuple[str, Path | bytes]]) -> npt.NDArray[np.uint8]:
    """The pixels uint8 [n, h, w, c] of PNG or JPEG files, given by what to call them; c is 1 when all are grey.

    Raises InputError when one cannot be read, when they differ in size, or when Pillow is missing.
    """
    images, count = [], 0
    for name, file in pictures:
        images.append(_pixels(name, file))
        check_bytes(path, count := count + images[-1].nbytes)
    for (name, _), image in zip(pictures, images, strict=True):
        if image.shape[:2] != images[0].shape[:2]:
            sizes = (f"{image.shape[1]}x{image.shape[0]}", f"{images[0].shape[1]}x{images[0].shape[0]}")
            raise InputError(
                f"{path}: {name} is {sizes[0]} and {pictures[0][0]} is {sizes[1]}; make all of one size"
            )
    channels = max((image.shape[2] for image in images), default=1)
    alike = [np.broadcast_to(image, (*image.shape[:2], channels)) for image in images]
    return np.stack(alike) if alike else np.empty((0, 1, 1, 1), dtype=np.uint8)


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())


def _pixels(name: str, file: Path | bytes) -> npt.NDArray[np.uint8]:
    """The pixels uint8 [h, w, 1] of a grey image, or [h, w, 3]; transparency is dropped."""
    image_module = _pillow()
    given = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        with image_module.open(given, formats=("PNG", "JPEG")) as image:
            check_bytes(name, image.width * image.height * 4)
            grey = image.mode in ("1", "L", "LA")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except image_module.UnidentifiedImageError as error:
        raise InputError(f"cannot read {name}: it is neither PNG nor JPEG") from error
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError, zlib.error) as error:
        raise InputError(f"cannot read {name}: {error}") from error
    return pixels[..., np.newaxis] if grey else pixels


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("image files need Pillow: `pip install pillow`") from error
    return Image
