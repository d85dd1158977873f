"""Scores of other people's proxies, from a table into the store and out of it in SQL."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from commands import zcsr

from zcsr.errors import InputError, StoreError
from zcsr.spaces import get_space
from zcsr.store import Store, query, verify
from zcsr.store.importers.proxy_scores import ScoresReport, import_scores

SPACE = get_space("nasbench201")
ARCHS = [SPACE.arch(index) for index in (5, 3, 4)]
ON = {"space": "nasbench201", "dataset": "cifar10"}
ROWS = "SELECT source, task, proxy, arch, score FROM proxy_scores ORDER BY source, proxy, arch"


def table(path: Path, **columns: object) -> Path:
    frame = pl.DataFrame({"arch": ARCHS, **columns}, strict=False)
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def stored(store: Store) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for source, task, proxy, arch, score in query(store, ROWS).rows():
        assert task == "nasbench201:cifar10"
        found.setdefault((source, proxy), {})[arch] = score
    return found


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_column_of_floats_is_a_proxy(store: Store, tmp_path: Path, suffix: str) -> None:
    path = table(
        tmp_path / f"t.{suffix}",
        snip=[0.5, -1.0, 3.0],
        nwot=[1e-9, 2.5, 2.0],
        index=[1, 2, 3],
        note=["a", "b", "c"],
    )
    report = import_scores(store, path, source="others", **ON)
    assert report == ScoresReport(6, {}, ("snip", "nwot"))
    assert stored(store) == {
        ("others", "snip"): dict(zip(ARCHS, [0.5, -1.0, 3.0], strict=True)),
        ("others", "nwot"): dict(zip(ARCHS, [1e-9, 2.5, 2.0], strict=True)),
    }


def test_named_columns_only_and_whole_numbers_when_named(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", snip=[0.5, -1.0, 3.0], params=[10, 20, 30])
    report = import_scores(store, path, source="others", columns=["params", "params"], **ON)
    assert report == ScoresReport(3, {}, ("params",))
    assert stored(store) == {("others", "params"): dict(zip(ARCHS, [10.0, 20.0, 30.0], strict=True))}


def test_again_changes_nothing_and_more_is_added(store: Store, tmp_path: Path) -> None:
    first = table(tmp_path / "first.parquet", snip=[0.5, -1.0, math.nan])
    import_scores(store, first, source="others", **ON)
    (file,) = (store.root / "proxy_scores").rglob("*.parquet")
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    import_scores(store, first, source="others", **ON)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    second = table(tmp_path / "second.parquet", zen=[7.0, 8.0, 9.0])
    import_scores(store, second, source="others", **ON)
    third = table(tmp_path / "third.parquet", snip=[4.5, None, 6.0])
    assert import_scores(store, third, source="others", **ON).skipped == {"empty score": 1}
    import_scores(store, first, source="ours", **ON)
    found = stored(store)
    assert found["others", "zen"] == dict(zip(ARCHS, [7.0, 8.0, 9.0], strict=True))
    assert found["others", "snip"] == dict(zip(ARCHS, [4.5, -1.0, 6.0], strict=True))
    assert found["ours", "snip"][ARCHS[0]] == 0.5
    verify(store)


def test_numbers_that_are_not_finite_are_taken_and_empty_cells_are_not(store: Store, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"arch,zen\n{ARCHS[0]},-inf\n{ARCHS[1]},nan\n{ARCHS[2]},\n")
    assert import_scores(store, tmp_path / "t.csv", source="others", **ON) == ScoresReport(
        2, {"empty score": 1}, ("zen",)
    )
    found = stored(store)["others", "zen"]
    assert found[ARCHS[0]] == -math.inf
    assert math.isnan(found[ARCHS[1]])
    assert set(found) == set(ARCHS[:2])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """In turn: a good row, a word for a number, an unknown architecture, the first once more, a good row."""
    rows = [(ARCHS[0], "1.5", "1"), (ARCHS[1], "many", "2"), ("|none|", "3", "3"), (ARCHS[0], "4", "4")]
    text = "\n".join(",".join(row) for row in [("arch", "snip", "zen"), *rows, (ARCHS[2], "5.5", "5")])
    (tmp_path / "bad.csv").write_text(text)
    return tmp_path / "bad.csv"


def test_bad_rows_stop_it(store: Store, bad: Path) -> None:
    with pytest.raises(InputError) as caught:
        import_scores(store, bad, source="others", columns=["snip", "zen"], **ON)
    message = str(caught.value)
    assert "row 2: score not a number (column 'snip' holds 'many')" in message
    assert "5 of 10 scores cannot be taken" in message
    assert "--skip-bad" in message
    assert stored(store) == {}


def test_bad_rows_are_left_out_and_counted(store: Store, bad: Path) -> None:
    report = import_scores(store, bad, source="others", columns=["snip", "zen"], skip_bad=True, **ON)
    assert report.taken == 5
    assert report.skipped == {"score not a number": 1, "unknown architecture": 2, "duplicate": 2}
    assert stored(store) == {
        ("others", "snip"): {ARCHS[0]: 1.5, ARCHS[2]: 5.5},
        ("others", "zen"): {ARCHS[0]: 1.0, ARCHS[1]: 2.0, ARCHS[2]: 5.0},
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": ["snap"]}, "no column 'snap': it has arch, snip, note; did you mean 'snip'"),
        ({"arch_column": "network"}, "no column 'network'"),
        ({"space": "nasbench202"}, "did you mean 'nasbench201'"),
        ({"dataset": "cifar11"}, "cifar11"),
        ({"source": "a/b"}, "source 'a/b' cannot name a file"),
        ({"columns": ["note"], "skip_bad": True}, "has no score to import in note (3 rows)"),
        ({"arch_column": "snip"}, "has no column of floats beside 'snip'"),
    ],
)
def test_what_is_refused(store: Store, tmp_path: Path, changed: dict[str, object], message: str) -> None:
    path = table(tmp_path / "t.parquet", snip=[0.5, 1.5, 2.5], note=["a", "b", "c"])
    with pytest.raises(InputError) as caught:
        import_scores(store, path, **({"source": "others", **ON} | changed))  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert not (store.root / "proxy_scores").exists()


def test_a_damaged_file_is_told(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", snip=[0.5, 1.5, 2.5])
    import_scores(store, path, source="others", **ON)
    (file,) = (store.root / "proxy_scores").rglob("*.parquet")
    file.write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"others\.parquet"):
        import_scores(store, path, source="others", **ON)


def test_the_command(bad: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    words = ("import", "scores", str(bad), "--source", "others", "--space", "nasbench201", "--dataset", "cifar10")
    columns = ("--column", "snip", "--column", "zen", "--store", str(root))
    code, _, err = zcsr(*words, *columns)
    assert (code, len(err.splitlines())) == (2, 1)
    assert zcsr(*words, *columns, "--skip-bad") == (
        0,
        "",
        "5 rows taken, 5 skipped; 1 skipped: score not a number; 2 skipped: unknown architecture; "
        "2 skipped: duplicate; proxies of others: snip, zen\n",
    )
    assert len(stored(Store.open(root))) == 2


def test_suite_zero_scores_rank_as_published(store: Store, shared: Path) -> None:
    """Kendall's tau with test accuracy that the table's own notes give: nwot .624, synflow .581."""
    from scipy.stats import kendalltau

    data = shared / "data"
    report = import_scores(
        store,
        data / "nb201_zc_suitezero_cifar10.parquet",
        source="suite-zero",
        arch_column="arch_str",
        columns=["synflow", "nwot"],
        **ON,
    )
    assert report == ScoresReport(2 * 9445, {}, ("synflow", "nwot"))
    accuracies = pl.read_parquet(data / "nb201.parquet").select(arch="arch_str", accuracy="cifar10_test_200")
    rows = query(store, ROWS).join(accuracies, on="arch")
    for proxy, expected in (("nwot", 0.624), ("synflow", 0.581)):
        of_proxy = rows.filter(pl.col("proxy") == proxy)
        assert of_proxy.height == 9445
        assert kendalltau(of_proxy["score"], of_proxy["accuracy"]).statistic == pytest.approx(expected, abs=0.0006)
