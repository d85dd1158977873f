"""Small invented runs, accuracies and statistics in a store, for the tests of the store and of the queries."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import polars as pl

from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import Finalist
from zcsr.evolve.records import (
    ColumnRecord,
    Evaluated,
    Generation,
    Genotype,
    Individual,
    ProgramRecord,
    Rejection,
    ScoreRecord,
)
from zcsr.language.languages import ZCSR
from zcsr.language.program import Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.untrained import StatisticsConfig
from zcsr.store.jobs.nas_searches import SCHEMA as SEARCHES_SCHEMA
from zcsr.store.jobs.testing import SCHEMA as SCORES_SCHEMA
from zcsr.store.kept.atomic import write_json, write_parquet
from zcsr.store.kept.collections import Collection
from zcsr.store.kept.runs import RunTask, TestScore, create_run, open_run
from zcsr.store.kept.store import Store
from zcsr.store.kept.summaries import SUMMARY_SCHEMA
from zcsr.store.tables.declarations import PROXY_SCORES
from zcsr.store.tables.frames import schema_of

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")
EVOLVE = tuple(f"evolve-{number}" for number in range(12))
TEST = tuple(f"test-{number}" for number in range(10))
STAGES = ("new", "text", "normal_form", "sympy", "fingerprint")
COUNTERS = ("proposed", "rejected", "known", "probed", *STAGES, "scored", "remembered")
UNARY = ("abs", "exp", "relu", "sign", "sigmoid", "fro", "mean")
RIVAL = Program(ZCSR.node("params"))
FRONT = EvolveConfig(population=6, generations=3, mu=4, networks_per_task=12)
CONFIG = EvolveConfig(language="eznas", population=6, generations=3, mu=4, networks_per_task=12, draw=5)


def program(generator: random.Random) -> Program:
    text = generator.choice(TENSOR_NAMES)
    for _ in range(generator.randint(1, 4)):
        text = f"{generator.choice(UNARY)}({text})"
    return parse(text)


def run_task(task: str, evolve: tuple[str, ...] = EVOLVE, test: tuple[str, ...] = TEST) -> RunTask:
    space, _, dataset = task.partition(":")
    collection = Collection(space, dataset, dataset, StatisticsConfig())
    return RunTask(task, "test", dataset, collection, evolve, test)


def generation(number: int, seed: int = 0, population: int = 6) -> Generation:
    """An invented generation with every kind of record; its fitnesses include -inf."""
    generator = random.Random(f"{seed}/{number}")
    programs = tuple({p.id: p for p in (program(generator) for _ in range(population))}.values())
    draws = {task: tuple(generator.sample(EVOLVE, 5)) for task in TASKS}
    return Generation(
        number=number,
        draws=draws,
        individuals=tuple(_individual(slot, p, generator) for slot, p in enumerate(programs)),
        programs=tuple(_record(p, generator) for p in programs),
        rejections=(
            Rejection("det(T3)", "random", "shape", "not square", 3),
            Rejection(f"exp(exp(T{number + 1}G_D))", "mutation", "non_finite", "", 1),
        ),
        scores=tuple(
            ScoreRecord(p.id, task, arch, generator.gauss(0, 1))
            for p in programs
            for task, archs in draws.items()
            for arch in archs
        ),
        counters={name: generator.randrange(1, 50) for name in COUNTERS},
        seconds={"vary": 0.25, "total": 1.5 + number},
    )


def _individual(slot: int, one: Program, generator: random.Random) -> Individual:
    taus = {task: generator.uniform(-1, 1) for task in TASKS} if slot else {TASKS[0]: 0.5}
    fitness = min(taus.values()) if slot else float("-inf")
    origin = generator.choice(("random", "crossover", "mutation", "reproduction"))
    return Individual(slot, one, origin, STAGES[slot % 5], one.id, fitness, taus)


def _record(one: Program, generator: random.Random) -> ProgramRecord:
    values = tuple(generator.gauss(0, 1) for _ in range(3))
    return ProgramRecord(one, str(one), f"f({one})", generator.choice((None, "3fa9")), values)


def write_run(
    store: Store,
    name: str = "first",
    *,
    seed: int = 0,
    generations: int = 3,
    test: bool = True,
    config: EvolveConfig = CONFIG,
) -> tuple[Program, ...]:
    """Write a run with generations and scores on test networks; returns the programs tested."""
    front = config.algorithm == "front"
    create_run(
        store,
        config,
        [run_task(task) for task in TASKS],
        {"zcsr": "0.1"},
        name=name,
        command=("zcsr", "a b"),
        against={"params": RIVAL} if front else {},
    )
    run = open_run(store, name)
    made = [generation(number, seed) for number in range(generations)]
    if front:
        made = [of_front(one) for one in made]
    if config.representation == "sequential":
        made = [bred_as_rows(one) for one in made]
    for one in made:
        run.append(one)
    if not test:
        return ()
    tested = (*(record.program for record in made[-1].programs[:3]), parse("fro(sigmoid(logdet(sign(T1G_D))))"))
    if front:
        tested = (*tested, RIVAL)
        chosen = made[-1].programs[0].program
        run.choose([Finalist(chosen, "chosen", made[-1].number, 0, 0.5)])
        run.write_held_out_scores(TestScore(chosen, task, arch, 0.25) for task in TASKS for arch in EVOLVE[:3])
    generator = random.Random(seed)
    run.write_test_scores(
        TestScore(one, task, arch, generator.gauss(0, 1)) for one in tested for task in TASKS for arch in TEST
    )
    return tested


def of_front(made: Generation) -> Generation:
    """The generation as a search over fronts has it: with what was evaluated and the columns asked for."""
    evaluated = tuple(
        Evaluated(one.program, "readout", dict(zip(TASKS, (0.25, 0.5), strict=True)), f"{slot:016x}", slot == 0, 3)
        for slot, one in enumerate(made.individuals)
    )
    columns = (ColumnRecord("fro(T3)", "known"), ColumnRecord("log(mean(T1_D))", "refused"))
    return replace(made, evaluated=evaluated, columns=columns, scores=())


def bred_as_rows(made: Generation) -> Generation:
    """The generation with two instructions to each individual, of which one reaches the output."""
    genotype = Genotype("22 14 0 0; 102 17 5 0", 2, 1)
    return replace(made, individuals=tuple(replace(one, genotype=genotype) for one in made.individuals))


def write_accuracies(store: Store, seeds: int = 2) -> dict[tuple[str, str], float]:
    """Write accuracies of every network of the tasks; returns the mean over the seeds, by task and architecture."""
    generator = random.Random("accuracies")
    means: dict[tuple[str, str], float] = {}
    for task in TASKS:
        space, _, dataset = task.partition(":")
        rows = []
        for arch in (*EVOLVE, *TEST):
            values = [generator.uniform(10, 95) for _ in range(seeds)]
            means[task, arch] = sum(values) / seeds
            rows += [(space, dataset, "test", arch, seed, value, "made") for seed, value in enumerate(values)]
        columns = ["space", "dataset", "metric", "arch", "seed", "accuracy", "source"]
        frame = pl.DataFrame(rows, schema=columns, orient="row")
        write_parquet(frame, store.accuracies_dir / space / dataset / "test-made.parquet")
    return means


def write_statistics(store: Store, archs: tuple[str, ...] = EVOLVE[:4], layers: int = 5) -> str:
    """Write the summaries of invented statistics; returns the collection's id."""
    collection = run_task(TASKS[0]).collection
    folder = store.statistics_dir / collection.id
    images = {"name": collection.images, "sha256": "0"}
    record = {"schema": 1, "id": collection.id, "space": collection.space, "dataset": collection.dataset}
    write_json(record | {"images": images, "config": _plain(collection.config)}, folder / "collection.json")
    for shard, arch in enumerate(archs):
        write_parquet(_summary_frame(collection, arch, layers), folder / f"summary-{shard}.parquet")
    return collection.id


