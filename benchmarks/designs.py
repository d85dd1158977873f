"""Designs of the search on equal budgets, and what its parts are worth: on networks that selection never saw.

`python benchmarks/designs.py --store FOLDER --seeds 10 11 12` searches on the embedded benchmark, once a row of
`ROWS` and seed, and chooses finalists, without a test: nothing of the test networks is looked at. Each search is a
run of the store, and one that is there already is not made again. It prints a table, in markdown: over the seeds
the mean of the least and the mean tau over tasks on the held-out networks, of the program chosen; of the seconds
of search, of the columns and of the scores a second, of the share of computing that the race spared; and of the
seconds until a program was better than EZNAS-A summed over the instances, by half the least and half the mean tau
on the networks that selection sees. Columns that are in the store are not computed again, so only a first row's
seconds are those of a search.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from zcsr.engine.workers import available_workers
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.bank import Bank
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.fitness import merits, taus
from zcsr.evolve.tasks import choose_probes
from zcsr.language.text import parse
from zcsr.networks.config import StatisticsConfig
from zcsr.store.jobs.experiment import Experiment, embedded_requests
from zcsr.store.kept.columns import KeptColumns
from zcsr.store.kept.store import Store

ROWS: Mapping[str, Mapping[str, object]] = {
    "default": {},
    "design lexicase": {"design": "lexicase"},
    "design islands": {"design": "islands"},
    "without formulas": {"formulas": 0},
    "without a race": {"race": 0.0},
    "without sizes alone": {"refuse": "shape-only"},
    "a quarter held out": {"held_out": 0.25},
}
"""What a row changes of the default search."""

RIVAL = parse("sum(fro(sigmoid(logdet(sign(T1G_D)))))")


@dataclass(frozen=True, slots=True)
class Result:
    """What a search came to; `passed` is None where no program was better than EZNAS-A summed."""

    least: float
    mean: float
    seconds: float
    columns: float
    scored: float
    spared: float
    passed: float | None


def main(words: Sequence[str] | None = None) -> int:
    """Search, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--workers", type=int, default=available_workers())
    parser.add_argument("--generations", type=int, default=EvolveConfig().generations)
    given = parser.parse_args(words)
    store = Store.open(given.store, create=True)
    found: dict[str, list[Result]] = {row: [] for row in given.rows}
    for seed in given.seeds:
        for row in given.rows:
            begun = time.monotonic()
            config = EvolveConfig(seed=seed, generations=given.generations, **ROWS[row])  # type: ignore[arg-type]
            result = searched(store, f"{row.replace(' ', '-')}-{seed}", config, given.workers)
            found[row].append(result)
            print(f"{row}, seed {seed}: {result}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(table(found)))
    return 0


def searched(store: Store, name: str, config: EvolveConfig, workers: int) -> Result:
    """Make what is missing of a run, and say what came of it."""
    if (store.runs_dir / name).is_dir():
        experiment = Experiment.resume(store, name, workers=workers)
    else:
        requests = embedded_requests(store)
        experiment = Experiment.plan(store, requests, config, StatisticsConfig(), workers=workers, name=name)
    experiment.collect()
    for _ in experiment.generations():
        pass
    (chosen,) = (one for one in experiment.finalists() if one.role == "chosen")
    unseen = {task.task: experiment.parts(task)[1] for task in experiment.tasks}
    scores = experiment.held_out_scores(unseen, [chosen.program])[chosen.program.id]
    by_task = np.array([float(taus(scores[task][None], data.accuracies)[0]) for task, data in unseen.items()])
    past = experiment.known()
    counts = {name: sum(one.counters[name] for one in past) for name in ("columns", "scored", "computed", "spared")}
    seconds = sum(one.seconds["total"] for one in past)
    return Result(
        least=float(by_task.min()),
        mean=float(by_task.mean()),
        seconds=seconds,
        columns=counts["columns"] / sum(one.seconds["columns"] for one in past),
        scored=counts["scored"] / sum(one.seconds["total"] - one.seconds["columns"] for one in past),
        spared=counts["spared"] / (counts["spared"] + counts["computed"]),
        passed=_passed(store, experiment, workers),
    )


def _passed(store: Store, experiment: Experiment, workers: int) -> float | None:
    """The seconds of search at the end of the first generation with a program better than EZNAS-A summed."""
    seen = [experiment.parts(task)[0] for task in experiment.tasks]
    with StatisticsScorer(experiment.load(), choose_probes(experiment.config, seen), workers) as scorer:
        source = KeptColumns(store, {task.task: task.collection.id for task in experiment.tasks}, scorer)
        bank = Bank(seen, source, np.ones(sum(len(task.archs) for task in seen), dtype=bool))
        (rival,) = merits(bank.by_task(taus, bank.scores(RIVAL)[None]))
    spent = 0.0
    for generation in experiment.known():
        spent += generation.seconds["total"]
        if any(one.merit > rival for one in generation.evaluated):
            return spent
    return None


def table(found: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    """Yield the lines of the table."""
    titles = ("least", "mean", "half of both", "seconds", "columns a second", "scores a second", "spared", "passes")
    yield f"| search | {' | '.join(titles)} |"
    yield f"| --- |{' ---: |' * len(titles)}"
    for row, results in found.items():
        least, mean = fmean(one.least for one in results), fmean(one.mean for one in results)
        passed = [one.passed for one in results if one.passed is not None]
        cells = (
            f"{least:.3f}",
            f"{mean:.3f}",
            f"{(least + mean) / 2:.3f}",
            f"{fmean(one.seconds for one in results):.0f}",
            f"{fmean(one.columns for one in results):.1f}",
            f"{fmean(one.scored for one in results):,.0f}",
            f"{fmean(one.spared for one in results):.0%}",
            f"{fmean(passed):.0f} s in {len(passed)} of {len(results)}" if passed else f"in 0 of {len(results)}",
        )
        yield f"| {row} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
