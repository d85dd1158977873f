"""Random programs and their variation where the parts of a tree have types (DEAP's typed primitive sets).

What is drawn for a place fits its type: reductions take tensors, aggregations take numbers of instances, arithmetic
takes numbers of the network. An element-wise operation takes numbers as well as tensors, one signature each.
Constants are drawn, and moved by small steps.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

from deap import algorithms, gp

from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.records import Candidate, Evaluated, Individual, Origin
from zcsr.evolve.trees import BredTree, lent_to_deap
from zcsr.language.languages import Language
from zcsr.language.network_operations import Constant, Known
from zcsr.language.operations import Operation, Type
from zcsr.language.program import Node, Program
from zcsr.language.tensors import Tensor

AGGREGATED = 0.6
"""Share of aggregations among the operations drawn for a number of the network; the others take more of these."""

CONSTANTS = 0.5
"""Share of constants among the leaves drawn for a number of the network."""

STEPS = 0.3
"""Share of the mutations of a program with constants that move one of them."""

_DECADES = (-2.0, 2.0)
_POSITIVE = 0.75
_STEP = 0.2  # standard deviation of a step, relative to the constant
_DIGITS = 3


class _Tensor: ...


class _Number: ...


class _Score: ...


_CLASSES: Mapping[Type, type] = {"tensor": _Tensor, "number": _Number, "score": _Score}
_LEAST: Mapping[type, int] = {_Tensor: 0, _Number: 1, _Score: 0}
"""The height of the smallest tree of each type."""


@dataclass(frozen=True, slots=True)
class TypedTrees:
    """Trees of a language with numbers of networks as a representation: what is bred is the whole tree."""

    language: Language
    taller_by: ClassVar[str] = "max_depth"

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return `count` random programs, of each height from `min_depth` to `max_depth` as many; half are full."""
        with lent_to_deap(generator):
            trees = [_random_program(config, primitives_of(self.language)) for _ in range(count)]
        return [self._candidate(tree, "random") for tree in trees]

    def children(
        self, config: EvolveConfig, parents: Sequence[Individual | Evaluated], generator: Random
    ) -> list[Candidate]:
        """Return `lambda_` children of `parents` (at least two) by DEAP's varOr: crossover, mutation, reproduction.

        Crossover exchanges two subtrees of one type and keeps the first child; mutation replaces a subtree by a
        random one of its type that is at most one taller, or moves a constant; reproduction returns a parent.
        """
        primitives = primitives_of(self.language)
        trees = [_to_tree(parent.program.root, primitives) for parent in parents]
        toolbox = SimpleNamespace(clone=BredTree.clone, mate=_crossover, mutate=partial(_mutate, primitives))
        with lent_to_deap(generator):
            offspring = algorithms.varOr(trees, toolbox, config.lambda_, config.crossover, config.mutation)
        return [self._candidate(tree, tree.origin) for tree in offspring]

    def _candidate(self, tree: Sequence[Any], origin: Origin) -> Candidate:
        program = Program(_to_node(tree, self.language))
        return Candidate(str(program), origin, program)


# --- the primitive set ------------------------------------------------------------------------------------------


@cache
def primitives_of(language: Language) -> gp.PrimitiveSetTyped:
    """Return the words of a language with their types, in its order: draws depend on that order."""
    primitives = gp.PrimitiveSetTyped("program", [], _Score)
    for operation in (*language.operations, *language.network):
        for takes in _signatures(operation):
            name = _signed(operation.name, takes)
            if name not in primitives.mapping:  # a word with a row for activations and one for weights is one here
                classes = [_CLASSES[one] for one in takes]
                primitives.addPrimitive(operation.stacked, classes, _CLASSES[operation.type_of(*takes)], name=name)
    leaves: tuple[Tensor | Known, ...] = (*language.tensors, *language.known)
    for leaf in leaves:
        primitives.addTerminal(leaf.name, _CLASSES[leaf.type_of()], name=leaf.name)
    return primitives


def _signatures(operation: Operation) -> Iterator[tuple[Type, ...]]:
    yield operation.takes
    if operation.elementwise and not operation.indicator:
        types: tuple[Type, ...] = ("tensor", "number")
        yield from (takes for takes in product(types, repeat=operation.arity) if takes != operation.takes)


def _signed(name: str, takes: Sequence[Type]) -> str:
    return f"{name}/{','.join(takes)}"


# --- drawing ----------------------------------------------------------------------------------------------------


def _random_program(config: EvolveConfig, primitives: gp.PrimitiveSetTyped) -> list[Any]:
    height = random.randint(config.min_depth, config.max_depth)
    return _grown(primitives, _Score, height, full=random.random() < 0.5)


