"""The report on one program against everything: its table against the query, its picture, its refusals."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
import score_samples as invented
from commands import zcsr

from zcsr.errors import InputError
from zcsr.reports import render_against
from zcsr.store import Store, named

pytestmark = pytest.mark.usefixtures("few_samples")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return invented.compared_store(tmp_path_factory.mktemp("against") / "store")


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    rows = {"name": ["eznas-a", "naswot", "params"], "cpu_ms": [80.5, 200.0, 1.0]}
    file = tmp_path / "costs.csv"
    pl.DataFrame({**rows, "forward": [1, 1, 0], "backward": [1, 0, 0]}).write_csv(file)
    return file


def cells(line: str) -> list[str]:
    return [part.strip().strip("`") for part in line.split("|")[1:-1]]


def minus(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def test_the_first_table_has_every_measure_and_task(store: Store, costs: Path, tmp_path: Path) -> None:
    text = render_against(store, "eznas-a", "against", tmp_path, costs=costs).read_text(encoding="utf-8")
    frame = named(store, "against", {"program": "eznas-a"})
    header, _, *rows = [line for line in text.split("\n\n")[2].splitlines() if line.startswith("|")]
    assert cells(header) == [
        "name",
        *sorted(invented.TASKS),
        "least",
        "mean",
        "CPU ms",
        "passes (forward + backward)",
    ]
    shown = {row[0]: row[1:] for row in map(cells, rows)}
    assert next(iter(shown)) == "eznas-a"
    assert set(shown) == set(frame["name"])
    for name, values in shown.items():
        taus = dict(frame.filter(name=name).select("task", "tau").iter_rows())
        expected = [minus(taus[task]) if task in taus else "–" for task in sorted(invented.TASKS)]
        assert values[:2] == expected
        if len(taus) == 2:
            assert values[2:4] == [minus(min(taus.values())), minus(sum(taus.values()) / 2)]
        else:
            assert values[2:4] == ["–", "–"]
    assert shown["eznas-a"][4:] == ["80.5", "1 + 1"]
    assert shown["grad_norm"][4:] == ["–", "–"]
    assert (tmp_path / "against-cost.png").stat().st_size > 5000
    assert "zcsr report --against eznas-a --costs costs.csv" in text
    for match in re.finditer(r"\((\S+\.png)\)", text):
        assert (tmp_path / match[1]).exists()


def test_without_costs_nothing_is_said_of_them(store: Store, tmp_path: Path) -> None:
    text = render_against(store, "naswot", "mine", tmp_path, notes="What I think.").read_text(encoding="utf-8")
    assert "CPU" not in text
    assert "What I think." in text
    assert "zcsr report --against naswot --name mine --notes NOTES.md" in text


def test_what_it_takes_is_asked_for(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scores of 'swap' beside another measure's"):
        render_against(store, "swap", "against", tmp_path)
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"cannot read a table of costs from .*name, cpu_ms, forward, backward"):
        render_against(store, "eznas-a", "against", tmp_path, costs=tmp_path / "no.csv")


def test_the_command(store: Store, tmp_path: Path) -> None:
    path = zcsr("report", "--against", "eznas-a", "--out", str(tmp_path), store=store.root)
    assert (path.code, path.out) == (0, f"{tmp_path / 'against.md'}\n")
    both = zcsr("report", "--against", "eznas-a", "--scores", store=store.root)
    assert (both.code, both.lines[-1][:21]) == (2, "zcsr: --against eznas")
    assert zcsr("report", "--costs", "x.csv", store=store.root).code == 2
