"""Random programs, selection and variation by DEAP, which is known only here and in `zcsr.evolve.typed_trees`.

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
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

from deap import algorithms, base, gp, tools

from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.records import Candidate, Individual, Origin
from zcsr.language.languages import Language
from zcsr.language.program import Node


class _Fitness(base.Fitness):  # type: ignore[misc]  # DEAP is untyped
    weights = (1.0,)


class BredTree(gp.PrimitiveTree):  # type: ignore[misc]  # DEAP is untyped
    """DEAP's prefix list, with the fitness that varOr clears and the origin that a child reports."""

    def __init__(self, content: Sequence[Any], origin: Origin) -> None:
        super().__init__(content)
        self.origin = origin
        self.fitness = _Fitness()

    def clone(self) -> BredTree:
        """Return another tree of the same content."""
        return BredTree(self, self.origin)


def select(config: EvolveConfig, individuals: Sequence[Individual], generator: Random) -> list[Individual]:
    """Return `mu` parents, each the fittest of `tournament` drawn with replacement.

    Of equally fit ones the first drawn wins. `generator` moves on.
    """
    with lent_to_deap(generator):
        return list(tools.selTournament(individuals, config.mu, config.tournament))


@contextmanager
def lent_to_deap(generator: Random) -> Iterator[None]:
    """Let Python's global random module draw as the generator does, which then has moved on."""
    before = random.getstate()
    random.setstate(generator.getstate())
    try:
        yield
    finally:
        generator.setstate(random.getstate())
        random.setstate(before)


@dataclass(frozen=True, slots=True)
class Trees:
    """Expression trees of a language as a representation: what is bred is the expression itself."""

    language: Language
    taller_by: ClassVar[str] = "max_depth"

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return `count` random expressions by ramped half-and-half, of height `min_depth` to `max_depth`."""
        with lent_to_deap(generator):
            trees = [_random_tree(config, _primitives(self.language)) for _ in range(count)]
        return [self._candidate(config, tree, "random") for tree in trees]

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return `lambda_` children of `parents` (at least two) by DEAP's varOr: crossover, mutation, reproduction.

        Crossover exchanges one subtree and keeps the first child; mutation replaces a subtree by a random one;
        reproduction returns a parent as it is.
        """
        primitives = _primitives(self.language)
        trees = [_to_tree(parent.program.expression, primitives) for parent in parents]
        mutate = partial(_mutate, config, primitives)
        toolbox = SimpleNamespace(clone=BredTree.clone, mate=_crossover, mutate=mutate)
        with lent_to_deap(generator):
            offspring = algorithms.varOr(trees, toolbox, config.lambda_, config.crossover, config.mutation)
        return [self._candidate(config, tree, tree.origin) for tree in offspring]

    def _candidate(self, config: EvolveConfig, tree: Sequence[Any], origin: Origin) -> Candidate:
        program = self.language.program(_to_node(tree, self.language), config.to_scalar, config.aggregation)
        return Candidate(str(program), origin, program)


@cache
def _primitives(language: Language) -> gp.PrimitiveSet:
    """The language's operations and tensors, all of one type, in its order: draws depend on that order."""
    primitives = gp.PrimitiveSet("program", 0)
    for operation in language.operations:
        primitives.addPrimitive(operation.apply, operation.arity, name=operation.name)
    for tensor in language.tensors:
        primitives.addTerminal(tensor.name, name=tensor.name)
    return primitives


def _random_tree(config: EvolveConfig, primitives: gp.PrimitiveSet, type_: type | None = None) -> list[Any]:
    return list(gp.genHalfAndHalf(primitives, config.min_depth, config.max_depth, type_))


def _crossover(first: BredTree, second: BredTree) -> tuple[BredTree, BredTree]:
    gp.cxOnePoint(first, second)
    first.origin = second.origin = "crossover"
    return first, second


def _mutate(config: EvolveConfig, primitives: gp.PrimitiveSet, tree: BredTree) -> tuple[BredTree]:
    gp.mutUniform(tree, lambda pset, type_: _random_tree(config, pset, type_), primitives)
    tree.origin = "mutation"
    return (tree,)


def _to_tree(expression: Node, primitives: gp.PrimitiveSet) -> BredTree:
    return BredTree([primitives.mapping[node.op] for node in expression.walk()], "reproduction")


def _to_node(tree: Sequence[Any], language: Language) -> Node:
    """Read the prefix list backwards: when a primitive is met, its arguments are the last nodes built."""
    built: list[Node] = []
    for primitive in reversed(tree):
        args = [built.pop() for _ in range(primitive.arity)]
        built.append(language.node(primitive.name, *args))
    return built[0]
