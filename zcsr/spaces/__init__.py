"""Search spaces: which architectures there are, and the network that each of them names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType

from zcsr.errors import InputError, nearest
from zcsr.spaces import own
from zcsr.spaces.listed import ListedSpace
from zcsr.spaces.own import Origin, SpaceFile, lent_spaces, space_files
from zcsr.spaces.protocol import DatasetShape, SearchSpace, dataset_shape, space_size

__all__ = [
    "DatasetShape",
    "ListedSpace",
    "Origin",
    "SearchSpace",
    "SpaceFile",
    "dataset_shape",
    "get_space",
    "lend_space",
    "lent_spaces",
    "space_files",
    "space_names",
    "space_origin",
    "space_size",
    "use_space_files",
]


_NDS_FAMILIES = ("darts", "amoeba", "enas", "pnas", "nasnet")

_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "nasbench201": ("nasbench201", "nasbench201-mini"),
        "nats_sss": ("nats-sss", "nats-sss-mini"),
        "nds": (
            *(f"nds-{family}" for family in _NDS_FAMILIES),
            *(f"{family}-mini" for family in _NDS_FAMILIES),
        ),
        "inverted_residuals": ("mobile-mini",),
        "vision_transformers": ("vit-mini",),
    }
)
"""Each module of this package and the spaces in its `SPACES`; it is imported when one of them is asked for."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def space_names() -> tuple[str, ...]:
    """The names that `get_space` takes: those that come with zcsr, then those of a user's own."""
    return tuple(dict.fromkeys([*_MODULE_OF, *own.names()]))


def get_space(name: str) -> SearchSpace:
    """The search space of that name; InputError with the known names, and the nearest one, otherwise.

    Spaces that come with zcsr go first, then those of the files in use (`use_space_files`), those of objects
    (`lend_space`), then installed ones:
    entry points of the group `zcsr.spaces`, each a function without arguments that returns a space of that name.
    """
    if name in _MODULE_OF:
        built_in: SearchSpace = import_module(f"{__name__}.{_MODULE_OF[name]}").SPACES[name]
        return built_in
    found = own.find(name)
    if found is None:
        known = space_names()
        raise InputError(
            f"unknown search space {name!r}: the known ones are {', '.join(known)}{nearest(name, known)}; a space "
            "of your own is known once its file is named with --space-file or ZCSR_SPACES"
        )
    return found.space


def use_space_files(files: Iterable[SpaceFile]) -> None:
    """Let `get_space` know the spaces that these Python files define, and those of no other file.

    Running them is the user's decision: nothing else makes zcsr run a file. Worker processes started later know the
    same ones. Raises InputError, and changes nothing, where a file does not define a space under a free name.
    """
    own.use(files, _MODULE_OF)


def lend_space(space: object) -> SearchSpace:
    """Let `get_space` know a space that a program made, and return it; worker processes started later know it too.

    It takes the place of one that was lent under its name before. Raises InputError for what is no search space,
    and for a name that is taken.
    """
    return own.lend(space, _MODULE_OF)


def space_origin(name: str) -> Origin | None:
    """Where a space of a user's own comes from; None for one that comes with zcsr, or that nobody knows."""
    found = None if name in _MODULE_OF else own.find(name)
    return found.origin if found else None
