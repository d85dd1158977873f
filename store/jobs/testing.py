"""Scores of programs and of known proxies on any networks of a space, apart from any run.

`scores/<collection>/<name>.parquet`, one file a write, one row a program and architecture: collection, space,
dataset, program, text, arch, score (NaN where the program gives none). For a proxy, program and text are its name.
`collection.json` beside them says how the networks' weights, images and statistics come about; nothing else of them
is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.engine.job import JobReport, Progress, run_job, silent
from zcsr.errors import InputError, StoreError
from zcsr.evaluation.many_networks import Measures, Refused, score_networks
from zcsr.spaces import get_space
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.checksums import files_in
from zcsr.store.kept.collections import Collection, describe_collection, images_of
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.runs import open_run
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import NETWORK_SCORES
from zcsr.store.tables.frames import first_line, frame_of, schema_of

WRITTEN_TOGETHER = 50
"""Networks whose scores are written in one file."""

SCHEMA = schema_of(NETWORK_SCORES)


def score_and_store(
    store: Store,
    collection: Collection,
    measures: Measures,
    archs: Sequence[str],
    *,
    workers: int = 1,
    progress: Progress = silent,
    refused: Refused = lambda *_: None,
) -> JobReport:
    """Score every architecture by every program and proxy; keeps scores as they come, goes on where it stopped.

    Networks are built, run and dropped one by one, so memory does not grow with their number. What all of them have
    a score of already is not computed again. `refused` is told what could not be
    computed (`score_networks`). Where the measures look at noise alone, no images are needed. Raises
    InputError for architectures, images or datasets that there are not.
    """
    space = get_space(collection.space)
    for arch in archs:
        space.index(arch)
    known = scored_pairs(store, collection)
    measures = _incomplete(measures, archs, known)
    complete = {arch for arch in archs if all((name, arch) in known for name, _ in measures.names)}
    needed = measures.need_images(collection.config.loss)
    images = images_of(store, collection, needed)
    describe_collection(store, collection, store.scores_dir / collection.id, with_images=needed)
    return run_job(
        archs,
        complete,
        lambda missing: score_networks(
            space, collection.dataset, missing, images, collection.config, measures, workers, refused
        ),
        partial(_write, store, collection, measures, known),
        together=WRITTEN_TOGETHER,
        progress=progress,
    )


def _incomplete(measures: Measures, archs: Sequence[str], known: set[tuple[str, str]]) -> Measures:
    """What of the measures lacks the score of an architecture."""

    def lacks(name: str) -> bool:
        return any((name, arch) not in known for arch in archs)

    return Measures(
        tuple(program for program in measures.programs if lacks(program.id)),
        tuple(proxy for proxy in measures.proxies if lacks(proxy)),
    )


def scored_pairs(store: Store, collection: Collection) -> set[tuple[str, str]]:
    """Return the pairs of a program's id, or a proxy's name, and an architecture whose score is stored."""
    files = files_in(store.scores_dir / collection.id)
    return {pair for file in files for pair in _read(file).iter_rows()}


def _read(file: Path) -> pl.DataFrame:
    try:
        return read_parquet(file, ["program", "arch"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(
            f"cannot read {file}: {first_line(error)}; delete it and its checksum, and test again"
        ) from error


def _write(
    store: Store,
    collection: Collection,
    measures: Measures,
    known: set[tuple[str, str]],
    scored: Iterable[tuple[str, NDArray[np.float64], float]],
) -> None:
    """Store the new ones among the scores of some networks in one file, named after what it holds."""
    rows = [
        (collection.id, collection.space, collection.dataset, name, text, arch, value)
        for arch, values, _ in scored
        for (name, text), value in zip(measures.names, values.tolist(), strict=True)
        if (name, arch) not in known
    ]
    frame = frame_of(SCHEMA, rows)
    name = hashlib.sha256("\n".join(f"{row[3]} {row[5]}" for row in rows).encode()).hexdigest()[:16]
    write_parquet(frame, store.scores_dir / collection.id / f"{name}.parquet")


def never_evolved_on(store: Store, runs: Sequence[str], space: str, archs: Sequence[str]) -> list[str]:
    """Return those of a space's architectures on whose networks none of the runs evolved, on whatever data set.

    Isomorphic ones count as one network. Raises InputError for a run that is not there, and where none
    is left.
    """
    canonical = get_space(space).canonical
    drawn = {
        canonical(arch)
        for run in runs
        for task in open_run(store, run).tasks()
        if task.space == space
        for arch in task.evolve
    }
    kept = [arch for arch in archs if canonical(arch) not in drawn]
    if archs and not kept:
        raise InputError(
            f"{' and '.join(runs)} evolved on all of the {len(archs)} networks of {space} that were chosen"
        )
    return kept
