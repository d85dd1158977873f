"""Checksums of the files of a store: each in a small file of its own, `.<name>.sum` beside `<name>`.

It says what was written, SHA-256 and size, and before that what the file held formerly; its last line is a checksum
of the others, so that damage to it accuses nobody. It is put in place just before the file is:

    temporary file -> its checksum -> the file is renamed

A process that is killed in between leaves a checksum whose file is still what it was (which the checksum says as
well), or is not there yet while the temporary file is. A checksum that stands alone, without any of these, means
that its file is gone. A file without a checksum is of an earlier zcsr: it is read as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from zcsr.errors import StoreError

TEMPORARY_PREFIX = ".tmp-"
SUFFIX = ".sum"
_FORMER = 3
"""So many contents that a file had before are still known: writers that race replace each other's."""

_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}\d+-[0-9a-f]{{8}}-(.+)")
_LINE = re.compile(r"(sha256|head) ([0-9a-f]{64})(?: (\d+))?")
ADVICE = "restore it from a copy, or let `zcsr store repair` move it aside and say what to do"


class DamagedFile(StoreError):
    """A file of a store that is not what was written, or is gone; `words` say which, without its path."""

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its SHA-256 in hex, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a checksum says: what the file may hold, the newest first, and the hash of its head, if it has one."""

    contents: tuple[Content, ...]
    head: str = ""


# Names -----------------------------------------------------------------------------------------------------------


def temporary_path(path: Path) -> Path:
    """A fresh temporary name in the folder of `path`; nothing is created."""
    return path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def meant_for(temporary: Path) -> Path | None:
    """The path that a temporary name was made for; None for another name."""
    match = _TEMPORARY.fullmatch(temporary.name)
    return temporary.with_name(match[1]) if match else None


def sum_path(path: Path) -> Path:
    """Where the checksum of a file is."""
    return path.with_name(f".{path.name}{SUFFIX}")


def summed(name: str) -> str | None:
    """The name of the file whose checksum has that name; None for the name of anything else."""
    if name.startswith(TEMPORARY_PREFIX) or not (name.startswith(".") and name.endswith(SUFFIX)):
        return None
    return name[1 : -len(SUFFIX)] or None


# Writing ---------------------------------------------------------------------------------------------------------


def seal(temporary: Path, path: Path, head: str = "") -> None:
    """Put the checksum of a temporary file in place, which is about to be renamed to `path`.

    It is not flushed: after a crash of the machine it may be empty, which accuses nobody.
    """
    write_sum(path, Known((content_of(temporary), *_former(path))[: 1 + _FORMER], head))


def write_sum(path: Path, known: Known) -> None:
    """Write the checksum of a file, atomically."""
    target = sum_path(path)
    aside = temporary_path(target)
    try:
        aside.write_text(_text(path.name, known), encoding="utf-8")
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def withdraw(path: Path) -> None:
    """Remove the checksum of a file that is not there, whose writing is given up."""
    if not path.exists():
        sum_path(path).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file of a store, if it is there; its checksum goes first, so that nobody misses it."""
    sum_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def content_of(path: Path) -> Content:
    """What a file holds now."""
    with path.open("rb") as file:
        return _content(file)


def _content(file: io.BufferedReader | io.BytesIO) -> Content:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Content(digest, file.seek(0, os.SEEK_END))


def _former(path: Path) -> tuple[Content, ...]:
    known = None
    with suppress(DamagedFile):
        known = read_sum(path)
    if known is not None:
        return known.contents
    with suppress(FileNotFoundError):
        return (content_of(path),)
    return ()


def _text(name: str, known: Known) -> str:
    lines = [name, *(f"sha256 {one.sha256} {one.size}" for one in known.contents)]
    lines += [f"head {known.head}"] if known.head else []
    body = "".join(f"{line}\n" for line in lines)
    return f"{body}crc32 {zlib.crc32(body.encode()):08x}\n"


# Reading ---------------------------------------------------------------------------------------------------------


def read_sum(path: Path) -> Known | None:
    """What the checksum of a file says; None where it has none. Raises DamagedFile when it cannot be read."""
    target = sum_path(path)
    try:
        content = target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedFile(f"cannot read {target}: {error.strerror or error}") from error
    known = _parsed(path.name, content)
    if known is None:
        raise DamagedFile(f"cannot read {target}: it is no checksum of {path.name}")
    return known


