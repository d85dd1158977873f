from __future__ import annotations

import itertools
import random
from pathlib import Path

import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_samples import build_equal_parts_once, parameter_count, random_images

from zcsr.errors import InputError
from zcsr.spaces import SearchSpace, get_space, nasbench201
from zcsr.spaces.nats_sss import CELL

SPACE = get_space("nats-sss")
MINI = get_space("nats-sss-mini")
SPACES = pytest.mark.parametrize("space", [SPACE, MINI], ids=lambda space: str(space.name))
PARAMETER_COLUMNS = {"cifar10": "cifar10_params", "cifar100": "cifar100_params", "imagenet16-120": "in16_params"}

indices = st.integers(0, 32_767)
archs = indices.map(SPACE.arch)


@pytest.fixture(scope="module")
def published(shared: Path) -> polars.DataFrame:
    return polars.read_parquet(shared / "data" / "nats_sss.parquet")


def test_the_cell_is_the_published_one() -> None:
    assert nasbench201.format_arch(CELL) == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )


def test_order_counts_up_with_the_last_layer_fastest() -> None:
    for space, step in ((SPACE, 8), (MINI, 2)):
        choices = [step * i for i in range(1, 9)]
        expected = [":".join(map(str, widths)) for widths in itertools.product(choices, repeat=5)]
        assert [space.arch(i) for i in range(len(space))] == expected


def test_widths_of_the_other_space_are_refused() -> None:
    with pytest.raises(InputError, match=r"of nats-sss-mini: c1 is '64'; the channel counts are 2, 4, 6, .*16"):
        MINI.index("64:8:8:8:8")


# Counts of parameters as NATS-Bench publishes them, for CIFAR-10, CIFAR-100 and ImageNet16-120.
PUBLISHED_COUNTS = {
    "8:8:8:8:8": (11_714, 12_524, 12_704),
    "64:64:64:64:64": (713_674, 719_524, 720_824),
    "8:64:8:64:8": (110_882, 111_692, 111_872),
    "64:8:64:8:64": (441_226, 447_076, 448_376),
    "16:16:32:32:64": (225_466, 231_316, 232_616),
    "24:40:40:56:56": (316_626, 321_756, 322_896),
    "48:32:16:8:24": (168_762, 171_012, 171_512),
    "56:8:16:64:40": (298_098, 301_788, 302_608),
}


@pytest.mark.parametrize("arch", PUBLISHED_COUNTS)
def test_parameters_of_a_few_networks(arch: str) -> None:
    with torch.device("meta"):
        counts = [parameter_count(SPACE.build(arch, d.classes)) for d in SPACE.datasets.values()]
    assert tuple(counts) == PUBLISHED_COUNTS[arch]


