"""How time, memory and the machine's own rates are measured.

Times are CPU times of this process, so that what else runs takes little part in them; what is compared is measured
in turns, so that the rest of it disturbs both sides alike.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
R = TypeVar("R")

_RATE_BYTES = 1 << 28
_RATE_REPEATS = 5


def cpu(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[float, R]:
    """Call a function: the CPU seconds that this process spent, all threads together, and what came back."""
    start = time.process_time()
    result = function(*args, **kwargs)
    return time.process_time() - start, result


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds that the reference and ours take, each the median of its repeats."""

    reference: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times less ours takes."""
        return self.reference / self.ours if self.ours else float("inf")


def median_of(pairs: Sequence[tuple[float, float]]) -> Pair:
    """The medians of repeats, each the seconds of the reference and of ours."""
    reference, ours = zip(*pairs, strict=True)
    return Pair(statistics.median(reference), statistics.median(ours))


def in_turns(reference: Callable[[], object], ours: Callable[[], object], repeats: int) -> Pair:
    """The CPU time of both, called one after the other, `repeats` times; after a first call of each to warm up."""
    reference(), ours()
    return median_of([(cpu(reference)[0], cpu(ours)[0]) for _ in range(repeats)])


@dataclass(frozen=True, slots=True)
class Command:
    """Seconds that a command takes in a process of its own: by the clock, and of CPU."""

    wall: float
    cpu: float


def commands_in_turns(commands: Sequence[Sequence[str]], repeats: int) -> list[Command]:
    """The medians of `repeats` runs of each command, in turns; after a first run of each to warm up."""
    rounds = [[_command(command) for command in commands] for _ in range(repeats + 1)][1:]
    return [
        Command(statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs))
        for runs in zip(*rounds, strict=True)
    ]


def _command(command: Sequence[str]) -> Command:
    before, start = _cpu_of_children(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Command(time.perf_counter() - start, _cpu_of_children() - before)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# --- memory -----------------------------------------------------------------------------------------------------


def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a new process, whose memory holds nothing else; it must be one of a module."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return pool.submit(function, *args, **kwargs).result()


def resident_peak() -> int:
    """The most bytes that were resident in this process.

    Not what getrusage says, which on Linux is never below the size that the parent had when it started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM: resident memory is measured on Linux only")


# --- what the machine can do ------------------------------------------------------------------------------------


@cache
def bandwidth() -> float:
    """Bytes a second at which one core reads memory: the best of a few sums over what no cache holds."""
    values = torch.ones(_RATE_BYTES // 4)
    return _RATE_BYTES / min(cpu(values.sum)[0] for _ in range(_RATE_REPEATS))


@cache
def comparison_rate() -> float:
    """Comparisons a second that one core makes between two vectors in its cache."""
    left, right = np.arange(10_000.0), np.ones(10_000)
    calls = 200
    fastest = min(cpu(lambda: [left > right for _ in range(calls)])[0] for _ in range(_RATE_REPEATS))
    return calls * len(left) / fastest


def load_average() -> str:
    """The load averages over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def processor() -> str:
    """The processor's model, by its own name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# --- growth -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A least-squares line through measurements, and the share of their variance that it explains."""

    slope: float
    intercept: float
    r2: float


def line_through(x: Sequence[float], y: Sequence[float]) -> Line:
    """The least-squares line through at least two points; R2 is 1 where all of `y` are equal."""
    slope, intercept = np.polyfit(x, y, 1)
    values = np.asarray(y, dtype=np.float64)
    left = ((values - slope * np.asarray(x) - intercept) ** 2).sum()
    whole = ((values - values.mean()) ** 2).sum()
    return Line(float(slope), float(intercept), 1.0 - float(left / whole) if whole else 1.0)
