"""The classic proxies against finite differences, naive loops, closed forms and published scores."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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
from zcsr.networks.initialisation import seeded
from zcsr.proxies import get_proxy
from zcsr.spaces import get_space

NAMES = (
    *("params", "flops", "depth", "grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "naswot", "swap"),
    *("swap_regularised", "logsynflow"),
)
OF_WEIGHTS = ("grad_norm", "snip", "grasp", "fisher", "synflow", "logsynflow")
OF_THE_LOSS = ("grad_norm", "snip", "grasp", "fisher")

Vector = npt.NDArray[np.float64]


class Tiny(nn.Module):
    """A grouped and a plain convolution, a functional ReLU in place, a BatchNorm, a linear layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.pointwise = nn.Conv2d(4, 3, 1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.linear = nn.Linear(3, 3)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.grouped(x), inplace=True)
        hidden = F.relu(self.norm(self.pointwise(hidden)))
        return self.linear(hidden.mean((2, 3)))

    def layers(self) -> list[Any]:
        return [self.grouped, self.pointwise, self.linear]


def batch(count: int = 4, channels: int = 2, size: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, channels, size, size, generator=generator, dtype=torch.float64)
    return images, torch.randint(3, (count,), generator=generator)


def score(name: str, network: nn.Module, images: Tensor | None = None, labels: Tensor | None = None) -> float:
    default = batch()
    return get_proxy(name)(
        network, default[0] if images is None else images, default[1] if labels is None else labels
    )


# --- oracles ----------------------------------------------------------------------------------------------------


def loss(network: nn.Module) -> float:
    """The mean cross-entropy, written out."""
    images, labels = batch()
    with torch.no_grad():
        logits = network(images).numpy()
    return float(
        np.mean([math.log(sum(math.exp(v) for v in row)) - row[k] for row, k in zip(logits, labels, strict=True)])
    )


def slopes(value: Callable[[], float], tensor: Tensor, step: float = 1e-5) -> Vector:
    """Central differences of `value()` for each element of `tensor`, which it depends on."""
    entries = tensor.data.reshape(-1)
    found = []
    for index in range(len(entries)):
        middle = entries[index].item()
        entries[index] = middle + step
        above = value()
        entries[index] = middle - step
        found.append((above - value()) / (2 * step))
        entries[index] = middle
    return np.array(found)


def flat(tensor: Tensor) -> Vector:
    return tensor.detach().numpy().reshape(-1).copy()


# --- counts -----------------------------------------------------------------------------------------------------


def test_params_by_hand() -> None:
    assert score("params", Tiny()) == (4 * 1 * 9 + 4) + 3 * 4 + (3 + 3) + (9 + 3)
    assert score("params", Tiny().requires_grad_(False)) == score("params", Tiny())


@pytest.mark.parametrize("index", [0, 1, 6111, 15_624])
def test_params_of_published_networks(index: int, shared: Path) -> None:
    row = polars.read_parquet(shared / "data" / "nb201.parquet").row(index, named=True)
    network = get_space("nasbench201").build(row["arch_str"], 10)
    assert score("params", network) == row["cifar10_params"]


def test_flops_by_hand() -> None:
    positions = 9
    multiply_adds = positions * 4 * 9 + positions * 3 * 4 + 3 * 3
    assert score("flops", Tiny()) == 2 * multiply_adds


def test_flops_are_of_one_image_even_where_a_batch_norm_sees_one_value() -> None:
    network = nn.Sequential(nn.Conv2d(2, 5, 3, stride=2), nn.BatchNorm2d(5), nn.Flatten()).double()
    assert score("flops", network) == 2 * 5 * 2 * 9


# --- gradients --------------------------------------------------------------------------------------------------


class Ways(nn.Module):
    """A way of three layers beside one of two, a layer that nothing reads, and a product with a computed weight."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.first, self.second = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.unread, self.linear = nn.Conv2d(2, 2, 1), nn.Linear(2, 3, bias=False)
        self.mixing = nn.Parameter(torch.eye(3))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(F.relu(self.first(x))) + self.short(x)
        self.unread(self.unread(self.unread(hidden)))
        weight = self.mixing @ self.mixing @ self.mixing @ self.linear.weight  # three products, none of the images
        return F.linear(F.relu(hidden).mean((2, 3)), weight)


class Twice(nn.Module):
    """A layer that is called twice, on tokens, after working in place on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.mul_(2).flatten(2).transpose(1, 2)
        return self.linear(self.linear(tokens)).mean(1)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Tiny(), 3),  # two convolutions and a linear layer in a row
        (Ways(), 3),
        (Twice(), 2),
        (nn.Sequential(nn.Flatten(), *(nn.Linear(18, 18).double() for _ in range(3000))), 3000),
    ],
    ids=["chain", "ways", "twice", "deeper than Python's stack"],
)
def test_depth_by_hand(network: nn.Module, expected: int) -> None:
    assert score("depth", network) == expected


