"""Read pickles of plain data step by step, in memory that the numbers nobody asks for do not fill.

A pickle is a program for a small machine. This module is that machine without the dangerous half: it makes dicts,
lists, tuples, sets, text, bytes and numbers, and of everything that a pickle can name it knows a plain set, an
OrderedDict (a dict here) and NumPy's scalar numbers, or else NumPy's arrays of numbers. Nothing is imported and
nothing of the file is ever called.
"""

from __future__ import annotations

import codecs
import math
import struct
from array import array
from collections.abc import Callable, Mapping
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zcsr.engine.job import Progress, silent
from zcsr.errors import InputError

Shrink = Callable[[Any], None]
"""Takes out of a container, in place, what is not needed of it."""

_FLOAT = struct.Struct(">d").unpack_from
_INT = struct.Struct("<i").unpack_from
_SHORT = struct.Struct("<H").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_LONG_LENGTH = struct.Struct("<Q").unpack_from
_NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
_NO_TEXT = -1
_NOTHING = -(1 << 62)
_MOST_NUMBERED_AHEAD = 1 << 20
"""Objects whose numbers may be missing, as in pickles that were made smaller; each takes eight bytes."""

MAX_DEPTH = 32
"""Containers in each other, in a pickle with arrays."""


class _Refused(Exception):
    """The pickle asks for something that is not admitted."""


class _Name:
    """One of the few names that a pickle may bring up; what they do is `_reduced`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Dtype:
    """A number type under construction."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "<"


class _Array:
    """An array under construction."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] | None = None


_ALWAYS: Mapping[tuple[str, str], str] = {("numpy", "dtype"): "dtype", ("_codecs", "encode"): "encode"}
_ADMITTED: Mapping[tuple[str, str], str] = {
    **_ALWAYS,
    ("collections", "OrderedDict"): "dict",
    ("builtins", "set"): "set",
    ("__builtin__", "set"): "set",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
}
_ADMITTED_WITH_ARRAYS: Mapping[tuple[str, str], str] = {
    **_ALWAYS,
    ("numpy", "ndarray"): "ndarray",
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
}


def load_plain(path: Path) -> Any:
    """The value that a pickle holds: dict, list, tuple, set, str, bytes, int, float, bool, None, NumPy arrays.

    Text written by Python 2 comes back as bytes. Raises InputError when the file cannot be read, is no pickle, or
    asks for anything else; nothing of it has then been run.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return PickleReader(content, str(path), arrays=True).read()


