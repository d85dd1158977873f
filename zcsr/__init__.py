"""zcsr: discover zero-cost proxies by symbolic regression over the statistics of untrained networks.

`Search` searches, `Task` is what on, `parse` reads a `Program`, `score` scores a network of yours, and `query` asks
the store; `zcsr.Search.parameters()` lists what can be set, and docs/python.md shows all of it at work.

The names below are imported when first used, so that `import zcsr` loads neither torch nor anything else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.api.programs import Program, parse
    from zcsr.api.search import Search
    from zcsr.api.task import Task
    from zcsr.errors import InputError, ProgramError, StoreError, ZcsrError
    from zcsr.evaluation.one_network import Score, score
    from zcsr.language.operations import OPERATIONS
    from zcsr.language.program import Node
    from zcsr.language.tensors import TENSOR_NAMES
    from zcsr.networks.config import StatisticsConfig
    from zcsr.networks.images import ImageSet
    from zcsr.networks.instances import NetworkStatistics, read_instances
    from zcsr.networks.untrained import network_statistics
    from zcsr.ranking import kendall, spearman
    from zcsr.spaces import DatasetShape, ListedSpace, SearchSpace, get_space, lend_space, space_names
    from zcsr.store import Store, query

__version__ = "0.1.0"

__all__ = [
    "OPERATIONS",
    "TENSOR_NAMES",
    "DatasetShape",
    "ImageSet",
    "InputError",
    "ListedSpace",
    "NetworkStatistics",
    "Node",
    "Program",
    "ProgramError",
    "Score",
    "Search",
    "SearchSpace",
    "StatisticsConfig",
    "Store",
    "StoreError",
    "Task",
    "ZcsrError",
    "get_space",
    "kendall",
    "lend_space",
    "network_statistics",
    "parse",
    "query",
    "read_instances",
    "score",
    "space_names",
    "spearman",
]

_NAMES_IN = {
    "api.programs": ("Program", "parse"),
    "api.search": ("Search",),
    "api.task": ("Task",),
    "errors": ("InputError", "ProgramError", "StoreError", "ZcsrError"),
    "evaluation.one_network": ("Score", "score"),
    "language.operations": ("OPERATIONS",),
    "language.program": ("Node",),
    "language.tensors": ("TENSOR_NAMES",),
    "networks.config": ("StatisticsConfig",),
    "networks.images": ("ImageSet",),
    "networks.instances": ("NetworkStatistics", "read_instances"),
    "networks.untrained": ("network_statistics",),
    "ranking": ("kendall", "spearman"),
    "spaces": ("DatasetShape", "ListedSpace", "SearchSpace", "get_space", "lend_space", "space_names"),
    "store": ("Store", "query"),
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
