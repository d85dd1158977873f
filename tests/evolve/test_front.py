"""The search for a front of programs: what it computes, who survives, and that it goes on where it stopped."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import synthetic
from scipy import stats

from zcsr.errors import InputError
from zcsr.evaluation.evaluate import Evaluator, score
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.bank import Bank, base_columns_of
from zcsr.evolve.config import PRESETS, EvolveConfig
from zcsr.evolve.finalists import candidates, finalists_of_front
from zcsr.evolve.fitness import MEASURES
from zcsr.evolve.front import _words_of, search
from zcsr.evolve.objectives import DESIGNS, cost_of, front, parents, survivors
from zcsr.evolve.proposals import WEIGHTS, Formulas, negated, parts, readouts
from zcsr.evolve.records import Evaluated, Generation
from zcsr.evolve.tasks import held_out, split
from zcsr.language.languages import ZCSR
from zcsr.language.program import Program
from zcsr.language.text import parse

CONFIG = EvolveConfig(
    population=12, generations=4, mu=6, lambda_=12, columns=6, formulas=2, networks_per_task=30, max_depth=4
)
TASKS = synthetic.make_tasks()
PROGRAMS = [
    parse(text)
    for text in (
        "sum(effective_rank(channels(T4_N))) / 338.9 + 0.5 * average(fro(T1_N)) - 0.01 * params",
        "slope(sqrt(fro(T3)))",
        "median(log(square(fro(T1_N)) + abs(mean(T4_D)))) * instances",
        "largest(mean(T1_D) * fro(T3)) - smallest(nuclear_norm(channels(T2_N)))",
        "std(fro(T2_D)) + first(l1(T4_N)) + last(mean(abs(T3))) + sum_abslog(fro(T3)) + mean_abslog(l1(T1_P))",
    )
]


def opened() -> StatisticsScorer:
    return StatisticsScorer(synthetic.load, {TASKS[0].task: TASKS[0].archs[:1]})


def bank_of(scorer: StatisticsScorer) -> Bank:
    networks = sum(len(task.archs) for task in TASKS)
    return Bank(TASKS, scorer, np.arange(networks) % 3 == 0)


@cache
def run(config: EvolveConfig = CONFIG, workers: int = 1, seeds: tuple[Program, ...] = ()) -> tuple[Generation, ...]:
    with StatisticsScorer(synthetic.load, {TASKS[0].task: TASKS[0].archs[:1]}, workers) as scorer:
        return tuple(search(config, TASKS, scorer, seeds=seeds))


def evaluated(text: str, *taus: float, ranking: str = "", shape_only: bool = False) -> Evaluated:
    program = parse(text)
    by_task = {f"t:{number}": tau for number, tau in enumerate(taus)}
    return Evaluated(program, "random", by_task, ranking or text, shape_only, cost_of(program))


# --- the bank ---------------------------------------------------------------------------------------------------


def test_scores_from_columns_are_those_of_the_evaluator() -> None:
    """A program's score from base columns against the whole program run on each network."""
    with opened() as scorer:
        bank = bank_of(scorer)
        bank.ensure(column for program in PROGRAMS for column in base_columns_of(program))
        for program in PROGRAMS:
            whole = [score(program, synthetic.load(*network)) for network in bank.networks]
            np.testing.assert_allclose(bank.scores(program), whole, rtol=2e-6, atol=1e-9, err_msg=str(program))


def test_a_column_is_begun_on_the_first_networks_and_completed_on_the_rest() -> None:
    (column,) = base_columns_of(parse("sum(fro(T1_D))"))
    with opened() as scorer:
        bank = bank_of(scorer)
        (begun,) = bank.begin([column])
        assert begun is not None
        assert bank.finite(begun, bank.first)
        assert not bank.finite(begun, ~bank.first)
        (complete,) = bank.complete({column: begun})
        values = Evaluator((Program(ZCSR.node("sum", column)),)).instance_values_of(
            [synthetic.load(*network) for network in bank.networks]
        )
        np.testing.assert_array_equal(complete, np.concatenate([of_network[0] for of_network in values]))


def test_a_column_that_refuses_a_network_is_none() -> None:
    (column,) = base_columns_of(parse("sum(fro(matmul(T1_D, T3)))"))
    with opened() as scorer:
        assert bank_of(scorer).begin([column]) == [None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(numel(T1_D))", True),
        ("sum(fro(ones_like(T3)))", True),
        ("sum(fro(T3))", False),
        ("sum(mean(T1_N))", False),
    ],
)
def test_columns_that_shapes_decide_are_recognised(text: str, expected: bool) -> None:
    (column,) = base_columns_of(parse(text))
    with opened() as scorer:
        bank = bank_of(scorer)
        bank.ensure([column])
        assert bank.depends_on_shapes_alone(column) == expected


