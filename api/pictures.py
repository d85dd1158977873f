"""Pictures as text, which notebooks show and files keep."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from zcsr.language.program import Program
from zcsr.reports.toolkit.figures import BLUE, VERMILION, save, short
from zcsr.reports.toolkit.tree import tree_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture:
    """A picture as the text of an SVG, which notebooks show."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: str | Path) -> Path:
        """Write it to a file, and return the path."""
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg


def tree_picture(program: Program) -> Picture:
    """Return the tree of a program."""
    return _drawn(lambda path: tree_figure(path, program, "svg"))


def front_picture(front: pl.DataFrame, best: str) -> Picture:
    """Return a front, least and mean tau by size, with the chosen program's text where it is among them."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        chosen = front.filter(program=best)
        axes.scatter(front["size"], front["mean"], color="0.75", s=18, label="mean tau over the tasks")
        axes.scatter(front["size"], front["least"], color=BLUE, s=22, label="least tau over the tasks")
        if len(chosen):
            label = f"chosen: {short(best, 60)}"
            axes.scatter(chosen["size"], chosen["least"], color=VERMILION, marker="D", s=60, zorder=3, label=label)
        axes.set_xlabel("size (nodes)")
        axes.set_ylabel("Kendall tau")
        figure.legend(loc="outside lower center")

    return _drawn(lambda path: save(path, draw, 4.8, kind="svg"))


def _drawn(draw: Callable[[Path], object]) -> Picture:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        draw(path)
        return Picture(path.read_text(encoding="utf-8"))
