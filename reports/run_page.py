"""The sections of a run's report: each takes the run's results and returns markdown."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.evolve.config import FITNESSES
from zcsr.language.text import parse
from zcsr.reports.toolkit.figures import Panel, fitness_figure, scatter_figure
from zcsr.reports.toolkit.footprint import cost_section, footprint_flags, read_cost
from zcsr.reports.toolkit.markdown import Formatter, code, number, shortened_code, table
from zcsr.reports.toolkit.phrases import phrase
from zcsr.reports.toolkit.results import BOOTSTRAP_REPEATS, BOOTSTRAP_SEED, Answer, RunResults
from zcsr.sameness.normal_form import simplified
from zcsr.sameness.sympy_form import to_latex

TOP_PROGRAMS = 10
EVOLVE_ROWS = 10
FEW_NETWORKS = 500

SHORT: dict[str, Formatter] = dict.fromkeys(("text", "example"), shortened_code)
PERCENTAGES = ("lowest", "median", "highest")


def sections(results: RunResults, pictures: Path, footprint: Footprint = GREEN_ALGORITHMS) -> dict[str, str]:
    """Every section by its name in the template; writes the pictures beside them, as `<pictures>-<what>.png`."""
    return {
        "run": results.run,
        "summary": summary(results),
        "caveats": "\n".join(f"- {one}" for one in caveats(results)),
        "parameters": answered(results.ask("parameters")),
        "versions": answered(results.ask("versions")),
        "tasks": answered(results.ask("tasks")),
        "split": answered(results.ask("split"), dict.fromkeys(PERCENTAGES, _percent)),
        "split_command": split_command(results),
        "rank_measure": FITNESSES[results.config.fitness].measure,
        "draw": str(results.config.draw),
        "aggregation": results.config.aggregation,
        "best": best_programs(results),
        "formulas": formulas(results),
        "finalists": finalists(results),
        "repeats": str(BOOTSTRAP_REPEATS),
        "seed": str(BOOTSTRAP_SEED),
        "scatter": scatter(results, pictures),
        "test_correlations": answered(results.ask("correlations", role="test"), SHORT, drop=("run", "role")),
        "evolve_correlations": evolve_correlations(results),
        "cross_space": cross_space(results),
        "fitness": fitness(results, pictures),
        "generations": answered(results.ask("generations"), drop=("run",)),
        "duplicates": answered(results.ask("duplicates")),
        "rejections": answered(results.ask("rejections"), SHORT),
        "evaluations": answered(results.ask("evaluations")),
        "timings": answered(results.ask("timings")),
        "took": phrase("took", seconds=number(results.seconds, 0)) if results.seconds else "",
        "cost": cost_section(read_cost(results.store, footprint, run=results.run)),
        "reproduce": reproduce(results),
        "report_command": shlex.join(("zcsr", "report", results.run, *footprint_flags(footprint))),
    }


def answered(answer: Answer, formats: Mapping[str, Formatter] | None = None, drop: Sequence[str] = ()) -> str:
    """The table of a query's answer and the command that prints it; `drop` names columns not shown here."""
    shown = phrase("no_rows") if answer.frame.is_empty() else table(answer.frame.drop(drop), formats)
    return f"{shown}\n\n{made_by(answer)}"


def made_by(answer: Answer) -> str:
    """The line that says which query made a table and which command prints it."""
    return phrase("made_by", name=answer.name, command=answer.command)


def summary(results: RunResults) -> str:
    """What was searched, and the best program with its fitness and, a line a task, its tau on test networks."""
    said = " ".join(" ".join(_summary(results)).split())
    best = results.best()
    return said if best is None else "\n\n".join([said, "\n".join(_tested(results, str(best["program"])))])


