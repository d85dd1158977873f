"""Search spaces: which architectures there are, and the network that each of them names."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from zcsr.errors import InputError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class DatasetShape:
    """What a data set asks of a network: the number of classes and the size of an image in pixels."""

    classes: int
    channels: int
    height: int
    width: int


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


def _nasbench201() -> SearchSpace:
    from zcsr.spaces.nasbench201 import nasbench201

    return nasbench201()


def _nasbench201_mini() -> SearchSpace:
    from zcsr.spaces.nasbench201 import nasbench201_mini

    return nasbench201_mini()


def _nats_sss() -> SearchSpace:
    from zcsr.spaces.nats_sss import nats_sss

    return nats_sss()


def _nats_sss_mini() -> SearchSpace:
    from zcsr.spaces.nats_sss import nats_sss_mini

    return nats_sss_mini()


def _nds_darts() -> SearchSpace:
    from zcsr.spaces.nds import nds_darts

    return nds_darts()


def _nds_amoeba() -> SearchSpace:
    from zcsr.spaces.nds import nds_amoeba

    return nds_amoeba()


def _nds_enas() -> SearchSpace:
    from zcsr.spaces.nds import nds_enas

    return nds_enas()


def _nds_pnas() -> SearchSpace:
    from zcsr.spaces.nds import nds_pnas

    return nds_pnas()


def _nds_nasnet() -> SearchSpace:
    from zcsr.spaces.nds import nds_nasnet

    return nds_nasnet()


def _darts_mini() -> SearchSpace:
    from zcsr.spaces.nds import darts_mini

    return darts_mini()


_CONSTRUCTORS: Mapping[str, Callable[[], SearchSpace]] = {
    "nasbench201": _nasbench201,
    "nasbench201-mini": _nasbench201_mini,
    "nats-sss": _nats_sss,
    "nats-sss-mini": _nats_sss_mini,
    "nds-darts": _nds_darts,
    "nds-amoeba": _nds_amoeba,
    "nds-enas": _nds_enas,
    "nds-pnas": _nds_pnas,
    "nds-nasnet": _nds_nasnet,
    "darts-mini": _darts_mini,
}


def space_names() -> tuple[str, ...]:
    """The names that `get_space` takes."""
    return tuple(_CONSTRUCTORS)


@cache
def get_space(name: str) -> SearchSpace:
    """The search space of that name; InputError with the known names, and the nearest one, otherwise."""
    constructor = _CONSTRUCTORS.get(name)
    if constructor is None:
        near = difflib.get_close_matches(name, _CONSTRUCTORS, n=1)
        suggestion = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"unknown search space {name!r}: the known ones are {', '.join(_CONSTRUCTORS)}{suggestion}"
        )
    return constructor()
