"""The named queries: each fits its own comments, runs on any store, and computes what it says."""

from __future__ import annotations

import importlib
import random
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from zcsr import queries
from zcsr.evolve import finalists
from zcsr.queries import QueryError, load, names, read
from zcsr.spaces import get_space
from zcsr.store.atomic import write_parquet
from zcsr.store.index import named
from zcsr.store.runs import TestScore, open_run
from zcsr.store.store import Store

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")
COLUMNS: Mapping[str, str] = {
    "accuracies": "task metric networks rows seeds lowest median highest",
    "correlations": "run program text task role kendall spearman networks",
    "cross_space": "run evolved_on tested_on program text kendall spearman networks",
    "duplicates": "stage individuals share programs",
    "evaluations": "kind cause avoided count share",
    "finalists": "program text role fitness generation task kendall spearman networks",
    "generations": (
        "run generation best_fitness median_fitness valid invalid proposed rejected scored avoided seconds"
    ),
    "reliability": "task networks seeds tau_between_seeds tau_between_halves ceiling",
    "network_correlations": "collection task text kendall spearman networks non_finite",
    "rejections": "reason programs proposals share example detail",
    "runs": "run status started seconds generations programs tasks best_fitness seed",
    "split": "task role metric networks trained lowest median highest",
    "tensors_by_depth": (
        "collection tensor depth networks instances mean std l2 fraction_positive fraction_zero non_finite"
    ),
    "top_programs": (
        "program text best_fitness best_mean_tau generation generations size height normal_form sympy recognised_by"
    ),
}


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        return importlib.import_module("store_samples")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("empty"), create=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, samples: ModuleType) -> Store:
    """Two runs, "first" and then "second", with accuracies and statistics; no test changes it."""
    filled: Store = samples.filled_store(tmp_path_factory.mktemp("filled"))
    return filled


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory: pytest.TempPathFactory, samples: ModuleType) -> dict[tuple[str, str], float]:
    """The mean accuracies in the filled store, by task and architecture."""
    scratch = Store.open(tmp_path_factory.mktemp("scratch"), create=True)
    means: dict[tuple[str, str], float] = samples.write_accuracies(scratch)
    return means


def rows(store: Store, name: str, **given: object) -> list[dict[str, Any]]:
    return named(store, name, given).to_dicts()


# The files


@pytest.mark.parametrize("name", names())
def test_columns_are_the_same_on_an_empty_and_on_a_filled_store(empty: Store, store: Store, name: str) -> None:
    nothing, something = named(empty, name), named(store, name)
    assert nothing.columns == something.columns == COLUMNS.get(name, " ".join(nothing.columns)).split()
    assert nothing.height == 0
    assert something.height > 0
    assert nothing.schema == something.schema


@pytest.mark.parametrize("name", names())
def test_comments_say_what_a_row_is(name: str) -> None:
    query = load(name)
    assert re.match(r"An? .+\.$", query.doc)
    assert query.sql.startswith(("SELECT", "WITH"))
    assert all(len(parameter.doc) > 5 for parameter in query.parameters)


def test_names_are_those_of_the_files() -> None:
    folder = Path(queries.__file__).parent
    assert list(names()) == sorted(path.stem for path in folder.glob("*.sql"))


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(QueryError, match="no query named 'top_program'; did you mean top_programs"):
        load("top_program")
    with pytest.raises(QueryError, match="there are accuracies, correlations"):
        load("zzzz")


GOOD = """-- A row is a thing, in percent,
-- one a line.
-- parameter: run TEXT 'the latest' the run; may hold 'quotes'
-- parameter: least DOUBLE -0.5 the least
-- parameter: count INTEGER 3 how many

-- not a parameter: $other
SELECT $run, '$quoted', /* $commented */ $least FROM runs -- $behind
LIMIT $count
"""


