"""The operations on an instance that the paper's language lacks, one row each.

Views say what a row of a matrix is; what follows them looks at rows, of whatever tensor. So
`effective_rank(channels(T4_N))` is that of the channels, one row each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from zcsr.language import kernels, matrices, plain, shapes
from zcsr.language.operations import Operation, elementwise, pairwise, unary
from zcsr.language.shapes import Shape

Stacked = Callable[[Tensor], Tensor]


def _matrix(
    name: str, shape: Callable[..., Shape], meaning: str, latex: str, function: Stacked | None = None, **facts: Any
) -> Operation:
    """A row whose function is exported as it is, by the name that it has in `matrices`."""
    stacked: Stacked = function or getattr(matrices, name)
    helpers = tuple(_used(stacked).values())
    source = f"{stacked.__name__}({{0}}[None])[0]"
    return unary(name, stacked, shape, meaning, latex, source, helpers=helpers, **facts)


_MATRICES: dict[str, Callable[..., Any]] = dict(inspect.getmembers(matrices, inspect.isfunction))


def _used(function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """A function and all that it calls in `matrices`, by their names."""
    found: dict[str, Callable[..., Any]] = {}
    pending = [function.__name__]
    while pending:
        name = pending.pop()
        if name in _MATRICES and name not in found:
            found[name] = _MATRICES[name]
            pending += _names_in(found[name].__code__)
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    """All names that a function looks up, within comprehensions too."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_in(part)


def _reduction(name: str, stacked: Stacked, meaning: str, source: str, **facts: Any) -> Operation:
    """A row that makes a number of a tensor, and leaves what is a number to the aggregation of its name."""
    latex = rf"\operatorname{{{{{name.replace('_', ' ')}}}}}\left({{0}}\right)"
    return unary(name, stacked, shapes.some, meaning, latex, source, takes_numbers=False, **facts)


def _quantile(name: str, percent: int, meaning: str) -> Operation:
    return _reduction(
        name,
        partial(matrices.quantile, share=percent / 100),
        meaning,
        f"quantile({{0}}[None], {percent / 100})[0]",
        helpers=tuple(_used(matrices.quantile).values()),
        sign="as arguments",
    )


def _operator(name: str) -> str:
    return rf"\operatorname{{{{{name}}}}}\left({{0}}\right)"


INSTANCE_OPERATIONS: tuple[Operation, ...] = (
    _matrix("channels", shapes.by_channel, "a row for each channel: samples and pixels side by side",
            _operator("channels"), matrices.by_channel, of="activations", sign="as arguments"),
    _matrix("channels", shapes.rows, "a row for each output channel", _operator("channels"), matrices.as_rows,
            of="weights", sign="as arguments"),
    _matrix("samples", shapes.rows, "a row for each sample (of weights, for each output channel)",
            _operator("samples"), matrices.as_rows, sign="as arguments"),
    _matrix("maps", shapes.by_map, "a row for each map: for each sample and channel (of weights, for each kernel)",
            _operator("maps"), matrices.by_map, sign="as arguments"),
    _matrix("centre", shapes.with_rows, "A less the mean of each row", _operator("centre"), matrices.centred),
    unary("gram", kernels.gram, shapes.square_of_rows, "the products of each two rows", r"{0} {0}^{{\top}}",
          "gram({0})", helpers=(plain.gram,), sign="as arguments", factors=True),
    _matrix("row_sums", shapes.one_a_row, "the sum of each row", _operator("row sums"), sign="as arguments"),
    _matrix("effective_rank", shapes.with_rows_to_number,
            "trace^2 over Frobenius norm^2 of the covariance of the rows, a number: how many directions they have",
            _operator("rank_{{\\mathrm{{eff}}}}"), sign="never negative"),
    _matrix("spectral_entropy", shapes.with_rows_to_number,
            "entropy of the shares of the eigenvalues of the covariance of the rows, a number",
            _operator("entropy"), sign="never negative"),
    _matrix("largest_share", shapes.with_rows_to_number,
            "share of the largest eigenvalue of the covariance of the rows, a number", _operator("share_{{1}}"),
            sign="never negative"),
    _matrix("nuclear_norm", shapes.with_rows_to_number, "sum of the singular values of the rows, a number",
            r"\left\lVert {0} \right\rVert_*", even=True, sign="never negative"),
    _matrix("logdet_gram", shapes.with_rows_to_number,
            "logarithm of the determinant of the products of each two rows, a number; -inf where they depend on "
            "each other", r"\log\det\left({0} {0}^{{\top}}\right)", even=True),
    _matrix("agreement", shapes.square_of_rows,
            "for each two rows the number of columns where both are above 0, or neither", _operator("agreement"),
            sign="never negative"),
    _matrix("patterns", shapes.with_rows_to_number,
            "number of different columns, as to what is above 0, a number", _operator("patterns"),
            sign="never negative"),
    _reduction("sum", lambda a: matrices.as_one_row(a).sum(1), "sum of the elements, a number", "{0}.sum()",
               sign="as arguments"),
    _reduction("std", matrices.std, "standard deviation of the elements, a number", "std({0}[None])[0]",
               helpers=tuple(_used(matrices.std).values()), sign="never negative"),
    _reduction("largest", lambda a: matrices.as_one_row(a).amax(1), "largest element, a number", "{0}.amax()",
               sign="as arguments"),
    _reduction("smallest", lambda a: matrices.as_one_row(a).amin(1), "smallest element, a number", "{0}.amin()",
               sign="as arguments"),
    _quantile("median", 50, "median of the elements, a number"),
    *(_quantile(f"quantile_{percent}", percent, f"what {percent}% of the elements do not exceed, a number")
      for percent in (10, 25, 75, 90)),
    _reduction("fraction", lambda a: kernels.mean(kernels.positive(a)), "share of the elements above 0, a number",
               "({0} > 0).to({0}.dtype).mean()", sign="never negative"),
    elementwise("sqrt", torch.sqrt, "square root, NaN below 0", r"\sqrt{{{0}}}", "{0}.sqrt()",
                symbolic=lambda a: _sympy_sqrt(a), sign="never negative"),
    pairwise("div", kernels.pairwise(torch.div), "A / B", r"\frac{{{0}}}{{{1}}}", "{0} / {1}",
             symbolic=lambda a, b: None if b.is_zero else a / b, sign="as arguments"),
    pairwise("minimum", kernels.pairwise(torch.minimum), "the smaller of A and B", r"\min\left({0}, {1}\right)",
             "torch.minimum({0}, {1})", commutative=True, associative=True, sign="as arguments"),
    pairwise("maximum", kernels.pairwise(torch.maximum), "the larger of A and B", r"\max\left({0}, {1}\right)",
             "torch.maximum({0}, {1})", commutative=True, associative=True, sign="as arguments"),
)  # fmt: skip
"""Views, spectra, patterns, what is made of the order of the elements, and arithmetic that the paper lacks."""


def _sympy_sqrt(a: Any) -> Any:
    import sympy

    return sympy.sqrt(a)
