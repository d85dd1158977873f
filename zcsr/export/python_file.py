"""A program as a Python file that needs torch alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import zcsr
from zcsr.errors import InputError
from zcsr.export import standalone
from zcsr.language.program import TENSOR_NAMES, Node, Program
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


_EXPRESSIONS: Mapping[str, str] = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "matmul": "{0} @ {1}",
    "lt": "({0} < {1}).to({0}.dtype)",
    "gt": "({0} > {1}).to({0}.dtype)",
    "eq": "({0} == {1}).to({0}.dtype)",
    "log": "torch.where({0} <= 0, 1.0, {0}).log()",
    "abslog": "torch.where({0} == 0, 1.0, {0}.abs()).log()",
    "abs": "{0}.abs()",
    "square": "{0}.square()",
    "exp": "{0}.exp()",
    "normalise": "normalise({0})",
    "relu": "torch.relu({0})",
    "sign": "torch.sign({0})",
    "heaviside": "({0} > 0).to({0}.dtype)",
    "reciprocal": "1 / {0}",
    "fro": "torch.linalg.vector_norm({0})",
    "det": "torch.linalg.det({0})",
    "logdet": "nan_to_zero(torch.logdet({0}))",
    "eig_ratio_sym": "eig_ratio_sym({0})",
    "eig_ratio": "eig_ratio({0})",
    "mean": "{0}.mean()",
    "l1": "{0}.abs().mean()",
    "hamming": "(({0} > 0) != ({1} > 0)).sum().to({0}.dtype)",
    "kl": 'F.kl_div({0}, {1}, reduction="sum") / {0}.shape[0]',
    "cosine": "cosine({0}, {1})",
    "softmax": "softmax({0})",
    "sigmoid": "torch.sigmoid({0})",
    "ones_like": "torch.ones_like({0})",
    "zeros_like": "torch.zeros_like({0})",
    "positive": "({0} > 0).to({0}.dtype)",
    "negative": "({0} < 0).to({0}.dtype)",
    "numel": "{0}.new_tensor(float({0}.numel()))",
}
"""How a file that needs torch alone writes each operation; what has a bare name is in `zcsr.export.standalone`."""

_HELPERS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "normalise": (standalone.nan_to_zero, standalone.normalise),
    "logdet": (standalone.nan_to_zero,),
    "eig_ratio": (standalone.gram, standalone.last_over_first, standalone.eig_ratio),
    "eig_ratio_sym": (standalone.gram, standalone.last_over_first, standalone.eig_ratio_sym),
    "softmax": (standalone.softmax,),
    "cosine": (standalone.cosine,),
}

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
    used = sorted(program.root.tensors(), key=TENSOR_NAMES.index)
    head = _HEAD.format(
        program=program,
        version=zcsr.__version__,
        tensors="\n".join(f"{name}: {tensor_meaning(name)}" for name in used),
        inputs="".join(passes_for(used)),
        gradients=any(is_gradient(name) for name in used),
        variance=standalone.NOISE_VARIANCE,
        aggregation=program.aggregation,
        scalar="formula(tensors).mean()"
        if program.to_scalar == "mean"
        else "torch.linalg.vector_norm(formula(tensors))",
        aggregated="math.fsum(values)" + (" / max(1, len(values))" if program.aggregation == "mean" else ""),
    )
    helpers = dict.fromkeys(helper for node in program.root.walk() for helper in _HELPERS.get(node.op, ()))
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
    names: dict[Node, str] = {}
    for node in _in_order(program.root):
        if node.args:
            names[node] = f"{node.op}_{sum(bool(known.args) for known in names) + 1}"
            expression = _EXPRESSIONS[node.op].format(*(names[arg] for arg in node.args))
        else:
            names[node] = node.op
            expression = f'tensors["{node.op}"]'
        lines.append(f"    {names[node]} = {expression}")
    return "\n".join([*lines, f"    return {names[program.root]}"])


def _in_order(root: Node) -> Iterator[Node]:
    """The distinct subtrees, arguments first."""
    known: set[Node] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node not in known:
            for arg in node.args:
                yield from visit(arg)
            known.add(node)
            yield node

    return visit(root)


def _source(of: Callable[..., Any]) -> str:
    lines = inspect.getsource(of).rstrip().splitlines()
    return "\n".join(line.partition("  # noqa")[0].partition("  # type:")[0] for line in lines)


_PLACES: Mapping[str, str] = {
    "T1": "the ReLU's input",
    "T2": "the convolution's input",
    "T3": "the convolution's weight",
    "T4": "the BatchNorm's output",
}

_INPUT_WORDS: Mapping[str, str] = {
    "": "",
    "D": " for data",
    "N": " for noise",
    "P": ", what changes in it when data are perturbed",
}


def is_gradient(tensor: str) -> bool:
    """Return whether a tensor, by its name, is a gradient."""
    return tensor.partition("_")[0].endswith("G")


def tensor_meaning(tensor: str) -> str:
    """Return in words what a tensor, by its name, is."""
    base, _, which = tensor.partition("_")
    place = _PLACES[base[:2]]
    return (f"the gradient at {place}" if base.endswith("G") else place) + _INPUT_WORDS[which]
