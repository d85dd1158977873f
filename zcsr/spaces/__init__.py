"""Search spaces: which architectures there are, and the network that each of them names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from zcsr.errors import InputError, nearest
from zcsr.spaces import own
from zcsr.spaces.listed import ListedSpace
from zcsr.spaces.own import Origin, SpaceFile
from zcsr.spaces.protocol import DatasetShape, SearchSpace, dataset_shape, space_size

__all__ = [
    "DatasetShape",
    "ListedSpace",
    "Origin",
    "SearchSpace",
    "SpaceFile",
    "dataset_shape",
    "get_space",
    "space_files",
    "space_names",
    "space_origin",
    "space_size",
    "use_space_files",
]


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
    """The names that `get_space` takes: those that come with zcsr, then those of a user's own."""
    return tuple(dict.fromkeys([*_CONSTRUCTORS, *own.names()]))


def get_space(name: str) -> SearchSpace:
    """The search space of that name; InputError with the known names, and the nearest one, otherwise.

    Spaces that come with zcsr go first, then those of the files in use (`use_space_files`), then installed ones:
    entry points of the group `zcsr.spaces`, each a function without arguments that returns a space of that name.
    """
    if name in _CONSTRUCTORS:
        return _built_in(name)
    found = own.find(name)
    if found is None:
        raise InputError(_unknown(name))
    return found.space


def use_space_files(files: Iterable[SpaceFile]) -> None:
    """Let `get_space` know the spaces that these Python files define, and those of no other file.

    Running them is the user's decision: nothing else makes zcsr run a file. Worker processes started later know the
    same ones. Raises InputError, and changes nothing, where a file does not define a space under a free name.
    """
    own.use(files, _CONSTRUCTORS)


def space_files() -> tuple[SpaceFile, ...]:
    """The files in use, as `use_space_files` takes them."""
    return own.files_in_use()


def space_origin(name: str) -> Origin | None:
    """Where a space of a user's own comes from; None for one that comes with zcsr, or that nobody knows."""
    found = None if name in _CONSTRUCTORS else own.find(name)
    return found.origin if found else None


@cache
def _built_in(name: str) -> SearchSpace:
    return _CONSTRUCTORS[name]()


def _unknown(name: str) -> str:
    known = space_names()
    own_file = "; a space of your own is known once its file is named with --space-file or ZCSR_SPACES"
    suggestion = nearest(name, known, otherwise=own_file)
    return f"unknown search space {name!r}: the known ones are {', '.join(known)}{suggestion}"
