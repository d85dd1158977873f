"""`zcsr import`: accuracies, scores of proxies, benchmarks and images that a user holds, into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.console import progress, say
from zcsr.cli.groups import REQUIRED, option, with_options
from zcsr.cli.options import Place, StoreOption, open_store

if TYPE_CHECKING:
    from zcsr.store import ImportReport

MAX_BYTES = option(
    None, "bytes that a file, or a folder of pictures, may come to in memory", least=1, unset="4 GiB"
)
SAME_TRAINING = "take them beside accuracies from elsewhere, whose networks were trained in the same way"

app = typer.Typer(
    help="Import accuracies, scores of proxies, published benchmarks and images into the store.",
    pretty_exceptions_enable=False,
)


@app.command("accuracies")
@with_options
def accuracies(
    *,
    table: Annotated[Path, typer.Argument(help="Parquet or CSV file with a row an architecture.")],
    space: str = option(REQUIRED, "search space of the architectures"),
    dataset: str = option(REQUIRED, "dataset the accuracies were measured on"),
    accuracy_column: str = option(REQUIRED, "column of accuracies in percent"),
    arch_column: str = option("arch", "column of architecture strings"),
    metric: str = option("test", "what was measured, such as test or validation"),
    seed: int = option(0, "training seed of the accuracies"),
    seed_column: str | None = option(None, "column of training seeds"),
    width: int | None = option(None, "channels of networks given as DARTS genotypes", least=1, unset="in the text"),
    depth: int | None = option(None, "cells of networks given as DARTS genotypes", least=1, unset="in the text"),
    same_training: bool = option(False, SAME_TRAINING),
    skip_bad: bool = option(False, "leave out rows that cannot be used and count them"),
    max_bytes: int | None = MAX_BYTES,
    place: Place,
) -> None:
    """Import a table of accuracies; importing the same table again replaces it."""
    from zcsr.store import import_accuracies
    from zcsr.store.importers.limits import at_most

    place.use_spaces()
    with at_most(max_bytes):
        report = import_accuracies(
            place.open(create=True),
            table,
            space=space,
            dataset=dataset,
            arch_column=arch_column,
            accuracy_column=accuracy_column,
            metric=metric,
            seed=seed,
            seed_column=seed_column,
            width=width,
            depth=depth,
            same_training=same_training,
            skip_bad=skip_bad,
        )
    say(_taken(report))


@app.command("scores")
@with_options
def scores(
    *,
    table: Annotated[
        Path, typer.Argument(help="Parquet or CSV file with a row an architecture and a column a proxy.")
    ],
    source: str = option(REQUIRED, "who computed them; names them in the store"),
    space: str = option(REQUIRED, "search space of the architectures"),
    dataset: str = option(REQUIRED, "dataset the scores were computed on"),
    arch_column: str = option("arch", "column of architecture strings"),
    column: list[str] | None = option(
        None, "column of a proxy's scores; may be repeated", unset="every column of floats"
    ),
    skip_bad: bool = option(False, "leave out scores that cannot be used and count them"),
    max_bytes: int | None = MAX_BYTES,
    place: Place,
) -> None:
    """Import a table of others' scores of known proxies; importing the same one again changes nothing."""
    from zcsr.store.importers.limits import at_most
    from zcsr.store.importers.proxy_scores import import_scores

    place.use_spaces()
    with at_most(max_bytes):
        report = import_scores(
            place.open(create=True),
            table,
            source=source,
            space=space,
            dataset=dataset,
            arch_column=arch_column,
            columns=column or (),
            skip_bad=skip_bad,
        )
    say(f"{_taken(report)}; proxies of {source}: {', '.join(report.proxies)}")


@app.command("benchmark")
@with_options
def benchmark(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder of NATS-Bench (meta.pickle.pbz2 and a file an architecture), .pth of NAS-Bench-201, "
            ".json of NDS such as DARTS.json, or zc_nasbench201.json of NAS-Bench-Suite-Zero."
        ),
    ],
    kind: str = option("auto", "what it is: auto, nats, nasbench201, nds or suite-zero"),
    space: str | None = option(None, "search space of a file of NDS", unset="from its name"),
    dataset: str | None = option(None, "dataset of a file of NDS", unset="from its name"),
    epochs: int | None = option(None, "take the training of this length", least=1, unset="the longest"),
    same_training: bool = option(False, SAME_TRAINING),
    max_bytes: int | None = MAX_BYTES,
    store: StoreOption = None,
) -> None:
    """Import a published benchmark, read as plain data; importing the same one again changes nothing."""
    from zcsr.store.importers.benchmark_files import import_benchmark
    from zcsr.store.importers.limits import at_most

    opened = open_store(store, create=True)
    with at_most(max_bytes), progress("importing", "read") as tell:
        taken = import_benchmark(
            opened,
            path,
            kind=kind,
            space=space,
            dataset=dataset,
            epochs=epochs,
            same_training=same_training,
            progress=tell,
        )
    say(_taken(taken))


@app.command("images")
@with_options
def images(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            help="Parquet or NPZ file, an official folder such as cifar-10-batches-py, or one of class folders."
        ),
    ],
    name: str = option(REQUIRED, "name in the store; a dataset's name makes them its own"),
    classes: int | None = option(None, "number of classes", least=1, unset="from the labels"),
    pool: int = option(1, "average blocks of this many pixels a side", least=1),
    pad: int = option(0, "then add a black border of this many pixels", least=0),
    colours: int | None = option(None, "channels that grey images are repeated in", least=1, unset="as they are"),
    first: int | None = option(None, "take only this many, the first", least=1, unset="all"),
    max_bytes: int | None = MAX_BYTES,
    store: StoreOption = None,
) -> None:
    """Import a set of labelled images; they are normalised by the dataset's published mean and deviation."""
    from zcsr.store import import_images
    from zcsr.store.importers.limits import at_most

    opened = open_store(store, create=True)
    with at_most(max_bytes):
        taken = import_images(
            opened, path, name=name, classes=classes, pool=pool, pad=pad, first=first, colours=colours
        )
    count, height, width, channels = taken.pixels.shape
    say(
        f"{count} images of {channels}x{height}x{width} in {taken.classes} classes taken as '{name}'; "
        f"normalised by mean {_numbers(taken.mean)}, deviation {_numbers(taken.std)}"
    )


def _taken(report: ImportReport) -> str:
    skipped = sum(report.skipped.values())
    reasons = "".join(f"; {count} skipped: {reason}" for reason, count in report.skipped.items())
    return f"{report.taken} rows taken, {skipped} skipped{reasons}"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
