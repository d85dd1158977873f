"""A program as a Python file that needs torch alone."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zcsr import __version__
from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.language.network_operations import EMPTY, INSTANCES, Constant
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program
from zcsr.language.tensors import BY_NAME, Tensor
from zcsr.networks import counts, one_pass, trace
from zcsr.networks.initialisation import random_stream, seeded
from zcsr.networks.instances import check_variance, draw_inputs, noise, passes_for
from zcsr.networks.outputs import but_the_first
from zcsr.networks.patterns import PATTERNS, Pattern, Read


def to_sympy(program: Program) -> str:
    """Return sympy's own spelling, to be read by people or pasted into sympy.

    It is of the value on one instance or, of a program without the paper's steps, of the whole formula.

    Raises `InputError` for a program that is too large to have one (`zcsr.sameness.sympy_form.SYMPY_MAX_NODES`).
    """
    import sympy

    return str(sympy.srepr(as_sympy(program)))


def as_sympy(program: Program) -> Any:
    """Return sympy's expression of what `to_sympy` spells, with its errors."""
    import sympy

    from zcsr.sameness.normal_form import number_tree
    from zcsr.sameness.sympy_form import SYMPY_MAX_NODES, sympy_form

    tree = number_tree(program) if program.has_steps else program.root
    if tree.size > SYMPY_MAX_NODES:
        raise InputError(
            f"the program has {tree.size} nodes; a sympy form is made of at most {SYMPY_MAX_NODES}: "
            "take --format json or text"
        )
    written = {node.op: sympy.Rational(node.op) for node in tree.walk() if isinstance(node.word, Constant)}
    numbers = {sympy.Symbol(name.lstrip("-"), real=True): abs(value) for name, value in written.items()}
    return sympy_form(tree).subs(numbers)


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

import copy
import hashlib
import inspect
import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

PROGRAM = "{program}"


class InputError(RuntimeError):
    """The network, or the images, cannot be used."""


def score(model: nn.Module, images: Tensor, *, seed: int = 0) -> float:
    """Return the score of a network, higher is better; NaN where the formula gives a number that is not finite.

    `images`, float [b, c, h, w], are normalised as for training; the network maps them to logits and is left as it
    was. `seed` decides the noise, where the formula needs any. {words} An instance is
    {meaning}{but}.
    Torch's own RuntimeError tells where the formula does not apply to the network's shapes.
    """
    batches, rules = draw_inputs(images, seed), Rules(PATTERN, "first")
    {columns}
    with torch.inference_mode(False), one_thread():
        network = Network(model)
        passes = [one_pass(network, batches[which], rules, {objective}) for which in "{inputs}"]
        for {measured} in zip(*passes, strict=True):
            tensors = {{
                {tensors}
            }}
            {appended}
    if not all(map(math.isfinite, {all_values})):
        return math.nan
    return {result}