def _summary(results: RunResults) -> Iterator[str]:
    generations = results.ask("generations").frame.height
    stage_new = results.ask("duplicates").frame.filter(pl.col("stage") == "new")
    yield phrase(
        "searched",
        tasks=_listed(map(code, _tasks(results))),
        generations=generations,
        population=results.config.population,
        programs=stage_new["programs"].sum(),
    )
    if results.status != "finished" or generations < results.config.generations:
        yield phrase("unfinished", status=results.status, done=generations, planned=results.config.generations)
    best = results.best()
    if best is None:
        yield phrase("none_fit")
        return
    yield phrase(
        "best",
        program=code(str(best["text"])),
        fitness=number(_float(best["fitness"]), 3),
        generation=best["generation"],
    )
    if results.tested(str(best["program"])):
        yield phrase("tested")
    else:
        yield phrase("untested", command=shlex.join(("zcsr", "test", results.run)))


def _tested(results: RunResults, program: str) -> Iterator[str]:
    rows = results.ask("finalists").frame.filter(pl.col("program") == program)
    for row in rows.iter_rows(named=True):
        low, high = results.interval(program, row["task"])
        yield phrase(
            "tested_task",
            networks=row["networks"],
            task=code(row["task"]),
            kendall=_correlation(row["kendall"]),
            low=number(low, 3),
            high=number(high, 3),
            spearman=_correlation(row["spearman"]),
        )


def caveats(results: RunResults) -> Iterator[str]:
    """What a reader must know before quoting a number, one line each."""
    yield _line(
        "caveat_fitness", draw=results.config.draw, deviation=number(chance_deviation(results.config.draw), 2)
    )
    tasks = results.ask("tasks").frame
    for row in tasks.iter_rows(named=True):
        dataset = row["task"].partition(":")[2]
        if row["images"] != dataset:
            yield _line("caveat_images", task=code(row["task"]), images=code(row["images"]), dataset=code(dataset))
        if row["test_networks"] < FEW_NETWORKS:
            yield _line("caveat_few", task=code(row["task"]), networks=row["test_networks"])
    for seed, batch_size in tasks.select("seed", "batch_size").drop_nulls().unique(maintain_order=True).rows():
        yield _line("caveat_draw", seed=seed, batch_size=batch_size)


def chance_deviation(networks: int) -> float:
    """The standard deviation of Kendall's tau between unrelated rankings without ties (Kendall 1938)."""
    return math.sqrt(2 * (2 * networks + 5) / (9 * networks * (networks - 1)))


def split_command(results: RunResults) -> str:
    """The command that lists the architectures of the split."""
    sql = f"SELECT task, role, arch FROM split WHERE run = '{results.run}' ORDER BY task, role, position"
    return f'zcsr query "{sql}" --format csv'


def best_programs(results: RunResults) -> str:
    """The fittest programs in a table."""
    return answered(results.ask("top_programs", count=TOP_PROGRAMS), SHORT, drop=("normal_form", "sympy"))


def formulas(results: RunResults) -> str:
    """Text, simplified text and LaTeX of the finalists or, before the test, of the three fittest programs."""
    return "\n\n".join(_formula(program, text, role) for program, text, role in _named_programs(results))


def _named_programs(results: RunResults) -> list[tuple[str, str, str]]:
    tested = results.ask("finalists").frame.unique("program", maintain_order=True)
    if not tested.is_empty():
        return tested.select("program", "text", "role").rows()
    top = results.ask("top_programs").frame.head(3)
    return [(program, text, "top") for program, text in top.select("program", "text").iter_rows()]


def _formula(program: str, text: str, role: str) -> str:
    parsed = parse(text)
    shorter = str(simplified(parsed))
    return "\n\n".join(
        [
            phrase("formula", program=program, role=phrase(f"formula_{role}")),
            f"```text\n{text}\n```",
            *([phrase("simplified", program=code(shorter))] if shorter != text else []),
            f"```math\n{to_latex(parsed)}\n```",
        ]
    )


def finalists(results: RunResults) -> str:
    """The finalists' rank correlations on test networks, with the interval of Kendall's tau."""
    answer = results.ask("finalists")
    if answer.frame.is_empty():
        return phrase("not_tested", command=shlex.join(("zcsr", "test", results.run)))
    intervals = [
        "{} to {}".format(*(number(end, 3) for end in results.interval(program, task)))
        for program, task in answer.frame.select("program", "task").iter_rows()
    ]
    position = answer.frame.columns.index("kendall") + 1
    frame = answer.frame.clone().insert_column(position, pl.Series("95% interval", intervals))
    return answered(Answer(answer.name, frame, answer.command), SHORT)


