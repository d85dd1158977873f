from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from zcsr.errors import InputError, StoreError
from zcsr.spaces import get_space
from zcsr.store.importers.accuracy_tables import import_accuracies
from zcsr.store.importers.limits import at_most
from zcsr.store.importers.user_tables import ImportReport
from zcsr.store.kept.accuracies import SCHEMA, accuracies, accuracy_tables, write_accuracies
from zcsr.store.kept.checksums import DamagedFile, sum_path
from zcsr.store.kept.store import Store

SPACE = get_space("nasbench201")
A, B, C = (SPACE.arch(index) for index in (3, 700, 15000))


def table(folder: Path, content: dict[str, Any], name: str = "table.parquet") -> Path:
    path = folder / name
    frame = pl.DataFrame(content)
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def take(store: Store, path: Path, **options: Any) -> ImportReport:
    given = {"space": "nasbench201", "dataset": "cifar10", "accuracy_column": "accuracy", **options}
    return import_accuracies(store, path, **given)


def files(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.accuracies_dir)) for path in store.accuracies_dir.rglob("*.parquet"))


@pytest.mark.parametrize("name", ["mine.parquet", "mine.csv"])
def test_round_trip_in_canonical_order(store: Store, tmp_path: Path, name: str) -> None:
    path = table(tmp_path, {"arch": [C, A, B], "accuracy": [93.5, 10.0, 71.25]}, name)
    assert take(store, path) == ImportReport(3, {})
    got = accuracies(store, "nasbench201", "cifar10")
    assert got.archs == (A, B, C)
    assert got.accuracies.tolist() == [10.0, 71.25, 93.5]
    assert got.accuracies.dtype == np.float64
    assert files(store) == ["nasbench201/cifar10/test-mine.parquet"]
    stored = pl.read_parquet(store.accuracies_dir / files(store)[0])
    assert stored.schema == SCHEMA
    assert set(stored["source"]) == {"mine"}


def test_empty_cells_are_counted_and_left_out(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A, B, C, "?"], "accuracy": [50.0, None, float("nan"), None]})
    assert take(store, path) == ImportReport(1, {"empty accuracy": 3})
    assert accuracies(store, "nasbench201", "cifar10").archs == (A,)


def test_empty_csv_cells_are_counted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"arch,accuracy\n{A},50\n{B},\n{C},  \n")
    assert take(store, path) == ImportReport(1, {"empty accuracy": 2})


BAD = [
    ("unknown architecture", "nor_conv_9x9", 50.0),
    ("accuracy outside 0..100", B, 100.5),
    ("accuracy outside 0..100", B, -1.0),
    ("accuracy outside 0..100", B, float("inf")),
    ("duplicate", A, 51.0),
]


@pytest.mark.parametrize(("reason", "arch", "accuracy"), BAD)
def test_bad_rows_stop_the_import_unless_skipped(
    store: Store, tmp_path: Path, reason: str, arch: str, accuracy: float
) -> None:
    path = table(tmp_path, {"arch": [A, arch, C], "accuracy": [50.0, accuracy, 60.0]})
    with pytest.raises(InputError, match=rf"row 2: {reason} .*1 of 3 rows .*nothing was imported.*--skip-bad"):
        take(store, path)
    assert files(store) == []
    assert take(store, path, skip_bad=True) == ImportReport(2, {reason: 1})
    assert accuracies(store, "nasbench201", "cifar10").accuracies.tolist() == [50.0, 60.0]


def test_text_in_a_csv_is_a_bad_row_not_a_bad_file(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A, B], "accuracy": ["50", "high"]}, "t.csv")
    with pytest.raises(InputError, match=r"row 2: accuracy not a number \('high'\)"):
        take(store, path)
    assert take(store, path, skip_bad=True) == ImportReport(1, {"accuracy not a number": 1})


def test_every_reason_is_counted(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A, A, "x", B, C], "accuracy": [5.0, 5.0, 5.0, 500.0, None]})
    expected = {"duplicate": 1, "unknown architecture": 1, "accuracy outside 0..100": 1, "empty accuracy": 1}
    assert take(store, path, skip_bad=True) == ImportReport(1, expected)


