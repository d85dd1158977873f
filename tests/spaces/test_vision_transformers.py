"""The space of small vision transformers: counts by a closed formula, attention by torch's own, neighbours."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from zcsr import score
from zcsr.errors import InputError
from zcsr.networks.config import TrainingConfig
from zcsr.networks.training import Examples, train_network
from zcsr.spaces import get_space
from zcsr.spaces.vision_transformers_network import Attention

SPACE = get_space("vit-mini")


def numbers(arch: str) -> tuple[int, int, int, int]:
    depth, rest = arch.removeprefix("d").split("w")
    width, rest = rest.split("h")
    heads, ratio = rest.split("m")
    return int(depth), int(width), int(heads), int(ratio)


@pytest.mark.parametrize("arch", SPACE.sample(12, random.Random(0)))
def test_the_number_of_parameters(arch: str) -> None:
    depth, width, _, ratio = numbers(arch)
    norm = 2 * width
    attention = 3 * (width**2 + width) + width**2 + width
    mlp = ratio * width * width + ratio * width + ratio * width * width + width
    stem = 4 * 4 * width + width + 16 * width
    network = SPACE.build(arch, 10, 1)
    expected = stem + depth * (2 * norm + attention + mlp) + norm + 10 * width + 10
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_torchs(heads: int) -> None:
    torch.manual_seed(heads)
    ours, theirs = Attention(12, heads), nn.MultiheadAttention(12, heads, batch_first=True)
    theirs.in_proj_weight.data = ours.queries_keys_values.weight.data
    theirs.in_proj_bias.data = ours.queries_keys_values.bias.data
    theirs.out_proj.load_state_dict(ours.mix.state_dict())
    tokens = torch.randn(3, 5, 12)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_all_architectures_differ_and_have_places() -> None:
    archs = [SPACE.arch(index) for index in range(len(SPACE))]
    assert len(set(archs)) == len(archs) == 6 * 4 * 3 * 3
    assert [SPACE.index(arch) for arch in archs] == list(range(len(archs)))
    assert {SPACE.canonical(arch) for arch in archs} == set(archs)


def test_neighbours_differ_in_one_number() -> None:
    arch = "d4w36h2m4"
    neighbours = SPACE.neighbours(arch)
    assert len(neighbours) == len(set(neighbours)) == 5 + 3 + 2 + 2
    for other in neighbours:
        SPACE.index(other)
        assert sum(a != b for a, b in zip(numbers(arch), numbers(other), strict=True)) == 1


@pytest.mark.parametrize("arch", ["d7w36h2m4", "d4w36h3m4", "d4w36", "", "D4w36h2m4", "d04w36h2m4"])
def test_other_texts_are_refused(arch: str) -> None:
    with pytest.raises(InputError, match=r"is no architecture of vit-mini: .* a depth of 1, 2, 3, 4, 5, 6"):
        SPACE.index(arch)


def test_every_linear_layer_after_a_norm_is_an_instance() -> None:
    network, batch = SPACE.build("d3w24h2m2", 10, 1), torch.rand(2, 1, 16, 16)
    found = score(network, batch, "sum(numel(T3))", pattern="norm-linear-act")
    assert (found.instances, found.value) == (3, 3 * 24 * 48)


def test_adamw_trains_it_and_the_same_again() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (256,), generator=generator)
    images = torch.randn(256, 1, 16, 16, generator=generator) + 2 * labels.view(-1, 1, 1, 1)
    examples = Examples(images, labels)
    config = TrainingConfig(epochs=3, batch_size=32, learning_rate=0.003, optimiser="adamw")
    first, again = (train_network(SPACE, "d1w12h1m1", 2, examples, examples, config, seed=1) for _ in range(2))
    assert (first.accuracy, first.loss) == (again.accuracy, again.loss)
    assert first.accuracy > 90
    with pytest.raises(InputError, match="optimiser"):
        TrainingConfig(optimiser="adam")  # type: ignore[arg-type]
