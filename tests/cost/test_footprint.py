"""What commands cost: the measurement against other clocks, energy and CO2e against sums by hand, the reports."""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import burning
import polars as pl
import pytest
import score_samples as invented
import store_samples as samples
from commands import done, zcsr

from zcsr import queries
from zcsr.cost.footprint import GREEN_ALGORITHMS, PAPER_GRAMS, Footprint
from zcsr.cost.meter import open_meter
from zcsr.engine.workers import open_workers
from zcsr.errors import InputError, StoreError
from zcsr.language.text import parse
from zcsr.reports import render_run, render_scores, render_search
from zcsr.reports.program_page import explain_program, render_explanation
from zcsr.reports.toolkit.footprint import cost_section, footprint_flags, read_cost
from zcsr.spaces import get_space
from zcsr.store import Store, named, query, rebuild, verify
from zcsr.store.kept.costs import Session, Work, cpu_seconds, peak_bytes

UNMEASURED = "What it cost was not measured."
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return samples.filled_store(tmp_path_factory.mktemp("kept") / "store")


@pytest.fixture
def store(kept: Store, tmp_path: Path) -> Store:
    """A store of invented things, with the cost of the run `first`, to write to."""
    return Store(Path(shutil.copytree(kept.root, tmp_path / "filled")))


@pytest.fixture(autouse=True)
def _few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zcsr.ranking.BOOTSTRAP_REPEATS", 20)
    monkeypatch.setattr("zcsr.store.sql.functions.REPEATS", 20)


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


