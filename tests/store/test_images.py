from __future__ import annotations

import collections
import gzip
import io
import json
import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from damaging import without_sums

from zcsr.errors import InputError, StoreError
from zcsr.networks.images import PUBLISHED_NORMALISATION, ImageSet
from zcsr.spaces import get_space
from zcsr.store.importers.image_sets import import_images
from zcsr.store.importers.pickle_reader import PickleReader, load_plain
from zcsr.store.jobs.experiment import embedded_requests
from zcsr.store.kept.accuracies import accuracies, write_accuracies
from zcsr.store.kept.images import (
    embedded_images,
    embedded_tasks,
    image_names,
    images_hash,
    install_missing,
    load_images,
    stored_images_hash,
)
from zcsr.store.kept.store import Store


def loads_plain(content: bytes) -> Any:
    return PickleReader(content, "it", arrays=True).read()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


def pixels(count: int = 5, side: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


LABELS = np.array([0, 2, 1, 2, 0])


def parquet(path: Path, images: np.ndarray, labels: np.ndarray = LABELS) -> Path:
    pl.DataFrame({"pixels_hwc_u8": [image.tobytes() for image in images], "label": labels}).write_parquet(path)
    return path


def same(left: ImageSet, right: ImageSet) -> bool:
    arrays = np.array_equal(left.pixels, right.pixels) and np.array_equal(left.labels, right.labels)
    rest = (left.name, left.classes, left.mean, left.std) == (right.name, right.classes, right.mean, right.std)
    return arrays and rest


@pytest.mark.parametrize(("side", "channels"), [(8, 3), (7, 3), (28, 1), (32, 3), (1, 1)])
def test_parquet_sides_are_inferred(store: Store, tmp_path: Path, side: int, channels: int) -> None:
    images = pixels(side=side, channels=channels)
    taken = import_images(store, parquet(tmp_path / "x.parquet", images), name="mine")
    assert np.array_equal(taken.pixels, images)
    assert taken.labels.tolist() == LABELS.tolist()
    assert taken.classes == 3
    assert same(load_images(store, "mine"), taken)


@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y"), ("pixels", "labels")])
def test_npz_keys(store: Store, tmp_path: Path, keys: tuple[str, str]) -> None:
    np.savez(tmp_path / "x.npz", **{keys[0]: pixels(), keys[1]: LABELS})
    taken = import_images(store, tmp_path / "x.npz", name="mine", classes=7)
    assert np.array_equal(taken.pixels, pixels())
    assert taken.classes == 7


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (pixels(channels=1)[..., 0], pixels(channels=1)),
        (pixels().transpose(0, 3, 1, 2), pixels()),
        (pixels()[:, :4], pixels()[:, :4]),
    ],
)
def test_npz_forms(store: Store, tmp_path: Path, stored: np.ndarray, expected: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", images=stored, labels=LABELS.astype(np.uint8))
    import_images(store, tmp_path / "x.npz", name="mine")
    assert np.array_equal(load_images(store, "mine").pixels, expected)


def test_normalisation_published_given_computed(store: Store, tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", pixels())

    def origin(name: str) -> str:
        return str(json.loads((store.images_dir / f"{name}.json").read_text())["normalisation"])

    published = import_images(store, path, name="cifar10")
    assert (published.mean, published.std) == PUBLISHED_NORMALISATION["cifar10"]
    assert origin("cifar10") == "published"
    given = import_images(store, path, name="cifar10", mean=(0.1, 0.2, 0.3), std=(1, 1, 1))
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert origin("cifar10") == "given"
    computed = import_images(store, path, name="mine")
    scaled = pixels().reshape(-1, 3) / 255
    assert computed.mean == pytest.approx(tuple(scaled.mean(axis=0)), rel=1e-12)
    assert computed.std == pytest.approx(tuple(scaled.std(axis=0)), rel=1e-12)
    assert origin("mine") == "computed"


def test_published_normalisation_needs_as_many_channels(store: Store, tmp_path: Path) -> None:
    taken = import_images(store, parquet(tmp_path / "x.parquet", pixels(channels=1)), name="cifar10")
    assert len(taken.mean) == 1


BAD_NPZ: list[tuple[dict[str, Any], str]] = [
    ({"images": pixels()}, "no array labels or y: it has images"),
    ({"labels": LABELS}, "no array images or x or pixels"),
    ({"images": pixels() / 255, "labels": LABELS}, "must be uint8 .* these are float64"),
    ({"images": pixels().reshape(5, -1), "labels": LABELS}, r"these are uint8 \[5, 192\]"),
    ({"images": pixels(channels=4), "labels": LABELS}, "1 or 3 channels"),
    ({"images": pixels(), "labels": LABELS[:4]}, "one for each of 5 images"),
    ({"images": pixels(), "labels": LABELS / 2}, "whole numbers"),
    ({"images": pixels(), "labels": LABELS - 1}, "label -1 is negative"),
    ({"images": pixels(0), "labels": LABELS[:0]}, "holds no images"),
    ({"images": np.array([{}] * 5, dtype=object), "labels": LABELS}, "cannot read"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_NPZ)
def test_bad_npz(store: Store, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        import_images(store, tmp_path / "x.npz", name="mine")
    assert image_names(store) == embedded_images()


BAD_PARQUET: list[tuple[dict[str, Any], str]] = [
    ({"pixels": [b"abc"], "label": [0]}, "no column 'pixels_hwc_u8': it has pixels, label"),
    ({"pixels_hwc_u8": [b"abc"], "labels": [0]}, "no column 'label'"),
    ({"pixels_hwc_u8": ["abc"], "label": [0]}, "must hold bytes"),
    ({"pixels_hwc_u8": [b"abc", None], "label": [0, 0]}, "must hold bytes in every row"),
    ({"pixels_hwc_u8": [b"abc", b"abcabc"], "label": [0, 1]}, "differ in size"),
    ({"pixels_hwc_u8": [b"abcde"], "label": [0]}, "5 bytes are no square image"),
    ({"pixels_hwc_u8": [b"abc"], "label": ["cat"]}, "whole numbers"),
    ({"pixels_hwc_u8": [b"abc"], "label": [None]}, "whole numbers"),
    ({"pixels_hwc_u8": [b"abc"], "label": [0]}, "channel 0 of the images is the same everywhere"),
]


@pytest.mark.parametrize(("columns", "message"), BAD_PARQUET)
def test_bad_parquet(store: Store, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pl.DataFrame(columns).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=message):
        import_images(store, tmp_path / "x.parquet", name="mine")


def test_bad_options(store: Store, tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", pixels())
    with pytest.raises(InputError, match="both mean and std"):
        import_images(store, path, name="mine", mean=(0.1, 0.2, 0.3))
    with pytest.raises(InputError, match=r"labels must be in 0\.\.1"):
        import_images(store, path, name="mine", classes=2)
    for name in ("../mine", "", ".tmp-x", "a/b"):
        with pytest.raises(InputError, match="cannot name an image set"):
            import_images(store, path, name=name)


@pytest.mark.parametrize("name", ["x.png", "none.parquet", "x.parquet", "x.npz"])
def test_unreadable_files(store: Store, tmp_path: Path, name: str) -> None:
    if name != "none.parquet":
        (tmp_path / name).write_bytes(b"neither")
    with pytest.raises(InputError, match=r"cannot (import|read)"):
        import_images(store, tmp_path / name, name="mine")


def test_importing_again_replaces(store: Store, tmp_path: Path) -> None:
    first = import_images(store, parquet(tmp_path / "x.parquet", pixels()), name="mine")
    second = import_images(store, parquet(tmp_path / "x.parquet", pixels(seed=1)), name="mine")
    assert images_hash(first) != images_hash(second)
    assert same(load_images(store, "mine"), second)
    assert stored_images_hash(store, "mine") == images_hash(second)


def test_an_interrupted_replacement_leaves_no_mixture(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_images(store, parquet(tmp_path / "x.parquet", pixels()), name="mine")
    path = parquet(tmp_path / "x.parquet", pixels(seed=1))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("zcsr.store.kept.images.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            import_images(store, path, name="mine")
    with pytest.raises(InputError, match="no image set 'mine'"):
        load_images(store, "mine")
    assert same(import_images(store, path, name="mine"), load_images(store, "mine"))


def test_damage_is_noticed(store: Store, tmp_path: Path) -> None:
    taken = import_images(store, parquet(tmp_path / "x.parquet", pixels()), name="mine")
    changed = pixels()
    changed[3, 1, 1, 1] ^= 1
    parquet(store.images_dir / "mine.parquet", changed)
    with pytest.raises(StoreError, match="it is damaged"):
        load_images(store, "mine")
    without_sums(store.images_dir)
    with pytest.raises(StoreError, match="its content has changed"):
        load_images(store, "mine")
    (store.images_dir / "mine.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match=r"image set 'mine' is damaged .*import it again"):
        load_images(store, "mine")
    (store.images_dir / "mine.json").write_text("{}")
    with pytest.raises(StoreError, match="is damaged"):
        load_images(store, "mine")
    import_images(store, tmp_path / "x.parquet", name="mine")
    assert same(load_images(store, "mine"), taken)


def test_hash_covers_everything_that_batches_depend_on() -> None:
    base = ImageSet("a", pixels(), LABELS, 3, (0.5,) * 3, (0.5,) * 3)
    others = [
        ImageSet("a", pixels(seed=1), LABELS, 3, (0.5,) * 3, (0.5,) * 3),
        ImageSet("a", pixels().reshape(5, 4, 16, 3), LABELS, 3, (0.5,) * 3, (0.5,) * 3),
        ImageSet("a", pixels(), LABELS[::-1].copy() % 2, 3, (0.5,) * 3, (0.5,) * 3),
        ImageSet("a", pixels(), LABELS, 3, (0.5, 0.5, 0.4), (0.5,) * 3),
        ImageSet("a", pixels(), LABELS, 3, (0.5,) * 3, (0.5, 0.5, 0.4)),
    ]
    assert len({images_hash(images) for images in (base, *others)}) == 6
    assert images_hash(ImageSet("b", pixels(), LABELS, 3, (0.5,) * 3, (0.5,) * 3)) == images_hash(base)


def test_embedded_data(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Store.open(tmp_path / "other", create=True)
    expected = import_images(other, parquet(tmp_path / "x.parquet", pixels()), name="tiny")
    data = tmp_path / "data"
    data.mkdir()
    for suffix in ("parquet", "json"):
        os.rename(other.images_dir / f"tiny.{suffix}", data / f"images-tiny.{suffix}")
    arch = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    row = {"space": "nasbench201-mini", "dataset": "fashion-mnist", "metric": "test", "arch": arch, "seed": 0}
    pl.DataFrame([{**row, "accuracy": 10.0, "source": "mini"}]).write_parquet(data / "accuracies-mini.parquet")

    monkeypatch.setattr("zcsr.store.kept.images._package_data", lambda: data)
    assert embedded_images() == ("tiny",)
    assert image_names(store) == ("tiny",)
    assert same(load_images(store, "tiny"), expected)
    task = ("nasbench201-mini", "fashion-mnist")
    assert embedded_tasks() == {task}
    fresh = Store.open(tmp_path / "fresh", create=True)
    assert install_missing(fresh, [("darts-mini", "fashion-mnist")]) == ()
    assert not fresh.accuracies_dir.exists()
    assert install_missing(fresh, [task, task, ("nasbench201", "cifar10")]) == (task,)
    assert accuracies(fresh, *task).accuracies.tolist() == [10.0]
    (file,) = fresh.accuracies_dir.rglob("*.parquet")
    stamp = file.stat().st_mtime_ns
    assert install_missing(fresh, [task]) == ()
    assert file.stat().st_mtime_ns == stamp

    own = Store.open(tmp_path / "own", create=True)
    write_accuracies(own, [{**row, "metric": "valid", "accuracy": 20.0}], source="own")
    assert install_missing(own, [task]) == (task,)  # of the tests there was none
    other = Store.open(tmp_path / "tested", create=True)
    write_accuracies(other, [{**row, "seed": 1, "accuracy": 30.0}], source="own")
    assert install_missing(other, [task]) == ()
    assert accuracies(other, *task).accuracies.tolist() == [30.0]

    mine = import_images(store, parquet(tmp_path / "x.parquet", pixels(seed=3)), name="tiny")
    assert same(load_images(store, "tiny"), mine)


def test_the_embedded_benchmark_does_not_mix_with_accuracies_of_ones_own(store: Store) -> None:
    space = get_space("darts-mini")
    row = {"space": space.name, "dataset": "fashion-mnist", "metric": "test", "seed": 0, "accuracy": 42.0}
    write_accuracies(store, [{**row, "arch": space.arch(7)}], source="own")
    requests = embedded_requests(store)
    asked = {(request.space, request.dataset) for request in requests}
    assert asked < embedded_tasks()
    assert embedded_tasks() - asked == {
        ("vit-mini", "fashion-mnist"),
        *((space, dataset) for space in ("nasbench201", "nats-sss") for dataset in ("cifar100", "imagenet16-120")),
    }
    assert accuracies(store, "darts-mini", "fashion-mnist").accuracies.tolist() == [42.0]
    assert len(accuracies(store, "nats-sss-mini", "fashion-mnist").archs) == 200


def test_embedded_data_of_the_package_can_be_listed(store: Store) -> None:
    assert embedded_images() == image_names(store) != ()
    for name in embedded_images():
        assert len(load_images(store, name)) > 0


def test_the_real_images(store: Store, shared: Path) -> None:
    path = shared / "data" / "cifar10_train256_lossless.parquet"
    taken = import_images(store, path, name="cifar10")
    assert taken.pixels.shape == (256, 32, 32, 3)
    assert taken.classes == 10
    first = pl.read_parquet(path)["pixels_hwc_u8"][0]
    assert taken.pixels[0, 0, 1].tolist() == list(first[3:6])
    assert same(load_images(store, "cifar10"), taken)


# --- official folders of pickles --------------------------------------------------------------------------------


def planes(images: np.ndarray) -> np.ndarray:
    """Rows as the official files have them: channel after channel."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def python2_batch(images: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """A batch as Python 2 wrote it: protocol 2, byte strings, numpy.core.multiarray._reconstruct."""
    data = planes(images)

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + value.to_bytes(4, "little", signed=True)

    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + number(-1) * 2
    dtype += b"K\x00tb"
    content = b"T" + len(data.tobytes()).to_bytes(4, "little") + data.tobytes()
    array += b"(K\x01" + number(data.shape[0]) + number(data.shape[1]) + b"\x86" + dtype + b"\x89" + content + b"tb"
    items = text(b"data") + array + text(key) + b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"batch_label") + text(b"training batch 1 of 5") + items + b"u."


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_cifar10_folder(store: Store, tmp_path: Path, protocol: int) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    first, second = pixels(3, side=32), pixels(2, side=32, seed=1)
    (folder / "data_batch_1").write_bytes(python2_batch(first, [1, 9, 0]))
    batch = {b"data": planes(second), "labels": [4, 5], "filenames": ["a.png", "b.png"]}
    (folder / "data_batch_2").write_bytes(pickle.dumps(batch, protocol))
    (folder / "test_batch").write_bytes(b"not looked at")
    taken = import_images(store, folder, name="cifar10")
    assert np.array_equal(taken.pixels, np.concatenate([first, second]))
    assert taken.labels.tolist() == [1, 9, 0, 4, 5]
    assert taken.classes == 10


def test_cifar100_folder(store: Store, tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(python2_batch(pixels(3, side=32), [99, 5, 0], b"fine_labels"))
    taken = import_images(store, tmp_path, name="cifar100", classes=100)
    assert taken.labels.tolist() == [99, 5, 0]


def test_downsampled_imagenet_folder_keeps_the_first_classes(store: Store, tmp_path: Path) -> None:
    images = pixels(3, side=16)
    (tmp_path / "train_data_batch_1").write_bytes(python2_batch(images, [1, 121, 120]))
    taken = import_images(store, tmp_path, name="imagenet16-120", classes=120)
    assert taken.labels.tolist() == [0, 119]
    assert np.array_equal(taken.pixels, images[[0, 2]])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "holds a list"),
        ({"labels": [1]}, "has no 'data': it has labels"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "has no 'labels'"),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "must be a uint8 array"),
        ({"data": b"abc", "labels": [1]}, "must be a uint8 array"),
        ({"data": np.zeros((1, 3071), np.uint8), "labels": [1]}, "no square image"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [1, 2]}, "one for each of 1 images"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}, "whole numbers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [-1]}, "negative"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": 3}, "whole numbers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10**30]}, "whole numbers"),
    ],
)
def test_bad_batches(store: Store, tmp_path: Path, batch: Any, message: str) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(InputError, match=message):
        import_images(store, tmp_path, name="cifar10")


def test_a_folder_without_batches(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batches of images: looked for data_batch_"):
        import_images(store, tmp_path, name="cifar10")


# --- the restricted unpickler -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(protocol: int) -> None:
    shared = [1]
    value = {"a": [1, 2.5, None, True, -(10**40)], "b": ("text", b"bytes"), "d": {"e": shared, "f": shared}}
    if protocol >= 4:  # before, a set is written as a call
        value["c"] = [{1, 2}, frozenset({3})]
    got = loads_plain(pickle.dumps(value, protocol))
    assert got == value
    assert got["d"]["e"] is got["d"]["f"]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", "<f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back(protocol: int, dtype: str, order: Any) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 5, dtype=dtype, order=order)
    (got,) = loads_plain(pickle.dumps([array], protocol))
    assert got.dtype == array.dtype
    assert np.array_equal(got, array)


class Runs:
    """Pickles to a call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


class Slotted:
    def __init__(self) -> None:
        self.x = 1


def mark(flag: Path) -> str:
    return f"__import__('pathlib').Path({str(flag)!r}).write_text('ran')"


def raw(*parts: bytes) -> Callable[[Path], bytes]:
    return lambda flag: b"".join(parts).replace(b"FLAG", str(flag).encode())


def encoded(code: str) -> bytes:
    return b"X" + len(code.encode()).to_bytes(4, "little") + code.encode()


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
DTYPE_O = b"cnumpy\ndtype\nX\x01\x00\x00\x00OK\x00K\x01\x87R"

HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "os.system by REDUCE": lambda flag: pickle.dumps(Runs(os.system, (f"touch {flag}",))),
    "os.system in an old protocol": lambda flag: pickle.dumps({"data": Runs(os.system, (f"touch {flag}",))}, 0),
    "eval": lambda flag: pickle.dumps(Runs(eval, (mark(flag),))),
    "exec": lambda flag: pickle.dumps(Runs(exec, (mark(flag),)), 2),
    "GLOBAL posix.system": raw(b"cposix\nsystem\n(S'touch FLAG'\ntR."),
    "INST": raw(b"(S'touch FLAG'\nios\nsystem\n."),
    "OBJ": raw(b"(cos\nsystem\nS'touch FLAG'\no."),
    "STACK_GLOBAL": lambda flag: (
        b"\x80\x04" + encoded("os") + encoded("system") + b"\x93" + encoded(f"touch {flag}") + b"\x85R."
    ),
    "STACK_GLOBAL by memo": lambda flag: (
        b"\x80\x04"
        + encoded("system")
        + b"\x94"
        + encoded("os")
        + b"\x94"
        + b"00h\x01h\x00\x93"
        + encoded(f"touch {flag}")
        + b"\x85R."
    ),
    "dotted name of an admitted module": lambda flag: (
        b"\x80\x04" + encoded("numpy") + encoded("ndarray.__class__") + b"\x93" + encoded(mark(flag)) + b"\x85R."
    ),
    "getattr": raw(b"c__builtin__\ngetattr\n(cos\nsystem\nS'__call__'\ntR(S'touch FLAG'\ntR."),
    "importlib": raw(b"cimportlib\nimport_module\n(S'antigravity'\ntR."),
    "a call in a dict key": lambda flag: pickle.dumps({Runs(collections.namedtuple, ("P", "x")): 1}, 2),
    "NEWOBJ": lambda flag: pickle.dumps(Slotted()),
    "BUILD on a function": raw(b"c_codecs\nencode\n}S'__code__'\nNsb."),
    "BUILD of slots on a function": raw(b"cnumpy\ndtype\nN}S'__call__'\nI1\ns\x86b."),
    "BUILD on a list": raw(b"]}S'append'\nNsb."),
    "object array": lambda flag: pickle.dumps(np.array([Runs(os.system, (f"touch {flag}",))], dtype=object), 2),
    "object array of numbers": lambda flag: pickle.dumps(np.array([1, 2], dtype=object), 2),
    "object array on bytes as pointers": raw(RECONSTRUCT, b"(K\x01K\x01\x85", DTYPE_O, b"\x89C\x08AAAAAAAAtb."),
    "ndarray called with a buffer": raw(b"cnumpy\nndarray\n(K\x01\x85", b"X\x01\x00\x00\x00OC\x08AAAAAAAAtR."),
    "record array": lambda flag: pickle.dumps(np.zeros(2, dtype=[("a", "u1")]), 2),
    "bytes do not fit": raw(
        RECONSTRUCT,
        b"(K\x01K\x09\x85cnumpy\ndtype\nC\x02u1K\x00K\x01\x87R(K\x03C\x01|NNNJ\xff\xff\xff\xffJ\xff"
        b"\xff\xff\xffK\x00tb\x89C\x01Atb.",
    ),
    "array without state": raw(RECONSTRUCT, b"."),
    "an admitted name by itself": raw(b"cnumpy\nndarray\n."),
    "codec that runs": raw(b"c_codecs\nencode\n(V__builtin__\nVrot13\ntR."),
    "numpy.load": raw(b"cnumpy\nload\n(S'FLAG'\ntR."),
    "numpy's evaluating name": raw(b"cnumpy.f2py.crackfortran\nmyeval\n(S'1'\ntR."),
    "persistent id": raw(b"Pos.system\n."),
    "binary persistent id": raw(b"K\x01Q."),
    "extension code": raw(b"\x80\x02\x82\x01."),
    "a list within itself": lambda flag: b"]q\x00h\x00a.",
    "nested too deep": lambda flag: b"]" * 100 + b"a" * 99 + b".",
    "memo beyond count": lambda flag: b"]r\xff\xff\xff\x0f.",
    "truncated": lambda flag: pickle.dumps([1, 2, 3], 2)[:-3],
    "length beyond the end": lambda flag: b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "empty": lambda flag: b"",
    "no pickle": lambda flag: b"<html>404</html>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_run_nothing(tmp_path: Path, name: str) -> None:
    flag = tmp_path / "flag"
    (tmp_path / "data_batch_1").write_bytes(HOSTILE[name](flag))
    with pytest.raises(InputError, match=r"data_batch_1 is (not read|no readable pickle)"):
        load_plain(tmp_path / "data_batch_1")
    assert not flag.exists()


@pytest.mark.parametrize("name", ["os.system by REDUCE", "eval", "STACK_GLOBAL", "INST", "STACK_GLOBAL by memo"])
def test_hostile_pickles_would_run(tmp_path: Path, name: str) -> None:
    # Otherwise the test above would prove nothing.
    flag = tmp_path / "flag"
    pickle.Unpickler(io.BytesIO(HOSTILE[name](flag))).load()
    assert flag.exists()


def test_a_refusal_names_what_was_asked_for() -> None:
    with pytest.raises(InputError, match=r"it asks for (posix|nt)\.system; only plain containers"):
        loads_plain(pickle.dumps(Runs(os.system, ("true",))))


def test_a_hostile_pickle_changes_nothing_for_the_next() -> None:
    good = pickle.dumps([np.arange(3)], 2)
    for name in ("BUILD on a function", "BUILD of slots on a function"):
        with pytest.raises(InputError):
            loads_plain(HOSTILE[name](Path("flag")))
    assert loads_plain(good)[0].tolist() == [0, 1, 2]


def test_exponential_sharing_stays_small() -> None:
    value: list[Any] = []
    for _ in range(25):
        value = [value, value]
    got = loads_plain(pickle.dumps(value, 2))
    assert got[0] is got[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pickletools")
@pytest.mark.parametrize("seed", range(8))
def test_mutated_pickles_raise_only_input_errors(seed: int) -> None:
    generator = np.random.default_rng(seed)
    good = python2_batch(pixels(1, side=2), [1])
    opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
    for _ in range(150):
        bad = bytearray(good)
        for position in generator.integers(0, len(bad), generator.integers(1, 4)):
            bad[position] = int(generator.choice(opcodes)) if generator.random() < 0.5 else generator.integers(256)
        try:
            result = loads_plain(bytes(bad))
        except InputError:
            continue
        assert isinstance(result, dict | list | tuple | set | str | bytes | int | float | bool | None | np.ndarray)


def idx(file: Path, array: np.ndarray) -> Path:
    """Write a file of MNIST's format; gzipped where the name says so."""
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


def idx_folder(folder: Path, images: np.ndarray, labels: np.ndarray, train: int) -> Path:
    folder.mkdir()
    idx(folder / "train-images-idx3-ubyte.gz", images[:train])
    idx(folder / "train-labels-idx1-ubyte.gz", labels[:train])
    idx(folder / "t10k-images-idx3-ubyte", images[train:])
    idx(folder / "t10k-labels-idx1-ubyte", labels[train:])
    return folder


def test_idx_files_give_the_training_images_and_then_the_test_images(store: Store, tmp_path: Path) -> None:
    images = pixels(5, side=28, channels=1)
    folder = idx_folder(tmp_path / "mnist", images[..., 0], LABELS, train=3)
    taken = import_images(store, folder, name="fashion-mnist")
    assert np.array_equal(taken.pixels, images)
    assert np.array_equal(taken.labels, LABELS)
    assert (taken.mean, taken.std) == PUBLISHED_NORMALISATION["fashion-mnist"]


def test_images_are_pooled_and_padded_when_asked(store: Store, tmp_path: Path) -> None:
    images = pixels(5, side=28, channels=1)
    folder = idx_folder(tmp_path / "mnist", images[..., 0], LABELS, train=3)
    taken = import_images(store, folder, name="fashion-mnist", pool=2, pad=1, first=4)
    assert taken.pixels.shape == (4, 16, 16, 1)
    assert np.array_equal(taken.labels, LABELS[:4])
    assert taken.pixels[0, 1, 1, 0] == int(images[0, :2, :2, 0].astype(float).mean() + 0.5)
    assert not taken.pixels[:, 0].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no idx file"),
        (b"\0\0\x0d\x03" + bytes(12), "no idx file"),
        (b"\0\0\x08\x03" + np.array((9, 28, 28), dtype=">u4").tobytes(), "says 9x28x28 bytes and holds 0"),
    ],
)
def test_a_malformed_idx_file_is_refused(store: Store, tmp_path: Path, content: bytes, message: str) -> None:
    folder = idx_folder(tmp_path / "mnist", pixels(5, side=28, channels=1)[..., 0], LABELS, train=3)
    (folder / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(InputError, match=message):
        import_images(store, folder, name="mnist")


def test_idx_images_without_as_many_labels_are_refused(store: Store, tmp_path: Path) -> None:
    folder = idx_folder(tmp_path / "mnist", pixels(5, side=28, channels=1)[..., 0], LABELS, train=3)
    idx(folder / "train-labels-idx1-ubyte.gz", LABELS[:2])
    with pytest.raises(InputError, match="holds 3 images and its label file 2 labels"):
        import_images(store, folder, name="mnist")


# As Hugging Face has them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "label"), [("img", "label"), ("image", "fine_label")])
def test_image_files_in_a_table(store: Store, tmp_path: Path, column: str, label: str) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    files = []
    for one in pixels:
        file = io.BytesIO()
        Image.fromarray(one).save(file, "PNG")
        files.append({"bytes": file.getvalue(), "path": None})
    frame = pl.DataFrame({column: files, label: [0, 1, 2, 0, 1, 2]})
    frame.write_parquet(tmp_path / "train.parquet")
    images = import_images(store, tmp_path / "train.parquet", name="mine")
    assert np.array_equal(images.pixels, pixels)
    assert images.labels.tolist() == [0, 1, 2, 0, 1, 2]
    frame.drop(label).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match="has no column label or labels or fine_label"):
        import_images(store, tmp_path / "train.parquet", name="mine")
    frame.with_columns(pl.lit({"bytes": b"GIF89a", "path": "x"}).alias(column)).write_parquet(
        tmp_path / "t.parquet"
    )
    with pytest.raises(InputError, match=r"cannot read row 1 of .*t\.parquet"):
        import_images(store, tmp_path / "t.parquet", name="mine")


@pytest.mark.parametrize(
    ("labels", "classes", "expected", "count"),
    [
        ([1, 2, 3], None, [0, 1, 2], 3),
        ([1, 2, 3], 3, [0, 1, 2], 3),
        ([1, 2, 3], 4, [1, 2, 3], 4),
        ([2, 3, 2], None, [2, 3, 2], 4),
        ([0, 2, 1], None, [0, 2, 1], 3),
    ],
)
def test_labels_that_count_from_one(
    store: Store, tmp_path: Path, labels: list[int], classes: int | None, expected: list[int], count: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=pixels, labels=np.array(labels))
    images = import_images(store, tmp_path / "x.npz", name="mine", classes=classes)
    assert (images.labels.tolist(), images.classes) == (expected, count)
