"""A pattern is its row alone: one made here is found, measured, stored, scored and exported."""

from __future__ import annotations

import json
import subprocess
import sys
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
    with pytest.raises(InputError, match=f"; 1 fit the other pattern, '{row.name}'$"):
        zcsr.score((bare if row is RELU_CONV else smooth).double(), images(), "fro(T1_D)")


@pytest.mark.parametrize("pattern", [*PATTERNS.values(), CONV_NORM, RELU_CONV], ids=lambda row: row.name)
def test_a_row_is_whole(pattern: Pattern) -> None:
    assert [read.place for read in pattern.reads] == [place.name for place in PLACES]
    assert {read.call for read in pattern.reads} <= set(pattern.calls)
    assert set(pattern.calls) <= {"relu", "convolution", "norm"}
    assert len(set(pattern.calls)) == len(pattern.calls)
    assert pattern.order in pattern.calls
    given = {tensor for tensor, *_ in pattern.derived}
    sources = {source for _, _, *of in pattern.derived for source in of}
    assert given | sources <= {tensor.measured for tensor in TENSORS}
    assert not given & sources
