"""A whole search from its tasks to the tested programs, told step by step to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from zcsr import proxies
from zcsr.cost.meter import Meter
from zcsr.engine.job import Progress, silent
from zcsr.errors import InputError
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.objectives import front
from zcsr.evolve.records import Generation
from zcsr.language.program import Program
from zcsr.store.jobs.experiment import Experiment, TaskRequest, embedded_requests
from zcsr.store.kept.costs import Session, Work
from zcsr.store.kept.runs import open_run
from zcsr.store.kept.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """When no further generation begins: after so many minutes, or once the fitness is reached."""

    minutes: float | None = None
    fitness: float | None = None
    started: float = field(default_factory=time.monotonic)

    def reached(self, best: float) -> str | None:
        """Return what is reached, in words, or None; `best` is the fittest of a generation."""
        if self.minutes is not None and time.monotonic() - self.started >= 60 * self.minutes:
            return f"the time limit of {self.minutes:g} minutes"
        if self.fitness is not None and best >= self.fitness:
            return f"a fitness of {self.fitness:g}"
        return None


class Watcher:
    """Told how a search goes on. This one looks away; others say or show what they override."""

    def began(self, experiment: Experiment) -> None:
        """The search goes on with what it lacks."""

    @contextmanager
    def step(self, doing: str, unit: str) -> Iterator[Progress]:  # noqa: ARG002 - for those who override it
        """Give what is told how far a step is, which works on so many of the unit, until the body ends."""
        yield silent

    def collected(self, experiment: Experiment) -> None:
        """The statistics are there that evolution needs."""

    @contextmanager
    def searching(self, experiment: Experiment) -> Iterator[Callable[[GenerationProgress], None] | None]:  # noqa: ARG002
        """Give what is told what goes on inside of a generation, until all are made."""
        yield None

    def generation(self, generation: Generation) -> str | None:  # noqa: ARG002
        """A generation is made and kept; return in words what makes it the last one, or None."""
        return None

    def stopped(self, generation: Generation, reached: str) -> None:
        """No further generation begins, since what `reached` says is so."""


def requested(
    store: Store, tasks: Sequence[tuple[str, str]], images: str | None = None, metric: str = "test"
) -> list[TaskRequest]:
    """Return the tasks (space, dataset) as a search takes them, or those of the embedded benchmark where none is.

    `images` names the image set of all; without it each has that of its dataset's name.
    """
    if not tasks:
        return embedded_requests(store)
    return [TaskRequest(space, dataset, images or dataset, metric) for space, dataset in tasks]


def rival(name: str, read: Callable[[str], Program]) -> Program:
    """Return the program that is a known proxy alone, or else the one that is `read` from a name or text."""
    return Program(proxies.language().node(name)) if name in proxies.proxy_names() else read(name)


def front_of(store: Store, run: str) -> list[Program]:
    """Return the programs of a run's front, to begin with; InputError where the run has none."""
    found = front([one for past in open_run(store, run).generations() for one in past.evaluated])
    if not found:
        raise InputError(f"run {run} has no front to begin with: it is not of a search over fronts")
    return [one.program for one in found]


def measured_run(experiment: Experiment, kind: str, words: Sequence[str], meter: Meter | None) -> Session:
    """Return a context manager that keeps what its body costs as a session of `kind` on behalf of a run."""
    work = Work(
        kind,
        tuple(words),
        experiment.run.name,
        None,
        None,
        tuple(task.task for task in experiment.tasks),
        tuple(task.collection.id for task in experiment.tasks),
        experiment.workers,
    )
    return Session(experiment.store, work, meter)


def complete(
    experiment: Experiment,
    words: Sequence[str],
    watcher: Watcher,
    limits: Limits | None = None,
    meter: Meter | None = None,
) -> None:
    """Do what a run still lacks: statistics, generations, the choice of finalists, and their test.

    `words` are those of the command or call, for the record of what it costs. On Ctrl-C the run is marked as
    interrupted; what is stored by then is whole, and KeyboardInterrupt goes on.
    """
    limits = limits or Limits()
    try:
        with experiment.run.worked_on(), measured_run(experiment, "evolve", words, meter):
            watcher.began(experiment)
            with watcher.step("collecting", "networks") as tell:
                experiment.collect(tell)
            watcher.collected(experiment)
            _search(experiment, watcher, limits)
            with watcher.step("choosing finalists", "networks") as tell:
                finalists = experiment.finalists(tell)
            with watcher.step("testing", "networks") as tell:
                experiment.test(experiment.tested(finalists), tell)
            with watcher.step("comparing", "networks") as tell:
                experiment.compare(tell)
            experiment.finish()
    except KeyboardInterrupt:
        experiment.interrupt()
        raise


def _search(experiment: Experiment, watcher: Watcher, limits: Limits) -> None:
    reached, last = None, None
    with watcher.searching(experiment) as observe:
        for last in experiment.generations(observe):
            told = watcher.generation(last)
            reached = limits.reached(max(one.fitness for one in last.individuals)) or told
            if reached:
                break
    if reached and last is not None:
        watcher.stopped(last, reached)
