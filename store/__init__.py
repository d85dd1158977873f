"""The store: Parquet shards are the truth, DuckDB the index; the only place that touches disk.

The public names of its modules can be imported from here, and are loaded when first used. The function
`zcsr.store.kept.accuracies.accuracies` bears the name of its module and is imported from it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.store.importers.accuracy_tables import import_accuracies
    from zcsr.store.importers.image_sets import import_images
    from zcsr.store.importers.user_tables import ImportReport
    from zcsr.store.kept.accuracies import accuracy_tables, write_accuracies
    from zcsr.store.kept.collections import Collection, CollectionStore, list_collections, open_collection
    from zcsr.store.kept.images import image_names, load_images
    from zcsr.store.kept.runs import RunInfo, RunStore, RunTask, TestScore, create_run, list_runs, open_run
    from zcsr.store.kept.store import Store, default_root
    from zcsr.store.sql.index import connect, named, query, rebuild, verify

__all__ = [
    "Collection",
    "CollectionStore",
    "ImportReport",
    "RunInfo",
    "RunStore",
    "RunTask",
    "Store",
    "TestScore",
    "accuracy_tables",
    "connect",
    "create_run",
    "default_root",
    "image_names",
    "import_accuracies",
    "import_images",
    "list_collections",
    "list_runs",
    "load_images",
    "named",
    "open_collection",
    "open_run",
    "query",
    "rebuild",
    "verify",
    "write_accuracies",
]

_HOMES = {
    "importers.accuracy_tables": ("import_accuracies",),
    "importers.image_sets": ("import_images",),
    "importers.user_tables": ("ImportReport",),
    "kept.accuracies": ("accuracy_tables", "write_accuracies"),
    "kept.collections": ("Collection", "CollectionStore", "list_collections", "open_collection"),
    "kept.images": ("image_names", "load_images"),
    "kept.runs": ("RunInfo", "RunStore", "RunTask", "TestScore", "create_run", "list_runs", "open_run"),
    "kept.store": ("Store", "default_root"),
    "sql.index": ("connect", "named", "query", "rebuild", "verify"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
