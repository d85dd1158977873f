"""The torture suite in short; `make torture MINUTES=10` goes on for as long as one likes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torture import BAD, DAMAGE, Job, Stores, Tally, Undisturbed, damage_all, disturb, jobs, table, trials_of


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return Stores(tmp_path_factory.mktemp("torture"))


def assert_none_is_bad(tallies: list[Tally]) -> None:
    assert [line for tally in tallies for line in tally.bad] == []
    assert all(tally.trials == sum(tally.seen.values()) > 0 for tally in tallies)


@pytest.mark.slow
def test_no_damage_gives_another_answer(stores: Stores) -> None:
    tallies = {name: Tally(name) for name in (*DAMAGE, "gone", "swapped")}
    damage_all(stores, tallies, random.Random(0), flips=120, until=time.monotonic() + 60, every=22)
    assert_none_is_bad(list(tallies.values()))
    assert tallies["flip"].seen["refused"] > 30


@pytest.mark.slow
@pytest.mark.parametrize("name", ["import", "collect"])
def test_what_is_killed_or_finds_no_room_ends_as_if_nothing_had_happened(stores: Stores, name: str) -> None:
    (job,) = (one for one in jobs(stores) if one.name == name)
    plain = Undisturbed(stores, job)
    tally, generator = Tally(name), random.Random(0)
    for how in ("kill", "full"):
        places = trials_of(job, plain, how, generator)
        for _ in range(2):
            at, _after = next(places)
            tally.add(*disturb(stores, job, plain, how, at, None))
    assert_none_is_bad([tally])
    assert tally.seen["same"] == 4


@pytest.mark.slow
def test_files_that_mean_harm_are_taken_or_refused_in_a_line(tmp_path: Path) -> None:
    script = Path(__file__).with_name("hostile.py")
    words = [sys.executable, str(script), str(tmp_path), "--seed", "1", "--damaged", "60"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    *lines, last = done.stdout.splitlines()
    assert [line for line in lines if "FAULT" in line] == []
    assert last == "faults 0, bytes executed 0"
    assert done.returncode == 0
    assert len(lines) > 120


def test_a_trial_that_goes_wrong_is_told() -> None:
    tally = Tally("flip")
    for what in ("same", *BAD):
        tally.add(what, "a file")
    assert [line.split(": ")[1] for line in tally.bad] == list(BAD)
    assert "| flip | 5 | 1 | 0 | 1 | 1 | 1 | 1 |" in table([tally])


def test_a_command_that_is_no_job_is_told(stores: Stores) -> None:
    with pytest.raises(AssertionError, match="unknown search space"):
        Undisturbed(stores, Job("nothing", ("collect", "nowhere", "cifar10", "--sample", "1")))
