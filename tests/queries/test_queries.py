"""The named queries: each fits its own comments, runs on any store, and computes what it says."""

from __future__ import annotations

import math
import random
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import score_samples as invented
import store_samples as samples
from scipy import stats

from zcsr import queries
from zcsr.errors import InputError
from zcsr.evolve.finalists import finalists
from zcsr.queries import QueryError, load, names, read
from zcsr.spaces import get_space
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.runs import TestScore, open_run
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import connect, named

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")
COLUMNS: Mapping[str, str] = {
    "against": (
        "task name batch_size tau low high kendall_of_top partial_spearman difference difference_low "
        "difference_high networks"
    ),
    "accuracies": "task metric networks rows seeds lowest median highest",
    "agreement": "task collection name batch_size seed source their_name spearman kendall networks",
    "batch_sizes": "task name images seed pattern loss batch_size kendall networks",
    "comparison": (
        "task collection name batch_size seed pattern kendall kendall_low kendall_high published_kendall "
        "kendall_of_top spearman published_spearman partial_spearman networks non_finite"
    ),
    "correlations": "run program text task role kendall spearman networks",
    "cross_space": "run evolved_on tested_on program text kendall spearman networks",
    "cross_space_scores": "name batch_size tested_on kendall spearman networks collection",
    "duplicates": "stage individuals share programs",
    "evaluations": "kind cause avoided count share",
    "finalists": "program text role fitness generation task kendall spearman networks",
    "first_ranked": (
        "task name batch_size accuracy_mean accuracy_lowest accuracy_highest accuracy_best networks draws"
    ),
    "generations": (
        "run generation best_fitness median_fitness valid invalid proposed rejected scored avoided seconds"
    ),
    "reliability": "task networks seeds tau_between_seeds tau_between_halves ceiling",
    "network_correlations": "collection task text kendall spearman networks non_finite",
    "published": "source place proxy space dataset statistic value",
    "readouts": ("task name images batch_size seed loss pattern to_scalar aggregation kendall spearman networks"),
    "rejections": "reason programs proposals share example detail",
    "outcome_curves": "run generation best_fitness reaching_share seconds",
    "outcomes": (
        "run algorithm language representation seed generations program text size least mean params_least "
        "params_mean best_fitness proposed valid_share recognised_share instructions reaching_share seconds"
    ),
    "runs": "run status started seconds generations programs tasks best_fitness seed",
    "scored_collections": (
        "task collection images batch_size seed pattern loss initialisation programs proxies networks trained"
    ),
    "seeds": (
        "task name images batch_size pattern loss kind seeds networks kendall_mean kendall_deviation "
        "kendall_lowest kendall_highest"
    ),
    "split": "task role metric networks trained lowest median highest",
    "tensors_by_depth": (
        "collection tensor depth networks instances mean std l2 fraction_positive fraction_zero non_finite"
    ),
    "top_programs": (
        "program text best_fitness best_mean_tau generation generations size height normal_form sympy recognised_by"
    ),
}
GIVEN = {"rank_sums": {"proxies": "naswot,params"}}  # nothing in these stores is of AZ-NAS
OF_SCORES = {
    *("against", "agreement", "batch_sizes", "beside_published", "comparison", "cross_space_scores"),
    *("rank_sums", "readouts", "scored_collections", "seeds"),
}

pytestmark = pytest.mark.usefixtures("few_samples")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("empty"), create=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two runs, "first" and then "second", with accuracies and statistics; no test changes it."""
    return samples.filled_store(tmp_path_factory.mktemp("filled"))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Scores in several collections of two tasks; no test changes it."""
    return invented.compared_store(tmp_path_factory.mktemp("compared"))


OF_FRONTS = ("evaluated", "race", "rivals")


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return samples.store_of_front(tmp_path_factory.mktemp("fronts"))


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], float]:
    """The mean accuracies in the filled store, by task and architecture."""
    scratch = Store.open(tmp_path_factory.mktemp("scratch"), create=True)
    means: dict[tuple[str, str], float] = samples.write_accuracies(scratch)
    return means


def rows(store: Store, name: str, **given: object) -> list[dict[str, Any]]:
    return named(store, name, given).to_dicts()


# The files


