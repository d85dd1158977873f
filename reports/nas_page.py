"""The report on searches with a proxy: curves, networks to reach the target, and what was searched with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.reports.toolkit.answers import ask
from zcsr.reports.toolkit.figures import Panel, Series, search_figure, short, spread
from zcsr.reports.toolkit.markdown import Formatter, bullets, cell, code, decimals, number, shortened_code
from zcsr.reports.toolkit.page import StorePage, reproduced
from zcsr.reports.toolkit.phrases import one_line, phrase
from zcsr.spaces import get_space, space_size
from zcsr.store import Store
from zcsr.store.jobs.nas_searches import SearchInfo, find_search

CURVE_COLUMNS = 6
FEW_REPEATS = 30
LABEL = "test accuracy (%)"

_SHOWN: Mapping[str, Formatter] = {"proxy": partial(shortened_code, width=60), "target": decimals(2)}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class SearchPage(StorePage):
    """The report on searches. Make one with `page_of_search`; `row` is theirs of the query `searches`."""

    template = "search"
    info: SearchInfo
    row: Row

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        names = ("repeats", "budget", "metric", "population", "tournament", "warmup", "seed")
        known = {name: self.row[name] for name in names}
        moves = "all" if self.row["moves"] is None else f"{self.row['moves']} drawn"
        curve, caption = self.ask("search_curve"), phrase("picture_search", target=self.target)
        return {
            "search": self.info.name,
            "summary": " ".join(summary(self)),
            "caveats": bullets(caveats(self)),
            "curve_words": phrase("search_curve_words", **known),
            "picture": self.picture_of(
                curve, "curves", caption, search_figure, panels(curve.frame), self.row["target"], LABEL
            ),
            "curve": curve_table(self),
            "reached_words": phrase("search_reached_words", target=self.target, **known),
            "reached": self.table("search_summary", _SHOWN),
            "parameters": parameters(self),
            "scores": self.table("search_scores", _SHOWN) if self.proxies else "",
            "strategies": phrase("search_strategies", moves=moves, **known),
            "cost": self.cost(search=self.info.name),
            "reproduce": reproduced("search_reproduce", self.info.command),
            "report_command": self.report_command("--search", self.info.name),
        }

    @property
    def proxies(self) -> int:
        """How many scores guided the searches."""
        return self.ask("search_scores").frame.height

    @property
    def planned(self) -> int:
        """Networks that all searches together train once they are finished."""
        return int((2 + 3 * self.proxies) * self.row["repeats"] * self.row["budget"])

    @property
    def target(self) -> str:
        """The test accuracy to reach, in percent."""
        return f"{self.row['target']:g}"


def page_of_search(store: Store, search: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS) -> SearchPage:
    """The report `<out_dir>/<search>.md` on the search of that name, or on the one started last for "latest".

    `footprint` says how energy and CO2e are reckoned. Raises InputError when there is no such search.
    """
    info = find_search(store, search)
    about = {"search": info.name}
    row = ask(store, "searches", about).frame.row(0, named=True)
    return SearchPage(out_dir / f"{info.name}.md", store, footprint, about, info, row)


def summary(page: SearchPage) -> Iterator[str]:
    """What was searched, and how soon the soonest strategy and those without a proxy reach the target, in words."""
    row, rows = page.row, page.ask("search_summary").frame.to_dicts()
    yield one_line(
        "search_searched",
        architectures=f"{row['architectures']:,}",
        task=code(row["task"]),
        repeats=row["repeats"],
        budget=row["budget"],
    )
    if row["trained"] < page.planned:
        yield one_line("search_unfinished", trained=row["trained"], planned=page.planned)
    reaching = [one for one in rows if one["reached"]]
    if not reaching:
        yield one_line("search_none", target=page.target)
        return
    soonest = min(reaching, key=_soonness)
    words = _reached_in_words(soonest, row["budget"])
    yield one_line("search_fastest", target=page.target, strategy=_in_words(soonest), words=words)
    for other in reversed([one for one in rows if one["proxy"] is None and one is not soonest]):
        words = _reached_in_words(other, row["budget"])
        yield one_line("search_other", strategy=_in_words(other), words=words)


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


def caveats(page: SearchPage) -> Iterator[str]:
    """What a reader must know before quoting a number, one text each."""
    row = page.row
    yield phrase("caveat_search_known")
    yield phrase("caveat_search_strings")
    if row["metric"] == "test":
        yield phrase("caveat_search_same")
    size = space_size(get_space(row["task"].partition(":")[0]))
    if row["architectures"] < size:
        yield phrase("caveat_search_part", architectures=f"{row['architectures']:,}", size=f"{size:,}")
    if page.proxies:
        yield phrase("caveat_search_free", warmup=min(row["warmup"], row["architectures"]))
    if row["repeats"] < FEW_REPEATS:
        yield phrase("caveat_search_few", repeats=row["repeats"])


def panels(frame: pl.DataFrame) -> list[Panel]:
    """The rows of the query `search_curve` as a panel a proxy, which the strategies without one are part of."""
    by_proxy = frame.partition_by("proxy", as_dict=True, maintain_order=True)
    plain = _curves(by_proxy.pop((None,), frame.clear()))
    guided = [Panel(short(str(proxy)), plain + _curves(rows)) for (proxy,), rows in by_proxy.items()]
    return guided or [Panel("", plain)]


def _curves(frame: pl.DataFrame) -> list[Series]:
    return [
        spread(phrase(f"strategy_{strategy}"), rows, "test_accuracy")
        for (strategy,), rows in frame.group_by("strategy", maintain_order=True)
    ]


def curve_table(page: SearchPage) -> str:
    """The means with half the width of their intervals, a row a strategy, a column a number of networks."""
    answer = page.ask("search_curve", every=max(1, page.row["budget"] // CURVE_COLUMNS))
    means = pl.Series("mean", map(_with_reach, answer.frame.iter_rows(named=True)), dtype=pl.String)
    curves = answer.frame.with_columns(means).pivot("networks", index=["strategy", "proxy"], values="mean")
    return answer.showing(curves).shown(_SHOWN)


def _with_reach(row: Row) -> str:
    mean, high = row["test_accuracy_mean"], row["test_accuracy_high"]
    return number(mean, 2) if high is None else f"{number(mean, 2)} ± {number(high - mean, 2)}"


def parameters(page: SearchPage) -> str:
    """The parameters, a line each, and the command that prints them."""
    shown = {**page.row, "target": page.target, "moves": page.row["moves"] or "all"}
    rows = [(name, _plain(value)) for name, value in shown.items() if name != "search"]
    frame = pl.DataFrame(rows, schema=["parameter", "value"], orient="row")
    return page.ask("searches").showing(frame).shown({"value": str})


def _plain(value: object) -> str:
    return value.isoformat(" ", timespec="seconds") if isinstance(value, datetime) else cell(value)
