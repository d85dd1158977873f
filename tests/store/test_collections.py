from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from damaging import without_sums
from torch import Tensor

from zcsr.errors import InputError, StoreError
from zcsr.language.tensors import BY_NAME, TENSOR_NAMES, TENSORS, with_references
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space
from zcsr.store.importers.image_sets import import_images
from zcsr.store.kept import encoding
from zcsr.store.kept.atomic import read_json_object, write_json
from zcsr.store.kept.checksums import remove
from zcsr.store.kept.collections import (
    Collection,
    CollectionStore,
    list_collections,
    open_collection,
)
from zcsr.store.kept.store import Store
from zcsr.store.kept.summaries import SUMMARY_SCHEMA, summaries, summarise

MIXED = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
SPARSE = "|none~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|none~0|skip_connect~1|nor_conv_1x1~2|"
NOISE = tuple(tensor for tensor in TENSORS if tensor.input == "N")
SPECIAL = torch.tensor(
    # Quiet, negative and payload-bearing NaNs, infinities, both zeros, the smallest and a normal number.
    [0x7FC00000, -0x400000, 0x7FC12345, 0x7F800001, 0x7F800000, -0x800000, 0, -0x80000000, 1, 0x3F800000],
    dtype=torch.int32,
).view(torch.float32)


def image_file(path: Path, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=generator.integers(0, 10, 12))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / "store", create=True)
    import_images(made, image_file(tmp_path / "images.npz"), name="cifar10", classes=10)
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("images")
    made = Store.open(folder / "store", create=True)
    return import_images(made, image_file(folder / "images.npz"), name="cifar10", classes=10)


def collection(**config: Any) -> Collection:
    return Collection("nasbench201", "cifar10", "cifar10", StatisticsConfig(**config))


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def assert_same_bits(left: NetworkStatistics, right: NetworkStatistics) -> None:
    assert left.arch == right.arch
    assert [(i.layer, i.module) for i in left.instances] == [(i.layer, i.module) for i in right.instances]
    for mine, theirs in zip(left.instances, right.instances, strict=True):
        assert tuple(mine.raw) == tuple(theirs.raw) == TENSOR_NAMES
        for name in TENSOR_NAMES:
            assert mine.raw[name].shape == theirs.raw[name].shape, name
            assert mine.raw[name].dtype == theirs.raw[name].dtype, name
            assert bits(mine.raw[name]) == bits(theirs.raw[name]), name


def synthetic(arch: str, seed: int = 0, **replaced: Tensor) -> NetworkStatistics:
    """A network of one instance; its tensors have nothing to do with each other."""
    generator = torch.Generator().manual_seed(seed)
    raw = {name: torch.randn(1, 2, 5, generator=generator) for name in TENSOR_NAMES}
    return NetworkStatistics(arch, (Instance(0, "cell.conv", raw | replaced),))


def stored(store: Store, *networks: NetworkStatistics, **config: Any) -> CollectionStore:
    opened = open_collection(store, collection(**config), create=True)
    opened.write(networks)
    return opened


# --- bit by bit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", [MIXED, SPARSE])
@pytest.mark.parametrize(
    "config",
    [
        {"pattern": "rcb"},
        {"pattern": "cbr"},
        {"pattern": "rcb", "loss": "cross_entropy", "batch_size": 2},
        {"pattern": "rcb", "dtype": "float64"},
    ],
)
def test_networks_come_back_bit_by_bit(
    store: Store, images: ImageSet, arch: str, config: Mapping[str, Any]
) -> None:
    network = network_statistics(get_space("nasbench201"), arch, 10, images, StatisticsConfig(**config))
    assert len(network.instances) > 1
    opened = stored(store, network, **config)
    again = open_collection(store, collection(**config)).load(arch)
    assert_same_bits(again, network)
    assert opened.verify() == []
    for mine, theirs in zip(again.instances, network.instances, strict=True):
        for name in TENSOR_NAMES:
            assert bits(mine.tensors[name]) == bits(theirs.tensors[name])


