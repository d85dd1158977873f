"""Where output goes: data to stdout, talk to stderr; live where there is a terminal, plain lines where not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from zcsr.cli.visible import visible
from zcsr.engine.job import Progress

PLAIN_EVERY_SECONDS = 5.0
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
    if is_live(console):
        with _bar(console, what, pace) as tell:
            yield tell
    else:
        yield _lines(console, what, pace)


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
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(bar_width=None),
        _PaceColumn(pace),
    )
    with rich_progress.Progress(*columns, console=console, expand=True) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


class _PaceColumn(rich_progress.ProgressColumn):
    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: rich_progress.Task) -> Text:
        total = None if task.total is None else int(task.total)
        return Text(self._pace.words(int(task.completed), total), no_wrap=True)


def _lines(console: Console, what: str, pace: Pace) -> Progress:
    """What prints the first, the last, and between them one line every few seconds."""
    last = -PLAIN_EVERY_SECONDS

    def tell(done: int, total: int) -> None:
        nonlocal last
        words = pace.words(done, total)
        if done >= total or pace.elapsed - last >= PLAIN_EVERY_SECONDS:
            last = pace.elapsed
            console.print(Text(f"{what}: {words}"))

    return tell
