"""`zcsr import`: accuracies, scores of proxies, benchmarks and images that a user holds, into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.options import SpaceFileOption, StoreOption, open_store, use_spaces

if TYPE_CHECKING:
    from zcsr.store import ImportReport

app = typer.Typer(
    help="Import accuracies, scores of proxies, published benchmarks and images into the store.",
    pretty_exceptions_enable=False,
)


@app.command("accuracies")
def accuracies(
    table: Annotated[Path, typer.Argument(help="Parquet or CSV file with a row an architecture.")],
    space: Annotated[str, typer.Option("--space", help="Search space of the architectures.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Dataset the accuracies were measured on.")],
    accuracy_column: Annotated[str, typer.Option("--accuracy-column", help="Column of accuracies in percent.")],
    arch_column: Annotated[str, typer.Option("--arch-column", help="Column of architecture strings.")] = "arch",
    metric: Annotated[
        str, typer.Option("--metric", help="What was measured, such as test or validation.")
    ] = "test",
    seed: Annotated[int, typer.Option("--seed", help="Training seed of the accuracies.")] = 0,
    seed_column: Annotated[str | None, typer.Option("--seed-column", help="Column of training seeds.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used and count them.")
    ] = False,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Import a table of accuracies; importing the same table again replaces it."""
    from zcsr.cli.console import say
    from zcsr.store import import_accuracies

    use_spaces(space_file)
    report = import_accuracies(
        open_store(store, create=True),
        table,
        space=space,
        dataset=dataset,
        arch_column=arch_column,
        accuracy_column=accuracy_column,
        metric=metric,
        seed=seed,
        seed_column=seed_column,
        skip_bad=skip_bad,
    )
    say(_taken(report))


@app.command("scores")
def scores(
    table: Annotated[
        Path, typer.Argument(help="Parquet or CSV file with a row an architecture and a column a proxy.")
    ],
    source: Annotated[str, typer.Option("--source", help="Who computed them; names them in the store.")],
    space: Annotated[str, typer.Option("--space", help="Search space of the architectures.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Dataset the scores were computed on.")],
    arch_column: Annotated[str, typer.Option("--arch-column", help="Column of architecture strings.")] = "arch",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", help="Column of a proxy's scores; may be repeated.", show_default="every column of floats"
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out scores that cannot be used and count them.")
    ] = False,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Import a table of others' scores of known proxies; importing the same one again changes nothing."""
    from zcsr.cli.console import say
    from zcsr.store.importers.proxy_scores import import_scores

    use_spaces(space_file)
    report = import_scores(
        open_store(store, create=True),
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
def benchmark(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder of NATS-Bench (meta.pickle.pbz2 and a file an architecture), .pth of NAS-Bench-201, "
            ".json of NDS such as DARTS.json, or zc_nasbench201.json of NAS-Bench-Suite-Zero."
        ),
    ],
    kind: Annotated[
        str, typer.Option("--kind", help="What it is: auto, nats, nasbench201, nds or suite-zero.")
    ] = "auto",
    space: Annotated[
        str | None, typer.Option("--space", help="Search space of a file of NDS.", show_default="from its name")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Dataset of a file of NDS.", show_default="from its name")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Take the training of this length.", show_default="the longest"),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Import a published benchmark, read as plain data; importing the same one again changes nothing."""
    from zcsr.cli.console import progress, say
    from zcsr.store.importers.benchmark_files import import_benchmark

    opened = open_store(store, create=True)
    with progress("importing", "read") as tell:
        taken = import_benchmark(
            opened, path, kind=kind, space=space, dataset=dataset, epochs=epochs, progress=tell
        )
    say(_taken(taken))


@app.command("images")
def images(
    path: Annotated[
        Path,
        typer.Argument(
            help="Parquet or NPZ file, an official folder such as cifar-10-batches-py, or one of class folders."
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Name in the store; a dataset's name makes them its own.")],
    classes: Annotated[
        int | None, typer.Option("--classes", min=1, help="Number of classes.", show_default="from the labels")
    ] = None,
    pool: Annotated[int, typer.Option("--pool", min=1, help="Average blocks of this many pixels a side.")] = 1,
    pad: Annotated[int, typer.Option("--pad", min=0, help="Then add a black border of this many pixels.")] = 0,
    first: Annotated[
        int | None, typer.Option("--first", min=1, help="Take only this many, the first.", show_default="all")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Import a set of labelled images; they are normalised by the dataset's published mean and deviation."""
    from zcsr.cli.console import say
    from zcsr.store import import_images

    opened = open_store(store, create=True)
    taken = import_images(opened, path, name=name, classes=classes, pool=pool, pad=pad, first=first)
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
