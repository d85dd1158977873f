"""Read large pickles of plain data step by step, in memory that the numbers nobody asks for do not fill.

A pickle is a program for a small machine. This module is that machine without the dangerous half: it makes dicts,
lists, tuples, sets, text, bytes and numbers, and of everything that a pickle can name it knows a plain set, an
OrderedDict (a dict here) and NumPy's scalar numbers. Nothing is imported and nothing of the file is ever called.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping
from mmap import mmap
from typing import Any

import numpy as np

from zcsr.errors import InputError

Shrink = Callable[[Any], None]
"""Takes out of a container, in place, what is not needed of it."""

_FLOAT = struct.Struct(">d").unpack_from
_INT = struct.Struct("<i").unpack_from
_SHORT = struct.Struct("<H").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_LONG_LENGTH = struct.Struct("<Q").unpack_from
_NUMBERS = frozenset({"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
_NO_TEXT = -1


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


_ADMITTED: Mapping[tuple[str, str], str] = {
    ("collections", "OrderedDict"): "dict",
    ("builtins", "set"): "set",
    ("__builtin__", "set"): "set",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("_codecs", "encode"): "encode",
}


class PickleReader:
    """Reads one pickle after the other from `data`, beginning at `position`; `name` is what an error calls it.

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
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.position = position
        self._data, self._name, self._report = data, name, report
        self._shrinking = shrinking or {}

    def read(self) -> Any:
        """The next value; InputError when it is no readable pickle or asks for anything but plain data."""
        try:
            return self._run()
        except _Refused as error:
            raise InputError(
                f"{self._name} is not read: {error}; only plain containers, text and numbers are"
            ) from error
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
            elif code in (0x71, 0x72, 0x94):  # BINPUT, LONG_BINPUT, MEMOIZE
                if code == 0x71:
                    index, at = data[at], at + 1
                elif code == 0x72:
                    index, at = _LENGTH(data, at)[0], at + 4
                else:
                    index = len(memo)
                if text_at == _NO_TEXT:
                    where = -1 - len(kept)
                    kept.append(stack[-1])
                else:
                    where = text_at
                _put(memo, index, where)
            elif code in (0x68, 0x6A):  # BINGET, LONG_BINGET
                if code == 0x68:
                    index, at = data[at], at + 1
                else:
                    index, at = _LENGTH(data, at)[0], at + 4
                where = memo[index]
                stack.append(kept[-1 - where] if where < 0 else _text(data, where)[0])
            elif code == 0x28:  # MARK
                marks.append(len(stack))
            elif code in (0x75, 0x73):  # SETITEMS, SETITEM
                begin = marks.pop() if code == 0x75 else len(stack) - 2
                self._set_items(stack, begin)
                if at - reported > 1 << 22 and self._report:
                    reported = at
                    self._report(at, end)
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
        elif code == 0x8A:  # LONG1
            stack.append(int.from_bytes(_slice(data, at + 1, data[at]), "little", signed=True))
            at += 1 + data[at]
        elif code in _BYTES:
            size, at = _size(data, at, _BYTES[code])
            stack.append(_slice(data, at, size))
            at += size
        elif code in (0x85, 0x86, 0x87):  # TUPLE1, TUPLE2, TUPLE3
            _close(stack, len(stack) - (code - 0x84), tuple)
        elif code == 0x74:  # TUPLE
            _close(stack, marks.pop(), tuple)
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
            stack.append(_named(module, name))
        elif code == 0x93:  # STACK_GLOBAL
            module, name = stack[-2:]
            stack[-2:] = [_named(module, name)]
        elif code == 0x52:  # REDUCE
            arguments = stack.pop()
            stack[-1] = _reduced(stack[-1], arguments)
        elif code == 0x62:  # BUILD
            state = stack.pop()
            _of_type(stack[-1], _Dtype).order = _order(state)
        elif code in (0x50, 0x51):  # PERSID, BINPERSID
            raise _Refused("it refers to something outside of it, as trained weights do")
        else:
            raise _Refused(f"it has the instruction {chr(code)!r}")
        return at


_CONSTANTS: Mapping[int, Any] = {0x4E: None, 0x88: True, 0x89: False, 0x29: ()}
_EMPTY: Mapping[int, Callable[[], Any]] = {0x5D: list, 0x7D: dict, 0x8F: set}
_KEYS = frozenset({str, int, float, bool, bytes, type(None)})
# Instructions that carry text or bytes, and how many bytes say how long these are.
_TEXTS: Mapping[int, int] = {0x58: 4, 0x8C: 1, 0x8D: 8}
_BYTES: Mapping[int, int] = {0x42: 4, 0x43: 1, 0x8E: 8, 0x54: 4, 0x55: 1}


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
    end = data.find(b"\n", at, at + 200)
    if end < 0:
        raise ValueError("it has a name without an end")
    return data[at:end].decode("utf-8"), end + 1


def _put(memo: array[int], index: int, where: int) -> None:
    if index > len(memo) + 1:  # Python 2 counts from 1
        raise _Refused("it numbers its objects beyond their count")
    while len(memo) <= index:
        memo.append(where)
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
        raise _Refused(f"it changes a {type(value).__name__.lstrip('_').lower()}")
    return value


def _named(module: Any, name: Any) -> _Name:
    admitted = _ADMITTED.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if admitted is None:
        raise _Refused(f"it asks for {module}.{name}")
    return _Name(admitted)


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
        case "dtype", (str(code), *_) if code in _NUMBERS:
            return _Dtype(code)
        case "scalar", (_Dtype() as dtype, bytes(content)):
            return np.frombuffer(content, dtype.order + dtype.code, count=1)[0].item()
        case "encode", (str(text), "latin1" | "latin-1"):
            return text.encode("latin-1")
    raise _Refused(f"it makes a {function.name} in an unknown form")


def _order(state: Any) -> str:
    match state:
        case (int(), str(order), None, None, None, *_) if order in ("|", "<", ">", "="):
            return order
    raise _Refused("it holds numbers in an unknown form")
