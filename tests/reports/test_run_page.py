"""The report of a run: its numbers against scipy, its tables against the queries they name, its markdown."""

from __future__ import annotations

import itertools
import math
import random
import re
import shlex
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import store_samples as samples
from scipy import stats

from zcsr import queries
from zcsr.errors import InputError
from zcsr.evolve.finalists import finalists
from zcsr.ranking import BOOTSTRAP_SEED, chance_deviation
from zcsr.reports import markdown_table, render_run
from zcsr.reports.run_page import page_of_run, verdict
from zcsr.reports.toolkit.answers import Answer
from zcsr.reports.toolkit.figures import stairs
from zcsr.reports.toolkit.markdown import cell, code, escape, number, shortened_code, table, unwrapped
from zcsr.reports.toolkit.phrases import parts_of, phrase, phrases
from zcsr.sameness.sympy_form import to_latex
from zcsr.store import Store, create_run, open_run, query
from zcsr.store.kept.costs import without_store
from zcsr.store.kept.runs import TestScore

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")
MADE_BY = re.compile(r"^Made by `queries/(\w+)\.sql`: `(.+)`$", re.MULTILINE)


def score_finalists(store: Store, run: str) -> None:
    """Give the finalists scores on the test networks, each of them one that is not finite."""
    opened = open_run(store, run)
    tasks = opened.tasks()
    assert tuple(one.task for one in tasks) == TASKS
    missing = (TASKS[0], tasks[0].test[0])
    generator = random.Random(run)
    rows = [
        TestScore(finalist.program, task, arch, math.nan if (task, arch) == missing else generator.gauss(0, 1))
        for finalist in finalists(opened.generations())
        for task, archs in ((one.task, one.test) for one in tasks)
        for arch in archs
    ]
    opened.write_test_scores(rows)
    opened.set_status("finished", 12.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run `first` with tested finalists, and a later run `second` whose finalists were not tested."""
    filled = samples.filled_store(tmp_path_factory.mktemp("reports") / "store")
    score_finalists(filled, "first")
    return filled


@pytest.fixture(scope="module")
def report(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_run(store, "first", tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return report.read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a line of a markdown table, as a renderer splits it: at pipes without a backslash."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(markdown: str) -> list[list[list[str]]]:
    """Every table of a text as rows of cells, header first, without the rule below it."""
    blocks = re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE)
    lines = [block.splitlines() for block in blocks]
    return [[cells(line) for line in (header, *rows)] for header, _, *rows in lines]


def section(markdown: str, title: str) -> str:
    return markdown.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_files(report: Path) -> None:
    assert report.name == "first.md"
    names = sorted(path.name for path in report.parent.iterdir())
    assert names == ["first-fitness.png", "first-fitness.svg", "first-scatter.png", "first-scatter.svg", "first.md"]


def test_pictures_are_shown_and_800_pixels_wide(report: Path, text: str) -> None:
    for name in ("first-fitness.png", "first-scatter.png"):
        header = (report.parent / name).read_bytes()[:24]
        assert header.startswith(b"\x89PNG\r\n")
        assert struct.unpack(">I", header[16:20]) == (800,)
        assert f"]({name})" in text


def test_the_same_store_gives_the_same_bytes(store: Store, report: Path, tmp_path: Path) -> None:
    again = render_run(store, "first", tmp_path)
    for path in report.parent.iterdir():
        assert (again.parent / path.name).read_bytes() == path.read_bytes(), path.name


def test_every_row_has_as_many_cells_as_its_header(text: str) -> None:
    found = tables(text)
    assert len(found) >= 12
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])}
        assert len(rows) > 1


def test_every_command_is_a_query_that_runs(store: Store, text: str) -> None:
    found = MADE_BY.findall(text)
    for name, command in found:
        program, verb, query_name, *options = shlex.split(command)
        assert (program, verb, query_name) == ("zcsr", "query", name)
        given = dict(pair.split("=", 1) for pair in options[1:-2:2])
        assert options[-2:] == ["--format", "markdown"]
        entry = queries.load(name)
        assert query(store, entry.sql, entry.values(given)).height > 0
    named = {name for name, _ in found}
    assert named >= {
        *("top_programs", "finalists", "correlations", "cross_space", "duplicates", "rejections", "generations"),
        *("evaluations", "split", "tasks", "parameters", "versions", "timings", "fitness", "test_scores"),
    }


def test_every_table_is_followed_by_its_query(text: str) -> None:
    after = re.split(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)[1:]
    assert all(MADE_BY.match(part.lstrip("\n")) for part in after)


def test_finalists_agree_with_scipy(store: Store, text: str) -> None:
    accuracies = {
        (task, arch): accuracy
        for task, arch, accuracy in query(
            store, "SELECT task, arch, avg(accuracy) FROM accuracies GROUP BY ALL"
        ).iter_rows()
    }
    scored = open_run(store, "first").test_scores()
    header, *rows = tables(section(text, "Finalists on test networks"))[0]
    assert {row[header.index("role")] for row in rows} >= {"last", "seen"}
    for row in rows:
        shown = dict(zip(header, row, strict=True))
        program, task = shown["program"].strip("`"), shown["task"].strip("`")
        pairs = [
            (score, accuracies[task, arch])
            for arch, score in scored.filter(program=program, task=task).select("arch", "score").iter_rows()
            if math.isfinite(score)
        ]
        scores, truth = zip(*pairs, strict=True)
        assert int(shown["networks"]) == len(pairs)
        assert read(shown["kendall"]) == pytest.approx(stats.kendalltau(scores, truth).statistic, abs=6e-4)
        assert read(shown["spearman"]) == pytest.approx(stats.spearmanr(scores, truth).statistic, abs=6e-4)
        low, high = map(read, shown["95% interval"].split(" to "))
        assert -1 <= low < read(shown["kendall"]) < high <= 1


def read(shown: str) -> float:
    return float(shown.replace("−", "-"))


def test_the_interval_is_the_percentiles_of_resampled_taus(store: Store, tmp_path: Path) -> None:
    page = page_of_run(store, "first", tmp_path)
    best = page.best
    assert best is not None
    scores, accuracies = page.tested(str(best["program"]))[TASKS[1]]
    generator = random.Random(BOOTSTRAP_SEED)
    taus = []
    for _ in range(2000):
        drawn = generator.choices(range(len(scores)), k=len(scores))
        taus.append(stats.kendalltau(scores[drawn], accuracies[drawn]).statistic)
    low, high = page.intervals[best["program"], TASKS[1]]
    percentiles = stats.quantile([tau for tau in taus if not math.isnan(tau)], [0.025, 0.975])
    assert [low, high] == pytest.approx(percentiles, abs=0.12)


def test_the_summary_quotes_the_fittest_finalist(store: Store, text: str) -> None:
    champion = max(finalists(open_run(store, "first").generations()), key=lambda finalist: finalist.fitness)
    said = section(text, "Summary")
    assert f"`{champion.program}`, with fitness {number(champion.fitness, 3)}" in said
    header, *rows = tables(section(text, "Finalists on test networks"))[0]
    taus = [row[header.index("kendall")] for row in rows if row[0] == f"`{champion.program.id}`"]
    assert len(taus) == len(TASKS)
    assert all(f"**{tau}**" in said for tau in taus)


def test_what_the_finalist_looks_at_is_said_first(store: Store, text: str) -> None:
    champion = max(finalists(open_run(store, "first").generations()), key=lambda finalist: finalist.fitness)
    said = section(text, "Summary")
    assert all(f"- `{tensor.name}`: " in said for tensor in champion.program.root.tensors())
    assert "```math" in said
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert titles[:5] == ["Run first", "Summary", "Beside what is known", "Read with care", "Appendix"]


RIVALS = pl.DataFrame(
    {
        "task": ["a", "b", "a", "b", "a", "b"],
        "rival": ["params", "params", "flops", "flops", "eznas-a", "eznas-a"],
        "tau": [0.5, 0.3, 0.5, 0.3, 0.5, 0.3],
        "rival_tau": [0.4, 0.2, 0.6, 0.25, 0.1, 0.35],
        "difference": [0.1, 0.1, -0.1, 0.05, 0.4, -0.05],
        "low": [0.05, -0.1, -0.2, -0.1, 0.3, -0.2],
        "high": [0.2, 0.3, -0.01, 0.2, 0.5, 0.1],
        "networks": [10] * 6,
    }
)


def test_the_best_of_what_is_known_is_named_first(store: Store, tmp_path: Path) -> None:
    page = page_of_run(store, "first", tmp_path)
    page._answers[("rivals", *page.about.items())] = Answer("rivals", RIVALS, "")
    proxy, program, beaten, not_beaten = (unwrapped(one) for one in verdict(page))
    assert "Of the 2 known proxies scored on the same networks, `flops` ranks them best" in proxy
    assert "**0.400** (least 0.300), that of `flops` **0.425** (least 0.250)" in proxy
    assert "surely better on 0 of 2 tasks, and surely worse on 1" in proxy
    assert "Of the 1 other program, `eznas-a` ranks" in program
    # eznas-a has a mean of .225 and a least of .1, both below the finalist's .4 and .3.
    assert beaten == "By least and by mean tau it ranks better than `params` and `eznas-a`."
    assert not_beaten == "It does not rank better, by one of the two, than `flops`."


def test_the_front_of_points_is_that_of_a_naive_search() -> None:
    generator = np.random.default_rng(0)
    places, values = generator.integers(1, 9, 60).astype(float), generator.normal(size=60)
    found = {tuple(point) for point in zip(*stairs(places, values), strict=True)}
    points = list(zip(places, values, strict=True))
    expected = {
        (x, y)
        for x, y in points
        if not any(other != (x, y) and other[0] <= x and other[1] >= y for other in points)
    }
    assert found == expected


def test_networks_without_a_score_are_counted(text: str) -> None:
    assert "no finite score are left out: 1 of `nasbench201:cifar10`." in text


def test_finalists_are_given_as_text_and_latex(store: Store, text: str) -> None:
    for finalist in finalists(open_run(store, "first").generations()):
        assert f"```text\n{finalist.program}\n```" in text
        assert f"```math\n{to_latex(finalist.program)}\n```" in text


def test_the_matrix_has_a_row_a_program_and_a_column_a_task(text: str) -> None:
    header, *rows = tables(section(text, "Evolved on, tested on"))[0]
    assert header[-2:] == list(TASKS)
    taus = tables(section(text, "Finalists on test networks"))[0]
    by_key = {(row[0], row[taus[0].index("task")]): row[taus[0].index("kendall")] for row in taus[1:]}
    assert {(row[1], f"`{task}`"): tau for row in rows for task, tau in zip(TASKS, row[-2:], strict=True)} == by_key


def test_no_place_on_this_machine_is_told(store: Store, text: str) -> None:
    assert str(store.root) not in text
    assert str(Path.home()) not in text


def test_latest_is_the_run_started_last(store: Store, tmp_path: Path) -> None:
    assert render_run(store, "latest", tmp_path).name == "second.md"


def test_a_run_whose_finalists_are_untested_says_so(store: Store, tmp_path: Path) -> None:
    said = section(render_run(store, "second", tmp_path).read_text(encoding="utf-8"), "Summary")
    assert "`zcsr test second`" in said
    assert "not finished (status: running) and holds 3 of 3 generations" in said
    assert not (tmp_path / "second-scatter.png").exists()


def test_a_run_without_generations_has_a_report(tmp_path: Path) -> None:
    store = samples.filled_store(tmp_path / "store")
    create_run(store, samples.CONFIG, [samples.run_task(TASKS[0])], name="empty")
    said = render_run(store, "empty", tmp_path / "out").read_text(encoding="utf-8")
    assert "holds 0 of 3 generations" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["empty.md"]
    assert "does not say by which command" in said


def test_images_of_another_dataset_are_a_caveat(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    samples.write_accuracies(store)
    task = samples.run_task(TASKS[1])
    create_run(store, samples.CONFIG, [replace(task, images="cifar10")], name="borrowed")
    create_run(store, samples.CONFIG, [task], name="own")
    borrowed, own = (
        render_run(store, name, tmp_path / "out").read_text(encoding="utf-8") for name in ("borrowed", "own")
    )
    assert "image set `cifar10`, which stands in for images of `cifar100`" in borrowed
    assert "stands in for" not in own


def test_an_unknown_run_is_refused_and_nothing_written(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="third"):
        render_run(store, "third", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sections_and_template_agree(store: Store, tmp_path: Path) -> None:
    made = page_of_run(store, "first", tmp_path).parts()
    assert set(made) == parts_of("run.md")


def test_every_phrase_is_used() -> None:
    folder = Path(__file__).resolve().parents[2] / "reports"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    unused = {
        key
        for key in phrases()
        if not re.search(
            rf"""["'](?:title_|picture_)?{key.removeprefix("title_").removeprefix("picture_")}["']""", source
        )
        and not key.startswith(("formula_", "strategy_", "representation_", "fitness_", "finalists_", "timing_"))
        and not key.endswith("reproduce_unknown")
    }
    assert unused == set()
    assert phrase("of_more", shown=2, rows=5) == "The first 2 of 5 rows."


