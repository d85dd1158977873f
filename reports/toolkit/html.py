"""A page as one HTML file that needs nothing else: charts to hover over, tables to sort, an appendix to unfold.

Needs the extra `html`. The markdown of a page is what it is made from, so both say the same.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

from zcsr.errors import InputError
from zcsr.reports.toolkit.phrases import template

if TYPE_CHECKING:
    from markdown_it.token import Token

Charts = Mapping[str, Mapping[str, Any]]
"""Vega-Lite specifications by the name of the picture whose place they take."""

APPENDIX = "\n# Appendix\n"
_DISPLAYED = re.compile(r"^\$\$(.+)\$\$$", re.MULTILINE)
_AS_SVG = re.compile(r" The same as \[SVG\]\([^)]*\)\.")


def needed(*modules: str) -> list[Any]:
    """The modules of the extra `html`; InputError that names it where one is missing."""
    try:
        return [import_module(module) for module in modules]
    except ImportError as error:
        raise InputError(
            f"this needs {error.name}, which is not installed: in the project's folder, pip install '.[html]', or "
            "'.[ui]' for zcsr ui"
        ) from None


def html_page(title: str, markdown: str, folder: Path, charts: Charts) -> str:
    """The file: `markdown`, the pictures of which lie in `folder` or are `charts`, and all that shows it."""
    (vl_convert,) = needed("vl_convert")
    text = _DISPLAYED.sub(r"```math\n\1\n```", _AS_SVG.sub("", markdown))
    found, _, appendix = text.partition(APPENDIX)
    parts = [_rendered(part, folder, charts) for part in (found, appendix)]
    return template("page.html").render(
        title=title,
        found=parts[0],
        appendix=parts[1],
        charts=in_script(charts),
        vega=vl_convert.javascript_bundle() if charts else "",
    )


def in_script(value: object) -> str:
    """Return JSON that ends no script element, whatever texts it has."""
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _rendered(markdown: str, folder: Path, charts: Charts) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("image", lambda _, tokens, place, *__: _picture(tokens[place], folder, charts))
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return str(parser.render(markdown)).replace("<p>Made by ", '<p class="made">Made by ')


def _fence(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    from html import escape

    token = tokens[place]
    if token.info.strip() == "math" and (formula := _mathml(token.content.strip())):
        return f'<p class="formula">{formula}</p>\n'
    return f"<pre><code>{escape(token.content)}</code></pre>\n"


def _mathml(latex: str) -> str | None:
    """What browsers show of a formula; None where the converter does not know all of it."""
    (converter,) = needed("latex2mathml.converter")
    try:
        return str(converter.convert(latex, display="block"))
    except Exception:  # it has no base of its own for what it cannot convert
        return None


def _picture(token: Token, folder: Path, charts: Charts) -> str:
    from html import escape

    source, caption = str(token.attrs["src"]), escape(token.content)
    name = next((name for name in charts if Path(source).stem.endswith(f"-{name}")), None)
    if name is not None:
        return f'<span class="chart" data-chart="{name}" role="img" aria-label="{caption}"></span>'
    path = (folder / source).with_suffix(".svg")
    kind = "svg+xml" if path.is_file() else "png"
    content = (path if path.is_file() else folder / source).read_bytes()
    data = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return f'<img class="{kind[:3]}" alt="{caption}" src="{data}">'
