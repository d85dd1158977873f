from __future__ import annotations

import functools
import math
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
import synthetic
from scipy import stats

import zcsr.evolve.breeding as breeding
from zcsr.errors import InputError, ProgramError, ZcsrError
from zcsr.evaluation import evaluate
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import finalists
from zcsr.evolve.fitness import fitness, taus
from zcsr.evolve.ledger import COUNTERS, GenerationProgress
from zcsr.evolve.loop import evolve
from zcsr.evolve.records import Generation, Individual, ProgramRecord, Rejection
from zcsr.evolve.tasks import TaskData, choose_probes, split
from zcsr.language.program import Program, infer_shape
from zcsr.language.text import parse
from zcsr.spaces import get_space

CONFIG = EvolveConfig(
    language="eznas",
    population=16,
    generations=5,
    mu=8,
    lambda_=12,
    max_depth=5,
    height_limit=5,
    networks_per_task=30,
    draw=8,
    tasks_per_generation=2,
    probe_networks=1,
)


@pytest.fixture
def tasks() -> list[TaskData]:
    return synthetic.make_tasks()


@pytest.fixture
def run() -> tuple[Generation, ...]:
    return synthetic.full_run(CONFIG)


@pytest.fixture
def scorer(tasks):
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks)) as scorer:
        yield scorer


class CountingScorer:
    """Remembers everything it is asked."""

    def __init__(self, scorer: StatisticsScorer) -> None:
        self.scorer = scorer
        self.probed: list[str] = []
        self.scored: list[tuple[str, str, str]] = []

    def probe(self, programs):
        self.probed += map(str, programs)
        return self.scorer.probe(programs)

    def score(self, pending):
        self.scored += [(str(program), p.task, p.arch) for p in pending for program in p.programs]
        return self.scorer.score(pending)


# The population ------------------------------------------------------------------------------------------------


def test_generations_are_numbered_and_full(run):
    assert [generation.number for generation in run] == [0, 1, 2, 3, 4]
    for generation in run:
        assert [individual.slot for individual in generation.individuals] == list(range(16))


def test_half_are_children_and_half_are_new_random_programs(run):
    assert {individual.origin for individual in run[0].individuals} == {"random"}
    for generation in run[1:]:
        origins = [individual.origin for individual in generation.individuals]
        assert set(origins[:8]) <= {"crossover", "mutation", "reproduction"}
        assert set(origins[8:]) == {"random"}
    assert {individual.origin for generation in run for individual in generation.individuals} == {
        "random",
        "crossover",
        "mutation",
        "reproduction",
    }


def test_reproduction_repeats_a_program_of_finite_fitness_from_the_generation_before(run):
    for before, generation in pairwise(run):
        fit = {i.program for i in before.individuals if math.isfinite(i.fitness)}
        copies = [i for i in generation.individuals if i.origin == "reproduction"]
        assert all(copy.program in fit and copy.recognised_by == "text" for copy in copies)


def test_programs_carry_the_configured_steps(tasks, scorer):
    config = replace(CONFIG, to_scalar="l2", aggregation="sum", generations=2)
    for generation in evolve(config, tasks, scorer):
        assert {(i.program.to_scalar, i.program.aggregation) for i in generation.individuals} == {("l2", "sum")}


def test_every_program_is_valid_on_every_probe_network(run, tasks):
    probes = choose_probes(CONFIG, tasks)
    for program in {individual.program for generation in run for individual in generation.individuals}:
        assert program.root.height <= CONFIG.height_limit
        for task, archs in probes.items():
            for arch in archs:
                assert np.isfinite(evaluate.instance_values(program, synthetic.load(task, arch))).all()


def test_probe_values_are_those_of_the_probe_networks(run, tasks):
    probes = choose_probes(CONFIG, tasks)
    for record in run[0].programs:
        values = [
            evaluate.instance_values(record.program, synthetic.load(task, arch))
            for task, archs in probes.items()
            for arch in archs
        ]
        assert record.probe_values == tuple(np.concatenate(values).tolist())


