"""A search as an object: what `zcsr evolve` does, on the same store and with the same results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from zcsr.api.pictures import Picture, front_picture
from zcsr.api.programs import Program
from zcsr.api.task import Task
from zcsr.cli.given import read_program
from zcsr.cost.meter import Meter, open_meter
from zcsr.engine.job import Progress
from zcsr.engine.processes import from_script
from zcsr.engine.workers import available_workers
from zcsr.errors import InputError, nearest
from zcsr.evaluation.auto_pattern import with_pattern
from zcsr.evaluation.one_network import Score, score
from zcsr.evolve.config import AGAINST, EvolveConfig, preset
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.objectives import front
from zcsr.evolve.records import Generation
from zcsr.networks.config import StatisticsConfig
from zcsr.parameters import Parameter, parameters_of
from zcsr.spaces import get_space, lent_spaces
from zcsr.store.jobs.evolving import Limits, Watcher, complete, front_of, requested, rival
from zcsr.store.jobs.experiment import Experiment, TaskRequest
from zcsr.store.kept.images import install_missing
from zcsr.store.kept.store import Store, default_root
from zcsr.store.sql.index import named

if TYPE_CHECKING:
    from torch import Tensor, nn

Callback = Callable[["Search", Generation], object]
"""Called after each generation, which is in the store by then."""

_UNDER_OTHER_NAMES = {"seed": "network_seed"}
"""Conditions of statistics that a parameter of the search has the name of."""


def _parameters() -> dict[str, tuple[type, Parameter]]:
    """By its name in Python, each parameter of the search and of the statistics, after its configuration."""
    of_search = {one.name: (EvolveConfig, one) for one in parameters_of(EvolveConfig)}
    conditions = (one for one in parameters_of(StatisticsConfig) if one.name != "initialisation")
    return of_search | {_UNDER_OTHER_NAMES.get(one.name, one.name): (StatisticsConfig, one) for one in conditions}


class Search:
    """Searches for programs whose scores rank networks by accuracy, as `zcsr evolve` does.

    Its parameters are those of the command, with underscores for dashes: `population`, `generations`, `seed`, ...
    (`Search.parameters()` lists them with their meanings). All they do not say is as `preset` has it. Besides:

    store: the folder of the store, which is made where there is none; by default that of the commands
    run: a name for the run; by default date and time
    preset: "front", or "paper" for EZNAS's own search (section 8.7)
    workers: processes to compute with; by default one a core. Results do not depend on it
    test_networks: networks of each task, never evolved on, for the test; by default 100, or all that are left
    begin_with: programs to begin with besides random ones: objects, texts or names
    from_run: a run of the store whose front to begin with
    against: known proxies and programs that finalists are compared with
    time_limit, stop_at: minutes, and a fitness, after which no further generation begins
    callbacks: each is called with the search and a generation, once that is in the store; `stop` ends the search
    progress: whether to show how it goes on, on stderr
    meter: "codecarbon" measures the electricity as well

    Raises InputError for a parameter that there is not, and for a value that cannot be used.
    """

    def __init__(
        self,
        *,
        store: str | Path | Store | None = None,
        run: str | None = None,
        preset: str = "front",
        workers: int | None = None,
        test_networks: int | None = None,
        begin_with: Iterable[Program | str] = (),
        from_run: str | None = None,
        against: Iterable[str] = AGAINST,
        time_limit: float | None = None,
        stop_at: float | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
        meter: str | None = None,
        **parameters: Any,
    ) -> None:
        self._store = store
        self._name = run
        self.config, self.statistics = _configured(preset, parameters)
        self.workers = available_workers() if workers is None else workers
        if self.workers < 1:
            raise InputError(f"workers must be at least 1, not {workers}")
        self._test_networks = test_networks
        self._begin_with = tuple(begin_with)
        self._from_run = from_run
        self._against = tuple(against)
        self._limits = (time_limit, stop_at)
        self._callbacks = tuple(callbacks)
        self._progress = progress
        self._meter: Meter | None = None if meter is None else open_meter(meter)
        self._stopping = False
        self._experiment: Experiment | None = None

    @classmethod
    def parameters(cls) -> pl.DataFrame:
        """Return the parameters of a search and of the networks' statistics: name, default, meaning, choices."""
        rows = [
            (name, str(one.default), one.meaning, list(one.texts())) for name, (_, one) in _parameters().items()
        ]
        return pl.DataFrame(rows, schema=["name", "default", "meaning", "choices"], orient="row")

    @classmethod
    def load(
        cls,
        run: str = "latest",
        *,
        store: str | Path | Store | None = None,
        spaces: Iterable[object] = (),
        workers: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
    ) -> Search:
        """Return a search of the store, of Python or of a command, by the name of its run; `fit` goes on with it.

        `spaces` are the objects that its tasks were of, which no store holds; only what computes needs them. Raises
        InputError where there is no such run, or where a space is not as it was.
        """
        from zcsr.spaces import lend_space

        for space in spaces:
            lend_space(space)
        opened = _opened(store, create=False)
        search = cls(store=opened, run=run, workers=workers, callbacks=callbacks, progress=progress)
        search._experiment = Experiment.resume(opened, run, workers=search.workers)
        search.config = search._experiment.config
        search.statistics = search._experiment.tasks[0].collection.config
        return search

    # What it does -------------------------------------------------------------------------------------------------

    def fit(
        self, tasks: Task | str | Iterable[Task | str] | None = None, *, generations: int | None = None
    ) -> Search:
        """Search, choose finalists, test them, and return this object; all of it is in the store as it goes.

        `tasks` are `zcsr.Task`s or texts such as "nasbench201:cifar10"; without any it searches on the benchmark
        that comes with zcsr. Called again, or after `load`, it goes on with its run where that stopped, to
        `generations` in all where more are asked for. Ctrl-C leaves a run that can be gone on with.
        """
        if self._experiment is None:
            self._experiment = self._planned(tasks)
        elif tasks is not None:
            raise InputError(f"run {self.run} has its tasks: call fit() to go on with it, or make a new Search")
        if generations is not None:
            self._experiment.extend(generations)
            self.config = self._experiment.config
        if not self._experiment.finished:
            _check_sendable(self._experiment, self.workers)
            self._stopping = False
            complete(
                self._experiment,
                ("zcsr.Search",),
                _Watched(self, self._progress),
                Limits(*self._limits),
                self._meter,
            )
        return self

    def stop(self) -> None:
        """Let no further generation begin; for callbacks. What is found by then is tested."""
        self._stopping = True

    def _planned(self, tasks: Task | str | Iterable[Task | str] | None) -> Experiment:
        store = _opened(self._store, create=True)

        def read(text: str) -> Any:
            return read_program(text, store.root)

        begun = [read(one) if isinstance(one, str) else one for one in self._begin_with]
        requests = _requested(store, tasks)
        settled, _ = with_pattern(self.statistics, get_space(requests[0].space), requests[0].dataset)
        self.statistics = settled
        return Experiment.plan(
            store,
            requests,
            self.config,
            settled,
            test_networks=self._test_networks,
            workers=self.workers,
            name=self._name,
            command=("zcsr.Search",),
            seeds=[*begun, *([] if self._from_run is None else front_of(store, self._from_run))],
            against={name: rival(name, read) for name in self._against},
        )

    # What it found ------------------------------------------------------------------------------------------------

    @property
    def experiment(self) -> Experiment:
        """The run in the store; InputError before `fit` or `load`."""
        if self._experiment is None:
            raise InputError("nothing is searched yet: call fit(), or Search.load(RUN) for a run of the store")
        return self._experiment

    @property
    def store(self) -> Store:
        """The store, which all commands can be given."""
        return self.experiment.store

    @property
    def run(self) -> str:
        """The name of the run, as `zcsr query -p run=` and `zcsr report` take it."""
        return self.experiment.run.name

    @property
    def generations_(self) -> tuple[Generation, ...]:
        """The generations that are in the store."""
        return self.experiment.known()

    @property
    def front_(self) -> pl.DataFrame:
        """The programs that none is better than, the best first: a row a program.

        program (its text), id, least and mean (Kendall tau-b over the tasks, on the networks that selection sees),
        size (nodes), cost (passes through a network) and a column of tau for each task. InputError for a search by
        generations, which has no front.
        """
        if self.config.algorithm != "front":
            raise InputError("a search by the paper's Algorithm 1 has no front: best_ and test_ say what it found")
        tasks = [task.task for task in self.experiment.tasks]
        rows = [
            {
                "program": str(one.program),
                "id": one.program.id,
                "least": one.least,
                "mean": one.mean,
                "size": one.program.root.size,
                "cost": one.cost,
                **{task: one.taus[task] for task in tasks},
            }
            for one in front([one for past in self.generations_ for one in past.evaluated])
        ]
        schema = {"program": pl.String, "id": pl.String, "least": pl.Float64, "mean": pl.Float64, "size": pl.Int64}
        schema |= {"cost": pl.Int64} | dict.fromkeys(tasks, pl.Float64)
        return pl.DataFrame(rows, schema=schema).sort(
            ["least", "mean", "size", "program"], descending=[True, True, False, False]
        )

    @property
    def finalists_(self) -> tuple[tuple[str, Program], ...]:
        """The programs that were chosen for the test, each after its role: the best first."""
        return tuple((one.role, Program.of(one.program)) for one in self.experiment.run.finalists())

    @property
    def best_(self) -> Program:
        """The program that was chosen on networks that selection never saw; InputError before there is one."""
        if not self.finalists_:
            mend = "has chosen no program yet: call fit() to go on with it"
            if self.experiment.finished:
                mend = "found no program but counts: ask for more, fit(generations=...), or search on more networks"
            raise InputError(f"run {self.run} {mend}")
        return self.finalists_[0][1]

    @property
    def test_(self) -> pl.DataFrame:
        """How the finalists rank the test networks: a row each on each task, as `zcsr query finalists` has them."""
        return named(self.store, "finalists", {"run": self.run})

    @property
    def rivals_(self) -> pl.DataFrame:
        """The best program beside known proxies and others, on the same test networks, with paired intervals.

        A row each on each task, as `zcsr query rivals` has them.
        """
        return named(self.store, "rivals", {"run": self.run})

    def score(self, model: nn.Module, batch: Tensor, program: Any = None, **options: Any) -> Score:
        """Return the score of a network of yours on a minibatch by the best program, or by another one.

        Instances, loss and noise are those of the search; `options` are as `zcsr.score` has them.
        """
        conditions = self.statistics
        as_searched: dict[str, Any] = {
            "pattern": conditions.pattern,
            "loss": conditions.loss,
            "noise_variance": conditions.noise_variance,
            "separable": conditions.separable,
        }
        return score(model, batch, self.best_ if program is None else program, **(as_searched | options))

    def plot(self, path: str | Path | None = None) -> Picture:
        """Return a picture of the front, tau by size, which a notebook shows; with a path, write it as SVG."""
        picture = front_picture(self.front_, str(self.best_))
        if path is not None:
            picture.save(path)
        return picture

    def report(self, folder: str | Path | None = None) -> Path:
        """Write the report of the run, and return its path; by default where the command writes it."""
        from zcsr.reports import render_run

        return render_run(self.store, self.run, Path(folder) if folder else self.store.root / "reports")

    def __repr__(self) -> str:
        if self._experiment is None:
            return f"Search(seed={self.config.seed}, generations={self.config.generations}, not fitted)"
        info = self._experiment.run.info()
        return f"Search(run={info.name!r}, {info.status}, {self._experiment.run.generation_count} generations)"


