"""The report on searches with a proxy: curves, networks to reach the target, and what was searched with what."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.reports.run_page import answered, made_by, picture
from zcsr.reports.toolkit.figures import SearchPanel, search_figure, short
from zcsr.reports.toolkit.footprint import cost_section, footprint_flags, read_cost
from zcsr.reports.toolkit.markdown import MISSING, Formatter, cell, code, number, shortened_code
from zcsr.reports.toolkit.phrases import phrase
from zcsr.reports.toolkit.render import write_markdown
from zcsr.reports.toolkit.results import Answer, ask
from zcsr.spaces import get_space, space_size
from zcsr.store import Store
from zcsr.store.jobs.nas_searches import SearchInfo, find_search
from zcsr.store.kept.costs import without_store

CURVE_COLUMNS = 6
FEW_REPEATS = 30
LABEL = "test accuracy (%)"

_SHOWN: Mapping[str, Formatter] = {
    "proxy": lambda value: MISSING if value is None else shortened_code(value, 60),
    "target": lambda value: number(value, 2) if isinstance(value, float) else MISSING,
}

Row = Mapping[str, Any]
Vector = NDArray[np.float64]
Curve = tuple[Vector, Vector, Vector]


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The stored results of searches. Make one with `read_search`; `row` is theirs of the query `searches`."""

    store: Store
    info: SearchInfo
    row: Row

    def ask(self, name: str, **parameters: object) -> Answer:
        """The answer of a named query for this search."""
        return ask(self.store, name, {"search": self.info.name} | parameters)

    @property
    def planned(self) -> int:
        """Networks that all searches together train once they are finished."""
        proxies = self.ask("search_scores").frame.height
        return int((2 + 3 * proxies) * self.row["repeats"] * self.row["budget"])


def read_search(store: Store, search: str) -> SearchResults:
    """The results of the search of that name, or of the one started last for "latest".

    Raises InputError when there is no such search.
    """
    info = find_search(store, search)
    return SearchResults(store, info, ask(store, "searches", {"search": info.name}).frame.row(0, named=True))


def render_search(store: Store, search: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS) -> Path:
    """Write `<out_dir>/<search>.md` and its picture, and return the path of the markdown.

    `search` is a search's name or "latest"; `footprint` says how energy and CO2e are reckoned. The same store gives
    the same bytes. Raises InputError when there is no such search; nothing is written then.
    """
    results = read_search(store, search)
    name = results.info.name
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{name}.md"
    return write_markdown(path, "search", sections(results, out_dir / name, footprint))


def sections(results: SearchResults, pictures: Path, footprint: Footprint = GREEN_ALGORITHMS) -> dict[str, str]:
    """Every section by its name in the template; writes the picture beside them, as `<pictures>-curves.png`."""
    row = results.row
    known = {key: row[key] for key in ("repeats", "budget", "metric", "population", "tournament", "warmup", "seed")}
    moves = "all" if row["moves"] is None else f"{row['moves']} drawn"
    return {
        "search": results.info.name,
        "summary": " ".join(" ".join(summary(results)).split()),
        "caveats": "\n".join(f"- {' '.join(one.split())}" for one in caveats(results)),
        "curve_words": phrase("search_curve_words", **known),
        "picture": curves(results, pictures),
        "curve": curve_table(results),
        "reached_words": phrase("search_reached_words", target=_percent(row["target"]), **known),
        "reached": answered(results.ask("search_summary"), _SHOWN),
        "parameters": parameters(results),
        "scores": scores(results),
        "strategies": phrase("search_strategies", moves=moves, **known),
        "cost": cost_section(read_cost(results.store, footprint, search=results.info.name)),
        "reproduce": reproduce(results),
        "report_command": shlex.join(
            ("zcsr", "report", "--search", results.info.name, *footprint_flags(footprint))
        ),
    }


def summary(results: SearchResults) -> Iterator[str]:
    """What was searched, and how soon the soonest strategy and those without a proxy reach the target, in words."""
    row, rows = results.row, results.ask("search_summary").frame.to_dicts()
    yield phrase(
        "search_searched",
        architectures=f"{row['architectures']:,}",
        task=code(row["task"]),
        repeats=row["repeats"],
        budget=row["budget"],
    )
    if row["trained"] < results.planned:
        yield phrase("search_unfinished", trained=row["trained"], planned=results.planned)
    reaching = [one for one in rows if one["reached"]]
    if not reaching:
        yield phrase("search_none", target=_percent(row["target"]))
        return
    soonest = min(reaching, key=_soonness)
    words = _reached_in_words(soonest, row["budget"])
    yield phrase("search_fastest", target=_percent(row["target"]), strategy=_in_words(soonest), words=words)
    for other in reversed([one for one in rows if one["proxy"] is None and one is not soonest]):
        yield phrase("search_other", strategy=_in_words(other), words=_reached_in_words(other, row["budget"]))


def _soonness(row: Row) -> tuple[float, float, float]:
    median = row["networks_median"]
    return (float("inf") if median is None else median, -row["reached"], row["networks_mean"])


