"""The report on several runs: kinds of search against each other, over their seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.evolve.config import in_short
from zcsr.insight.outcomes import Difference, Outcome, Spread, differences, spreads
from zcsr.reports.toolkit.figures import Panel, Series, bands_figure, spread
from zcsr.reports.toolkit.footprint import cost_table, cost_words, read_cost
from zcsr.reports.toolkit.markdown import MISSING, bullets, code, decimals, listed, number, shortened_code
from zcsr.reports.toolkit.page import StorePage, named_path
from zcsr.reports.toolkit.phrases import one_line, phrase
from zcsr.store import RunInfo, RunTask, Store, open_run
from zcsr.store.kept.costs import without_store

NAME = "runs"
FEW_RUNS = 5
MEASURES = ("least", "mean")
"""Of the test tau over a run's tasks: what kinds are compared by."""


@dataclass(frozen=True)
class RunsPage(StorePage):
    """The report on several runs, in the order given, with their tasks. Make one with `page_of_runs`."""

    template = "runs"
    infos: tuple[RunInfo, ...]
    run_tasks: tuple[tuple[RunTask, ...], ...]

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        return {
            "title": self.title(NAME),
            "summary": summary(self),
            "caveats": bullets(caveats(self)),
            "runs": self.table("outcomes", {"seconds": decimals(1), "text": shortened_code}, drop=("program",)),
            "fitness": fitness(self),
            "reaching": reaching(self),
            "cost": cost(self),
            "reproduce": reproduce(self),
            "report_command": self.report_command(*(info.name for info in self.infos), *self.name_words(NAME)),
        }

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """By run, what it is called among others."""
        return {info.name: in_short(info.config) for info in self.infos}

    @property
    def each_kind(self) -> list[str]:
        """The different kinds, in the order of the runs."""
        return list(dict.fromkeys(self.kinds.values()))

    @property
    def rows(self) -> pl.DataFrame:
        """What came of the runs, in their order."""
        order = {info.name: place for place, info in enumerate(self.infos)}
        return self.ask("outcomes").frame.sort(pl.col("run").replace_strict(order))

    @property
    def outcomes(self) -> list[Outcome]:
        """The same for `zcsr.insight.outcomes`."""
        networks = {
            info.name: tuple((task.task, task.evolve, task.test) for task in tasks)
            for info, tasks in zip(self.infos, self.run_tasks, strict=True)
        }
        return [
            Outcome(run, self.kinds[run], seed, networks[run], {"least": least, "mean": mean, "seconds": seconds})
            for run, seed, least, mean, seconds in self.rows.select("run", "seed", *MEASURES, "seconds").iter_rows()
        ]


def page_of_runs(
    store: Store, runs: Sequence[str], name: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS
) -> RunsPage:
    """The report `<out_dir>/<name>.md` on the runs of those names, of which "latest" is the one started last.

    `footprint` says how energy and CO2e are reckoned. Raises InputError for a name that is no plain file name, when
    there is no such run, and when one is named twice.
    """
    path = named_path(out_dir, name)
    opened = [open_run(store, run) for run in runs]
    names = [run.name for run in opened]
    for one in names:
        if names.count(one) > 1:
            raise InputError(f"run {one} is named twice; a comparison takes each run once")
    infos, tasks = tuple(run.info() for run in opened), tuple(run.tasks() for run in opened)
    return RunsPage(path, store, footprint, {"runs": ",".join(names)}, infos, tasks)


# In words --------------------------------------------------------------------------------------------------------


def summary(page: RunsPage) -> str:
    """What was searched, a line a kind with its means, and a line for each difference between two of them."""
    outcomes = page.outcomes
    searched = one_line("compared_runs", counts=_counts(page), tasks=listed(map(code, _task_names(page))))
    of_kinds = {(one.kind, one.measure): one for one in spreads(outcomes, (*MEASURES, "seconds"))}
    lines = [_line_of(page, kind, of_kinds) for kind in page.each_kind]
    found = [_difference_line(one) for one in differences(outcomes, MEASURES)]
    return "\n\n".join(filter(None, [searched, "\n".join(lines), "\n".join(found)]))


