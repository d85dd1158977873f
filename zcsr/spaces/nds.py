"""The cell spaces of NDS (Radosavovic et al., ICCV 2019): DARTS, Amoeba, ENAS, PNAS and NASNet.

An architecture is two cells, a width and a depth, written as `zcsr.spaces.nds_genotype` says. There are far too
many to list, so positions are computed: architectures are ordered by width, depth, normal cell, reduction cell.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from zcsr.errors import InputError
from zcsr.spaces.nds_genotype import (
    FIELDS,
    INPUTS,
    Cell,
    Edge,
    Network,
    Output,
    Pair,
    Rules,
    format_network,
    listed,
    parse_network,
)
from zcsr.spaces.protocol import DatasetShape, check_index, shapes_of

if TYPE_CHECKING:
    from torch import nn

_SMALL_IMAGE = 64
"""Larger images, in pixels a side, are halved three times before the first cell."""


@dataclass(frozen=True)
class CellSpace:
    """All pairs of cells that follow `rules`, in the skeleton that `zcsr.spaces.nds_network` stacks.

    `sampled_widths` and `sampled_depths` are those that `sample` draws from. A neighbour in width is `width_step`
    channels away. Stems for small images have the stride `stem_stride`.
    """

    name: str
    datasets: Mapping[str, DatasetShape]
    rules: Rules
    sampled_widths: Sequence[int]
    sampled_depths: Sequence[int]
    width_step: int = 4
    stem_stride: int = 1

    @cached_property
    def cells(self) -> int:
        """The number of cells, counting the two orders of a node's edges as two."""
        return prod(self._bases)

    @cached_property
    def size(self) -> int:
        """The number of architectures, which can be more than `len` is able to say."""
        return len(self.rules.widths) * len(self.rules.depths) * self.cells**2

    @cached_property
    def _bases(self) -> list[int]:
        """Of how many operations and sources each edge of a cell has one, in turn: the digits of its number."""
        operations, distinct = len(self.rules.operations), self.rules.distinct
        nodes = range(INPUTS, INPUTS + self.rules.nodes)
        return [base for node in nodes for base in (operations, node, operations, node - distinct)]

    def __len__(self) -> int:
        """The number of architectures, or Python's largest length where there are more."""
        return min(self.size, sys.maxsize)

    def arch(self, index: int) -> str:
        """The architecture at a 0-based position of the order; InputError outside of 0..size - 1."""
        check_index(index, self.name, self.size)
        stack, cells = divmod(index, self.cells**2)
        width, depth = divmod(stack, len(self.rules.depths))
        return self._format(*divmod(cells, self.cells), self.rules.widths[width], self.rules.depths[depth])

    def index(self, arch: str) -> int:
        """The 0-based position of an architecture; InputError says what is wrong with the string."""
        network = self._parse(arch)
        width, depth = self.rules.widths.index(network.width), self.rules.depths.index(network.depth)
        cells = self._number(network.normal) * self.cells + self._number(network.reduce)
        return (width * len(self.rules.depths) + depth) * self.cells**2 + cells

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        It has the skeleton for ImageNet where the space's data set of as many classes has large images, otherwise
        the one for CIFAR; never the auxiliary head, which only training uses. Height and width are multiples of 4,
        or of 32 for ImageNet. Draws from torch's global generator, as all modules do.
        """
        from zcsr.spaces.nds_network import CellNetwork, LargeStem, SmallStem  # which loads torch

        network = self._parse(arch)
        if any(shape.classes == classes and shape.height > _SMALL_IMAGE for shape in self.datasets.values()):
            return CellNetwork(network, self.rules, classes, LargeStem(in_channels, network.width))
        return CellNetwork(network, self.rules, classes, SmallStem(in_channels, network.width, self.stem_stride))

    def sample(self, count: int, generator: random.Random) -> list[str]:
        """Distinct architectures: each edge's operation and input, the width and the depth drawn uniformly.

        Widths and depths come from the sampled ones. InputError where there are fewer architectures than `count`.
        """
        population = len(self.sampled_widths) * len(self.sampled_depths) * self.cells**2
        if not 0 <= count <= population:
            raise InputError(f"cannot sample {count} architectures: {self.name} draws from {population}")
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            normal, reduce = (generator.randrange(self.cells) for _ in range(2))
            width, depth = generator.choice(self.sampled_widths), generator.choice(self.sampled_depths)
            drawn[self._format(normal, reduce, width, depth)] = None
        return list(drawn)

    def neighbours(self, arch: str) -> list[str]:
        """The architectures that differ in one edge's operation, one edge's input, or a step in width or depth.

        They come in this order, the normal cell's before the reduction cell's, the smaller stack before the larger.
        """
        network = self._parse(arch)
        changed = [
            *(network._replace(normal=cell) for cell in self._changed(network.normal)),
            *(network._replace(reduce=cell) for cell in self._changed(network.reduce)),
            *(network._replace(width=network.width + step) for step in (-self.width_step, self.width_step)),
            *(network._replace(depth=network.depth + step) for step in (-1, 1)),
        ]
        return [
            format_network(other, self.rules)
            for other in changed
            if other.width in self.rules.widths and other.depth in self.rules.depths
        ]

    def canonical(self, arch: str) -> str:
        """The first architecture, in the space's order, with isomorphic cells.

        Cells are isomorphic when they differ in the order of a node's edges, in the order of the nodes, or in where
        edges without an operation come from (as long as no node becomes loose by it): their networks compute the
        same functions, with the weights in another order.
        """
        network = self._parse(arch)
        first = network._replace(normal=self._first(network.normal), reduce=self._first(network.reduce))
        return format_network(first, self.rules)

    def _parse(self, arch: str) -> Network:
        return parse_network(arch, self.rules, self.name)

    def _format(self, normal: int, reduce: int, width: int, depth: int) -> str:
        return format_network(Network(self._cell(normal), self._cell(reduce), width, depth), self.rules)

    def _number(self, cell: Cell) -> int:
        number = 0
        for digit, base in zip(self._digits(cell), self._bases, strict=True):
            number = number * base + digit
        return number

    def _digits(self, cell: Cell) -> Iterator[int]:
        for first, second in cell:
            skipped = self.rules.distinct and second.source > first.source
            operation, source = self._edge_rank(second)
            yield from (*self._edge_rank(first), operation, source - skipped)

    def _cell(self, number: int) -> Cell:
        digits: list[int] = []
        for base in reversed(self._bases):
            number, digit = divmod(number, base)
            digits.insert(0, digit)
        return tuple(self._pair(*digits[start : start + 4]) for start in range(0, len(digits), 4))

    def _pair(self, operation: int, source: int, other_operation: int, other: int) -> Pair:
        other += self.rules.distinct and other >= source
        return Edge(self.rules.operations[operation], source), Edge(self.rules.operations[other_operation], other)

    def _changed(self, cell: Cell) -> Iterator[Cell]:
        for position, (first, second) in enumerate(cell):
            sources = range(INPUTS + position)
            pairs = [
                *((edge, second) for edge in self._changed_edges(first, second, sources)),
                *((first, edge) for edge in self._changed_edges(second, first, sources)),
            ]
            yield from ((*cell[:position], pair, *cell[position + 1 :]) for pair in pairs)

    def _changed_edges(self, edge: Edge, other: Edge, sources: range) -> Iterator[Edge]:
        for operation in self.rules.operations:
            if operation != edge.operation:
                yield edge._replace(operation=operation)
        for source in sources:
            if source != edge.source and not (self.rules.distinct and source == other.source):
                yield edge._replace(source=source)

    def _first(self, cell: Cell) -> Cell:
        """The least of the isomorphic cells: at each place the least pair of all nodes that can stand there."""
        orders: list[tuple[int, ...]] = [()]
        least: list[Pair] = []
        for _ in cell:
            candidates = [
                (pair, (*order, position))
                for order in orders
                for position in range(len(cell))
                if position not in order and (pair := self._renumbered(cell[position], order)) is not None
            ]
            least.append(min((pair for pair, _ in candidates), key=self._rank))
            orders = [order for pair, order in candidates if pair == least[-1]]
        return tuple(least)

    def _renumbered(self, pair: Pair, order: tuple[int, ...]) -> Pair | None:
        """The least form of the pair after the nodes at the positions `order`; None where it needs another node."""
        numbers = {0: 0, 1: 1} | {INPUTS + old: INPUTS + new for new, old in enumerate(order)}
        carrying = [edge for edge in pair if not self._carries_nothing(edge)]
        if any(edge.source not in numbers for edge in carrying):
            return None
        edges = [edge._replace(source=numbers[edge.source]) for edge in carrying]
        for empty in filter(self._carries_nothing, pair):
            taken = self.rules.distinct and any(edge.source == 0 for edge in edges)
            edges.append(empty._replace(source=1 if taken else 0))
        first, second = sorted(edges, key=self._edge_rank)
        return first, second

    def _carries_nothing(self, edge: Edge) -> bool:
        return edge.operation == "none" and self.rules.output == "all"

    def _rank(self, pair: Pair) -> tuple[tuple[int, int], ...]:
        return tuple(map(self._edge_rank, pair))

    def _edge_rank(self, edge: Edge) -> tuple[int, int]:
        return self.rules.operations.index(edge.operation), edge.source


# --- the spaces -------------------------------------------------------------------------------------------------

_DARTS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_SEPARABLE = ("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7")
_POOLS = ("avg_pool_3x3", "max_pool_3x3")
_ENAS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", *_POOLS)
_AMOEBA = ("skip_connect", *_SEPARABLE, *_POOLS, "dil_sep_conv_3x3", "conv_7x1_1x7")
_PNAS = (*_SEPARABLE, "conv_7x1_1x7", "skip_connect", *_POOLS, "dil_conv_3x3")
_NASNET = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    *_POOLS,
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    *_SEPARABLE,
)


def _nds(name: str, operations: tuple[str, ...], nodes: int, output: Output) -> CellSpace:
    """A space with every width and depth that a file may hold; sampled are networks of the sizes NDS trained."""
    rules = Rules(operations, nodes, output, widths=range(2, 257), depths=range(1, 65))
    return CellSpace(
        name, shapes_of("cifar10", "imagenet"), rules, sampled_widths=range(16, 33, 4), sampled_depths=range(5, 21)
    )


def _mini(name: str, operations: tuple[str, ...], nodes: int, output: Output, distinct: bool = False) -> CellSpace:
    """A space of networks small enough to train on a processor, of varied width and depth as NDS's are."""
    rules = Rules(operations, nodes, output, widths=range(2, 13), depths=range(3, 9), distinct=distinct)
    return CellSpace(
        name,
        shapes_of("fashion-mnist"),
        rules,
        sampled_widths=range(2, 9, 2),
        sampled_depths=range(3, 6),
        width_step=2,
        stem_stride=2,
    )


