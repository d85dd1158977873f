"""Spaces of a user's own: the documented example, worker processes, resuming, safety, and what is refused."""

from __future__ import annotations

import hashlib
import os
import random
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Result, done, zcsr
from torch import nn

from zcsr.errors import InputError
from zcsr.evolve.config import EvolveConfig
from zcsr.language.text import parse
from zcsr.networks.training import Examples, TrainingConfig, train_network
from zcsr.networks.untrained import StatisticsConfig
from zcsr.spaces import (
    DatasetShape,
    ListedSpace,
    get_space,
    own,
    space_files,
    space_names,
    space_origin,
    use_space_files,
)
from zcsr.store import Collection, Store, import_accuracies, import_images, list_collections, open_collection
from zcsr.store import query as run_sql
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.experiment import Experiment, TaskRequest
from zcsr.store.jobs.space_files import use_spaces_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = DOCS / "own_space"
INDIVIDUALS = "SELECT * EXCLUDE (run) FROM individuals WHERE run = $run ORDER BY ALL"
# The document tests one program more on its run than the run itself.
SCORES = f"SELECT * EXCLUDE (run) FROM scores WHERE run = $run AND program <> '{parse('mean(T3)').id}' "
SCORES += "AND program NOT IN (SELECT program FROM rivals) ORDER BY ALL"
SHAPES = {"stripes": DatasetShape(classes=4, channels=1, height=16, width=16)}
SEARCH = EvolveConfig(networks_per_task=6, draw=4, generations=2, population=8, mu=4, lambda_=8, max_depth=4)


def assert_refused(result: Result, *messages: str) -> None:
    """One line on stderr, after those of the progress."""
    assert result.code == 2, result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("collecting ")]
    assert len(lines) == 1
    assert lines[0].startswith("zcsr: ")
    assert result.out == ""
    for message in messages:
        assert message in result.err


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No space file stays known after a test."""
    yield
    use_space_files([])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example's folder, with its images made."""
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("own") / "own_space")
    subprocess.run([sys.executable, "stripes.py"], cwd=folder, check=True, timeout=120)
    return folder


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    """A store with the example's images and accuracies."""
    return filled(folder, tmp_path / "store")


def filled(folder: Path, root: Path) -> Store:
    store = Store.open(root, create=True)
    use_spaces_of([folder / "tiny.py"])
    import_images(store, folder / "stripes.npz", name="stripes")
    import_accuracies(store, folder / "accuracies.csv", space="tiny", dataset="stripes", accuracy_column="accuracy")
    return store


def planned(store: Store, folder: Path, name: str) -> Experiment:
    """A run like the documented one that was stopped before it did anything."""
    use_spaces_of([folder / "tiny.py"])
    requests = [TaskRequest("tiny", "stripes", "stripes")]
    return Experiment.plan(store, requests, SEARCH, StatisticsConfig(), workers=1, name=name)


def collection_of(config: StatisticsConfig | None = None) -> Collection:
    return Collection.of("tiny", "stripes", "stripes", config or StatisticsConfig())


# The documented example -------------------------------------------------------------------------------------------

PROCESSES = {"collect": "1", "evolve": "2", "test": "1"}


