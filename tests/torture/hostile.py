"""Files that mean harm, or were harmed, for every importer: made from a seed, and imported under limits.

    python tests/torture/hostile.py FOLDER --seed 0 --damaged 20

imports them one after another in this process, with an address space that holds little more than zcsr itself, and
prints a line for each: what became of it, how long that took, and the message. A file is survived where it is taken
or refused in one line; any other exception, more than `SECONDS`, or running out of memory is a fault.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import itertools
import json
import os
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from zcsr.errors import ZcsrError
from zcsr.store import Store, import_accuracies, import_images
from zcsr.store.importers.benchmark_files import import_benchmark
from zcsr.store.importers.limits import at_most
from zcsr.store.importers.proxy_scores import import_scores

SECONDS = 20.0
MOST_BYTES = 32 << 20
"""What a file may come to in memory."""
MORE_MEMORY = 1 << 30
"""Bytes of address space besides what is there once all is imported."""
BOMB = 256 << 20
"""Bytes that bombs unpack to."""

Write = Callable[[Path], Path]
"""Writes files into an empty folder and returns the one, or the folder, to import."""

ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"


# --- NPZ --------------------------------------------------------------------------------------------------------


def _npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path / "x.npz", "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path / "x.npz"


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def _good_npz() -> dict[str, bytes]:
    pixels = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
    return {"images.npy": _npy(pixels), "labels.npy": _npy(np.array([0, 1, 0, 1]))}


def _npz_head(shape: str) -> bytes:
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(64)


def _headed(path: Path, shape: str) -> Path:
    return _npz(path, {**_good_npz(), "images.npy": _npz_head(shape)})


def _changed_npz(path: Path, change: Callable[[bytearray], None]) -> Path:
    file = _npz(path, _good_npz())
    content = bytearray(file.read_bytes())
    change(content)
    file.write_bytes(content)
    return file


def _set(content: bytearray, mark: bytes, offset: int, value: bytes) -> None:
    """Change what is `offset` after each mark of a zip file."""
    place = content.find(mark)
    while place >= 0:
        content[place + offset : place + offset + len(value)] = value
        place = content.find(mark, place + 4)


def _corrupt(content: bytearray) -> None:
    start = 30 + len("images.npy")
    content[start + 4 : start + 40] = b"\xff" * 36


def _in_every_head(offset: int, value: bytes) -> Callable[[bytearray], None]:
    """Change a field of every member's head, and of its entry at the end, where it lies two bytes later."""

    def change(content: bytearray) -> None:
        _set(content, b"PK\x03\x04", offset, value)
        _set(content, b"PK\x01\x02", offset + 2, value)

    return change


def _bomb_npz(path: Path) -> Path:
    head = _npz_head(f"({BOMB // 64}, 8, 8)")[:-64]
    return _npz(path, {"images.npy": head + bytes(BOMB), "labels.npy": _npy(np.zeros(4, dtype=np.int64))})


# --- idx --------------------------------------------------------------------------------------------------------


def _idx(path: Path, sizes: tuple[int, ...], content: bytes, packed: bool = False) -> Path:
    images = bytes((0, 0, 8, 3)) + struct.pack(">3I", *sizes) + content
    labels = bytes((0, 0, 8, 1)) + struct.pack(">I", 4) + bytes(4)
    ending = ".gz" if packed else ""
    (path / f"train-images-idx3-ubyte{ending}").write_bytes(gzip.compress(images) if packed else images)
    (path / "train-labels-idx1-ubyte").write_bytes(labels)
    return path


def _short_gzip(path: Path) -> Path:
    _idx(path, (4, 8, 8), bytes(256), packed=True)
    file = path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-6])
    return path


# --- Parquet ----------------------------------------------------------------------------------------------------


def _parquet(path: Path, columns: str, name: str = "x.parquet") -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {columns}) TO '{path / name}' (FORMAT parquet)")
    return path / name


MANY_LABELS = f"0 AS label FROM range({BOMB // 7500})"
LARGE_LABEL = "170141183460469231731687303715884105727::HUGEINT AS label"
MANY_ROWS = f"1.0 AS accuracy, 0 AS seed FROM range({BOMB // 7500})"


def _columns(path: Path, **columns: pl.Series) -> Path:
    pl.DataFrame(columns).write_parquet(path / "x.parquet")
    return path / "x.parquet"