def test_distinct_programs_are_recorded_once_and_duplicates_refer_to_them(run):
    seen: dict[str, Program] = {}
    for generation in run:
        for record in generation.programs:
            assert record.program.id not in seen
            seen[record.program.id] = record.program
        new = [individual for individual in generation.individuals if individual.recognised_by == "new"]
        assert [individual.program for individual in new] == [record.program for record in generation.programs]
        for individual in generation.individuals:
            assert individual.same_as in seen
            assert (individual.same_as == individual.program.id) or individual.recognised_by != "new"
    stages = Counter(individual.recognised_by for generation in run for individual in generation.individuals)
    assert stages["text"] > 0
    assert stages["fingerprint"] + stages["normal_form"] > 0


# Refusals ------------------------------------------------------------------------------------------------------


def test_reasons_hold_when_checked_one_by_one(run, tasks):
    probes = choose_probes(CONFIG, tasks)
    networks = [synthetic.load(task, arch) for task, archs in probes.items() for arch in archs]

    def has_shapes(program: Program) -> bool:
        try:
            for network in networks:
                for instance in network.instances:
                    infer_shape(program.expression, {name: tuple(t.shape) for name, t in instance.raw.items()})
        except ProgramError:
            return False
        return True

    checked: Counter[str] = Counter()
    for rejection in (r for generation in run for r in generation.rejections if r.count):
        program = parse(rejection.text)
        too_tall = program.root.height > CONFIG.height_limit
        assert too_tall == (rejection.reason == "too_tall")
        if not too_tall:
            assert has_shapes(program) == (rejection.reason != "shape")
        if rejection.reason == "non_finite" and rejection.text not in expelled(run):
            values = np.concatenate([evaluate.instance_values(program, network) for network in networks])
            assert not np.isfinite(values).all()
        checked[rejection.reason] += 1
    assert set(checked) == {"too_tall", "shape", "non_finite"}
    assert min(checked.values()) >= 3


def test_counters_add_up(run):
    for generation in run:
        counters = generation.counters
        assert tuple(counters) == tuple(name for name in COUNTERS if name != "same_order")
        assert counters["rejected"] == sum(rejection.count for rejection in generation.rejections)
        assert counters["proposed"] == counters["rejected"] + len(generation.individuals)
        too_tall = sum(r.count for r in generation.rejections if r.reason == "too_tall")
        assert counters["proposed"] >= counters["known"] + counters["probed"] >= counters["proposed"] - too_tall
        stages = Counter(individual.recognised_by for individual in generation.individuals)
        assert {stage: counters[stage] for stage in stages} == stages
        assert counters["scored"] == len(generation.scores)
        distinct = {individual.same_as for individual in generation.individuals}
        expelled_pairs = sum(
            1
            for individual_id in distinct
            for task, archs in generation.draws.items()
            for _ in archs
            if task not in next(i.taus for i in generation.individuals if i.same_as == individual_id)
        )
        pairs = len(distinct) * sum(map(len, generation.draws.values()))
        assert pairs - expelled_pairs <= counters["scored"] + counters["remembered"] <= pairs


def test_a_known_refusal_is_counted_but_recorded_once(tasks, scorer):
    # Tensors alone are admitted, and single operations, of which there are few, refused again and again.
    config = replace(CONFIG, min_depth=0, max_depth=1, height_limit=0, population=200, generations=4)
    known: set[str] = set()
    again = most = 0
    for generation in evolve(config, tasks, scorer):
        texts = [rejection.text for rejection in generation.rejections]
        assert len(texts) == len(set(texts))
        assert {rejection.reason for rejection in generation.rejections} == {"too_tall"}
        assert generation.counters["rejected"] == sum(rejection.count for rejection in generation.rejections)
        again += sum(text in known for text in texts)
        most = max(most, *(rejection.count for rejection in generation.rejections))
        known |= set(texts)
    assert again > 10
    assert most > 1
    assert generation.counters["known"] > 10


