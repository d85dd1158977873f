"""A pattern is its row alone: one made here is found, measured, stored, scored and exported."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from exported import loaded
from torch import Tensor, nn

import zcsr
from zcsr.errors import InputError
from zcsr.export.python_file import to_python
from zcsr.language.tensors import PLACES, TENSOR_NAMES, TENSORS
from zcsr.language.text import parse
from zcsr.networks.instances import draw_inputs, read_instances
from zcsr.networks.patterns import PATTERNS, Pattern, Read
from zcsr.networks.trace import FUNCTIONS
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space
from zcsr.store import Store, load_images
from zcsr.store.kept.collections import Collection, open_collection
from zcsr.store.kept.encoding import encode

CONV_NORM = Pattern(
    "cn",
    title="Conv-BatchNorm",
    meaning="a Conv2d whose output a BatchNorm takes",
    calls=("convolution", "norm"),
    order="norm",
    reads=(
        Read("T1", "convolution", "input"),
        Read("T2", "convolution", "output"),
        Read("T3", "convolution", "weight"),
        Read("T4", "norm", "output"),
    ),
)
RELU_CONV = Pattern(
    "rc",
    title="ReLU-Conv",
    meaning="a ReLU whose output a Conv2d takes",
    calls=("relu", "convolution"),
    order="convolution",
    reads=(
        Read("T1", "relu", "input", through=True),
        Read("T2", "relu", "output"),
        Read("T3", "convolution", "weight"),
        Read("T4", "convolution", "output"),
    ),
    derived=(("T2", "relu", "T1"), ("T1G", "masked", "T2G", "T1")),
)


@pytest.fixture(params=[CONV_NORM, RELU_CONV], ids=lambda row: row.name)
def row(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pattern:
    """A row that is in the table as long as the test runs."""
    monkeypatch.setitem(PATTERNS, request.param.name, request.param)
    return request.param


class Chained(nn.Module):
    """Two convolutions in a row behind a ReLU, and another behind a BatchNorm and a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((3, 4), (4, 4), (4, 6), (6, 5))
        self.stem, self.a, self.b, self.c = (nn.Conv2d(*width, 3, padding=1) for width in widths)
        self.first, self.last = nn.BatchNorm2d(6), nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.first(self.b(self.a(F.relu(self.stem(x)))))
        return self.last(self.c(F.relu(normed))).square().mean((2, 3))


def made() -> Chained:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Chained().double()


def images() -> Tensor:
    return torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(pattern: str, model: Chained, image: Tensor) -> list[dict[str, Tensor]]:
    """What one pass gives, by plain autograd of a pass written out layer by layer."""
    x = model.stem(image)
    r = x.clamp(min=0)
    a = model.a(r)
    n = F.batch_norm(model.b(a), None, None, model.first.weight, model.first.bias, training=True)
    s = n.clamp(min=0)
    c = model.c(s)
    end = F.batch_norm(c, None, None, model.last.weight, model.last.bias, training=True)
    places = {
        "cn": [(r, a, model.a.weight, n), (s, c, model.c.weight, end)],
        "rc": [(x, r, model.a.weight, a), (n, s, model.c.weight, c)],
    }[pattern]
    logits = end.square().mean((2, 3))
    found = []
    for tensors in places:
        gradients = torch.autograd.grad(logits.sum(), tensors, retain_graph=True)
        named = {f"T{i}": tensor.detach() for i, tensor in enumerate(tensors, 1)}
        found.append(named | {f"T{i}G": gradient for i, gradient in enumerate(gradients, 1)})
    return found


def test_a_row_is_found_and_measured(row: Pattern) -> None:
    model, inputs = made(), draw_inputs(images(), seed=2)
    instances = read_instances(model, inputs, pattern=row.name)
    expected = {which: by_hand(row.name, model, image) for which, image in inputs.items()}
    assert [instance.module for instance in instances] == ["a", "c"]
    for layer, instance in enumerate(instances):
        assert (instance.layer, tuple(instance.raw)) == (layer, TENSOR_NAMES)
        for tensor in TENSORS:
            plain = expected[tensor.input or "D"][layer][tensor.measured]
            torch.testing.assert_close(instance.raw[tensor.name], plain, rtol=1e-9, atol=1e-12)


def test_convolutions_behind_each_other_are_chosen_from_in_a_row(row: Pattern) -> None:
    inputs = draw_inputs(images(), seed=2)
    for separable, modules in (("first", ["a", "c"]), ("second", ["b", "c"]), ("both", ["a", "b", "c"])):
        found = read_instances(made(), inputs, pattern=row.name, separable=separable)  # type: ignore[arg-type]
        assert [instance.module for instance in found] == modules


