"""Known zero-cost proxies, to compare programs with: one file each, one signature, more is always better."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from zcsr.errors import InputError, nearest

if TYPE_CHECKING:
    from zcsr.language.languages import Language
    from zcsr.proxies.proxy import Proxy

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "params": ("params",),
        "flops": ("flops",),
        "depth": ("depth",),
        "grad_norm": ("grad_norm",),
        "snip": ("snip",),
        "grasp": ("grasp",),
        "fisher": ("fisher",),
        "synflow": ("synflow", "logsynflow"),
        "jacob_cov": ("jacob_cov",),
        "naswot": ("naswot",),
        "swap": ("swap", "swap_regularised"),
        "zen": ("zen",),
        "zico": ("zico",),
        "te_nas": ("te_nas_condition", "te_nas_regions"),
        "az_nas": ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity"),
    }
)
"""Each module of this package and the proxies that it holds; it is imported when one of them is asked for."""

_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


def proxy_names() -> tuple[str, ...]:
    """Return the names of the known proxies."""
    return tuple(_MODULE_OF)


def language() -> Language:
    """Return the larger language with every known proxy as a number of a network, which all texts are read in."""
    from zcsr.language.languages import knowing  # which loads torch

    return knowing(proxy_names())


def get_proxy(name: str) -> Proxy:
    """Return a known proxy; InputError, with the nearest name, for any other."""
    if name not in _MODULE_OF:
        suggestion = nearest(name, _MODULE_OF)
        raise InputError(f"unknown proxy {name!r}: the known ones are {', '.join(_MODULE_OF)}{suggestion}")
    found: Proxy = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return found
