"""The operations that an edge of an NDS cell can carry, each keeping the number of channels.

Each ReLU with the convolutions and the BatchNorm that follow it is one instance
(`zcsr.networks.instances.collect`), so that sep_conv and dil_sep_conv have two, the other convolutions one, and
poolings and connections none. Where two convolutions precede the BatchNorm, depthwise then 1x1, or a row then a
column, EZNAS's T2 and T3 are the first's; `StatisticsConfig.separable` takes the second or both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from zcsr.spaces.blocks import ReluConvNorm, Zero

Build = Callable[[int, int], nn.Module]
"""Takes the number of channels and the stride, 1 or 2."""


class DilatedConv(nn.Sequential):
    """ReLU, a depthwise convolution and one of 1x1, batch normalisation: one instance of two convolutions."""

    def __init__(self, channels: int, stride: int, kernel: int, dilation: int = 2) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(
            channels,
            channels,
            kernel,
            stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)


class SeparableConv(nn.Sequential):
    """Twice ReLU, depthwise, 1x1, batch normalisation, the second time at stride 1: two instances."""

    def __init__(self, channels: int, stride: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = DilatedConv(channels, stride, kernel, dilation)
        self.second = DilatedConv(channels, 1, kernel, dilation=1)


class FactorisedConv(nn.Sequential):
    """ReLU, a convolution of 1xk along the width, one of kx1 along the height, batch normalisation."""

    def __init__(self, channels: int, stride: int, kernel: int) -> None:
        super().__init__()
        row, column, padding = (1, kernel), (kernel, 1), kernel // 2
        self.relu = nn.ReLU()
        self.row = nn.Conv2d(channels, channels, row, (1, stride), padding=(0, padding), bias=False)
        self.column = nn.Conv2d(channels, channels, column, (stride, 1), padding=(padding, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels)


class FactorisedReduction(nn.Module):
    """Halve height and width, which are even: each half of the channels sees every other pixel, offset by one.

    It is no instance: its batch normalisation takes a concatenation, of which no convolution is the whole input.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(in_channels, half, kernel_size=1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - half, kernel_size=1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, in_channels, h, w] -> [b, out_channels, h / 2, w / 2]."""
        x = self.relu(x)
        output: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))
        return output


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorisedReduction(channels, channels)


def _average(kernel: int) -> Build:
    return lambda _, stride: nn.AvgPool2d(kernel, stride, padding=kernel // 2, count_include_pad=False)


def _maximum(kernel: int) -> Build:
    return lambda _, stride: nn.MaxPool2d(kernel, stride, padding=kernel // 2)


def _plain(kernel: int) -> Build:
    return lambda channels, stride: ReluConvNorm(channels, channels, kernel, stride)


OPERATIONS: Mapping[str, Build] = MappingProxyType(
    {
        "none": lambda _, stride: Zero(stride),
        "skip_connect": _skip,
        "avg_pool_3x3": _average(3),
        "avg_pool_5x5": _average(5),
        "avg_pool_7x7": _average(7),
        "max_pool_3x3": _maximum(3),
        "max_pool_5x5": _maximum(5),
        "max_pool_7x7": _maximum(7),
        "conv_1x1": _plain(1),
        "conv_3x3": _plain(3),
        "sep_conv_3x3": partial(SeparableConv, kernel=3),
        "sep_conv_5x5": partial(SeparableConv, kernel=5),
        "sep_conv_7x7": partial(SeparableConv, kernel=7),
        "dil_conv_3x3": partial(DilatedConv, kernel=3),
        "dil_conv_5x5": partial(DilatedConv, kernel=5),
        "dil_sep_conv_3x3": partial(SeparableConv, kernel=3, dilation=2),
        "conv_3x1_1x3": partial(FactorisedConv, kernel=3),
        "conv_7x1_1x7": partial(FactorisedConv, kernel=7),
    }
)
"""Every operation by its name: (channels, stride) -> a module [b, c, h, w] -> [b, c, ceil(h / s), ceil(w / s)]."""
