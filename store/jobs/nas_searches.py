"""Searches with a proxy, run against each other on a table of accuracies and kept.

A folder `searches/<name>/`:

    search.json    what was searched with which scores, the parameters, the command
    steps.parquet  one row a trained network: search, strategy, proxy (NULL for strategies without one), repeat,
                   step (from 1), arch, guiding_accuracy, test_accuracy and best_test_accuracy (percent)

`steps.parquet` is replaced as a whole, by what was there and several finished repeats more; a search that was
interrupted goes on with the repeats it lacks and ends with the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

import zcsr
from zcsr.engine.job import Progress, run_job, silent
from zcsr.engine.workers import mapped
from zcsr.errors import InputError, StoreError, nearest
from zcsr.nas.strategies import Landscape, Strategy, best_so_far, run_strategy
from zcsr.store.jobs.nas_plan import ProxyScores, SearchPlan
from zcsr.store.kept.atomic import (
    exclusive,
    is_temporary,
    read_json_object,
    sweep_temporary,
    write_json,
    write_parquet,
)
from zcsr.store.kept.checksums import heads, is_there
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import SEARCH_STEPS
from zcsr.store.tables.frames import schema_of

LATEST = "latest"
RECORD, STEPS = "search.json", "steps.parquet"
SCHEMA = schema_of(SEARCH_STEPS)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Key: TypeAlias = tuple[str, str | None, int]
"""A strategy, its proxy, and a repeat."""


@dataclass(frozen=True, slots=True)
class SearchInfo:
    """What `search.json` says of a search that a reader needs. `started` is in UTC; `target` is in percent."""

    name: str
    started: datetime
    command: tuple[str, ...]
    target: float
    budget: int


def run_searches(
    store: Store,
    plan: SearchPlan,
    *,
    name: str | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> str:
    """Run what a plan lacks in the store, and return the name: the given one, or `plan.default_name`.

    The same plan under the same name goes on where it stopped; several repeats are written together, the rest on
    leaving, Ctrl-C included. Raises InputError for a name that cannot be used or is another plan's.
    """
    name = plan.default_name if name is None else _checked_name(name)
    folder = store.searches_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        sweep_temporary(folder, older_than=0.0)
        _begin(folder, plan, command)
        _go_on(folder, plan, progress)
    return name


def search_names(store: Store) -> tuple[str, ...]:
    """The names of the searches in a store, sorted."""
    folders = store.searches_dir.iterdir() if store.searches_dir.is_dir() else ()
    return tuple(sorted(path.name for path in folders if not is_temporary(path) and heads(path / RECORD, STEPS)))


def find_search(store: Store, name: str = LATEST) -> SearchInfo:
    """The search of that name, or the one started last for "latest". Raises InputError when there is none."""
    names = search_names(store)
    if not names:
        raise InputError(f"the store {store.root} holds no searches; `zcsr search --task SPACE:DATASET` makes one")
    if name == LATEST:
        infos = [_info(store.searches_dir / one) for one in names]
        return max(infos, key=lambda info: (info.started, info.name))
    if name not in names:
        hint = nearest(name, names, otherwise="; `zcsr query searches` lists them", quoted=False)
        raise InputError(f"no search named '{name}' in the store {store.root}{hint}")
    return _info(store.searches_dir / name)


def _info(folder: Path) -> SearchInfo:
    record = read_json_object(folder / RECORD)
    try:
        return SearchInfo(
            name=folder.name,
            started=datetime.fromisoformat(record["started"]),
            command=tuple(record["command"]),
            target=float(record["target"]),
            budget=int(record["config"]["budget"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"cannot read {folder / RECORD}: {error!r}; restore it or remove its folder") from error


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name == LATEST:
        raise InputError(
            f"'{name}' cannot name a search: use 1 to 100 letters, digits, '.', '_' or '-', beginning with a "
            f"letter or digit, other than {LATEST}"
        )
    return name


def _begin(folder: Path, plan: SearchPlan, command: Sequence[str]) -> None:
    """Write the record, or check that the one that is there is of the same plan."""
    path = folder / RECORD
    identity = plan.parameters | {"inputs": plan.inputs}
    if is_there(path):
        record = read_json_object(path)
        _check_same(folder.name, record, identity)
        if record.get("target") == plan.target:
            return
    else:
        record = {
            "search": folder.name,
            "started": datetime.now(UTC).isoformat(timespec="microseconds"),
            "command": list(command),
            "zcsr": zcsr.__version__,
            **identity,
        }
    write_json({**record, "target": plan.target}, path)


def _check_same(name: str, record: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    flat, wanted = _flat(record), _flat(identity)
    for key, value in wanted.items():
        if flat.get(key) != value:
            what = "accuracies or scores" if key == "inputs" else f"{key} ({flat.get(key)}, now {value})"
            raise InputError(f"a search named '{name}' is there with other {what}; give another --name")


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    config: Mapping[str, Any] = record.get("config", {})
    proxies = [f"{one['proxy']} of {one['source']}" for one in record.get("scores", ())]
    kept = {key: record.get(key) for key in ("task", "metric", "architectures")}
    return kept | dict(config) | {"scores": ", ".join(proxies), "inputs": record.get("inputs")}


def _go_on(folder: Path, plan: SearchPlan, progress: Progress) -> None:
    keys: dict[Key, tuple[Strategy, ProxyScores | None]] = {
        (strategy, scores.proxy if scores else None, repeat): (strategy, scores)
        for strategy, scores in plan.searches
        for repeat in range(plan.config.repeats)
    }
    done = _read(folder / STEPS, plan.config.budget)

    def write(blocks: Sequence[tuple[Key, pl.DataFrame]]) -> None:
        done.update(blocks)
        frame = pl.concat([done[key] for key in keys if key in done], rechunk=True)
        write_parquet(frame, folder / STEPS)

    def search_once(landscape: Landscape, key: Key) -> tuple[Key, pl.DataFrame]:
        strategy, scores = keys[key]
        archs = run_strategy(landscape, plan.config, strategy, key[2], scores.scores if scores else None)
        return key, _steps(folder.name, plan, key, archs)

    # One landscape serves all, as it remembers the neighbours.
    compute = partial(mapped, 1, lambda: plan.landscape, search_once)
    run_job(list(keys), done, compute, write, together=plan.config.repeats, progress=progress)


def _steps(name: str, plan: SearchPlan, key: Key, archs: Sequence[str]) -> pl.DataFrame:
    strategy, proxy, repeat = key
    guide = [plan.guide[arch] for arch in archs]
    reported = [plan.reported[arch] for arch in archs]
    count = len(archs)
    columns = {
        "search": [name] * count,
        "strategy": [strategy] * count,
        "proxy": [proxy] * count,
        "repeat": [repeat] * count,
        "step": range(1, count + 1),
        "arch": archs,
        "guiding_accuracy": guide,
        "test_accuracy": reported,
        "best_test_accuracy": best_so_far(guide, reported),
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def _read(path: Path, budget: int) -> dict[Key, pl.DataFrame]:
    """The repeats that are stored, whole ones only."""
    if not is_there(path):
        return {}
    try:
        frame = read_parquet(path, list(SCHEMA))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(f"cannot read {path}: {error}; remove it and search again") from error
    parts = frame.partition_by("strategy", "proxy", "repeat", as_dict=True)
    return {key: part for key, part in parts.items() if part.height == budget}
