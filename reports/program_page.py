"""What a program looks at and what moves its score, as tables, pictures and a report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from zcsr.insight.formula import Formula, Twin, named_twins, read_formula
from zcsr.insight.readings import NetworkReading
from zcsr.insight.responses import DRAWS, Response, Sizes, described, filling_of, response_groups, responses
from zcsr.language.named_programs import named_programs
from zcsr.language.program import Program
from zcsr.language.text import parse
from zcsr.proxies import language
from zcsr.reports.toolkit.answers import Answer, ask
from zcsr.reports.toolkit.figures import Panel, Series, curves_figure, shares_figure
from zcsr.reports.toolkit.footprint import Cost, cost_section
from zcsr.reports.toolkit.markdown import bullets, code, escape, listed, shortened_code, table
from zcsr.reports.toolkit.page import Page
from zcsr.reports.toolkit.tree import tree_figure
from zcsr.sameness.recognise import are_same, explain_sameness, program_keys
from zcsr.store import Store

SHOWN_TWINS = 20

_FILLINGS = {"own": "each its own", "weight": "weights", "activation": "activations"}
_LETTERS = {"channels": "C", "kernel": "k", "map": "H"}
_WORDS = {"channels": "channels C", "kernel": "kernel k", "map": "map H"}
_KINDS = {"size": "size of the network", "seed": "seed", "batch_size": "batch size"}
_INPUTS = {"D": "data", "N": "noise", "P": "perturbed data"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of a program.

    name: its name, or its id where it has none
    named: the programs with a name that are the same, the program's own name left out
    archived: the programs in a store's runs that are the same, a row each (`archive_twins`); None without a store
    networks: None where no networks were looked at
    cost: what looking at networks cost (`zcsr.reports.toolkit.footprint.read_cost`); None where it was not measured
    """

    name: str
    formula: Formula
    named: tuple[Twin, ...]
    archived: Answer | None
    responses: tuple[Response, ...]
    networks: NetworkReading | None
    command: tuple[str, ...]
    cost: Cost | None = None


def explain_program(
    program: Program, store: Store | None, networks: NetworkReading | None = None, command: Sequence[str] = ()
) -> Explanation:
    """Return all that is known of a program; `command` is what the report says it was made by."""
    name = name_of(program)
    return Explanation(
        name=name,
        formula=read_formula(program),
        named=tuple(twin for twin in named_twins(program) if twin.name != name),
        archived=None if store is None else archive_twins(program, store),
        responses=responses(program),
        networks=networks,
        command=tuple(command) or ("zcsr", "explain", _given(program)),
    )


def name_of(program: Program) -> str:
    """The name of a program, or its id where it has none."""
    return next((named.name for named in named_programs() if named.program == program), program.id)


def archive_twins(program: Program, store: Store) -> Answer:
    """The programs of a store's runs that are the same as this one, by the answer of the query `same_programs`.

    Columns: text, runs (how many have it), best_fitness (in any of them), reason (in words). Those that aggregate
    instances in another way are left out, whatever keys they share.
    """
    keys = program_keys(program)
    given = {
        "program": program.id,
        "normal_form": keys.normal_form,
        "sympy": keys.sympy or "",
        "fingerprint": keys.fingerprint or "",
    }
    found = ask(store, "same_programs", given)
    rows = [
        (row["text"], row["runs"], row["best_fitness"], explain_sameness(program, parse(row["text"], language())))
        for row in found.frame.to_dicts()
        if are_same(program, parse(row["text"], language()))
    ]
    schema = {"text": pl.String, "runs": pl.Int64, "best_fitness": pl.Float64, "reason": pl.String}
    return found.showing(pl.DataFrame(rows, schema=schema, orient="row"))


def _given(program: Program) -> str:
    """What a command takes for the program."""
    name = name_of(program)
    return str(program) if name == program.id else name


# Tables --------------------------------------------------------------------------------------------------------


def tensors_table(formula: Formula) -> pl.DataFrame:
    """A tensor that the program takes, with what it is."""
    rows = [(use.name, use.meaning) for use in formula.tensors]
    return pl.DataFrame(rows, schema={"tensor": pl.String, "meaning": pl.String}, orient="row")


