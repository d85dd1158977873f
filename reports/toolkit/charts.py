"""Charts that a reader can ask: Vega-Lite specifications, in the colours of the text around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from zcsr.reports.toolkit.figures import COLOURS, stairs, vector
from zcsr.reports.toolkit.html import needed

WIDTH, HEIGHT, ALONE = 400, 300, 760
POINT = "#3B8FD4"
"""A blue that stands out on light and on dark."""

MOST = 5000
"""Points of a chart; of more, the first."""

_TEXT = {"labelColor": "currentColor", "titleColor": "currentColor", "titleFontWeight": "normal"}
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": _TEXT
    | {"gridColor": "#88888840", "domainColor": "#888888", "tickColor": "#888888", "labelFontSize": 12},
    "legend": _TEXT | {"labelFontSize": 12, "orient": "bottom"},
    "header": _TEXT,
    "title": {"color": "currentColor", "anchor": "start", "fontWeight": "normal", "fontSize": 13},
}


def scatter_chart(frame: pl.DataFrame, titles: Mapping[str, str]) -> dict[str, Any]:
    """Ranks of accuracies over ranks of scores, a panel a task; a point says architecture, score and accuracy.

    Rows have task, arch, score and accuracy; `titles` are by task. Networks without a finite score are left out.
    """
    (alt,) = needed("altair")
    rank = pl.col("score", "accuracy").rank("average").over("task").name.prefix("rank of ")
    shown = frame.filter(pl.col("score").is_finite()).with_columns(rank).head(MOST)
    panels = []
    for (task,), rows in shown.group_by("task", maintain_order=True):
        data = alt.Data(values=rows.drop("task", "program", strict=False).to_dicts())
        panel = alt.Chart(data, title=titles[str(task)]).mark_circle(size=46, color=POINT, opacity=0.75)
        panels.append(
            panel.encode(
                x=alt.X("rank of score:Q", title="rank of the score"),
                y=alt.Y("rank of accuracy:Q", title="rank of the accuracy"),
                tooltip=[
                    alt.Tooltip("arch:N", title="architecture"),
                    alt.Tooltip("score:Q", format=".5~g"),
                    alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".2f"),
                ],
            ).properties(width=WIDTH if len(titles) > 1 else ALONE, height=HEIGHT)
        )
    return _finished(alt.concat(*panels, columns=2))


def front_chart(frame: pl.DataFrame, marked: Mapping[str, str]) -> dict[str, Any]:
    """Least tau of programs over size and over cost, rows of the query `evaluated`; a point says its program.

    A line joins those that are better than all smaller or cheaper ones. `marked` gives names by program.
    """
    (alt,) = needed("altair")
    names = pl.col("program").replace_strict(dict(marked), default="programs", return_dtype=pl.String)
    kept = frame.head(MOST).with_columns(names.alias("which"))
    order = ["programs", *marked.values()]
    colours = ["#888888", *COLOURS[1 : len(order)]]
    tooltip = [
        "text:N",
        *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("least", "mean")),
        *("size:Q", "cost:Q", "origin:N", "generation:Q"),
    ]
    lowest = float(kept["least"].head(max(1, kept.height // 2)).min())  # type: ignore[arg-type]
    panels = []
    for place, words in (("size", "size (nodes)"), ("cost", "cost (passes)")):
        xs, ys = stairs(vector(kept, place), vector(kept, "least"))
        steps = alt.Data(values=[{"x": x, "y": y} for x, y in zip(xs.tolist(), ys.tolist(), strict=True)])
        line = alt.Chart(steps).mark_line(interpolate="step-after", color=POINT, clip=True).encode(x="x:Q", y="y:Q")
        scale = alt.Scale(domainMin=lowest, zero=False)
        colour = alt.Color("which:N", title=None, scale=alt.Scale(domain=order, range=colours), sort=order)
        points = (
            alt.Chart(alt.Data(values=kept.to_dicts()))
            .mark_circle(clip=True)
            .encode(
                x=alt.X(f"{place}:Q", title=words),
                y=alt.Y("least:Q", title="least tau", scale=scale),
                color=colour,
                size=alt.condition("datum.which == 'programs'", alt.value(30), alt.value(140)),
                tooltip=tooltip,
            )
        )
        panels.append(alt.layer(line, points).properties(width=WIDTH, height=HEIGHT))
    return _finished(alt.hconcat(*panels))


def _finished(chart: Any) -> dict[str, Any]:
    made: dict[str, Any] = chart.to_dict(validate=True)
    return made | {"config": _CONFIG}


def curves_chart(frame: pl.DataFrame, column: str, words: str) -> dict[str, Any]:
    """Best fitness over the generations, a line for each value of `column`; a point says its value.

    Rows have generation, best_fitness and the column.
    """
    (alt,) = needed("altair")
    data = alt.Data(values=frame.select("generation", "best_fitness", column).to_dicts())
    chart = (
        alt.Chart(data)
        .mark_line(point=True, color=POINT)
        .encode(
            x=alt.X("generation:Q", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("best_fitness:Q", title=words, scale=alt.Scale(zero=False)),
            color=alt.Color(f"{column}:N", title=None, scale=alt.Scale(range=[POINT, *COLOURS[1:]])),
            tooltip=[f"{column}:N", "generation:Q", alt.Tooltip("best_fitness:Q", title=words, format=".3f")],
        )
    )
    return _finished(chart.properties(width=ALONE, height=HEIGHT))
