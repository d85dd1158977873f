"""What a wheel brings into a user's environment: the package `zcsr` and nothing beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import zcsr
from zcsr.spaces import get_space
from zcsr.store.kept.accuracies import accuracies
from zcsr.store.kept.images import install_missing
from zcsr.store.kept.store import Store

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "zcsr": "zcsr",
    "store": "zcsr/store",
    "queries": "zcsr/queries",
    "reports": "zcsr/reports",
    "api": "zcsr/api",
    "cli": "zcsr/cli",
}
DATA = {"queries": "*.sql", "reports": "templates/*", "zcsr": "data/*"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from, so that building leaves nothing in the tree."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def content(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_nothing_but_zcsr_at_the_top(content: set[str]) -> None:
    tops = {name.split("/")[0] for name in content}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"zcsr"}
    assert len(tops) == 2


def test_every_module_is_in_the_wheel_and_no_other(content: set[str]) -> None:
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name for name in content if name.endswith(".py")} == expected


def test_the_data_files_are_in_the_wheel(content: set[str]) -> None:
    expected = {
        f"{FOLDERS[folder]}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, pattern in DATA.items()
        for path in (ROOT / folder).glob(pattern)
        if path.is_file()
    }
    assert "zcsr/py.typed" in content
    assert any(name.endswith(".sql") for name in expected)
    assert expected <= content


def test_published_reports_stay_at_home(content: set[str]) -> None:
    assert not {name for name in content if "reports/published" in name}


def test_the_licence_and_the_command_are_declared(wheel: Path, content: set[str]) -> None:
    (metadata,) = (name for name in content if name.endswith(".dist-info/METADATA"))
    (entry_points,) = (name for name in content if name.endswith("entry_points.txt"))
    with zipfile.ZipFile(wheel) as archive:
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()
        assert "zcsr = zcsr.cli:main" in archive.read(entry_points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in content)


def test_an_installed_wheel_finds_its_queries(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import zcsr.queries as q; print(q.__file__, *q.names())"
    place, *names = run(sys.executable, "-c", code, cwd=tmp_path).split()
    assert Path(place) == site / "zcsr" / "queries" / "__init__.py"
    assert sorted(names) == sorted(path.stem for path in (ROOT / "queries").glob("*.sql"))


def test_an_installed_wheel_works_as_a_command(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    there = {path.relative_to(site / "zcsr" / "data").as_posix() for path in (site / "zcsr" / "data").rglob("*.*")}
    kept = {path.name for path in (ROOT / "zcsr" / "data").iterdir() if path.is_file()}
    assert kept <= there
    assert f"Version: {zcsr.__version__}\n" in next(site.glob("zcsr-*.dist-info/METADATA")).read_text("utf-8")
    beside = {**os.environ, "PYTHONPATH": str(site), "ZCSR_STORE": str(tmp_path / "store")}

    def said(*words: str) -> str:
        command = [sys.executable, str(site / "bin" / "zcsr"), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=beside
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said("--version").strip() == zcsr.__version__
    assert "nasbench201-mini" in said("spaces")
    said("collect", "mobile-mini", "fashion-mnist", "--sample", "1", "--workers", "1")
    assert said("query", "SELECT count(*) AS n FROM accuracies", "-f", "csv").splitlines()[0] == "n"
    assert "networks" in said("query")


def test_no_document_says_to_install_what_is_not_published() -> None:
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if re.search(r"pip install '?zcsr", line)] == [], path.name


def test_the_shipped_benchmarks_are_the_published_ones(tmp_path: Path) -> None:
    """Figures of NATS-Bench's paper and site, and the parameter count's tau, which fix values and order alike."""
    files = {path.name: pl.read_parquet(path) for path in (ROOT / "zcsr" / "data").glob("benchmark-*.parquet")}
    topology, size = files["benchmark-nasbench201.parquet"], files["benchmark-nats-sss.parquet"]
    assert (len(topology), len(size)) == (15_625, 32_768)
    for dataset, best, place in (
        ("cifar10", 94.373, 6111),
        ("cifar100", 73.513, 9930),
        ("imagenet16-120", 47.311, 857),
    ):
        assert round(topology[dataset].max(), 3) == best
        assert topology[dataset].arg_max() == place
    assert [round(size[name].max(), 2) for name in size.columns] == [93.65, 71.34, 47.4]
    space = get_space("nasbench201")
    archs = [space.arch(index) for index in range(0, 15_625, 5)]
    params = [28_000 * arch.count("nor_conv_1x1") + 243_040 * arch.count("nor_conv_3x3") for arch in archs]
    tau = stats.kendalltau(params, topology["cifar10"].gather_every(5)).statistic
    assert abs(tau - 0.578) < 0.02
    shipped = sum(path.stat().st_size for path in (ROOT / "zcsr" / "data").glob("*.parquet"))
    assert shipped < 2_000_000
    store = Store.open(tmp_path / "store", create=True)
    assert install_missing(store, [("nasbench201", "cifar100")]) == (("nasbench201", "cifar100"),)
    table = accuracies(store, "nasbench201", "cifar100")
    by_arch = dict(zip(table.archs, table.accuracies, strict=True))
    assert [by_arch[space.arch(index)] for index in range(50)] == topology["cifar100"].head(50).to_list()


def test_the_shipped_accuracies_rank_their_networks() -> None:
    """Of the networks that learn at all, the means of every other seed agree, in each space."""
    (table,) = (ROOT / "zcsr" / "data").glob("accuracies-*.parquet")
    rows = pl.read_parquet(table)
    for (space,), of_space in rows.group_by("space"):
        seeds = of_space.pivot("seed", index="arch", values="accuracy").drop("arch").to_numpy().astype(float)
        assert len(seeds) >= 50, space
        assert not np.isnan(seeds).any(), space
        if seeds.shape[1] == 1:
            continue
        learned = seeds[seeds.mean(axis=1) >= 60]
        halves = learned[:, ::2].mean(axis=1), learned[:, 1::2].mean(axis=1)
        assert stats.kendalltau(*halves).statistic >= 0.5, space
