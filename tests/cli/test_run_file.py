"""Runs by file: what a run was made with makes it again, and what a file cannot say is one clear line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from commands import done, zcsr

from zcsr.store import Store, open_run

TASK = "nasbench201-mini:fashion-mnist"
SMALL = ("--population", "8", "--columns", "4", "--max-depth", "3", "--networks", "20", "--test-networks", "4")
QUICK = (*SMALL, "--generations", "1", "--seed", "2", "--against", "none", "--workers", "1")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run `first`."""
    store = tmp_path_factory.mktemp("first") / "store"
    done("evolve", "--task", TASK, *QUICK, "--run", "first", store=store)
    return store


def config(store: Path, run: str = "first") -> Path:
    return store / "runs" / run / "config.toml"


def test_a_run_is_made_again_from_its_file_and_options_win(first: Path) -> None:
    said = tomllib.loads(config(first).read_text(encoding="utf-8"))
    assert (said["task"], said["seed"], said["networks"], said["against"]) == ([TASK], 2, 20, ["none"])
    words = ("evolve", "--config", str(config(first)), "--workers", "1")
    done(*words, "--run", "again", store=first)
    opened = Store.open(first)
    one, other = (open_run(opened, run) for run in ("first", "again"))
    assert tuple(one.generations()) == tuple(other.generations())
    assert one.finalists() == other.finalists()
    assert config(first).read_bytes() == config(first, "again").read_bytes()
    done(*words, "--run", "other", "--seed", "3", store=first)
    changed = tomllib.loads(config(first, "other").read_text(encoding="utf-8"))
    assert {key for key in said if said[key] != changed[key]} == {"seed"}


def test_a_run_goes_on_by_its_file_and_not_by_another(first: Path, tmp_path: Path) -> None:
    assert (
        "is finished"
        in done("evolve", "--resume", "--run", "first", "--config", str(config(first)), store=first).err
    )
    other = tmp_path / "other.toml"
    other.write_text("seed = 7\n", encoding="utf-8")
    refused = zcsr("evolve", "--resume", "--run", "first", "--config", str(other), store=first)
    assert (refused.code, "started with --seed 2, not 7" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("popluation = 8", "no option 'popluation'; did you mean 'population'?"),
        ("population = [8]", "population takes one value"),
        ("population = 'many'", "population"),
        ("population = 7", "even"),
        ("task = 3", "task takes a text or a list of texts"),
        ("population =", "is not TOML"),
    ],
)
def test_what_a_file_cannot_say_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    refused = zcsr("evolve", "--config", str(path), store=tmp_path / "store")
    assert refused.code == 2
    assert len(refused.lines) == 1
    assert said in refused.err
    assert not (tmp_path / "store").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused = zcsr("evolve", "--config", str(tmp_path / "nope.toml"), store=tmp_path / "store")
    assert (refused.code, "No such file" in refused.err) == (2, True)


def test_what_a_run_chose_is_a_program(first: Path) -> None:
    chosen = str(open_run(Store.open(first), "first").finalists()[0].program)
    assert done("export", "@run:first", "--format", "text", store=first).out.strip() == chosen
    latest = str(open_run(Store.open(first)).finalists()[0].program)
    assert done("export", "@best", "--format", "text", store=first).out.strip() == latest
    refused = zcsr("export", "@run:nope", store=first)
    assert (refused.code, "no run named 'nope'" in refused.err) == (2, True)
