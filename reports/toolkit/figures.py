"""The pictures of a report: PNG, 800 pixels wide, and SVG, the same bytes for the same numbers.

`label` names the axis of the values throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from zcsr.reports.toolkit.markdown import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0
DPI = 100

# From the palette of Okabe and Ito, which stays distinct for every common form of colour blindness.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#5A5A5A"
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", "--", ":")
LABEL_WIDTH = 30
LEGEND_COLUMNS = 3
LABEL_STEP, LABEL_POINTS = 9.5, 4.6
"""Points between two labels that would lie on each other, and the width of one of their letters."""

SPREAD = 100
"""How many times the least the largest place may be before an axis is logarithmic."""

COLOUR_TICKS = (-1, -0.5, 0, 0.5, 1)

STYLE: dict[str, Any] = {
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "zcsr",
}

Vector = NDArray[np.float64]
_nothing = partial(np.empty, 0)


@dataclass(frozen=True, slots=True)
class Series:
    """Values [n] under a name, NaN where there is none, and the ends [n] that they reach to, where they do.

    positions: where they stand [n]; empty where they belong to the panel's labels, or are after 1..n networks
    hollow: drawn as outlines in grey: numbers that are quoted, not measured
    """

    name: str
    values: Vector
    low: Vector = field(default_factory=_nothing)
    high: Vector = field(default_factory=_nothing)
    positions: Vector = field(default_factory=_nothing, kw_only=True)
    hollow: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Panel:
    """One or more series under a title, over labels evenly apart or over an axis that `position` names."""

    title: str
    series: Sequence[Series]
    labels: Sequence[object] = ()
    position: str = ""


def vector(frame: pl.DataFrame, column: str) -> Vector:
    """The numbers [rows] of a column, NaN for NULL."""
    return frame[column].cast(pl.Float64).fill_null(math.nan).to_numpy()


def spread(name: str, frame: pl.DataFrame, column: str, position: str = "") -> Series:
    """The means, lows and highs of a column of a query, at the positions that another column has."""
    positions = vector(frame, position) if position else _nothing()
    return Series(
        name, *(vector(frame, f"{column}_{which}") for which in ("mean", "low", "high")), positions=positions
    )


def labelled(
    name: str, frame: pl.DataFrame, labels: Sequence[object], *columns: str, label: str = "name"
) -> Series:
    """The values and, of three columns, their ends; NaN where a label, one of the column `label`, has none."""
    found = (dict(frame.select(label, column).iter_rows()) for column in columns)
    return Series(name, *(np.array([values.get(one) for one in labels], dtype=np.float64) for values in found))


def bands_figure(
    path: Path, panels: Sequence[Panel], label: str, names: Sequence[str], share: bool = False
) -> None:
    """Draws each panel's means as lines in a shade from the lowest to the highest, side by side.

    The place of a band's name among `names` decides its colour and marker. A `share` is in percent and begins at 0.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    def draw(axes: Axes, panel: Panel) -> None:
        for band in panel.series:
            style = _line_style(names.index(band.name))
            axes.fill_between(band.positions, band.low, band.high, color=style["color"], alpha=0.15, linewidth=0)
            axes.plot(band.positions, band.values, label=band.name, markersize=5, **style)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=panel.position == "generation"))
        if share:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    _panels(path, panels, draw, label, height=4.2, columns=len(panels), legend=len(names), sharey=True)


