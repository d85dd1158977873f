"""The programs that zcsr found, against their formulas from eigenvalues, over the tensors of a real network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from zcsr import read_instances, score
from zcsr.networks.instances import draw_inputs
from zcsr.spaces import get_space

ARCH = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_3x3~0|none~1|nor_conv_1x1~2|"
Matrix = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def seen() -> SimpleNamespace:
    network = get_space("nasbench201-mini").build(ARCH, 10)
    batch = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    instances = read_instances(network, draw_inputs(batch, seed=0))
    return SimpleNamespace(network=network, batch=batch, instances=instances)


def rows(weights: torch.Tensor) -> Matrix:
    """A row an output channel, less its mean."""
    matrix = weights.detach().double().flatten(1).numpy()
    return np.asarray(matrix - matrix.mean(1, keepdims=True))


def shares(weights: torch.Tensor) -> Matrix:
    values = np.linalg.eigvalsh(rows(weights) @ rows(weights).T).clip(0)
    return np.asarray(values / values.sum())


def rank(weights: torch.Tensor) -> float:
    return float(1 / (shares(weights) ** 2).sum())


def entropy(weights: torch.Tensor) -> float:
    positive = shares(weights)[shares(weights) > 0]
    return float(-(positive * np.log(positive)).sum())


def sign_rank(instances: list[Mapping[str, torch.Tensor]], _: float) -> float:
    return sum(rank((one["T3G_N"] > 0).float()) for one in instances)


def weight_entropy(instances: list[Mapping[str, torch.Tensor]], _: float) -> float:
    return sum(entropy(one["T3"]) for one in instances) * sum(entropy(one["T3G_P"]) for one in instances)


def sized_rank(instances: list[Mapping[str, torch.Tensor]], parameters: float) -> float:
    return parameters * float(np.mean([rank(one["T3G_N"]) for one in instances]))


def cell_rank(instances: list[Mapping[str, torch.Tensor]], _: float) -> float:
    largest = sum(float(one["T4_P"].max()) for one in instances)
    shares_of_channels = [shares(one["T4_N"].transpose(0, 1)).max() for one in instances]
    # sum_abslog(log(x)) is the sum of log|log x|, as sum_abslog takes the logarithm of the magnitude.
    return sum(rank(one["T3G_N"]) for one in instances) - largest + 3.5 * log_of_log(shares_of_channels)


def log_of_log(values: list[float]) -> float:
    return float(sum(np.log(abs(np.log(value))) for value in values))


FORMULAS: dict[str, Callable[[list[Mapping[str, torch.Tensor]], float], float]] = {
    "sign-rank": sign_rank,
    "weight-entropy": weight_entropy,
    "sized-rank": sized_rank,
    "cell-rank": cell_rank,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_what_was_found_is_its_formula(name: str, seen: SimpleNamespace) -> None:
    instances = [one.tensors for one in seen.instances]
    assert len(instances) > 10
    parameters = sum(parameter.numel() for parameter in seen.network.parameters())
    expected = FORMULAS[name](instances, parameters)
    assert score(seen.network, seen.batch, name, initialise=False).value == pytest.approx(expected, rel=1e-4)
