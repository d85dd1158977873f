"""A network of a user's own, from a function in a Python file that the user names, which is run.

As with space files, the user's naming it is what lets the file run; nothing in a store does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from zcsr.errors import InputError, ZcsrError
from zcsr.networks.initialisation import seeded
from zcsr.spaces import SpaceFile, own


def load_network(reference: str) -> nn.Module:
    """Run the file of `path/to/file.py:function`, call the function without arguments, and return its network.

    Files beside it can be imported, as they can when Python runs it. torch's generator is seeded meanwhile, so that
    the same file gives the same weights, and is left as it was.
    Raises InputError, of one line that names the file and the line in it, for a reference of another form, a file
    that cannot be read or run, and a function that fails or gives anything but a torch module.
    """
    path, name = _parts(reference)
    file = _read(path)
    with seeded(), users_code(reference), _importing_from(path.absolute().parent):
        function = _function(own.run_file(file), name, path)
        network = function()
    if not isinstance(network, nn.Module):
        raise InputError(
            f"{reference} gives a {type(network).__name__}, not a torch module: let it return the network"
        )
    return network


@contextmanager
def users_code(reference: str) -> Iterator[None]:
    """Make one line of what the code of a user's network raises in the body: an InputError that says where.

    Errors of zcsr pass as they are; so do those that only its code had a part in.
    """
    try:
        yield
    except ZcsrError:
        raise
    except Exception as error:
        failure = own.failure_in(reference, error)
        if failure is None:
            raise
        raise failure from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _parts(reference: str) -> tuple[Path, str]:
    path, _, name = reference.rpartition(":")
    if not (path.endswith(".py") and name.isidentifier()):
        raise InputError(
            f"a network is named by a Python file and the function in it that builds it, as in net.py:build, "
            f"not {reference!r}"
        )
    return Path(path), name


def _read(path: Path) -> SpaceFile:
    try:
        return SpaceFile(str(path.absolute()), path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _function(module: Any, name: str, path: Path) -> Any:
    function = getattr(module, name, None)
    if not callable(function):
        functions = [
            member
            for member, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        there = f"it has {', '.join(functions)}" if functions else "it has none"
        raise InputError(f"{path} has no function {name!r}: {there}; give one that takes nothing")
    return function
