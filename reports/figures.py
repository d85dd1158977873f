"""The pictures of a report: PNG, 800 pixels wide, the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0
DPI = 100

# From the palette of Okabe and Ito, which stays distinct for every common form of colour blindness.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#5A5A5A"

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


def _save(path: Path, height: float, draw: Callable[[Figure], None]) -> Path:
    from matplotlib import style
    from matplotlib.figure import Figure

    # A user's own matplotlib settings must not change a report; the software's version must not change bytes.
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        draw(figure)
        figure.savefig(path, metadata={"Software": None})
    return path