@pytest.mark.parametrize("name", names())
def test_columns_are_the_same_on_an_empty_and_on_a_filled_store(
    empty: Store, store: Store, compared: Store, fronts: Store, name: str
) -> None:
    nothing = named(empty, name)
    filled = compared if name in OF_SCORES else fronts if name in OF_FRONTS else store
    something = named(filled, name, GIVEN.get(name))
    assert nothing.columns == something.columns == COLUMNS.get(name, " ".join(nothing.columns)).split()
    assert nothing.height == 0 or name == "published"  # which comes with zcsr
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
    with pytest.raises(QueryError, match="there are accuracies, against, agreement"):
        load("zzzz")


GOOD = """-- brief: runs: a thing
-- A row is a thing, in percent,
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
    assert (query.group, query.brief) == ("runs", "a thing")
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
        ("brief: runs:", "brief: anything:", "with a group of run, runs, scores, searches, store"),
        ("-- brief: runs: a thing\n", "", "begins with '-- A row is a thing, in percent,'"),
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
            with pytest.raises(InputError, match="there is no run 'unknown': there are first, second"):
                rows(store, name, run="unknown")


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


def test_correlations_of_evolution_gather_every_generation(store: Store) -> None:
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


def test_scores_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
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


def test_top_programs(store: Store) -> None:
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


def test_generations(store: Store) -> None:
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


def test_duplicates_and_rejections(store: Store) -> None:
    stages = [i.recognised_by for number in range(3) for i in samples.generation(number).individuals]
    found = rows(store, "duplicates", run="first")
    assert [row["stage"] for row in found] == ["new", "text", "normal_form", "sympy", "fingerprint"]
    assert {row["stage"]: row["individuals"] for row in found} == {stage: stages.count(stage) for stage in stages}
    assert sum(row["share"] for row in found) == pytest.approx(1)
    shape, non_finite = rows(store, "rejections", run="first")
    assert (shape["reason"], shape["programs"], shape["proposals"], shape["share"]) == ("shape", 1, 9, 0.75)
    assert (shape["example"], shape["detail"]) == ("det(T3)", "not square")
    assert (non_finite["reason"], non_finite["programs"], non_finite["proposals"]) == ("non_finite", 3, 3)


def test_evaluations(store: Store) -> None:
    found = {row["cause"]: row for row in rows(store, "evaluations", run="first")}
    for cause, row in found.items():
        assert row["count"] == sum(samples.generation(number).counters[cause] for number in range(3))
    for kind in ("candidates", "individuals", "pairs"):
        assert sum(row["share"] for row in found.values() if row["kind"] == kind) == pytest.approx(1)
    assert {cause for cause, row in found.items() if not row["avoided"]} == {"probed", "new", "scored"}


@pytest.mark.parametrize("seed", range(4))
def test_finalists_are_those_that_evolution_chooses(tmp_path: Path, seed: int) -> None:
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


def test_accuracies_and_split(store: Store, accuracies: dict[tuple[str, str], float]) -> None:
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


def test_the_index_itself_has_views_and_tau_for_other_programs(store: Store) -> None:
    with connect(store):
        pass
    sql = """
        SELECT program, task, kendall(list(score ORDER BY arch), list(accuracy ORDER BY arch)) AS kendall
        FROM run_scores WHERE run = 'first' AND role = 'test' AND isfinite(score) GROUP BY ALL ORDER BY ALL"""
    with duckdb.connect(str(store.index_path), read_only=True) as alone:
        found = alone.execute(sql).fetchall()
        means = alone.execute("SELECT count(*) FROM mean_accuracies").fetchall()
    correlations = rows(store, "correlations", run="first", role="test")
    expected = sorted((row["program"], row["task"], row["kendall"]) for row in correlations)
    assert found
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected])
    with connect(store) as connection:
        assert means == connection.frame("SELECT count(*) FROM mean_accuracies").rows()


def test_runs(store: Store) -> None:
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
    with pytest.raises(InputError, match="there is no collection 'unknown': there are nasbench201-cifar10"):
        rows(store, "tensors_by_depth", collection="unknown")


def test_reliability_is_that_of_a_naive_computation(tmp_path: Path) -> None:
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


# Scores apart from runs, against scipy and naive loops


def finite(scores: Mapping[str, float], accuracies: Mapping[str, float]) -> tuple[list[float], list[float]]:
    archs = [arch for arch, score in scores.items() if not np.isnan(score)]
    return [scores[arch] for arch in archs], [accuracies[arch] for arch in archs]


def naive_tau(scores: Mapping[str, float], accuracies: Mapping[str, float], archs: Iterable[str]) -> float:
    kept = {arch: scores[arch] for arch in archs}
    return float(stats.kendalltau(*finite(kept, accuracies)).statistic)


def naive_partial(x: list[float], y: list[float], control: list[float]) -> float:
    """The correlation of what a straight line through the ranks of the control leaves over."""
    left, right, third = (stats.rankdata(values) for values in (x, y, control))
    design = np.stack([np.ones(len(third)), third], axis=1)
    residuals = [ranks - design @ np.linalg.lstsq(design, ranks)[0] for ranks in (left, right)]
    return float(np.corrcoef(*residuals)[0, 1])


def naive_top(x: list[float], y: list[float]) -> float:
    least = sorted(y)[-math.ceil(0.1 * len(y))]
    pairs = [(score, accuracy) for score, accuracy in zip(x, y, strict=True) if accuracy >= least]
    return float(stats.kendalltau(*zip(*pairs, strict=True)).statistic)


def test_comparison(compared: Store) -> None:
    made = {one.id: (one, scores) for one, scores in invented.collections().items()}
    names = {invented.EZNAS_A: "eznas-a"}
    found = rows(compared, "comparison")
    assert len(found) == sum(len(scores) for _, scores in made.values())
    by_key = {(row["collection"], row["name"]): row for row in found}
    for key, (one, scores) in made.items():
        task = f"{one.space}:{one.dataset}"
        accuracies = invented.mean_accuracies(task)
        parameters = invented.scores(one, ["params"])["params"]
        for text, values in scores.items():
            row = by_key[key, names.get(text, text)]
            x, y = finite(values, accuracies)
            control = [parameters[arch] for arch, value in values.items() if not np.isnan(value)]
            assert (row["task"], row["batch_size"], row["seed"], row["pattern"]) == (
                *(task, one.config.batch_size, one.config.seed, one.config.pattern),
            )
            assert (row["networks"], row["non_finite"]) == (len(x), len(values) - len(x))
            assert row["kendall"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
            assert row["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
            assert row["kendall_of_top"] == pytest.approx(naive_top(x, y), abs=1e-12)
            assert row["kendall_low"] < row["kendall"] < row["kendall_high"]
            if text == "params":
                assert row["partial_spearman"] is None  # nothing is left of it
            else:
                assert row["partial_spearman"] == pytest.approx(naive_partial(x, y, control), abs=1e-9)


def test_comparison_has_what_the_paper_reports(compared: Store) -> None:
    reported = {
        (row["task"], row["name"]): (row["published_kendall"], row["published_spearman"])
        for row in rows(compared, "comparison")
    }
    assert reported[invented.CELLS, "eznas-a"] == (0.65, 0.82)
    assert reported[invented.CELLS, "naswot"] == (0.61, None)
    assert reported[invented.CELLS, "grad_norm"] == (None, 0.64)
    assert reported[invented.CELLS, invented.PLAIN] == (None, None)
    assert reported[invented.SIZES, "eznas-a"] == (None, 0.89)
    assert reported[invented.SIZES, "flops"] == (None, None)


def most_in_common(program: str, task: str, least: int) -> dict[str, dict[str, float]]:
    """By measure the finite scores in the collection that has the most of those that the program has anywhere."""
    by_collection = [
        (one.config.batch_size, one.id, {text: dict(known(values)) for text, values in scores.items()})
        for one, scores in invented.collections().items()
        if f"{one.space}:{one.dataset}" == task
    ]
    own = {arch for _, _, scores in by_collection for arch in scores.get(program, {})}
    best: dict[str, tuple[int, int, str]] = {}
    found: dict[str, dict[str, float]] = {}
    for size, id_, scores in sorted(by_collection, key=lambda one: one[:2]):
        for text, values in scores.items():
            key = (-len(own & set(values)), size, id_)
            if -key[0] >= least and key < best.get(text, (1, 0, "")):
                best[text], found[text] = key, values
    return found


def known(values: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    return ((arch, value) for arch, value in values.items() if not np.isnan(value))


def test_against_one_program_on_the_networks_of_all(compared: Store) -> None:
    found = rows(compared, "against", program="eznas-a", least=30)
    assert {row["task"] for row in found} == set(invented.TASKS)
    for task in invented.TASKS:
        measures = most_in_common(invented.EZNAS_A, task, 30)
        shared = sorted(set.intersection(*map(set, measures.values())))
        accuracies = [invented.mean_accuracies(task)[arch] for arch in shared]
        taus = {
            text: stats.kendalltau([values[arch] for arch in shared], accuracies).statistic
            for text, values in measures.items()
        }
        of_task = {row["name"].replace("eznas-a", invented.EZNAS_A, 1): row for row in found if row["task"] == task}
        assert next(row["name"] for row in found if row["task"] == task) == "eznas-a"
        assert {name: row["tau"] for name, row in of_task.items()} == pytest.approx(taus, abs=1e-12)
        for name, row in of_task.items():
            assert row["networks"] == len(shared) >= 30
            assert row["low"] < row["tau"] < row["high"]
            if name == invented.EZNAS_A:
                assert (row["difference"], row["difference_low"], row["difference_high"]) == (None, None, None)
            else:
                assert row["difference"] == pytest.approx(taus[invented.EZNAS_A] - taus[name], abs=1e-12)
                assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    assert rows(compared, "against", program="nope") == []


def test_the_network_that_is_ranked_first(compared: Store) -> None:
    """All draws of as many networks as there are hold all of them; of one network each, they rank nothing."""
    found = rows(compared, "first_ranked", networks=60, draws=2)
    for one, scores in invented.collections().items():
        accuracies = invented.mean_accuracies(f"{one.space}:{one.dataset}")
        for text, values in scores.items():
            there = dict(known(values))
            highest = max(there.values())
            best = accuracies[min(arch for arch, value in there.items() if value == highest)]
            name = "eznas-a" if text == invented.EZNAS_A else text
            same = [
                row
                for row in found
                if (row["task"], row["name"]) == (f"{one.space}:{one.dataset}", name)
                and row["batch_size"] == one.config.batch_size
                and row["networks"] == len(there)
            ]
            assert any(row["accuracy_mean"] == pytest.approx(best) for row in same)
            assert all(row["draws"] == 2 for row in same)
    for row in rows(compared, "first_ranked", networks=1, draws=30):
        assert row["accuracy_mean"] == pytest.approx(row["accuracy_best"])
        assert row["accuracy_lowest"] < row["accuracy_mean"] < row["accuracy_highest"]


def test_comparison_of_one_collection_or_task(compared: Store) -> None:
    one = next(iter(invented.collections()))
    assert {row["collection"] for row in rows(compared, "comparison", collection=one.id)} == {one.id}
    assert {row["task"] for row in rows(compared, "comparison", task=invented.SIZES)} == {invented.SIZES}
    assert rows(compared, "comparison", metric="valid") == []


def test_batch_sizes_are_compared_on_the_same_networks(compared: Store) -> None:
    accuracies = invented.mean_accuracies(invented.CELLS)
    expected = {
        (text, one.config.batch_size): naive_tau(scores[text], accuracies, invented.ARCHS[:50])
        for one, scores in invented.collections().items()
        if one.space == "nasbench201" and (one.config.seed, one.config.pattern) == (0, "rcb")
        for text in (invented.PLAIN, *invented.PROXIES)
    }
    found = {(row["name"], row["batch_size"]): row["kendall"] for row in rows(compared, "batch_sizes")}
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    assert {size for _, size in found} == {1, 4, 16}
    assert {row["task"] for row in rows(compared, "batch_sizes")} == {invented.CELLS}
    assert {row["networks"] for row in rows(compared, "batch_sizes") if row["name"] != "grad_norm"} == {50}
    assert {row["networks"] for row in rows(compared, "batch_sizes") if row["name"] == "grad_norm"} == {42}


def test_seeds_with_and_without_resampling(compared: Store) -> None:
    accuracies = invented.mean_accuracies(invented.CELLS)
    scores = [
        scores["naswot"]
        for one, scores in invented.collections().items()
        if one.space == "nasbench201" and one.config.batch_size == 16 and one.config.pattern == "rcb"
    ]
    assert len(scores) == 3
    common = [naive_tau(one, accuracies, invented.SHARED_BY_SEEDS) for one in scores]
    own = [naive_tau(one, accuracies, one) for one in scores]
    found = {row["kind"]: row for row in rows(compared, "seeds") if row["name"] == "naswot"}
    assert set(found) == {"common", "own"}
    for kind, taus, networks in (("common", common, 40), ("own", own, 45)):
        row = found[kind]
        assert (row["seeds"], row["networks"], row["batch_size"]) == (3, networks, 16)
        assert row["kendall_mean"] == pytest.approx(statistics.mean(taus), abs=1e-12)
        assert row["kendall_deviation"] == pytest.approx(statistics.stdev(taus), abs=1e-12)
        assert (row["kendall_lowest"], row["kendall_highest"]) == pytest.approx((min(taus), max(taus)), abs=1e-12)
    assert {row["name"] for row in rows(compared, "seeds")} == {"eznas-a", "naswot"}


def test_seeds_on_the_same_networks_have_no_row_of_the_kind_own(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    invented.write_accuracies(store)
    for seed in (0, 1):
        one = invented.collection(invented.SIZES, seed=seed)
        invented.write_scores(store, one, invented.scores(one, ["naswot"]))
    assert rows(store, "seeds") == []  # without a record, nothing says that these differ in the seed only
    for seed in (0, 1):
        invented.write_record(store, invented.collection(invented.SIZES, seed=seed))
    assert [(row["kind"], row["networks"]) for row in rows(store, "seeds")] == [("common", 60)]


def test_readouts(compared: Store) -> None:
    accuracies = invented.mean_accuracies(invented.CELLS)
    expected = {}
    for one, scores in invented.collections().items():
        if one.space == "nasbench201" and one.config.batch_size == 16 and one.config.seed == 0:
            for text, way in zip(
                invented.PROGRAMS, (("mean", "mean"), ("l2", "mean"), ("l2", "sum"), None), strict=True
            ):
                name, ways = ("eznas-a", way) if way else (invented.PLAIN, ("mean", "mean"))
                expected[name, one.config.pattern, *ways] = naive_tau(scores[text], accuracies, invented.ARCHS[10:])
    found = {
        (row["name"], row["pattern"], row["to_scalar"], row["aggregation"]): row["kendall"]
        for row in rows(compared, "readouts")
        if row["batch_size"] == 16
    }
    assert len(expected) == 8
    assert found == pytest.approx(expected, abs=1e-12)
    plain = [row for row in rows(compared, "readouts") if row["name"] == invented.PLAIN]
    assert {row["batch_size"] for row in plain} == {16}  # elsewhere it was read out in one way only


def naive_rank_sum(scores: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """The sum of the logarithms of the shares of networks that are not better, ties at the middle of theirs."""
    shared = sorted(set.intersection(*(set(scores[name]) for name in names)))
    sums = dict.fromkeys(shared, 0.0)
    for name in names:
        values = {arch: scores[name][arch] if math.isfinite(scores[name][arch]) else -math.inf for arch in shared}
        for arch in shared:
            worse = sum(other < values[arch] for other in values.values())
            equal = sum(other == values[arch] for other in values.values())
            sums[arch] += math.log((worse + (equal + 1) / 2) / len(shared))
    return sums


@pytest.mark.parametrize("names", [("naswot", "params"), ("flops", "grad_norm", "naswot", "params")])
def test_rank_sums(compared: Store, names: tuple[str, ...]) -> None:
    found = {row["collection"]: row for row in rows(compared, "rank_sums", proxies=", ".join(names))}
    expected = {one.id: scores for one, scores in invented.collections().items() if set(names) <= set(scores)}
    assert set(found) == set(expected)
    assert len(found) >= 3
    for collection, scores in expected.items():
        row = found[collection]
        sums = naive_rank_sum(scores, names)
        accuracies = invented.mean_accuracies(row["task"])
        assert row["kendall"] == pytest.approx(naive_tau(sums, accuracies, sums), abs=1e-12)
        assert row["kendall_low"] < row["kendall"] < row["kendall_high"]
        assert (row["networks"], row["proxies"]) == (len(sums), " ".join(names))
        assert row["published_kendall"] is None
    assert rows(compared, "rank_sums") == []  # nobody scored AZ-NAS's four


def test_cross_space_scores(compared: Store) -> None:
    every = rows(compared, "cross_space_scores")
    found = {(row["name"], row["batch_size"], row["tested_on"]): row for row in every}
    main = {f"{one.space}:{one.dataset}": (one, scores) for one, scores in invented.collections().items()}
    main[invented.CELLS] = next(iter(invented.collections().items()))
    for task, (one, scores) in main.items():
        for name in ("naswot", "flops", "params"):
            row = found[name, 16, task]
            assert row["collection"] == one.id
            expected = naive_tau(scores[name], invented.mean_accuracies(task), invented.ARCHS)
            assert (row["kendall"], row["networks"]) == (pytest.approx(expected, abs=1e-12), 60)
    assert ("eznas-a", 16, invented.SIZES) in found
    assert ("eznas-a", 4, invented.SIZES) not in found


def test_agreement(compared: Store) -> None:
    theirs = invented.others()
    found = {(row["collection"], row["name"]): row for row in rows(compared, "agreement")}
    names = {"naswot": "nwot", "flops": "flops"}
    expected = {
        (one.id, name)
        for one, scores in invented.collections().items()
        if one.space == "nasbench201"
        for name in names
        if name in scores
    }
    assert set(found) == expected
    for one, scores in invented.collections().items():
        for name, their_name in names.items():
            if (one.id, name) in expected:
                row = found[one.id, name]
                archs = [arch for arch in scores[name] if arch in theirs["suite", their_name]]
                x = [scores[name][arch] for arch in archs]
                y = [theirs["suite", their_name][arch] for arch in archs]
                assert (row["source"], row["their_name"], row["networks"]) == ("suite", their_name, len(archs))
                assert row["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
                assert row["kendall"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_scored_collections(compared: Store) -> None:
    found = {row["collection"]: row for row in rows(compared, "scored_collections")}
    assert set(found) == {one.id for one in invented.collections()}
    for one, scores in invented.collections().items():
        row = found[one.id]
        # What no record says is read from the collection's id, which tells neither images nor initialisation.
        config, recorded = one.config, one.space == "nasbench201"
        assert row["images"] == (one.images if recorded else None)
        assert (row["batch_size"], row["seed"]) == (config.batch_size, config.seed)
        assert (row["pattern"], row["loss"]) == (config.pattern, config.loss)
        assert row["initialisation"] == (config.initialisation if recorded else None)
        proxies = [name for name in scores if name in invented.PROXIES]
        assert (row["programs"], row["proxies"]) == (len(scores) - len(proxies), len(proxies))
        assert row["networks"] == row["trained"] == len(next(iter(scores.values())))


@pytest.mark.parametrize(
    ("source", "proxy", "task", "statistic", "value"),
    [
        ("EZNAS paper", "eznas-a", "nasbench201:imagenet16-120", "kendall", 0.61),
        ("EZNAS paper", "anglenas", "nasbench201:cifar100", "kendall", 0.60),
        ("EZNAS paper", "fisher", "nasbench201:imagenet16-120", "spearman", 0.33),
        ("EZNAS paper", "naswot", "nats-sss:cifar100", "spearman", 0.18),
        ("EZNAS paper", "grad_norm", "nds-amoeba:cifar10", "kendall", -0.10),
        ("EZNAS paper", "params", "nds-nasnet:cifar10", "kendall", 0.21),
        ("EZNAS release, batch 16", "eznas-a", "nasbench201:cifar10", "kendall", 0.62),
        ("AZ-NAS paper", "az_nas", "nasbench201:imagenet16-120", "kendall", 0.710),
        ("regularised SWAP, validation accuracy", "swap", "nasbench201:cifar100", "spearman", 0.90),
    ],
)
def test_published(empty: Store, source: str, proxy: str, task: str, statistic: str, value: float) -> None:
    space, _, dataset = task.partition(":")
    (row,) = [
        row
        for row in rows(empty, "published", space=space, dataset=dataset)
        if (row["source"], row["proxy"], row["statistic"]) == (source, proxy, statistic)
    ]
    assert row["value"] == value


def test_every_published_figure_is_a_correlation_of_a_known_task(empty: Store) -> None:
    every = rows(empty, "published")
    keys = [(row["source"], row["proxy"], row["space"], row["dataset"], row["statistic"]) for row in every]
    assert len(set(keys)) == len(keys) == 88
    assert all(-1 <= row["value"] <= 1 and row["statistic"] in ("kendall", "spearman") for row in every)
    assert all(row["dataset"] in get_space(row["space"]).datasets for row in every)
    assert all((row["place"] is None) == (row["source"] != "EZNAS paper") for row in every)
