"""Random programs, selection and variation by DEAP, which is known only in this file.

DEAP draws from Python's global random module. Every call here lends it the generator passed in and puts the
global state back afterwards, so nothing outside is disturbed and a run depends on its own seed alone. (Not safe
when other threads draw from the global module at the same moment.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from deap import algorithms, base, gp, tools

from zcsr.evolve.candidate import Candidate
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.records import Origin
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import TENSOR_NAMES, Node


class _Fitness(base.Fitness):  # type: ignore[misc]  # DEAP is untyped
    weights = (1.0,)


class _Tree(gp.PrimitiveTree):  # type: ignore[misc]  # DEAP is untyped
    """DEAP's prefix list, with the fitness that varOr clears and the origin that a child reports."""

    def __init__(self, content: Sequence[Any], origin: Origin) -> None:
        super().__init__(content)
        self.origin = origin
        self.fitness = _Fitness()

    def clone(self) -> _Tree:
        return _Tree(self, self.origin)


def random_programs(config: EvolveConfig, count: int, generator: random.Random) -> list[Candidate]:
    """Return `count` random expressions by ramped half-and-half, of height `min_depth` to `max_depth`.

    They are not checked in any way. `generator` moves on.
    """
    with _lent_to_deap(generator):
        return [Candidate(_to_node(_random_tree(config)), "random") for _ in range(count)]


def select(config: EvolveConfig, fitnesses: Sequence[float], generator: random.Random) -> list[int]:
    """Return the positions of `mu` parents, each the fittest of `tournament` drawn with replacement.

    Of equally fit ones the first drawn wins. `generator` moves on.
    """
    contenders = [_Contender(position, fitness) for position, fitness in enumerate(fitnesses)]
    with _lent_to_deap(generator):
        chosen = tools.selTournament(contenders, config.mu, config.tournament)
    return [contender.position for contender in chosen]


def children(config: EvolveConfig, parents: Sequence[Node], generator: random.Random) -> list[Candidate]:
    """Return `lambda_` children of `parents` (at least two) by DEAP's varOr: crossover, mutation or reproduction.

    Crossover exchanges one subtree and keeps the first child; mutation replaces a subtree by a random one;
    reproduction returns a parent as it is. They are not checked in any way. `generator` moves on.
    """
    trees = [_to_tree(parent, "reproduction") for parent in parents]
    with _lent_to_deap(generator):
        offspring = algorithms.varOr(trees, _toolbox(config), config.lambda_, config.crossover, config.mutation)
    return [Candidate(_to_node(tree), tree.origin) for tree in offspring]


@dataclass(frozen=True, slots=True)
class _Contender:
    position: int
    fitness: float


@contextmanager
def _lent_to_deap(generator: random.Random) -> Iterator[None]:
    before = random.getstate()
    random.setstate(generator.getstate())
    try:
        yield
    finally:
        generator.setstate(random.getstate())
        random.setstate(before)


@cache
def _primitives() -> gp.PrimitiveSet:
    """The 34 operations and 22 tensors, all of one type, in their tables' order: draws depend on that order."""
    primitives = gp.PrimitiveSet("program", 0)
    for operation in OPERATIONS:
        primitives.addPrimitive(operation.apply, operation.arity, name=operation.name)
    for name in TENSOR_NAMES:
        primitives.addTerminal(name, name=name)
    return primitives


def _random_tree(config: EvolveConfig) -> list[Any]:
    tree: list[Any] = gp.genHalfAndHalf(_primitives(), config.min_depth, config.max_depth)
    return tree


def _toolbox(config: EvolveConfig) -> base.Toolbox:
    toolbox = base.Toolbox()
    toolbox.register("clone", _Tree.clone)
    toolbox.register("mate", _crossover)
    toolbox.register("mutate", partial(_mutate, config))
    return toolbox


def _crossover(first: _Tree, second: _Tree) -> tuple[_Tree, _Tree]:
    gp.cxOnePoint(first, second)
    first.origin = second.origin = "crossover"
    return first, second


def _mutate(config: EvolveConfig, tree: _Tree) -> tuple[_Tree]:
    def subtree(pset: gp.PrimitiveSet, type_: type) -> list[Any]:
        return list(gp.genHalfAndHalf(pset, config.min_depth, config.max_depth, type_))

    gp.mutUniform(tree, subtree, _primitives())
    tree.origin = "mutation"
    return (tree,)


def _to_tree(root: Node, origin: Origin) -> _Tree:
    return _Tree([_primitives().mapping[node.op] for node in root.walk()], origin)


def _to_node(tree: Sequence[Any]) -> Node:
    """Read the prefix list backwards: when a primitive is met, its arguments are the last nodes built."""
    built: list[Node] = []
    for primitive in reversed(tree):
        args = tuple(built.pop() for _ in range(primitive.arity))
        built.append(Node(primitive.name, args))
    return built[0]