def records(store: Store) -> list[dict[str, Any]]:
    """What is kept of each session; a write that is not complete has a name of its own."""
    paths = sorted(store.costs_dir.glob("[0-9]*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


# Energy and CO2e -------------------------------------------------------------------------------------------------


def test_every_parameter_counts_once(empty: Store) -> None:
    samples.write_cost(empty, "a", cpu_seconds=3600.0, seconds=7200.0, peak_gb=8.0)

    def found(footprint: Footprint) -> list[float]:
        (row,) = named(empty, "footprint", footprint.values()).to_dicts()
        return [row["kwh"], row["grams"]]

    assert found(Footprint(10, 0, 1, 475)) == pytest.approx([0.010, 4.75])
    assert found(Footprint(0, 0.5, 1, 475)) == pytest.approx([0.008, 3.8])
    assert found(Footprint(10, 0.5, 2, 475)) == pytest.approx([0.036, 17.1])
    assert found(Footprint(10, 0.5, 2, 100)) == pytest.approx([0.036, 3.6])


def test_parameters_from_text() -> None:
    read = Footprint.of(["pue=1.1", "carbon_intensity=56", "pue=1.2"])
    assert read == Footprint(12.0, 0.3725, 1.2, 56.0)
    assert read.changed() == {"pue": 1.2, "carbon_intensity": 56.0}
    assert Footprint.of([]) == GREEN_ALGORITHMS
    assert GREEN_ALGORITHMS.changed() == {}
    assert footprint_flags(read) == ("--footprint", "pue=1.2", "--footprint", "carbon_intensity=56")


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("pue", "name=value"),
        ("carbon_intensty=3", "did you mean carbon_intensity?"),
        ("watts=3", "it has watts_per_core, watts_per_gb, pue, carbon_intensity"),
        ("pue=-1", "pue is a finite number that is not negative, not -1"),
        ("pue=nan", "not nan"),
        ("pue=inf", "not inf"),
        ("pue=much", "not 'much'"),
    ],
)
def test_parameters_that_are_refused(pair: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Footprint.of([pair])


def test_the_query_has_the_same_defaults_and_the_same_figure_of_the_paper() -> None:
    entry = queries.load("footprint")
    defaults = {one.name: one.default for one in entry.parameters if one.type == "DOUBLE"}
    assert defaults == GREEN_ALGORITHMS.values()
    assert str(PAPER_GRAMS) in entry.sql
    assert PAPER_GRAMS == 358.6


# The query -------------------------------------------------------------------------------------------------------


def test_the_query_sums_sessions_as_a_loop_does(empty: Store) -> None:
    generator = random.Random(0)
    expected: dict[tuple[Any, ...], list[float]] = {}
    footprint = Footprint(9.4, 0.3, 1.2, 230)
    for number in range(12):
        run, kind = generator.choice((None, "one", "two")), generator.choice(("evolve", "test"))
        seconds, cpu, gb = (generator.uniform(1, 9000) for _ in range(3))
        metered = generator.choice((None, generator.random()))
        samples.write_cost(
            empty,
            f"2026-{number:02d}",
            run=run,
            kind=kind,
            seconds=seconds,
            cpu_seconds=cpu,
            peak_gb=gb,
            metered_kwh=metered,
        )
        sums = expected.setdefault((run, kind), [0.0] * 5)
        kwh = (cpu / 3600 * 9.4 + seconds / 3600 * gb * 0.3) * 1.2 / 1000
        for place, value in enumerate((1, seconds / 3600, cpu / 3600, kwh, metered or 0.0)):
            sums[place] += value
    frame = named(empty, "footprint", footprint.values())
    assert frame.height == len(expected)
    for row in frame.to_dicts():
        sums = expected[row["run"], row["kind"]]
        found = [row[name] for name in ("sessions", "hours", "cpu_hours", "kwh")]
        assert found == pytest.approx(sums[:4], rel=1e-12)
        assert (row["metered_kwh"] or 0.0) == pytest.approx(sums[4])
        assert row["grams"] == pytest.approx(230 * sums[3])
        assert row["share_of_paper"] == pytest.approx(230 * sums[3] / 358.6)


def test_the_query_gives_the_number_by_hand(empty: Store) -> None:
    samples.write_cost(empty, "a")
    (row,) = named(empty, "footprint").to_dicts()
    # 2 core hours of 12 W and 4 GB of 0.3725 W for an hour are 25.49 Wh, times 1.67 42.5683 Wh, at 475 g a kWh.
    assert row["kwh"] == pytest.approx(0.0425683, rel=1e-12)
    assert row["grams"] == pytest.approx(20.2199425, rel=1e-12)
    assert row["share_of_paper"] == pytest.approx(20.2199425 / 358.6)
    assert (row["gb"], row["sessions"], row["metered_kwh"]) == (4.0, 1, None)


def test_unknown_memory_draws_nothing(empty: Store) -> None:
    samples.write_cost(empty, "a", peak_gb=None)
    (row,) = named(empty, "footprint").to_dicts()
    assert row["kwh"] == pytest.approx(0.024 * 1.67)
    assert row["gb"] is None


def test_what_the_query_is_asked_about(store: Store) -> None:
    samples.write_cost(store, "b", run="second", kind="test")
    samples.write_cost(store, "c", search="made", kind="search")
    samples.write_cost(store, "d", program="abc", kind="explain")

    def found(**given: str) -> list[tuple[str, str]]:
        frame = named(store, "footprint", given)
        whose = pl.concat_str("run", "search", "program", ignore_nulls=True)
        return sorted(frame.select("kind", whose.alias("whose")).rows())

    assert found() == [("evolve", "first"), ("explain", "abc"), ("search", "made"), ("test", "second")]
    assert found(run="latest") == [("test", "second")]
    assert found(run="first") == [("evolve", "first")]
    assert found(search="latest") == [("search", "made")]
    assert found(run="", search="") == [("explain", "abc")]
    assert found(kind="test", program="") == [("test", "second")]
    assert found(program="abc") == [("explain", "abc")]
    with pytest.raises(InputError, match="there is no run 'third': there are first, second"):
        found(run="third")


# The index -------------------------------------------------------------------------------------------------------


def test_costs_are_in_the_index_and_survive_a_rebuild(store: Store) -> None:
    row = query(store, "FROM costs").row(0, named=True)
    assert row["session"] == "20260102-030405-00000001"
    assert (row["run"], row["tasks"], row["command"]) == ("first", list(samples.TASKS), "zcsr evolve")
    assert row["started"].isoformat() == "2026-01-02T03:04:05"
    samples.write_cost(store, "later")
    before = query(store, "FROM costs ORDER BY session")
    assert before.height == 2
    rebuild(store)
    assert query(store, "FROM costs ORDER BY session").equals(before)
    assert verify(store) == []


@pytest.mark.parametrize("damage", [{"seconds": "long"}, {"tasks": 3.5, "started": None}])
def test_a_damaged_file_is_named(empty: Store, damage: dict[str, object]) -> None:
    samples.write_cost(empty, "whole")
    samples.write_cost(empty, "broken", **damage)
    assert ["broken.json" in problem for problem in verify(empty)] == [True]
    with pytest.raises(StoreError, match=r"broken\.json.*restore the file or remove it"):
        query(empty, "FROM costs")


# The measurement -------------------------------------------------------------------------------------------------


def test_a_session_is_measured_by_the_clocks(empty: Store) -> None:
    work = Work("test", ("zcsr", "test", "--store", "/some/where", "r"), run="r", tasks=("a:b",), workers=3)
    wall, cpu = time.monotonic(), time.process_time()
    with Session(empty, work):
        burning.burn(0.3)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    (record,) = records(empty)
    assert record["command"] == ["zcsr", "test", "r"]
    assert (record["kind"], record["run"], record["tasks"], record["workers"]) == ("test", "r", ["a:b"], 3)
    # All by the same two clocks, of which the body's lies within the session's and the session's within the test's.
    rounding = 1e-6
    assert 0.3 - rounding <= record["cpu_seconds"] <= cpu + rounding
    assert 0.3 - rounding <= record["seconds"] <= wall + rounding
    assert record["metered_kwh"] is None
    assert query(empty, "SELECT run FROM costs").rows() == [("r",)]


def test_the_processes_of_workers_count(empty: Store) -> None:
    own = time.process_time()
    with Session(empty, Work("collect", workers=2)), open_workers(2, burning.nothing) as pool:
        used = dict(pool.map(burning.burn_there, [0.4] * 4))
    own = time.process_time() - own
    (record,) = records(empty)
    assert sum(used.values()) >= 1.6
    # The start and the end of a process take some more than it can say of itself.
    assert sum(used.values()) - 0.1 <= record["cpu_seconds"] <= 1.5 * (sum(used.values()) + own) + 1


@linux
def test_a_process_at_work_counts_before_it_ends() -> None:
    context = multiprocessing.get_context("spawn")
    used, over = context.Queue(), context.Event()
    before, memory = cpu_seconds(), peak_bytes(1)
    child = context.Process(target=burning.wait_after_work, args=(used, over))
    child.start()
    try:
        said = used.get(timeout=60)
        alive, held = cpu_seconds() - before, peak_bytes(1) - memory
        assert child.is_alive()
    finally:
        over.set()
        child.join()
    ended = cpu_seconds() - before
    assert said >= 0.5
    assert alive >= said - 0.05
    assert ended >= alive - 0.05  # ended, it counts once more and not twice
    assert ended <= 2 * alive
    assert held > 5e6  # an interpreter


@linux
def test_memory_is_what_the_process_has_held(empty: Store) -> None:
    held = bytearray(b"x" * 300_000_000)
    del held
    with Session(empty, Work("test")):
        pass
    (record,) = records(empty)
    assert 0.3 <= record["peak_gb"] <= 30


KILLED = """
import sys, time
from pathlib import Path
from zcsr.store import Store
from zcsr.store.kept import costs
costs.SAMPLED_EVERY_SECONDS, costs.WRITTEN_EVERY_SECONDS = 0.05, 0.1
with costs.Session(Store.open(Path(sys.argv[1])), costs.Work("evolve", run="r")):
    while True:
        sum(range(1000))
"""


def test_a_killed_session_is_kept(empty: Store) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(empty.root)])
    try:
        until = time.monotonic() + 60
        while not any(record["cpu_seconds"] > 0.2 for record in records(empty)):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    (record,) = records(empty)
    assert 0.2 < record["cpu_seconds"] <= record["seconds"] + 0.5
    assert verify(empty) == []
    assert query(empty, "SELECT kind, run FROM costs").rows() == [("evolve", "r")]


