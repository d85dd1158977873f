"""A program as a formula: simplified, its tree and tensors in words, and the named programs that equal it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zcsr.language.named_programs import named_programs
from zcsr.language.program import Node, Program
from zcsr.language.tensors import Tensor
from zcsr.networks.instances import passes_for
from zcsr.sameness.normal_form import number_tree, rules_used, simplified
from zcsr.sameness.recognise import explain_sameness, program_keys
from zcsr.sameness.sympy_form import to_latex


@dataclass(frozen=True, slots=True)
class Formula:
    """A program as a formula.

    simplified: an equal program, often with a shorter text; the program itself where there is none
    rules: what was used to simplify it, in words
    latex: LaTeX of its value on one instance
    tree: the simplified program's tree, a line a node
    tensors: those that it takes
    inputs: which of D, N and P must go through the network for them
    """

    program: Program
    simplified: Program
    rules: tuple[str, ...]
    latex: str
    tree: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[str, ...]


def read_formula(program: Program) -> Formula:
    """Return a program as a formula; nothing is computed on tensors."""
    shorter = simplified(program)
    tensors = program.root.tensors()
    return Formula(
        program=program,
        simplified=shorter,
        rules=rules_used(number_tree(program)) if shorter != program else (),
        latex=to_latex(shorter),
        tree=tuple(tree_lines(shorter.expression)),
        tensors=tensors,
        inputs=passes_for(tensors),
    )


def tree_lines(root: Node) -> list[str]:
    """Return the tree as text, one line a node, each with what the operation or the tensor is."""
    labels = list(_branches(root, "", ""))
    width = max(len(label) for label, _ in labels)
    return [f"{label:<{width}}  {node.word.meaning}" for label, node in labels]


def _branches(node: Node, here: str, below: str) -> Iterator[tuple[str, Node]]:
    yield here + node.op, node
    for number, arg in enumerate(node.args, 1):
        last = number == len(node.args)
        yield from _branches(arg, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


@dataclass(frozen=True, slots=True)
class Twin:
    """A program that is known to be the same as another: its name or text, and why it is the same, in words."""

    name: str
    reason: str


def named_twins(program: Program) -> tuple[Twin, ...]:
    """Return the named programs that are a program, or aggregate as it does and share a key with it."""
    keys = program_keys(program)
    return tuple(
        Twin(named.name, explain_sameness(program, named.program))
        for named in named_programs()
        if named.program == program
        or (_aggregate_alike(named.program, program) and keys.share(program_keys(named.program)))
    )


def _aggregate_alike(one: Program, other: Program) -> bool:
    """Whether keys, which leave out the step to the score, say all of two programs."""
    if one.has_steps and other.has_steps:
        return one.aggregation == other.aggregation
    return not (one.has_steps or other.has_steps)