'''


def to_python(program: Program, pattern: Pattern = PATTERNS["rcb"]) -> str:
    """Return a Python module that needs torch alone: `score(model, images, *, seed=0) -> float`.

    Its scores are those of `zcsr.score(model, images, program, seed=seed, initialise=False)` with this pattern, up
    to rounding: it takes the network as it is. A network without an instance has the score 0. The same program
    gives the same text.
    """
    used = program.root.tensors()
    inputs = passes_for(used)
    parts = _parts(program)
    head = _HEAD.format(
        program=program,
        version=__version__,
        meanings="\n".join(f"{tensor.name}: {tensor.meaning}" for tensor in used),
        meaning=pattern.meaning,
        but=but_the_first(pattern),
        words=parts.words,
        columns=parts.columns,
        objective="Tensor.sum" if any(tensor.gradient for tensor in used) else None,
        inputs="".join(inputs),
        measured=", ".join(map(str.lower, inputs)) if len(inputs) > 1 else f"({inputs[0].lower()},)",
        tensors="\n                ".join(f'"{tensor.name}": {_as_seen(tensor, inputs[0])},' for tensor in used),
        appended="\n            ".join(parts.appended),
        all_values=parts.all_values,
        result=parts.result,
    )
    helpers = dict.fromkeys(
        helper for node in program.root.walk() if node.args for helper in node.operation.helpers
    )
    counted = [counts] if program.known_by_proxy else []
    copied = (*map(_source, counted), *map(_source, _COPIED), _row(pattern), _source(trace), _source(one_pass))
    text = "\n\n\n".join([head.rstrip(), *parts.functions, *map(_source, helpers), *copied]) + "\n"
    return _without_unused(text)


_SOMETIMES = {
    "copy": "import copy",
    "re": "import re",
    "statistics": "import statistics",
    "FlopCounterMode": "from torch.utils.flop_counter import FlopCounterMode",
}
"""What only some files need, by the name that they use it by, with the line that imports it."""


def _without_unused(text: str) -> str:
    for name, line in _SOMETIMES.items():
        without = text.replace(f"{line}\n", "", 1)
        if not re.search(rf"\b{name}(\.\w|\()", without):
            text = without
    return text


@dataclass(frozen=True, slots=True)
class _Parts:
    """What of the file depends on the form of the program.

    words: how the score is made of the formula's values, as a sentence
    columns: makes the lists of the instances' numbers, to which `appended` adds; `all_values` are these together
    result: the score
    functions: those that compute it
    """

    words: str
    columns: str
    appended: tuple[str, ...]
    all_values: str
    result: str
    functions: tuple[str, ...]


def _parts(program: Program) -> _Parts:
    if program.has_steps:
        scalar = program.number.operation.source.format("formula(tensors)")
        words = f"The score is the {program.aggregation} of the formula's\n    values over all instances, 0 for a"
        return _Parts(
            words=f"{words} network without one.",
            columns="values = []",
            appended=(f"values.append(float({scalar}))",),
            all_values="values",
            result=program.root.operation.source.format("values"),
            functions=(formula_source(program.expression),),
        )
    numbers = range(1, len(program.columns) + 1)
    lists = [f"values_{number}" for number in numbers]
    known = {name: f"{name}={_known(name)}" for name in program.known}
    return _Parts(
        words="The score is what `combined` makes of the\n    columns' values over all instances.",
        columns="\n    ".join(f"{name}: list[float] = []" for name in lists)
        or "# no value of an instance is needed",
        appended=tuple(f"{name}.append(float(column_{number}(tensors)))" for number, name in enumerate(lists, 1))
        or ("del tensors",),
        all_values=f"({' + '.join(lists) or '()'})",
        result=f"combined({', '.join([*lists, *known.values()])})",
        functions=(
            _combined_source(program, dict(zip(program.columns, lists, strict=True))),
            *(
                formula_source(column, f"column_{number}")
                for number, column in zip(numbers, program.columns, strict=True)
            ),
        ),
    )


def _known(name: str) -> str:
    """What a file that needs torch alone knows of a network; InputError for what it cannot know."""
    sources = {
        "params": "parameters_of(model)",
        "flops": "flops_of(copy.deepcopy(model).eval(), images)",
        "depth": "depth_of(copy.deepcopy(model).eval(), images)",
        INSTANCES: "float(len(passes[0]))",
    }
    if name not in sources:
        raise InputError(
            f"the program takes {name}, which a file that needs torch alone does not compute: of what is known of "
            f"a network it computes {', '.join(sources)}; take --format json or text"
        )
    return sources[name]


def _combined_source(program: Program, lists: Mapping[Node, str]) -> str:
    """The source of `combined`, which makes the score of the columns' values and what is known of the network."""
    lines: list[str] = []
    numbers = itertools.count(1)

    def named(name: str, expression: str) -> str:
        lines.append(f"    {name} = {expression}")
        return name

    def aggregated(node: Node) -> str | None:
        if not node.word.aggregates:
            return None
        values = lists[node.args[0]]
        return named(
            f"{node.op}_{next(numbers)}", f"{node.operation.source.format(values)} if {values} else {EMPTY}"
        )

    root = program.root.fold(
        lambda word: f"({word.name})" if isinstance(word, Constant) else word.name,
        lambda operation, *args: named(f"{operation.name}_{next(numbers)}", operation.source.format(*args)),
        aggregated,
    )
    taken = [*(f"{name}: list[float]" for name in lists.values()), *(f"{name}: float" for name in program.known)]
    head = [
        f"def combined({', '.join(taken)}) -> float:",
        '    """Return the score; NaN where it is not finite."""',
    ]
    return "\n".join([*head, *lines, f"    return {root} if math.isfinite({root}) else math.nan"])


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


def formula_source(tree: Node, name: str = "formula") -> str:
    """Return the source of a function of `tensors`, which computes the tree's value on one instance's tensors.

    One line an operation; a subtree that occurs twice is computed once.
    """
    lines = [
        f"def {name}(tensors: dict[str, Tensor]) -> Tensor:",
        '    """Return the formula\'s value on the tensors of one instance."""',
    ]

    def named(name: str, expression: str) -> str:
        lines.append(f"    {name} = {expression}")
        return name

    def applied(operation: Operation, *args: str) -> str:
        return named(f"{operation.name}_{next(numbers)}", operation.source.format(*args))

    numbers = itertools.count(1)
    root = tree.fold(lambda tensor: named(tensor.name, f'tensors["{tensor.name}"]'), applied)
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
