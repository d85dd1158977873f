"""Searches with a proxy: against naive loops, expectations and scipy; what is kept, asked and reported of them."""

from __future__ import annotations

import json
import math
import random
import re
import statistics
import struct
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from commands import zcsr
from scipy import stats
from torch import nn

from zcsr.errors import InputError, StoreError
from zcsr.language.text import parse
from zcsr.nas.config import SearchConfig
from zcsr.nas.strategies import STRATEGIES, Landscape, Strategy, best_so_far, run_strategy
from zcsr.ranking import mean_interval
from zcsr.reports import render_search
from zcsr.spaces import DatasetShape, ListedSpace, get_space
from zcsr.spaces.nasbench201 import format_arch
from zcsr.store.jobs import nas_searches as searches_module
from zcsr.store.jobs.nas_plan import SearchPlan, plan_searches
from zcsr.store.jobs.nas_searches import find_search, run_searches, search_names
from zcsr.store.jobs.testing import SCHEMA as SCORES_SCHEMA
from zcsr.store.kept.accuracies import write_accuracies
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import named, verify
from zcsr.store.tables.declarations import PROXY_SCORES
from zcsr.store.tables.frames import schema_of

TASK = "nasbench201:cifar10"
ARCHS = tuple(format_arch(cell) for cell in product(("skip_connect", "nor_conv_3x3", "none"), repeat=6))[:146]
GUIDED: tuple[Strategy, ...] = ("warmup", "moves", "warmup_moves")
CONFIG = SearchConfig(budget=40, repeats=6, population=8, tournament=3, warmup=30)


class Words(ListedSpace):
    """Words over a few letters; neighbours differ in one letter."""

    def __init__(self, letters: str = "abcde", length: int = 3) -> None:
        archs = ["".join(word) for word in product(letters, repeat=length)]
        super().__init__("words", archs, lambda *_: nn.Identity(), {"toy": DatasetShape(2, 1, 8, 8)})
        self.letters = letters

    def neighbours(self, arch: str) -> list[str]:
        return [
            arch[:place] + letter + arch[place + 1 :]
            for place in range(len(arch))
            for letter in self.letters
            if letter != arch[place]
        ]


def values(archs: tuple[str, ...], purpose: str) -> dict[str, float]:
    generator = random.Random(purpose)
    return {arch: round(generator.uniform(10, 95), 1) for arch in archs}


SPACE = Words()
WORDS = tuple(SPACE.arch(index) for index in range(len(SPACE)))
ACCURACIES = values(WORDS, "accuracies")
SCORES = values(WORDS, "scores")
LANDSCAPE = Landscape(SPACE, ACCURACIES)


# The strategies


def naive(
    accuracies: Mapping[str, float], config: SearchConfig, strategy: str, repeat: int, scores: Mapping[str, float]
) -> list[str]:
    """Everything that ever lived in one list, of which the last ones are the population."""
    generator = random.Random(f"{config.seed}/{repeat}/{strategy}")
    if strategy.startswith("warmup"):
        pool = generator.sample(list(accuracies), min(config.warmup, len(accuracies)))
        lived = []
        while len(lived) < config.population:
            best = pool[0]
            for arch in pool:
                if scores[arch] > scores[best]:
                    best = arch
            pool.remove(best)
            lived.append(best)
    else:
        lived = generator.sample(list(accuracies), config.population)
    while len(set(lived)) < config.budget:
        alive = lived[len(lived) - config.population :]
        parent = None
        for rival in generator.sample(alive, config.tournament):
            if parent is None or accuracies[rival] > accuracies[parent]:
                parent = rival
        assert parent is not None
        near = [arch for arch in accuracies if sum(a != b for a, b in zip(arch, parent, strict=True)) == 1]
        near.sort(key=SPACE.neighbours(parent).index)
        if not strategy.endswith("moves"):
            lived.append(generator.choice(near))
            continue
        drawn = generator.sample(near, len(near) if config.moves is None else config.moves)
        child = None
        for arch in drawn:
            if arch not in lived and (child is None or scores[arch] > scores[child]):
                child = arch
        lived.append(drawn[0] if child is None else child)
    return list(dict.fromkeys(lived))


