"""The network that two cells make when they are stacked, as DARTS (Liu et al., ICLR 2019) stacks them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zcsr.spaces.blocks import ReluConvNorm
from zcsr.spaces.nds_genotype import INPUTS, Network, Rules
from zcsr.spaces.nds_genotype import Cell as Genotype
from zcsr.spaces.nds_operations import OPERATIONS, FactorisedReduction

STEM_MULTIPLIER = 3
"""The stem for small images is that many times as wide as the first cell's nodes."""


class Cell(nn.Module):
    """Nodes that sum two operations each, of which some are concatenated: `width * multiplier` channels."""

    def __init__(
        self,
        genotype: Genotype,
        concat: tuple[int, ...],
        inputs: tuple[int, int],
        width: int,
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        before, previous = inputs
        first = FactorisedReduction(before, width) if after_reduction else ReluConvNorm(before, width, kernel=1)
        self.preprocess = nn.ModuleList([first, ReluConvNorm(previous, width, kernel=1)])
        self.sources = tuple(edge.source for pair in genotype for edge in pair)
        self.edges = nn.ModuleList(
            OPERATIONS[edge.operation](width, 2 if reduction and edge.source < INPUTS else 1)
            for pair in genotype
            for edge in pair
        )
        self.concat = concat

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """Map the outputs of the cell before the previous one, and of the previous one, to this cell's."""
        states = [preprocess(x) for preprocess, x in zip(self.preprocess, (before, previous), strict=True)]
        for edge in range(0, len(self.edges), 2):
            first, second = (self.edges[i](states[self.sources[i]]) for i in (edge, edge + 1))
            states.append(first + second)
        return torch.cat([states[node] for node in self.concat], dim=1)


class SmallStem(nn.Module):
    """A 3x3 convolution, whose output is both of what the first cell takes."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.channels = (STEM_MULTIPLIER * width,) * 2
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, STEM_MULTIPLIER * width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(STEM_MULTIPLIER * width),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map [b, in_channels, h, w] -> twice the same [b, 3 * width, h / stride, w / stride]."""
        stem = self.body(x)
        return stem, stem


class LargeStem(nn.Module):
    """Three 3x3 convolutions of stride 2; the first cell takes the outputs of the last two."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.channels = (width, width)
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, width // 2, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            ReluConvNorm(width // 2, width, kernel=3, stride=2),
        )
        self.second = ReluConvNorm(width, width, kernel=3, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map [b, in_channels, h, w] -> [b, width, h / 4, w / 4] and [b, width, h / 8, w / 8]."""
        first = self.first(x)
        return first, self.second(first)


class CellNetwork(nn.Module):
    """Stem, `depth` cells, pooling, classifier.

    The cells at one and two thirds of the depth halve height and width and double the number of channels.
    """

    def __init__(self, network: Network, rules: Rules, classes: int, stem: LargeStem | SmallStem) -> None:
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList()
        channels, width, after_reduction = stem.channels, network.width, isinstance(stem, LargeStem)
        reductions = {network.depth // 3, 2 * network.depth // 3}
        for position in range(network.depth):
            reduction = position in reductions
            width *= 2 if reduction else 1
            genotype = network.reduce if reduction else network.normal
            concat = rules.concat(genotype)
            self.cells.append(Cell(genotype, concat, channels, width, reduction, after_reduction))
            channels, after_reduction = (channels[1], width * len(concat)), reduction
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [b, in_channels, h, w] -> logits [b, classes]."""
        before, previous = self.stem(x)
        for cell in self.cells:
            before, previous = previous, cell(before, previous)
        logits: Tensor = self.classifier(self.pool(previous))
        return logits
