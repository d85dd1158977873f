"""The report of a run: each part takes the page and returns markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, Footprint
from zcsr.evolve.config import FITNESSES
from zcsr.evolve.finalists import PRICE
from zcsr.insight.formula import Formula, read_formula
from zcsr.language.network_operations import Known
from zcsr.language.tensors import Tensor
from zcsr.language.text import parse
from zcsr.proxies import language, proxy_names
from zcsr.ranking import BOOTSTRAP_REPEATS, BOOTSTRAP_SEED, chance_deviation, kendall_interval
from zcsr.reports.program_page import inputs_line
from zcsr.reports.toolkit.figures import Panel, Series, Vector, fitness_figure, front_figure, scatter_figure
from zcsr.reports.toolkit.markdown import (
    Formatter,
    bullets,
    code,
    decimals,
    escape,
    interval,
    listed,
    number,
    shortened_code,
)
from zcsr.reports.toolkit.page import StorePage, reproduced
from zcsr.reports.toolkit.phrases import one_line, phrase
from zcsr.sameness.normal_form import simplified
from zcsr.sameness.sympy_form import to_latex
from zcsr.store import RunInfo, Store, open_run

if TYPE_CHECKING:
    from zcsr.reports.toolkit.html import Charts

TOP_PROGRAMS = 10
EVOLVE_ROWS = 10
FEW_NETWORKS = 500

SHORT: dict[str, Formatter] = dict.fromkeys(("text", "example"), shortened_code)
WHOLE = ("parameters", "versions", "tasks", "duplicates", "timings")
"""Queries whose answers are shown as they are, each in the part of its name."""


@dataclass(frozen=True)
class RunPage(StorePage):
    """The report of one run. Make one with `page_of_run`."""

    template = "run"
    info: RunInfo

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        config = self.info.config
        fitness, kind = self.ask("fitness"), FITNESSES[config.fitness]
        way = config.algorithm
        label = f"fitness (lowest {kind.words} of the {'drawn ' if way == 'generations' else ''}tasks)"
        said = {
            "measure": kind.measure,
            "draw": config.draw,
            "aggregation": config.aggregation,
            "design": config.design,
            "price": number(PRICE, 3),
        }
        return {
            "run": self.info.name,
            "summary": summary(self),
            "formula": formula(self),
            "looks_at": looks_at(self),
            "front": front(self),
            "searched": searched(self),
            "caveats": bullets(caveats(self)),
            **{name: self.table(name) for name in WHOLE},
            "split": self.table("split", dict.fromkeys(("lowest", "median", "highest"), decimals(2))),
            "split_command": split_command(self.info.name),
            "verdict": "\n\n".join(verdict(self)),
            "rivals": rivals(self),
            **{f"about_{what}": phrase(f"{what}_{way}", **said) for what in ("fitness", "finalists", "timing")},
            "avoided": self.table("evaluations" if way == "generations" else "race"),
            "best": self.table("top_programs", SHORT, ("normal_form", "sympy"), count=TOP_PROGRAMS),
            "formulas": "\n\n".join(_formula(*named) for named in _named_programs(self)),
            "finalists": finalists(self),
            "repeats": str(BOOTSTRAP_REPEATS),
            "seed": str(BOOTSTRAP_SEED),
            "scatter": scatter(self),
            "test_correlations": self.table("correlations", SHORT, ("run", "role"), role="test"),
            "evolve_correlations": evolve_correlations(self),
            "cross_space": cross_space(self),
            "fitness": self.picture_of(
                fitness,
                "fitness",
                phrase("picture_best_so_far" if way == "front" else "picture_fitness"),
                fitness_figure,
                fitness.frame,
                label,
                way == "front",
            ),
            "generations": self.table("generations", drop=("run",)),
            "rejections": self.table("rejections", SHORT),
            "took": phrase("took", seconds=number(self.info.seconds, 0)) if self.info.seconds else "",
            "cost": self.cost(run=self.info.name),
            "reproduce": reproduced("reproduce", self.info.command),
            "report_command": self.report_command(self.info.name),
        }

    def charts(self) -> Charts:
        """The scatter of the best program and the front, where there are such pictures."""
        from zcsr.reports.toolkit.charts import front_chart, scatter_chart

        charts = {}
        if self.best is not None and self.tested(self.best["program"]):
            program = self.best["program"]
            rows = self.ask("finalists").frame.filter(pl.col("program") == program)
            taus = dict(rows.select("task", "kendall").iter_rows())
            titles = {task: f"{task}, tau {number(taus.get(task), 3)}" for task in self.tested(program)}
            charts["scatter"] = scatter_chart(self.ask("test_scores", program=program).frame, titles)
        if not self.ask("evaluated").frame.is_empty():
            charts["front"] = front_chart(self.ask("evaluated").frame, marked(self))
        return charts

    @property
    def tasks(self) -> list[str]:
        """The run's tasks."""
        return self.ask("tasks").frame["task"].to_list()

    @cached_property
    def best(self) -> Mapping[str, Any] | None:
        """The fittest finalist that was tested or, before the test, the fittest program; None when there is none.

        A mapping with `program`, `text`, `fitness` and `generation`.
        """
        finalists = self.ask("finalists").frame.filter(pl.col("role") != "other")
        chosen = finalists.filter(pl.col("role") == "chosen")
        if not chosen.is_empty():
            return chosen.row(0, named=True)
        if not finalists.is_empty():
            return finalists.sort("fitness", descending=True, maintain_order=True).row(0, named=True)
        top = self.ask("top_programs").frame.rename({"best_fitness": "fitness"})
        return None if top.is_empty() else top.row(0, named=True)

    def tested(self, program: str) -> dict[str, tuple[Vector, Vector]]:
        """Scores and accuracies [networks] of a program on the test networks, by task; NaN where it gives none."""
        frame = self.ask("test_scores").frame.filter(pl.col("program") == program)
        return {
            str(task): (rows["score"].to_numpy(), rows["accuracy"].to_numpy())
            for (task,), rows in frame.group_by("task", maintain_order=True)
        }

    @cached_property
    def intervals(self) -> dict[tuple[str, str], tuple[float, float]]:
        """The interval of Kendall's tau of every program that was tested on test networks, by program and task."""
        return {
            (program, task): kendall_interval(*self.tested(program)[task])
            for program, task in self.ask("finalists").frame.select("program", "task").iter_rows()
        }


