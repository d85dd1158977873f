"""A run's report as a markdown file with pictures beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.reports.run_page import sections
from zcsr.reports.toolkit.phrases import template
from zcsr.reports.toolkit.results import read_run
from zcsr.store import Store

# A part without content leaves more than one blank line.
_BLANK_LINES = re.compile(r"\n{3,}")


def render_run(store: Store, run: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS) -> Path:
    """Write `<out_dir>/<run>.md` and its pictures, and return the path of the markdown.

    `run` is a run's name or "latest"; `footprint` says how energy and CO2e are reckoned. The same store gives the
    same bytes. Raises InputError when there is no such run; nothing is written then.
    """
    results = read_run(store, run)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{results.run}.md"
    return write_markdown(path, "run", sections(results, out_dir / results.run, footprint))


def write_markdown(path: Path, name: str, parts: Mapping[str, str]) -> Path:
    """Write the template `name`, filled with its parts, of which some may be empty; returns `path`."""
    path.write_text(_BLANK_LINES.sub("\n\n", template(name).substitute(parts)), encoding="utf-8")
    return path
