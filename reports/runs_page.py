"""The report on runs whose programs are represented differently: trees against sequences of instructions."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.evolve.config import EvolveConfig, RepresentationName
from zcsr.parameters import parameters_of
from zcsr.reports.run_page import answered, chance_deviation, made_by, picture
from zcsr.reports.scores_page import checked_name
from zcsr.reports.toolkit.figures import Band, BandPanel, bands_figure
from zcsr.reports.toolkit.footprint import cost_words, footprint_flags, read_cost
from zcsr.reports.toolkit.markdown import MISSING, Formatter, code, number, significant, table
from zcsr.reports.toolkit.phrases import phrase
from zcsr.reports.toolkit.render import write_markdown
from zcsr.reports.toolkit.results import Answer, ask
from zcsr.store import RunInfo, RunTask, Store, open_run
from zcsr.store.kept.costs import without_store

NAME = "representations"
FEW_RUNS = 5
REPRESENTATIONS = get_args(RepresentationName)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """The runs to compare, in the order given, with their tasks. Make one with `read_runs`."""

    store: Store
    infos: tuple[RunInfo, ...]
    tasks: tuple[tuple[RunTask, ...], ...]

    def ask(self, name: str) -> Answer:
        """The answer of a named query for these runs."""
        return ask(self.store, name, {"runs": ",".join(info.name for info in self.infos)})

    @property
    def representations(self) -> list[str]:
        """Those that the runs have, trees first."""
        present = {info.config.representation for info in self.infos}
        return [name for name in REPRESENTATIONS if name in present]


def read_runs(store: Store, runs: Sequence[str]) -> Compared:
    """The runs of those names, of which "latest" is the one started last.

    Raises InputError when there is no such run, and when one is named twice.
    """
    opened = [open_run(store, run) for run in runs]
    names = [run.name for run in opened]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"run {name} is named twice; a comparison takes each run once")
    return Compared(store, tuple(run.info() for run in opened), tuple(run.tasks() for run in opened))


def render_representations(
    store: Store, runs: Sequence[str], name: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS
) -> Path:
    """Write `<out_dir>/<name>.md` and its pictures, and return the path of the markdown.

    `runs` are names of runs or "latest"; `footprint` says how energy and CO2e are reckoned. The same store gives
    the same bytes. Raises InputError for a name that is no plain file name, when there is no such run, and when one
    is named twice; nothing is written then.
    """
    checked_name(name)
    compared = read_runs(store, runs)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{name}.md"
    return write_markdown(path, "representations", sections(compared, out_dir / name, footprint))


def sections(compared: Compared, pictures: Path, footprint: Footprint = GREEN_ALGORITHMS) -> dict[str, str]:
    """Every section by its name in the template; writes the pictures beside them, as `<pictures>-<what>.png`."""
    name = pictures.name
    names = [info.name for info in compared.infos]
    flags = () if name == NAME else ("--name", name)
    return {
        "title": "Representations" if name == NAME else f"Representations: {name}",
        "summary": summary(compared),
        "caveats": "\n".join(f"- {_unwrapped(one)}" for one in caveats(compared)),
        "runs": answered(compared.ask("representations"), {"seconds": _seconds}),
        "fitness": fitness(compared, pictures),
        "reaching": reaching(compared, pictures),
        "cost": cost(compared, footprint),
        "reproduce": reproduce(compared),
        "report_command": shlex.join(("zcsr", "report", *names, *flags, *footprint_flags(footprint))),
    }


# In words --------------------------------------------------------------------------------------------------------


def summary(compared: Compared) -> str:
    """What was searched, a line a representation with its means, and which of two is ahead."""
    rows = compared.ask("representations").frame
    searched = phrase("represented", counts=_counts(compared), tasks=_listed(map(code, _task_names(compared))))
    lines = [_line_of(name, rows.filter(representation=name)) for name in compared.representations]
    ahead = [
        _ahead(compared, rows, "best_fitness", "ahead_fitness"),
        _ahead(compared, rows, "test_kendall", "ahead_kendall"),
    ]
    return "\n\n".join(filter(None, [_unwrapped(searched), "\n".join(lines), _unwrapped(" ".join(ahead))]))


def _line_of(representation: str, rows: pl.DataFrame) -> str:
    said = phrase(
        "represented_line",
        representation=_in_words(representation),
        fitness=_spread(rows["best_fitness"], 3),
        kendall=_spread(rows["test_kendall"], 3),
        valid=_spread(100 * rows["valid_share"], 0, "%"),
        recognised=_spread(100 * rows["recognised_share"], 0, "%"),
        seconds=_spread(rows["seconds"], 1, " s"),
    )
    if rows["instructions"].is_null().all():
        return _unwrapped(said)
    more = phrase(
        "represented_reaching",
        instructions=_spread(rows["instructions"], 1),
        reaching=_spread(100 * rows["reaching_share"], 0, "%"),
    )
    return _unwrapped(f"{said} {more}")


def _spread(values: pl.Series, decimals: int, unit: str = "") -> str:
    """The mean and, of several values, how far they reach; a dash without any."""
    known = values.drop_nulls().to_list()
    if not known:
        return MISSING
    mean = number(math.fsum(known) / len(known), decimals)
    if len(known) == 1:
        return f"**{mean}{unit}**"
    return f"**{mean}{unit}** ({number(min(known), decimals)} to {number(max(known), decimals)})"


def _ahead(compared: Compared, rows: pl.DataFrame, column: str, key: str) -> str:
    """Which of two representations has the higher mean of a column, and by how much; empty where none has."""
    parts = [rows.filter(representation=name)[column].drop_nulls() for name in compared.representations]
    if len(parts) != 2 or any(part.is_empty() for part in parts):
        return ""
    higher, lower = sorted((0, 1), key=lambda place: -_mean(parts[place]))
    if _mean(parts[higher]) == _mean(parts[lower]):
        return ""
    if min(map(len, parts)) == 1:
        ranges = "ranges_unknown"
    else:
        ranges = "ranges_apart" if min(parts[higher]) > max(parts[lower]) else "ranges_overlap"
    return phrase(
        key,
        representation=_in_words(compared.representations[higher]),
        difference=number(_mean(parts[higher]) - _mean(parts[lower]), 3),
        ranges=phrase(ranges),
    )


def caveats(compared: Compared) -> Iterator[str]:
    """What a reader must know before quoting a number, and how the runs differ in more than they should."""
    yield from _differences(compared)
    draws = [info.config.draw for info in compared.infos]
    yield phrase("caveat_fitness", draw=min(draws), deviation=number(chance_deviation(min(draws)), 2))
    yield phrase("caveat_budget")
    yield phrase("caveat_seconds")
    yield phrase("caveat_last_row")
    if min(len(_seeds(compared, name)) for name in compared.representations) < FEW_RUNS:
        yield phrase("caveat_few_runs", counts=_counts(compared))


def _differences(compared: Compared) -> Iterator[str]:
    if len(compared.representations) == 1:
        yield phrase("differs_not", representation=_in_words(compared.representations[0]))
    for what, values in _compared_values(compared):
        if len(set(values.values())) > 1:
            yield phrase("differs", what=what, values=_by_value(values))
    seeds = {name: _seeds(compared, name) for name in compared.representations}
    if len(set(seeds.values())) > 1:
        words = [f"{_in_words(name)} {', '.join(map(str, of_name))}" for name, of_name in seeds.items()]
        yield phrase("differs_seeds", values="; ".join(words))
    for seed, names in _other_networks(compared):
        yield phrase("differs_networks", seed=seed, runs=_listed(map(code, names)))


def _compared_values(compared: Compared) -> Iterator[tuple[str, dict[str, str]]]:
    """Everything that should be the same in all runs, in words, by run."""
    yield "tasks", {info.name: ", ".join(info.task_names) for info in compared.infos}
    runs = [info.name for info in compared.infos]
    collections = [", ".join(f"{task.collection.id} ({task.metric})" for task in tasks) for tasks in compared.tasks]
    yield "statistics and accuracies", dict(zip(runs, collections, strict=True))
    for one in parameters_of(EvolveConfig):
        if one.only_for is None and one.name not in ("seed", "representation"):
            values = {info.name: str(getattr(info.config, one.name)) for info in compared.infos}
            yield one.name.replace("_", " ").strip(), values
    stored = compared.ask("representations").frame.select("run", "generations")
    yield "generations that are stored", {run: str(count) for run, count in stored.iter_rows()}


def _other_networks(compared: Compared) -> Iterator[tuple[int, list[str]]]:
    """The seeds whose runs do not all evolve and test on the same networks of the tasks that they share."""
    by_seed: dict[int, list[tuple[str, tuple[RunTask, ...]]]] = {}
    for info, tasks in zip(compared.infos, compared.tasks, strict=True):
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


def fitness(compared: Compared, pictures: Path) -> str:
    """The picture of the best fitness over generations and over seconds; empty before the first generation."""
    answer = compared.ask("representation_curves")
    if answer.frame.is_empty():
        return ""
    panels = [
        BandPanel("generation", _bands(answer.frame, "best_fitness", "generation"), whole=True),
        BandPanel("wall-clock seconds (mean)", _bands(answer.frame, "best_fitness", "seconds_mean")),
    ]
    path = pictures.with_name(f"{pictures.name}-fitness.png")
    bands_figure(path, panels, "best fitness of a generation", list(map(_in_words, REPRESENTATIONS)))
    return f"{picture(path, phrase('picture_representations'))}\n\n{made_by(answer)}"


def reaching(compared: Compared, pictures: Path) -> str:
    """The picture of the share of instructions that reach the output; a sentence where no run has instructions."""
    answer = compared.ask("representation_curves")
    shown = answer.frame.filter(pl.col("reaching_share_mean").is_not_null())
    if shown.is_empty():
        return phrase("no_instructions")
    path = pictures.with_name(f"{pictures.name}-reaching.png")
    panel = BandPanel("generation", _bands(shown, "reaching_share", "generation"), whole=True)
    bands_figure(path, [panel], "share of the instructions", list(map(_in_words, REPRESENTATIONS)), share=True)
    return f"{picture(path, phrase('picture_reaching'))}\n\n{made_by(answer)}"


def _bands(frame: pl.DataFrame, column: str, position: str) -> dict[str, Band]:
    """The rows of the query `representation_curves` as a band a representation."""

    def values(rows: pl.DataFrame, name: str) -> NDArray[np.float64]:
        return rows[name].cast(pl.Float64).fill_null(math.nan).to_numpy()

    return {
        _in_words(str(name)): Band(
            values(rows, position),
            *(values(rows, f"{column}_{which}") for which in ("mean", "low", "high")),
        )
        for (name,), rows in frame.group_by("representation", maintain_order=True)
    }


def cost(compared: Compared, footprint: Footprint) -> str:
    """What each run cost in time, energy and CO2e; one sentence where nothing was measured."""
    costs = [read_cost(compared.store, footprint, run=info.name) for info in compared.infos]
    frame = pl.concat([one.answer.frame for one in costs])
    if frame.is_empty():
        return phrase("cost_unknown")
    representations = {info.name: str(info.config.representation) for info in compared.infos}
    shown = frame.select(
        "run",
        pl.col("run").replace_strict(representations).alias("representation"),
        *("kind", "sessions", "hours", "cpu_hours", "gb", "kwh", "grams"),
    )
    formats: dict[str, Formatter] = dict.fromkeys(shown.select(pl.selectors.float()).columns, _measured)
    words = cost_words(frame, footprint)
    return "\n\n".join([words, table(shown, formats), *(made_by(one.answer) for one in costs)])


def reproduce(compared: Compared) -> str:
    """The commands that started the runs, as far as they are known."""
    commands = [without_store(info.command) for info in compared.infos]
    lines = [shlex.join(command) for command in commands if command]
    if not lines:
        return phrase("represented_unknown")
    return phrase("represented_commands", commands="\n".join(lines))


# Small things ----------------------------------------------------------------------------------------------------


def _in_words(representation: str) -> str:
    return phrase(f"representation_{representation}")


def _counts(compared: Compared) -> str:
    """How many runs each representation has, in words."""
    counts = {name: len(_seeds(compared, name)) for name in compared.representations}
    return _listed(
        [phrase("represented_count", count=n, representation=_in_words(name)) for name, n in counts.items()]
    )


def _task_names(compared: Compared) -> list[str]:
    return list(dict.fromkeys(task for info in compared.infos for task in info.task_names))


def _seeds(compared: Compared, representation: str) -> tuple[int, ...]:
    return tuple(sorted(one.config.seed for one in compared.infos if one.config.representation == representation))


def _mean(values: pl.Series) -> float:
    return math.fsum(values.to_list()) / len(values)


def _measured(value: object) -> str:
    return significant(value, 3) if isinstance(value, float) else MISSING


def _seconds(value: object) -> str:
    return number(value, 1) if isinstance(value, float) else MISSING


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _unwrapped(text: str) -> str:
    return " ".join(text.split())
