"""Whether a whole store is sound: its shards of statistics, its runs and accuracies, and its index."""

from __future__ import annotations

from zcsr.store.kept.collections import list_collections, open_collection
from zcsr.store.kept.store import Store
from zcsr.store.sql import index


def verify_store(store: Store) -> list[str]:
    """Return one line a problem, none when all is sound.

    Reads everything: every tensor of every collection is compared with its summary, every table with the index.
    """
    problems = [
        problem for collection in list_collections(store) for problem in open_collection(store, collection).verify()
    ]
    return problems + index.verify(store)
