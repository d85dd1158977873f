"""`zcsr train`: a table of accuracies of one's own."""

from __future__ import annotations

import random
from typing import Annotated

import typer

from zcsr.cli.console import progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import DatasetArgument, ImagesOption, Place, SpaceArgument, Work
from zcsr.cli.query import print_named
from zcsr.errors import InputError
from zcsr.networks.config import TrainingConfig
from zcsr.spaces import SearchSpace, get_space, space_size

NETWORKS = 200


@with_options
def train(
    *,
    space: SpaceArgument,
    dataset: DatasetArgument,
    images: ImagesOption = None,
    networks: int | None = option(
        None, "architectures, drawn at random", least=1, unset=f"{NETWORKS}, or all where the space has fewer"
    ),
    seeds: int = option(1, "trainings of each, with seeds 0, 1, ..", least=1),
    sample_seed: int = option(0, "seed of the draw of architectures"),
    config: TrainingConfig,
    train_images: int = option(8192, "train on this many of the set's first images", least=2),
    test_images: int = option(30_000, "test on this many of the set's last images", least=1),
    device: Annotated[str, typer.Option("--device", help="cpu, or cuda where there is one.")] = "cpu",
    work: Work,
    place: Place,
) -> None:
    """Train sampled architectures and store their accuracies; run it again to go on where it stopped.

    With several seeds it prints how well the table can be trusted to rank: the query reliability.
    """
    from zcsr.store.jobs.training import TrainRequest, train_networks

    place.use_spaces()
    request = TrainRequest(space, dataset, images or dataset, train_images, test_images, config)
    known = get_space(space)
    archs = known.sample(_count(known, networks), random.Random(sample_seed))
    meter = work.opened_meter()
    opened = place.open(create=True)
    count = work.count()
    task = f"{space}:{dataset}"
    begun = (
        f"{len(archs)} networks of {task}, {_times(seeds)} each: {config.epochs} passes over {train_images} "
        f"images, then a test on {test_images}; {count} at a time"
    )
    done: int | None = None

    def kept() -> str:
        return f"{done or 0} accuracies are kept, and the same command goes on with it"

    cost = measured(opened, "train", tasks=[task], workers=count, meter=meter)
    with interruptible(kept), cost, progress(f"training {task}", "trainings") as tell:

        def told(now: int, of: int) -> None:
            nonlocal done
            if done is None:
                say(begun)
            done = now
            tell(now, of)

        report = train_networks(opened, request, archs, range(seeds), workers=count, device=device, progress=told)
    say(f"{report.done} trainings in {report.seconds:.0f} s, {report.already} were there already")
    if seeds > 1:
        print_named(opened, "reliability", {"task": task})


def _times(seeds: int) -> str:
    return "once" if seeds == 1 else f"{seeds} times"


def _count(space: SearchSpace, networks: int | None) -> int:
    """How many architectures to train."""
    size = space_size(space)
    if networks is not None and networks > size:
        raise InputError(
            f"--networks is at most {size:,}, the number of architectures of {space.name}, not {networks}"
        )
    return min(NETWORKS, size) if networks is None else networks
