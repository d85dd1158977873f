"""What counts as an instance: one row a pattern, and the rows are all that is known of it.

The calls of EZNAS's networks are "relu", "convolution" (a Conv2d) and "norm" (a BatchNorm). Wider ones are an
"activation" of any kind, "any convolution" (of one to three dimensions, transposed or not), "any norm" (BatchNorm,
GroupNorm, LayerNorm, InstanceNorm) and "linear"; a "layer" is any convolution or linear layer. A pattern says which
of them follow each other, each taking the very tensor that the one before gave, and where in them the places of
`zcsr.language.tensors` are. Where a linear layer takes tokens, their channels, which are last, are put second,
[b, channels, tokens], so that programs see tokens as pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zcsr.language.tensors import PLACES


@dataclass(frozen=True, slots=True)
class Read:
    """Where a place is: the tensor at one end of a call, or the weight of a convolution or linear layer.

    Its gradient is total, over all the ways from the tensor to the output; but through the call alone, from its
    output, where `through` is true, which is there for the input of an activation.
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
    calls: those of an instance, in the order in which one takes what another gave; where one has weights, several
        may follow each other
    order: the call by whose order instances are counted
    reads: where each place is
    derived: what a store need not keep where a rule of it gives every bit: what is measured, such as T1G, the rule,
        and of what; no rule takes what another gives
    alone: whether the call that has weights is an instance whatever comes before and after it, so that the first
        layer, which reads the images, is one as well
    """

    name: str
    title: str
    meaning: str
    calls: tuple[str, ...]
    order: str
    reads: tuple[Read, ...]
    derived: tuple[tuple[str, ...], ...] = ()
    alone: bool = False

    @property
    def weighted(self) -> str:
        """The call that has weights."""
        return next(read.call for read in self.reads if read.end == "weight")


def _reads(activation: str, weighted: str, last: str) -> tuple[Read, ...]:
    """The places of EZNAS where the calls are others: of the last, the output."""
    return (
        Read("T1", activation, "input", through=True),
        Read("T2", weighted, "input"),
        Read("T3", weighted, "weight"),
        Read("T4", last, "output"),
    )


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
    Pattern(
        "act-conv-norm",
        title="activation, convolution, norm",
        meaning="an activation whose output a convolution takes, whose output a norm takes",
        calls=("activation", "any convolution", "any norm"),
        order="any norm",
        reads=_reads("activation", "any convolution", "any norm"),
    ),
    Pattern(
        "conv-norm-act",
        title="convolution, norm, activation",
        meaning="a convolution whose output a norm takes, whose output an activation takes",
        calls=("any convolution", "any norm", "activation"),
        order="any norm",
        reads=_reads("activation", "any convolution", "any norm"),
    ),
    Pattern(
        "act-conv",
        title="activation, convolution",
        meaning="an activation whose output a convolution takes; what that gives stands for a norm's output",
        calls=("activation", "any convolution"),
        order="any convolution",
        reads=_reads("activation", "any convolution", "any convolution"),
    ),
    Pattern(
        "norm-linear-act",
        title="norm, linear, activation",
        meaning="a norm whose output a linear layer takes, whose output an activation takes; what the norm takes "
        "stands for an activation's input, and what the activation gives for a norm's output",
        calls=("any norm", "linear", "activation"),
        order="activation",
        reads=(
            Read("T1", "any norm", "input"),
            Read("T2", "linear", "input"),
            Read("T3", "linear", "weight"),
            Read("T4", "activation", "output"),
        ),
    ),
    Pattern(
        "act-linear-norm",
        title="activation, linear, norm",
        meaning="an activation whose output a linear layer takes, whose output a norm takes",
        calls=("activation", "linear", "any norm"),
        order="any norm",
        reads=_reads("activation", "linear", "any norm"),
    ),
    Pattern(
        "layer",
        title="any convolution or linear layer",
        meaning="a convolution or linear layer; what it takes stands for an activation's input as well, and what "
        "it gives for a norm's output",
        calls=("layer",),
        order="layer",
        reads=(
            Read("T1", "layer", "input"),
            Read("T2", "layer", "input"),
            Read("T3", "layer", "weight"),
            Read("T4", "layer", "output"),
        ),
        alone=True,
    ),
)

PATTERNS: dict[str, Pattern] = {pattern.name: pattern for pattern in _ROWS}
"""The patterns by their names."""
