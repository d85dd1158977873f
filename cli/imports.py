"""`zcsr import`: accuracies and images that a user holds, into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zcsr.cli.options import StoreOption, open_store

app = typer.Typer(help="Import accuracies and images into the store.", pretty_exceptions_enable=False)


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
    store: StoreOption = None,
) -> None:
    """Import a table of accuracies; importing the same table again replaces it."""
    from zcsr.cli.console import say
    from zcsr.store import import_accuracies

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
    skipped = sum(report.skipped.values())
    reasons = "".join(f"; {count} skipped: {reason}" for reason, count in report.skipped.items())
    say(f"{report.taken} rows taken, {skipped} skipped{reasons}")


@app.command("images")
def images(
    path: Annotated[Path, typer.Argument(help="Parquet or NPZ file, or the folder cifar-10-batches-py.")],
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


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
