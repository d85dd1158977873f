"""Inverted residuals of varied kernel, expansion and depth, as the spaces of mobile networks are made.

The block is MobileNetV2's (Sandler et al., CVPR 2018) with ReLU for ReLU6: a 1x1 convolution widens, a depthwise
one filters, a 1x1 one narrows, each with batch normalisation, and no activation comes after the last. The choices
are those of Once-for-All (Cai et al., ICLR 2020): kernel, expansion and depth of every stage. An architecture reads
`k3e4d2-k5e2d1-k7e3d3`, a stage each. All blocks of a stage are alike, but that its first one halves height and
width, and has the stage's output channels first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from zcsr.errors import InputError
from zcsr.spaces.choices import ChoiceSpace
from zcsr.spaces.protocol import shapes_of

if TYPE_CHECKING:
    from torch import nn

_STAGE = re.compile(r"k([0-9]+)e([0-9]+)d([0-9]+)")


class Stage(NamedTuple):
    """The blocks of a stage: side of the depthwise kernel, how many times wider it is, and how many blocks."""

    kernel: int
    expansion: int
    depth: int

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expansion}d{self.depth}"


KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (1, 2, 3, 4), (1, 2, 3)


@dataclass(frozen=True)
class InvertedResiduals(ChoiceSpace[Stage]):
    """A choice of stages out of `choices`, one for each of `widths`, the output channels of the stages.

    The stem is a 3x3 convolution of stride 1 to `stem` channels. Neighbours differ in one number of one stage.
    """

    places = 3

    stem: int
    widths: tuple[int, ...]

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        Height and width are multiples of 8. Draws from torch's global generator, as all modules do.
        """
        from zcsr.spaces.inverted_residuals_network import MobileNetwork  # which loads torch

        return MobileNetwork(self._parse(arch), self.widths, self.stem, classes, in_channels)

    def neighbours(self, arch: str) -> list[str]:
        """The architectures with another kernel, expansion or depth in one stage: stage by stage, in that order."""
        chosen = self._parse(arch)
        changed = (
            (place, stage._replace(**{field: value}))
            for place, stage in enumerate(chosen)
            for field, values in zip(Stage._fields, (KERNELS, EXPANSIONS, DEPTHS), strict=True)
            for value in values
            if value != getattr(stage, field)
        )
        return [self._format((*chosen[:place], stage, *chosen[place + 1 :])) for place, stage in changed]

    def canonical(self, arch: str) -> str:
        """The architecture itself: no two of them are isomorphic. InputError for an unknown one."""
        self._parse(arch)
        return arch

    @cached_property
    def _known(self) -> Mapping[str, Stage]:
        return {str(stage): stage for stage in self.choices}

    def _format(self, chosen: Sequence[Stage]) -> str:
        return "-".join(map(str, chosen))

    def _parse(self, arch: str) -> Sequence[Stage]:
        stages = arch.split("-")
        if len(stages) != self.places:
            problem = f"it has {len(stages)} stages joined by '-', it takes {self.places}"
            raise InputError(f"{arch!r} is no architecture of {self.name}: {problem}")
        for number, stage in enumerate(stages, 1):
            if stage not in self._known:
                raise InputError(
                    f"{arch!r} is no architecture of {self.name}: stage {number} is {stage!r}; a stage reads "
                    f"k3e2d1, with a kernel of {_listed(KERNELS)}, an expansion of {_listed(EXPANSIONS)} and a "
                    f"depth of {_listed(DEPTHS)}"
                )
        return [self._known[stage] for stage in stages]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


SPACES: Mapping[str, InvertedResiduals] = {
    "mobile-mini": InvertedResiduals(
        "mobile-mini",
        shapes_of("fashion-mnist"),
        tuple(itertools.starmap(Stage, itertools.product(KERNELS, EXPANSIONS, DEPTHS))),
        stem=8,
        widths=(8, 12, 16),
    )
}
"""Networks small enough to train on a processor."""
