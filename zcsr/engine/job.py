"""What every job does: find what is missing, have it computed, write it as it comes, and tell how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias

from zcsr.engine.workers import I, R

Progress: TypeAlias = Callable[[int, int], object]
"""Told how many units are done, and how many there are in all."""


def silent(_done: int, _total: int) -> None:
    """The progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """Items done now and found already there; wall-clock seconds; bytes written, where the job counts them."""

    done: int
    already: int
    seconds: float
    bytes: int = 0


def run_job(
    wanted: Sequence[I],
    there: Container[I],
    compute: Callable[[Sequence[I]], Generator[R, None, None]],
    write: Callable[[Sequence[R]], object],
    *,
    together: int = 1,
    size: Callable[[R], int] = lambda _: 1,
    progress: Progress = silent,
) -> JobReport:
    """Compute and write what is wanted and not there, `together` results at a time, the rest after Ctrl-C as well.

    `compute` yields the results of the missing items, in order; one is of as many items as `size` says. `progress`
    counts items, at the start and after each result. Only a process that is killed outright loses results, fewer
    than `together`.
    """
    started = time.monotonic()
    missing = [item for item in wanted if item not in there]
    done = already = len(wanted) - len(missing)
    held: list[R] = []
    progress(done, len(wanted))
    with closing(compute(missing)) as results:
        try:
            for result in results:
                held.append(result)
                if len(held) >= together:
                    write(held)  # which after Ctrl-C in the midst of it is done again, with the same outcome
                    held = []
                done += size(result)
                progress(done, len(wanted))
        finally:
            if held:
                write(held)
    return JobReport(len(missing), already, time.monotonic() - started)
