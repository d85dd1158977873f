"""Image sets, stored under a name; and the data that zcsr brings along.

`images/<name>.parquet` has one row an image: `pixels_hwc_u8` (height * width * channels bytes) and `label`;
`images/<name>.json` has sizes, classes, normalisation and a hash of the content. The JSON file is written last, and
without it there is no image set. The embedded sets of the package `zcsr.data` have the same two files, named
`images-<name>`; its accuracies are `accuracies-<name>.parquet`, with the columns of the store's own, and, of all
networks of a space in its order, `benchmark-<space>.parquet`, with a column a dataset.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from zcsr.errors import InputError, StoreError
from zcsr.networks.images import ImageSet
from zcsr.spaces import get_space
from zcsr.store.kept.accuracies import accuracy_tables, install_accuracies
from zcsr.store.kept.atomic import read_json_object, write_json, write_parquet
from zcsr.store.kept.checksums import files_in, is_there, read_checked, remove
from zcsr.store.kept.store import Store

PIXELS = "pixels_hwc_u8"
LABEL = "label"

_IMAGES_PREFIX = "images-"
_ACCURACIES_PREFIX = "accuracies-"
_BENCHMARK_PREFIX = "benchmark-"
_BENCHMARK_SOURCE = "nats-bench"
_TASK = ("space", "dataset")


def write_images(store: Store, images: ImageSet, origin: str) -> None:
    """Store a set, in the place of one of its name; `origin` says where its normalisation is from."""
    metadata = {
        "name": images.name,
        "count": len(images),
        "height": images.height,
        "width": images.width,
        "channels": images.channels,
        "classes": images.classes,
        "mean": list(images.mean),
        "std": list(images.std),
        "normalisation": origin,
        "sha256": images_hash(images),
    }
    frame = pl.DataFrame(
        {PIXELS: [image.tobytes() for image in images.pixels], LABEL: images.labels},
        schema={PIXELS: pl.Binary, LABEL: pl.Int64},
    )
    marker = store.images_dir / f"{images.name}.json"
    remove(marker)
    write_parquet(frame, store.images_dir / f"{images.name}.parquet")
    write_json(metadata, marker)


def load_images(store: Store, name: str) -> ImageSet:
    """The image set of that name from the store, or else from the embedded ones.

    Raises InputError with the known names when there is none, StoreError when it is damaged.
    """
    table, metadata = _find(store, name)
    try:
        frame = pl.read_parquet(io.BytesIO(_bytes(table)), columns=[PIXELS, LABEL])
        shape = tuple(int(metadata[side]) for side in ("count", "height", "width", "channels"))
        pixels = np.frombuffer(b"".join(frame[PIXELS]), dtype=np.uint8).reshape(shape)
        labels = frame[LABEL].cast(pl.Int64).to_numpy()
        means, deviations = (tuple(map(float, metadata[key])) for key in ("mean", "std"))
        images = ImageSet(name, pixels, labels, int(metadata["classes"]), means, deviations)
    except (OSError, KeyError, TypeError, ValueError, InputError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"image set {name!r} is damaged ({table}): {error}; import it again") from error
    if images_hash(images) != metadata.get("sha256"):
        raise StoreError(f"image set {name!r} is damaged ({table}): its content has changed; import it again")
    return images


def images_hash(images: ImageSet) -> str:
    """SHA-256 in hex of the shape, the pixels, the labels and the normalisation."""
    digest = hashlib.sha256(repr((images.pixels.shape, images.mean, images.std)).encode())
    digest.update(np.ascontiguousarray(images.pixels).data)
    digest.update(images.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def stored_images_hash(store: Store, name: str) -> str:
    """The hash that `images_hash` gives for the set of that name, from its metadata; errors as `load_images`."""
    _, metadata = _find(store, name)
    return str(metadata.get("sha256"))


def image_names(store: Store) -> tuple[str, ...]:
    """The names that `load_images` takes: the store's and the embedded ones, sorted."""
    stored = {file.stem for file in files_in(store.images_dir, suffix=".json")}
    return tuple(sorted(stored.union(embedded_images())))


