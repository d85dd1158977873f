"""A report on the scores of programs and known proxies apart from any run, beside published figures."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.proxies import proxy_names
from zcsr.reports.toolkit.answers import Answer
from zcsr.reports.toolkit.figures import (
    Panel,
    Series,
    dots_figure,
    labelled,
    lines_figure,
    matrix_figure,
)
from zcsr.reports.toolkit.markdown import (
    Formatter,
    bullets,
    code,
    decimals,
    interval,
    listed,
    number,
    shortened_code,
)
from zcsr.reports.toolkit.page import StorePage, named_path
from zcsr.reports.toolkit.phrases import one_line, phrase
from zcsr.spaces import get_space
from zcsr.store import Store
from zcsr.store.sql.functions import MANY, REPEATS, REPEATS_OF_MANY

NAME = "scores"
FEW_NETWORKS = 500
DRAWN_LINES = 12
FEW_WAYS = 2
ENOUGH_NETWORKS = 1000
TAU = "Kendall's tau-b"

_NAMES: dict[str, Formatter] = {"name": partial(shortened_code, width=60)}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ScoresPage(StorePage):
    """The report on a store's scores. Make one with `page_of_scores`; `notes` are the author's, in markdown."""

    template = "comparison"
    notes: str

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        noted = " --notes NOTES.md" if self.notes else ""
        return {
            "title": self.title(NAME),
            "summary": " ".join(summary(self)),
            "beside_published": beside_published(self),
            "caveats": bullets(caveats(self)),
            "notes": self.notes,
            "collections": self.table("scored_collections"),
            "commands": commands(self),
            "compared": phrase(
                "compared", enough=f"{ENOUGH_NETWORKS:,}", repeats=REPEATS, fewer=REPEATS_OF_MANY, many=MANY
            ),
            "comparison": "\n\n".join(_task_comparison(self, task) for task in self.tasks),
            "batch_sizes": batch_sizes(self),
            "seeds": _section(self, "seeds", draw=_draw_seeds),
            "readouts": _section(self, "readouts", draw=_draw_readouts),
            "cross_space": cross_space(self),
            "rank_sums": _section(self, "rank_sums"),
            "agreement": _section(self, "agreement"),
            "cost": self.cost(run="", kind="test"),
            "report_command": self.report_command("--scores", *self.name_words(NAME)) + noted,
        }

    @property
    def trained(self) -> list[Row]:
        """The collections with scores of networks that have an accuracy."""
        return [row for row in self.ask("scored_collections").frame.to_dicts() if row["trained"] > 1]

    @property
    def tasks(self) -> list[str]:
        """The tasks of these collections."""
        return list(dict.fromkeys(row["task"] for row in self.trained))

    def reported(self, task: str) -> Answer:
        """What others report for a task."""
        space, _, dataset = task.partition(":")
        return self.ask("published", space=space, dataset=dataset)

    def comparison(self, collection: Row) -> Answer:
        """How well each program and proxy ranks the networks of a collection."""
        return self.ask("comparison", collection=collection["collection"])


def page_of_scores(
    store: Store, name: str, out_dir: Path, notes: str = "", footprint: Footprint = GREEN_ALGORITHMS
) -> ScoresPage:
    """The report `<out_dir>/<name>.md`.

    `notes` is what its author makes of the numbers, in markdown: a section of its own; `footprint` says how energy
    and CO2e are reckoned. Raises InputError for a name that is no plain file name, and where the store has no
    scores with accuracies.
    """
    page = ScoresPage(named_path(out_dir, name), store, footprint, {}, notes.strip())
    if not page.trained:
        raise InputError(
            f"the store {store.root} holds no scores of networks with accuracies; `zcsr test --task SPACE:DATASET "
            "--proxy all --sample 100` makes some once the accuracies are there"
        )
    return page


# What is there -------------------------------------------------------------------------------------------------


def shown_collections(page: ScoresPage, task: str) -> list[Row]:
    """The collections of a task to compare, the largest first.

    For each batch size and each way of drawing the weights the one with the most networks that have an accuracy,
    unless these are fewer than `ENOUGH_NETWORKS` and than half of the largest whose weights are drawn so; of equal
    ones that of the pattern rcb, the loss ones, the lowest seed and the most measures.
    """
    ordered = sorted((row for row in page.trained if row["task"] == task), key=_prominence)
    largest = {_rules(row): row["trained"] for row in reversed(ordered)}
    first = {(row["batch_size"], _rules(row)): row for row in reversed(ordered)}
    return [
        row
        for row in ordered
        if row in first.values() and row["trained"] >= min(ENOUGH_NETWORKS, largest[_rules(row)] / 2)
    ]


def _rules(row: Row) -> str:
    """By whose rules the weights are drawn; where no record says, zcsr's own, which older scores all have."""
    return str(row["initialisation"] or "eznas")


