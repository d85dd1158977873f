"""`zcsr export`: a program in a form that others read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.options import ProgramArgument, StoreOption

if TYPE_CHECKING:
    from zcsr.language.program import Program

FORMATS = ("python", "json", "sympy", "latex", "text", "png", "svg")
PICTURES = ("png", "svg")
SUFFIXES = {".py": "python", ".json": "json", ".tex": "latex", ".txt": "text", ".png": "png", ".svg": "svg"}


def export(
    program: ProgramArgument,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help=f"One of {', '.join(FORMATS)}.", show_default="by the ending of --out, or python"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write to.", show_default="stdout")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a program as a Python file that needs torch alone, as JSON, sympy, LaTeX or text, or as a picture."""
    from zcsr.cli.failures import cannot_write
    from zcsr.cli.programs import read_program

    chosen = _checked_format(output_format, out)
    given = read_program(program, store)
    try:
        if out is not None and chosen in PICTURES:
            from zcsr.reports.toolkit.tree import tree_figure

            tree_figure(out, given, "svg" if chosen == "svg" else "png")
        elif out is not None:
            out.write_text(_text(given, chosen), encoding="utf-8")
        else:
            sys.stdout.write(_text(given, chosen))
    except OSError as error:
        raise cannot_write(error) from error


def _checked_format(given: str | None, out: Path | None) -> str:
    from zcsr.errors import InputError

    chosen = given or (SUFFIXES.get(out.suffix.lower(), "python") if out else "python")
    if chosen not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, not '{chosen}'")
    if chosen in PICTURES and out is None:
        raise InputError(f"--format {chosen} needs a file to write to: --out FILE.{chosen}")
    return chosen


def _text(program: Program, chosen: str) -> str:
    from zcsr.export.json_form import to_json
    from zcsr.export.python_file import to_python, to_sympy
    from zcsr.sameness.sympy_form import to_latex

    match chosen:
        case "python":
            return to_python(program)
        case "json":
            return to_json(program)
        case "sympy":
            return to_sympy(program) + "\n"
        case "latex":
            return to_latex(program) + "\n"
    return f"{program}\n"