def embedded_images() -> tuple[str, ...]:
    """The names of the image sets that the package brings along, sorted."""
    return tuple(sorted(_embedded(_IMAGES_PREFIX)))


def embedded_tasks() -> frozenset[tuple[str, str]]:
    """The tasks (space, dataset) that the package brings accuracies of."""
    measured = (task for _, frame in _embedded_accuracies() for task in frame.select(_TASK).unique().rows())
    return frozenset((*measured, *_benchmark_tasks()))


def install_missing(store: Store, tasks: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Copy the embedded accuracies of those of the tasks that the store has none of; returns these tasks.

    A task with accuracies of one's own keeps them alone, as a mean over both would rank by neither.
    """
    there = {(space, dataset) for space, dataset, metric in accuracy_tables(store) if metric == "test"}
    lacking = [task for task in dict.fromkeys(tasks) if task not in there]
    installed: dict[tuple[str, str], None] = {}
    for name, frame in _embedded_accuracies() if lacking else ():
        for space, dataset in lacking:
            if len(rows := frame.filter(space=space, dataset=dataset)):
                install_accuracies(store, rows, name)
                installed[space, dataset] = None
    published = _benchmark_tasks() if lacking else ()
    for space, dataset in lacking:
        if (space, dataset) in published:
            install_accuracies(store, _benchmark(space, dataset), _BENCHMARK_SOURCE)
            installed[space, dataset] = None
    return tuple(installed)


def _find(store: Store, name: str) -> tuple[Traversable, Mapping[str, Any]]:
    """The table of an image set, and its metadata."""
    check_images_name(name)
    for folder, prefix in ((store.images_dir, ""), (_package_data(), _IMAGES_PREFIX)):
        table, metadata = (folder.joinpath(f"{prefix}{name}.{kind}") for kind in ("parquet", "json"))
        if is_there(metadata) if isinstance(metadata, Path) else metadata.is_file():
            return table, read_json_object(metadata, "; import the images again")
    known = ", ".join(image_names(store)) or "none"
    raise InputError(f"no image set {name!r}: there are {known}; import images under that name")


def _bytes(table: Traversable) -> bytes:
    return read_checked(table) if isinstance(table, Path) else table.read_bytes()


def _package_data() -> Traversable:
    return importlib.resources.files("zcsr.data")


def _embedded(prefix: str) -> dict[str, Traversable]:
    """The tables of the package's data whose names begin so, by the rest of their names."""
    files = sorted(_package_data().iterdir(), key=lambda file: file.name)
    return {
        file.name.removeprefix(prefix).removesuffix(".parquet"): file
        for file in files
        if file.name.startswith(prefix) and file.name.endswith(".parquet")
    }


def _embedded_accuracies() -> Iterator[tuple[str, pl.DataFrame]]:
    """Each embedded table of accuracies, after its name."""
    for name, file in _embedded(_ACCURACIES_PREFIX).items():
        yield name, pl.read_parquet(io.BytesIO(file.read_bytes()))


def _benchmark_tasks() -> frozenset[tuple[str, str]]:
    files = _embedded(_BENCHMARK_PREFIX).items()
    return frozenset((space, dataset) for space, file in files for dataset in _columns_of(file))


def _columns_of(file: Traversable) -> Sequence[str]:
    return tuple(pl.read_parquet_schema(io.BytesIO(file.read_bytes())))


def _benchmark(space: str, dataset: str) -> pl.DataFrame:
    """The embedded accuracies of all networks of a space: the mean over the benchmark's own seeds, as seed 0."""
    file = _embedded(_BENCHMARK_PREFIX)[space]
    values = pl.read_parquet(io.BytesIO(file.read_bytes()), columns=[dataset])[dataset]
    known = get_space(space)
    return pl.DataFrame(
        {
            "space": space,
            "dataset": dataset,
            "metric": "test",
            "arch": [known.arch(index) for index in range(len(values))],
            "seed": pl.Series([0] * len(values), dtype=pl.Int64),
            "accuracy": values,
            "source": _BENCHMARK_SOURCE,
        }
    )


def check_images_name(name: str) -> None:
    """Raise InputError for a name that no image set can have."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise InputError(f"{name!r} cannot name an image set: use letters, digits, '_', '.' and '-'")
