"""The cell spaces of NDS (Radosavovic et al., ICCV 2019): DARTS, Amoeba, ENAS, PNAS and NASNet.

An architecture is two cells, a width and a depth, written as `zcsr.spaces.nds_genotype` says. There are far too
many to list, so positions are computed: architectures are ordered by width, depth, normal cell, reduction cell.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

from torch import nn

from zcsr.errors import InputError
from zcsr.spaces import DatasetShape
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
from zcsr.spaces.nds_network import CellNetwork, LargeStem, SmallStem

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
        return prod(_pairs(self.rules, node) for node in self._nodes)

    @cached_property
    def size(self) -> int:
        """The number of architectures, which can be more than `len` is able to say."""
        return self._stacks * self.cells**2

    def __len__(self) -> int:
        """The number of architectures, or Python's largest length where there are more."""
        return min(self.size, sys.maxsize)

    @property
    def _nodes(self) -> range:
        return range(INPUTS, INPUTS + self.rules.nodes)

    @property
    def _stacks(self) -> int:
        return len(self.rules.widths) * len(self.rules.depths)

    def arch(self, index: int) -> str:
        """The architecture at a 0-based position of the order; InputError outside of 0..size - 1."""
        if not 0 <= index < self.size:
            raise InputError(f"no architecture {index} in {self.name}: indices go from 0 to {self.size - 1}")
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
        network = self._parse(arch)
        if self._has_large_images(classes):
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
            drawn[self._draw(generator)] = None
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

    def _draw(self, generator: random.Random) -> str:
        normal, reduce = (generator.randrange(self.cells) for _ in range(2))
        width, depth = generator.choice(self.sampled_widths), generator.choice(self.sampled_depths)
        return self._format(normal, reduce, width, depth)

    def _has_large_images(self, classes: int) -> bool:
        return any(s.classes == classes and s.height > _SMALL_IMAGE for s in self.datasets.values())

    def _number(self, cell: Cell) -> int:
        number = 0
        for node, pair in zip(self._nodes, cell, strict=True):
            number = number * _pairs(self.rules, node) + _pair_number(self.rules, node, pair)
        return number

    def _cell(self, number: int) -> Cell:
        pairs = []
        for node in reversed(self._nodes):
            number, remainder = divmod(number, _pairs(self.rules, node))
            pairs.append(_numbered_pair(self.rules, node, remainder))
        return tuple(reversed(pairs))

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


def _pairs(rules: Rules, node: int) -> int:
    """The number of ordered pairs of edges that a node can have."""
    return len(rules.operations) ** 2 * node * (node - rules.distinct)


def _pair_number(rules: Rules, node: int, pair: Pair) -> int:
    first, second = ((rules.operations.index(edge.operation), edge.source) for edge in pair)
    others = node - rules.distinct
    source = second[1] - (rules.distinct and second[1] > first[1])
    return ((first[0] * node + first[1]) * len(rules.operations) + second[0]) * others + source


def _numbered_pair(rules: Rules, node: int, number: int) -> Pair:
    number, other = divmod(number, node - rules.distinct)
    number, second = divmod(number, len(rules.operations))
    first, source = divmod(number, node)
    other += rules.distinct and other >= source
    return Edge(rules.operations[first], source), Edge(rules.operations[second], other)


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
_ENAS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
_AMOEBA = (
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_sep_conv_3x3",
    "conv_7x1_1x7",
)
_PNAS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
    "skip_connect",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)
_NASNET = (
    "skip_connect",
    "conv_3x1_1x3",
    "conv_7x1_1x7",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)


def nds_darts() -> CellSpace:
    """DARTS: 8 operations, 4 nodes, all of which a cell gives out."""
    return _nds("nds-darts", _DARTS, 4, "all")


def nds_amoeba() -> CellSpace:
    """AmoebaNet: 8 operations, 5 nodes, the loose ones of which a cell gives out."""
    return _nds("nds-amoeba", _AMOEBA, 5, "loose")


def nds_enas() -> CellSpace:
    """ENAS: 5 operations, 5 nodes, the loose ones of which a cell gives out."""
    return _nds("nds-enas", _ENAS, 5, "loose")


def nds_pnas() -> CellSpace:
    """PNAS: 8 operations, 5 nodes, all of which a cell gives out."""
    return _nds("nds-pnas", _PNAS, 5, "all")


def nds_nasnet() -> CellSpace:
    """NASNet: 13 operations, 5 nodes, the loose ones of which a cell gives out."""
    return _nds("nds-nasnet", _NASNET, 5, "loose")


def darts_mini() -> CellSpace:
    """DARTS cells in a network small enough to train on a processor: width 4, depth 3, cells from 8x8 pixels on.

    As DARTS derives its cells, the two edges of a node come from different places.
    """
    datasets = {"fashion-mnist": DatasetShape(classes=10, channels=1, height=16, width=16)}
    rules = Rules(_DARTS, 4, "all", widths=range(4, 5), depths=range(3, 4), distinct=True)
    return CellSpace("darts-mini", MappingProxyType(datasets), rules, rules.widths, rules.depths, stem_stride=2)


def _nds(name: str, operations: tuple[str, ...], nodes: int, output: Output) -> CellSpace:
    """A space with every width and depth that a file may hold; sampled are networks of the sizes NDS trained."""
    datasets = {
        "cifar10": DatasetShape(classes=10, channels=3, height=32, width=32),
        "imagenet": DatasetShape(classes=1000, channels=3, height=224, width=224),
    }
    rules = Rules(operations, nodes, output, widths=range(2, 257), depths=range(1, 65))
    return CellSpace(
        name, MappingProxyType(datasets), rules, sampled_widths=range(16, 33, 4), sampled_depths=range(5, 21)
    )


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
    match genotype.get(cell):
        case [*edges] if edges and all(map(_is_edge, edges)):
            return listed(Edge(operation, source) for operation, source in edges)
        case other:
            raise InputError(f"'{cell}' of an NDS genotype must list pairs of operation and input, not {other!r}")


def _is_edge(edge: object) -> bool:
    match edge:
        case [str(), int(source)]:
            return not isinstance(source, bool)
    return False


def _nodes_of(genotype: Mapping[str, Any], concat: str) -> str:
    match genotype.get(concat):
        case [*nodes] if nodes and all(type(node) is int for node in nodes):
            return listed(sorted(nodes))
        case other:
            raise InputError(f"'{concat}' of an NDS genotype must list numbers of nodes, not {other!r}")


def _number_of(net: Mapping[str, Any], field: str) -> int:
    value = net.get(field)
    if type(value) is not int:
        raise InputError(f"'{field}' of an NDS network must be a whole number, not {value!r}")
    return value
