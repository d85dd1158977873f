"""A report on the scores of programs and known proxies apart from any run, beside published figures."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.proxies import proxy_names
from zcsr.reports.run_page import answered, picture
from zcsr.reports.toolkit.figures import DotPanel, LinePanel, Series, dots_figure, lines_figure, matrix_figure
from zcsr.reports.toolkit.footprint import cost_section, footprint_flags, read_cost
from zcsr.reports.toolkit.markdown import MISSING, Formatter, code, number, shortened_code
from zcsr.reports.toolkit.phrases import phrase
from zcsr.reports.toolkit.render import write_markdown
from zcsr.reports.toolkit.results import Answer, ask, query_command
from zcsr.spaces import get_space
from zcsr.store import Store
from zcsr.store.sql.functions import MANY, REPEATS, REPEATS_OF_MANY

NAME = "scores"
FEW_NETWORKS = 500
DRAWN_LINES = 12
FEW_WAYS = 2
ENOUGH_NETWORKS = 1000
TAU = "Kendall's tau-b"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES: dict[str, Formatter] = {"name": lambda value: shortened_code(value, 60)}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers of named queries over a store's scores."""

    store: Store
    _answers: dict[tuple[str, ...], Answer] = field(default_factory=dict)

    def ask(self, name: str, **parameters: object) -> Answer:
        """The answer of a named query."""
        command = query_command(name, parameters)
        if command not in self._answers:
            self._answers[command] = ask(self.store, name, parameters)
        return self._answers[command]


def render_scores(
    store: Store, name: str, out_dir: Path, notes: str = "", footprint: Footprint = GREEN_ALGORITHMS
) -> Path:
    """Write `<out_dir>/<name>.md` and its pictures, and return the path of the markdown.

    `notes` is what its author makes of the numbers, in markdown: a section of its own; `footprint` says how energy
    and CO2e are reckoned. The same store, notes and footprint give the same bytes. Raises InputError for a name
    that is no plain file name, and where the store has no scores with accuracies; nothing is written then.
    """
    checked_name(name)
    scores = Scores(store)
    if not _trained(scores):
        raise InputError(
            f"the store {store.root} holds no scores of networks with accuracies; `zcsr test --task SPACE:DATASET "
            "--proxy all --sample 100` makes some once the accuracies are there"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{name}.md"
    parts = sections(scores, out_dir / name, footprint) | {"notes": notes.strip()}
    if notes.strip():
        parts["report_command"] += " --notes NOTES.md"
    return write_markdown(path, "comparison", parts)


def checked_name(name: str) -> str:
    """The name of a report. Raises InputError for one that is no plain file name."""
    if not _FILE_NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot name a report: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter "
            "or digit"
        )
    return name


def sections(scores: Scores, pictures: Path, footprint: Footprint = GREEN_ALGORITHMS) -> dict[str, str]:
    """Every section by its name in the template; writes the pictures beside them, as `<pictures>-<what>.png`."""
    name = pictures.name
    return {
        "title": "Scores" if name == NAME else f"Scores: {name}",
        "summary": _unwrapped(" ".join(summary(scores))),
        "caveats": "\n".join(f"- {_unwrapped(one)}" for one in caveats(scores)),
        "collections": answered(scores.ask("scored_collections")),
        "commands": commands(scores),
        "compared": phrase(
            "compared", enough=f"{ENOUGH_NETWORKS:,}", repeats=REPEATS, fewer=REPEATS_OF_MANY, many=MANY
        ),
        "comparison": "\n\n".join(_task_comparison(scores, task, pictures) for task in _tasks(scores)),
        "batch_sizes": batch_sizes(scores, pictures),
        "seeds": seeds(scores, pictures),
        "readouts": readouts(scores, pictures),
        "cross_space": cross_space(scores, pictures),
        "rank_sums": _section(scores.ask("rank_sums"), "rank_sums"),
        "agreement": agreement(scores),
        "cost": cost_section(read_cost(scores.store, footprint, run="", kind="test")),
        "report_command": shlex.join(
            ("zcsr", "report", "--scores", *(() if name == NAME else ("--name", name)), *footprint_flags(footprint))
        ),
    }


# What is there -------------------------------------------------------------------------------------------------


def _trained(scores: Scores) -> list[Row]:
    """The collections with scores of networks that have an accuracy."""
    return [row for row in scores.ask("scored_collections").frame.to_dicts() if row["trained"] > 1]


def _tasks(scores: Scores) -> list[str]:
    return list(dict.fromkeys(row["task"] for row in _trained(scores)))


