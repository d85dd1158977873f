"""The command line as a user meets it: help, output, bad input, interruptions."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer
from commands import Result, done, zcsr

from zcsr.cli.app import app
from zcsr.spaces import get_space
from zcsr.store import Store, open_run, query

TASK = "nasbench201-mini:fashion-mnist"
SEARCH = (
    *("--task", TASK, "--networks", "8", "--draw", "6", "--generations", "3", "--population", "8", "--mu", "4"),
    *("--lambda", "8", "--max-depth", "4", "--test-networks", "30"),
)
SCRIPT = "from zcsr.cli import main; main()"
INDIVIDUALS = "SELECT * EXCLUDE (run) FROM individuals WHERE run = $run ORDER BY ALL"
SCORES = "SELECT * EXCLUDE (run) FROM scores WHERE run = $run ORDER BY ALL"
STATUS = "SELECT status FROM runs WHERE run = $run"


def rows(store: Path, sql: str, run: str) -> str:
    return done("query", sql, "-p", f"run={run}", "-f", "csv", store=store).out


def files(folder: Path) -> dict[str, bytes]:
    """Every file with its content; the index is not one, since it is made anew at will."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("index.duckdb"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that a user imports: invented accuracies and images."""
    folder = tmp_path_factory.mktemp("given")
    generator = random.Random(0)
    archs = get_space("nasbench201-mini").sample(60, generator)
    accuracies = [generator.uniform(10, 90) for _ in archs]
    pl.DataFrame({"arch": archs, "accuracy": accuracies}).write_parquet(folder / "accuracies.parquet")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
    np.savez(folder / "images.npz", images=pixels, labels=np.arange(20) % 10)
    return folder


