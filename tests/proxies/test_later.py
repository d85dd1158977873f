"""Zen-score, ZiCo, TE-NAS and AZ-NAS against closed forms, naive loops, a published column and real accuracies."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.networks.initialisation import initialise, random_stream
from zcsr.proxies import get_proxy, proxy_names
from zcsr.spaces import get_space

AZ_NAS = ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity")
NAMES = ("zen", "zico", "te_nas_condition", "te_nas_regions", *AZ_NAS)
OF_NOISE = ("zen", "te_nas_regions", *AZ_NAS)

Vector = npt.NDArray[np.float64]


class Block(nn.Module):
    """ReLU, convolution, BatchNorm; with a stride it makes the map smaller."""

    def __init__(self, entering: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, width, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(x)))


class Tiny(nn.Module):
    """A stem, three blocks of which the second halves height and width, pooling and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 1)
        self.blocks = nn.ModuleList([Block(3, 3), Block(3, 5, stride=2), Block(5, 5)])
        self.linear = nn.Linear(5, 3)
        self.double()

    def maps(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.maps(x)[-1].mean((2, 3)))


def batch(count: int = 6, channels: int = 2, size: int = 8, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64)
    return images, torch.randint(classes, (count,), generator=generator)


def score(name: str, network: nn.Module, images: Tensor | None = None, labels: Tensor | None = None) -> float:
    default = batch()
    return get_proxy(name)(
        network, default[0] if images is None else images, default[1] if labels is None else labels
    )


@contextmanager
def drawn_anew(network: nn.Module, deviation: Callable[[Tensor], float]) -> Iterator[nn.Module]:
    """A copy in training with weights as the proxies say they draw them; the body draws what comes after them."""
    network = copy.deepcopy(network).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.weight.copy_(torch.empty_like(module.weight).normal_() * deviation(module.weight))
                    if module.bias is not None:
                        module.bias.zero_()
        yield network


def unit(weight: Tensor) -> float:
    return 1.0


def fan_in(weight: Tensor) -> float:
    return math.sqrt(2 / weight[0].numel())


# --- what holds for all -----------------------------------------------------------------------------------------


