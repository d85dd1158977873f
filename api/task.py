"""A task of a search: a space with accuracies and images, by their names in the store or as Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from zcsr.errors import InputError
from zcsr.networks.images import ImageSet
from zcsr.spaces import SearchSpace, dataset_shape, get_space, lend_space
from zcsr.store.importers.image_sets import normalised
from zcsr.store.jobs.experiment import TaskRequest
from zcsr.store.kept.accuracies import SCHEMA, check_alone, check_name, install_accuracies
from zcsr.store.kept.images import check_images_name, image_names, images_hash, stored_images_hash, write_images
from zcsr.store.kept.store import Store

SOURCE = "python"
"""Where accuracies are said to come from that a program gave."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What to search on. Whatever is given as an object is written into the store, in the form of an import.

    space: a search space, or the name of one that zcsr knows
    dataset: the name of one of the space's data sets; may be left out where there is just one
    accuracies: percent by architecture, as a mapping or a frame (polars, pandas, or columns by their names) with
        the columns arch and accuracy and, where a network was trained several times, seed; None for those that the
        store has or that come with zcsr
    images: the name of an image set, an `ImageSet`, or 8-bit pixels, uint8 [n, h, w] or [n, h, w, c]; None for
        those named like the data set
    labels: of pixels, whole numbers [n] from 0
    mean, std: of pixels scaled to 0..1, one a channel; computed from them where nothing is said
    metric: names these accuracies beside others of the task
    """

    space: SearchSpace | str
    dataset: str | None = None
    accuracies: Any = None
    images: Any = None
    labels: Any = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    metric: str = "test"

    @classmethod
    def named(cls, text: str, images: str | None = None, metric: str = "test") -> Task:
        """Return the task that SPACE:DATASET names; InputError for another text."""
        space, colon, dataset = text.partition(":")
        if not (space and colon and dataset):
            raise InputError(f"a task is SPACE:DATASET, such as nasbench201:cifar10, or a zcsr.Task, not {text!r}")
        return cls(space, dataset, images=images, metric=metric)

    def put(self, store: Store) -> TaskRequest:
        """Write what is given as objects into the store, and return the task as a search takes it.

        Raises InputError for what cannot be stored; where the store has other images of that name, or accuracies of
        the task from elsewhere.
        """
        known = get_space(self.space) if isinstance(self.space, str) else lend_space(self.space)
        dataset = self._dataset(known)
        images = self._put_images(store, known, dataset)
        if self.accuracies is not None:
            check_name("metric", self.metric)
            check_alone(store, known.name, dataset, self.metric, SOURCE)
            install_accuracies(store, self._frame(known.name, dataset), SOURCE)
        return TaskRequest(known.name, dataset, images, self.metric)

    def _dataset(self, space: SearchSpace) -> str:
        if self.dataset is None and len(space.datasets) > 1:
            raise InputError(f"{space.name} has the datasets {', '.join(space.datasets)}: say which one, dataset=")
        dataset = next(iter(space.datasets)) if self.dataset is None else self.dataset
        dataset_shape(space, dataset)
        return dataset

    def _frame(self, space: str, dataset: str) -> pl.DataFrame:
        """The accuracies as rows of the store; of one network without seeds that of seed 0."""
        given = self.accuracies
        if isinstance(given, Mapping) and not {"arch", "accuracy"} <= set(given):
            frame = pl.DataFrame({"arch": list(given), "accuracy": list(given.values())}, strict=False)
        else:
            frame = given if isinstance(given, pl.DataFrame) else _columns(given)
        lacking = [name for name in ("arch", "accuracy") if name not in frame.columns]
        if lacking:
            there = ", ".join(frame.columns) or "none"
            raise InputError(f"accuracies of {space}:{dataset} lack the column {lacking[0]}; there are {there}")
        if not frame["accuracy"].dtype.is_numeric():
            raise InputError(
                f"accuracies of {space}:{dataset} are {frame['accuracy'].dtype}, not numbers in percent"
            )
        seed = pl.col("seed") if "seed" in frame.columns else pl.lit(0, pl.Int64).alias("seed")
        named = {"space": space, "dataset": dataset, "metric": self.metric, "source": SOURCE}
        said = [pl.lit(value).alias(name) for name, value in named.items()]
        return frame.select(pl.col("arch"), pl.col("accuracy"), seed).with_columns(said).select(list(SCHEMA))

    def _put_images(self, store: Store, space: SearchSpace, dataset: str) -> str:
        given = self.images
        if given is None or isinstance(given, str):
            if self.labels is not None:
                raise InputError("labels are of pixels: give the pixels as images")
            return given or dataset
        images, origin = (given, "given") if isinstance(given, ImageSet) else self._set(given, space, dataset)
        check_images_name(images.name)
        if images.name not in image_names(store):
            write_images(store, images, origin)
        elif stored_images_hash(store, images.name) != images_hash(images):
            raise InputError(
                f"the store {store.root} has other images named {images.name!r}, which its statistics are of: give "
                "these another name, zcsr.ImageSet(name, ...)"
            )
        return images.name

    def _set(self, given: Any, space: SearchSpace, dataset: str) -> tuple[ImageSet, str]:
        """The set of some pixels, named after the task."""
        pixels = np.asarray(given)
        if pixels.ndim == 3:
            pixels = pixels[..., None]
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels):
            seen = f"{pixels.dtype} {list(pixels.shape)}"
            raise InputError(f"images are uint8 [n, h, w] or [n, h, w, c], at least one, these are {seen}")
        if self.labels is None:
            raise InputError("images without labels: give labels=, a whole number from 0 for each image")
        labels = np.asarray(self.labels)
        if labels.dtype.kind not in "iu":
            raise InputError(f"labels are whole numbers, these are {labels.dtype}")
        classes = space.datasets[dataset].classes
        name = f"{space.name}-{dataset}"
        return normalised(name, pixels, labels.astype(np.int64), classes, self.mean, self.std)


def _columns(given: Any) -> pl.DataFrame:
    """A frame from columns by their names, or from another library's frame."""
    columns = given if isinstance(given, Mapping) else getattr(given, "columns", None)
    if columns is None:
        raise InputError(
            f"accuracies are a mapping from architecture to percent, or a frame, not a {type(given).__name__}"
        )
    return pl.DataFrame({str(name): list(given[name]) for name in columns}, strict=False)
