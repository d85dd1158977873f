"""The plain way to evaluate programs, to measure against and to check by: one program, one network, one layer.

Nothing is shared, remembered or stacked; every operation is the shortest way to write its definition (EZNAS,
Table 5) in torch. It knows the operations by name only and uses none of zcsr's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zcsr.language.program import Node, Program
from zcsr.networks.instances import NetworkStatistics


def step(a: Tensor) -> Tensor:
    return (a > 0).to(a.dtype)


def safe_log(a: Tensor) -> Tensor:
    return torch.where(a <= 0, torch.ones_like(a), a).log()


def safe_abslog(a: Tensor) -> Tensor:
    return torch.where(a == 0, torch.ones_like(a), a.abs()).log()


def normalise(a: Tensor) -> Tensor:
    if a.numel() < 2 or bool((a == a.flatten()[0]).all()):
        return torch.zeros_like(a)
    return ((a - a.mean()) / a.std()).nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf)


def gram(a: Tensor) -> Tensor:
    rows = a.reshape(a.shape[0], -1)
    return rows @ rows.T


def ratio(matrix: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    if not bool(matrix.isfinite().all()):
        return torch.tensor(math.nan)
    values = eigenvalues(matrix)
    return (values[-1] / values[0]).real


def softmax(a: Tensor) -> Tensor:
    return F.softmax(a, dim=1 if a.ndim in (2, 4, 5) else 0)


OPERATIONS: Mapping[str, Callable[..., Tensor]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "matmul": lambda a, b: a @ b,
    "lt": lambda a, b: (a < b).to(a.dtype),
    "gt": lambda a, b: (a > b).to(a.dtype),
    "eq": lambda a, b: (a == b).to(a.dtype),
    "log": safe_log,
    "abslog": safe_abslog,
    "abs": lambda a: a.abs(),
    "square": lambda a: a * a,
    "exp": lambda a: a.exp(),
    "normalise": normalise,
    "relu": lambda a: F.relu(a),
    "sign": lambda a: a.sign(),
    "heaviside": step,
    "reciprocal": lambda a: 1 / a,
    "fro": lambda a: torch.linalg.norm(a.flatten()),
    "det": lambda a: torch.linalg.det(a),
    "logdet": lambda a: torch.logdet(a).nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf),
    "eig_ratio_sym": lambda a: ratio(gram(a) + gram(a).T, torch.linalg.eigvalsh),
    "eig_ratio": lambda a: ratio(gram(a), torch.linalg.eigvals),
    "mean": lambda a: a.sum() / a.numel(),
    "l1": lambda a: a.abs().sum() / a.numel(),
    "hamming": lambda a, b: (step(a) != step(b)).sum().to(a.dtype),
    "kl": lambda a, b: F.kl_div(a, b, reduction="sum") / a.shape[0],
    "cosine": lambda a, b: F.cosine_similarity(a.reshape(a.shape[0], -1), b.reshape(a.shape[0], -1), dim=1).sum(),
    "softmax": softmax,
    "sigmoid": lambda a: a.sigmoid(),
    "ones_like": lambda a: torch.ones_like(a),
    "zeros_like": lambda a: torch.zeros_like(a),
    "positive": step,
    "negative": lambda a: (a < 0).to(a.dtype),
    "numel": lambda a: torch.tensor(float(a.numel())),
}


def value(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    """The value of a tree on one instance's tensors; torch's own errors where it does not apply."""
    if not node.args:
        return tensors[node.op]
    return OPERATIONS[node.op](*(value(arg, tensors) for arg in node.args))


def instance_values(program: Program, statistics: NetworkStatistics) -> list[float]:
    """The scalar of each instance in turn."""
    scalar = torch.mean if program.to_scalar == "mean" else lambda a: torch.linalg.norm(a.flatten())
    with torch.inference_mode():
        return [float(scalar(value(program.expression, instance.tensors))) for instance in statistics.instances]


def score(program: Program, statistics: NetworkStatistics) -> float:
    """The score of one network; NaN where an instance's scalar is not finite."""
    values = instance_values(program, statistics)
    if not all(map(math.isfinite, values)):
        return math.nan
    total = math.fsum(values)
    return total if program.aggregation == "sum" else total / len(values) if values else 0.0


def scores(programs: Sequence[Program], statistics: NetworkStatistics) -> list[float]:
    """The scores of one network, a program at a time."""
    return [score(program, statistics) for program in programs]
