from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.records import Candidate, Individual
from zcsr.evolve.trees import Trees, select
from zcsr.language.languages import EZNAS
from zcsr.language.program import Node, Program
from zcsr.language.text import parse

CONFIG = EvolveConfig()
PARENTS = [
    parse(text).expression
    for text in (
        "fro(sigmoid(logdet(sign(T1G_D))))",
        "add(mul(T1_D, T2_N), exp(T3))",
        "kl(softmax(T4_P), gt(T1_P, T2_P))",
        "square(abs(fro(T2_N)))",
        "T4_D",
    )
]


TREES = Trees(EZNAS)


def random_programs(config: EvolveConfig, count: int, generator: random.Random) -> list[Candidate]:
    return TREES.random(config, count, generator)


def children(config: EvolveConfig, parents: list[Node], generator: random.Random) -> list[Candidate]:
    bred = [
        Individual(slot, EZNAS.program(parent), "random", "new", "", 0.0, {}) for slot, parent in enumerate(parents)
    ]
    return TREES.children(config, bred, generator)


def tree(candidate: Candidate) -> Node:
    assert isinstance(candidate.outcome, Program)
    return candidate.outcome.expression


def positions(root: Node) -> Iterator[tuple[int, ...]]:
    """The path of every node, as argument indices from the root."""
    yield ()
    for index, arg in enumerate(root.args):
        for path in positions(arg):
            yield (index, *path)


def at(root: Node, path: tuple[int, ...]) -> Node:
    return at(root.args[path[0]], path[1:]) if path else root


def replaced(root: Node, path: tuple[int, ...], new: Node) -> Node:
    if not path:
        return new
    args = list(root.args)
    args[path[0]] = replaced(args[path[0]], path[1:], new)
    return Node(root.word, tuple(args))


def only(**shares: float) -> EvolveConfig:
    return EvolveConfig(**{"crossover": 0.0, "mutation": 0.0, "lambda_": 200, **shares})  # type: ignore[arg-type]


def test_random_programs_have_the_configured_heights_and_use_every_name():
    programs = random_programs(CONFIG, 3000, random.Random(1))
    heights = Counter(tree(candidate).height for candidate in programs)
    assert set(heights) == set(range(CONFIG.min_depth, CONFIG.max_depth + 1))
    assert {node.op for candidate in programs for node in tree(candidate).walk()} == set(EZNAS.words)
    assert {candidate.origin for candidate in programs} == {"random"}


def test_random_programs_are_full_or_grown():
    def full(node: Node) -> bool:
        return all(full(arg) and arg.height == node.height - 1 for arg in node.args)

    programs = random_programs(EvolveConfig(min_depth=1, max_depth=6), 4000, random.Random(2))
    # Half are full by method; grown ones are full by chance, the more so the smaller they are.
    assert 0.5 < sum(full(tree(candidate)) for candidate in programs) / 4000 < 0.95


def test_reproduction_returns_the_parents_unchanged():
    offspring = children(only(), PARENTS, random.Random(3))
    assert {child.origin for child in offspring} == {"reproduction"}
    assert {tree(child) for child in offspring} == set(PARENTS)


def test_crossover_puts_one_subtree_of_a_parent_into_another():
    offspring = children(only(crossover=1.0), PARENTS, random.Random(4))
    possible = {
        replaced(first, path, donor)
        for first in PARENTS
        for path in positions(first)
        if path
        for second in PARENTS
        if second is not first and second.args
        for donor_path in positions(second)
        if donor_path
        for donor in [at(second, donor_path)]
    }
    possible |= set(PARENTS)  # a parent that is a single tensor exchanges nothing
    assert {child.origin for child in offspring} == {"crossover"}
    assert {tree(child) for child in offspring} <= possible
    assert len({tree(child) for child in offspring}) > 30


def test_mutation_puts_one_random_subtree_into_a_parent():
    config = only(mutation=1.0)
    offspring = children(config, PARENTS, random.Random(5))
    assert {child.origin for child in offspring} == {"mutation"}
    for child in offspring:
        assert any(
            replaced(parent, path, at(tree(child), path)) == tree(child)
            and config.min_depth <= at(tree(child), path).height <= config.max_depth
            for parent in PARENTS
            for path in positions(parent)
            if set(path_prefixes(path)) <= set(positions(tree(child)))
        )


def path_prefixes(path: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [path[:length] for length in range(len(path) + 1)]


def test_origins_follow_the_probabilities():
    offspring = children(EvolveConfig(lambda_=6000), PARENTS, random.Random(6))
    shares = {origin: count / 6000 for origin, count in Counter(child.origin for child in offspring).items()}
    assert shares == pytest.approx({"crossover": 0.4, "mutation": 0.4, "reproduction": 0.2}, abs=0.025)


def selected(fitnesses: list[float], generator: random.Random) -> list[int]:
    """The slots of the parents among individuals of these fitnesses."""
    program = parse("T4_D")
    individuals = [
        Individual(slot, program, "random", "new", program.id, fitness, {})
        for slot, fitness in enumerate(fitnesses)
    ]
    return [parent.slot for parent in select(CONFIG, individuals, generator)]


def test_selection_is_the_fittest_of_four_drawn_with_replacement():
    fitnesses = [random.Random(7).uniform(-1, 1) for _ in range(50)]
    oracle = random.Random("draws")
    expected = [
        max((oracle.choice(range(50)) for _ in range(4)), key=lambda position: fitnesses[position])
        for _ in range(25)
    ]
    assert selected(fitnesses, random.Random("draws")) == expected


def test_equally_fit_ones_win_by_the_order_of_drawing():
    oracle = random.Random("ties")
    expected = []
    for _ in range(25):
        drawn = [oracle.choice(range(50)) for _ in range(4)]
        expected.append(drawn[0])
    assert selected([0.25] * 50, random.Random("ties")) == expected


def test_the_global_generator_is_neither_read_nor_moved():
    random.seed(1)
    state = random.getstate()
    first = (random_programs(CONFIG, 20, random.Random(8)), children(CONFIG, PARENTS, random.Random(9)))
    assert random.getstate() == state
    random.seed(2)
    assert first == (random_programs(CONFIG, 20, random.Random(8)), children(CONFIG, PARENTS, random.Random(9)))


def test_the_global_generator_is_put_back_when_deap_fails():
    state = random.getstate()
    with pytest.raises(ValueError, match="larger than population"):
        children(only(crossover=1.0), PARENTS[:1], random.Random(10))
    assert random.getstate() == state


def test_the_generator_given_moves_on():
    generator = random.Random(11)
    assert random_programs(CONFIG, 20, generator) != random_programs(CONFIG, 20, generator)
