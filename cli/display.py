"""What `zcsr evolve` shows while it runs: a live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zcsr.cli.console import duration, is_live, unechoed
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.records import Evaluated, Generation, Individual
from zcsr.language.program import Program
from zcsr.sameness import normal_form

BARS = "▁▂▃▄▅▆▇█"
STAGES = ("text", "normal_form", "sympy", "fingerprint", "same_order")
PARTS = {
    "children": "valid children",
    "random": "valid random programs",
    "scores": "networks scored",
    "columns": "new columns",
    "formulas": "programs evaluated",
}
PLAIN_EVERY_SECONDS = 30.0
HEAD_WIDTH = 36
"""Terminal columns before the bars, so that they do not jump as the words change."""

SHOWN_OF_FRONT = 8
"""Programs of a front that the panel lists, where there is room."""

BESIDE_FRONT = 22
"""Lines of the panel without them."""

RECENT = 5
"""Generations whose mean time tells how long the rest will take."""


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return one block character a value, of the last `width` values; a gap stands for one that is not finite."""
    shown = list(values[-width:])
    finite = [value for value in shown if math.isfinite(value)]
    low, span = (min(finite), max(finite) - min(finite)) if finite else (0.0, 0.0)
    return "".join(
        BARS[round((value - low) / span * (len(BARS) - 1)) if span else 0] if math.isfinite(value) else " "
        for value in shown
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a run after the generations seen so far.

    `best` and `median` are fitnesses, one a generation; `champion` is the fittest individual of all. Of a search
    over fronts, `stairs` are the programs that are better than all smaller ones, by half the least and half the
    mean tau, `columns` are counted by what became of them, and `counted` sums the counters.
    """

    config: EvolveConfig
    run: str
    generation: Generation | None = None
    best: tuple[float, ...] = ()
    median: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    valid: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    recognised: Mapping[str, int] = field(default_factory=dict)
    scored: int = 0
    scoring_seconds: float = 0.0
    champion: Individual | None = None
    stairs: tuple[Evaluated, ...] = ()
    columns: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)

    def after(self, generation: Generation) -> Standing:
        """Return the standing one generation later."""
        fitnesses = [individual.fitness for individual in generation.individuals]
        leader = leader_of(generation)
        better = self.champion is None or leader.fitness > self.champion.fitness
        return replace(
            self,
            generation=generation,
            best=(*self.best, max(fitnesses)),
            median=(*self.median, statistics.median(fitnesses)),
            seconds=(*self.seconds, generation.seconds.get("total", 0.0)),
            valid=self.valid + len(fitnesses),
            rejected=Counter(self.rejected) + _rejected(generation),
            recognised=Counter(self.recognised) + Counter(one.recognised_by for one in generation.individuals),
            scored=self.scored + len(generation.scores),
            scoring_seconds=self.scoring_seconds + generation.seconds.get("score", 0.0),
            champion=leader if better else self.champion,
            stairs=_stairs((*self.stairs, *generation.evaluated)),
            columns=Counter(self.columns) + Counter(record.state for record in generation.columns),
            counted=Counter(self.counted) + Counter(generation.counters),
        )

    @property
    def of_fronts(self) -> bool:
        """Whether it is a search over fronts."""
        return self.config.algorithm == "front"

    @property
    def spared(self) -> float:
        """The share of computing columns on networks that the race saved."""
        spared, computed = (self.counted.get(name, 0) for name in ("spared", "computed"))
        return spared / (spared + computed) if spared + computed else 0.0

    @property
    def done(self) -> int:
        """Generations seen."""
        return len(self.best)

    @property
    def rate(self) -> float:
        """Programs x networks evaluated a second of scoring."""
        return self.scored / self.scoring_seconds if self.scoring_seconds else 0.0

    def remaining(self, since: float) -> float | None:
        """Seconds left, `since` seconds after the last generation ended; None where there is no telling."""
        if not self.done:
            return None
        return max(0.0, statistics.fmean(self.seconds[-RECENT:]) * (self.config.generations - self.done) - since)


class EvolveDisplay:
    """Shows a run's standing; a context manager. `update` takes a generation, `observe` what goes on inside one."""

    def __init__(self, console: Console, config: EvolveConfig, run: str, known: Iterable[Generation] = ()) -> None:
        self.standing = Standing(config, run)
        for generation in known:
            self.standing = self.standing.after(generation)
        self._console = console
        self._now: GenerationProgress | None = None
        self._started = self._ended = self._said = time.monotonic()
        live = Live(console=console, get_renderable=self.render, refresh_per_second=4)
        self._live = live if is_live(console) else None
        self._open = ExitStack()

    def __enter__(self) -> EvolveDisplay:
        self._started = self._ended = self._said = time.monotonic()
        if self._live:
            self._open.enter_context(unechoed())
            self._open.enter_context(self._live)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def update(self, generation: Generation) -> None:
        """Take in a finished generation and show it."""
        self.standing = self.standing.after(generation)
        self._now, self._ended = None, time.monotonic()
        if not self._live:
            self._say(self._line())

    def observe(self, progress: GenerationProgress) -> None:
        """Take in how far the generation that is being made has come."""
        self._now = progress
        if not self._live and time.monotonic() - self._said >= PLAIN_EVERY_SECONDS:
            self._say(f"generation {progress.generation + 1}: {_part(progress)}")

    def render(self) -> RenderableType:
        """Return the panel."""
        standing, now = self.standing, self._now
        # What a low terminal cuts off is at the bottom, so the time left stands at the top.
        parts: list[RenderableType] = [_heads(standing, now), Text(self._pace(), style="dim"), ""]
        if standing.generation is not None:
            if standing.of_fronts:
                parts += [_taus(standing), "", _front(standing, _rows_of_front(self._console.height)), ""]
            else:
                parts += [_fitnesses(standing, standing.generation), ""]
                parts += [*_formulas(standing, standing.generation), ""]
        parts.append(_counts(standing))
        return Panel(Group(*parts), title=Text(f"zcsr evolve · run {standing.run}"), border_style="blue")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(Text(line), soft_wrap=True)

    def _line(self) -> str:
        standing = self.standing
        assert standing.generation is not None
        if standing.of_fronts:
            return self._line_of_front()
        leader = leader_of(standing.generation)
        taus = ", ".join(f"{task} {tau:.3f}" for task, tau in leader.taus.items())
        return (
            f"generation {standing.done} of {standing.config.generations}: best {standing.best[-1]:.3f} "
            f"({taus}), median {standing.median[-1]:.3f}; {standing.valid:,} valid, "
            f"{sum(standing.rejected.values()):,} refused; {self._pace()}: {simplified(leader.program)}"
        )

    def _line_of_front(self) -> str:
        standing = self.standing
        best = standing.stairs[-1]
        taus = ", ".join(f"{task} {tau:.3f}" for task, tau in best.taus.items())
        return (
            f"generation {standing.done} of {standing.config.generations}: best so far {best.least:.3f} least, "
            f"{best.mean:.3f} mean ({taus}); {standing.columns.get('known', 0):,} columns known, "
            f"{standing.spared:.0%} of computing spared, "
            f"{standing.rejected.get('constant', 0):,} constants refused; {self._pace()}: "
            f"{simplified(best.program)}"
        )

    def _pace(self) -> str:
        now = time.monotonic()
        left = self.standing.remaining(now - self._ended)
        rate = f"{self.standing.rate:,.0f} programs x networks/s, " if self.standing.rate else ""
        rest = "" if left is None else f", about {duration(left)} left"
        return f"{rate}{duration(now - self._started)} elapsed{rest}"


@lru_cache(maxsize=64)
def simplified(program: Program) -> str:
    """Return the shorter of the program's text and its normal form."""
    return str(normal_form.simplified(program))


def leader_of(generation: Generation) -> Individual:
    """Return the fittest individual of a generation."""
    return max(generation.individuals, key=lambda individual: individual.fitness)


def _rejected(generation: Generation) -> Counter[str]:
    counts: Counter[str] = Counter()
    for rejection in generation.rejections:
        counts[rejection.reason] += rejection.count
    return counts


def _heads(standing: Standing, now: GenerationProgress | None) -> Table:
    """A bar of the generations, and one of what is going on in the one being made."""
    generations = standing.config.generations
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True, min_width=HEAD_WIDTH)
    grid.add_column(ratio=1)
    grid.add_row(
        Text(f"generation {standing.done} of {generations}", style="bold"),
        ProgressBar(total=generations, completed=standing.done),
    )
    if now is not None:
        grid.add_row(Text(_part(now), style="dim"), ProgressBar(total=max(now.wanted, 1), completed=now.done))
    elif standing.done < generations:
        grid.add_row(Text("proposing programs", style="dim"), ProgressBar(total=1, completed=0))
    return grid