@pytest.mark.parametrize("moves", [None, 4])
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_evolution_is_what_a_naive_loop_does(strategy: Strategy, moves: int | None) -> None:
    config = SearchConfig(seed=3, budget=90, population=8, tournament=3, warmup=40, moves=moves)
    for repeat in range(3):
        found = run_strategy(LANDSCAPE, config, strategy, repeat, SCORES)
        assert list(found) == naive(ACCURACIES, config, strategy, repeat, SCORES)


def test_random_search_is_as_good_as_expected() -> None:
    config = SearchConfig(budget=7, population=2, tournament=1, warmup=2)
    ordered = sorted(ACCURACIES.values())
    # The i-th lowest of n is the highest of k draws in C(i - 1, k - 1) of C(n, k) cases.
    expected = sum(
        value * math.comb(below, config.budget - 1) / math.comb(len(ordered), config.budget)
        for below, value in enumerate(ordered)
    )
    best = [
        max(ACCURACIES[arch] for arch in run_strategy(LANDSCAPE, config, "random", repeat))
        for repeat in range(2000)
    ]
    assert statistics.mean(best) == pytest.approx(expected, abs=4 * statistics.stdev(best) / math.sqrt(len(best)))


def test_a_perfect_proxy_finds_the_best_at_once() -> None:
    best = max(ACCURACIES, key=ACCURACIES.__getitem__)
    config = SearchConfig(budget=20, population=10, tournament=3, warmup=len(WORDS))
    ordered = sorted(WORDS, key=ACCURACIES.__getitem__, reverse=True)
    for strategy in ("warmup", "warmup_moves"):
        found = run_strategy(LANDSCAPE, config, strategy, 0, ACCURACIES)
        assert found[0] == best
        assert [ACCURACIES[arch] for arch in found[:10]] == [ACCURACIES[arch] for arch in ordered[:10]]


def test_a_perfect_proxy_climbs_by_moves() -> None:
    config = SearchConfig(budget=30, population=1, tournament=1, warmup=1)
    found = run_strategy(LANDSCAPE, config, "moves", 0, ACCURACIES)
    for step in range(1, 10):
        new = [arch for arch in SPACE.neighbours(found[step - 1]) if arch not in found[:step]]
        assert ACCURACIES[found[step]] == max(ACCURACIES[arch] for arch in new)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_architecture_is_trained_once_in_the_end(strategy: Strategy) -> None:
    lonely = {arch: accuracy for arch, accuracy in ACCURACIES.items() if arch[0] != "a" or arch == "aaa"}
    lonely = {arch: accuracy for arch, accuracy in lonely.items() if arch[1:] != "aa" or arch == "aaa"}
    landscape = Landscape(SPACE, lonely)
    assert landscape.neighbours("aaa") == ()
    config = SearchConfig(budget=len(lonely), population=5, tournament=2, warmup=5)
    assert sorted(run_strategy(landscape, config, strategy, 0, SCORES)) == sorted(lonely)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_budget_below_the_population(strategy: Strategy) -> None:
    config = SearchConfig(budget=5, population=50, warmup=60)
    found = run_strategy(LANDSCAPE, config, strategy, 0, SCORES)
    assert len(set(found)) == len(found) == 5


def test_scores_that_are_not_finite_rank_last() -> None:
    finite = WORDS[::10]
    scores = {arch: -1e9 if arch in finite else random.Random(arch).choice((math.nan, math.inf)) for arch in WORDS}
    config = SearchConfig(budget=len(finite), population=len(finite), warmup=len(WORDS))
    assert sorted(run_strategy(LANDSCAPE, config, "warmup", 0, scores)) == sorted(finite)


def test_equal_scores_are_ranked_at_random() -> None:
    config = SearchConfig(budget=8, population=8, tournament=2, warmup=len(WORDS))
    constant = dict.fromkeys(WORDS, 1.0)
    first = {run_strategy(LANDSCAPE, config, "warmup", repeat, constant)[0] for repeat in range(20)}
    assert len(first) > 10


