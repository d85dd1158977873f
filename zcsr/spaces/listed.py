"""A search space of a user's own in a few lines: a list of architectures, and a function that builds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from typing import TYPE_CHECKING

from zcsr.errors import InputError, nearest
from zcsr.spaces.protocol import DatasetShape, Listing, SearchSpace

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ListedSpace(Listing):
    """The architectures of a list, in its order; none has neighbours, and each stands for itself alone.

    A subclass may override `neighbours` and `canonical` where it knows better.

    name: names the space everywhere, such as "tiny"
    archs: the architectures, distinct strings of one line
    build: from (arch, classes, in_channels) to a network: images [b, in_channels, h, w] -> logits [b, classes]
    datasets: the classes and image size of each data set that the space is meant for

    Raises InputError where one of these cannot be used.
    """

    def __init__(
        self,
        name: str,
        archs: Iterable[str],
        build: Callable[[str, int, int], nn.Module],
        datasets: Mapping[str, DatasetShape],
    ) -> None:
        check_name("space", name)
        self.name = name
        self._archs = tuple(archs)
        _check_archs(name, self._archs)
        self._positions = {arch: position for position, arch in enumerate(self._archs)}
        if not callable(build):
            raise InputError(f"{name}: build must be a function of (arch, classes, in_channels), not {build!r}")
        self._build = build
        check_datasets(name, datasets)
        self.datasets: Mapping[str, DatasetShape] = dict(datasets)

    @property
    def builder(self) -> Callable[[str, int, int], nn.Module]:
        """The function that builds the networks."""
        return self._build

    def index(self, arch: str) -> int:
        """The 0-based position in the list; InputError, with the nearest one, for an unknown architecture."""
        if arch not in self._positions:
            suggestion = nearest(arch, self._archs)
            raise InputError(f"{arch!r} is no architecture of {self.name}, which lists {len(self)}{suggestion}")
        return self._positions[arch]

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes]; InputError where it is no module."""
        from torch import nn

        self.index(arch)
        network = self._build(arch, classes, in_channels)
        if not isinstance(network, nn.Module):
            raise InputError(
                f"{self.name}: build gives a {type(network).__name__} for {arch!r}, not a torch module"
            )
        return network

    def neighbours(self, arch: str) -> list[str]:
        """None: a list does not say which of its architectures are one change apart."""
        self.index(arch)
        return []

    def canonical(self, arch: str) -> str:
        """The architecture itself: a list does not say which of its architectures are isomorphic."""
        self.index(arch)
        return arch


def check_name(what: str, name: object) -> None:
    """Raise InputError for what cannot name a space or a data set: these become folders and space:dataset."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a {what}: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter "
            "or digit"
        )


def check_datasets(space: str, datasets: object) -> None:
    """Raise InputError unless there is a data set, and each has a name and a `DatasetShape` of positive numbers."""
    if not isinstance(datasets, Mapping) or not datasets:
        raise InputError(f"{space}: datasets must map names to shapes, at least one, not {datasets!r}")
    for name, shape in datasets.items():
        check_name("dataset", name)
        if not isinstance(shape, DatasetShape):
            raise InputError(
                f"{space}: dataset {name!r} is {shape!r}; give DatasetShape(classes=, channels=, height=, width=)"
            )
        if not all(isinstance(size, int) and size > 0 for size in astuple(shape)):
            raise InputError(f"{space}: dataset {name!r} has the shape {shape}; all four are whole numbers above 0")


def check_members(where: str, space: object) -> SearchSpace:
    """Return what was given as a space, or raise InputError where it lacks what every `SearchSpace` has."""
    if isinstance(space, type) or not isinstance(space, SearchSpace):
        seen = f"the class {space.__name__}" if isinstance(space, type) else f"a {type(space).__name__}"
        raise InputError(
            f"{where} gives {seen}, which is no search space: make a zcsr.spaces.ListedSpace, or an object with "
            "all that zcsr.spaces.SearchSpace names"
        )
    check_name("space", space.name)
    check_datasets(space.name, space.datasets)
    return space


def _check_archs(space: str, archs: tuple[object, ...]) -> None:
    if not archs:
        raise InputError(f"{space}: the list of architectures is empty; give at least one")
    seen = set()
    for position, arch in enumerate(archs):
        if not isinstance(arch, str):
            raise InputError(f"{space}: architecture {position} is {arch!r}; each must be a string")
        if not arch or not arch.isprintable():
            raise InputError(
                f"{space}: architecture {position} is {arch!r}; each must be one line, not empty, without tabs or "
                "other control characters"
            )
        if arch in seen:
            raise InputError(f"{space}: the architecture {arch!r} is listed twice; list each once")
        seen.add(arch)
