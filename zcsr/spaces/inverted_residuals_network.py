"""Networks of inverted residuals: a stem, stages of blocks, a classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zcsr.spaces.inverted_residuals import Stage


class InvertedResidual(nn.Module):
    """Widen, filter, narrow; the input is added where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.widen = nn.Sequential(nn.Conv2d(in_channels, wide, 1, bias=False), nn.BatchNorm2d(wide))
        self.filter = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(wide, wide, kernel, stride, padding=kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.narrow = nn.Sequential(
            nn.ReLU(), nn.Conv2d(wide, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, in_channels, h, w] -> [b, out_channels, h / stride, w / stride]."""
        output: Tensor = self.narrow(self.filter(self.widen(x)))
        return x + output if self.adds_input else output


class MobileNetwork(nn.Module):
    """Stem, stages of inverted residuals, pooling, classifier."""

    def __init__(
        self, stages: Sequence[Stage], widths: Sequence[int], stem: int, classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.body = nn.Sequential()
        width = stem
        for number, (stage, wider) in enumerate(zip(stages, widths, strict=True), 1):
            for block in range(stage.depth):
                made = InvertedResidual(width, wider, stage.kernel, stage.expansion, stride=1 if block else 2)
                self.body.add_module(f"stage{number}_block{block + 1}", made)
                width = wider
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [b, in_channels, h, w] -> logits [b, classes]."""
        logits: Tensor = self.classifier(self.head(self.body(self.stem(x))))
        return logits
