from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path

import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_samples import build_equal_parts_once, parameter_count, random_images
from torch import nn

from zcsr.errors import InputError
from zcsr.spaces import get_space, space_names

SPACE = get_space("nasbench201")
MINI = get_space("nasbench201-mini")
PARAMETER_COLUMNS = {"cifar10": "cifar10_params", "cifar100": "cifar100_params", "imagenet16-120": "in16_params"}

archs = st.integers(0, 15_624).map(SPACE.arch)


def published_count(arch: str, classes: int) -> int:
    cifar10 = 73_306 + 28_000 * arch.count("nor_conv_1x1") + 243_040 * arch.count("nor_conv_3x3")
    return cifar10 + (64 + 1) * (classes - 10)


@pytest.fixture(scope="module")
def published(shared: Path) -> polars.DataFrame:
    return polars.read_parquet(shared / "data" / "nb201.parquet")


def test_names_of_the_spaces() -> None:
    assert {"nasbench201", "nasbench201-mini"} <= set(space_names())
    assert all(get_space(name).name == name for name in space_names())


def test_unknown_space_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'nasbench201'"):
        get_space("nasbench21")


def test_the_first_architecture_is_the_one_that_the_authors_assert() -> None:
    assert len(SPACE) == 15_625
    assert SPACE.arch(0) == (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )


@pytest.mark.parametrize("classes", [10, 100, 120])
@pytest.mark.parametrize("index", [3, 6, 857, 6111, 9930])
def test_parameters_of_a_few_networks(index: int, classes: int) -> None:
    arch = SPACE.arch(index)
    assert parameter_count(SPACE.build(arch, classes)) == published_count(arch, classes)


@pytest.mark.slow
@pytest.mark.oracle("spaces")
def test_parameters_of_all_networks(published: polars.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal modules are built once and counted wherever they stand; data sets differ in the classifier alone."""
    build_equal_parts_once(monkeypatch)
    with torch.device("meta"):
        counted = [parameter_count(SPACE.build(SPACE.arch(i), classes=10)) for i in range(len(SPACE))]
        whole = {name: SPACE.build(SPACE.arch(0), d.classes) for name, d in SPACE.datasets.items()}
    for dataset, column in PARAMETER_COLUMNS.items():
        classifier = parameter_count(whole[dataset]) - counted[0]
        assert [count + classifier for count in counted] == published[column].to_list()


def test_isomorphism_classes_are_the_published_ones(published: polars.DataFrame) -> None:
    members: dict[str, set[str]] = defaultdict(set)
    for arch in published["arch_str"]:
        members[SPACE.canonical(arch)].add(arch)
    expected: dict[str, set[str]] = defaultdict(set)
    for arch, key in published.select("arch_str", "unique_str").iter_rows():
        expected[key].add(arch)
    assert len(members) == 6_466
    assert {frozenset(group) for group in members.values()} == {frozenset(group) for group in expected.values()}


@given(archs)
def test_the_representative_is_the_first_of_its_class(arch: str) -> None:
    representative = SPACE.canonical(arch)
    assert SPACE.canonical(representative) == representative
    assert SPACE.index(representative) <= SPACE.index(arch)


def random_network(arch: str) -> nn.Module:
    torch.manual_seed(0)
    return MINI.build(arch, classes=10, in_channels=1)


def test_isomorphic_cells_compute_the_same_function() -> None:
    """One 3x3 convolution between input and output: alone, after a skip connection, before one."""
    isomorphic = [
        "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
    ]
    assert len({SPACE.canonical(arch) for arch in isomorphic}) == 1
    logits = [random_network(arch)(random_images(2, 1, 16)) for arch in isomorphic]
    torch.testing.assert_close(logits[1], logits[0])
    torch.testing.assert_close(logits[2], logits[0])


@pytest.mark.parametrize(
    ("name", "dataset"), [(s, d) for s in ("nasbench201", "nasbench201-mini") for d in get_space(s).datasets]
)
def test_forward_shapes(name: str, dataset: str) -> None:
    shape = get_space(name).datasets[dataset]
    network = get_space(name).build(SPACE.arch(1), shape.classes, shape.channels)
    images = random_images(2, shape.channels, shape.height)
    logits = network(images)
    assert logits.shape == (2, shape.classes)
    assert torch.isfinite(logits).all()
    assert network.get_submodule("body")(network.get_submodule("stem")(images)).shape[2] == shape.height // 4


def naive_operation(name: str, x: torch.Tensor, conv: torch.Tensor | None) -> torch.Tensor:
    if name == "none":
        return torch.zeros_like(x)
    if name == "skip_connect":
        return x
    if conv is not None:
        y = torch.conv2d(x.clamp(min=0), conv, padding=conv.shape[-1] // 2)
        mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), correction=0, keepdim=True)
        return (y - mean) / (variance + 1e-5).sqrt()
    ones = torch.ones_like(x)
    box = torch.ones(x.shape[1], 1, 3, 3)
    window_sums = [torch.conv2d(t, box, padding=1, groups=x.shape[1]) for t in (x, ones)]
    return window_sums[0] / window_sums[1]


@given(archs)
@settings(max_examples=25, deadline=None)
def test_a_node_is_the_sum_of_its_edges(arch: str) -> None:
    cell = random_network(arch).get_submodule("body.stage1_cell1")
    weights = {k.split(".")[1]: w for k, w in cell.state_dict().items() if k.endswith("conv.weight")}
    operations = dict(zip(("0-1", "0-2", "1-2", "0-3", "1-3", "2-3"), re.findall(r"\|(\w+)~", arch), strict=True))
    x = random_images(3, 8, 16)
    nodes = [x]
    for target in (1, 2, 3):
        edges = [(f"{source}-{target}", nodes[source]) for source in range(target)]
        entering = [naive_operation(operations[edge], node, weights.get(edge)) for edge, node in edges]
        nodes.append(torch.stack(entering).sum(0))
    torch.testing.assert_close(cell(x), nodes[3], rtol=1e-4, atol=1e-4)


def test_every_convolution_of_the_body_has_its_own_relu() -> None:
    arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    network = SPACE.build(arch, classes=10)
    relus = [m for m in network.get_submodule("body").modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == 15 * 6 + 2 * 2
    assert not any(relu.inplace for relu in relus)
    convolutions = [m for m in network.get_submodule("body").modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == len(relus) + 2
    assert all(convolution.bias is None for convolution in convolutions)


def test_a_source_without_an_onward_edge_has_a_gradient_of_zero() -> None:
    network = random_network("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    network(random_images(2, 1, 16)).sum().backward()
    gradient = network.get_parameter("body.stage1_cell1.edges.0-1.conv.weight").grad
    assert gradient is not None
    assert not gradient.any()


@given(archs)
def test_neighbours_differ_in_one_edge(arch: str) -> None:
    neighbours = SPACE.neighbours(arch)
    assert len(neighbours) == len(set(neighbours)) == 24
    edges = arch.replace("+", "").split("|")
    for neighbour in neighbours:
        changed = zip(edges, neighbour.replace("+", "").split("|"), strict=True)
        assert sum(a != b for a, b in changed) == 1
        assert arch in SPACE.neighbours(neighbour)


def test_samples_cover_the_space_evenly() -> None:
    assert set(SPACE.sample(len(SPACE), random.Random(0))) == set(map(SPACE.arch, range(len(SPACE))))
    drawn = "".join(SPACE.sample(5_000, random.Random(1)))
    for operation in ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"):
        assert drawn.count(f"|{operation}~") / 30_000 == pytest.approx(0.2, abs=0.01)
