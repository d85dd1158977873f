"""Work for processes that a test starts, which must be able to import it."""

from __future__ import annotations

import os
import time
from typing import Any


def burn(seconds: float) -> float:
    """Compute until this process has used that many CPU seconds more; returns how many it has used in all."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))
    return time.process_time()


def nothing() -> None:
    """What a worker holds."""


def burn_there(_: None, seconds: float) -> tuple[int, float]:
    """Return the process that has burnt, and how much it has used in all."""
    return os.getpid(), burn(seconds)


def wait_after_work(used: Any, over: Any) -> None:
    """Burn half a second, say how much was used in all, and wait."""
    used.put(burn(0.5))
    over.wait(60)
