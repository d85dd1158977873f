"""zcsr: discover zero-cost proxies by symbolic regression over the statistics of untrained networks.

The names below are imported when first used, so that `import zcsr` loads neither torch nor anything else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.errors import InputError, ProgramError, StoreError, ZcsrError
    from zcsr.evaluation.one_network import Score, score
    from zcsr.language.operations import OPERATIONS
    from zcsr.language.program import Node, Program
    from zcsr.language.tensors import TENSOR_NAMES
    from zcsr.language.text import parse
    from zcsr.networks.config import StatisticsConfig
    from zcsr.networks.images import ImageSet
    from zcsr.networks.instances import NetworkStatistics, read_instances
    from zcsr.networks.untrained import network_statistics
    from zcsr.ranking import kendall, spearman
    from zcsr.spaces import get_space, space_names

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
    "get_space",
    "kendall",
    "network_statistics",
    "parse",
    "read_instances",
    "score",
    "space_names",
    "spearman",
]

_NAMES_IN = {
    "errors": ("InputError", "ProgramError", "StoreError", "ZcsrError"),
    "evaluation.one_network": ("Score", "score"),
    "language.operations": ("OPERATIONS",),
    "language.program": ("Node", "Program"),
    "language.tensors": ("TENSOR_NAMES",),
    "language.text": ("parse",),
    "networks.config": ("StatisticsConfig",),
    "networks.images": ("ImageSet",),
    "networks.instances": ("NetworkStatistics", "read_instances"),
    "networks.untrained": ("network_statistics",),
    "ranking": ("kendall", "spearman"),
    "spaces": ("get_space", "space_names"),
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
