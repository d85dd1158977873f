"""What workers are set up with and asked to do, in a module that other processes can import."""

from __future__ import annotations

import os
import time

import torch

from zcsr.errors import InputError
from zcsr.spaces import space_names


class State:
    """What a worker holds: something to tell it from others by, and how often it was asked."""

    def __init__(self) -> None:
        self.made = (os.getpid(), time.perf_counter_ns())
        self.asked = 0


def ten() -> int:
    """What a worker holds."""
    return 10


def add(state: int, item: int) -> int:
    """Both together."""
    return state + item


def slow_first(_: State, item: int) -> int:
    """The item, the first of them late."""
    time.sleep(0.2 if item == 0 else 0.0)
    return item


def who(state: State, _item: int) -> tuple[tuple[int, int], int]:
    """The worker, and how often it was asked."""
    state.asked += 1
    return state.made, state.asked


def threads(_: State, _item: int) -> int:
    """How many threads torch computes with."""
    return torch.get_num_threads()


def spaces(_: State, _item: int) -> tuple[str, ...]:
    """The search spaces that are known."""
    return space_names()


def refuse(_: State, item: int) -> int:
    """The item, unless it is 2."""
    if item == 2:
        raise InputError("two is refused")
    return item


def broken() -> State:
    """A set-up that fails."""
    raise InputError("cannot be set up")


def die(_: State, _item: int) -> None:
    """End the process."""
    os._exit(1)


def sleep(_: State, item: float) -> float:
    """The item, after so many seconds."""
    time.sleep(item)
    return item
