"""`zcsr test`: programs on networks that no evolution has drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.options import (
    BatchSizeOption,
    ImagesOption,
    LossOption,
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

    from zcsr.program import Program
    from zcsr.spaces import SearchSpace
    from zcsr.statistics import StatisticsConfig
    from zcsr.store import Collection, Store


def test(
    run: Annotated[str, typer.Argument(help="Name of a run, or latest; not with --task.")] = "latest",
    program: Annotated[
        list[str] | None,
        typer.Option("--program", "-p", help="Program text; may be repeated.", show_default="the run's finalists"),
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
    workers: WorkersOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Score programs on a run's test networks, or on any networks of a --task, and print how they rank them.

    Scores are kept as they come: after Ctrl-C the same command goes on where it stopped.
    """
    from zcsr.cli.failures import Interrupted
    from zcsr.program import parse
    from zcsr.spaces import get_space

    use_spaces(space_file)
    opened = open_store(store)
    programs = [parse(text) for text in program or ()]
    try:
        if task is None:
            _test_run(opened, run, programs, worker_count(workers))
        else:
            config = statistics_config(batch_size, network_seed, pattern, loss)
            collection = _collection(task, images, config)
            archs = _archs(get_space(collection.space), sample, sample_seed, indices)
            _test_task(opened, collection, programs, archs, worker_count(workers))
    except KeyboardInterrupt:
        raise Interrupted("interrupted; scores are kept, and the same command goes on with them") from None


def _test_run(store: Store, name: str, programs: Sequence[Program], workers: int) -> None:
    from zcsr.cli.console import progress
    from zcsr.cli.query import print_named
    from zcsr.store.experiment import Experiment

    experiment = Experiment.resume(store, name, workers=workers)
    with progress("testing", "networks") as report:
        experiment.test(programs or [finalist.program for finalist in experiment.finalists()], report)
    print_named(store, "correlations", {"run": experiment.run.name, "role": "test"})


def _test_task(
    store: Store, collection: Collection, programs: Sequence[Program], archs: Sequence[str], workers: int
) -> None:
    from zcsr.cli.console import progress, say
    from zcsr.cli.query import print_named
    from zcsr.errors import InputError
    from zcsr.store.scores import score_archs

    if not programs:
        raise InputError("say which programs to test with --program 'TEXT'; only a run has finalists of its own")
    with progress("testing", "networks") as report:
        done = score_archs(store, collection, programs, archs, workers=workers, report=report)
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
