"""`zcsr collect`: statistics of a space's networks into the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from zcsr.cli.console import data, progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible
from zcsr.cli.given import Networks
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import (
    Conditions,
    DatasetArgument,
    ImagesOption,
    Place,
    SpaceArgument,
    WorkersOption,
    settled,
)
from zcsr.engine.workers import available_workers
from zcsr.errors import InputError, nearest
from zcsr.language.tensors import BY_NAME, INPUTS, TENSORS, Tensor
from zcsr.spaces import get_space


@with_options
def collect(
    *,
    space: SpaceArgument,
    dataset: DatasetArgument,
    arch: list[str] | None = option(None, "architecture string or index; may be repeated"),
    networks: Networks,
    tensor: list[str] | None = option(
        None, "tensor to collect, such as T4_N; may be repeated", unset="all 22, or those of --input"
    ),
    input_: list[str] | None = option(
        None,
        "collect the tensors of an input: D (data), N (noise) or P (perturbed data)",
        flag="--input",
        unset="all",
    ),
    images: ImagesOption = None,
    statistics: Conditions,
    workers: WorkersOption = None,
    place: Place,
) -> None:
    """Collect the 22 tensors of every instance, or some of them; what the store has already is skipped.

    Of an input that none of the tensors needs, nothing is run; without D and P no images are needed. What is left
    out can be collected later.
    """
    from zcsr.store import Collection
    from zcsr.store.jobs.collecting import collect_networks
    from zcsr.store.kept.accuracies import accuracies

    place.use_spaces()
    opened = cache(lambda: place.open_for([(space, dataset)], create=True))
    archs = networks.archs(
        get_space(space),
        "say which architectures to collect: --arch (repeatable), --sample N, --indices FIRST:END, --all or "
        "--trained, one of these",
        lambda: accuracies(opened(), space, dataset).archs,
        arch,
    )
    tensors = _tensors(tensor or (), input_ or ())
    collection = Collection.of(space, dataset, images or dataset, settled(statistics, space, dataset, archs))
    count = workers or available_workers()
    kept = interruptible("what is collected is kept, and the same command goes on with it")
    cost = measured(opened(), "collect", tasks=[f"{space}:{dataset}"], collections=[collection.id], workers=count)
    with kept, cost, progress(f"collecting {space}:{dataset}", "networks") as tell:
        report = collect_networks(opened(), collection, archs, tensors=tensors, workers=count, progress=tell)
    each = max(report.done, 1)
    say(
        f"{report.done} networks collected, {report.already} were there already; "
        f"{report.seconds / each if report.done else 0.0:.2f} s and {report.bytes / each / 1e6:.1f} MB a network"
    )
    data().print(collection.id, highlight=False, soft_wrap=True)


def _tensors(names: Sequence[str], inputs: Sequence[str]) -> tuple[Tensor, ...]:
    """The tensors of these names and of these inputs; all of them where nothing is named."""
    for name in names:
        if name not in BY_NAME:
            raise InputError(f"--tensor is one of {', '.join(BY_NAME)}, not {name!r}{nearest(name, BY_NAME)}")
    for one in inputs:
        if one not in INPUTS:
            raise InputError(f"--input is one of {', '.join(INPUTS)}, not {one!r}")
    if not names and not inputs:
        return TENSORS
    return tuple(one for one in TENSORS if one.name in names or one.input in inputs)