@pytest.fixture(scope="module")
def imported(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with accuracies and images, and nothing else."""
    store = tmp_path_factory.mktemp("imported") / "store"
    taken = done("import", "accuracies", str(given / "accuracies.parquet"), *TABLE, store=store)
    assert taken.err == "60 rows taken, 0 skipped\n"
    done("import", "images", str(given / "images.npz"), "--name", "fashion-mnist", store=store)
    return store


@pytest.fixture(scope="module")
def evolved(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A store with a finished run named `whole`, and what the command said."""
    store = tmp_path_factory.mktemp("evolved") / "store"
    shutil.copytree(imported, store)
    return store, done("evolve", *SEARCH, "--run", "whole", "--workers", "1", store=store)


TABLE = ("--space", "nasbench201-mini", "--dataset", "fashion-mnist", "--accuracy-column", "accuracy")


def test_networks_that_a_run_evolved_on_can_be_left_out(evolved: tuple[Path, Result], tmp_path: Path) -> None:
    store = shutil.copytree(evolved[0], tmp_path / "store")
    space = get_space("nasbench201-mini")
    split = pl.read_parquet(store / "runs" / "whole" / "split.parquet").filter(pl.col("role") == "evolve")
    evolved_on = {space.canonical(arch) for arch in split["arch"]}
    expected = [arch for arch in space.sample(300, random.Random(0)) if space.canonical(arch) not in evolved_on]
    words = ("test", "--task", TASK, "-p", "sum(numel(T3))", "--sample", "300", "--without", "whole")
    result = done(*words, store=store)
    assert f"{300 - len(expected)} of 300 networks left out: whole evolved on them" in result.err
    scored = rows(store, "SELECT DISTINCT arch FROM network_scores WHERE $run <> '' ORDER BY arch", "whole")
    assert scored.splitlines()[1:] == sorted(expected)
    assert 0 < len(expected) < 300
    refused = zcsr(*words[:-1], "nope", store=store)
    assert refused.code == 2
    assert "nope" in refused.lines[-1]
    assert zcsr("test", "whole", "--without", "whole", store=store).code == 2


# Help ------------------------------------------------------------------------------------------------------------


def commands(command: Any, path: str = "zcsr") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert command.help.strip().endswith(".")
    silent = [
        parameter.name for parameter in command.params if not (getattr(parameter, "help", None) or "").strip()
    ]
    assert silent == []


def test_the_walk_reaches_every_command() -> None:
    expected = {"evolve", "collect", "test", "train", "query", "report", "score", "spaces", "operations", "proxies"}
    expected |= {"search", "explain", "export", "ui"}
    expected |= {
        "import accuracies",
        "import benchmark",
        "import images",
        "import scores",
        "store verify",
        "store rebuild",
        "store path",
    }
    assert {f"zcsr {name}" for name in expected} <= set(COMMANDS)


def test_alone_it_prints_help() -> None:
    result = done()
    assert "evolve" in result.out
    assert result.err == ""


# A run -----------------------------------------------------------------------------------------------------------


def test_results_go_to_stdout_and_talk_to_stderr(evolved: tuple[Path, Result]) -> None:
    store, said = evolved
    assert str(store / "reports" / "whole.md") == said.out.splitlines()[-1]
    assert said.out.splitlines()[0].split()[:3] == ["program", "text", "role"]
    assert said.lines[0].startswith(f"run whole: {TASK} (8 networks to evolve on, 30 to test on)")


def test_without_a_terminal_there_is_one_plain_line_a_generation(evolved: tuple[Path, Result]) -> None:
    _, said = evolved
    generations = [line for line in said.lines if line.startswith("generation ")]
    assert [line.split(":")[0] for line in generations] == [f"generation {n} of 3" for n in (1, 2, 3)]
    assert all("best" in line and "elapsed" in line for line in generations)
    assert "\x1b" not in said.out + said.err


def test_a_finished_run_is_shown_again_and_left_alone(evolved: tuple[Path, Result]) -> None:
    store, said = evolved
    before = files(store)
    again = done("evolve", "--resume", "--run", "whole", store=store)
    assert again.lines[0] == "run whole is finished; to go on with it, ask for more --generations"
    assert again.out == said.out
    assert files(store) == before


def test_a_program_is_tested_by_the_id_that_a_table_shows(evolved: tuple[Path, Result]) -> None:
    store = evolved[0]
    sql = "SELECT DISTINCT program, text FROM scores JOIN programs USING (run, program) WHERE role = 'test' LIMIT 1"
    program, text = pl.read_csv(io.StringIO(done("query", sql, "-f", "csv", store=store).out)).row(0)
    by_id, by_text = (done("test", "whole", "-p", given, store=store) for given in (program, text))
    assert by_id.out == by_text.out
    assert text in by_id.out


def test_the_report_of_a_finished_run_is_written_again_only_where_it_is_gone(evolved: tuple[Path, Result]) -> None:
    store, said = evolved
    report = store / "reports" / "whole.md"
    report.write_text("with a note of my own")
    assert done("evolve", "--resume", "--run", "whole", store=store).out == said.out
    assert report.read_text() == "with a note of my own"
    report.unlink()
    assert done("evolve", "--resume", "--run", "whole", store=store).out == said.out
    assert report.read_text().startswith("# Run whole\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "1"], "--seed 0, not 1"),
        (["--lambda", "9"], "--lambda 8, not 9"),
        (["--networks", "9"], "--networks 8, not 9"),
        (["--task", "nasbench201:cifar10"], f"--task {TASK}, not nasbench201:cifar10"),
        (["--batch-size", "2"], "--batch-size 1, not 2"),
        (["--images", "cifar10"], "--images fashion-mnist, not cifar10"),
        (["--test-networks", "31"], "--test-networks 30, not 31"),
    ],
)
def test_a_resumed_run_keeps_its_search(evolved: tuple[Path, Result], flags: list[str], message: str) -> None:
    result = zcsr("evolve", "--resume", "--run", "whole", *flags, store=evolved[0])
    assert (result.code, len(result.lines)) == (2, 1)
    assert f"run whole was started with {message}" in result.err


def test_a_resumed_run_may_be_told_what_it_knows(evolved: tuple[Path, Result]) -> None:
    result = done(
        "evolve", *SEARCH, "--seed", "0", "--run", "whole", "--resume", "--workers", "2", store=evolved[0]
    )
    assert "finished" in result.lines[0]


# Interruptions ---------------------------------------------------------------------------------------------------

