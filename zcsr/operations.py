"""The 34 operations of a program (EZNAS, Table 5), one row each.

Every operation is pure: it takes float tensors of any shape, changes none of them, and returns a float tensor.
A number is a tensor of shape `()`. Binary element-wise operations broadcast as torch does. Where the released
implementation of the paper is known to slip (`log` and `abslog` writing into their argument, `abslog` of the
wrong quantity), the row follows the paper's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zcsr.errors import ShapeError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operation table.

    `apply` computes the value and `shape` predicts its shape from the arguments' shapes, raising `ShapeError`
    exactly where `apply` would refuse them. `symbolic` builds the algebraic form from sympy expressions; where it
    is None the operation is opaque to algebra (a function of that name about which nothing is assumed).
    `latex` is a template with one `{i}` per argument.
    """

    index: int
    name: str
    arity: int
    apply: Callable[..., Tensor]
    shape: Callable[..., Shape]
    doc: str
    latex: str
    symbolic: Callable[..., Any] | None = None
    commutative: bool = False
    associative: bool = False


# Shape rules ---------------------------------------------------------------------------------------------------


def _same(a: Shape) -> Shape:
    return a


def _number(_: Shape) -> Shape:
    return ()


def broadcast(a: Shape, b: Shape) -> Shape:
    """Return the shape two shapes broadcast to, by torch's rule; raises `ShapeError` if they do not."""
    if a == b:
        return a
    merged = []
    for left, right in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if left != right and left != 1 and right != 1:
            raise ShapeError(f"shapes {a} and {b} do not broadcast")
        merged.append(right if left == 1 else left)
    return tuple(reversed(merged))


def _broadcast_to_number(a: Shape, b: Shape) -> Shape:
    broadcast(a, b)
    return ()


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ShapeError(f"matmul takes tensors of at least one dimension, not {a} and {b}")
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ShapeError(f"matmul of {a} and {b}: inner sizes {a[-1]} and {inner} differ")
    return broadcast(a[:-2], b[:-2]) + rows + columns


def _square_matrices(a: Shape) -> Shape:
    if len(a) < 2 or a[-1] != a[-2]:
        raise ShapeError(f"a determinant takes square matrices in the last two dimensions, not {a}")
    return a[:-2]


def _rows(a: Shape) -> Shape:
    """Shape of `a` flattened to (a[0], -1)."""
    if not a or a[0] == 0:
        raise ShapeError(f"a leading dimension of at least one is needed to flatten to rows, not {a}")
    return (a[0], math.prod(a[1:]))


def _gram_to_number(a: Shape) -> Shape:
    _rows(a)
    return ()


def _kl_shape(a: Shape, b: Shape) -> Shape:
    if not a:
        raise ShapeError("kl takes log-probabilities of at least one dimension, not a number")
    broadcast(a, b)
    return ()