@pytest.mark.parametrize("arch", [MIXED, SPARSE])
def test_rcb_leaves_out_what_follows_from_the_rest(store: Store, images: ImageSet, arch: str) -> None:
    network = network_statistics(get_space("nasbench201"), arch, 10, images, StatisticsConfig())
    layout = json.loads(encoding.encode(network, "float32").layout)
    for instance in layout["instances"]:
        for kind in "DNP":
            assert instance["tensors"][f"T2_{kind}"] == "relu"
            assert instance["tensors"][f"T1G_{kind}"] == "masked"


def test_instances_share_objects_after_loading(store: Store, images: ImageSet) -> None:
    network = network_statistics(get_space("nasbench201"), MIXED, 10, images, StatisticsConfig())
    again = stored(store, network).load(MIXED)
    seen: dict[int, int] = {}
    for mine, theirs in zip(network.instances, again.instances, strict=True):
        for name in TENSOR_NAMES:
            twin = seen.setdefault(id(mine.raw[name]), id(theirs.raw[name]))
            assert twin == id(theirs.raw[name]), name
    assert len(set(seen.values())) < sum(len(instance.raw) for instance in again.instances)
    shared = [instance.tensors["T1_P"] for instance in again.instances if "edges" in instance.module]
    assert len({id(tensor) for tensor in shared}) <= len(shared)


def test_loaded_tensors_own_just_their_memory(store: Store, images: ImageSet) -> None:
    network = network_statistics(get_space("nasbench201"), SPARSE, 10, images, StatisticsConfig())
    for instance in stored(store, network).load(SPARSE).instances:
        for tensor in instance.raw.values():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


@pytest.mark.parametrize("name", TENSOR_NAMES)
def test_special_values_survive_in_every_tensor(store: Store, name: str) -> None:
    network = synthetic("a", **{name: SPECIAL.reshape(1, 2, 5)})
    assert_same_bits(stored(store, network).load("a"), network)


@pytest.mark.parametrize("special", [False, True])
def test_rules_hold_for_special_values_or_are_not_used(store: Store, special: bool) -> None:
    t1 = SPECIAL.reshape(1, 2, 5)
    gradient = SPECIAL.flip(0).reshape(1, 2, 5)
    network = synthetic(
        "a", T1_D=t1, T2_D=torch.relu(t1), T2G_D=gradient, T1G_D=torch.where(t1 <= 0, 0.0, gradient)
    )
    if special:  # one bit off what the rules give
        wrong = torch.relu(t1).clone()
        wrong.view(torch.int32)[0, 0, 0] ^= 1
        network = synthetic("a", T1_D=t1, T2_D=wrong, T2G_D=gradient, T1G_D=-gradient)
    assert_same_bits(stored(store, network).load("a"), network)


def test_tensors_that_differ_in_the_sign_of_zero_stay_apart(store: Store) -> None:
    zeros = torch.zeros(1, 2, 5)
    network = synthetic("a", T3=zeros, T4_D=-zeros, T4_N=zeros.reshape(2, 5), T4_P=zeros.clone())
    raw = stored(store, network).load("a").instances[0].raw
    assert_same_bits(stored(store, network).load("a"), network)
    assert raw["T3"] is raw["T4_P"]
    assert raw["T3"] is not raw["T4_D"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 7, 8, 17, 4099])
