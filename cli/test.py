"""`zcsr test`: programs on networks that no evolution has drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.costs import chosen_meter, measured
from zcsr.cli.options import (
    BatchSizeOption,
    ImagesOption,
    InitialisationOption,
    LossOption,
    MeterOption,
    NetworkSeedOption,
    PatternOption,
    SpaceFileOption,
    StoreOption,
    WorkersOption,
    open_store,
    parse_task,
    statistics_config,
    use_spaces,
    worker_count,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zcsr.meter import Meter
    from zcsr.program import Program
    from zcsr.scoring import Measures
    from zcsr.spaces import SearchSpace
    from zcsr.statistics import StatisticsConfig
    from zcsr.store import Collection, Store


def test(
    run: Annotated[
        str | None,
        typer.Argument(help="Name of a run, or latest; with --task, its finalists.", show_default="latest"),
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(
            "--program",
            "-p",
            help="Program text, the name of a published one, or @FILE with either or JSON; may be repeated.",
            show_default="the run's finalists",
        ),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy",
            help="With --task: a known proxy (`zcsr proxies`), or all; may be repeated.",
            show_default="none",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Test on SPACE:DATASET instead, apart from any run.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="With --task: this many networks drawn at random.")
    ] = None,
    sample_seed: Annotated[int, typer.Option("--sample-seed", help="Seed of that draw.")] = 0,
    indices: Annotated[
        str | None,
        typer.Option("--indices", help="With --task: FIRST:END in the space's order, END left out; may go down."),
    ] = None,
    images: ImagesOption = None,
    batch_size: BatchSizeOption = 1,
    network_seed: NetworkSeedOption = 0,
    pattern: PatternOption = "rcb",
    loss: LossOption = "ones",
    initialisation: InitialisationOption = "eznas",
    workers: WorkersOption = None,
    meter: MeterOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Score programs on a run's test networks, or on any networks of a --task, and print how they rank them.

    With --task, a run's finalists, programs and known proxies are scored together: a network is built once for all
    of them. Scores are kept as they come: after Ctrl-C the same command goes on where it stopped.
    """
    from zcsr.cli.export import read_program
    from zcsr.cli.failures import Interrupted
    from zcsr.errors import InputError
    from zcsr.spaces import get_space

    use_spaces(space_file)
    asked = chosen_meter(meter)
    opened = open_store(store)
    programs = [read_program(text) for text in program or ()]
    try:
        if task is None:
            if proxy:
                raise InputError("--proxy takes a --task as well; a run's test networks are for its programs")
            _test_run(opened, run or "latest", programs, worker_count(workers), asked)
        else:
            collection = _collection(
                task, images, statistics_config(batch_size, network_seed, pattern, loss, initialisation)
            )
            archs = _archs(get_space(collection.space), sample, sample_seed, indices)
            measures = _measures(opened, run, programs, proxy or ())
            _test_task(opened, collection, measures, archs, worker_count(workers), asked)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; scores are kept, and the same command goes on with them") from None


def _test_run(store: Store, name: str, programs: Sequence[Program], workers: int, meter: Meter | None) -> None:
    from zcsr.cli.console import progress
    from zcsr.cli.query import print_named
    from zcsr.store.experiment import Experiment

    experiment = Experiment.resume(store, name, workers=workers)
    cost = measured(
        store,
        "test",
        run=experiment.run.name,
        tasks=(task.task for task in experiment.tasks),
        collections=(task.collection.id for task in experiment.tasks),
        workers=workers,
        meter=meter,
    )
    with cost, progress("testing", "networks") as report:
        experiment.test(programs or [finalist.program for finalist in experiment.finalists()], report)
    print_named(store, "correlations", {"run": experiment.run.name, "role": "test"})


def _measures(store: Store, run: str | None, programs: Sequence[Program], proxies: Sequence[str]) -> Measures:
    from zcsr.errors import InputError
    from zcsr.proxies import proxy_names
    from zcsr.scoring import Measures
    from zcsr.store.experiment import Experiment

    of_run = [f.program for f in Experiment.resume(store, run, workers=1).finalists()] if run else []
    names = proxy_names() if "all" in proxies else proxies
    measures = Measures(tuple(dict.fromkeys((*of_run, *programs))), tuple(dict.fromkeys(names)))
    if not len(measures):
        raise InputError("say what to test: a RUN, --program 'TEXT' or --proxy NAME")
    return measures


def _test_task(
    store: Store,
    collection: Collection,
    measures: Measures,
    archs: Sequence[str],
    workers: int,
    meter: Meter | None,
) -> None:
    from zcsr.cli.console import progress, say
    from zcsr.cli.query import print_named
    from zcsr.store.scores import score_archs

    task = f"{collection.space}:{collection.dataset}"
    cost = measured(store, "test", tasks=[task], collections=[collection.id], workers=workers, meter=meter)
    with cost, progress("testing", "networks") as report:
        done = score_archs(store, collection, measures, archs, workers=workers, report=report)
    per_network = f"; {done.seconds / done.scored:.2f} s a network" if done.scored else ""
    say(f"{done.scored} networks scored, {done.already} were already{per_network}")
    print_named(store, "network_correlations", {"collection": collection.id})


def _collection(task: str, images: str | None, config: StatisticsConfig) -> Collection:
    from zcsr.store import Collection

    space, dataset = parse_task(task)
    return Collection.of(space, dataset, images or dataset, config)


def _archs(space: SearchSpace, sample: int | None, seed: int, indices: str | None) -> list[str]:
    """The architectures that --sample or --indices name."""
    import random

    from zcsr.errors import InputError

    if (sample is None) == (indices is None):
        raise InputError("say which networks to test on: --sample N or --indices FIRST:END, one of the two")
    if indices is None:
        return space.sample(sample or 0, random.Random(seed))
    first, colon, end = indices.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and first != end):
        raise InputError(f"--indices takes FIRST:END, such as 0:100 or 15624:15424, not '{indices}'")
    step = 1 if int(first) < int(end) else -1
    return [space.arch(index) for index in range(int(first), int(end), step)]
