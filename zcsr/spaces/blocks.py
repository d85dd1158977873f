"""Parts of networks that several search spaces are built from."""

from __future__ import annotations

from torch import Tensor, nn


class ReluConvNorm(nn.Sequential):
    """ReLU, then a convolution without bias, then batch normalisation: one RCB instance."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)


class Zero(nn.Module):
    """An edge that carries nothing, but stays in the graph, so that its source has a gradient (of zero)."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros in the shape that any other operation of that stride gives."""
        return x[:, :, :: self.stride, :: self.stride] * 0.0
