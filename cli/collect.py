"""`zcsr collect`: statistics of a space's networks into the store."""

from __future__ import annotations

from typing import Annotated

import typer

from zcsr.cli.archs import chosen_archs
from zcsr.cli.costs import measured
from zcsr.cli.options import (
    AllOption,
    BatchSizeOption,
    ImagesOption,
    IndicesOption,
    LossOption,
    NetworkSeedOption,
    PatternOption,
    SampleOption,
    SampleSeedOption,
    SpaceFileOption,
    StoreOption,
    WorkersOption,
    open_store_for,
    statistics_config,
    use_spaces,
    worker_count,
)


def collect(
    space: Annotated[str, typer.Argument(help="Search space; `zcsr spaces` lists them.")],
    dataset: Annotated[str, typer.Argument(help="Dataset, which fixes resolution and number of classes.")],
    arch: Annotated[
        list[str] | None, typer.Option("--arch", help="Architecture string or index; may be repeated.")
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
    workers: WorkersOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Collect the 22 tensors of every instance; architectures already in the store are skipped."""
    from zcsr.cli.console import data, progress, say
    from zcsr.cli.failures import Interrupted
    from zcsr.spaces import get_space
    from zcsr.store import Collection
    from zcsr.store.jobs.collecting import collect_networks

    use_spaces(space_file)
    archs = chosen_archs(
        get_space(space),
        "say which architectures to collect: --arch (repeatable), --sample N, --indices FIRST:END or --all, one of "
        "these",
        named=arch,
        sample=sample,
        sample_seed=sample_seed,
        indices=indices,
        every=every,
    )
    collection = Collection.of(
        space, dataset, images or dataset, statistics_config(batch_size, network_seed, pattern, loss)
    )
    opened = open_store_for([(space, dataset)], store, create=True)
    count = worker_count(workers)
    cost = measured(opened, "collect", tasks=[f"{space}:{dataset}"], collections=[collection.id], workers=count)
    try:
        with cost, progress(f"collecting {space}:{dataset}", "networks") as tell:
            report = collect_networks(opened, collection, archs, workers=count, progress=tell)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what is collected is kept, and the same command goes on with it") from None
    each = max(report.done, 1)
    say(
        f"{report.done} networks collected, {report.already} were there already; "
        f"{report.seconds / each if report.done else 0.0:.2f} s and {report.bytes / each / 1e6:.1f} MB a network"
    )
    data().print(collection.id, highlight=False, soft_wrap=True)
