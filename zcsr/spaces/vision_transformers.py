"""Small vision transformers of varied depth, width, heads and MLP ratio.

The network is the ViT of Dosovitskiy et al. (ICLR 2021) with pre-norm blocks; as in AutoFormer (Chen et al., ICCV
2021), depth, width, heads and MLP ratio are chosen, here once for all blocks. The logits come from the mean
over the patches in the place of a class token. An architecture reads `d4w36h2m4`.
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
from zcsr.spaces.protocol import DatasetShape, shapes_of

if TYPE_CHECKING:
    from torch import nn


class Transformer(NamedTuple):
    """Blocks, channels of a token, heads of attention, and how many times wider the MLP is."""

    depth: int
    width: int
    heads: int
    ratio: int

    def __str__(self) -> str:
        return f"d{self.depth}w{self.width}h{self.heads}m{self.ratio}"


DEPTHS, WIDTHS, HEADS, RATIOS = (1, 2, 3, 4, 5, 6), (12, 24, 36, 48), (1, 2, 4), (1, 2, 4)
_TEXT = re.compile(r"d([0-9]+)w([0-9]+)h([0-9]+)m([0-9]+)")


@dataclass(frozen=True)
class VisionTransformers(ChoiceSpace[Transformer]):
    """One choice of a transformer; patches of `patch` pixels a side. Neighbours differ in one number."""

    places = 1

    patch: int

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        Height and width are those of the space's data set. Draws from torch's global generator, as all modules do.
        """
        from zcsr.spaces.vision_transformers_network import VisionTransformer  # which loads torch

        (chosen,) = self._parse(arch)
        return VisionTransformer(chosen, self._shape, self.patch, classes, in_channels)

    def neighbours(self, arch: str) -> list[str]:
        """The architectures with another depth, width, number of heads or MLP ratio, in that order."""
        (chosen,) = self._parse(arch)
        return [
            str(chosen._replace(**{field: value}))
            for field, values in zip(Transformer._fields, (DEPTHS, WIDTHS, HEADS, RATIOS), strict=True)
            for value in values
            if value != getattr(chosen, field)
        ]

    def canonical(self, arch: str) -> str:
        """The architecture itself: no two of them are isomorphic. InputError for an unknown one."""
        self._parse(arch)
        return arch

    @property
    def _shape(self) -> DatasetShape:
        (shape,) = self.datasets.values()
        return shape

    @cached_property
    def _known(self) -> Mapping[str, Transformer]:
        return {str(one): one for one in self.choices}

    def _format(self, chosen: Sequence[Transformer]) -> str:
        return str(chosen[0])

    def _parse(self, arch: str) -> Sequence[Transformer]:
        if arch not in self._known:
            what = "its numbers are others" if _TEXT.fullmatch(arch) else "it does not read d4w36h2m4"
            raise InputError(
                f"{arch!r} is no architecture of {self.name}: {what}; it takes a depth of {_listed(DEPTHS)}, a "
                f"width of {_listed(WIDTHS)}, {_listed(HEADS)} heads and an MLP ratio of {_listed(RATIOS)}"
            )
        return (self._known[arch],)


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


SPACES: Mapping[str, VisionTransformers] = {
    "vit-mini": VisionTransformers(
        "vit-mini",
        shapes_of("fashion-mnist"),
        tuple(itertools.starmap(Transformer, itertools.product(DEPTHS, WIDTHS, HEADS, RATIOS))),
        patch=4,
    )
}
"""Networks small enough to train on a processor."""
