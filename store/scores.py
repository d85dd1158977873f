"""Scores of programs on any networks of a space, apart from any run.

`scores/<collection>/<name>.parquet`, one file a write, one row a program and architecture: collection, space,
dataset, program, text, arch, score (NaN where the program gives none). The collection's id says how the networks'
statistics come about; nothing else of them is kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from zcsr.program import Program
from zcsr.scoring import score_networks
from zcsr.spaces import get_space
from zcsr.store.atomic import is_temporary, write_parquet
from zcsr.store.buffer import Buffer
from zcsr.store.images import load_images
from zcsr.store.statistics import Collection
from zcsr.store.store import Store

WRITTEN_TOGETHER = 50
"""Networks whose scores are written in one file."""

SCHEMA = pl.Schema(
    {
        "collection": pl.String,
        "space": pl.String,
        "dataset": pl.String,
        "program": pl.String,
        "text": pl.String,
        "arch": pl.String,
        "score": pl.Float64,
    }
)


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Networks scored now and found already scored by every program, and wall-clock seconds."""

    scored: int
    already: int
    seconds: float


def score_archs(
    store: Store,
    collection: Collection,
    programs: Sequence[Program],
    archs: Sequence[str],
    *,
    workers: int = 1,
    report: Callable[[int, int], None] | None = None,
) -> ScoreReport:
    """Score every program on every architecture and keep the scores as they come; goes on where it stopped.

    Networks are built, run and dropped one by one, so memory does not grow with their number. Raises InputError
    for architectures, images or datasets that there are not.
    """
    started = time.monotonic()
    space = get_space(collection.space)
    for arch in archs:
        space.index(arch)
    known = scored_pairs(store, collection)
    missing = [arch for arch in archs if any((program.id, arch) not in known for program in programs)]
    before = len(archs) - len(missing)
    if report:
        report(before, len(archs))
    images = load_images(store, collection.images)
    scored = score_networks(space, collection.dataset, missing, images, collection.config, programs, workers)
    write = partial(_write, store, collection, programs, known)
    with Buffer[tuple[str, Sequence[float]]](write, WRITTEN_TOGETHER) as buffer:
        for done, (arch, values, _) in enumerate(scored, 1):
            buffer.add((arch, values.tolist()))
            if report:
                report(before + done, len(archs))
    return ScoreReport(len(missing), before, time.monotonic() - started)


def scored_pairs(store: Store, collection: Collection) -> set[tuple[str, str]]:
    """Return the (program id, architecture) pairs whose score in a collection is stored."""
    files = (store.scores_dir / collection.id).glob("*.parquet")
    frames = [pl.read_parquet(file, columns=["program", "arch"]) for file in files if not is_temporary(file)]
    return {pair for frame in frames for pair in frame.iter_rows()}


def _write(
    store: Store,
    collection: Collection,
    programs: Sequence[Program],
    known: set[tuple[str, str]],
    scored: Iterable[tuple[str, Sequence[float]]],
) -> None:
    """Store the new ones among the scores of some networks in one file, named after what it holds."""
    rows = [
        (collection.id, collection.space, collection.dataset, program.id, str(program), arch, value)
        for arch, values in scored
        for program, value in zip(programs, values, strict=True)
        if (program.id, arch) not in known
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    name = hashlib.sha256("\n".join(f"{row[3]} {row[5]}" for row in rows).encode()).hexdigest()[:16]
    write_parquet(frame, store.scores_dir / collection.id / f"{name}.parquet")