def test_rankings_are_equal_for_what_ranks_alike_in_every_task_alone() -> None:
    with opened() as scorer:
        bank = bank_of(scorer)
        scores = np.random.default_rng(0).uniform(1, 2, len(bank.networks))
        shifted = scores + np.repeat([0.0, 100.0, -7.0], 30)  # other values, the same order within each task
        assert bank.ranking_of(np.log(scores)) == bank.ranking_of(scores) == bank.ranking_of(shifted)
        swapped = scores.copy()
        swapped[[0, 1]] = swapped[[1, 0]]
        assert bank.ranking_of(swapped) != bank.ranking_of(scores)


def test_taus_by_task_are_scipy_s() -> None:
    with opened() as scorer:
        bank = bank_of(scorer)
        scores = np.random.default_rng(1).integers(0, 9, (4, len(bank.networks))).astype(float)
        found = bank.by_task(MEASURES["signed"], scores, bank.first)
        for (row, task), number in zip(itertools.product(range(4), TASKS), itertools.cycle(range(3)), strict=False):
            place = bank.slices[task.task]
            expected = stats.kendalltau(scores[row, place][bank.first[place]], task.accuracies[bank.first[place]])
            assert found[row, number] == pytest.approx(expected.statistic)


# --- what is proposed -------------------------------------------------------------------------------------------


def test_readouts_are_every_aggregation_of_a_column_and_its_functions() -> None:
    (column,) = base_columns_of(parse("sum(fro(T3))"))
    found = readouts(ZCSR, column)
    aggregations = [word for word in ZCSR.network if word.aggregates]
    assert len(found) == len(set(map(str, found))) == 3 * len(aggregations)
    assert {str(one) for one in found} >= {"sum(fro(T3))", "median(log(fro(T3)))", "slope(sqrt(fro(T3)))"}


def test_formulas_score_as_the_programs_that_they_are() -> None:
    parent, *terms = PROGRAMS[:4]
    with opened() as scorer:
        bank = bank_of(scorer)
        others = np.array([bank.scores(term) for term in terms])
        formulas = Formulas.of(ZCSR, parent, bank.scores(parent), terms, others)
        assert len(formulas.scores) == len(terms) * (len(WEIGHTS) + 2)
        for place, row in enumerate(formulas.scores):
            program = formulas.program_at(place)
            assert program is not None
            np.testing.assert_allclose(bank.scores(program), row, rtol=1e-12, err_msg=str(program))


def test_parts_and_negation() -> None:
    program = parse("sum(fro(T3)) - 2 * params")
    assert sorted(map(str, parts(program))) == ["mul(2, params)", "sum(fro(T3))"]
    assert negated(ZCSR, negated(ZCSR, program)) == program


# --- objectives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("params", 0),
        ("sum(fro(T3))", 0),
        ("sum(fro(T4_N))", 1),
        ("sum(fro(T4_N) + fro(T1_N))", 1),
        ("sum(fro(T1G_D))", 3),
        ("sum(fro(T3G_P))", 6),
        ("sum(fro(T1_P))", 2),
        ("sum(fro(T1_N)) + sum(fro(T1G_D))", 4),
    ],
)
def test_the_cost_of_a_score_counts_its_passes(text: str, cost: int) -> None:
    assert cost_of(parse(text)) == cost


def test_the_front_is_what_nothing_dominates() -> None:
    generator = random.Random(3)
    texts = ["params", "sum(fro(T3))", "sum(fro(T4_N))", "sum(fro(T1G_D))", "sum(fro(T3)) + params", "log(params)"]
    pool = [
        evaluated(text, *(round(generator.uniform(0, 1), 1) for _ in range(3)), ranking=f"{text}{number}")
        for number, text in enumerate(texts * 5)
    ]

    def values(one: Evaluated) -> tuple[float, ...]:
        return one.least, one.mean, -one.program.root.size, -one.cost

    def dominated(one: Evaluated) -> bool:
        return any(
            all(a >= b for a, b in zip(values(other), values(one), strict=True)) and values(other) != values(one)
            for other in pool
        )

    assert {id(one) for one in front(pool)} == {id(one) for one in pool if not dominated(one)}


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_keeps_the_best_and_holds_sizes_to_their_share(design: str) -> None:
    texts = [f"sum(fro(T3)) * {number}" for number in range(2, 20)]
    pool = [evaluated(text, 0.01 * number, 0.02 * number) for number, text in enumerate(texts)]
    shapes = [
        evaluated(f"sum(numel(T3)) * {number}", 0.9, 0.9 + number / 100, shape_only=True) for number in range(2, 9)
    ]
    kept = survivors([*pool, *shapes], design, 10, 3, random.Random(0))
    assert len(kept) == 10
    assert sum(one.shape_only for one in kept) == 3
    assert pool[-1] in kept
    assert len({one.program.id for one in kept}) == 10
    assert len(parents(kept, design, 7, 3, random.Random(1))) == 7


