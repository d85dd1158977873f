"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zcsr.networks.untrained import StatisticsConfig
    from zcsr.store import Store

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="ZCSR_STORE",
        help="Folder of the store.",
        show_default="~/.local/share/zcsr",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="Processes to compute with.", show_default="one a core"),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images in the minibatch.")]
NetworkSeedOption = Annotated[
    int, typer.Option("--network-seed", help="Seed of the weights, the minibatch and the noise.")
]
PatternOption = Annotated[
    str, typer.Option("--pattern", help="Instances: rcb (ReLU-Conv-BatchNorm) or cbr (Conv-BatchNorm-ReLU).")
]
LossOption = Annotated[
    str, typer.Option("--loss", help="What the gradients come from: ones (on the logits) or cross_entropy.")
]
InitialisationOption = Annotated[
    str, typer.Option("--initialisation", help="Weights by the rules of eznas, or of torch as other proxies' are.")
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", help="Stored image set to draw the minibatch from.", show_default="the dataset's own"),
]
SampleOption = Annotated[
    int | None, typer.Option("--sample", min=1, help="So many networks of the space, drawn at random.")
]
SampleSeedOption = Annotated[int, typer.Option("--sample-seed", help="Seed of that draw.")]
IndicesOption = Annotated[
    str | None,
    typer.Option("--indices", help="Networks FIRST:END in the space's order, END left out; may go down."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every network of the space.")]
ProgramOption = Annotated[
    list[str] | None,
    typer.Option(
        "--program",
        "-p",
        help="Program text, a program's name or id, or @FILE with one of these or JSON; may be repeated.",
    ),
]
ProgramArgument = Annotated[
    str, typer.Argument(help="Program text, a program's name or id, or @FILE with one of these or JSON.")
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option("--proxy", help="Known proxy (`zcsr proxies`), or all; may be repeated."),
]
SpaceFileOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--space-file",
        envvar="ZCSR_SPACES",
        help="Python file that defines a space of your own, which is run; may be repeated.",
        show_default="none",
    ),
]
MeterOption = Annotated[
    str | None,
    typer.Option("--meter", help="Measure the electricity as well, with codecarbon.", show_default="none"),
]
FootprintOption = Annotated[
    list[str] | None,
    typer.Option(
        "--footprint",
        metavar="NAME=VALUE",
        help="For energy and CO2e: watts_per_core, watts_per_gb, pue or carbon_intensity; may be repeated.",
        show_default="those of Green Algorithms",
    ),
]
RunArgument = Annotated[str, typer.Argument(help="Name of a run, or latest.")]


def open_store(path: Path | None, create: bool = False) -> Store:
    """Return the store an option names, or the default one."""
    from zcsr.store import Store, default_root

    return Store.open(path or default_root(), create=create)


def open_store_for(tasks: Sequence[tuple[str, str]], path: Path | None, create: bool = False) -> Store:
    """Return the store an option names, or the default one, to work in on tasks (space, dataset).

    A task of the benchmark that comes with zcsr makes the store where there is none, and has its accuracies put in
    where the store has none.
    """
    from zcsr.cli.console import say
    from zcsr.store.kept.images import embedded_tasks, install_missing

    opened = open_store(path, create=create or not embedded_tasks().isdisjoint(tasks))
    for space, dataset in install_missing(opened, tasks):
        say(f"accuracies of {space}:{dataset} put into the store: they come with zcsr")
    return opened


def use_spaces(files: Sequence[Path] | None) -> None:
    """Run the Python files that an option names, and know the spaces they define."""
    from zcsr.store.jobs.space_files import use_spaces_of

    use_spaces_of(files or ())


def parse_task(task: str) -> tuple[str, str]:
    """Return the search space and the dataset that a --task names."""
    from zcsr.errors import InputError

    space, colon, dataset = task.partition(":")
    if not (space and colon and dataset):
        raise InputError(f"--task takes SPACE:DATASET, such as nasbench201:cifar10, not '{task}'")
    return space, dataset


def worker_count(workers: int | None) -> int:
    """Return the number of processes an option asks for."""
    from zcsr.engine.workers import available_workers

    return workers or available_workers()


def statistics_config(
    batch_size: int, seed: int, pattern: str, loss: str, initialisation: str = "eznas"
) -> StatisticsConfig:
    """Return the configuration that the options of a collection spell."""
    from zcsr.networks.untrained import StatisticsConfig

    return StatisticsConfig(batch_size, seed, pattern, loss, initialisation=initialisation)  # type: ignore[arg-type]
