"""The text form of a network of cells: two cells, and how wide and how deep they are stacked.

`normal=OP~INPUT,...;normal_concat=NODE,...;reduce=...;reduce_concat=...;width=W;depth=D`. Inputs 0 and 1 of a cell
are the outputs of the two cells before it; its own nodes are numbered from 2. Each node is the sum of two edges,
which stand one after the other; the cell's output concatenates the nodes that `concat` lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from zcsr.errors import InputError, nearest

INPUTS = 2
"""Outputs of earlier cells that a cell takes; its own nodes are numbered from here."""

Output = Literal["all", "loose"]
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat", "width", "depth")


class Edge(NamedTuple):
    """An operation on an input or an earlier node."""

    operation: str
    source: int

    def __str__(self) -> str:
        return f"{self.operation}~{self.source}"


Pair = tuple[Edge, Edge]
Cell = tuple[Pair, ...]
"""The two edges of each node, the first of which has number 2."""


class Network(NamedTuple):
    """The cells of an architecture, its initial width in channels, and its depth in cells."""

    normal: Cell
    reduce: Cell
    width: int
    depth: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Which networks belong to a space.

    `output` says which nodes a cell concatenates: "all", or the "loose" ones, which no other node takes.
    `distinct` says whether the two edges of a node must come from different places.
    """

    operations: tuple[str, ...]
    nodes: int
    output: Output
    widths: range
    depths: range
    distinct: bool = False

    def concat(self, cell: Cell) -> tuple[int, ...]:
        """The numbers of the nodes that the cell's output concatenates, ascending."""
        taken = {edge.source for pair in cell for edge in pair} if self.output == "loose" else set()
        return tuple(node for node in range(INPUTS, INPUTS + len(cell)) if node not in taken)


def format_network(network: Network, rules: Rules) -> str:
    """The architecture string."""
    values = (
        _format_cell(network.normal),
        listed(rules.concat(network.normal)),
        _format_cell(network.reduce),
        listed(rules.concat(network.reduce)),
        str(network.width),
        str(network.depth),
    )
    return ";".join(f"{field}={value}" for field, value in zip(FIELDS, values, strict=True))


def parse_network(arch: str, rules: Rules, space: str) -> Network:
    """The network that a string names. Raises InputError that says what is wrong and what `space` takes."""
    try:
        return _parse(arch, rules)
    except _Malformed as problem:
        raise InputError(f"{arch!r} is no {space} architecture: {problem}") from None


class _Malformed(Exception):
    pass


def _format_cell(cell: Cell) -> str:
    return listed(edge for pair in cell for edge in pair)


def listed(items: Iterable[object]) -> str:
    """The items of a field's value."""
    return ",".join(map(str, items))


def _parse(arch: str, rules: Rules) -> Network:
    values = _fields(arch)
    normal = _parse_cell("normal", values["normal"], values["normal_concat"], rules)
    reduce = _parse_cell("reduce", values["reduce"], values["reduce_concat"], rules)
    width = _number("width", values["width"], rules.widths)
    return Network(normal, reduce, width, _number("depth", values["depth"], rules.depths))


def _fields(arch: str) -> dict[str, str]:
    parts = [part.partition("=") for part in arch.split(";")]
    names = tuple(name for name, _, _ in parts)
    if names != FIELDS:
        raise _Malformed(f"its fields are {', '.join(names)}; they must be {', '.join(FIELDS)}, joined by ';'")
    return {name: value for name, _, value in parts}


def _parse_cell(name: str, text: str, concat: str, rules: Rules) -> Cell:
    edges = text.split(",")
    if len(edges) != 2 * rules.nodes:
        raise _Malformed(f"{name} has {len(edges)} edges, {rules.nodes} nodes take {2 * rules.nodes}")
    cell = tuple(
        _parse_pair(name, edges[2 * position : 2 * position + 2], INPUTS + position, rules)
        for position in range(rules.nodes)
    )
    if concat != listed(rules.concat(cell)):
        which = "all nodes" if rules.output == "all" else "the nodes that no other node takes"
        raise _Malformed(f"{name}_concat is {concat}; it must list {which}, {listed(rules.concat(cell))}")
    return cell


def _parse_pair(name: str, texts: Sequence[str], node: int, rules: Rules) -> Pair:
    first, second = (_parse_edge(name, text, node, rules) for text in texts)
    if rules.distinct and first.source == second.source:
        raise _Malformed(f"both edges of node {node} of {name} come from {first.source}; they must differ")
    return first, second


def _parse_edge(name: str, text: str, node: int, rules: Rules) -> Edge:
    operation, _, source = text.partition("~")
    if operation not in rules.operations:
        known = ", ".join(rules.operations) + nearest(operation, rules.operations)
        raise _Malformed(f"{operation!r} in {name} is no operation; the operations are {known}")
    return Edge(operation, _number(f"the input of {text!r} in node {node} of {name}", source, range(node)))


def _number(what: str, text: str, allowed: range) -> int:
    # Only the plain form of a number is accepted, so that one network has one string.
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if number not in allowed or str(number) != text:
        raise _Malformed(f"{what} is {text!r}; it must be {_range(allowed)}")
    return number


def _range(allowed: range) -> str:
    if len(allowed) == 1:
        return str(allowed[0])
    return f"a number from {allowed[0]} to {allowed[-1]}"
