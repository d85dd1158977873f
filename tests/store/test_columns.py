"""Numbers of instances in a store: computed once, whoever asks, and exactly as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import synthetic

from zcsr.errors import StoreError
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evaluation.scorer import Network, Wanted
from zcsr.evolve.bank import base_columns_of
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.front import search
from zcsr.language.program import Node
from zcsr.language.text import parse
from zcsr.store.kept.columns import KeptColumns
from zcsr.store.kept.store import Store

TASKS = synthetic.make_tasks()
NETWORKS = [(task.task, arch) for task in TASKS[:2] for arch in task.archs[:4]]
COLLECTIONS = {task.task: task.task.replace(":", "-") for task in TASKS}


@dataclass
class Counting:
    """A source that remembers what it was asked."""

    scorer: StatisticsScorer
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def shapes(self, networks: Sequence[Network]) -> Iterator[tuple]:
        return self.scorer.shapes(networks)

    def numbers(self, wanted: Sequence[Wanted]) -> Iterator[tuple]:
        self.asked += [(one.task, one.arch, str(column)) for one in wanted for column in one.columns]
        return self.scorer.numbers(wanted)

    def known(self, name: str, networks: Sequence[Network]) -> Iterator[float]:
        self.asked += [(*network, name) for network in networks]
        return self.scorer.known(name, networks)


def columns(*texts: str) -> tuple[Node, ...]:
    return tuple(column for text in texts for column in base_columns_of(parse(text)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def source() -> Iterator[Counting]:
    with StatisticsScorer(synthetic.load, {TASKS[0].task: TASKS[0].archs[:1]}) as scorer:
        yield Counting(scorer)


def asked_for(kept: KeptColumns, networks: Sequence[Network], wanted: tuple[Node, ...]) -> list[tuple]:
    return list(kept.numbers([Wanted(*network, wanted) for network in networks]))


def test_nothing_is_computed_twice_and_values_stay_as_they_are(store: Store, source: Counting) -> None:
    first, both = (
        columns("sum(fro(T1_D))"),
        columns("sum(fro(T1_D))", "sum(mean(log(T4_D)))", "sum(fro(matmul(T1_D, T3)))"),
    )
    asked_for(KeptColumns(store, COLLECTIONS, source), NETWORKS[:3], first)
    again = KeptColumns(store, COLLECTIONS, source)
    found = asked_for(again, NETWORKS, both)
    assert len(source.asked) == len(set(source.asked)) == len(NETWORKS) * 3
    direct = list(source.scorer.numbers([Wanted(*network, both) for network in NETWORKS]))
    for kept, computed in zip(found, direct, strict=True):
        for one, other in zip(kept, computed, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other)  # NaN where there is NaN
    assert [one[2] for one in found] == [None] * len(NETWORKS)
    count = len(source.asked)
    assert asked_for(KeptColumns(store, COLLECTIONS, source), NETWORKS, both)
    assert len(source.asked) == count


def test_what_is_known_of_networks_is_asked_once(store: Store, source: Counting) -> None:
    for _ in range(2):
        assert list(KeptColumns(store, COLLECTIONS, source).known("params", NETWORKS)) == [10, 11, 12, 13] * 2
    assert len(source.asked) == len(NETWORKS)


def test_a_search_is_the_same_whatever_the_store_knows(store: Store, source: Counting) -> None:
    config = EvolveConfig(population=8, generations=2, columns=4, formulas=1, max_depth=3, mu=4, lambda_=8)
    plain = tuple(search(config, TASKS, source.scorer))
    empty = tuple(search(config, TASKS, KeptColumns(store, COLLECTIONS, source)))
    computed = len(source.asked)
    full = tuple(search(config, TASKS, KeptColumns(store, COLLECTIONS, source)))
    assert synthetic.without_seconds(plain) == synthetic.without_seconds(empty) == synthetic.without_seconds(full)
    assert len(source.asked) == computed


def test_a_damaged_file_is_named(store: Store, source: Counting) -> None:
    asked_for(KeptColumns(store, COLLECTIONS, source), NETWORKS, columns("sum(fro(T1_D))"))
    (file, *_) = sorted(store.columns_dir.glob("*/*.parquet"))
    file.write_bytes(b"no Parquet")
    with pytest.raises(StoreError, match=file.name):
        asked_for(KeptColumns(store, COLLECTIONS, source), NETWORKS, columns("sum(fro(T1_D))"))
