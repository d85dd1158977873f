"""What a report is made of: the answers of named queries for one run, each with the command that prints it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.evolve import EvolveConfig
from zcsr.ranking import bootstrap_interval, kendall
from zcsr.store import Store, named, open_run
from zcsr.store.kept.costs import without_store

BOOTSTRAP_SEED = 0
BOOTSTRAP_REPEATS = 1000

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of the query `name`, and the command that prints them as markdown."""

    name: str
    frame: pl.DataFrame
    command: str


@dataclass(frozen=True, slots=True)
class RunResults:
    """The stored results of one run. Make one with `read_run`.

    `seconds` is wall-clock time over all sessions. `command` is the one that started the run, without the store's
    place; empty when it is not known.
    """

    store: Store
    run: str
    status: str
    seconds: float
    config: EvolveConfig
    command: tuple[str, ...]
    _answers: dict[tuple[str, ...], Answer] = field(default_factory=dict)
    _intervals: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def ask(self, name: str, **parameters: object) -> Answer:
        """The answer of a named query for this run."""
        given: dict[str, object] = {"run": self.run} | parameters
        command = query_command(name, given)
        if command not in self._answers:
            self._answers[command] = ask(self.store, name, given)
        return self._answers[command]

    def best(self) -> Mapping[str, object] | None:
        """The fittest finalist that was tested or, before the test, the fittest program; None when there is none.

        A mapping with `program`, `text`, `fitness` and `generation`.
        """
        finalists = self.ask("finalists").frame.filter(pl.col("role") != "other")
        if not finalists.is_empty():
            return finalists.sort("fitness", descending=True, maintain_order=True).row(0, named=True)
        top = self.ask("top_programs").frame.rename({"best_fitness": "fitness"})
        return None if top.is_empty() else top.row(0, named=True)

    def tested(self, program: str) -> dict[str, tuple[Vector, Vector]]:
        """Scores and accuracies [networks] of a program on the test networks, by task; NaN where it gives none."""
        frame = self.ask("test_scores").frame.filter(pl.col("program") == program)
        return {
            str(task): (rows["score"].to_numpy(), rows["accuracy"].to_numpy())
            for (task,), rows in frame.group_by("task", maintain_order=True)
        }

    def interval(self, program: str, task: str) -> tuple[float, float]:
        """The 95% bootstrap interval of the program's Kendall tau on a task's test networks."""
        if (program, task) not in self._intervals:
            scores, accuracies = self.tested(program)[task]
            finite = np.isfinite(scores)
            self._intervals[program, task] = bootstrap_interval(
                kendall, scores[finite], accuracies[finite], seed=BOOTSTRAP_SEED, repeats=BOOTSTRAP_REPEATS
            )
        return self._intervals[program, task]


def read_run(store: Store, run: str) -> RunResults:
    """The results of the run of that name, or of the one started last for "latest".

    Raises InputError when there is no such run.
    """
    info = open_run(store, run).info()
    return RunResults(store, info.name, info.status, info.seconds, info.config, without_store(info.command))


def ask(store: Store, name: str, given: Mapping[str, object]) -> Answer:
    """The answer of a named query with these parameters."""
    return Answer(name, named(store, name, given), shlex.join(query_command(name, given)))


def query_command(name: str, parameters: Mapping[str, object]) -> tuple[str, ...]:
    """The words of the command that prints a named query as markdown."""
    pairs = [word for key, value in parameters.items() for word in ("--parameter", f"{key}={value}")]
    return ("zcsr", "query", name, *pairs, "--format", "markdown")