def test_depth_without_a_way_from_the_images_is_zero() -> None:
    linear = nn.Linear(2, 3).double()

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return linear(torch.ones(len(x), 2, dtype=x.dtype))

    assert score("depth", Constant()) == 0


@pytest.mark.parametrize(
    ("arch", "of_a_cell"),
    [
        ("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|", 3),
        ("|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|", 2),
        ("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 0),
        ("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|", 1),
    ],
)
def test_depth_of_cells_by_hand(arch: str, of_a_cell: int, cifar_like: tuple[Tensor, Tensor]) -> None:
    # A stem, three cells with a residual block of two convolutions between each two, a classifier.
    network = get_space("nasbench201-mini").build(arch, 10, 3)
    assert score("depth", network, *cifar_like) == 1 + 3 * of_a_cell + 2 * 2 + 1


def test_grad_norm_by_finite_differences() -> None:
    network = Tiny()
    norms = [np.linalg.norm(slopes(lambda: loss(network), layer.weight)) for layer in network.layers()]
    assert score("grad_norm", network) == pytest.approx(sum(norms), rel=1e-6)


def test_snip_by_finite_differences() -> None:
    network = Tiny()
    sums = [
        np.abs(flat(layer.weight) * slopes(lambda: loss(network), layer.weight)).sum() for layer in network.layers()
    ]
    assert score("snip", network) == pytest.approx(sum(sums), rel=1e-6)


def test_grasp_by_half_the_slope_of_the_squared_norm_of_the_gradient() -> None:
    network = Tiny()
    images, labels = batch()
    weights = [layer.weight for layer in network.layers()]

    def half_squared_norm() -> float:
        found = torch.autograd.grad(F.cross_entropy(network(images), labels), weights)
        return sum(gradient.square().sum().item() for gradient in found) / 2

    expected = -sum((flat(weight) * slopes(half_squared_norm, weight)).sum() for weight in weights)
    assert score("grasp", network) == pytest.approx(expected, rel=1e-6)


def test_fisher_by_gates_on_every_channel_of_every_image() -> None:
    network = Tiny()
    expected = 0.0
    for layer in network.layers():
        gates = torch.ones(4, layer.weight.shape[0], dtype=torch.float64)
        if layer is not network.linear:
            gates = gates[..., None, None]
        handle = layer.register_forward_hook(lambda _, inputs, output, gates=gates: output * gates)
        opened = slopes(lambda: loss(network), gates).reshape(4, -1)
        handle.remove()
        weights_a_channel = {network.grouped: 9, network.pointwise: 4, network.linear: 3}[layer]
        for channel in range(opened.shape[1]):
            expected += weights_a_channel * sum(opened[image, channel] ** 2 for image in range(4)) / 4 / 2
    assert score("fisher", network) == pytest.approx(expected, rel=1e-6)


def test_fisher_of_tokens_counts_features() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Linear(3, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(1, 2)  # [4, 6, 3]
            self.gated = self.inner(tokens)
            return self.gated.mean(1)

    network = Tokens()
    images, labels = batch()
    value = F.cross_entropy(network(images), labels)
    (gradient,) = torch.autograd.grad(value, [network.gated])
    a, g = network.gated.detach().numpy(), gradient.numpy()
    expected = 3 * sum(
        sum(a[i, t, f] * g[i, t, f] for t in range(6)) ** 2 / 4 / 2 for i in range(4) for f in range(3)
    )
    assert score("fisher", Tokens()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_a_layer_without_gradient_counts_nothing(name: str) -> None:
    network = Tiny()
    expected = score(name, network)
    network.unused = nn.Conv2d(2, 2, 3).double()
    assert score(name, network) == expected
    assert expected != 0


@pytest.mark.parametrize("name", OF_THE_LOSS)
def test_part_of_the_network_may_run_without_gradients(name: str) -> None:
    class Cut(Tiny):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                hidden = F.relu(self.grouped(x))
            hidden = F.relu(self.norm(self.pointwise(hidden)))
            return self.linear(hidden.mean((2, 3)))

    class Rest(nn.Module):
        def __init__(self, whole: Tiny) -> None:
            super().__init__()
            self.pointwise, self.norm, self.linear = whole.pointwise, whole.norm, whole.linear

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(F.relu(self.norm(self.pointwise(x))).mean((2, 3)))

    images, labels = batch()
    network = Cut()
    hidden = F.relu(network.grouped(images)).detach()
    assert score(name, network) == pytest.approx(score(name, Rest(network), hidden, labels), rel=1e-12)


# --- synflow ----------------------------------------------------------------------------------------------------


class Chain(nn.Module):
    """Pointwise convolutions with a ReLU and a BatchNorm, by turns a module and a function, after each."""

    def __init__(self, matrices: list[Vector]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for matrix in matrices:
            layer = nn.Conv2d(matrix.shape[1], matrix.shape[0], 1, bias=False)
            layer.weight.data = torch.tensor(matrix, dtype=torch.float32)[..., None, None]
            self.layers.append(layer)
        self.norms = nn.ModuleList(nn.BatchNorm2d(matrix.shape[0]) for matrix in matrices)

    def forward(self, x: Tensor) -> Tensor:
        for position, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = F.relu(layer(x))
            x = (
                norm(x)
                if position % 2
                else F.batch_norm(input=x, running_mean=None, running_var=None, training=True)
            )
        return x.flatten(1)


@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_synflow_of_a_chain_is_depth_times_the_product_of_absolute_weights(scale: float) -> None:
    """With a scale of 1e12 the product is beyond float32."""
    generator = np.random.default_rng(0)
    matrices = [
        scale * generator.standard_normal(shape).astype(np.float32) for shape in ((5, 2), (4, 5), (6, 4), (3, 6))
    ]
    product = np.ones(2)
    for matrix in matrices:
        product = np.abs(matrix) @ product
    expected = len(matrices) * 9 * product.sum()  # each of 3x3 positions by itself
    images, labels = batch()
    assert score("synflow", Chain(matrices), images.float(), labels) == pytest.approx(expected, rel=1e-6)
    assert score("synflow", Chain(matrices), -7 * images.float(), labels) == score(
        "synflow", Chain(matrices), images.float(), labels
    )


@pytest.mark.parametrize(("name", "taken"), [("synflow", np.abs), ("logsynflow", np.log1p)])
def test_synflow_with_biases_by_finite_differences(name: str, taken: Callable[[Vector], Vector]) -> None:
    network = Tiny()
    expected = 0.0
    positive = copy.deepcopy(network)
    positive.norm = nn.Identity()
    for parameter in positive.parameters():
        parameter.data.abs_()

    def flow() -> float:
        with torch.no_grad():
            return float(positive(torch.ones(1, 2, 3, 3, dtype=torch.float64)).sum())

    for layer in positive.layers():
        expected += (flat(layer.weight) * taken(slopes(flow, layer.weight))).sum()
    assert score(name, network) == pytest.approx(expected, rel=1e-6)


def test_synflow_of_a_pre_activation_block_that_works_in_place() -> None:
    class Block(Tiny):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.before = nn.BatchNorm2d(4).double()
            self.after = nn.Conv2d(4, 3, 1).double()
            nn.init.ones_(self.after.weight)
            nn.init.zeros_(self.after.bias)
            self.inplace = inplace

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.grouped(x)
            shortcut = self.pointwise(hidden)
            hidden = F.relu(self.before(hidden), inplace=self.inplace)
            return self.linear((shortcut + self.after(hidden)).mean((2, 3)))

    assert score("synflow", Block(inplace=True)) == score("synflow", Block(inplace=False)) > 0


@pytest.mark.slow
@pytest.mark.oracle("language", "spaces", "engine", "networks", "proxies")
def test_logsynflow_ranks_better_than_synflow_as_published(shared: Path) -> None:
    """Spearman with test accuracy on NAS-Bench-201's CIFAR-10, with torch's weights: .84 and .77 by FreeREA."""
    rows = polars.read_parquet(shared / "data" / "nb201.parquet").sample(100, seed=0)
    images, labels = torch.ones(1, 3, 32, 32), torch.zeros(1, dtype=torch.long)
    found: dict[str, list[float]] = {"synflow": [], "logsynflow": []}
    with seeded(0):
        networks = [get_space("nasbench201").build(arch, 10) for arch in rows["arch_str"]]
    for network in networks:
        for name, scores in found.items():
            scores.append(score(name, copy.deepcopy(network), images, labels))
    plain, logarithm = (stats.spearmanr(scores, rows["cifar10_test_200"]).statistic for scores in found.values())
    assert plain == pytest.approx(0.77, abs=0.08)
    assert logarithm == pytest.approx(0.84, abs=0.08)
    assert logarithm > plain + 0.03


# --- jacob_cov --------------------------------------------------------------------------------------------------


def test_jacob_cov_by_finite_differences_and_numpy() -> None:
    network = Tiny()
    images, _ = batch()

    def sum_of_outputs() -> float:
        with torch.no_grad():
            return float(network(images).sum())

    jacobians = slopes(sum_of_outputs, images).reshape(4, -1)
    eigenvalues = np.linalg.eigvals(np.corrcoef(jacobians)).real
    expected = -sum(math.log(value + 1e-5) + 1 / (value + 1e-5) for value in eigenvalues)
    assert score("jacob_cov", network) == pytest.approx(expected, rel=1e-5)


def test_equal_jacobians_are_the_worst_finite_score() -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(18, 3)).double()
    fully_correlated = 3 * (math.log(1e-5) + 1e5) + math.log(4) + 1 / 4
    assert score("jacob_cov", linear) == pytest.approx(-fully_correlated, rel=1e-6)


def test_a_constant_jacobian_ranks_last_and_none_ranks_not() -> None:
    assert score("jacob_cov", nn.Flatten()) == -math.inf
    assert math.isnan(score("jacob_cov", Tiny(), batch()[0] * math.nan))


# --- naswot -----------------------------------------------------------------------------------------------------


class Rectified(nn.Module):
    """Two fixed linear maps, each followed by `rectifier`."""

    def __init__(self, rectifier: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.first = nn.Parameter(torch.randn(18, 40, generator=generator, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(40, 30, generator=generator, dtype=torch.float64))
        self.rectifier = rectifier

    def forward(self, x: Tensor) -> Tensor:
        return self.rectifier(self.rectifier(x.flatten(1) @ self.first) @ self.second)


def method_in_place(x: Tensor) -> Tensor:
    return x.relu_()


def keyword(x: Tensor) -> Tensor:
    return F.relu(input=x, inplace=True)


RECTIFIERS: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "module": (nn.ReLU(), 0.0, math.inf),
    "module in place": (nn.ReLU(inplace=True), 0.0, math.inf),
    "function": (F.relu, 0.0, math.inf),
    "keyword": (keyword, 0.0, math.inf),
    "torch.relu": (torch.relu, 0.0, math.inf),
    "method": (Tensor.relu, 0.0, math.inf),
    "method in place": (method_in_place, 0.0, math.inf),
    "ReLU6": (nn.ReLU6(), 0.0, 6.0),
    "relu6": (F.relu6, 0.0, 6.0),
    "LeakyReLU": (nn.LeakyReLU(0.25), 0.25, math.inf),
    "LeakyReLU in place": (nn.LeakyReLU(0.25, inplace=True), 0.25, math.inf),
    "PReLU": (nn.PReLU(init=0.25, dtype=torch.float64), 0.25, math.inf),
    "RReLU": (nn.RReLU(0.25, 0.25), 0.25, math.inf),
}


@pytest.mark.parametrize("how", RECTIFIERS)
def test_naswot_by_hamming_distances(how: str) -> None:
    rectifier, slope, ceiling = RECTIFIERS[how]
    network = Rectified(rectifier)
    images, _ = batch(6)
    first = images.flatten(1).numpy() @ flat(network.first).reshape(18, 40)
    second = np.minimum(np.where(first > 0, first, slope * first), ceiling) @ flat(network.second).reshape(40, 30)
    codes = np.hstack([first, second]) > 0
    kernel = np.array([[sum(a == b for a, b in zip(one, other, strict=True)) for other in codes] for one in codes])
    expected = np.linalg.slogdet(kernel.astype(float)).logabsdet
    assert score("naswot", network, images, batch(6)[1]) == pytest.approx(expected, rel=1e-9)


def test_a_hard_tanh_is_no_rectifier() -> None:
    assert score("naswot", Rectified(nn.Hardtanh())) == -math.inf


def test_naswot_counts_convolutions_maps_and_batch_norms_in_training() -> None:
    network = Tiny()
    images, _ = batch()
    first = network.grouped(images).detach().numpy()
    mixed = np.einsum("oc,bchw->bohw", flat(network.pointwise.weight).reshape(3, 4), np.maximum(first, 0))
    mean, variance = mixed.mean((0, 2, 3), keepdims=True), mixed.var((0, 2, 3), keepdims=True)
    scale, shift = (flat(part)[:, None, None] for part in (network.norm.weight, network.norm.bias))
    second = (mixed - mean) / np.sqrt(variance + 1e-5) * scale + shift
    codes = np.hstack([first.reshape(4, -1), second.reshape(4, -1)]) > 0
    kernel = [[float((one == other).sum()) for other in codes] for one in codes]
    assert score("naswot", network.eval()) == pytest.approx(np.linalg.slogdet(kernel).logabsdet, rel=1e-9)


def test_two_images_with_one_code_rank_last() -> None:
    images, labels = batch(40)
    images[31] = images[7] * 3  # a positive factor leaves the code as it is, there being no bias
    assert score("naswot", Rectified(F.relu), images, labels) == -math.inf


def columns(values: Vector) -> set[tuple[bool, ...]]:
    """The different columns of a matrix [samples, values], as to what is above 0."""
    return {tuple(bool(value > 0) for value in column) for column in values.T}


@pytest.mark.parametrize("how", ["module", "function", "keyword", "method in place"])
def test_swap_by_a_set_of_columns(how: str) -> None:
    network = Rectified(RECTIFIERS[how][0])
    images, labels = batch(6)
    first = np.maximum(images.flatten(1).numpy() @ flat(network.first).reshape(18, 40), 0)
    second = np.maximum(first @ flat(network.second).reshape(40, 30), 0)
    expected = len(columns(first) | columns(second))
    assert 10 < expected < 64
    assert score("swap", network, images, labels) == expected


@pytest.mark.parametrize("count", [1, 4, 40])
def test_swap_counts_every_place_of_a_map_once(count: int) -> None:
    network, images, labels = Tiny(), *batch(count)
    first = F.relu(network.grouped(images))
    second = F.relu(network.norm(network.pointwise(first)))
    expected = columns(first.detach().flatten(1).numpy()) | columns(second.detach().flatten(1).numpy())
    assert score("swap", network, images, labels) == len(expected)


@pytest.mark.parametrize("width", [1, 1000, 100_000])
def test_the_regularised_swap_is_less_the_further_the_size_is_from_a_million(width: int) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(18, width), nn.ReLU(), nn.Linear(width, 8)).double()
    images, labels = batch()
    parameters = 18 * width + width + 8 * width + 8
    factor = math.exp(-((parameters / 1e6 - 1) ** 2))
    expected = score("swap", network, images, labels) * factor
    assert score("swap_regularised", network, images, labels) == pytest.approx(expected, rel=1e-12)


# --- for every proxy --------------------------------------------------------------------------------------------


NO_LAYERS = dict.fromkeys(NAMES, 0.0) | {"jacob_cov": -math.inf, "naswot": -math.inf}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_without_layers_has_a_score(name: str) -> None:
    network = nn.Sequential(nn.AvgPool2d(3), nn.Flatten())
    assert score(name, network, *batch(channels=3)) == NO_LAYERS[name]


@pytest.fixture(scope="module")
def cifar_like() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 8, 8, generator=generator), torch.randint(10, (4,), generator=generator)


DEAD_ENDS = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|"
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.mark.parametrize("name", NAMES)
def test_cells_with_zeroed_edges_have_a_score(name: str, cifar_like: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    assert math.isfinite(score(name, get_space("nasbench201-mini").build(DEAD_ENDS, 10, 3), *cifar_like))
    nothing = score(name, get_space("nasbench201-mini").build(NOTHING, 10, 3), *cifar_like)
    assert nothing == -math.inf if name in ("jacob_cov", "naswot") else math.isfinite(nothing)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_and_all_around_it_stay_as_they_were(name: str, cifar_like: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    network = get_space("nasbench201-mini").build(DEAD_ENDS, 10, 3)
    network.classifier.register_forward_hook(lambda module, inputs, output: None)
    network.stem.eval()
    network.stem[0].weight.requires_grad_(False)
    network.classifier.weight.grad = torch.full_like(network.classifier.weight, 7.0)
    images, labels = (tensor.clone() for tensor in cifar_like)
    state = copy.deepcopy(network.state_dict())
    outward = list(_outward(network))
    random_state, threads = torch.get_rng_state(), torch.get_num_threads()

    first = score(name, network, images, labels)

    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert list(_outward(network)) == outward
    assert bool((network.classifier.weight.grad == 7).all())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.get_num_threads() == threads
    assert torch.equal(images, cifar_like[0])
    assert not images.requires_grad
    assert score(name, network, images, labels) == first


def _outward(network: nn.Module) -> Iterator[tuple[object, ...]]:
    for path, module in network.named_modules():
        hooks = [len(value) for key, value in vars(module).items() if key.endswith("hooks")]
        yield path, type(module), module.training, hooks, "forward" in vars(module)
    for path, parameter in network.named_parameters():
        yield path, parameter.requires_grad, parameter.grad is None, parameter.dtype


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", NAMES)
def test_frozen_networks_and_switched_off_gradients_score_alike(
    name: str, context: Callable[[], AbstractContextManager[None]]
) -> None:
    expected = score(name, Tiny())
    with context():
        assert score(name, Tiny().requires_grad_(False).eval()) == expected


@pytest.mark.parametrize("name", OF_THE_LOSS)
def test_labels_and_outputs_that_do_not_fit_are_refused(name: str) -> None:
    images, labels = batch()
    with pytest.raises(InputError, match=r"labels must lie in 0\.\.2"):
        score(name, Tiny(), images, labels + 1)
    with pytest.raises(InputError, match=r"to logits \[4, classes\], not to \[4, 2, 3, 3\]"):
        score(name, nn.Identity(), images, labels)


def test_jacob_cov_and_naswot_take_a_network_that_begins_in_place() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), Tiny())
    assert math.isfinite(score("jacob_cov", network))
    assert math.isfinite(score("naswot", network))


# --- against NAS-Bench-Suite-Zero -------------------------------------------------------------------------------

COLUMNS = {"jacob_cov": "jacov", "naswot": "nwot"}


@pytest.fixture(scope="module")
def published(shared: Path) -> polars.DataFrame:
    table = polars.read_parquet(shared / "data" / "nb201_zc_suitezero_cifar10.parquet").sort("index")
    return table.gather(np.linspace(0, len(table) - 1, 20).astype(int).tolist())


@pytest.fixture(scope="module")
def networks(published: polars.DataFrame) -> list[nn.Module]:
    space = get_space("nasbench201")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [space.build(arch, 10) for arch in published["arch_str"]]


@pytest.fixture(scope="module")
def cifar(shared: Path) -> tuple[Tensor, Tensor]:
    rows = polars.read_parquet(shared / "data" / "cifar10_train256_lossless.parquet").head(8)
    pixels = np.stack([np.frombuffer(row, np.uint8).reshape(32, 32, 3) for row in rows["pixels_hwc_u8"]])
    scaled = (pixels / 255 - (0.4914, 0.4822, 0.4465)) / (0.247, 0.2435, 0.2616)
    return torch.tensor(scaled.transpose(0, 3, 1, 2), dtype=torch.float32), torch.tensor(rows["label"].to_list())


@pytest.mark.slow
@pytest.mark.oracle("language", "spaces", "engine", "networks", "proxies")
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("params", 0.9999),
        ("flops", 0.98),
        ("synflow", 0.95),
        ("naswot", 0.9),
        ("grad_norm", 0.9),
        ("snip", 0.9),
        ("fisher", 0.8),
        ("jacob_cov", 0.8),
        ("grasp", 0.4),  # a sum over both signs, which depends most on the draw
    ],
)
def test_ranks_agree_with_the_published_scores(
    name: str,
    least: float,
    published: polars.DataFrame,
    networks: list[nn.Module],
    cifar: tuple[Tensor, Tensor],
) -> None:
    """Theirs are of other weights and images, one draw of each."""
    scores = [score(name, network, *cifar) for network in networks]
    assert stats.spearmanr(scores, published[COLUMNS.get(name, name)]).statistic >= least