def test_nothing_left_to_import_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no accuracy to import"):
        take(store, table(tmp_path, {"arch": [A], "accuracy": [None]}))


def test_fractions_are_not_percent(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"highest value of column 'accuracy' is 0\.94.*percent"):
        take(store, table(tmp_path, {"arch": [A, B], "accuracy": [0.94, 0.1]}))


def test_an_unknown_column_lists_those_there_are(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch_str": [A], "cifar10_test_200": [50.0]})
    with pytest.raises(
        InputError, match="no column 'arch': it has arch_str, cifar10_test_200; did you mean 'arch_str'"
    ):
        take(store, path, accuracy_column="cifar10_test_200")
    with pytest.raises(InputError, match=r"no column 'cifar10_test'.*did you mean 'cifar10_test_200'"):
        take(store, path, arch_column="arch_str", accuracy_column="cifar10_test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "nasbench210"}, "unknown search space 'nasbench210'"),
        ({"dataset": "cifar-10"}, "no dataset 'cifar-10': it has .*did you mean 'cifar10'"),
        ({"metric": "test-200"}, "metric 'test-200' cannot name a file"),
        ({"metric": "../x"}, "cannot name a file"),
    ],
)
def test_bad_names(store: Store, tmp_path: Path, options: dict[str, str], message: str) -> None:
    path = table(tmp_path, {"arch": [A], "accuracy": [50.0]})
    with pytest.raises(InputError, match=message):
        take(store, path, **options)
    assert files(store) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", b"[]", "must end in .parquet, .csv, .tsv, .txt, .jsonl, .ndjson"),
        ("t.csv.gz", b"arch,accuracy", "cannot read"),
        ("t.parquet", b"no parquet", "cannot read"),
        ("t.parquet", b"", "cannot read"),
        ("t.csv", b"", "cannot read"),
        ("t.csv", b"arch,accuracy\n\xff\xfe,3\n", "cannot read"),
    ],
)
def test_unreadable_files(store: Store, tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        take(store, tmp_path / name)


def test_a_missing_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        take(store, tmp_path / "none.csv")


def test_seeds_are_averaged_and_repeating_does_no_harm(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A, A, B], "accuracy": [50.0, 70.0, 10.0], "run": [0, 1, 0]})
    for _ in range(2):
        assert take(store, path, seed_column="run").taken == 3
    assert accuracies(store, "nasbench201", "cifar10").accuracies.tolist() == [60.0, 10.0]
    table(tmp_path, {"arch": [A], "accuracy": [90.0], "run": [0]})
    take(store, path, seed_column="run")
    assert accuracies(store, "nasbench201", "cifar10").accuracies.tolist() == [90.0]
    assert len(files(store)) == 1


def test_a_bad_seed(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A, B], "accuracy": [50.0, 60.0], "run": ["0", "first"]})
    with pytest.raises(InputError, match="row 2: seed not a whole number"):
        take(store, path, seed_column="run")


def test_metrics_and_datasets_stay_apart(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, {"arch": [A], "accuracy": [50.0]})
    take(store, path)
    take(store, path, metric="valid", dataset="cifar100")
    assert accuracy_tables(store) == [("nasbench201", "cifar10", "test"), ("nasbench201", "cifar100", "valid")]
    with pytest.raises(InputError, match=r"no accuracies for nasbench201:cifar100 with metric 'test' \(it has nas"):
        accuracies(store, "nasbench201", "cifar100")


def test_temporary_files_are_not_read(store: Store, tmp_path: Path) -> None:
    take(store, table(tmp_path, {"arch": [A], "accuracy": [50.0]}))
    (store.accuracies_dir / "nasbench201" / "cifar10" / ".tmp-1-test-x.parquet").write_bytes(b"half")
    assert accuracies(store, "nasbench201", "cifar10").archs == (A,)


def test_a_damaged_table_is_named(store: Store, tmp_path: Path) -> None:
    take(store, table(tmp_path, {"arch": [A], "accuracy": [50.0]}))
    path = store.accuracies_dir / files(store)[0]
    path.write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(DamagedFile, match=r"cannot read .*test-table.parquet: it is damaged .*`zcsr store repair`"):
        accuracies(store, "nasbench201", "cifar10")
    sum_path(path).unlink()  # as of an earlier version
    with pytest.raises(StoreError, match=r"cannot read .*test-table.parquet.*import the table again"):
        accuracies(store, "nasbench201", "cifar10")


