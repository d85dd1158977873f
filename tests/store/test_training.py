"""Training a table of accuracies into the store."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zcsr.errors import InputError
from zcsr.networks.training import TrainingConfig
from zcsr.spaces import get_space
from zcsr.store import Store, query
from zcsr.store.importers.image_sets import import_images
from zcsr.store.jobs.training import TrainRequest, train_networks
from zcsr.store.kept.accuracies import accuracies, measurements, write_accuracies

SPACE = get_space("nasbench201-mini")
ARCHS = SPACE.sample(2, random.Random(3))
REQUEST = TrainRequest(
    "nasbench201-mini", "fashion-mnist", "stripes", 48, 40, TrainingConfig(epochs=1, batch_size=16)
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with 96 images of stripes, across or down, which the smallest network can tell apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(96) % 2
    stripes = np.where(np.arange(16) % 2, 255, 0)
    images = [np.tile(stripes, (16, 1)).T if label else np.tile(stripes, (16, 1)) for label in labels]
    noisy = np.clip(np.stack(images)[..., None] + generator.normal(0, 40, (96, 16, 16, 1)), 0, 255)
    np.savez(tmp_path / "stripes.npz", x=noisy.astype(np.uint8), y=labels)
    store = Store.open(tmp_path / "store", create=True)
    import_images(store, tmp_path / "stripes.npz", name="stripes")
    return store


def measured(store: Store, space: str, dataset: str) -> frozenset[tuple[str, int]]:
    """The (architecture, seed) pairs whose accuracy the store has."""
    return frozenset(measurements(store, space, dataset).select("arch", "seed").iter_rows())


def rows(store: Store) -> list[tuple[object, ...]]:
    return query(store, "SELECT arch, seed, accuracy, source FROM accuracies ORDER BY arch, seed").rows()


def test_every_architecture_is_trained_with_every_seed(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    report = train_networks(
        store, REQUEST, ARCHS, range(2), progress=lambda done, total: seen.append((done, total))
    )
    assert (report.done, report.already) == (4, 0)
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert measured(store, "nasbench201-mini", "fashion-mnist") == {(a, s) for a in ARCHS for s in (0, 1)}
    table = rows(store)
    assert all(0 <= accuracy <= 100 for _, _, accuracy, _ in table)
    means = accuracies(store, "nasbench201-mini", "fashion-mnist")
    for arch, mean in zip(means.archs, means.accuracies, strict=True):
        assert mean == pytest.approx(np.mean([accuracy for a, _, accuracy, _ in table if a == arch]))


def test_a_second_call_goes_on_and_the_table_is_that_of_one_call(store: Store, tmp_path: Path) -> None:
    def interrupt(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_networks(store, REQUEST, ARCHS, range(3), progress=interrupt)
    report = train_networks(store, REQUEST, ARCHS, range(3))
    assert (report.done, report.already) == (3, 3)
    other = Store.open(tmp_path / "other", create=True)
    import_images(other, tmp_path / "stripes.npz", name="stripes")
    train_networks(other, REQUEST, ARCHS, range(3))
    assert rows(store) == rows(other)


def test_another_way_to_train_is_refused_and_more_seeds_are_not(store: Store) -> None:
    train_networks(store, REQUEST, ARCHS[:1], [0])
    assert train_networks(store, REQUEST, ARCHS, range(2)).done == 3
    before = rows(store)
    for other, said in (
        (replace(REQUEST, config=replace(REQUEST.config, epochs=2)), r"trained with epochs 1: train with the same"),
        (replace(REQUEST, train_images=32, test_images=32), r"with train_images 48, test_images 40: train"),
    ):
        with pytest.raises(InputError, match=said):
            train_networks(store, other, ARCHS, range(3))
    assert rows(store) == before


def test_accuracies_from_elsewhere_are_not_trained_beside(store: Store) -> None:
    row = {"space": "nasbench201-mini", "dataset": "fashion-mnist", "arch": ARCHS[0], "seed": 0, "accuracy": 50.0}
    write_accuracies(store, [{**row, "metric": "valid"}], source="theirs")
    train_networks(store, REQUEST, ARCHS[:1], [0])  # another metric is another table
    write_accuracies(store, [{**row, "metric": "test", "seed": 7}], source="theirs")
    before = rows(store)
    with pytest.raises(InputError, match=r"accuracies of nasbench201-mini:fashion-mnist from theirs, .*--store"):
        train_networks(store, REQUEST, ARCHS, [0])
    assert rows(store) == before


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TrainRequest("nasbench201-mini", "fashion-mnist", "stripes", 60, 40), "are 100, and 'stripes' has 96"),
        (TrainRequest("nasbench201-mini", "cifar10", "stripes", 40, 40), "has no dataset 'cifar10'"),
        (
            TrainRequest("nasbench201", "cifar10", "stripes", 40, 40),
            "takes images of 32x32, and 'stripes' has 16x16",
        ),
        (TrainRequest("nasbench201-mini", "fashion-mnist", "spots", 40, 40), "no image set 'spots'"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(store: Store, request_: TrainRequest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_networks(store, request_, ARCHS, range(1))
    assert measured(store, request_.space, request_.dataset) == frozenset()
