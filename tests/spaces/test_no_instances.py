"""Search spaces whose networks have none of what programs look at, all of them or some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import zcsr

from zcsr.store import Store, query
from zcsr.store.jobs.space_files import use_spaces_of

SPACE = """
from torch import nn
from zcsr.spaces import DatasetShape, ListedSpace

ARCHS = [f"w{width}-d{depth}" for width in (4, 8, 12, 16) for depth in (1, 2, 3)]

def build(arch, classes, in_channels):
    width, depth = (int(part[1:]) for part in arch.split("-"))
    layers = [nn.Conv2d(in_channels, width, 3, stride=2)]
    for _ in range(depth):
        norm = nn.BatchNorm2d(width) if NORMED and width > 8 else nn.GroupNorm(2, width)
        layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), norm]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

SPACE = ListedSpace("gn", ARCHS, build, {"im": DatasetShape(classes=10, channels=3, height=16, width=16)})
"""
EVOLVE = (
    "evolve", "--task", "gn:im", "--networks", "12", "--test-networks", "6", "--generations", "1",
    "--population", "4",
    "--mu", "2", "--lambda", "4", "--columns", "3", "--formulas", "0", "--against", "params", "--workers", "1",
    "--run", "gn",
)  # fmt: skip


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    use_spaces_of([])


@pytest.fixture(params=[False, True], ids=["none", "half"])
def normed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def words(tmp_path: Path, normed: bool) -> tuple[str, ...]:
    """The flags that name the space, in a store with its images and accuracies."""
    file, store = tmp_path / "gn.py", tmp_path / "store"
    file.write_text(f"NORMED = {normed}\n{SPACE}", encoding="utf-8")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "im.npz", images=images, labels=np.arange(20) % 10)
    rows = [f"w{width}-d{depth},{60 + width + depth}" for width in (4, 8, 12, 16) for depth in (1, 2, 3)]
    (tmp_path / "acc.csv").write_text("\n".join(["arch,acc", *rows]), encoding="utf-8")
    Store.open(store, create=True)
    given = ("--space-file", str(file), "--store", str(store))
    assert zcsr("import", "images", str(tmp_path / "im.npz"), "--name", "im", "--store", str(store))[0] == 0
    table = ("import", "accuracies", str(tmp_path / "acc.csv"), "--space", "gn", "--dataset", "im")
    assert zcsr(*table, "--accuracy-column", "acc", *given)[0] == 0
    return given


def test_a_search_stops_without_any_and_says_which_have_none(words: tuple[str, ...], normed: bool) -> None:
    code, out, err = zcsr(*EVOLVE, *words)
    if normed:
        assert code == 0, err
        assert "networks have no instance, such as w" in err
        assert "report:" in err
    else:
        assert (code, out) == (2, "")
        assert "none of the 6 networks of gn:im can be looked at" in err.splitlines()[-1]
        assert "the network is made of" in err.splitlines()[-1]
        assert "GroupNorm" in err.splitlines()[-1]


def test_collecting_stops_without_any(words: tuple[str, ...], normed: bool) -> None:
    code, _, err = zcsr("collect", "gn", "im", "--all", "--workers", "1", *words)
    assert (code, "none of the 12 networks of gn:im can be looked at" in err) == (
        (0, False) if normed else (2, True)
    )


def test_a_network_without_any_has_no_score(words: tuple[str, ...], normed: bool) -> None:
    code, _, err = zcsr("test", "--task", "gn:im", "-p", "sum(fro(T3))", "--all", "--workers", "1", *words)
    reason = "the network has no instance of the pattern 'rcb'"
    said = [line for line in err.splitlines() if "sum(fro(T3)): no score of" in line]
    assert [line.partition(": ")[2].split(",")[0] for line in said] == [
        f"no score of {6 if normed else 12} networks"
    ]
    assert reason in said[0]
    assert code == (0 if normed else 2)
    scores = query(Store.open(Path(words[-1])), "SELECT arch, score FROM network_scores")
    assert scores.height == 12
    without = {arch for arch, score in scores.iter_rows() if np.isnan(score)}
    with_some = {f"w{width}-d{depth}" for width in (12, 16) for depth in (1, 2, 3)} if normed else set()
    assert without == set(scores["arch"]) - with_some


def test_counts_need_no_instances(words: tuple[str, ...]) -> None:
    code, _, err = zcsr("test", "--task", "gn:im", "-p", "params / flops", "--all", "--workers", "1", *words)
    assert (code, "no score" in err) == (0, False), err


@pytest.mark.parametrize("command", ["evolve", "collect", "test"])
def test_the_pattern_that_networks_have_is_found(words: tuple[str, ...], normed: bool, command: str) -> None:
    given = {
        "evolve": EVOLVE,
        "collect": ("collect", "gn", "im", "--all", "--workers", "1"),
        "test": ("test", "--task", "gn:im", "-p", "sum(fro(T3))", "--all", "--workers", "1"),
    }[command]
    code, _, err = zcsr(*given, "--pattern", "auto", *words)
    assert code == 0, err
    assert "pattern act-conv-norm: " in err
    assert "no score" not in err
    store = Store.open(Path(words[-1]))
    assert set(query(store, "SELECT DISTINCT pattern FROM collections")["pattern"]) == {"act-conv-norm"}
