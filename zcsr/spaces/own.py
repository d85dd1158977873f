"""Spaces of a user's own: from a Python file that the user names, an object, or an entry point of `zcsr.spaces`.

A file is code, so it runs only where the user has named it; no store, table or run ever does. It is known by its
content: that is what runs, here and in worker processes, and a change on the disk meanwhile makes no difference.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.abc import SourceLoader
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Literal

from zcsr.errors import InputError, ZcsrError
from zcsr.spaces.listed import check_members
from zcsr.spaces.protocol import SearchSpace, space_size

GROUP = "zcsr.spaces"
VARIABLE = "SPACE"
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


@dataclass(frozen=True, slots=True)
class SpaceFile:
    """A Python file that sets `SPACE`: its absolute path, which is only for people, and its content."""

    path: str
    source: bytes

    @property
    def digest(self) -> str:
        """The content's SHA-256, in hexadecimal digits."""
        return hashlib.sha256(self.source).hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a space of a user's own comes from.

    `where` is a file's path, or names a class or an entry point. `definition` is what has to be the same for the
    same name to mean the same networks: a file's SHA-256, that of an object's source, architectures and data sets,
    or the distribution's name and version.
    """

    kind: Literal["file", "object", "entry point"]
    where: str
    definition: str


@dataclass(frozen=True, slots=True)
class OwnSpace:
    """A space and where it comes from."""

    space: SearchSpace
    origin: Origin


_in_use: dict[SpaceFile, OwnSpace] = {}
_lent: dict[str, OwnSpace] = {}


def use(files: Iterable[SpaceFile], taken: Collection[str]) -> None:
    """Know the spaces of exactly these files from now on, after running those that are new.

    `taken` are the names that no file may give. Raises InputError, and changes nothing, where a file cannot be run,
    sets no `SPACE` that is a search space, or gives a name that is taken.
    """
    spaces: dict[SpaceFile, OwnSpace] = {}
    holders = dict.fromkeys(taken, "a space that comes with zcsr")
    for file in dict.fromkeys(files):
        own = spaces[file] = _in_use[file] if file in _in_use else _load(file)
        name, where = own.space.name, own.origin.where
        if name in holders:
            raise InputError(f"{where} names its space {name!r}, which is {holders[name]}; give it another name")
        holders[name] = f"that of {where} as well"
    _in_use.clear()
    _in_use.update(spaces)


def space_files() -> tuple[SpaceFile, ...]:
    """The files whose spaces are known, as `use_space_files` takes them: what a worker process has to be told."""
    return tuple(_in_use)


def lend(space: object, taken: Collection[str]) -> SearchSpace:
    """Know a space that a program made, in the place of one that was lent under its name before; return it.

    `taken` are the names that it may not have. Raises InputError where it is no search space.
    """
    found = check_members("the object", space)
    of_files = [own.space.name for own in _in_use.values()]
    if found.name in taken or found.name in of_files:
        other = "a space that comes with zcsr" if found.name in taken else "that of a space file in use"
        raise InputError(f"the space is named {found.name!r}, which is {other}; give it another name")
    kind = type(found)
    origin = Origin("object", f"the object of {kind.__module__}.{kind.__qualname__}", _content(found))
    _lent[found.name] = OwnSpace(found, origin)
    return found


def lent_spaces() -> tuple[SearchSpace, ...]:
    """The spaces that a program made: what a worker process has to be told besides the files."""
    return tuple(own.space for own in _lent.values())


def names() -> tuple[str, ...]:
    """The names of the spaces of the files in use, then of objects, then of the installed entry points."""
    of_files = [*(own.space.name for own in _in_use.values()), *_lent]
    return tuple(dict.fromkeys([*of_files, *sorted(entry.name for entry in entry_points(group=GROUP))]))


def find(name: str) -> OwnSpace | None:
    """The space of that name, of a file, an object or an entry point; InputError where that one is broken."""
    for own in _in_use.values():
        if own.space.name == name:
            return own
    return _lent.get(name) or _installed(name)


@contextmanager
def own_code(space: SearchSpace, arch: str) -> Iterator[None]:
    """Make one line of what a user's network raises in the body: an InputError that says which and where.

    Only for spaces of a user's own. Errors of zcsr pass as they are; so do those that only its code had a part in.
    """
    try:
        yield
    except ZcsrError:
        raise
    except Exception as error:
        own = find(space.name)
        known = own is not None and own.space is space
        failure = failure_in(f"{space.name}: the network {arch!r}", error) if known else None
        if failure is None:
            raise
        raise failure from error


def run_file(file: SpaceFile) -> ModuleType:
    """Run a file as a module of its own; it stays among the loaded ones, since dataclasses look theirs up."""
    name = f"zcsr_space_{file.digest[:16]}"
    loader = _Content(file)
    spec = spec_from_loader(name, loader)
    assert spec is not None  # the loader knows its file
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ZcsrError):
            raise InputError(_naming(file, error)) from error
        if isinstance(error, Exception | SystemExit):
            raise InputError(f"{file.path} cannot be run: {described(error)}") from error
        raise
    return module


def failure_in(what: str, error: Exception) -> InputError | None:
    """Return one line about an error of a user's code, with its place; None where zcsr's code alone raised it."""
    if all(_is_ours(frame) for frame, _ in traceback.walk_tb(error.__traceback__)):
        return None
    return InputError(f"{what} fails: {described(error)}")


@cache
def _installed(name: str) -> OwnSpace | None:
    entry = next(iter(entry_points(group=GROUP, name=name)), None)
    if entry is None:
        return None
    where = f"entry point {entry.name} = {entry.value}"
    try:
        space = check_members(where, entry.load()())
    except ZcsrError:
        raise
    except Exception as error:
        raise InputError(f"{where} cannot be loaded: {described(error)}") from error
    if space.name != name:
        raise InputError(f"{where} gives a space named {space.name!r}; both must have the same name")
    definition = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return OwnSpace(space, Origin("entry point", where, definition))


def _load(file: SpaceFile) -> OwnSpace:
    module = run_file(file)
    if not hasattr(module, VARIABLE):
        raise InputError(
            f"{file.path} sets no {VARIABLE}: end it with {VARIABLE} = zcsr.spaces.ListedSpace(name, archs, build, "
            "datasets)"
        )
    try:
        space = check_members(f"{VARIABLE} of {file.path}", getattr(module, VARIABLE))
    except InputError as error:
        raise InputError(_naming(file, error)) from None
    return OwnSpace(space, Origin("file", file.path, file.digest))


_LISTED = 100_000
"""Architectures of an object that its definition is made of, at most."""


def _content(space: SearchSpace) -> str:
    """SHA-256 of what an object says of itself: source, first architectures and data sets."""
    builder = getattr(space, "builder", None)
    digest = hashlib.sha256(repr(sorted(space.datasets.items())).encode())
    for code in (type(space), *((builder,) if callable(builder) else ())):
        digest.update(_source(code).encode())
    count = space_size(space)
    digest.update(repr((count, [space.arch(index) for index in range(min(count, _LISTED))])).encode())
    return digest.hexdigest()


def _source(code: Any) -> str:
    """The text of a class or function, or its name where there is no text, as of one typed at a prompt."""
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return f"{getattr(code, '__module__', '')}.{getattr(code, '__qualname__', type(code).__qualname__)}"


class _Content(SourceLoader):
    """Loads a module from a content at hand, without the file or a cache of bytecode."""

    def __init__(self, file: SpaceFile) -> None:
        self._file = file

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 - the interface's
        return self._file.path

    def get_data(self, path: str | bytes) -> bytes:
        if path != self._file.path:
            raise OSError(f"nothing is loaded from {path!r}")
        return self._file.source


def _naming(file: SpaceFile, error: ZcsrError) -> str:
    return str(error) if file.path in str(error) else f"{file.path}: {error}"


def described(error: BaseException) -> str:
    """The error's type and first line, and the user's line that it comes from."""
    message = str(error).strip().partition("\n")[0]
    kind = type(error).__name__
    place = users_place(error)
    return (f"{kind}: {message}" if message else kind) + (f" ({place})" if place else "")


def users_place(error: BaseException) -> str:
    """The name of a user's own file and the line in it that an error comes from; "" where none had a part."""
    if isinstance(error, SyntaxError):
        return ""  # its message names the line
    raised = traceback.walk_tb(error.__traceback__)
    lines = [(frame, line) for frame, line in raised if not _is_ours(frame) and not _is_installed(frame)]
    return f"{Path(lines[-1][0].f_code.co_filename).name}, line {lines[-1][1]}" if lines else ""


def _is_ours(frame: FrameType) -> bool:
    # By the module's name, as not all of zcsr's modules need lie in one folder.
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "zcsr"


def _is_installed(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(("<frozen", _STANDARD_LIBRARY)) or "site-packages" in file
