"""A program drawn as a tree: boxes and edges, from the score at the top to the tensors at the bottom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zcsr.language.program import Program
from zcsr.reports.toolkit.figures import BLUE, DPI, GREY, STYLE, VERMILION
from zcsr.sameness.normal_form import is_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches, at a scale of 1.
CHARACTER = 0.0836  # of a monospaced font of 10 points
PADDING = 0.14
BOX_HEIGHT = 0.32
LEVEL = 0.62
GAP = 0.16
MARGIN = 0.15
WIDEST = 30.0
"""A picture that would be wider is drawn smaller."""

FILLS = {"step": "#FFFFFF", "operation": "#E3F0F8", "tensor": "#FBE9DF"}
EDGES = {"step": GREY, "operation": BLUE, "tensor": VERMILION}


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the picture with those below it."""

    label: str
    kind: str
    below: tuple[Box, ...] = ()

    @property
    def width(self) -> float:
        """Of the box alone."""
        return len(self.label) * CHARACTER + 2 * PADDING

    @property
    def height(self) -> int:
        """Levels below it."""
        return 1 + max((box.height for box in self.below), default=-1)


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its centre, in inches from the left and levels from the top, and the centre of the one above."""

    box: Box
    x: float
    level: int
    above: float | None


def boxes(program: Program) -> Box:
    """Return the tree as boxes, topped by the steps from its value to the score."""
    top = program.expression.fold(
        lambda tensor: Box(tensor.name, "tensor", ()),
        lambda operation, *args: Box(operation.name, "operation", args),
    )
    step = _step(program)
    if step:
        top = Box(step, "step", (top,))
    return Box(f"{program.aggregation} over instances", "step", (top,))


def place(top: Box) -> list[Placed]:
    """Return where the boxes go: no two overlap, and each stands over the middle of those below it."""
    part = _part(top, 0)
    first, *rest = part.moved(-part.left, 0.0)
    return [replace(first, above=None), *rest]


def tree_figure(path: Path, program: Program, kind: Literal["png", "svg"] = "png") -> Path:
    """Draw the tree of a program, the same bytes for the same program; returns `path`."""
    from matplotlib import style
    from matplotlib.figure import Figure

    top = boxes(program)
    placed = place(top)
    width = max(one.x + one.box.width / 2 for one in placed) + 2 * MARGIN
    height = top.height * LEVEL + BOX_HEIGHT + 2 * MARGIN
    scale = min(1.0, WIDEST / width)
    settings = {**STYLE, "svg.hashsalt": "zcsr"}
    with style.context(["default", settings]):
        figure = Figure(figsize=(width * scale, height * scale), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(
            xlim=(-MARGIN, width - MARGIN), ylim=(-(height - MARGIN - BOX_HEIGHT / 2), MARGIN + BOX_HEIGHT / 2)
        )
        axes.set_axis_off()
        for one in placed:
            _draw(axes, one, scale)
        # Neither the time nor the software's version must change bytes.
        unsaid = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, metadata=unsaid)
    return path


def _step(program: Program) -> str:
    """What makes one number an instance of the tree's value, "" for a mean of what is one already."""
    if is_number(program.expression):
        return "" if program.to_scalar == "mean" else "absolute value"
    return program.number.operation.meaning


@dataclass(frozen=True, slots=True)
class _Part:
    """A box at 0 with all below it, and how far they reach to the left (negative) and to the right."""

    placed: tuple[Placed, ...]
    left: float
    right: float

    def moved(self, distance: float, above: float) -> list[Placed]:
        """The boxes moved to the right, and the first of them below `above`."""
        first, *rest = self.placed
        return [
            replace(first, x=first.x + distance, above=above),
            *(replace(one, x=one.x + distance, above=(one.above or 0.0) + distance) for one in rest),
        ]


def _part(box: Box, level: int) -> _Part:
    """Parts below a box stand side by side, and the box over the middle of their first boxes."""
    parts = [_part(one, level + 1) for one in box.below]
    centres: list[float] = []
    end = 0.0
    for part in parts:
        centres.append(end - part.left)
        end += part.right - part.left + GAP
    middle = (centres[0] + centres[-1]) / 2 if centres else 0.0
    placed = [Placed(box, 0.0, level, None)]
    for part, centre in zip(parts, centres, strict=True):
        placed += part.moved(centre - middle, 0.0)
    below = (-middle, end - GAP - middle) if parts else (0.0, 0.0)
    return _Part(tuple(placed), min(-box.width / 2, below[0]), max(box.width / 2, below[1]))


def _draw(axes: Axes, one: Placed, scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    y = -one.level * LEVEL
    if one.above is not None:
        ends = (y + BOX_HEIGHT / 2, y + LEVEL - BOX_HEIGHT / 2)
        axes.plot((one.x, one.above), ends, color=GREY, linewidth=1.1 * scale, zorder=1)
    rounding = 0.06
    axes.add_patch(
        FancyBboxPatch(
            (one.x - one.box.width / 2, y - BOX_HEIGHT / 2),
            one.box.width,
            BOX_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=FILLS[one.box.kind],
            edgecolor=EDGES[one.box.kind],
            linewidth=1.1 * scale,
            linestyle="--" if one.box.kind == "step" else "-",
            zorder=2,
        )
    )
    axes.text(
        one.x,
        y,
        one.box.label,
        ha="center",
        va="center_baseline",
        fontsize=10 * scale,
        family="monospace",
        color=GREY if one.box.kind == "step" else "black",
        zorder=3,
    )
