"""A whole search on a store: its plan, statistics, generations and test, each step kept as soon as it is made.

An experiment is planned once (`plan`) or taken up again (`resume`); then `collect`, `generations` and `test` each
do what is still missing, so that a run killed at any moment goes on from what the store holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zcsr.engine.job import Progress, run_job, silent
from zcsr.evaluation.known import KnownOf
from zcsr.evaluation.many_networks import Measures, StatisticsScorer, score_networks
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import Finalist
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.loop import evolve
from zcsr.evolve.records import Generation
from zcsr.evolve.tasks import TaskData, choose_probes, split
from zcsr.language.program import Program
from zcsr.networks.config import StatisticsConfig
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import Untrained, untrained
from zcsr.spaces import dataset_shape, get_space
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.space_files import check_spaces
from zcsr.store.kept.accuracies import accuracies
from zcsr.store.kept.collections import Collection, CollectionStore, open_collection
from zcsr.store.kept.images import embedded_tasks, install_missing, load_images
from zcsr.store.kept.runs import RunStore, RunTask, Status, TestScore, create_run, open_run
from zcsr.store.kept.store import Store

TESTED_TOGETHER = 50
"""Networks whose test scores are written in one file."""


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A search space and a dataset to search on.

    `metric` names the accuracies to rank by; `images` the stored image set that the minibatch is drawn from, which
    may be another dataset's where the dataset's own images are not at hand.
    """

    space: str
    dataset: str
    images: str
    metric: str = "test"

    @property
    def task(self) -> str:
        """The name of the task, `space:dataset`."""
        return f"{self.space}:{self.dataset}"


def embedded_requests(store: Store) -> list[TaskRequest]:
    """The tasks of the benchmark that comes with zcsr, whose accuracies are put into the store if it has none."""
    tasks = sorted(embedded_tasks())
    install_missing(store, tasks)
    return [TaskRequest(space, dataset, dataset) for space, dataset in tasks]