STAGES = {"collecting": "collecting: 0 of 8", "evolving": "generation 1 of 3", "testing": "testing: "}


def stopped_at(stage: str, how: signal.Signals, store: Path, workers: int = 1) -> Result:
    """Start a run in a process group of its own, and send the signal once it is at the stage."""
    command = [
        "-m",
        "zcsr",
        "evolve",
        *SEARCH,
        "--run",
        "stopped",
        "--workers",
        str(workers),
        "--store",
        str(store),
    ]
    command[:2] = ["-c", "from zcsr.cli import main; main()"]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(STAGES[stage]):
            break
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    out, rest = process.communicate(timeout=30)
    return Result(process.returncode, out, "".join(seen) + rest)


def assert_ended_cleanly(result: Result) -> None:
    assert result.code == 130
    assert result.lines[-1].startswith("zcsr: interrupted; ")
    assert result.lines[-1].endswith("zcsr evolve --resume --run stopped")
    assert result.lines[0] == f"run stopped: {TASK} (8 networks to evolve on, 30 to test on)"
    assert "Traceback" not in result.err
    assert "Warning" not in result.err


def assert_resumes_to(whole: Path, store: Path, workers: int = 1) -> None:
    done("evolve", "--resume", "--workers", str(workers), store=store)
    for sql in (INDIVIDUALS, SCORES):
        assert rows(store, sql, "stopped") == rows(whole, sql, "whole")
    assert rows(store, STATUS, "stopped") == "status\nfinished\n"


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(stage: str, imported: Path, tmp_path: Path) -> None:
    store = shutil.copytree(imported, tmp_path / "store")
    assert_ended_cleanly(stopped_at(stage, signal.SIGINT, store))
    assert rows(store, STATUS, "stopped") == "status\ninterrupted\n"


def test_with_more_workers_ctrl_c_ends_cleanly_and_the_run_is_the_same(
    imported: Path, evolved: tuple[Path, Result], tmp_path: Path
) -> None:
    store = shutil.copytree(imported, tmp_path / "store")
    assert_ended_cleanly(stopped_at("collecting", signal.SIGINT, store, workers=2))
    assert_resumes_to(evolved[0], store, workers=2)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    stage: str, imported: Path, evolved: tuple[Path, Result], tmp_path: Path
) -> None:
    store = shutil.copytree(imported, tmp_path / "store")
    assert stopped_at(stage, signal.SIGKILL, store).code == -signal.SIGKILL
    assert rows(store, STATUS, "stopped") == "status\nrunning\n"
    assert_resumes_to(evolved[0], store)


@pytest.mark.parametrize("apart", [0.001, 0.01, 0.04])
def test_interrupts_in_any_number_keep_what_was_computed(apart: float, tmp_path: Path) -> None:
    words = ("test", "--task", TASK, "-p", "fro(T4_N)", "--sample", "4000", "--workers", "1")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words, "--store", str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    computed = 0
    for line in process.stderr:
        if line.startswith("testing: ") and (computed := int(line.split()[1].replace(",", ""))) > 20:
            break
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        time.sleep(apart)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("zcsr: interrupted; scores are kept")
    stored = query(Store.open(tmp_path / "store"), "SELECT count(*) FROM network_scores").item()
    assert computed <= stored < 4000


def test_of_two_that_go_on_with_a_run_one_is_told(imported: Path, tmp_path: Path) -> None:
    store = shutil.copytree(imported, tmp_path / "store")
    stopped_at("evolving", signal.SIGINT, store)
    with open_run(Store.open(store), "stopped").worked_on():
        refused = zcsr("evolve", "--resume", "--run", "stopped", store=store)
        assert refused.code == 3
        assert f"run stopped is being worked on by process {os.getpid()} since " in refused.lines[-1]
        assert zcsr("store", "verify", store=store).code == 0
    assert done("evolve", "--resume", "--run", "stopped", store=store).code == 0
    assert not list((store / "runs" / "stopped").glob("work/*.json"))


def test_a_closed_pipe_is_no_error(evolved: tuple[Path, Result]) -> None:
    sql = "SELECT repeat('x', 100) AS text FROM range(100000)"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "query", sql, "-f", "csv", "--store", str(evolved[0])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "text\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 1


