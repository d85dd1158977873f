"""Read pickles of plain data step by step, in memory that the numbers nobody asks for do not fill.

A pickle is a program for a small machine. This module is that machine without the dangerous half: it makes dicts,
lists, tuples, sets, text, bytes and numbers, and of everything that a pickle can name it knows a plain set, an
OrderedDict (a dict here) and NumPy's scalar numbers, or else NumPy's arrays of numbers. Nothing is imported and
nothing of the file is ever called.
"""

from __future__ import annotations

import codecs
import io
import math
import pickletools
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zcsr.engine.job import Progress, silent
from zcsr.errors import InputError
from zcsr.store.importers.limits import content_of

Shrink = Callable[[Any], None]
"""Takes out of a container, in place, what is not needed of it."""

_NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
_KEYS = frozenset({str, int, float, bool, bytes, type(None)})
_NOTHING = -(1 << 62)
_MOST_NUMBERED_AHEAD = 1 << 20
"""Objects whose numbers may be missing, as in pickles that were made smaller; each takes eight bytes."""

_LONGEST = 100
"""Letters of a name that a message shows."""

MAX_DEPTH = 32
"""Containers in each other, in a pickle with arrays."""


class _Refused(Exception):
    """The pickle asks for something that is not admitted."""


@dataclass(slots=True)
class _Name:
    """One of the few names that a pickle may bring up; what they do is `_reduced`."""

    name: str


@dataclass(slots=True)
class _Dtype:
    """A number type under construction."""

    code: str
    order: str = "<"