SPACES: Mapping[str, CellSpace] = {
    space.name: space
    for space in (
        _nds("nds-darts", _DARTS, 4, "all"),
        _nds("nds-amoeba", _AMOEBA, 5, "loose"),
        _nds("nds-enas", _ENAS, 5, "loose"),
        _nds("nds-pnas", _PNAS, 5, "all"),
        _nds("nds-nasnet", _NASNET, 5, "loose"),
        # As DARTS derives its cells, the two edges of a node come from different places.
        _mini("darts-mini", _DARTS, 4, "all", distinct=True),
        _mini("amoeba-mini", _AMOEBA, 5, "loose"),
        _mini("enas-mini", _ENAS, 5, "loose"),
        _mini("pnas-mini", _PNAS, 5, "all"),
        _mini("nasnet-mini", _NASNET, 5, "loose"),
    )
}
"""NDS's spaces, and their cells in networks small enough to train on a processor."""


def arch_of(net: Mapping[str, Any]) -> str:
    """The architecture string of the `net` of an entry of an NDS file.

    Whether a space has the architecture is for its `index` to say. Raises InputError where the genotype, width or
    depth is missing or of another form.
    """
    genotype = net.get("genotype")
    if not isinstance(genotype, Mapping):
        raise InputError(
            f"an NDS network needs a 'genotype' with two cells; this one has {', '.join(net) or 'nothing'}"
        )
    values = (
        _edges_of(genotype, "normal"),
        _nodes_of(genotype, "normal_concat"),
        _edges_of(genotype, "reduce"),
        _nodes_of(genotype, "reduce_concat"),
        _number_of(net, "width"),
        _number_of(net, "depth"),
    )
    return ";".join(f"{field}={value}" for field, value in zip(FIELDS, values, strict=True))


def _edges_of(genotype: Mapping[str, Any], cell: str) -> str:
    edges = _items_of(genotype, cell, _is_edge, "pairs of operation and input")
    return listed(Edge(operation, source) for operation, source in edges)


def _is_edge(edge: object) -> bool:
    return isinstance(edge, Sequence) and [type(part) for part in edge] == [str, int]


def _nodes_of(genotype: Mapping[str, Any], concat: str) -> str:
    return listed(sorted(_items_of(genotype, concat, lambda node: type(node) is int, "numbers of nodes")))


def _items_of(genotype: Mapping[str, Any], field: str, fits: Callable[[object], bool], what: str) -> Sequence[Any]:
    match genotype.get(field):
        case [*items] if items and all(map(fits, items)):
            return items
        case other:
            raise InputError(f"'{field}' of an NDS genotype must list {what}, not {other!r}")


def _number_of(net: Mapping[str, Any], field: str) -> int:
    value = net.get(field)
    if type(value) is not int:
        raise InputError(f"'{field}' of an NDS network must be a whole number, not {value!r}")
    return value
