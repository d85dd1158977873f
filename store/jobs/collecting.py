"""Collect the statistics of many networks into a store, block by block, with several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from zcsr.engine.job import JobReport, Progress, run_job, silent
from zcsr.engine.workers import mapped
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


def collect_networks(
    store: Store,
    collection: Collection,
    archs: Sequence[str],
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> JobReport:
    """Compute and store the statistics of those of `archs` that the collection lacks.

    What is stored of a network depends on the architecture, the images and the collection's configuration alone,
    not on the order, on the number of workers, or on earlier calls. An interrupted call goes on where it was, less
    the blocks that were under way. `progress` is called with the number of architectures that are there, and of
    all, at the start and after each block. Several calls may fill one collection at the same time.

    Raises InputError on an unknown architecture or missing images, StoreError when the collection cannot be used;
    in both cases before anything is computed.
    """
    space = get_space(collection.space)
    wanted = list(dict.fromkeys(archs))
    for arch in wanted:
        space.index(arch)
    there = open_collection(store, collection, create=True).archs()

    def compute(missing: Sequence[str]) -> Generator[_Block, None, None]:
        blocks = _blocks(missing, collection.config.batch_size)
        return mapped(workers, partial(_open, store, collection), _collect_block, blocks)

    blocks: list[_Block] = []
    report = run_job(wanted, there, compute, blocks.extend, size=lambda block: block.given, progress=progress)
    collected = sum(block.collected for block in blocks)  # others may have been quicker
    already = len(wanted) - collected
    return replace(report, done=collected, already=already, bytes=sum(block.bytes for block in blocks))


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
