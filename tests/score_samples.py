"""A small store of invented scores in several collections, for the tests of what compares them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from zcsr.language.text import parse
from zcsr.networks.untrained import StatisticsConfig
from zcsr.proxies import proxy_names
from zcsr.store.jobs.testing import SCHEMA as SCORES_SCHEMA
from zcsr.store.kept.atomic import write_json, write_parquet
from zcsr.store.kept.collections import Collection
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import PROXY_SCORES
from zcsr.store.tables.frames import schema_of

CELLS, SIZES = "nasbench201:cifar100", "nats-sss:cifar10"
TASKS = (CELLS, SIZES)
ARCHS = tuple(f"net-{number:02}" for number in range(60))
EZNAS_A = "fro(sigmoid(logdet(sign(T1G_D))))"
PLAIN = "fro(T1_D)"
PROGRAMS = (EZNAS_A, f"{EZNAS_A} -> l2 -> mean", f"{EZNAS_A} -> l2 -> sum", PLAIN)
PROXIES = ("params", "flops", "naswot", "grad_norm")
SEEDS = 2
SHARED_BY_SEEDS = ARCHS[5:45]

Scores = Mapping[str, Mapping[str, float]]


def accuracies(task: str) -> dict[str, list[float]]:
    """The accuracies of every network of a task, one a seed."""
    generator = random.Random(task)
    return {arch: [generator.uniform(40, 95) for _ in range(SEEDS)] for arch in ARCHS}


def mean_accuracies(task: str) -> dict[str, float]:
    return {arch: sum(values) / SEEDS for arch, values in accuracies(task).items()}


def collection(task: str, images: str | None = None, **config: object) -> Collection:
    space, _, dataset = task.partition(":")
    return Collection(space, dataset, images or dataset, StatisticsConfig(**config))  # type: ignore[arg-type]


def scores(one: Collection, names: Sequence[str], archs: Sequence[str] = ARCHS) -> dict[str, dict[str, float]]:
    """Invented scores, some of them equal, that follow the accuracies, each program's as closely as it happens to.

    The numbers of parameters are the same in every collection of a task; every seventh score of grad_norm is NaN.
    """
    task = f"{one.space}:{one.dataset}"
    truth = mean_accuracies(task)
    made: dict[str, dict[str, float]] = {}
    for name in names:
        where = task if name == "params" else one.id
        noise = random.Random(f"{name} {where}")
        spread = random.Random(f"{name} {task}").uniform(5, 40)
        made[name] = {arch: round(truth[arch] + noise.gauss(0, spread)) for arch in ARCHS if arch in archs}
    if "grad_norm" in made:
        made["grad_norm"] |= {arch: math.nan for arch in archs if int(arch[-2:]) % 7 == 0}
    return made


def write_record(store: Store, one: Collection) -> None:
    images = {"name": one.images, "sha256": "0"}
    record = {"schema": 1, "id": one.id, "space": one.space, "dataset": one.dataset, "images": images}
    write_json(record | {"config": asdict(one.config)}, store.statistics_dir / one.id / "collection.json")


def write_scores(store: Store, one: Collection, made: Scores) -> None:
    keys = (one.id, one.space, one.dataset)
    rows = [
        (*keys, name if name in proxy_names() else parse(name).id, name, arch, score)
        for name, values in made.items()
        for arch, score in values.items()
    ]
    frame = pl.DataFrame(rows, schema=SCORES_SCHEMA, orient="row")
    write_parquet(frame, store.scores_dir / one.id / "made.parquet")


def collections() -> dict[Collection, dict[str, dict[str, float]]]:
    """The collections of `compared_store` with their scores: three batch sizes, three seeds, two patterns."""
    main = collection(CELLS, "cifar10", batch_size=16)
    seeds = [collection(CELLS, "cifar10", batch_size=16, seed=seed) for seed in (1, 2)]
    return {
        main: scores(main, [*PROGRAMS, *PROXIES]),
        **{
            one: scores(one, [*PROGRAMS, *PROXIES], ARCHS[:50])
            for one in (collection(CELLS, "cifar10", batch_size=size) for size in (1, 4))
        },
        seeds[0]: scores(seeds[0], [EZNAS_A, "naswot"], ARCHS[5:]),
        seeds[1]: scores(seeds[1], [EZNAS_A, "naswot"], ARCHS[:45]),
        (cbr := collection(CELLS, "cifar10", batch_size=16, pattern="cbr")): scores(cbr, PROGRAMS, ARCHS[10:]),
        (sizes := collection(SIZES, batch_size=16)): scores(sizes, [EZNAS_A, *PROXIES[:3]]),
    }


def others() -> dict[tuple[str, str], dict[str, float]]:
    """Scores that others publish of proxies on `CELLS`, by source and their name."""
    generator = random.Random("others")
    return {
        ("suite", theirs): {arch: generator.gauss(0, 1) for arch in ARCHS[20:]}
        for theirs in ("nwot", "flops", "epe_nas")
    }


def write_accuracies(store: Store) -> None:
    for task in TASKS:
        space, _, dataset = task.partition(":")
        rows = [
            (space, dataset, "test", arch, seed, value, "made")
            for arch, values in accuracies(task).items()
            for seed, value in enumerate(values)
        ]
        columns = ["space", "dataset", "metric", "arch", "seed", "accuracy", "source"]
        frame = pl.DataFrame(rows, schema=columns, orient="row")
        write_parquet(frame, store.accuracies_dir / space / dataset / "test-made.parquet")


def compared_store(root: Path) -> Store:
    """A store of all of these; no record says how the collection of `SIZES` came about."""
    store = Store.open(root, create=True)
    write_accuracies(store)
    for one, made in collections().items():
        write_scores(store, one, made)
        if one.space == "nasbench201":
            write_record(store, one)
    space, _, dataset = CELLS.partition(":")
    theirs = [
        (source, space, dataset, proxy, arch, score)
        for (source, proxy), values in others().items()
        for arch, score in values.items()
    ]
    frame = pl.DataFrame(theirs, schema=schema_of(PROXY_SCORES), orient="row")
    write_parquet(frame, store.proxy_scores_dir / space / dataset / "suite.parquet")
    return store
