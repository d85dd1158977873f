"""Operations that take more than an expression, on one tensor, as torch alone writes them.

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
