"""What the operations on matrices, patterns and order compute, over stacks: [k, *shape] for k tensors.

Their source becomes part of the file that a program is exported to, so nothing here may use anything of zcsr, and
none changes its argument. A row is what belongs to one index of a tensor's first dimension.

The spectrum of a tensor is that of the covariance of its rows: of M M', M with each row less its mean. What is made
of the shares that its eigenvalues have in their sum is 0 for a tensor whose rows do not vary, which has no
spectrum, and does not depend on the tensor's scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def as_rows(a: Tensor) -> Tensor:
    """Return each tensor flattened to its first dimension, [k, rows, columns]."""
    return a.reshape(a.shape[0], a.shape[1], math.prod(a.shape[2:]))


def as_one_row(a: Tensor) -> Tensor:
    """Return each tensor as a single row, [k, elements]."""
    return a.reshape(a.shape[0], math.prod(a.shape[1:]))


def by_channel(a: Tensor) -> Tensor:
    """Return the matrices with a row for each index of the second dimension, samples side by side."""
    return as_rows(a.transpose(1, 2))


def by_map(a: Tensor) -> Tensor:
    """Return the matrices with a row for each index of the first two dimensions; one of two has rows of one."""
    rows = a.flatten(1, 2)  # which raises where there are no two
    return rows.flatten(2) if rows.ndim > 2 else rows.unsqueeze(2)


def centred(a: Tensor) -> Tensor:
    """Return each row less its mean; exactly 0 where all its elements are equal."""
    rows = as_rows(a)
    mean = rows.mean(2, keepdim=True)
    less = rows - mean
    # What equal elements leave is rounding, so rows with little else are looked at more closely.
    doubtful = torch.linalg.vector_norm(less, dim=2, keepdim=True) <= 1e-3 * math.sqrt(rows.shape[2]) * mean.abs()
    if bool(doubtful.any()):
        less = torch.where(doubtful & (rows.amin(2, True) == rows.amax(2, True)), 0.0, less)
    return less.reshape(a.shape)


def covariance(a: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """Return M M' or M' M, whichever is smaller, of M scaled to a largest magnitude of 1; and that magnitude, [k].

    Both have the same eigenvalues but for zeros. All is NaN where an element is NaN or infinite.
    """
    rows = as_rows(centred(a))
    peak = rows.abs().amax((1, 2))
    scaled = (rows / torch.where(peak > 0, peak, 1.0)[:, None, None]).to(dtype or rows.dtype)
    turned = scaled.transpose(1, 2)
    return (scaled @ turned if rows.shape[1] <= rows.shape[2] else turned @ scaled), peak


def effective_rank(a: Tensor) -> Tensor:
    """Return the participation ratio of the spectrum, 1 to the rank: trace^2 over Frobenius norm^2."""
    matrix, _ = covariance(a)
    trace = matrix.diagonal(dim1=1, dim2=2).sum(1)
    ratio = trace.square() / matrix.square().sum((1, 2))
    return torch.where(trace == 0, 0.0, ratio)


def eigenvalues(matrix: Tensor) -> Tensor:
    """Return those of symmetric matrices without negative ones, ascending, [k, n]; NaN where one is not finite."""
    finite = torch.isfinite(matrix).all(2).all(1)[:, None]
    found = torch.linalg.eigvalsh(torch.where(finite[:, :, None], matrix, 0.0).double()).clamp(min=0.0)
    return torch.where(finite, found, math.nan)


def spectrum(a: Tensor) -> Tensor:
    """Return the shares that the eigenvalues of the covariance have in their sum, ascending, [k, n]."""
    found = eigenvalues(covariance(a)[0])
    total = found.sum(1, keepdim=True)
    return torch.where(total == 0, 0.0, found / total)


def spectral_entropy(a: Tensor) -> Tensor:
    """Return the entropy of the spectrum, in nats."""
    entropy: Tensor = torch.special.entr(spectrum(a)).sum(1).to(a.dtype)
    return entropy


def largest_share(a: Tensor) -> Tensor:
    """Return the largest eigenvalue's share in the spectrum."""
    return spectrum(a)[:, -1].to(a.dtype)


