"""The words of a report, kept in `templates/`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from string import Template

from zcsr.reports.toolkit.markdown import unwrapped

_HEADING = re.compile(r"^## (\w+)$", re.MULTILINE)


def template(name: str) -> Template:
    """The template in the file `templates/<name>.md`; its `$names` are filled by `substitute`."""
    return Template(files("zcsr.reports").joinpath("templates", f"{name}.md").read_text(encoding="utf-8"))


def phrase(key: str, /, **values: object) -> str:
    """The sentence under the heading `key` of `templates/phrases.md`, filled with `values`."""
    return Template(phrases()[key]).substitute({name: str(value) for name, value in values.items()})


def one_line(key: str, /, **values: object) -> str:
    """The same sentence on one line."""
    return unwrapped(phrase(key, **values))


@cache
def phrases() -> dict[str, str]:
    """All sentences by the heading that they stand under."""
    _, *parts = _HEADING.split(template("phrases").template)
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