# Queries ---------------------------------------------------------------------------------------------------------


def test_what_a_terminal_would_obey_is_written_out(evolved: tuple[Path, Result]) -> None:
    sql = "SELECT chr(27) || '[2Jgone' AS \"a\x1bb\", 'plain' AS other"
    assert "\x1b" not in (shown := done("query", sql, store=evolved[0]).out)
    assert r"\x1b[2Jgone" in shown
    refused = zcsr("query", "\x1b[2J", store=evolved[0])
    assert refused.code == 2
    assert "\x1b" not in refused.err
    assert r"\x1b[2J" in refused.err


def test_formats_hold_the_same_rows(evolved: tuple[Path, Result], tmp_path: Path) -> None:
    store = evolved[0]
    sql = "SELECT slot, fitness, text FROM individuals WHERE generation = 0 ORDER BY slot"
    expected = pl.read_csv(io.StringIO(done("query", sql, "-f", "csv", store=store).out))
    assert expected.height == 8
    records = json.loads(done("query", sql, "-f", "json", store=store).out)
    assert [tuple(record.values()) for record in records] == expected.rows()
    assert len(done("query", sql, "-f", "markdown", store=store).out.splitlines()) == 10
    for ending in ("parquet", "csv", "json", "md"):
        done("query", sql, "--out", str(tmp_path / f"rows.{ending}"), store=store)
    assert pl.read_parquet(tmp_path / "rows.parquet").equals(pl.read_csv(tmp_path / "rows.csv"))
    assert json.loads((tmp_path / "rows.json").read_text()) == records
    assert (tmp_path / "rows.md").read_text().startswith("| slot |")


def test_lists_have_a_form_in_csv(imported: Path) -> None:
    assert done("query", "SELECT [1, 2] AS pair, 3 AS three", "-f", "csv", store=imported).out == (
        'pair,three\n"[1, 2]",3\n'
    )


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "parquet"])
def test_a_value_that_polars_has_no_type_for_is_the_same_text_in_every_form(
    imported: Path, tmp_path: Path, form: str
) -> None:
    huge = "340282366920938463463374607431768211455"
    values = {"a": "'\\xff'::BLOB", "b": f"{huge}::UHUGEINT", "c": "DATE 'infinity'", "d": "union_value(e := 7)"}
    out = tmp_path / "rows"
    sql = f"SELECT {', '.join(f'{value} AS {name}' for name, value in values.items())}"
    done("query", sql, "-f", form, "--out", str(out), store=imported)
    text = str(pl.read_parquet(out).row(0)) if form == "parquet" else out.read_text()
    assert all(one in text for one in (huge, "infinity", "7"))
    assert any(one in text for one in ("\\xFF", "\\\\xFF"))


def test_cells_are_not_taken_for_markup(imported: Path) -> None:
    assert "[bold]x[/bold]" in done("query", "SELECT '[bold]x[/bold]' AS text", store=imported).out


def test_rows_left_out_are_told(imported: Path) -> None:
    result = done("query", "SELECT * FROM range(30)", "--limit", "2", store=imported)
    assert result.out.splitlines() == ["range", "    0", "    1"]
    assert result.err.startswith("2 of 30 rows shown")


def test_sql_may_stand_on_lines_of_their_own(imported: Path) -> None:
    assert done("query", "SELECT\n1\tAS\none", "-f", "csv", store=imported).out == "one\n1\n"


def test_the_list_of_queries_says_what_a_row_is() -> None:
    from zcsr import queries

    lines = [line for line in done("query").out.splitlines() if line.strip() and not line.rstrip().endswith(":")]
    listed = {line.split()[0]: line for line in lines}
    assert set(listed) == set(queries.names())
    assert "run=latest" in listed["top_programs"]
    assert "count=20" in listed["top_programs"]


def test_describe_says_all_about_a_query() -> None:
    from zcsr import queries

    entry = queries.load("correlations")
    out = done("query", "correlations", "--describe").out
    assert entry.doc in out
    assert entry.sql.strip() in out
    assert all(parameter.doc in out for parameter in entry.parameters)