# --- runs -------------------------------------------------------------------------------------------------------


def test_a_run_is_the_same_for_any_number_of_workers() -> None:
    assert synthetic.without_seconds(run(workers=2)) == synthetic.without_seconds(run())


@pytest.mark.parametrize("done", [1, 3])
def test_a_run_goes_on_as_if_it_had_not_stopped(done: int) -> None:
    with opened() as scorer:
        rest = tuple(search(CONFIG, TASKS, scorer, run()[:done]))
    assert synthetic.without_seconds((*run()[:done], *rest)) == synthetic.without_seconds(run())


def test_more_generations_go_on_from_the_same_ones() -> None:
    shorter = run(replace(CONFIG, generations=2))
    assert synthetic.without_seconds(run()[:2]) == synthetic.without_seconds(shorter)


def test_what_is_good_is_never_lost() -> None:
    best = [max(one.least for one in generation.evaluated) for generation in run()]
    kept = [max(one.fitness for one in generation.individuals) for generation in run()]
    assert kept == list(itertools.accumulate(best, max))


def test_taus_of_individuals_are_those_of_their_programs_run_whole() -> None:
    leader = max(run()[-1].individuals, key=lambda one: one.fitness)
    for task in TASKS:
        scores = [score(leader.program, synthetic.load(task.task, arch)) for arch in task.archs]
        assert leader.taus[task.task] == pytest.approx(
            stats.kendalltau(scores, task.accuracies).statistic, abs=0.01
        )
    assert leader.fitness == min(leader.taus.values())


def test_no_program_is_evaluated_twice_and_none_ranks_as_a_smaller_one() -> None:
    every = [one for generation in run() for one in generation.evaluated]
    assert len({one.program.id for one in every}) == len(every)
    sizes: dict[str, int] = {}
    for one in every:
        assert one.program.root.size < sizes.get(one.ranking, math.inf)
        sizes[one.ranking] = one.program.root.size
    columns = [column.text for generation in run() for column in generation.columns]
    assert len(set(columns)) == len(columns)
    for generation in run():
        rankings = [next(e.ranking for e in every if e.program.id == one.same_as) for one in generation.individuals]
        assert len(set(rankings)) == len(rankings)


def test_constants_are_refused() -> None:
    refused = {one.reason for generation in run(seeds=(parse("0 * params"),)) for one in generation.rejections}
    assert "constant" in refused


def test_seeds_are_in_the_first_generation() -> None:
    seed = PROGRAMS[1]
    first = run(seeds=(seed,))[0]
    assert [one.origin for one in first.evaluated if one.program == seed] == ["seed"]


def test_half_of_the_new_columns_are_words_while_there_are_any() -> None:
    words = {str(word) for word in _words_of(ZCSR)}
    assert {
        "effective_rank(channels(T4_N))",
        "effective_rank(T3)",
        "patterns(channels(T1_D))",
        "std(T3G_P)",
    } <= words
    assert {word for word in words if word.startswith("numel(")} == {"numel(T1_D)", "numel(T3)", "numel(T4_D)"}
    seen: set[str] = set()
    for generation in run():
        texts = {column.text for column in generation.columns}
        assert seen.isdisjoint(texts)
        assert len(texts & words) >= CONFIG.columns // 2
        seen |= texts
    other = run(replace(CONFIG, seed=1))
    assert {column.text for column in other[0].columns} != {column.text for column in run()[0].columns}


def test_shape_only_programs_can_be_refused() -> None:
    strict = run(replace(CONFIG, refuse="shape-only"))
    assert not any(one.shape_only for generation in strict for one in generation.evaluated)
    assert any(one.shape_only for generation in run() for one in generation.evaluated)


def test_the_race_spares_networks_and_can_be_switched_off() -> None:
    assert sum(generation.counters["spared"] for generation in run(replace(CONFIG, race=0.1, seed=1))) > 0
    whole = run(replace(CONFIG, race=0, seed=1))
    assert sum(generation.counters["spared"] for generation in whole) == 0
    assert {column.state for generation in whole for column in generation.columns} <= {"known", "refused"}


