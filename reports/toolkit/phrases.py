"""The words of a report, kept in `templates/` as Jinja2 has them."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, UndefinedError, meta

from zcsr.reports.toolkit.markdown import unwrapped

_HEADING = re.compile(r"^## (\w+)$", re.MULTILINE)
# Pages are markdown of our own making, in which the parts are markdown as well; `html` escapes what is no markup.
_WORDS = Environment(
    loader=PackageLoader("zcsr.reports"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=lambda name: bool(name and name.endswith(".html")),
)


def template(name: str) -> Template:
    """The template in the file `templates/<name>`; what it names is filled by `render`, all of it."""
    return _WORDS.get_template(name)


def parts_of(name: str) -> set[str]:
    """The names of what a template is filled with."""
    return meta.find_undeclared_variables(_WORDS.parse(_source(name)))


def phrase(key: str, /, **values: object) -> str:
    """The sentence under the heading `key` of `templates/phrases.md`, filled with `values`.

    Raises KeyError for a key that there is not and for a value that is missing.
    """
    try:
        return _phrase(key).render(values)
    except UndefinedError as error:
        raise KeyError(f"the phrase {key} lacks a value: {error}") from None


def one_line(key: str, /, **values: object) -> str:
    """The same sentence on one line."""
    return unwrapped(phrase(key, **values))


@cache
def phrases() -> dict[str, str]:
    """All sentences, not yet filled, by the heading that they stand under."""
    _, *parts = _HEADING.split(_source("phrases.md"))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


@cache
def _phrase(key: str) -> Template:
    return _WORDS.from_string(phrases()[key])


def _source(name: str) -> str:
    return files("zcsr.reports").joinpath("templates", name).read_text(encoding="utf-8")
