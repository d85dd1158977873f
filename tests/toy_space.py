"""A made-up space, in a module of its own so that worker processes and other programs can import it."""

from __future__ import annotations

from torch import nn

import zcsr

ARCHS = [f"{width}-{depth}" for width in (2, 3, 4, 5, 6, 7, 8, 9) for depth in (1, 2, 3)]
SHAPE = zcsr.DatasetShape(classes=3, channels=1, height=8, width=8)


def build(arch: str, classes: int, channels: int) -> nn.Module:
    """A stem and so many instances of ReLU, convolution and norm; `arch` is width-depth."""
    width, depth = map(int, arch.split("-"))
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1)]
    for _ in range(depth):
        layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def toy_space(name: str = "toy") -> zcsr.ListedSpace:
    """Its networks under a name."""
    return zcsr.ListedSpace(name, ARCHS, build, {"dots": SHAPE})


def named(_: object, name: str) -> str:
    """The name of a space that must be known where this is called."""
    return zcsr.get_space(name).name
