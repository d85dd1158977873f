"""Programs of the larger language as a search draws and breeds them, and a whole search of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import synthetic

from zcsr.errors import InputError
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.loop import evolve
from zcsr.evolve.records import Candidate, Individual
from zcsr.evolve.representation import REPRESENTATIONS
from zcsr.evolve.tasks import choose_probes
from zcsr.evolve.typed_trees import TypedTrees
from zcsr.language.languages import EZNAS, LANGUAGES, ZCSR
from zcsr.language.network_operations import Constant
from zcsr.language.program import Node, Program
from zcsr.language.text import parse

CONFIG = EvolveConfig(
    population=12, generations=3, mu=6, lambda_=12, networks_per_task=20, draw=8, max_depth=5, height_limit=7
)
TREES = TypedTrees(ZCSR)
PARENTS = [
    parse(text)
    for text in (
        "sum(effective_rank(channels(T4_N))) / 338.9 + 0.5 * average(fro(T1G_N))",
        "log(params) - 2 * slope(nuclear_norm(channels(T3)))",
        "largest(quantile_90(mul(T1_D, T1G_D)))",
        "median(mean(fro(T3)))",
    )
]


def root(candidate: Candidate) -> Node:
    assert isinstance(candidate.outcome, Program)
    return candidate.outcome.root


def children(config: EvolveConfig, seed: int) -> list[Candidate]:
    bred = [Individual(slot, one, "random", "new", one.id, 0.0, {}) for slot, one in enumerate(PARENTS)]
    return TREES.children(config, bred, random.Random(seed))


def only(**shares: float) -> EvolveConfig:
    return EvolveConfig(**{"crossover": 0.0, "mutation": 0.0, "lambda_": 300, **shares})  # type: ignore[arg-type]


def test_random_programs_have_every_height_and_word() -> None:
    config = EvolveConfig()
    drawn = [root(one) for one in TREES.random(config, 3000, random.Random(1))]
    assert set(Counter(tree.height for tree in drawn)) == set(range(config.min_depth, config.max_depth + 1))
    names = {node.op for tree in drawn for node in tree.walk() if not isinstance(node.word, Constant)}
    assert names == set(ZCSR.words)
    assert any(isinstance(node.word, Constant) for tree in drawn for node in tree.walk())


def test_texts_of_random_programs_read_back() -> None:
    for candidate in TREES.random(EvolveConfig(), 500, random.Random(2)):
        assert parse(candidate.text) == candidate.outcome


def test_reproduction_returns_the_parents() -> None:
    assert {one.outcome for one in children(only(), 3)} == set(PARENTS)


def test_crossover_exchanges_parts_of_one_type() -> None:
    offspring = children(only(crossover=1.0), 4)
    parts = {node for parent in PARENTS for node in parent.root.walk()}
    types = {node: node.type for node in parts}
    assert len({one.text for one in offspring}) > 30
    for one in offspring:
        # What is new in a child is the way from its root to the part that came in; all else is of a parent.
        new = [node for node in root(one).walk() if node not in parts]
        assert all(any(arg in new or arg in types for arg in node.args) for node in new)


def test_constants_move_by_small_steps() -> None:
    before = {0.5, 338.9, 2.0}
    seen = [
        node.word.value
        for one in children(only(mutation=1.0), 5)
        for node in root(one).walk()
        if isinstance(node.word, Constant)
    ]
    near = [value for value in seen if value not in before and any(abs(value / old - 1) < 0.6 for old in before)]
    assert len(near) > 20
    assert all(float(f"{value:.3g}") == value for value in near)


def test_a_draw_depends_on_its_generator_alone() -> None:
    def drawn() -> list[str]:
        return [
            one.text for one in (*TREES.random(CONFIG, 40, random.Random(6)), *children(only(crossover=1.0), 6))
        ]

    random.seed(1)
    first = drawn()
    random.seed(2)
    assert drawn() == first


def test_more_random_programs_are_valid_than_of_the_paper_s() -> None:
    """A share of the programs that have values on the probe networks, by the same heights."""
    tasks = synthetic.make_tasks()
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks)) as scorer:
        valid = {}
        for language in ("zcsr", "eznas"):
            config = EvolveConfig(language=language, max_depth=6)
            drawn = REPRESENTATIONS["tree"](LANGUAGES[language]).random(config, 300, random.Random(7))
            results = scorer.probe([one.outcome for one in drawn if isinstance(one.outcome, Program)])
            valid[language] = sum(not hasattr(one, "reason") for one in results) / len(drawn)
    assert 0.2 < valid["eznas"] < valid["zcsr"], valid


# --- a whole search -----------------------------------------------------------------------------------------------


def test_a_search_is_the_same_elsewhere_and_after_a_resume() -> None:
    whole = synthetic.full_run(CONFIG)
    assert synthetic.run_elsewhere(CONFIG, "7") == synthetic.without_seconds(whole)
    tasks = synthetic.make_tasks()
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks), workers=2) as scorer:
        resumed = (*whole[:1], *evolve(CONFIG, tasks, scorer, whole[:1]))
    assert synthetic.without_seconds(resumed) == synthetic.without_seconds(whole)
    assert all(not individual.program.has_steps for generation in whole for individual in generation.individuals)


def test_what_ranks_alike_takes_its_twin_s_taus() -> None:
    alike = [
        individual
        for seed in range(4)
        for generation in synthetic.full_run(replace(CONFIG, seed=seed))
        for individual in generation.individuals
        if individual.recognised_by == "same_order"
    ]
    assert alike
    assert all(individual.same_as != individual.program.id for individual in alike)


def test_sequences_are_of_the_paper_s_language() -> None:
    with pytest.raises(InputError, match=r"give language eznas \(--language eznas\); got zcsr"):
        EvolveConfig(representation="sequential")
    assert EvolveConfig(representation="sequential", language=EZNAS.name).language == "eznas"