def _line_of(page: RunsPage, kind: str, of_kinds: Mapping[tuple[str, str], Spread]) -> str:
    least, mean, seconds = (of_kinds.get((kind, measure)) for measure in (*MEASURES, "seconds"))
    said = one_line(
        "kind_line", kind=kind, least=_spread(least, 3), mean=_spread(mean, 3), seconds=_spread(seconds, 0, " s")
    )
    rows = page.rows.filter(pl.col("run").replace_strict(page.kinds) == kind).drop_nulls(
        ["least", "mean", "params_least", "params_mean"]
    )
    if rows.is_empty():
        return said
    both = rows.filter((pl.col("least") > pl.col("params_least")) & (pl.col("mean") > pl.col("params_mean")))
    return f"{said} {one_line('kind_against_params', both=both.height, runs=rows.height)}"


def _spread(of_kind: Spread | None, decimals: int, unit: str = "") -> str:
    """The mean and, of several runs, the deviation and how far they reach; a dash without any."""
    if of_kind is None:
        return MISSING
    mean = number(of_kind.mean, decimals)
    if of_kind.deviation is None:
        return f"{mean}{unit}"
    deviation, low, high = (number(one, decimals) for one in (of_kind.deviation, of_kind.low, of_kind.high))
    return f"{mean}{unit} (deviation {deviation}, {low} to {high})"


def _difference_line(one: Difference) -> str:
    if one.p is None:
        interval, tested = phrase("difference_unknown_interval"), phrase("difference_untested")
    else:
        interval = f"95% {number(one.low, 3)} to {number(one.high, 3)}"
        key = "difference_paired" if one.paired else "difference_unpaired"
        tested = phrase(key, pairs=one.runs, p=number(one.p, 3), adjusted=number(one.adjusted, 3))
    return one_line(
        "difference_line",
        first=one.first,
        second=one.second,
        measure=one.measure,
        difference=number(one.mean, 3),
        interval=interval,
        test=tested,
    )


def caveats(page: RunsPage) -> Iterator[str]:
    """What a reader must know before quoting a number, and how the runs differ in more than they should."""
    yield from _differences(page)
    yield phrase("caveat_selection")
    yield phrase("caveat_seconds")
    if any(info.config.representation == "sequential" for info in page.infos):
        yield phrase("caveat_last_row")
    if min(len(_seeds(page, kind)) for kind in page.each_kind) < FEW_RUNS:
        yield phrase("caveat_few_runs", counts=_counts(page))


def _differences(page: RunsPage) -> Iterator[str]:
    if len(page.each_kind) == 1:
        yield phrase("differs_not", kind=page.each_kind[0])
    for what, values in _compared_values(page):
        if len(set(values.values())) > 1:
            yield phrase("differs", what=what, values=_by_value(values))
    seeds = {kind: _seeds(page, kind) for kind in page.each_kind}
    if len(set(seeds.values())) > 1:
        words = [f"*{kind}* {', '.join(map(str, of_kind))}" for kind, of_kind in seeds.items()]
        yield phrase("differs_seeds", values="; ".join(words))
    for seed, names in _other_networks(page):
        yield phrase("differs_networks", seed=seed, runs=listed(map(code, names)))


def _compared_values(page: RunsPage) -> Iterator[tuple[str, dict[str, str]]]:
    """Everything but the search that should be the same in all runs, in words, by run."""
    yield "tasks", {info.name: ", ".join(info.task_names) for info in page.infos}
    runs = [info.name for info in page.infos]
    collections = [", ".join(f"{task.collection.id} ({task.metric})" for task in tasks) for tasks in page.run_tasks]
    yield "statistics and accuracies", dict(zip(runs, collections, strict=True))


def _other_networks(page: RunsPage) -> Iterator[tuple[int, list[str]]]:
    """The seeds whose runs do not all evolve and test on the same networks of the tasks that they share."""
    by_seed: dict[int, list[tuple[str, tuple[RunTask, ...]]]] = {}
    for info, tasks in zip(page.infos, page.run_tasks, strict=True):
        by_seed.setdefault(info.config.seed, []).append((info.name, tasks))
    for seed, runs in by_seed.items():
        shared = set.intersection(*({task.task for task in tasks} for _, tasks in runs))
        splits = {tuple((t.task, t.evolve, t.test) for t in tasks if t.task in shared) for _, tasks in runs}
        if len(splits) > 1:
            yield seed, [name for name, _ in runs]