def _prominence(row: Row) -> tuple[Any, ...]:
    usual = (row["pattern"] != "rcb", row["loss"] != "ones", row["seed"] or 0)
    return -row["trained"], *usual, -(row["programs"] + row["proxies"]), row["batch_size"] or 0, row["collection"]


def summary(page: ScoresPage) -> Iterator[str]:
    """What was scored, and what ranks highest on each task, in words."""
    names = page.ask("cross_space_scores").frame["name"].unique()
    proxies = set(proxy_names()) & set(names)
    yield one_line(
        "scored",
        programs=len(names) - len(proxies),
        proxies=len(proxies),
        tasks=listed(map(code, page.tasks)),
        collections=page.ask("scored_collections").frame.height,
    )
    for task in page.tasks:
        best = page.comparison(shown_collections(page, task)[0]).frame.row(0, named=True)
        if best["kendall"] is not None:
            yield one_line(
                "highest",
                task=code(task),
                name=best["name"],
                kendall=number(best["kendall"], 3),
                low=number(best["kendall_low"], 3),
                high=number(best["kendall_high"], 3),
                networks=best["networks"],
            )


def caveats(page: ScoresPage) -> Iterator[str]:
    """What a reader must know before quoting a number, one text each."""
    rows = page.trained
    for task, images in dict.fromkeys((row["task"], row["images"]) for row in rows):
        dataset = task.partition(":")[2]
        if images not in (None, dataset):
            yield phrase("caveat_scored_images", task=code(task), images=code(images), dataset=code(dataset))
    unknown = [code(row["collection"]) for row in rows if row["images"] is None]
    if unknown:
        yield phrase("caveat_unknown_images", collections=listed(unknown))
    for task in page.tasks:
        networks = shown_collections(page, task)[0]["trained"]
        if networks < FEW_NETWORKS:
            yield phrase("caveat_scored_few", task=code(task), networks=networks)
    yield phrase("caveat_weights")
    reported = [page.reported(task).frame for task in page.tasks]
    if any(frame.height for frame in reported):
        yield phrase("caveat_quoted")
    if any("anglenas" in frame["proxy"] for frame in reported):
        yield phrase("caveat_trained")


def commands(page: StorePage) -> str:
    """The commands that make the scores of each collection, as far as they are known."""
    rows = page.ask("scored_collections").frame.to_dicts()
    lines = "\n".join(shlex.join(_command(page, row)) for row in rows)
    return f"{phrase('scored_commands', count=len(rows))}\n\n```sh\n{lines}\n```"


def _command(page: StorePage, row: Row) -> Iterator[str]:
    yield from ("zcsr", "test", "--task", row["task"])
    if row["images"] not in (None, row["task"].partition(":")[2]):
        yield from ("--images", row["images"])
    yield from ("--batch-size", str(row["batch_size"]), "--network-seed", str(row["seed"]))
    for name, usual in (("pattern", "rcb"), ("loss", "ones"), ("initialisation", "eznas")):
        if row[name] not in (None, usual):
            yield from (f"--{name}", row[name])
    everything = row["networks"] == _size(row["task"].partition(":")[0])
    yield from ("--all",) if everything else ("--sample", str(row["networks"]))
    names = page.ask("scored_programs", collection=row["collection"]).frame["name"].to_list()
    proxies = [name for name in proxy_names() if name in names]
    shown = ["all"] if len(proxies) == len(proxy_names()) else proxies
    yield from (word for name in names if name not in proxies for word in ("--program", name))
    yield from (word for name in shown for word in ("--proxy", name))


def _size(space: str) -> int | None:
    """The number of architectures of a space; None where it is not known here, or too large to count."""
    try:
        return len(get_space(space))
    except (InputError, OverflowError):
        return None


