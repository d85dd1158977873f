"""Collect the statistics of many networks into a store, block by block, with several processes.

Only the passes are run that the tensors asked for need, and only what the store lacks of them is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from zcsr.engine.job import JobReport, Progress, run_job, silent
from zcsr.engine.workers import mapped
from zcsr.errors import InputError
from zcsr.evaluation.many_networks import looks_at_images
from zcsr.language.tensors import TENSORS
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.outputs import no_instance
from zcsr.networks.untrained import network_statistics, untrained
from zcsr.spaces import SearchSpace, get_space
from zcsr.store.kept.collections import Collection, CollectionStore, images_of, open_collection
from zcsr.store.kept.images import image_names
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
    tensors: tuple[TensorRow, ...]


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
    tensors: Iterable[TensorRow] = TENSORS,
    workers: int = 1,
    progress: Progress = silent,
) -> JobReport:
    """Compute and store those of the tensors, of each of `archs`, that the collection lacks.

    Where they look at noise alone, no images are needed.
    What is stored of a network depends on the architecture, the images and the collection's configuration alone,
    not on the order, on the number of workers, or on earlier calls. An interrupted call goes on where it was, less
    the blocks that were under way. `progress` is called with the number of architectures that are there, and of
    all, at the start and after each block. Several calls may fill one collection at the same time.

    Raises InputError on an unknown architecture or missing images, StoreError when the collection cannot be used;
    in both cases before anything is computed. InputError at the end where none of the networks has an instance.
    """
    space = get_space(collection.space)
    wanted = list(dict.fromkeys(archs))
    for arch in wanted:
        space.index(arch)
    rows = tuple(tensors)
    needed = looks_at_images(rows, collection.config.loss)
    with_images = needed or collection.images in image_names(store)
    there = open_collection(store, collection, create=True, with_images=with_images).archs(rows)

    def compute(missing: Sequence[str]) -> Generator[_Block, None, None]:
        blocks = _blocks(missing, collection.config.batch_size)
        return mapped(workers, partial(_open, store, collection, rows, needed), _collect_block, blocks)

    blocks: list[_Block] = []
    report = run_job(wanted, there, compute, blocks.extend, size=lambda block: block.given, progress=progress)
    _check_instances(store, collection, wanted)
    collected = sum(block.collected for block in blocks)  # others may have been quicker
    already = len(wanted) - collected
    return replace(report, done=collected, already=already, bytes=sum(block.bytes for block in blocks))


def _check_instances(store: Store, collection: Collection, archs: Sequence[str]) -> None:
    """Raise InputError where none of the networks has an instance; mostly the first one has."""
    opened = open_collection(store, collection)
    if opened.without_instances(archs[:1]) and len(opened.without_instances(archs)) == len(archs):
        config = collection.config
        images = images_of(store, collection, False)
        network = untrained(get_space(collection.space), archs[0], collection.classes, images, config)
        raise InputError(
            f"none of the {len(archs)} networks of {collection.space}:{collection.dataset} can be looked at, such "
            f"as {archs[0]}: {no_instance(network.model, config.pattern)}"
        )


def _blocks(archs: Sequence[str], batch_size: int) -> Iterator[tuple[str, ...]]:
    size = max(1, _BLOCK_IMAGES // batch_size)
    return (tuple(archs[start : start + size]) for start in range(0, len(archs), size))


def _open(store: Store, collection: Collection, tensors: tuple[TensorRow, ...], images_needed: bool) -> _Context:
    return _Context(
        open_collection(store, collection),
        get_space(collection.space),
        collection.classes,
        images_of(store, collection, images_needed),
        tensors,
    )


def _collect_block(context: _Context, archs: Sequence[str]) -> _Block:
    there = context.collection.archs(context.tensors)
    missing = deque(arch for arch in archs if arch not in there)
    collected = written = 0
    while missing:
        before = len(missing)
        summary = context.collection.write(_networks(context, missing), context.tensors)
        if summary is not None:
            collected += before - len(missing)
            written += context.collection.shard_bytes(summary)
    return _Block(len(archs), collected, written)


def _networks(context: _Context, archs: deque[str]) -> Iterator[NetworkStatistics]:
    """The networks of the first architectures, which are taken away, until they fill a shard.

    Each has the tensors that the collection lacks of it, and what these refer to.
    """
    config = context.collection.collection.config
    held = 0
    while archs and held < _SHARD_BYTES:
        lacking = context.collection.lacking(archs[0], context.tensors)
        network = network_statistics(context.space, archs[0], context.classes, context.images, config, lacking)
        archs.popleft()
        held += network.nbytes
        yield network
