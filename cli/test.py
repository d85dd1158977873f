"""`zcsr test`: programs on networks that no evolution has drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.archs import chosen_archs
from zcsr.cli.costs import chosen_meter, measured
from zcsr.cli.options import (
    AllOption,
    BatchSizeOption,
    ImagesOption,
    IndicesOption,
    InitialisationOption,
    LossOption,
    MeterOption,
    NetworkSeedOption,
    PatternOption,
    ProgramOption,
    ProxyOption,
    SampleOption,
    SampleSeedOption,
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zcsr.cost.meter import Meter
    from zcsr.evaluation.many_networks import Measures
    from zcsr.language.program import Program
    from zcsr.networks.untrained import StatisticsConfig
    from zcsr.store import Collection, Store


def test(
    run: Annotated[
        str | None,
        typer.Argument(help="Name of a run, or latest; with --task, its finalists.", show_default="latest"),
    ] = None,
    program: ProgramOption = None,
    proxy: ProxyOption = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Test on SPACE:DATASET instead, apart from any run.")
    ] = None,
    sample: SampleOption = None,
    sample_seed: SampleSeedOption = 0,
    indices: IndicesOption = None,
    every: AllOption = False,
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

    Without --task, a run's test networks are scored by the programs, or by its finalists where none are given.
    With --task, a run's finalists, programs and known proxies are scored together, on the networks that --sample,
    --indices or --all choose: a network is built once for all of them. Scores are kept as they come: after Ctrl-C
    the same command goes on where it stopped.
    """
    from zcsr.cli.failures import Interrupted
    from zcsr.cli.programs import read_program
    from zcsr.errors import InputError
    from zcsr.spaces import get_space

    use_spaces(space_file)
    if task is None and (proxy or sample is not None or indices is not None or every):
        raise InputError(
            "--proxy, --sample, --indices and --all take a --task as well; without one, programs are tested on the "
            "test networks of a run"
        )
    asked = chosen_meter(meter)
    count = worker_count(workers)
    try:
        if task is None:
            opened = open_store(store)
            programs = [read_program(text, store) for text in program or ()]
            _test_run(opened, run or "latest", programs, count, asked)
        else:
            config = statistics_config(batch_size, network_seed, pattern, loss, initialisation)
            collection = _collection(task, images, config)
            archs = chosen_archs(
                get_space(collection.space),
                "say which networks to test on: --sample N, --indices FIRST:END or --all, one of these",
                sample=sample,
                sample_seed=sample_seed,
                indices=indices,
                every=every,
            )
            programs = [read_program(text, store) for text in program or ()]
            opened = open_store_for([(collection.space, collection.dataset)], store)
            measures = _measures(opened, run, programs, proxy or ())
            _test_task(opened, collection, measures, archs, count, asked)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; scores are kept, and the same command goes on with them") from None


def _test_run(store: Store, name: str, programs: Sequence[Program], workers: int, meter: Meter | None) -> None:
    from zcsr.cli.console import progress
    from zcsr.cli.query import print_named
    from zcsr.store.jobs.experiment import Experiment

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
    with cost, progress("testing", "networks") as tell:
        experiment.test(programs or [finalist.program for finalist in experiment.finalists()], tell)
    print_named(store, "correlations", {"run": experiment.run.name, "role": "test"})


def _measures(store: Store, run: str | None, programs: Sequence[Program], proxies: Sequence[str]) -> Measures:
    from zcsr.cli.programs import proxies_named
    from zcsr.errors import InputError
    from zcsr.evaluation.many_networks import Measures
    from zcsr.store.jobs.experiment import Experiment

    of_run = [f.program for f in Experiment.resume(store, run, workers=1).finalists()] if run else []
    measures = Measures(tuple(dict.fromkeys((*of_run, *programs))), proxies_named(proxies))
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
    from zcsr.store.jobs.testing import score_and_store

    task = f"{collection.space}:{collection.dataset}"
    cost = measured(store, "test", tasks=[task], collections=[collection.id], workers=workers, meter=meter)
    with cost, progress("testing", "networks") as tell:
        report = score_and_store(store, collection, measures, archs, workers=workers, progress=tell)
    per_network = f"; {report.seconds / report.done:.2f} s a network" if report.done else ""
    say(f"{report.done} networks scored, {report.already} were already{per_network}")
    print_named(store, "network_correlations", {"collection": collection.id})


def _collection(task: str, images: str | None, config: StatisticsConfig) -> Collection:
    from zcsr.store import Collection

    space, dataset = parse_task(task)
    return Collection.of(space, dataset, images or dataset, config)