def page_of_run(store: Store, run: str, out_dir: Path, footprint: Footprint = GREEN_ALGORITHMS) -> RunPage:
    """The report `<out_dir>/<run>.md` of the run of that name, or of the one started last for "latest".

    `footprint` says how energy and CO2e are reckoned. Raises InputError when there is no such run.
    """
    info = open_run(store, run).info()
    return RunPage(out_dir / f"{info.name}.md", store, footprint, {"run": info.name}, info)


def summary(page: RunPage) -> str:
    """The best program with its fitness and, a line a task, its tau on test networks."""
    said = " ".join(_summary(page))
    return said if page.best is None else "\n\n".join([said, "\n".join(_tested(page, page.best["program"]))])


def searched(page: RunPage) -> str:
    """What was searched, on what, and how much of it."""
    stage_new = page.ask("duplicates").frame.filter(pl.col("stage") == "new")
    return phrase(
        "searched",
        tasks=listed(map(code, page.tasks)),
        generations=page.ask("generations").frame.height,
        population=page.info.config.population,
        programs=stage_new["programs"].sum(),
    )


def _summary(page: RunPage) -> Iterator[str]:
    generations = page.ask("generations").frame.height
    best = page.best
    if best is None:
        yield one_line("none_fit")
    else:
        yield one_line(
            "best",
            program=code(best["text"]),
            fitness=number(best["fitness"], 3),
            generation=best["generation"],
        )
    if page.info.status != "finished" or generations < page.info.config.generations:
        yield one_line(
            "unfinished", status=page.info.status, done=generations, planned=page.info.config.generations
        )
    if best is not None and page.tested(best["program"]):
        yield one_line("tested")
    elif best is not None:
        yield one_line("untested", command=shlex.join(("zcsr", "test", page.info.name)))


def formula(page: RunPage) -> str:
    """The best program in LaTeX; empty where there is none."""
    return "" if page.best is None else f"```math\n{_read(page.best['text']).latex}\n```"


def looks_at(page: RunPage) -> str:
    """What the best program takes, a line a tensor or known number, and the passes for it; empty without one."""
    if page.best is None:
        return ""
    known = _read(page.best["text"])
    leaves = dict.fromkeys(node.word for node in known.program.root.walk() if isinstance(node.word, Tensor | Known))
    lines = [phrase("looks_at_line", name=code(one.name), meaning=escape(one.meaning)) for one in leaves]
    return phrase("looks_at", lines=bullets(lines), inputs=inputs_line(known)) if lines else inputs_line(known)