def write_network_scores(store: Store, programs: int = 2) -> str:
    """Write scores of invented programs on every network of a task, apart from any run; returns the collection."""
    generator = random.Random("network scores")
    collection = run_task(TASKS[0]).collection
    keys = (collection.id, collection.space, collection.dataset)
    chosen = [program(generator) for _ in range(programs)]
    rows = [(*keys, one.id, str(one), arch, generator.random()) for one in chosen for arch in (*EVOLVE, *TEST)]
    frame = pl.DataFrame(rows, schema=SCORES_SCHEMA, orient="row")
    write_parquet(frame, store.scores_dir / collection.id / "made.parquet")
    return collection.id


def _plain(config: StatisticsConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in StatisticsConfig.__dataclass_fields__}


def _summary_frame(collection: Collection, arch: str, layers: int) -> pl.DataFrame:
    keys = (collection.id, collection.space, collection.dataset, arch)
    numbers = (0.5, 1.0, -1.0, 2.0, 3.0, 4.0, 0.25, 0.5)
    rows = [
        (*keys, layer, "m", tensor, "1x2", 2, *numbers, 0) for layer in range(layers) for tensor in ("T1_D", "T3")
    ]
    return pl.DataFrame(rows, schema=dict(SUMMARY_SCHEMA), orient="row")