def _reached_in_words(row: Row, budget: int) -> str:
    key = "search_seldom" if row["networks_median"] is None else "search_reached"
    median = cell(row["networks_median"])
    return phrase(key, median=median, reached=row["reached"], repeats=row["repeats"], budget=budget)


def _in_words(row: Row) -> str:
    words = phrase(f"strategy_{row['strategy']}")
    if row["proxy"] is None:
        return words
    return phrase("strategy_of", strategy=words, proxy=code(short(row["proxy"], 60)))


def caveats(results: SearchResults) -> Iterator[str]:
    """What a reader must know before quoting a number, one text each."""
    row = results.row
    yield phrase("caveat_search_known")
    yield phrase("caveat_search_strings")
    if row["metric"] == "test":
        yield phrase("caveat_search_same")
    space = get_space(row["task"].partition(":")[0])
    size = space_size(space)
    if row["architectures"] < size:
        yield phrase("caveat_search_part", architectures=f"{row['architectures']:,}", size=f"{size:,}")
    if not results.ask("search_scores").frame.is_empty():
        yield phrase("caveat_search_free", warmup=min(row["warmup"], row["architectures"]))
    if row["repeats"] < FEW_REPEATS:
        yield phrase("caveat_search_few", repeats=row["repeats"])


def curves(results: SearchResults, pictures: Path) -> str:
    """The picture of the curves, a panel a proxy; empty before the first repeat is finished."""
    answer = results.ask("search_curve")
    if answer.frame.is_empty():
        return ""
    path = pictures.with_name(f"{pictures.name}-curves.png")
    search_figure(path, panels(answer.frame), results.row["target"], LABEL)
    caption = phrase("picture_search", target=_percent(results.row["target"]))
    return f"{picture(path, caption)}\n\n{made_by(answer)}"


def panels(frame: pl.DataFrame) -> list[SearchPanel]:
    """The rows of the query `search_curve` as a panel a proxy, which the strategies without one are part of."""
    plain = _curves(frame.filter(pl.col("proxy").is_null()))
    guided = frame.filter(pl.col("proxy").is_not_null()).partition_by("proxy", as_dict=True, maintain_order=True)
    if not guided:
        return [SearchPanel("", plain)]
    return [SearchPanel(short(str(proxy)), plain | _curves(rows)) for (proxy,), rows in guided.items()]


def _curves(frame: pl.DataFrame) -> dict[str, Curve]:
    def values(rows: pl.DataFrame, which: str) -> Vector:
        return rows[f"test_accuracy_{which}"].cast(pl.Float64).fill_null(math.nan).to_numpy()

    parts = frame.partition_by("strategy", as_dict=True, maintain_order=True)
    return {
        phrase(f"strategy_{strategy}"): (values(rows, "mean"), values(rows, "low"), values(rows, "high"))
        for (strategy,), rows in parts.items()
    }


def curve_table(results: SearchResults) -> str:
    """The means with half the width of their intervals, a row a strategy, a column a number of networks."""
    answer = results.ask("search_curve", every=max(1, results.row["budget"] // CURVE_COLUMNS))
    if answer.frame.is_empty():
        return answered(answer)
    rows: dict[tuple[str, str | None], dict[str, str | None]] = {}
    for row in answer.frame.iter_rows(named=True):
        of = rows.setdefault((row["strategy"], row["proxy"]), {"strategy": row["strategy"], "proxy": row["proxy"]})
        of[str(row["networks"])] = _with_reach(row)
    frame = pl.DataFrame(list(rows.values()))
    return answered(Answer(answer.name, frame, answer.command), _SHOWN)


def _with_reach(row: Row) -> str:
    mean, high = row["test_accuracy_mean"], row["test_accuracy_high"]
    return number(mean, 2) if high is None else f"{number(mean, 2)} ± {number(high - mean, 2)}"


def parameters(results: SearchResults) -> str:
    """The parameters, a line each, and the command that prints them."""
    answer = results.ask("searches")
    shown = {**results.row, "target": _percent(results.row["target"]), "moves": results.row["moves"] or "all"}
    rows = [(name, _plain(value)) for name, value in shown.items() if name != "search"]
    frame = pl.DataFrame(rows, schema=["parameter", "value"], orient="row")
    return answered(Answer(answer.name, frame, answer.command), {"value": str})


def _plain(value: object) -> str:
    return value.isoformat(" ", timespec="seconds") if isinstance(value, datetime) else cell(value)


def scores(results: SearchResults) -> str:
    """Which scores guided the searches; empty where none did."""
    answer = results.ask("search_scores")
    return "" if answer.frame.is_empty() else answered(answer, _SHOWN)


def reproduce(results: SearchResults) -> str:
    """The command that made the searches, as far as it is known."""
    command = without_store(results.info.command)
    if not command:
        return phrase("search_reproduce_unknown")
    return phrase("search_reproduce", command=shlex.join(command))


def _percent(value: float) -> str:
    return f"{value:g}"
