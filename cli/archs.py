"""Which architectures of a space the options --arch, --sample, --indices and --all choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcsr.spaces import SearchSpace

MOST = 1_000_000
"""The largest space that --all takes whole."""


def chosen_archs(
    space: SearchSpace,
    ask: str,
    *,
    named: Sequence[str] | None = None,
    sample: int | None,
    sample_seed: int,
    indices: str | None,
    every: bool,
) -> list[str]:
    """Return the architectures that one of the options chooses; InputError with `ask` unless just one is given."""
    import random

    from zcsr.errors import InputError

    given = (named is not None, sample is not None, indices is not None, every)
    if sum(given) != 1:
        raise InputError(ask)
    if named is not None:
        return [_arch(space, one) for one in named]
    if sample is not None:
        return space.sample(sample, random.Random(sample_seed))
    return [space.arch(index) for index in (_all(space) if indices is None else _range(indices))]


def _arch(space: SearchSpace, text: str) -> str:
    """The architecture that a string or index names; a number that is an architecture's string is taken as that."""
    from zcsr.errors import InputError

    if text.isdecimal():
        try:
            space.index(text)
        except InputError:
            return space.arch(int(text))
    return text


def _range(indices: str) -> range:
    from zcsr.errors import InputError

    first, colon, end = indices.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and first != end):
        raise InputError(f"--indices takes FIRST:END, such as 0:100 or 15624:15424, not '{indices}'")
    return range(int(first), int(end), 1 if int(first) < int(end) else -1)


def _all(space: SearchSpace) -> range:
    from zcsr.errors import InputError
    from zcsr.spaces import space_size

    size = space_size(space)
    if size > MOST:
        raise InputError(
            f"--all takes spaces of at most {MOST:,} architectures, and {space.name} has {size:.1e}; --sample N "
            "draws some at random"
        )
    return range(size)
