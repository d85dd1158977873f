"""Several runs against each other: the queries, the report, and the command."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import store_samples as samples
import synthetic
from commands import zcsr
from scipy import stats

from zcsr.evolve.config import PRESETS, EvolveConfig, in_short
from zcsr.insight.outcomes import Outcome, differences, holm, spreads
from zcsr.language.program import Node, Program
from zcsr.proxies import language
from zcsr.reports import render_runs
from zcsr.store import Store, TestScore, create_run, named, open_run, query
from zcsr.store.kept.checksums import remove

CONFIG = synthetic.SEQUENTIAL
RUNS = {"tree-0": ("tree", 0), "tree-1": ("tree", 1), "rows-0": ("sequential", 0), "rows-1": ("sequential", 1)}
PARAMS = Program(Node(language().words["params"]))


def config_of(run: str) -> EvolveConfig:
    representation, seed = RUNS[run]
    return replace(CONFIG, representation=representation, seed=seed, generations=2)  # type: ignore[arg-type]


def kind_of(representation: str) -> str:
    return in_short(next(config_of(run) for run, (name, _) in RUNS.items() if name == representation))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Runs of both representations on invented networks, tested on invented scores; no test changes it."""
    made = Store.open(tmp_path_factory.mktemp("runs") / "store", create=True)
    samples.write_accuracies(made)
    tasks = [samples.run_task(task) for task in samples.TASKS]
    for name in RUNS:
        config = config_of(name)
        command = ("zcsr", "evolve", "--run", name)
        create_run(made, config, tasks, name=name, command=command, against={"params": PARAMS})
        opened = open_run(made, name)
        for number, generation in enumerate(synthetic.full_run(config)):
            opened.append(replace(generation, seconds={"score": 0.25, "total": 1.5 + number}))
        generator = random.Random(name)
        programs = [PARAMS, *(record.program for record in synthetic.full_run(config)[0].programs[:4])]
        opened.write_test_scores(
            TestScore(program, task, arch, 1.0 if place == 1 else generator.gauss(0, 1))
            for place, program in enumerate(programs)
            for task in samples.TASKS
            for arch in samples.TEST
        )
        opened.set_status("finished")
    return made


# What kinds are called --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "called"),
    [
        (EvolveConfig(seed=4), "front"),
        (EvolveConfig(seed=4, **PRESETS["paper"]), "paper"),  # type: ignore[arg-type]
        (EvolveConfig(design="lexicase", race=0.0), "front, design lexicase, race 0.0"),
        (EvolveConfig(language="eznas", representation="sequential"), "paper, representation sequential"),
    ],
)
def test_a_search_is_called_by_what_it_has_otherwise(config: EvolveConfig, called: str) -> None:
    assert in_short(config) == called


# Statistics -------------------------------------------------------------------------------------------------------


def outcome(kind: str, seed: int, value: float | None, networks: object = "same") -> Outcome:
    return Outcome(f"{kind}-{seed}", kind, seed, networks, {"least": value})  # type: ignore[arg-type]


def test_pairs_are_compared_by_their_differences() -> None:
    one, other = [0.5, 0.6, 0.4, 0.7], [0.45, 0.5, 0.42, 0.55]
    outcomes = [outcome("a", seed, value) for seed, value in enumerate(one)]
    outcomes += [outcome("b", seed, value) for seed, value in reversed(list(enumerate(other)))]
    outcomes += [outcome("b", 9, 0.0)]  # which has no partner
    (found,) = differences(outcomes, ["least"])
    tested = stats.ttest_1samp(np.subtract(one, other), 0)
    ends = tested.confidence_interval()
    assert (found.first, found.second, found.paired, found.runs) == ("a", "b", True, 4)
    assert [found.mean, found.low, found.high, found.p, found.adjusted] == pytest.approx(
        [np.mean(one) - np.mean(other), ends.low, ends.high, tested.pvalue, tested.pvalue]
    )


def test_runs_on_other_networks_are_no_pairs() -> None:
    one, other = [0.5, 0.6, 0.4, 0.7], [0.45, 0.5, 0.42]
    outcomes = [outcome("a", seed, value, "these") for seed, value in enumerate(one)]
    outcomes += [outcome("b", seed, value, "those") for seed, value in enumerate(other)]
    (found,) = differences(outcomes, ["least"])
    assert (found.paired, found.runs) == (False, 7)
    assert found.p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)


