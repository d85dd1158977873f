"""The errors a user can meet, each with the exit code of the command line that reports it.

A message is one line that says what was wrong, what was seen, what is allowed and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZcsrError(Exception):
    """Base of every error that zcsr reports without a traceback (exit code 1)."""

    exit_code = 1


class InputError(ZcsrError):
    """Something given by the user cannot be used: a flag, a table, an architecture, SQL (exit code 2)."""

    exit_code = 2


class StoreError(ZcsrError):
    """The store is missing, damaged, or of another schema version (exit code 3)."""

    exit_code = 3


class ProgramError(InputError):
    """A program text or tree that cannot be read, or does not apply to the tensors given (exit code 2).

    `position` is the 0-based offset of the error in the text, where there is a text.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class ShapeError(ProgramError):
    """Tensor shapes that an operation refuses (exit code 2)."""


class EvaluationError(ProgramError):
    """A program that fails on the tensors of a network it was given (exit code 2)."""


def nearest(name: str, known: Iterable[str], *, otherwise: str = "", quoted: bool = True, count: int = 1) -> str:
    """Return what a message suggests instead of an unknown name, such as "; did you mean 'fro'?".

    It names the nearest of the known names, at most `count`, whatever the case of their letters; the answer is
    `otherwise` where none is near.
    """
    spellings = {one.lower(): one for one in known}
    near = [spellings[one] for one in difflib.get_close_matches(name.lower(), spellings, n=count)]
    if not near:
        return otherwise
    return f"; did you mean {' or '.join(repr(one) if quoted else one for one in near)}?"