def _read(text: str) -> Formula:
    return read_formula(parse(text, language()))


def _tested(page: RunPage, program: str) -> Iterator[str]:
    rows = page.ask("finalists").frame.filter(pl.col("program") == program)
    for row in rows.iter_rows(named=True):
        low, high = page.intervals[program, row["task"]]
        yield phrase(
            "tested_task",
            networks=row["networks"],
            task=code(row["task"]),
            kendall=number(row["kendall"], 3),
            low=number(low, 3),
            high=number(high, 3),
            spearman=number(row["spearman"], 3),
        )


def caveats(page: RunPage) -> Iterator[str]:
    """What a reader must know before quoting a number, one text each."""
    if page.info.config.algorithm == "front":
        yield phrase("caveat_selected")
    else:
        draw = page.info.config.draw
        yield phrase("caveat_fitness", draw=draw, deviation=number(chance_deviation(draw), 2))
    tasks = page.ask("tasks").frame
    for row in tasks.iter_rows(named=True):
        dataset = row["task"].partition(":")[2]
        if row["images"] != dataset:
            yield phrase("caveat_images", task=code(row["task"]), images=code(row["images"]), dataset=code(dataset))
        if row["test_networks"] < FEW_NETWORKS:
            yield phrase("caveat_few", task=code(row["task"]), networks=row["test_networks"])
    for seed, batch_size in tasks.select("seed", "batch_size").drop_nulls().unique(maintain_order=True).rows():
        yield phrase("caveat_draw", seed=seed, batch_size=batch_size)


def verdict(page: RunPage) -> Iterator[str]:
    """How the finalist stands to what else was scored, the best of it first; whether it looks at sizes alone."""
    answer = page.ask("rivals").frame
    if page.best is not None:
        shape_only = page.ask("evaluated", program=page.best["program"]).frame["shape_only"]
        if shape_only.any():
            yield phrase("sizes_only")
    if answer.is_empty():
        yield phrase("no_rivals")
        return
    standings = [_standing(str(rival), rows) for (rival,), rows in answer.group_by("rival", maintain_order=True)]
    proxies = set(proxy_names())
    for key, group in (
        ("best_proxy", [one for one in standings if one.rival in proxies]),
        ("best_program", [one for one in standings if one.rival not in proxies]),
    ):
        if group:
            yield _best_of(key, group)
    for key, which in (("beaten", True), ("not_beaten", False)):
        names = [code(one.rival) for one in standings if one.beaten == which]
        if names:
            yield phrase(key, names=listed(names))


def _best_of(key: str, group: Sequence[Standing]) -> str:
    best = max(group, key=lambda one: (one.rival_mean, one.rival_least))
    counts = {"count": len(group), "surely": best.surely, "worse": best.worse, "tasks": best.tasks}
    numbers = {name: number(getattr(best, name), 3) for name in ("least", "mean", "rival_least", "rival_mean")}
    return phrase(key, rival=code(best.rival), **counts, **numbers)


@dataclass(frozen=True, slots=True)
class Standing:
    """The finalist beside a rival over the tasks: least and mean tau of both, and on how many it surely differs."""

    rival: str
    least: float
    mean: float
    rival_least: float
    rival_mean: float
    surely: int
    worse: int
    tasks: int

    @property
    def beaten(self) -> bool:
        """Whether the finalist ranks better by least and by mean tau."""
        return self.least > self.rival_least and self.mean > self.rival_mean


def _standing(rival: str, rows: pl.DataFrame) -> Standing:
    own, others = (rows[name].to_numpy() for name in ("tau", "rival_tau"))
    return Standing(
        rival=rival,
        least=float(own.min()),
        mean=float(own.mean()),
        rival_least=float(others.min()),
        rival_mean=float(others.mean()),
        surely=rows.filter(pl.col("low") > 0).height,
        worse=rows.filter(pl.col("high") < 0).height,
        tasks=rows.height,
    )


def marked(page: RunPage) -> dict[str, str]:
    """The finalists by their id, as a picture names them."""
    return {program: f"{role} {program[:4]}" for program, _, role in _named_programs(page) if role != "other"}


def front(page: RunPage) -> str:
    """The programs of a search over fronts by size and by cost; empty for any other search."""
    answer = page.ask("evaluated")
    if answer.frame.is_empty():
        return ""
    shown = page.picture_of(answer, "front", phrase("picture_front"), front_figure, answer.frame, marked(page))
    return "\n\n".join([f"## {phrase('title_front')}", phrase("front_words"), shown])


