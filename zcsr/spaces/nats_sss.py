"""NATS-Bench's size space (Dong et al., TPAMI 2021): one cell, 32,768 choices of five channel counts.

A network has a cell, a reduction, a cell, a reduction and a cell, and its architecture `c1:c2:c3:c4:c5` gives the
output channels of each; the stem has c1 as well. The cells are all the one that is best in NAS-Bench-201 on
CIFAR-100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zcsr.errors import InputError, nearest
from zcsr.spaces.choices import ChoiceSpace
from zcsr.spaces.nasbench201 import SPACES as PUBLISHED

if TYPE_CHECKING:
    from torch import nn

LAYERS: Final = 5
CELL = ("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_3x3")
"""The operations on the six edges, in the order of NAS-Bench-201's `EDGES`."""


@dataclass(frozen=True)
class NatsSss(ChoiceSpace[int]):
    """Every choice of five out of `choices`, ascending, as the channels of the five layers.

    The stem's convolution has the stride `stem_stride`. Neighbours are what NATS-Bench's regularised evolution
    draws from. Steps to the next width alone would need up to 35 of them from one end of the space to the other.
    """

    places = LAYERS

    stem_stride: int

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        Height and width are multiples of 4 x `stem_stride`. Draws from torch's global generator, as all modules do.
        """
        from zcsr.spaces.nasbench201_network import CellNetwork  # which loads torch

        return CellNetwork(CELL, classes, in_channels, self._parse(arch), self.stem_stride)

    def canonical(self, arch: str) -> str:
        """The architecture itself: no two of them are isomorphic. InputError for an unknown one."""
        self._parse(arch)
        return arch

    def _format(self, chosen: Sequence[int]) -> str:
        return ":".join(map(str, chosen))

    def _parse(self, arch: str) -> list[int]:
        layers = arch.split(":")
        if len(layers) != LAYERS:
            raise self._malformed(arch, f"it has {len(layers)} channel counts joined by ':', it takes {LAYERS}")
        widths = {str(choice): choice for choice in self.choices}
        unknown = [(number, text) for number, text in enumerate(layers, 1) if text not in widths]
        if unknown:
            number, text = unknown[0]
            known = ", ".join(widths) + nearest(text, widths)
            raise self._malformed(arch, f"c{number} is {text!r}; the channel counts are {known}")
        return [widths[text] for text in layers]

    def _malformed(self, arch: str, problem: str) -> InputError:
        return InputError(f"{arch!r} is no architecture of {self.name}: {problem}")


SPACES: Mapping[str, NatsSss] = {
    space.name: space
    for space in (
        NatsSss("nats-sss", PUBLISHED["nasbench201"].datasets, range(8, 65, 8), stem_stride=1),
        NatsSss("nats-sss-mini", PUBLISHED["nasbench201-mini"].datasets, range(2, 17, 2), stem_stride=2),
    )
}
"""The published benchmark's networks, and the same a quarter as wide, small enough to train on a processor.

The stride of 2 saves more than half of the time.
"""
