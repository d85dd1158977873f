"""`zcsr score`: what programs and known proxies say of one network of a user's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.options import (
    BatchSizeOption,
    LossOption,
    NetworkSeedOption,
    PatternOption,
    ProgramOption,
    ProxyOption,
    StoreOption,
    open_store,
    statistics_config,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars

    from zcsr.evaluation.one_network import Score
    from zcsr.language.program import Program
    from zcsr.proxies.proxy import Proxy

FORMATS = ("table", "csv", "json", "markdown")


def score(
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION",
            help="Python file, which is run, and the function in it that builds the network.",
        ),
    ],
    images: Annotated[str, typer.Option("--images", help="Stored image set to draw the minibatch from.")],
    program: ProgramOption = None,
    proxy: ProxyOption = None,
    height: Annotated[
        int | None, typer.Option("--height", min=1, help="Make the images this high.", show_default="as stored")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", min=1, help="Make the images this wide.", show_default="as stored")
    ] = None,
    batch_size: BatchSizeOption = 1,
    network_seed: NetworkSeedOption = 0,
    pattern: PatternOption = "rcb",
    loss: LossOption = "ones",
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Score the weights that the function gives, not drawn anew.")
    ] = False,
    output_format: Annotated[str, typer.Option("--format", "-f", help=f"One of {', '.join(FORMATS)}.")] = "table",
    store: StoreOption = None,
) -> None:
    """Score one network, that a function in a Python file of yours builds, by programs and known proxies."""
    _check_format(output_format)
    chosen = _chosen(program or (), proxy or (), store)
    config = statistics_config(batch_size, network_seed, pattern, loss)

    from zcsr.evaluation.one_network import scores
    from zcsr.store import load_images
    from zcsr.store.importers.network_files import load_network, users_code

    stored = load_images(open_store(store, create=True), images)
    batch, labels = stored.minibatch(batch_size, network_seed, height, width)
    model = load_network(network)
    with users_code(network):
        found = scores(
            model,
            batch,
            list(chosen.values()),
            labels=labels,
            seed=network_seed,
            initialise=not keep_weights,
            pattern=config.pattern,
            loss=config.loss,
        )
    _say_what_is_not_finite(list(chosen), found)
    _print(_frame(list(chosen), found), output_format)


def _chosen(programs: Sequence[str], proxies: Sequence[str], store: Path | None) -> dict[str, Program | Proxy]:
    """What to score with, by what the rows are called: what a program was given by, or a proxy's name."""
    from zcsr.cli.programs import proxies_named, read_program
    from zcsr.errors import InputError
    from zcsr.proxies import get_proxy

    if not programs and not proxies:
        raise InputError(
            "say what to score with: --program TEXT or NAME, or --proxy NAME; `zcsr proxies` lists names"
        )
    chosen: dict[str, Program | Proxy] = {text.strip(): read_program(text.strip(), store) for text in programs}
    return chosen | {name: get_proxy(name) for name in proxies_named(proxies)}


def _say_what_is_not_finite(names: Sequence[str], found: Sequence[Score]) -> None:
    from zcsr.cli.console import say

    for name, one in zip(names, found, strict=True):
        if one.unusable:
            first = f", first in {one.unusable[0]}" if one.unusable[0] else ""
            say(f"{name}: NaN or infinite in {len(one.unusable)} of {one.instances} instances{first}")


def _frame(names: Sequence[str], found: Sequence[Score]) -> polars.DataFrame:
    import polars

    rows = [
        (name, one.value, one.instances or None, " ".join(one.tensors))
        for name, one in zip(names, found, strict=True)
    ]
    schema = {
        "program": polars.String,
        "score": polars.Float64,
        "instances": polars.Int64,
        "tensors": polars.String,
    }
    return polars.DataFrame(rows, schema=schema, orient="row")


def _check_format(output_format: str) -> None:
    from zcsr.errors import InputError

    if output_format not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, not '{output_format}'")


def _print(frame: polars.DataFrame, output_format: str) -> None:
    from zcsr.cli.console import data
    from zcsr.cli.query import text_of
    from zcsr.cli.tables import print_rows

    if output_format == "table":
        print_rows(data(), frame)
    else:
        sys.stdout.write(text_of(frame, output_format))
