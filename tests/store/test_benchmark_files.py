from __future__ import annotations

import bz2
import collections
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from zcsr.cli import main
from zcsr.errors import InputError
from zcsr.spaces import get_space
from zcsr.store.importers.benchmark_files import import_benchmark
from zcsr.store.importers.image_sets import import_images
from zcsr.store.importers.pickle_reader import PickleReader
from zcsr.store.importers.user_tables import ImportReport
from zcsr.store.kept.accuracies import accuracies
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query

TSS = get_space("nasbench201")
TSS_ARCHS = [TSS.arch(index) for index in range(4)]
SSS_ARCHS = ["8:8:8:8:8", "8:8:8:8:16", "64:8:16:24:32"]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Files in the official formats ---------------------------------------------------------------------------------


def trial(dataset: str, seed: int, epochs: int, final: dict[str, float]) -> dict[str, Any]:
    """What `ResultsCount.state_dict()` gives; the accuracy of earlier epochs is another one."""
    keys = [(images, f"{images}@{epoch}") for images in final for epoch in range(epochs)]
    accuracy = {key: final[images] if key.endswith(f"@{epochs - 1}") else 1.5 for images, key in keys}
    each_epoch = collections.OrderedDict((epoch, 0.25 * epoch) for epoch in range(epochs))
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": each_epoch,
        "train_acc5es": dict(each_epoch),
        "train_losses": dict(each_epoch),
        "train_times": dict(each_epoch),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": "?", "class_num": 10},
        "params": np.float64(0.073306),
        "flop": 7.78,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01],
        "eval_names": list(final),
        "eval_acc1es": accuracy,
        "eval_times": {key: 0.5 for _, key in keys},
        "eval_losses": {key: 2.0 for _, key in keys},
    }


def accuracy(arch: int, epochs: int, dataset: int, images: int, seed: int) -> float:
    """A percentage of its own for each."""
    return round(10 + arch * 16 + (epochs > 12) * 8 + dataset * 2 + images * 0.5 + (seed % 7) * 0.01, 4)


EVALUATED = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("ori-test", "x-valid", "x-test"),
    "ImageNet16-120": ("ori-test", "x-valid", "x-test"),
}
SEEDS = (777, 888)


def record(index: int, arch: str, epochs: int, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """What `ArchResults.state_dict()` gives."""
    results = {}
    for position, (dataset, sets) in enumerate(EVALUATED.items()):
        for seed in seeds:
            final = {name: accuracy(index, epochs, position, place, seed) for place, name in enumerate(sets)}
            results[dataset, seed] = trial(dataset, seed, epochs, final)
    return {
        "arch_index": index,
        "arch_str": arch,
        "all_results": results,
        "dataset_seed": {dataset: list(seeds) for dataset in EVALUATED},
        "clear_net_done": True,
    }


def packed(path: Path, content: Any) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))
    return path


def nats_folder(folder: Path, archs: list[str], lengths: tuple[int, ...]) -> Path:
    folder.mkdir()
    meta = {"meta_archs": archs, "total_archs": len(archs), "evaluated_indexes": set(range(len(archs)))}
    packed(folder / "meta.pickle.pbz2", meta)
    for index, arch in enumerate(archs):
        records = collections.OrderedDict((f"{epochs:02d}", record(index, arch, epochs)) for epochs in lengths)
        packed(folder / f"{index:06d}.pickle.pbz2", records)
    return folder


def pth_content() -> dict[str, Any]:
    infos = {i: {"full": record(i, arch, 200), "less": record(i, arch, 12)} for i, arch in enumerate(TSS_ARCHS)}
    return {"meta_archs": TSS_ARCHS, "arch2infos": infos, "evaluated_indexes": set(infos)}


def tss(tmp_path: Path) -> Path:
    return nats_folder(tmp_path / "NATS-tss-v1_0-3ffb9-simple", TSS_ARCHS, (12, 200))


def pth(tmp_path: Path, zipped: bool = False) -> Path:
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(pth_content(), path, _use_new_zipfile_serialization=zipped)
    return path


# NATS-Bench and NAS-Bench-201 ----------------------------------------------------------------------------------

