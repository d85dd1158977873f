"""A program drawn as a tree: boxes and edges, from the score at the top to the tensors at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zcsr.language.network_operations import Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import Program
from zcsr.language.tensors import Tensor
from zcsr.reports.toolkit.figures import BLUE, GREY, VERMILION, save
from zcsr.sameness.normal_form import is_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches, at a scale of 1.
CHARACTER = 0.0836  # of a monospaced font of 10 points
PADDING = 0.14
BOX_HEIGHT = 0.32
LEVEL = 0.62
GAP = 0.16
MARGIN = 0.15
WIDEST = 30.0
"""A picture that would be wider is drawn smaller."""

FILLS = {"step": "#FFFFFF", "operation": "#E3F0F8", "tensor": "#FBE9DF", "number": "#F2F2F2"}
EDGES = {"step": GREY, "operation": BLUE, "tensor": VERMILION, "number": GREY}


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
    """Return the tree as boxes, topped by the steps from its value to the score, where it ends in these."""
    if not program.has_steps:
        return program.root.fold(_leaf, _operation)
    top = program.expression.fold(_leaf, _operation)
    step = _step(program)
    if step:
        top = Box(step, "step", (top,))
    return Box(f"{program.aggregation} over instances", "step", (top,))


def _leaf(word: Tensor | Constant | Known) -> Box:
    return Box(word.name, "tensor" if isinstance(word, Tensor) else "number")


def _operation(operation: Operation, *args: Box) -> Box:
    return Box(operation.name, "step" if operation.gives == "score" else "operation", args)


def place(top: Box) -> list[Placed]:
    """Return where the boxes go: no two overlap, and each stands over the middle of those below it."""
    placed = _placed(top, 0)
    return _moved(placed, -_left(placed))


def tree_figure(path: Path, program: Program, kind: Literal["png", "svg"] = "png") -> Path:
    """Draw the tree of a program, the same bytes for the same program; returns `path`."""
    top = boxes(program)
    placed = place(top)
    width = _right(placed) + 2 * MARGIN
    height = top.height * LEVEL + BOX_HEIGHT + 2 * MARGIN
    scale = min(1.0, WIDEST / width)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(
            xlim=(-MARGIN, width - MARGIN), ylim=(-(height - MARGIN - BOX_HEIGHT / 2), MARGIN + BOX_HEIGHT / 2)
        )
        axes.set_axis_off()
        for one in placed:
            _draw(axes, one, scale)

    return save(path, draw, height * scale, width * scale, layout=None, kind=kind)


def _step(program: Program) -> str:
    """What makes one number an instance of the tree's value, "" for a mean of what is one already."""
    if is_number(program.expression):
        return "" if program.to_scalar == "mean" else "absolute value"
    return program.number.operation.meaning


def _placed(box: Box, level: int) -> list[Placed]:
    """A box at 0 and all below it: parts stand side by side, and the box over the middle of their first boxes."""
    parts = [_placed(one, level + 1) for one in box.below]
    centres: list[float] = []
    end = 0.0
    for part in parts:
        centres.append(end - _left(part))
        end += _right(part) - _left(part) + GAP
    middle = (centres[0] + centres[-1]) / 2 if centres else 0.0
    placed = [Placed(box, 0.0, level, None)]
    for part, centre in zip(parts, centres, strict=True):
        first, *rest = _moved(part, centre - middle)
        placed += [replace(first, above=0.0), *rest]
    return placed


def _moved(placed: Sequence[Placed], distance: float) -> list[Placed]:
    return [
        replace(one, x=one.x + distance, above=None if one.above is None else one.above + distance)
        for one in placed
    ]


def _left(placed: Sequence[Placed]) -> float:
    return min(one.x - one.box.width / 2 for one in placed)


def _right(placed: Sequence[Placed]) -> float:
    return max(one.x + one.box.width / 2 for one in placed)


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