def _cosine_shape(a: Shape, b: Shape) -> Shape:
    count, width = _rows(a)
    if math.prod(b) % count:
        raise ShapeError(f"cosine of {a} and {b}: the second cannot be flattened to {count} rows")
    broadcast((width,), (math.prod(b) // count,))
    return ()


# Operations that are more than one call ------------------------------------------------------------------------


def _as_float(mask: Tensor, like: Tensor) -> Tensor:
    return mask.to(like.dtype)


def _log(a: Tensor) -> Tensor:
    return torch.log(torch.where(a <= 0, 1.0, a))


def _abslog(a: Tensor) -> Tensor:
    return torch.log(torch.where(a == 0, 1.0, a).abs())


def _nan_to_zero(a: Tensor) -> Tensor:
    return torch.where(torch.isnan(a), 0.0, a)


def _normalise(a: Tensor) -> Tensor:
    # The deviation of equal values is zero only up to rounding, and that of one value is undefined.
    if a.numel() < 2 or torch.equal(*torch.aminmax(a)):
        return torch.zeros_like(a)
    return _nan_to_zero((a - a.mean()) / a.std())


def _heaviside(a: Tensor) -> Tensor:
    return torch.heaviside(a, a.new_zeros(()))


def _gram(a: Tensor) -> Tensor:
    rows = a.reshape(a.shape[0], -1)
    return rows @ rows.T


def _last_over_first(gram: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    if not torch.isfinite(gram).all():  # LAPACK raises on these; the ratio is simply not a number
        return gram.new_full((), math.nan)
    values = eigenvalues(gram)
    return (values[-1] / values[0]).real.to(gram.dtype)


def _eig_ratio_sym(a: Tensor) -> Tensor:
    gram = _gram(a)
    return _last_over_first(gram + gram.T, torch.linalg.eigvalsh)


def _eig_ratio(a: Tensor) -> Tensor:
    return _last_over_first(_gram(a), torch.linalg.eigvals)


def _hamming(a: Tensor, b: Tensor) -> Tensor:
    return (_heaviside(a) != _heaviside(b)).sum().to(a.dtype)


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return F.kl_div(a, b, reduction="sum") / a.shape[0]


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    count = a.shape[0]
    return F.cosine_similarity(a.reshape(count, -1), b.reshape(count, -1), dim=1).sum()


def _softmax(a: Tensor) -> Tensor:
    # The dimension torch takes when none is named: channels for activations, as in the release.
    return torch.softmax(a, dim=0 if a.ndim in (0, 1, 3) else 1)


def _numel(a: Tensor) -> Tensor:
    return a.new_full((), float(a.numel()))


def _symbolic_exp(a: Any) -> Any:
    import sympy

    return sympy.exp(a)


# The table -----------------------------------------------------------------------------------------------------

OPERATIONS: tuple[Operation, ...] = (
    Operation(0, "add", 2, torch.add, broadcast, "sum A + B", "{0} + {1}",
              lambda a, b: a + b, commutative=True, associative=True),
    Operation(1, "sub", 2, torch.sub, broadcast, "difference A - B", "{0} - {1}", lambda a, b: a - b),
    Operation(2, "mul", 2, torch.mul, broadcast, "element-wise product A * B", r"{0} \odot {1}",
              lambda a, b: a * b, commutative=True, associative=True),
    Operation(3, "matmul", 2, torch.matmul, _matmul_shape,
              "matrix product A @ B over the last two dimensions", "{0} {1}"),
    Operation(4, "lt", 2, lambda a, b: _as_float(a < b, a), broadcast, "1 where A < B, else 0",
              r"\left[{0} < {1}\right]"),
    Operation(5, "gt", 2, lambda a, b: _as_float(a > b, a), broadcast, "1 where A > B, else 0",
              r"\left[{0} > {1}\right]"),
    Operation(6, "eq", 2, lambda a, b: _as_float(a == b, a), broadcast, "1 where A equals B, else 0",
              r"\left[{0} = {1}\right]", commutative=True),
    Operation(7, "log", 1, _log, _same, "natural logarithm, with A <= 0 read as 1", r"\log^{{+}}\left({0}\right)"),
    Operation(8, "abslog", 1, _abslog, _same, "log|A|, with A = 0 read as 1", r"\log\left|{0}\right|"),
    Operation(9, "abs", 1, torch.abs, _same, "absolute value", r"\left|{0}\right|", abs),
    Operation(10, "square", 1, torch.square, _same, "A * A", r"\left({0}\right)^{{2}}", lambda a: a**2),
    Operation(11, "exp", 1, torch.exp, _same, "exponential", r"e^{{{0}}}", _symbolic_exp),
    Operation(12, "normalise", 1, _normalise, _same,
              "(A - mean) / standard deviation over all elements (unbiased), NaN set to 0",
              r"\operatorname{{normalise}}\left({0}\right)"),
    Operation(13, "relu", 1, torch.relu, _same, "max(A, 0)", r"\operatorname{{relu}}\left({0}\right)"),
    Operation(14, "sign", 1, torch.sign, _same, "-1, 0 or 1", r"\operatorname{{sign}}\left({0}\right)"),
    Operation(15, "heaviside", 1, _heaviside, _same, "step function, 0 at 0", r"H\left({0}\right)"),
    Operation(16, "reciprocal", 1, torch.reciprocal, _same, "1 / A", r"\frac{{1}}{{{0}}}", lambda a: 1 / a),
    Operation(17, "fro", 1, torch.linalg.vector_norm, _number,
              "Frobenius norm over all elements, a number", r"\left\lVert {0} \right\rVert_F"),
    Operation(18, "det", 1, torch.linalg.det, _square_matrices,
              "determinant of the matrices in the last two dimensions", r"\det\left({0}\right)"),
    Operation(19, "logdet", 1, lambda a: _nan_to_zero(torch.logdet(a)), _square_matrices,
              "logarithm of the determinant over the last two dimensions, NaN (a negative one) set to 0",
              r"\log\det\left({0}\right)"),
    Operation(20, "eig_ratio_sym", 1, _eig_ratio_sym, _gram_to_number,
              "largest over smallest eigenvalue of G + G', G the Gram matrix of A flattened to rows",
              r"\rho_{{\mathrm{{sym}}}}\left({0}\right)"),
    Operation(21, "eig_ratio", 1, _eig_ratio, _gram_to_number,
              "last over first eigenvalue, real part, of the Gram matrix of A flattened to rows",
              r"\rho\left({0}\right)"),
    Operation(22, "mean", 1, lambda a: a.sum() / a.numel(), _number,
              "sum over the number of elements, a number", r"\overline{{{0}}}"),
    Operation(23, "l1", 1, lambda a: a.abs().sum() / a.numel(), _number,
              "sum of |A| over the number of elements, a number", r"\left\lVert {0} \right\rVert_1"),
    Operation(24, "hamming", 2, _hamming, _broadcast_to_number,
              "number of elements whose step function differs between A and B",
              r"d_H\left({0}, {1}\right)", commutative=True),
    Operation(25, "kl", 2, _kl, _kl_shape,
              "Kullback-Leibler divergence, A as log-probabilities, B as target, over the leading dimension",
              r"\operatorname{{KL}}\left({0}, {1}\right)"),
    Operation(26, "cosine", 2, _cosine, _cosine_shape,
              "cosine similarity of A and B flattened to A's leading dimension, summed over the rows",
              r"\cos\left({0}, {1}\right)"),
    Operation(27, "softmax", 1, _softmax, _same,
              "softmax over dimension 1 (dimension 0 of tensors with 0, 1 or 3 dimensions)",
              r"\operatorname{{softmax}}\left({0}\right)"),
    Operation(28, "sigmoid", 1, torch.sigmoid, _same, "logistic function", r"\sigma\left({0}\right)"),
    Operation(29, "ones_like", 1, torch.ones_like, _same, "ones in the shape of A",
              r"\mathbf{{1}}\left({0}\right)"),
    Operation(30, "zeros_like", 1, torch.zeros_like, _same, "zeros in the shape of A",
              r"\mathbf{{0}}\left({0}\right)"),
    Operation(31, "positive", 1, lambda a: _as_float(a > 0, a), _same, "1 where A > 0, else 0",
              r"\left[{0} > 0\right]"),
    Operation(32, "negative", 1, lambda a: _as_float(a < 0, a), _same, "1 where A < 0, else 0",
              r"\left[{0} < 0\right]"),
    Operation(33, "numel", 1, _numel, _number, "number of elements", r"\left|{0}\right|_{{\#}}"),
)  # fmt: skip

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}