def test_a_history_of_other_networks_is_refused() -> None:
    with opened() as scorer, pytest.raises(InputError, match="evaluated on other networks"):
        search(CONFIG, TASKS[:2], scorer, run()[:1])


# --- who is tested ----------------------------------------------------------------------------------------------


def test_held_out_networks_are_apart_and_depend_on_the_seed() -> None:
    task = TASKS[0]
    seen, unseen = held_out(CONFIG, task)
    assert sorted((*seen.archs, *unseen.archs)) == sorted(task.archs)
    assert len(unseen.archs) == 15
    assert held_out(replace(CONFIG, seed=1), task)[1].archs != unseen.archs
    few = task.subset(task.archs[:12])
    assert [part.archs for part in held_out(CONFIG, few)] == [few.archs, ()]


def test_stratified_networks_are_one_of_each_stratum() -> None:
    config = replace(CONFIG, networks_per_task=10, sampling="stratified")
    table = synthetic.make_task("nasbench201:cifar10", 30)
    (part,) = split([table], {"nasbench201": str}, config, 10)
    strata = np.array_split(np.sort(table.accuracies), 10)
    drawn = np.sort(part.evolve.accuracies)
    assert all(one in stratum for one, stratum in zip(drawn, strata, strict=True))


def test_the_chosen_finalist_is_worth_its_size() -> None:
    generator = np.random.default_rng(5)
    accuracies = {f"t:{number}": generator.normal(size=60) for number in range(3)}

    def noisy(strength: float) -> dict[str, np.ndarray]:
        noise = np.random.default_rng(9)
        return {task: values + strength * noise.normal(size=60) for task, values in accuracies.items()}

    small, middle, large = map(
        parse, ("sum(fro(T3))", "sum(fro(T3)) + sum(fro(T1_N))", "sum(fro(T3)) * 2 + 3 * sum(l1(T4_N))")
    )
    scores = {small.id: noisy(3.0), middle.id: noisy(0.5), large.id: noisy(0.499)}
    ones = [evaluated(str(program), 0.5, 0.5, 0.5) for program in (small, middle, large)]
    generation = replace(run()[0], evaluated=tuple(ones), individuals=())
    chosen = {one.role: one.program for one in finalists_of_front([generation], scores, accuracies)}
    assert chosen == {"chosen": middle, "highest": large, "simplest": small}
    assert finalists_of_front([generation], {}, accuracies) == ()


def test_candidates_have_columns_and_the_best_of_each_size_come_first() -> None:
    pool = [
        evaluated("params", 0.9, 0.9),
        evaluated("sum(fro(T3))", 0.1, 0.2),
        evaluated("sum(fro(T1_N))", 0.3, 0.4),
        evaluated("log(sum(fro(T1_N)))", 0.2, 0.3),
    ]
    assert list(map(str, candidates(pool, 2))) == ["sum(fro(T1_N))", "log(sum(fro(T1_N)))"]


# --- configuration ----------------------------------------------------------------------------------------------


def test_presets_and_what_does_not_go_together() -> None:
    assert EvolveConfig().algorithm == "front"
    paper = EvolveConfig(**PRESETS["paper"])  # type: ignore[arg-type]
    assert (paper.algorithm, paper.language, paper.max_depth) == ("generations", "eznas", 10)
    assert (paper.population, paper.draw, paper.tournament, paper.crossover) == (50, 20, 4, 0.4)  # 8.7
    with pytest.raises(InputError, match="larger language"):
        EvolveConfig(algorithm="front", language="eznas")
    with pytest.raises(InputError, match="signed or absolute"):
        EvolveConfig(algorithm="generations", fitness="top")


@pytest.mark.parametrize("kind", MEASURES)
def test_measures_agree_with_their_definitions(kind: str) -> None:
    generator = np.random.default_rng(2)
    accuracies = generator.normal(size=80)
    rows = accuracies + generator.normal(size=(3, 80)) * [[0.5], [2.0], [30.0]]
    whole = np.array([stats.kendalltau(row, accuracies).statistic for row in rows])
    best = np.argsort(-accuracies)[:10]
    found = MEASURES[kind](rows, accuracies)
    expected = {
        "signed": whole,
        "absolute": np.abs(whole),
        "top": [stats.kendalltau(row[best], accuracies[best]).statistic for row in rows],
    }
    if kind == "lower":
        assert (found < whole).all()
        assert (found > whole - 0.25).all()
    else:
        np.testing.assert_allclose(found, expected[kind])
