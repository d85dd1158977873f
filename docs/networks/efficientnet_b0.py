"""EfficientNet-B0 of Tan and Le (ICML 2019): inverted residuals with squeeze and excitation, SiLU in place."""

from torch import Tensor, nn


def layer(before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.SiLU(inplace=True)]


class SqueezeAndExcitation(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        down, up = nn.Conv2d(width, narrow, 1), nn.Conv2d(narrow, width, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), down, nn.SiLU(inplace=True), up, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Block(nn.Module):
    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        widen = layer(before, wide) if expansion > 1 else []
        squeeze = SqueezeAndExcitation(wide, before // 4)
        narrow = [nn.Conv2d(wide, after, 1, bias=False), nn.BatchNorm2d(after)]
        self.layers = nn.Sequential(*widen, *layer(wide, wide, kernel, stride, wide), squeeze, *narrow)
        self.adds_input = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds_input else self.layers(x)


def build() -> nn.Module:
    layers: list[nn.Module] = layer(3, 32, 3, 2)
    before = 32
    for expansion, width, count, stride, kernel in (
        *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
        *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
    ):
        for place in range(count):
            layers.append(Block(before, width, kernel, 1 if place else stride, expansion))
            before = width
    layers += [*layer(320, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)
