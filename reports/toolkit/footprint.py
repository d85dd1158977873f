"""What it cost, as a section of any report: energy and CO2e of what was measured, beside the paper's figure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, PAPER_GRAMS, Footprint
from zcsr.reports.toolkit.answers import Answer, ask
from zcsr.reports.toolkit.markdown import significant, table
from zcsr.reports.toolkit.phrases import phrase
from zcsr.store import Store

WHOSE = ("run", "search", "program")
"""The columns of the query that a report leaves out, since it is about one of them or none."""

_three_digits = partial(significant, digits=3)


@dataclass(frozen=True, slots=True)
class Cost:
    """The answer of the query `footprint`, and the parameters that it was asked with. Make one with `read_cost`."""

    answer: Answer
    footprint: Footprint


def read_cost(store: Store, footprint: Footprint = GREEN_ALGORITHMS, **whose: str) -> Cost:
    """What the sessions of a run, search, program or kind of command cost; `whose` are parameters of the query."""
    given = whose | {name: spelled(value) for name, value in footprint.changed().items()}
    return Cost(ask(store, "footprint", given), footprint)


def cost_section(cost: Cost | None) -> str:
    """The method with its parameters, the sums, and the table; one sentence where nothing was measured."""
    if cost is None or cost.answer.frame.is_empty():
        return phrase("cost_unknown")
    frame = cost.answer.frame
    drop = [*WHOSE, *(["metered_kwh"] if frame["metered_kwh"].is_null().all() else [])]
    return "\n\n".join([cost_words(frame, cost.footprint), cost_table(frame.drop(drop)), cost.answer.made_by])


def cost_table(frame: pl.DataFrame) -> str:
    """Rows of the query `footprint` as a table, with as many digits as such numbers are good for."""
    return table(frame, dict.fromkeys(frame.select(pl.selectors.float()).columns, _three_digits))


def cost_words(frame: pl.DataFrame, footprint: Footprint) -> str:
    """The sums of rows of the query `footprint` beside the paper's figure, and the method with its parameters."""
    sums = {name: float(frame[name].sum()) for name in ("kwh", "grams", "share_of_paper", "metered_kwh")}
    said = phrase(
        "cost_sums",
        kwh=_three_digits(sums["kwh"]),
        grams=_three_digits(sums["grams"]),
        percent=_three_digits(100 * sums["share_of_paper"]),
        paper=spelled(PAPER_GRAMS),
    )
    if frame["metered_kwh"].is_not_null().any():
        said += f" {phrase('cost_metered', kwh=_three_digits(sums['metered_kwh']))}"
    parameters = {name: spelled(value) for name, value in footprint.values().items()}
    return f"{said}\n\n{phrase('cost_method', **parameters)}"


def footprint_flags(footprint: Footprint) -> tuple[str, ...]:
    """The words of a command that set these parameters; none where they are the usual ones."""
    changed = [f"{name}={spelled(value)}" for name, value in footprint.changed().items()]
    return tuple(word for pair in changed for word in ("--footprint", pair))


def spelled(value: float) -> str:
    """A number as a user writes it, without loss."""
    return repr(float(value)).removesuffix(".0")