@pytest.mark.parametrize(
    ("one", "other", "mean"),
    [([0.5], [0.25], 0.25), ([0.5, 0.6], [0.25, 0.35], 0.25), ([0.5, 0.5], [0.5, 0.5], 0.0)],
)
def test_what_does_not_vary_is_not_tested(one: Sequence[float], other: Sequence[float], mean: float) -> None:
    outcomes = [outcome("a", seed, value) for seed, value in enumerate(one)]
    outcomes += [outcome("b", seed, value) for seed, value in enumerate(other)]
    (found,) = differences(outcomes, ["least"])
    assert found.mean == pytest.approx(mean)
    assert (found.p, found.adjusted, found.low, found.high) == (None, None, None, None)


def test_what_is_not_known_takes_no_part() -> None:
    outcomes = [outcome("a", 0, 0.5), outcome("a", 1, None), outcome("b", 0, None)]
    (spread,) = spreads(outcomes, ["least"])
    assert (spread.kind, spread.runs, spread.mean, spread.deviation) == ("a", 1, 0.5, None)
    assert differences(outcomes, ["least"]) == []


def test_holm_is_the_closed_test_of_bonferroni() -> None:
    generator = random.Random(0)
    for count in range(1, 6):
        values = [generator.random() ** 3 for _ in range(count)]
        for place, corrected in enumerate(holm(values)):
            # Closure: the largest Bonferroni p-value over all sets of hypotheses that it belongs to.
            others = [p for where, p in enumerate(values) if where != place]
            sets = (
                (values[place], *rest) for size in range(count) for rest in itertools.combinations(others, size)
            )
            assert corrected == pytest.approx(max(min(1.0, len(one) * min(one)) for one in sets))


# The queries ------------------------------------------------------------------------------------------------------


def taus_of(store: Store, run: str, program: str) -> list[float]:
    accuracies = {
        (task, arch): value
        for task, arch, value in query(store, "SELECT task, arch, accuracy FROM mean_accuracies").iter_rows()
    }
    taus = []
    for task in samples.TASKS:
        rows = open_run(store, run).test_scores().filter(program=program, task=task).select("arch", "score").rows()
        tau = stats.kendalltau([s for _, s in rows], [accuracies[task, arch] for arch, _ in rows]).statistic
        taus.append(0.0 if math.isnan(tau) else tau)
    return taus


def expected_row(store: Store, run: str) -> dict[str, Any]:
    """The row of the query `outcomes`, from the records by plain Python and scipy."""
    representation, seed = RUNS[run]
    generations = synthetic.full_run(config_of(run))
    individuals = [one for generation in generations for one in generation.individuals]
    tested = open_run(store, run).test_scores()
    refused = {one.text for generation in generations for one in generation.rejections}
    places = [
        (one.fitness, -generation.number, -one.slot, one.same_as)
        for generation in generations
        for one in generation.individuals
        if one.same_as in set(tested["program"]) and math.isfinite(one.fitness)
    ]
    text = dict(tested.select("program", "text").iter_rows())
    *_, fittest = max(place for place in places if text[place[-1]] not in refused)
    taus, of_params = taus_of(store, run, fittest), taus_of(store, run, PARAMS.id)
    proposed = sum(generation.counters["proposed"] for generation in generations)
    genotypes = [one.genotype for one in individuals if one.genotype]
    total = sum(one.instructions for one in genotypes)
    sizes = {record.program.id: record.program.root.size for g in generations for record in g.programs}
    return {
        "run": run,
        "algorithm": "generations",
        "language": "eznas",
        "representation": representation,
        "seed": seed,
        "generations": 2,
        "program": fittest,
        "text": text[fittest],
        "size": sizes[fittest],
        "least": min(taus),
        "mean": statistics.fmean(taus),
        "params_least": min(of_params),
        "params_mean": statistics.fmean(of_params),
        "best_fitness": max(one.fitness for one in individuals if math.isfinite(one.fitness)),
        "proposed": proposed,
        "valid_share": len(individuals) / proposed,
        "recognised_share": sum(one.recognised_by != "new" for one in individuals) / len(individuals),
        "instructions": total / len(genotypes) if genotypes else None,
        "reaching_share": sum(one.reaching for one in genotypes) / total if genotypes else None,
        "seconds": 4.0,
    }


