"""The 34 operations of a program (EZNAS, Table 5), one row each.

Every operation is pure: it takes float tensors of any shape, changes none of them, and returns a float tensor.
A number is a tensor of shape `()`. Binary element-wise operations broadcast as torch does. Where the released
implementation of the paper is known to slip (`log` and `abslog` writing into their argument, `abslog` of the
wrong quantity), the row follows the paper's table.

Operations are written over stacks, so that many instances cost one call: a leading dimension that counts tensors
which have nothing to do with each other. Within a stack, each is computed as if it were alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zcsr.errors import ShapeError

Shape = tuple[int, ...]

SMALL_DEVIATION = 1e-3
"""Relative to the mean, above which values cannot be equal up to rounding."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operation table.

    `stacked` computes the values of stacks, all of one length of at least 1: `[k, *shape]` for each argument, and
    for the result. `shape` predicts a value's shape from the arguments' shapes, without the stack, raising
    `ShapeError` exactly where they are refused. An `elementwise` operation makes each element of its result of the
    elements at the same place, so it may be given tensors that only broadcast to `[k, *shape]`, and then returns
    such a one. `symbolic` builds the algebraic form from sympy expressions; where it is None the operation is
    opaque to algebra (a function of that name about which nothing is assumed). `latex` is a template with one `{i}`
    per argument.
    """

    index: int
    name: str
    arity: int
    stacked: Callable[..., Tensor]
    shape: Callable[..., Shape]
    doc: str
    latex: str
    symbolic: Callable[..., Any] | None = None
    elementwise: bool = False
    commutative: bool = False
    associative: bool = False

    def apply(self, *args: Tensor) -> Tensor:
        """Return the value for tensors as they are, without a stack; `ShapeError` where they are refused."""
        self.shape(*(tuple(arg.shape) for arg in args))
        return self.stacked(*(arg.unsqueeze(0) for arg in args)).squeeze(0)


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


# Operations over stacks -----------------------------------------------------------------------------------------
#
# The ways round were measured: comparisons that write numbers at once, `threshold` for `where`, a deviation from
# the norm, numpy's logarithm and exponential. They give what the plain ones give, several times as fast.


def _pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """An element-wise operation of two stacks, whose tensors may differ in their number of dimensions."""
    return lambda a, b: function(*_aligned(a, b))


def _aligned(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same number of dimensions, so that the stacks' own stay first."""
    if a.ndim < b.ndim:
        return _with_dimensions(a, b.ndim), b
    return a, _with_dimensions(b, a.ndim) if b.ndim < a.ndim else b


def _with_dimensions(a: Tensor, count: int) -> Tensor:
    return a.reshape(a.shape[0], *(1,) * (count - a.ndim), *a.shape[1:])


def _rows_of(a: Tensor) -> Tensor:
    """Each tensor of the stack as one row, [k, n]."""
    return a.reshape(a.shape[0], math.prod(a.shape[1:]))


def _matrices_of(a: Tensor) -> Tensor:
    """Each tensor flattened to its own leading dimension, [k, rows, columns]."""
    return a.reshape(a.shape[0], a.shape[1], math.prod(a.shape[2:]))


def _per_tensor(numbers: Tensor, like: Tensor) -> Tensor:
    """One number for each tensor of a stack, [k], shaped to broadcast over `like`."""
    return numbers.reshape(-1, *(1,) * (like.ndim - 1))