def test_what_was_judged_is_never_probed_again(tasks, scorer):
    counting = CountingScorer(scorer)
    judged: set[str] = set()
    for generation in evolve(replace(CONFIG, min_depth=1, max_depth=1), tasks, counting):
        assert not judged & set(counting.probed)
        counting.probed.clear()
        judged |= {rejection.text for rejection in generation.rejections}
        judged |= {str(individual.program) for individual in generation.individuals}
    assert generation.counters["known"] > 0


def test_an_error_is_a_reason(tasks, scorer):
    class Failing(CountingScorer):
        def probe(self, programs):
            results = super().probe(programs)
            return [
                Refusal("error", "singular") if "logdet" in str(program) else result
                for program, result in zip(programs, results, strict=True)
            ]

    (generation,) = islice(evolve(CONFIG, tasks, Failing(scorer)), 1)
    errors = [rejection for rejection in generation.rejections if rejection.reason == "error"]
    assert errors
    assert all("logdet" in rejection.text and rejection.detail == "singular" for rejection in errors)
    assert not any("logdet" in str(individual.program) for individual in generation.individuals)


def expelled(run) -> dict[str, int]:
    """The generation in which a program of the population turned out to have a score that is not finite."""
    return {r.text: generation.number for generation in run for r in generation.rejections if r.count == 0}


def test_a_score_that_is_not_finite_expels_a_program(run):
    programs = {record.program.id: record.program for generation in run for record in generation.programs}
    assert expelled(run)
    for text, number in expelled(run).items():
        program = parse(text)
        holders = [i for i in run[number].individuals if i.same_as == program.id]
        assert holders
        assert all(holder.fitness == -math.inf for holder in holders)
        unscored = [
            (task, arch)
            for task, archs in run[number].draws.items()
            for arch in archs
            if not math.isfinite(evaluate.score(program, synthetic.load(task, arch)))
        ]
        assert unscored
        (rejection,) = [r for r in run[number].rejections if r.text == text]
        assert rejection.reason == "non_finite"
        assert unscored[0][0] in rejection.detail
        assert unscored[0][1] in rejection.detail
        assert programs[program.id] == program
        later = [i for generation in run[number + 1 :] for i in generation.individuals]
        assert not any(individual.same_as == program.id for individual in later)


def test_it_never_wins_while_another_can(run):
    for before, generation in pairwise(run):
        lost = {i.program for i in before.individuals if i.fitness == -math.inf}
        copies = [i.program for i in generation.individuals if i.origin == "reproduction"]
        assert not lost & set(copies)


def test_a_hopeless_search_ends_with_an_error(tasks, monkeypatch):
    class Refusing:
        def probe(self, programs):
            return [Refusal("non_finite", "always")] * len(programs)

        def score(self, pending):
            return ()

    monkeypatch.setattr(breeding, "HOPELESS_AFTER", 300)
    with pytest.raises(ZcsrError, match=r"no valid program among 320 candidates.*non_finite \d+"):
        next(evolve(CONFIG, tasks, Refusing()))


# Fitness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["signed", "absolute"])
def test_fitness_is_the_least_tau_over_the_draw_computed_naively(tasks, kind):
    run = synthetic.full_run(replace(CONFIG, fitness=kind, generations=3))
    programs = {record.program.id: record.program for generation in run for record in generation.programs}
    accuracy = {(t.task, arch): a for t in tasks for arch, a in zip(t.archs, t.accuracies, strict=True)}
    for generation in run:
        for individual in generation.individuals:
            expected: dict[str, float] = {}
            for task, archs in generation.draws.items():
                program = programs[individual.same_as]
                scores = [evaluate.score(program, synthetic.load(task, arch)) for arch in archs]
                if np.isfinite(scores).all():
                    tau = stats.kendalltau(scores, [accuracy[task, arch] for arch in archs]).statistic
                    expected[task] = 0.0 if math.isnan(tau) else tau
            assert individual.taus == pytest.approx(expected, abs=1e-12)
            values = expected.values() if kind == "signed" else map(abs, expected.values())
            complete = len(expected) == len(generation.draws)
            assert individual.fitness == (pytest.approx(min(values), abs=1e-12) if complete else -math.inf)
    fitnesses = [i.fitness for generation in run for i in generation.individuals if math.isfinite(i.fitness)]
    assert min(fitnesses) < 0 if kind == "signed" else min(fitnesses) >= 0