def test_draws_come_from_seed_repeat_and_strategy_alone() -> None:
    config = SearchConfig(budget=50, population=8, tournament=3, warmup=20)
    found = {
        (seed, repeat, strategy): run_strategy(
            LANDSCAPE, SearchConfig(seed, 50, 10, 8, 3, 20), strategy, repeat, SCORES
        )
        for seed in (0, 1)
        for repeat in (0, 1)
        for strategy in STRATEGIES
    }
    assert len(set(found.values())) == len(found)
    state = random.getstate()
    for strategy in STRATEGIES:
        assert run_strategy(LANDSCAPE, config, strategy, 1, SCORES) == found[0, 1, strategy]
    assert random.getstate() == state
    doubled = {arch: 2 * score for arch, score in SCORES.items()}  # another proxy with the same order
    assert run_strategy(LANDSCAPE, config, "warmup_moves", 0, doubled) == found[0, 0, "warmup_moves"]


def test_the_best_so_far_is_that_of_the_guide() -> None:
    generator = random.Random(0)
    guide = [float(generator.randrange(10)) for _ in range(50)]
    reported = [generator.random() for _ in range(50)]
    assert best_so_far(guide, reported) == [reported[guide.index(max(guide[:n]))] for n in range(1, 51)]
    assert best_so_far([], []) == []


@pytest.mark.parametrize("count", [2, 3, 10, 200])
def test_intervals_are_those_of_student(count: int) -> None:
    sample = np.random.default_rng(count).normal(90, 3, count)
    expected = stats.t.interval(0.95, count - 1, loc=sample.mean(), scale=stats.sem(sample))
    assert mean_interval(sample) == pytest.approx(expected)
    level = stats.t.interval(0.5, count - 1, loc=sample.mean(), scale=stats.sem(sample))
    assert mean_interval(sample, 0.5) == pytest.approx(level)


def test_no_interval_of_one_value_and_none_wide_of_equal_ones() -> None:
    assert all(map(math.isnan, mean_interval([1.0])))
    assert all(map(math.isnan, mean_interval([1.0, math.nan])))
    assert mean_interval([5.0, 5.0, 5.0]) == (5.0, 5.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 0}, "budget must be at least 1; got 0"),
        ({"moves": 0}, "moves must be at least 1; got 0"),
        ({"population": 5}, "tournament must not exceed population (5); got 10"),
        ({"warmup": 63}, "warmup fills the population (64), so no fewer; got 63"),
    ],
)
def test_configurations_that_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        SearchConfig(**given)


def test_searches_that_are_refused() -> None:
    config = SearchConfig(budget=10, population=2, tournament=1, warmup=2)
    with pytest.raises(InputError, match=r"budget of 300 networks is more than the 125 of words"):
        run_strategy(LANDSCAPE, SearchConfig(), "random", 0)
    with pytest.raises(InputError, match=r"124 of 125 architectures of words have no score, aab among them"):
        run_strategy(LANDSCAPE, config, "moves", 0, {"aaa": 1.0})
    listed = ListedSpace("listed", WORDS, lambda *_: nn.Identity(), SPACE.datasets)
    with pytest.raises(InputError, match=r"no architecture of listed has a neighbour"):
        run_strategy(Landscape(listed, ACCURACIES), config, "evolution", 0)
    assert len(run_strategy(Landscape(listed, ACCURACIES), config, "random", 0)) == 10


