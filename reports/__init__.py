"""Markdown reports with pictures, made from the answers of named queries."""

from __future__ import annotations

import polars as pl

from zcsr.reports.comparison import render_scores
from zcsr.reports.markdown import table
from zcsr.reports.render import render_run
from zcsr.reports.representations import render_representations
from zcsr.reports.search import render_search

__all__ = ["markdown_table", "render_representations", "render_run", "render_scores", "render_search"]


def markdown_table(frame: pl.DataFrame) -> str:
    """`frame` as a markdown table that ends with a line break."""
    return f"{table(frame)}\n"