def rivals(page: RunPage) -> str:
    """The finalist beside each rival on the test networks of each task; empty where none was tested."""
    answer = page.ask("rivals")
    if answer.frame.is_empty():
        return ""
    ends = zip(answer.frame["low"], answer.frame["high"], strict=True)
    column = pl.Series("95% interval", [interval(*pair) for pair in ends])
    shown = answer.frame.drop("low", "high")
    return answer.showing(shown.insert_column(shown.columns.index("difference") + 1, column)).shown(
        dict.fromkeys(("tau", "rival_tau", "difference"), decimals(3))
    )


def split_command(run: str) -> str:
    """The command that lists the architectures of the split."""
    sql = f"SELECT task, role, arch FROM split WHERE run = '{run}' ORDER BY task, role, position"
    return f'zcsr query "{sql}" --format csv'


def _named_programs(page: RunPage) -> list[tuple[str, str, str]]:
    """The finalists or, before the test, the three fittest programs: id, text, role."""
    tested = page.ask("finalists").frame.unique("program", maintain_order=True)
    if not tested.is_empty():
        return tested.select("program", "text", "role").rows()
    top = page.ask("top_programs").frame.head(3)
    return [(program, text, "top") for program, text in top.select("program", "text").iter_rows()]


def _formula(program: str, text: str, role: str) -> str:
    """Text, simplified text and LaTeX of a program."""
    parsed = parse(text, language())
    shorter = str(simplified(parsed))
    return "\n\n".join(
        [
            phrase("formula", program=program, role=phrase(f"formula_{role}")),
            f"```text\n{text}\n```",
            *([phrase("simplified", program=code(shorter))] if shorter != text else []),
            f"```math\n{to_latex(parsed)}\n```",
        ]
    )


def finalists(page: RunPage) -> str:
    """The finalists' rank correlations on test networks, with the interval of Kendall's tau."""
    answer = page.ask("finalists")
    if answer.frame.is_empty():
        return phrase("not_tested", command=shlex.join(("zcsr", "test", page.info.name)))
    keys = answer.frame.select("program", "task").iter_rows()
    column = pl.Series("95% interval", [interval(*page.intervals[key]) for key in keys])
    position = answer.frame.columns.index("kendall") + 1
    return answer.showing(answer.frame.clone().insert_column(position, column)).shown(SHORT)


def scatter(page: RunPage) -> str:
    """The picture of score against accuracy of the best program that was tested; empty when none was."""
    program = "" if page.best is None else page.best["program"]
    pairs = page.tested(program)
    if not pairs:
        return ""
    rows = page.ask("finalists").frame.filter(pl.col("program") == program)
    taus = dict(rows.select("task", "kendall").iter_rows())
    panels = [
        Panel(
            f"{task}\ntau {number(taus.get(task), 3)}, {np.isfinite(scores).sum()} networks",
            [Series(task, accuracies, positions=scores)],
        )
        for task, (scores, accuracies) in pairs.items()
    ]
    shown = page.picture("scatter", phrase("picture_scatter", program=program), scatter_figure, panels)
    return "\n\n".join([shown, *_left_out(pairs), page.ask("test_scores", program=program).made_by])


def _left_out(pairs: Mapping[str, tuple[Vector, Vector]]) -> list[str]:
    counts = {task: int((~np.isfinite(scores)).sum()) for task, (scores, _) in pairs.items()}
    shown = [f"{count} of {code(task)}" for task, count in counts.items() if count]
    return [phrase("left_out", counts=listed(shown))] if shown else []


def evolve_correlations(page: RunPage) -> str:
    """The highest correlations on the networks of evolution, a few rows of each task."""
    answer = page.ask("correlations", role="evolve")
    first = answer.frame.group_by("task", maintain_order=True).head(EVOLVE_ROWS)
    shown = answer.showing(first).shown(SHORT, drop=("run", "role"))
    if first.height == answer.frame.height:
        return shown
    return f"{shown}\n\n{phrase('of_more', shown=first.height, rows=answer.frame.height)}"


def cross_space(page: RunPage) -> str:
    """Kendall's tau of every tested program, a row each, on every task, a column each."""
    answer = page.ask("cross_space")
    matrix = answer.frame.pivot("tested_on", index=["evolved_on", "program", "text"], values="kendall")
    return answer.showing(matrix).shown(SHORT | dict.fromkeys(page.tasks, decimals(3)))