def test_evolution_beats_random_search_on_the_real_table(shared: Path) -> None:
    columns = ["arch_str", "cifar10_val_200", "cifar10_test_200", "cifar10_params"]
    table = pl.read_parquet(shared / "data" / "nb201.parquet", columns=columns)
    guide, reported, sizes = (dict(table.select("arch_str", column).iter_rows()) for column in columns[1:])
    landscape = Landscape(get_space("nasbench201"), guide)
    reached: dict[str, list[float]] = {}
    for strategy in ("random", "evolution", "warmup"):
        for repeat in range(5):
            archs = run_strategy(landscape, SearchConfig(budget=150), strategy, repeat, sizes)
            best = best_so_far([guide[arch] for arch in archs], [reported[arch] for arch in archs])
            reached.setdefault(strategy, []).append(next((n for n, one in enumerate(best) if one >= 94), 150))
    means = [statistics.mean(reached[strategy]) for strategy in ("warmup", "evolution", "random")]
    assert means == sorted(means)
    assert means[0] < 60 < means[2]


# What is kept


def write_scores(store: Store, archs: tuple[str, ...], collection: str, proxy: str = "params") -> dict[str, float]:
    made = values(archs, f"{proxy} {collection}")
    rows = [(collection, "nasbench201", "cifar10", proxy, proxy, arch, score) for arch, score in made.items()]
    frame = pl.DataFrame(rows, schema=SCORES_SCHEMA, orient="row")
    write_parquet(frame, store.scores_dir / collection / "made.parquet")
    return made


def write_imported(store: Store, archs: tuple[str, ...]) -> dict[str, float]:
    made = values(archs, "imported") | {archs[0]: math.nan}
    rows = [("suite", "nasbench201", "cifar10", "snip", arch, score) for arch, score in made.items()]
    frame = pl.DataFrame(rows, schema=schema_of(PROXY_SCORES), orient="row")
    write_parquet(frame, store.root / "proxy_scores" / "nasbench201" / "cifar10" / "suite.parquet")
    return made


def write_metric(store: Store, metric: str, source: str = "made", archs: tuple[str, ...] = ARCHS) -> None:
    rows = [
        {"space": "nasbench201", "dataset": "cifar10", "metric": metric, "arch": arch, "seed": 0, "accuracy": value}
        for arch, value in values(archs, metric).items()
    ]
    write_accuracies(store, rows, source)


def made_store(root: Path) -> Store:
    store = Store.open(root, create=True)
    for metric in ("test", "validation"):
        write_metric(store, metric)
    write_scores(store, ARCHS, "all-b1-s0-rcb-ones-abcdef")
    write_scores(store, ARCHS[:50], "few-b16-s2-rcb-ones-abcdef", "flops")
    write_imported(store, ARCHS[:60])
    return store


