from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import zcsr.store
from zcsr.errors import StoreError
from zcsr.store.kept.atomic import (
    exclusive,
    read_json_object,
    replace_directory,
    sweep_temporary,
    temporary_path,
    write_json,
    write_parquet,
    written_aside,
)
from zcsr.store.kept.store import MANIFEST_NAME, SCHEMA_VERSION, Store, default_root


def test_create_makes_a_store_that_opens(tmp_path: Path) -> None:
    made = Store.open(tmp_path / "deep" / "store", create=True)
    assert Store.open(tmp_path / "deep" / "store") == made
    manifest = json.loads((made.root / MANIFEST_NAME).read_text())
    assert manifest["schema"] == SCHEMA_VERSION
    assert manifest["zcsr"] == zcsr.__version__
    assert manifest["created"].endswith("+00:00")


def test_create_again_keeps_the_manifest(tmp_path: Path) -> None:
    first = Store.open(tmp_path, create=True).root.joinpath(MANIFEST_NAME).read_bytes()
    assert Store.open(tmp_path, create=True).root.joinpath(MANIFEST_NAME).read_bytes() == first


@pytest.mark.parametrize("there", [False, True])
def test_what_is_no_store_is_refused_with_the_way_out(tmp_path: Path, there: bool) -> None:
    root = tmp_path if there else tmp_path / "missing"
    with pytest.raises(StoreError, match=r"no store at .*create=True"):
        Store.open(root)
    assert list(tmp_path.iterdir()) == []


def test_create_leaves_folders_of_other_things_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match="holds other files"):
        Store.open(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_create_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="it is a file"):
        Store.open(tmp_path / "file", create=True)


@pytest.mark.parametrize("create", [False, True])
def test_another_schema_version_is_refused_naming_both(tmp_path: Path, create: bool) -> None:
    store = Store.open(tmp_path, create=True)
    write_json({"schema": 7, "zcsr": "9.9"}, store.root / MANIFEST_NAME)
    with pytest.raises(
        StoreError, match=rf"schema version 7 .*9\.9.*reads schema version {SCHEMA_VERSION}: install"
    ):
        Store.open(tmp_path, create=create)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\udcff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match="cannot read"):
        Store.open(tmp_path)


def test_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZCSR_STORE", str(tmp_path / "named"))
    assert default_root() == tmp_path / "named"
    monkeypatch.delenv("ZCSR_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_root() == tmp_path / "data" / "zcsr"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_root() == Path.home() / ".local" / "share" / "zcsr"


def test_a_store_at_the_old_place_is_still_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As on other systems, where the user's data are elsewhere.
    monkeypatch.setattr("zcsr.store.kept.store.user_data_path", lambda *_, **__: tmp_path / "system" / "zcsr")
    monkeypatch.delenv("ZCSR_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_root() == tmp_path / "system" / "zcsr"
    Store.open(tmp_path / "data" / "zcsr", create=True)
    assert default_root() == tmp_path / "data" / "zcsr"


def test_parquet_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "table.parquet"
    for values in ([1, 2], [3]):
        write_parquet(pl.DataFrame({"x": values}), path)
        assert pl.read_parquet(path)["x"].to_list() == values
    assert {file.name for file in path.parent.iterdir()} == {"table.parquet", ".table.parquet.sum"}


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json({"good": True}, path)

    def interrupted() -> None:
        with written_aside(path) as aside:
            assert aside.name.startswith(".tmp-")
            assert aside.parent == path.parent
            aside.write_text("half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_json_object(path) == {"good": True}
    assert {file.name for file in tmp_path.iterdir()} == {"state.json", ".state.json.sum"}


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"tau": float("nan")}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_directory_appears_at_once_and_never_over_another(tmp_path: Path) -> None:
    final = tmp_path / "0003"
    for content in ("first", "second"):
        aside = temporary_path(final)
        (aside / "inner").mkdir(parents=True)
        (aside / "inner" / "file").write_text(content)
        if content == "first":
            replace_directory(aside, final)
            assert not aside.exists()
        else:
            with pytest.raises(StoreError, match="cannot write"):
                replace_directory(aside, final)
    assert (final / "inner" / "file").read_text() == "first"


def test_sweep_removes_only_old_temporary_things(tmp_path: Path) -> None:
    old_file, old_folder, young = (tmp_path / f".tmp-1-{name}" for name in ("file", "folder", "young"))
    old_folder.mkdir()
    (old_folder / "x").write_text("")
    for path in (old_file, young, tmp_path / "kept"):
        path.write_text("")
    past = time.time() - 7200
    for path in (old_file, old_folder, tmp_path / "kept"):
        os.utime(path, (past, past))
    sweep_temporary(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".tmp-1-young", "kept"}
    sweep_temporary(tmp_path / "missing")


def _append_slowly(folder: Path) -> None:
    for _ in range(20):
        with exclusive(folder):
            count = int((folder / "count").read_text())
            time.sleep(0.002)
            (folder / "count").write_text(str(count + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_lock_keeps_processes_apart(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_slowly, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert (tmp_path / "count").read_text() == "60"


def test_every_public_name_can_be_imported() -> None:
    assert {name for name in zcsr.store.__all__ if not hasattr(zcsr.store, name)} == set()
    assert set(zcsr.store.__all__) <= set(dir(zcsr.store))
    with pytest.raises(AttributeError, match="no attribute 'pickle'"):
        _ = zcsr.store.pickle


def test_the_package_loads_nothing_heavy() -> None:
    program = "import sys, zcsr.store; print(sorted({'torch', 'polars', 'duckdb', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
