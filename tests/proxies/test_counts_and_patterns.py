"""The proxies `depth` and `swap` against what is counted by hand or by a plain loop."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.proxies import get_proxy
from zcsr.spaces import get_space


def score(name: str, network: nn.Module, images: Tensor | None = None) -> float:
    taken = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) if images is None else images
    return get_proxy(name)(network, taken, torch.zeros(len(taken), dtype=torch.int64))


class Branches(nn.Module):
    """A stem, then two convolutions beside none, then a head: 4 on the longest way."""

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.head, self.shortcut = nn.Linear(4, 2), shortcut

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        way = self.two(F.relu(self.one(stem)))
        return self.head((stem + way if self.shortcut else way).mean((2, 3)))


class Unused(Branches):
    """The branch is run, and leads nowhere."""

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        self.two(self.one(stem))
        return self.head(stem.mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), 1),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 2)), 3),
        (Branches(shortcut=False), 4),
        (Branches(shortcut=True), 4),
        (Unused(shortcut=True), 2),
        (nn.Flatten(), 0),
    ],
)
def test_depth_is_counted_by_hand(network: nn.Module, expected: int) -> None:
    assert score("depth", network) == expected


def test_depth_of_cells() -> None:
    # A stem, three stages of 5 cells, two residual blocks of two convolutions between them, a linear layer. A cell
    # of convolutions alone has three nodes one after the other.
    conv, skip = "nor_conv_3x3", "skip_connect"

    def cell(operation: str) -> str:
        return "+".join(
            "|" + "|".join(f"{operation}~{node}" for node in range(before)) + "|" for before in (1, 2, 3)
        )

    space = get_space("nasbench201")
    images = torch.randn(1, 3, 32, 32)
    assert score("depth", space.build(cell(conv), 10, 3), images) == 1 + 15 * 3 + 2 * 2 + 1
    assert score("depth", space.build(cell(skip), 10, 3), images) == 1 + 2 * 2 + 1


class Recorded(nn.Module):
    """A network that keeps what goes into its ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3), nn.Linear(64, 6)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.one, self.two):
            x = layer(x)
            self.seen.append(x.detach())
            x = F.relu(x)
        x = self.last(x.flatten(1))
        self.seen.append(x.detach())
        return torch.relu(x)


@pytest.mark.parametrize("batch", [1, 2, 4, 40, 70])
def test_swap_counts_the_patterns_of_a_plain_loop(batch: int) -> None:
    torch.manual_seed(batch)
    network, images = Recorded(), torch.randn(batch, 3, 8, 8)
    network(images)
    patterns = {
        tuple(bool(value > 0) for value in unit) for layer in network.seen for unit in layer.flatten(1).T.tolist()
    }
    assert score("swap", network, images) == len(patterns)


def test_swap_without_a_relu_is_zero() -> None:
    assert score("swap", nn.Sequential(nn.Flatten(), nn.Linear(192, 3))) == 0
