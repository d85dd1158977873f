"""`zcsr explain`: what a program looks at, and what moves its score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from zcsr.cli.console import data, progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible, writing
from zcsr.cli.given import ProgramArgument, read_program
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import FootprintOption, ImagesOption, Place, WorkersOption, parse_task
from zcsr.cli.tables import print_rows
from zcsr.cost.footprint import Footprint
from zcsr.engine.workers import available_workers
from zcsr.store import Store, default_root

if TYPE_CHECKING:
    import polars

    from zcsr.insight.readings import NetworkReading
    from zcsr.language.program import Program
    from zcsr.reports.program_page import Explanation

NETWORKS = 20


@with_options
def explain(
    *,
    program: ProgramArgument,
    task: str | None = option(
        None, "look at networks of SPACE:DATASET as well", flag="--task -t", unset="no networks"
    ),
    images: ImagesOption = None,
    networks: int = option(NETWORKS, "with --task: how many networks", least=2),
    out: Path | None = option(None, "folder to write a report with pictures to", flag="--out -o", unset="print it"),
    footprint: FootprintOption = None,
    workers: WorkersOption = None,
    place: Place,
) -> None:
    """Say what a program looks at and what moves its score: sizes of tensors, and real networks with --task."""
    from zcsr.reports.program_page import explain_program, render_explanation
    from zcsr.reports.toolkit.footprint import read_cost

    place.use_spaces()
    given = read_program(program, place.store)
    reckoned = Footprint.of(footprint or ())
    opened = _store(place, needed=task is not None)
    command = _command(program, given, task, images, networks, reckoned)
    if task is None or opened is None:
        explanation = explain_program(given, opened, None, command)
    else:
        count = workers or available_workers()
        with measured(opened, "explain", program=given.id, tasks=[task], workers=count):
            reading = _reading(opened, given, task, images, networks, count)
            explanation = explain_program(given, opened, reading, command)
        explanation = replace(explanation, cost=read_cost(opened, reckoned, program=given.id))
    if out is None:
        _print(explanation)
        return
    with writing():
        typer.echo(str(render_explanation(explanation, out)))


def _store(place: Place, needed: bool) -> Store | None:
    """The store; None, with a word about it, where no one named it and there is none."""
    if needed:
        return place.open(create=True)
    if place.store is None and not default_root().exists():
        say(f"no store at {default_root()}, so no programs of runs to compare with; --store names one")
        return None
    return place.open()


def _reading(
    store: Store, program: Program, task: str, images: str | None, networks: int, workers: int
) -> NetworkReading:
    from zcsr.store.jobs.explaining import networks_of_task

    space, dataset = parse_task(task)
    with interruptible("nothing is kept of it"), progress("looking at", "networks") as tell:
        return networks_of_task(store, program, space, dataset, images or dataset, networks, workers, tell)


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
    console = data()
    for heading, shown in _sections(explanation):
        if heading:
            console.print(Text(f"\n{heading}", style="bold"))
        for one in shown:
            if isinstance(one, str):
                console.print(Text(one))
            else:
                print_rows(one)


def _sections(explanation: Explanation) -> Iterator[tuple[str, Iterable[str | polars.DataFrame]]]:
    """Headings with the lines and tables below them; first what stands above all of them."""
    from zcsr.reports import program_page as parts

    formula, networks, archived = explanation.formula, explanation.networks, explanation.archived
    shorter = [f"= {formula.simplified}", *(f"  because {rule}" for rule in formula.rules)]
    first = [str(formula.program), *(shorter if formula.simplified != formula.program else [])]
    if formula.program.has_steps:
        to_scalar, aggregation = formula.program.to_scalar, formula.program.aggregation
        first.append(f"  {to_scalar} of the value an instance, {aggregation} over instances")
    yield "", first
    yield "Tree", formula.tree
    yield "LaTeX", [formula.latex]
    yield "Tensors", [parts.tensors_table(formula), parts.inputs_line(formula)]
    named = [f"{twin.name}: {twin.reason}" for twin in explanation.named]
    if archived is not None and not archived.frame.is_empty():
        yield "The same by another name", [*named, archived.frame.head(parts.SHOWN_TWINS)]
    else:
        yield "The same by another name", named or ["none known"]
    frame = parts.responses_table(explanation.responses)
    trends = parts.trend_lines(explanation.responses)
    yield "For standard normal tensors", trends if frame.is_empty() else [*trends, "", frame]
    if networks is not None:
        tables: list[str | polars.DataFrame] = [parts.agreements_table(networks), "", parts.depth_table(networks)]
        if networks.terms:
            tables += ["", parts.terms_table(networks)]
        yield f"On {len(networks.archs)} networks of {networks.space}", tables
