"""Markdown reports with pictures, made from the answers of named queries."""

from __future__ import annotations

import polars as pl

from zcsr.reports.nas_page import render_search
from zcsr.reports.runs_page import render_representations
from zcsr.reports.scores_page import render_scores
from zcsr.reports.toolkit.markdown import table
from zcsr.reports.toolkit.render import render_run

__all__ = ["markdown_table", "render_representations", "render_run", "render_scores", "render_search"]


def markdown_table(frame: pl.DataFrame) -> str:
    """`frame` as a markdown table that ends with a line break."""
    return f"{table(frame)}\n"
