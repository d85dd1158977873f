"""`zcsr collect`: statistics of a space's networks into the store."""

from __future__ import annotations

from zcsr.cli.console import data, progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible
from zcsr.cli.given import Networks
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import Conditions, DatasetArgument, ImagesOption, Place, SpaceArgument, WorkersOption
from zcsr.engine.workers import available_workers
from zcsr.spaces import get_space


@with_options
def collect(
    *,
    space: SpaceArgument,
    dataset: DatasetArgument,
    arch: list[str] | None = option(None, "architecture string or index; may be repeated"),
    networks: Networks,
    images: ImagesOption = None,
    statistics: Conditions,
    workers: WorkersOption = None,
    place: Place,
) -> None:
    """Collect the 22 tensors of every instance; architectures already in the store are skipped."""
    from zcsr.store import Collection
    from zcsr.store.jobs.collecting import collect_networks

    place.use_spaces()
    archs = networks.archs(
        get_space(space),
        "say which architectures to collect: --arch (repeatable), --sample N, --indices FIRST:END or --all, one of "
        "these",
        arch,
    )
    collection = Collection.of(space, dataset, images or dataset, statistics)
    opened = place.open_for([(space, dataset)], create=True)
    count = workers or available_workers()
    kept = interruptible("what is collected is kept, and the same command goes on with it")
    cost = measured(opened, "collect", tasks=[f"{space}:{dataset}"], collections=[collection.id], workers=count)
    with kept, cost, progress(f"collecting {space}:{dataset}", "networks") as tell:
        report = collect_networks(opened, collection, archs, workers=count, progress=tell)
    each = max(report.done, 1)
    say(
        f"{report.done} networks collected, {report.already} were there already; "
        f"{report.seconds / each if report.done else 0.0:.2f} s and {report.bytes / each / 1e6:.1f} MB a network"
    )
    data().print(collection.id, highlight=False, soft_wrap=True)