def test_an_interrupted_session_is_kept_and_a_refused_one_is_not(empty: Store) -> None:
    with pytest.raises(KeyboardInterrupt), Session(empty, Work("train")):
        raise KeyboardInterrupt
    with pytest.raises(InputError), Session(empty, Work("test")):
        raise InputError("no such thing")
    assert [record["kind"] for record in records(empty)] == ["train"]


class Broken:
    """A meter that cannot measure."""

    def start(self) -> None:
        raise OSError("no counters")

    kwh = stop = start


class Failing(Broken):
    """A meter that can begin and nothing else."""

    def start(self) -> None:
        pass


@pytest.mark.parametrize("meter", [Broken(), Failing()])
def test_a_broken_meter_stops_nothing(empty: Store, meter: Any) -> None:
    with Session(empty, Work("evolve"), meter):
        pass
    (record,) = records(empty)
    assert record["metered_kwh"] is None
    assert record["cpu_seconds"] >= 0.0


def test_a_folder_that_cannot_be_written_stops_nothing(empty: Store) -> None:
    empty.costs_dir.write_text("in the way", encoding="utf-8")
    done = False
    with Session(empty, Work("evolve")):
        done = True
    assert done
    assert empty.costs_dir.read_text(encoding="utf-8") == "in the way"