def test_a_file_is_read() -> None:
    query = read("good", GOOD)
    assert query.doc == "A row is a thing, in percent, one a line."
    assert [(p.name, p.type, p.default) for p in query.parameters] == [
        ("run", "TEXT", "the latest"),
        ("least", "DOUBLE", -0.5),
        ("count", "INTEGER", 3),
    ]
    assert query.parameters[0].doc == "the run; may hold 'quotes'"
    assert query.values() == {"run": "the latest", "least": -0.5, "count": 3}
    assert query.values({"count": "7", "least": 1}) == {"run": "the latest", "least": 1.0, "count": 7}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LIMIT $count", "", "declares parameter count and never uses it"),
        ("LIMIT $count", "LIMIT $count + $more", "uses \\$more without a line"),
        ("DOUBLE -0.5", "DOUBLE low", "parameter least is a number, not 'low'"),
        ("DOUBLE -0.5", "REAL -0.5", "cannot read '-- parameter: least REAL"),
        ("INTEGER 3 how many", "INTEGER 3", "cannot read '-- parameter: count"),
        ("parameter: count", "parameter: least", "declares parameter least twice"),
        ("-- A row is a thing, in percent,\n-- one a line.\n", "", "does not say what a row means"),
    ],
)
def test_comments_and_sql_must_fit(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(QueryError, match=message):
        read("bad", GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 1}, "no parameter 'cuont' .*did you mean count"),
        ({"count": "1.5"}, "parameter count is a whole number, not '1.5'"),
        ({"least": "x"}, "parameter least is a number, not 'x'"),
    ],
)
def test_values_must_fit(given: dict[str, object], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        read("good", GOOD).values(given)


# What they compute


def test_latest_is_the_run_started_last(store: Store) -> None:
    for name in names():
        parameters = {parameter.name: parameter.default for parameter in load(name).parameters}
        if parameters.get("run") == "latest":
            assert rows(store, name) == rows(store, name, run="second")
            differs = rows(store, name) != rows(store, name, run="first")
            assert differs or name not in (
                "correlations",
                "evaluations",
                "finalists",
                "generations",
                "top_programs",
            )
            assert rows(store, name, run="unknown") == []


def test_correlations(store: Store, accuracies: dict[tuple[str, str], float]) -> None:
    scores = open_run(store, "first").test_scores()
    tested = rows(store, "correlations", run="first", role="test")
    assert len(tested) == scores["program"].n_unique() * len(TASKS)
    for row in tested:
        pairs = scores.filter(program=row["program"], task=row["task"])
        truth = [accuracies[row["task"], arch] for arch in pairs["arch"]]
        assert row["kendall"] == pytest.approx(stats.kendalltau(pairs["score"], truth).statistic)
        assert row["spearman"] == pytest.approx(stats.spearmanr(pairs["score"], truth).statistic)
        assert (row["networks"], row["text"]) == (10, pairs["text"][0])


def test_correlations_of_evolution_gather_every_generation(store: Store, samples: ModuleType) -> None:
    scored: dict[tuple[str, str], set[str]] = {}
    for number in range(3):
        for record in samples.generation(number).scores:
            scored.setdefault((record.program_id, record.task), set()).add(record.arch)
    evolved = rows(store, "correlations", run="first", role="evolve")
    assert {(row["program"], row["task"]): row["networks"] for row in evolved} == {
        key: len(archs) for key, archs in scored.items()
    }
    both = rows(store, "correlations", run="all")
    assert {row["run"] for row in both} == {"first", "second"}
    assert {row["role"] for row in both} == {"evolve", "test"}


def test_scores_that_are_not_finite_are_left_out(tmp_path: Path, samples: ModuleType) -> None:
    store = Store.open(tmp_path, create=True)
    samples.write_accuracies(store)
    samples.write_run(store, "mine", generations=1, test=False)
    program = samples.program(random.Random(5))
    values = [float("nan") if number % 2 else float(number) for number in range(10)]
    open_run(store, "mine").write_test_scores(
        TestScore(program, TASKS[0], arch, value) for arch, value in zip(samples.TEST, values, strict=True)
    )
    (row,) = rows(store, "correlations", role="test")
    assert row["networks"] == 5
    assert -1 <= row["kendall"] <= 1


def test_cross_space(store: Store) -> None:
    every = rows(store, "cross_space")
    assert {row["evolved_on"] for row in every} == {" ".join(TASKS)}
    assert {(row["run"], row["tested_on"]) for row in every} == {
        (run, task) for run in ("first", "second") for task in TASKS
    }
    tested = {
        (r["program"], r["task"]): r["kendall"] for r in rows(store, "correlations", run="first", role="test")
    }
    assert {(r["program"], r["tested_on"]): r["kendall"] for r in every if r["run"] == "first"} == tested


def test_top_programs(store: Store, samples: ModuleType) -> None:
    best: dict[str, float] = {}
    for number in range(3):
        for individual in samples.generation(number).individuals:
            best[individual.same_as] = max(best.get(individual.same_as, -2.0), individual.fitness)
    expected = sorted((fitness for fitness in best.values() if fitness > -2), reverse=True)
    top = rows(store, "top_programs", run="first", count=7)
    assert [row["best_fitness"] for row in top] == expected[:7]
    for row in top:
        individual = next(
            i for i in samples.generation(row["generation"]).individuals if i.same_as == row["program"]
        )
        assert individual.fitness == row["best_fitness"] == best[row["program"]]
        assert row["recognised_by"] == individual.recognised_by
        assert (row["size"], row["height"]) == (individual.program.root.size, individual.program.root.height)
        assert row["best_mean_tau"] >= row["best_fitness"]
        assert row["normal_form"] == row["text"]


def test_generations(store: Store, samples: ModuleType) -> None:
    for number, row in enumerate(rows(store, "generations", run="first")):
        made = samples.generation(number)
        valid = [i.fitness for i in made.individuals if i.fitness > -2]
        assert row["generation"] == number
        assert row["best_fitness"] == max(valid)
        assert row["median_fitness"] == pytest.approx(statistics.median(valid))
        assert (row["valid"], row["invalid"]) == (len(valid), 1)
        assert row["seconds"] == made.seconds["total"]
        counted = [made.counters[name] for name in ("proposed", "rejected", "scored", "remembered")]
        assert [row[name] for name in ("proposed", "rejected", "scored", "avoided")] == counted


def test_duplicates_and_rejections(store: Store, samples: ModuleType) -> None:
    stages = [i.recognised_by for number in range(3) for i in samples.generation(number).individuals]
    found = rows(store, "duplicates", run="first")
    assert [row["stage"] for row in found] == ["new", "text", "normal_form", "sympy", "fingerprint"]
    assert {row["stage"]: row["individuals"] for row in found} == {stage: stages.count(stage) for stage in stages}
    assert sum(row["share"] for row in found) == pytest.approx(1)
    shape, non_finite = rows(store, "rejections", run="first")
    assert (shape["reason"], shape["programs"], shape["proposals"], shape["share"]) == ("shape", 1, 9, 0.75)
    assert (shape["example"], shape["detail"]) == ("det(T3)", "not square")
    assert (non_finite["reason"], non_finite["programs"], non_finite["proposals"]) == ("non_finite", 3, 3)


def test_evaluations(store: Store, samples: ModuleType) -> None:
    found = {row["cause"]: row for row in rows(store, "evaluations", run="first")}
    for cause, row in found.items():
        assert row["count"] == sum(samples.generation(number).counters[cause] for number in range(3))
    for kind in ("candidates", "individuals", "pairs"):
        assert sum(row["share"] for row in found.values() if row["kind"] == kind) == pytest.approx(1)
    assert {cause for cause, row in found.items() if not row["avoided"]} == {"probed", "new", "scored"}


@pytest.mark.parametrize("seed", range(4))
def test_finalists_are_those_that_evolution_chooses(tmp_path: Path, samples: ModuleType, seed: int) -> None:
    store = Store.open(tmp_path, create=True)
    samples.write_accuracies(store)
    samples.write_run(store, "mine", seed=seed, generations=4, test=False)
    run = open_run(store, "mine")
    chosen = finalists(run.generations())
    assert len(chosen) == 3
    other = next(
        record.program
        for record in samples.generation(0, seed).programs
        if record.program not in [finalist.program for finalist in chosen]
    )
    for program in (*(finalist.program for finalist in chosen), other):
        run.write_test_scores(
            TestScore(program, TASKS[0], arch, float(number)) for number, arch in enumerate(samples.TEST)
        )
    found = rows(store, "finalists")
    assert {(r["text"], r["role"], r["fitness"], r["generation"]) for r in found if r["role"] != "other"} == {
        (str(one.program), one.role, one.fitness, one.generation) for one in chosen
    }
    assert [row["role"] for row in found].count("other") == 1
    assert {row["networks"] for row in found} == {10}


def test_accuracies_and_split(store: Store, accuracies: dict[tuple[str, str], float], samples: ModuleType) -> None:
    values = [value for (task, _), value in accuracies.items() if task == TASKS[1]]
    row = rows(store, "accuracies", task=TASKS[1])[0]
    assert (row["networks"], row["rows"], row["seeds"]) == (22, 44, 2)
    assert row["lowest"] == pytest.approx(min(values))
    assert row["median"] == pytest.approx(statistics.median(values))
    assert row["highest"] == pytest.approx(max(values))
    split = {(row["task"], row["role"]): row for row in rows(store, "split")}
    assert set(split) == {(task, role) for task in TASKS for role in ("evolve", "test")}
    of_test = [accuracies[TASKS[0], arch] for arch in samples.TEST]
    assert (split[TASKS[0], "test"]["networks"], split[TASKS[0], "test"]["trained"]) == (10, 10)
    assert split[TASKS[0], "test"]["median"] == pytest.approx(statistics.median(of_test))


def test_runs(store: Store, samples: ModuleType) -> None:
    first, second = rows(store, "runs")
    assert (first["run"], second["run"]) == ("first", "second")
    assert (first["generations"], first["status"], first["tasks"]) == (3, "running", " ".join(TASKS))
    distinct = {record.program.id for number in range(3) for record in samples.generation(number).programs}
    assert first["programs"] == len(distinct)


def test_tensors_by_depth(store: Store) -> None:
    found = rows(store, "tensors_by_depth", tensor="T3")
    assert [row["depth"] for row in found] == [0, 2, 4, 6, 8]  # five layers
    assert {(row["networks"], row["instances"], row["mean"], row["non_finite"]) for row in found} == {
        (4, 4, 0.5, 0.0)
    }
    assert rows(store, "tensors_by_depth", collection="unknown") == []


def test_reliability_is_that_of_a_naive_computation(samples: ModuleType, tmp_path: Path) -> None:
    """Taus by scipy; the ceiling against a simulation of a proxy that knows the true accuracies."""
    store = Store.open(tmp_path / "reliable", create=True)
    generator = np.random.default_rng(0)
    space = get_space("nasbench201")
    archs = [space.arch(index) for index in range(3000)]
    true = generator.normal(80, 2, len(archs))
    seeds = true + generator.normal(0, 2, (4, len(archs)))
    frame = pl.DataFrame(
        [
            ("nasbench201", "cifar10", "test", arch, seed, value, "made")
            for seed, values in enumerate(seeds)
            for arch, value in zip(archs, values, strict=True)
        ],
        schema=["space", "dataset", "metric", "arch", "seed", "accuracy", "source"],
        orient="row",
    )
    write_parquet(frame, store.accuracies_dir / "nasbench201" / "cifar10" / "test-made.parquet")
    (row,) = rows(store, "reliability")
    pairs = [stats.kendalltau(seeds[i], seeds[j]).statistic for i in range(4) for j in range(i)]
    halves = stats.kendalltau(seeds[::2].mean(axis=0), seeds[1::2].mean(axis=0)).statistic
    assert (row["networks"], row["seeds"]) == (3000, 4)
    assert row["tau_between_seeds"] == pytest.approx(np.mean(pairs), abs=1e-12)
    assert row["tau_between_halves"] == pytest.approx(halves, abs=1e-12)
    reached = stats.kendalltau(true, seeds.mean(axis=0)).statistic
    assert row["ceiling"] == pytest.approx(reached, abs=0.02)
    (kept,) = rows(store, "reliability", least=80.0)
    assert kept["networks"] == int((seeds.mean(axis=0) >= 80).sum())
