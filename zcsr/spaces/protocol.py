"""What every search space is: a finite list of architectures, each named by a string, and a network for each."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zcsr.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class DatasetShape:
    """What a data set asks of a network: the number of classes and the size of an image in pixels."""

    classes: int
    channels: int
    height: int
    width: int


@runtime_checkable
class SearchSpace(Protocol):
    """A finite set of architectures in a fixed order, each named by a string."""

    @property
    def name(self) -> str:
        """The name that `get_space` knows the space by."""

    @property
    def datasets(self) -> Mapping[str, DatasetShape]:
        """The data sets that the space is meant for, by name."""

    def __len__(self) -> int: ...

    def arch(self, index: int) -> str:
        """The architecture at a 0-based position of the canonical order; InputError outside of it."""

    def index(self, arch: str) -> int:
        """The 0-based position of an architecture; InputError says what is wrong with an unknown one."""

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does."""

    def sample(self, count: int, generator: random.Random) -> list[str]:
        """Distinct architectures, uniformly at random; InputError where the space has fewer than `count`."""

    def neighbours(self, arch: str) -> list[str]:
        """Every architecture that is one change away, in a fixed order."""

    def canonical(self, arch: str) -> str:
        """The representative of the architecture's isomorphism class: its first member in canonical order."""


_SHAPES = {
    "cifar10": DatasetShape(classes=10, channels=3, height=32, width=32),
    "cifar100": DatasetShape(classes=100, channels=3, height=32, width=32),
    "imagenet16-120": DatasetShape(classes=120, channels=3, height=16, width=16),
    "imagenet": DatasetShape(classes=1000, channels=3, height=224, width=224),
    "fashion-mnist": DatasetShape(classes=10, channels=1, height=16, width=16),
}


def shapes_of(*datasets: str) -> Mapping[str, DatasetShape]:
    """The data sets of these names that spaces of zcsr are meant for."""
    return MappingProxyType({name: _SHAPES[name] for name in datasets})


class Listing:
    """What every space has that holds all of its architectures in their order, as `_archs`."""

    name: str
    _archs: Sequence[str]

    def __len__(self) -> int:
        return len(self._archs)

    def arch(self, index: int) -> str:
        """The architecture at a 0-based position of the order; InputError outside of it."""
        check_index(index, self.name, len(self))
        return self._archs[index]

    def sample(self, count: int, generator: random.Random) -> list[str]:
        """Distinct architectures, uniformly at random; InputError where there are fewer than `count`."""
        if not 0 <= count <= len(self):
            raise InputError(f"cannot sample {count} architectures: {self.name} has {len(self)}")
        return generator.sample(self._archs, count)


def check_index(index: int, space: str, size: int) -> None:
    """Raise InputError where a space of that name and size has no architecture at a position."""
    if not 0 <= index < size:
        raise InputError(f"no architecture {index} in {space}: indices go from 0 to {size - 1}")


def dataset_shape(space: SearchSpace, dataset: str) -> DatasetShape:
    """What a data set asks of a space's networks; InputError, with the nearest name, where the space lacks it."""
    if dataset in space.datasets:
        return space.datasets[dataset]
    raise InputError(
        f"space {space.name} has no dataset {dataset!r}: it has {', '.join(space.datasets)}"
        f"{nearest(dataset, space.datasets)}"
    )


def space_size(space: SearchSpace) -> int:
    """The number of a space's architectures, which may be more than `len` is able to say."""
    return int(getattr(space, "size", None) or len(space))
