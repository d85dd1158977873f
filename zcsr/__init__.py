"""zcsr: discover zero-cost proxies by symbolic regression over the statistics of untrained networks.

The names below are imported when first used, so that `import zcsr` loads neither torch nor anything else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.errors import InputError, ProgramError, StoreError, ZcsrError
    from zcsr.images import ImageSet
    from zcsr.operations import OPERATIONS
    from zcsr.program import TENSOR_NAMES, Node, Program, parse
    from zcsr.ranking import kendall, spearman
    from zcsr.single import Score, score
    from zcsr.spaces import get_space, space_names
    from zcsr.statistics import NetworkStatistics, StatisticsConfig, collect, network_statistics

__version__ = "0.1.0"

__all__ = [
    "OPERATIONS",
    "TENSOR_NAMES",
    "ImageSet",
    "InputError",
    "NetworkStatistics",
    "Node",
    "Program",
    "ProgramError",
    "Score",
    "StatisticsConfig",
    "StoreError",
    "ZcsrError",
    "collect",
    "get_space",
    "kendall",
    "network_statistics",
    "parse",
    "score",
    "space_names",
    "spearman",
]

_NAMES_IN = {
    "errors": ("InputError", "ProgramError", "StoreError", "ZcsrError"),
    "images": ("ImageSet",),
    "operations": ("OPERATIONS",),
    "program": ("TENSOR_NAMES", "Node", "Program", "parse"),
    "ranking": ("kendall", "spearman"),
    "single": ("Score", "score"),
    "spaces": ("get_space", "space_names"),
    "statistics": ("NetworkStatistics", "StatisticsConfig", "collect", "network_statistics"),
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