class Experiment:
    """One run of the search, bound to its store. Make one with `plan` or `resume`."""

    def __init__(self, store: Store, run: RunStore, workers: int) -> None:
        self.store = store
        self.run = run
        self.workers = workers
        self.config = run.config
        self.tasks = run.tasks()
        self._clock = time.monotonic()

    @classmethod
    def plan(
        cls,
        store: Store,
        requests: Sequence[TaskRequest],
        config: EvolveConfig,
        statistics: StatisticsConfig,
        *,
        test_networks: int | None = None,
        workers: int,
        name: str | None = None,
        command: Sequence[str] = (),
    ) -> Experiment:
        """Draw the split, write the run into the store and return it; nothing is computed yet.

        Raises InputError when accuracies or images are missing, or there are too few networks.
        """
        tables = [_table(store, request) for request in requests]
        for request in requests:
            load_images(store, request.images)
        canonical = {request.space: get_space(request.space).canonical for request in requests}
        tasks = [
            RunTask(
                task=request.task,
                metric=request.metric,
                images=request.images,
                collection=Collection.of(request.space, request.dataset, request.images, statistics),
                evolve=part.evolve.archs,
                test=part.test.archs,
            )
            for request, part in zip(requests, split(tables, canonical, config, test_networks), strict=True)
        ]
        run = create_run(store, config, tasks, name=name, command=command)
        return cls(store, open_run(store, run), workers)

    @classmethod
    def resume(cls, store: Store, run: str, *, workers: int) -> Experiment:
        """Return a run of the store to go on with; `run` is its name or "latest".

        Raises InputError where a space of the user's own is not known, or not as it was when the run was started.
        """
        opened = open_run(store, run)
        check_spaces(opened)
        return cls(store, opened, workers)

    def collect(self, progress: Progress = silent) -> None:
        """Collect the statistics that evolution needs and the store lacks."""
        total = sum(len(task.evolve) for task in self.tasks)
        done = 0
        for task in self.tasks:
            shifted = _shifted(progress, done, total)
            collect_networks(self.store, task.collection, task.evolve, workers=self.workers, progress=shifted)
            done += len(task.evolve)

    def known(self) -> tuple[Generation, ...]:
        """Return the generations that are in the store."""
        return tuple(self.run.generations())

    def generations(self, observe: Callable[[GenerationProgress], None] | None = None) -> Iterator[Generation]:
        """Make the generations that are missing; each is stored before it is yielded."""
        self._set_status("running")
        tasks = [_table(self.store, task).subset(task.evolve) for task in self.tasks]
        load = _Load(self.store, {task.task: task for task in self.tasks})
        with StatisticsScorer(load, choose_probes(self.config, tasks), self.workers) as scorer:
            for generation in evolve(self.config, tasks, scorer, self.known(), observe):
                self.run.append(generation)
                yield generation

    def finalists(self) -> tuple[Finalist, ...]:
        """Return the fittest of the last population and the two fittest seen (EZNAS, section 3.7)."""
        return self.run.finalists()

    def test(self, programs: Sequence[Program], progress: Progress = silent) -> None:
        """Score programs on the test networks, which evolution never draws; scores are kept as they come."""
        missing = {task.task: self.run.missing_tests(task.task, programs) for task in self.tasks}
        total = sum(len(task.test) for task in self.tasks)
        done = total - sum(map(len, missing.values()))
        for task in self.tasks:
            self._test_task(task, missing[task.task], programs, _shifted(progress, done, total))
            done += len(missing[task.task])

    def finish(self) -> None:
        """Mark the run as finished."""
        self._set_status("finished")

    def interrupt(self) -> None:
        """Mark the run as interrupted: what is stored is whole, and `resume` goes on with it."""
        self._set_status("interrupted")

    def _set_status(self, status: Status) -> None:
        now = time.monotonic()
        self.run.set_status(status, session_seconds=now - self._clock)
        self._clock = now

    def _test_task(
        self, task: RunTask, missing: Sequence[str], programs: Sequence[Program], progress: Progress
    ) -> None:
        images = load_images(self.store, task.images)
        space, config, measures = get_space(task.space), task.collection.config, Measures(tuple(programs))

        def write(scored: Iterable[tuple[str, NDArray[np.float64], float]]) -> None:
            self.run.write_test_scores(
                TestScore(program, task.task, arch, float(value))
                for arch, values, _ in scored
                for program, value in zip(programs, values, strict=True)
            )

        run_job(
            missing,
            (),
            lambda archs: score_networks(space, task.dataset, archs, images, config, measures, self.workers),
            write,
            together=TESTED_TOGETHER,
            progress=progress,
        )


@dataclass(slots=True)
class _Load:
    """From a task and an architecture to its stored statistics, and what else may be asked of the network.

    Opens each collection once a process, and remembers what it found out of a network beside its statistics.
    """

    store: Store
    tasks: Mapping[str, RunTask]
    _opened: dict[str, CollectionStore] = field(default_factory=dict)
    _known: dict[tuple[str, str], KnownOf] = field(default_factory=dict)

    def __call__(self, task: str, arch: str) -> NetworkStatistics:
        if task not in self._opened:
            self._opened[task] = open_collection(self.store, self.tasks[task].collection)
        known = self._known.setdefault((task, arch), KnownOf(partial(_build, self.store, self.tasks[task], arch)))
        return replace(self._opened[task].load(arch), known=known)


def _build(store: Store, task: RunTask, arch: str) -> Untrained:
    space = get_space(task.space)
    classes = dataset_shape(space, task.dataset).classes
    return untrained(space, arch, classes, load_images(store, task.images), task.collection.config)


def _table(store: Store, task: TaskRequest | RunTask) -> TaskData:
    table = accuracies(store, task.space, task.dataset, task.metric)
    return TaskData(task.task, table.archs, table.accuracies)


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    """Return the progress of a part of the work, `before` units of the whole `total` being done already."""
    return lambda done, _: progress(before + done, total)