def beside_published(page: ScoresPage) -> str:
    """Ours and the paper's figures on the common networks of each task's largest collection; empty without any."""
    answer = page.ask("beside_published")
    largest = answer.frame.group_by("task", maintain_order=True).agg(pl.col("collection").first())
    shown = answer.frame.join(largest, on=["task", "collection"], maintain_order="left")
    intervals = [interval(*ends) for ends in shown.select("kendall_low", "kendall_high").iter_rows()]
    frame = shown.select(
        "task",
        "name",
        "kendall",
        pl.Series("95% interval", intervals, dtype=pl.String),
        pl.col("published_kendall").alias("paper's kendall"),
        pl.col("difference").alias("ours less published"),
        "networks",
    )
    formats = _COMPARED | {"ours less published": decimals(3)}
    return _section(page, "beside_published", answer.showing(frame), formats=formats)


# Tables beside published figures -------------------------------------------------------------------------------


def _task_comparison(page: ScoresPage, task: str) -> str:
    shown = shown_collections(page, task)
    parts = [f"### {task}"]
    for row in shown:
        conditions = {name: row[name] for name in ("batch_size", "seed", "pattern", "loss")}
        parts += [
            phrase("compared_collection", networks=row["trained"], initialisation=_rules(row), **conditions),
            _comparison_table(page.comparison(row)),
        ]
    more = sum(row["task"] == task for row in page.trained) - len(shown)
    if more:
        parts.append(phrase("compared_more", task=task, count=more))
    parts.append(_comparison_picture(page, task, shown))
    reported = page.reported(task)
    if not reported.frame.is_empty():
        parts += [phrase("reported"), reported.shown({"value": _as_published}, drop=("space", "dataset"))]
    return "\n\n".join(parts)


def _comparison_table(answer: Answer) -> str:
    frame = answer.frame
    intervals = [interval(*ends) for ends in frame.select("kendall_low", "kendall_high").iter_rows()]
    shown = frame.select(
        "name",
        "kendall",
        pl.Series("95% interval", intervals, dtype=pl.String),
        pl.col("published_kendall").alias("paper's kendall"),
        pl.col("kendall_of_top").alias("top tenth"),
        "spearman",
        pl.col("published_spearman").alias("paper's spearman"),
        pl.col("partial_spearman").alias("partial"),
        "networks",
        pl.col("non_finite").alias("not finite"),
    )
    kept = [
        name for name in shown.columns if name in _ALWAYS or any(value not in (None, 0) for value in shown[name])
    ]
    return answer.showing(shown.select(kept)).shown(_NAMES | _COMPARED)


_ALWAYS = ("name", "kendall", "95% interval", "top tenth", "spearman", "networks")


def _as_published(value: float | None) -> str:
    """A published figure with the digits that it has, two at least."""
    return number(value, max(2, len(repr(value).partition(".")[2])))


_COMPARED: dict[str, Formatter] = {
    **dict.fromkeys(("top tenth", "partial"), decimals(3)),
    **dict.fromkeys(("paper's kendall", "paper's spearman"), _as_published),
}


def _comparison_picture(page: ScoresPage, task: str, shown: Sequence[Row]) -> str:
    frames = [page.comparison(row).frame for row in shown]
    labels = list(dict.fromkeys(name for frame in frames for name in frame["name"]))
    series = [
        labelled(
            f"batch size {row['batch_size']}, weights by {_rules(row)}",
            frame,
            labels,
            *("kendall", "kendall_low", "kendall_high"),
        )
        for row, frame in sorted(zip(shown, frames, strict=True), key=lambda pair: pair[0]["batch_size"] or 0)
    ]
    quoted = np.fmax.reduce([labelled("", frame, labels, "published_kendall").values for frame in frames])
    if np.isfinite(quoted).any():
        series.append(Series("EZNAS paper", quoted, hollow=True))
    return page.picture(
        f"comparison-{task.replace(':', '-')}",
        phrase("picture_comparison", task=task),
        dots_figure,
        [Panel(task, series, labels)],
        TAU,
    )


# The paper's figures -------------------------------------------------------------------------------------------


def batch_sizes(page: ScoresPage) -> str:
    """Figure 7: tau at each batch size."""
    order = page.ask("batch_sizes").frame.group_by("name", maintain_order=True).agg(pl.max("kendall"))
    drawn = order.sort("kendall", descending=True, nulls_last=True, maintain_order=True)["name"].head(DRAWN_LINES)

    def draw(path: Path, frame: pl.DataFrame) -> None:
        panels = []
        shown = frame.filter(pl.col("name").is_in(drawn.to_list()))
        for title, group in _groups(shown, ("task", "images", "seed", "pattern", "loss")):
            sizes = sorted(group["batch_size"].unique())
            lines = [
                labelled(str(name), rows, sizes, "kendall", label="batch_size")
                for (name,), rows in group.group_by("name", maintain_order=True)
            ]
            panels.append(Panel(title, lines, sizes, position="batch size"))
        lines_figure(path, panels, TAU)

    more = phrase("drawn_lines", count=DRAWN_LINES) if order.height > DRAWN_LINES else ""
    return _section(page, "batch_sizes", draw=draw, more=more)


