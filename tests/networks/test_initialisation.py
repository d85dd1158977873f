"""The release's initialisation: constants exactly, draws by their distribution and by their order."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zcsr.networks.initialisation import initialise, random_stream


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, groups=2, bias=False),
        nn.BatchNorm2d(128, affine=False),
        nn.Flatten(),
        nn.Linear(500, 400),
        nn.Linear(400, 10, bias=False),
    )


def initialised(seed: int = 3) -> nn.Sequential:
    model = network()
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def test_biases_are_zero_and_batch_norms_are_the_identity() -> None:
    model = network()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 7.0)
    initialise(model, torch.Generator().manual_seed(0))
    assert not model[0].bias.any()
    assert not model[6].bias.any()
    assert not model[1].bias.any()
    assert bool((model[1].weight == 1).all())


@pytest.mark.parametrize(("layer", "fan_out"), [(0, 64 * 9), (3, 128 * 9)])
def test_convolutions_are_he_normal_by_fan_out(layer: int, fan_out: int) -> None:
    weight = initialised()[layer].weight.detach()
    expected = math.sqrt(2 / fan_out)
    # four standard errors of a standard deviation, and of a mean
    assert abs(weight.std().item() / expected - 1) < 4 / math.sqrt(2 * weight.numel())
    assert abs(weight.mean().item()) < 4 * expected / math.sqrt(weight.numel())
    assert weight.abs().max().item() > 3 * expected  # a uniform distribution ends at 1.73


def test_linear_weights_have_a_standard_deviation_of_a_hundredth() -> None:
    weight = initialised()[6].weight.detach()
    assert abs(weight.std().item() / 0.01 - 1) < 4 / math.sqrt(2 * weight.numel())


def test_every_draw_comes_from_the_generator_in_the_order_of_registration() -> None:
    model = initialised(seed=11)
    generator = torch.Generator().manual_seed(11)
    expected = [
        (torch.randn(64, 3, 3, 3, generator=generator) * math.sqrt(2 / (64 * 9)), model[0].weight),
        (torch.randn(128, 32, 3, 3, generator=generator) * math.sqrt(2 / (128 * 9)), model[3].weight),
        (torch.randn(400, 500, generator=generator) * 0.01, model[6].weight),
        (torch.randn(10, 400, generator=generator) * 0.01, model[7].weight),
    ]
    for drawn, weight in expected:
        torch.testing.assert_close(weight.detach(), drawn)


def test_it_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    first = initialised()
    torch.manual_seed(2)
    model = network()
    before = torch.get_rng_state()
    initialise(model, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(first.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_frozen_parameters_are_initialised_and_stay_frozen() -> None:
    model = network().requires_grad_(False)
    initialise(model, torch.Generator().manual_seed(3))
    assert torch.equal(model[0].weight, initialised()[0].weight)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_other_parameters_stay_as_they_are() -> None:
    model = nn.Sequential(nn.PReLU(init=0.3), nn.GroupNorm(1, 2))
    nn.init.constant_(model[1].weight, 5.0)
    initialise(model, torch.Generator())
    assert model[0].weight.item() == pytest.approx(0.3)
    assert bool((model[1].weight == 5).all())


def test_streams_depend_on_seed_and_purpose() -> None:
    draws = {
        (seed, purpose): tuple(torch.rand(4, generator=random_stream(seed, purpose)).tolist())
        for seed in (0, 1, -1)
        for purpose in ("weights", "noise")
    }
    assert len(set(draws.values())) == len(draws)
    again = torch.rand(4, generator=random_stream(0, "weights"))
    assert tuple(again.tolist()) == draws[0, "weights"]
