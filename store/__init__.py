"""The store: Parquet shards are the truth, DuckDB the index; the only place that touches disk.

The public names of its modules can be imported from here, and are loaded when first used. Two functions bear the
name of their module and are imported from it: `zcsr.store.accuracies.accuracies`, `zcsr.store.collect.collect`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.store.accuracies import (
        AccuracyTable,
        ImportReport,
        accuracy_tables,
        import_accuracies,
        write_accuracies,
    )
    from zcsr.store.collect import CollectReport
    from zcsr.store.images import Embedded, embedded, image_names, import_images, load_images
    from zcsr.store.index import connect, named, query, rebuild, verify
    from zcsr.store.runs import RunInfo, RunStore, RunTask, TestScore, create_run, list_runs, open_run, run_names
    from zcsr.store.statistics import (
        Collection,
        CollectionStore,
        list_collections,
        open_collection,
        read_collection,
    )
    from zcsr.store.store import Store, default_root

__all__ = [
    "AccuracyTable",
    "CollectReport",
    "Collection",
    "CollectionStore",
    "Embedded",
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
    "embedded",
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
    "read_collection",
    "rebuild",
    "run_names",
    "verify",
    "write_accuracies",
]

_HOMES = {
    "accuracies": ("AccuracyTable", "ImportReport", "accuracy_tables", "import_accuracies", "write_accuracies"),
    "collect": ("CollectReport",),
    "images": ("Embedded", "embedded", "image_names", "import_images", "load_images"),
    "index": ("connect", "named", "query", "rebuild", "verify"),
    "runs": ("RunInfo", "RunStore", "RunTask", "TestScore", "create_run", "list_runs", "open_run", "run_names"),
    "statistics": ("Collection", "CollectionStore", "list_collections", "open_collection", "read_collection"),
    "store": ("Store", "default_root"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
