"""Programs with a name of their own, such as EZNAS-A: data beside the code, one record each.

Where the tensors that the authors' release computes with differ from the ones that the paper prints, both readings
are there: `eznas-a` is the executed one, `eznas-a-printed` the printed one. After them comes what known proxies
look at, as far as it can be said of instances.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from zcsr.errors import ProgramError, nearest
from zcsr.language.languages import ZCSR, knowing
from zcsr.language.named_records import named_records
from zcsr.language.program import Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse

_WORD = re.compile(r"[\w.-]+")
_ID = re.compile(r"[0-9a-f]{12}")


class UnknownId(ProgramError):
    """A program's id (`Program.id`), which is no named program's: only a store can tell what it stands for.

    `id` is the id.
    """

    def __init__(self, program: str) -> None:
        super().__init__(
            f"{program} looks like a program's id, which a store alone can look up: give the program's text or name"
        )
        self.id = program


@dataclass(frozen=True, slots=True)
class NamedProgram:
    """A program with a name of its own.

    name: what commands take in the place of its text
    program: what it computes
    reading: by whom its tensors are taken so, such as "executed in the release"; or what it says of a proxy
    source: where it is from
    """

    name: str
    program: Program
    reading: str
    source: str


@cache
def named_programs() -> tuple[NamedProgram, ...]:
    """Return the programs that have a name, in the order in which they are listed."""
    return tuple(NamedProgram(one.name, parse(one.text), one.reading, one.source) for one in named_records())


def find_program(text: str, proxies: Collection[str] = ()) -> Program:
    """Return the program of that name or id, in upper or lower case, or else the one that the text stands for.

    Within a program the names of `proxies` are numbers of a network. Only named programs are known by their ids
    here; any other id raises `UnknownId`. Raises `ProgramError` for a
    text that cannot be read; for a single word that is neither a name nor part of the language it suggests the
    nearest, and tells one of the `proxies`, which are no programs.
    """
    word = text.strip()
    programs = {named.name: named.program for named in named_programs()}
    by_id = {program.id: program for program in programs.values()}
    found = programs.get(word.lower()) or by_id.get(word.lower())
    if found is not None:
        return found
    if _ID.fullmatch(word.lower()):
        raise UnknownId(word.lower())
    if _WORD.fullmatch(word) and word not in ZCSR.words:
        if word in proxies:
            raise ProgramError(f"{word!r} is a known proxy, not a program: give it as a proxy (--proxy {word})")
        known, listed = [*programs, *TENSOR_NAMES], "; `zcsr proxies` lists the named programs"
        mend = nearest(word, known, otherwise=listed, quoted=False, count=2)
        raise ProgramError(f"unknown program {word!r}: give a program's text, such as fro(T1_D), or its name{mend}")
    return parse(text, knowing(tuple(proxies)))