# The meter -------------------------------------------------------------------------------------------------------


class Tracker:
    """Stands for codecarbon's tracker: it tells its outputs what it would have measured."""

    given: dict[str, Any]

    def __init__(self, **given: Any) -> None:
        Tracker.given = given
        (self.output,) = given["output_handlers"]

    def start(self) -> None:
        self.output.live_out(_Data(0.0), _Data(0.0))
        self.output.live_out(_Data(0.25), _Data(0.25))

    def stop(self) -> None:
        self.output.out(_Data(0.5), _Data(0.25))
        self.output.exit()


class _Data:
    def __init__(self, kwh: float) -> None:
        self.energy_consumed = kwh


@pytest.fixture
def codecarbon(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("codecarbon")
    module.OfflineEmissionsTracker = Tracker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", module)


def test_a_session_keeps_what_the_meter_measured(empty: Store, codecarbon: None) -> None:
    meter = open_meter("codecarbon")
    assert meter.kwh() is None
    with Session(empty, Work("evolve"), meter):
        assert meter.kwh() == 0.25
    assert records(empty)[0]["metered_kwh"] == 0.5
    assert Tracker.given["output_methods"] == []
    assert (Tracker.given["pue"], Tracker.given["log_level"]) == (1.0, "critical")


def test_a_meter_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(InputError, match=r"not installed .*pip install codecarbon"):
        open_meter("codecarbon")
    with pytest.raises(InputError, match="no meter named 'sundial'; there is codecarbon"):
        open_meter("sundial")


# Reports ---------------------------------------------------------------------------------------------------------


def section(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text.split("\n## What it cost\n")[1].split("\n## ")[0].strip()


def command_of(said: str) -> dict[str, str]:
    """The parameters of the command below the table."""
    (command,) = re.findall(r"^Made by `queries/footprint\.sql`: `(.+)`$", said, re.MULTILINE)
    words = shlex.split(command)
    assert words[:3] == ["zcsr", "query", "footprint"]
    return dict(pair.split("=", 1) for pair in words[4:-2:2])


def test_the_report_of_a_run(store: Store, tmp_path: Path) -> None:
    samples.write_cost(store, "b", run="first", kind="test", seconds=0.0, cpu_seconds=3600.0)
    said = section(render_run(store, "first", tmp_path / "out"))
    # 20.2199425 g by hand, and an hour of a core: 0.012 kWh * 1.67 * 475 g = 9.519 g
    assert "**0.0626 kWh** and **29.7 g** of CO2e, 8.29% of the 358.6 g" in " ".join(said.split())
    assert "12 W + hours × GB × 0.3725 W) × 1.67 / 1000, and 475 g" in " ".join(said.split())
    assert re.search(r"^\| evolve \|.* 1 \| 1 \| 2 \| 4 \| 0.0426 \| 20.2 \| 0.0564 \|$", said, re.MULTILINE)
    assert re.search(r"^\| test \|", said, re.MULTILINE)
    assert "metered" not in said
    assert command_of(said) == {"run": "first"}
    assert named(store, "footprint", command_of(said)).height == 2
    assert cost_section(read_cost(store, run="second")) == UNMEASURED


def test_parameters_that_are_set_are_in_the_report_and_its_commands(store: Store, tmp_path: Path) -> None:
    footprint = Footprint.of(["carbon_intensity=56.5", "pue=1"])
    paths = [render_run(store, "first", tmp_path / name, footprint) for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    said = section(paths[0])
    assert "× 1 / 1000, and 56.5 g" in " ".join(said.split())
    assert "**0.0255 kWh** and **1.44 g**" in said
    given = command_of(said)
    assert given == {"run": "first", "carbon_intensity": "56.5", "pue": "1"}
    assert named(store, "footprint", given)["grams"].item() == pytest.approx(25.49e-3 * 56.5)
    written = "zcsr report first --footprint pue=1 --footprint carbon_intensity=56.5\n"
    assert written in paths[0].read_text(encoding="utf-8")


def test_what_a_meter_measured_is_shown(store: Store) -> None:
    samples.write_cost(store, "b", run="first", metered_kwh=0.125)
    said = cost_section(read_cost(store, run="first"))
    assert "A meter measured 0.125 kWh of the whole machine" in " ".join(said.split())
    assert "metered kwh" in said


def test_the_reports_of_a_search_and_of_scores(store: Store, tmp_path: Path) -> None:
    assert cost_section(read_cost(store, search="made")) == UNMEASURED
    samples.write_cost(store, "b", search="made", kind="search")
    samples.write_cost(store, "c", kind="test")
    samples.write_cost(store, "d", kind="test", run="first")
    said = section(render_search(store, "made", tmp_path, Footprint(pue=2)))
    assert command_of(said) == {"search": "made", "pue": "2"}
    assert "**0.051 kWh**" in said
    assert "zcsr report --search made --footprint pue=2\n" in (tmp_path / "made.md").read_text(encoding="utf-8")
    scores = samples_of_scores(tmp_path / "scored")
    assert cost_section(read_cost(scores, run="", kind="test")) == UNMEASURED
    for name, whose in (("c", {}), ("d", {"run": "first"})):
        samples.write_cost(scores, name, kind="test", **whose)
    said = section(render_scores(scores, "scores", tmp_path, footprint=Footprint(carbon_intensity=0)))
    assert "**0.0426 kWh** and **0 g**" in said
    assert command_of(said) == {"run": "", "kind": "test", "carbon_intensity": "0"}
    report = (tmp_path / "scores.md").read_text(encoding="utf-8")
    assert "zcsr report --scores --footprint carbon_intensity=0\n" in report


def samples_of_scores(root: Path) -> Store:
    store = Store.open(root, create=True)
    invented.write_accuracies(store)
    one, made = next(iter(invented.collections().items()))
    invented.write_scores(store, one, made)
    return store


def test_the_report_of_an_explanation(empty: Store, tmp_path: Path) -> None:
    program = parse("fro(T1_D)")
    explanation = explain_program(program, None)
    assert section(render_explanation(explanation, tmp_path)) == UNMEASURED
    samples.write_cost(empty, "a", kind="explain", program=program.id)
    cost = read_cost(empty, Footprint(pue=1), program=program.id)
    shown = cost_section(cost)
    assert "**0.0255 kWh**" in shown
    assert command_of(shown) == {"program": program.id, "pue": "1"}


# The commands ----------------------------------------------------------------------------------------------------

TASK = "nasbench201-mini:fashion-mnist"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which every command that is measured has run once."""
    import numpy as np

    folder = tmp_path_factory.mktemp("worked")
    store = folder / "store"
    generator = random.Random(0)
    space = get_space("nasbench201-mini")
    first = space.arch(1234)
    archs = [first, *list(space.neighbours(first))[:12], *space.sample(20, generator)]
    archs = list(dict.fromkeys(archs))
    rows = {"arch": archs, "accuracy": [generator.uniform(10, 90) for _ in archs]}
    pl.DataFrame(rows).write_parquet(folder / "accuracies.parquet")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
    np.savez(folder / "images.npz", images=pixels, labels=np.arange(60) % 10)
    table = ("--space", "nasbench201-mini", "--dataset", "fashion-mnist", "--accuracy-column", "accuracy")
    done("import", "accuracies", str(folder / "accuracies.parquet"), *table, store=store)
    done("import", "images", str(folder / "images.npz"), "--name", "fashion-mnist", store=store)
    one = ("--workers", "1")
    small = ("--networks", "6", "--draw", "4", "--generations", "2", "--population", "4", "--mu", "2")
    small += ("--lambda", "4", "--max-depth", "3", "--test-networks", "4")
    done("evolve", "--task", TASK, *small, "--run", "small", *one, store=store)
    done("test", "small", "--program", "fro(T1_D)", *one, store=store)
    done("collect", "nasbench201-mini", "fashion-mnist", "--sample", "2", *one, store=store)
    done("test", "--task", TASK, "--proxy", "params", "--sample", "4", *one, store=store)
    few = ("--budget", "5", "--repeats", "1", "--population", "3", "--tournament", "2")
    done("search", "--task", TASK, *few, "--name", "s", store=store)
    short = ("--epochs", "1", "--train-images", "16", "--test-images", "16", "--batch-size", "8", "--networks", "1")
    done("train", "nats-sss-mini", "fashion-mnist", *short, *one, store=store)
    done("explain", "fro(T1_D)", "--task", TASK, "--networks", "2", *one, store=store)
    return store


def test_every_command_that_computes_is_measured(worked: Path) -> None:
    frame = query(Store.open(worked), "FROM costs ORDER BY started")
    assert frame["kind"].to_list() == ["evolve", "test", "collect", "test", "search", "train", "explain"]
    assert frame["run"].to_list() == ["small", "small", None, None, None, None, None]
    assert frame["search"].to_list() == [None, None, None, None, "s", None, None]
    assert frame["program"].drop_nulls().to_list() == [parse("fro(T1_D)").id]
    trained = "nats-sss-mini:fashion-mnist"
    assert frame["tasks"].to_list() == [[trained if kind == "train" else TASK] for kind in frame["kind"]]
    assert frame["cpu_seconds"].min() >= 0
    assert (frame["cpu_seconds"] > 0).sum() >= 5
    assert frame["seconds"].min() > 0
    assert not frame["command"].str.contains(str(worked), literal=True).any()
    collections = dict(frame.select("kind", pl.col("collections").list.len()).rows())
    assert collections["evolve"] == collections["collect"] == 1


def test_the_report_that_a_run_ends_with_says_what_it_cost(worked: Path) -> None:
    said = section(worked / "reports" / "small.md")
    assert "| evolve |" in said
    assert "| test |" not in said  # of a later command


def test_commands_take_parameters_of_the_footprint(worked: Path, tmp_path: Path) -> None:
    flags = ("--footprint", "carbon_intensity=1000", "--footprint", "watts_per_core=0", "--out", str(tmp_path))
    path = Path(done("report", "small", *flags, store=worked).out.strip())
    assert command_of(section(path)) == {"run": "small", "watts_per_core": "0", "carbon_intensity": "1000"}
    explain = ("explain", "fro(T1_D)", "--task", TASK, "--networks", "2", "--workers", "1")
    again = tmp_path / "copy"
    shutil.copytree(worked, again)
    path = Path(done(*explain, *flags, store=again).out.strip())
    given = command_of(section(path))
    assert given == {"program": parse("fro(T1_D)").id, "watts_per_core": "0", "carbon_intensity": "1000"}
    assert named(Store.open(again), "footprint", given)["sessions"].to_list() == [2]
    assert "--footprint watts_per_core=0 --footprint carbon_intensity=1000 --out DIR" in path.read_text()


def test_what_the_commands_refuse_is_one_line(worked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    before = query(Store.open(worked), "SELECT count(*) FROM costs").item()
    refused = [
        (("report", "small", "--footprint", "pue=-2"), "pue is a finite number"),
        (("evolve", "--task", TASK, "--run", "metered", "--meter", "codecarbon"), "pip install codecarbon"),
        (("test", "small", "--meter", "sundial"), "no meter named 'sundial'"),
        (("train", "nasbench201-mini", "fashion-mnist", "--meter", "codecarbon"), "pip install codecarbon"),
        (("search", "--task", TASK, "--budget", "20", "--name", "s"), "with other budget (5, now 20)"),
    ]
    for words, message in refused:
        code, out, err = zcsr(*words, store=worked)
        assert (code, out) == (2, ""), words
        assert message in err
        assert err.splitlines()[-1].startswith("zcsr: ")
    assert query(Store.open(worked), "SELECT count(*) FROM costs").item() == before
    assert not (worked / "runs" / "metered").exists()


def test_a_run_can_be_metered(worked: Path, codecarbon: None, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(worked, store)
    done("test", "small", "--program", "fro(T2_D)", "--workers", "1", "--meter", "codecarbon", store=store)
    rows = named(Store.open(store), "footprint", {"run": "small", "kind": "test"}).to_dicts()
    assert [row["metered_kwh"] for row in rows] == [0.5]
