"""The command line, run in the tests' own process."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from zcsr.cli import main


class Result(NamedTuple):
    """What a command ended with and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on stderr, line by line."""
        return self.err.splitlines()


def zcsr(*words: str, store: Path | None = None) -> Result:
    """Run the command with these words, as the installed script does."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["zcsr", *words, *(["--store", str(store)] if store else [])])
        with pytest.raises(SystemExit) as stop:
            main()
    assert isinstance(stop.value.code, int)
    return Result(stop.value.code, out.getvalue(), err.getvalue())


def done(*words: str, store: Path | None = None) -> Result:
    """Run a command that must succeed."""
    result = zcsr(*words, store=store)
    assert result.code == 0, result.err
    return result