def shown_collections(scores: Scores, task: str) -> list[Row]:
    """The collections of a task to compare, the largest first.

    For each batch size and each way of drawing the weights the one with the most networks that have an accuracy,
    unless these are fewer than `ENOUGH_NETWORKS` and than half of the largest whose weights are drawn so; of equal
    ones that of the pattern rcb, the loss ones, the lowest seed and the most measures.
    """
    ordered = sorted((row for row in _trained(scores) if row["task"] == task), key=_prominence)
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


def summary(scores: Scores) -> Iterator[str]:
    """What was scored, and what ranks highest on each task, in words."""
    collections = scores.ask("scored_collections").frame
    names = scores.ask("cross_space_scores").frame["name"].unique()
    proxies = set(proxy_names()) & set(names)
    yield phrase(
        "scored",
        programs=len(names) - len(proxies),
        proxies=len(proxies),
        tasks=_listed([code(task) for task in _tasks(scores)]),
        collections=collections.height,
    )
    for task in _tasks(scores):
        best = _comparison(scores, shown_collections(scores, task)[0]).frame.row(0, named=True)
        if best["kendall"] is not None:
            yield phrase(
                "highest",
                task=code(task),
                name=best["name"],
                kendall=number(best["kendall"], 3),
                low=number(best["kendall_low"], 3),
                high=number(best["kendall_high"], 3),
                networks=best["networks"],
            )


def caveats(scores: Scores) -> Iterator[str]:
    """What a reader must know before quoting a number, one text each."""
    rows = _trained(scores)
    for task, images in dict.fromkeys((row["task"], row["images"]) for row in rows):
        dataset = task.partition(":")[2]
        if images not in (None, dataset):
            yield phrase("caveat_scored_images", task=code(task), images=code(images), dataset=code(dataset))
    unknown = [code(row["collection"]) for row in rows if row["images"] is None]
    if unknown:
        yield phrase("caveat_unknown_images", collections=_listed(unknown))
    for task in _tasks(scores):
        networks = shown_collections(scores, task)[0]["trained"]
        if networks < FEW_NETWORKS:
            yield phrase("caveat_scored_few", task=code(task), networks=networks)
    yield phrase("caveat_weights")
    reported = [_reported(scores, task).frame for task in _tasks(scores)]
    if any(frame.height for frame in reported):
        yield phrase("caveat_quoted")
    if any("anglenas" in frame["proxy"] for frame in reported):
        yield phrase("caveat_trained")


def commands(scores: Scores) -> str:
    """The commands that make the scores of each collection, as far as they are known."""
    rows = scores.ask("scored_collections").frame.to_dicts()
    lines = "\n".join(shlex.join(_command(scores, row)) for row in rows)
    return f"{phrase('scored_commands', count=len(rows))}\n\n```sh\n{lines}\n```"


def _command(scores: Scores, row: Row) -> Iterator[str]:
    yield from ("zcsr", "test", "--task", row["task"])
    if row["images"] not in (None, row["task"].partition(":")[2]):
        yield from ("--images", row["images"])
    yield from ("--batch-size", str(row["batch_size"]), "--network-seed", str(row["seed"]))
    if row["pattern"] != "rcb":
        yield from ("--pattern", row["pattern"])
    if row["loss"] != "ones":
        yield from ("--loss", row["loss"])
    if _rules(row) != "eznas":
        yield from ("--initialisation", row["initialisation"])
    everything = row["networks"] == _size(row["task"].partition(":")[0])
    yield from ("--all",) if everything else ("--sample", str(row["networks"]))
    names = scores.ask("scored_programs", collection=row["collection"]).frame["name"].to_list()
    proxies = [name for name in proxy_names() if name in names]
    for name in names:
        if name not in proxies:
            yield from ("--program", name)
    for name in ["all"] if len(proxies) == len(proxy_names()) else proxies:
        yield from ("--proxy", name)


def _size(space: str) -> int | None:
    """The number of architectures of a space; None where it is not known here, or too large to count."""
    try:
        return len(get_space(space))
    except (InputError, OverflowError):
        return None


# Tables beside published figures -------------------------------------------------------------------------------


def _comparison(scores: Scores, collection: Row) -> Answer:
    return scores.ask("comparison", collection=collection["collection"])


def _reported(scores: Scores, task: str) -> Answer:
    space, _, dataset = task.partition(":")
    return scores.ask("published", space=space, dataset=dataset)


def _task_comparison(scores: Scores, task: str, pictures: Path) -> str:
    shown = shown_collections(scores, task)
    parts = [f"### {task}"]
    for row in shown:
        parts += [
            phrase("compared_collection", networks=row["trained"], initialisation=_rules(row), **_conditions(row)),
            _comparison_table(_comparison(scores, row)),
        ]
    more = sum(row["task"] == task for row in _trained(scores)) - len(shown)
    if more:
        parts.append(phrase("compared_more", task=task, count=more))
    parts.append(_comparison_picture(scores, task, shown, pictures))
    reported = _reported(scores, task)
    if not reported.frame.is_empty():
        parts += [phrase("reported"), answered(reported, {"value": _as_published}, drop=("space", "dataset"))]
    return "\n\n".join(parts)


