"""NATS-Bench's size space (Dong et al., TPAMI 2021): one cell, 32,768 choices of five channel counts.

A network has a cell, a reduction, a cell, a reduction and a cell, and its architecture `c1:c2:c3:c4:c5` gives the
output channels of each; the stem has c1 as well. The cells are all the one that is best in NAS-Bench-201 on
CIFAR-100.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from torch import nn

from zcsr.errors import InputError, nearest
from zcsr.spaces import DatasetShape
from zcsr.spaces.nasbench201 import CellNetwork, nasbench201

LAYERS: Final = 5
CELL = ("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_3x3")
"""The operations on the six edges, in the order of NAS-Bench-201's `EDGES`."""


@dataclass(frozen=True)
class NatsSss:
    """Every choice of five out of `choices`, ascending, as the channels of the five layers.

    The canonical order is that of the numbers whose digits are the choices, c5 counting fastest. The stem's
    convolution has the stride `stem_stride`.
    """

    name: str
    datasets: Mapping[str, DatasetShape]
    choices: tuple[int, ...] = (8, 16, 24, 32, 40, 48, 56, 64)
    stem_stride: int = 1

    def __len__(self) -> int:
        return len(self.choices) ** LAYERS

    def arch(self, index: int) -> str:
        """The architecture at a 0-based position of the published order; InputError outside of it."""
        if not 0 <= index < len(self):
            raise InputError(f"no architecture {index} in {self.name}: indices go from 0 to {len(self) - 1}")
        digits = []
        for _ in range(LAYERS):
            index, digit = divmod(index, len(self.choices))
            digits.append(digit)
        return _format([self.choices[digit] for digit in reversed(digits)])

    def index(self, arch: str) -> int:
        """The 0-based position in the published order; InputError says what is wrong with the string."""
        index = 0
        for width in self._parse(arch):
            index = index * len(self.choices) + self.choices.index(width)
        return index

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        Height and width are multiples of 4 x `stem_stride`. Draws from torch's global generator, as all modules do.
        """
        return CellNetwork(CELL, classes, in_channels, self._parse(arch), self.stem_stride)

    def sample(self, count: int, generator: random.Random) -> list[str]:
        """Distinct architectures, uniformly at random; InputError for a count outside 0..32,768."""
        if not 0 <= count <= len(self):
            raise InputError(f"cannot sample {count} architectures: {self.name} has {len(self)}")
        return [self.arch(index) for index in generator.sample(range(len(self)), count)]

    def neighbours(self, arch: str) -> list[str]:
        """The 35 architectures with another width, any of the choices, in one layer: layer by layer, ascending.

        This is the mutation that NATS-Bench's regularised evolution draws from. Steps to the next width alone would
        need up to 35 of them from one end of the space to the other.
        """
        widths = self._parse(arch)
        return [
            _format([*widths[:layer], choice, *widths[layer + 1 :]])
            for layer in range(LAYERS)
            for choice in self.choices
            if choice != widths[layer]
        ]

    def canonical(self, arch: str) -> str:
        """The architecture itself: no two of them are isomorphic. InputError for an unknown one."""
        return _format(self._parse(arch))

    def _parse(self, arch: str) -> list[int]:
        """The five widths."""
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


def _format(widths: Sequence[int]) -> str:
    return ":".join(map(str, widths))


def nats_sss() -> NatsSss:
    """The published benchmark's networks, for the data sets of NAS-Bench-201."""
    return NatsSss("nats-sss", nasbench201().datasets)


def nats_sss_mini() -> NatsSss:
    """The same networks, a quarter as wide, small enough to train on a processor.

    Their stem has a stride of 2, which saves more than half of the time.
    """
    datasets = {"fashion-mnist": DatasetShape(classes=10, channels=1, height=16, width=16)}
    choices = (2, 4, 6, 8, 10, 12, 14, 16)
    return NatsSss("nats-sss-mini", MappingProxyType(datasets), choices, stem_stride=2)
