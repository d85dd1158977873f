"""What a command costs, measured while it computes and kept in the store."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zcsr.cost.meter import Meter
    from zcsr.store import Store
    from zcsr.store.kept.costs import Session


def measured(
    store: Store,
    kind: str,
    *,
    run: str | None = None,
    search: str | None = None,
    program: str | None = None,
    tasks: Iterable[str] = (),
    collections: Iterable[str] = (),
    workers: int = 1,
    meter: Meter | None = None,
) -> Session:
    """Return a context manager that keeps what its body costs as a session of the command `kind`."""
    from zcsr.store.kept.costs import Session, Work

    words = ("zcsr", *sys.argv[1:])
    work = Work(kind, words, run, search, program, tuple(tasks), tuple(collections), workers)
    return Session(store, work, meter)


def chosen_meter(name: str | None) -> Meter | None:
    """Return the meter that an option names."""
    from zcsr.cost.meter import open_meter

    return None if name is None else open_meter(name)
