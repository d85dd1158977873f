"""Programs and known proxies, as a user gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.groups import option
from zcsr.cli.options import open_store
from zcsr.errors import InputError, StoreError
from zcsr.proxies import proxy_names

if TYPE_CHECKING:
    from zcsr.language.program import Program

_GIVEN = "Program text, a program's name or id, or @FILE with one of these or JSON"

ProgramArgument = Annotated[str, typer.Argument(help=f"{_GIVEN}.")]


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """The programs and the known proxies that options name."""

    program: list[str] | None = option(None, f"{_GIVEN}; may be repeated", flag="--program -p")
    proxy: list[str] | None = option(None, "known proxy (`zcsr proxies`), or all; may be repeated")

    def programs(self, store: Path | None) -> list[Program]:
        """Return the programs; `store` as for `read_program`."""
        return [read_program(text, store) for text in self.program or ()]

    def proxies(self) -> tuple[str, ...]:
        """Return the names of the known proxies, each once; all of them for "all"."""
        given = self.proxy or ()
        return tuple(dict.fromkeys(proxy_names() if "all" in given else given))


def read_program(given: str, store: Path | None) -> Program:
    """Return the program of a text, a name, an id, or a file after an @, which holds one of these or JSON.

    `store` is the folder that an option names; it is opened, and must be there, for ids alone.
    """
    from zcsr.export.json_form import from_json

    if not given.startswith("@"):
        return _found(given, store)
    try:
        text = Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read a program from {given[1:] or 'a file without a name'}: {reason}") from None
    return from_json(text) if text.lstrip().startswith(("{", "[")) else _found(text, store)


def _found(text: str, store: Path | None) -> Program:
    from zcsr.language.named_programs import UnknownId, find_program

    try:
        return find_program(text, proxy_names())
    except UnknownId as unknown:
        return _looked_up(unknown.id, store)


def _looked_up(id: str, path: Path | None) -> Program:
    from zcsr.store.sql.program_ids import program_of_id

    try:
        store = open_store(path)
    except StoreError as error:
        raise StoreError(f"cannot look up {id}, the id of a program: {error}") from None
    return program_of_id(store, id)
