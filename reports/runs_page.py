"""The report on runs whose programs are represented differently: trees against sequences of instructions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import get_args

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.evolve.config import EvolveConfig, RepresentationName
from zcsr.parameters import parameters_of
from zcsr.ranking import chance_deviation
from zcsr.reports.toolkit.figures import Panel, Series, bands_figure, spread
from zcsr.reports.toolkit.footprint import cost_table, cost_words, read_cost
from zcsr.reports.toolkit.markdown import MISSING, bullets, code, decimals, listed, number
from zcsr.reports.toolkit.page import StorePage, named_path
from zcsr.reports.toolkit.phrases import one_line, phrase
from zcsr.store import RunInfo, RunTask, Store, open_run
from zcsr.store.kept.costs import without_store

NAME = "representations"
FEW_RUNS = 5
REPRESENTATIONS = get_args(RepresentationName)


@dataclass(frozen=True)
class RunsPage(StorePage):
    """The report on several runs, in the order given, with their tasks. Make one with `page_of_runs`."""

    template = "representations"
    infos: tuple[RunInfo, ...]
    run_tasks: tuple[tuple[RunTask, ...], ...]

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        return {
            "title": self.title(NAME),
            "summary": summary(self),
            "caveats": bullets(caveats(self)),
            "runs": self.table("representations", {"seconds": decimals(1)}),
            "fitness": fitness(self),
            "reaching": reaching(self),
            "cost": cost(self),
            "reproduce": reproduce(self),
            "report_command": self.report_command(*(info.name for info in self.infos), *self.name_words(NAME)),
        }

    @property
    def representations(self) -> list[str]:
        """Those that the runs have, trees first."""
        present = {info.config.representation for info in self.infos}
        return [name for name in REPRESENTATIONS if name in present]


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
    """What was searched, a line a representation with its means, and which of two is ahead."""
    rows = page.ask("representations").frame
    searched = one_line("represented", counts=_counts(page), tasks=listed(map(code, _task_names(page))))
    lines = [_line_of(name, rows.filter(representation=name)) for name in page.representations]
    ahead = [
        _ahead(page, rows, "best_fitness", "ahead_fitness"),
        _ahead(page, rows, "test_kendall", "ahead_kendall"),
    ]
    return "\n\n".join(filter(None, [searched, "\n".join(lines), " ".join(filter(None, ahead))]))


def _line_of(representation: str, rows: pl.DataFrame) -> str:
    said = one_line(
        "represented_line",
        representation=_in_words(representation),
        fitness=_spread(rows["best_fitness"], 3),
        kendall=_spread(rows["test_kendall"], 3),
        valid=_spread(100 * rows["valid_share"], 0, "%"),
        recognised=_spread(100 * rows["recognised_share"], 0, "%"),
        seconds=_spread(rows["seconds"], 1, " s"),
    )
    if rows["instructions"].is_null().all():
        return said
    more = one_line(
        "represented_reaching",
        instructions=_spread(rows["instructions"], 1),
        reaching=_spread(100 * rows["reaching_share"], 0, "%"),
    )
    return f"{said} {more}"


def _spread(values: pl.Series, decimals: int, unit: str = "") -> str:
    """The mean and, of several values, how far they reach; a dash without any."""
    known = values.drop_nulls().to_list()
    if not known:
        return MISSING
    mean = number(fmean(known), decimals)
    if len(known) == 1:
        return f"**{mean}{unit}**"
    return f"**{mean}{unit}** ({number(min(known), decimals)} to {number(max(known), decimals)})"


def _ahead(page: RunsPage, rows: pl.DataFrame, column: str, key: str) -> str:
    """Which of two representations has the higher mean of a column, and by how much; empty where none has."""
    parts = [rows.filter(representation=name)[column].drop_nulls() for name in page.representations]
    if len(parts) != 2 or any(part.is_empty() for part in parts):
        return ""
    higher, lower = sorted((0, 1), key=lambda place: -fmean(parts[place]))
    if fmean(parts[higher]) == fmean(parts[lower]):
        return ""
    if min(map(len, parts)) == 1:
        ranges = "ranges_unknown"
    else:
        ranges = "ranges_apart" if min(parts[higher]) > max(parts[lower]) else "ranges_overlap"
    return one_line(
        key,
        representation=_in_words(page.representations[higher]),
        difference=number(fmean(parts[higher]) - fmean(parts[lower]), 3),
        ranges=phrase(ranges),
    )


def caveats(page: RunsPage) -> Iterator[str]:
    """What a reader must know before quoting a number, and how the runs differ in more than they should."""
    yield from _differences(page)
    draws = [info.config.draw for info in page.infos]
    yield phrase("caveat_fitness", draw=min(draws), deviation=number(chance_deviation(min(draws)), 2))
    yield phrase("caveat_budget")
    yield phrase("caveat_seconds")
    yield phrase("caveat_last_row")
    if min(len(_seeds(page, name)) for name in page.representations) < FEW_RUNS:
        yield phrase("caveat_few_runs", counts=_counts(page))


def _differences(page: RunsPage) -> Iterator[str]:
    if len(page.representations) == 1:
        yield phrase("differs_not", representation=_in_words(page.representations[0]))
    for what, values in _compared_values(page):
        if len(set(values.values())) > 1:
            yield phrase("differs", what=what, values=_by_value(values))
    seeds = {name: _seeds(page, name) for name in page.representations}
    if len(set(seeds.values())) > 1:
        words = [f"{_in_words(name)} {', '.join(map(str, of_name))}" for name, of_name in seeds.items()]
        yield phrase("differs_seeds", values="; ".join(words))
    for seed, names in _other_networks(page):
        yield phrase("differs_networks", seed=seed, runs=listed(map(code, names)))


def _compared_values(page: RunsPage) -> Iterator[tuple[str, dict[str, str]]]:
    """Everything that should be the same in all runs, in words, by run."""
    yield "tasks", {info.name: ", ".join(info.task_names) for info in page.infos}
    runs = [info.name for info in page.infos]
    collections = [", ".join(f"{task.collection.id} ({task.metric})" for task in tasks) for tasks in page.run_tasks]
    yield "statistics and accuracies", dict(zip(runs, collections, strict=True))
    for one in parameters_of(EvolveConfig):
        if one.only_for is None and one.name not in ("seed", "representation"):
            values = {info.name: str(getattr(info.config, one.name)) for info in page.infos}
            yield one.name.replace("_", " ").strip(), values
    stored = page.ask("representations").frame.select("run", "generations")
    yield "generations that are stored", {run: str(count) for run, count in stored.iter_rows()}


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
    answer = page.ask("representation_curves")
    panels = [
        Panel("", _bands(answer.frame, "best_fitness", "generation"), position="generation"),
        Panel("", _bands(answer.frame, "best_fitness", "seconds_mean"), position="wall-clock seconds (mean)"),
    ]
    words = (phrase("picture_representations"), bands_figure, panels, "best fitness of a generation")
    return page.picture_of(answer, "fitness", *words, list(map(_in_words, REPRESENTATIONS)))


def reaching(page: RunsPage) -> str:
    """The picture of the share of instructions that reach the output; a sentence where no run has instructions."""
    answer = page.ask("representation_curves")
    shown = answer.showing(answer.frame.filter(pl.col("reaching_share_mean").is_not_null()))
    panel = Panel("", _bands(shown.frame, "reaching_share", "generation"), position="generation")
    words = (phrase("picture_reaching"), bands_figure, [panel], "share of the instructions")
    drawn = page.picture_of(shown, "reaching", *words, list(map(_in_words, REPRESENTATIONS)), True)
    return drawn or phrase("no_instructions")


def _bands(frame: pl.DataFrame, column: str, position: str) -> list[Series]:
    """The rows of the query `representation_curves` as a band a representation."""
    return [
        spread(_in_words(str(name)), rows, column, position)
        for (name,), rows in frame.group_by("representation", maintain_order=True)
    ]


def cost(page: RunsPage) -> str:
    """What each run cost in time, energy and CO2e; one sentence where nothing was measured."""
    costs = [read_cost(page.store, page.footprint, run=info.name) for info in page.infos]
    frame = pl.concat([one.answer.frame for one in costs])
    if frame.is_empty():
        return phrase("cost_unknown")
    representations = {info.name: str(info.config.representation) for info in page.infos}
    shown = frame.select(
        "run",
        pl.col("run").replace_strict(representations).alias("representation"),
        *("kind", "sessions", "hours", "cpu_hours", "gb", "kwh", "grams"),
    )
    words = cost_words(frame, page.footprint)
    return "\n\n".join([words, cost_table(shown), *(one.answer.made_by for one in costs)])


def reproduce(page: RunsPage) -> str:
    """The commands that started the runs, as far as they are known."""
    commands = [without_store(info.command) for info in page.infos]
    lines = [shlex.join(command) for command in commands if command]
    if not lines:
        return phrase("represented_unknown")
    return phrase("represented_commands", commands="\n".join(lines))


# Small things ----------------------------------------------------------------------------------------------------


def _in_words(representation: str) -> str:
    return phrase(f"representation_{representation}")


def _counts(page: RunsPage) -> str:
    """How many runs each representation has, in words."""
    counts = {name: len(_seeds(page, name)) for name in page.representations}
    return listed(
        [phrase("represented_count", count=n, representation=_in_words(name)) for name, n in counts.items()]
    )


def _task_names(page: RunsPage) -> list[str]:
    return list(dict.fromkeys(task for info in page.infos for task in info.task_names))


def _seeds(page: RunsPage, representation: str) -> tuple[int, ...]:
    return tuple(sorted(one.config.seed for one in page.infos if one.config.representation == representation))