def _conditions(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("batch_size", "seed", "pattern", "loss")}


def _comparison_table(answer: Answer) -> str:
    frame = answer.frame
    intervals = [
        MISSING if low is None else f"{number(low, 3)} to {number(high, 3)}"
        for low, high in frame.select("kendall_low", "kendall_high").iter_rows()
    ]
    table = frame.select(
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
    kept = [name for name in table.columns if name in _ALWAYS or _says_something(table[name])]
    formats: dict[str, Formatter] = {
        "top tenth": _correlation,
        "partial": _correlation,
        "paper's kendall": _as_published,
        "paper's spearman": _as_published,
    }
    return answered(Answer(answer.name, table.select(kept), answer.command), _NAMES | formats)


_ALWAYS = ("name", "kendall", "95% interval", "top tenth", "spearman", "networks")


def _says_something(column: pl.Series) -> bool:
    return any(value not in (None, 0) for value in column)


def _comparison_picture(scores: Scores, task: str, shown: Sequence[Row], pictures: Path) -> str:
    frames = [_comparison(scores, row).frame for row in shown]
    labels = list(dict.fromkeys(name for frame in frames for name in frame["name"]))
    series = [
        Series(
            f"batch size {row['batch_size']}, weights by {_rules(row)}",
            _by_label(frame, labels, "kendall"),
            _by_label(frame, labels, "kendall_low"),
            _by_label(frame, labels, "kendall_high"),
        )
        for row, frame in sorted(zip(shown, frames, strict=True), key=lambda pair: pair[0]["batch_size"] or 0)
    ]
    quoted = np.nanmax([_by_label(frame, labels, "published_kendall", -np.inf) for frame in frames], axis=0)
    quoted = np.where(np.isfinite(quoted), quoted, np.nan)
    if np.isfinite(quoted).any():
        series.append(Series("EZNAS paper", quoted, hollow=True))
    path = pictures.with_name(f"{pictures.name}-comparison-{task.replace(':', '-')}.png")
    dots_figure(path, [DotPanel(task, labels, series)], TAU)
    return picture(path, phrase("picture_comparison", task=task))


def _by_label(
    frame: pl.DataFrame, labels: Sequence[str], column: str, missing: float = math.nan, label: str = "name"
) -> NDArray[np.float64]:
    """The values [labels] of a column; `missing` where a label has no row or a NULL."""
    values = dict(frame.select(label, column).drop_nulls().iter_rows())
    return np.array([values.get(one, missing) for one in labels], dtype=np.float64)


# The paper's figures -------------------------------------------------------------------------------------------


def batch_sizes(scores: Scores, pictures: Path) -> str:
    """Figure 7: tau at each batch size."""

    answer = scores.ask("batch_sizes")
    order = answer.frame.group_by("name", maintain_order=True).agg(pl.max("kendall"))
    drawn = order.sort("kendall", descending=True, nulls_last=True, maintain_order=True)["name"].head(DRAWN_LINES)

    def draw(frame: pl.DataFrame, path: Path) -> None:
        panels = []
        shown = frame.filter(pl.col("name").is_in(drawn.to_list()))
        for title, group in _groups(shown, ("task", "images", "seed", "pattern", "loss")):
            sizes = sorted(group["batch_size"].unique())
            lines = {
                str(name): _by_label(rows, sizes, "kendall", label="batch_size")
                for (name,), rows in group.group_by("name", maintain_order=True)
            }
            panels.append(LinePanel(title, sizes, lines))
        lines_figure(path, panels, "batch size", TAU)

    more = [phrase("drawn_lines", count=DRAWN_LINES)] if order.height > DRAWN_LINES else []
    return _section(answer, "batch_sizes", pictures, draw, words=[phrase("batch_sizes"), *more])


def seeds(scores: Scores, pictures: Path) -> str:
    """Figure 9: tau over seeds, on the same networks and on each seed's own."""

    def draw(frame: pl.DataFrame, path: Path) -> None:
        panels = []
        for title, group in _groups(frame, ("task", "images", "batch_size", "pattern", "loss")):
            ordered = group.sort("kendall_mean", descending=True, maintain_order=True)
            labels = ordered["name"].unique(maintain_order=True).to_list()
            series = [
                Series(
                    f"{kind} networks",
                    _by_label(rows, labels, "kendall_mean"),
                    _by_label(rows, labels, "kendall_lowest"),
                    _by_label(rows, labels, "kendall_highest"),
                )
                for (kind,), rows in group.sort("kind").group_by("kind", maintain_order=True)
            ]
            panels.append(DotPanel(title, labels, series))
        dots_figure(path, panels, f"{TAU}: mean, lowest and highest over seeds")

    return _section(scores.ask("seeds"), "seeds", pictures, draw)


def readouts(scores: Scores, pictures: Path) -> str:
    """Figure 10: tau of each way of reading an expression out; pictured where there are more than a few ways."""

    def draw(frame: pl.DataFrame, path: Path) -> None:
        way = pl.concat_str("pattern", "to_scalar", "aggregation", separator=", ").alias("way")
        frame = frame.with_columns(way)
        ways = sorted(frame["way"].unique(), key=lambda one: tuple(part != "mean" for part in one.split(", ")))
        ways.sort(key=lambda one: not one.startswith("rcb"))
        panels = []
        by_conditions = ("task", "images", "batch_size", "seed", "loss")
        many = frame.filter(pl.col("way").n_unique().over(by_conditions) > FEW_WAYS)
        for title, group in _groups(frame if many.is_empty() else many, by_conditions):
            labels = group["name"].unique(maintain_order=True).to_list()
            present = set(group["way"])
            series = [
                Series(one, _by_label(group.filter(pl.col("way") == one), labels, "kendall"))
                for one in ways
                if one in present
            ]
            panels.append(DotPanel(title, labels, series))
        dots_figure(path, panels, TAU)

    return _section(scores.ask("readouts"), "readouts", pictures, draw)


def cross_space(scores: Scores, pictures: Path) -> str:
    """Figure 11: tau of every program and proxy, a row each, on every task, a column each."""
    answer = scores.ask("cross_space_scores")
    tasks = sorted(answer.frame["tested_on"].unique())
    several = answer.frame.filter(pl.len().over("name", "batch_size") > 1)
    if several.is_empty():
        return ""
    matrix = several.pivot("tested_on", index=["name", "batch_size"], values="kendall").sort("name", "batch_size")
    matrix = matrix.select("name", "batch_size", *(task for task in tasks if task in matrix.columns))

    def draw(frame: pl.DataFrame, path: Path) -> None:
        one_size = frame["batch_size"].n_unique() == 1
        rows = [
            name if one_size else f"{name} (batch {size})"
            for name, size in frame.select("name", "batch_size").iter_rows()
        ]
        values = frame.drop("name", "batch_size")
        matrix_figure(path, rows, values.columns, values.to_numpy().astype(np.float64), TAU)

    taus: dict[str, Formatter] = dict.fromkeys(tasks, _correlation)
    shown = Answer(answer.name, matrix, answer.command)
    return _section(shown, "cross_space", pictures, draw, formats=taus)


def agreement(scores: Scores) -> str:
    """How the scores of known proxies agree with those of others; empty where there are none."""
    return _section(scores.ask("agreement"), "agreement")


def _section(
    answer: Answer,
    key: str,
    pictures: Path | None = None,
    draw: Callable[[pl.DataFrame, Path], None] | None = None,
    words: Sequence[str] = (),
    formats: Mapping[str, Formatter] | None = None,
) -> str:
    """A section with its title, words, picture and table; empty where the query has no rows."""
    if answer.frame.is_empty():
        return ""
    parts = [f"## {phrase(f'title_{key}')}", *(words or [phrase(key)])]
    if pictures is not None and draw is not None:
        path = pictures.with_name(f"{pictures.name}-{key.replace('_', '-')}.png")
        draw(answer.frame, path)
        parts.append(picture(path, phrase(f"picture_{key}")))
    return "\n\n".join([*parts, answered(answer, {**_NAMES, **(formats or {})})])


def _groups(frame: pl.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each value of `columns`, titled by the task and by what differs between the groups."""
    varying = [column for column in columns[1:] if frame[column].n_unique() > 1]
    for key, group in frame.group_by(columns, maintain_order=True):
        values = dict(zip(columns, key, strict=True))
        words = [f"{column.replace('_', ' ')} {values[column]}" for column in varying]
        yield "\n".join([str(values["task"]), *([", ".join(words)] if words else [])]), group


def _correlation(value: object) -> str:
    return number(value, 3) if isinstance(value, float) else MISSING


def _as_published(value: object) -> str:
    """A published figure with the digits that it has, two at least."""
    if not isinstance(value, float):
        return MISSING
    return number(value, max(2, len(repr(value).partition(".")[2])))


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _unwrapped(text: str) -> str:
    return " ".join(text.split())
