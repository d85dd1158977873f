"""A program as a Python file that needs torch alone."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

from zcsr import __version__
from zcsr.errors import InputError
from zcsr.export import standalone
from zcsr.language.operations import Operation
from zcsr.language.program import Program
from zcsr.networks.instances import passes_for


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


_NETWORK: tuple[Callable[..., Any], ...] = (
    standalone.instance_tensors,
    standalone.draw_inputs,
    standalone.noise,
    standalone.network_tensors,
    standalone.gradients_of,
    standalone.as_it_was,
    standalone.Trace,
    standalone.in_place,
)

_HEAD = '''"""A zero-cost proxy: how accurate a network will be, compared with others, before it is trained.

{program}

`score(model, images)` runs the network as it is, without training it; of two networks, the one of the higher score
is expected to be more accurate. Written by zcsr {version}; it needs torch and nothing else.

{tensors}
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PROGRAM = "{program}"
INPUTS = "{inputs}"
GRADIENTS = {gradients}
NOISE_VARIANCE = {variance}


def score(model: nn.Module, images: Tensor, *, seed: int = 0) -> float:
    """Return the score of a network, higher is better; NaN where the formula gives a number that is not finite.

    `images`, float [b, c, h, w], are normalised as for training; the network maps them to logits and is left as it
    was. `seed` decides the noise, where the formula needs any. The score is the {aggregation} of the formula's
    values over all ReLU-Conv-BatchNorm instances, 0 for a network without one. Torch's own RuntimeError tells where
    the formula does not apply to the network's shapes.
    """
    found = instance_tensors(model, images, seed, INPUTS, GRADIENTS)
    with torch.inference_mode():
        values = [float({scalar}) for tensors in found]
    if not all(map(math.isfinite, values)):
        return math.nan
    return {aggregated}
'''


def to_python(program: Program) -> str:
    """Return a Python module that needs torch alone: `score(model, images, *, seed=0) -> float`.

    Its scores are those of `zcsr.score(model, images, program, seed=seed, initialise=False)`, up to rounding: it
    takes the network as it is. A network without an instance has the score 0. The same program gives the same text.
    """
    used = program.root.tensors()
    head = _HEAD.format(
        program=program,
        version=__version__,
        tensors="\n".join(f"{tensor.name}: {tensor.meaning}" for tensor in used),
        inputs="".join(passes_for(used)),
        gradients=any(tensor.gradient for tensor in used),
        variance=standalone.NOISE_VARIANCE,
        aggregation=program.aggregation,
        scalar=program.number.operation.source.format("formula(tensors)"),
        aggregated=program.root.operation.source.format("values"),
    )
    helpers = dict.fromkeys(
        helper for node in program.expression.walk() if node.args for helper in node.operation.helpers
    )
    parts = [head.rstrip(), formula_source(program), *map(_source, helpers), *map(_source, _NETWORK)]
    return "\n\n\n".join(parts) + "\n"


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


def _source(of: Callable[..., Any]) -> str:
    lines = inspect.getsource(of).rstrip().splitlines()
    return "\n".join(line.partition("  # noqa")[0].partition("  # type:")[0] for line in lines)
