"""The networks of NAS-Bench-201 and NATS-Bench: a stem, stages of one cell, a classifier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.spaces.blocks import ReluConvNorm, Zero
from zcsr.spaces.nasbench201 import EDGES, NODES, OPERATIONS, STAGES


class ConvNorm(nn.Sequential):
    """A 1x1 convolution without bias, then batch normalisation: a skip connection that changes the width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)


def _edge(operation: str, in_channels: int, out_channels: int) -> nn.Module:
    match operation:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity() if in_channels == out_channels else ConvNorm(in_channels, out_channels)
        case "nor_conv_1x1":
            return ReluConvNorm(in_channels, out_channels, kernel=1)
        case "nor_conv_3x3":
            return ReluConvNorm(in_channels, out_channels, kernel=3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    raise InputError(f"{operation!r} is no operation; the operations are {', '.join(OPERATIONS)}")


class Cell(nn.Module):
    """Four nodes, the first of which is the input and the last of which is the output.

    Where the width changes, the edges from the input change it: each is then a convolution or a skip connection.
    """

    def __init__(self, operations: Sequence[str], in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        for (source, target), operation in zip(EDGES, operations, strict=True):
            entering = in_channels if source == 0 else out_channels
            self.edges[f"{source}-{target}"] = _edge(operation, entering, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, in_channels, h, w] -> [b, out_channels, h, w]."""
        nodes = [x]
        for target in range(1, NODES):
            node: Tensor = self.edges[f"0-{target}"](x)
            for source in range(1, target):
                node = node + self.edges[f"{source}-{target}"](nodes[source])
            nodes.append(node)
        return nodes[-1]


class Reduction(nn.Module):
    """The residual block between two stages, which halves height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = ReluConvNorm(in_channels, out_channels, kernel=3, stride=2)
        self.second = ReluConvNorm(out_channels, out_channels, kernel=3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2), nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, in_channels, h, w] -> [b, out_channels, h / 2, w / 2]."""
        output: Tensor = self.shortcut(x) + self.second(self.first(x))
        return output


class CellNetwork(nn.Module):
    """Stem, three stages of one cell repeated with reductions between them, pooling, classifier.

    `widths` are the output channels of the cells and reductions in their order, N + 1 + N + 1 + N of them for N
    cells a stage. The stem is as wide as the first.
    """

    def __init__(
        self,
        operations: Sequence[str],
        classes: int,
        in_channels: int,
        widths: Sequence[int],
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], kernel_size=3, stride=stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
        )
        self.body = nn.Sequential()
        period = 1 + len(widths) // STAGES
        for layer, (entering, width) in enumerate(itertools.pairwise((widths[0], *widths)), start=1):
            stage, cell = divmod(layer, period)
            if cell:
                self.body.add_module(f"stage{stage + 1}_cell{cell}", Cell(operations, entering, width))
            else:
                self.body.add_module(f"reduction{stage}", Reduction(entering, width))
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [b, in_channels, h, w] -> logits [b, classes]."""
        logits: Tensor = self.classifier(self.head(self.body(self.stem(x))))
        return logits
