"""Where output goes: data to stdout, talk to stderr; live where there is a terminal, plain lines where not."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zcsr.cli.visible import visible
from zcsr.engine.job import Progress

PLAIN_EVERY_SECONDS = 5.0
PLAIN_AT_LEAST_SECONDS = 30.0
"""After so long without a line, one says that the work goes on."""

LEAST_BAR = 10
"""Terminal columns of a bar beside its words; they get a line of their own where there is less room."""

NEVER_WRAP = 100_000
"""Columns of an output that nobody looks at in a terminal: lines there are as long as they are."""


def data() -> Console:
    """The console that results are printed to."""
    return _console(stderr=False)


def talk() -> Console:
    """The console for everything said about results."""
    return _console(stderr=True)


def say(text: str) -> None:
    """Print a line about results."""
    talk().print(Text(visible(text)))


def show_report(path: Path) -> None:
    """Print where a report is."""
    say("report:")
    data().print(str(path), highlight=False, markup=False, soft_wrap=True)


def is_live(console: Console) -> bool:
    """Whether the console can redraw what it shows."""
    return console.is_terminal and not console.is_dumb_terminal


def duration(seconds: float) -> str:
    """Return a span of time as people say it, `1 h 05 min`, `3 min 20 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


@contextmanager
def progress(what: str, unit: str) -> Iterator[Progress]:
    """Give a function to report progress to: a bar with the time remaining, or a plain line now and then."""
    console = talk()
    pace = Pace(unit)
    with (_bar if is_live(console) else _lines)(console, what, pace) as tell:
        yield tell


@contextmanager
def unechoed() -> Iterator[None]:
    """Keep the terminal from writing `^C` where Ctrl-C is pressed: it would shift what is drawn over."""
    before = _terminal_modes()
    if before is None:
        yield
        return
    import termios

    quiet = [*before]
    quiet[_LOCAL_MODES] = before[_LOCAL_MODES] & ~termios.ECHOCTL
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        if _terminal_modes() is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


_LOCAL_MODES = 3


def _terminal_modes() -> list[Any] | None:
    """The modes of the terminal that types into this process; None without one, and in the background."""
    try:
        import termios

        if os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp():
            return termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError):
        pass
    return None


class Pace:
    """How fast work goes since its first report; what was done before that does not count."""

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._clock = clock
        self._started = clock()
        self._before: int | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._started

    def words(self, done: int, total: int | None) -> str:
        """Return how far the work is, for how long it goes on, and how much longer it will take."""
        if total is None:
            return f"{duration(self.elapsed)} elapsed"
        if self._before is None:
            self._before = done
        left = self._remaining(done, total)
        rest = "" if left is None else f", about {duration(left)} left"
        return f"{done:,} of {total:,} {self._unit}, {duration(self.elapsed)} elapsed{rest}"

    def _remaining(self, done: int, total: int) -> float | None:
        now = done - (self._before or 0)
        return self.elapsed / now * (total - done) if now > 0 and done < total else None


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = NEVER_WRAP
    return console


@contextmanager
def _bar(console: Console, what: str, pace: Pace) -> Iterator[Progress]:
    done, total = 0, None

    def tell(now: int, of: int) -> None:
        nonlocal done, total
        done, total = now, of

    with unechoed(), Live(console=console, get_renderable=lambda: bar(console.width, what, pace, done, total)):
        yield tell


def bar(width: int, what: str, pace: Pace, done: int, total: int | None) -> RenderableType:
    """What is done as a bar, with all its words beside it, or below where there is no room for them."""
    words = pace.words(done, total)
    beside = cell_len(what) + cell_len(words) + LEAST_BAR + 2 <= width
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(overflow="fold", no_wrap=beside)
    grid.add_column(ratio=1, min_width=LEAST_BAR)
    grid.add_column(no_wrap=True)
    drawn = ProgressBar(total=max(total or 1, 1), completed=done, pulse=total is None)
    grid.add_row(Text(what), drawn, Text(words if beside else ""))
    return grid if beside else Group(grid, Text(words, style="dim"))


@contextmanager
def _lines(console: Console, what: str, pace: Pace) -> Iterator[Progress]:
    """Print the first, the last, and between them a line every few seconds, also where nothing is reported."""
    said = -PLAIN_EVERY_SECONDS
    at: tuple[int, int | None] = (0, None)
    ended, one_at_a_time = threading.Event(), threading.Lock()

    def say_so(done: int, total: int | None) -> None:
        nonlocal said
        said = pace.elapsed
        console.print(Text(f"{what}: {pace.words(done, total)}"))

    def tell(done: int, total: int) -> None:
        nonlocal at
        with one_at_a_time:
            at = (done, total)
            if done >= total or pace.elapsed - said >= PLAIN_EVERY_SECONDS:
                say_so(done, total)

    def watch() -> None:
        while not ended.wait(1.0):
            with one_at_a_time:
                if pace.elapsed - max(said, 0) >= PLAIN_AT_LEAST_SECONDS:
                    say_so(*at)

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield tell
    finally:
        ended.set()
        watcher.join()
