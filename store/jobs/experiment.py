"""A whole search on a store: its plan, statistics, generations and test, each step kept as soon as it is made.

An experiment is planned once (`plan`) or taken up again (`resume`); then `collect`, `generations` and `test` each
do what is still missing, so that a run killed at any moment goes on from what the store holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from zcsr.engine.job import Progress, run_job, silent
from zcsr.errors import InputError
from zcsr.evaluation.known import KnownOf
from zcsr.evaluation.many_networks import Load, Measures, StatisticsScorer, score_networks
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import Finalist, candidates, finalists_of_front
from zcsr.evolve.front import search
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.loop import evolve
from zcsr.evolve.objectives import front
from zcsr.evolve.records import Generation
from zcsr.evolve.tasks import TaskData, choose_probes, held_out, split
from zcsr.language.languages import LANGUAGES
from zcsr.language.program import Program
from zcsr.language.tensors import Tensor
from zcsr.networks.config import StatisticsConfig
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import Untrained, untrained
from zcsr.spaces import dataset_shape, get_space
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.space_files import check_spaces
from zcsr.store.kept.accuracies import accuracies
from zcsr.store.kept.collections import Collection, CollectionStore, open_collection
from zcsr.store.kept.columns import KeptColumns
from zcsr.store.kept.images import install_missing, load_images
from zcsr.store.kept.runs import RunStore, RunTask, Status, TestScore, create_run, open_run
from zcsr.store.kept.store import Store

SEARCHED = (("nasbench201", "cifar10"), ("nats-sss", "cifar10"))
"""The published tasks of the default run: one of each space, whose other data sets are there to be asked for."""

MEASURED = tuple(
    (f"{space}-mini", "fashion-mnist")
    for space in ("amoeba", "darts", "enas", "mobile", "nasbench201", "nasnet", "nats-sss", "pnas")
)
"""Its tasks that were measured for it. Transformers have no instance of the pattern that the others have."""

STAND_IN = "fashion-mnist-32"
"""The embedded images that stand in for those of published data sets, which cannot come with zcsr."""

COMPARED_ON = 16
"""Least number of images that known proxies see: most need a minibatch, where a program does with a run's own."""

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
    """The tasks of the benchmark that comes with zcsr, whose accuracies are put into the store if it has none.

    They are the published ones of `SEARCHED` with images that stand in, and those measured on their own images.
    """
    install_missing(store, [*SEARCHED, *MEASURED])
    return _embedded()


