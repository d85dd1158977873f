"""Twelve small convolutional networks: three widths, two depths, two kernel sizes."""

from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.spaces import DatasetShape, ListedSpace

ARCHS = [f"w{width}-d{depth}-k{kernel}" for width, depth, kernel in product((4, 8, 12), (1, 2), (1, 3))]


class Tiny(nn.Module):
    """A stem, then `depth` times ReLU, convolution and BatchNorm; the ReLUs are functions."""

    def __init__(self, width: int, depth: int, kernel: int, classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(depth))
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, [b, classes]."""
        x = self.stem_norm(self.stem(images))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(F.relu(x)))
        return self.classifier(F.relu(x).mean(dim=(2, 3)))


def build(arch: str, classes: int, in_channels: int) -> nn.Module:
    """Return the network that an architecture such as "w8-d2-k3" names."""
    width, depth, kernel = (int(part[1:]) for part in arch.split("-"))
    return Tiny(width, depth, kernel, classes, in_channels)


SPACE = ListedSpace("tiny", ARCHS, build, {"stripes": DatasetShape(classes=4, channels=1, height=16, width=16)})
