"""What commands that compute cost: time, processor time and memory, measured while they run.

A file a session of a command, with what was measured and nothing that is derived from it (`zcsr.cost.footprint`).
"""

from __future__ import annotations

import multiprocessing
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import zcsr
from zcsr.cost.meter import Meter
from zcsr.errors import InputError
from zcsr.store.kept.atomic import sweep_temporary, write_json
from zcsr.store.kept.store import Store

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

SAMPLED_EVERY_SECONDS = 1.0
WRITTEN_EVERY_SECONDS = 5.0
BYTES_PER_GB = 1e9

_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class Work:
    """What a session does: the command by its name and by its words, and what of the store it belongs to.

    run, search: whose part it is; None for what is no part of one
    program: id of the program that it is about; None where it is about none or several
    tasks, collections: what it works on, by name
    workers: processes asked for
    """

    kind: str
    command: tuple[str, ...] = ()
    run: str | None = None
    search: str | None = None
    program: str | None = None
    tasks: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    workers: int = 1


class Session:
    """Measures what its body costs, as a context manager, and keeps it in the store.

    Seconds are of the wall clock; CPU seconds are of this process and of all that it started, ended or not; GB (of
    10^9 bytes) are the largest sum of what each process at work at one time has held at its peak. All are counted
    from when the body begins, except the peak of this process. Nothing that fails here, the meter included, stops
    the body: what could not be measured or written is not in the store.
    """

    def __init__(self, store: Store, work: Work, meter: Meter | None = None) -> None:
        self._folder = store.costs_dir
        self._work = work
        self._meter = meter
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._cpu_seconds = 0.0
        self._peak_bytes = 0.0

    def __enter__(self) -> Session:
        with suppress(Exception):
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):
            # What is refused is refused before it computes, and was no session.
            self._end(kept=not isinstance(error, InputError))

    def _begin(self) -> None:
        if self._meter is not None:
            try:
                self._meter.start()
            except Exception:
                self._meter = None
        self._started = datetime.now(UTC)
        self._path = self._folder / f"{self._started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}.json"
        self._clock = time.monotonic()
        self._cpu_before = cpu_seconds()
        sweep_temporary(self._folder)
        self._thread = threading.Thread(target=self._watch, name="zcsr-costs", daemon=True)
        self._thread.start()

    def _end(self, kept: bool) -> None:
        self._over.set()
        if self._thread is None:
            return
        self._thread.join()
        self._sample()
        seconds = time.monotonic() - self._clock
        if self._meter is not None:
            with suppress(Exception):
                self._meter.stop()
        if kept:
            self._write(seconds)

    def _watch(self) -> None:
        _leave_signals_to_the_main_thread()
        written = self._clock
        while not self._over.wait(SAMPLED_EVERY_SECONDS):
            with suppress(Exception):
                self._sample()
                now = time.monotonic()
                if now - written >= WRITTEN_EVERY_SECONDS:
                    written = now
                    self._write(now - self._clock)

    def _sample(self) -> None:
        # A worker that ends between two readings is missing in one sample; what was seen before stays.
        self._cpu_seconds = max(self._cpu_seconds, cpu_seconds() - self._cpu_before)
        self._peak_bytes = max(self._peak_bytes, peak_bytes(self._work.workers))

    def _write(self, seconds: float) -> None:
        record = asdict(self._work) | {
            "command": without_store(self._work.command),
            "started": self._started.isoformat(timespec="microseconds"),
            "seconds": seconds,
            "cpu_seconds": self._cpu_seconds,
            "peak_gb": self._peak_bytes / BYTES_PER_GB or None,
            "metered_kwh": self._metered(),
            "zcsr": zcsr.__version__,
        }
        write_json(record, self._path)

    def _metered(self) -> float | None:
        with suppress(Exception):
            return None if self._meter is None else self._meter.kwh()
        return None


def without_store(command: Sequence[str]) -> tuple[str, ...]:
    """The words of a command without `--store PATH`: where the store lies changes no result."""
    kept: list[str] = []
    skip = False
    for word in command:
        if not (skip or word == "--store" or word.startswith("--store=")):
            kept.append(word)
        skip = word == "--store"
    return tuple(kept)


def cpu_seconds() -> float:
    """CPU seconds, in user and system mode, of this process, its ended children and its workers at work.

    Where the system has no `/proc`, a worker counts once it has ended.
    """
    own = time.process_time()
    ended = _cpu_seconds_of_ended()  # before the workers: one that ends in between is missing, not counted twice
    return own + ended + sum(map(_cpu_seconds_of, _workers()))


def peak_bytes(workers: int) -> float:
    """The sum over this process and its workers at work of the most memory that each has held; 0 if unknown.

    Where the system has no `/proc`, the largest child that has ended stands for each of `workers` processes.
    """
    if (_PROCESSES / "self").exists():
        return sum(map(_peak_bytes_of, (os.getpid(), *_workers())))
    if resource is None:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return float(unit * (own + (workers * child if workers > 1 else 0)))


def _workers() -> Iterator[int]:
    """The ids of the processes that this one started to work with and that have not ended."""
    return (process.pid for process in multiprocessing.active_children() if process.pid is not None)


def _cpu_seconds_of_ended() -> float:
    """CPU seconds of the children that have ended: `os.times` knows them too, but counts in ticks of 10 ms."""
    if resource is None:
        times = os.times()
        return times.children_user + times.children_system
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_seconds_of(process: int) -> float:
    fields = _told_of(process, "stat").rpartition(")")[2].split()  # the name before it may hold blanks
    utime_stime_cutime_cstime = map(int, fields[11:15])
    return sum(utime_stime_cutime_cstime) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _peak_bytes_of(process: int) -> float:
    kilobytes = re.search(r"^VmHWM:\s*(\d+)", _told_of(process, "status"), re.MULTILINE)
    return 1024.0 * int(kilobytes[1]) if kilobytes else 0.0


def _told_of(process: int, file: str) -> str:
    """What the system tells of a process; nothing where it has ended, or the system has no `/proc`."""
    with suppress(OSError):
        return (_PROCESSES / str(process) / file).read_text(encoding="utf-8", errors="replace")
    return ""


def _leave_signals_to_the_main_thread() -> None:
    """A Ctrl-C that another thread receives would not wake the main one where it waits without end."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