def trained(arch: str, seed: int, accuracy: float) -> dict[str, Any]:
    space = {"space": "nasbench201", "dataset": "cifar10", "metric": "test"}
    return {**space, "arch": arch, "seed": seed, "accuracy": accuracy}


def test_trained_blocks_add_up(store: Store) -> None:
    write_accuracies(store, [trained(A, 0, 50.0), trained(A, 1, 60.0)], "trained")
    write_accuracies(store, [trained(B, 0, 70.0)], "trained")
    write_accuracies(store, [trained(B, 0, 70.0)], "trained")
    assert len(files(store)) == 2
    assert accuracies(store, "nasbench201", "cifar10").accuracies.tolist() == [55.0, 70.0]


@pytest.mark.parametrize("row", [trained("x", 0, 50.0), trained(A, 0, 101.0), trained(A, 0, float("nan"))])
def test_trained_rows_are_checked(store: Store, row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="row 1"):
        write_accuracies(store, [row], "trained")
    assert files(store) == []


def test_the_published_table(store: Store, shared: Path) -> None:
    path = shared / "data" / "nb201.parquet"
    report = take(store, path, arch_column="arch_str", accuracy_column="cifar10_test_200")
    assert report == ImportReport(15625, {})
    got = accuracies(store, "nasbench201", "cifar10")
    assert len(got.archs) == 15625
    # The best test accuracy on CIFAR-10 and where it is, as NATS-Bench gives them.
    assert int(got.accuracies.argmax()) == 6111
    assert got.accuracies.max() == pytest.approx(94.373, abs=5e-4)


ROWS = f"arch,accuracy\n{A},90.5\n{B},88\n"
TEXTS = {
    "semicolons.csv": ROWS.replace(",", ";").replace(".", ",").encode(),
    "tabs.tsv": ROWS.replace(",", "\t").encode(),
    "bars-in-quotes.csv": (f'"arch","accuracy"\n"{A}","90.5"\n"{B}","88"\n').encode(),
    "marked.csv": ROWS.encode("utf-8-sig"),
    "utf-16.csv": ROWS.encode("utf-16"),
    "utf-16-without-mark.csv": ROWS.encode("utf-16-le"),
    "utf-16-be.csv": ROWS.encode("utf-16-be"),
    "packed.csv.gz": gzip.compress(ROWS.encode()),
    "lines.jsonl": "".join(json.dumps({"arch": a, "accuracy": v}) + "\n" for a, v in ((A, 90.5), (B, 88))).encode(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_as_people_hold_them(store: Store, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TEXTS[name])
    assert take(store, path).taken == 2
    read = accuracies(store, "nasbench201", "cifar10")
    assert dict(zip(read.archs, read.accuracies.tolist(), strict=True)) == {A: 90.5, B: 88.0}


def test_a_packed_table_is_not_unpacked_without_end(store: Store, tmp_path: Path) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(bytes(1000)))
    with at_most(200), pytest.raises(InputError, match="unpacked it has 1,000 bytes or more, and at most 200"):
        take(store, tmp_path / "bomb.csv.gz")


@pytest.mark.parametrize("value", [300.0, -1e-9, float("nan"), float("inf"), None])
def test_an_accuracy_that_is_no_percentage_is_damage(store: Store, tmp_path: Path, value: float | None) -> None:
    take(store, table(tmp_path, {"arch": [A, B], "accuracy": [50.0, 60.0]}))
    (path,) = store.accuracies_dir.rglob("*.parquet")
    changed = pl.Series("accuracy", [50.0, value], dtype=pl.Float64)
    pl.read_parquet(path).with_columns(changed).write_parquet(path)
    sum_path(path).unlink()
    with pytest.raises(StoreError, match=rf"{path.name} is damaged: the accuracy of .* is .*, no percentage"):
        accuracies(store, "nasbench201", "cifar10")
