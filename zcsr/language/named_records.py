"""The programs with a name as they are written down, without reading their texts, which takes torch."""

from __future__ import annotations

import importlib.resources
import tomllib
from functools import cache
from typing import NamedTuple


class NamedRecord(NamedTuple):
    """A record of `data/programs.toml`; its text is written as programs are printed."""

    name: str
    text: str
    reading: str
    source: str


@cache
def named_records() -> tuple[NamedRecord, ...]:
    """Return the records in the order in which they are listed."""
    text = importlib.resources.files("zcsr.data").joinpath("programs.toml").read_text(encoding="utf-8")
    return tuple(NamedRecord(**record) for record in tomllib.loads(text)["program"])
