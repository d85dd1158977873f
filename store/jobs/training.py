"""Ground truth of one's own: train architectures of a space on a stored image set, into the table of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from zcsr.engine.job import JobReport, Progress, run_job, silent
from zcsr.engine.workers import mapped
from zcsr.errors import InputError
from zcsr.networks.config import TrainingConfig
from zcsr.networks.images import ImageSet
from zcsr.networks.training import Examples, train_network
from zcsr.spaces import dataset_shape, get_space
from zcsr.store.kept.accuracies import measurements, write_accuracies
from zcsr.store.kept.atomic import read_json_object, write_json
from zcsr.store.kept.checksums import is_there
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store

METRIC = "test"
SOURCE = "train"
SETTINGS_NAME = "training.json"
WRITTEN_TOGETHER = 4
"""Results that are written in one file."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What to train on what.

    Of the stored image set, the first `train_images` train and the last `test_images` test; they must not overlap.
    """

    space: str
    dataset: str
    images: str
    train_images: int
    test_images: int
    config: TrainingConfig = field(default_factory=TrainingConfig)


def train_networks(
    store: Store,
    request: TrainRequest,
    archs: Sequence[str],
    seeds: Sequence[int],
    *,
    workers: int = 1,
    device: str = "cpu",
    progress: Progress = silent,
) -> JobReport:
    """Train every architecture with every seed, seed by seed, and store the accuracies as they come.

    What the store has already is left out, so a call that was interrupted is taken up by calling again. An
    accuracy is a function of the request, the architecture and the seed, for any number of workers. Raises
    InputError where the space, dataset or images do not fit, and where the store's networks of this space and
    dataset were trained in another way or elsewhere: such accuracies cannot stand in one table.
    """
    images = load_images(store, request.images)
    _check_counts(request, images)
    there = measurements(store, request.space, request.dataset, METRIC)
    _check_sources(request, there["source"].unique().sort().to_list())
    _check_settings(store, request)
    known = frozenset(there.select("arch", "seed").iter_rows())
    return run_job(
        [(arch, seed) for seed in seeds for arch in archs],
        known,
        partial(mapped, workers, partial(_prepare, request, images, device), _train),
        partial(write_accuracies, store, source=SOURCE),
        together=WRITTEN_TOGETHER,
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class _Training:
    """What a worker holds."""

    request: TrainRequest
    classes: int
    train: Examples
    test: Examples
    device: str


def _prepare(request: TrainRequest, images: ImageSet, device: str) -> _Training:
    count = len(images.labels)
    train = _examples(images, np.arange(request.train_images))
    test = _examples(images, np.arange(count - request.test_images, count))
    return _Training(request, images.classes, train, test, device)


def _examples(images: ImageSet, positions: np.ndarray) -> Examples:
    return Examples(images.batch(positions), torch.from_numpy(images.labels[positions]))


def _train(work: _Training, item: tuple[str, int]) -> dict[str, Any]:
    arch, seed = item
    space = get_space(work.request.space)
    result = train_network(space, arch, work.classes, work.train, work.test, work.request.config, seed, work.device)
    return {
        "space": work.request.space,
        "dataset": work.request.dataset,
        "metric": METRIC,
        "arch": arch,
        "seed": seed,
        "accuracy": result.accuracy,
    }


def _check_sources(request: TrainRequest, sources: Sequence[str]) -> None:
    """Refuse to train beside accuracies that came from elsewhere, with settings of which nothing is known."""
    if others := [name for name in sources if name != SOURCE]:
        raise InputError(
            f"this store has accuracies of {request.space}:{request.dataset} from "
            f"{', '.join(others)}, which may be trained in another way: train into another store (--store)"
        )


def _check_settings(store: Store, request: TrainRequest) -> None:
    """Write down how the networks of a space and dataset are trained; refuse another way than is written there."""
    path = store.accuracies_dir / request.space / request.dataset / SETTINGS_NAME
    now = {name: value for name, value in asdict(request).items() if name not in ("space", "dataset")}
    if not is_there(path):
        write_json(now, path)
        return
    was = dict(read_json_object(path))
    was["config"] = {"optimiser": "sgd", **was.get("config", {})}  # what was written before there was a choice
    if was != now:
        flat_was, flat_now = ({**settings, **settings.get("config", {})} for settings in (was, now))
        other = [
            f"{key} {flat_was.get(key)}"
            for key in flat_now
            if key != "config" and flat_was.get(key) != flat_now[key]
        ]
        raise InputError(
            f"the networks of {request.space}:{request.dataset} in this store were trained with "
            f"{', '.join(other) or 'other settings'}: train with the same, or into another store"
        )


def _check_counts(request: TrainRequest, images: ImageSet) -> None:
    wanted, count = request.train_images + request.test_images, len(images.labels)
    if wanted > count:
        raise InputError(
            f"{request.train_images} images to train on and {request.test_images} to test on are {wanted}, and "
            f"'{request.images}' has {count}: ask for fewer, or import a larger set"
        )
    shape = dataset_shape(get_space(request.space), request.dataset)
    _, height, width, _ = images.pixels.shape
    if (height, width) != (shape.height, shape.width):
        raise InputError(
            f"{request.dataset} of {request.space} takes images of {shape.height}x{shape.width}, and "
            f"'{request.images}' has {height}x{width}: import it with --pool and --pad"
        )
