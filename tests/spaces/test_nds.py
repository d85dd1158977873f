from __future__ import annotations

import math
import random
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from network_samples import noise
from scipy import stats
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.networks.instances import draw_inputs, read_instances
from zcsr.networks.training import Examples, TrainingConfig, train_network
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space, nds, space_names
from zcsr.spaces.nds import CellSpace, arch_of
from zcsr.spaces.nds_genotype import Rules
from zcsr.spaces.nds_operations import OPERATIONS, FactorisedReduction

DARTS, AMOEBA, ENAS, PNAS, NASNET, MINI = SPACES = [
    nds.SPACES[name] for name in ("nds-darts", "nds-amoeba", "nds-enas", "nds-pnas", "nds-nasnet", "darts-mini")
]
NDS = SPACES[:-1]
# Small enough to be listed: one node of two operations, four stacks.
TINY = CellSpace(
    "tiny", {}, Rules(("none", "conv_1x1"), 1, "all", range(4, 6), range(2, 4)), range(4, 6), range(2, 4)
)

V2_NORMAL = (
    "sep_conv_3x3~0,sep_conv_3x3~1,sep_conv_3x3~0,sep_conv_3x3~1,sep_conv_3x3~1,skip_connect~0,skip_connect~0,"
    "dil_conv_3x3~2"
)
V2_REDUCE = (
    "max_pool_3x3~0,max_pool_3x3~1,skip_connect~2,max_pool_3x3~1,max_pool_3x3~0,skip_connect~2,skip_connect~2,"
    "max_pool_3x3~1"
)

each_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


def darts_v2(width: int, depth: int) -> str:
    cells = f"normal={V2_NORMAL};normal_concat=2,3,4,5;reduce={V2_REDUCE};reduce_concat=2,3,4,5"
    return f"{cells};width={width};depth={depth}"


def restacked(arch: str, width: int, depth: int) -> str:
    return re.sub(r"width=\d+;depth=\d+$", f"width={width};depth={depth}", arch)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# --- an independent reading of the string, and hand counts -------------------------------------------------------


def fields(arch: str) -> dict[str, str]:
    return dict(part.split("=") for part in arch.split(";"))


def edges_of(cell: str) -> list[tuple[str, int]]:
    return [(edge.split("~")[0], int(edge.split("~")[1])) for edge in cell.split(",")]


