"""What a user gives: networks of a space, programs and known proxies."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr import proxies as known
from zcsr.cli.groups import option
from zcsr.cli.options import open_store
from zcsr.errors import InputError, StoreError
from zcsr.spaces import SearchSpace, space_size

if TYPE_CHECKING:
    from zcsr.language.program import Program

MOST = 1_000_000
"""The largest space that --all takes whole."""

_GIVEN = (
    "Program text, a program's name or id, @FILE with one of these or JSON, @run:NAME for what a run chose, or "
    "@best for what the latest run chose"
)
BEST, OF_RUN = "best", "run:"

ProgramArgument = Annotated[str, typer.Argument(help=f"{_GIVEN}.")]


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks of a space, by one of the ways to choose them."""

    sample: int | None = option(None, "so many networks of the space, or of the --trained ones, at random", least=1)
    sample_seed: int = option(0, "seed of that draw")
    indices: str | None = option(None, "networks FIRST:END in the space's order, END left out; may go down")
    every: bool = option(False, "every network of the space", flag="--all")
    trained: bool = option(False, "every network with an accuracy of the task in the store", flag="--trained")

    @property
    def asked(self) -> int:
        """In how many of the ways networks are chosen; a sample of the trained ones is one."""
        return sum((self.sample is not None or self.trained, self.indices is not None, self.every))

    def archs(
        self, space: SearchSpace, ask: str, known: Callable[[], Sequence[str]], named: Sequence[str] | None = None
    ) -> list[str]:
        """Return the architectures chosen, or those `named`; InputError with `ask` unless it is just one way.

        `known` gives those that have an accuracy.
        """
        if self.asked + (named is not None) != 1:
            raise InputError(ask)
        if named is not None:
            return [_arch(space, one) for one in named]
        if self.trained:
            return self._of_trained(known())
        if self.sample is not None:
            return space.sample(self.sample, random.Random(self.sample_seed))
        return [space.arch(index) for index in (_all(space) if self.indices is None else _range(self.indices))]

    def _of_trained(self, archs: Sequence[str]) -> list[str]:
        if self.sample is None:
            return list(archs)
        if self.sample > len(archs):
            raise InputError(f"--sample {self.sample} is more than the {len(archs):,} networks with an accuracy")
        return random.Random(self.sample_seed).sample(archs, self.sample)


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
        return tuple(dict.fromkeys(known.proxy_names() if "all" in given else given))


def read_program(given: str, store: Path | None) -> Program:
    """Return the program of a text, a name, an id, a file after an @, which holds one of these or JSON, or a run.

    `store` is the folder that an option names; it is opened, and must be there, for ids and runs alone.
    """
    from zcsr.export.json_form import from_json

    if not given.startswith("@"):
        return _found(given, store)
    if given[1:] == BEST or given[1:].startswith(OF_RUN):
        return _chosen(given[1:].removeprefix(OF_RUN) if given[1:] != BEST else "latest", store)
    if not given[1:]:
        raise InputError("cannot read a program from a file without a name: give @FILE, @run:NAME or @best")
    text = text_of(Path(given[1:]), "a program")
    return from_json(text) if text.lstrip().startswith(("{", "[")) else _found(text, store)


MOST_BYTES = 1 << 20
"""Of a text that a command is given in a file."""


def text_of(path: Path, what: str) -> str:
    """Return the text of an ordinary file of at most `MOST_BYTES`; anything else is an InputError.

    `what` says in it what is sought there. What never ends, such as a device or a pipe, is not begun with.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read {what} from {path}: it is no ordinary file")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"cannot read {what} from {path}: it has more than {MOST_BYTES:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read {what} from {path}: {reason}") from None


def _arch(space: SearchSpace, text: str) -> str:
    """The architecture that a string or index names; a number that is an architecture's string is taken as that."""
    if text.isdecimal():
        try:
            space.index(text)
        except InputError:
            return space.arch(int(text))
    return text


def _range(indices: str) -> range:
    first, colon, end = indices.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and first != end):
        raise InputError(f"--indices takes FIRST:END, such as 0:100 or 15624:15424, not '{indices}'")
    return range(int(first), int(end), 1 if int(first) < int(end) else -1)


def _all(space: SearchSpace) -> range:
    size = space_size(space)
    if size > MOST:
        raise InputError(
            f"--all takes spaces of at most {MOST:,} architectures, and {space.name} has {size:.1e}; --sample N "
            "draws some at random, and --trained takes those that have an accuracy"
        )
    return range(size)


def _found(text: str, store: Path | None) -> Program:
    from zcsr.language.named_programs import UnknownId, find_program

    try:
        return find_program(text, known.proxy_names())
    except UnknownId as unknown:
        return _looked_up(unknown.id, store)


def _chosen(run: str, path: Path | None) -> Program:
    """The program that a run chose, or the fittest of its last generation by Algorithm 1."""
    from zcsr.store import open_run

    opened = open_run(open_store(path), run)
    found = opened.finalists()
    if not found:
        raise InputError(f"run {opened.name} has chosen no program yet: zcsr evolve --resume --run {opened.name}")
    return found[0].program


def _looked_up(id: str, path: Path | None) -> Program:
    from zcsr.store.sql.program_ids import program_of_id

    try:
        store = open_store(path)
    except StoreError as error:
        raise StoreError(f"cannot look up {id}, the id of a program: {error}") from None
    return program_of_id(store, id)
