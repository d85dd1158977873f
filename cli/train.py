"""`zcsr train`: a table of accuracies of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.costs import chosen_meter, measured
from zcsr.cli.options import (
    ImagesOption,
    MeterOption,
    SpaceFileOption,
    StoreOption,
    WorkersOption,
    open_store,
    use_spaces,
    worker_count,
)

if TYPE_CHECKING:
    from zcsr.spaces import SearchSpace

NETWORKS = 200


def train(
    space: Annotated[str, typer.Argument(help="Search space; `zcsr spaces` lists them.")],
    dataset: Annotated[str, typer.Argument(help="Dataset, which fixes resolution and number of classes.")],
    images: ImagesOption = None,
    networks: Annotated[
        int | None,
        typer.Option(
            "--networks",
            min=1,
            help="Architectures, drawn at random.",
            show_default=f"{NETWORKS}, or all where the space has fewer",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each, with seeds 0, 1, ...")] = 1,
    sample_seed: Annotated[int, typer.Option("--sample-seed", help="Seed of the draw of architectures.")] = 0,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")] = 4,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Images in a step.")] = 64,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Highest of the one cycle.")] = 0.2,
    train_images: Annotated[
        int, typer.Option("--train-images", min=2, help="Train on this many of the set's first images.")
    ] = 8192,
    test_images: Annotated[
        int, typer.Option("--test-images", min=1, help="Test on this many of the set's last images.")
    ] = 30_000,
    device: Annotated[str, typer.Option("--device", help="cpu, or cuda where there is one.")] = "cpu",
    workers: WorkersOption = None,
    meter: MeterOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Train sampled architectures and store their accuracies; run it again to go on where it stopped.

    With several seeds it prints how well the table can be trusted to rank: the query reliability.
    """
    import random

    from zcsr.cli.console import progress, say
    from zcsr.cli.failures import Interrupted
    from zcsr.cli.query import print_named
    from zcsr.networks.training import TrainingConfig
    from zcsr.spaces import get_space
    from zcsr.store.jobs.training import TrainRequest, train_networks

    use_spaces(space_file)
    config = TrainingConfig(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    request = TrainRequest(space, dataset, images or dataset, train_images, test_images, config)
    known = get_space(space)
    archs = known.sample(_count(known, networks), random.Random(sample_seed))
    asked = chosen_meter(meter)
    opened = open_store(store, create=True)
    count = worker_count(workers)
    cost = measured(opened, "train", tasks=[f"{space}:{dataset}"], workers=count, meter=asked)
    try:
        with cost, progress(f"training {space}:{dataset}", "trainings") as tell:
            report = train_networks(
                opened,
                request,
                archs,
                range(seeds),
                workers=count,
                device=device,
                progress=tell,
            )
    except KeyboardInterrupt:
        raise Interrupted("interrupted; accuracies are kept, and the same command goes on with it") from None
    say(f"{report.done} trainings in {report.seconds:.0f} s, {report.already} were there already")
    if seeds > 1:
        print_named(opened, "reliability", {"task": f"{space}:{dataset}"})


def _count(space: SearchSpace, networks: int | None) -> int:
    """How many architectures to train."""
    from zcsr.errors import InputError
    from zcsr.spaces import space_size

    size = space_size(space)
    if networks is not None and networks > size:
        raise InputError(
            f"--networks is at most {size:,}, the number of architectures of {space.name}, not {networks}"
        )
    return min(NETWORKS, size) if networks is None else networks
