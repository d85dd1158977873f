"""What counts as an instance: one row a pattern, and the rows are all that is known of it.

A network's calls are "relu", "convolution" and "norm" (a BatchNorm). A pattern says which of them follow each
other, each taking the very tensor that the one before gave, and where in them the places of `zcsr.language.tensors`
are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zcsr.language.tensors import PLACES


@dataclass(frozen=True, slots=True)
class Read:
    """Where a place is: the tensor at one end of a call, or the weight of a convolution.

    Its gradient is total, over all the ways from the tensor to the output; but through the call alone, from its
    output, where `through` is true, which is there for the input of a ReLU.
    """

    place: str
    call: str
    end: Literal["input", "output", "weight"]
    through: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row of the table of patterns.

    title: what follows what, in short
    meaning: what an instance is, in words
    calls: those of an instance, in the order in which one takes what another gave; at a "convolution" several may
        follow each other
    order: the call by whose order instances are counted
    reads: where each place is
    derived: what a store need not keep where a rule of it gives every bit: what is measured, such as T1G, the rule,
        and of what; no rule takes what another gives
    """

    name: str
    title: str
    meaning: str
    calls: tuple[str, ...]
    order: str
    reads: tuple[Read, ...]
    derived: tuple[tuple[str, ...], ...] = ()


_READS = tuple(Read(place.name, place.call, place.end, place.through) for place in PLACES)

_ROWS = (
    Pattern(
        "rcb",
        title="ReLU-Conv-BatchNorm",
        meaning="a ReLU whose output a Conv2d takes, whose output a BatchNorm takes",
        calls=("relu", "convolution", "norm"),
        order="norm",
        reads=_READS,
        derived=(("T2", "relu", "T1"), ("T1G", "masked", "T2G", "T1")),
    ),
    Pattern(
        "cbr",
        title="Conv-BatchNorm-ReLU",
        meaning="a Conv2d whose output a BatchNorm takes, whose output a ReLU takes",
        calls=("convolution", "norm", "relu"),
        order="norm",
        reads=_READS,
    ),
)

PATTERNS: dict[str, Pattern] = {pattern.name: pattern for pattern in _ROWS}
"""The patterns by their names."""
