"""`zcsr evolve`: the main job, from a table of accuracies to tested programs and a report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.costs import chosen_meter, measured
from zcsr.cli.options import (
    BatchSizeOption,
    ImagesOption,
    LossOption,
    MeterOption,
    NetworkSeedOption,
    PatternOption,
    SpaceFileOption,
    StoreOption,
    WorkersOption,
    open_store,
    open_store_for,
    parse_task,
    statistics_config,
    use_spaces,
    worker_count,
)
from zcsr.cli.resume import check_same_search, space_flags

if TYPE_CHECKING:
    from zcsr.cost.meter import Meter
    from zcsr.store.jobs.experiment import Experiment, TaskRequest
    from zcsr.store.kept.store import Store


def evolve(
    context: typer.Context,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="SPACE:DATASET; may be repeated.", show_default="the embedded benchmark"),
    ] = None,
    images: ImagesOption = None,
    metric: Annotated[str, typer.Option("--metric", help="Accuracies to rank by.")] = "test",
    run: Annotated[str | None, typer.Option("--run", help="Name of the run.", show_default="date and time")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --run, or with the latest run, where it stopped.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the search.")] = 0,
    population: Annotated[int, typer.Option("--population", help="Programs in a generation; even.")] = 50,
    generations: Annotated[int, typer.Option("--generations", help="Generations, the first included.")] = 15,
    tournament: Annotated[int, typer.Option("--tournament", help="Programs that compete to be a parent.")] = 4,
    mu: Annotated[int, typer.Option("--mu", help="Parents selected in a generation.")] = 25,
    lambda_: Annotated[int, typer.Option("--lambda", help="Children proposed at a time.")] = 50,
    crossover: Annotated[float, typer.Option("--crossover", help="Probability of crossover.")] = 0.4,
    mutation: Annotated[float, typer.Option("--mutation", help="Probability of mutation.")] = 0.4,
    min_depth: Annotated[int, typer.Option("--min-depth", help="Least height of a random program.")] = 2,
    max_depth: Annotated[int, typer.Option("--max-depth", help="Greatest height of a random program.")] = 10,
    height_limit: Annotated[int, typer.Option("--height-limit", help="Tallest program admitted.")] = 10,
    networks: Annotated[int, typer.Option("--networks", help="Networks of each task kept for evolution.")] = 80,
    draw: Annotated[int, typer.Option("--draw", help="Networks of each task drawn in a generation.")] = 20,
    tasks_per_generation: Annotated[
        int, typer.Option("--tasks-per-generation", help="Tasks drawn in a generation, at most.")
    ] = 4,
    representation: Annotated[
        str, typer.Option("--representation", help="Programs as expression trees (tree) or rows (sequential).")
    ] = "tree",
    min_length: Annotated[
        int, typer.Option("--min-length", help="Fewest rows of a random sequential program.")
    ] = 2,
    max_length: Annotated[int, typer.Option("--max-length", help="Most rows of a sequential program.")] = 32,
    to_scalar: Annotated[str, typer.Option("--to-scalar", help="Over an instance: mean or l2.")] = "mean",
    aggregation: Annotated[str, typer.Option("--aggregation", help="Over the instances: mean or sum.")] = "mean",
    fitness: Annotated[str, typer.Option("--fitness", help="Minimum of tau (signed) or of |tau| (absolute).")] = (
        "signed"
    ),
    probe_networks: Annotated[
        int, typer.Option("--probe-networks", help="Networks of each task a program must run on to be admitted.")
    ] = 2,
    test_networks: Annotated[
        int | None,
        typer.Option(
            "--test-networks",
            min=2,
            help="Networks of each task, never evolved on, for the test.",
            show_default="100, or all that are left",
        ),
    ] = None,
    batch_size: BatchSizeOption = 1,
    network_seed: NetworkSeedOption = 0,
    pattern: PatternOption = "rcb",
    loss: LossOption = "ones",
    workers: WorkersOption = None,
    meter: MeterOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Search for programs whose scores rank networks by accuracy, test the best on others, and write a report.

    Without --task it searches on the benchmark that comes with zcsr.
    The defaults are the paper's (8.7).

    A run is in the store from the first generation: after Ctrl-C or a crash, --resume goes on with it.
    """
    from zcsr.cli.console import say
    from zcsr.evolve import EvolveConfig
    from zcsr.store.jobs.experiment import Experiment

    use_spaces(space_file)
    asked = chosen_meter(meter)
    pairs = [parse_task(one) for one in task or ()]
    opened = open_store(store) if resume else open_store_for(pairs, store, create=True)
    count = worker_count(workers)
    if resume:
        experiment = Experiment.resume(opened, run or "latest", workers=count)
        check_same_search(context, experiment)
    else:
        config = EvolveConfig(
            seed=seed,
            population=population,
            generations=generations,
            tournament=tournament,
            mu=mu,
            lambda_=lambda_,
            crossover=crossover,
            mutation=mutation,
            min_depth=min_depth,
            max_depth=max_depth,
            height_limit=height_limit,
            networks_per_task=networks,
            draw=draw,
            tasks_per_generation=tasks_per_generation,
            to_scalar=to_scalar,
            aggregation=aggregation,
            fitness=fitness,  # type: ignore[arg-type]
            probe_networks=probe_networks,
            representation=representation,  # type: ignore[arg-type]
            min_length=min_length,
            max_length=max_length,
        )
        experiment = Experiment.plan(
            opened,
            _requests(opened, pairs, images, metric),
            config,
            statistics_config(batch_size, network_seed, pattern, loss),
            test_networks=test_networks,
            workers=count,
            name=run,
            command=["zcsr", *sys.argv[1:]],
        )
    finished = experiment.run.info().status == "finished"
    if finished:
        say(f"run {experiment.run.name} is finished; there is nothing to go on with")
    else:
        _run(experiment, asked)
    _show(experiment, written=finished)


