"""Programs with a name of their own, such as EZNAS-A: data beside the code, one record each.

Where the tensors that the authors' release computes with differ from the ones that the paper prints, both readings
are there: `eznas-a` is the executed one, `eznas-a-printed` the printed one.
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
import tomllib
from dataclasses import dataclass
from functools import cache

from zcsr.errors import ProgramError
from zcsr.operations import BY_NAME
from zcsr.program import TENSOR_NAMES, Program, parse
from zcsr.proxies import proxy_names

_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class NamedProgram:
    """A program with a name of its own.

    name: what commands take in the place of its text
    program: what it computes
    reading: by whom its tensors are taken so, such as "executed in the release"
    source: where it is from
    """

    name: str
    program: Program
    reading: str
    source: str


@cache
def named_programs() -> tuple[NamedProgram, ...]:
    """Return the programs that have a name, in the order in which they are listed."""
    text = importlib.resources.files("zcsr.data").joinpath("programs.toml").read_text(encoding="utf-8")
    return tuple(
        NamedProgram(record["name"], parse(record["text"]), record["reading"], record["source"])
        for record in tomllib.loads(text)["program"]
    )


def find_program(text: str) -> Program:
    """Return the program of that name, in upper or lower case, or else the one that the text stands for.

    Raises `ProgramError` for a text that cannot be read; for a single word that is neither a name nor part of the
    language it suggests the nearest, and tells a known proxy, which is no program.
    """
    word = text.strip()
    programs = {named.name: named.program for named in named_programs()}
    if word.lower() in programs:
        return programs[word.lower()]
    if _WORD.fullmatch(word) and word not in TENSOR_NAMES and word not in BY_NAME:
        raise ProgramError(_unknown(word, [*programs, *TENSOR_NAMES]))
    return parse(text)


def _unknown(word: str, known: list[str]) -> str:
    if word in proxy_names():
        return f"{word!r} is a known proxy, not a program: give it as a proxy (--proxy {word})"
    spellings = {name.lower(): name for name in known}
    near = [spellings[name] for name in difflib.get_close_matches(word.lower(), spellings, n=2)]
    mend = f"did you mean {' or '.join(near)}?" if near else "`zcsr proxies` lists the named programs"
    return f"unknown program {word!r}: give a program's text, such as fro(T1_D), or its name; {mend}"