def _embedded() -> list[TaskRequest]:
    return [
        *(TaskRequest(space, dataset, STAND_IN) for space, dataset in SEARCHED),
        *(TaskRequest(space, dataset, dataset) for space, dataset in MEASURED),
    ]


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
        seeds: Sequence[Program] = (),
        against: Mapping[str, Program] = MappingProxyType({}),
    ) -> Experiment:
        """Draw the split, write the run into the store and return it; nothing is computed yet.

        `seeds` are programs that a search over fronts begins with; `against` those that finalists are compared
        with, by name.

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
        if seeds and config.algorithm != "front":
            raise InputError("only a search over fronts can begin with programs; Algorithm 1 begins at random")
        embedded = list(requests) == _embedded()
        run = create_run(
            store, config, tasks, name=name, command=command, seeds=seeds, against=against, embedded=embedded
        )
        return cls(store, open_run(store, run), workers)

    @classmethod
    def resume(cls, store: Store, run: str, *, workers: int) -> Experiment:
        """Return a run of the store to go on with; `run` is its name or "latest".

        Raises InputError where a space of the user's own is not known, or not as it was when the run was started.
        """
        opened = open_run(store, run)
        check_spaces(opened)
        return cls(store, opened, workers)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.run.info().status == "finished" and self.run.generation_count >= self.config.generations

    def extend(self, generations: int) -> None:
        """Ask for so many generations in all; InputError where the run has more by now."""
        self.run.extend(generations)
        self.config = self.run.config

    def collect(self, progress: Progress = silent) -> None:
        """Collect the statistics that evolution needs and the store lacks."""
        wanted = {task.task: self.parts(task)[0].archs for task in self.tasks}
        total, done = sum(map(len, wanted.values())), 0
        for task in self.tasks:
            archs = wanted[task.task]
            shifted = _shifted(progress, done, total)
            tensors = LANGUAGES[self.config.language].tensors
            collect_networks(
                self.store, task.collection, archs, tensors=tensors, workers=self.workers, progress=shifted
            )
            done += len(archs)

    def without_instances(self) -> dict[str, tuple[list[str], int]]:
        """Return, by task, the collected networks that have no instance, and of how many these are."""
        found = {}
        for task in self.tasks:
            archs = self.parts(task)[0].archs
            opened = open_collection(self.store, task.collection)
            found[task.task] = opened.without_instances(archs), len(archs)
        return found

    def parts(self, task: RunTask) -> tuple[TaskData, TaskData]:
        """The networks of evolution: those that selection sees, and those held out, none by Algorithm 1."""
        data = _table(self.store, task).subset(task.evolve)
        return (data, data.subset(())) if self.config.algorithm == "generations" else held_out(self.config, data)

    def known(self) -> tuple[Generation, ...]:
        """Return the generations that are in the store."""
        return tuple(self.run.generations())

    def generations(self, observe: Callable[[GenerationProgress], None] | None = None) -> Iterator[Generation]:
        """Make the generations that are missing; each is stored before it is yielded."""
        self._set_status("running")
        tasks = [_table(self.store, task).subset(task.evolve) for task in self.tasks]
        load = _Load(self.store, {task.task: task for task in self.tasks}, LANGUAGES[self.config.language].tensors)
        with StatisticsScorer(load, choose_probes(self.config, tasks), self.workers) as scorer:
            for generation in self._searched(tasks, scorer, observe):
                self.run.append(generation)
                yield generation

    def _searched(
        self,
        tasks: Sequence[TaskData],
        scorer: StatisticsScorer,
        observe: Callable[[GenerationProgress], None] | None,
    ) -> Iterator[Generation]:
        if self.config.algorithm == "generations":
            return evolve(self.config, tasks, scorer, self.known(), observe)
        collections = {task.task: task.collection.id for task in self.tasks}
        source = KeptColumns(self.store, collections, scorer)
        seen = [self.parts(task)[0] for task in self.tasks]
        return search(self.config, seen, source, self.known(), observe, seeds=self.run.seeds())

    def finalists(self, progress: Progress = silent) -> tuple[Finalist, ...]:
        """Return the programs to be tested.

        By Algorithm 1 the fittest of the last population and the two fittest seen (EZNAS, section 3.7); of a search
        over fronts those that are chosen on the held-out networks (`zcsr.evolve.finalists.finalists_of_front`).
        """
        found = self.run.finalists()
        if found or self.config.algorithm == "generations":
            return found
        past = self.known()
        programs = candidates(front([one for generation in past for one in generation.evaluated]))
        parts = {task.task: self.parts(task) for task in self.tasks}
        chosen_on = {name: unseen if unseen.archs else seen for name, (seen, unseen) in parts.items()}
        missing = {name: self.run.missing_held_out(name, data.archs, programs) for name, data in chosen_on.items()}
        self._score(programs, missing, self.run.write_held_out_scores, progress)
        scores = self.held_out_scores(chosen_on, programs)
        found = finalists_of_front(past, scores, {name: data.accuracies for name, data in chosen_on.items()})
        self.run.choose(found)
        return found

    def load(self) -> Load:
        """Return what loads the statistics of a network that evolution sees."""
        tensors = LANGUAGES[self.config.language].tensors
        return _Load(self.store, {task.task: task for task in self.tasks}, tensors)

    def held_out_scores(
        self, chosen_on: Mapping[str, TaskData], programs: Sequence[Program]
    ) -> dict[str, dict[str, NDArray[np.float64]]]:
        """By program id and task: the scores, in the order of the networks."""
        rows = self.run.held_out_scores()["program", "task", "arch", "score"].iter_rows()
        stored = {(program, task, arch): score for program, task, arch, score in rows}
        return {
            program.id: {
                name: np.array([stored[program.id, name, arch] for arch in data.archs])
                for name, data in chosen_on.items()
            }
            for program in programs
        }

    def tested(self, finalists: Iterable[Finalist]) -> tuple[Program, ...]:
        """Return what is tested on the run's own minibatch: finalists, and programs they are compared with."""
        return (*(one.program for one in finalists), *self._rivals(by_proxy=False))

    def _rivals(self, by_proxy: bool) -> list[Program]:
        return [one for one in self.run.against().values() if bool(one.known_by_proxy) is by_proxy]

    def test(self, programs: Sequence[Program], progress: Progress = silent) -> None:
        """Score programs on the test networks, which evolution never draws; scores are kept as they come."""
        missing = {task.task: self.run.missing_tests(task.task, programs) for task in self.tasks}
        already = sum(len(task.test) - len(missing[task.task]) for task in self.tasks)
        self._score(programs, missing, self.run.write_test_scores, progress, already=already)

    def compare(self, progress: Progress = silent) -> None:
        """Score the known proxies that finalists are compared with, on `COMPARED_ON` images at least."""
        rivals = self._rivals(by_proxy=True)
        missing = {task.task: self.run.missing_tests(task.task, rivals) for task in self.tasks}
        self._score(rivals, missing, self.run.write_test_scores, progress, least_images=COMPARED_ON)

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

    def _score(
        self,
        programs: Sequence[Program],
        missing: Mapping[str, Sequence[str]],
        keep: Callable[[Iterable[TestScore]], object],
        progress: Progress,
        *,
        already: int = 0,
        least_images: int = 1,
    ) -> None:
        """Score programs on what is `missing` of each task's networks, and keep the scores as they come.

        `already` networks are done before, which progress counts.
        """
        total, done = already + sum(map(len, missing.values())), already
        for task in self.tasks:
            archs = missing[task.task]
            config = task.collection.config
            score = partial(
                score_networks,
                get_space(task.space),
                task.dataset,
                images=load_images(self.store, task.images),
                config=replace(config, batch_size=max(config.batch_size, least_images)),
                measures=Measures(tuple(programs)),
                workers=self.workers,
            )
            run_job(
                archs,
                (),
                score,
                partial(_written, keep, task.task, programs),
                together=TESTED_TOGETHER,
                progress=_shifted(progress, done, total),
            )
            done += len(archs)


def _written(
    keep: Callable[[Iterable[TestScore]], object],
    task: str,
    programs: Sequence[Program],
    scored: Iterable[tuple[str, NDArray[np.float64], float]],
) -> None:
    keep(
        TestScore(program, task, arch, float(value))
        for arch, values, _ in scored
        for program, value in zip(programs, values, strict=True)
    )


@dataclass(slots=True)
class _Load:
    """From a task and an architecture to its stored statistics, and what else may be asked of the network.

    Opens each collection once a process, and remembers what it found out of a network beside its statistics.
    """

    store: Store
    tasks: Mapping[str, RunTask]
    tensors: tuple[Tensor, ...]
    _opened: dict[str, CollectionStore] = field(default_factory=dict)
    _known: dict[tuple[str, str], KnownOf] = field(default_factory=dict)

    def __call__(self, task: str, arch: str) -> NetworkStatistics:
        if task not in self._opened:
            self._opened[task] = open_collection(self.store, self.tasks[task].collection)
        known = self._known.setdefault((task, arch), KnownOf(partial(_build, self.store, self.tasks[task], arch)))
        return replace(self._opened[task].load(arch, self.tensors), known=known)


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
