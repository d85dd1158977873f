"""Spaces of all the ways to take one of some choices at each of some places, such as an operation on each edge."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from zcsr.spaces.protocol import DatasetShape, Listing

C = TypeVar("C")


@dataclass(frozen=True)
class ChoiceSpace(Listing, ABC, Generic[C]):
    """The order is that of the numbers whose digits are the choices, the last place counting fastest.

    A subclass has the number of `places`, the text of what is chosen, and the networks.
    """

    places: ClassVar[int]

    name: str
    datasets: Mapping[str, DatasetShape]
    choices: Sequence[C]

    def __len__(self) -> int:
        return int(len(self.choices) ** self.places)  # without listing them, which takes its time

    def index(self, arch: str) -> int:
        """The 0-based position in the order; InputError says what is wrong with the string."""
        self._parse(arch)
        return self._positions[arch]

    def neighbours(self, arch: str) -> list[str]:
        """The architectures with another choice at one place: place by place, in the order of the choices."""
        chosen = self._parse(arch)
        return [
            self._format((*chosen[:place], choice, *chosen[place + 1 :]))
            for place in range(self.places)
            for choice in self.choices
            if choice != chosen[place]
        ]

    @abstractmethod
    def _format(self, chosen: Sequence[C]) -> str:
        """The architecture string of one choice a place."""

    @abstractmethod
    def _parse(self, arch: str) -> Sequence[C]:
        """The choices of an architecture string, the only one that has them; InputError says what is wrong."""

    @cached_property
    def _chosen(self) -> list[tuple[C, ...]]:
        return list(itertools.product(self.choices, repeat=self.places))

    @cached_property
    def _archs(self) -> Sequence[str]:  # type: ignore[override]  # nobody sets it, and it takes its time
        return tuple(map(self._format, self._chosen))

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {arch: index for index, arch in enumerate(self._archs)}