def state(network: nn.Module) -> dict[str, Any]:
    return {
        "values": {name: value.clone() for name, value in network.state_dict().items()},
        "modes": [module.training for module in network.modules()],
        "frozen": [not parameter.requires_grad for parameter in network.parameters()],
        "gradients": [parameter.grad for parameter in network.parameters()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()],
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_network_stays_as_it_is(name: str) -> None:
    network = Tiny()
    network.blocks[1].eval()
    network.linear.weight.requires_grad_(False)
    before = state(network)
    score(name, network)
    after = state(network)
    values, expected = after.pop("values"), before.pop("values")
    assert after == before
    assert values.keys() == expected.keys()
    assert all(torch.equal(values[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_frozen_networks_and_calls_without_gradients(
    name: str, without: Callable[[], AbstractContextManager[None]]
) -> None:
    network = Tiny()
    expected = score(name, network)
    assert math.isfinite(expected)
    network.eval().requires_grad_(False)
    with without():
        assert score(name, network) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_a_function_of_the_arguments(name: str) -> None:
    network = Tiny()
    torch.manual_seed(5)
    first, drawn = score(name, network), torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    assert score(name, network) == first


@pytest.mark.parametrize("name", OF_NOISE)
def test_only_the_shape_of_the_images_and_of_the_network_matters(name: str) -> None:
    images, labels = batch()
    other = Tiny()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(0.3)
    assert score(name, other, images**2 + 3, labels * 0) == score(name, Tiny())


def dead() -> nn.Module:
    network = get_space("nasbench201-mini").build("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 3, 2)
    return network.double()


@pytest.mark.parametrize(
    ("name", "expected"), [("zen", -math.inf), ("te_nas_condition", -math.inf), ("te_nas_regions", 1.0)]
)
def test_a_network_that_carries_nothing_is_the_worst(name: str, expected: float) -> None:
    assert score(name, dead()) == expected


@pytest.mark.parametrize("name", ["zico", *AZ_NAS])
def test_a_network_that_carries_nothing_has_a_score(name: str) -> None:
    assert math.isfinite(score(name, dead()))


class PartlyWithoutGradients(Tiny):
    def maps(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            maps = [self.stem(x)]
            maps.append(self.blocks[0](maps[-1]))
        return [*maps, (second := self.blocks[1](maps[-1])), self.blocks[2](second)]


@pytest.mark.parametrize("name", NAMES)
def test_part_of_the_network_may_run_without_gradients(name: str) -> None:
    assert math.isfinite(score(name, PartlyWithoutGradients()))


# --- Zen-score --------------------------------------------------------------------------------------------------


def test_zen_of_a_convolution_without_norm_by_numpy() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with drawn_anew(network.double(), unit) as drawn:
        x, e = torch.randn(2, 6, 2, 8, 8, dtype=torch.float64).numpy()
    weight = drawn[0].weight.detach().numpy()[:, :, 0, 0]
    features = [np.maximum(np.einsum("oc,bchw->bohw", weight, inputs), 0) for inputs in (x, x + 0.01 * e)]
    expected = np.log(np.mean([np.abs(b - a).sum() for a, b in zip(*features, strict=True)]))
    assert score("zen", network) == pytest.approx(expected, rel=1e-9)


def test_zen_puts_back_what_batch_norms_divide_by() -> None:
    """Up to the small constant in a BatchNorm, whatever is multiplied in before it does not count in the end."""
    images = batch(channels=1)[0]
    network = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.BatchNorm2d(4, eps=1e-12)).double()
    with drawn_anew(network, unit) as drawn:
        x, e = torch.randn(2, 6, 1, 8, 8, dtype=torch.float64).numpy()
    # Each channel is w x, normalised to sign(w) (x - mean) / std whatever w is.
    moved = x + 0.01 * e
    distance = 4 * np.abs((moved - moved.mean()) / moved.std() - (x - x.mean()) / x.std()).sum() / 6
    variance = np.mean(drawn[0].weight.detach().numpy() ** 2) * x.var()
    assert score("zen", network, images) == pytest.approx(math.log(distance) + math.log(variance) / 2, rel=1e-9)


class Head(nn.Module):
    """Convolutions, then a head to try."""

    def __init__(self, head: Callable[[nn.Linear, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)
        self.head = head
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.linear, F.relu(self.norm(self.conv(x))))


HEADS: dict[str, Callable[[nn.Linear, Tensor], Tensor]] = {
    "mean": lambda linear, x: linear(x.mean((2, 3))),
    "mean of all pixels": lambda linear, x: linear(torch.mean(x.flatten(2), dim=-1)),
    "pool": lambda linear, x: linear(F.adaptive_avg_pool2d(x, 1).flatten(1)),
    "pool and squeeze": lambda linear, x: linear(F.avg_pool2d(x, 6).squeeze(-1).squeeze(-1)),
    "pool and dropout": lambda linear, x: linear(F.dropout(F.avg_pool2d(x, 6).view(6, 4), 0.5)),
    "flattened twice": lambda linear, x: linear(F.avg_pool2d(x, 6).reshape(6, -1).flatten(1)),
    "keywords": lambda linear, x: linear(input=torch.flatten(input=F.adaptive_avg_pool2d(x, 1), start_dim=1)),
    "no linear layer": lambda linear, x: x.mean((2, 3)),
    "nothing": lambda linear, x: x,
}


@pytest.mark.parametrize("how", HEADS)
def test_zen_takes_the_features_before_the_pooling_however_it_is_written(how: str) -> None:
    with drawn_anew(Head(HEADS["mean"]), unit) as network:
        x, e = torch.randn_like(batch()[0]), torch.randn_like(batch()[0])
    with torch.no_grad():
        inputs = [network.conv(x), network.conv(x + 0.01 * e)]
        features = [F.relu(F.batch_norm(values, None, None, training=True)) for values in inputs]
    distance = (features[1] - features[0]).abs().sum((1, 2, 3)).mean()
    scale = inputs[0].permute(1, 0, 2, 3).flatten(1).var(1, False).mean().sqrt()
    assert score("zen", Head(HEADS[how])) == pytest.approx(math.log(distance) + math.log(scale), rel=1e-9)


def test_zen_leaves_out_batch_norms_of_a_dead_part() -> None:
    class WithDeadPart(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.dead = nn.Conv2d(5, 5, 1, bias=False)
            self.norm = nn.BatchNorm2d(5)
            self.double()

        def forward(self, x: Tensor) -> Tensor:
            last = self.maps(x)[-1]
            return self.linear((last + self.norm(self.dead(last * 0))).mean((2, 3)))

    with drawn_anew(WithDeadPart(), unit) as network:
        x, e = torch.randn_like(batch()[0]), torch.randn_like(batch()[0])
    with torch.no_grad():
        scales, before = 0.0, network.stem(x)
        for block in network.blocks:
            seen = block.conv(F.relu(before))
            scales += math.log(seen.permute(1, 0, 2, 3).flatten(1).var(1, False).mean()) / 2
            before = block(before)
        distance = (network.maps(x + 0.01 * e)[-1] - network.maps(x)[-1]).abs().sum((1, 2, 3)).mean()
    assert score("zen", WithDeadPart()) == pytest.approx(math.log(distance) + scales, rel=1e-9)


# --- ZiCo -------------------------------------------------------------------------------------------------------


def test_zico_of_a_softmax_regression_by_its_closed_form() -> None:
    images, labels = batch(count=5, size=2)
    images[:, 1, 0, 0] = 0.0  # a pixel that is black in all images: its weights' gradients are 0 in both halves
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).double()
    weight, bias = (parameter.detach().numpy() for parameter in network.parameters())
    slopes = []
    for half in (slice(0, 2), slice(2, 5)):
        x = images[half].flatten(1).numpy()
        exponentials = np.exp(x @ weight.T + bias)
        errors = exponentials / exponentials.sum(1, keepdims=True) - np.eye(3)[labels[half]]
        slopes.append(errors.T @ x / len(x))
    total = 0.0
    for a, b in zip(slopes[0].ravel(), slopes[1].ravel(), strict=True):
        if a != b:
            mean = (a + b) / 2
            total += (abs(a) + abs(b)) / 2 / math.sqrt(((a - mean) ** 2 + (b - mean) ** 2) / 2)
    assert score("zico", network, images, labels) == pytest.approx(math.log(total), rel=1e-9)


def test_zico_adds_up_the_layers() -> None:
    images, labels = batch()
    network = Tiny()
    slopes: list[list[Vector]] = []
    for half in (slice(0, 3), slice(3, 6)):
        twin = copy.deepcopy(network).train()
        F.cross_entropy(twin(images[half]), labels[half]).backward()
        layers = [twin.stem, *(block.conv for block in twin.blocks), twin.linear]
        slopes.append([layer.weight.grad.numpy() for layer in layers])
    expected = 0.0
    for first, second in zip(*slopes, strict=True):
        expected += math.log(((np.abs(first) + np.abs(second)) / np.abs(first - second)).sum())
    assert score("zico", network) == pytest.approx(expected, rel=1e-9)


def test_zico_of_halves_that_are_the_same_counts_nothing() -> None:
    images, labels = batch(count=3)
    assert score("zico", Tiny(), torch.cat([images, images]), torch.cat([labels, labels])) == 0.0


@pytest.mark.parametrize("name", ["zico", "te_nas_condition"])
def test_one_image_is_not_enough(name: str) -> None:
    images, labels = batch(count=1)
    with pytest.raises(InputError, match=rf"{name} compares .* 2.*, not 1$"):
        score(name, Tiny(), images, labels)


# --- TE-NAS -----------------------------------------------------------------------------------------------------


def condition(rows: Vector) -> float:
    singular = np.linalg.svd(rows, compute_uv=False)
    return float((singular[0] / singular[-1]) ** 2)


def test_condition_of_a_linear_network_is_that_of_the_images() -> None:
    """The gradient of summed logits W x for W is x once for each logit, whatever W is."""
    images, labels = batch(size=2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).double()
    assert score("te_nas_condition", network, images, labels) == pytest.approx(
        -condition(images.flatten(1).numpy()), rel=1e-9
    )


@pytest.mark.parametrize(("kernel", "seen"), [(8, 8), (9, 16)])
def test_condition_is_of_images_of_8_pixels_or_the_least_that_the_network_takes(kernel: int, seen: int) -> None:
    """A convolution's gradient is the sum of the patches under it; one of 9 pixels does not fit into 8."""
    images, labels = batch(size=32)
    network = nn.Sequential(nn.Conv2d(2, 3, kernel, bias=False), nn.Flatten()).double()
    step = 32 // seen
    small = images.numpy().reshape(6, 2, seen, step, seen, step).mean((3, 5))
    places = seen - kernel + 1
    rows = sum(small[:, :, i : i + kernel, j : j + kernel] for i in range(places) for j in range(places))
    expected = -condition(np.asarray(rows).reshape(6, -1))
    assert score("te_nas_condition", network, images, labels) == pytest.approx(expected, rel=1e-9)


class WithLastReLU(Tiny):
    def maps(self, x: Tensor) -> list[Tensor]:
        *maps, last = super().maps(x)
        return [*maps, F.relu(last)]


def kernel(network: nn.Module, images: Tensor) -> Vector:
    """The products of the gradients of summed logits for the eight weights, with BatchNorms in training."""
    with drawn_anew(network, fan_in) as drawn:
        weights = {name: value for name, value in drawn.named_parameters() if "weight" in name}

        def summed(*values: Tensor) -> Tensor:
            given = dict(zip(weights, values, strict=True))
            return torch.func.functional_call(drawn, given, images).sum(1)

        jacobians = torch.autograd.functional.jacobian(summed, tuple(weights.values()))
    assert len(weights) == 8
    rows = np.concatenate([jacobian.flatten(1).numpy() for jacobian in jacobians], axis=1)
    return rows @ rows.T


def test_condition_takes_weights_alone_with_batch_norms_in_training() -> None:
    eigenvalues = np.linalg.eigvalsh(kernel(WithLastReLU(), batch()[0]))
    assert eigenvalues[0] > 1e-10 * eigenvalues[-1]
    assert score("te_nas_condition", WithLastReLU()) == pytest.approx(-eigenvalues[-1] / eigenvalues[0], rel=1e-6)


def test_condition_leaves_out_the_zero_that_a_last_batch_norm_makes() -> None:
    eigenvalues = np.linalg.eigvalsh(kernel(Tiny(), batch()[0]))
    assert eigenvalues[0] < 1e-10 * eigenvalues[-1] < eigenvalues[1]
    assert score("te_nas_condition", Tiny()) == pytest.approx(-eigenvalues[-1] / eigenvalues[1], rel=1e-6)


def test_more_zeros_make_the_kernel_singular() -> None:
    images, labels = batch()
    images[4] = images[1]
    assert math.isfinite(score("te_nas_condition", WithLastReLU(), images, labels))
    assert score("te_nas_condition", Tiny(), images, labels) == -math.inf
    assert score("te_nas_condition", Tiny(), images[:2], labels[:2]) == -math.inf


@pytest.mark.parametrize("inplace", [False, True])
def test_regions_by_naive_codes(inplace: bool) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace), nn.Conv2d(3, 2, 1, bias=False),
        nn.ReLU(inplace), nn.Flatten(),
    ).double()  # fmt: skip
    with drawn_anew(network, fan_in) as drawn:
        first, second = (drawn[k].weight.detach().numpy()[:, :, 0, 0] for k in (0, 3))
        lines = [torch.randn(2, 40, 1, 1, 4, 4).double().numpy() for _ in range(3)]
    steps = np.linspace(0, 0.001, 25, dtype=np.float32).astype(np.float64).reshape(1, 25, 1, 1, 1)
    codes = set()
    for starts, directions in lines:
        pixels = (starts + steps * directions).reshape(1000, 16)
        hidden = np.einsum("oc,np->nop", first, pixels)
        hidden = (hidden - hidden.mean((0, 2), keepdims=True)) / np.sqrt(hidden.var((0, 2), keepdims=True) + 1e-5)
        output = np.einsum("oc,ncp->nop", second, np.maximum(hidden, 0))
        codes |= {(tuple((h > 0).ravel()), tuple((o > 0).ravel())) for h, o in zip(hidden, output, strict=True)}
    assert 120 <= len(codes) < 3000
    assert score("te_nas_regions", network, batch(channels=1)[0]) == len(codes)


def test_a_network_without_relu_has_one_region() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten()).double()
    assert score("te_nas_regions", network) == 1.0


def test_regions_of_a_network_that_takes_one_size_only() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 8, 4), nn.ReLU()).double()
    assert 16 >= score("te_nas_regions", network) > 2  # four units have 16 codes


# --- AZ-NAS -----------------------------------------------------------------------------------------------------


def entropy(features: Tensor) -> float:
    values = features.detach().numpy().transpose(1, 0, 2, 3).reshape(features.shape[1], -1)
    shares = np.linalg.eigvalsh(np.cov(values))
    shares = shares[shares > 1e-12 * shares.sum()] / shares.sum()
    return float(-(shares * np.log(shares)).sum())


def entropies(network: Tiny) -> list[float]:
    with drawn_anew(network, fan_in) as drawn:
        return [entropy(features) for features in drawn.maps(torch.randn_like(batch()[0]))]


def test_expressivity_is_the_sum_of_the_entropies_of_stem_and_blocks() -> None:
    assert score("az_expressivity", Tiny()) == pytest.approx(sum(entropies(Tiny())), rel=1e-7)


def test_progressivity_is_the_least_growth() -> None:
    expected = min(later - earlier for earlier, later in pairwise(entropies(Tiny())))
    assert score("az_progressivity", Tiny()) == pytest.approx(expected, rel=1e-7)


def test_trainability_by_outer_products_of_every_pixel() -> None:
    with drawn_anew(Tiny(), fan_in) as network:
        maps = network.maps(torch.randn_like(batch()[0]))
        counts = []
        for before, after in pairwise(maps):
            signs = torch.randint(2, after.shape) * 2.0 - 1
            (after * signs).sum().backward(inputs=[before], retain_graph=True)
            slopes, before.grad = before.grad.numpy(), None
            step = before.shape[-1] // after.shape[-1]
            products = []
            for image, row, column in np.ndindex(len(after), *after.shape[2:]):
                here = slice(row * step, (row + 1) * step), slice(column * step, (column + 1) * step)
                products.append(np.outer(slopes[image][:, *here].ravel(), signs[image, :, row, column]))
            s = np.linalg.svd(np.mean(products, axis=0), compute_uv=False)[0]
            counts.append(-s - 1 / (s + 1e-6) + 2)
    assert len(counts) == 3
    assert score("az_trainability", Tiny()) == pytest.approx(np.mean(counts), rel=1e-7)


class Cut(Tiny):
    """The third block takes the first one's output, so that it does not depend on the second's."""

    def maps(self, x: Tensor) -> list[Tensor]:
        first = self.blocks[0](self.stem(x))
        second = self.blocks[1](first)
        return [second, self.blocks[2](torch.cat([first, first[:, :2]], 1))]


def test_a_block_that_is_cut_off_from_the_one_before_counts_as_dead() -> None:
    assert score("az_trainability", Cut()) == pytest.approx(-1e6 / 3, rel=1e-4)


class WorksInPlace(Block):
    """A block that overwrites what it takes."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu_(x)))


@pytest.mark.parametrize("name", AZ_NAS)
def test_blocks_may_work_in_place(name: str) -> None:
    network = Tiny()
    network.blocks = nn.ModuleList([WorksInPlace(3, 3), WorksInPlace(3, 5, stride=2), WorksInPlace(5, 5)])
    assert score(name, network.double()) == score(name, Tiny())


def test_blocks_that_do_nothing_are_the_worst_to_train() -> None:
    cell = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    network = get_space("nasbench201-mini").build(cell, 3, 2).double()
    assert score("az_trainability", network) == -math.inf
    assert math.isfinite(score("az_progressivity", network))


def chain(network: Any, x: Tensor) -> list[Tensor]:
    maps = [network.stem(x)]
    for cell in network.body:
        maps.append(cell(maps[-1]))
    return maps


def cells_of_two_inputs(network: Any, x: Tensor) -> list[Tensor]:
    before, last = network.stem(x)
    maps = [last]
    for cell in network.cells:
        before, last = last, cell(before, last)
        maps.append(last)
    return maps


@pytest.mark.parametrize(
    ("space", "maps", "cells"),
    [("nasbench201", chain, 17), ("nats-sss", chain, 5), ("nds-darts", cells_of_two_inputs, None)],
)
def test_blocks_of_the_spaces_of_cells_are_their_cells_after_the_stem(
    space: str, maps: Callable[[nn.Module, Tensor], list[Tensor]], cells: int | None
) -> None:
    found = get_space(space)
    network = found.build(found.sample(1, random.Random(0))[0], 3, 2).double()
    with drawn_anew(network, fan_in) as drawn:
        features = maps(drawn, torch.randn_like(batch()[0]))
    assert len(features) == 1 + (cells or len(network.cells))
    assert score("az_expressivity", network) == pytest.approx(sum(map(entropy, features)), rel=1e-6)


def test_a_network_without_blocks_has_its_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).double()
    with drawn_anew(network, fan_in) as drawn:
        first = drawn[0](torch.randn_like(batch()[0]))
        second = drawn[2](F.relu(first))
    assert score("az_expressivity", network) == pytest.approx(entropy(first) + entropy(second), rel=1e-7)


def test_one_convolution_is_no_network_of_blocks() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()).double()
    with pytest.raises(InputError, match="finds 1"):
        score("az_progressivity", network)


def test_complexity_by_hand() -> None:
    multiply_adds = 2 * 3 * 64 + 9 * (3 * 3 * 64 + 3 * 5 * 16 + 5 * 5 * 16) + 5 * 3
    assert score("az_complexity", Tiny()) == 2 * multiply_adds


# --- measured by others -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(shared: Path) -> tuple[Tensor, Tensor]:
    """The first CIFAR-10 images in float32, averaged down to 16 x 16 pixels to be quick."""
    table = polars.read_parquet(shared / "data" / "cifar10_train256_lossless.parquet").head(16)
    pixels = np.stack([np.frombuffer(row, np.uint8).reshape(32, 32, 3) for row in table["pixels_hwc_u8"]])
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / 255.0).float()
    centred = (images - images.mean((0, 2, 3), True)) / images.std((0, 2, 3), keepdim=True)
    return F.avg_pool2d(centred, 2), torch.tensor(table["label"].to_list())


def networks(archs: list[str]) -> list[nn.Module]:
    space = get_space("nasbench201")
    built = [space.build(arch, 10) for arch in archs]
    for network in built:
        initialise(network, random_stream(0, "network"))
    return built


@pytest.mark.slow
@pytest.mark.oracle("language", "spaces", "engine", "networks", "proxies")
def test_zen_ranks_as_published_scores_do(shared: Path, pictures: tuple[Tensor, Tensor]) -> None:
    """Not exactly: NAS-Bench-Suite-Zero takes running variances, which still remember that they began at 1."""
    table = polars.read_parquet(shared / "data" / "nb201_zc_suitezero_cifar10.parquet").sort("index")
    table = table.gather_every(len(table) // 20).head(20)
    images, labels = pictures[0][:8], pictures[1][:8]
    scores = [score("zen", network, images, labels) for network in networks(table["arch_str"].to_list())]
    assert stats.spearmanr(scores, table["zen"]).statistic > 0.85


@pytest.fixture(scope="module")
def measured(shared: Path) -> tuple[list[nn.Module], list[float]]:
    """Networks evenly spaced in the ranking by CIFAR-10 accuracy, and their accuracies."""
    table = polars.read_parquet(shared / "data" / "nb201.parquet").sort("cifar10_test_200", "index")
    table = table.gather_every(len(table) // 13).head(13)
    return networks(table["arch_str"].to_list()), table["cifar10_test_200"].to_list()


@pytest.mark.slow
@pytest.mark.oracle("language", "spaces", "engine", "networks", "proxies")
@pytest.mark.parametrize(
    ("name", "count", "least"), [("zico", 8, 0.4), ("te_nas_condition", 16, 0.3), ("te_nas_regions", 8, 0.4)]
)
def test_scores_rank_networks_by_accuracy(
    name: str,
    count: int,
    least: float,
    measured: tuple[list[nn.Module], list[float]],
    pictures: tuple[Tensor, Tensor],
) -> None:
    found, accuracies = measured
    scores = [score(name, network, pictures[0][:count], pictures[1][:count]) for network in found]
    assert stats.kendalltau(scores, accuracies).statistic > least


@pytest.mark.slow
@pytest.mark.oracle("language", "spaces", "engine", "networks", "proxies")
def test_the_rank_sum_ranks_networks_by_accuracy(
    measured: tuple[list[nn.Module], list[float]], pictures: tuple[Tensor, Tensor]
) -> None:
    found, accuracies = measured
    images, labels = pictures[0][:8], pictures[1][:8]
    scores = [[score(name, network, images, labels) for network in found] for name in AZ_NAS]
    taus = [stats.kendalltau(row, accuracies).statistic for row in scores]
    assert min(taus) > 0.1
    rank_sum = np.log(stats.rankdata(scores, axis=1) / len(found)).sum(0)
    assert stats.kendalltau(rank_sum, accuracies).statistic > 0.5


# What a network of a user's own does to them ----------------------------------------------------------------------


def dropped(rate: float, width: int = 8) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for channels in (3, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(rate)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@pytest.mark.parametrize("name", proxy_names())
def test_dropout_makes_no_difference(name: str) -> None:
    images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(8)
    assert get_proxy(name)(dropped(0.5), images, labels) == get_proxy(name)(dropped(0.0), images, labels)


class NormAsFunction(nn.Module):
    """Normalises by a function that is told the module's mode, so that evaluation would mean running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 6, 3), nn.Linear(6, 10)
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("variance", torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        assert isinstance(mean, Tensor)
        assert isinstance(variance, Tensor)
        x = F.batch_norm(self.conv(x), mean, variance, training=self.training)
        return self.linear(F.relu(x).mean((2, 3)))


@pytest.mark.parametrize("name", ["naswot", "snip", "zen", "jacob_cov"])
def test_batch_norms_as_functions_use_the_batch_too(name: str) -> None:
    torch.manual_seed(0)
    own = NormAsFunction()
    layers = nn.Sequential(
        own.conv, nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), own.linear
    )
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = get_proxy(name)(layers, images, torch.arange(6))
    assert get_proxy(name)(own, images, torch.arange(6)) == pytest.approx(expected, rel=1e-5)


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = dropped(0.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.body(x)
        return logits.mean(1), logits


@pytest.mark.parametrize("name", [one for one in proxy_names() if one not in ("params",)])
def test_several_outputs_are_one_clear_error(name: str) -> None:
    with pytest.raises(InputError, match=r"returns a tuple of 2: .* output=1 \(--output 1\)"):
        get_proxy(name)(Several(), torch.randn(4, 3, 16, 16), torch.arange(4))


def activated(activation: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), activation, nn.Conv2d(4, 4, 3), activation, nn.Flatten(), nn.LazyLinear(10)
    )


@pytest.mark.parametrize("name", ["naswot", "swap", "te_nas_regions"])
def test_all_rectifiers_count_and_other_activations_are_refused(name: str) -> None:
    images, labels = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)

    def score(activation: nn.Module) -> float:
        network = activated(activation)
        network(images)
        return get_proxy(name)(network, images, labels)

    assert score(nn.LeakyReLU()) > 1
    assert score(nn.PReLU()) > 1
    assert score(nn.ReLU6()) == pytest.approx(score(nn.ReLU()), rel=0.3)
    with pytest.raises(
        InputError, match=rf"{name} looks at which units of rectifiers .* activations are gelu, silu"
    ):
        score(nn.Sequential(nn.GELU(), nn.SiLU()))


def test_grasp_runs_on_attention() -> None:
    torch.manual_seed(0)

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 10)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            head: Tensor = self.head(self.layer(self.cut(x).flatten(2).transpose(1, 2)).mean(1))
            return head

    assert math.isfinite(get_proxy("grasp")(Attending(), torch.randn(4, 3, 16, 16), torch.arange(4)))


@pytest.mark.parametrize("depth", [2, 12])
def test_synflow_is_not_cut_off_by_a_relu6(depth: int) -> None:
    def network(activation: Callable[[], nn.Module]) -> nn.Module:
        torch.manual_seed(0)
        layers = [part for _ in range(depth) for part in (nn.Conv2d(3, 3, 3, padding=1), activation())]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 8 * 8, 10))

    images, labels = torch.randn(2, 3, 8, 8), torch.arange(2)
    expected = get_proxy("synflow")(network(nn.ReLU), images, labels)
    for activation in (nn.ReLU6, lambda: nn.ReLU6(inplace=True)):
        assert get_proxy("synflow")(network(activation), images, labels) == pytest.approx(expected)
