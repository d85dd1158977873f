"""Results that come one by one and are written several to a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Buffer(Generic[Item]):
    """Hands items to `write`, `size` at a time; a context manager that hands on the rest, after Ctrl-C as well.

    Only a process that is killed outright loses what is in it, at most `size - 1` items.
    """

    def __init__(self, write: Callable[[Sequence[Item]], object], size: int) -> None:
        self._write = write
        self._size = size
        self._items: list[Item] = []

    def __enter__(self) -> Buffer[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()

    def add(self, item: Item) -> None:
        """Take one item, and write when there are enough."""
        self._items.append(item)
        if len(self._items) >= self._size:
            self._flush()

    def _flush(self) -> None:
        items, self._items = self._items, []
        if items:
            self._write(items)
