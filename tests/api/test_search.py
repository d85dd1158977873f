"""Searches as objects do what the commands do, on the same store; tasks may be made of objects alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from toy_space import ARCHS, build, toy_space

import zcsr
from zcsr.networks.images import ImageSet
from zcsr.store import load_images
from zcsr.store.kept.accuracies import accuracies

TASK = "nasbench201-mini:fashion-mnist"
QUICK = {"population": 8, "generations": 2, "columns": 6, "max_depth": 3, "seed": 3}
SMALL = {**QUICK, "networks_per_task": 24, "test_networks": 10}
FLAGS = (
    *("--population", "8", "--generations", "2", "--columns", "6", "--max-depth", "3", "--seed", "3"),
    *("--networks", "24", "--test-networks", "10", "--against", "params", "--workers", "1"),
)


def toy_accuracies() -> dict[str, float]:
    generator = random.Random(0)
    return {arch: 40 + 5 * int(arch[0]) + generator.uniform(-4, 4) for arch in ARCHS}


def toy_pixels() -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    return pixels, np.arange(12) % 3


def toy_task(space: zcsr.ListedSpace | None = None) -> zcsr.Task:
    pixels, labels = toy_pixels()
    return zcsr.Task(space or toy_space(), accuracies=toy_accuracies(), images=pixels, labels=labels)


@pytest.fixture(autouse=True)
def _none_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces that a test lends are no other test's."""
    monkeypatch.setattr("zcsr.spaces.own._lent", {})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> zcsr.Search:
    """A finished search on a task of the shipped benchmark."""
    folder = tmp_path_factory.mktemp("found") / "store"
    seen: list[tuple[str, int]] = []

    def noticed(search: zcsr.Search, generation: object) -> None:
        seen.append((search.run, generation.number))  # type: ignore[attr-defined]

    search = zcsr.Search(
        store=folder, run="mine", workers=1, against=["params"], callbacks=[noticed], progress=False, **SMALL
    )
    assert search.fit(TASK) is search
    assert seen == [("mine", 0), ("mine", 1)]
    return search


