"""The port for workers, which share nothing but what they are set up with and give results in the order asked for.

Every worker computes with one torch thread, so results are the same for any number of workers and any engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, TypeVar

from zcsr.errors import InputError

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
I = TypeVar("I")  # noqa: E741 - the item's type
R = TypeVar("R")

ENGINES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"here": ("zcsr.engine.here", "Here"), "processes": ("zcsr.engine.processes", "Processes")}
)
"""Each engine's module and the class in it, which takes the number of workers and their set-up."""


class Workers(Protocol[S_co]):
    """A pool of workers, each holding what its set-up returned; use it as a context manager.

    They start when they are first needed, know the space files that are in use then, and end with the body: after
    Ctrl-C at once.
    """

    def __enter__(self) -> Workers[S_co]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def map(self, function: Callable[[S_co, I], R], items: Iterable[I]) -> Iterator[R]:
        """Yield `function(state, item)` for every item, in the items' order; items are drawn as results are taken.

        An exception in a worker is raised here. Raises `ZcsrError` when a worker dies.
        """
        ...


def open_workers(count: int, setup: Callable[[], S], engine: str | None = None) -> Workers[S]:
    """Return a pool of so many workers: this process for one, otherwise processes, unless an engine is named.

    `setup` and the functions given to `map` must be picklable where there are several (module-level functions, or
    instances of module-level classes). Raises InputError for a count below 1.
    """
    if count < 1:
        raise InputError(f"workers must be at least 1, not {count}")
    module, name = ENGINES[engine or ("here" if count == 1 else "processes")]
    made: Any = getattr(import_module(module), name)
    workers: Workers[S] = made(count, setup)
    return workers


def mapped(
    workers: int, setup: Callable[[], S], function: Callable[[S, I], R], items: Iterable[I]
) -> Generator[R, None, None]:
    """Yield what `Workers.map` gives, of a pool that lasts as long as the items."""
    with open_workers(workers, setup) as pool:
        yield from pool.map(function, items)


def available_workers() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
