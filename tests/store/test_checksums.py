"""Checksums: what is not what was written is never believed, and nobody is accused who did nothing."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
import store_samples as samples
from commands import Result, done, zcsr
from damaging import forget, without_sums

from zcsr.errors import StoreError
from zcsr.store.jobs.damages import examine
from zcsr.store.jobs.remedies import KINDS, kind_of
from zcsr.store.jobs.verify import verify_store
from zcsr.store.kept.atomic import kept, read_json_object, sweep_temporary, write_json
from zcsr.store.kept.checksums import (
    DamagedFile,
    Known,
    check,
    content_of,
    files_in,
    is_there,
    read_checked,
    read_sum,
    remove,
    sum_path,
    summed,
    write_sum,
)
from zcsr.store.kept.runs import open_run, run_names
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query, rebuild
from zcsr.store.tables.declarations import FEEDS

DAMAGE = {
    "flip": lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    "cut short": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "emptied": lambda content: b"",
    "longer": lambda content: content + b" ",
}


@pytest.fixture(scope="module")
def kept_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A filled store with an index, which no test changes."""
    store = samples.filled_store(tmp_path_factory.mktemp("kept"))
    shutil.rmtree(store.statistics_dir)  # summaries alone, which are no sound statistics
    rebuild(store)
    return store


@pytest.fixture
def store(tmp_path: Path, kept_store: Store) -> Store:
    """A filled store of the test's own, with an index."""
    shutil.copytree(kept_store.root, tmp_path / "store", copy_function=shutil.copy2)
    forget()
    return Store(tmp_path / "store")


def written(path: Path, *contents: str) -> Path:
    for content in contents:
        with kept(path) as aside:
            aside.write_text(content)
    return path


def refused(words: list[str], store: Store, *named: str) -> Result:
    result = zcsr(*words, store=store.root)
    assert (result.code, len(result.lines)) == (3, 1), result
    assert all(name in result.err for name in named)
    return result


# A file and its checksum -----------------------------------------------------------------------------------------