def _signature() -> inspect.Signature:
    """The arguments of `Search`, its parameters by their names among them."""
    declared = inspect.signature(Search.__init__)
    named = [one for one in declared.parameters.values() if one.kind is not one.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    for name, (_, one) in _parameters().items():
        named.append(inspect.Parameter(name, keyword, default=one.default, annotation=one.kind.__name__))
    return declared.replace(parameters=named)


Search.__init__.__signature__ = _signature()  # type: ignore[attr-defined]


class _Watched(Watcher):
    """Calls the callbacks of a search, and shows how it goes on where that is asked for."""

    def __init__(self, search: Search, shown: bool) -> None:
        from zcsr.cli.watching import Shown

        self._search = search
        self._shown = Shown() if shown else Watcher()

    def began(self, experiment: Experiment) -> None:
        self._shown.began(experiment)

    @contextmanager
    def step(self, doing: str, unit: str) -> Iterator[Progress]:
        with self._shown.step(doing, unit) as tell:
            yield tell

    def collected(self, experiment: Experiment) -> None:
        self._shown.collected(experiment)

    @contextmanager
    def searching(self, experiment: Experiment) -> Iterator[Callable[[GenerationProgress], None] | None]:
        with self._shown.searching(experiment) as observe:
            yield observe

    def generation(self, generation: Generation) -> str | None:
        self._shown.generation(generation)
        for callback in self._search._callbacks:
            callback(self._search, generation)
        return "what a callback waited for" if self._search._stopping else None

    def stopped(self, generation: Generation, reached: str) -> None:
        self._shown.stopped(generation, reached)


def _configured(name: str, given: Mapping[str, Any]) -> tuple[EvolveConfig, StatisticsConfig]:
    known = _parameters()
    for one in given:
        if one not in known:
            every = (*known, *(n for n in inspect.signature(Search).parameters if n != "parameters"))
            raise InputError(
                f"a search has no parameter {one!r}{nearest(one, every)}; Search.parameters() lists them"
            )
    of_search = {one: value for one, value in given.items() if known[one][0] is EvolveConfig}
    of_networks = {known[one][1].name: value for one, value in given.items() if known[one][0] is StatisticsConfig}
    try:
        return EvolveConfig(**{**preset(name), **of_search}), StatisticsConfig(**of_networks)
    except TypeError as error:
        raise InputError(f"a parameter of the search has the wrong type: {error}") from None


def _opened(store: str | Path | Store | None, create: bool) -> Store:
    return (
        store if isinstance(store, Store) else Store.open(Path(store) if store else default_root(), create=create)
    )


def _requested(store: Store, tasks: Task | str | Iterable[Task | str] | None) -> Sequence[TaskRequest]:
    if tasks is None:
        return requested(store, ())
    listed = [tasks] if isinstance(tasks, Task | str) else list(tasks)
    if not listed:
        raise InputError("fit([]) has no task: give at least one, or none at all for the embedded benchmark")
    given = [one if isinstance(one, Task) else Task.named(one) for one in listed]
    shipped = [(one.space, one.dataset) for one in given if isinstance(one.space, str) and one.dataset]
    install_missing(store, [pair for pair, one in zip(shipped, given, strict=False) if one.accuracies is None])
    return [one.put(store) for one in given]


def _check_sendable(experiment: Experiment, workers: int) -> None:
    """Raise InputError where worker processes cannot be sent a space that the user's script or notebook defines."""
    asked = {task.space for task in experiment.tasks}
    for space in lent_spaces():
        if workers > 1 and space.name in asked and from_script(space):
            raise InputError(
                f"the space {space.name!r} is made of what this script or notebook defines, which other processes "
                "cannot import: put its class and functions into a module of their own (a .py file you import),"
                " or search with workers=1"
            )
