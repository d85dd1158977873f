"""What a program does on networks of a space, with the statistics that a store has of them."""

from __future__ import annotations

import random
from functools import partial

from zcsr.engine.job import Progress, silent
from zcsr.insight.readings import BATCH_SIZES, SEEDS, NetworkReading, choose_networks, read_networks
from zcsr.language.program import Program
from zcsr.language.tensors import Tensor
from zcsr.networks.config import StatisticsConfig
from zcsr.networks.instances import NetworkStatistics
from zcsr.spaces import get_space
from zcsr.store.kept.collections import Collection, CollectionStore, list_collections, open_collection
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store


def networks_of_task(
    store: Store,
    program: Program,
    space: str,
    dataset: str,
    images: str,
    count: int,
    workers: int = 1,
    progress: Progress = silent,
) -> NetworkReading:
    """What a program does on so many networks of a space (`zcsr.insight.readings.read_networks`).

    Where the store has the statistics of so many at the first seed and batch size, it is these networks or some of
    them; otherwise they are drawn from the space. Either draw is always the same. Raises InputError for a space,
    a dataset or images that there are not, and for more networks than the space has.
    """
    config = StatisticsConfig(seed=SEEDS[0], batch_size=BATCH_SIZES[0])
    collection = Collection.of(space, dataset, images, config)
    opened = open_collection(store, collection) if collection in list_collections(store) else None
    loaded = load_images(store, images)
    tensors = tuple(program.root.tensors())
    stored = choose_networks(opened.archs(tensors) if opened else (), count)
    archs = stored if len(stored) == count else get_space(space).sample(count, random.Random(0))
    load = partial(_loaded, opened, tensors) if opened else None
    return read_networks(
        program, get_space(space), dataset, archs, loaded, load=load, workers=workers, progress=progress
    )


def _loaded(opened: CollectionStore, tensors: tuple[Tensor, ...], arch: str) -> NetworkStatistics | None:
    return opened.load(arch, tensors) if arch in opened.archs(tensors) else None