def _grown(primitives: gp.PrimitiveSetTyped, type_: type, height: int, full: bool) -> list[Any]:
    """A random tree of that type and just that height, as a prefix list.

    One argument of each operation is as tall as it may be, so that the height is reached; the others are too where
    the tree is `full`, and of any smaller height otherwise.
    """
    if height < max(1, _LEAST[type_]):
        return [_leaf(primitives, type_)]
    primitive = _drawn(primitives, type_, height)
    spine = random.randrange(primitive.arity)
    tree = [primitive]
    for place, wanted in enumerate(primitive.args):
        tallest = height - 1
        own = tallest if full or place == spine else random.randint(_LEAST[wanted], tallest)
        tree += _grown(primitives, wanted, own, full)
    return tree


def _drawn(primitives: gp.PrimitiveSetTyped, type_: type, height: int) -> Any:
    """A random operation that may be at the root of a tree of that height: each name equally likely."""
    by_name: dict[str, list[Any]] = defaultdict(list)
    for one in primitives.primitives[type_]:
        if max(_LEAST[wanted] for wanted in one.args) < height:
            by_name[one.name.partition("/")[0]].append(one)
    if type_ is _Score and height > _LEAST[_Number]:
        aggregating = random.random() < AGGREGATED
        by_name = {name: fitting for name, ones in by_name.items() if (fitting := _of(ones, aggregating))}
    return random.choice(by_name[random.choice(list(by_name))])


def _of(primitives: Sequence[Any], aggregating: bool) -> list[Any]:
    return [one for one in primitives if (one.args == [_Number]) == aggregating]


def _leaf(primitives: gp.PrimitiveSetTyped, type_: type) -> Any:
    if type_ is _Score and random.random() < CONSTANTS:
        sign = 1.0 if random.random() < _POSITIVE else -1.0
        return _constant(sign * 10 ** random.uniform(*_DECADES))
    return random.choice(primitives.terminals[type_])


def _constant(value: float) -> gp.Terminal:
    digits = _DIGITS - 1 - math.floor(math.log10(abs(value))) if value else 0
    return gp.Terminal(round(value, digits), False, _Score)


def _is_constant(primitive: Any) -> bool:
    return isinstance(primitive, gp.Terminal) and isinstance(primitive.value, float)


# --- variation --------------------------------------------------------------------------------------------------


def _crossover(first: BredTree, second: BredTree) -> tuple[BredTree, BredTree]:
    """Exchange a subtree of each, of one type, neither the whole.

    DEAP's own draws the type from a set of classes, whose order differs from one process to the next.
    """
    places = [_by_type(tree) for tree in (first, second)]
    common = [type_ for type_ in _CLASSES.values() if all(type_ in of_tree for of_tree in places)]
    if common:
        type_ = random.choice(common)
        one, other = (
            tree.searchSubtree(random.choice(of_tree[type_]))
            for tree, of_tree in zip((first, second), places, strict=True)
        )
        first[one], second[other] = second[other], first[one]
    first.origin = second.origin = "crossover"
    return first, second


def _by_type(tree: Sequence[Any]) -> dict[type, list[int]]:
    places: dict[type, list[int]] = defaultdict(list)
    for place, primitive in enumerate(tree[1:], 1):
        places[primitive.ret].append(place)
    return places


def _mutate(primitives: gp.PrimitiveSetTyped, tree: BredTree) -> tuple[BredTree]:
    constants = [place for place, primitive in enumerate(tree) if _is_constant(primitive)]
    if constants and random.random() < STEPS:
        place = random.choice(constants)
        tree[place] = _constant(tree[place].value * (1 + random.gauss(0, _STEP)))
    else:
        place = random.randrange(len(tree))
        replaced, type_ = tree.searchSubtree(place), tree[place].ret
        tallest = gp.PrimitiveTree(tree[replaced]).height + 1
        height = random.randint(_LEAST[type_], max(_LEAST[type_], tallest))
        tree[replaced] = _grown(primitives, type_, height, full=False)
    tree.origin = "mutation"
    return (tree,)


# --- trees and nodes --------------------------------------------------------------------------------------------


def _to_tree(root: Node, primitives: gp.PrimitiveSetTyped) -> BredTree:
    return BredTree([_primitive(node, primitives) for node in root.walk()], "reproduction")


def _primitive(node: Node, primitives: gp.PrimitiveSetTyped) -> Any:
    if isinstance(node.word, Constant):
        return gp.Terminal(node.word.value, False, _Score)
    if not node.args:
        return primitives.mapping[node.op]
    takes = [arg.type for arg in node.args]
    name = _signed(node.op, takes)
    # A program that was given may have an operation of numbers that is never drawn.
    return primitives.mapping.get(name) or gp.Primitive(name, [_CLASSES[one] for one in takes], _CLASSES[node.type])


def _to_node(tree: Sequence[Any], language: Language) -> Node:
    """Read the prefix list backwards: when a primitive is met, its arguments are the last nodes built."""
    built: list[Node] = []
    for primitive in reversed(tree):
        args = [built.pop() for _ in range(primitive.arity)]
        if _is_constant(primitive):
            built.append(language.constant(primitive.value))
        else:
            built.append(language.node(primitive.name.partition("/")[0], *args))
    return built[0]
