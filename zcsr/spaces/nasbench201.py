"""NAS-Bench-201 (Dong and Yang, ICLR 2020), the topology space of NATS-Bench: 15,625 cells of six edges.

A cell has four nodes. Every pair of nodes is joined by an edge that carries one of five operations, and a node
is the sum of the edges that enter it. An architecture is written node by node, each edge as operation~source:
`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zcsr.errors import InputError, nearest
from zcsr.spaces.choices import ChoiceSpace
from zcsr.spaces.protocol import shapes_of

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NODES = 4
EDGES = tuple((source, target) for target in range(1, NODES) for source in range(target))
STAGES = 3
# The authors shuffled the enumeration once with this seed, and every published table follows that order.
_PUBLISHED_SHUFFLE_SEED = 88


def format_arch(operations: Sequence[str]) -> str:
    """The architecture string of six operations in the order of `EDGES`."""
    remaining = iter(operations)
    nodes = ("".join(f"|{next(remaining)}~{source}" for source in range(target)) for target in range(1, NODES))
    return "+".join(f"{node}|" for node in nodes)


def _parse_node(arch: str, node: str, target: int) -> list[str]:
    if len(node) < 2 or not (node.startswith("|") and node.endswith("|")):
        raise _malformed(arch, f"node {target} is {node!r}, which does not begin and end with '|'")
    edges = node[1:-1].split("|")
    if len(edges) != target:
        raise _malformed(arch, f"node {target} has {len(edges)} edges, it takes {target}")
    return [_parse_edge(arch, edge, source, target) for source, edge in enumerate(edges)]


def _parse_edge(arch: str, edge: str, source: int, target: int) -> str:
    operation, _, written_source = edge.partition("~")
    if operation not in OPERATIONS:
        known = ", ".join(OPERATIONS) + nearest(operation, OPERATIONS)
        raise _malformed(arch, f"{operation!r} is no operation; the operations are {known}")
    if written_source != str(source):
        raise _malformed(arch, f"edge {source} of node {target} is {edge!r}, it must read '{operation}~{source}'")
    return operation


def _malformed(arch: str, problem: str) -> InputError:
    return InputError(f"{arch!r} is no NAS-Bench-201 architecture: {problem}")


def isomorphism_key(operations: Sequence[str]) -> str:
    """The last node as a nested sum of what enters it: equal for two cells exactly when they are isomorphic.

    This is the rule that the published count of 6,466 rests on: a skip connection stands for its source, an
    edge that carries nothing (no operation, or one on a single absent edge) is "#", and sums are sorted. A sum
    of several absent edges is kept as it is, so that some cells which compute the same function stay apart.
    """
    nodes = ["0"]
    remaining = iter(operations)
    for target in range(1, NODES):
        entering = sorted(_nested_edge(next(remaining), nodes[source]) for source in range(target))
        nodes.append("+".join(entering))
    return nodes[-1]


def _nested_edge(operation: str, source: str) -> str:
    if operation == "none" or source == "#":
        return "#"
    return source if operation == "skip_connect" else f"({source})@{operation}"


@dataclass(frozen=True)
class NasBench201(ChoiceSpace[str]):
    """The 15,625 cells in a macro skeleton: three stages of `cells` cells, the first `channels` wide.

    Each later stage is twice as wide as the one before. Architectures are in the published order.
    """

    places = len(EDGES)

    channels: int
    cells: int

    def build(self, arch: str, classes: int, in_channels: int = 3) -> nn.Module:
        """The network: images [b, in_channels, h, w] -> logits [b, classes], initialised as torch does.

        Height and width are multiples of 4. Draws from torch's global generator, as all modules do.
        """
        from zcsr.spaces.nasbench201_network import CellNetwork  # which loads torch

        return CellNetwork(self._parse(arch), classes, in_channels, self._widths())

    def _widths(self) -> list[int]:
        first, *later = (self.channels * 2**stage for stage in range(STAGES))
        return [first] * self.cells + [width for width in later for _ in range(1 + self.cells)]

    def canonical(self, arch: str) -> str:
        """The first architecture, in the published order, with the same `isomorphism_key`."""
        return self._representatives[isomorphism_key(self._parse(arch))]

    @cached_property
    def _representatives(self) -> Mapping[str, str]:
        first: dict[str, str] = {}
        for arch, cell in zip(self._archs, self._chosen, strict=True):
            first.setdefault(isomorphism_key(cell), arch)
        return first

    @cached_property
    def _chosen(self) -> list[tuple[str, ...]]:
        cells = list(itertools.product(self.choices, repeat=self.places))
        random.Random(_PUBLISHED_SHUFFLE_SEED).shuffle(cells)
        return cells

    def _format(self, chosen: Sequence[str]) -> str:
        return format_arch(chosen)

    def _parse(self, arch: str) -> tuple[str, ...]:
        nodes = arch.split("+")
        if len(nodes) != NODES - 1:
            raise _malformed(arch, f"it has {len(nodes)} nodes joined by '+', a cell has {NODES - 1}")
        return tuple(itertools.chain.from_iterable(_parse_node(arch, node, i + 1) for i, node in enumerate(nodes)))


_NATURAL_IMAGES = shapes_of("cifar10", "cifar100", "imagenet16-120")

SPACES: Mapping[str, NasBench201] = {
    space.name: space
    for space in (
        NasBench201("nasbench201", _NATURAL_IMAGES, OPERATIONS, channels=16, cells=5),
        NasBench201("nasbench201-mini", shapes_of("fashion-mnist"), OPERATIONS, channels=8, cells=1),
    )
}
"""The published benchmark's networks, and the same cells in ones small enough to train on a processor."""
