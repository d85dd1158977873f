"""Networks of the documents, written as people write them: published parameter counts, instances, scores."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from zcsr import score

FOLDER = Path(__file__).parents[1] / "docs" / "networks"
PUBLISHED = {
    "resnet18": (11_689_512, 18),
    "mobilenet_v2": (3_504_872, 34),
    "efficientnet_b0": (5_288_548, 32),
    "convnext_tiny": (28_589_128, 18),
    "vit_tiny": (5_717_416, 12),
}


def built(name: str) -> nn.Module:
    found = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network: nn.Module = module.build()
    return network


def test_all_are_tested() -> None:
    assert set(PUBLISHED) == {file.stem for file in FOLDER.glob("*.py")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_the_published_network_and_has_a_score(name: str) -> None:
    parameters, instances = PUBLISHED[name]
    network = built(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    side = 224 if name == "vit_tiny" else 64  # a transformer has places for one size alone
    found = score(network, torch.randn(1, 3, side, side), "sign-rank", pattern="auto")
    assert found.instances == instances
    assert math.isfinite(found.value)
    assert found.value > instances
