"""`zcsr score`: what programs and known proxies say of one network of a user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr import proxies as known
from zcsr.cli.console import say
from zcsr.cli.given import MeasureOptions, read_program
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import Conditions, StoreOption, chosen_format, open_store
from zcsr.cli.query import print_as
from zcsr.errors import InputError, ZcsrError

if TYPE_CHECKING:
    import polars

    from zcsr.evaluation.one_network import Score
    from zcsr.language.program import Program
    from zcsr.networks.config import Loss
    from zcsr.proxies.proxy import Proxy

FORMATS = ("table", "csv", "json", "markdown")


@with_options
def score(
    *,
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION",
            help="Python file, which is run, and the function in it that builds the network.",
        ),
    ],
    images: str | None = option(
        None, "stored image set to draw the minibatch from", unset="none, where programs look at noise alone"
    ),
    shape: str | None = option(None, "images' CHANNELSxHEIGHTxWIDTH where none are needed, such as 3x32x32"),
    measures: MeasureOptions,
    height: int | None = option(None, "make the images this high", least=1, unset="as stored"),
    width: int | None = option(None, "make the images this wide", least=1, unset="as stored"),
    statistics: Conditions,
    output: str | None = option(
        None, "which of the tensors that the network returns are its logits: a place, from 0, or a key", unset="all"
    ),
    keep_weights: bool = option(False, "score the weights that the function gives, not drawn anew"),
    output_format: str = option("table", f"one of {', '.join(FORMATS)}", flag="--format -f"),
    store: StoreOption = None,
) -> None:
    """Score one network, that a function in a Python file of yours builds, by programs and known proxies."""
    from zcsr.evaluation.one_network import attempts
    from zcsr.networks.images import blank_images
    from zcsr.store import load_images
    from zcsr.store.importers.network_files import load_network, users_code

    chosen_format(output_format, None, FORMATS, {}, "table")
    chosen = _chosen(measures, store)
    if _look_at_images(chosen, statistics.loss):
        if images is None:
            raise InputError("the programs and proxies look at images: give --images NAME, a stored image set")
        stored = load_images(open_store(store, create=True), images)
    elif images is None:
        stored = blank_images(statistics.batch_size, *_parse_shape(shape))
        say("no images are needed: noise alone is looked at")
    else:
        stored = load_images(open_store(store, create=True), images)
        say(f"no images are needed: of {images} their shape is taken, and noise alone is looked at")
    batch, labels = stored.minibatch(statistics.batch_size, statistics.seed, height, width)
    model = load_network(network)
    with users_code(network):
        found = attempts(
            model,
            batch,
            list(chosen.values()),
            labels=labels,
            seed=statistics.seed,
            initialise=not keep_weights,
            pattern=statistics.pattern,
            loss=statistics.loss,
            output=int(output) if output and output.lstrip("-").isdecimal() else output,
        )
    scored = {name: one for name, one in zip(chosen, found, strict=True) if not isinstance(one, ZcsrError)}
    errors = {name: one for name, one in zip(chosen, found, strict=True) if isinstance(one, ZcsrError)}
    if not scored:
        raise next(iter(errors.values()))
    for name, error in errors.items():
        say(f"{name}: {error}")
    if not keep_weights:
        _say_what_is_kept(next(iter(scored.values())))
    _say_what_is_not_finite(list(scored), list(scored.values()))
    print_as(output_format, _frame(list(scored), list(scored.values())), len(scored))


def _look_at_images(chosen: Mapping[str, Program | Proxy], loss: Loss) -> bool:
    from zcsr.evaluation.many_networks import need_images
    from zcsr.language.program import Program

    programs = [one for one in chosen.values() if isinstance(one, Program)]
    return need_images(programs, (one.name for one in chosen.values() if not isinstance(one, Program)), loss)


def _parse_shape(shape: str | None) -> tuple[int, int, int]:
    sizes = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,4})", shape or "")
    if sizes is None:
        seen = "none is given" if shape is None else f"not {shape!r}"
        raise InputError(
            f"no images are needed, but their shape is: give --shape CHANNELSxHEIGHTxWIDTH, such as 3x32x32; {seen}"
        )
    channels, height, width = map(int, sizes.groups())
    return channels, height, width


def _chosen(measures: MeasureOptions, store: Path | None) -> dict[str, Program | Proxy]:
    """What to score with, by what the rows are called: what a program was given by, or a proxy's name."""
    if not measures.program and not measures.proxy:
        raise InputError(
            "say what to score with: --program TEXT or NAME, or --proxy NAME; `zcsr proxies` lists names"
        )
    chosen: dict[str, Program | Proxy] = {
        text.strip(): read_program(text.strip(), store) for text in measures.program or ()
    }
    return chosen | {name: known.get_proxy(name) for name in measures.proxies()}


def _say_what_is_kept(found: Score) -> None:
    if found.kept:
        more = f" and {len(found.kept) - 3} others" if len(found.kept) > 3 else ""
        say(f"not drawn anew by the seed, but as the function gives them: {', '.join(found.kept[:3])}{more}")


def _say_what_is_not_finite(names: Sequence[str], found: Sequence[Score]) -> None:
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
    text = polars.String
    schema = {"program": text, "score": polars.Float64, "instances": polars.Int64, "tensors": text}
    return polars.DataFrame(rows, schema=schema, orient="row")