def test_an_unfilled_phrase_is_an_error() -> None:
    with pytest.raises(KeyError, match="the phrase of_more lacks a value: 'rows'"):
        phrase("of_more", shown=2)


@pytest.mark.parametrize("networks", [3, 5, 6])
def test_chance_deviation_is_that_of_all_rankings(networks: int) -> None:
    taus = [stats.kendalltau(range(networks), order).statistic for order in itertools.permutations(range(networks))]
    assert chance_deviation(networks) == pytest.approx(float(stats.tstd(taus, ddof=0)))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("zcsr", "evolve", "--store", "/some/where", "--seed", "1"), ("zcsr", "evolve", "--seed", "1")),
        (("zcsr", "evolve", "--store=/some/where"), ("zcsr", "evolve")),
        (("zcsr", "evolve", "--seed", "1"), ("zcsr", "evolve", "--seed", "1")),
        ((), ()),
    ],
)
def test_the_store_is_left_out_of_a_command(command: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert without_store(command) == expected


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (0.12345, 3, "0.123"),
        (-0.5, 3, "−0.500"),
        (-0.0001, 3, "0.000"),
        (math.nan, 3, "–"),
        (math.inf, 3, "∞"),
        (-math.inf, 3, "−∞"),
        (93.5, 0, "94"),
    ],
)
def test_numbers(value: float, decimals: int, shown: str) -> None:
    assert number(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [
        (None, "kendall", "–"),
        (0.98765, "kendall", "0.988"),
        (0.98765, "best_fitness", "0.988"),
        (91.23456, "accuracy", "91.23"),
        (1234567.0, "score", "1.235e+06"),
        (1.25e-12, "score", "1.25e−12"),
        (3, "networks", "3"),
        (True, "avoided", "yes"),
        ("a|b", "detail", "a\\|b"),
        ("|x~0|", "arch", "`\\|x~0\\|`"),
        ("fro(T1_D)", "text", "`fro(T1_D)`"),
        (["T1", "T2"], "tensors", "T1, T2"),
        ("two\nlines", "detail", "two lines"),
    ],
)
def test_cells(value: object, column: str, shown: str) -> None:
    assert cell(value, column) == shown


def test_words_keep_their_characters() -> None:
    assert escape("non_finite") == "non_finite"
    assert escape("_a_ *b* <c> `d`") == "\\_a\\_ \\*b\\* \\<c\\> \\`d\\`"


def test_code_with_backticks_has_a_longer_fence() -> None:
    assert code("a `b` ``c``") == "``` a `b` ``c`` ```"


def test_long_programs_are_cut() -> None:
    assert shortened_code("x" * 100, 10) == f"`{'x' * 9}…`"
    assert shortened_code("x" * 10, 10) == f"`{'x' * 10}`"


def test_a_table_aligns_numbers_right() -> None:
    frame = pl.DataFrame({"task": ["s:d"], "networks": [3], "kendall": [0.5]})
    expected = "| task | networks | kendall |\n| --- | ---: | ---: |\n| `s:d` | 3 | 0.500 |"
    assert table(frame) == expected
    assert markdown_table(frame) == f"{expected}\n"


def test_a_table_without_rows_keeps_its_header() -> None:
    assert table(pl.DataFrame({"a": [], "b": []})) == "| a | b |\n| --- | --- |"
