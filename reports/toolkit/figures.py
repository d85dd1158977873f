"""The pictures of a report: PNG, 800 pixels wide, the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
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
}

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """One scatter: scores and accuracies [n] (percent) of the same networks, under a title."""

    title: str
    scores: Vector
    accuracies: Vector


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each label of a `DotPanel` [labels], NaN where there is none, and how far it may reach.

    `hollow` values are drawn as outlines in grey: numbers that are quoted, not measured.
    """

    name: str
    values: Vector
    low: Vector | None = None
    high: Vector | None = None
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class DotPanel:
    """Labels from top to bottom, under a title, with the values of one or more series."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class LinePanel:
    """Lines by name under a title: each the values [n] at `positions` [n], NaN where there is none."""

    title: str
    positions: Sequence[int]
    lines: Mapping[str, Vector]


@dataclass(frozen=True, slots=True)
class SearchPanel:
    """Curves by name under a title: each the means [n] after 1..n trained networks and the ends of their intervals.

    The ends [n] are NaN where there is no interval.
    """

    title: str
    curves: Mapping[str, tuple[Vector, Vector, Vector]]


@dataclass(frozen=True, slots=True)
class Band:
    """Means [n] at `positions` [n] with the lowest and highest [n] that they are the means of, NaN where none."""

    positions: Vector
    mean: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True, slots=True)
class BandPanel:
    """Bands by name over an axis that `position` names, whose positions are `whole` numbers or any."""

    position: str
    bands: Mapping[str, Band]
    whole: bool = False


def bands_figure(
    path: Path, panels: Sequence[BandPanel], label: str, names: Sequence[str], share: bool = False
) -> Path:
    """Draws each panel's means as lines in a shade from the lowest to the highest, side by side; returns `path`.

    The place of a band's name among `names` decides its colour and marker. `label` names the axis of the values,
    which for a `share` are percent and begin at 0.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True).ravel()
        for axes, panel in zip(grid, panels, strict=True):
            for name, band in panel.bands.items():
                style = _line_style(names.index(name))
                axes.fill_between(
                    band.positions, band.low, band.high, color=style["color"], alpha=0.15, linewidth=0
                )
                axes.plot(band.positions, band.mean, label=name, markersize=5, **style)
            axes.set_xlabel(panel.position)
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=panel.whole))
        grid[0].set_ylabel(label)
        if share:
            grid[0].set_ylim(bottom=0)
            grid[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _legend(figure, grid, columns=len(names))

    return _save(path, 4.2, draw)


def search_figure(path: Path, panels: Sequence[SearchPanel], target: float, label: str) -> Path:
    """Draws the curves of each panel, two panels in a row, over a logarithmic number of networks; returns `path`.

    A curve is drawn as steps with its interval as a shade, and has the same colour in every panel. The first few
    networks lie far below all that follows, so the axis of the values, which `label` names, begins where the lowest
    curve is after the square root of all networks. A dotted line is drawn at `target`.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _search_curves(axes, panel, names, target)
        for axes in grid[::columns]:
            axes.set_ylabel(label)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()
        for axes in grid[max(0, len(panels) - columns) : len(panels)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("trained networks")
        grid[0].set_ylim(*_curve_limits([mean for panel in panels for mean, _, _ in panel.curves.values()]))
        _legend(figure, grid, columns=3)

    return _save(path, (4.6 if columns == 1 else 3.6 * rows) + 0.25 * math.ceil(len(names) / 3), draw)


def dots_figure(path: Path, panels: Sequence[DotPanel], label: str) -> Path:
    """Draws each panel's values as dots on a line a label, with bars from low to high; returns `path`.

    A series has the same colour and marker in every panel. `label` names the axis of the values.
    """
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    heights = [0.9 + len(panel.labels) * _row_height(panel) for panel in panels]
    # A name beside its marker takes up to so many of some hundred characters.
    columns = max(1, min(4, 100 // (max(map(len, names), default=0) + 8)))

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), squeeze=False, sharex=True, height_ratios=heights).ravel()
        for axes, panel in zip(grid, panels, strict=True):
            _dots(axes, panel, names)
        grid[-1].set_xlabel(label)
        if len(names) > 1:
            _legend(figure, grid, columns=columns)

    return _save(path, sum(heights) + (0.4 + 0.25 * math.ceil(len(names) / columns)), draw)


def lines_figure(path: Path, panels: Sequence[LinePanel], position: str, label: str) -> Path:
    """Draws the lines of each panel, two panels in a row, over positions evenly apart; returns `path`.

    A name has the same colour, marker and line in every panel, and stands in one legend below them all. `position`
    and `label` name the axes.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    legend_columns = 3

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            places = range(len(panel.positions))
            for name, line in panel.lines.items():
                # A line goes on over a position that it has no value at.
                there = [place for place in places if math.isfinite(line[place])]
                values = [line[place] for place in there]
                axes.plot(there, values, label=short(name), markersize=5, **_line_style(names.index(name)))
            axes.set_xticks(places, [str(one) for one in panel.positions])
            axes.set_xlabel(position)
            axes.set_title(panel.title, loc="left")
        for axes in grid[::columns]:
            axes.set_ylabel(label)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()
        _legend(figure, grid, columns=legend_columns)

    return _save(path, 3.6 * rows + 0.25 * math.ceil(len(names) / legend_columns), draw)


def matrix_figure(
    path: Path, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64], label: str
) -> Path:
    """Draws values [rows, columns] in -1..1 as coloured squares with their numbers; returns `path`.

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
        axes.set_yticks(range(len(rows)), [short(row) for row in rows], fontsize=9)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.colorbar(image, ax=axes, label=label, location="bottom", shrink=0.5, aspect=24, ticks=COLOUR_TICKS)

    return _save(path, (2.6 if len(columns) > 4 else 1.6) + 0.28 * len(rows), draw)


def short(name: str, width: int = LABEL_WIDTH) -> str:
    """`name` as a label of at most `width` characters: of a longer one, the beginning and the end."""
    if len(name) <= width:
        return name
    end = (width - 1) * 3 // 5
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def fitness_figure(
    path: Path,
    *,
    generations: Sequence[int],
    best: Sequence[float],
    median: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
    label: str,
) -> Path:
    """Draws the best, the median and the quartiles of fitness over the generations; returns `path`.

    Values that are not finite (a population in which most programs failed) leave a gap.
    """

    from matplotlib.ticker import MaxNLocator

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        low, high, middle, top = (_finite(values) for values in (lower, upper, median, best))
        axes.fill_between(generations, low, high, color=BLUE, alpha=0.18, linewidth=0, label="quartiles")
        axes.plot(generations, middle, color=BLUE, marker="s", markersize=4, label="median")
        axes.plot(generations, top, color=VERMILION, marker="o", markersize=5, label="best")
        axes.set_xlabel("generation")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1, 1), ncols=3)

    return _save(path, 4.2, draw)


def scatter_figure(path: Path, panels: Sequence[Panel]) -> Path:
    """Draws score against accuracy, one panel a task, two in a row; returns `path`.

    Networks without a finite score are left out. Only the order of scores matters: an axis of positive scores over
    several orders of magnitude is logarithmic, and where a few lie far from the rest it shows their ranks.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _scatter(axes, panel)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()

    return _save(path, 3.8 * rows if columns > 1 else 4.8, draw)


