"""`zcsr evolve`: the main job, from a table of accuracies to tested programs and a report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from zcsr.cli.console import data, progress, say, talk
from zcsr.cli.costs import measured_run
from zcsr.cli.failures import Interrupted
from zcsr.cli.groups import Later, option, with_options
from zcsr.cli.options import Conditions, ImagesOption, Place, Work, parse_task
from zcsr.cli.query import print_named
from zcsr.cli.resume import check_same_search, space_flags
from zcsr.cost.meter import Meter
from zcsr.evolve.config import EvolveConfig
from zcsr.store import Store

if TYPE_CHECKING:
    from zcsr.store.jobs.experiment import Experiment, TaskRequest


@with_options
def evolve(
    context: typer.Context,
    *,
    task: list[str] | None = option(
        None, "SPACE:DATASET; may be repeated", flag="--task -t", unset="the embedded benchmark"
    ),
    images: ImagesOption = None,
    metric: str = option("test", "accuracies to rank by"),
    run: str | None = option(None, "name of the run", unset="date and time"),
    resume: bool = option(False, "go on with --run, or with the latest run, where it stopped"),
    config: Later[EvolveConfig],
    test_networks: int | None = option(
        None, "networks of each task, never evolved on, for the test", least=2, unset="100, or all that are left"
    ),
    statistics: Later[Conditions],
    work: Work,
    place: Place,
) -> None:
    """Search for programs whose scores rank networks by accuracy, test the best on others, and write a report.

    Without --task it searches on the benchmark that comes with zcsr.
    The defaults are the paper's (8.7).

    A run is in the store from the first generation: after Ctrl-C or a crash, --resume goes on with it.
    """
    from zcsr.store.jobs.experiment import Experiment

    place.use_spaces()
    meter = work.opened_meter()
    pairs = [parse_task(one) for one in task or ()]
    opened = place.open() if resume else place.open_for(pairs, create=True)
    if resume:
        experiment = Experiment.resume(opened, run or "latest", workers=work.count())
        check_same_search(context, experiment)
    else:
        experiment = Experiment.plan(
            opened,
            _requests(opened, pairs, images, metric),
            config(),
            statistics(),
            test_networks=test_networks,
            workers=work.count(),
            name=run,
            command=["zcsr", *sys.argv[1:]],
        )
    finished = experiment.run.info().status == "finished"
    if finished:
        say(f"run {experiment.run.name} is finished; there is nothing to go on with")
    else:
        _run(experiment, meter)
    _show(experiment, written=finished)


def _requests(store: Store, tasks: Sequence[tuple[str, str]], images: str | None, metric: str) -> list[TaskRequest]:
    from zcsr.store.jobs.experiment import TaskRequest, embedded_requests

    if not tasks:
        return embedded_requests(store)
    return [TaskRequest(space, dataset, images or dataset, metric) for space, dataset in tasks]


def _run(experiment: Experiment, meter: Meter | None) -> None:
    """Do what the run still lacks."""
    with _interruptible(experiment), measured_run(experiment, "evolve", meter):
        _announce(experiment)
        with progress("collecting", "networks") as tell:
            experiment.collect(tell)
        _search(experiment)
        with progress("testing", "networks") as tell:
            experiment.test([finalist.program for finalist in experiment.finalists()], tell)
        experiment.finish()


@contextmanager
def _interruptible(experiment: Experiment) -> Iterator[None]:
    """On Ctrl-C, mark the run and say how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        experiment.interrupt()
        again = f"zcsr evolve --resume --run {experiment.run.name}{space_flags(experiment.run)}"
        raise Interrupted(f"interrupted; everything finished is kept. To go on: {again}") from None


def _announce(experiment: Experiment) -> None:
    tasks = ", ".join(
        f"{task.task} ({len(task.evolve)} networks to evolve on, {len(task.test)} to test on)"
        for task in experiment.tasks
    )
    say(f"run {experiment.run.name}: {tasks}")


def _search(experiment: Experiment) -> None:
    from zcsr.cli.display import EvolveDisplay

    with EvolveDisplay(talk(), experiment.config, experiment.run.name, experiment.known()) as display:
        for generation in experiment.generations(display.observe):
            display.update(generation)


def _show(experiment: Experiment, written: bool) -> None:
    """Print the finalists' table and the report's path; a report that is `written` already is left as it is."""
    from zcsr.reports import render_run

    print_named(experiment.store, "finalists", {"run": experiment.run.name})
    folder = experiment.store.root / "reports"
    path = folder / f"{experiment.run.name}.md"
    if not (written and path.is_file()):
        path = render_run(experiment.store, experiment.run.name, folder)
    say("report:")
    data().print(str(path), highlight=False, markup=False, soft_wrap=True)
