"""Markdown reports with pictures, made from the answers of named queries."""

from __future__ import annotations

import polars as pl

from zcsr.reports.nas_page import search_page
from zcsr.reports.run_page import run_page
from zcsr.reports.runs_page import runs_page
from zcsr.reports.scores_page import scores_page
from zcsr.reports.toolkit.markdown import table
from zcsr.reports.toolkit.page import written

__all__ = ["markdown_table", "render_representations", "render_run", "render_scores", "render_search"]

# Each takes what its page is made of, and the same store gives the same bytes.
render_representations = written(runs_page)
render_run = written(run_page)
render_scores = written(scores_page)
render_search = written(search_page)


def markdown_table(frame: pl.DataFrame) -> str:
    """`frame` as a markdown table that ends with a line break."""
    return f"{table(frame)}\n"