def _search_curves(axes: Axes, panel: SearchPanel, names: Sequence[str], target: float) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    for name, (mean, low, high) in panel.curves.items():
        colour = COLOURS[names.index(name) % len(COLOURS)]
        networks = np.arange(1, len(mean) + 1)
        axes.fill_between(networks, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        axes.step(networks, mean, where="post", color=colour, linewidth=1.6, label=name)
    axes.axhline(target, color=GREY, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    longest = max(len(mean) for mean, _, _ in panel.curves.values())
    ticks = [one * 10**power for power in range(7) for one in (1, 3) if one * 10**power <= longest]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(panel.title, loc="left")


def _curve_limits(means: Sequence[Vector]) -> tuple[float, float]:
    low = min(float(mean[math.isqrt(len(mean)) - 1]) for mean in means)
    high = max(float(mean.max()) for mean in means)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + 2 * margin


def _row_height(panel: DotPanel) -> float:
    """Inches for one label, which all its series share."""
    return 0.14 + 0.11 * sum(not series.hollow for series in panel.series)


def _dots(axes: Axes, panel: DotPanel, names: Sequence[str]) -> None:
    places = np.arange(len(panel.labels), dtype=np.float64)
    measured = [series.name for series in panel.series if not series.hollow]
    apart = np.linspace(-0.28, 0.28, len(measured)) if len(measured) > 1 else np.zeros(1)
    offsets = dict(zip(measured, apart, strict=False))
    for series in panel.series:
        place = names.index(series.name)
        offset = offsets.get(series.name, 0.0)  # what is quoted stands on the label's own line
        colour = GREY if series.hollow else COLOURS[place % len(COLOURS)]
        if series.low is not None and series.high is not None:
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
    axes.set_yticks(places, [short(one) for one in panel.labels], fontsize=9)
    axes.set_ylim(len(panel.labels) - 0.5, -0.5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_title(panel.title, loc="left")


def _line_style(place: int) -> dict[str, str]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place // len(COLOURS) % len(LINES)],
    }


def _legend(figure: Figure, grid: Iterable[Axes], columns: int) -> None:
    """One legend below all panels, for everything that is labelled in any of them."""
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(columns, len(handles)))


def _scatter(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    shown = np.isfinite(panel.scores) & np.isfinite(panel.accuracies)
    scores = panel.scores[shown]
    size = 14 if len(scores) < 300 else 7
    if _spans_magnitudes(scores):
        axes.set_xscale("log")
        axes.set_xlabel("score (logarithmic)")
    elif _has_outliers(scores):
        scores = np.asarray(rankdata(scores), dtype=np.float64)
        axes.set_xlabel("rank of the score")
    else:
        axes.set_xlabel("score")
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(5))  # long numbers would run into each other
    axes.scatter(scores, panel.accuracies[shown], s=size, color=BLUE, alpha=0.45, linewidths=0)
    axes.set_ylabel("accuracy (%)")
    axes.set_title(panel.title, loc="left")


def _spans_magnitudes(scores: Vector) -> bool:
    return bool(len(scores) > 0 and scores.min() > 0 and scores.max() / scores.min() > 1000)


def _has_outliers(scores: Vector) -> bool:
    if len(scores) == 0:
        return False
    low, high = np.quantile(scores, [0.05, 0.95])
    return bool(np.ptp(scores) > 10 * (high - low) > 0)


def _finite(values: Sequence[float]) -> Vector:
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """Values [n] with how far they reach, at `positions` [n] that `position` names, under a title."""

    title: str
    position: str
    positions: Sequence[int]
    values: Vector
    low: Vector
    high: Vector


def curves_figure(path: Path, panels: Sequence[CurvePanel], label: str) -> Path:
    """Draws each panel's values over positions evenly apart, on an axis of its own, two panels in a row.

    `label` names the axes of the values; returns `path`.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            places = np.arange(len(panel.positions))
            reach = (panel.values - panel.low, panel.high - panel.values)
            axes.errorbar(
                places, panel.values, reach, color=BLUE, marker="o", markersize=5, capsize=3, linewidth=1.4
            )
            axes.set_xticks(places, [str(one) for one in panel.positions])
            axes.set_xlim(-0.4, len(panel.positions) - 0.6)
            axes.margins(y=0.12)
            axes.set_xlabel(panel.position)
            axes.set_title(panel.title, loc="left")
        for axes in grid[::columns]:
            axes.set_ylabel(label)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()

    return _save(path, 3.0 * rows, draw)


def shares_figure(path: Path, shares: Sequence[float], position: str, label: str) -> Path:
    """Draws shares (0..1) of a whole that is divided along `position` as bars; returns `path`."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        edges = np.linspace(0, 1, len(shares) + 1)
        axes.bar(edges[:-1], shares, width=1 / len(shares), align="edge", color=BLUE, alpha=0.75, edgecolor="white")
        axes.axhline(1 / len(shares), color=VERMILION, linestyle="--", linewidth=1.2, label="even share")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.08 * max(shares))
        axes.set_xlabel(position)
        axes.set_ylabel(label)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(visible=False, axis="x")
        _legend(figure, [axes], columns=1)

    return _save(path, 3.4, draw)


def _save(path: Path, height: float, draw: Callable[[Figure], None]) -> Path:
    from matplotlib import style
    from matplotlib.figure import Figure

    # A user's own matplotlib settings must not change a report; the software's version must not change bytes.
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        draw(figure)
        figure.savefig(path, metadata={"Software": None})
    return path
