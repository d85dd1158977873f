"""`--config FILE`: what the options of a command are where the command line does not give them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from zcsr.cli.given import text_of
from zcsr.errors import InputError, nearest


def _read(context: typer.Context, path: Path | None) -> Path | None:
    if path is not None:
        context.default_map = _settings(context, path)
    return path


def _settings(context: typer.Context, path: Path) -> dict[str, Any]:
    """By the name of a parameter of the command what the file says; InputError for what it cannot say."""
    try:
        said = tomllib.loads(text_of(path, "settings"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    options = {
        flag.lstrip("-"): one for one in context.command.params for flag in one.opts if flag.startswith("--")
    }
    known = [name for name in options if name not in ("config", "help")]
    for key, value in said.items():
        if key not in known:
            mend = nearest(key, known, otherwise="; `zcsr evolve --help` lists them")
            raise InputError(f"{path}: there is no option {key!r}{mend}")
        many = getattr(options[key], "multiple", False)
        plain = isinstance(value, str | int | float | bool)
        listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (listed if many and not isinstance(value, str) else plain):
            wanted = "a text or a list of texts" if many else "one value"
            raise InputError(f"{path}: {key} takes {wanted}, not {value!r:.60}")
    return {
        str(options[key].name): [value]
        if getattr(options[key], "multiple", False) and isinstance(value, str)
        else value
        for key, value in said.items()
    }


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file with options of this command by their names; the command line wins. Every run has one, "
        "runs/RUN/config.toml in the store.",
        show_default="none",
        is_eager=True,
        callback=_read,
    ),
]
