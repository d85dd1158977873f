"""What a program looks at and what moves its score, as tables, pictures and a report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
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
from zcsr.reports.run_page import picture
from zcsr.reports.toolkit.figures import CurvePanel, curves_figure, shares_figure
from zcsr.reports.toolkit.footprint import Cost, cost_section
from zcsr.reports.toolkit.markdown import code, escape, shortened_code, table
from zcsr.reports.toolkit.render import write_markdown
from zcsr.reports.toolkit.results import ask, query_command
from zcsr.reports.toolkit.tree import tree_figure
from zcsr.sameness.recognise import explain_sameness, program_keys
from zcsr.store import Store

SHOWN_TWINS = 20

_FILLINGS = {"own": "each its own", "weight": "weights", "activation": "activations"}
_LETTERS = {"channels": "C", "kernel": "k", "map": "H"}
_WORDS = {"channels": "channels C", "kernel": "kernel k", "map": "map H"}
_KINDS = {"size": "size of the network", "seed": "seed", "batch_size": "batch size"}


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
    archived: pl.DataFrame | None
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


def archive_twins(program: Program, store: Store) -> pl.DataFrame:
    """The programs of a store's runs that are the same as this one, by the answer of the query `same_programs`.

    Columns: text, runs (how many have it), best_fitness (in any of them), reason (in words). Those that aggregate
    instances in another way are left out, whatever keys they share.
    """
    found = ask(store, "same_programs", _keys(program)).frame
    rows = [
        (row["text"], row["runs"], row["best_fitness"], explain_sameness(program, parse(row["text"])))
        for row in found.to_dicts()
        if parse(row["text"]).aggregation == program.aggregation
    ]
    schema = {"text": pl.String, "runs": pl.Int64, "best_fitness": pl.Float64, "reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _keys(program: Program) -> dict[str, object]:
    keys = program_keys(program)
    return {
        "program": program.id,
        "normal_form": keys.normal_form,
        "sympy": keys.sympy or "",
        "fingerprint": keys.fingerprint or "",
    }


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
            _FILLINGS[one.filling],
            _shape(one),
            one.varied,
            one.value,
            *map(_finite, (one.mean, one.deviation, _root_mean_square(one))),
        )
        for group in response_groups(found)
        if any(not response.refused for response in group)
        for one in group
    ]
    schema = {
        "tensors": pl.String,
        "shape": pl.String,
        "varied": pl.String,
        "size": pl.Int64,
        "value": pl.Float64,
        "deviation": pl.Float64,
        "root_mean_square": pl.Float64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.drop("root_mean_square") if frame["root_mean_square"].is_null().all() else frame


def trend_lines(found: Sequence[Response]) -> list[str]:
    """A line for each group of responses that says how the value moves with the size."""
    return [
        f"{_FILLINGS[group[0].filling]}, {_shape(group[0])}, by {_WORDS[group[0].varied]}: {described(group)}"
        for group in response_groups(found)
    ]


def agreements_table(networks: NetworkReading) -> pl.DataFrame:
    """Two rankings of the networks, with Kendall's tau-b between them."""
    rows = [(_KINDS[one.kind], one.one, one.other, _finite(one.tau), one.networks) for one in networks.agreements]
    schema = {"of": pl.String, "one": pl.String, "other": pl.String, "tau": pl.Float64, "networks": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def depth_table(networks: NetworkReading) -> pl.DataFrame:
    """A tenth of the depth, with its share (0..1) of the sum of the instances' |value|."""
    count = len(networks.depth)
    rows = [(f"{i / count:.1f} to {(i + 1) / count:.1f}", _finite(share)) for i, share in enumerate(networks.depth)]
    return pl.DataFrame(rows, schema={"depth": pl.String, "share": pl.Float64}, orient="row")


def _root_mean_square(one: Response) -> float:
    return math.nan if one.root_mean_square is None else one.root_mean_square


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shape(one: Response) -> str:
    """The shape of the tensors, with a letter for the size that is varied."""
    sizes = {"channels": one.sizes.channels, "kernel": one.sizes.kernel, "map": one.sizes.map}
    words = {name: _LETTERS[name] if name == one.varied else str(size) for name, size in sizes.items()}
    channels, kernel, side = words.values()
    weight = f"[{channels}, {channels}, {kernel}, {kernel}]"
    activation = f"[{one.sizes.batch}, {channels}, {side}, {side}]"
    return {"weight": weight, "activation": activation, "own": f"{weight} and {activation}"}[one.filling]


# The report ----------------------------------------------------------------------------------------------------


def render_explanation(explanation: Explanation, out_dir: Path) -> Path:
    """Write `<out_dir>/<name>.md` and its pictures, and return the path of the markdown.

    The same explanation gives the same bytes.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / f"{explanation.name}.md"
    return write_markdown(path, "explain", _sections(explanation, out_dir / explanation.name))


def _sections(explanation: Explanation, pictures: Path) -> dict[str, str]:
    formula = explanation.formula
    named = explanation.name != formula.program.id
    tree = tree_figure(pictures.with_name(f"{pictures.name}-tree.png"), formula.simplified)
    return {
        "title": explanation.name if named else f"Program {explanation.name}",
        "program": code(str(formula.program)),
        "reading": _reading(explanation.name),
        "formula": _formula(formula),
        "tree": "```text\n" + "\n".join(formula.tree) + "\n```",
        "tree_picture": tree.name,
        "tensors": table(tensors_table(formula), {"tensor": lambda value: code(str(value))}),
        "inputs": inputs_line(formula),
        "twins": _twins(explanation),
        "draws": str(DRAWS),
        "sizes": _listed_sizes(Sizes()),
        "trends": "\n".join(f"- {escape(line)}" for line in trend_lines(explanation.responses)),
        "responses": _responses(explanation),
        "responses_picture": _responses_picture(explanation, pictures),
        "networks": _networks(explanation, pictures),
        "cost": cost_section(explanation.cost),
        "command": shlex.join(explanation.command),
    }


def inputs_line(formula: Formula) -> str:
    """Which inputs go through the network, and what for, as a sentence."""
    words = {"D": "data", "N": "noise", "P": "perturbed data"}
    listed = " and ".join(
        filter(None, [", ".join(words[i] for i in formula.inputs[:-1]), words[formula.inputs[-1]]])
    )
    passes = "forward and backward" if any(tensor.gradient for tensor in formula.tensors) else "forward"
    count = "one pass" if len(formula.inputs) == 1 else f"{len(formula.inputs)} passes"
    kinds = {filling_of(tensor) for tensor in formula.tensors}
    shapes = "weights and activations" if len(kinds) == 2 else f"{kinds.pop()}s"
    return f"Their shapes are those of {shapes}. It takes {count}, {passes}, of {listed}."


def _listed_sizes(sizes: Sizes) -> str:
    return (
        f"{sizes.channels} channels, a kernel of {sizes.kernel}, a map of {sizes.map} and a batch of {sizes.batch}"
    )


def _reading(name: str) -> str:
    named = next((one for one in named_programs() if one.name == name), None)
    return f"{named.source}; its tensors as {named.reading}." if named else ""


def _formula(formula: Formula) -> str:
    lines = [
        f"$$s = {formula.latex}$$",
        "",
        f"is the value of one instance; a score is the {formula.program.aggregation}",
    ]
    lines[-1] += " of the instances' values."
    if formula.rules:
        lines += ["", f"Simplified to {code(str(formula.simplified))}, because", ""]
        lines += [f"- {escape(rule)}" for rule in formula.rules]
    elif formula.simplified != formula.program:
        lines += ["", f"Simplified to {code(str(formula.simplified))}."]
    return "\n".join(lines)


def _twins(explanation: Explanation) -> str:
    parts = [f"- {code(twin.name)}: {escape(twin.reason)}" for twin in explanation.named]
    lines = ["\n".join(parts)] if parts else []
    archived = explanation.archived
    if archived is None:
        return "\n\n".join([*lines, "No store was asked for programs of its runs."])
    if archived.is_empty():
        lines.append("No program in the store's runs is known to be the same.")
    else:
        lines.append(table(archived.head(SHOWN_TWINS), {"text": shortened_code}))
        if archived.height > SHOWN_TWINS:
            lines.append(f"The first {SHOWN_TWINS} of {archived.height} programs.")
    command = shlex.join(query_command("same_programs", _keys(explanation.formula.program)))
    return "\n\n".join([*lines, f"Made by `queries/same_programs.sql`: {code(command)}"])


def _responses(explanation: Explanation) -> str:
    frame = responses_table(explanation.responses)
    return "" if frame.is_empty() else table(frame)


def _responses_picture(explanation: Explanation, pictures: Path) -> str:
    panels = [
        CurvePanel(
            title=f"{_FILLINGS[group[0].filling]}\n{_shape(group[0])}",
            position=_WORDS[group[0].varied],
            positions=[one.value for one in group],
            values=np.array([one.mean for one in group]),
            low=np.array([one.mean - one.deviation for one in group]),
            high=np.array([one.mean + one.deviation for one in group]),
        )
        for group in response_groups(explanation.responses)
        if sum(math.isfinite(one.mean) for one in group) > 1
    ]
    if not panels:
        return ""
    path = curves_figure(pictures.with_name(f"{pictures.name}-responses.png"), panels, "value")
    return picture(
        path, "The value for standard normal tensors as one size varies; bars reach a standard deviation."
    )


def _networks(explanation: Explanation, pictures: Path) -> str:
    networks = explanation.networks
    if networks is None:
        given = shlex.join(("zcsr", "explain", _given(explanation.formula.program), "--task", "SPACE:DATASET"))
        return f"None were looked at; {code(given)} does."
    parts = [
        f"{len(networks.archs)} networks of {code(networks.space)} for {code(networks.dataset)}, with images of "
        f"{code(networks.images)}. Kendall's tau-b between the scores and the size of the networks, and between "
        "scores at two seeds (of weights, minibatch and noise) or two batch sizes, all else being equal:",
        table(agreements_table(networks)),
    ]
    if networks.measured:
        path = shares_figure(
            pictures.with_name(f"{pictures.name}-depth.png"), networks.depth.tolist(), "relative depth", "share"
        )
        parts += [
            "The share of each tenth of the depth in the sum of the instances' |value|, mean over "
            f"{networks.measured} networks:",
            table(depth_table(networks)),
            picture(
                path, "Share of the sum of the instances' absolute values, from the first instance to the last."
            ),
        ]
    return "\n\n".join(parts)
