from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from zcsr.errors import InputError, StoreError
from zcsr.evolve.config import EvolveConfig
from zcsr.language.tensors import TENSORS
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space
from zcsr.store.importers.image_sets import import_images
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.experiment import Experiment, TaskRequest
from zcsr.store.kept.collections import Collection, CollectionStore, open_collection
from zcsr.store.kept.images import install_missing, load_images
from zcsr.store.kept.store import Store

SPACE = get_space("nasbench201-mini")
ARCHS = SPACE.sample(18, random.Random(7))
GREY = Collection("nasbench201-mini", "fashion-mnist", "grey", StatisticsConfig())


def new_store(folder: Path) -> Store:
    store = Store.open(folder, create=True)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (9, 16, 16), dtype=np.uint8)
    np.savez(folder / "grey.npz", images=images, labels=generator.integers(0, 10, 9))
    import_images(store, folder / "grey.npz", name="grey", classes=10)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store")


def contents(opened: CollectionStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in opened.folder.glob("*.parquet")}


def test_collects_what_network_statistics_gives(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    report = collect_networks(store, GREY, ARCHS, progress=lambda done, total: seen.append((done, total)))
    assert (report.done, report.already) == (18, 0)
    assert report.seconds > 0
    assert seen == [(0, 18), (8, 18), (16, 18), (18, 18)]
    opened = open_collection(store, GREY)
    assert opened.archs() == set(ARCHS)
    assert opened.verify() == []
    assert report.bytes == sum(path.stat().st_size for path in opened.folder.glob("*.parquet"))
    images = load_images(store, "grey")
    for arch in ARCHS[:3]:
        expected = network_statistics(SPACE, arch, 10, images, GREY.config)
        for mine, theirs in zip(opened.load(arch).instances, expected.instances, strict=True):
            for name, tensor in theirs.raw.items():
                assert torch.equal(mine.raw[name].view(torch.int32), tensor.view(torch.int32)), name


def test_repeating_computes_nothing(store: Store) -> None:
    collect_networks(store, GREY, ARCHS[:5])
    before = contents(open_collection(store, GREY))
    seen: list[tuple[int, int]] = []
    report = collect_networks(
        store, GREY, [*ARCHS[:5], ARCHS[0]], progress=lambda done, total: seen.append((done, total))
    )
    assert (report.done, report.already, report.bytes) == (0, 5, 0)
    assert seen == [(5, 5)]
    assert contents(open_collection(store, GREY)) == before


def test_an_interrupted_call_goes_on(store: Store, tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_networks(store, GREY, ARCHS, progress=stop)
    assert open_collection(store, GREY).archs() == set(ARCHS[:8])
    report = collect_networks(store, GREY, ARCHS)
    assert (report.done, report.already) == (10, 8)
    whole = new_store(tmp_path / "whole")
    collect_networks(whole, GREY, ARCHS)
    assert contents(open_collection(store, GREY)) == contents(open_collection(whole, GREY))


@pytest.mark.slow
def test_workers_give_the_same_files(store: Store, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other")
    seen: list[int] = []
    collect_networks(store, GREY, ARCHS, workers=2, progress=lambda done, _: seen.append(done))
    collect_networks(other, GREY, ARCHS)
    assert seen == [0, 8, 16, 18]
    assert contents(open_collection(store, GREY)) == contents(open_collection(other, GREY))


COLLECT = """
import random, sys
from pathlib import Path
from zcsr.spaces import get_space
from zcsr.networks.untrained import StatisticsConfig
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.kept.collections import Collection
from zcsr.store.kept.store import Store

archs = get_space("nasbench201-mini").sample(18, random.Random(7))[:: int(sys.argv[2])]
collection = Collection("nasbench201-mini", "fashion-mnist", "grey", StatisticsConfig())
collect_networks(Store.open(Path(sys.argv[1])), collection, archs)
"""


@pytest.mark.slow
def test_two_processes_collect_the_same_networks(store: Store) -> None:
    command = [sys.executable, "-c", COLLECT, str(store.root)]
    processes = [subprocess.Popen([*command, order]) for order in ("1", "-1")]
    assert [process.wait(180) for process in processes] == [0, 0]
    opened = open_collection(store, GREY)
    assert opened.archs() == set(ARCHS)
    assert opened.verify() == []
    rows = pl.concat([pl.read_parquet(path) for path in opened.folder.glob("summary-*.parquet")])
    assert rows.select("arch", "layer", "tensor").is_duplicated().sum() == 0


def test_larger_batches_make_smaller_blocks(store: Store) -> None:
    seen: list[int] = []
    batched = Collection("nasbench201-mini", "fashion-mnist", "grey", StatisticsConfig(batch_size=3))
    collect_networks(store, batched, ARCHS[:5], progress=lambda done, _: seen.append(done))
    assert seen == [0, 2, 4, 5]


def test_large_networks_have_shards_of_their_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zcsr.store.jobs.collecting._SHARD_BYTES", 1)
    report = collect_networks(store, GREY, ARCHS[:5])
    assert report.done == 5
    opened = open_collection(store, GREY)
    shards = list(opened.folder.glob("summary-*.parquet"))
    assert [pl.read_parquet(path)["arch"].n_unique() for path in shards] == [1] * 5
    assert report.bytes == sum(path.stat().st_size for path in opened.folder.glob("*.parquet"))
    assert opened.archs() == set(ARCHS[:5])


def test_bad_input_is_refused_before_anything_is_made(store: Store) -> None:
    with pytest.raises(InputError, match="no NAS-Bench-201 architecture"):
        collect_networks(store, GREY, [ARCHS[0], "|what~0|"])
    with pytest.raises(InputError, match="no image set 'colour'"):
        collect_networks(store, Collection("nasbench201-mini", "fashion-mnist", "colour", GREY.config), ARCHS)
    with pytest.raises(InputError, match="no dataset 'cifar10'"):
        collect_networks(store, Collection("nasbench201-mini", "cifar10", "grey", GREY.config), ARCHS)
    with pytest.raises(InputError, match="workers must be at least 1"):
        collect_networks(store, GREY, ARCHS, workers=0)
    with pytest.raises(StoreError, match="no collection"):
        open_collection(store, Collection("nasbench201-mini", "fashion-mnist", "colour", GREY.config))
    assert not list(store.statistics_dir.rglob("*.parquet"))


def test_nothing_to_collect(store: Store) -> None:
    report = collect_networks(store, GREY, [])
    assert (report.done, report.already, report.bytes) == (0, 0, 0)


NOISE = tuple(tensor for tensor in TENSORS if tensor.input == "N" and not tensor.gradient)


def test_missing_passes_are_added(store: Store, tmp_path: Path) -> None:
    first = collect_networks(store, GREY, ARCHS[:3], tensors=NOISE)
    assert (first.done, first.already) == (3, 0)
    assert collect_networks(store, GREY, ARCHS[:3], tensors=NOISE).already == 3
    second = collect_networks(store, GREY, ARCHS[:5])
    assert (second.done, second.already) == (5, 0)
    opened = open_collection(store, GREY)
    assert opened.verify() == []
    whole = new_store(tmp_path / "whole")
    all_at_once = collect_networks(whole, GREY, ARCHS[:5])
    assert first.bytes < all_at_once.bytes / 3
    for arch in ARCHS[:5]:
        expected = open_collection(whole, GREY).load(arch)
        for mine, theirs in zip(opened.load(arch).instances, expected.instances, strict=True):
            for name, tensor in theirs.raw.items():
                assert torch.equal(mine.raw[name].view(torch.int32), tensor.view(torch.int32)), name


def test_noise_needs_no_images(store: Store, tmp_path: Path) -> None:
    absent = Collection("nasbench201-mini", "fashion-mnist", "absent", GREY.config)
    collect_networks(store, absent, ARCHS[:2], tensors=NOISE)
    collect_networks(store, GREY, ARCHS[:2], tensors=NOISE)
    for arch in ARCHS[:2]:
        with_images, without = (open_collection(store, one).load(arch) for one in (GREY, absent))
        for mine, theirs in zip(without.instances, with_images.instances, strict=True):
            assert {name: bytes(tensor.numpy()) for name, tensor in mine.raw.items()} == {
                name: bytes(tensor.numpy()) for name, tensor in theirs.raw.items()
            }
    with pytest.raises(InputError, match="no image set 'absent'"):
        collect_networks(store, absent, ARCHS[:2])
    colours = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "absent.npz", images=colours, labels=np.arange(9) % 3)
    import_images(store, tmp_path / "absent.npz", name="absent", classes=10)
    with pytest.raises(InputError, match=r"begun without images, for the 1 channels .* 'absent' has 3"):
        collect_networks(store, absent, ARCHS[:2])


def test_a_search_adds_what_it_needs(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    install_missing(store, [("nasbench201-mini", "fashion-mnist")])
    request = TaskRequest("nasbench201-mini", "fashion-mnist", "fashion-mnist")
    config = EvolveConfig(networks_per_task=8, population=6, mu=4, lambda_=6, columns=4, formulas=0, generations=1)
    experiment = Experiment.plan(store, [request], config, StatisticsConfig(), test_networks=4, workers=1)
    (task,) = experiment.tasks
    collect_networks(store, task.collection, task.evolve, tensors=NOISE)
    opened = open_collection(store, task.collection)
    with pytest.raises(StoreError, match=r"has no T1_D, .* zcsr collect nasbench201-mini fashion-mnist --arch "):
        list(experiment.generations())
    assert opened.archs(TENSORS) == set()
    experiment.collect()
    assert opened.archs(TENSORS) == set(experiment.parts(task)[0].archs)
    assert opened.verify() == []
    assert len(list(experiment.generations())) == 1