def documented() -> list[list[str]]:
    """The words of the `zcsr` commands in the document's first shell block."""
    block = re.search(r"```sh\n(.*?)```", (DOCS / "own_space.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [shlex.split(line)[1:] for line in block[1].splitlines() if line.startswith("zcsr ")]


@pytest.fixture(scope="module")
def walked(folder: Path) -> tuple[Path, dict[str, Result]]:
    """The store after all documented commands, and what the last of each kind said."""
    store = folder / "store"
    said = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in documented():
            processes = ["--workers", PROCESSES[words[0]]] if words[0] in PROCESSES else []
            said[words[0]] = done(*words, *processes, store=None if words[0] == "spaces" else store)
    return store, said


def test_the_document_shows_the_file_itself() -> None:
    listed = re.search(r"```python\n(.*?)```", (DOCS / "own_space.md").read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    assert listed[1] == (EXAMPLE / "tiny.py").read_text(encoding="utf-8")


def test_the_documented_commands_run(walked: tuple[Path, dict[str, Result]]) -> None:
    store, said = walked
    assert set(said) == {"spaces", "import", "collect", "evolve", "test", "query", "report"}
    assert said["spaces"].out.splitlines()[-1].split() == ["tiny", "12", "stripes", "4", "1x16x16"]
    assert "12 networks collected" in said["collect"].err
    assert "tiny:stripes" in said["test"].out
    assert "mean(T3)" in said["test"].out
    assert said["query"].out.splitlines()[0].split()[:3] == ["program", "text", "role"]
    report = Path(said["report"].out.strip())
    assert report == store / "reports" / "tiny.md"
    assert "tiny:stripes" in report.read_text(encoding="utf-8")


def test_functional_relus_are_found(walked: tuple[Path, dict[str, Result]]) -> None:
    sql = "SELECT arch, count(DISTINCT layer) AS instances FROM summaries WHERE space = 'tiny' GROUP BY arch"
    instances = dict(run_sql(Store.open(walked[0]), sql).rows())
    archs = runpy.run_path(str(EXAMPLE / "tiny.py"))["ARCHS"]
    # Each of the d convolutions after the stem takes a ReLU's output and feeds a BatchNorm; the stem takes images.
    assert instances == {arch: int(arch[arch.index("-d") + 2]) for arch in archs}


def test_a_resumed_run_is_the_uninterrupted_one(
    walked: tuple[Path, dict[str, Result]], folder: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(walked[0], tmp_path / "store")
    planned(Store.open(store), folder, "stopped")
    moved = shutil.copy(folder / "tiny.py", tmp_path / "elsewhere.py")
    result = done(
        "evolve", "--resume", "--run", "stopped", "--space-file", str(moved), "--workers", "1", store=store
    )
    assert "generation 2 of 2" in result.err
    opened = Store.open(store)
    for sql in (INDIVIDUALS, SCORES):
        mine, theirs = (run_sql(opened, sql, {"run": run}) for run in ("stopped", "tiny"))
        assert mine.height > 0
        assert mine.equals(theirs)


# Naming the file, and nothing else --------------------------------------------------------------------------------


def test_a_run_goes_on_only_with_its_file_named(store: Store, folder: Path) -> None:
    planned(store, folder, "stopped")
    path = str(folder / "tiny.py")
    use_space_files([])
    for words in (["evolve", "--resume"], ["test", "stopped"]):
        assert_refused(zcsr(*words, store=store.root), "run stopped is on the space 'tiny'", path, "--space-file")
    assert_refused(
        zcsr("evolve", "--resume", "--space-file", "gone.py", store=store.root),
        "cannot read the space file gone.py",
    )


def test_a_run_refuses_a_changed_file(store: Store, folder: Path, tmp_path: Path) -> None:
    planned(store, folder, "stopped")
    changed = tmp_path / "tiny.py"
    changed.write_text((folder / "tiny.py").read_text().replace("(4, 8, 12)", "(4, 8, 16)"))
    result = zcsr("evolve", "--resume", "--space-file", str(changed), store=store.root)
    assert_refused(result, "run stopped was started with another content", str(changed))


def test_nothing_in_a_store_makes_a_file_run(store: Store, folder: Path, tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap.py", tmp_path / "sprung"
    trap.write_text(f"open({str(sprung)!r}, 'w').close()\n{(folder / 'tiny.py').read_text()}")
    use_spaces_of([trap])
    experiment = Experiment.plan(
        store, [TaskRequest("tiny", "stripes", "stripes")], SEARCH, StatisticsConfig(), workers=1, name="trap"
    )
    assert experiment.run.spaces()["tiny"].where == str(trap)
    assert sprung.exists()
    sprung.unlink()
    for words in (
        ["evolve", "--resume"],
        ["test", "trap"],
        ["collect", "tiny", "stripes", "--sample", "1"],
        ["evolve", "--task", "tiny:stripes"],
        ["query", "runs"],
        ["report", "trap"],
        ["store", "verify"],
        ["store", "rebuild"],
    ):
        zcsr(*words, store=store.root)
        assert not sprung.exists(), words
    zcsr("evolve", "--resume", "--run", "nosuch", "--space-file", str(trap), store=store.root)
    assert sprung.exists()


def test_an_interrupted_run_says_which_file_to_name(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    planned(store, folder, "stopped")
    path = str(folder / "tiny.py")
    monkeypatch.setattr(Experiment, "collect", interrupted)
    result = zcsr("evolve", "--resume", "--space-file", path, store=store.root)
    assert result.code == 130
    assert result.err.endswith(f"zcsr evolve --resume --run stopped --space-file {shlex.quote(path)}\n")


def test_the_environment_names_files_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.py"
    other.write_text((folder / "tiny.py").read_text().replace('"tiny"', '"other"'))
    monkeypatch.setenv("ZCSR_SPACES", os.pathsep.join([str(folder / "tiny.py"), str(other)]))
    names = [line.split()[0] for line in done("spaces").out.splitlines()]
    assert names[-2:] == ["tiny", "other"]
    monkeypatch.delenv("ZCSR_SPACES")
    assert "tiny" not in done("spaces").out


def test_workers_run_what_this_process_has_read(store: Store, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.py"
    shutil.copy(folder / "tiny.py", path)
    use_spaces_of([path])
    path.write_text("raise RuntimeError('the file as it is now')")
    archs = get_space("tiny").sample(2, random.Random(0))
    one, two = collection_of(), collection_of(StatisticsConfig(seed=0, batch_size=2))
    assert collect_networks(store, one, archs, workers=2).done == 2
    assert collect_networks(store, two, archs, workers=1).done == 2
    assert open_collection(store, one).archs() == set(archs)
    expected = runpy.run_path(str(folder / "tiny.py"))["build"](archs[0], 4, 1)
    shapes = {tuple(conv.weight.shape) for conv in expected.convs}
    stored = open_collection(store, one).load(archs[0])
    assert {tuple(instance.raw["T3"].shape) for instance in stored.instances} == shapes


def test_a_changed_file_makes_another_collection(store: Store, folder: Path, tmp_path: Path) -> None:
    first = collection_of()
    collect_networks(store, first, ["w4-d1-k1"])
    changed = tmp_path / "tiny.py"
    changed.write_text((folder / "tiny.py").read_text() + "# changed\n")
    use_spaces_of([changed])
    second = collection_of()
    assert (first.space, first.config) == (second.space, second.config)
    assert first.id != second.id
    with pytest.raises(InputError, match="is not what it was"):
        collect_networks(store, first, ["w4-d1-k3"])
    collect_networks(store, second, ["w4-d1-k1"])
    assert set(list_collections(store)) == {first, second}


def test_collections_of_built_in_spaces_keep_their_ids() -> None:
    config = StatisticsConfig()
    plain = Collection("nasbench201", "cifar10", "cifar10", config)
    assert Collection.of("nasbench201", "cifar10", "cifar10", config) == plain


# An installed entry point -----------------------------------------------------------------------------------------


@pytest.fixture
def installed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution on the path whose entry points offer the example, and two broken ones."""
    site = tmp_path / "site"
    information = site / "their_spaces-1.2.dist-info"
    information.mkdir(parents=True)
    code = (folder / "tiny.py").read_text().replace('"tiny"', '"theirs"')
    (site / "their_spaces.py").write_text(f"{code}\n\ndef space():\n    return SPACE\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-spaces\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(
        "[zcsr.spaces]\n"
        "theirs = their_spaces:space\nmisnamed = their_spaces:space\nmissing = their_spaces:nothing\n"
    )
    monkeypatch.syspath_prepend(site)
    own._installed.cache_clear()
    yield site
    own._installed.cache_clear()
    sys.modules.pop("their_spaces", None)


def test_an_installed_space_needs_no_file(installed: Path, store: Store) -> None:
    assert {"theirs", "misnamed", "missing"} <= set(space_names())
    collected = done(
        "collect", "theirs", "stripes", "--arch", "w4-d1-k1", "--arch", "11", "--workers", "1", store=store.root
    )
    assert "2 networks collected" in collected.err
    (collection,) = list_collections(store)
    assert collection.definition == "their-spaces 1.2"
    assert open_collection(store, collection).archs() == {"w4-d1-k1", "w12-d2-k3"}


@pytest.mark.parametrize(("name", "message"), [("misnamed", "named 'theirs'"), ("missing", "cannot be loaded")])
def test_a_broken_installed_space_is_one_line(name: str, message: str, installed: Path, store: Store) -> None:
    result = zcsr("collect", name, "stripes", "--sample", "1", store=store.root)
    assert_refused(result, f"entry point {name} = their_spaces", message)


# What is refused --------------------------------------------------------------------------------------------------

HEAD = """
from torch import nn
from zcsr.spaces import DatasetShape, ListedSpace
SHAPES = {"stripes": DatasetShape(classes=4, channels=1, height=16, width=16)}
class Net(nn.Linear):
    def forward(self, images):
        return self.nothing(images)
def build(arch, classes, in_channels):
    if arch == "wrong":
        return "a network"
    if arch == "broken":
        raise ValueError("cannot be built")
    if arch == "library":
        return nn.Sequential(nn.Flatten(), nn.Linear(7, classes))
    return Net(1, 1)
"""


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ("SPAC = 1", ["sets no SPACE"]),
        ("SPACE = 1", ["gives a int", "ListedSpace"]),
        ("SPACE = ListedSpace", ["the class ListedSpace"]),
        ("SPACE = (", ["cannot be run: SyntaxError"]),
        ("import nothing_of_this_name", ["ModuleNotFoundError", "space.py, line 16"]),
        ("raise SystemExit(0)", ["cannot be run: SystemExit: 0"]),
        ("SPACE = ListedSpace('own', ['a', 'b', 'a'], build, SHAPES)", ["'a' is listed twice"]),
        ("SPACE = ListedSpace('own', ['a', 'b\\nc'], build, SHAPES)", ["architecture 1 is 'b\\nc'", "one line"]),
        ("SPACE = ListedSpace('own', ['a', ''], build, SHAPES)", ["architecture 1 is ''"]),
        ("SPACE = ListedSpace('own', ['a', 7], build, SHAPES)", ["architecture 1 is 7", "a string"]),
        ("SPACE = ListedSpace('own', [], build, SHAPES)", ["empty"]),
        ("SPACE = ListedSpace('own', ['a'], 'build', SHAPES)", ["build must be a function"]),
        ("SPACE = ListedSpace('own', ['a'], build, {})", ["datasets must map"]),
        ("SPACE = ListedSpace('own', ['a'], build, {'x': (4, 1, 16, 16)})", ["dataset 'x'", "DatasetShape("]),
        ("SPACE = ListedSpace('own', ['a'], build, {'x': DatasetShape(0, 1, 16, 16)})", ["above 0"]),
        ("SPACE = ListedSpace('own', ['a'], build, {'x/y': SHAPES['stripes']})", ["'x/y' cannot name a dataset"]),
        ("SPACE = ListedSpace('own:x', ['a'], build, SHAPES)", ["'own:x' cannot name a space"]),
        ("SPACE = ListedSpace('own/x', ['a'], build, SHAPES)", ["'own/x' cannot name a space"]),
        ("SPACE = ListedSpace('nasbench201', ['a'], build, SHAPES)", ["'nasbench201'", "comes with zcsr"]),
    ],
)
def test_a_bad_file_is_one_line(code: str, messages: list[str], tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(f"{HEAD}{code}\n")
    assert_refused(zcsr("spaces", "--space-file", str(path)), str(path), *messages)


def test_two_files_cannot_give_one_name(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    shutil.copy(folder / "tiny.py", other)
    both = [folder / "tiny.py", other]
    assert_refused(
        zcsr("spaces", *(word for path in both for word in ("--space-file", str(path)))), *map(str, both)
    )
    use_spaces_of([folder / "tiny.py"])
    before = space_files()
    with pytest.raises(InputError, match="as well"):
        use_spaces_of(both)
    assert space_files() == before


@pytest.mark.parametrize(
    ("arch", "messages"),
    [
        ("broken", ["'broken' fails: ValueError: cannot be built (space.py, line 12)"]),
        ("wrong", ["gives a str for 'wrong', not a torch module"]),
        ("forward", ["'forward' fails: AttributeError", "(space.py, line 7)"]),
        ("library", ["'library' fails: RuntimeError"]),
        ("brken", ["'brken' is no architecture of own", "did you mean 'broken'?"]),
    ],
)
def test_a_network_that_fails_is_one_line(arch: str, messages: list[str], store: Store, tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(f"{HEAD}SPACE = ListedSpace('own', ['broken', 'wrong', 'forward', 'library'], build, SHAPES)\n")
    words = ("collect", "own", "stripes", "--arch", arch, "--space-file", str(path), "--workers", "1")
    assert_refused(zcsr(*words, store=store.root), *messages)


def test_a_space_below_the_usual_number_of_networks_is_trained_whole(store: Store, folder: Path) -> None:
    images = ("--train-images", "64", "--test-images", "16", "--epochs", "1", "--batch-size", "64")
    words = ("train", "tiny", "stripes", *images, "--workers", "1", "--space-file", str(folder / "tiny.py"))
    assert_refused(
        zcsr(*words, store=store.root), "has accuracies of tiny:stripes from accuracies", "another store (--store)"
    )
    shutil.rmtree(store.accuracies_dir)
    assert "12 trainings in" in done(*words, store=store.root).err
    assert "12 were there already" in done(*words, store=store.root).err
    assert_refused(
        zcsr(*words, "--networks", "13", store=store.root),
        "--networks is at most 12, the number of architectures of tiny, not 13",
    )


def test_a_training_that_fails_names_the_network(tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(f"{HEAD}SPACE = ListedSpace('own', ['forward'], build, SHAPES)\n")
    use_spaces_of([path])
    examples = Examples(torch.zeros(4, 1, 16, 16), torch.zeros(4, dtype=torch.int64))
    config = TrainingConfig(epochs=1, batch_size=2)
    with pytest.raises(InputError, match=r"own: the network 'forward' fails: .*space\.py, line 7"):
        train_network(get_space("own"), "forward", 4, examples, examples, config, seed=0)


def test_unknown_spaces_say_how_to_name_a_file() -> None:
    assert_refused(zcsr("train", "tiny", "stripes"), "unknown search space 'tiny'", "--space-file or ZCSR_SPACES")


# A listed space ---------------------------------------------------------------------------------------------------


def listed(count: int = 10) -> ListedSpace:
    return ListedSpace("own", [f"net {n}" for n in range(count)], lambda *_: nn.Identity(), SHAPES)


def test_a_list_is_the_order() -> None:
    space = listed()
    assert len(space) == 10
    assert [space.arch(n) for n in range(10)] == [f"net {n}" for n in range(10)]
    assert [space.index(f"net {n}") for n in range(10)] == list(range(10))
    for index in (-1, 10):
        with pytest.raises(InputError, match="indices go from 0 to 9"):
            space.arch(index)


def test_a_list_knows_no_relations_between_architectures() -> None:
    space = listed()
    assert space.neighbours("net 3") == []
    assert space.canonical("net 3") == "net 3"
    for method in (space.neighbours, space.canonical, space.index):
        with pytest.raises(InputError, match="no architecture of own"):
            method("net 10")


def test_samples_of_a_list_are_distinct_and_even() -> None:
    space, generator = listed(), random.Random(0)
    draws = [space.sample(3, generator) for _ in range(3000)]
    assert all(len(set(draw)) == 3 for draw in draws)
    counts = np.bincount([space.index(arch) for draw in draws for arch in draw], minlength=10)
    assert abs(counts - 900).max() < 5 * np.sqrt(3000 * 0.3 * 0.7)
    with pytest.raises(InputError, match="own has 10"):
        space.sample(11, generator)


def test_a_built_in_space_has_no_origin(folder: Path) -> None:
    use_spaces_of([folder / "tiny.py"])
    assert space_origin("nasbench201") is None
    assert space_origin("nobody's") is None
    origin = space_origin("tiny")
    assert origin is not None
    assert (origin.kind, origin.where) == ("file", str(folder / "tiny.py"))
    assert origin.definition == hashlib.sha256((folder / "tiny.py").read_bytes()).hexdigest()


def test_an_architecture_whose_name_is_a_number_goes_before_the_index(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "numbers.py"
    code = (EXAMPLE / "tiny.py").read_text()
    code = code.replace('ListedSpace("tiny", ARCHS, build,', 'ListedSpace("numbers", ["8", "4"], build,')
    code = code.replace(
        'width, depth, kernel = (int(part[1:]) for part in arch.split("-"))',
        "width, depth, kernel = int(arch), 1, 1",
    )
    path.write_text(code)
    words = ("collect", "numbers", "stripes", "--space-file", str(path), "--workers", "1")
    done(*words, "--arch", "4", "--arch", "0", store=store.root)
    assert open_collection(store, list_collections(store)[0]).archs() == {"4", "8"}
