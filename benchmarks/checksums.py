"""What checksums cost a search: the share of the time of `zcsr evolve` that is spent in making and checking them.

    python benchmarks/checksums.py [flags for zcsr evolve]

One process computes, so that all of it is seen; the ratio is of one run, on whatever machine.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from zcsr.cli import main
from zcsr.store.kept import atomic, checksums, collections


class Clock:
    """Adds up the seconds that some functions take, each counted once where one calls another."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._inside = False

    def watch(self, modules: tuple[Any, ...], name: str) -> None:
        """Count what a function takes, wherever modules know it by that name."""
        real = next(getattr(module, name) for module in modules if hasattr(module, name))
        for module in modules:
            if hasattr(module, name):
                setattr(module, name, self._timed(real))

    def _timed(self, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return real(*given, **named)
            self._inside, begin = True, time.perf_counter()
            try:
                return real(*given, **named)
            finally:
                self._inside = False
                self.calls += 1
                self.seconds += time.perf_counter() - begin

        return timed


def run() -> int:
    """Run `zcsr evolve` in a new store and print the share."""
    clock = Clock()
    modules = (checksums, atomic, collections)
    for name in ("seal", "withdraw", "_is_right", "is_gone", "_check_head", "hash_of_head"):
        clock.watch(modules, name)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["zcsr", "evolve", *sys.argv[1:], "--workers", "1", "--store", f"{folder}/store"]
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    whole = time.perf_counter() - begin
    share = 100 * clock.seconds / whole
    print(f"checksums: {clock.seconds:.2f} s of {whole:.1f} s in {clock.calls:,} calls, {share:.2f}%")
    return code


if __name__ == "__main__":
    sys.exit(run())
