"""Collect the statistics of many networks into a store, block by block, with several processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from zcsr.engine.processes import Workers
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import network_statistics
from zcsr.spaces import SearchSpace, get_space
from zcsr.store.kept.collections import Collection, CollectionStore, open_collection
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store

_BLOCK_IMAGES = 8
"""Images a block takes, networks times batch size: a few seconds of work, and memory for one shard a worker."""


_SHARD_BYTES = 256 << 20
"""Networks of a block whose tensors together take more are written in several shards."""


@dataclass(frozen=True, slots=True)
class CollectReport:
    """Networks collected now and found already there; wall-clock seconds; bytes written."""

    collected: int
    already: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class _Context:
    """What a worker holds."""

    collection: CollectionStore
    space: SearchSpace
    classes: int
    images: ImageSet


@dataclass(frozen=True, slots=True)
class _Block:
    """What became of a block of architectures."""

    given: int
    collected: int
    bytes: int


def collect(
    store: Store,
    collection: Collection,
    archs: Sequence[str],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CollectReport:
    """Compute and store the statistics of those of `archs` that the collection lacks.

    What is stored of a network depends on the architecture, the images and the collection's configuration alone,
    not on the order, on the number of workers, or on earlier calls. An interrupted call goes on where it was, less
    the blocks that were under way. `progress` is called with the number of architectures that are there, and of
    all, at the start and after each block. Several calls may fill one collection at the same time.

    Raises InputError on an unknown architecture or missing images, StoreError when the collection cannot be used;
    in both cases before anything is computed.
    """
    start = time.perf_counter()
    space = get_space(collection.space)
    wanted = list(dict.fromkeys(archs))
    for arch in wanted:
        space.index(arch)
    there = open_collection(store, collection, create=True).archs()
    missing = [arch for arch in wanted if arch not in there]
    done = len(wanted) - len(missing)
    collected = written = 0
    report = progress or _silent
    report(done, len(wanted))
    with Workers(workers, partial(_open, store, collection)) as pool:
        for block in pool.map(_collect_block, _blocks(missing, collection.config.batch_size)):
            done += block.given
            collected += block.collected
            written += block.bytes
            report(done, len(wanted))
    return CollectReport(collected, len(wanted) - collected, time.perf_counter() - start, written)


def _blocks(archs: Sequence[str], batch_size: int) -> Iterator[tuple[str, ...]]:
    size = max(1, _BLOCK_IMAGES // batch_size)
    return (tuple(archs[start : start + size]) for start in range(0, len(archs), size))


def _open(store: Store, collection: Collection) -> _Context:
    images = load_images(store, collection.images)
    return _Context(open_collection(store, collection), get_space(collection.space), collection.classes, images)


def _collect_block(context: _Context, archs: Sequence[str]) -> _Block:
    there = context.collection.archs()
    missing = deque(arch for arch in archs if arch not in there)
    collected = written = 0
    while missing:
        before = len(missing)
        summary = context.collection.write(_networks(context, missing))
        if summary is not None:
            collected += before - len(missing)
            written += context.collection.shard_bytes(summary)
    return _Block(len(archs), collected, written)


def _networks(context: _Context, archs: deque[str]) -> Iterator[NetworkStatistics]:
    """The networks of the first architectures, which are taken away, until they fill a shard."""
    config = context.collection.collection.config
    held = 0
    while archs and held < _SHARD_BYTES:
        network = network_statistics(context.space, archs[0], context.classes, context.images, config)
        archs.popleft()
        held += network.nbytes
        yield network


def _silent(_done: int, _total: int) -> None:
    pass
