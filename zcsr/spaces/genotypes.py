"""Genotypes as DARTS and its successors print them, read as plain data: the text of two cells, without a size.

`Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=[2, 3, 4, 5])`
"""

from __future__ import annotations

import ast
import re
from typing import Any

from zcsr.errors import InputError
from zcsr.spaces.nds import arch_of

_STACK = re.compile(r";\s*width=(\d{1,6})\s*;\s*depth=(\d{1,6})\s*")
_MOST_NODES = 64


def is_genotype(text: str) -> bool:
    """Whether a text is meant as a genotype."""
    return text.lstrip().startswith("Genotype(")


def arch_of_genotype(text: str, width: int | None = None, depth: int | None = None) -> str:
    """The architecture string, as `zcsr.spaces.nds_genotype` has it, of a genotype.

    `width` (channels) and `depth` (cells) are those of the network, unless `;width=36;depth=20` follows the text.
    Whether a space has the architecture is for its `index` to say. Raises InputError where the text is of another
    form, and where nothing says the size.
    """
    cells, stack = _parted(text)
    genotype = _read(cells)
    width, depth = stack or (width, depth)
    if width is None or depth is None:
        raise InputError(
            "a genotype names two cells and no size: say --width and --depth, such as 36 and 20 for the networks "
            "that DARTS evaluates on CIFAR-10, or write ;width=36;depth=20 behind it"
        )
    return arch_of({"genotype": genotype, "width": width, "depth": depth})


def _parted(text: str) -> tuple[str, tuple[int, int] | None]:
    cells, closing, rest = text.strip().rpartition(")")
    found = _STACK.fullmatch(rest)
    if rest and not found:
        raise InputError(f"behind a genotype stands ;width=36;depth=20 or nothing, not {rest!r}")
    return cells + closing, (int(found[1]), int(found[2])) if found else None


def _read(text: str) -> dict[str, Any]:
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and not call.args and all(one.arg for one in call.keywords):
            return {str(one.arg): _value(one.value) for one in call.keywords}
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        pass
    raise InputError(
        f"cannot read the genotype {text[:60]!r}: it is written Genotype(normal=[(OPERATION, INPUT), ...], "
        "normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))"
    )


def _value(node: ast.expr) -> list[Any]:
    """A list of plain values, a tuple of which is a list as well, or the numbers of a range."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        start, end = (ast.literal_eval(one) for one in node.args)
        if type(start) is int and type(end) is int and 0 <= end - start <= _MOST_NODES:
            return list(range(start, end))
        raise ValueError("no range of nodes")
    return [list(one) if isinstance(one, tuple) else one for one in ast.literal_eval(node)]
