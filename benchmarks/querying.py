"""SQL over a store, opening a large one, and the start of the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from measuring import Command, bandwidth, commands_in_turns, cpu, in_turns, median_of
from rows import Report, Row, seconds
from scipy import stats
from setting import ACCURACY_COLUMNS, Setting

from zcsr.networks.untrained import StatisticsConfig
from zcsr.proxies import proxy_names
from zcsr.spaces import get_space
from zcsr.store.jobs.testing import SCHEMA, WRITTEN_TOGETHER
from zcsr.store.kept.accuracies import write_accuracies
from zcsr.store.kept.collections import Collection
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import connect, named, rebuild

TASKS = tuple(task for task in ACCURACY_COLUMNS if task.startswith("nasbench201:"))

TARGET_TABLE = 1.0
TARGET_OPEN = 0.3
TARGET_HELP = 0.3

TABLE = "cross_space_scores"


def measure(setting: Setting) -> Report:
    """The table over all networks, opening a store, and `zcsr --help`."""
    return Report([_table(setting), _opening(setting), _help(setting)], [_remark(setting)])


# --- the table over all networks --------------------------------------------------------------------------------


def _table(setting: Setting) -> Row:
    sizes = setting.sizes
    store = Store.open(setting.folder / "table", create=True)
    archs = _archs(sizes.sql_networks)
    task = TASKS[0]
    _write_accuracies(setting, store, task, archs)
    _write_scores(store, _collection(task, 1), archs, measures(sizes.sql_measures))
    expected = plain_table(store)
    found = {(row["name"], round(row["kendall"], 9)) for row in named(store, TABLE).iter_rows(named=True)}
    if found != {(name, round(kendall, 9)) for name, kendall, _ in expected}:
        raise AssertionError(f"{TABLE} and the plain loop differ: {found} and {expected}")
    time_of = in_turns(lambda: plain_table(store), lambda: named(store, TABLE), sizes.repeats)
    return Row(
        f"SQL: `zcsr query {TABLE}` over {len(archs):,} networks x {sizes.sql_measures} proxies",
        f"{seconds(time_of.reference)} (polars and scipy)",
        seconds(time_of.ours),
        time_of.ratio,
        f"{seconds(_scores(store).estimated_size() / bandwidth())} (read the scores)",
        f"under {seconds(TARGET_TABLE)}",
        time_of.ours < TARGET_TABLE,
    )


def plain_table(store: Store) -> list[tuple[str, float, float]]:
    """Name, Kendall's tau-b and Spearman's rho of each proxy: the files joined, scipy in a loop."""
    accuracies = (
        pl.read_parquet(store.accuracies_dir / "**" / "*.parquet").group_by("arch").agg(pl.mean("accuracy"))
    )
    joined = _scores(store).join(accuracies, on="arch").sort("arch")
    found = []
    for (name,), rows in joined.group_by("text"):
        scores, truth = rows["score"].to_numpy(), rows["accuracy"].to_numpy()
        kendall = stats.kendalltau(scores, truth).statistic
        found.append((str(name), float(kendall), float(stats.spearmanr(scores, truth).statistic)))
    return sorted(found)


def _scores(store: Store) -> pl.DataFrame:
    return pl.read_parquet(store.scores_dir / "**" / "*.parquet")


# --- opening a large store --------------------------------------------------------------------------------------


def _opening(setting: Setting) -> Row:
    store = Store.open(setting.folder / "large", create=True)
    stored = fill(store, setting.sizes.stored_scores, setting.sizes.sql_networks, setting.sizes.sql_measures)
    rebuild(store)
    pairs = [(cpu(rebuild, store)[0], cpu(lambda: connect(store).close())[0]) for _ in range(2)]
    time_of = median_of(pairs)
    files = [path for path in store.root.rglob("*") if path.is_file()]
    listing = cpu(lambda: [path.stat() for path in files])[0]
    return Row(
        f"open a store with {stored:,} scores in {len(files):,} files",
        f"{seconds(time_of.reference)} (make its index)",
        seconds(time_of.ours),
        time_of.ratio,
        f"{seconds(listing)} (ask the size of each file)",
        f"under {seconds(TARGET_OPEN)}",
        time_of.ours < TARGET_OPEN,
    )


def fill(store: Store, count: int, networks: int, names: int) -> int:
    """Store at least `count` scores, of networks by proxies in several collections; returns how many."""
    archs = _archs(networks)
    stored = 0
    for number in range(-(-count // (networks * names))):
        task, batch_size = TASKS[number % len(TASKS)], 1 + number // len(TASKS)
        left = -(-(count - stored) // networks)
        stored += _write_scores(store, _collection(task, batch_size), archs, measures(min(names, left)))
    return stored


def measures(count: int) -> list[str]:
    """Names of known proxies, and after them of made ones."""
    return [*proxy_names(), *(f"proxy{number}" for number in range(count))][:count]


def _collection(task: str, batch_size: int) -> Collection:
    space, _, dataset = task.partition(":")
    return Collection.of(space, dataset, "cifar10", StatisticsConfig(batch_size=batch_size))


def _archs(count: int) -> list[str]:
    space = get_space("nasbench201")
    return [space.arch(number) for number in range(count)]


def _write_accuracies(setting: Setting, store: Store, task: str, archs: Sequence[str]) -> None:
    """Real ones where there are, else drawn at random: counting the parameters of so many networks takes long."""
    space, _, dataset = task.partition(":")
    made = np.random.default_rng(0).uniform(10, 95, len(archs))
    real = setting.has_accuracies(task)
    keys = {"space": space, "dataset": dataset, "metric": "test", "seed": 0}
    rows = [
        {**keys, "arch": arch, "accuracy": setting.accuracy(task, arch) if real else float(value)}
        for arch, value in zip(archs, made, strict=True)
    ]
    write_accuracies(store, rows, "benchmark")


def _write_scores(store: Store, collection: Collection, archs: Sequence[str], names: Sequence[str]) -> int:
    """Write random scores as `zcsr test` does, a few networks a file; returns how many."""
    folder = store.scores_dir / collection.id
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(names))
    for number, chunk in enumerate(_chunks(archs)):
        frame = pl.DataFrame(
            {
                "collection": collection.id,
                "space": collection.space,
                "dataset": collection.dataset,
                "program": list(names) * len(chunk),
                "text": list(names) * len(chunk),
                "arch": [arch for arch in chunk for _ in names],
                "score": generator.random(len(names) * len(chunk)),
            },
            schema=SCHEMA,
        )
        frame.write_parquet(folder / f"{number:016x}.parquet")
    return len(archs) * len(names)


def _chunks(archs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (archs[start : start + WRITTEN_TOGETHER] for start in range(0, len(archs), WRITTEN_TOGETHER))


# --- the command line -------------------------------------------------------------------------------------------


def _help(setting: Setting) -> Row:
    zcsr = str(Path(sys.executable).with_name("zcsr"))
    reference, ours, empty = commands_in_turns(
        [[sys.executable, "-c", "import torch"], [zcsr, "--help"], [sys.executable, "-c", "pass"]],
        2 * setting.sizes.repeats - 1,
    )
    return Row(
        "`zcsr --help`, by the clock (and of CPU)",
        f"{_both(reference)} (import torch)",
        _both(ours),
        reference.wall / ours.wall,
        f"{_both(empty)} (start Python)",
        f"under {seconds(TARGET_HELP)}",
        ours.wall < TARGET_HELP,
    )


def _both(command: Command) -> str:
    return f"{seconds(command.wall)} ({seconds(command.cpu)})"


def _remark(setting: Setting) -> str:
    truth = "real" if setting.has_accuracies(TASKS[0]) else "random"
    threads = len(os.sched_getaffinity(0))
    return (
        f"SQL: random scores, {truth} accuracies; the index is there and up to date, each query opens it anew; CPU "
        f"time of all threads together, of which DuckDB uses up to {threads}. The plain loop's table is the same."
    )