def test_constant_scores_have_tau_zero_and_lost_ones_none():
    rows = [[1, 1, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1], [1, 2, math.nan, 4], [1, 2, math.inf, 4]]
    values = taus(rows, [10, 20, 30, 40])
    assert values[:3].tolist() == [0.0, 1.0, -1.0]
    assert np.isnan(values[3:]).all()
    assert taus(rows[1:2], [5, 5, 5, 5]).tolist() == [0.0]


def test_fitness_by_sign_and_by_size():
    assert fitness({"a": 0.5, "b": -0.7}, 2, "signed") == -0.7
    assert fitness({"a": 0.5, "b": -0.7}, 2, "absolute") == 0.5
    assert fitness({"a": 0.5}, 2, "absolute") == -math.inf


def test_each_generation_draws_tasks_and_networks_anew(run, tasks):
    archs = {task.task: task.archs for task in tasks}
    for generation in run:
        assert len(generation.tasks) == 2
        for task, drawn in generation.draws.items():
            assert len(set(drawn)) == 8
            assert set(drawn) <= set(archs[task])
    assert len({generation.tasks for generation in run}) > 1
    assert len({tuple(generation.draws.items()) for generation in run}) == len(run)


def test_all_tasks_are_drawn_where_there_are_fewer(tasks, scorer):
    (generation,) = islice(evolve(replace(CONFIG, tasks_per_generation=9), tasks, scorer), 1)
    assert generation.tasks == ("toy:a", "toy:b", "other:c")


def test_no_score_is_computed_twice_and_all_are_recorded(tasks, scorer, run):
    counting = CountingScorer(scorer)
    generations = list(evolve(CONFIG, tasks, counting))
    assert len(counting.scored) == len(set(counting.scored)) > 0
    recorded = [(s.program_id, s.task, s.arch) for generation in generations for s in generation.scores]
    asked = {(parse(text).id, task, arch) for text, task, arch in counting.scored}
    lost = {entry for entry in asked if entry[0] in {parse(text).id for text in expelled(generations)}}
    assert len(recorded) == len(set(recorded))
    assert asked - lost <= set(recorded) <= asked
    assert sum(generation.counters["remembered"] for generation in generations) > 0


def test_recorded_scores_are_right(run):
    programs = {record.program.id: record.program for generation in run for record in generation.programs}
    for score in random.Random(1).sample([s for generation in run for s in generation.scores], 200):
        assert score.score == evaluate.score(programs[score.program_id], synthetic.load(score.task, score.arch))


# The same run again --------------------------------------------------------------------------------------------


def test_another_seed_is_another_run(run, tasks, scorer):
    (generation,) = islice(evolve(replace(CONFIG, seed=6), tasks, scorer), 1)
    assert generation.individuals != run[0].individuals


@pytest.mark.parametrize("done", range(1, 6))
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(run, tasks, scorer, done):
    assert tuple(evolve(CONFIG, tasks, scorer, history=run[:done])) == run[done:]


def test_a_run_can_be_prolonged(run, tasks, scorer):
    shorter = tuple(evolve(replace(CONFIG, generations=2), tasks, scorer))
    assert shorter == run[:2]
    assert tuple(evolve(CONFIG, tasks, scorer, history=shorter)) == run[2:]