def is_reduction(position: int, depth: int) -> bool:
    return position in (depth // 3, 2 * depth // 3)


def operation_parameters(name: str, c: int, stride: int) -> int:
    kernel, norm = int(re.findall(r"\d+", name)[0]) if "_pool" in name or "conv" in name else 0, 2 * c
    if "pool" in name or name == "none":
        return 0
    if name == "skip_connect":
        return c * c + norm if stride == 2 else 0
    if name.startswith(("sep", "dil_sep")):
        return 2 * (c * kernel**2 + c * c + norm)
    if name.startswith("dil"):
        return c * kernel**2 + c * c + norm
    if name in ("conv_3x1_1x3", "conv_7x1_1x7"):
        return 2 * c * c * kernel + norm
    return c * c * kernel**2 + norm


def operation_instances(name: str) -> int:
    if name.startswith(("sep", "dil_sep")):
        return 2
    return 1 if "conv" in name else 0


def hand_counts(arch: str, classes: int, channels: int, large: bool) -> tuple[int, int]:
    """Parameters and instances of the whole network, added up cell by cell."""
    named = fields(arch)
    width, depth = int(named["width"]), int(named["depth"])
    if large:
        first = 9 * channels * (width // 2) + 2 * (width // 2)
        parameters = first + 9 * (width // 2) * width + 2 * width + 9 * width * width + 2 * width
        instances, before, previous, after_reduction = 2, width, width, True
    else:
        parameters, instances = 9 * channels * 3 * width + 6 * width, 0
        before, previous, after_reduction = 3 * width, 3 * width, False
    for position in range(depth):
        reduction = is_reduction(position, depth)
        width *= 2 if reduction else 1
        parameters += (before + previous) * width + 4 * width
        instances += 1 if after_reduction else 2
        kind = "reduce" if reduction else "normal"
        for operation, source in edges_of(named[kind]):
            parameters += operation_parameters(operation, width, 2 if reduction and source < 2 else 1)
            instances += operation_instances(operation)
        before, previous = previous, width * len(named[f"{kind}_concat"].split(","))
        after_reduction = reduction
    return parameters + (previous + 1) * classes, instances


# --- published figures -------------------------------------------------------------------------------------------


def test_darts_v2_has_the_published_size() -> None:
    with torch.device("meta"):
        cifar = parameter_count(DARTS.build(darts_v2(36, 20), classes=10))
        imagenet = parameter_count(DARTS.build(darts_v2(48, 14), classes=1000))
    assert cifar == 3_349_342
    assert round(imagenet / 1e6, 1) == 4.7


@pytest.mark.parametrize(
    ("space", "billions"), [*zip(NDS, (242, 556_628, 5_063, 556_628, 71_465_842), strict=True)]
)
def test_the_number_of_cells_is_the_one_that_nds_prints(space: CellSpace, billions: int) -> None:
    """Table 1 of NDS counts every choice of two edges a node, in billions."""
    assert math.floor(space.cells / 1e9 + 0.5) == billions


def test_the_spaces_are_registered() -> None:
    assert {space.name for space in SPACES} <= set(space_names())
    assert all(get_space(space.name) == space for space in SPACES)
    shapes = {name: (s.classes, s.channels, s.height, s.width) for name, s in DARTS.datasets.items()}
    assert shapes == {"cifar10": (10, 3, 32, 32), "imagenet": (1000, 3, 224, 224)}
    assert {name: (s.classes, s.channels, s.height) for name, s in MINI.datasets.items()} == {
        "fashion-mnist": (10, 1, 16)
    }


# --- operations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_and_shape_of_every_operation(name: str, stride: int) -> None:
    operation = OPERATIONS[name](8, stride)
    assert parameter_count(operation) == operation_parameters(name, 8, stride)
    assert operation(torch.randn(2, 8, 12, 16)).shape == (2, 8, 12 // stride, 16 // stride)


def norm(x: Tensor) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def separable(x: Tensor, weights: list[Tensor], kernel: int, stride: int, dilation: int = 1) -> Tensor:
    """ReLU, depthwise, pointwise, BatchNorm, written out."""
    padding = dilation * (kernel - 1) // 2
    depthwise = F.conv2d(x.clamp(min=0), weights[0], None, stride, padding, dilation, groups=x.shape[1])
    return norm(F.conv2d(depthwise, weights[1]))


def twice_separable(x: Tensor, weights: list[Tensor], kernel: int, stride: int, dilation: int = 1) -> Tensor:
    return separable(separable(x, weights[:2], kernel, stride, dilation), weights[2:], kernel, 1)


def row_then_column(x: Tensor, weights: list[Tensor], kernel: int, stride: int) -> Tensor:
    half = kernel // 2
    row = F.conv2d(x.clamp(min=0), weights[0].reshape(8, 8, 1, kernel), None, (1, stride), (0, half))
    return norm(F.conv2d(row, weights[1].reshape(8, 8, kernel, 1), None, (stride, 1), (half, 0)))


def average_pool(x: Tensor, kernel: int, stride: int) -> Tensor:
    sums = [F.avg_pool2d(t, kernel, stride, kernel // 2, count_include_pad=True) for t in (x, torch.ones_like(x))]
    return sums[0] / sums[1]


def max_pool(x: Tensor, kernel: int, stride: int) -> Tensor:
    padded = F.pad(x, (kernel // 2,) * 4, value=-torch.inf)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((-1, -2))


def skip(x: Tensor, weights: list[Tensor], stride: int) -> Tensor:
    if stride == 1:
        return x
    x = x.clamp(min=0)
    even, odd = x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]
    return norm(torch.cat([F.conv2d(even, weights[0]), F.conv2d(odd, weights[1])], dim=1))


def naive_operation(name: str, x: Tensor, weights: list[Tensor], stride: int) -> Tensor:
    kernel = int(next(iter(re.findall(r"\d", name)), 0))
    match re.sub(r"_\dx\d", "", name):
        case "none":
            return torch.zeros(2, 8, 12 // stride, 16 // stride)
        case "skip_connect":
            return skip(x, weights, stride)
        case "avg_pool":
            return average_pool(x, kernel, stride)
        case "max_pool":
            return max_pool(x, kernel, stride)
        case "sep_conv":
            return twice_separable(x, weights, kernel, stride)
        case "dil_conv":
            return separable(x, weights, kernel, stride, dilation=2)
        case "dil_sep_conv":
            return twice_separable(x, weights, kernel, stride, dilation=2)
    if name in ("conv_3x1_1x3", "conv_7x1_1x7"):
        return row_then_column(x, weights, kernel, stride)
    assert name in ("conv_1x1", "conv_3x3")
    return norm(F.conv2d(x.clamp(min=0), weights[0], None, stride, kernel // 2))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_every_operation_computes(name: str, stride: int) -> None:
    torch.manual_seed(0)
    operation = OPERATIONS[name](8, stride)
    x = torch.randn(2, 8, 12, 16)
    weights = [module.weight for module in operation.modules() if isinstance(module, nn.Conv2d)]
    torch.testing.assert_close(operation(x), naive_operation(name, x, weights, stride), rtol=1e-4, atol=1e-4)


def test_no_operation_overwrites_its_input() -> None:
    for name, build in OPERATIONS.items():
        x = torch.randn(2, 8, 8, 8)
        before = x.clone()
        build(8, 1)(x)
        assert torch.equal(x, before), name


def test_an_odd_number_of_channels_is_split() -> None:
    assert FactorisedReduction(4, 5)(torch.randn(2, 4, 8, 8)).shape == (2, 5, 4, 4)


# --- networks ----------------------------------------------------------------------------------------------------


@each_space
def test_parameters_by_hand(space: CellSpace) -> None:
    for arch in space.sample(4, random.Random(0)):
        for shape in space.datasets.values():
            with torch.device("meta"):
                network = space.build(arch, shape.classes, shape.channels)
            expected, _ = hand_counts(arch, shape.classes, shape.channels, large=shape.height == 224)
            assert parameter_count(network) == expected


def cell_shapes(network: nn.Module, images: Tensor) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    for cell in network.get_submodule("cells").children():
        cell.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    assert network(images).shape == (2, network.get_submodule("classifier").out_features)
    return shapes


def test_shapes_at_every_cell_for_cifar() -> None:
    network = DARTS.build(darts_v2(4, 6), classes=10)
    expected = [(16, 32, 32)] * 2 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 2
    assert cell_shapes(network, torch.randn(2, 3, 32, 32)) == expected


def test_shapes_at_every_cell_for_imagenet() -> None:
    network = DARTS.build(darts_v2(4, 6), classes=1000)
    images = torch.randn(2, 3, 224, 224)
    assert [tuple(x.shape[1:]) for x in network.get_submodule("stem")(images)] == [(4, 56, 56), (4, 28, 28)]
    expected = [(16, 28, 28)] * 2 + [(32, 14, 14)] * 2 + [(64, 7, 7)] * 2
    assert cell_shapes(network, images) == expected


def test_shapes_at_every_cell_of_the_mini_space() -> None:
    network = MINI.build(darts_v2(4, 3), 10, 1)
    assert cell_shapes(network, torch.randn(2, 1, 16, 16)) == [(16, 8, 8), (32, 4, 4), (64, 2, 2)]


def test_mini_spaces_vary_width_and_depth_as_nds_does() -> None:
    for family in ("darts", "amoeba", "enas", "pnas", "nasnet"):
        mini, published = nds.SPACES[f"{family}-mini"], nds.SPACES[f"nds-{family}"]
        assert mini.rules.operations == published.rules.operations
        assert (mini.rules.nodes, mini.rules.output) == (published.rules.nodes, published.rules.output)
        drawn = [fields(arch) for arch in mini.sample(60, random.Random(1))]
        assert {one["width"] for one in drawn} == {"2", "4", "6", "8"}
        assert {one["depth"] for one in drawn} == {"3", "4", "5"}


def test_loose_nodes_alone_are_concatenated() -> None:
    """The published AmoebaNet cells, whose concatenations are their loose nodes."""
    arch = (
        "normal=avg_pool_3x3~0,max_pool_3x3~1,sep_conv_3x3~0,sep_conv_5x5~2,sep_conv_3x3~0,avg_pool_3x3~3,"
        "sep_conv_3x3~1,skip_connect~1,skip_connect~0,avg_pool_3x3~1;normal_concat=4,5,6;"
        "reduce=avg_pool_3x3~0,sep_conv_3x3~1,max_pool_3x3~0,sep_conv_7x7~2,sep_conv_7x7~0,avg_pool_3x3~1,"
        "max_pool_3x3~0,max_pool_3x3~1,conv_7x1_1x7~0,sep_conv_3x3~5;reduce_concat=3,4,6;width=4;depth=3"
    )
    network = AMOEBA.build(arch, classes=10)
    assert cell_shapes(network, torch.randn(2, 3, 32, 32)) == [(12, 32, 32), (24, 16, 16), (24 * 2, 8, 8)]
    with pytest.raises(InputError, match=r"reduce_concat is 3,4,5; .* no other node takes, 3,4,6"):
        AMOEBA.index(arch.replace("reduce_concat=3,4,6", "reduce_concat=3,4,5"))


def test_inputs_0_and_1_are_the_outputs_of_the_last_two_cells() -> None:
    """The second cell of a plain stack, computed from what its neighbours gave."""
    network = DARTS.build(darts_v2(4, 6), classes=10)
    given: dict[int, Tensor] = {}
    taken: dict[int, tuple[Tensor, ...]] = {}
    for position, cell in enumerate(network.get_submodule("cells").children()):
        cell.register_forward_hook(lambda _m, _i, output, position=position: given.update({position: output}))
        cell.register_forward_pre_hook(lambda _m, inputs, position=position: taken.update({position: inputs}))
    images = torch.randn(2, 3, 32, 32)
    network(images)
    assert taken[0][0] is taken[0][1]
    assert taken[1][1] is given[0]
    for position in range(2, 6):
        assert taken[position][0] is given[position - 2]
        assert taken[position][1] is given[position - 1]


def test_a_node_is_the_sum_of_its_edges() -> None:
    network = DARTS.build(darts_v2(4, 3), classes=10)
    cell = network.get_submodule("cells.0")
    before, previous = torch.randn(2, 2, 12, 8, 8)
    edges = [*cell.get_submodule("edges").children()]
    states = [
        cell.get_submodule("preprocess.0")(before),
        cell.get_submodule("preprocess.1")(previous),
    ]
    states += [edges[0](states[0]) + edges[1](states[1])]
    states += [edges[2](states[0]) + edges[3](states[1])]
    states += [edges[4](states[1]) + edges[5](states[0])]
    states += [edges[6](states[0]) + edges[7](states[2])]
    torch.testing.assert_close(cell(before, previous), torch.cat(states[2:], dim=1))


# --- instances ---------------------------------------------------------------------------------------------------


@each_space
def test_no_instance_is_lost(space: CellSpace) -> None:
    for arch in space.sample(3, random.Random(1)):
        small = arch if space is MINI else restacked(arch, 4, 5)
        (channels, size) = (1, 16) if space is MINI else (3, 32)
        inputs = draw_inputs(torch.randn(1, channels, size, size), seed=0)
        _, expected = hand_counts(small, 10, channels, large=False)
        assert len(read_instances(space.build(small, 10, channels), inputs)) == expected


def test_no_instance_of_an_imagenet_network_is_lost() -> None:
    (arch,) = DARTS.sample(1, random.Random(2))
    small = restacked(arch, 4, 3)
    inputs = draw_inputs(torch.randn(1, 3, 224, 224), seed=0)
    _, expected = hand_counts(small, 1000, 3, large=True)
    assert len(read_instances(DARTS.build(small, 1000), inputs)) == expected


def test_instances_of_darts_v2() -> None:
    """18 normal cells of 5 sep_convs and a dil_conv, 2 others of none; 2 of the 40 inputs come by a reduction."""
    inputs = draw_inputs(torch.randn(1, 3, 32, 32), seed=0)
    instances = read_instances(DARTS.build(darts_v2(4, 20), classes=10), inputs)
    assert len(instances) == 18 * (5 * 2 + 1) + 2 * 20 - 2 == 236


@pytest.mark.parametrize(("choice", "kernels"), [("first", [3]), ("second", [1]), ("both", [3, 1])])
def test_which_convolution_of_a_separable_one_counts(choice: Any, kernels: list[int]) -> None:
    inputs = draw_inputs(torch.randn(1, 3, 32, 32), seed=0)
    instances = read_instances(DARTS.build(darts_v2(4, 3), classes=10), inputs, separable=choice)
    separable = [i for i in instances if "edges.0.first" in i.module]
    assert [i.tensors["T3"].shape[-1] for i in separable] == kernels
    assert all(i.tensors["T3"].shape[1] == (1 if i.tensors["T3"].shape[-1] == 3 else 4) for i in separable)


def test_statistics_of_the_mini_space() -> None:
    images = noise(32)
    for arch in MINI.sample(5, random.Random(3)):
        instances = network_statistics(MINI, arch, 10, images, StatisticsConfig()).instances
        assert all(torch.isfinite(tensor).all() for i in instances for tensor in i.raw.values())
        assert sum(bool(i.raw["T3G_D"].any()) for i in instances) > len(instances) / 2


@pytest.mark.slow
def test_a_large_network_fits_into_a_gigabyte() -> None:
    # Not ru_maxrss, which a process has from the one that started it, if that was larger.
    code = f"""
import pathlib, torch
from zcsr.spaces import get_space
from zcsr.networks.instances import draw_inputs, read_instances
torch.set_num_threads(1)
network = get_space("nds-darts").build({darts_v2(36, 20)!r}, 10)
print(len(read_instances(network, draw_inputs(torch.randn(1, 3, 32, 32), 0))))
status = pathlib.Path("/proc/self/status").read_text().splitlines()
print(*(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("the highest resident memory of a process is read from /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    instances, kilobytes = map(int, done.stdout.split())
    assert instances == 236
    assert kilobytes < 1e9 / 1024


def test_a_mini_network_trains_and_is_repeatable() -> None:
    images = noise(32)
    examples = Examples(images.batch(np.arange(32)), torch.from_numpy(images.labels))
    (arch,) = MINI.sample(1, random.Random(4))
    config = TrainingConfig(epochs=2, batch_size=16, learning_rate=0.05)
    first, second = (train_network(MINI, arch, 10, examples, examples, config, seed=0) for _ in range(2))
    assert math.isfinite(first.loss)
    assert (first.accuracy, first.loss) == (second.accuracy, second.loss)


# --- strings and positions ---------------------------------------------------------------------------------------


@each_space
def test_strings_and_positions_round_trip(space: CellSpace) -> None:
    generator = random.Random(5)
    positions = [0, space.size - 1, *(generator.randrange(space.size) for _ in range(200))]
    assert [space.index(space.arch(position)) for position in positions] == positions
    for arch in space.sample(200, generator):
        assert space.arch(space.index(arch)) == arch


def test_all_positions_of_a_tiny_space() -> None:
    archs = [TINY.arch(position) for position in range(len(TINY))]
    assert len(set(archs)) == TINY.size == len(TINY) == 4 * (2 * 2) ** 2 * (2 * 2) ** 2
    assert [TINY.index(arch) for arch in archs] == list(range(len(TINY)))
    stacks = [(int(fields(arch)["width"]), int(fields(arch)["depth"])) for arch in archs]
    assert stacks == sorted(stacks)


@each_space
def test_positions_outside_are_refused(space: CellSpace) -> None:
    for position in (-1, space.size):
        with pytest.raises(InputError, match=f"indices go from 0 to {space.size - 1}"):
            space.arch(position)


def test_len_is_at_most_what_python_can_say() -> None:
    assert DARTS.size > sys.maxsize
    assert len(DARTS) == sys.maxsize


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            ";depth=20",
            "",
            "its fields are normal, normal_concat, reduce, reduce_concat, width; they must be normal",
        ),
        ("width=36;depth=20", "depth=20;width=36", "they must be normal"),
        ("sep_conv_3x3~0,", "", "normal has 7 edges, 4 nodes take 8"),
        ("dil_conv_3x3~2", "dil_conv_3~2", "'dil_conv_3' in normal is no operation; .* mean 'dil_conv_3x3'"),
        ("dil_conv_3x3~2", "dil_conv_3x3~5", "'dil_conv_3x3~5' in node 5 of normal is '5'; it must be .* 0 to 4"),
        ("dil_conv_3x3~2", "dil_conv_3x3", "must be a number from 0 to 4"),
        ("dil_conv_3x3~2", "dil_conv_3x3~02", "must be a number from 0 to 4"),
        ("dil_conv_3x3~2", "dil_conv_3x3~-1", "must be a number from 0 to 4"),
        ("normal_concat=2,3,4,5", "normal_concat=2,3,4", "normal_concat is 2,3,4; it must list all nodes, 2,3,4,5"),
        ("width=36", "width=1", "width is '1'; it must be a number from 2 to 256"),
        ("width=36", "width=36.0", "width is '36.0'"),
        ("width=36", "width=٣٦", "width is"),
        ("depth=20", "depth=999999999999999999", "depth is"),
        ("depth=20", "depth=20 ", "depth is '20 '"),
    ],
)
def test_malformed_strings_are_refused(old: str, new: str, message: str) -> None:
    arch = darts_v2(36, 20).replace(old, new, 1)
    for use in (DARTS.index, DARTS.neighbours, DARTS.canonical, lambda arch: DARTS.build(arch, 10)):
        with pytest.raises(InputError, match=message):
            use(arch)


def test_an_empty_string_is_refused() -> None:
    with pytest.raises(InputError, match="no nds-darts architecture: its fields are"):
        DARTS.index("")


def test_the_mini_space_takes_two_different_inputs_and_one_size() -> None:
    assert MINI.index(darts_v2(4, 3)) >= 0
    with pytest.raises(InputError, match="both edges of node 2 of normal come from 1; they must differ"):
        MINI.index(darts_v2(4, 3).replace("sep_conv_3x3~0", "sep_conv_3x3~1", 1))
    with pytest.raises(InputError, match="width is '13'"):
        MINI.index(darts_v2(13, 3))


# --- sampling and neighbours -------------------------------------------------------------------------------------


def p_value(drawn: list[Any], outcomes: int) -> float:
    counts = list(Counter(drawn).values())
    return float(stats.chisquare(counts + [0] * (outcomes - len(counts))).pvalue)


@each_space
def test_edges_are_drawn_uniformly(space: CellSpace) -> None:
    archs = [fields(arch) for arch in space.sample(3_000, random.Random(6))]
    for cell in ("normal", "reduce"):
        cells = [edges_of(arch[cell]) for arch in archs]
        for edge in range(2 * space.rules.nodes):
            node = 2 + edge // 2
            operations = len(space.rules.operations)
            assert p_value([edges[edge] for edges in cells], operations * node) > 1e-4
    stacks = len(space.sampled_widths) * len(space.sampled_depths)
    assert stacks == 1 or p_value([(arch["width"], arch["depth"]) for arch in archs], stacks) > 1e-4


def test_the_two_inputs_of_a_node_are_a_uniform_pair() -> None:
    drawn = [edges_of(fields(arch)["normal"]) for arch in MINI.sample(3_000, random.Random(7))]
    for node in range(4):
        pairs = [(edges[2 * node][1], edges[2 * node + 1][1]) for edges in drawn]
        assert all(first != second for first, second in pairs)
        assert p_value(pairs, (node + 2) * (node + 1)) > 1e-4


def test_a_tiny_space_is_sampled_evenly_and_whole() -> None:
    generator = random.Random(8)
    drawn = [arch for _ in range(2_000) for arch in TINY.sample(1, generator)]
    assert p_value([fields(arch)["normal"] for arch in drawn], 16) > 1e-4
    assert set(TINY.sample(len(TINY), random.Random(0))) == {TINY.arch(i) for i in range(len(TINY))}
    for count in (-1, len(TINY) + 1):
        with pytest.raises(InputError, match="draws from 1024"):
            TINY.sample(count, random.Random(0))


@each_space
def test_samples_are_distinct_and_repeatable(space: CellSpace) -> None:
    sample = space.sample(50, random.Random(9))
    assert len(set(sample)) == 50
    assert sample == space.sample(50, random.Random(9))


def changes(one: str, other: str) -> int:
    first, second = fields(one), fields(other)
    changed = [first[name] != second[name] for name in ("width", "depth")]
    for cell in ("normal", "reduce"):
        for (op, source), (op2, source2) in zip(edges_of(first[cell]), edges_of(second[cell]), strict=True):
            changed += [op != op2, source != source2]
    return sum(changed)


@each_space
def test_neighbours_are_one_change_away_and_mutual(space: CellSpace) -> None:
    (arch,) = space.sample(1, random.Random(10))
    neighbours = space.neighbours(arch)
    assert len(set(neighbours)) == len(neighbours)
    assert all(changes(arch, neighbour) == 1 for neighbour in neighbours)
    assert all(arch in space.neighbours(neighbour) for neighbour in neighbours[::7])


@each_space
def test_the_number_of_neighbours(space: CellSpace) -> None:
    """A change of operation for each edge, every other free input, and a step each way where there is one."""
    (arch,) = space.sample(1, random.Random(11))
    nodes, operations = space.rules.nodes, len(space.rules.operations)
    inputs = sum(node - 1 - space.rules.distinct for node in range(2, 2 + nodes))
    edges = 2 * (2 * nodes * (operations - 1) + 2 * inputs)
    assert len(space.neighbours(arch)) == edges + 4


def test_a_tiny_space_is_connected_by_neighbours_at_its_ends() -> None:
    for arch in map(TINY.arch, range(0, len(TINY), 37)):
        widths = {fields(other)["width"] for other in TINY.neighbours(arch)}
        assert widths == {fields(arch)["width"]}  # a step of 4 leaves the range
        depths = [fields(other)["depth"] for other in TINY.neighbours(arch)]
        assert sum(depth != fields(arch)["depth"] for depth in depths) == 1


# --- isomorphism -------------------------------------------------------------------------------------------------


def shuffled(space: CellSpace, arch: str, generator: random.Random) -> str:
    """The same network written otherwise: nodes and edges in another order, other inputs of `none`."""
    named = fields(arch)
    for kind in ("normal", "reduce"):
        edges = edges_of(named[kind])
        pairs = [edges[2 * i : 2 * i + 2] for i in range(space.rules.nodes)]
        numbers = {0: 0, 1: 1}
        written: list[list[tuple[str, int]]] = []
        waiting = list(range(space.rules.nodes))
        while waiting:
            ready = [
                i
                for i in waiting
                if all(
                    source in numbers or (op == "none" and space.rules.output == "all") for op, source in pairs[i]
                )
            ]
            i = generator.choice(ready)
            waiting.remove(i)
            written.append(rewritten(space, pairs[i], numbers, 2 + len(written), generator))
            numbers[2 + i] = 1 + len(written)
        named[kind] = ",".join(f"{op}~{source}" for pair in written for op, source in pair)
        if space.rules.output == "loose":
            taken = {source for pair in written for _, source in pair}
            loose = [node for node in range(2, 2 + space.rules.nodes) if node not in taken]
            named[f"{kind}_concat"] = ",".join(map(str, loose))
    return ";".join(f"{name}={value}" for name, value in named.items())


def rewritten(
    space: CellSpace, pair: list[tuple[str, int]], numbers: dict[int, int], node: int, generator: random.Random
) -> list[tuple[str, int]]:
    moved = [(op, numbers[source]) for op, source in pair if op != "none"]
    for _ in range(2 - len(moved)):
        taken = {source for _, source in moved} if space.rules.distinct else set()
        moved.append(("none", generator.choice([source for source in range(node) if source not in taken])))
    generator.shuffle(moved)
    return moved


@each_space
def test_canonical_is_the_same_for_isomorphic_architectures(space: CellSpace) -> None:
    generator = random.Random(12)
    for arch in space.sample(100, generator):
        other = shuffled(space, arch, generator)
        canonical = space.canonical(arch)
        assert space.canonical(other) == canonical == space.canonical(canonical)
        assert space.index(canonical) <= min(space.index(arch), space.index(other))


def test_canonical_is_the_first_of_its_class_in_a_space_that_can_be_searched() -> None:
    """Two nodes of two operations: the classes found by trying every way to write a cell."""
    rules = Rules(("none", "conv_1x1"), 2, "all", range(4, 5), range(2, 3), distinct=True)
    space = CellSpace("two nodes", {}, rules, rules.widths, rules.depths)
    first: dict[str, str] = {}
    generator = random.Random(13)
    for arch in map(space.arch, range(0, space.size, space.cells + 1)):  # the same cell twice
        for other in {shuffled(space, arch, generator) for _ in range(20)}:
            assert space.canonical(other) == space.canonical(arch)
        first.setdefault(space.canonical(arch), arch)
    assert all(canonical == arch for canonical, arch in first.items())


@torch.no_grad()
def tie(network: nn.Module, nodes: Mapping[int, int]) -> None:
    """Weights by what an operation is, not where it stands; the same for all the nodes of a concatenation.

    `nodes` says for the number of a cell's output channels how many nodes it concatenates. Networks that are the
    same but for the order of nodes and edges then compute the same.
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        place = re.sub(r"edges\.\d+\.", "", name)
        blocks = nodes.get(parameter.shape[1], 1) if "preprocess" in name or "classifier" in name else 1
        shape = (parameter.shape[0], parameter.shape[1] // blocks, *parameter.shape[2:])
        generator = torch.Generator().manual_seed(zlib.crc32(f"{place} {shape}".encode()))
        parameter.copy_(torch.randn(shape, generator=generator).repeat(1, blocks, *(1,) * (len(shape) - 2)))


def tied_logits(space: CellSpace, arch: str) -> Tensor:
    width, named = int(fields(arch)["width"]), fields(arch)
    concats = [len(named[f"{kind}_concat"].split(",")) for kind in ("normal", "reduce")]
    nodes = {width * concats[0]: concats[0], 2 * width * concats[1]: concats[1], 4 * width * concats[1]: concats[1]}
    network = space.build(arch, classes=10, in_channels=1).double()
    tie(network, nodes)
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    logits: Tensor = network(images)
    return logits


def test_isomorphic_architectures_compute_the_same_function() -> None:
    generator = random.Random(14)
    other = tied_logits(MINI, darts_v2(4, 3))
    for arch in MINI.sample(8, generator):
        logits = tied_logits(MINI, arch)
        assert not torch.allclose(logits, other)
        torch.testing.assert_close(tied_logits(MINI, shuffled(MINI, arch, generator)), logits)
        torch.testing.assert_close(tied_logits(MINI, MINI.canonical(arch)), logits)


def test_canonical_keeps_different_architectures_apart() -> None:
    """Of DARTS-V2's neighbours, the one that takes node 3 for node 2, which are equal, is the same network."""
    arch = darts_v2(36, 20)
    same = [other for other in DARTS.neighbours(arch) if DARTS.canonical(other) == DARTS.canonical(arch)]
    assert same == [arch.replace("dil_conv_3x3~2", "dil_conv_3x3~3")]


# --- NDS files ---------------------------------------------------------------------------------------------------


def entry(**changes: Any) -> dict[str, Any]:
    genotype = {
        "normal": [list(edge) for edge in edges_of(V2_NORMAL)],
        "normal_concat": [2, 3, 4, 5],
        "reduce": [list(edge) for edge in edges_of(V2_REDUCE)],
        "reduce_concat": [2, 3, 4, 5],
    }
    net = {
        "aux": False,
        "depth": 20,
        "drop_prob": 0.0,
        "genotype": genotype | changes.pop("genotype", {}),
        "width": 36,
    }
    return net | changes


def test_arch_of_an_entry() -> None:
    assert arch_of(entry()) == darts_v2(36, 20)
    assert arch_of(entry(genotype={"normal_concat": [5, 2, 4, 3]})) == darts_v2(36, 20)
    assert DARTS.index(arch_of(entry())) == DARTS.index(darts_v2(36, 20))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({}, "needs a 'genotype' with two cells; this one has nothing"),
        ({"ds": [1], "ws": [2]}, "this one has ds, ws"),
        (entry(width="36"), "'width' of an NDS network must be a whole number, not '36'"),
        (entry(depth=None), "'depth' of an NDS network must be a whole number, not None"),
        (entry(genotype={"normal": []}), "'normal' of an NDS genotype must list pairs"),
        (entry(genotype={"reduce": [["sep_conv_3x3"]]}), "'reduce' of an NDS genotype must list pairs"),
        (entry(genotype={"reduce": [["sep_conv_3x3", True]]}), "'reduce' of an NDS genotype must list pairs"),
        (entry(genotype={"normal_concat": "2345"}), "'normal_concat' of an NDS genotype must list numbers"),
        (entry(genotype={"normal_concat": None}), "'normal_concat' of an NDS genotype must list numbers"),
    ],
)
def test_malformed_entries_are_refused(net: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        arch_of(net)


def test_an_entry_of_another_space_is_refused_by_the_space() -> None:
    cell, concat = [["none", 0]] * 10, [2, 3, 4, 5, 6]
    genotype = {"normal": cell, "normal_concat": concat, "reduce": cell, "reduce_concat": concat}
    with pytest.raises(InputError, match="'none' in normal is no operation"):
        PNAS.index(arch_of(entry(genotype=genotype)))
