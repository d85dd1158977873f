"""`zcsr collect`: statistics of a space's networks into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.costs import measured
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
    statistics_config,
    use_spaces,
    worker_count,
)

if TYPE_CHECKING:
    from zcsr.spaces import SearchSpace


def collect(
    space: Annotated[str, typer.Argument(help="Search space; `zcsr spaces` lists them.")],
    dataset: Annotated[str, typer.Argument(help="Dataset, which fixes resolution and number of classes.")],
    arch: Annotated[
        list[str] | None, typer.Option("--arch", help="Architecture string or index; may be repeated.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Collect this many architectures drawn at random.")
    ] = None,
    sample_seed: Annotated[int, typer.Option("--sample-seed", help="Seed of that draw.")] = 0,
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
    import random

    from zcsr.cli.console import data, progress, say
    from zcsr.cli.failures import Interrupted
    from zcsr.errors import InputError
    from zcsr.spaces import get_space
    from zcsr.store import Collection
    from zcsr.store.collect import collect as collect_into

    use_spaces(space_file)
    if (arch is None) == (sample is None):
        raise InputError("say which architectures to collect: --arch (repeatable) or --sample N, one of the two")
    search_space = get_space(space)
    archs = (
        [_arch(search_space, one) for one in arch]
        if arch
        else search_space.sample(sample or 0, random.Random(sample_seed))
    )
    collection = Collection.of(
        space, dataset, images or dataset, statistics_config(batch_size, network_seed, pattern, loss)
    )
    opened = open_store(store, create=True)
    count = worker_count(workers)
    cost = measured(opened, "collect", tasks=[f"{space}:{dataset}"], collections=[collection.id], workers=count)
    try:
        with cost, progress(f"collecting {space}:{dataset}", "networks") as report:
            done = collect_into(opened, collection, archs, workers=count, progress=report)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; what is collected is kept, and the same command goes on with it") from None
    per_network = done.seconds / done.collected if done.collected else 0.0
    say(
        f"{done.collected} networks collected, {done.already} were there already; "
        f"{per_network:.2f} s and {done.bytes / max(done.collected, 1) / 1e6:.1f} MB a network"
    )
    data().print(collection.id, highlight=False, soft_wrap=True)


def _arch(space: SearchSpace, text: str) -> str:
    """The architecture that a string or index names; a number that is an architecture's string is taken as that."""
    from zcsr.errors import InputError

    if text.isdecimal():
        try:
            space.index(text)
        except InputError:
            return space.arch(int(text))
    return text