def scatter(results: RunResults, pictures: Path) -> str:
    """The picture of score against accuracy of the best program that was tested; empty when none was."""
    best = results.best()
    pairs = {} if best is None else results.tested(str(best["program"]))
    if best is None or not pairs:
        return ""
    rows = results.ask("finalists").frame.filter(pl.col("program") == best["program"])
    taus = dict(rows.select("task", "kendall").iter_rows())
    panels = [
        Panel(
            f"{task}\ntau {_correlation(taus.get(task))}, {np.isfinite(scores).sum()} networks", scores, accuracies
        )
        for task, (scores, accuracies) in pairs.items()
    ]
    path = scatter_figure(pictures.with_name(f"{pictures.name}-scatter.png"), panels)
    caption = phrase("picture_scatter", program=best["program"])
    answer = results.ask("test_scores", program=best["program"])
    return "\n\n".join([picture(path, caption), *_left_out(pairs), made_by(answer)])


def _left_out(pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    counts = {task: int((~np.isfinite(scores)).sum()) for task, (scores, _) in pairs.items()}
    shown = [f"{count} of {code(task)}" for task, count in counts.items() if count]
    return [phrase("left_out", counts=_listed(shown))] if shown else []


def evolve_correlations(results: RunResults) -> str:
    """The highest correlations on the networks of evolution, a few rows of each task."""
    answer = results.ask("correlations", role="evolve")
    first = answer.frame.group_by("task", maintain_order=True).head(EVOLVE_ROWS)
    shown = answered(Answer(answer.name, first, answer.command), SHORT, drop=("run", "role"))
    if first.height == answer.frame.height:
        return shown
    return f"{shown}\n\n{phrase('of_more', shown=first.height, rows=answer.frame.height)}"


def cross_space(results: RunResults) -> str:
    """Kendall's tau of every tested program, a row each, on every task, a column each."""
    answer = results.ask("cross_space")
    if answer.frame.is_empty():
        return answered(answer)
    matrix = answer.frame.pivot("tested_on", index=["evolved_on", "program", "text"], values="kendall")
    taus: dict[str, Formatter] = dict.fromkeys(_tasks(results), _correlation)
    return answered(Answer(answer.name, matrix, answer.command), SHORT | taus)


def fitness(results: RunResults, pictures: Path) -> str:
    """The picture of fitness over the generations; empty before the first."""
    answer = results.ask("fitness")
    if answer.frame.is_empty():
        return ""
    path = fitness_figure(
        pictures.with_name(f"{pictures.name}-fitness.png"),
        generations=answer.frame["generation"].to_list(),
        best=answer.frame["best_fitness"].to_list(),
        median=answer.frame["median_fitness"].to_list(),
        lower=answer.frame["lower_fitness"].to_list(),
        upper=answer.frame["upper_fitness"].to_list(),
        label=f"fitness (lowest {FITNESSES[results.config.fitness].words} of the drawn tasks)",
    )
    return f"{picture(path, phrase('picture_fitness'))}\n\n{made_by(answer)}"


def picture(path: Path, caption: str) -> str:
    """Markdown that shows a picture lying beside the report, with its caption below."""
    return f"![{caption}]({path.name})\n\n*{caption}*"


def reproduce(results: RunResults) -> str:
    """The command that started the run, as far as it is known."""
    if not results.command:
        return phrase("reproduce_unknown")
    return phrase("reproduce", command=shlex.join(results.command))


def _tasks(results: RunResults) -> list[str]:
    return results.ask("tasks").frame["task"].to_list()


def _line(name: str, **values: object) -> str:
    return " ".join(phrase(name, **values).split())


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _correlation(value: object) -> str:
    return number(_float(value), 3)


def _percent(value: object) -> str:
    return number(_float(value), 2)


def _float(value: object) -> float:
    return value if isinstance(value, float) else math.nan