@dataclass(slots=True)
class _Array:
    """An array under construction."""

    array: npt.NDArray[Any] | None = None


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
    return PickleReader(content_of(path), str(path), arrays=True).read()


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
        self._data, self._name, self._progress = data, name, progress
        self._stream: Any = io.BytesIO(data) if isinstance(data, bytes) else data
        self._stream.seek(position)
        self._arrays = arrays
        self._shrinking = shrinking or {}

    def read(self) -> Any:
        """The next value; InputError when it is no readable pickle or asks for anything but plain data."""
        self._stack: list[Any] = []
        self._marks: list[int] = []  # how much lies on the stack below each
        self._memo = array("q")  # where a text begins, or -1 - n for the n-th of `kept`
        self._kept: list[Any] = []
        try:
            value = self._run()
            return _finished(value, {}, 0) if self._arrays else value
        except _Refused as error:
            kinds = "text, numbers and arrays of numbers" if self._arrays else "text and numbers"
            raise InputError(f"{self._name} is not read: {error}; only plain containers, {kinds} are") from error
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self._name} is no readable pickle: {error or type(error).__name__}") from error

    def _run(self) -> Any:  # does what it can without a call: there are a billion instructions in a file
        stream, read, push = self._stream, self._stream.read, self._stack.append
        self._previous = at = reported = stream.tell()
        while code := read(1):
            if code == b".":
                return self._stack.pop()
            name, argument, is_value = _INSTRUCTIONS.get(code) or (repr(code.decode("latin-1")), None, False)
            value = argument(stream) if argument else None
            if is_value:
                push(value)
            else:
                self._carry_out(name, value)
            self._previous, at = at, stream.tell()
            if at - reported > 1 << 22:
                reported = at
                self._progress(at, len(self._data))
        raise ValueError("it ends too early")

    def _popped(self, count: int | None = None) -> list[Any]:
        """So many values from the top of the stack, or all above the last mark, which goes with them."""
        begin = self._marks.pop() if count is None else len(self._stack) - count
        if begin < 0:
            raise ValueError("it takes more values than there are")
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _put(self, index: int) -> None:
        memo, there = self._memo, len(self._memo)
        if not 0 <= index <= max(there + 1, _MOST_NUMBERED_AHEAD):  # Python 2 counts from 1
            raise _Refused("it numbers its objects beyond their count")
        memo.extend([_NOTHING] * (index + 1 - there))
        if self._data[self._previous] in _TEXTS:
            memo[index] = self._previous
        else:
            memo[index] = -1 - len(self._kept)
            self._kept.append(self._stack[-1])

    def _got(self, index: int) -> Any:
        where = self._memo[index]
        if where < 0:
            return self._kept[-1 - where]
        here = self._stream.tell()
        self._stream.seek(where + 1)
        text = _TEXTS[self._data[where]](self._stream)
        self._stream.seek(here)
        return text

    def _set_items(self, items: list[Any]) -> None:
        target = _of_type(self._stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is str and key in self._shrinking:
                self._shrinking[key](value)
            target[key if type(key) is str or type(key) is int else _plain_key(key)] = value

    def _named(self, module: Any, name: Any) -> _Name:
        admitted = _ADMITTED_WITH_ARRAYS if self._arrays else _ADMITTED
        found = admitted.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if found is None:
            raise _Refused(f"it asks for {ascii(f'{module}.{name}'[:_LONGEST])[1:-1]}")
        return _Name(found)

    def _carry_out(self, name: str, value: Any) -> None:
        """Carry out an instruction that does more than to push what is read with it."""
        match name:
            case "MARK":
                self._marks.append(len(self._stack))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._put(value)
            case "MEMOIZE":
                self._put(len(self._memo))
            case "GET" | "BINGET" | "LONG_BINGET":
                self._stack.append(self._got(value))
            case "SETITEM":
                self._set_items(self._popped(2))
            case "SETITEMS":
                self._set_items(self._popped())
            case "DICT":
                items = self._popped()
                self._stack.append({})
                self._set_items(items)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._stack.append(tuple(self._popped(int(name[-1]))))
            case "TUPLE":
                self._stack.append(tuple(self._popped()))
            case "LIST":
                self._stack.append(self._popped())
            case "FROZENSET":
                self._stack.append(frozenset(map(_plain_key, self._popped())))
            case "APPEND" | "APPENDS":
                items = self._popped(1 if name == "APPEND" else None)
                _of_type(self._stack[-1], list).extend(items)
            case "ADDITEMS":
                items = self._popped()
                _of_type(self._stack[-1], set).update(map(_plain_key, items))
            case "POP":
                (self._marks if self._marks and self._marks[-1] == len(self._stack) else self._stack).pop()
            case "POP_MARK":
                self._popped()
            case "DUP":
                self._stack.append(self._stack[-1])
            case "GLOBAL":
                self._stack.append(self._named(*value.split(" ", 1)))
            case "STACK_GLOBAL":
                self._stack.append(self._named(*self._popped(2)))
            case "REDUCE":
                self._stack.append(_reduced(*self._popped(2)))
            case "BUILD":
                (state,) = self._popped(1)
                _build(self._stack[-1], state)
            case "PROTO" if value > 5:
                raise _Refused(f"it is written in protocol {value}")
            case "PROTO" | "FRAME":
                pass
            case "PERSID" | "BINPERSID":
                raise _Refused("it refers to something outside of it, as trained weights do")
            case _:
                raise _Refused(f"it has the instruction {name}")


_Reader = Callable[[Any], Any]

_OWN_READERS: Mapping[str, _Reader] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    "EMPTY_SET": lambda _: set(),
    # Text written by Python 2, of which pickletools makes str
    "STRING": lambda stream: codecs.escape_decode(pickletools.read_stringnl(stream, decode=False))[0],
    "BINSTRING": pickletools.read_bytes4,
    "SHORT_BINSTRING": pickletools.read_bytes1,
}
_VALUES = {
    *_OWN_READERS,
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_INSTRUCTIONS: Mapping[bytes, tuple[str, _Reader | None, bool]] = {
    one.code.encode("latin-1"): (
        one.name,
        _OWN_READERS.get(one.name, one.arg.reader if one.arg else None),
        one.name in _VALUES,
    )
    for one in pickletools.opcodes
}
"""By its byte, the name of an instruction, what reads its argument, and whether it only pushes that."""

_TEXTS: Mapping[int, _Reader] = {
    ord("X"): pickletools.read_unicodestring4,
    0x8C: pickletools.read_unicodestring1,
    0x8D: pickletools.read_unicodestring8,
}


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