def test_a_run_killed_inside_a_generation_resumes_from_the_last_complete_one(run, tasks, scorer):
    def kill(progress: GenerationProgress) -> None:
        if (progress.generation, progress.part) == (2, "scores"):
            raise KeyboardInterrupt

    survived: list[Generation] = []
    with pytest.raises(KeyboardInterrupt):
        survived.extend(evolve(CONFIG, tasks, scorer, observe=kill))
    assert tuple(survived) == run[:2]
    assert tuple(evolve(CONFIG, tasks, scorer, history=survived)) == run[2:]


@pytest.mark.slow
def test_two_workers_make_the_same_run(run, tasks):
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks), workers=2) as scorer:
        assert tuple(evolve(CONFIG, tasks, scorer)) == run


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_run_does_not_depend_on_the_hash_seed_or_the_global_generator(run, hash_seed):
    assert synthetic.run_elsewhere(CONFIG, hash_seed) == synthetic.without_seconds(run)


def test_the_global_generators_are_left_alone(tasks, scorer):
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002 - the one to leave alone
    for _ in evolve(replace(CONFIG, generations=2), tasks, scorer):
        assert random.getstate() == state
        assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_progress_leads_to_what_is_wanted(tasks, scorer):
    seen: list[GenerationProgress] = []
    list(evolve(replace(CONFIG, generations=2), tasks, scorer, observe=seen.append))
    for number, parts in ((0, ["random", "scores"]), (1, ["children", "random", "scores"])):
        of_generation = [progress for progress in seen if progress.generation == number]
        assert list(dict.fromkeys(progress.part for progress in of_generation)) == parts
        for part in parts:
            steps = [progress for progress in of_generation if progress.part == part]
            assert [s.done for s in steps] == sorted(s.done for s in steps)
            assert steps[-1].done == steps[-1].wanted
    wanted = {(p.generation, p.part): p.wanted for p in seen}
    assert (wanted[0, "random"], wanted[1, "children"], wanted[1, "random"]) == (16, 8, 8)


def test_seconds_are_measured_but_not_compared(run):
    assert set(run[1].seconds) >= {"vary", "probe", "recognise", "score", "rank", "total"}
    assert sum(v for name, v in run[1].seconds.items() if name != "total") <= run[1].seconds["total"]
    assert replace(run[1], seconds={}) == run[1]


# What cannot be run --------------------------------------------------------------------------------------------


def test_a_history_of_another_run_is_refused(run, tasks, scorer):
    with pytest.raises(InputError, match="generation 1 is missing"):
        evolve(CONFIG, tasks, scorer, history=[run[0], run[2]])
    with pytest.raises(InputError, match="those it was started with"):
        evolve(replace(CONFIG, seed=1), tasks, scorer, history=run[:1])
    with pytest.raises(InputError, match="those it was started with"):
        evolve(replace(CONFIG, population=18), tasks, scorer, history=run[:1])


def test_tasks_that_do_not_fit_are_refused(tasks, scorer):
    with pytest.raises(InputError, match="at least one task"):
        evolve(CONFIG, [], scorer)
    with pytest.raises(InputError, match="each once; got toy:a, toy:a"):
        evolve(CONFIG, [tasks[0], tasks[0]], scorer)
    with pytest.raises(InputError, match="toy:a has 30 networks for evolution, fewer than the 31 drawn"):
        evolve(replace(CONFIG, draw=31, networks_per_task=31), tasks, scorer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 7}, "population must be even.*; got 7"),
        ({"population": 0}, "population must be at least 2; got 0"),
        ({"generations": 0}, "generations must be at least 1"),
        ({"mu": 1}, "mu must be at least 2"),
        ({"crossover": 0.7, "mutation": 0.4}, "must not exceed 1"),
        ({"mutation": -0.1}, "mutation is a probability; got -0.1"),
        ({"mutation": math.nan}, "mutation is a probability; got nan"),
        ({"min_depth": 5, "max_depth": 4}, r"min_depth must not exceed max_depth; got \(5, 4\)"),
        ({"min_depth": 5, "height_limit": 4}, "min_depth must not exceed height_limit"),
        ({"draw": 81, "language": "eznas"}, r"draw must not exceed networks_per_task \(80\); got 81"),
        ({"probe_networks": 81, "language": "eznas"}, "probe_networks must not exceed networks_per_task"),
        ({"fitness": "best"}, "fitness must be one of signed, absolute, lower, top; got best"),
        ({"to_scalar": "max"}, "to_scalar must be one of mean, l2; got max"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        EvolveConfig(**changes)


def test_task_data_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="2 networks but 1 accuracies"):
        TaskData("toy:a", ("x", "y"), np.array([1.0]))
    with pytest.raises(InputError, match="given twice"):
        TaskData("toy:a", ("x", "x"), np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="not a number"):
        TaskData("toy:a", ("x", "y"), np.array([1.0, math.nan]))