def scaled_gram(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gram matrix of the rows, scaled to a largest magnitude of 1, in float64; and that magnitude."""
    rows = as_rows(a)
    peak = rows.abs().amax((1, 2))
    scaled = (rows / torch.where(peak > 0, peak, 1.0)[:, None, None]).double()
    return scaled @ scaled.transpose(1, 2), peak.double()


def nuclear_norm(a: Tensor) -> Tensor:
    """Return the sum of the singular values of the rows."""
    flat = as_rows(a)
    matrix, peak = scaled_gram(flat if flat.shape[1] <= flat.shape[2] else flat.transpose(1, 2))
    return (eigenvalues(matrix).sqrt().sum(1) * peak).to(a.dtype)


def logdet_gram(a: Tensor) -> Tensor:
    """Return log det of the Gram matrix of the rows: -inf where they depend on each other, up to rounding."""
    matrix, peak = scaled_gram(a)
    count = matrix.shape[1]
    if count > math.prod(a.shape[2:]):
        return torch.where(peak.isfinite(), -math.inf, math.nan).to(a.dtype)
    pivots = torch.linalg.cholesky_ex(matrix)[0].diagonal(dim1=1, dim2=2).square()
    rounding = matrix.diagonal(dim1=1, dim2=2) * 1e-13  # what single precision leaves of a multiple of a row
    logarithm = torch.log(pivots).sum(1) + 2 * count * torch.log(peak)
    found = torch.where((pivots > rounding).all(1), logarithm, -math.inf)
    return torch.where(peak.isfinite(), found, math.nan).to(a.dtype)


def on_off(a: Tensor) -> Tensor:
    """Return 1 for the elements above 0 and -1 for all others, in rows."""
    return (as_rows(a) > 0).to(a.dtype) * 2 - 1


def agreement(a: Tensor) -> Tensor:
    """Return for each two rows the number of columns in which both are above 0, or neither, [k, rows, rows]."""
    signs = on_off(a)
    return (signs @ signs.transpose(1, 2) + signs.shape[2]) / 2


def patterns(a: Tensor) -> Tensor:
    """Return the number of different columns, when all that counts of an element is whether it is above 0."""
    return a.new_tensor([distinct_columns(rows) for rows in as_rows(a) > 0])


def distinct_columns(rows: Tensor) -> float:
    """Return the number of different columns of a matrix of truth values."""
    codes = torch.zeros(rows.shape[1], dtype=torch.int64)
    for some in torch.split(rows, 31):  # so many bits beside the number of a pattern of the rows before
        weights = 2 ** torch.arange(len(some), dtype=torch.int64)
        together = codes * 2**31 + (some.to(torch.int64) * weights[:, None]).sum(0)
        codes = torch.unique(together, return_inverse=True)[1]
    return float(len(torch.unique(codes)))


def row_sums(a: Tensor) -> Tensor:
    """Return the sum of each row, [k, rows]."""
    return as_rows(a).sum(2)


def std(a: Tensor) -> Tensor:
    """Return the standard deviation of the elements: of all there are, so that a single one has 0."""
    rows = as_one_row(a)
    norms: Tensor = torch.linalg.vector_norm(centred(rows[:, None]), dim=(1, 2))
    return norms / math.sqrt(rows.shape[1])


def quantile(a: Tensor, share: float) -> Tensor:
    """Return the value that a share of the elements do not exceed, between neighbours by linear interpolation."""
    ordered = as_one_row(a).sort(1).values
    place = share * (ordered.shape[1] - 1)
    below = math.floor(place)
    low, high = ordered[:, below], ordered[:, math.ceil(place)]
    weight = place - below
    found = torch.where(low == high, low, (1 - weight) * low + weight * high)  # equal infinities too
    return torch.where(ordered[:, -1].isnan(), math.nan, found)  # NaN comes last