def test_the_rule_of_a_relu_changes_negative_numbers_alone(dtype: torch.dtype, count: int) -> None:
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    numbers = torch.cat([SPECIAL.to(dtype), torch.tensor([-smallest, smallest, -2 * smallest, -1.0], dtype=dtype)])
    for start in range(len(numbers)):
        tensor = numbers.roll(start).repeat(1 + count // len(numbers))[:count].clone()
        values = tensor.numpy()
        with np.errstate(invalid="ignore"):
            expected = np.where(values < 0, np.zeros_like(values), values)
        assert encoding._relu(tensor).numpy().tobytes() == expected.tobytes()


@pytest.mark.parametrize("piece", [1, 40, 41, 100, 1000])
def test_pieces_of_any_size(store: Store, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIECE_BYTES", piece)
    empty, scalar = torch.empty(0, 3), torch.tensor(2.5)
    networks = [synthetic("b", 1), synthetic("a", 2, T3=empty, T3G_N=scalar, T4G_N=torch.ones(7, 9))]
    opened = stored(store, *networks)
    for network in networks:
        assert_same_bits(opened.load(network.arch), network)
    assert opened.verify() == []


def test_all_tensors_empty_or_no_instances(store: Store) -> None:
    empty = torch.empty(0)
    networks = [NetworkStatistics("none", ()), synthetic("empty", **dict.fromkeys(TENSOR_NAMES, empty))]
    opened = stored(store, *networks)
    assert opened.archs() == {"none", "empty"}
    for network in networks:
        assert_same_bits(opened.load(network.arch), network)
    assert opened.verify() == []


def test_strided_tensors_are_stored_by_value(store: Store) -> None:
    network = synthetic("a", T4_D=torch.arange(10.0).reshape(5, 2).T)
    assert_same_bits(stored(store, network).load("a"), network)


def test_another_dtype_is_refused(store: Store) -> None:
    opened = open_collection(store, collection(), create=True)
    with pytest.raises(InputError, match=r"float32 were asked for, a tensor is torch\.float64"):
        opened.write([synthetic("a", T3=torch.zeros(3, dtype=torch.float64))])


# --- summaries --------------------------------------------------------------------------------------------------


def test_summaries_agree_with_naive_sums(store: Store, images: ImageSet) -> None:
    network = network_statistics(get_space("nasbench201"), SPARSE, 10, images, StatisticsConfig())
    path = open_collection(store, collection(), create=True).write([network])
    assert path is not None
    frame = pl.read_parquet(path)
    assert frame.schema == SUMMARY_SCHEMA
    assert frame.height == 22 * len(network.instances)
    assert frame["layer"].is_sorted()
    for row in frame.iter_rows(named=True):
        assert (row["collection"], row["space"], row["dataset"]) == (collection().id, "nasbench201", "cifar10")
        tensor = network.instances[row["layer"]].tensors[row["tensor"]]
        values = tensor.double().flatten()
        assert row["shape"] == "x".join(str(side) for side in tensor.shape)
        assert row["module"] == network.instances[row["layer"]].module
        assert (row["numel"], row["non_finite"]) == (values.numel(), 0)
        expected = {
            "mean": values.mean(),
            "std": values.std(correction=0),
            "min": values.min(),
            "max": values.max(),
            "l1": values.abs().sum(),
            "l2": torch.linalg.vector_norm(values),
            "fraction_positive": (values > 0).double().mean(),
            "fraction_zero": (values == 0).double().mean(),
        }
        scale = float(values.abs().max())
        for name, value in expected.items():
            assert row[name] == pytest.approx(float(value), rel=1e-9, abs=1e-12 * scale), name


def test_perturbed_tensors_are_summarised_as_differences(store: Store) -> None:
    network = synthetic("a", T4_P=torch.full((3,), 5.0), T4_D=torch.full((3,), 2.0))
    frame = summaries(network, collection().names)
    assert frame.filter(pl.col("tensor") == "T4_P")["mean"].item() == 3.0


def test_moments_are_over_finite_values() -> None:
    stack = np.array([[1.0, -3.0, 0.0, np.nan, np.inf, -np.inf], [1.0, -3.0, 0.0, 2.0, 2.0, 2.0]])
    first, second = summarise(stack)
    assert first == (6, -2 / 3, pytest.approx(np.sqrt(26) / 3), -3, 1, 4, np.sqrt(10), 1 / 3, 1 / 3, 3)
    assert second == pytest.approx((6, 2 / 3, np.std(stack[1]), -3, 2, 10, np.sqrt(22), 4 / 6, 1 / 6, 0))
    assert summarise(stack[1:]) == [second]
    assert summarise(np.array([[np.nan]])) == [(1, *[None] * 8, 1)]
    assert summarise(np.empty((1, 0))) == [(0, *[None] * 8, 0)]


def test_shapes_are_written_out(store: Store) -> None:
    shapes = {"T3": (2, 3), "T4_N": (), "T1_N": (0, 2)}
    network = synthetic("a", **{name: torch.zeros(shape) for name, shape in shapes.items()})
    frame = summaries(network, collection().names)
    seen = {row["tensor"]: (row["shape"], row["numel"]) for row in frame.iter_rows(named=True)}
    assert [seen[name] for name in shapes] == [("2x3", 6), ("scalar", 1), ("0x2", 0)]


def test_sums_are_in_double_precision() -> None:
    values = np.full((1, 10_000_001), 0.1, dtype=np.float32)
    network = synthetic("a", T3=torch.from_numpy(values))
    row = summaries(network, collection().names).filter(pl.col("tensor") == "T3").row(0, named=True)
    assert row["l1"] == pytest.approx(float(values[0, 0]) * values.size, rel=1e-12)
    huge = summaries(synthetic("a", T3=torch.full((4,), 3e38)), collection().names)
    assert huge.filter(pl.col("tensor") == "T3")["l2"].item() == pytest.approx(
        2 * float(np.float32(3e38)), rel=1e-12
    )


# --- collections ------------------------------------------------------------------------------------------------


def test_id_is_readable_and_covers_everything() -> None:
    base = collection()
    assert base.id.startswith("nasbench201-cifar10-b1-s0-rcb-ones-")
    others = [
        replace(base, images="noise"),
        replace(base, space="nasbench201-mini"),
        replace(base, dataset="cifar100"),
        *(collection(**{name: value}) for name, value in [("noise_variance", 0.1), ("separable", "both")]),
        *(collection(**{name: value}) for name, value in [("batch_size", 2), ("seed", 1), ("pattern", "cbr")]),
        *(collection(**{name: value}) for name, value in [("loss", "cross_entropy"), ("dtype", "float64")]),
    ]
    assert len({one.id for one in (base, *others)}) == 11


def test_collection_json_says_it_all(store: Store) -> None:
    opened = open_collection(store, collection(seed=4), create=True)
    content = read_json_object(opened.folder / "collection.json")
    assert content["torch"] == torch.__version__
    assert content["zcsr"]
    assert content["config"]["seed"] == 4
    assert content["config"]["initialisation"] == "eznas"
    assert content["images"]["name"] == "cifar10"
    assert len(content["images"]["sha256"]) == 64
    assert list_collections(store) == (collection(seed=4),)
    again = open_collection(store, opened.collection.id)
    assert again.collection == collection(seed=4)
    assert again.archs() == set()


def test_a_missing_collection_lists_those_there_are(store: Store) -> None:
    open_collection(store, collection(), create=True)
    for wanted in (collection(seed=1), "nonsense", "../statistics", ""):
        with pytest.raises(StoreError, match=rf"no collection .*there are {collection().id}"):
            open_collection(store, wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Collection("nasbench201", "mnist", "cifar10", StatisticsConfig()), "no dataset 'mnist'"),
        (Collection("darts", "cifar10", "cifar10", StatisticsConfig()), "unknown search space"),
        (Collection("nasbench201", "cifar10", "svhn", StatisticsConfig()), "no image set 'svhn'"),
    ],
)
def test_what_cannot_be_collected_makes_no_folder(store: Store, wanted: Collection, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_collection(store, wanted, create=True)
    assert list_collections(store) == ()


def test_other_images_of_the_same_name_are_refused(store: Store, tmp_path: Path) -> None:
    opened = stored(store, synthetic("a"))
    import_images(store, image_file(tmp_path / "other.npz", seed=1), name="cifar10", classes=10)
    for create in (False, True):
        with pytest.raises(
            StoreError, match=r"made from other images named 'cifar10' \(sha256 .*import the former"
        ):
            open_collection(store, collection(), create=create)
    import_images(store, tmp_path / "images.npz", name="cifar10", classes=10)
    assert open_collection(store, collection()).archs() == opened.archs()


def test_statistics_can_be_read_without_the_images(store: Store) -> None:
    made = Collection("nasbench201", "cifar10", "local", StatisticsConfig())
    without_sums(store.images_dir)
    for suffix in ("json", "parquet"):
        os.rename(store.images_dir / f"cifar10.{suffix}", store.images_dir / f"local.{suffix}")
    open_collection(store, made, create=True).write([synthetic("a")])
    remove(store.images_dir / "local.json")
    assert_same_bits(open_collection(store, made).load("a"), synthetic("a"))
    with pytest.raises(InputError, match="no image set 'local'"):
        open_collection(store, made, create=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema version 2 and zcsr .* reads schema version 1"),
        ({"config": {"colour": "red"}}, "is damaged"),
        ({"config": {"seed": 0, "pattern": "bcr"}}, "is damaged"),
        ({"dataset": "cifar100"}, "not the collection of its folder"),
    ],
)
def test_a_changed_collection_json(store: Store, change: dict[str, Any], message: str) -> None:
    path = open_collection(store, collection(), create=True).folder / "collection.json"
    write_json({**read_json_object(path), **change}, path)
    with pytest.raises(StoreError, match=message):
        open_collection(store, collection().id)