# --- pickles ----------------------------------------------------------------------------------------------------


def _batch(path: Path, content: bytes) -> Path:
    (path / "data_batch_1").write_bytes(content)
    return path


def _good_batch() -> bytes:
    return pickle.dumps({"data": np.zeros((4, 3 * 64), dtype=np.uint8), "labels": [0, 1, 0, 1]}, protocol=2)


def _nested_key(depth: int) -> bytes:
    return b"\x80\x02}" + b")" + b"\x85" * depth + b"K\x01s."


def _doubled(times: int) -> bytes:
    """A list that holds the list before it twice, and so on: 2 to the `times` ends, in a few bytes."""
    steps = b"".join(b"0]q%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(1, times))
    return b"\x80\x02}U\x04data]q\x00" + steps + b"s."


class _Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {_Runs.mark}",)

    mark = "ran"


# --- tables and benchmarks --------------------------------------------------------------------------------------


def _table(path: Path, name: str, content: bytes) -> Path:
    (path / name).write_bytes(content)
    return path / name


def _nats(path: Path, content: bytes) -> Path:
    (path / "meta.pickle.pbz2").write_bytes(bz2.compress(content))
    (path / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"full": {}}, protocol=2)))
    return path


def _suite_zero() -> bytes:
    entries = {"snip": {"score": "\x1b[2J"}, "val_accuracy": 1e308}
    return json.dumps({"cifar10": {"(4, 0, 3, 1, 4, 3)": entries}}).encode()


def _digits() -> bytes:
    return b"\x80\x02}\x8b" + struct.pack("<i", 500_000) + b"\x7f" * 500_000 + b"K\x01s."


def _csv(path: Path, accuracy: str, seed: str) -> Path:
    return _table(path, "x.csv", f"arch,accuracy,seed\n{ARCH},{accuracy},{seed}\n".encode())