def plan_of(store: Store, config: SearchConfig = CONFIG, **given: Any) -> SearchPlan:
    return plan_searches(store, "nasbench201", "cifar10", config, **({"proxies": ["params"]} | given))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one search, "kept"; no test changes it but by searches of other names."""
    store = made_store(tmp_path_factory.mktemp("kept") / "store")
    given = {"proxies": ["params"], "others": ["suite:snip"], "scored_only": True, "target": 85.0}
    run_searches(
        store, plan_of(store, **given), name="kept", command=["zcsr", "search", "--store", "x", "-t", TASK]
    )
    return store


@pytest.fixture(scope="module")
def steps(kept: Store) -> list[dict[str, Any]]:
    return pl.read_parquet(kept.searches_dir / "kept" / "steps.parquet").to_dicts()


def test_steps_are_the_searches_with_their_accuracies(kept: Store, steps: list[dict[str, Any]]) -> None:
    guide, reported = values(ARCHS, "validation"), values(ARCHS, "test")
    archs = [arch for arch in sorted(ARCHS, key=get_space("nasbench201").index) if arch in ARCHS[:60]]
    landscape = Landscape(get_space("nasbench201"), {arch: guide[arch] for arch in archs})
    scores = {
        "params": values(ARCHS, "params all-b1-s0-rcb-ones-abcdef"),
        "suite:snip": values(ARCHS[:60], "imported") | {ARCHS[0]: math.nan},
    }
    expected = []
    for proxy, strategies in ((None, STRATEGIES[:2]), ("params", GUIDED), ("suite:snip", GUIDED)):
        for strategy in strategies:
            for repeat in range(6):
                best = ("", -1.0)
                found = run_strategy(landscape, CONFIG, strategy, repeat, scores.get(proxy or ""))
                for step, arch in enumerate(found, 1):
                    best = max(best, (arch, guide[arch]), key=lambda one: one[1])
                    numbers = (guide[arch], reported[arch], reported[best[0]])
                    expected.append(("kept", strategy, proxy, repeat, step, arch, *numbers))
    assert [tuple(row.values()) for row in steps] == expected


def test_the_curve_is_what_a_loop_finds(kept: Store, steps: list[dict[str, Any]]) -> None:
    found = named(kept, "search_curve", {"search": "kept", "every": "8"}).to_dicts()
    assert len(found) == 8 * (CONFIG.budget // 8)
    for row in found:
        best = [
            one["best_test_accuracy"]
            for one in steps
            if (one["strategy"], one["proxy"], one["step"]) == (row["strategy"], row["proxy"], row["networks"])
        ]
        low, high = stats.t.interval(0.95, len(best) - 1, loc=np.mean(best), scale=stats.sem(best))
        assert row["repeats"] == len(best) == 6
        assert row["test_accuracy_mean"] == pytest.approx(np.mean(best))
        if len(set(best)) > 1:
            assert (row["test_accuracy_low"], row["test_accuracy_high"]) == pytest.approx((low, high))
        else:
            assert row["test_accuracy_low"] == row["test_accuracy_high"] == pytest.approx(best[0])
    strategies = list(dict.fromkeys((row["strategy"], row["proxy"]) for row in found))
    guided = [(strategy, proxy) for proxy in ("params", "suite:snip") for strategy in GUIDED]
    assert strategies == [("random", None), ("evolution", None), *guided]


@pytest.mark.parametrize("target", [0, 80, 93.5, 99])
def test_the_summary_is_what_a_loop_finds(kept: Store, steps: list[dict[str, Any]], target: float) -> None:
    found = named(kept, "search_summary", {"search": "kept", "target": target}).to_dicts()
    assert len(found) == 8
    for row in found:
        assert row["target"] == (target or 85.0)
        of = [one for one in steps if (one["strategy"], one["proxy"]) == (row["strategy"], row["proxy"])]
        reached = []
        for repeat in range(6):
            curve = [one["best_test_accuracy"] for one in of if one["repeat"] == repeat]
            reached.append(next((n for n, value in enumerate(curve, 1) if value >= row["target"]), math.inf))
        there = [count for count in reached if count < math.inf]
        median = statistics.median(reached)
        assert (row["repeats"], row["reached"]) == (6, len(there))
        assert row["networks_mean"] == (pytest.approx(statistics.mean(there)) if there else None)
        assert row["networks_median"] == (median if math.isfinite(median) else None)
        last = [one["best_test_accuracy"] for one in of if one["step"] == CONFIG.budget]
        assert row["test_accuracy_mean"] == pytest.approx(statistics.mean(last))


def test_searches_and_their_scores(kept: Store) -> None:
    row = named(kept, "searches", {"search": "kept"}).row(0, named=True)
    assert (row["task"], row["metric"], row["architectures"], row["target"]) == (TASK, "validation", 60, 85.0)
    assert (row["budget"], row["repeats"], row["moves"], row["trained"]) == (40, 6, None, 40 * 6 * 8)
    params, snip = named(kept, "search_scores", {"search": "kept"}).to_dicts()
    assert (params["proxy"], params["kind"], params["source"]) == ("params", "proxy", "all-b1-s0-rcb-ones-abcdef")
    assert (snip["kind"], snip["source"], snip["non_finite"]) == ("imported", "suite", 1)
    scores, accuracies = values(ARCHS[:60], "imported"), values(ARCHS, "test")
    finite = ARCHS[1:60]
    tau = stats.kendalltau([scores[arch] for arch in finite], [accuracies[arch] for arch in finite]).statistic
    assert snip["kendall"] == pytest.approx(tau)
    assert verify(kept) == []


def test_a_search_that_is_interrupted_goes_on_to_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = (made_store(tmp_path / name) for name in ("whole", "broken"))
    name = run_searches(whole, plan_of(whole))
    seen: list[str] = []

    def stops(after: int) -> Callable[..., tuple[str, ...]]:
        def one(landscape: Landscape, config: SearchConfig, strategy: Strategy, *rest: Any) -> tuple[str, ...]:
            if len(seen) == after:
                raise KeyboardInterrupt
            seen.append(strategy)
            return run_strategy(landscape, config, strategy, *rest)

        return one

    for after in (4, 9, 29):
        monkeypatch.setattr(searches_module, "run_strategy", stops(after))
        with pytest.raises(KeyboardInterrupt):
            run_searches(broken, plan_of(broken))
    monkeypatch.setattr(searches_module, "run_strategy", stops(1000))
    reports: list[tuple[int, int]] = []
    assert run_searches(broken, plan_of(broken), progress=lambda *one: reports.append(one)) == name
    assert reports == [(29, 30), (30, 30)]
    assert len(seen) == 30
    first, second = (store.searches_dir / name for store in (whole, broken))
    assert (first / "steps.parquet").read_bytes() == (second / "steps.parquet").read_bytes()
    records = [json.loads((folder / "search.json").read_text()) for folder in (first, second)]
    assert records[0] | {"started": ""} == records[1] | {"started": ""}

    seen.clear()
    run_searches(broken, plan_of(broken))
    assert seen == []


def test_a_name_belongs_to_one_plan(kept: Store, tmp_path: Path) -> None:
    small = SearchConfig(budget=5, repeats=1, population=4, tournament=2, warmup=9)
    assert run_searches(kept, plan_of(kept, small), name="small") == "small"
    other = SearchConfig(budget=6, repeats=1, population=4, tournament=2, warmup=9)
    with pytest.raises(InputError, match=r"'small' is there with other budget \(5, now 6\); give another --name"):
        run_searches(kept, plan_of(kept, other), name="small")
    with pytest.raises(InputError, match=r"with other scores \(params of all-b1-s0-rcb-ones-abcdef, now \)"):
        run_searches(kept, plan_of(kept, small, proxies=[]), name="small")
    run_searches(kept, plan_of(kept, small, target=12.5), name="small")
    assert find_search(kept, "small").target == 12.5
    assert named(kept, "search_summary", {"search": "small"})["target"].unique().to_list() == [12.5]
    store = made_store(tmp_path / "changed")
    run_searches(store, plan_of(store, small), name="small")
    write_metric(store, "test", "again", ARCHS[:3])
    write_accuracies(
        store,
        [
            {
                "space": "nasbench201",
                "dataset": "cifar10",
                "metric": "test",
                "arch": ARCHS[0],
                "seed": 1,
                "accuracy": 1,
            }
        ],
        "more",
    )
    with pytest.raises(InputError, match=r"with other accuracies or scores"):
        run_searches(store, plan_of(store, small), name="small")
    assert plan_of(store, small).default_name != plan_of(kept, small).default_name


def test_finding_a_search(kept: Store, tmp_path: Path) -> None:
    assert "kept" in search_names(kept)
    assert find_search(kept, "kept").command[:2] == ("zcsr", "search")
    with pytest.raises(InputError, match=r"no search named 'kep' .*; did you mean kept\?"):
        find_search(kept, "kep")
    empty = Store.open(tmp_path / "empty", create=True)
    with pytest.raises(InputError, match=r"holds no searches; `zcsr search --task SPACE:DATASET` makes one"):
        find_search(empty)
    for name in ("latest", "a b", ".x", ""):
        with pytest.raises(InputError, match="cannot name a search"):
            run_searches(kept, plan_of(kept), name=name)
    (empty.searches_dir / "bad").mkdir(parents=True)
    (empty.searches_dir / "bad" / "search.json").write_text("{}")
    with pytest.raises(StoreError, match=r"cannot read .*search\.json"):
        find_search(empty)


# What is searched


def test_what_guides_and_what_is_reached(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    write_metric(store, "test")
    small = SearchConfig(budget=5, population=4, tournament=2, warmup=9)
    assert plan_of(store, small, proxies=[]).metric == "test"
    write_metric(store, "validation", archs=ARCHS[:40])
    plan = plan_of(store, small, proxies=[])
    assert plan.metric == "validation"
    assert plan.guide == {arch: values(ARCHS[:40], "validation")[arch] for arch in plan.guide}
    assert sorted(plan.guide) == sorted(plan.reported) == sorted(ARCHS[:40])
    assert plan.target == math.floor(100 * max(plan.reported.values())) / 100
    assert (
        plan_of(store, small, proxies=[], metric="test").guide
        == plan_of(store, small, proxies=[], metric="test").reported
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"proxies": ["naswot"]}, "no scores of naswot on nasbench201:cifar10; `zcsr test --task "
         "nasbench201:cifar10 --proxy naswot --trained` makes them"),
        ({"proxies": ["flops"]}, "flops scores 50 of the 146 architectures of nasbench201:cifar10 to search among "
         "in few-b16-s2-rcb-ones-abcdef; `zcsr test --task nasbench201:cifar10 --proxy flops --trained "
         "--batch-size 16 --network-seed 2` makes all, and --scored-only"),
        ({"programs": ["fro(T1_D)"]}, "no scores of fro(T1_D) on nasbench201:cifar10; `zcsr test --task "
         "nasbench201:cifar10 --program 'fro(T1_D)' --trained` makes them"),
        ({"others": ["suite:snip"]}, "suite:snip scores 60 of the 146 architectures"),
        ({"others": ["suite"]}, "--scores-of takes SOURCE:PROXY"),
        ({"others": ["suite:nwot"]}, "no scores suite:nwot of nasbench201:cifar10: there are suite:snip"),
        ({"proxies": ["param"]}, "param"),
        ({"collection": "none"}, "params was not scored on nasbench201:cifar10 in the collection none; collections "
         "with it: all-b1-s0-rcb-ones-abcdef"),
        ({"target": 0.0}, "the target is a test accuracy in percent, above 0 and at most 100; got 0.0"),
        ({"metric": "train"}, "no accuracies for nasbench201:cifar10 with metric 'train'"),
    ],
)  # fmt: skip
def test_plans_that_are_refused(kept: Store, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(kept, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_collection_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store")
    made = write_scores(store, ARCHS, "more-b16-s0-rcb-ones-abcdef")
    with pytest.raises(
        InputError, match=r"several collections, all-b1-\S+, more-b16-\S+; name one with --collection"
    ):
        plan_of(store)
    plan = plan_of(store, collection="more-b16-s0-rcb-ones-abcdef")
    assert plan.scores[0].scores == {arch: made[arch] for arch in plan.guide}


# The command and the report


SMALL = ("--budget", "20", "--repeats", "2", "--population", "5", "--tournament", "2", "--warmup", "9")


def test_the_command(kept: Store) -> None:
    store = ("--store", str(kept.root))
    words = ("search", "--task", TASK, "--proxy", "params", *SMALL, "--moves", "3", "--name", "said", *store)
    code, out, err = zcsr(*words)
    assert (code, "strategy" in out.split()) == (0, True)
    assert [line.split()[0] for line in out.splitlines() if "params" in line] == list(GUIDED)
    assert "146 networks of nasbench201:cifar10, guided by validation accuracy" in err
    assert "zcsr report --search said" in err
    before = (kept.searches_dir / "said" / "steps.parquet").read_bytes()
    assert zcsr(*words)[:2] == (0, out)
    assert (kept.searches_dir / "said" / "steps.parquet").read_bytes() == before
    code, out, _ = zcsr("report", "--search", "said", *store)
    assert (code, Path(out.strip()).name) == (0, "said.md")


def test_a_program_by_its_id_guides_the_same_search(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store")
    program = parse("fro(T1_D)")
    keys = ("made", "nasbench201", "cifar10", program.id, str(program))
    rows = [(*keys, arch, score) for arch, score in values(ARCHS, "program").items()]
    frame = pl.DataFrame(rows, schema=SCORES_SCHEMA, orient="row")
    write_parquet(frame, store.scores_dir / "made" / "made.parquet")
    said = [
        zcsr("search", "--task", TASK, "--program", given, *SMALL, "--store", str(store.root))
        for given in (str(program), program.id)
    ]
    assert said[0][0] == 0, said[0][2]
    assert said[0][1] == said[1][1]
    assert "fro(T1_D)" in said[1][1]
    assert len(search_names(store)) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "--task", "nasbench201"], "--task takes SPACE:DATASET"),
        (["search", "--task", TASK, "--budget", "500"], "more than the 146 of nasbench201"),
        (["search", "--task", TASK, "--program", "naswot"], "--proxy naswot"),
        (["report", "--search", "hole"], "no search named 'hole'"),
        (["report", "kept", "--search", "kept"], "leave out kept"),
    ],
)
def test_what_the_command_refuses_is_one_line(kept: Store, words: list[str], message: str) -> None:
    code, out, err = zcsr(*words, "--store", str(kept.root))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_an_interrupted_command_says_how_to_go_on(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(searches_module, "run_strategy", stop)
    code, _, err = zcsr("search", "--task", TASK, *SMALL, "--seed", "9", "--store", str(kept.root))
    assert code == 130
    assert err.splitlines()[-1] == ("zcsr: interrupted; finished repeats are kept, and the same command goes on")


@pytest.fixture(scope="module")
def report(kept: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_search(kept, "kept", tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return report.read_text(encoding="utf-8")


def test_the_report(kept: Store, report: Path, text: str) -> None:
    titles = ["Summary", "Curves", "Networks to reach the target", "What was searched", "Strategies"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [*titles, "What it cost", "How to reproduce"]
    assert "$" not in text
    assert f"zcsr search -t {TASK}\n" in text  # the command without the store
    picture = report.parent / re.findall(r"!\[.*\]\((.+)\)", text)[0]
    assert struct.unpack(">I", picture.read_bytes()[16:20]) == (800,)
    before = (report.read_bytes(), picture.read_bytes())
    assert render_search(kept, "kept", report.parent) == report
    assert (report.read_bytes(), picture.read_bytes()) == before


def test_the_tables_of_the_report_are_the_answers_of_their_commands(kept: Store, text: str) -> None:
    made_by = re.findall(r"^Made by `queries/(\w+)\.sql`: `zcsr query (\w+) (.+) --format markdown`$", text, re.M)
    assert [name for name, _, _ in made_by] == [
        *("search_curve", "search_curve", "search_summary", "searches", "search_scores")
    ]
    assert all(name == asked and "--parameter search=kept" in flags for name, asked, flags in made_by)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:2] == "| "]
    for row in named(kept, "search_summary", {"search": "kept"}).to_dicts():
        proxy = f"`{row['proxy']}`" if row["proxy"] else "–"
        ((shown),) = [cells for cells in rows if cells[:2] == [row["strategy"], proxy] and len(cells) == 10]
        assert shown[3:5] == [str(row["repeats"]), str(row["reached"])]
        assert shown[7] == f"{row['test_accuracy_mean']:.2f}"
    for row in named(kept, "search_curve", {"search": "kept", "every": "6"}).to_dicts():
        proxy = f"`{row['proxy']}`" if row["proxy"] else "–"
        (shown,) = [cells for cells in rows if cells[:2] == [row["strategy"], proxy] and len(cells) == 8]
        half = (row["test_accuracy_high"] - row["test_accuracy_low"]) / 2
        assert shown[1 + row["networks"] // 6] == f"{row['test_accuracy_mean']:.2f} ± {half:.2f}"


def test_the_summary_names_the_soonest(kept: Store, text: str) -> None:
    rows = named(kept, "search_summary", {"search": "kept"}).drop_nulls("networks_median")
    soonest = rows["networks_median"].min()
    assert f"**, with {soonest:g} networks (the median; " in text