# --- shards -----------------------------------------------------------------------------------------------------


def names(opened: CollectionStore) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in opened.folder.glob("[!.]*.parquet"))


def test_a_shard_takes_up_to_32_networks(store: Store) -> None:
    opened = open_collection(store, collection(), create=True)
    networks = [synthetic(f"arch{number:02}", number) for number in range(33)]
    with pytest.raises(InputError, match="more than 32"):
        opened.write(networks)
    with pytest.raises(InputError, match="'arch00' twice"):
        opened.write([networks[0], networks[0]])
    assert names(opened) == []
    path = opened.write(reversed(networks[:32]))
    assert path is not None
    assert pl.read_parquet(path)["arch"].is_sorted()
    for network in networks[:32]:
        assert_same_bits(opened.load(network.arch), network)


def test_what_is_there_is_not_written_again(store: Store) -> None:
    opened = stored(store, synthetic("a", 1), synthetic("b", 2))
    assert opened.write([synthetic("a", 1)]) is None
    assert opened.write([]) is None
    path = opened.write([synthetic("b", 9), synthetic("c", 3)])
    assert path is not None
    assert set(pl.read_parquet(path)["arch"]) == {"c"}
    assert_same_bits(opened.load("b"), synthetic("b", 2))
    assert opened.verify() == []


