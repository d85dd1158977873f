"""Scores of programs on networks, apart from any run."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from zcsr.errors import InputError
from zcsr.evaluation import evaluate
from zcsr.evaluation.many_networks import Measures, score_networks
from zcsr.language.text import parse
from zcsr.networks.config import Loss
from zcsr.networks.images import ImageSet
from zcsr.networks.untrained import StatisticsConfig, network_statistics, untrained
from zcsr.proxies import get_proxy, language
from zcsr.spaces import get_space
from zcsr.store import Collection, Store, load_images, named, query, write_accuracies
from zcsr.store.importers.image_sets import import_images
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.testing import score_and_store, scored_pairs

SPACE = get_space("nasbench201-mini")
ARCHS = SPACE.sample(6, random.Random(1))
PROGRAMS = (parse("fro(T1_D)"), parse("mean(T3) -> l2 -> sum"))
COLLECTION = Collection("nasbench201-mini", "fashion-mnist", "noise", StatisticsConfig())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    generator = np.random.default_rng(0)
    file = tmp_path / "noise.npz"
    np.savez(file, x=generator.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8), y=np.arange(8))
    store = Store.open(tmp_path / "store", create=True)
    import_images(store, file, name="noise", classes=10)
    return store


def naive(images: ImageSet, text: str, arch: str) -> float:
    statistics = network_statistics(SPACE, arch, 10, images, COLLECTION.config)
    return evaluate.score(parse(text), statistics)


def test_scores_are_those_of_each_network_on_its_own(store: Store) -> None:
    report = score_and_store(store, COLLECTION, Measures(PROGRAMS), ARCHS)
    assert (report.done, report.already) == (6, 0)
    rows = query(store, "SELECT text, arch, score FROM network_scores")
    assert rows.height == 12
    images = load_images(store, "noise")
    for text, arch, score in rows.iter_rows():
        assert score == pytest.approx(naive(images, text, arch), rel=1e-12)


def test_what_is_scored_already_is_not_scored_again(store: Store) -> None:
    score_and_store(store, COLLECTION, Measures(PROGRAMS[:1]), ARCHS[:4])
    report = score_and_store(store, COLLECTION, Measures(PROGRAMS[:1]), ARCHS)
    assert (report.done, report.already) == (2, 4)
    report = score_and_store(
        store, COLLECTION, Measures(PROGRAMS), ARCHS
    )  # the second program is new to all of them
    assert (report.done, report.already) == (6, 0)
    assert scored_pairs(store, COLLECTION) == {(program.id, arch) for program in PROGRAMS for arch in ARCHS}
    assert query(store, "SELECT count(*) AS n FROM network_scores")["n"].item() == 12


def test_an_interrupted_call_keeps_what_it_has_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zcsr.store.jobs.testing.WRITTEN_TOGETHER", 2)

    def interrupt(done: int, _: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_and_store(store, COLLECTION, Measures(PROGRAMS), ARCHS, progress=interrupt)
    assert {arch for _, arch in scored_pairs(store, COLLECTION)} == set(ARCHS[:5])


def test_correlations_are_those_of_scipy_and_leave_out_what_is_not_finite(store: Store) -> None:
    accuracies = dict(zip(ARCHS, (10.0, 30.0, 20.0, 20.0, 50.0, 40.0), strict=True))
    rows = [
        {"space": SPACE.name, "dataset": "fashion-mnist", "metric": "test", "arch": a, "seed": 0, "accuracy": value}
        for a, value in accuracies.items()
    ]
    write_accuracies(store, rows, "made")
    infinite = parse("reciprocal(zeros_like(T1_D))")
    score_and_store(store, COLLECTION, Measures((PROGRAMS[0], infinite)), ARCHS)
    table = {row["text"]: row for row in named(store, "network_correlations").iter_rows(named=True)}
    scores = query(store, "SELECT arch, score FROM network_scores WHERE text = 'fro(T1_D)'").rows()
    expected = [accuracies[arch] for arch, _ in scores]
    tau = stats.kendalltau([score for _, score in scores], expected).statistic
    assert table["fro(T1_D)"]["kendall"] == pytest.approx(tau, abs=1e-12)
    assert table["fro(T1_D)"]["networks"] == 6
    assert table[str(infinite)]["kendall"] is None
    assert (table[str(infinite)]["networks"], table[str(infinite)]["non_finite"]) == (0, 6)


def test_what_a_collection_is_made_from_is_on_record_once(store: Store) -> None:
    score_and_store(store, COLLECTION, Measures(PROGRAMS), ARCHS[:2])
    collect_networks(store, COLLECTION, ARCHS[:1])
    rows = query(store, "SELECT collection, images, batch_size FROM collections").rows()
    assert rows == [(COLLECTION.id, COLLECTION.images, COLLECTION.config.batch_size)]


def test_proxies_are_scored_on_the_very_networks_that_programs_are(store: Store) -> None:
    measures = Measures(PROGRAMS[:1], ("params", "naswot"))
    score_and_store(store, COLLECTION, measures, ARCHS)
    config = COLLECTION.config
    images = load_images(store, COLLECTION.images)
    for arch in ARCHS:
        network = untrained(SPACE, arch, 10, images, config)
        rows = query(store, f"SELECT program, text, score FROM network_scores WHERE arch = '{arch}'").rows()
        scores = {text: score for _, text, score in rows}
        assert set(scores) == {str(PROGRAMS[0]), "params", "naswot"}
        assert scores["params"] == sum(p.numel() for p in network.model.parameters())
        expected = get_proxy("naswot")(network.model, network.inputs["D"], network.labels)
        assert scores["naswot"] == expected
        assert scores[str(PROGRAMS[0])] == naive(images, str(PROGRAMS[0]), arch)


def test_noise_alone_needs_no_images(store: Store) -> None:
    """The scores are those with images, before and after there are any of that name."""
    noise = parse("sum(effective_rank(channels(T4_N))) - log(params) * depth")
    nowhere = replace(COLLECTION, images="not-there")
    score_and_store(store, nowhere, Measures((noise,)), ARCHS)
    score_and_store(store, COLLECTION, Measures((noise,)), ARCHS)
    by_collection = query(store, "SELECT list(score ORDER BY arch) FROM network_scores GROUP BY collection").rows()
    assert len(by_collection) == 2
    assert by_collection[0] == by_collection[1]
    for program in (parse("fro(T1_P)"), parse("sum(fro(T4_N)) + naswot", language())):
        with pytest.raises(InputError, match="no image set 'not-there'"):
            score_and_store(store, nowhere, Measures((program,)), ARCHS)


def test_what_needs_images() -> None:
    def need(text: str, loss: Loss = "ones", *proxies: str) -> bool:
        return Measures((parse(text, language()),), proxies).need_images(loss)

    assert not need("sum(fro(T3)) / flops")
    assert not need("fro(T1G_N)")
    assert need("fro(T1G_N)", "cross_entropy")  # of labels
    assert need("fro(T4_P)")
    assert need("fro(T4_N)", "ones", "snip")
    assert not need("fro(T4_N)", "ones", "params")


def test_a_known_proxy_is_a_number_of_a_program(store: Store) -> None:
    program = parse("2 * naswot - log(params)", language())
    score_and_store(store, COLLECTION, Measures((program,), ("naswot", "params")), ARCHS[:3])
    for arch in ARCHS[:3]:
        rows = query(store, f"SELECT text, score FROM network_scores WHERE arch = '{arch}'").rows()
        scores = dict(rows)
        expected = 2 * scores["naswot"] - math.log(scores["params"])
        assert scores[str(program)] == pytest.approx(expected, rel=1e-12)


def test_what_is_complete_is_not_computed_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    score_and_store(store, COLLECTION, Measures(PROGRAMS, ("params",)), ARCHS)
    asked: list[Measures] = []

    def spy(*args: Any) -> Iterator[tuple[str, Any, float]]:
        asked.append(args[5])
        return score_networks(*args)

    monkeypatch.setattr("zcsr.store.jobs.testing.score_networks", spy)
    report = score_and_store(store, COLLECTION, Measures(PROGRAMS, ("params", "synflow")), ARCHS)
    assert asked == [Measures((), ("synflow",))]
    assert (report.done, report.already) == (len(ARCHS), 0)


def test_weights_are_torchs_own_on_demand(store: Store) -> None:
    images, arch = load_images(store, COLLECTION.images), ARCHS[-1]
    config = replace(COLLECTION.config, initialisation="torch", seed=5)
    weights = [
        dict(untrained(SPACE, arch, 10, images, c).model.named_parameters())
        for c in (config, config, replace(config, seed=6), replace(config, initialisation="eznas"))
    ]
    name = next(name for name, weight in weights[0].items() if weight.ndim == 4)
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])
    bound = 1 / math.sqrt(weights[0][name][0].numel())  # torch draws a convolution's uniformly within it
    assert 0.9 * bound < weights[0][name].abs().max().item() <= bound < weights[3][name].abs().max().item()


def test_an_unknown_architecture_is_refused_before_anything_is_scored(store: Store) -> None:
    with pytest.raises(InputError, match="conv_9x9"):
        score_and_store(
            store, COLLECTION, Measures(PROGRAMS), [*ARCHS, "|conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|"]
        )
    assert scored_pairs(store, COLLECTION) == set()
