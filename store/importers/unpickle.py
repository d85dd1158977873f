"""Read the pickles that public image sets come in, without running anything that they ask for.

Admitted are plain containers, text, bytes and numbers, and the four names by which NumPy writes an array of
numbers. Even those names stand for functions of this module, which check what they are given and build the array
from its bytes; no function of NumPy, and none of any other module, is ever called with what the file says.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from zcsr.errors import InputError

MAX_DEPTH = 32

_REFUSED_OPCODES = frozenset(
    {"EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID"}
    | {"NEXT_BUFFER", "READONLY_BUFFER"}
)
_MEMO_OPCODES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_NUMBER_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")


def load_plain(path: Path) -> Any:
    """The value that a pickle holds: dict, list, tuple, set, str, bytes, int, float, bool, None, NumPy arrays.

    Text written by Python 2 comes back as bytes. Raises InputError when the file cannot be read, is no pickle, or
    asks for anything else; nothing of it has then been run.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return loads_plain(content, str(path))


def loads_plain(content: bytes, name: str = "the pickle") -> Any:
    """The same as `load_plain`, for the bytes of a pickle; `name` is what an error calls them."""
    try:
        _check_opcodes(content)
        value = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
        return _finished(value, {}, 0)
    except _Refused as error:
        raise InputError(
            f"{name} is not read: {error}; only plain containers, text, numbers and arrays of numbers are"
        ) from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{name} is no readable pickle: {error or type(error).__name__}") from error


class _Refused(Exception):
    """The pickle asks for something that is not admitted."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        function = _ADMITTED.get((module, name))
        if function is None:
            raise _Refused(f"it asks for {module}.{name}")
        return _Admitted(function)

    def persistent_load(self, _identifier: Any) -> Any:
        raise _Refused("it refers to an object outside of the file")


class _Admitted:
    """What a name in the pickle stands for. A fresh one each time, so that a pickle can change nothing lasting."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise _Refused("it sets the state of a function")


class _Dtype:
    """A number type under construction."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "|"

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) >= 5 and state[2:5] == (None, None, None)):
            raise _Refused("it holds an array of records")
        order = _text(state[1])
        if order not in ("|", "<", ">", "="):
            raise _Refused(f"it holds an array of byte order {order!r}")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """An array under construction."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise _Refused("it holds an array in an unknown form")
        _version, shape, dtype, by_columns, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise _Refused("it holds an array of something else than numbers")
        if not (isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)):
            raise _Refused("it holds an array of an impossible shape")
        if math.prod(shape) * dtype.dtype().itemsize != len(content):
            raise _Refused("it holds an array whose bytes do not fit its shape")
        order: Any = "F" if by_columns else "C"
        self.array = np.frombuffer(content, dtype.dtype()).reshape(shape, order=order)


def _array_type(*_arguments: Any) -> Any:
    raise _Refused("it calls numpy.ndarray")


def _reconstruct(*_type_shape_and_code: Any) -> _Array:
    return _Array()


def _dtype(code: Any, *_align_and_copy: Any) -> _Dtype:
    text = _text(code)
    if not _NUMBER_DTYPE.fullmatch(text):
        raise _Refused(f"it holds an array of type {text!r}")
    return _Dtype(text)


def _encode(text: Any, encoding: Any) -> bytes:
    # What Python 3 writes for bytes in the protocols that Python 2 reads.
    if not isinstance(text, str) or _text(encoding) not in ("latin1", "latin-1"):
        raise _Refused("it encodes something else than bytes")
    return text.encode("latin-1")


_ADMITTED: Mapping[tuple[str, str], Callable[..., Any]] = MappingProxyType(
    {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _array_type,
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): _encode,
    }
)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise _Refused(f"it has {type(value).__name__} where text belongs")


def _check_opcodes(content: bytes) -> None:
    """Refuse instructions that no plain pickle has, and places in the memo that would only exhaust memory."""
    highest = 0
    count = 0
    for opcode, argument, _position in pickletools.genops(content):
        count += 1
        if opcode.name in _REFUSED_OPCODES:
            raise _Refused(f"it has the instruction {opcode.name}")
        if opcode.name in _MEMO_OPCODES and argument is not None:
            highest = max(highest, int(argument))
    if highest > count:
        raise _Refused("it numbers its objects beyond their count")


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
        return {_finished(key, done, depth): _finished(item, done, depth) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_finished(item, done, depth) for item in value)
    raise _Refused(f"it holds a {type(value).__name__.lstrip('_').lower()} by itself")
