"""Python files that define spaces of a user's own: those that the user names now, and those that a run began with.

A run records where its spaces came from, which makes nothing run: to go on with it, the user names the files again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from zcsr.errors import InputError
from zcsr.spaces import SpaceFile, space_origin, use_space_files

if TYPE_CHECKING:
    from zcsr.store.kept.runs import RunStore


def read_space_file(path: Path) -> SpaceFile:
    """Return the file to hand to `zcsr.spaces.use_space_files`; InputError where it cannot be read or is no .py."""
    if path.suffix != ".py":
        raise InputError(f"{path} cannot define a space: give a Python file, whose name ends in .py")
    try:
        return SpaceFile(str(path.absolute()), path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the space file {path}: {error.strerror or error}") from error


def use_spaces_of(paths: Iterable[Path]) -> None:
    """Run these files and let `zcsr.spaces.get_space` know the spaces they define, and those of no other file."""
    use_space_files([read_space_file(path) for path in paths])


def check_spaces(run: RunStore) -> None:
    """Raise InputError where a space of the run is not the one that the run was started with."""
    for space, origin in run.spaces().items():
        now = space_origin(space)
        if now is None:
            raise InputError(f"run {run.name} is on the space {space!r} of {origin.where}, {_missing(origin.kind)}")
        if now.definition != origin.definition:
            raise InputError(
                f"run {run.name} was started with another content of the space {space!r} than {now.where} has now "
                f"({origin.definition[:12]}, now {now.definition[:12]}): restore it, or start a new run"
            )


def _missing(kind: str) -> str:
    if kind == "file":
        return "which zcsr does not run unasked: name the file with --space-file or ZCSR_SPACES"
    if kind == "object":
        return "which a program made: go on from Python, after zcsr.lend_space(the same object)"
    return "which is not installed: install it again"
