"""The engine of one worker: this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Generic

from zcsr.engine.threads import one_thread
from zcsr.engine.workers import I, R, S


class Here(Generic[S]):
    """See `zcsr.engine.workers.Workers`; of any number asked for there is one."""

    def __init__(self, _count: int, setup: Callable[[], S]) -> None:
        self._state = cache(setup)

    def __enter__(self) -> Here[S]:
        return self

    def __exit__(self, *_: object) -> None:
        self._state.cache_clear()

    def map(self, function: Callable[[S, I], R], items: Iterable[I]) -> Iterator[R]:
        """Yield the result of each item, computed when it is asked for."""
        for item in items:
            with one_thread():
                result = function(self._state(), item)
            yield result