@pytest.mark.slow
@pytest.mark.oracle("spaces")
def test_parameters_of_all_networks(published: polars.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal modules are built once and counted wherever they stand; data sets differ in the classifier alone."""
    build_equal_parts_once(monkeypatch)
    with torch.device("meta"):
        counted = [parameter_count(SPACE.build(SPACE.arch(i), classes=10)) for i in range(len(SPACE))]
    last_widths = [int(SPACE.arch(i).split(":")[-1]) for i in range(len(SPACE))]
    for dataset, column in PARAMETER_COLUMNS.items():
        more = SPACE.datasets[dataset].classes - 10
        counts = [count + more * (width + 1) for count, width in zip(counted, last_widths, strict=True)]
        assert counts == published[column].to_list()


@pytest.mark.parametrize(
    ("space", "arch", "first"),
    [(SPACE, "8:16:24:32:40", 32), (SPACE, "64:8:56:16:8", 32), (SPACE, "8:8:8:8:8", 32), (MINI, "2:4:16:6:8", 16)],
)
def test_every_layer_has_its_width_and_size(space: SearchSpace, arch: str, first: int) -> None:
    network, seen = space.build(arch, classes=10), {}
    for name, layer in network.get_submodule("body").named_children():
        layer.register_forward_hook(lambda module, args, output, name=name: seen.update({name: output.shape}))
    network(random_images(2, 3, 32))
    half, quarter = first // 2, first // 4
    sizes = {
        "stage1_cell1": first,
        "reduction1": half,
        "stage2_cell1": half,
        "reduction2": quarter,
        "stage3_cell1": quarter,
    }
    widths = [int(width) for width in arch.split(":")]
    assert seen == {name: (2, c, size, size) for (name, size), c in zip(sizes.items(), widths, strict=True)}


@pytest.mark.parametrize(("name", "dataset"), [(s.name, d) for s in (SPACE, MINI) for d in s.datasets])
def test_forward_shapes(name: str, dataset: str) -> None:
    space = get_space(name)
    shape = space.datasets[dataset]
    for index in (0, 4_711, 32_767):
        network = space.build(space.arch(index), shape.classes, shape.channels)
        logits = network(random_images(2, shape.channels, shape.height))
        assert logits.shape == (2, shape.classes)
        assert torch.isfinite(logits).all()


def naive_norm(x: torch.Tensor) -> torch.Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


@given(st.tuples(*[st.sampled_from([8, 16, 24])] * 5))
@settings(max_examples=15, deadline=None)
def test_a_cell_is_the_sum_of_its_edges(widths: tuple[int, ...]) -> None:
    """Its edges from the input change the width; the skip connection that must has no ReLU."""
    torch.manual_seed(0)
    body = SPACE.build(":".join(map(str, widths)), classes=10).get_submodule("body")
    for name, c_in, c_out in (("stage2_cell1", widths[1], widths[2]), ("stage3_cell1", widths[3], widths[4])):
        cell, x = body.get_submodule(name), random_images(3, c_in, 8)
        weight = {key.split(".")[1]: w for key, w in cell.state_dict().items() if key.endswith("conv.weight")}

        def conv(edge: str, x: torch.Tensor, weight: dict[str, torch.Tensor] = weight) -> torch.Tensor:
            return naive_norm(torch.conv2d(x.clamp(min=0), weight[edge], padding=1))

        first = conv("0-1", x)
        second = conv("0-2", x) + conv("1-2", first)
        skipped = x if c_in == c_out else naive_norm(torch.conv2d(x, weight["0-3"]))
        expected = skipped + conv("1-3", first) + conv("2-3", second)
        assert cell(x).shape == (3, c_out, 8, 8)
        torch.testing.assert_close(cell(x), expected, rtol=1e-4, atol=1e-4)


@given(archs)
@settings(deadline=None)
def test_neighbours_differ_in_one_layer(arch: str) -> None:
    neighbours = SPACE.neighbours(arch)
    assert len(neighbours) == len(set(neighbours)) == 35
    for neighbour in neighbours:
        assert sum(a != b for a, b in zip(arch.split(":"), neighbour.split(":"), strict=True)) == 1
        assert 0 <= SPACE.index(neighbour) < 32_768
        assert arch in SPACE.neighbours(neighbour)


def test_neighbours_come_layer_by_layer() -> None:
    near = MINI.neighbours("2:4:6:8:16")
    assert near[:2] == ["4:4:6:8:16", "6:4:6:8:16"]
    assert near[7] == "2:2:6:8:16"
    assert near[-1] == "2:4:6:8:14"


@given(archs)
def test_every_architecture_represents_itself(arch: str) -> None:
    assert SPACE.canonical(arch) == arch


@SPACES
def test_samples_cover_the_space_evenly(space: SearchSpace) -> None:
    assert set(space.sample(len(space), random.Random(0))) == set(map(space.arch, range(len(space))))
    drawn = [arch.split(":") for arch in space.sample(8_000, random.Random(1))]
    for layer, counts in enumerate(zip(*drawn, strict=True)):
        for choice in space.arch(0).split(":")[layer], space.arch(len(space) - 1).split(":")[layer]:
            assert counts.count(choice) / 8_000 == pytest.approx(1 / 8, abs=0.02)
