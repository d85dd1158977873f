"""A program as JSON, written and strictly read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from zcsr.errors import ProgramError
from zcsr.language.languages import ZCSR
from zcsr.language.network_operations import Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import MAX_HEIGHT, Node, Program, Word
from zcsr.language.tensors import Tensor
from zcsr.language.text import parse
from zcsr.proxies import language

FORMATS: Mapping[int, tuple[str, ...]] = {
    1: ("format", "program", "to_scalar", "aggregation", "tree"),
    2: ("format", "program", "tree"),
}
"""The versions of the JSON form with their keys: of programs that end in the paper's steps, and of all others."""


def to_json(program: Program) -> str:
    """Return the JSON form, which `from_json` reads back: the text, the steps after it if any, and the nested tree.

    A node of the tree is `{"op": NAME, "args": [...]}`, `{"tensor": NAME}`, `{"known": NAME}` or
    `{"constant": NUMBER}`.
    """
    content: dict[str, Any] = {"format": 1 if program.has_steps else 2, "program": str(program)}
    if program.has_steps:
        content |= {"to_scalar": program.to_scalar, "aggregation": program.aggregation}
    tree = program.expression if program.has_steps else program.root
    content["tree"] = tree.fold(_leaf, lambda operation, *args: {"op": operation.name, "args": list(args)})
    return json.dumps(content, indent=2) + "\n"


def _leaf(word: Tensor | Constant | Known) -> dict[str, Any]:
    if isinstance(word, Constant):
        return {"constant": word.value}
    return {"tensor" if isinstance(word, Tensor) else "known": word.name}


def from_json(text: str) -> Program:
    """Return the program that a text of `to_json` stands for.

    Raises `ProgramError` for what is no such text: other JSON, keys missing, unknown or given twice, names or
    numbers of arguments that do not exist, and a tree that is not the one that `program` spells.
    """
    content = _object(text)
    version = content.get("format", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version not in FORMATS:
        known = " or ".join(map(str, FORMATS))
        raise ProgramError(f"a program in JSON has format {known}, this one {version!r}: export it again")
    _check_keys("the program", content, FORMATS[version])
    tree = _node(content["tree"], 0)
    program = ZCSR.program(tree, content["to_scalar"], content["aggregation"]) if version == 1 else Program(tree)
    if not isinstance(content["program"], str) or parse(content["program"], language()) != program:
        raise ProgramError(
            f"the JSON contradicts itself: its tree is {program}, its program {content['program']!r}; "
            "mend one of them, or export it again"
        )
    return program


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ProgramError(f"this is no JSON of a program: {reason}") from None
    if not isinstance(content, dict):
        raise ProgramError(f"a program in JSON is an object with {', '.join(FORMATS[1])}, not {_kind(content)}")
    return content


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return content


def _check_keys(what: str, content: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in content]
    unknown = [key for key in content if key not in keys]
    if missing or unknown:
        seen = ", ".join([f"lacks {key}" for key in missing] + [f"has {key}" for key in unknown])
        raise ProgramError(f"{what} in JSON has the keys {', '.join(keys)}; this one {seen}")


def _node(content: Any, depth: int) -> Node:
    if not isinstance(content, dict):
        raise ProgramError(
            f'a node in JSON is {{"op": NAME, "args": [...]}} or {{"tensor": NAME}}, not {_kind(content)}'
        )
    if depth > MAX_HEIGHT:
        raise ProgramError(f"operations are nested deeper in this JSON than the {MAX_HEIGHT} that are allowed")
    keys = next(((kind,) for kind in _LEAVES if kind in content), ("op", "args"))
    _check_keys("a node", content, keys)
    name, args = content[keys[0]], content.get("args", [])
    if keys == ("constant",):
        return _constant(name)
    if not isinstance(name, str) or not isinstance(args, list):
        raise ProgramError(
            f"a node in JSON has a text as its {keys[0]} and a list as its args, not {content!r:.60}"
        )
    word = language().words.get(name)
    if (word is None and keys != ("op", "args")) or (word is not None and keys[0] != _kind_of(word)):
        raise ProgramError(f"unknown {keys[0]} {name!r}: `zcsr operations` lists the operations and tensors")
    return language().node(name, *(_node(arg, depth + 1) for arg in args))


_LEAVES = ("tensor", "known", "constant")


def _kind_of(word: Word) -> str:
    return "op" if isinstance(word, Operation) else next(iter(_leaf(word)))


def _constant(value: Any) -> Node:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ProgramError(f"a constant in JSON is a finite number, not {value!r:.60}")
    return ZCSR.constant(float(value))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
    return names.get(type(value), "a number")