def _draw_seeds(path: Path, frame: pl.DataFrame) -> None:
    """Figure 9: tau over seeds, on the same networks and on each seed's own."""
    panels = []
    for title, group in _groups(frame, ("task", "images", "batch_size", "pattern", "loss")):
        ordered = group.sort("kendall_mean", descending=True, maintain_order=True)
        labels = ordered["name"].unique(maintain_order=True).to_list()
        series = [
            labelled(f"{kind} networks", rows, labels, "kendall_mean", "kendall_lowest", "kendall_highest")
            for (kind,), rows in group.sort("kind").group_by("kind", maintain_order=True)
        ]
        panels.append(Panel(title, series, labels))
    dots_figure(path, panels, f"{TAU}: mean, lowest and highest over seeds")


def _draw_readouts(path: Path, frame: pl.DataFrame) -> None:
    """Figure 10: tau of each way of reading an expression out, if only where there are more than a few ways."""
    way = pl.concat_str("pattern", "to_scalar", "aggregation", separator=", ").alias("way")
    frame = frame.with_columns(way)
    ways = sorted(frame["way"].unique(), key=lambda one: tuple(part != "mean" for part in one.split(", ")))
    ways.sort(key=lambda one: not one.startswith("rcb"))
    panels = []
    by_conditions = ("task", "images", "batch_size", "seed", "loss")
    many = frame.filter(pl.col("way").n_unique().over(by_conditions) > FEW_WAYS)
    for title, group in _groups(frame if many.is_empty() else many, by_conditions):
        labels = group["name"].unique(maintain_order=True).to_list()
        rows = {one: group.filter(pl.col("way") == one) for one in ways}
        series = [labelled(one, of, labels, "kendall") for one, of in rows.items() if not of.is_empty()]
        panels.append(Panel(title, series, labels))
    dots_figure(path, panels, TAU)


def cross_space(page: ScoresPage) -> str:
    """Figure 11: tau of every program and proxy, a row each, on every task, a column each."""
    answer = page.ask("cross_space_scores")
    tasks = sorted(answer.frame["tested_on"].unique())
    several = answer.frame.filter(pl.len().over("name", "batch_size") > 1)
    matrix = several.pivot("tested_on", index=["name", "batch_size"], values="kendall").sort("name", "batch_size")
    matrix = matrix.select("name", "batch_size", *(task for task in tasks if task in matrix.columns))

    def draw(path: Path, frame: pl.DataFrame) -> None:
        one_size = frame["batch_size"].n_unique() == 1
        rows = [
            name if one_size else f"{name} (batch {size})"
            for name, size in frame.select("name", "batch_size").iter_rows()
        ]
        values = frame.drop("name", "batch_size")
        matrix_figure(path, rows, values.columns, values.to_numpy().astype(np.float64), TAU)

    formats = dict.fromkeys(tasks, decimals(3))
    return _section(page, "cross_space", answer.showing(matrix), draw, formats=formats)


def _section(
    page: ScoresPage,
    key: str,
    answer: Answer | None = None,
    draw: Callable[[Path, pl.DataFrame], None] | None = None,
    more: str = "",
    formats: Mapping[str, Formatter] | None = None,
) -> str:
    """A section with its title, words, picture and table of an answer, or else of the query of the name `key`.

    Empty where there are no rows.
    """
    shown = answer or page.ask(key)
    if shown.frame.is_empty():
        return ""
    parts = [f"## {phrase(f'title_{key}')}", phrase(key), *filter(None, [more])]
    if draw is not None:
        parts.append(page.picture(key.replace("_", "-"), phrase(f"picture_{key}"), draw, shown.frame))
    return "\n\n".join([*parts, shown.shown({**_NAMES, **(formats or {})})])


def _groups(frame: pl.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each value of `columns`, titled by the task and by what differs between the groups."""
    varying = [column for column in columns[1:] if frame[column].n_unique() > 1]
    for key, group in frame.group_by(columns, maintain_order=True):
        values = dict(zip(columns, key, strict=True))
        words = [f"{column.replace('_', ' ')} {values[column]}" for column in varying]
        yield "\n".join([str(values["task"]), *([", ".join(words)] if words else [])]), group
