"""A program as JSON, written and strictly read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zcsr.errors import ProgramError
from zcsr.language.languages import EZNAS
from zcsr.language.program import MAX_HEIGHT, Node, Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse

FORMAT = 1
"""The version of the JSON form."""

_KEYS = ("format", "program", "to_scalar", "aggregation", "tree")


def to_json(program: Program) -> str:
    """Return the JSON form, which `from_json` reads back: the text, the two steps after it, and the nested tree.

    A node of the tree is `{"op": NAME, "args": [...]}` or `{"tensor": NAME}`.
    """
    content = {
        "format": FORMAT,
        "program": str(program),
        "to_scalar": program.to_scalar,
        "aggregation": program.aggregation,
        "tree": program.expression.fold(
            lambda tensor: {"tensor": tensor.name},
            lambda operation, *args: {"op": operation.name, "args": list(args)},
        ),
    }
    return json.dumps(content, indent=2) + "\n"


def from_json(text: str) -> Program:
    """Return the program that a text of `to_json` stands for.

    Raises `ProgramError` for what is no such text: other JSON, keys missing, unknown or given twice, names or
    numbers of arguments that do not exist, and a tree that is not the one that `program` spells.
    """
    content = _object(text)
    _check_keys("the program", content, _KEYS)
    if content["format"] != FORMAT or isinstance(content["format"], bool):
        raise ProgramError(
            f"a program in JSON has format {FORMAT}, this one {content['format']!r}: export it again"
        )
    program = EZNAS.program(_node(content["tree"], 0), content["to_scalar"], content["aggregation"])
    if not isinstance(content["program"], str) or parse(content["program"]) != program:
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
        raise ProgramError(f"a program in JSON is an object with {', '.join(_KEYS)}, not {_kind(content)}")
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
    keys = ("tensor",) if "tensor" in content else ("op", "args")
    _check_keys("a node", content, keys)
    name, args = content[keys[0]], content.get("args", [])
    if not isinstance(name, str) or not isinstance(args, list):
        raise ProgramError(
            f"a node in JSON has a text as its {keys[0]} and a list as its args, not {content!r:.60}"
        )
    if ("tensor" in content) != (name in TENSOR_NAMES):
        raise ProgramError(f"unknown {keys[0]} {name!r}: `zcsr operations` lists the operations and tensors")
    return EZNAS.node(name, *(_node(arg, depth + 1) for arg in args))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a truth value"}
    return names.get(type(value), "a number")
