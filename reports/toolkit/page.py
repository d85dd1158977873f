"""A page: a template, the parts that fill it, and the pictures beside it."""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec

from zcsr.cost.footprint import Footprint
from zcsr.errors import InputError
from zcsr.reports.toolkit.answers import Answer, ask
from zcsr.reports.toolkit.footprint import cost_section, footprint_flags, read_cost
from zcsr.reports.toolkit.markdown import Formatter
from zcsr.reports.toolkit.phrases import phrase, template
from zcsr.store import Store
from zcsr.store.kept.costs import without_store

if TYPE_CHECKING:
    from zcsr.reports.toolkit.html import Charts

# A part without content leaves more than one blank line.
_BLANK_LINES = re.compile(r"\n{3,}")
_P = ParamSpec("_P")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Page(ABC):
    """A report that `write` puts at `path`: a kind of it names a template and makes its parts."""

    template: ClassVar[str]
    path: Path

    @abstractmethod
    def parts(self) -> dict[str, str]:
        """Every part by its name in the template, of which some may be empty; writes the pictures."""

    def write(self) -> Path:
        """Write the markdown and its pictures, the same bytes for the same parts; returns `path`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text(), encoding="utf-8")
        return self.path

    def charts(self) -> Charts:
        """What a reader can ask in place of a picture, by the picture's name; a kind of page may have some."""
        return {}

    def write_html(self) -> Path:
        """Write the page with its pictures as one HTML file as well; returns its path."""
        from zcsr.reports.toolkit.html import html_page

        path = self.write()
        html = html_page(path.stem, path.read_text(encoding="utf-8"), path.parent, self.charts())
        path.with_suffix(".html").write_text(html, encoding="utf-8")
        return path.with_suffix(".html")

    def text(self) -> str:
        """The markdown; writes the pictures."""
        return _BLANK_LINES.sub("\n\n", template(f"{self.template}.md").render(self.parts()))

    def beside(self, what: str) -> Path:
        """Where a picture of the report lies: `<name>-<what>.png`."""
        return self.path.with_name(f"{self.path.stem}-{what}.png")

    def picture(self, what: str, caption: str, draw: Callable[..., None], *given: Any) -> str:
        """Markdown that shows, with its caption below, the picture which `draw` makes of what is given."""
        path = self.beside(what)
        draw(path, *given)
        svg = phrase("as_svg", name=path.with_suffix(".svg").name)
        return f"![{caption}]({path.name})\n\n*{caption}.* {svg}"


@dataclass(frozen=True)
class StorePage(Page):
    """A report on what a store holds.

    footprint: how energy and CO2e are reckoned
    about: parameters of all its queries
    """

    store: Store
    footprint: Footprint
    about: Mapping[str, object]
    _answers: dict[tuple[object, ...], Answer] = field(default_factory=dict, init=False, repr=False)

    def ask(self, name: str, **parameters: object) -> Answer:
        """The answer of a named query, which is asked once."""
        given = {**self.about, **parameters}
        key = (name, *given.items())
        if key not in self._answers:
            self._answers[key] = ask(self.store, name, given)
        return self._answers[key]

    def table(
        self,
        name: str,
        formats: Mapping[str, Formatter] | None = None,
        drop: Sequence[str] = (),
        **parameters: object,
    ) -> str:
        """The answer of a named query as `Answer.shown` has it."""
        return self.ask(name, **parameters).shown(formats, drop)

    def picture_of(self, answer: Answer, what: str, caption: str, draw: Callable[..., None], *given: Any) -> str:
        """A picture of an answer with the command that prints its rows; empty where there are none."""
        if answer.frame.is_empty():
            return ""
        return f"{self.picture(what, caption, draw, *given)}\n\n{answer.made_by}"

    def cost(self, **whose: str) -> str:
        """What the sessions that `whose` are parameters of cost."""
        return cost_section(read_cost(self.store, self.footprint, **whose))

    def report_command(self, *words: str) -> str:
        """The command that writes this report, of which `words` say what it is about."""
        return shlex.join(("zcsr", "report", *words, *footprint_flags(self.footprint)))

    def name_words(self, usual: str) -> tuple[str, ...]:
        """What that command says of the report's name: nothing where it is the usual one."""
        return () if self.path.stem == usual else ("--name", self.path.stem)

    def title(self, usual: str) -> str:
        """The title of a report by its usual name and, unless it has that, its own."""
        return usual.capitalize() if self.path.stem == usual else f"{usual.capitalize()}: {self.path.stem}"


def written(make: Callable[_P, Page]) -> Callable[_P, Path]:
    """A function that writes the page that `make` makes, and returns the path; nothing where that raises."""

    @wraps(make)
    def write(*given: _P.args, **options: _P.kwargs) -> Path:
        return make(*given, **options).write()

    return write


def reproduced(key: str, command: Sequence[str]) -> str:
    """The command that made what a report is about, as far as it is known, in words of `key` or `<key>_unknown`."""
    known = shlex.join(without_store(command))
    return phrase(key, command=known) if known else phrase(f"{key}_unknown")


def named_path(out_dir: Path, name: str) -> Path:
    """Where a report of that name lies. Raises InputError for a name that is no plain file name."""
    if not _FILE_NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot name a report: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter "
            "or digit"
        )
    return out_dir / f"{name}.md"
