"""What a program does on networks of a task, from the statistics that the store has of them where it has any."""

from __future__ import annotations

import random
from dataclasses import dataclass

from zcsr.engine.job import Progress, silent
from zcsr.insight.readings import BATCH_SIZES, SEEDS, NetworkReading, choose_networks, read_networks
from zcsr.language.program import Program
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig
from zcsr.spaces import get_space
from zcsr.store.kept.collections import Collection, CollectionStore, list_collections, open_collection
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store


@dataclass(slots=True)
class StoredStatistics:
    """From an architecture to its statistics in a collection, None where it has none (see `Load`)."""

    store: Store
    collection: Collection
    _opened: CollectionStore | None = None

    def __call__(self, arch: str) -> NetworkStatistics | None:
        """Load the statistics of an architecture."""
        opened = self._collection()
        return opened.load(arch) if opened is not None and arch in opened.archs() else None

    def archs(self) -> frozenset[str]:
        """The architectures in the collection."""
        opened = self._collection()
        return frozenset() if opened is None else frozenset(opened.archs())

    def _collection(self) -> CollectionStore | None:
        if self._opened is None and self.collection in list_collections(self.store):
            self._opened = open_collection(self.store, self.collection)
        return self._opened


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
    load = StoredStatistics(store, Collection.of(space, dataset, images, config))
    loaded = load_images(store, images)
    stored = choose_networks(load.archs(), count)
    archs = stored if len(stored) == count else get_space(space).sample(count, random.Random(0))
    return read_networks(
        program, get_space(space), dataset, archs, loaded, load=load, workers=workers, progress=progress
    )