# Finalists -----------------------------------------------------------------------------------------------------


def test_finalists_are_the_fittest_of_the_last_population_and_of_all(run):
    lost = {parse(text).id for text in expelled(run)}
    best: dict[str, float] = {}
    for generation in run:
        for individual in generation.individuals:
            if individual.same_as not in lost and math.isfinite(individual.fitness):
                best[individual.same_as] = max(best.get(individual.same_as, -1.0), individual.fitness)
    last, *seen = finalists(run)
    fitness_in_last = [i.fitness for i in run[-1].individuals if i.same_as not in lost]
    assert (last.role, last.generation, last.fitness) == ("last", 4, max(fitness_in_last))
    others = sorted((value for key, value in best.items() if key != last.program.id), reverse=True)
    assert [finalist.fitness for finalist in seen] == others[:2]
    assert len({finalist.program for finalist in (last, *seen)}) == 3
    for finalist in (last, *seen):
        individual = run[finalist.generation].individuals[finalist.slot]
        assert (individual.same_as, individual.fitness) == (finalist.program.id, finalist.fitness)


def made(number: int, fitnesses: dict[str, float], refused: tuple[str, ...] = ()) -> Generation:
    programs = {text: parse(text) for text in fitnesses}
    return Generation(
        number=number,
        draws={},
        individuals=tuple(
            Individual(slot, programs[text], "random", "new", programs[text].id, value, {})
            for slot, (text, value) in enumerate(fitnesses.items())
        ),
        programs=tuple(ProgramRecord(program, "", None, None, ()) for program in programs.values()),
        rejections=tuple(Rejection(text, "random", "non_finite", "", 0) for text in refused),
        scores=(),
        counters={},
    )


def test_finalists_leave_out_refused_programs_and_take_the_earliest_of_equals():
    run = [
        made(0, {"fro(T1_D)": 0.9, "fro(T2_D)": 0.5, "fro(T3)": 0.5}),
        made(1, {"abs(T1_D)": 0.3, "abs(T2_D)": 0.1, "abs(T3)": -math.inf}, refused=("fro(T1_D)",)),
    ]
    assert [(str(f.program), f.role, f.generation, f.slot) for f in finalists(run)] == [
        ("abs(T1_D)", "last", 1, 0),
        ("fro(T2_D)", "seen", 0, 1),
        ("fro(T3)", "seen", 0, 2),
    ]
    assert len(finalists(run, seen=99)) == 4
    assert finalists([]) == ()


# The split -----------------------------------------------------------------------------------------------------


@functools.cache
def tables(networks: int = 900) -> tuple[TaskData, ...]:
    """Overlapping tables of two data sets in one space, and one of another space with the same strings."""
    space = get_space("nasbench201")
    generator = random.Random(3)
    return tuple(
        TaskData(task, tuple(space.sample(networks, generator)), np.linspace(10, 90, networks))
        for task in ("nasbench201:cifar10", "nasbench201:cifar100", "nasbench201-mini:fashion-mnist")
    )


CANONICAL = {name: get_space(name).canonical for name in ("nasbench201", "nasbench201-mini")}


