"""What operations compute, over stacks: [k, *shape] for k tensors that have nothing to do with each other.

Each is pure: it changes none of its arguments. The ways round were measured: comparisons that write numbers at
once, `threshold` for `where`, a deviation from the norm, numpy's logarithm and exponential. They give what the
plain ones give, several times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zcsr.errors import ShapeError
from zcsr.language.plain import nan_to_zero
from zcsr.language.shapes import broadcast

SMALL_DEVIATION = 1e-3
"""Relative to the mean, above which values cannot be equal up to rounding."""

TINY_DEVIATION = 1e-18
"""Below it, the squares of differences lose digits in float32, or are zero."""


def pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
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


def compare(comparison: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A comparison that gives 1 where it holds and 0 elsewhere."""

    def compared(a: Tensor, b: Tensor) -> Tensor:
        return comparison(a, b, out=a.new_empty(broadcast(a.shape, b.shape)))

    return pairwise(compared)


def _by_numpy(function: np.ufunc, a: Tensor) -> Tensor:
    """An element-wise function of numpy's, written over its argument, which must be the caller's own."""
    array = a.numpy()
    with np.errstate(all="ignore"):
        function(array, out=array)
    return a


def positive(a: Tensor) -> Tensor:
    """1 where above 0."""
    return torch.gt(a, 0, out=torch.empty_like(a))


def negative(a: Tensor) -> Tensor:
    """1 where below 0."""
    return torch.lt(a, 0, out=torch.empty_like(a))


def log(a: Tensor) -> Tensor:
    """The natural logarithm, with what is not above 0 read as 1."""
    return _by_numpy(np.log, F.threshold(a, 0.0, 1.0))


def abslog(a: Tensor) -> Tensor:
    """The natural logarithm of the absolute value, with 0 read as 1."""
    return _by_numpy(np.log, F.threshold(a.abs(), 0.0, 1.0, inplace=True))


def exp(a: Tensor) -> Tensor:
    """The exponential."""
    return _by_numpy(np.exp, a.clone())


def sigmoid(a: Tensor) -> Tensor:
    """The logistic function."""
    # torch's own gives other bits at the end of a stack than within it.
    return _by_numpy(np.exp, a.neg()).add_(1.0).reciprocal_()


def _far_from_zero(deviation: NDArray[Any], mean: NDArray[Any]) -> bool:
    """Whether all the deviations are finite, and too large to be zero but for rounding."""
    least = np.maximum(np.abs(mean) * SMALL_DEVIATION, TINY_DEVIATION)
    return bool(((deviation > least) & np.isfinite(deviation)).all())


def normalise(a: Tensor) -> Tensor:
    """Each tensor less its mean, over its unbiased deviation; 0 where all its elements are equal."""
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
        tiny = (deviation < TINY_DEVIATION).squeeze(1)
        wide = rows[tiny].double()
        wide -= wide.mean(1, keepdim=True)
        scaled[tiny] = (wide / (wide.square().sum(1, keepdim=True) / (count - 1)).sqrt()).to(scaled.dtype)
        scaled[rows.amin(1) == rows.amax(1)] = 0.0
        scaled = nan_to_zero(scaled)
    return scaled.reshape(a.shape)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """As torch: a tensor of one dimension is a row on the left, a column on the right, and none of both after."""
    if min(a.ndim, b.ndim) < 2:
        raise ShapeError("matmul takes tensors of at least one dimension, not numbers")
    left = a.unsqueeze(1) if a.ndim == 2 else a
    right = b.unsqueeze(2) if b.ndim == 2 else b
    product: Tensor = torch.matmul(*_aligned(left, right))
    if b.ndim == 2:
        product = product.squeeze(-1)
    if a.ndim == 2:
        product = product.squeeze(-2 if b.ndim > 2 else -1)
    return product


def fro(a: Tensor) -> Tensor:
    """The Frobenius norm of each tensor."""
    norms: Tensor = torch.linalg.vector_norm(_rows_of(a), dim=1)
    return norms


def by_matrix(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of the matrices in the last two dimensions of each tensor; raises where there are none."""
    return lambda a: function(a.flatten(0, -3)).reshape(a.shape[:-2])


def gram(a: Tensor) -> Tensor:
    """The Gram matrix of each tensor flattened to its leading dimension."""
    rows = _matrices_of(a)
    return rows @ rows.transpose(1, 2)


def _last_over_first(gram: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    if gram.shape[1] == 1:
        return (gram / gram)[:, 0, 0]  # the only eigenvalue over itself
    # LAPACK raises on what is not finite; the ratio is simply not a number.
    finite = torch.isfinite(gram).all(2).all(1)
    values = eigenvalues(torch.where(_per_tensor(finite, gram), gram, 1.0))
    return torch.where(finite, (values[:, -1] / values[:, 0]).real.to(gram.dtype), math.nan)


def eig_ratio_sym(a: Tensor) -> Tensor:
    """The largest over the smallest eigenvalue of the Gram matrix plus its transpose."""
    of_rows = gram(a)
    return _last_over_first(of_rows + of_rows.transpose(1, 2), torch.linalg.eigvalsh)


def eig_ratio(a: Tensor) -> Tensor:
    """The last over the first eigenvalue of the Gram matrix, real part."""
    return _last_over_first(gram(a), torch.linalg.eigvals)


def mean(a: Tensor) -> Tensor:
    """The sum of the elements over their number."""
    rows = _rows_of(a)
    return rows.sum(1) / rows.shape[1]


def hamming(a: Tensor, b: Tensor) -> Tensor:
    """The number of elements of which just one is above 0."""
    left, right = _aligned(positive(a), positive(b))
    return _rows_of((left - right).abs_()).sum(1)  # whole numbers, exact in single precision up to 2^24


def kl(a: Tensor, b: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of targets from log-probabilities, over the leading dimension."""
    given, target = _aligned(a, b)
    total = _rows_of(target * log(target) - target * given).sum(1) / a.shape[1]
    # A negative target has no logarithm, where `log` would read 0.
    lowest = _rows_of(target).amin(1) if target.numel() else target.new_zeros(len(target))
    return torch.where(lowest < 0, math.nan, total)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosine similarity row by row, summed."""
    rows = _matrices_of(a)
    return F.cosine_similarity(rows, b.reshape(len(b), rows.shape[1], -1), dim=2).sum(1)


def softmax(a: Tensor) -> Tensor:
    """The softmax over channels."""
    # The dimension torch takes when none is named: channels for activations, as in the release.
    dimensions = a.ndim - 1
    if dimensions == 0:
        return torch.softmax(a.unsqueeze(1), dim=1).squeeze(1)
    return torch.softmax(a, dim=1 if dimensions in (1, 3) else 2)


def numel(a: Tensor) -> Tensor:
    """The number of elements."""
    return a.new_full((len(a),), float(math.prod(a.shape[1:])))


def readout_mean(a: Tensor) -> Tensor:
    """The mean of each tensor's elements; a single one as it is, down to the sign of a zero."""
    rows = _rows_of(a)
    return rows[:, 0] if rows.shape[1] == 1 else rows.mean(1)