# Dataset, metric -> the position of the authors' data set in EVALUATED, and of the images in it.
TAKEN = {
    ("cifar10", "test"): (1, 0),
    ("cifar10", "validation"): (0, 0),
    ("cifar100", "test"): (2, 2),
    ("cifar100", "validation"): (2, 1),
    ("imagenet16-120", "test"): (3, 2),
    ("imagenet16-120", "validation"): (3, 1),
}


def expected(archs: list[str], epochs: int, suffix: str = "") -> list[tuple[Any, ...]]:
    return sorted(
        (dataset, metric + suffix, arch, seed, accuracy(index, epochs, position, place, seed))
        for (dataset, metric), (position, place) in TAKEN.items()
        for index, arch in enumerate(archs)
        for seed in SEEDS
    )


def stored(store: Store, space: str) -> list[tuple[Any, ...]]:
    sql = "SELECT dataset, metric, arch, seed, accuracy FROM accuracies WHERE space = $space"
    return sorted(query(store, sql, {"space": space}).rows())


@pytest.mark.parametrize("make", [tss, pth, lambda path: pth(path, zipped=True)], ids=["folder", "old", "zip"])
def test_the_topology_space(store: Store, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    assert import_benchmark(store, path) == ImportReport(4 * 6 * 2, {})
    assert stored(store, "nasbench201") == expected(TSS_ARCHS, 200)
    before = files(store.accuracies_dir)
    assert import_benchmark(store, path) == ImportReport(4 * 6 * 2, {})
    assert files(store.accuracies_dir) == before


@pytest.mark.parametrize("make", [tss, pth])
def test_a_shorter_training_has_its_own_metrics(store: Store, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    import_benchmark(store, path, epochs=12)
    assert stored(store, "nasbench201") == expected(TSS_ARCHS, 12, "_12")
    with pytest.raises(InputError, match="no record of that training: its lengths are 12, 200 epochs"):
        import_benchmark(store, path, epochs=90)


def test_the_size_space_takes_ninety_epochs(store: Store, tmp_path: Path) -> None:
    folder = nats_folder(tmp_path / "NATS-sss-v1_0-50262-simple", SSS_ARCHS, (1, 12, 90))
    steps: list[tuple[int, int]] = []
    report = import_benchmark(store, folder, progress=lambda done, total: steps.append((done, total)))
    assert report.taken == 3 * 6 * 2
    assert stored(store, "nats-sss") == expected(SSS_ARCHS, 90)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_mean_over_seeds_is_the_task_s_accuracy(store: Store, tmp_path: Path) -> None:
    import_benchmark(store, tss(tmp_path))
    got = accuracies(store, "nasbench201", "cifar100")
    means = [sum(accuracy(i, 200, 2, 2, seed) for seed in SEEDS) / 2 for i in range(4)]
    assert got.archs == tuple(TSS_ARCHS)
    assert got.accuracies.tolist() == pytest.approx(means)


def test_what_cannot_be_taken_is_counted(store: Store, tmp_path: Path) -> None:
    folder = tss(tmp_path)
    records = {"200": record(3, TSS_ARCHS[3], 200)}
    results = records["200"]["all_results"]
    del results["cifar10", 777]["eval_acc1es"]["ori-test@199"]
    results["cifar10", 888]["eval_acc1es"]["ori-test@199"] = 100.5
    results["cifar100", 888]["eval_acc1es"]["x-test@199"] = float("nan")
    packed(folder / "000003.pickle.pbz2", records)
    meta = {"meta_archs": [*TSS_ARCHS[:2], "|nor_conv_9x9~0|", TSS_ARCHS[3]]}
    packed(folder / "meta.pickle.pbz2", meta)
    report = import_benchmark(store, folder)
    reasons = {reason.partition(":")[0]: count for reason, count in report.skipped.items()}
    assert reasons == {
        "no accuracy after the last epoch": 1,
        "accuracy outside 0..100": 1,
        "empty accuracy": 1,
        "unknown architecture": 12,
    }
    assert report.taken == 48 - 15


# Reading pickles -----------------------------------------------------------------------------------------------

PLAIN: list[Any] = [
    {"a": [1, 2.5, None, True, False, "ü", b"x\xff"], 3: (), ("t", 7): (1, 2, 3, (4, 5))},
    {1, 2, 3},
    [-1, 255, 256, 65536, -(2**31), 2**40, -(2**70)],
    ["x" * 300, b"y" * 300],
    {str(i): float(i) for i in range(3000)},
    [["shared"] * 2] * 300,
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", PLAIN)
def test_the_reader_agrees_with_pickle(value: Any, protocol: int) -> None:
    content = pickle.dumps(value, protocol=protocol)
    assert PickleReader(content, "it").read() == pickle.loads(content)


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_s_numbers_and_ordered_dicts_are_plain(protocol: int) -> None:
    value = collections.OrderedDict(a=np.float64(1.25), b=np.int32(-7), c=np.float32(0.5))
    got = PickleReader(pickle.dumps(value, protocol=protocol), "it").read()
    assert got == {"a": 1.25, "b": -7, "c": 0.5}
    assert [type(number) for number in got.values()] == [float, int, float]


class Hostile:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def attacks(mark: Path) -> dict[str, Any]:
    return {
        "os.system": Hostile(os.system, f"touch {mark}"),
        "open": Hostile(open, str(mark), "w"),
        "eval": Hostile(eval, f"open({str(mark)!r}, 'w')"),
        "getattr": Hostile(getattr, "text", "upper"),
    }


def written(path: Path, make: Callable[[Path], None]) -> Path:
    make(path)
    return path


def hostile_folder(folder: Path, value: Any, where: str) -> Path:
    path = nats_folder(folder / "NATS-tss", TSS_ARCHS, (12,))
    return packed(path / where, {"meta_archs": TSS_ARCHS, "12": value}).parent


def hostile_pth(folder: Path, value: Any, zipped: bool) -> Path:
    path = folder / "x.pth"
    torch.save({**pth_content(), "extra": value}, path, _use_new_zipfile_serialization=zipped)
    return path


CONTAINERS: dict[str, Callable[[Path, Any], Path]] = {
    "meta": lambda folder, value: hostile_folder(folder, value, "meta.pickle.pbz2"),
    "architecture": lambda folder, value: hostile_folder(folder, value, "000002.pickle.pbz2"),
    "pth": lambda folder, value: hostile_pth(folder, value, False),
    "zip": lambda folder, value: hostile_pth(folder, value, True),
}


@pytest.mark.parametrize("attack", ["os.system", "open", "eval", "getattr"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_hostile_file_runs_nothing_and_writes_nothing(
    store: Store, tmp_path: Path, container: str, attack: str
) -> None:
    mark = tmp_path / "ran"
    if attack == "open":  # what is asserted below would be seen: unpickled as usual, the attack succeeds
        pickle.loads(pickle.dumps(attacks(mark)[attack])).close()
        assert mark.exists()
        mark.unlink()
    path = CONTAINERS[container](tmp_path, attacks(mark)[attack])
    with pytest.raises(InputError, match=r"is not read: it asks for \S+; only plain"):
        import_benchmark(store, path)
    assert not mark.exists()
    assert files(store.accuracies_dir) == {}


RAW = {
    "INST": b"(S'touch x'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'x'\no.",
    "NEWOBJ": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "EXT1": b"\x80\x02\x82\x01.",
    "persistent id": b"\x80\x02K\x01Q.",
    "call of a text": b"\x80\x02X\x01\x00\x00\x00a)R.",
    "call of a set with text": b"\x80\x02c__builtin__\nset\nX\x01\x00\x00\x00a\x85R.",
    "state of a dict": b"\x80\x02}}b.",
    "state of a function": b"\x80\x02c__builtin__\nset\n}b.",
    "dtype of objects": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.",
    "nested names": b"\x80\x04\x8c\x08builtins\x8c\x0bset.__doc__\x93.",
    "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "tuple as a key of depth": b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s.",
    "long text": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.",
    "protocol": b"\x80\x09N.",
    "no end": b"\x80\x02]",
    "too few values": b"\x80\x02u.",
    "nothing": b"",
    "text": b"hello world",
}


@pytest.mark.parametrize("content", RAW.values(), ids=RAW)
def test_other_instructions_and_damage_are_one_clear_error(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^it is (not read|no readable pickle): [^\n]*$"):
        PickleReader(content, "it").read()


def test_every_prefix_and_every_changed_byte_is_read_or_refused() -> None:
    content = pickle.dumps(record(0, "a", 1, (777,)), protocol=2)
    changed = [content[:end] for end in range(0, len(content), 7)]
    changed += [content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :] for at in range(0, len(content), 3)]
    refused = 0
    for damaged in changed:
        try:
            PickleReader(damaged, "it").read()
        except InputError:
            refused += 1
    assert refused > len(changed) / 4


def test_unneeded_numbers_do_not_stay_in_memory() -> None:
    seen = []
    content = pickle.dumps({"losses": {0: 1.0}, "kept": {0: 2.0}}, protocol=2)

    def shrink(value: Any) -> None:
        seen.append(dict(value))
        value.clear()

    got = PickleReader(content, "it", shrinking={"losses": shrink}).read()
    assert got == {"losses": {}, "kept": {0: 2.0}}
    assert seen == [{0: 1.0}]


# Files of another form ------------------------------------------------------------------------------------------


def test_files_of_another_form_are_one_line(store: Store, tmp_path: Path) -> None:
    def empty(path: Path) -> Path:
        path.mkdir()
        return path

    def text(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    folder = tss(tmp_path)
    packed(folder / "000099.pickle.pbz2", {})
    torch.save([1], tmp_path / "list.pth")
    cases = [
        (tmp_path / "none", "there is no such file"),
        (empty(tmp_path / "empty"), "give a folder with meta.pickle.pbz2"),
        (text("x.txt", ""), "give a folder with"),
        (text("empty.pth", ""), "cannot read"),
        (text("text.pth", "hello"), "is no readable pickle|is not read"),
        (tmp_path / "list.pth", "has no 'meta_archs'"),
        (folder, "named after none of the 4 architectures"),
        (text("DARTS_a.json", "{"), "cannot read"),
        (text("DARTS_b.json", "{}"), "is no file of NDS"),
        (text("DARTS.json", "[]"), "has no accuracy to import"),
        (text("other.json", "[]"), "give --space, such as nds-darts"),
        (text("zc_a.json", "[]"), "is no file of NAS-Bench-Suite-Zero"),
        (text("zc_nasbench201.json", '{"cifar10": {}}'), "has no score to import"),
    ]
    for path, message in cases:
        with pytest.raises(InputError, match=message):
            import_benchmark(store, path)
    assert files(store.accuracies_dir) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "nas"}, "no kind 'nas' of benchmark: there are auto, nats, "),
        ({"kind": "nats"}, "as nats: give a folder"),
        ({"epochs": 12}, "--epochs is for NATS-Bench"),
        ({"space": "nds-dart"}, "unknown search space 'nds-dart'"),
        ({"dataset": "cifar-10"}, "space nds-darts has no dataset 'cifar-10'"),
        ({"kind": "suite-zero", "space": "nds-darts"}, "--space and --dataset are for files of NDS"),
    ],
)
def test_options_that_do_not_fit(store: Store, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_benchmark(store, nds_file(tmp_path / "DARTS.json", [training()]), **options)


# NDS -----------------------------------------------------------------------------------------------------------

NORMAL = [["sep_conv_3x3", 0], ["sep_conv_3x3", 1]] * 2 + [["skip_connect", 0], ["dil_conv_5x5", 2]] * 2
REDUCE = [["max_pool_3x3", 0], ["max_pool_3x3", 1]] * 2 + [["skip_connect", 2], ["avg_pool_3x3", 0]] * 2


def training(errors: list[Any] | None = None, width: Any = 16, **changed: Any) -> dict[str, Any]:
    genotype = {"normal": NORMAL, "normal_concat": [2, 3, 4, 5], "reduce": REDUCE, "reduce_concat": [2, 3, 4, 5]}
    net = {"genotype": {**genotype, **changed}, "width": width, "depth": 8, "aux": False, "drop_prob": 0.0}
    return {
        "net": net,
        "optim": {"lr": 0.1, "wd": 0.0005, "max_ep": 100},
        "train_ep_top1": [50.0, 40.0],
        "test_ep_top1": [60.0, 7.25] if errors is None else errors,
    }


def nds_file(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("shape", ["list", "top and mid"])
@pytest.mark.parametrize(
    ("name", "space", "dataset"),
    [
        ("DARTS.json", "nds-darts", "cifar10"),
        ("DARTS_fix-w-d.json", "nds-darts", "cifar10"),
        ("DARTS_in.json", "nds-darts", "imagenet"),
    ],
)
def test_nds(store: Store, tmp_path: Path, shape: str, name: str, space: str, dataset: str) -> None:
    rows = [training(), training([80.0, 10.5], width=32), training([8.0])]
    content = rows if shape == "list" else {"top": rows[:2], "mid": rows[2:]}
    assert import_benchmark(store, nds_file(tmp_path / name, content)) == ImportReport(3, {})
    found = query(store, "SELECT space, dataset, metric, seed, accuracy FROM accuracies ORDER BY accuracy").rows()
    assert found == [
        (space, dataset, "test", 0, 89.5),
        (space, dataset, "test", 1, 92.0),
        (space, dataset, "test", 0, 92.75),
    ]
    before = files(store.accuracies_dir)
    import_benchmark(store, tmp_path / name)
    assert files(store.accuracies_dir) == before


def test_nds_rows_that_cannot_be_taken(store: Store, tmp_path: Path) -> None:
    other = [["conv_3x1_1x3", 0], *NORMAL[1:]]
    rows = [training(), training([]), training(["x"]), training([150.0], width=17), training(width=999), {}, 3]
    rows += [training(normal=other), training(width="16")]
    report = import_benchmark(store, nds_file(tmp_path / "DARTS.json", rows))
    assert report.taken == 1
    counts = {reason.partition(":")[0]: 0 for reason in report.skipped}
    for reason, count in report.skipped.items():
        counts[reason.partition(":")[0]] += count
    assert counts == {
        "no test error": 2,
        "accuracy outside 0..100": 1,
        "unknown architecture": 2,
        "no network in the space's form": 3,
    }
    assert any("width is '999'; it must be a number from 2 to 256" in reason for reason in report.skipped)


def test_nds_under_another_name(store: Store, tmp_path: Path) -> None:
    path = nds_file(tmp_path / "mine.json", [training()])
    import_benchmark(store, path, kind="nds", space="nds-darts", dataset="imagenet")
    assert query(store, "SELECT task FROM accuracies").rows() == [("nds-darts:imagenet",)]


# NAS-Bench-Suite-Zero ------------------------------------------------------------------------------------------


def test_suite_zero(store: Store, tmp_path: Path) -> None:
    proxies = {
        "snip": {"score": 12.5, "time": 0.1},
        "zen": {"score": float("-inf"), "time": 1},
        "val_accuracy": 90.0,
    }
    content = {
        "cifar10": {"(4, 0, 3, 1, 4, 3)": proxies, "(9, 0, 3, 1, 4, 3)": {"snip": {"score": 1.0}}},
        "ImageNet16-120": {"(4, 0, 3, 1, 4, 3)": {"snip": {"score": 3}, "nwot": {"score": None}}},
        "svhn": {"(4, 0, 3, 1, 4, 3)": {"snip": {"score": 1.0}}},
    }
    path = nds_file(tmp_path / "zc_nasbench201.json", content)
    report = import_benchmark(store, path)
    reasons = {"unknown architecture": 1, "score not a number": 1, "unknown dataset": 1}
    assert report == ImportReport(4, reasons)
    # NASLib: operations skip, none, 3x3, 1x1, pool by number; edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 in turn.
    arch = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|"
    sql = "SELECT source, task, space, dataset, proxy, arch, score FROM proxy_scores ORDER BY task DESC, proxy"
    keys = ("zc_nasbench201", "nasbench201:imagenet16-120", "nasbench201", "imagenet16-120")
    cifar = ("zc_nasbench201", "nasbench201:cifar10", "nasbench201", "cifar10")
    expected_rows = [(*keys, "snip", arch, 3.0), (*cifar, "snip", arch, 12.5), (*cifar, "zen", arch, float("-inf"))]
    assert query(store, sql).rows() == expected_rows
    TSS.index(arch)
    import_benchmark(store, path)
    assert query(store, sql).rows() == expected_rows
    trained = query(store, "SELECT task, metric, arch, accuracy, source FROM accuracies").rows()
    assert trained == [("nasbench201:cifar10", "validation", arch, 90.0, "zc_nasbench201")]


# Class folders -------------------------------------------------------------------------------------------------


def save_image(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *([3] if mode == "RGB" else [])))
    pixels = pixels.astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_folder_of_class_folders(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    cats = [save_image(folder / "cat" / f"{i}.png", i) for i in range(3)]
    dogs = [save_image(folder / "dog" / f"{i}.PNG", 10 + i) for i in range(1)]
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "empty").mkdir()
    images = import_images(store, folder, name="pictures")
    assert images.classes == 2
    assert images.labels.tolist() == [0, 1, 0, 0]
    assert np.array_equal(images.pixels, np.stack([cats[0], dogs[0], cats[1], cats[2]]))
    assert np.array_equal(load_images(store, "pictures").pixels, images.pixels)


def test_grey_images_have_one_channel_and_mixed_ones_three(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    grey = save_image(folder / "a" / "0.png", 0, "L")
    assert np.array_equal(import_images(store, folder, name="g").pixels[0, ..., 0], grey)
    save_image(folder / "b" / "0.png", 1)
    mixed = import_images(store, folder, name="g").pixels
    assert mixed.shape == (2, 4, 6, 3)
    assert np.array_equal(mixed[0], np.repeat(grey[..., np.newaxis], 3, axis=2))


def test_jpeg_is_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "j" / "one").mkdir(parents=True)
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8) * 2
    Image.fromarray(ramp).save(tmp_path / "j" / "one" / "x.jpeg", quality=95)
    got = import_images(store, tmp_path / "j", name="j").pixels[0, ..., 0]
    assert np.abs(got.astype(int) - ramp).max() < 12


def test_images_of_different_sizes_or_damaged(store: Store, tmp_path: Path) -> None:
    save_image(tmp_path / "d" / "a" / "0.png", 0)
    save_image(tmp_path / "d" / "b" / "0.png", 1, size=(5, 4))
    with pytest.raises(InputError, match=r"b/0.png is 5x4 and .*a/0.png is 6x4; make all of one size"):
        import_images(store, tmp_path / "d", name="d")
    (tmp_path / "d" / "b" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.raises(InputError, match=r"cannot read .*b/0.png"):
        import_images(store, tmp_path / "d", name="d")
    assert not list(store.images_dir.glob("*"))


def test_without_pillow_there_is_a_clear_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "d" / "a" / "0.png", 0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match="need Pillow: `pip install pillow`"):
        import_images(store, tmp_path / "d", name="d")


# The command ---------------------------------------------------------------------------------------------------


def zcsr(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["zcsr", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_command(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = nds_file(tmp_path / "DARTS.json", [training(), training([])])
    assert zcsr(monkeypatch, "import", "benchmark", str(rows), "--store", str(store.root)) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "1 rows taken, 1 skipped; 1 skipped: no test error"
    assert zcsr(monkeypatch, "import", "benchmark", str(tss(tmp_path)), "--store", str(store.root)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("importing: 0 of 4 read")
    assert lines[-1] == "48 rows taken, 0 skipped"


def test_the_command_on_a_hostile_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "ran"
    path = hostile_pth(tmp_path, attacks(mark)["os.system"], False)
    assert zcsr(monkeypatch, "import", "benchmark", str(path), "--store", str(store.root)) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"zcsr: {path} is not read: it asks for ")
    assert not mark.exists()
    assert pl.Series(sorted(files(store.accuracies_dir))).is_empty()