def _requests(store: Store, tasks: Sequence[tuple[str, str]], images: str | None, metric: str) -> list[TaskRequest]:
    from zcsr.store.jobs.experiment import TaskRequest, embedded_requests

    if not tasks:
        return embedded_requests(store)
    return [TaskRequest(space, dataset, images or dataset, metric) for space, dataset in tasks]


def _run(experiment: Experiment, meter: Meter | None) -> None:
    """Do what the run still lacks."""
    cost = measured(
        experiment.store,
        "evolve",
        run=experiment.run.name,
        tasks=(task.task for task in experiment.tasks),
        collections=(task.collection.id for task in experiment.tasks),
        workers=experiment.workers,
        meter=meter,
    )
    with _interruptible(experiment), cost:
        _announce(experiment)
        _search(experiment)
        _test(experiment)
        experiment.finish()


@contextmanager
def _interruptible(experiment: Experiment) -> Iterator[None]:
    """On Ctrl-C, mark the run and say how to go on with it."""
    from zcsr.cli.failures import Interrupted

    try:
        yield
    except KeyboardInterrupt:
        experiment.interrupt()
        again = f"zcsr evolve --resume --run {experiment.run.name}{space_flags(experiment.run)}"
        raise Interrupted(f"interrupted; everything finished is kept. To go on: {again}") from None


def _announce(experiment: Experiment) -> None:
    from zcsr.cli.console import say

    tasks = ", ".join(
        f"{task.task} ({len(task.evolve)} networks to evolve on, {len(task.test)} to test on)"
        for task in experiment.tasks
    )
    say(f"run {experiment.run.name}: {tasks}")


def _search(experiment: Experiment) -> None:
    from zcsr.cli.console import progress, talk
    from zcsr.cli.display import EvolveDisplay

    with progress("collecting", "networks") as tell:
        experiment.collect(tell)
    with EvolveDisplay(talk(), experiment.config, experiment.run.name, experiment.known()) as display:
        for generation in experiment.generations(display.observe):
            display.update(generation)


def _test(experiment: Experiment) -> None:
    from zcsr.cli.console import progress

    programs = [finalist.program for finalist in experiment.finalists()]
    with progress("testing", "networks") as tell:
        experiment.test(programs, tell)


def _show(experiment: Experiment, written: bool) -> None:
    """Print the finalists' table and the report's path; a report that is `written` already is left as it is."""
    from zcsr.cli.console import data, say
    from zcsr.cli.query import print_named
    from zcsr.reports import render_run

    print_named(experiment.store, "finalists", {"run": experiment.run.name})
    folder = experiment.store.root / "reports"
    path = folder / f"{experiment.run.name}.md"
    if not (written and path.is_file()):
        path = render_run(experiment.store, experiment.run.name, folder)
    say("report:")
    data().print(str(path), highlight=False, markup=False, soft_wrap=True)