def test_the_same_networks_give_the_same_files(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other", create=True)
    import_images(other, tmp_path / "images.npz", name="cifar10", classes=10)
    contents = []
    for one, order in ((store, "ab"), (other, "ba")):
        opened = stored(one, *(synthetic(arch) for arch in order))
        contents.append({path.name: path.read_bytes() for path in opened.folder.glob("*.parquet")})
    assert contents[0] == contents[1]


def test_a_network_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match="has no statistics of 'b': collect them first"):
        stored(store, synthetic("a")).load("b")


def test_readers_see_what_others_write_later_and_can_be_pickled(store: Store) -> None:
    writer = open_collection(store, collection(), create=True)
    reader = pickle.loads(pickle.dumps(open_collection(store, collection())))
    assert reader.archs() == set()
    writer.write([synthetic("a")])
    assert_same_bits(reader.load("a"), synthetic("a"))
    assert_same_bits(pickle.loads(pickle.dumps(reader)).load("a"), synthetic("a"))


class Killed(BaseException):
    pass


def kill_at_rename(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The process ends at its `number`th rename: nothing after it runs, not even clean-up."""
    real = os.replace
    count = iter(range(1, 100))

    def replace_or_die(source: Any, target: Any) -> None:
        if next(count) == number:
            monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
            raise Killed
        real(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)


@pytest.mark.parametrize(("number", "asides"), [(1, 3), (2, 3), (3, 2), (4, 1)])
def test_a_killed_writer_leaves_nothing_that_is_read(
    store: Store, number: int, asides: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = stored(store, synthetic("a", 1))
    with monkeypatch.context() as patched:
        kill_at_rename(patched, number)
        with pytest.raises(Killed):
            opened.write([synthetic("b", 2), synthetic("c", 3)])
    left = [path for path in opened.folder.iterdir() if path.name.startswith(".tmp-")]
    assert len(left) == asides
    fresh = open_collection(store, collection(), create=True)
    assert fresh.archs() == {"a"}
    assert fresh.verify() == []

    fresh.write([synthetic("b", 2), synthetic("c", 3)])
    assert fresh.archs() == {"a", "b", "c"}
    assert_same_bits(fresh.load("c"), synthetic("c", 3))
    assert fresh.verify() == []
    assert all(path.exists() for path in left)  # they may be another writer's


def test_old_leftovers_are_swept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = stored(store, synthetic("a", 1))
    with monkeypatch.context() as patched:
        kill_at_rename(patched, 4)
        with pytest.raises(Killed):
            opened.write([synthetic("b", 2)])
    past = time.time() - 7200
    for path in opened.folder.iterdir():
        os.utime(path, (past, past))
    open_collection(store, collection())
    assert names(opened) == ["summary", "values", "values"]
    again = open_collection(store, collection(), create=True)
    assert names(again) == ["summary", "values"]
    assert not list(again.folder.glob(".tmp-*"))
    assert again.archs() == {"a"}


def test_a_failed_write_cleans_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = stored(store, synthetic("a", 1))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("zcsr.store.kept.collections.flush_file", full)
        with pytest.raises(OSError, match="No space"):
            opened.write([synthetic("b", 2)])
    assert not list(opened.folder.glob(".tmp-*"))
    assert opened.verify() == []


WRITE_OVERLAPPING = """
import sys
from pathlib import Path
import torch
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig
from zcsr.store.kept.collections import Collection, open_collection
from zcsr.store.kept.store import Store

def network(number):
    raw = {name: torch.full((2, 5), float(number)) for name in TENSOR_NAMES}
    return NetworkStatistics(f"arch{number:02}", (Instance(0, "conv", raw),))

collection = Collection("nasbench201", "cifar10", "cifar10", StatisticsConfig())
opened = open_collection(Store.open(Path(sys.argv[1])), collection, create=True)
for start in range(int(sys.argv[2]), 12, 3):
    opened.write([network(number) for number in range(start, start + 4)])
"""


def test_processes_write_one_collection_at_once(store: Store) -> None:
    command = [sys.executable, "-c", WRITE_OVERLAPPING, str(store.root)]
    processes = [subprocess.Popen([*command, str(first)]) for first in (0, 1)]
    assert [process.wait(120) for process in processes] == [0, 0]
    opened = open_collection(store, collection())
    assert opened.verify() == []  # also: no network is there twice
    archs = {f"arch{number:02}" for number in range(14)}
    assert opened.archs() == archs
    rows = pl.concat([pl.read_parquet(path) for path in opened.folder.glob("summary-*.parquet")])
    assert rows.height == 22 * len(archs)
    for number in range(14):
        loaded = opened.load(f"arch{number:02}").instances[0].raw.values()
        assert all(torch.equal(tensor, torch.full((2, 5), float(number))) for tensor in loaded)


@pytest.mark.parametrize("tensors", [TENSORS, NOISE], ids=["all", "noise"])
def test_two_writers_of_the_same_network(
    store: Store, monkeypatch: pytest.MonkeyPatch, tensors: Sequence[TensorRow]
) -> None:
    mine = open_collection(store, collection(), create=True)
    other = open_collection(store, collection(), create=True)

    def networks() -> Iterator[NetworkStatistics]:
        yield synthetic("a", 1)
        yield synthetic("b", 2)

    real = encoding.encode

    def other_is_faster(network: NetworkStatistics, dtype: str, names: Sequence[str]) -> encoding.Encoded:
        with monkeypatch.context() as patched:
            patched.setattr("zcsr.store.kept.collections.encode", real)
            other.write([synthetic("a", 1)], tensors)
        return real(network, dtype, names)

    with monkeypatch.context() as patched:
        patched.setattr("zcsr.store.kept.collections.encode", other_is_faster)
        path = mine.write(networks())
    assert path is not None
    written = pl.read_parquet(path)
    assert set(written.filter(pl.col("arch") == "b")["tensor"]) == set(TENSOR_NAMES)
    assert set(written.filter(pl.col("arch") == "a")["tensor"]) == set(TENSOR_NAMES) - {one.name for one in tensors}
    assert mine.verify() == []
    for network in networks():
        assert_same_bits(mine.load(network.arch), network)


# --- some of the tensors ----------------------------------------------------------------------------------------


def rows_of(opened: CollectionStore) -> pl.DataFrame:
    rows = pl.concat([pl.read_parquet(path) for path in opened.folder.glob("summary-*.parquet")])
    return rows.sort("arch", "layer", "tensor")


@pytest.mark.parametrize(
    "parts",
    [
        (NOISE, TENSORS),
        ([BY_NAME["T1_P"]], [BY_NAME["T2_D"], BY_NAME["T1G_N"]], TENSORS),
        ([one for one in TENSORS if not one.gradient], NOISE, TENSORS),
    ],
)
@pytest.mark.parametrize("arch", [MIXED, SPARSE])
def test_tensors_that_are_added_later(
    store: Store, images: ImageSet, arch: str, parts: Sequence[Sequence[TensorRow]]
) -> None:
    whole = network_statistics(get_space("nasbench201"), arch, 10, images, StatisticsConfig())
    opened = open_collection(store, collection(), create=True)
    there: set[str] = set()
    for part in parts:
        lacking = opened.lacking(arch, part)
        names = {one.name for one in with_references(part)}
        assert {one.name for one in lacking} == names - there
        measured = network_statistics(get_space("nasbench201"), arch, 10, images, StatisticsConfig(), lacking)
        assert opened.write([measured], part) is not None
        there |= names
        assert opened.archs(part) == {arch}
        (first, *_) = opened.load(arch, part).instances
        assert set(first.raw) == names
        assert set(opened.load(arch).instances[0].raw) == there
    assert_same_bits(open_collection(store, collection()).load(arch), whole)
    assert opened.verify() == []
    assert opened.write([whole]) is None

    at_once = open_collection(store, collection(seed=1), create=True)  # the seed gives it a folder of its own
    at_once.write([whole])
    assert rows_of(opened).drop("collection").equals(rows_of(at_once).drop("collection"))


def test_shards_of_an_earlier_version_hold_all_tensors(store: Store, images: ImageSet) -> None:
    whole = network_statistics(get_space("nasbench201"), SPARSE, 10, images, StatisticsConfig())
    path = the_file(stored(store, whole), "values")
    pl.read_parquet(path).drop("tensors").write_parquet(path, row_group_size=1)
    without_sums(path.parent)
    opened = open_collection(store, collection())
    assert opened.archs(TENSORS) == {SPARSE}
    assert opened.lacking(SPARSE, TENSORS) == ()
    assert_same_bits(opened.load(SPARSE), whole)
    assert opened.verify() == []


def test_a_tensor_that_is_not_there_is_named_with_what_adds_it(store: Store) -> None:
    opened = open_collection(store, collection(batch_size=2, seed=3), create=True)
    opened.write([synthetic("it's")], NOISE)
    assert opened.archs() == {"it's"}
    assert opened.archs([BY_NAME["T1_P"]]) == set()
    expected = (
        f"""{opened.collection.id} has no T1_D, T1_P of "it's"; to add what is missing: zcsr collect nasbench201 """
        """cifar10 --arch 'it'"'"'s' --tensor T1_D --tensor T1_P --batch-size 2 --network-seed 3$"""
    )
    with pytest.raises(StoreError, match=expected):
        opened.load("it's", [BY_NAME["T1_P"], BY_NAME["T2_N"]])


def test_networks_without_instances_are_known_by_their_tensors(store: Store) -> None:
    opened = open_collection(store, collection(), create=True)
    opened.write([NetworkStatistics("none", ())], NOISE)
    assert opened.archs(NOISE) == {"none"}
    assert opened.archs(TENSORS) == set()
    opened.write([NetworkStatistics("none", ())])
    assert opened.archs(TENSORS) == {"none"}
    assert opened.load("none").instances == ()
    assert opened.verify() == []


def test_a_tensor_that_is_there_twice_is_found(store: Store) -> None:
    opened = stored(store, synthetic("a"))
    other = open_collection(store, collection(seed=1), create=True)
    other.write([synthetic("a")], NOISE)
    for kind in ("values", "summary"):
        copied = the_file(other, kind)
        (opened.folder / copied.name).write_bytes(copied.read_bytes())
    (problem,) = [one for one in open_collection(store, collection()).verify() if "as well" in one]
    assert "a is in values-" in problem


def test_shards_of_networks_with_other_instances_are_refused(store: Store) -> None:
    opened = open_collection(store, collection(), create=True)
    opened.write([synthetic("a")], NOISE)
    opened.write([NetworkStatistics("a", ())])
    with pytest.raises(StoreError, match="networks with other instances: move the folder out"):
        opened.load("a")


# --- damage -----------------------------------------------------------------------------------------------------


def the_file(opened: CollectionStore, kind: str) -> Path:
    (path,) = opened.folder.glob(f"{kind}-*.parquet")
    return path


DAMAGE = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "zeroed": lambda content: bytes(len(content)),
    "half zeroed": lambda content: content[: len(content) // 2] + bytes((len(content) + 1) // 2 - 8) + content[-8:],
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", ["values", "summary"])
def test_unreadable_files_are_reported(store: Store, kind: str, how: str) -> None:
    opened = stored(store, synthetic("a"), synthetic("b", 1))
    path = the_file(opened, kind)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    fresh = open_collection(store, collection())
    problems = fresh.verify()
    assert problems
    assert any(str(path) in problem for problem in problems)
    if kind == "values":
        with pytest.raises(StoreError, match=rf"cannot read .*{path.name}.*restore it and summary-.*collect again"):
            fresh.load("a")
    else:
        assert_same_bits(fresh.load("a"), synthetic("a"))


def test_lost_halves_are_reported(store: Store) -> None:
    opened = stored(store, synthetic("a"))
    the_file(opened, "values").unlink()
    fresh = open_collection(store, collection())
    assert [problem for problem in fresh.verify() if "its values file is missing" in problem]
    with pytest.raises(StoreError, match=r"restore it and summary-.*, and collect again"):
        fresh.archs()


def test_a_changed_bit_is_found(store: Store) -> None:
    opened = stored(store, synthetic("a"), synthetic("b", 1))
    path = the_file(opened, "values")
    frame = pl.read_parquet(path)
    data = [bytearray(content) for content in frame["data"]]
    data[1][41] ^= 1  # the lowest bits of one number
    changed = frame.with_columns(pl.Series("data", [bytes(content) for content in data], dtype=pl.Binary))
    changed.write_parquet(path, row_group_size=1)
    assert [problem for problem in opened.verify() if "checksum of b piece 0 is wrong" in problem]
    fresh = open_collection(store, collection())
    assert_same_bits(fresh.load("a"), synthetic("a"))
    with pytest.raises(
        StoreError, match=rf"cannot read .*{path.name}: the checksum of b piece 0 is wrong; restore it"
    ):
        fresh.load("b")
    assert [problem for problem in opened.verify(sample=1) if "checksum of b piece 0 is wrong" in problem]


@pytest.mark.parametrize("column", ["mean", "numel", "shape", "tensor", "non_finite", "l2"])
def test_a_changed_summary_is_found(store: Store, column: str) -> None:
    opened = stored(store, synthetic("a"), synthetic("b", 1))
    path = the_file(opened, "summary")
    frame = pl.read_parquet(path)
    changed = frame[column].to_list()
    changed[30] = "T1" if isinstance(changed[30], str) else changed[30] + 1
    frame.with_columns(pl.Series(column, changed, dtype=SUMMARY_SCHEMA[column])).write_parquet(path)
    without_sums(path.parent)
    assert opened.verify(sample=1) == []
    (problem,) = opened.verify()
    assert f"b: {column} of layer 0 " in problem


def test_missing_and_foreign_summary_rows_are_found(store: Store) -> None:
    opened = stored(store, synthetic("a"), synthetic("b", 1))
    path = the_file(opened, "summary")
    frame = pl.read_parquet(path)
    without_sums(path.parent)
    frame.head(43).write_parquet(path)
    assert ["21 rows" in problem for problem in opened.verify()] == [True]
    pl.concat([frame, frame.head(1).with_columns(arch=pl.lit("c"))]).write_parquet(path)
    assert ["c is not in the values file" in problem for problem in opened.verify()] == [True]
    frame.drop("l2").write_parquet(path)
    assert ["cannot be read" in problem for problem in opened.verify()] == [True]


def test_a_layout_of_something_else(store: Store) -> None:
    opened = stored(store, synthetic("a"))
    path = the_file(opened, "values")
    frame = pl.read_parquet(path)
    without_sums(path.parent)
    for layout in (
        "",
        "{}",
        "[]",
        '{"dtype":"object","shapes":[],"instances":[]}',
        frame["layout"][0][:-40] + "}]}",
    ):
        frame.with_columns(layout=pl.lit(layout)).write_parquet(path)
        with pytest.raises(StoreError, match=r"cannot read .*values-"):
            open_collection(store, collection()).load("a")
    more = frame["data"][0] + b"more"
    longer = frame.with_columns(
        pl.Series("data", [more], dtype=pl.Binary), pl.Series("crc32", [zlib.crc32(more)], dtype=pl.UInt32)
    )
    longer.write_parquet(path)
    with pytest.raises(StoreError, match="more bytes than the layout says"):
        open_collection(store, collection()).load("a")
