"""`zcsr explain`: what a program looks at, and what moves its score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.costs import measured
from zcsr.cli.options import (
    FootprintOption,
    ImagesOption,
    ProgramArgument,
    SpaceFileOption,
    StoreOption,
    WorkersOption,
    open_store,
    parse_task,
    use_spaces,
    worker_count,
)

if TYPE_CHECKING:
    from zcsr.cost.footprint import Footprint
    from zcsr.insight.readings import NetworkReading
    from zcsr.language.program import Program
    from zcsr.reports.program_page import Explanation
    from zcsr.store import Store

NETWORKS = 20


def explain(
    program: ProgramArgument,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Look at networks of SPACE:DATASET as well.", show_default="no networks"),
    ] = None,
    images: ImagesOption = None,
    networks: Annotated[int, typer.Option("--networks", min=2, help="With --task: how many networks.")] = NETWORKS,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write a report with pictures to.", show_default="print it"),
    ] = None,
    footprint: FootprintOption = None,
    workers: WorkersOption = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Say what a program looks at and what moves its score: sizes of tensors, and real networks with --task."""
    from zcsr.cli.failures import cannot_write
    from zcsr.cli.programs import read_program
    from zcsr.cost.footprint import Footprint
    from zcsr.reports.program_page import explain_program, render_explanation
    from zcsr.reports.toolkit.footprint import read_cost

    use_spaces(space_file)
    given = read_program(program, store)
    reckoned = Footprint.of(footprint or ())
    opened = _store(store, needed=task is not None)
    command = _command(program, given, task, images, networks, reckoned)
    if task is None or opened is None:
        explanation = explain_program(given, opened, None, command)
    else:
        cost = measured(opened, "explain", program=given.id, tasks=[task], workers=worker_count(workers))
        with cost:
            reading = _reading(opened, given, task, images, networks, workers)
            explanation = explain_program(given, opened, reading, command)
        explanation = replace(explanation, cost=read_cost(opened, reckoned, program=given.id))
    if out is None:
        _print(explanation)
        return
    try:
        typer.echo(str(render_explanation(explanation, out)))
    except OSError as error:
        raise cannot_write(error) from error


def _store(path: Path | None, needed: bool) -> Store | None:
    """The store; None, with a word about it, where no one named it and there is none."""
    from zcsr.cli.console import say
    from zcsr.store import default_root

    if needed:
        return open_store(path, create=True)
    if path is None and not default_root().exists():
        say(f"no store at {default_root()}, so no programs of runs to compare with; --store names one")
        return None
    return open_store(path)


def _reading(
    store: Store, program: Program, task: str, images: str | None, networks: int, workers: int | None
) -> NetworkReading:
    from zcsr.cli.console import progress
    from zcsr.cli.failures import Interrupted
    from zcsr.store.jobs.reading import networks_of_task

    space, dataset = parse_task(task)
    try:
        with progress("looking at", "networks") as tell:
            return networks_of_task(
                store, program, space, dataset, images or dataset, networks, worker_count(workers), tell
            )
    except KeyboardInterrupt:
        raise Interrupted("interrupted; nothing is kept of it") from None


def _command(
    given: str, program: Program, task: str | None, images: str | None, networks: int, footprint: Footprint
) -> tuple[str, ...]:
    from zcsr.reports.toolkit.footprint import footprint_flags

    as_text = given.startswith("@") or given.strip().lower() == program.id
    words = ["zcsr", "explain", str(program) if as_text else given.strip()]
    if task is not None:
        words += ["--task", task, *(() if images is None else ("--images", images))]
        words += [] if networks == NETWORKS else ["--networks", str(networks)]
    return (*words, *footprint_flags(footprint), "--out", "DIR")


def _print(explanation: Explanation) -> None:
    from rich.text import Text

    from zcsr.cli.console import data
    from zcsr.cli.tables import print_rows
    from zcsr.reports import program_page as parts

    console = data()

    def head(text: str) -> None:
        console.print(Text(f"\n{text}", style="bold"))

    def line(text: str) -> None:
        console.print(Text(text))

    formula = explanation.formula
    line(str(formula.program))
    if formula.simplified != formula.program:
        line(f"= {formula.simplified}")
        for rule in formula.rules:
            line(f"  because {rule}")
    line(f"  {formula.program.to_scalar} of the value an instance, {formula.program.aggregation} over instances")
    head("Tree")
    for one in formula.tree:
        line(one)
    head("LaTeX")
    line(formula.latex)
    head("Tensors")
    print_rows(console, parts.tensors_table(formula))
    line(parts.inputs_line(formula))
    head("The same by another name")
    for twin in explanation.named:
        line(f"{twin.name}: {twin.reason}")
    if explanation.archived is not None and not explanation.archived.is_empty():
        print_rows(console, explanation.archived.head(parts.SHOWN_TWINS))
    elif not explanation.named:
        line("none known")
    head("For standard normal tensors")
    for trend in parts.trend_lines(explanation.responses):
        line(trend)
    frame = parts.responses_table(explanation.responses)
    if not frame.is_empty():
        line("")
        print_rows(console, frame)
    if explanation.networks is not None:
        head(f"On {len(explanation.networks.archs)} networks of {explanation.networks.space}")
        print_rows(console, parts.agreements_table(explanation.networks))
        line("")
        print_rows(console, parts.depth_table(explanation.networks))