def test_networks_of_a_row_are_stored_bit_by_bit(row: Pattern, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    collection = Collection(
        "nasbench201-mini", "fashion-mnist", "fashion-mnist", StatisticsConfig(pattern=row.name)
    )
    arch = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    space = get_space("nasbench201-mini")
    network = network_statistics(space, arch, 10, load_images(store, "fashion-mnist"), collection.config)
    assert len(network.instances) > 1
    open_collection(store, collection, create=True).write([network])
    again = open_collection(store, collection).load(arch)
    for one, other in zip(network.instances, again.instances, strict=True):
        assert all(one.raw[name].numpy().tobytes() == other.raw[name].numpy().tobytes() for name in TENSOR_NAMES)
    first = json.loads(encode(network, "float32").layout)["instances"][0]["tensors"]
    assert all((first[f"T2_{which}"] == "relu") == (row is RELU_CONV) for which in "DNP")


@pytest.mark.parametrize("text", ["fro(T1G_P)", "add(l1(T2_D), l1(T4G_N)) -> l2 -> sum", "l1(mul(T3, T3))"])
def test_a_row_is_exported(row: Pattern, text: str, tmp_path: Path) -> None:
    program, model = parse(text), made()
    written = loaded(tmp_path / "proxy.py", to_python(program, row))
    expected = zcsr.score(model, images(), program, seed=4, initialise=False, pattern=row.name)
    assert expected.instances == 2
    assert written.score(model, images(), seed=4) == pytest.approx(expected.value, rel=1e-9)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E7,E9", str(tmp_path / "proxy.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_network_without_an_instance_names_the_patterns_it_has(row: Pattern) -> None:
    bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    with pytest.raises(InputError, match=f"by other patterns it has .*1 of '{row.name}'"):
        zcsr.score((bare if row is RELU_CONV else smooth).double(), images(), "fro(T1_D)")


@pytest.mark.parametrize("pattern", [*PATTERNS.values(), CONV_NORM, RELU_CONV], ids=lambda row: row.name)
def test_a_row_is_whole(pattern: Pattern) -> None:
    assert [read.place for read in pattern.reads] == [place.name for place in PLACES]
    assert {read.call for read in pattern.reads} <= set(pattern.calls)
    assert set(pattern.calls) <= FUNCTIONS.keys()
    assert [read.call for read in pattern.reads if read.end == "weight"] == [pattern.weighted]
    assert len(set(pattern.calls)) == len(pattern.calls)
    assert pattern.order in pattern.calls
    given = {tensor for tensor, *_ in pattern.derived}
    sources = {source for _, _, *of in pattern.derived for source in of}
    assert given | sources <= {tensor.measured for tensor in TENSORS}
    assert not given & sources


# Networks of other kinds ------------------------------------------------------------------------------------------


class Attending(nn.Module):
    """A block of a ViT: attention, then LayerNorm, Linear, GELU, Linear, both beside what passes by."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.head = nn.Conv2d(3, 8, 3, 3), nn.Linear(8, 5)
        self.before, self.norm = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc, self.act, self.back = nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        normed = self.before(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        tokens = tokens + self.back(self.act(self.fc(self.norm(tokens))))
        logits: Tensor = self.head(tokens.mean(1))
        return logits


class Next(nn.Module):
    """A block of ConvNeXt, whose norm and linear layers have channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.fc, self.act, self.back = nn.LayerNorm(6), nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.back(self.act(self.fc(self.norm(self.deep(x).permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def inverted_residual() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(inplace=True), nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8), nn.Hardswish(inplace=True), nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4), nn.Flatten(),
        nn.LazyLinear(5),
    )  # fmt: skip


def group_normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.PReLU(), nn.Conv2d(8, 6, 3), nn.GroupNorm(2, 6), nn.SiLU(),
        nn.ConvTranspose2d(6, 4, 2), nn.InstanceNorm2d(4), nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


def in_one_dimension() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(2), nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.Conv1d(6, 4, 3),
        nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


def in_three_dimensions() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 2), nn.Mish(), nn.Conv3d(4, 4, 2), nn.BatchNorm3d(4), nn.Flatten(),
        nn.LazyLinear(5),
    )  # fmt: skip


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 5)
    )