def search_figure(path: Path, panels: Sequence[Panel], target: float, label: str) -> None:
    """Draws the curves of each panel, two panels in a row, over a logarithmic number of networks.

    A curve is drawn as steps with its interval as a shade, and has the same colour in every panel. The first few
    networks lie far below all that follows, so the axis of the values begins where the lowest curve is after the
    square root of all networks. A dotted line is drawn at `target`.
    """
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    names = _names(panels)
    columns = min(2, len(panels))
    means = [curve.values for panel in panels for curve in panel.series]

    def draw(axes: Axes, panel: Panel) -> None:
        for curve in panel.series:
            colour = COLOURS[names.index(curve.name) % len(COLOURS)]
            networks = np.arange(1, len(curve.values) + 1)
            axes.fill_between(networks, curve.low, curve.high, step="post", color=colour, alpha=0.15, linewidth=0)
            axes.step(networks, curve.values, where="post", color=colour, linewidth=1.6, label=curve.name)
        axes.axhline(target, color=GREY, linewidth=1, linestyle=":")
        axes.set_xscale("log")
        longest = max(len(curve.values) for curve in panel.series)
        axes.set_xticks([one * 10**power for power in range(7) for one in (1, 3) if one * 10**power <= longest])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())

    def finish(grid: Sequence[Axes]) -> None:
        for axes in grid[max(0, len(panels) - columns) : len(panels)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("trained networks")
        grid[0].set_ylim(*_curve_limits(means))

    height = 4.6 if columns == 1 else 3.6 * _rows(panels)
    height += _legend_height(names, LEGEND_COLUMNS)
    _panels(
        path, panels, draw, label, height=height, legend=LEGEND_COLUMNS, finish=finish, sharex=True, sharey=True
    )


def dots_figure(path: Path, panels: Sequence[Panel], label: str) -> None:
    """Draws each panel's values as dots on a line a label, from top to bottom, with bars from low to high.

    A series has the same colour and marker in every panel.
    """
    panels = list(map(without_empty_rows, panels))
    names = _names(panels)
    heights = [0.9 + len(panel.labels) * _row_height(panel) for panel in panels]
    # A name beside its marker takes up to so many of some hundred characters.
    columns = max(1, min(4, 100 // (max(map(len, names), default=0) + 8)))

    def finish(grid: Sequence[Axes]) -> None:
        grid[-1].set_xlabel(label)

    _panels(
        path,
        panels,
        partial(_dots, names=names),
        height=sum(heights) + (0.4 + _legend_height(names, columns)),
        columns=1,
        legend=columns if len(names) > 1 else 0,
        finish=finish,
        sharex=True,
        height_ratios=heights,
    )


def lines_figure(path: Path, panels: Sequence[Panel], label: str) -> None:
    """Draws the lines of each panel, two panels in a row, over its labels evenly apart.

    A name has the same colour, marker and line in every panel, and stands in one legend below them all.
    """
    names = _names(panels)
    labels = dict(zip(names, told_apart(names), strict=True))

    def draw(axes: Axes, panel: Panel) -> None:
        places = np.arange(len(panel.labels))
        for line in panel.series:
            there = np.isfinite(line.values)  # a line goes on over a position that it has no value at
            style = _line_style(names.index(line.name))
            label = labels[line.name]
            axes.plot(places[there], line.values[there], label=label, markersize=5, **style)
        axes.set_xticks(places, list(map(str, panel.labels)))

    height = 3.6 * _rows(panels) + _legend_height(names, LEGEND_COLUMNS)
    _panels(path, panels, draw, label, height=height, legend=LEGEND_COLUMNS, sharey=True)


def curves_figure(path: Path, panels: Sequence[Panel], label: str) -> None:
    """Draws the values of each panel's one series over its labels evenly apart, on an axis of its own."""

    def draw(axes: Axes, panel: Panel) -> None:
        (curve,) = panel.series
        places = np.arange(len(panel.labels))
        reach = (curve.values - curve.low, curve.high - curve.values)
        axes.errorbar(places, curve.values, reach, color=BLUE, marker="o", markersize=5, capsize=3, linewidth=1.4)
        axes.set_xticks(places, list(map(str, panel.labels)))
        axes.set_xlim(-0.4, len(places) - 0.6)
        axes.margins(y=0.12)

    _panels(path, panels, draw, label, height=3.0 * _rows(panels))


def scatter_figure(path: Path, panels: Sequence[Panel]) -> None:
    """Draws ranks of accuracies (the values of each panel's one series) over ranks of scores (their positions).

    A panel a task. Networks without a finite score are left out. Equal scores share their mean rank. Only order
    counts for tau, and by rank no network stands far from the rest; the accuracies are written at their ranks.
    """
    _panels(path, panels, _scatter, height=3.8 * _rows(panels) if len(panels) > 1 else 4.8)


def trade_figure(
    path: Path, names: Sequence[str], costs: Vector, values: Vector, cost_label: str, value_label: str
) -> None:
    """Draws what is had (`values`) against what it costs, on a logarithmic axis, a dot a name.

    The first name stands out. Labels that would lie on each other are moved up or down.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.scatter(costs[1:], values[1:], color=BLUE, s=22)
        axes.scatter(costs[:1], values[:1], color=VERMILION, s=60, marker="D", zorder=3)
        axes.set_xlabel(cost_label)
        axes.set_ylabel(value_label)
        axes.margins(x=0.2, y=0.08)
        figure.canvas.draw()  # places are known only once the layout is
        taken: list[tuple[float, float, float]] = []
        for place in np.argsort(-values):
            label = short(names[place], 26)
            at = axes.transData.transform((costs[place], values[place])) * 72 / figure.dpi
            left, right, level = at[0] + 6, at[0] + 6 + LABEL_POINTS * len(label), at[1]
            while any(abs(level - y) < LABEL_STEP and left < end and begin < right for begin, end, y in taken):
                level -= LABEL_STEP
            taken.append((left, right, level))
            axes.annotate(
                label,
                (costs[place], values[place]),
                (6, level - at[1]),
                textcoords="offset points",
                va="center",
                fontsize=8,
                arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.5} if level < at[1] else None,
            )

    save(path, draw, 5.2)


def matrix_figure(
    path: Path, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64], label: str
) -> None:
    """Draws values [rows, columns] in -1..1 as coloured squares with their numbers.

    NaN leaves a square empty. `label` says what the colours are.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                colour = "white" if abs(value) > 0.6 else "black"
                axes.text(column, row, number(value, 2), ha="center", va="center", color=colour, fontsize=8)
        axes.xaxis.tick_top()  # first, as labels above the squares are others than below
        axes.set_xticks(range(len(columns)), columns, fontsize=9)
        if len(columns) > 4:
            for name in axes.get_xticklabels():
                name.set(rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(rows)), told_apart(rows), fontsize=9)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.colorbar(image, ax=axes, label=label, location="bottom", shrink=0.5, aspect=24, ticks=COLOUR_TICKS)

    save(path, draw, (2.6 if len(columns) > 4 else 1.6) + 0.28 * len(rows), beside=True)


def fitness_figure(path: Path, frame: pl.DataFrame, label: str, fixed: bool = False) -> None:
    """Draws the best, the median and the quartiles of fitness over the generations, rows of the query `fitness`.

    Where it is on `fixed` networks in every generation, the best so far in place of the best.
    Values that are not finite (a population in which most programs failed) leave a gap.
    """
    from matplotlib.ticker import MaxNLocator

    generations = frame["generation"].to_numpy()
    fitness = {which: vector(frame, f"{which}_fitness") for which in ("lower", "upper", "median", "best")}
    low, high, middle, top = (np.where(np.isfinite(values), values, np.nan) for values in fitness.values())

    def draw(axes: Axes, _: Panel) -> None:
        axes.fill_between(generations, low, high, color=BLUE, alpha=0.18, linewidth=0, label="quartiles")
        axes.plot(generations, middle, color=BLUE, marker="s", markersize=4, label="median")
        if fixed:
            so_far = np.fmax.accumulate(top)
            axes.step(
                generations, so_far, where="post", color=VERMILION, marker="o", markersize=5, label="best so far"
            )
        else:
            axes.plot(generations, top, color=VERMILION, marker="o", markersize=5, label="best")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=4)

    _panels(path, [Panel("", (), position="generation")], draw, label, height=4.2)


def shares_figure(path: Path, shares: Sequence[float], position: str, label: str) -> None:
    """Draws shares (0..1) of a whole that is divided along `position` as bars."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    def draw(axes: Axes, _: Panel) -> None:
        edges = np.linspace(0, 1, len(shares) + 1)
        axes.bar(edges[:-1], shares, width=1 / len(shares), align="edge", color=BLUE, alpha=0.75, edgecolor="white")
        axes.axhline(1 / len(shares), color=VERMILION, linestyle="--", linewidth=1.2, label="even share")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.08 * max(shares))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(visible=False, axis="x")

    _panels(path, [Panel("", (), position=position)], draw, label, height=3.4, legend=1)


def short(name: str, width: int = LABEL_WIDTH) -> str:
    """`name` as a label of at most `width` characters: of a longer one, the beginning and the end."""
    if len(name) <= width:
        return name
    end = (width - 1) * 3 // 5
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def told_apart(names: Sequence[str], width: int = LABEL_WIDTH) -> list[str]:
    """The names as labels, those that would be alike as long as it takes to tell them apart."""
    labels = [short(name, width) for name in names]
    alike = {
        label for label in labels if len({n for n, one in zip(names, labels, strict=True) if one == label}) > 1
    }
    if not alike:
        return labels
    longer = iter(told_apart([n for n, one in zip(names, labels, strict=True) if one in alike], width + 10))
    return [next(longer) if label in alike else label for label in labels]


def save(
    path: Path,
    draw: Callable[[Figure], None],
    height: float,
    width: float = WIDTH,
    layout: Literal["constrained"] | None = "constrained",
    kind: Literal["png", "svg"] = "png",
    beside: bool = False,
) -> Path:
    """Save a figure of so many inches that `draw` fills, and `beside` it the same as SVG; returns `path`."""
    from matplotlib import style
    from matplotlib.figure import Figure

    # A user's own matplotlib settings must not change a report; the time and the software's version no bytes.
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
        draw(figure)
        unsaid = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, metadata=unsaid)
        if beside:
            figure.savefig(path.with_suffix(".svg"), format="svg", metadata={"Date": None, "Creator": None})
    return path


def _panels(
    path: Path,
    panels: Sequence[Panel],
    draw: Callable[[Axes, Panel], None],
    label: str = "",
    *,
    height: float,
    columns: int = 2,
    legend: int = 0,
    finish: Callable[[Sequence[Axes]], None] = lambda _: None,
    **subplots: Any,
) -> None:
    """Draw panels, so many in a row, with one legend of so many columns below them, none for 0.

    `label` names the axis of the values of the first in a row; `finish` has the last word on all of them.
    """
    columns = min(columns, len(panels))

    def fill(figure: Figure) -> None:
        grid = figure.subplots(math.ceil(len(panels) / columns), columns, squeeze=False, **subplots).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            draw(axes, panel)
            axes.set_title(panel.title, loc="left")
            if panel.position:
                axes.set_xlabel(panel.position)
        if label:
            for axes in grid[::columns]:
                axes.set_ylabel(label)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()
        finish(grid)
        if legend:
            _legend(figure, grid, legend)

    save(path, fill, height, beside=True)


def _names(panels: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(series.name for panel in panels for series in panel.series))


def _rows(panels: Sequence[Panel]) -> int:
    return math.ceil(len(panels) / 2)


def _legend_height(names: Sequence[str], columns: int) -> float:
    return 0.25 * math.ceil(len(names) / columns)


def _legend(figure: Figure, grid: Iterable[Axes], columns: int) -> None:
    """One legend below all panels, for everything that is labelled in any of them."""
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(columns, len(handles)))


def _line_style(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place // len(COLOURS) % len(LINES)],
    }


def _curve_limits(means: Sequence[Vector]) -> tuple[float, float]:
    low = min(float(mean[math.isqrt(len(mean)) - 1]) for mean in means)
    high = max(float(mean.max()) for mean in means)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + 2 * margin


def without_empty_rows(panel: Panel) -> Panel:
    """The panel without the labels at which no series has a value."""
    there = np.atleast_1d(np.isfinite([one.values for one in panel.series]).any(axis=0))
    if not len(panel.series) or there.all():
        return panel
    series = [
        replace(
            one,
            values=one.values[there],
            low=one.low[there] if len(one.low) else one.low,
            high=one.high[there] if len(one.high) else one.high,
        )
        for one in panel.series
    ]
    return replace(
        panel, series=series, labels=[label for label, kept in zip(panel.labels, there, strict=True) if kept]
    )


def _row_height(panel: Panel) -> float:
    """Inches for one label, which all its series share."""
    return 0.14 + 0.11 * sum(not series.hollow for series in panel.series)


def _dots(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    places = np.arange(len(panel.labels), dtype=np.float64)
    measured = [series.name for series in panel.series if not series.hollow]
    apart = np.linspace(-0.28, 0.28, len(measured)) if len(measured) > 1 else np.zeros(1)
    offsets = dict(zip(measured, apart, strict=False))
    for series in panel.series:
        place = names.index(series.name)
        offset = offsets.get(series.name, 0.0)  # what is quoted stands on the label's own line
        colour = GREY if series.hollow else COLOURS[place % len(COLOURS)]
        if len(series.low):
            axes.hlines(places + offset, series.low, series.high, color=colour, linewidth=1.6, alpha=0.55)
        axes.plot(
            series.values,
            places + offset,
            linestyle="none",
            marker="D" if series.hollow else MARKERS[place % len(MARKERS)],
            markersize=6 if series.hollow else 5,
            color=colour,
            markerfacecolor="none" if series.hollow else colour,
            label=series.name,
        )
    axes.set_yticks(places, told_apart(list(map(str, panel.labels))), fontsize=9)
    axes.set_ylim(len(panel.labels) - 0.5, -0.5)
    axes.axvline(0, color=GREY, linewidth=0.8)


def _scatter(axes: Axes, panel: Panel) -> None:
    (series,) = panel.series
    shown = np.isfinite(series.positions) & np.isfinite(series.values)
    scores, accuracies = (rankdata(values[shown]) for values in (series.positions, series.values))
    size = 14 if len(scores) < 300 else 7
    axes.scatter(scores, accuracies, s=size, color=BLUE, alpha=0.45, linewidths=0)
    axes.set_xlabel("rank of the score")
    axes.set_ylabel("accuracy (%), by rank")
    if len(scores):
        ranks = np.unique(np.linspace(1, len(scores), 5).round().astype(int))
        axes.set_xticks(ranks)
        axes.set_yticks(ranks, [number(value, 1) for value in np.sort(series.values[shown])[ranks - 1]])


def front_figure(path: Path, frame: pl.DataFrame, marked: Mapping[str, str]) -> None:
    """Draws the least tau of programs over their size and over their cost, rows of the query `evaluated`.

    A line joins those that are better than all smaller or cheaper ones. `marked` gives names by program.
    """
    panels = [Panel("", (), position=name) for name in ("size", "cost")]
    words = {"size": "size (nodes)", "cost": "cost (passes)"}
    best = frame.sort("least", descending=True, maintain_order=True)
    lowest = float(best["least"].head(max(1, best.height // 2)).min())  # type: ignore[arg-type]

    def draw(axes: Axes, panel: Panel) -> None:
        places, least = vector(frame, panel.position), vector(frame, "least")
        axes.scatter(places, least, s=9, color=GREY, alpha=0.3, linewidths=0, label="programs")
        steps = stairs(places, least)
        axes.step(*steps, where="post", color=BLUE, linewidth=1.6, marker="o", markersize=4, label="the front")
        for place, (program, name) in enumerate(marked.items()):
            rows = frame.filter(pl.col("program") == program)
            if not rows.is_empty():
                style: dict[str, Any] = {
                    "marker": MARKERS[(place + 1) % len(MARKERS)],
                    "color": COLOURS[(place + 1) % len(COLOURS)],
                }
                axes.plot(rows[panel.position], rows["least"], linestyle="none", markersize=9, label=name, **style)
        # The worst half of the programs would press the front together.
        axes.set_ylim(bottom=lowest - 0.05 * (float(least.max()) - lowest or 1))
        if places.min() > 0 and places.max() / places.min() > SPREAD:
            axes.set_xscale("log")

    def finish(grid: Sequence[Axes]) -> None:
        for axes, panel in zip(grid, panels, strict=True):
            axes.set_xlabel(words[panel.position])

    _panels(path, panels, draw, "least tau", height=4.4, legend=LEGEND_COLUMNS, finish=finish, sharey=True)


def stairs(places: Vector, values: Vector) -> tuple[Vector, Vector]:
    """The points that are higher than all at lower places, or at the same one, in order of their places."""
    order = np.lexsort((-values, places))
    places, values = places[order], values[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(values)[:-1]))
    kept = values > before
    return places[kept], values[kept]
