"""What a command costs, measured while it computes and kept in the store."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from zcsr.cost.meter import Meter
from zcsr.store import Store
from zcsr.store.kept.costs import Session, Work

if TYPE_CHECKING:
    from zcsr.store.jobs.experiment import Experiment


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
    work = Work(kind, command(), run, search, program, tuple(tasks), tuple(collections), workers)
    return Session(store, work, meter)


def measured_run(experiment: Experiment, kind: str, meter: Meter | None) -> Session:
    """Return a context manager that keeps what its body costs as a session of `kind` on behalf of a run."""
    from zcsr.store.jobs.evolving import measured_run

    return measured_run(experiment, kind, command(), meter)


def command() -> tuple[str, ...]:
    """Return the words of this command."""
    return ("zcsr", *sys.argv[1:])