KINDS: list[tuple[str, Callable[[], nn.Module], list[tuple[str, str, str]]]] = [
    # the pattern, the network, and the paths of the activation, the weights and the norm of each instance
    ("norm-linear-act", Attending, [("act", "fc", "norm")]),
    ("norm-linear-act", Next, [("act", "fc", "norm")]),
    ("act-conv-norm", inverted_residual, [("2", "3", "4"), ("5", "6", "7")]),
    ("conv-norm-act", inverted_residual, [("5", "3", "4")]),
    ("act-conv-norm", group_normed, [("1", "2", "3"), ("4", "5", "6")]),
    ("act-conv", group_normed, [("1", "2", "2"), ("4", "5", "5")]),
    ("act-conv-norm", in_one_dimension, [("3", "4", "5")]),
    ("act-conv-norm", in_three_dimensions, [("2", "3", "4")]),
    ("act-linear-norm", perceptron, [("2", "3", "4")]),
    ("layer", Next, [(path, path, path) for path in ("stem", "deep", "fc", "back", "head")]),
    ("layer", group_normed, [(path, path, path) for path in ("0", "2", "5", "8")]),
]


def of_double(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = build().double()
        with torch.no_grad():
            model(images())
    return model


def by_hooks(
    model: nn.Module, image: Tensor, paths: list[tuple[str, str, str]], pattern: str
) -> list[dict[str, Tensor]]:
    """What one pass gives, by plain autograd of a pass whose modules are hooked."""
    model = copy.deepcopy(model).train()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    ends: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
            taken[0].retain_grad()
            given.retain_grad()
            ends[path] = taken[0], given

        return hook

    modules = dict(model.named_modules())
    for path in {path for of_instance in paths for path in of_instance}:
        modules[path].register_forward_hook(keep(path))
    model(image.clone().requires_grad_()).sum().backward()
    found = []
    for act, layer, norm in paths:
        weight = modules[layer].weight
        assert isinstance(weight, Tensor)
        if pattern in ("norm-linear-act", "layer"):
            places = (ends[norm][0], ends[layer][0], ends[act][1])
            gradients = [tensor.grad for tensor in places]
        else:
            places = (ends[act][0], ends[layer][0], ends[norm][1])
            start, slope = places[0].detach().requires_grad_(), ends[act][1].grad
            (through,) = torch.autograd.grad(copy.deepcopy(modules[act])(start), start, slope)
            gradients = [through, *(tensor.grad for tensor in places[1:])]
        turned = isinstance(modules[layer], nn.Linear)
        values = [_second(one) if turned else one for one in places]
        slopes = [_second(one) if turned else one for one in gradients if one is not None]
        names = ("T1", "T2", "T4")
        found.append(
            {name: one.detach() for name, one in zip(names, values, strict=True)}
            | {f"{name}G": one for name, one in zip(names, slopes, strict=True)}
            | {"T3": weight.detach(), "T3G": weight.grad}
        )
    return found


def _second(tensor: Tensor) -> Tensor:
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor


@pytest.mark.parametrize(
    ("pattern", "build", "paths"), KINDS, ids=[f"{pattern}-{build.__name__}" for pattern, build, _ in KINDS]
)
def test_networks_of_other_kinds_are_measured(
    pattern: str, build: Callable[[], nn.Module], paths: list[tuple[str, str, str]]
) -> None:
    model, inputs = of_double(build), draw_inputs(images(), seed=2)
    instances = read_instances(model, inputs, pattern=pattern)
    assert [instance.module for instance in instances] == [layer for _, layer, _ in paths]
    expected = {which: by_hooks(model, image, paths, pattern) for which, image in inputs.items()}
    for number, instance in enumerate(instances):
        for tensor in TENSORS:
            plain = expected[tensor.input or "D"][number][tensor.measured]
            torch.testing.assert_close(instance.raw[tensor.name], plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("pattern", "build"),
    [(pattern, build) for pattern, build, _ in KINDS],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_networks_of_other_kinds_are_scored_and_exported(
    pattern: str, build: Callable[[], nn.Module], tmp_path: Path
) -> None:
    program, model = parse("sum(effective_rank(channels(T4_N))) + average(fro(T1G_D))"), of_double(build)
    written = loaded(tmp_path / "proxy.py", to_python(program, PATTERNS[pattern]))
    expected = zcsr.score(model, images(), program, seed=4, initialise=False, pattern=pattern)
    assert written.score(model, images(), seed=4) == pytest.approx(expected.value, rel=1e-9)


@pytest.mark.parametrize(("build", "pattern"), [(Attending, "norm-linear-act"), (perceptron, "act-linear-norm")])
def test_the_pattern_of_a_network_is_found(build: Callable[[], nn.Module], pattern: str) -> None:
    program, model = parse("sum(fro(T3))"), of_double(build)
    found = zcsr.score(model, images(), program, seed=4, pattern="auto")
    assert found.value == zcsr.score(model, images(), program, seed=4, pattern=pattern).value
    assert found.instances == 1
    with pytest.raises(InputError, match="'auto' must be found out before"):
        read_instances(model, draw_inputs(images(), seed=2), pattern="auto")