def responses_table(found: Sequence[Response]) -> pl.DataFrame:
    """A size of random tensors, with what the program gives for it; NULL where it gives nothing finite."""
    rows = [
        (
            one.column,
            _FILLINGS[one.filling],
            _shape(one),
            one.varied,
            one.value,
            *map(_finite, (one.mean, one.deviation, one.root_mean_square)),
        )
        for group in response_groups(found)
        if any(not response.refused for response in group)
        for one in group
    ]
    schema = {
        **dict.fromkeys(("column", "tensors", "shape", "varied"), pl.String),
        "size": pl.Int64,
        **dict.fromkeys(("value", "deviation", "root_mean_square"), pl.Float64),
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if (frame["column"] == "").all():
        frame = frame.drop("column")
    return frame.drop("root_mean_square") if frame["root_mean_square"].is_null().all() else frame


def trend_lines(found: Sequence[Response]) -> list[str]:
    """A line for each group of responses that says how the value moves with the size."""
    return [
        f"{_of_column(group[0])}{_FILLINGS[group[0].filling]}, {_shape(group[0])}, by {_WORDS[group[0].varied]}: "
        f"{described(group)}"
        for group in response_groups(found)
    ]


def _of_column(one: Response) -> str:
    return f"{one.column}: " if one.column else ""


def agreements_table(networks: NetworkReading) -> pl.DataFrame:
    """Two rankings of the networks, with Kendall's tau-b between them."""
    rows = [(_KINDS[one.kind], one.one, one.other, _finite(one.tau), one.networks) for one in networks.agreements]
    schema = {"of": pl.String, "one": pl.String, "other": pl.String, "tau": pl.Float64, "networks": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def depth_table(networks: NetworkReading) -> pl.DataFrame:
    """A tenth of the depth, with its share (0..1) of the sum of the instances' |value|.

    The shares of a program's only column are named so; those of several are named by their texts.
    """
    count = len(networks.depth)
    several = {one.column: one.depth for one in networks.columns}
    shares = several if len(several) > 1 else {"share": networks.depth}
    rows = [
        (f"{i / count:.1f} to {(i + 1) / count:.1f}", *(_finite(of_column[i]) for of_column in shares.values()))
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema={"depth": pl.String, **dict.fromkeys(shares, pl.Float64)}, orient="row")


def terms_table(networks: NetworkReading) -> pl.DataFrame:
    """A term of the formula, with its share of the variance of the score over the networks."""
    rows = [(one.term, _finite(one.share)) for one in networks.terms]
    return pl.DataFrame(rows, schema={"term": pl.String, "share": pl.Float64}, orient="row")


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _shape(one: Response) -> str:
    """The shape of the tensors, with a letter for the size that is varied."""
    channels, kernel, side = (
        letter if name == one.varied else str(getattr(one.sizes, name)) for name, letter in _LETTERS.items()
    )
    weight = f"[{channels}, {channels}, {kernel}, {kernel}]"
    activation = f"[{one.sizes.batch}, {channels}, {side}, {side}]"
    return {"weight": weight, "activation": activation, "own": f"{weight} and {activation}"}[one.filling]


# The report ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProgramPage(Page):
    """The report on one program."""

    template = "explain"
    explanation: Explanation

    def parts(self) -> dict[str, str]:
        """Every part of the template."""
        known, formula = self.explanation, self.explanation.formula
        named = known.name != formula.program.id
        sizes = Sizes()
        frame = responses_table(known.responses)
        return {
            "title": known.name if named else f"Program {known.name}",
            "program": code(str(formula.program)),
            "reading": _reading(known.name),
            "formula": "\n\n".join(_formula(formula)),
            "tree": "```text\n" + "\n".join(formula.tree) + "\n```",
            "tree_picture": tree_figure(self.beside("tree"), formula.simplified).name,
            "tensors": table(tensors_table(formula), {"tensor": code}),
            "inputs": inputs_line(formula),
            "twins": "\n\n".join(_twins(known)),
            "draws": str(DRAWS),
            "sizes": f"{sizes.channels} channels, a kernel of {sizes.kernel}, a map of {sizes.map} and a batch of "
            f"{sizes.batch}",
            "trends": bullets(map(escape, trend_lines(known.responses))),
            "responses": "" if frame.is_empty() else table(frame),
            "responses_picture": _responses_picture(self),
            "networks": "\n\n".join(_networks(self)),
            "cost": cost_section(known.cost),
            "command": shlex.join(known.command),
        }


def render_explanation(explanation: Explanation, out_dir: Path) -> Path:
    """Write `<out_dir>/<name>.md` and its pictures, and return the path of the markdown.

    The same explanation gives the same bytes.
    """
    return ProgramPage(out_dir / f"{explanation.name}.md", explanation).write()


def inputs_line(formula: Formula) -> str:
    """Which inputs go through the network, and what for, as a sentence."""
    passes = "forward and backward" if any(tensor.gradient for tensor in formula.tensors) else "forward"
    count = "one pass" if len(formula.inputs) == 1 else f"{len(formula.inputs)} passes"
    if not formula.tensors:
        return "It looks at no tensor: what it takes is known of a network without running it."
    kinds = {filling_of(tensor) for tensor in formula.tensors}
    shapes = "weights and activations" if len(kinds) == 2 else f"{kinds.pop()}s"
    inputs = listed(_INPUTS[one] for one in formula.inputs)
    return f"Their shapes are those of {shapes}. It takes {count}, {passes}, of {inputs}."


def _reading(name: str) -> str:
    named = next((one for one in named_programs() if one.name == name), None)
    if named is None:
        return ""
    return f"{named.source}; {'its tensors as ' if named.program.has_steps else ''}{named.reading}."


def _formula(formula: Formula) -> Iterator[str]:
    yield f"$$s = {formula.latex}$$"
    if formula.program.has_steps:
        aggregation = formula.program.aggregation
        yield f"is the value of one instance; a score is the {aggregation} of the instances' values."
    else:
        yield "is the score; sums, means and the like are over the n instances of a network."
    if formula.rules:
        yield f"Simplified to {code(str(formula.simplified))}, because"
        yield bullets(map(escape, formula.rules))
    elif formula.simplified != formula.program:
        yield f"Simplified to {code(str(formula.simplified))}."


def _twins(known: Explanation) -> Iterator[str]:
    if known.named:
        yield bullets(f"{code(twin.name)}: {escape(twin.reason)}" for twin in known.named)
    if known.archived is None:
        yield "No store was asked for programs of its runs."
        return
    frame = known.archived.frame
    if frame.is_empty():
        yield "No program in the store's runs is known to be the same."
    else:
        yield table(frame.head(SHOWN_TWINS), {"text": shortened_code})
        if frame.height > SHOWN_TWINS:
            yield f"The first {SHOWN_TWINS} of {frame.height} programs."
    yield known.archived.made_by


def _responses_picture(page: ProgramPage) -> str:
    panels = []
    for group in response_groups(page.explanation.responses):
        means, deviations = np.array([(one.mean, one.deviation) for one in group]).T
        if np.isfinite(means).sum() > 1:
            title = f"{_FILLINGS[group[0].filling]}\n{_shape(group[0])}"
            curve = Series("", means, means - deviations, means + deviations)
            panels.append(Panel(title, [curve], [one.value for one in group], _WORDS[group[0].varied]))
    if not panels:
        return ""
    caption = "The value for standard normal tensors as one size varies; bars reach a standard deviation."
    return page.picture("responses", caption, curves_figure, panels, "value")


def _networks(page: ProgramPage) -> Iterator[str]:
    networks = page.explanation.networks
    if networks is None:
        program = page.explanation.formula.program
        given = shlex.join(("zcsr", "explain", _given(program), "--task", "SPACE:DATASET"))
        yield f"None were looked at; {code(given)} does."
        return
    yield (
        f"{len(networks.archs)} networks of {code(networks.space)} for {code(networks.dataset)}, with images of "
        f"{code(networks.images)}. Kendall's tau-b between the scores and the size of the networks, and between "
        "scores at two seeds (of weights, minibatch and noise) or two batch sizes, all else being equal:"
    )
    yield table(agreements_table(networks))
    if networks.terms:
        yield (
            "What moves the score: the share of each term in its variance over these networks (the covariance of "
            "the term with the score, over the variance of the score):"
        )
        yield table(terms_table(networks), {"term": code})
    if networks.measured:
        yield (
            "The share of each tenth of the depth in the sum of the instances' |value|, mean over "
            f"{networks.measured} networks:"
        )
        yield table(depth_table(networks))
        caption = "Share of the sum of the instances' absolute values, from the first instance to the last."
        for number, one in enumerate(networks.columns):
            name = "depth" if number == 0 else f"depth-{number + 1}"
            of_column = f"{caption} {one.column}" if len(networks.columns) > 1 else caption
            yield page.picture(name, of_column, shares_figure, one.depth.tolist(), "relative depth", "share")
