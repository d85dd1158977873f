"""A report on one program against every program and known proxy that was scored on the same networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.errors import InputError
from zcsr.reports.scores_page import commands
from zcsr.reports.toolkit.answers import Answer
from zcsr.reports.toolkit.figures import Panel, dots_figure, labelled, trade_figure
from zcsr.reports.toolkit.markdown import (
    Formatter,
    bullets,
    code,
    decimals,
    interval,
    number,
    shortened_code,
    table,
)
from zcsr.reports.toolkit.page import StorePage, named_path
from zcsr.reports.toolkit.phrases import phrase
from zcsr.store import Store

NAME = "against"
TAU = "Kendall's tau-b"
COSTS = {"name": pl.String, "cpu_ms": pl.Float64, "forward": pl.Int64, "backward": pl.Int64}
"""What a table of costs says of a measure: CPU milliseconds a network, and passes each way."""

_SHORT = 70

Row = Mapping[str, Any]


@dataclass(frozen=True)
class AgainstPage(StorePage):
    """The report on `program`. Make one with `page_against`.

    `costs` has a row a measure with the columns of `COSTS`, or none; `notes` are the author's, in markdown.
    """

    template = "against"
    program: str
    costs: pl.DataFrame
    costs_file: str
    notes: str

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        words = ["--against", self.program, *self.name_words(NAME)]
        words += ["--costs", self.costs_file] if self.costs_file else []
        words += ["--notes", "NOTES.md"] if self.notes else []
        return {
            "title": self.title(NAME),
            "summary": bullets(summary(self)),
            "table": overall(self),
            "cost_picture": cost_picture(self),
            "notes": self.notes,
            "explained": phrase("against_explained"),
            "tasks": "\n\n".join(_task(self, task) for task in self.tasks),
            "collections": self.table("scored_collections"),
            "commands": commands(self),
            "report_command": self.report_command(*words),
        }

    @property
    def answer(self) -> Answer:
        """Every measure on every task."""
        return self.ask("against", program=self.program)

    @property
    def tasks(self) -> list[str]:
        """The tasks on which the program was scored."""
        return self.answer.frame["task"].unique(maintain_order=True).to_list()

    @property
    def name(self) -> str:
        """What the answer calls the program."""
        return str(self.answer.frame.filter(pl.col("difference").is_null())["name"][0])


def page_against(
    store: Store,
    program: str,
    name: str,
    out_dir: Path,
    *,
    costs: Path | None = None,
    notes: str = "",
    footprint: Footprint = GREEN_ALGORITHMS,
) -> AgainstPage:
    """The report `<out_dir>/<name>.md` on the program of that name, text or id.

    `costs` is a CSV with the columns of `COSTS`. Raises InputError for a name that is no plain file name, for
    another table of costs, and where the store has no scores of the program beside another measure.
    """
    read = _read_costs(costs) if costs else pl.DataFrame(schema=COSTS)
    path = named_path(out_dir, name)
    page = AgainstPage(path, store, footprint, {}, program, read, costs.name if costs else "", notes.strip())
    if page.answer.frame["difference"].is_null().all():
        raise InputError(
            f"the store {store.root} has no scores of '{program}' beside another measure's on the same networks, "
            "with accuracies; `zcsr test --task SPACE:DATASET --program ... --proxy params --sample 200` makes some"
        )
    return page


def _read_costs(file: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(file, schema_overrides=COSTS).select(list(COSTS))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"cannot read a table of costs from {file}: {str(error).splitlines()[0]}; it takes a CSV with the "
            f"columns {', '.join(COSTS)}, as benchmarks/costs.py writes it"
        ) from None


def summary(page: AgainstPage) -> Iterator[str]:
    """What the table shows, a line a task and one for all."""
    matrix = _matrix(page)
    own = matrix.row(0, named=True)
    yield phrase("against_all", name=code(page.name), least=number(own["least"], 3), mean=number(own["mean"], 3))
    others = matrix.slice(1).drop_nulls("least")
    if not others.is_empty():
        best = others.sort("least", descending=True).row(0, named=True)
        yield phrase(
            "against_next",
            name=code(best["name"]),
            least=number(best["least"], 3),
            mean=number(best["mean"], 3),
        )
    for task in page.tasks:
        rows = page.answer.frame.filter(task=task)
        rivals = rows.drop_nulls("difference")
        best_here = rivals.sort("tau", descending=True, nulls_last=True).row(0, named=True)
        yield phrase(
            "against_task",
            task=code(task),
            tau=number(rows["tau"][0], 3),
            ends=interval(rows["low"][0], rows["high"][0]),
            networks=f"{rows['networks'][0]:,}",
            better=rivals.filter(pl.col("difference_low") > 0).height,
            rivals=rivals.height,
            worse=rivals.filter(pl.col("difference_high") < 0).height,
            best=code(best_here["name"]),
            best_tau=number(best_here["tau"], 3),
        )


def _matrix(page: AgainstPage) -> pl.DataFrame:
    """A row a measure, the program first, then by the least tau: tau by task, least, mean, and what it costs.

    Least and mean are null for what was not scored on every task.
    """
    frame = page.answer.frame
    wide = frame.pivot("task", index="name", values="tau").select("name", *page.tasks)
    complete = pl.all_horizontal(pl.col(page.tasks).is_not_null())
    return (
        wide.with_columns(
            pl.when(complete).then(pl.min_horizontal(page.tasks)).alias("least"),
            pl.when(complete).then(pl.mean_horizontal(page.tasks)).alias("mean"),
        )
        .join(page.costs, on="name", how="left", maintain_order="left")
        .sort(pl.col("name") != page.name, "least", descending=[False, True], nulls_last=True)
    )


def overall(page: AgainstPage) -> str:
    """The one table: every measure on every task, and its cost."""
    matrix = _matrix(page)
    taus: dict[str, Formatter] = dict.fromkeys((*page.tasks, "least", "mean"), decimals(3))
    shown = matrix.with_columns(
        pl.when(pl.col("forward").is_not_null())
        .then(pl.format("{} + {}", "forward", "backward"))
        .alias("passes (forward + backward)")
    ).rename({"cpu_ms": "CPU ms"})
    kept = [column for column in shown.columns if column not in ("forward", "backward")]
    if page.costs.is_empty():
        kept = [column for column in kept if column not in ("CPU ms", "passes (forward + backward)")]
    formats = {"name": lambda name: shortened_code(name, _SHORT), "CPU ms": decimals(1), **taus}
    cost = phrase("against_costs") if not page.costs.is_empty() else ""
    return "\n\n".join(filter(None, (table(shown.select(kept), formats), page.answer.made_by, cost)))


def cost_picture(page: AgainstPage) -> str:
    """Accuracy against cost, a dot a measure; empty where no costs are known."""
    known = _matrix(page).drop_nulls(["cpu_ms", "mean"])
    if known.height < 2:
        return ""
    return page.picture(
        "cost",
        phrase("picture_against_cost"),
        trade_figure,
        known["name"].to_list(),
        known["cpu_ms"].to_numpy(),
        known["mean"].to_numpy(),
        "CPU ms a network",
        f"{TAU}, mean over tasks",
    )


def _task(page: AgainstPage, task: str) -> str:
    frame = page.answer.frame.filter(task=task)
    labels = frame["name"].to_list()
    intervals = [interval(*ends) for ends in frame.select("low", "high").iter_rows()]
    apart = [interval(*ends) for ends in frame.select("difference_low", "difference_high").iter_rows()]
    shown = frame.select(
        "name",
        "tau",
        pl.Series("95% interval", intervals, dtype=pl.String),
        pl.col("kendall_of_top").alias("top tenth"),
        pl.col("partial_spearman").alias("partial"),
        "difference",
        pl.Series("interval of the difference", apart, dtype=pl.String),
        pl.col("batch_size").alias("batch"),
    )
    formats: dict[str, Formatter] = {
        "name": lambda name: shortened_code(name, _SHORT),
        **dict.fromkeys(("tau", "top tenth", "partial", "difference"), decimals(3)),
    }
    picture = page.picture(
        task.replace(":", "-"),
        phrase("picture_against", task=task),
        dots_figure,
        [Panel(task, [labelled("tau", frame, labels, "tau", "low", "high")], labels)],
        TAU,
    )
    networks = int(frame["networks"].max() or 0)  # type: ignore[arg-type]  # a count
    head = f"### {task}\n\n" + phrase("against_networks", networks=f"{networks:,}")
    return "\n\n".join((head, table(shown, formats), page.answer.made_by, picture))