def test_the_query_is_what_the_records_say(store: Store) -> None:
    found = named(store, "outcomes")
    assert found["run"].to_list() == list(RUNS)
    for row in found.iter_rows(named=True):
        assert row == pytest.approx(expected_row(store, row["run"]))
    chosen = named(store, "outcomes", {"runs": "rows-1, tree-0"})
    assert chosen["run"].to_list() == ["tree-0", "rows-1"]
    assert dict(found.schema)["reaching_share"] == pl.Float64


def test_of_a_front_it_is_the_chosen_program(tmp_path: Path) -> None:
    store = samples.store_of_front(tmp_path / "store")
    chosen = query(store, "SELECT program FROM finalists WHERE role = 'chosen'").item()
    row = named(store, "outcomes").row(0, named=True)
    assert (row["program"], row["algorithm"]) == (chosen, "front")


def test_a_front_has_no_finalists_before_they_are_chosen(tmp_path: Path) -> None:
    store = samples.store_of_front(tmp_path / "store")
    assert not query(store, "FROM finalists").is_empty()
    remove(store.runs_dir / "front" / "finalists.parquet")
    assert query(store, "FROM finalists").is_empty()


def test_the_curves_are_those_of_the_generations(store: Store) -> None:
    found = named(store, "outcome_curves", {"runs": "rows-0,tree-1"})
    assert found.select("run", "generation").rows() == [
        (run, number) for run in ("rows-0", "tree-1") for number in (0, 1)
    ]
    for row in found.iter_rows(named=True):
        generation = synthetic.full_run(config_of(row["run"]))[row["generation"]]
        assert row["best_fitness"] == max(one.fitness for one in generation.individuals)
        assert row["seconds"] == (1.5, 4.0)[row["generation"]]
        genotypes = [one.genotype for one in generation.individuals if one.genotype]
        if genotypes:
            share = sum(one.reaching for one in genotypes) / sum(one.instructions for one in genotypes)
            assert row["reaching_share"] == pytest.approx(share)
        assert (row["reaching_share"] is None) == (row["run"] == "tree-1")


# The report -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_runs(store, list(RUNS), "both", tmp_path_factory.mktemp("out"))


def test_the_report_says_what_the_runs_say(store: Store, report: Path) -> None:
    text = report.read_text(encoding="utf-8").replace("−", "-")
    assert f"2 of *{kind_of('tree')}* and 2 of *{kind_of('sequential')}*" in text
    for representation in ("tree", "sequential"):
        rows = [expected_row(store, run) for run, (name, _) in RUNS.items() if name == representation]
        least = [row["least"] for row in rows]
        said = (
            f"least tau **{statistics.fmean(least):.3f} (deviation {statistics.stdev(least):.3f}, "
            f"{min(least):.3f} to {max(least):.3f})**"
        )
        line = next(one for one in text.splitlines() if one.startswith(f"- *{kind_of(representation)}*: "))
        assert said in line
        both = sum(r["least"] > r["params_least"] and r["mean"] > r["params_mean"] for r in rows)
        assert f"number of parameters in {both} of 2 runs" in line
    assert "2 pairs of one seed, p = " in text
    assert "zcsr report tree-0 tree-1 rows-0 rows-1 --name both" in text
    assert "zcsr evolve --run rows-0" in text
    assert "The runs differ in" not in text
    assert "The runs are few" in text
    names = sorted(path.name for path in report.parent.iterdir())
    assert names == ["both-fitness.png", "both-fitness.svg", "both-reaching.png", "both-reaching.svg", "both.md"]


def test_the_same_store_gives_the_same_report(store: Store, report: Path, tmp_path: Path) -> None:
    again = render_runs(store, list(RUNS), "both", tmp_path)
    for path in report.parent.iterdir():
        assert (again.parent / path.name).read_bytes() == path.read_bytes(), path.name


