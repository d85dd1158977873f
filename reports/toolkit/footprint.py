"""What it cost, as a section of any report: energy and CO2e of what was measured, beside the paper's figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from zcsr.cost.footprint import GREEN_ALGORITHMS, PAPER_GRAMS, Footprint
from zcsr.reports.toolkit.markdown import MISSING, Formatter, significant, table
from zcsr.reports.toolkit.phrases import phrase
from zcsr.reports.toolkit.results import Answer, ask
from zcsr.store import Store

WHOSE = ("run", "search", "program")
"""The columns of the query that a report leaves out, since it is about one of them or none."""

DIGITS = 3


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
    numbers = frame.drop(drop).select(pl.selectors.float()).columns
    formats: dict[str, Formatter] = dict.fromkeys(numbers, _number)
    return "\n\n".join(
        [
            cost_words(frame, cost.footprint),
            table(frame.drop(drop), formats),
            phrase("made_by", name=cost.answer.name, command=cost.answer.command),
        ]
    )


def cost_words(frame: pl.DataFrame, footprint: Footprint) -> str:
    """The sums of rows of the query `footprint` beside the paper's figure, and the method with its parameters."""
    parameters = {name: spelled(value) for name, value in footprint.values().items()}
    return f"{_sums(frame)}\n\n{phrase('cost_method', **parameters)}"


def footprint_flags(footprint: Footprint) -> tuple[str, ...]:
    """The words of a command that set these parameters; none where they are the usual ones."""
    return tuple(
        word for name, value in footprint.changed().items() for word in ("--footprint", f"{name}={spelled(value)}")
    )


def spelled(value: float) -> str:
    """A number as a user writes it, without loss."""
    return repr(float(value)).removesuffix(".0")


def _sums(frame: pl.DataFrame) -> str:
    sums: Mapping[str, float] = {name: float(frame[name].sum()) for name in ("kwh", "grams", "share_of_paper")}
    said = phrase(
        "cost_sums",
        kwh=_number(sums["kwh"]),
        grams=_number(sums["grams"]),
        percent=_number(100 * sums["share_of_paper"]),
        paper=spelled(PAPER_GRAMS),
    )
    metered = frame["metered_kwh"].drop_nulls()
    return said if metered.is_empty() else f"{said} {phrase('cost_metered', kwh=_number(metered.sum()))}"


def _number(value: object) -> str:
    return significant(value, DIGITS) if isinstance(value, float) else MISSING
