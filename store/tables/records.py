"""From the JSON records of a store to the rows of tables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeAlias

from zcsr.evolve.config import EvolveConfig
from zcsr.nas.config import SearchConfig
from zcsr.networks.config import StatisticsConfig

Record: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Mapping[str, Any]]

UNSAID_OF_RUNS = {"algorithm": "generations", "language": "eznas"}
"""What runs were made with that do not say it, because there was nothing else then."""

VERSIONED = ("zcsr", "torch", "numpy", "deap", "python")
"""What a run says the versions of."""


def run(record: Record) -> Rows:
    """The run of a `run.json`. A parameter or version that it does not say is None.

    Programs are trees, and of the paper's language, where it does not say.
    """
    told = dict.fromkeys(VERSIONED) | _unsaid(EvolveConfig) | {"representation": "tree"} | UNSAID_OF_RUNS
    return [told | _begun(record) | record["versions"] | record["config"]]


def run_tasks(record: Record) -> Rows:
    """The tasks of a `run.json`, in their order."""
    return [
        {**task, **_place(task), "run": record["run"], "position": position, "collection": task["collection"]["id"]}
        for position, task in enumerate(record["tasks"])
    ]


def rivals(record: Record) -> Rows:
    """What the finalists of a `run.json` are compared with, in the order given."""
    from zcsr.language.text import parse  # which loads torch
    from zcsr.proxies import language

    return [
        {
            "run": record["run"],
            "position": position,
            "name": name,
            "program": parse(text, language()).id,
            "text": text,
        }
        for position, (name, text) in enumerate(record.get("against", {}).items())
    ]


def collection(record: Record) -> Rows:
    """The collection of a `collection.json`."""
    return [{**_unsaid(StatisticsConfig), **record, **record["config"], "images": record["images"]["name"]}]


def search(record: Record) -> Rows:
    """The search of a `search.json`."""
    return [_unsaid(SearchConfig) | _begun(record) | record["config"] | _place(record)]


def search_scores(record: Record) -> Rows:
    """The proxies that a `search.json` names, in their order."""
    return [
        {**used, "search": record["search"], "position": position} for position, used in enumerate(record["scores"])
    ]


def cost(record: Record) -> Rows:
    """The session of a file of `costs`."""
    return [_begun(record) | {name: float(record[name]) for name in ("seconds", "cpu_seconds")}]


def _unsaid(config: type) -> dict[str, Any]:
    return dict.fromkeys(one.name for one in fields(config))


def _begun(record: Record) -> dict[str, Any]:
    """A record with its start in UTC and its command as one text."""
    started = datetime.fromisoformat(record["started"]).astimezone(UTC).replace(tzinfo=None)
    return {**record, "started": started, "command": shlex.join(record["command"])}


def _place(record: Record) -> dict[str, str]:
    space, _, dataset = record["task"].partition(":")
    return {"space": space, "dataset": dataset}