def _by_value(values: Mapping[str, str]) -> str:
    """What each run has, runs that have the same together."""
    runs: dict[str, list[str]] = {}
    for run, value in values.items():
        runs.setdefault(value, []).append(run)
    return "; ".join(f"{value} ({', '.join(map(code, names))})" for value, names in runs.items())


# In pictures -----------------------------------------------------------------------------------------------------


def fitness(page: RunsPage) -> str:
    """The picture of the best fitness over generations and over seconds; empty before the first generation."""
    answer = page.ask("outcome_curves")
    panels = [
        Panel("", _bands(page, answer.frame, "best_fitness", "generation"), position="generation"),
        Panel("", _bands(page, answer.frame, "best_fitness", "seconds"), position="wall-clock seconds (mean)"),
    ]
    words = (phrase("best_of_kinds"), bands_figure, panels, "best fitness of a generation")
    return page.picture_of(answer, "fitness", *words, page.each_kind)


def reaching(page: RunsPage) -> str:
    """The picture of the share of instructions that reach the output; a sentence where no run has instructions."""
    answer = page.ask("outcome_curves")
    shown = answer.showing(answer.frame.filter(pl.col("reaching_share").is_not_null()))
    panel = Panel("", _bands(page, shown.frame, "reaching_share", "generation"), position="generation")
    words = (phrase("picture_reaching"), bands_figure, [panel], "share of the instructions")
    drawn = page.picture_of(shown, "reaching", *words, page.each_kind, True)
    return drawn or phrase("no_instructions")


def _bands(page: RunsPage, frame: pl.DataFrame, column: str, position: str) -> list[Series]:
    """The rows of the query `outcome_curves` as a band a kind."""
    if frame.is_empty():
        return []
    value = pl.col(column)
    over = (
        frame.with_columns(kind=pl.col("run").replace_strict(page.kinds))
        .group_by("kind", "generation")
        .agg(
            pl.col("seconds").mean(),
            value.mean().alias(f"{column}_mean"),
            value.min().alias(f"{column}_low"),
            value.max().alias(f"{column}_high"),
        )
        .sort("generation")
    )
    return [
        spread(kind, rows, column, position)
        for kind in page.each_kind
        if not (rows := over.filter(kind=kind)).is_empty()
    ]


def cost(page: RunsPage) -> str:
    """What each run cost in time, energy and CO2e; one sentence where nothing was measured."""
    costs = [read_cost(page.store, page.footprint, run=info.name) for info in page.infos]
    frame = pl.concat([one.answer.frame for one in costs])
    if frame.is_empty():
        return phrase("cost_unknown")
    shown = frame.select(
        "run",
        pl.col("run").replace_strict(page.kinds).alias("search"),
        *("kind", "sessions", "hours", "cpu_hours", "gb", "kwh", "grams"),
    )
    words = cost_words(frame, page.footprint)
    return "\n\n".join([words, cost_table(shown), *(one.answer.made_by for one in costs)])


def reproduce(page: RunsPage) -> str:
    """The commands that started the runs, as far as they are known."""
    commands = [without_store(info.command) for info in page.infos]
    lines = list(dict.fromkeys(shlex.join(command) for command in commands if command))
    if not lines:
        return phrase("runs_unknown")
    return phrase("runs_commands", commands="\n".join(lines))


# Small things ----------------------------------------------------------------------------------------------------


def _counts(page: RunsPage) -> str:
    """How many runs each kind has, in words."""
    counts = {kind: len(_seeds(page, kind)) for kind in page.each_kind}
    return listed([phrase("counted_runs", count=count, kind=kind) for kind, count in counts.items()])


def _task_names(page: RunsPage) -> list[str]:
    return list(dict.fromkeys(task for info in page.infos for task in info.task_names))


def _seeds(page: RunsPage, kind: str) -> tuple[int, ...]:
    return tuple(sorted(one.config.seed for one in page.infos if page.kinds[one.name] == kind))
