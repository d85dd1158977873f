"""The report on scores apart from runs: its tables against scipy and the queries they name, its words."""

from __future__ import annotations

import math
import re
import shlex
import struct
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import score_samples as invented
from commands import zcsr
from scipy import stats

from zcsr import queries
from zcsr.errors import InputError
from zcsr.reports import render_scores
from zcsr.reports.scores_page import ScoresPage, batch_sizes, page_of_scores, shown_collections
from zcsr.reports.toolkit.figures import LABEL_WIDTH, Panel, Series, short, told_apart, without_empty_rows
from zcsr.reports.toolkit.phrases import parts_of
from zcsr.store import Store, named, query

pytestmark = pytest.mark.usefixtures("few_samples")

MADE_BY = re.compile(r"^Made by `queries/(\w+)\.sql`: `(.+)`$", re.MULTILINE)
SECTIONS = (
    *(
        "Summary",
        "Ours beside the published ones",
        "Read with care",
        "Collections",
        "Comparison",
        "Batch sizes (Figure 7)",
        "Seeds (Figure 9)",
    ),
    *("Readouts (Figure 10)", "Across spaces and datasets (Figure 11)", "Agreement with the scores of others"),
    *("What it cost", "How to reproduce"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return invented.compared_store(tmp_path_factory.mktemp("comparison") / "store")


@pytest.fixture(scope="module")
def report(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_scores(store, "scores", tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return report.read_text(encoding="utf-8")


@pytest.fixture
def small(tmp_path: Path) -> Store:
    """A store with scores in one collection, on the dataset's own images."""
    store = Store.open(tmp_path / "small", create=True)
    invented.write_accuracies(store)
    one = invented.collection(invented.SIZES, batch_size=16)
    invented.write_scores(store, one, invented.scores(one, ["naswot", "flops"]))
    invented.write_record(store, one)
    return store


def page_of(store: Store, folder: Path = Path("nowhere")) -> ScoresPage:
    return page_of_scores(store, "scores", folder)


def cells(line: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(markdown: str) -> list[list[list[str]]]:
    """Every table of a text as rows of cells, header first, without the rule below it."""
    lines = [block.splitlines() for block in re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE)]
    return [[cells(line) for line in (header, *rows)] for header, _, *rows in lines]


def section(markdown: str, title: str) -> str:
    return markdown.split(f"\n## {title}\n")[1].split("\n## ")[0]


def read(shown: str) -> float:
    return float(shown.replace("−", "-"))


def test_the_sections(text: str) -> None:
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert text.startswith("# Scores\n")


def test_pictures_are_shown_and_800_pixels_wide(report: Path, text: str) -> None:
    pictures = sorted(path.name for path in report.parent.glob("*.png"))
    assert pictures == sorted(
        f"scores-{what}.png"
        for what in (
            *("comparison-nasbench201-cifar100", "comparison-nats-sss-cifar10", "batch-sizes", "seeds"),
            *("readouts", "cross-space"),
        )
    )
    for name in pictures:
        header = (report.parent / name).read_bytes()[:24]
        assert struct.unpack(">I", header[16:20]) == (800,)
        assert text.count(f"]({name})") == 1


def test_the_same_store_gives_the_same_bytes(store: Store, report: Path, tmp_path: Path) -> None:
    again = render_scores(store, "scores", tmp_path)
    for path in report.parent.iterdir():
        assert (again.parent / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_table_names_a_query_that_runs(store: Store, text: str) -> None:
    after = re.split(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)[1:]
    assert all(MADE_BY.match(part.lstrip("\n")) for part in after)
    found = MADE_BY.findall(text)
    for name, command in found:
        program, verb, query_name, *options = shlex.split(command)
        assert (program, verb, query_name) == ("zcsr", "query", name)
        given = dict(pair.split("=", 1) for pair in options[1:-2:2])
        entry = queries.load(name)
        assert query(store, entry.sql, entry.values(given)).height > 0
    assert {name for name, _ in found} == {
        *("scored_collections", "comparison", "published", "batch_sizes", "seeds", "readouts", "agreement"),
        "cross_space_scores",
        "beside_published",
    }


def test_every_row_has_as_many_cells_as_its_header(text: str) -> None:
    found = tables(text)
    assert len(found) == 13
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])}
        assert len(rows) > 1


def test_the_comparison_agrees_with_scipy(text: str) -> None:
    header, *rows = tables(section(text, "Comparison"))[0]
    one, scores = next(iter(invented.collections().items()))
    accuracies = invented.mean_accuracies(invented.CELLS)
    assert f"collection={one.id}" in section(text, "Comparison")
    assert len(rows) == len(scores)
    for row in rows:
        shown = dict(zip(header, row, strict=True))
        name = shown["name"].strip("`")
        values = scores[{"eznas-a": invented.EZNAS_A}.get(name, name)]
        kept = [arch for arch, value in values.items() if not np.isnan(value)]
        pairs = ([values[arch] for arch in kept], [accuracies[arch] for arch in kept])
        assert read(shown["kendall"]) == pytest.approx(stats.kendalltau(*pairs).statistic, abs=6e-4)
        assert read(shown["spearman"]) == pytest.approx(stats.spearmanr(*pairs).statistic, abs=6e-4)
        assert (int(shown["networks"]), int(shown["not finite"])) == (len(kept), len(values) - len(kept))
        low, high = map(read, shown["95% interval"].split(" to "))
        assert low < read(shown["kendall"]) < high
    paper = {row[0]: row[header.index("paper's kendall")] for row in rows}
    assert (paper["`eznas-a`"], paper["`naswot`"], paper["`grad_norm`"]) == ("0.65", "0.61", "–")


def test_ours_and_published_are_on_the_networks_that_all_have(store: Store, text: str) -> None:
    ours = query(store, "SELECT * FROM scored_networks WHERE metric = 'test' AND isfinite(score)")
    said = "SELECT space || ':' || dataset AS task, proxy AS name, max(value) AS value FROM published"
    paper = query(store, f"{said} WHERE source = 'EZNAS paper' AND statistic = 'kendall' GROUP BY ALL")
    published = {(task, name): value for task, name, value in paper.iter_rows()}
    rows = named(store, "beside_published")
    assert not rows.is_empty()
    for row in rows.iter_rows(named=True):
        of_collection = ours.filter(collection=row["collection"])
        names = [
            name for (name,) in of_collection.select("name").unique().rows() if (row["task"], name) in published
        ]
        sets = [set(of_collection.filter(name=name)["arch"]) for name in names]
        common = sorted(set.intersection(*sets))
        own = of_collection.filter((pl.col("name") == row["name"]) & pl.col("arch").is_in(common))
        tau = stats.kendalltau(own["score"].to_numpy(), own["accuracy"].to_numpy()).statistic
        assert row["networks"] == len(common)
        assert row["kendall"] == pytest.approx(tau)
        assert row["difference"] == pytest.approx(tau - published[row["task"], row["name"]])
        assert row["kendall_low"] <= tau <= row["kendall_high"]
    shown = tables(section(text, "Ours beside the published ones"))[0]
    assert {row[shown[0].index("name")].strip("`") for row in shown[1:]} <= set(rows["name"])


def test_labels_can_be_told_apart_and_empty_rows_are_left_out() -> None:
    names = [
        "sigmoid(logdet(sign(T1G_D))) -> mean -> sum of all",
        "sigmoid(logdet(sign(T2G_D))) -> mean -> sum of all",
    ]
    labels = told_apart([*names, "params"])
    assert len(set(labels)) == 3
    assert labels[2] == "params"
    assert told_apart(["a" * 100, "a" * 100]) == [short("a" * 100)] * 2
    nan = math.nan
    panel = Panel("", [Series("one", np.array([1.0, nan, nan])), Series("two", np.array([nan, nan, 2.0]))], "abc")
    kept = without_empty_rows(panel)
    assert kept.labels == ["a", "c"]
    first, second = kept.series
    assert first.values == pytest.approx([1, nan], nan_ok=True)
    assert second.values == pytest.approx([nan, 2], nan_ok=True)


def test_published_figures_have_the_digits_they_were_published_with(text: str) -> None:
    assert "| EZNAS release, batch 16 | – | eznas-a | kendall | 0.617 |" in text
    assert "| EZNAS paper | Tables 3 and 4 | anglenas | kendall | 0.60 |" in text
    assert "| regularised SWAP, validation accuracy | – | swap | spearman | 0.90 |" in text


def test_collections_of_every_batch_size_are_shown_the_largest_first(store: Store) -> None:
    shown = shown_collections(page_of(store), invented.CELLS)
    assert [(row["batch_size"], row["trained"]) for row in shown] == [(16, 60), (1, 50), (4, 50)]
    assert {row["pattern"] for row in shown} == {"rcb"}


def test_a_collection_much_smaller_than_the_largest_is_left_to_its_section(small: Store) -> None:
    for size, count in ((1, 29), (4, 30)):
        one = invented.collection(invented.SIZES, batch_size=size)
        invented.write_scores(small, one, invented.scores(one, ["naswot"], invented.ARCHS[:count]))
    assert [row["batch_size"] for row in shown_collections(page_of(small), invented.SIZES)] == [16, 4]


def test_the_matrix_has_a_row_a_program_and_a_column_a_task(text: str) -> None:
    header, *rows = tables(section(text, "Across spaces and datasets (Figure 11)"))[0]
    assert header == ["name", "batch size", *invented.TASKS]
    assert [row[0] for row in rows] == ["`eznas-a`", "`flops`", "`naswot`", "`params`"]
    compared = tables(section(text, "Comparison"))[0]
    taus = {row[0]: row[compared[0].index("kendall")] for row in compared[1:]}
    assert all(row[2] == taus[row[0]] for row in rows)


def test_the_commands_are_those_of_the_collections(text: str) -> None:
    block = section(text, "Collections").split("```sh\n")[1].split("\n```")[0]
    given = [shlex.split(line) for line in block.splitlines()]
    assert len(given) == len(invented.collections())
    (cbr,) = [words for words in given if "cbr" in words]
    assert cbr[:4] == ["zcsr", "test", "--task", invented.CELLS]
    assert cbr[cbr.index("--images") + 1] == "cifar10"
    assert cbr[cbr.index("--batch-size") + 1] == "16"
    assert cbr[cbr.index("--sample") + 1] == "50"
    programs = {cbr[place + 1] for place, word in enumerate(cbr) if word == "--program"}
    assert programs == {"eznas-a", *invented.PROGRAMS[1:]}
    (sizes,) = [words for words in given if invented.SIZES in words]
    proxies = [sizes[place + 1] for place, word in enumerate(sizes) if word == "--proxy"]
    assert sorted(proxies) == sorted(invented.PROXIES[:3])


def test_caveats(text: str) -> None:
    said = section(text, "Read with care")
    assert "image set `cifar10`, which stands in for images of `cifar100`" in said
    assert "in `nats-sss-cifar10-b16-s0-rcb-ones-f001fd` are made is not recorded" in said
    assert "AngleNAS is quoted" in said
    assert "the largest collection has 60 networks" in said


def test_sections_without_data_are_left_out(small: Store, tmp_path: Path) -> None:
    path = render_scores(small, "small", tmp_path / "out")
    said = path.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", said, re.MULTILINE)) == ("Summary", *SECTIONS[2:5], *SECTIONS[-2:])
    files = sorted(one.name for one in path.parent.iterdir())
    assert files == ["small-comparison-nats-sss-cifar10.png", "small-comparison-nats-sss-cifar10.svg", "small.md"]
    assert said.startswith("# Scores: small\n")
    assert "zcsr report --scores --name small\n" in said
    assert "stands in for" not in said
    assert "AngleNAS" not in said
    assert "not finite" not in said
    assert "\n\n\n" not in said


def test_many_lines_are_cut_to_the_highest(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[ScoresPage.__module__]
    monkeypatch.setattr(module, "DRAWN_LINES", 3)
    drawn: dict[str, object] = {}
    monkeypatch.setattr(
        module,
        "lines_figure",
        lambda path, panels, *_: drawn.update((line.name, line) for line in panels[0].series),
    )
    said = batch_sizes(page_of(store, tmp_path))
    header, *rows = tables(said)[0]
    highest: dict[str, float] = {}
    for row in rows:
        tau = read(row[header.index("kendall")])
        highest[row[1].strip("`")] = max(tau, highest.get(row[1].strip("`"), -1))
    assert set(drawn) == set(sorted(highest, key=lambda name: -highest[name])[:3])
    assert "the 3 with the highest tau" in said


def test_sections_and_template_agree(small: Store, tmp_path: Path) -> None:
    assert set(page_of(small, tmp_path).parts()) == parts_of("comparison.md")


def test_notes_stand_after_the_summary(small: Store, tmp_path: Path) -> None:
    written = render_scores(small, "noted", tmp_path, "## What it means\n\nNot much.\n").read_text()
    assert (
        written.index("## Summary")
        < written.index("## What it means\n\nNot much.")
        < written.index("## Collections")
    )


def test_no_place_on_this_machine_is_told(store: Store, text: str) -> None:
    assert str(store.root) not in text
    assert str(Path.home()) not in text


def test_a_store_without_scores_is_refused_and_nothing_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    with pytest.raises(InputError, match="holds no scores of networks with accuracies; `zcsr test --task"):
        render_scores(store, "scores", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_file_name_is_refused(small: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.\./up' cannot name a report"):
        render_scores(small, "../up", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("naswot", "naswot"),
        ("x" * LABEL_WIDTH, "x" * LABEL_WIDTH),
        (f"{'a' * 20}{'b' * 20}", f"{'a' * 12}…{'b' * 17}"),
    ],
)
def test_labels_keep_the_beginning_and_the_end(name: str, shown: str) -> None:
    assert short(name) == shown
    assert len(short(name)) <= LABEL_WIDTH


def test_the_command_writes_the_report_and_prints_its_path(small: Store) -> None:
    code, out, _ = zcsr("report", "--scores", "--name", "mine", "--store", str(small.root))
    assert (code, out) == (0, f"{small.root / 'reports' / 'mine.md'}\n")
    assert (small.root / "reports" / "mine.md").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scores", "first"), "leave out the run 'first' or --scores"),
        (("--name", "mine"), "--name and --notes are for a report on --scores"),
        (("--scores", "--out", "/dev/null/reports"), "cannot write /dev/null"),
    ],
)
def test_the_command_refuses_what_does_not_fit(small: Store, words: tuple[str, ...], message: str) -> None:
    code, out, err = zcsr("report", *words, "--store", str(small.root))
    assert (code, out) == (2, "")
    assert message in err
