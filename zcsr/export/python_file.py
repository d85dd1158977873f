"""A program as a Python file that needs torch alone."""

from __future__ import annotations

import ast
import inspect
import itertools
from typing import Any

from zcsr import __version__
from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.language.operations import Operation
from zcsr.language.program import Program
from zcsr.language.tensors import BY_NAME, Tensor
from zcsr.networks import one_pass, trace
from zcsr.networks.initialisation import random_stream, seeded
from zcsr.networks.instances import check_variance, draw_inputs, noise, passes_for
from zcsr.networks.patterns import PATTERNS, Pattern, Read


def to_sympy(program: Program) -> str:
    """Return sympy's own spelling of the value on one instance, to be read by people or pasted into sympy.

    Raises `InputError` for a program that is too large to have one (`zcsr.sameness.sympy_form.SYMPY_MAX_NODES`).
    """
    import sympy

    from zcsr.sameness.normal_form import number_tree
    from zcsr.sameness.sympy_form import SYMPY_MAX_NODES, sympy_form

    tree = number_tree(program)
    if tree.size > SYMPY_MAX_NODES:
        raise InputError(
            f"the program has {tree.size} nodes; a sympy form is made of at most {SYMPY_MAX_NODES}: "
            "take --format json or text"
        )
    return str(sympy.srepr(sympy_form(tree)))


_COPIED: tuple[Any, ...] = (
    random_stream,
    seeded,
    one_thread,
    check_variance,
    draw_inputs,
    noise,
    Read,
    Pattern,
)
"""What of zcsr the file has before the row of its pattern; the modules `trace` and `one_pass` follow whole.

Nothing in it is named before it is defined: with its annotations as text, dataclasses would need the file to be in
`sys.modules`, where not everybody who runs it puts it.
"""

_HEAD = '''"""A zero-cost proxy: how accurate a network will be, compared with others, before it is trained.

{program}

`score(model, images)` runs the network as it is, without training it; of two networks, the one of the higher score
is expected to be more accurate. Written by zcsr {version}; it needs torch and nothing else.

{meanings}
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PROGRAM = "{program}"


class InputError(RuntimeError):
    """The network, or the images, cannot be used."""


def score(model: nn.Module, images: Tensor, *, seed: int = 0) -> float:
    """Return the score of a network, higher is better; NaN where the formula gives a number that is not finite.

    `images`, float [b, c, h, w], are normalised as for training; the network maps them to logits and is left as it
    was. `seed` decides the noise, where the formula needs any. The score is the {aggregation} of the formula's
    values over all instances, 0 for a network without one. An instance is
    {meaning},
    but not the convolution that reads the images. Torch's own RuntimeError tells where the formula does not apply
    to the network's shapes.
    """
    batches, rules = draw_inputs(images, seed), Rules(PATTERN, "first")
    values = []
    with torch.inference_mode(False), one_thread():
        network = Network(model)
        passes = [one_pass(network, batches[which], rules, {objective}) for which in "{inputs}"]
        for {measured} in zip(*passes, strict=True):
            tensors = {{
                {tensors}
            }}
            values.append(float({scalar}))
    if not all(map(math.isfinite, values)):
        return math.nan
    return {aggregated}
'''


def to_python(program: Program, pattern: Pattern = PATTERNS["rcb"]) -> str:
    """Return a Python module that needs torch alone: `score(model, images, *, seed=0) -> float`.

    Its scores are those of `zcsr.score(model, images, program, seed=seed, initialise=False)` with this pattern, up
    to rounding: it takes the network as it is. A network without an instance has the score 0. The same program
    gives the same text.
    """
    used = program.root.tensors()
    inputs = passes_for(used)
    head = _HEAD.format(
        program=program,
        version=__version__,
        meanings="\n".join(f"{tensor.name}: {tensor.meaning}" for tensor in used),
        meaning=pattern.meaning,
        objective="Tensor.sum" if any(tensor.gradient for tensor in used) else None,
        inputs="".join(inputs),
        measured=", ".join(map(str.lower, inputs)) if len(inputs) > 1 else f"({inputs[0].lower()},)",
        tensors="\n                ".join(f'"{tensor.name}": {_as_seen(tensor, inputs[0])},' for tensor in used),
        aggregation=program.aggregation,
        scalar=program.number.operation.source.format("formula(tensors)"),
        aggregated=program.root.operation.source.format("values"),
    )
    helpers = dict.fromkeys(
        helper for node in program.expression.walk() if node.args for helper in node.operation.helpers
    )
    copied = (*map(_source, _COPIED), _row(pattern), _source(trace), _source(one_pass))
    return "\n\n\n".join([head.rstrip(), formula_source(program), *map(_source, helpers), *copied]) + "\n"


def _as_seen(tensor: Tensor, first: str) -> str:
    """What programs see of a tensor, taken from the passes, of which `first` has what is the same in all."""
    measured = "gradients" if tensor.gradient else "values"
    taken = f'{(tensor.input or first).lower()}.{measured}["{tensor.place.name}"]'
    return taken if tensor.reference is None else f"{taken} - {_as_seen(BY_NAME[tensor.reference], first)}"


def _row(pattern: Pattern) -> str:
    """The source of a pattern, a field or an entry a line."""
    lines = []
    for name in pattern.__dataclass_fields__:
        value = getattr(pattern, name)
        entries = "".join(f"        {one!r},\n" for one in value) if isinstance(value, tuple) else ""
        lines.append(f"    {name}=" + (f"(\n{entries}    )" if entries else repr(value)))
    return "PATTERN = Pattern(\n" + ",\n".join(lines) + ",\n)"


def formula_source(program: Program) -> str:
    """Return the source of `formula(tensors)`, which computes the tree's value on one instance's tensors.

    One line an operation; a subtree that occurs twice is computed once.
    """
    lines = [
        "def formula(tensors: dict[str, Tensor]) -> Tensor:",
        '    """Return the formula\'s value on the tensors of one instance."""',
    ]

    def named(name: str, expression: str) -> str:
        lines.append(f"    {name} = {expression}")
        return name

    def applied(operation: Operation, *args: str) -> str:
        return named(f"{operation.name}_{next(numbers)}", operation.source.format(*args))

    numbers = itertools.count(1)
    root = program.expression.fold(lambda tensor: named(tensor.name, f'tensors["{tensor.name}"]'), applied)
    return "\n".join([*lines, f"    return {root}"])


def _source(of: Any) -> str:
    """The source of a function, a class, or what follows the imports of a module, without remarks for linters."""
    text = inspect.getsource(of)
    lines = text.splitlines()
    if inspect.ismodule(of):
        imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        lines = lines[imports[-1].end_lineno :]
    kept = "\n".join(line.partition("  # noqa")[0].partition("  # type:")[0] for line in lines)
    return kept.strip()
