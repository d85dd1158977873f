"""Operations that take more than an expression, on one tensor or on numbers, as torch alone writes them.

Their source becomes part of the file that a program is exported to, so nothing here may use anything of zcsr.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def nan_to_zero(a: Tensor) -> Tensor:
    """Return `a` with 0 for NaN; infinities stay."""
    return torch.nan_to_num(a, nan=0.0, posinf=math.inf, neginf=-math.inf)


def normalise(a: Tensor) -> Tensor:
    """Return (a - mean) / standard deviation over all elements, 0 where all are equal."""
    if a.numel() < 2 or bool(a.min() == a.max()):
        return torch.zeros_like(a)
    return nan_to_zero((a - a.mean()) / a.std())


def gram(a: Tensor) -> Tensor:
    """Return the Gram matrix of `a` flattened to its leading dimension."""
    rows = a.reshape(a.shape[0], -1)
    return rows @ rows.T


def last_over_first(matrix: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the last eigenvalue over the first, real part; NaN for a matrix that is not finite."""
    if len(matrix) == 1:
        return (matrix / matrix)[0, 0]
    if not bool(torch.isfinite(matrix).all()):
        return matrix.new_tensor(math.nan)
    values = eigenvalues(matrix)
    return (values[-1] / values[0]).real.to(matrix.dtype)


def eig_ratio(a: Tensor) -> Tensor:
    """Return the last over the first eigenvalue of the Gram matrix."""
    return last_over_first(gram(a), torch.linalg.eigvals)


def eig_ratio_sym(a: Tensor) -> Tensor:
    """Return the largest over the smallest eigenvalue of the Gram matrix plus its transpose."""
    matrix = gram(a)
    return last_over_first(matrix + matrix.T, torch.linalg.eigvalsh)


def softmax(a: Tensor) -> Tensor:
    """Return the softmax over dimension 1 (dimension 0 of tensors with 0, 1 or 3 dimensions)."""
    return torch.softmax(a, dim=0 if a.ndim in (0, 1, 3) else 1)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine similarity of the two flattened to `a`'s leading dimension, summed over the rows."""
    return F.cosine_similarity(a.reshape(len(a), -1), b.reshape(len(a), -1), dim=1).sum()


def abslogs(values: list[float]) -> list[float]:
    """Return log|x| of each, 0 read as 1."""
    return [math.log(abs(value)) if value else 0.0 for value in values]


def slope(values: list[float]) -> float:
    """Return the slope of the straight line through the values, of which the first is at 0 and the last at 1."""
    if len(values) < 2:
        return 0.0
    places = [number / (len(values) - 1) - 0.5 for number in range(len(values))]
    products = math.fsum(place * value for place, value in zip(places, values, strict=True))
    return products / math.fsum(place * place for place in places)


def divided(a: float, b: float) -> float:
    """Return a / b, NaN where b is 0."""
    return a / b if b else math.nan


def logarithm(a: float) -> float:
    """Return log a, NaN where a is not above 0."""
    return math.log(a) if a > 0 else math.nan


def root(a: float) -> float:
    """Return the square root of a, NaN below 0."""
    return math.sqrt(a) if a >= 0 else math.nan


def smaller(a: float, b: float) -> float:
    """Return the smaller of two numbers, NaN where one is."""
    return math.nan if math.isnan(a) or math.isnan(b) else min(a, b)


def larger(a: float, b: float) -> float:
    """Return the larger of two numbers, NaN where one is."""
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)