def read_checked(path: Path) -> bytes:
    """The bytes of a file, once they are known to be what was written; OSError as of `open`.

    Raises DamagedFile where they are not. What this process found to be right is not hashed again.
    """
    while True:
        with path.open("rb") as file:
            seen = _identity(os.fstat(file.fileno()))
            content = file.read()
        if _is_right(path, seen, io.BytesIO(content)):
            return content


def check(path: Path) -> None:
    """Raise DamagedFile where a file is not what was written, and OSError as of `open`.

    What this process found to be right is not read again.
    """
    while True:
        with path.open("rb") as file:
            if _is_right(path, _identity(os.fstat(file.fileno())), file):
                return


def check_again(path: Path) -> None:
    """As `check`, whatever was found before."""
    _right.pop(path, None)
    check(path)


def is_there(path: Path) -> bool:
    """Whether there is such a file; DamagedFile where there was one, and nobody has taken it away properly."""
    if path.is_file():
        return True
    if is_gone(path):
        raise gone(path)
    return False


def heads(record: Path, rest: str) -> bool:
    """Whether a folder has its record; DamagedFile where only the rest of it is there, named by a pattern."""
    if is_there(record):
        return True
    if any(record.parent.glob(rest)) and not record.exists():
        raise gone(record)
    return False


def gone(path: Path) -> DamagedFile:
    """The error that a file is gone."""
    return DamagedFile(f"{path} is gone: {ADVICE}", "is gone")


def files_in(folder: Path, prefix: str = "", suffix: str = ".parquet") -> list[Path]:
    """The complete files of a folder whose names begin and end so, sorted. DamagedFile where one is gone."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    wanted = {name for name in names if not name.startswith(".")}.union(filter(None, map(summed, names)))
    paths = (folder / name for name in wanted if name.startswith(prefix) and name.endswith(suffix))
    return sorted(filter(is_there, paths))


_Identity: TypeAlias = tuple[int, int, int]

_right: dict[Path, _Identity] = {}
"""The files that this process found to be what was written, with that by which a change of one shows."""


def _identity(status: os.stat_result) -> _Identity:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_right(path: Path, seen: _Identity, file: io.BufferedReader | io.BytesIO) -> bool:
    """Whether a file is what was written; False where it changed meanwhile. DamagedFile where it is not."""
    if _right.get(path) == seen:
        return True
    known = _readable_sum(path)
    if known is None or _content(file) in known.contents:
        _right[path] = seen
        return True
    if _identity(path.stat()) != seen or _readable_sum(path) != known:
        return False
    was = known.contents[0].size
    how = f"its {was:,} bytes have changed" if seen[0] == was else f"{seen[0]:,} bytes, where {was:,} were written"
    raise DamagedFile(f"cannot read {path}: it is damaged ({how}): {ADVICE}", f"is damaged ({how})")


def _readable_sum(path: Path) -> Known | None:
    """What the checksum says; None as well where it is damaged itself, of which `zcsr store verify` tells."""
    try:
        return read_sum(path)
    except DamagedFile:
        return None


def is_gone(path: Path) -> bool:
    """Whether the checksum of a file stands alone.

    What speaks against it is looked at again at the end, as somebody may be writing meanwhile.
    """
    alone = sum_path(path).is_file() and not path.exists() and not _being_written(path)
    return alone and not path.exists() and sum_path(path).is_file()


def _being_written(path: Path) -> bool:
    return any(meant_for(aside) == path for aside in path.parent.glob(f"{TEMPORARY_PREFIX}*"))


def _parsed(name: str, content: bytes) -> Known | None:
    """What the text of a checksum says; None where it is none, or that of another file."""
    body, last, given = content.rpartition(b"crc32 ")
    if not last or given != f"{zlib.crc32(body):08x}\n".encode():
        return None
    try:
        first, *lines = body.decode().splitlines()
    except ValueError:
        return None
    matches = [_LINE.fullmatch(line) for line in lines]
    if first != name or not all(matches):
        return None
    told = [match.groups() for match in matches if match]
    contents = tuple(Content(digest, int(size)) for kind, digest, size in told if kind == "sha256")
    head = next((digest for kind, digest, _ in told if kind == "head"), "")
    return Known(contents, head) if contents else None