@pytest.mark.slow
def test_the_command_and_the_object_find_the_same(found: zcsr.Search, tmp_path: Path) -> None:
    store = tmp_path / "store"
    words = ["-m", "zcsr", "evolve", "--task", TASK, *FLAGS, "--run", "mine", "--store", str(store)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    theirs = zcsr.Search.load("mine", store=store, workers=1)
    assert theirs.generations_ == found.generations_
    assert theirs.finalists_ == found.finalists_
    assert theirs.front_.equals(found.front_)
    assert theirs.test_.equals(found.test_)
    assert theirs.rivals_.equals(found.rivals_)
    records = [json.loads((one.store.runs_dir / "mine" / "run.json").read_text()) for one in (theirs, found)]
    differing = {key for key in records[0] if records[0][key] != records[1][key]}
    assert differing == {"started", "seconds", "command"}


def test_what_is_found_can_be_looked_at(found: zcsr.Search, tmp_path: Path) -> None:
    front = found.front_
    assert front.columns == ["program", "id", "least", "mean", "size", "cost", TASK]
    assert front["least"].to_list() == sorted(front["least"], reverse=True)
    evaluated = {str(one.program): one for past in found.generations_ for one in past.evaluated}
    for row in front.iter_rows(named=True):
        one = evaluated[row["program"]]
        better = [
            other
            for other in evaluated.values()
            if (other.least, other.mean, -other.program.root.size, -other.cost)
            != (one.least, one.mean, -one.program.root.size, -one.cost)
            and other.least >= one.least
            and other.mean >= one.mean
            and other.program.root.size <= one.program.root.size
            and other.cost <= one.cost
        ]
        assert better == []
        assert row[TASK] == row["least"] == row["mean"] == one.taus[TASK]
    assert str(found.best_) in set(found.test_["text"])
    assert set(found.rivals_["rival"]) == {"params"}
    assert found.plot(tmp_path / "front.svg").svg == (tmp_path / "front.svg").read_text(encoding="utf-8")
    assert found.report(tmp_path).is_file()
    assert repr(found) == "Search(run='mine', finished, 2 generations)"


def test_the_best_program_scores_a_network_in_every_form(found: zcsr.Search) -> None:
    network = build("4-2", 3, 1)
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = zcsr.score(network, images, str(found.best_), initialise=False)
    assert float(found.score(network, images, initialise=False)) == float(expected)
    assert found.best_.torch()(network, images) == pytest.approx(float(expected), rel=1e-5)


def test_a_run_goes_on_in_python(found: zcsr.Search, tmp_path: Path) -> None:
    options = {**SMALL, "generations": 1, "workers": 1, "against": [], "progress": False}
    search = zcsr.Search(store=tmp_path / "store", **options).fit(TASK)
    taken_up = zcsr.Search.load(search.run, store=tmp_path / "store", workers=1, progress=False)
    taken_up.fit(generations=2)
    assert taken_up.generations_ == found.generations_
    with pytest.raises(zcsr.InputError, match="has its tasks"):
        taken_up.fit(TASK)


def test_a_callback_ends_the_search(tmp_path: Path) -> None:
    search = zcsr.Search(
        store=tmp_path / "store",
        workers=1,
        against=[],
        progress=False,
        callbacks=[lambda search, _: search.stop()],
        **{**SMALL, "generations": 30},
    )
    search.fit(TASK)
    assert len(search.generations_) == 1
    assert search.best_


# Tasks made of objects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        toy_accuracies(),
        pl.DataFrame({"arch": ARCHS, "accuracy": list(toy_accuracies().values())}),
        {"arch": ARCHS, "accuracy": list(toy_accuracies().values())},
    ],
    ids=["mapping", "frame", "columns"],
)
def test_accuracies_as_objects_are_stored_as_imports_are(given: object, store: zcsr.Store) -> None:
    pixels, labels = toy_pixels()
    request = zcsr.Task(toy_space(), accuracies=given, images=pixels, labels=labels).put(store)
    assert (request.task, request.images) == ("toy:dots", "toy-dots")
    table = accuracies(store, "toy", "dots")
    assert dict(zip(table.archs, table.accuracies, strict=True)) == toy_accuracies()
    kept = load_images(store, "toy-dots")
    assert np.array_equal(kept.pixels[..., 0], pixels)
    assert kept.labels.tolist() == labels.tolist()
    assert kept.mean == pytest.approx((pixels.mean() / 255,))
    assert kept.std == pytest.approx((pixels.std() / 255,))
    assert zcsr.query(store, "SELECT count(*) AS n FROM accuracies WHERE source = 'python'")["n"].item() == 24


def test_several_trainings_of_a_network_are_kept_apart_and_ranked_by_their_mean(store: zcsr.Store) -> None:
    seeds = pl.DataFrame({"arch": ARCHS * 2, "seed": [0] * 24 + [1] * 24, "accuracy": [50.0] * 24 + [70.0] * 24})
    zcsr.Task(toy_space(), accuracies=seeds, images="fashion-mnist").put(store)
    assert set(accuracies(store, "toy", "dots").accuracies) == {60.0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": None}, "labels"),
        ({"images": np.zeros((2, 8, 8))}, "uint8"),
        ({"accuracies": {"nope": 50.0}}, "unknown architecture"),
        ({"accuracies": {ARCHS[0]: 150.0}}, "outside 0..100"),
        ({"accuracies": pl.DataFrame({"arch": ARCHS})}, "lack the column accuracy"),
        ({"accuracies": 3}, "mapping"),
        ({"dataset": "dot"}, "did you mean 'dots'"),
        ({"space": object()}, "no search space"),
        ({"space": toy_space("nasbench201")}, "comes with zcsr"),
    ],
)
def test_what_cannot_be_a_task_is_refused(changed: Mapping[str, object], said: str, store: zcsr.Store) -> None:
    pixels, labels = toy_pixels()
    given = {"space": toy_space(), "accuracies": toy_accuracies(), "images": pixels, "labels": labels}
    with pytest.raises(zcsr.InputError, match=said):
        zcsr.Task(**(given | changed)).put(store)  # type: ignore[arg-type]


def test_other_images_of_a_name_are_refused(store: zcsr.Store) -> None:
    toy_task().put(store)
    toy_task().put(store)
    pixels, labels = toy_pixels()
    with pytest.raises(zcsr.InputError, match="other images named 'toy-dots'"):
        zcsr.Task(toy_space(), images=255 - pixels, labels=labels).put(store)
    other = ImageSet("mine", pixels[..., None], labels.astype(np.int64), 3, (0.5,), (0.25,))
    assert zcsr.Task(toy_space(), images=other).put(store).images == "mine"