def test_a_checksum_says_what_sha256_says(tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", "first", "second")
    lines = sum_path(path).read_text().splitlines()
    digests = [hashlib.sha256(content).hexdigest() for content in (b"second", b"first")]
    assert lines[:3] == ["x.txt", f"sha256 {digests[0]} 6", f"sha256 {digests[1]} 5"]
    assert read_checked(path) == b"second"
    for _ in range(9):
        written(path, "again")
    known = read_sum(path)
    assert known is not None
    assert len(known.contents) == 4


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_named_and_survives_being_handed_on(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "x.txt", "content of some length")
    check(path)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    forget()
    for read in (check, read_checked):
        with pytest.raises(DamagedFile, match=r"x\.txt: it is damaged .*restore it .*zcsr store repair"):
            read(path)
    with pytest.raises(DamagedFile) as raised:
        check(path)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_checksum_accuses_nobody(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "x.txt", "content")
    sum_path(path).write_bytes(DAMAGE[how](sum_path(path).read_bytes()))
    with pytest.raises(DamagedFile, match=r"\.x\.txt\.sum"):
        read_sum(path)
    assert read_checked(path) == b"content"


def test_every_flipped_bit_of_a_checksum_shows(tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", "content")
    content = sum_path(path).read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        sum_path(path).write_bytes(changed)
        with pytest.raises(DamagedFile):
            read_sum(path)


def test_swapped_files_are_both_found(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a", "one"), written(tmp_path / "b", "two")
    one.write_text("two")
    other.write_text("one")
    for path in (one, other):
        with pytest.raises(DamagedFile):
            check(path)
    one.write_text("one")
    other.write_text("two")
    (first, second) = (sum_path(path).read_bytes() for path in (one, other))
    sum_path(one).write_bytes(second)
    sum_path(other).write_bytes(first)
    assert read_checked(one) == b"one"  # a checksum knows whose it is


def test_only_a_file_that_was_not_taken_away_properly_is_missed(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", "content")
    assert files_in(tmp_path) == [path]
    path.unlink()
    for ask in (is_there, lambda one: files_in(one.parent)):
        with pytest.raises(DamagedFile, match=r"x\.parquet is gone"):
            ask(path)
    written(path, "content")
    remove(path)
    assert not is_there(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [[], ["former"]])
@pytest.mark.parametrize("at", [1, 2])
def test_a_kill_between_a_file_and_its_checksum_accuses_nobody(
    tmp_path: Path, before: list[str], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    path = written(tmp_path / "x.parquet", *before)
    real, count = os.replace, iter(range(1, 9))

    def replace_or_die(source: Path, target: Path) -> None:
        if next(count) == at:
            monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
            raise Killed
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_or_die)
        with pytest.raises(Killed):
            written(path, "later")
    monkeypatch.undo()
    assert is_there(path) is bool(before)
    assert not before or read_checked(path) == b"former"
    sweep_temporary(tmp_path, older_than=0.0)
    assert is_there(path) is bool(before)
    assert read_checked(written(path, "later")) == b"later"


def test_a_write_that_fails_leaves_no_checksum_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("zcsr.store.kept.atomic.os.replace", full)
        with pytest.raises(OSError, match="No space"):
            written(tmp_path / "x", "content")
    assert list(tmp_path.iterdir()) == []


def test_readers_never_meet_a_file_between_two_states(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json({"number": 0}, path)

    def write() -> None:
        for number in range(1, 150):
            write_json({"number": number}, path)

    writer = threading.Thread(target=write)
    writer.start()
    seen = [0]
    while writer.is_alive():
        forget()
        seen.append(read_json_object(path)["number"])
    writer.join()
    assert seen == sorted(seen)
    assert read_json_object(path) == {"number": 149}


# A store ---------------------------------------------------------------------------------------------------------


def test_every_file_of_a_store_has_a_checksum_and_a_remedy(store: Store) -> None:
    files = [path for path in store.root.rglob("*") if path.is_file() and summed(path.name) is None]
    without = [path.name for path in files if not sum_path(path).is_file()]
    assert without == ["index.duckdb"]
    unknown = [path for path in files if kind_of(path.relative_to(store.root).as_posix()) is None]
    assert [path.name for path in unknown] == ["index.duckdb"]
    patterns = {kind.pattern.replace("{generation}", "1") for kind in KINDS}
    assert len(patterns) == len(KINDS)
    assert all(kind_of(pattern.replace("*", "x").replace("{generation}", "1")) for pattern in FEEDS)


FILES = [
    "accuracies/nasbench201/cifar10/test-made.parquet",
    "proxy_scores/nasbench201/cifar10/made.parquet",
    "runs/first/run.json",
    "runs/first/split.parquet",
    "runs/first/generations/0001/taus.parquet",
    "runs/second/generations/0002/genotypes.parquet",
    "searches/made/search.json",
    "costs/20260102-030405-00000001.json",
]


@pytest.mark.parametrize("name", FILES)
def test_damage_is_refused_by_queries_named_by_verify_and_moved_by_repair(store: Store, name: str) -> None:
    file = store.root / name
    good = file.read_bytes()
    file.write_bytes(DAMAGE["flip"](good))
    refused(["query", "SELECT count(*) FROM runs"], store, name, "damaged")
    refused(["store", "rebuild"], store, name)
    verified = zcsr("store", "verify", store=store.root)
    assert verified.code == 3
    (line,) = verified.out.splitlines()
    assert line.startswith(f"{file} is damaged (its ")
    assert "restore it from a copy; without one, " in line
    assert "rebuild" not in verified.out + verified.err
    repaired = zcsr("store", "repair", store=store.root)
    assert name in repaired.out
    # Without accuracies, the runs on them are not sound.
    assert repaired.code == (3 if name.startswith("accuracies") else 0)
    (moved,) = (store.root / "damaged").iterdir()
    assert (moved / name).read_bytes() == DAMAGE["flip"](good)
    done("query", "SELECT count(*) FROM runs", store=store.root)


@pytest.mark.parametrize("name", ["proxy_scores/nasbench201/cifar10/made.parquet", "runs/first/run.json"])
def test_what_is_gone_is_said_until_it_is_back_or_given_up(store: Store, name: str) -> None:
    file = store.root / name
    good = file.read_bytes()
    file.unlink()
    refused(["query", "SELECT count(*) FROM runs"], store, f"{name} is gone")
    verified = zcsr("store", "verify", store=store.root)
    assert verified.out.startswith(f"{file} is gone: restore it from a copy; without one, ")
    file.write_bytes(good)
    done("store", "verify", store=store.root)
    done("query", "SELECT count(*) FROM runs", store=store.root)
    file.unlink()
    done("store", "repair", store=store.root)
    done("query", "SELECT count(*) FROM runs", store=store.root)


def test_readers_beside_sql_refuse_as_well(store: Store) -> None:
    for name, read in {
        "runs/first/generations/0001/taus.parquet": lambda: list(open_run(store, "first").generations()),
        "runs/first/split.parquet": lambda: open_run(store, "first").tasks(),
        "runs/first/run.json": lambda: open_run(store, "first").info(),
    }.items():
        file = store.root / name
        good = file.read_bytes()
        file.write_bytes(DAMAGE["flip"](good))
        forget()
        with pytest.raises(DamagedFile, match=file.name):
            read()
        file.write_bytes(good)
    (store.runs_dir / "first" / "run.json").unlink()
    with pytest.raises(DamagedFile, match=r"first/run\.json is gone"):
        run_names(store)


def test_the_record_of_a_folder_is_missed_without_checksums_too(store: Store) -> None:
    samples.write_statistics(store)
    without_sums(store.root)
    for name in ("runs/first/run.json", "searches/made/search.json"):
        file = store.root / name
        good = file.read_bytes()
        file.unlink()
        refused(["query", "SELECT 1 AS one"], store, f"{name} is gone")
        file.write_bytes(good)
    record = next(store.statistics_dir.glob("*/collection.json"))
    record.unlink()
    refused(["query", "SELECT 1 AS one"], store, "collection.json is gone")


def test_a_damaged_generation_takes_the_later_ones_along_and_the_run_goes_on(store: Store) -> None:
    run = open_run(store, "first")
    run.set_status("finished")
    file = store.runs_dir / "first/generations/0001/scores.parquet"
    file.write_bytes(DAMAGE["cut short"](file.read_bytes()))
    said = done("store", "repair", store=store.root).out
    assert "`zcsr evolve --resume --run first` makes it again" in said
    assert [folder.name for folder in sorted((store.runs_dir / "first/generations").iterdir())] == ["0000"]
    assert open_run(store, "first").info().status == "interrupted"
    moved = next((store.root / "damaged").iterdir()) / "runs/first/generations"
    assert sorted(folder.name for folder in moved.iterdir()) == ["0001", "0002"]


def test_a_run_that_is_worked_on_is_not_repaired(store: Store) -> None:
    file = store.runs_dir / "first/generations/0001/scores.parquet"
    file.write_bytes(b"")
    with open_run(store, "first").worked_on():
        refused(["store", "repair"], store, "run first is being worked on")
    assert file.exists()


def test_a_damaged_run_is_made_again_by_the_command_that_its_costs_tell(store: Store) -> None:
    (store.runs_dir / "first" / "run.json").write_text("{}")
    assert (
        "without one, nothing else says what the run is: `zcsr evolve` makes"
        in zcsr("store", "verify", store=store.root).out
    )


def test_an_index_is_blamed_only_where_the_files_are_known_to_be_right(store: Store) -> None:
    with duckdb.connect(str(store.index_path)) as index:
        index.execute("UPDATE taus SET tau = tau + 1 WHERE run = 'first' AND generation = 0")
    assert "`zcsr store rebuild` makes the index anew" in zcsr("store", "verify", store=store.root).out
    without_sums(store.root)
    said = zcsr("store", "verify", store=store.root).out
    assert "0000/taus.parquet" in said
    assert "restore it from a copy, for the index is right" in said
    left = zcsr("store", "repair", store=store.root)
    assert left.code == 3
    assert "restore it from a copy" in left.out


def test_repair_makes_a_damaged_index_anew(store: Store) -> None:
    with duckdb.connect(str(store.index_path)) as index:
        index.execute("DELETE FROM taus WHERE run = 'first'")
    assert "index.duckdb has been made anew" in done("store", "repair", store=store.root).out
    done("store", "verify", store=store.root)


def test_a_store_of_an_earlier_version_is_read_counted_and_given_checksums(store: Store) -> None:
    without_sums(store.root)
    files = len(examine(store).without_sum)
    done("query", "SELECT count(*) FROM runs", store=store.root)
    verified = done("store", "verify", store=store.root)
    assert f"{files:,} files have no checksum" in verified.err
    assert f"{files:,} files of an earlier zcsr have got checksums" in done("store", "repair", store=store.root).out
    assert examine(store) == examine(store)
    assert verify_store(store).without_sum == 0
    assert len(list(store.root.rglob(".*.sum"))) == files


def test_what_a_killed_writer_left_is_no_damage(store: Store) -> None:
    left = store.root / "scores" / "made" / ".tmp-1-0123abcd-x.parquet"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"PAR1")
    sum_path(left.with_name("x.parquet")).write_text("")
    assert [damage.file for damage in examine(store).damages] == [left.with_name("x.parquet")]
    sum_path(left.with_name("x.parquet")).unlink()
    assert examine(store).damages == ()


def test_a_checksum_alone_that_is_damaged_is_made_anew(store: Store) -> None:
    target = sum_path(store.root / FILES[0])
    target.write_text("")
    done("query", "SELECT count(*) FROM runs", store=store.root)
    verified = zcsr("store", "verify", store=store.root)
    assert f"{FILES[0]} has a checksum that is damaged: `zcsr store repair`" in verified.out
    done("store", "repair", store=store.root)
    assert read_sum(store.root / FILES[0]) == Known((content_of(store.root / FILES[0]),))
    done("store", "verify", store=store.root)


def test_a_damaged_manifest_is_named_and_written_anew(store: Store) -> None:
    manifest = store.root / "manifest.json"
    for damage in (lambda: manifest.write_text("{}"), manifest.unlink):
        damage()
        refused(["query", "SELECT 1 AS one"], store, "manifest.json")
        done("store", "repair", store=store.root)
        done("query", "SELECT 1 AS one", store=store.root)


def test_accuracies_that_are_gone_with_their_folder_are_missed_by_the_runs(store: Store) -> None:
    shutil.rmtree(store.accuracies_dir / "nasbench201" / "cifar10")
    verified = zcsr("store", "verify", store=store.root)
    assert verified.code == 3
    assert "22 networks of nasbench201:cifar10 in run first have no test accuracy any more" in verified.out


WRITING = """
import sys
import store_samples as samples
from pathlib import Path
from zcsr.store.kept.runs import open_run
from zcsr.store.kept.store import Store

store = Store(Path(sys.argv[1]))
samples.write_run(store, "now", generations=0, test=False)
run = open_run(store, "now")
print("begun", flush=True)
for number in range(10):
    run.append(samples.generation(number))
    run.set_status("running", 1.0)
    samples.write_cost(store, "20260102-030405-00000002", seconds=float(number))
    samples.write_proxy_scores(store)
"""


def test_verify_during_a_run_raises_no_alarm(store: Store) -> None:
    query(store, "SELECT 1")
    command = [sys.executable, "-c", WRITING, str(store.root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        verdicts = []
        while writer.poll() is None or not verdicts:
            verdicts.append(verify_store(store))
            query(store, "SELECT count(*) FROM costs")
    assert writer.returncode == 0
    assert [verdict.problems for verdict in verdicts] == [()] * len(verdicts)
    assert [verdict.without_sum for verdict in verdicts] == [0] * len(verdicts)


def test_what_users_write_gets_no_checksum(store: Store, tmp_path: Path) -> None:
    done("query", "FROM runs", "--out", str(tmp_path / "out" / "runs.parquet"), store=store.root)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["runs.parquet"]


def test_a_store_error_is_what_damage_is() -> None:
    assert issubclass(DamagedFile, StoreError)
    assert DamagedFile.exit_code == 3


def test_a_written_sum_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path / "x", "content")
    known = Known((content_of(path),), head="0" * 64)
    write_sum(path, known)
    assert read_sum(path) == known