IMAGES: dict[str, Write] = {
    "npz: corrupt deflate": lambda path: _changed_npz(path, _corrupt),
    "npz: encrypted member": lambda path: _changed_npz(path, _in_every_head(6, b"\x01\x00")),
    "npz: unknown method": lambda path: _changed_npz(path, _in_every_head(8, b"\x63\x00")),
    "npz: LZMA of rubbish": lambda path: _changed_npz(path, _in_every_head(8, b"\x0e\x00")),
    "npz: no npy within": lambda path: _npz(path, {"readme.txt": b"nothing"}),
    "npz: rubbish for an array": lambda path: _npz(path, {"images.npy": b"rubbish", "labels.npy": b""}),
    "npz: a huge shape": lambda path: _headed(path, "(9223372036854775807, 8, 8)"),
    "npz: a shape that wraps": lambda path: _headed(path, "(4294967296, 4294967296, 1)"),
    "npz: a negative shape": lambda path: _headed(path, "(-1, 8, 8)"),
    "npz: a head that is code": lambda path: _headed(path, "__import__('os').getpid()"),
    "npz: objects": lambda path: _npz(path, {**_good_npz(), "images.npy": _npy(np.array([[{}]], dtype=object))}),
    "npz: a bomb": _bomb_npz,
    "idx: sizes that wrap to 0": lambda path: _idx(path, (1 << 31, 1 << 31, 4), b""),
    "idx: sizes beyond the file": lambda path: _idx(path, (4000, 8, 8), bytes(256)),
    "idx: no pixel": lambda path: _idx(path, (4, 0, 8), b""),
    "idx: a gzip bomb": lambda path: _idx(path, (BOMB // 64, 8, 8), bytes(BOMB), packed=True),
    "idx: a short gzip": _short_gzip,
    "parquet: a bomb": lambda path: _parquet(path, f"repeat('a', 7500)::BLOB AS pixels_hwc_u8, {MANY_LABELS}"),
    "parquet: a bomb of numbers": lambda path: _parquet(
        path, f"'aaa'::BLOB AS pixels_hwc_u8, 0 AS label FROM range({BOMB // 32})"
    ),
    "parquet: empty pixels": lambda path: _columns(
        path, pixels_hwc_u8=pl.Series([b"", b""]), label=pl.Series([0, 1])
    ),
    "parquet: no row": lambda path: _columns(
        path, pixels_hwc_u8=pl.Series([], dtype=pl.Binary), label=pl.Series([], dtype=pl.Int64)
    ),
    "parquet: no bytes": lambda path: _columns(path, pixels_hwc_u8=pl.Series(["a"]), label=pl.Series([0])),
    "parquet: labels beyond 64 bits": lambda path: _parquet(path, f"'aaa'::BLOB AS pixels_hwc_u8, {LARGE_LABEL}"),
    "parquet: pictures that are none": lambda path: _parquet(path, "{'bytes': 'aaa'::BLOB} AS img, 0 AS label"),
    "parquet: rubbish": lambda path: _table(path, "x.parquet", b"PAR1" + bytes(64) + b"PAR1"),
    "pickle: tuples within tuples as keys": lambda path: _batch(path, _nested_key(200_000)),
    "pickle: 2^60 lists": lambda path: _batch(path, _doubled(60)),
    "pickle: deep lists": lambda path: _batch(path, b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."),
    "pickle: a call": lambda path: _batch(path, pickle.dumps(_Runs(), protocol=2)),
    "pickle: a key of a million digits": lambda path: _batch(path, _digits()),
    "pickle: numbers beyond its objects": lambda path: _batch(path, b"\x80\x02}r\xff\xff\xff\x7f."),
    "pickle: bytes that are not there": lambda path: _batch(
        path, b"\x80\x04\x8e" + struct.pack("<q", 1 << 60) + b"."
    ),
    "pickle: an array of a huge shape": lambda path: _batch(
        path, _good_batch().replace(b"K\x04K\xc0\x86", b"J\xff\xff\xff\x7fK\xc0\x86")
    ),
    "a folder of nothing": lambda path: path,
    "a pipe": lambda path: os.mkfifo(path / "data_batch_1") or path,  # type: ignore[func-returns-value]
}

TABLES: dict[str, Write] = {
    "csv: a gzip bomb": lambda path: _table(path, "x.csv.gz", gzip.compress(bytes(BOMB))),
    "csv: zeros": lambda path: _table(path, "x.csv", bytes(1000)),
    "csv: not UTF-8": lambda path: _table(path, "x.csv", b"arch,accuracy\n\xff\xfe\xfd,1\n"),
    "csv: many columns": lambda path: _table(path, "x.csv", b",".join(b"a%d" % n for n in range(20_000)) + b"\n"),
    "csv: one name for many columns": lambda path: _table(path, "x.csv", b",".join([b"arch"] * 3_000) + b"\n"),
    "csv: a seed of 10^30": lambda path: _csv(path, "50", "1" + "0" * 30),
    "csv: an accuracy of 10^400": lambda path: _csv(path, "1" + "0" * 400, "0"),
    "csv: a quotation mark without end": lambda path: _table(
        path, "x.csv", b'arch,accuracy,seed\n"' + b"a" * 100_000
    ),
    "csv: what a terminal obeys": lambda path: _table(path, "x.csv", b"arch,accuracy,seed\n\x1b[2J\x07,1,0\n"),
    "jsonl: deep": lambda path: _table(path, "x.jsonl", b"[" * 100_000),
    "parquet: a bomb": lambda path: _parquet(path, f"repeat('a', 7500) AS arch, {MANY_ROWS}"),
    "parquet: lists": lambda path: _parquet(path, "['a'] AS arch, 1.0 AS accuracy, 0 AS seed"),
    "parquet: bytes for text": lambda path: _columns(
        path, arch=pl.Series([b"\xff"]), accuracy=pl.Series([1.0]), seed=pl.Series([0])
    ),
}

BENCHMARKS: dict[str, Write] = {
    "nats: a bzip2 bomb": lambda path: _nats(path, bytes(BOMB)),
    "nats: tuples within tuples as keys": lambda path: _nats(path, _nested_key(200_000)),
    "nats: a call": lambda path: _nats(path, pickle.dumps(_Runs(), protocol=2)),
    "nats: rubbish": lambda path: _nats(path, b"rubbish"),
    "pth: rubbish": lambda path: _table(path, "x.pth", bytes(range(256)) * 40),
    "pth: a zip without data": lambda path: _npz(path, {"a": b"b"}).rename(path / "x.pth"),
    "nds: deep": lambda path: _table(path, "DARTS.json", b"[" * 200_000),
    "nds: a number of 10^5 digits": lambda path: _table(
        path, "DARTS.json", b'[{"net": {}, "test_ep_top1": [' + b"9" * 100_000 + b"]}]"
    ),
    "suite-zero: scores that are no numbers": lambda path: _table(path, "zc_nasbench201.json", _suite_zero()),
}


def damaged(generator: random.Random, count: int) -> Iterator[tuple[str, str, Write]]:
    """Good files of which some bytes were changed, or the end is gone."""
    good: list[tuple[str, str, Write]] = [
        ("images", "npz", lambda path: _npz(path, _good_npz())),
        ("images", "idx", lambda path: _idx(path, (4, 8, 8), bytes(range(256)))),
        ("images", "batch", lambda path: _batch(path, _good_batch())),
        (
            "images",
            "parquet",
            lambda path: _columns(path, pixels_hwc_u8=pl.Series([bytes(192)] * 4), label=pl.Series([0, 1, 0, 1])),
        ),
        ("tables", "csv", lambda path: _csv(path, "50", "0")),
        (
            "tables",
            "table",
            lambda path: _columns(path, arch=pl.Series([ARCH]), accuracy=pl.Series([1.0]), seed=pl.Series([0])),
        ),
    ]
    for number, (importer, name, write) in enumerate(itertools.islice(itertools.cycle(good), count)):

        def spoilt(path: Path, write: Write = write, draw: int = generator.getrandbits(32)) -> Path:
            given, chosen = write(path), random.Random(draw)
            file = chosen.choice(sorted(one for one in path.iterdir() if one.is_file()))
            content = bytearray(file.read_bytes())
            if chosen.random() < 0.3:
                del content[chosen.randrange(len(content)) :]
            for _ in range(chosen.randint(1, 8) if content else 0):
                content[chosen.randrange(len(content))] = chosen.randrange(256)
            file.write_bytes(content)
            return given

        yield importer, f"{name}: damage {number}", spoilt


def _import(store: Store, importer: str, path: Path) -> None:
    if importer == "images":
        import_images(store, path, name="taken")
    elif importer == "benchmarks":
        import_benchmark(store, path)
    elif importer == "scores":
        import_scores(store, path, source="them", space="nasbench201", dataset="cifar10", skip_bad=True)
    else:
        import_accuracies(
            store, path, space="nasbench201", dataset="cifar10", accuracy_column="accuracy", seed_column="seed"
        )


def files(seed: int, count: int) -> Iterator[tuple[str, str, Write]]:
    """Every file: by which importer, what it is, and how to write it."""
    yield from (("images", name, write) for name, write in IMAGES.items())
    yield from (("tables", name, write) for name, write in TABLES.items())
    yield from (("scores", name, write) for name, write in TABLES.items())
    yield from (("benchmarks", name, write) for name, write in BENCHMARKS.items())
    yield from damaged(random.Random(seed), count)


def main() -> int:
    """Import every file and say what became of it; 1 where one was not survived."""
    parser = argparse.ArgumentParser(description="Import files that mean harm.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--damaged", type=int, default=20)
    given = parser.parse_args()
    store = Store.open(given.folder / "store", create=True)
    _Runs.mark = str(given.folder / "ran")
    faults = 0
    for importer, name, write in files(given.seed, given.damaged):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            path = write(Path(folder))
            with _little_memory():
                began = time.perf_counter()
                outcome = _outcome(store, importer, path)
                took = time.perf_counter() - began
        bad = outcome.startswith("FAULT") or took > SECONDS
        faults += bad
        print(f"{importer}, {name}: {outcome} ({took:.1f} s)", flush=True)
    ran = Path(_Runs.mark).exists()
    print(f"faults {faults}, bytes executed {int(ran)}")
    return int(faults > 0 or ran)


def _outcome(store: Store, importer: str, path: Path) -> str:
    try:
        with at_most(MOST_BYTES):
            _import(store, importer, path)
    except ZcsrError as error:
        message = str(error)
        good = len(message.splitlines()) == 1 and len(message) < 1000
        return f"{'refused' if good else 'FAULT in its message'}: {message[:300]!r}"
    except BaseException as error:  # polars' panics are no Exception
        return f"FAULT: {type(error).__name__}: {str(error)[:300]!r}"
    return "taken"


class _little_memory:  # it is used as a function
    """The address space holds `MORE_MEMORY` more than now, in a `with`."""

    def __enter__(self) -> None:
        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + MORE_MEMORY, self.before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_AS, self.before)


if __name__ == "__main__":
    sys.exit(main())