def test_spaces_and_operations_are_listed() -> None:
    spaces = done("spaces").out
    assert ["nasbench201", "15,625", "cifar10", "10", "3x32x32"] in [line.split() for line in spaces.splitlines()]
    operations = done("operations").out.splitlines()
    assert sum(line.split()[0].isdecimal() for line in operations if line.strip()) == 34
    assert any("T4G_P" in line for line in operations)
    assert any(line.split()[:1] == ["effective_rank(A)"] for line in operations if line.strip())


# Bad input -------------------------------------------------------------------------------------------------------


def assert_refused(result: Result, code: int, message: str) -> None:
    assert result.code == code, result.err
    assert len(result.lines) == 1
    assert result.err.startswith("zcsr: ")
    assert message in result.err
    assert result.out == ""


GOOD_ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("not parquet at all", "cannot read"),
        ("arch,accuracies\na,1", "no column 'accuracy'"),
        (f"arch,accuracy\n{GOOD_ARCH},50\n{GOOD_ARCH},60", "duplicate"),
        (f"arch,accuracy\n{GOOD_ARCH},150", "outside 0..100"),
        (f"arch,accuracy\n{GOOD_ARCH},fifty", "not a number"),
        ("arch,accuracy\n|nor_conv_5x5~0|,50", "unknown architecture"),
        ("arch,accuracy\n", "no accuracy to import"),
    ],
)
def test_a_bad_table_is_refused_whole(content: str | None, message: str, imported: Path, tmp_path: Path) -> None:
    table = tmp_path / ("table.parquet" if content and "," not in content else "table.csv")
    if content is not None:
        table.write_text(content)
    before = files(imported)
    assert_refused(zcsr("import", "accuracies", str(table), *TABLE, store=imported), 2, message)
    assert files(imported) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "images", "nowhere.npz", "--name", "x"], "no such file"),
        (
            ["import", "accuracies", "t.csv", "--space", "nasbench", "--dataset", "x", "--accuracy-column", "y"],
            "nasb",
        ),
        (["evolve", *SEARCH, "--networks", "500", "--preset", "paper"], "fewer than the 500"),
        (["evolve", *SEARCH, "--test-networks", "59"], "fewer than the 59"),
        (["evolve", *SEARCH, "--population", "7"], "population must be even"),
        (["evolve", *SEARCH, "--fitness", "tau"], "fitness must be one of signed, absolute"),
        (["evolve", *SEARCH, "--pattern", "bcr"], "bcr"),
        (["evolve", *SEARCH, "--workers", "0"], "--workers"),
        (["evolve", *SEARCH, "--images", "cifar10"], "cifar10"),
        (["evolve", *SEARCH, "--metric", "validation"], "validation"),
        (["evolve", *SEARCH, "--run", "../run"], "cannot name a run"),
        (["evolve", *SEARCH, "--task", TASK], "each once"),
        (["evolve", "--task", "nasbench201"], "SPACE:DATASET"),
        (["evolve", "--task", "nasbench102:cifar10"], "nasbench102"),
        (["evolve", "--task", "nasbench201:cifar11"], "cifar11"),
        (["evolve", "--resume"], "holds no runs"),
        (["test", "norun"], "holds no runs"),
        (["report"], "holds no runs"),
        (["collect", "nasbench201-mini", "fashion-mnist"], "--arch"),
        (["collect", "nasbench201-mini", "fashion-mnist", "--arch", "|x|"], "|x|"),
        (["collect", "nasbench201-mini", "fashion-mnist", "--arch", "20000"], "20000"),
        (["collect", "nasbench201-mini", "cifar10", "--sample", "1"], "cifar10"),
        (["collect", "nasbench201-mini", "fashion-mnist", "--sample", "1", "--images", "none"], "none"),
        (["query", "nosuch"], "no query named 'nosuch'"),
        (["query", "nosuch", "--describe"], "no query named 'nosuch'"),
        (["query", "--describe"], "takes the name of a query"),
        (["query", "runs", "-p", "run=x"], "has no parameter 'run'"),
        (["query", "top_programs", "-p", "count"], "name=value"),
        (["query", "top_programs", "-p", "count=few"], "whole number"),
        (["query", "SELEC 1"], "syntax error"),
        (["query", "SELECT nothing FROM runs"], "nothing"),
        (["query", "DROP TABLE runs"], "DROP would write"),
        (["query", "COPY runs TO 'runs.csv'"], "COPY would write"),
        (["query", "SELECT 1 AS a", "-f", "xml"], "--format is one of"),
        (["query", "SELECT 1 AS a", "-f", "parquet"], "--out FILE"),
        (["query", "SELECT 1 AS a", "--limit", "0"], "--limit"),
        (["query", "SELECT 1 AS a", "--out", "/dev/null/rows.csv"], "cannot write /dev/null/rows.csv"),
        (["query", "SELECT 1 AS a", "--out", "/dev/null/rows.parquet"], "cannot write /dev/null"),
        (["frobnicate"], "No such command"),
        (["query", "--frobnicate"], "No such option"),
    ],
)
def test_bad_input_is_one_line(words: Sequence[str], message: str, imported: Path) -> None:
    before = files(imported)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZCSR_STORE", str(imported))
        assert_refused(zcsr(*words), 2, message)
    assert files(imported) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test", "whole", "--program", "fro(sigmod(T1_D))"], "sigmoid"),
        (["test", "whole", "--program", "fro(T1_D"], "column 9"),
        (["test", "hole"], "did you mean whole?"),
        (["evolve", "--resume", "--run", "hole"], "did you mean whole?"),
        (["evolve", *SEARCH, "--run", "whole"], "already in the store"),
        (["report", "hole"], "did you mean whole?"),
        (["report", "whole", "--out", "/dev/null/reports"], "cannot write /dev/null"),
    ],
)
def test_bad_input_about_a_run_is_one_line(
    words: Sequence[str], message: str, evolved: tuple[Path, Result]
) -> None:
    before = files(evolved[0])
    assert_refused(zcsr(*words, store=evolved[0]), 2, message)
    assert files(evolved[0]) == before


