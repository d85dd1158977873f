"""Markdown reports with pictures, made from the answers of named queries."""

from __future__ import annotations

import polars as pl

from zcsr.reports.against_page import page_against
from zcsr.reports.nas_page import page_of_search
from zcsr.reports.run_page import page_of_run
from zcsr.reports.runs_page import page_of_runs
from zcsr.reports.scores_page import page_of_scores
from zcsr.reports.toolkit.markdown import table
from zcsr.reports.toolkit.page import written

__all__ = [
    "markdown_table",
    "page_against",
    "page_of_run",
    "page_of_runs",
    "page_of_scores",
    "page_of_search",
    "render_against",
    "render_run",
    "render_runs",
    "render_scores",
    "render_search",
]

# Each takes what its page is made of, and the same store gives the same bytes.
render_against = written(page_against)
render_runs = written(page_of_runs)
render_run = written(page_of_run)
render_scores = written(page_of_scores)
render_search = written(page_of_search)


def markdown_table(frame: pl.DataFrame) -> str:
    """`frame` as a markdown table that ends with a line break."""
    return f"{table(frame)}\n"