def _compare(comparison: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def compare(a: Tensor, b: Tensor) -> Tensor:
        return comparison(a, b, out=a.new_empty(broadcast(a.shape, b.shape)))

    return _pairwise(compare)


def _by_numpy(function: np.ufunc, a: Tensor) -> Tensor:
    """An element-wise function of numpy's, written over its argument, which must be the caller's own."""
    array = a.numpy()
    with np.errstate(all="ignore"):
        function(array, out=array)
    return a


def _positive(a: Tensor) -> Tensor:
    return torch.gt(a, 0, out=torch.empty_like(a))


def _negative(a: Tensor) -> Tensor:
    return torch.lt(a, 0, out=torch.empty_like(a))


def _log(a: Tensor) -> Tensor:
    return _by_numpy(np.log, F.threshold(a, 0.0, 1.0))


def _abslog(a: Tensor) -> Tensor:
    return _by_numpy(np.log, F.threshold(a.abs(), 0.0, 1.0, inplace=True))


def _exp(a: Tensor) -> Tensor:
    return _by_numpy(np.exp, a.clone())


def _sigmoid(a: Tensor) -> Tensor:
    # torch's own gives other bits at the end of a stack than within it.
    return _by_numpy(np.exp, a.neg()).add_(1.0).reciprocal_()


def _nan_to_zero(a: Tensor) -> Tensor:
    return torch.nan_to_num(a, nan=0.0, posinf=math.inf, neginf=-math.inf)


def _far_from_zero(deviation: NDArray[Any], mean: NDArray[Any]) -> bool:
    """Whether all the deviations are finite, and too large to be zero but for rounding."""
    return bool(((deviation > np.abs(mean) * SMALL_DEVIATION) & np.isfinite(deviation)).all())


def _normalise(a: Tensor) -> Tensor:
    rows = _rows_of(a)
    count = rows.shape[1]
    if count < 2:
        return torch.zeros_like(a)
    mean = rows.mean(1, keepdim=True)
    scaled = rows - mean
    deviation = torch.linalg.vector_norm(scaled, dim=1, keepdim=True) / math.sqrt(count - 1)
    scaled.div_(deviation)
    # The deviation of equal values is zero only up to rounding, so a small one is looked at more closely.
    if not _far_from_zero(deviation.numpy(), mean.numpy()):
        scaled[rows.amin(1) == rows.amax(1)] = 0.0
        scaled = _nan_to_zero(scaled)
    return scaled.reshape(a.shape)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """As torch: a tensor of one dimension is a row on the left, a column on the right, and none of both after."""
    left = a.unsqueeze(1) if a.ndim == 2 else a
    right = b.unsqueeze(2) if b.ndim == 2 else b
    product: Tensor = torch.matmul(*_aligned(left, right))
    if b.ndim == 2:
        product = product.squeeze(-1)
    if a.ndim == 2:
        product = product.squeeze(-2 if b.ndim > 2 else -1)
    return product


def _fro(a: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(_rows_of(a), dim=1)
    return norms


def _gram(a: Tensor) -> Tensor:
    rows = _matrices_of(a)
    return rows @ rows.transpose(1, 2)


def _last_over_first(gram: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    if gram.shape[1] == 1:
        return (gram / gram)[:, 0, 0]  # the only eigenvalue over itself
    # LAPACK raises on what is not finite; the ratio is simply not a number.
    finite = torch.isfinite(gram).all(2).all(1)
    values = eigenvalues(torch.where(_per_tensor(finite, gram), gram, 1.0))
    return torch.where(finite, (values[:, -1] / values[:, 0]).real.to(gram.dtype), math.nan)


def _eig_ratio_sym(a: Tensor) -> Tensor:
    gram = _gram(a)
    return _last_over_first(gram + gram.transpose(1, 2), torch.linalg.eigvalsh)


def _eig_ratio(a: Tensor) -> Tensor:
    return _last_over_first(_gram(a), torch.linalg.eigvals)


def _mean(a: Tensor) -> Tensor:
    rows = _rows_of(a)
    return rows.sum(1) / rows.shape[1]


def _hamming(a: Tensor, b: Tensor) -> Tensor:
    left, right = _aligned(_positive(a), _positive(b))
    return _rows_of((left - right).abs_()).sum(1)  # whole numbers, exact in single precision up to 2^24


def _kl(a: Tensor, b: Tensor) -> Tensor:
    given, target = _aligned(a, b)
    total = _rows_of(target * _log(target) - target * given).sum(1) / a.shape[1]
    # A negative target has no logarithm, where `_log` would read 0.
    lowest = _rows_of(target).amin(1) if target.numel() else target.new_zeros(len(target))
    return torch.where(lowest < 0, math.nan, total)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    rows = _matrices_of(a)
    return F.cosine_similarity(rows, b.reshape(len(b), rows.shape[1], -1), dim=2).sum(1)


def _softmax(a: Tensor) -> Tensor:
    # The dimension torch takes when none is named: channels for activations, as in the release.
    dimensions = a.ndim - 1
    if dimensions == 0:
        return torch.softmax(a.unsqueeze(1), dim=1).squeeze(1)
    return torch.softmax(a, dim=1 if dimensions in (1, 3) else 2)


def _numel(a: Tensor) -> Tensor:
    return a.new_full((len(a),), float(math.prod(a.shape[1:])))


def _symbolic_exp(a: Any) -> Any:
    import sympy

    return sympy.exp(a)


# The table -----------------------------------------------------------------------------------------------------

OPERATIONS: tuple[Operation, ...] = (
    Operation(0, "add", 2, _pairwise(torch.add), broadcast, "sum A + B", "{0} + {1}",
              lambda a, b: a + b, elementwise=True, commutative=True, associative=True),
    Operation(1, "sub", 2, _pairwise(torch.sub), broadcast, "difference A - B", "{0} - {1}",
              lambda a, b: a - b, elementwise=True),
    Operation(2, "mul", 2, _pairwise(torch.mul), broadcast, "element-wise product A * B", r"{0} \odot {1}",
              lambda a, b: a * b, elementwise=True, commutative=True, associative=True),
    Operation(3, "matmul", 2, _matmul, _matmul_shape,
              "matrix product A @ B over the last two dimensions", "{0} {1}"),
    Operation(4, "lt", 2, _compare(torch.lt), broadcast, "1 where A < B, else 0",
              r"\left[{0} < {1}\right]", elementwise=True),
    Operation(5, "gt", 2, _compare(torch.gt), broadcast, "1 where A > B, else 0",
              r"\left[{0} > {1}\right]", elementwise=True),
    Operation(6, "eq", 2, _compare(torch.eq), broadcast, "1 where A equals B, else 0",
              r"\left[{0} = {1}\right]", elementwise=True, commutative=True),
    Operation(7, "log", 1, _log, _same, "natural logarithm, with A <= 0 read as 1",
              r"\log^{{+}}\left({0}\right)", elementwise=True),
    Operation(8, "abslog", 1, _abslog, _same, "log|A|, with A = 0 read as 1", r"\log\left|{0}\right|",
              elementwise=True),
    Operation(9, "abs", 1, torch.abs, _same, "absolute value", r"\left|{0}\right|", abs, elementwise=True),
    Operation(10, "square", 1, torch.square, _same, "A * A", r"\left({0}\right)^{{2}}", lambda a: a**2,
              elementwise=True),
    Operation(11, "exp", 1, _exp, _same, "exponential", r"e^{{{0}}}", _symbolic_exp, elementwise=True),
    Operation(12, "normalise", 1, _normalise, _same,
              "(A - mean) / standard deviation over all elements (unbiased), NaN set to 0",
              r"\operatorname{{normalise}}\left({0}\right)"),
    Operation(13, "relu", 1, torch.relu, _same, "max(A, 0)", r"\operatorname{{relu}}\left({0}\right)",
              elementwise=True),
    Operation(14, "sign", 1, torch.sign, _same, "-1, 0 or 1", r"\operatorname{{sign}}\left({0}\right)",
              elementwise=True),
    Operation(15, "heaviside", 1, _positive, _same, "step function, 0 at 0", r"H\left({0}\right)",
              elementwise=True),
    Operation(16, "reciprocal", 1, torch.reciprocal, _same, "1 / A", r"\frac{{1}}{{{0}}}", lambda a: 1 / a,
              elementwise=True),
    Operation(17, "fro", 1, _fro, _number,
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
    Operation(22, "mean", 1, _mean, _number,
              "sum over the number of elements, a number", r"\overline{{{0}}}"),
    Operation(23, "l1", 1, lambda a: _mean(a.abs()), _number,
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
    Operation(28, "sigmoid", 1, _sigmoid, _same, "logistic function", r"\sigma\left({0}\right)",
              elementwise=True),
    Operation(29, "ones_like", 1, torch.ones_like, _same, "ones in the shape of A",
              r"\mathbf{{1}}\left({0}\right)"),
    Operation(30, "zeros_like", 1, torch.zeros_like, _same, "zeros in the shape of A",
              r"\mathbf{{0}}\left({0}\right)"),
    Operation(31, "positive", 1, _positive, _same, "1 where A > 0, else 0",
              r"\left[{0} > 0\right]", elementwise=True),
    Operation(32, "negative", 1, _negative, _same, "1 where A < 0, else 0",
              r"\left[{0} < 0\right]", elementwise=True),
    Operation(33, "numel", 1, _numel, _number, "number of elements", r"\left|{0}\right|_{{\#}}"),
)  # fmt: skip

BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OPERATIONS}