ELSEWHERE = """
import sys
import zcsr
from toy_space import toy_space

def load(*spaces):
    return zcsr.Search.load("toy", store=sys.argv[1], spaces=spaces, workers=1, progress=False)

for spaces in ((), [zcsr.ListedSpace("held", ["1-1"], print, {"dots": zcsr.DatasetShape(3, 1, 8, 8)})]):
    try:
        load(*spaces)
    except zcsr.InputError as error:
        print(error)
print(len(load(toy_space("held")).fit(generations=2).generations_))
"""


def test_a_search_on_objects_alone_goes_on_elsewhere_with_the_same_space_only(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    options = {**QUICK, "test_networks": 6, "generations": 1, "against": [], "progress": False, "workers": 1}
    search = zcsr.Search(store=folder, run="toy", **options).fit(toy_task(toy_space("held")))
    assert search.test_["networks"].unique().to_list() == [6]
    unknown, other, same = script(tmp_path, ELSEWHERE, folder).splitlines()
    assert "which a program made" in unknown
    assert "another content of the space 'held'" in other
    assert same == "2"


# As users run it --------------------------------------------------------------------------------------------------


def script(folder: Path, text: str, *words: Path) -> str:
    """What a script prints, which finds the toy space beside it."""
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, str(path), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=here)
    assert done.returncode == 0, done.stderr
    return done.stdout


UNGUARDED = """
import zcsr
from toy_space import named, toy_space
from zcsr.engine.workers import mapped

print("begun")
zcsr.lend_space(toy_space("lent"))
print(*mapped(2, int, named, ["lent", "lent"]))
"""


def test_several_workers_need_no_guard_in_a_script_and_know_its_spaces(tmp_path: Path) -> None:
    assert script(tmp_path, UNGUARDED) == "begun\nlent lent\n"


SPACE_OF_ITS_OWN = f"""
import sys
import zcsr
from toy_space import ARCHS, SHAPE, build

def mine(arch, classes, channels):
    return build(arch, classes, channels)

space = zcsr.ListedSpace("mine", ARCHS, mine, {{"fashion-mnist": SHAPE}})
task = zcsr.Task(space, accuracies={toy_accuracies()!r})
try:
    zcsr.Search(store=sys.argv[1], workers=2, against=[], networks_per_task=12, progress=False).fit(task)
except zcsr.InputError as error:
    print(error)
"""


def test_a_space_that_other_processes_cannot_import_is_refused_with_what_to_do(tmp_path: Path) -> None:
    said = script(tmp_path, SPACE_OF_ITS_OWN, tmp_path / "store")
    assert "module of their own" in said
    assert "workers=1" in said


# What can be said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"popluation": 8}, "did you mean 'population'"),
        ({"population": 7}, "even"),
        ({"population": "many"}, "wrong type"),
        ({"preset": "papier"}, "did you mean 'paper'"),
        ({"workers": 0}, "workers"),
        ({"batch_size": 0}, "batch size"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(given: Mapping[str, object], said: str) -> None:
    with pytest.raises(zcsr.InputError, match=said):
        zcsr.Search(**given)  # type: ignore[arg-type]


def test_before_a_search_nothing_is_found(tmp_path: Path) -> None:
    with pytest.raises(zcsr.InputError, match=r"fit\(\)"):
        _ = zcsr.Search(store=tmp_path / "store").best_
    with pytest.raises(zcsr.StoreError, match="no store"):
        zcsr.Search.load("nope", store=tmp_path / "store")


def test_help_names_every_parameter_and_dir_every_name() -> None:
    from inspect import signature

    listed = zcsr.Search.parameters()
    assert set(listed["name"]) <= set(signature(zcsr.Search).parameters)
    assert {"population", "seed", "network_seed", "batch_size"} <= set(listed["name"])
    assert all(listed["meaning"])
    assert set(zcsr.__all__) <= set(dir(zcsr))
    for name in zcsr.__all__:
        assert getattr(zcsr, name) is not None
    said = subprocess.run(
        [sys.executable, "-c", "import zcsr; help(zcsr)"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "Search" in said


def test_zcsr_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zcsr", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == zcsr.__version__