def write_proxy_scores(store: Store) -> None:
    """Write invented scores of a proxy that others publish."""
    space, _, dataset = TASKS[0].partition(":")
    rows = [("made", space, dataset, "snip", arch, float(number)) for number, arch in enumerate(TEST)]
    frame = pl.DataFrame(rows, schema=schema_of(PROXY_SCORES), orient="row")
    write_parquet(frame, store.proxy_scores_dir / space / dataset / "made.parquet")


def write_search(store: Store) -> None:
    """Write invented searches: two strategies, two repeats, three networks each."""
    config = {"seed": 0, "budget": 3, "repeats": 2, "population": 2, "tournament": 2, "warmup": 5, "moves": None}
    used = {"proxy": "snip", "kind": "proxy", "source": "made", "non_finite": 1, "kendall": 0.5}
    record = {
        "search": "made",
        "started": "2026-01-02T03:04:05+00:00",
        "command": ["zcsr", "search"],
        "zcsr": "0.1",
        "task": TASKS[0],
        "metric": "test",
        "architectures": len(TEST),
        "config": config,
        "scores": [used],
        "target": 50.0,
    }
    write_json(record, store.searches_dir / "made" / "search.json")
    rows = [
        ("made", strategy, proxy, repeat, step, TEST[step], 40.0 + step + repeat, 45.0 + step, 45.0 + step)
        for strategy, proxy in (("random", None), ("warmup", "snip"))
        for repeat in range(2)
        for step in range(1, 4)
    ]
    frame = pl.DataFrame(rows, schema=SEARCHES_SCHEMA, orient="row")
    write_parquet(frame, store.searches_dir / "made" / "steps.parquet")


def write_cost(store: Store, session: str, **given: object) -> None:
    """Write what a session cost: an hour, two CPU hours and 4 GB of `zcsr evolve`, unless else is given."""
    record: dict[str, object] = {
        "kind": "evolve",
        "command": ["zcsr", "evolve"],
        "run": None,
        "search": None,
        "program": None,
        "tasks": [TASKS[0]],
        "collections": [],
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 3600.0,
        "cpu_seconds": 7200.0,
        "workers": 2,
        "peak_gb": 4.0,
        "metered_kwh": None,
        "zcsr": "0.1",
    }
    write_json(record | given, store.costs_dir / f"{session}.json")


def store_of_front(root: Path) -> Store:
    """A store with a search over fronts alone, tested beside a rival."""
    store = Store.open(root, create=True)
    write_accuracies(store)
    write_run(store, "front", config=FRONT)
    return store


def filled_store(root: Path) -> Store:
    """A store with two runs, one of trees and one of rows, one's cost, accuracies, statistics, scores, a search."""
    store = Store.open(root, create=True)
    write_accuracies(store)
    write_statistics(store)
    write_network_scores(store)
    write_proxy_scores(store)
    write_search(store)
    write_run(store, "first")
    write_run(store, "second", seed=1, config=replace(CONFIG, representation="sequential"))
    write_cost(store, "20260102-030405-00000001", run="first", tasks=list(TASKS))
    return store
