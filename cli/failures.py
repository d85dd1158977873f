"""What may go wrong, as one line and an exit code; anything else is a defect and keeps its traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from zcsr.errors import InputError, StoreError, ZcsrError

# typer brings its own copy of click from some version on; this is the base of its errors in either case.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]


class Interrupted(ZcsrError):
    """Ctrl-C; the message says what is kept and how to go on."""

    exit_code = 130


def failure_of(error: Exception) -> tuple[str, int] | None:
    """Return the line that reports an error and the exit code; None for one that nobody has foreseen."""
    if isinstance(error, ZcsrError):
        return _one_line(str(error)), error.exit_code
    if isinstance(error, typer.Abort):
        return "interrupted", Interrupted.exit_code
    if isinstance(error, _UsageError):
        return _usage(error), InputError.exit_code
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        # What the user names for output is checked where it is written, so this is about the store.
        return _of_system(error), StoreError.exit_code
    return None


@contextmanager
def interruptible(words: str | Callable[[], str]) -> Iterator[None]:
    """On Ctrl-C, end with these words about what is kept, or those that a function knows then."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {words if isinstance(words, str) else words()}") from None


@contextmanager
def writing() -> Iterator[None]:
    """Raise InputError where what the user asked to write to cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {_of_system(error)}; name another place with --out") from error


def _of_system(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def _usage(error: Exception) -> str:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "zcsr"
    return f"{_one_line(message).rstrip('.')}; see `{command} --help`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
