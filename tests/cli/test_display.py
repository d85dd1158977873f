"""What is drawn in a terminal: tables at any width, the live panel of a search, progress."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
import store_samples as samples
from rich.console import Console

from zcsr.cli import console as console_module
from zcsr.cli.console import Pace, duration, progress
from zcsr.cli.display import BARS, EvolveDisplay, Standing, leader_of, simplified, sparkline
from zcsr.cli.tables import Column, cell, layout
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.records import Generation

LONG = "fro(sigmoid(logdet(matmul(sign(T1G_D), normalise(add(T2G_D, mul(T1_D, T3)))))))"


@pytest.fixture
def generations() -> list[Generation]:
    return [samples.generation(number) for number in range(3)]


def drawn(columns: Sequence[Column], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(layout(columns, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, height=60, force_terminal=True, color_system="standard")


def shown(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


# Tables ----------------------------------------------------------------------------------------------------------

PROGRAMS = Column("text", ("exp(T3)", LONG))
TAUS = Column("kendall", ("0.5", "-0.25"), numeric=True)
TASKS = Column("task", ("nasbench201:cifar10", "nasbench201:cifar10"))


def test_a_table_that_fits_has_one_line_a_row() -> None:
    lines = drawn([TASKS, PROGRAMS, TAUS], 200)
    assert len(lines) == 3
    assert lines[1].split() == ["nasbench201:cifar10", "exp(T3)", "0.5"]
    assert lines[1].endswith("0.5")
    assert len(lines[1]) == len(lines[2])


def test_what_all_rows_share_is_told_once_where_room_is_short() -> None:
    lines = drawn([TASKS, PROGRAMS, TAUS], 100)
    assert lines[0] == "task nasbench201:cifar10"
    assert lines[1].split() == ["text", "kendall"]
    assert [line.split()[-1] for line in lines[2:]] == ["0.5", "-0.25"]


def test_long_texts_are_folded_where_the_rest_fits() -> None:
    lines = drawn([PROGRAMS, TAUS], 50)
    assert lines[0].split() == ["text", "kendall"]
    assert [line.split()[-1] for line in lines[1:3]] == ["0.5", "-0.25"]
    assert "".join(line[:41].strip() for line in lines[2:]).replace(" ", "") == LONG.replace(" ", "")


def test_narrow_columns_make_several_tables_with_the_same_key() -> None:
    columns = [Column(f"number_{index}", ("1", "2", "3"), numeric=True) for index in range(12)]
    varied = [Column(column.name, (str(index), "2", "3"), True) for index, column in enumerate(columns)]
    lines = drawn(varied, 40)
    assert lines.count("0  1  2") == 0
    assert sum(line.split()[:1] == ["0"] for line in lines) > 1
    assert all(len(line) <= 40 for line in lines)


def test_a_table_that_cannot_fit_has_a_block_a_row() -> None:
    lines = drawn([PROGRAMS, Column("normal_form", PROGRAMS.cells[::-1]), TAUS], 50)
    assert [line.split()[0] for line in lines if line and not line.startswith(" ")] == [
        *("text", "normal_form", "kendall"),
        *("text", "normal_form", "kendall"),
    ]
    assert "" in lines


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_every_cell_is_shown_whole_at_any_width(width: int, count: int) -> None:
    columns = [
        Column(f"a_{index}", (f"{index}x" * (7 * index % 31 + 1), "y" * (index + 1), "z"), index % 2 == 0)
        for index in range(count)
    ]
    lines = drawn(columns, width)
    assert all(len(line) <= width for line in lines)
    letters = sorted("".join(lines).replace(" ", ""))
    cells = sorted("".join(text for column in columns for text in column.cells))
    for letter in "xyz":
        assert letters.count(letter) == cells.count(letter)


@pytest.mark.parametrize(
    ("name", "cells", "heading"),
    [
        ("best_fitness", ("0.5",), "best_\nfitness"),
        ("best_fitness", ("fro(T1_D) and more",), "best_fitness"),
        ("a_b_longer", ("1",), "a_b_\nlonger"),
        ("seconds", (), "seconds"),
        ("_", (), "_"),
    ],
)
def test_headings_break_after_underscores(name: str, cells: tuple[str, ...], heading: str) -> None:
    assert Column(name, cells).heading == heading


def test_no_rows_make_a_heading_and_no_columns_nothing() -> None:
    assert drawn([Column("run", ()), Column("task", ())], 80) == ["run  task"]
    assert drawn([], 80) in ([], [""])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.123456, "0.1235"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (12, "12"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J \x7f", "\\x9b2J \\x7f"),
        ("a\u202eb", "a\\u202eb"),
        (datetime(2024, 5, 6, 7, 8, 9, 123456), "2024-05-06 07:08:09"),
    ],
)
def test_cells_are_short(value: object, text: str) -> None:
    assert cell(value) == text


# Progress ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "1 h 02 min"), (36000, "10 h 00 min")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_was_done_before_does_not_count_as_speed() -> None:
    now = [0.0]
    pace = Pace("networks", clock=lambda: now[0])
    assert pace.words(60, 100) == "60 of 100 networks, 0 s elapsed"
    now[0] = 10.0
    assert pace.words(70, 100) == "70 of 100 networks, 10 s elapsed, about 30 s left"
    now[0] = 40.0
    assert pace.words(100, 100) == "100 of 100 networks, 40 s elapsed"


def test_plain_progress_says_the_first_and_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("collecting", "networks") as report:
        for number in range(5):
            report(number, 4)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "collecting: 0 of 4 networks",
        "collecting: 4 of 4 networks",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_is_one_line(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal(width)
    monkeypatch.setattr(console_module, "talk", lambda: console)
    with progress("collecting nasbench201:imagenet16-120", "networks") as report:
        report(5, 20)
    bars = [line for line in shown(console).splitlines() if "collecting" in line]
    assert all("━" in line for line in bars)
    assert "5 of 20 networks" in bars[-1]


# The search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0.5], BARS[0]),
        ([0.0, 1.0], BARS[0] + BARS[-1]),
        ([-math.inf, 0.0, 1.0], " " + BARS[0] + BARS[-1]),
        ([-math.inf], " "),
        ([3.0, 0.0, 0.5, 1.0], BARS[0] + BARS[4] + BARS[-1]),
    ],
)
def test_sparkline(values: list[float], line: str) -> None:
    assert sparkline(values, width=3) == line


def test_the_standing_adds_up(generations: list[Generation]) -> None:
    standing = Standing(samples.CONFIG, "run")
    for generation in generations:
        standing = standing.after(generation)
    individuals = [individual for generation in generations for individual in generation.individuals]
    assert standing.done == 3
    assert standing.valid == len(individuals)
    assert standing.best == tuple(max(i.fitness for i in g.individuals) for g in generations)
    assert standing.champion is max(individuals, key=lambda individual: individual.fitness)
    assert dict(standing.rejected) == {"shape": 9, "non_finite": 3}
    assert sum(standing.recognised.values()) == len(individuals)
    assert standing.scored == sum(len(generation.scores) for generation in generations)


def test_what_remains_follows_from_the_generations_so_far(generations: list[Generation]) -> None:
    standing = Standing(samples.CONFIG, "run")
    assert standing.remaining(0.0) is None
    standing = standing.after(generations[0]).after(generations[1])  # of 1.5 and 2.5 seconds; one is left
    assert standing.remaining(0.5) == pytest.approx(1.5)
    assert standing.remaining(60.0) == 0.0


@pytest.mark.parametrize("width", [80, 120])
def test_the_panel_shows_how_the_search_stands(width: int, generations: list[Generation]) -> None:
    console = Console(file=io.StringIO(), width=width)
    display = EvolveDisplay(console, samples.CONFIG, "my-run", generations[:2])
    display.observe(GenerationProgress(2, "scores", 3, 8, 120))
    console.print(display.render())
    lines = shown(console).splitlines()
    text = "\n".join(lines)
    assert all(len(line) == width for line in lines)
    leader = leader_of(generations[1])
    for part in (
        "run my-run",
        "generation 2 of 3",
        "3 of 8 networks scored",
        *(f"tau {task}" for task in generations[1].tasks),
        f"{leader.fitness:.3f}",
        simplified(leader.program),
        "8: 6 shape, 2 non finite",
        "by normal form",
        "elapsed, about",
    ):
        assert part in text


def test_before_the_first_generation_the_panel_says_so() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(EvolveDisplay(console, samples.CONFIG, "run").render())
    assert "generation 0 of 3" in shown(console)
    assert "none yet" in shown(console)


def test_a_long_formula_is_folded_inside_the_panel(generations: list[Generation]) -> None:
    from zcsr.language.text import parse

    tall = "exp(" * 40 + "T1_D" + ")" * 40
    individuals = tuple(replace(one, program=parse(tall)) for one in generations[0].individuals)
    console = Console(file=io.StringIO(), width=80)
    display = EvolveDisplay(console, samples.CONFIG, "run", [replace(generations[0], individuals=individuals)])
    console.print(display.render())
    lines = shown(console).splitlines()
    assert all(len(line) == 80 for line in lines)
    assert "".join(line.strip("│ ") for line in lines).count("exp(") == 40


def test_the_live_panel_draws_and_ends(generations: list[Generation]) -> None:
    console = terminal(80)
    with EvolveDisplay(console, samples.CONFIG, "run") as display:
        for generation in generations:
            display.update(generation)
    assert "generation 3 of 3" in shown(console)
    assert shown(console).count("\x1b[?25l") == shown(console).count("\x1b[?25h") > 0  # the cursor is back


def test_elsewhere_there_is_a_line_a_generation(generations: list[Generation]) -> None:
    console = Console(file=io.StringIO(), width=80)
    with EvolveDisplay(console, samples.CONFIG, "run") as display:
        for generation in generations:
            display.observe(GenerationProgress(generation.number, "random", 1, 3, 40))
            display.update(generation)
    lines = shown(console).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"generation {number} of 3" for number in (1, 2, 3)]
    assert lines[-1].endswith(simplified(leader_of(generations[-1]).program))


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, generations: list[Generation]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal(80)
    console.print(EvolveDisplay(console, samples.CONFIG, "run", generations).render())
    assert not any(f"\x1b[3{colour}m" in shown(console) for colour in range(8))
    monkeypatch.delenv("NO_COLOR")
    colourful = terminal(80)
    colourful.print(EvolveDisplay(colourful, samples.CONFIG, "run", generations).render())
    assert any(f"\x1b[3{colour}m" in shown(colourful) for colour in range(8))


# A search over fronts ---------------------------------------------------------------------------------------------


def of_fronts(generations: Sequence[Generation]) -> list[Generation]:
    counters = {"computed": 300, "spared": 100, "scored": 4567, "same_order": 12}
    return [replace(samples.of_front(one), counters=counters) for one in generations]


def test_of_fronts_the_standing_keeps_what_is_better_than_all_smaller(generations: list[Generation]) -> None:
    made = of_fronts(generations)
    evaluated = [one for generation in made for one in generation.evaluated]
    random.Random(1).shuffle(evaluated)
    better = [replace(one, taus={"a": number / 100}) for number, one in enumerate(evaluated)]
    standing = Standing(samples.FRONT, "run").after(replace(made[0], evaluated=tuple(better)))
    sizes = [one.program.root.size for one in standing.stairs]
    assert sizes == sorted(set(sizes))
    for one in better:
        no_larger = [stair.merit for stair in standing.stairs if stair.program.root.size <= one.program.root.size]
        assert max(no_larger) >= one.merit
    assert {one.program.id for one in standing.stairs} <= {one.program.id for one in better}


@pytest.mark.parametrize("width", [80, 120])
def test_the_panel_of_a_search_over_fronts(width: int, generations: list[Generation]) -> None:
    made = of_fronts(generations[:2])
    console = Console(file=io.StringIO(), width=width)
    display = EvolveDisplay(console, samples.FRONT, "my-run", made)
    display.observe(GenerationProgress(2, "columns", 3, 8, 120))
    console.print(display.render())
    lines = shown(console).splitlines()
    text = "\n".join(lines)
    assert all(len(line) == width for line in lines)
    for part in (
        "generation 2 of 3",
        "3 of 8 new columns among 120",
        *samples.TASKS,
        "0.375",  # the mean of .25 and .5
        simplified(display.standing.stairs[-1].program)[:20],
        "2 known, 2 refused",
        "25% of computing columns",
        "9,134 programs of known columns",
        "24 rank as a smaller one",
        "elapsed, about",
    ):
        assert part in text


def test_a_plain_line_of_a_search_over_fronts(generations: list[Generation]) -> None:
    console = Console(file=io.StringIO(), width=80)
    with EvolveDisplay(console, samples.FRONT, "run") as display:
        display.update(of_fronts(generations)[0])
    (line,) = shown(console).splitlines()
    assert line.startswith("generation 1 of 3: best so far 0.250 least, 0.375 mean (nasbench201:cifar10 0.250, ")
    assert "1 columns known, 25% of computing spared, 0 constants refused" in line
    assert line.endswith(simplified(display.standing.stairs[-1].program))
