"""`zcsr export`: a program in a form that others read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from zcsr.cli.failures import writing
from zcsr.cli.given import ProgramArgument, read_program
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import OutFileOption, StoreOption, chosen_format
from zcsr.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zcsr.language.program import Program

FORMATS = ("python", "json", "sympy", "latex", "text", "png", "svg")
PICTURES = ("png", "svg")
SUFFIXES = {".py": "python", ".json": "json", ".tex": "latex", ".txt": "text", ".png": "png", ".svg": "svg"}


@with_options
def export(
    *,
    program: ProgramArgument,
    output_format: str | None = option(
        None, f"one of {', '.join(FORMATS)}", flag="--format -f", unset="by the ending of --out, or python"
    ),
    out: OutFileOption = None,
    store: StoreOption = None,
) -> None:
    """Write a program as a Python file that needs torch alone, as JSON, sympy, LaTeX or text, or as a picture."""
    chosen = chosen_format(output_format, out, FORMATS, SUFFIXES, "python")
    if chosen in PICTURES and out is None:
        raise InputError(f"--format {chosen} needs a file to write to: --out FILE.{chosen}")
    given = read_program(program, store)
    with writing():
        if out is not None and chosen in PICTURES:
            from zcsr.reports.toolkit.tree import tree_figure

            tree_figure(out, given, "svg" if chosen == "svg" else "png")
        elif out is not None:
            out.write_text(_text(given, chosen), encoding="utf-8")
        else:
            sys.stdout.write(_text(given, chosen))


def _text(program: Program, chosen: str) -> str:
    from zcsr.export.json_form import to_json
    from zcsr.export.python_file import to_python, to_sympy
    from zcsr.sameness.sympy_form import to_latex

    forms: dict[str, Callable[[Program], str]] = {
        "python": to_python,
        "json": to_json,
        "sympy": to_sympy,
        "latex": to_latex,
        "text": str,
    }
    text = forms[chosen](program)
    return text if text.endswith("\n") else f"{text}\n"
