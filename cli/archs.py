"""Which architectures of a space the options --arch, --sample, --indices and --all choose."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from zcsr.cli.groups import option
from zcsr.errors import InputError
from zcsr.spaces import SearchSpace, space_size

MOST = 1_000_000
"""The largest space that --all takes whole."""


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks of a space, by one of the ways to choose them."""

    sample: int | None = option(None, "so many networks of the space, drawn at random", least=1)
    sample_seed: int = option(0, "seed of that draw")
    indices: str | None = option(None, "networks FIRST:END in the space's order, END left out; may go down")
    every: bool = option(False, "every network of the space", flag="--all")

    @property
    def asked(self) -> int:
        """In how many of the ways networks are chosen."""
        return sum((self.sample is not None, self.indices is not None, self.every))

    def archs(self, space: SearchSpace, ask: str, named: Sequence[str] | None = None) -> list[str]:
        """Return the architectures chosen, or those `named`; InputError with `ask` unless it is just one way."""
        if self.asked + (named is not None) != 1:
            raise InputError(ask)
        if named is not None:
            return [_arch(space, one) for one in named]
        if self.sample is not None:
            return space.sample(self.sample, random.Random(self.sample_seed))
        return [space.arch(index) for index in (_all(space) if self.indices is None else _range(self.indices))]


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
            "draws some at random"
        )
    return range(size)