class PickleReader:
    """Reads one pickle after the other from `data`, beginning at `position`; `name` is what an error calls it.

    With `arrays` it may hold arrays of numbers, in place of NumPy's scalars and of dicts and sets made by a call.
    A value that is put into a dict under a key of `shrinking` is handed to that key's function at once, so that the
    whole need not fit into memory.
    """

    def __init__(
        self,
        data: bytes | mmap,
        name: str,
        *,
        position: int = 0,
        shrinking: Mapping[str, Shrink] | None = None,
        arrays: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.position = position
        self._data, self._name, self._progress = data, name, progress
        self._arrays = arrays
        self._shrinking = shrinking or {}

    def read(self) -> Any:
        """The next value; InputError when it is no readable pickle or asks for anything but plain data."""
        try:
            value = self._run()
            return _finished(value, {}, 0) if self._arrays else value
        except _Refused as error:
            kinds = "text, numbers and arrays of numbers" if self._arrays else "text and numbers"
            raise InputError(f"{self._name} is not read: {error}; only plain containers, {kinds} are") from error
        except (IndexError, struct.error, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self._name} is no readable pickle: {error or type(error).__name__}") from error

    def _run(self) -> Any:  # one loop, because a call for each of a billion instructions takes hours
        data, at, end = self._data, self.position, len(self._data)
        stack: list[Any] = []
        marks: list[int] = []
        memo = array("q")  # where a text begins, or -1 - n for the n-th of `kept`
        kept: list[Any] = []
        text_at = _NO_TEXT
        reported = at
        while True:
            code = data[at]
            at += 1
            if code == 0x47:  # BINFLOAT
                stack.append(_FLOAT(data, at)[0])
                at += 8
            elif code == 0x4B:  # BININT1
                stack.append(data[at])
                at += 1
            elif code in _TEXTS:
                text_at = at - 1
                value, at = _text(data, text_at)
                stack.append(value)
            elif code in (0x71, 0x72, 0x94, 0x70):  # BINPUT, LONG_BINPUT, MEMOIZE, PUT
                if code == 0x71:
                    index, at = data[at], at + 1
                elif code == 0x72:
                    index, at = _LENGTH(data, at)[0], at + 4
                elif code == 0x94:
                    index = len(memo)
                else:
                    line, at = _line(data, at)
                    index = int(line)
                if text_at == _NO_TEXT:
                    where = -1 - len(kept)
                    kept.append(stack[-1])
                else:
                    where = text_at
                _put(memo, index, where)
            elif code in (0x68, 0x6A, 0x67):  # BINGET, LONG_BINGET, GET
                if code == 0x68:
                    index, at = data[at], at + 1
                elif code == 0x6A:
                    index, at = _LENGTH(data, at)[0], at + 4
                else:
                    line, at = _line(data, at)
                    index = int(line)
                where = memo[index]
                stack.append(kept[-1 - where] if where < 0 else _text(data, where)[0])
            elif code == 0x28:  # MARK
                marks.append(len(stack))
            elif code in (0x75, 0x73, 0x64):  # SETITEMS, SETITEM, DICT
                begin = len(stack) - 2 if code == 0x73 else marks.pop()
                if code == 0x64:
                    stack.insert(begin, {})
                    begin += 1
                self._set_items(stack, begin)
                if at - reported > 1 << 22:
                    reported = at
                    self._progress(at, end)
            elif code == 0x2E:  # STOP
                self.position = at
                return stack.pop()
            else:
                at = self._step(code, at, stack, marks)
            if code not in _TEXTS:
                text_at = _NO_TEXT

    def _set_items(self, stack: list[Any], begin: int) -> None:
        target = _of_type(stack[begin - 1], dict)
        items = stack[begin:]
        del stack[begin:]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is str and key in self._shrinking:
                self._shrinking[key](value)
            target[key if type(key) is str or type(key) is int else _plain_key(key)] = value

    def _step(self, code: int, at: int, stack: list[Any], marks: list[int]) -> int:
        """Carry out an instruction that is rarer than those of `_run`; returns where the next one is."""
        data = self._data
        if code in _CONSTANTS:
            stack.append(_CONSTANTS[code])
        elif code in _EMPTY:
            stack.append(_EMPTY[code]())
        elif code == 0x4A:  # BININT
            stack.append(_INT(data, at)[0])
            at += 4
        elif code == 0x4D:  # BININT2
            stack.append(_SHORT(data, at)[0])
            at += 2
        elif code in (0x8A, 0x8B):  # LONG1, LONG4
            size, at = _size(data, at, 1 if code == 0x8A else 4)
            stack.append(int.from_bytes(_slice(data, at, size), "little", signed=True))
            at += size
        elif code in _BYTES:
            size, at = _size(data, at, _BYTES[code])
            content = _slice(data, at, size)
            stack.append(bytearray(content) if code == 0x96 else content)
            at += size
        elif code in _LINES:
            line, at = _line(data, at)
            stack.append(_LINES[code](line))
        elif code == 0x30:  # POP
            (marks if marks and marks[-1] == len(stack) else stack).pop()
        elif code == 0x31:  # POP_MARK
            del stack[marks.pop() :]
        elif code == 0x32:  # DUP
            stack.append(stack[-1])
        elif code in (0x85, 0x86, 0x87):  # TUPLE1, TUPLE2, TUPLE3
            _close(stack, len(stack) - (code - 0x84), tuple)
        elif code == 0x74:  # TUPLE
            _close(stack, marks.pop(), tuple)
        elif code == 0x6C:  # LIST
            _close(stack, marks.pop(), list)
        elif code == 0x91:  # FROZENSET
            _close(stack, marks.pop(), lambda items: frozenset(map(_plain_key, items)))
        elif code in (0x61, 0x65):  # APPEND, APPENDS
            begin = marks.pop() if code == 0x65 else len(stack) - 1
            items = stack[begin:]
            del stack[begin:]
            _of_type(stack[-1], list).extend(items)
        elif code == 0x90:  # ADDITEMS
            begin = marks.pop()
            items = stack[begin:]
            del stack[begin:]
            _of_type(stack[-1], set).update(map(_plain_key, items))
        elif code == 0x80:  # PROTO
            if data[at] > 5:
                raise _Refused(f"it is written in protocol {data[at]}")
            at += 1
        elif code == 0x95:  # FRAME
            at += 8
        elif code == 0x63:  # GLOBAL
            module, at = _line(data, at)
            name, at = _line(data, at)
            stack.append(self._named(module, name))
        elif code == 0x93:  # STACK_GLOBAL
            module, name = stack[-2:]
            stack[-2:] = [self._named(module, name)]
        elif code == 0x52:  # REDUCE
            arguments = stack.pop()
            stack[-1] = _reduced(stack[-1], arguments)
        elif code == 0x62:  # BUILD
            state = stack.pop()
            _build(stack[-1], state)
        elif code in (0x50, 0x51):  # PERSID, BINPERSID
            raise _Refused("it refers to something outside of it, as trained weights do")
        else:
            raise _Refused(f"it has the instruction {chr(code)!r}")
        return at

    def _named(self, module: Any, name: Any) -> _Name:
        admitted = _ADMITTED_WITH_ARRAYS if self._arrays else _ADMITTED
        found = admitted.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if found is None:
            raise _Refused(f"it asks for {module}.{name}")
        return _Name(found)


_CONSTANTS: Mapping[int, Any] = {0x4E: None, 0x88: True, 0x89: False, 0x29: ()}
_EMPTY: Mapping[int, Callable[[], Any]] = {0x5D: list, 0x7D: dict, 0x8F: set}
_KEYS = frozenset({str, int, float, bool, bytes, type(None)})
# Instructions that carry text or bytes, and how many bytes say how long these are.
_TEXTS: Mapping[int, int] = {0x58: 4, 0x8C: 1, 0x8D: 8}
_BYTES: Mapping[int, int] = {0x42: 4, 0x43: 1, 0x8E: 8, 0x54: 4, 0x55: 1, 0x96: 8}


def _text(data: bytes | mmap, at: int) -> tuple[str, int]:
    """The text whose instruction is at a position, and the position after it."""
    size, begin = _size(data, at + 1, _TEXTS[data[at]])
    return _slice(data, begin, size).decode("utf-8", "surrogatepass"), begin + size


def _size(data: bytes | mmap, at: int, width: int) -> tuple[int, int]:
    if width == 1:
        return data[at], at + 1
    return (_LENGTH if width == 4 else _LONG_LENGTH)(data, at)[0], at + width


def _slice(data: bytes | mmap, begin: int, size: int) -> bytes:
    if begin + size > len(data):
        raise ValueError("it ends too early")
    return data[begin : begin + size]


def _line(data: bytes | mmap, at: int) -> tuple[str, int]:
    end = data.find(b"\n", at)
    if end < 0:
        raise ValueError("it has a line without an end")
    return data[at:end].decode("latin-1"), end + 1


def _whole(line: str) -> int | bool:
    return line == "01" if line in ("00", "01") else int(line, 0)


def _quoted(line: str) -> bytes:
    if len(line) < 2 or line[0] != line[-1] or line[0] not in "'\"":
        raise ValueError("it has a text without quotes")
    return codecs.escape_decode(line[1:-1].encode("latin-1"))[0]


def _unicode(line: str) -> str:
    return line.encode("latin-1").decode("raw-unicode-escape")


# Instructions of the oldest protocol, whose value is a line of text: INT, LONG, FLOAT, STRING, UNICODE.
_LINES: Mapping[int, Callable[[str], Any]] = {
    0x49: _whole,
    0x4C: lambda line: int(line.removesuffix("L"), 0),
    0x46: float,
    0x53: _quoted,
    0x56: _unicode,
}


def _put(memo: array[int], index: int, where: int) -> None:
    if not 0 <= index <= max(len(memo) + 1, _MOST_NUMBERED_AHEAD):  # Python 2 counts from 1
        raise _Refused("it numbers its objects beyond their count")
    while len(memo) <= index:
        memo.append(_NOTHING)
    memo[index] = where


def _close(stack: list[Any], begin: int, container: Callable[[list[Any]], Any]) -> None:
    if begin < 0:
        raise ValueError("it takes more values than there are")
    stack[begin:] = [container(stack[begin:])]


def _plain_key(key: Any) -> Any:
    """A key or member as it is; hashing tuples within tuples could exhaust the processor's stack."""
    parts = key if type(key) is tuple else (key,)
    if any(type(part) not in _KEYS for part in parts):
        raise _Refused("it has a key or a member that is neither text, a number, nor a tuple of them")
    return key


def _of_type(value: Any, wanted: type) -> Any:
    if type(value) is not wanted:
        raise _Refused(f"it changes a {_kind(value)}")
    return value


def _reduced(function: Any, arguments: Any) -> Any:
    if type(function) is not _Name or type(arguments) is not tuple:
        raise _Refused("it calls something that is no function")
    match function.name, arguments:
        case ("dict", ()) | ("set", ()):
            return {} if function.name == "dict" else set()
        case "dict", (list(pairs),):
            return {_plain_key(key): value for key, value in pairs}
        case "set", (list(items),):
            return set(map(_plain_key, items))
        case "dtype", (code, *_) if _ascii(code) in _NUMBERS:
            return _Dtype(_ascii(code))
        case "array", _:
            return _Array()
        case "scalar", (_Dtype() as dtype, bytes(content)):
            return np.frombuffer(content, dtype.order + dtype.code, count=1)[0].item()
        case "encode", (str(text), "latin1" | "latin-1"):
            return text.encode("latin-1")
    raise _Refused(f"it makes a {function.name} in an unknown form")


def _build(target: Any, state: Any) -> None:
    match target, state:
        case _Dtype(), (int(), order, None, None, None, *_) if _ascii(order) in ("|", "<", ">", "="):
            target.order = _ascii(order)
        case _Dtype(), _:
            raise _Refused("it holds numbers in an unknown form")
        case _Array(), (_, tuple(shape), _Dtype() as dtype, by_columns, bytes(content)):
            target.array = _array(shape, np.dtype(dtype.order + dtype.code), bool(by_columns), content)
        case _Array(), _:
            raise _Refused("it holds an array of something else than numbers")
        case _:
            raise _Refused(f"it changes a {_kind(target)}")


def _array(shape: tuple[Any, ...], dtype: np.dtype[Any], by_columns: bool, content: bytes) -> npt.NDArray[Any]:
    if not all(type(side) is int and side >= 0 for side in shape):
        raise _Refused("it holds an array of an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise _Refused("it holds an array whose bytes do not fit its shape")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _ascii(value: Any) -> str:
    """Text as it is, and bytes, which Python 2 wrote for text, as text; nothing for anything else."""
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _kind(value: Any) -> str:
    return type(value).__name__.lstrip("_").lower()


def _finished(value: Any, done: dict[int, Any], depth: int) -> Any:
    """The value with arrays put in for what they were built in; what is shared stays shared."""
    if value is None or type(value) in (str, bytes, bytearray, int, float, bool):
        return value
    if depth > MAX_DEPTH:
        raise _Refused(f"its containers are nested more than {MAX_DEPTH} deep")
    if id(value) not in done:
        done[id(value)] = _finished_container(value, done, depth + 1)
    return done[id(value)]


def _finished_container(value: Any, done: dict[int, Any], depth: int) -> Any:
    if isinstance(value, _Array) and value.array is not None:
        return value.array
    if type(value) is dict:
        return {key: _finished(item, done, depth) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_finished(item, done, depth) for item in value)
    raise _Refused(f"it holds a {_kind(value)} by itself")