def _part(now: GenerationProgress) -> str:
    candidates = "" if now.part == "scores" else f" among {now.proposed:,}"
    return f"{now.done} of {now.wanted} {PARTS[now.part]}{candidates}"


def _fitnesses(standing: Standing, generation: Generation) -> Table:
    """Fitness and tau in each space, of the best individual and of the median one."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, justify in (("", "left"), ("best", "right"), ("median", "right")):
        table.add_column(Text(name, style="bold"), justify=justify)  # type: ignore[arg-type]
    leader = leader_of(generation)
    table.add_row("fitness", _number(leader.fitness), _number(standing.median[-1]))
    for task in generation.tasks:
        taus = [individual.taus[task] for individual in generation.individuals if task in individual.taus]
        middle = statistics.median(taus) if taus else math.nan
        table.add_row(Text(f"tau {task}"), _number(leader.taus.get(task, math.nan)), _number(middle))
    return table


def _formulas(standing: Standing, generation: Generation) -> list[RenderableType]:
    leader, champion = leader_of(generation), standing.champion
    shown = {"best of this generation": leader}
    if champion is not None and champion.program != leader.program:
        shown["best seen"] = champion
    return [
        Text.assemble((f"{label} {_number(one.fitness)}  ", "dim"), simplified(one.program), overflow="fold")
        for label, one in shown.items()
    ]


def _counts(standing: Standing) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    refused = ", ".join(f"{count:,} {_words(reason)}" for reason, count in Counter(standing.rejected).most_common())
    same = ", ".join(
        f"{standing.recognised[stage]:,} by {_words(stage)}" for stage in STAGES if standing.recognised.get(stage)
    )
    total = sum(standing.rejected.values())
    if standing.done:
        table.add_row("best fitness", Text(sparkline(standing.best), style="green"))
        table.add_row("median fitness", Text(sparkline(standing.median), style="cyan"))
    if standing.of_fronts:
        states = ", ".join(f"{count:,} {state}" for state, count in Counter(standing.columns).most_common())
        table.add_row("columns", states or "none yet")
        table.add_row("spared", f"{standing.spared:.0%} of computing columns, by the race")
        table.add_row("formulas", f"{standing.counted.get('scored', 0):,} programs of known columns tried")
        same = (
            f"{standing.counted['same_order']:,} rank as a smaller one"
            if standing.counted.get("same_order")
            else ""
        )
    else:
        table.add_row("valid", f"{standing.valid:,}")
    table.add_row("refused", f"{total:,}: {refused}" if refused else "none yet")
    table.add_row("duplicates", same or "none yet")
    return table


def _stairs(programs: Iterable[Evaluated]) -> tuple[Evaluated, ...]:
    """The programs that are better than all that are no larger, the smallest first."""
    kept: list[Evaluated] = []
    for one in sorted(programs, key=lambda one: (one.program.root.size, -one.merit)):
        if not kept or one.merit > kept[-1].merit:
            kept.append(one)
    return tuple(kept)


def _taus(standing: Standing) -> Table:
    """The best program so far by task, on the networks that selection sees."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    best = standing.stairs[-1]
    table.add_column(Text("best so far", style="bold"))
    table.add_column(Text("tau", style="bold"), justify="right")
    for task, tau in {"least": best.least, "mean": best.mean, **best.taus}.items():
        table.add_row(Text(task), _number(tau))
    return table


def _rows_of_front(height: int) -> int:
    """How many programs a terminal of that many lines has room for, each of two, beside all else."""
    return max(2, min(SHOWN_OF_FRONT, (height - BESIDE_FRONT) // 2))


def _front(standing: Standing, rows: int) -> Table:
    """The largest programs of the front by size, each better than all smaller ones."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    for name, justify in (("size", "right"), ("least", "right"), ("mean", "right"), ("program", "left")):
        ratio = 1 if name == "program" else None
        table.add_column(Text(name, style="bold"), justify=justify, overflow="fold", ratio=ratio)  # type: ignore[arg-type]
    for one in standing.stairs[-rows:]:
        size = str(one.program.root.size)
        table.add_row(size, _number(one.least), _number(one.mean), Text(simplified(one.program)))
    return table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