def test_no_test_network_is_isomorphic_to_one_of_evolution_in_its_space():
    splits = split(tables(), CANONICAL, EvolveConfig(), test_networks=300)
    evolved = {
        space: {CANONICAL[space](arch) for s in splits if s.evolve.space == space for arch in s.evolve.archs}
        for space in CANONICAL
    }
    isomorphic_only = 0
    for table, part in zip(tables(), splits, strict=True):
        assert (part.evolve.task, part.test.task) == (table.task, table.task)
        assert (len(part.evolve.archs), len(part.test.archs)) == (80, 300)
        accuracy = dict(zip(table.archs, table.accuracies, strict=True))
        for data in (part.evolve, part.test):
            assert len(set(data.archs)) == len(data.archs)
            assert [accuracy[arch] for arch in data.archs] == data.accuracies.tolist()
        assert not {CANONICAL[table.space](arch) for arch in part.test.archs} & evolved[table.space]
        left_out = set(table.archs) - set(part.evolve.archs)
        isomorphic_only += sum(CANONICAL[table.space](arch) in evolved[table.space] for arch in left_out)
    assert isomorphic_only > 20  # so the rule was put to the test


def test_the_split_depends_on_the_seed_alone():
    def archs(seed: int) -> list[tuple[str, ...]]:
        splits = split(tables(), CANONICAL, EvolveConfig(seed=seed), test_networks=50)
        return [data.archs for part in splits for data in (part.evolve, part.test)]

    assert archs(1) == archs(1)
    assert all(one != other for one, other in zip(archs(1), archs(2), strict=True))


def test_too_few_networks_are_an_error_with_the_numbers():
    with pytest.raises(InputError, match="nasbench201:cifar10 has accuracies of 900 networks, fewer than the 901"):
        split(tables(), CANONICAL, EvolveConfig(networks_per_task=901, language="eznas"), test_networks=1)
    half = split(tables(), CANONICAL, EvolveConfig(networks_per_task=901), test_networks=1)
    assert len(half[0].evolve.archs) == 450  # by front no more than half of them
    with pytest.raises(InputError, match=r"of which \d+ are not isomorphic .* ask for at most \d+") as error:
        split(tables(), CANONICAL, EvolveConfig(), test_networks=850)
    most = int(str(error.value).rsplit(" ", 1)[1])
    first = split(tables()[:2], CANONICAL, EvolveConfig(), test_networks=0)
    seen = {CANONICAL["nasbench201"](arch) for part in first for arch in part.evolve.archs}
    assert most == sum(CANONICAL["nasbench201"](arch) not in seen for arch in tables()[0].archs)


def test_a_hundred_networks_or_all_that_are_left_are_tested_on_when_nothing_is_said() -> None:
    table = tables()[0]
    assert len(split([table], CANONICAL, EvolveConfig())[0].test.archs) == 100
    few = table.subset(table.archs[:120])
    part = split([few], CANONICAL, EvolveConfig())[0]
    canonical = CANONICAL[few.space]
    seen = set(map(canonical, part.evolve.archs))
    assert set(part.test.archs) == {arch for arch in few.archs if canonical(arch) not in seen}
    with pytest.raises(InputError, match="fewer than the 2 test networks"):
        split([table.subset(table.archs[:80])], CANONICAL, EvolveConfig(language="eznas"))


def test_probe_networks_are_drawn_from_those_of_evolution(tasks):
    probes = choose_probes(EvolveConfig(probe_networks=3), tasks)
    assert list(probes) == ["toy:a", "toy:b", "other:c"]
    for task in tasks:
        assert len(set(probes[task.task])) == 3
        assert set(probes[task.task]) <= set(task.archs)
    assert choose_probes(EvolveConfig(seed=1, probe_networks=3), tasks) != probes


# The package ---------------------------------------------------------------------------------------------------


def test_records_and_scoring_need_neither_deap_nor_sympy():
    modules = "sys, zcsr.evolve.records, zcsr.evaluation.many_networks"
    script = f"import {modules}; print({{'deap', 'sympy', 'scipy'}} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"
