"""The command line: parses, calls, shows; nothing is computed here.

Results go to stdout, everything said about them to stderr. Exit codes: 0 done, 1 an error of zcsr itself, 2 input
that cannot be used, 3 a store that cannot be used, 130 interrupted (what was done is kept and can be resumed).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130


def main() -> None:
    """Run the `zcsr` command; the entry point of the installed script."""
    mine = _take_one_interrupt()
    try:
        code = _run()
    except BrokenPipeError:
        code = _quiet_pipe()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if mine and signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(code)


def _take_one_interrupt() -> bool:
    """Let one Ctrl-C end the command; any more would cut off what it puts in order. Not where it is ignored."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    mine = usual and threading.current_thread() is threading.main_thread()
    if mine:
        signal.signal(signal.SIGINT, _interrupt)
    return mine


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _run() -> int:
    """Run the application and return the exit code, after one line on stderr where something went wrong."""
    from zcsr.cli.app import app
    from zcsr.cli.failures import failure_of
    from zcsr.cli.visible import visible

    try:
        failure = ("interrupted", INTERRUPTED) if app(standalone_mode=False) == INTERRUPTED else None
        sys.stdout.flush()
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
    if failure is None:
        return 0
    line, code = failure
    print(f"zcsr: {visible(line)}", file=sys.stderr)
    return code


def _quiet_pipe() -> int:
    """The reader of the output has gone, as with `zcsr query ... | head`: what is left goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return 1
