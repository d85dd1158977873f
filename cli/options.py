"""Options that several commands share, each said once, and groups of them that a command takes as one object."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli.console import say
from zcsr.cli.groups import Without, option
from zcsr.cost.meter import Meter, open_meter
from zcsr.engine.workers import available_workers
from zcsr.errors import InputError
from zcsr.networks.config import StatisticsConfig
from zcsr.store import Store, default_root

_BEFORE = "zcsr.store"


def keep_store(context: typer.Context, store: Path | None) -> None:
    """Keep the store that is named before the command, for the option of the command to find."""
    context.meta[_BEFORE] = store


def _found_store(context: typer.Context, parameter: typer.CallbackParam, store: Path | None) -> Path | None:
    """The store that stands behind the command, or else before it, or else in the environment."""
    source = context.get_parameter_source(parameter.name or "")
    behind = source is not None and source.name == "COMMANDLINE"
    return store if behind else context.meta.get(_BEFORE) or store


STORE = {"help": "Folder of the store.", "show_default": "~/.local/share/zcsr"}
"""What the option says, which may stand before the command as well as behind it."""

StoreOption = Annotated[Path | None, typer.Option("--store", envvar="ZCSR_STORE", callback=_found_store, **STORE)]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="Processes to compute with.", show_default="one a core"),
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", help="Stored image set to draw the minibatch from.", show_default="the dataset's own"),
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
FootprintOption = Annotated[
    list[str] | None,
    typer.Option(
        "--footprint",
        metavar="NAME=VALUE",
        help="For energy and CO2e: watts_per_core, watts_per_gb, pue or carbon_intensity; may be repeated.",
        show_default="those of Green Algorithms",
    ),
]
OutFileOption = Annotated[Path | None, typer.Option("--out", "-o", help="File to write to.", show_default="stdout")]
SpaceArgument = Annotated[str, typer.Argument(help="Search space; `zcsr spaces` lists them.")]
DatasetArgument = Annotated[str, typer.Argument(help="Dataset, which fixes resolution and number of classes.")]

Conditions = Annotated[StatisticsConfig, Without("initialisation")]
"""Under which statistics are taken; only scores can be of networks that are initialised in another way."""


def settled(conditions: StatisticsConfig, space: str, dataset: str, archs: Sequence[str] = ()) -> StatisticsConfig:
    """Return the conditions with a pattern where they leave it open, and say which."""
    from zcsr.evaluation.auto_pattern import with_pattern
    from zcsr.spaces import get_space

    found, counts = with_pattern(conditions, get_space(space), dataset, archs)
    if counts:
        others = [f"{count} of {name}" for name, count in counts.items() if count and name != found.pattern]
        more = f"; there are {', '.join(others)}" if others else ""
        say(f"pattern {found.pattern}: {counts[found.pattern]} instances in the first networks{more}")
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works: the spaces that it knows, and its store."""

    space_file: SpaceFileOption = None
    store: StoreOption = None

    def use_spaces(self) -> None:
        """Run the Python files, and know the spaces they define."""
        from zcsr.store.jobs.space_files import use_spaces_of

        use_spaces_of(self.space_file or ())

    def open(self, create: bool = False) -> Store:
        """Return the store, or the default one."""
        return open_store(self.store, create)

    def open_for(self, tasks: Sequence[tuple[str, str]], create: bool = False) -> Store:
        """Return the store, or the default one, to work in on tasks (space, dataset).

        A task of the benchmark that comes with zcsr makes the store where there is none, and has its accuracies put
        in where the store has none.
        """
        from zcsr.store.kept.accuracies import sources
        from zcsr.store.kept.images import embedded_tasks, install_missing

        opened = self.open(create=create or not embedded_tasks().isdisjoint(tasks))
        for space, dataset in install_missing(opened, tasks):
            say(f"accuracies of {space}:{dataset} put into the store: they come with zcsr")
        for space, dataset in tasks:
            _say_of_sources(space, dataset, sources(opened, space, dataset))
        return opened


def _say_of_sources(space: str, dataset: str, counts: Mapping[str, int]) -> None:
    """Say where accuracies come from, if from several places."""
    if len(counts) > 1:
        there = ", ".join(f"{name} ({count:,} networks)" for name, count in counts.items())
        say(f"test accuracies of {space}:{dataset} are from {there}: of several of one network the mean is taken")


@dataclass(frozen=True, slots=True)
class Work:
    """What a command computes with, and what measures it."""

    workers: WorkersOption = None
    meter: str | None = option(None, "measure the electricity as well, with codecarbon", unset="none")

    def count(self) -> int:
        """Return the number of processes."""
        return self.workers or available_workers()

    def opened_meter(self) -> Meter | None:
        """Return the meter of electricity, where one is named."""
        return None if self.meter is None else open_meter(self.meter)


def open_store(path: Path | None, create: bool = False) -> Store:
    """Return the store an option names, or the default one."""
    return Store.open(path or default_root(), create=create)


def parse_task(task: str) -> tuple[str, str]:
    """Return the search space and the dataset that a --task names."""
    space, colon, dataset = task.partition(":")
    if not (space and colon and dataset):
        raise InputError(f"--task takes SPACE:DATASET, such as nasbench201:cifar10, not '{task}'")
    return space, dataset


def chosen_format(
    given: str | None, out: Path | None, formats: Collection[str], endings: Mapping[str, str], usual: str
) -> str:
    """Return the format that an option names, or else the ending of the file; the usual one without a file.

    Raises InputError for a format or an ending that there is not.
    """
    if given is not None and given not in formats:
        raise InputError(f"--format is one of {', '.join(formats)}, not '{given}'")
    if given is not None or out is None:
        return given or usual
    if (ending := out.suffix.lower()) not in endings:
        seen = f"the ending {ending}" if ending else "a name without an ending"
        raise InputError(
            f"--out {out}: {seen} says no format; the endings {', '.join(endings)} do, and for any other --format"
        )
    return endings[ending]
