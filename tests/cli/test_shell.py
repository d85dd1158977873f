"""What a user meets in a shell: each command here is a process of its own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from commands import Result, zcsr

from zcsr.spaces import get_space
from zcsr.store import Store
from zcsr.store.kept.accuracies import write_accuracies

TASK = {"space": "nds-darts", "dataset": "cifar10"}
ZCSR = Path(sys.executable).parent / "zcsr"


def shell(*words: str, store: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    named = {} if store is None else {"ZCSR_STORE": str(store)}
    return subprocess.run(
        [str(ZCSR), *words],
        env={**os.environ, **named, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str, code: int = 2) -> None:
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (code, ""), done
    assert last.startswith("zcsr: ")
    assert all(part in last for part in parts), last


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with accuracies of five networks of a space of 1e27, and of more of a small one, and no scores."""
    store = Store.open(tmp_path_factory.mktemp("shell") / "store", create=True)
    rows = [
        {
            "space": "nds-darts",
            "dataset": "cifar10",
            "metric": "test",
            "arch": arch,
            "seed": 0,
            "accuracy": 90.0 + n,
        }
        for n, arch in enumerate(get_space("nds-darts").arch(7 * index) for index in range(5))
    ]
    write_accuracies(store, rows, "mine")
    return store.root


def test_the_store_may_be_named_before_the_command_and_behind_it(filled: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert shell("--store", str(filled), "store", "path", ZCSR_STORE=nowhere).stdout.strip() == str(filled)
    assert shell("--store", nowhere, "store", "path", "--store", str(filled)).stdout.strip() == str(filled)
    assert shell("store", "path", store=filled).stdout.strip() == str(filled)


def test_a_run_that_is_not_there_is_told_with_those_that_are(filled: Path) -> None:
    assert_refused(shell("query", "finalists", "-p", "run=nope", store=filled), "no run 'nope'", "has no run yet")
    task = zcsr("query", "comparison", "-p", "task=nds-darts:cifar1", store=filled)
    assert "no task 'nds-darts:cifar1': there are nds-darts:cifar10" in task.err
    none = zcsr("query", "finalists", store=filled)
    assert (none.code, none.err) == (0, "no rows\n")


def test_an_ending_that_says_no_format_is_refused(filled: Path, tmp_path: Path) -> None:
    for name, seen in (("x.xlsx", "the ending .xlsx"), ("x", "a name without an ending")):
        refused = shell("query", "runs", "--out", str(tmp_path / name), store=filled)
        assert_refused(refused, seen, ".csv, .json, .md, .parquet")
    assert "the ending .doc" in zcsr("export", "eznas-a", "--out", str(tmp_path / "x.doc")).err
    assert not list(tmp_path.iterdir())
    assert shell("query", "runs", "-f", "csv", "--out", str(tmp_path / "x.xlsx"), store=filled).returncode == 0
    assert (tmp_path / "x.xlsx").read_text().startswith("run,status,")


def test_the_list_of_queries_is_grouped_and_whole_at_80_columns() -> None:
    from zcsr import queries

    listed = shell("query", COLUMNS="80").stdout
    titles = [line for line in listed.splitlines() if line.endswith(":")]
    assert titles == [f"{title}:" for title in queries.GROUPS.values()]
    for name in queries.names():
        assert f"\n{name} " in listed
        assert queries.load(name).brief in listed
    assert "…" not in listed


def test_trained_networks_are_scored_and_a_sample_without_accuracies_is_told(filled: Path) -> None:
    task = ("test", "--task", "nds-darts:cifar10", "--proxy", "params", "--workers", "1")
    sampled = shell(*task, "--sample", "2", store=filled)
    assert "0 of the 2 networks have a test accuracy to be ranked by; --trained scores the 5" in sampled.stderr
    trained = zcsr(*task, "--trained", store=filled)
    assert "5 networks scored" in trained.err
    assert trained.out.splitlines()[-1].split()[-2:] == ["5", "0"]
    found = zcsr("search", "--task", "nds-darts:cifar10", "--proxy", "naswot", store=filled)
    assert "`zcsr test --task nds-darts:cifar10 --proxy naswot --trained` makes them" in found.err


def test_a_genotype_imports_by_itself_and_two_trainings_are_not_mixed_in_silence(tmp_path: Path) -> None:
    cell = "[('sep_conv_3x3', 0), ('skip_connect', 1)" + ", ('skip_connect', 0), ('skip_connect', 1)" * 3 + "]"
    text = f"Genotype(normal={cell}, normal_concat=range(2, 6), reduce={cell}, reduce_concat=range(2, 6))"
    for name, accuracy in (("first", 95.0), ("second", 90.0)):
        pl.DataFrame({"arch": [text], "accuracy": [accuracy]}).write_csv(tmp_path / f"{name}.csv")
    store = tmp_path / "store"

    def imported(name: str, *more: str) -> Result:
        words = ("--space", "nds-darts", "--dataset", "cifar10", "--accuracy-column", "accuracy", *more)
        return zcsr("import", "accuracies", str(tmp_path / f"{name}.csv"), *words, store=store)

    assert "say --width and --depth" in imported("first").err
    size = ("--width", "36", "--depth", "20")
    assert imported("first", *size).code == 0
    assert "has test accuracies of nds-darts:cifar10 from first" in imported("second", *size).err
    assert imported("second", *size, "--same-training").code == 0
    tested = shell("test", "-t", "nds-darts:cifar10", "--trained", "--proxy", "params", "-w", "1", store=store)
    assert "are from first (1 networks), second (1 networks): of several of one network the mean" in tested.stderr
    means = zcsr("query", "SELECT arch, accuracy FROM mean_accuracies", "-f", "csv", store=store).out
    arch, accuracy = means.splitlines()[1].rsplit(",", 1)
    assert accuracy == "92.5"
    assert arch.strip('"').endswith("width=36;depth=20")


def test_an_unknown_space_names_the_option_for_files() -> None:
    unknown = shell("train", "nds-dart", "cifar10")
    assert_refused(unknown, "unknown search space 'nds-dart'", "'nds-darts'?", "--space-file or ZCSR_SPACES")


SHOWS_PROGRESS = """
import time
from zcsr.cli.console import progress
from zcsr.cli.failures import interruptible
with interruptible("all is kept"), progress("training", "trainings") as tell:
    tell(1, 4)
    time.sleep(20)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of its own")
def test_ctrl_c_leaves_no_mark_in_what_is_drawn_and_the_terminal_as_it_was() -> None:
    import pty
    import termios

    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", SHOWS_PROGRESS])
    written, sent = b"", False
    before = termios.tcgetattr(terminal)
    assert before[3] & termios.ECHOCTL
    started = time.monotonic()
    while time.monotonic() - started < 60:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                written += os.read(terminal, 1 << 16)
            except OSError:
                break
        if not sent and b"1 of 4 trainings" in written:
            assert not termios.tcgetattr(terminal)[3] & termios.ECHOCTL
            os.write(terminal, b"\x03")
            sent = True
    os.waitpid(child, 0)
    assert sent
    assert b"^C" not in written
    assert b"Interrupted: interrupted; all is kept" in written


def test_work_without_a_terminal_says_that_it_goes_on() -> None:
    script = (
        "import time, zcsr.cli.console as console\n"
        "console.PLAIN_AT_LEAST_SECONDS = 1.0\n"
        "with console.progress('training', 'trainings') as tell:\n"
        "    tell(0, 4)\n"
        "    time.sleep(2.5)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    lines = said.stderr.splitlines()
    assert lines[0] == "training: 0 of 4 trainings, 0 s elapsed"
    assert lines[1] in (f"training: 0 of 4 trainings, {seconds} s elapsed" for seconds in (1, 2))