def test_runs_that_are_not_alike_are_said_to_differ(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "store", create=True)
    samples.write_accuracies(other)
    tasks = [samples.run_task(task) for task in samples.TASKS]
    create_run(other, config_of("tree-0"), tasks, name="whole")
    create_run(other, replace(config_of("rows-0"), population=14), tasks[:1], name="smaller")
    fewer = [replace(task, test=task.test[:-1]) for task in tasks]
    create_run(other, config_of("rows-0"), fewer, name="fewer")
    open_run(other, "whole").append(synthetic.full_run(config_of("tree-0"))[0])
    text = render_runs(other, ["whole", "smaller", "fewer"], "unlike", tmp_path).read_text()
    assert "population 14" in text
    assert "differ in tasks" in text
    assert "`whole`, `smaller` and `fewer` have the seed 0 in common but not the networks" in text
    alone = render_runs(store, ["tree-0", "tree-1"], "alone", tmp_path).read_text()
    assert f"All runs are of one kind, *{kind_of('tree')}*" in alone
    assert "No run has programs made of instructions." in alone


def test_other_seeds_are_a_caveat(store: Store, tmp_path: Path) -> None:
    text = render_runs(store, ["tree-0", "rows-1"], "seeds", tmp_path).read_text()
    assert f"different seeds (*{kind_of('tree')}* 0; *{kind_of('sequential')}* 1)" in text
    assert "too few runs for a test" in text


# The commands -----------------------------------------------------------------------------------------------------


def test_several_runs_make_one_report(store: Store, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    code, said, err = zcsr("report", "tree-0", "rows-0", "--out", out, "--store", str(store.root))
    assert (code, err) == (0, "")
    assert said.strip() == str(tmp_path / "out" / "runs.md")


def test_a_comparison_prints_its_tables_and_writes_the_same_report(store: Store, tmp_path: Path) -> None:
    for command in ("compare", "report"):
        words = [*RUNS, "--name", "both", "--out", str(tmp_path / command)]
        code, said, err = zcsr(command, *words, "--store", str(store.root))
        assert code == 0, err
        assert said.splitlines()[-1] == str(tmp_path / command / "both.md")
        if command == "compare":
            assert "deviation" in said
            assert "adjusted" in said
    texts = [(tmp_path / command / "both.md").read_text() for command in ("compare", "report")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("report", "tree-0", "tree-0"), "run tree-0 is named twice"),
        (("compare", "tree-0", "tree-0"), "run tree-0 is named twice"),
        (("compare", "tree-0"), "takes two runs or more, not tree-0 alone"),
        (("compare", "tree-0", "rows-7"), "no run named 'rows-7'"),
        (("report", "tree-0", "rows-7"), "no run named 'rows-7'"),
        (("report", "tree-0", "rows-0", "--name", "a/b"), "'a/b' cannot name a report"),
        (("report", "tree-0", "rows-0", "--scores"), "leave out the run 'tree-0' or --scores"),
        (("report", "tree-0", "rows-0", "--search", "one"), "leave out tree-0"),
        (("report", "tree-0", "--name", "mine"), "a run's report has the run's name"),
        (("report", "tree-0", "rows-0", "--notes", "mine"), "--notes are for a report on --scores"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    store: Store, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = zcsr(*words, "--out", str(tmp_path / "out"), "--store", str(store.root))
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "out").exists()


SEARCH = (
    "evolve", "--task", "nasbench201-mini:fashion-mnist", "--networks", "24", "--test-networks", "10",
    "--generations", "1", "--population", "4", "--mu", "2", "--lambda", "4", "--columns", "4", "--workers", "1",
    "--against", "params", "--run", "mine",
)  # fmt: skip


@pytest.mark.slow
def test_several_seeds_are_run_and_compared(tmp_path: Path) -> None:
    code, said, err = zcsr(*SEARCH, "--seeds", "2", "--seed", "3", store=tmp_path / "store")
    assert code == 0, err
    store = Store.open(tmp_path / "store")
    rows = query(store, "SELECT run, seed, status FROM runs ORDER BY run").rows()
    assert rows == [("mine-3", 3, "finished"), ("mine-4", 4, "finished")]
    assert said.splitlines()[-1] == str(store.root / "reports" / "mine-seeds.md")
    assert "2 of *front, " in (store.root / "reports" / "mine-seeds.md").read_text()
    code, said, err = zcsr(*SEARCH, "--seeds", "3", "--seed", "3", "--resume", store=tmp_path / "store")
    assert code == 0, err
    assert "run mine-4 is finished" in err
    assert query(store, "SELECT seed FROM runs ORDER BY seed")["seed"].to_list() == [3, 4, 5]
    code, _, err = zcsr(*SEARCH[:-2], "--seeds", "2", "--resume", store=tmp_path / "store")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "--run NAME" in err