@pytest.mark.parametrize(
    "words", [["query", "runs"], ["report"], ["test"], ["store", "verify"], ["evolve", "--resume"]]
)
def test_a_missing_store_is_told_and_not_made(words: Sequence[str], tmp_path: Path) -> None:
    assert_refused(zcsr(*words, store=tmp_path / "nowhere"), 3, "no store at")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [('{"schema": 99, "zcsr": "9.0"}', "schema version 99"), ("not json", "cannot read")],
)
def test_a_store_that_cannot_be_read_is_left_alone(manifest: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    for words in (["query", "runs"], ["evolve", *SEARCH]):
        assert_refused(zcsr(*words, store=tmp_path), 3, message)
    assert files(tmp_path) == {"manifest.json": manifest.encode()}


def test_a_store_that_cannot_be_made_is_one_line(given: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ("import", "images", str(given / "images.npz"), "--name", "x")
    assert_refused(zcsr(*words, store=tmp_path / "file" / "store"), 3, "cannot make a store")


def test_a_store_that_cannot_be_written_is_one_line(given: Path, imported: Path, tmp_path: Path) -> None:
    store = shutil.copytree(imported, tmp_path / "store")
    shutil.rmtree(store / "images")
    (store / "images").write_text("in the way")
    before = files(store)
    words = ("import", "images", str(given / "images.npz"), "--name", "x")
    assert_refused(zcsr(*words, store=store), 3, str(store / "images"))
    assert files(store) == before


def test_a_damaged_run_is_a_store_error(evolved: tuple[Path, Result], tmp_path: Path) -> None:
    store = shutil.copytree(evolved[0], tmp_path / "store")
    (store / "runs" / "whole" / "generations" / "0001" / "individuals.parquet").write_bytes(b"PAR1")
    assert_refused(zcsr("report", store=store), 3, "individuals.parquet")
    verified = zcsr("store", "verify", store=store)
    assert verified.code == 3
    assert "individuals.parquet" in verified.out
    assert verified.lines[-1].startswith("zcsr: ")
