"""Collected statistics against plain autograd, written out layer by layer; and what collecting must not change."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.language.tensors import BY_NAME, TENSOR_NAMES
from zcsr.networks.images import ImageSet
from zcsr.networks.initialisation import initialise, random_stream
from zcsr.networks.instances import Instance, draw_inputs, passes_for, read_instances
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space

KINDS = "DNP"
Traced = list[dict[str, Tensor]]
"""Of every instance: T1, T2, T3 and T4 of one plain pass, and R, the output of the ReLU, with their gradients."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are far slower with several, above all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kept(tensor: Tensor) -> Tensor:
    tensor.retain_grad()
    return tensor


def positive_part(tensor: Tensor) -> Tensor:
    """A ReLU that no trace knows; at 0 it passes no gradient, as torch's."""
    return torch.where(tensor > 0, tensor, torch.zeros_like(tensor))


class Rcb(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, how: str = "module") -> None:
        super().__init__()
        self.how = how
        self.relu = nn.ReLU(inplace=how == "inplace module")
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=kernel == 1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        rectified: Mapping[str, Callable[[Tensor], Tensor]] = {
            "module": self.relu,
            "inplace module": self.relu,
            "F.relu": F.relu,
            "F.relu inplace": lambda x: F.relu(x, inplace=True),
            "torch.relu": torch.relu,
            "method": lambda x: x.relu(),
            "method in place": lambda x: x.relu_(),
            "torch.relu_": torch.relu_,
            "keyword": lambda x: F.relu(input=x, inplace=False),
        }
        y = rectified[self.how](x)
        if self.how == "module":
            return self.norm(self.conv(y))
        y = F.conv2d(y, self.conv.weight, self.conv.bias, self.conv.stride, self.conv.padding)
        return F.batch_norm(y, None, None, self.norm.weight, self.norm.bias, training=True)


class Branching(nn.Module):
    """Two edges leave one node and enter another; one is strided as the other; a third reaches no output."""

    def __init__(self, how: str = "module") -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        # registered in another order than they run
        self.last = Rcb(6, 6, how=how)
        self.left = Rcb(4, 6, stride=2, how=how)
        self.right = Rcb(4, 6, kernel=1, stride=2, how=how)
        self.dead = Rcb(6, 6, how=how)
        self.classifier = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        start = self.stem(x)
        node = self.left(start) + self.right(start)
        self.dead(node.clone())
        end = self.last(node.clone())
        return self.classifier(F.relu(end).mean((2, 3)))


def plain_branching(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
    traced: Traced = []

    def rcb(layer: Any, t1: Tensor) -> Tensor:
        t2 = kept(positive_part(t1))
        t4 = kept(layer.norm(layer.conv(t2)))
        traced.append({"T1": t1, "R": t2, "T2": t2, "T3": layer.conv.weight, "T4": t4})
        return t4

    start = model.stem(image)
    node = rcb(model.left, start) + rcb(model.right, start)
    rcb(model.dead, node)
    end = rcb(model.last, node)
    return model.classifier(positive_part(end).mean((2, 3))), traced


class Separable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.pointwise = nn.Conv2d(4, 6, 1)
        self.norm = nn.BatchNorm2d(6)
        self.plain = Rcb(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.pointwise(self.depthwise(F.relu(self.stem(x)))))
        return self.plain(x).square().mean((2, 3))


def plain_separable(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
    t1 = model.stem(image)
    rectified = kept(positive_part(t1))
    between = kept(model.depthwise(rectified))
    t4 = kept(model.norm(model.pointwise(between)))
    shared = {"T1": t1, "R": rectified, "T4": t4}
    t2 = kept(positive_part(t4))
    last = kept(model.plain.norm(model.plain.conv(t2)))
    return last.square().mean((2, 3)), [
        shared | {"T2": rectified, "T3": model.depthwise.weight},
        shared | {"T2": between, "T3": model.pointwise.weight},
        {"T1": t4, "R": t2, "T2": t2, "T3": model.plain.conv.weight, "T4": last},
    ]


class ConvNormRelu(nn.Module):
    """The stem is followed by a ReLU as well; the second BatchNorm has two ReLUs and another consumer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))
        self.second = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        shared = self.first(self.stem(x))
        out = self.second(F.relu(shared)) + shared + 2 * shared.relu()
        return out.mean((2, 3))


def plain_conv_norm_relu(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
    start = kept(positive_part(model.stem[1](model.stem[0](image))))
    shared = kept(model.first(start))
    one, two = (kept(positive_part(shared)) for _ in range(2))
    inner = kept(model.second[1](model.second[0](one)))
    rectified = kept(positive_part(inner))
    first = {"T1": shared, "T2": start, "T3": model.first[0].weight, "T4": shared}
    return (rectified + shared + 2 * two).mean((2, 3)), [
        first | {"R": one},
        first | {"R": two},
        {"T1": inner, "R": rectified, "T2": one, "T3": model.second[0].weight, "T4": inner},
    ]


class NoInstance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.pooled = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.without_norm = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.without_norm(F.relu(self.pooled(self.stem(x)))).mean((2, 3))


def made(network: Callable[..., nn.Module], *args: Any) -> nn.Module:
    """In double precision, so that comparisons can be strict, with BatchNorms that are not the identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = network(*args).double()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model


def inputs(batch: int = 2, size: int = 8) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return draw_inputs(torch.randn(batch, 3, size, size, generator=generator, dtype=torch.float64), seed=5)


def expected(
    plain: Callable[[Any, Tensor], tuple[Tensor, Traced]], model: nn.Module, labels: Tensor | None = None
) -> list[dict[str, Tensor]]:
    """The 22 tensors of each instance by backward() of a copy in training mode."""
    raws: list[dict[str, Tensor]] = []
    for kind, image in inputs().items():
        twin = copy.deepcopy(model).train().requires_grad_(True)
        logits, traced = plain(twin, image)
        (F.cross_entropy(logits, labels) if labels is not None else logits.sum()).backward()
        raws = raws or [{} for _ in traced]
        for raw, tensors in zip(raws, traced, strict=True):
            for name in ("T1", "T2", "T3", "T4"):
                key = name if name == "T3" else f"{name}_{kind}"
                raw.setdefault(key, tensors[name].detach())
            gradients = {name: gradient(tensors[name]) for name in ("T2", "T3", "T4")}
            branch = tensors["T1"].detach().requires_grad_()
            torch.relu(branch).backward(gradient(tensors["R"]))
            gradients["T1"] = gradient(branch)
            raw |= {f"{name}G_{kind}": value for name, value in gradients.items()}
    return raws


def gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def assert_same(instances: tuple[Instance, ...], raws: list[dict[str, Tensor]]) -> None:
    assert len(instances) == len(raws)
    for layer, (instance, raw) in enumerate(zip(instances, raws, strict=True)):
        assert instance.layer == layer
        assert tuple(instance.raw) == TENSOR_NAMES
        for name in TENSOR_NAMES:
            torch.testing.assert_close(
                instance.raw[name], raw[name], rtol=1e-9, atol=1e-12, msg=lambda m, n=name, i=layer: f"{i} {n}: {m}"
            )


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    ["module", "F.relu", "torch.relu", "method", "keyword"],
)
@pytest.mark.parametrize("training", [True, False])
def test_rcb_tensors_are_those_of_plain_autograd(how: str, training: bool) -> None:
    model = made(Branching, how).train(training)
    instances = read_instances(model, inputs())
    assert_same(instances, expected(plain_branching, model))
    assert [i.module for i in instances] == ["left.conv", "right.conv", "dead.conv", "last.conv"]


@pytest.mark.parametrize("how", ["inplace module", "F.relu inplace", "method in place", "torch.relu_"])
def test_relus_in_place_act_on_what_runs_later_but_not_on_the_record(how: str) -> None:
    def plain(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
        t1 = model.stem(image)
        t2 = kept(positive_part(t1))
        t4 = kept(model.left.norm(model.left.conv(t2)))
        # `right` reads what `left` has overwritten
        again = kept(positive_part(t2))
        right = kept(model.right.norm(model.right.conv(again)))
        node = t4 + right
        dead = kept(positive_part(node))
        dead_norm = kept(model.dead.norm(model.dead.conv(dead)))
        last = kept(positive_part(node))
        end = kept(model.last.norm(model.last.conv(last)))
        return model.classifier(positive_part(end).mean((2, 3))), [
            {"T1": t1, "R": t2, "T2": t2, "T3": model.left.conv.weight, "T4": t4},
            {"T1": t2, "R": again, "T2": again, "T3": model.right.conv.weight, "T4": right},
            {"T1": node, "R": dead, "T2": dead, "T3": model.dead.conv.weight, "T4": dead_norm},
            {"T1": node, "R": last, "T2": last, "T3": model.last.conv.weight, "T4": end},
        ]

    model = made(Branching, how)
    with torch.no_grad():
        by_itself = copy.deepcopy(model).train()(inputs()["D"])
    torch.testing.assert_close(plain(copy.deepcopy(model).train(), inputs()["D"])[0], by_itself)
    assert_same(read_instances(model, inputs()), expected(plain, model))


@pytest.mark.parametrize("statement", [False, True])
def test_a_recorded_tensor_survives_an_addition_in_place(statement: bool) -> None:
    class Summed(Branching):
        def forward(self, x: Tensor) -> Tensor:
            start = self.stem(x)
            node = self.left(start)
            if statement:
                node.add_(self.right(start))
            else:
                node += self.right(start)
            self.dead(node)
            return self.classifier(positive_part(self.last(node)).mean((2, 3)))

    model = made(Summed)
    assert_same(read_instances(model, inputs()), expected(plain_branching, model))


def test_logits_may_be_overwritten_in_place() -> None:
    class Rectified(Branching):
        def forward(self, x: Tensor) -> Tensor:
            logits = self.left(self.stem(x))
            logits.relu_()
            return logits

    (instance,) = read_instances(made(Rectified), inputs())
    assert bool((instance.raw["T4_D"] < 0).any())
    assert torch.equal(instance.raw["T4G_D"], (instance.raw["T4_D"] > 0).double())


ACTIVATIONS = (
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.Hardswish,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.Mish,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.RReLU,
    nn.Dropout,
)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda one: one.__name__)
def test_activations_in_place_are_those_that_are_not(activation: Callable[..., nn.Module]) -> None:
    def model(inplace: bool) -> nn.Module:
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), activation(inplace=inplace), nn.Conv2d(4, 4, 3)]
        layers += [nn.BatchNorm2d(4), nn.ReLU(inplace=inplace), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)]
        return nn.Sequential(*layers, activation(inplace=inplace), nn.Flatten(), nn.LazyLinear(5)).double()

    def read(inplace: bool) -> tuple[Instance, ...]:
        made = model(inplace)
        with torch.no_grad():
            made(inputs()["D"])
        return read_instances(made, inputs())

    plain, overwriting = read(False), read(True)
    assert [one.module for one in overwriting] == [one.module for one in plain] == ["6"]
    for mine, theirs in zip(overwriting, plain, strict=True):
        for name, tensor in theirs.raw.items():
            torch.testing.assert_close(mine.raw[name], tensor)


@pytest.mark.parametrize("how", ["slice", "chunk", "chunk and relu_", "view and relu_", "both halves"])
def test_overwriting_a_recorded_tensor_through_a_view_acts_on_what_runs_later(how: str) -> None:
    def overwritten(end: Tensor) -> Tensor:
        if how == "slice":
            end[:, :3].mul_(2)
        elif how == "chunk":
            end.chunk(2, 1)[0].mul_(2)
        elif how == "chunk and relu_":
            end.chunk(2, 1)[0].relu_()
        elif how == "view and relu_":
            end.view(len(end), -1).relu_()
        else:
            first, second = end.chunk(2, 1)
            first.relu_()
            second.add_(first)
        return end

    def apart(end: Tensor) -> Tensor:
        first, second = end.chunk(2, 1)
        if how in ("slice", "chunk"):
            return torch.cat([first * 2, second], 1)
        if how == "chunk and relu_":
            return torch.cat([first.relu(), second], 1)
        if how == "view and relu_":
            return end.relu()
        return torch.cat([first.relu(), second + first.relu()], 1)

    class Overwriting(Branching):
        rule = staticmethod(overwritten)

        def forward(self, x: Tensor) -> Tensor:
            end = self.rule(self.left(self.stem(x)))
            return self.classifier(positive_part(self.last(end)).mean((2, 3)))

    class Apart(Overwriting):
        rule = staticmethod(apart)

    one, other = made(Overwriting), made(Apart)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        by_itself = copy.deepcopy(one).train()(inputs()["D"])
    torch.testing.assert_close(copy.deepcopy(other).train()(inputs()["D"]), by_itself)
    mine, theirs = (read_instances(model, inputs()) for model in (one, other))
    assert len(theirs) == len(mine) > 1
    for left, right in zip(mine, theirs, strict=True):
        for name, tensor in right.raw.items():
            torch.testing.assert_close(left.raw[name], tensor)


def test_cross_entropy_takes_the_labels() -> None:
    model, labels = made(Branching), torch.tensor([3, 0])
    instances = read_instances(model, inputs(), loss="cross_entropy", labels=labels)
    assert_same(instances, expected(plain_branching, model, labels))


@pytest.mark.parametrize(("separable", "which"), [("first", [0, 2]), ("second", [1, 2]), ("both", [0, 1, 2])])
def test_a_chain_of_convolutions_has_the_rule_asked_for(separable: Any, which: list[int]) -> None:
    model = made(Separable)
    instances = read_instances(model, inputs(), separable=separable)
    raws = expected(plain_separable, model)
    assert_same(instances, [raws[i] for i in which])
    names = ["depthwise", "pointwise", "plain.conv"]
    assert [i.module for i in instances] == [names[i] for i in which]


def test_cbr_tensors_are_those_of_plain_autograd_without_the_stem() -> None:
    model = made(ConvNormRelu)
    instances = read_instances(model, inputs(), pattern="cbr")
    assert_same(instances, expected(plain_conv_norm_relu, model))
    assert [i.module for i in instances] == ["first.0", "first.0", "second.0"]


def test_a_relu_that_feeds_two_convolutions_gives_an_instance_for_each() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.a, self.b = (nn.Sequential(nn.Conv2d(4, 4, k), nn.BatchNorm2d(4)) for k in (1, 1))

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(self.stem(x))
            return (self.a(y) * self.b(y)).mean((2, 3))

    def plain(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
        t1 = model.stem(image)
        t2 = kept(positive_part(t1))
        a, b = kept(model.a(t2)), kept(model.b(t2))
        shared = {"T1": t1, "R": t2, "T2": t2}
        return (a * b).mean((2, 3)), [
            shared | {"T3": model.a[0].weight, "T4": a},
            shared | {"T3": model.b[0].weight, "T4": b},
        ]

    model = made(Forked)
    instances = read_instances(model, inputs())
    assert_same(instances, expected(plain, model))
    for name in ("T1_D", "T2_N", "T1G_P", "T2G_D"):
        assert instances[0].raw[name] is instances[1].raw[name]


def test_a_weight_that_two_calls_share_has_its_total_gradient_in_both() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.step = Rcb(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.step(self.step(self.stem(x))).square().mean((2, 3))

    def plain(model: Any, image: Tensor) -> tuple[Tensor, Traced]:
        traced, x = [], model.stem(image)
        for _ in range(2):
            t2 = kept(positive_part(x))
            t4 = kept(model.step.norm(model.step.conv(t2)))
            traced.append({"T1": x, "R": t2, "T2": t2, "T3": model.step.conv.weight, "T4": t4})
            x = t4
        return x.square().mean((2, 3)), traced

    model = made(Tied)
    instances = read_instances(model, inputs())
    assert_same(instances, expected(plain, model))
    assert instances[0].raw["T3"] is instances[1].raw["T3"]


def test_a_weight_that_no_module_holds_has_no_name() -> None:
    class Computed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3)
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            y = F.conv2d(F.relu(self.stem(x)), self.scale * torch.ones(2, 4, 1, 1, dtype=x.dtype))
            return F.batch_norm(y, None, None, training=True).square().mean((2, 3))

    (instance,) = read_instances(made(Computed), inputs())
    assert instance.module == ""
    assert bool((instance.raw["T3"] == 2).all())
    assert instance.raw["T3G_D"].shape == (2, 4, 1, 1)


@pytest.mark.parametrize("pattern", ["rcb", "cbr"])
def test_a_network_without_instances_gives_none(pattern: Any) -> None:
    model = made(NoInstance) if pattern == "rcb" else made(Branching, "method")
    found = read_instances(model, inputs(), pattern=pattern)
    assert len(found) == (0 if pattern == "rcb" else 1)  # the last BatchNorm of Branching has a ReLU
    assert (
        read_instances(made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 2))), inputs(), pattern=pattern)
        == ()
    )


def test_a_network_whose_output_depends_on_nothing_has_gradients_of_zero() -> None:
    class Deaf(Branching):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            return torch.ones(len(x), 5)

    for instance in read_instances(made(Deaf), inputs()):
        assert not any(instance.raw[name].any() for name in TENSOR_NAMES if "G" in name)


def test_redundancies_that_a_store_relies_on_hold_bit_by_bit() -> None:
    model = Branching()
    initialise(model, torch.Generator().manual_seed(0))
    for instance in read_instances(model, {kind: tensor.float() for kind, tensor in inputs().items()}):
        for kind in KINDS:
            t1, t2 = instance.raw[f"T1_{kind}"], instance.raw[f"T2_{kind}"]
            assert torch.equal(t2, t1.relu())
            masked = torch.where(t1 > 0, instance.raw[f"T2G_{kind}"], torch.zeros(()))
            assert torch.equal(instance.raw[f"T1G_{kind}"], masked)


def test_tensors_that_instances_share_are_the_same_object() -> None:
    left, right, dead, last = read_instances(made(Branching), inputs())
    for kind in KINDS:
        assert left.raw[f"T1_{kind}"] is right.raw[f"T1_{kind}"]
        assert left.raw[f"T2_{kind}"] is right.raw[f"T2_{kind}"]
        assert left.raw[f"T4G_{kind}"] is right.raw[f"T4G_{kind}"]
        assert left.raw[f"T2G_{kind}"] is not right.raw[f"T2G_{kind}"]
        assert dead.raw[f"T4_{kind}"] is not last.raw[f"T4_{kind}"]
    assert left.tensors["T1_P"] is right.tensors["T1_P"]


def test_programs_see_differences_for_perturbed_data() -> None:
    for instance in read_instances(made(Branching), inputs()):
        assert tuple(instance.tensors) == TENSOR_NAMES
        assert len(instance.tensors) == 22
        for name in TENSOR_NAMES:
            raw = instance.raw[name]
            seen = raw - instance.raw[name.replace("_P", "_D")] if name.endswith("_P") else raw
            assert torch.equal(instance.tensors[name], seen)
        assert instance.tensors["T1G_P"] is instance.tensors["T1G_P"]
        with pytest.raises(KeyError):
            instance.tensors["T5_P"]


def test_instances_survive_pickling_with_what_they_share() -> None:
    found = read_instances(made(Branching), inputs())
    before = found[0].tensors["T1_P"]
    again = pickle.loads(pickle.dumps(found))
    assert again[0].raw["T1_D"] is again[1].raw["T1_D"]
    assert torch.equal(again[0].tensors["T1_P"], before)
    assert again[0].tensors["T1_P"] is again[1].tensors["T1_P"]
    assert again[3].module == "last.conv"


def test_tensors_are_contiguous_free_of_the_graph_and_of_just_their_size() -> None:
    for instance in read_instances(made(Branching), inputs()):
        for tensor in instance.raw.values():
            assert not tensor.requires_grad
            assert tensor.grad_fn is None
            assert tensor.is_contiguous()
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_weights_are_copies() -> None:
    model = made(Branching)
    instance = read_instances(model, inputs())[0]
    before = instance.raw["T3"].clone()
    with torch.no_grad():
        model.get_submodule("left.conv").weight.zero_()  # type: ignore[operator]
    assert torch.equal(instance.raw["T3"], before)


def test_no_graph_is_kept_alive() -> None:
    model, alive = made(Branching), []
    handle = model.get_submodule("left.conv").register_forward_hook(
        lambda module, args, output: alive.append(weakref.ref(output))
    )
    found = read_instances(model, inputs())
    handle.remove()
    gc.collect()
    assert len(alive) == len(KINDS)
    assert all(reference() is None for reference in alive)
    assert found


# --- inputs -----------------------------------------------------------------------------------------------------


def test_inputs_are_data_noise_and_perturbed_data() -> None:
    batch = torch.rand(8, 3, 32, 32)
    drawn = draw_inputs(batch, seed=0, noise_variance=0.04)
    perturbation = (drawn["P"] - batch).flatten()
    noise = drawn["N"].flatten()
    assert tuple(drawn) == tuple(KINDS)
    assert torch.equal(drawn["D"], batch)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert perturbation.std().item() == pytest.approx(0.2, abs=0.004)
    assert abs(noise.mean().item()) < 0.03
    assert abs(torch.corrcoef(torch.stack([noise, perturbation]))[0, 1].item()) < 0.03


def test_inputs_are_a_function_of_the_seed() -> None:
    batch, before = torch.rand(1, 3, 8, 8), torch.get_rng_state()
    one, same, other = (draw_inputs(batch, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one["N"], same["N"])
    assert torch.equal(one["P"], same["P"])
    assert not torch.equal(one["N"], other["N"])
    assert not torch.equal(one["P"], other["P"])
    assert torch.equal(draw_inputs(batch, 1, noise_variance=0)["P"], batch)


# --- the network is left as it was ------------------------------------------------------------------------------


class Restless(Branching):
    """Counts its calls, rebinds a buffer, draws, and fails when asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("average", torch.zeros(1))
        self.dropout = nn.Dropout(0.5)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.average = 0.9 * self.average + 1
        logits = self.dropout(super().forward(F.dropout(x, 0.1, training=True)))
        if self.fails:
            raise RuntimeError("asked to")
        return logits


def state(model: nn.Module) -> dict[str, Any]:
    values: dict[str, Any] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    values |= {f"identity of {name}": id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    values |= {f"flag of {name}": parameter.requires_grad for name, parameter in model.named_parameters()}
    values |= {
        f"gradient of {name}": parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for name, module in model.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        values[f"mode of {name}"] = module.training
        values[f"hooks of {name}"] = tuple(len(hook) for hook in hooks)
    return values | {"generator": torch.get_rng_state(), "gradients on": torch.is_grad_enabled()}


def assert_unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name]
        assert same, name


@pytest.fixture
def restless() -> Iterator[Restless]:
    model = made(Restless)
    assert isinstance(model, Restless)
    model.train()
    model.left.eval()
    model.right.conv.weight.requires_grad_(False)
    model(inputs()["D"]).sum().backward()
    return model  # type: ignore[return-value]


def test_the_network_is_left_as_it_was(restless: Restless) -> None:
    before = state(restless)
    assert read_instances(restless, inputs())
    assert_unchanged(before, state(restless))


def test_the_network_is_left_as_it_was_by_an_exception(restless: Restless) -> None:
    restless.fails = True
    before = state(restless)
    with pytest.raises(RuntimeError, match="asked to"):
        read_instances(restless, inputs())
    assert_unchanged(before, state(restless))
    restless.fails = False
    y = F.relu(torch.tensor([-1.0]))  # no trace is left switched on
    assert y.item() == 0


def test_the_inputs_are_left_as_they_were() -> None:
    class Greedy(Branching):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.mul_(2))

    given = inputs()
    before = {kind: tensor.clone() for kind, tensor in given.items()}
    assert read_instances(made(Greedy), given)
    for kind in KINDS:
        assert torch.equal(given[kind], before[kind])
        assert not given[kind].requires_grad


def test_a_network_that_draws_all_the_same_gives_the_same_statistics(restless: Restless) -> None:
    torch.manual_seed(1)
    first = read_instances(restless, inputs())
    torch.manual_seed(2)
    second = read_instances(restless, inputs())
    assert_same(second, [dict(instance.raw) for instance in first])


def test_frozen_parameters_have_gradients_all_the_same() -> None:
    model = made(Branching)
    raws = expected(plain_branching, model)
    model.requires_grad_(False)
    assert_same(read_instances(model, inputs()), raws)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_may_be_switched_off_around_the_call(off: Callable[[], Any]) -> None:
    model, given = made(Branching), inputs()
    raws = expected(plain_branching, model)
    with off():
        instances = read_instances(model, given)
    assert_same(instances, raws)


def test_gradient_hooks_of_parameters_are_not_called() -> None:
    model, calls = made(Branching), []
    for parameter in model.parameters():
        parameter.register_hook(calls.append)
    read_instances(model, inputs())
    assert not calls


# --- refusals ---------------------------------------------------------------------------------------------------


class Returns(Branching):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(super().forward(x))


@pytest.mark.parametrize(
    ("wrap", "seen"), [(lambda y: (y, y), "tuple"), (lambda y: y.argmax(1), "int64"), (lambda y: None, "NoneType")]
)
def test_an_output_that_is_not_logits_is_refused(wrap: Callable[[Tensor], Any], seen: str) -> None:
    with pytest.raises(InputError, match=seen):
        read_instances(made(Returns, wrap), inputs())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "none are given"),
        (torch.tensor([0]), "these are"),
        (torch.tensor([0.0, 1.0]), "float32"),
        (torch.tensor([0, 5]), "0..4"),
        (torch.tensor([-1, 2]), "one is -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_instances(made(Branching), inputs(), loss="cross_entropy", labels=labels)


def test_inputs_that_do_not_fit_are_refused() -> None:
    given, model = inputs(), made(Branching)
    with pytest.raises(InputError, match="lack N, P"):
        read_instances(model, {"D": given["D"]})
    with pytest.raises(InputError, match="one type and shape"):
        read_instances(model, given | {"N": given["N"][:1]})
    with pytest.raises(InputError, match="floating-point"):
        read_instances(model, {kind: tensor.long() for kind, tensor in given.items()})
    with pytest.raises(InputError, match="one value a channel"):
        read_instances(model, {kind: tensor[:1, :, :2, :2] for kind, tensor in given.items()})


@pytest.mark.parametrize("change", [{"pattern": "brc"}, {"loss": "mse"}, {"separable": "third"}])
def test_unknown_choices_are_refused_with_the_known_ones(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the known ones are"):
        read_instances(made(Branching), inputs(), **change)
    with pytest.raises(InputError, match="the known ones are"):
        StatisticsConfig(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"noise_variance": -1.0},
        {"noise_variance": float("nan")},
        {"dtype": "float16"},
        {"initialisation": "x"},
    ],
)
def test_configurations_outside_of_their_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        StatisticsConfig(**change)


def test_networks_that_run_other_layers_for_noise_are_refused() -> None:
    class Fickle(Branching):
        def forward(self, x: Tensor) -> Tensor:
            start = self.stem(x)
            edge = self.left if x.abs().max() > 50 else self.right
            return edge(start).mean((2, 3))

    given = inputs()
    with pytest.raises(InputError, match="other layers"):
        read_instances(made(Fickle), given | {"N": given["N"] * 100})


# --- networks of a search space ---------------------------------------------------------------------------------

MIXED = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
EMPTY = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.fixture(scope="module")
def images() -> ImageSet:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, 20)
    return ImageSet("random", pixels, labels, 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def assert_equal(one: tuple[Instance, ...], other: tuple[Instance, ...]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.layer, a.module) == (b.layer, b.module)
        assert all(torch.equal(a.raw[name], b.raw[name]) for name in TENSOR_NAMES)


def test_nasbench201_has_an_instance_for_each_convolution_but_stem_and_shortcuts(images: ImageSet) -> None:
    space = get_space("nasbench201")
    for arch in [MIXED, EMPTY, *space.sample(3, random.Random(0))]:
        found = network_statistics(space, arch, 10, images, StatisticsConfig())
        assert found.arch == arch
        assert len(found.instances) == 15 * arch.count("nor_conv") + 4
        assert len({instance.module for instance in found.instances}) == len(found.instances)
        assert [instance.layer for instance in found.instances] == list(range(len(found.instances)))


def test_nasbench201_shares_tensors_between_edges(images: ImageSet) -> None:
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    first = network_statistics(get_space("nasbench201"), arch, 10, images, StatisticsConfig()).instances[:4]
    assert first[0].raw["T1_D"] is first[1].raw["T1_D"]
    assert first[2].raw["T4G_D"] is first[3].raw["T4G_D"]


def test_statistics_do_not_depend_on_global_state(images: ImageSet) -> None:
    space, config = get_space("nasbench201"), StatisticsConfig(batch_size=2, seed=3, loss="cross_entropy")
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    first = network_statistics(space, MIXED, 10, images, config)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    torch.set_num_threads(1 if threads > 1 else 2)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            second = network_statistics(space, MIXED, 10, images, config)
        assert torch.get_num_threads() == (1 if threads > 1 else 2)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    assert_equal(first.instances, second.instances)


def test_statistics_are_those_of_the_documented_streams(images: ImageSet) -> None:
    space = get_space("nasbench201")
    found = network_statistics(space, MIXED, 10, images, StatisticsConfig(batch_size=3, seed=7))
    batch, _ = images.minibatch(3, 7, 32, 32)
    model = space.build(MIXED, 10)
    initialise(model, random_stream(7, "weights"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    by_hand = read_instances(model, draw_inputs(batch, 7, 0.01))
    torch.set_num_threads(threads)
    assert_equal(found.instances, by_hand)


@pytest.mark.parametrize(
    ("change", "same", "other"),
    [
        ({"seed": 1}, [], ["T3", "T1_D", "T1_N"]),
        ({"noise_variance": 0.5}, ["T3", "T1_D", "T1_N", "T4G_D"], ["T1_P"]),
        ({"loss": "cross_entropy"}, ["T3", "T1_D", "T4_P"], ["T4G_D", "T1G_N"]),
    ],
)
def test_each_setting_changes_what_it_should(
    images: ImageSet, change: dict[str, Any], same: list[str], other: list[str]
) -> None:
    space, config = get_space("nasbench201-mini"), StatisticsConfig()
    grey = ImageSet("grey", images.pixels[..., :1], images.labels, 10, (0.5,), (0.25,))
    base = network_statistics(space, MIXED, 10, grey, config).instances[0]
    changed = network_statistics(space, MIXED, 10, grey, replace(config, **change)).instances[0]
    assert base.raw["T1_D"].shape == (1, 8, 16, 16)
    assert all(torch.equal(base.raw[name], changed.raw[name]) for name in same)
    assert not any(torch.equal(base.raw[name], changed.raw[name]) for name in other)


def test_double_precision_is_of_the_same_network(images: ImageSet) -> None:
    space = get_space("nasbench201-mini")
    single = network_statistics(space, MIXED, 10, images, StatisticsConfig()).instances
    double = network_statistics(space, MIXED, 10, images, StatisticsConfig(dtype="float64")).instances
    for one, other in zip(single, double, strict=True):
        assert other.raw["T4G_D"].dtype == torch.float64
        assert torch.equal(one.raw["T3"].double(), other.raw["T3"])
        torch.testing.assert_close(one.raw["T1_D"].double(), other.raw["T1_D"], rtol=1e-3, atol=1e-4)


def test_classes_that_no_data_set_of_the_space_has_are_refused(images: ImageSet) -> None:
    with pytest.raises(InputError, match="7 classes do not single out"):
        network_statistics(get_space("nasbench201"), MIXED, 7, images, StatisticsConfig())


# Some of the passes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "passes"),
    [
        (["T1_D"], ("D",)),
        (["T3"], ("D",)),
        (["T2_N"], ("N",)),
        (["T3", "T3G_N"], ("N",)),
        (["T4_P"], ("D", "P")),
        (["T4_P", "T1_N"], ("D", "N", "P")),
        ([], ("D",)),
    ],
)
def test_passes_are_those_that_the_tensors_come_from(names: list[str], passes: tuple[str, ...]) -> None:
    assert passes_for(BY_NAME[name] for name in names) == passes


@pytest.mark.parametrize("pattern", ["rcb", "cbr"])
@pytest.mark.parametrize(
    ("names", "there"),
    [
        (["T4_N"], ["T4_N"]),
        (["T1_P", "T3"], ["T1_D", "T1_P", "T3"]),
        (["T1G_N"], ["T1G_N"]),
        (["T2G_P", "T4_D"], ["T4_D", "T2G_D", "T2G_P"]),
        (["T3G_D", "T3"], ["T3", "T3G_D"]),
    ],
)
def test_some_tensors_are_those_of_all(images: ImageSet, names: list[str], there: list[str], pattern: str) -> None:
    space, config = get_space("nasbench201-mini"), StatisticsConfig(batch_size=2, seed=1, pattern=pattern)
    every = network_statistics(space, MIXED, 10, images, config)
    some = network_statistics(space, MIXED, 10, images, config, [BY_NAME[name] for name in names])
    assert len(some.instances) == len(every.instances) > 0
    for one, other in zip(some.instances, every.instances, strict=True):
        assert set(one.raw) == set(there)
        assert (one.layer, one.module) == (other.layer, other.module)
        for name in one.tensors:
            assert torch.equal(one.tensors[name], other.tensors[name])


class Counted(nn.Module):
    """Counts the passes forward through a layer, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.stem = nn.Conv2d(3, 4, 1)
        self.forwards, self.graphs = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        hidden = self.layer(F.relu_(x.add_(1)))  # in place, with and without a graph
        self.forwards += 1
        self.graphs += hidden.requires_grad
        return self.norm(hidden).add_(x.mean()).mean((2, 3))


def test_nothing_goes_back_where_no_gradient_is_wanted() -> None:
    network, inputs = Counted(), draw_inputs(torch.randn(2, 3, 6, 6), 0)
    every = read_instances(network, inputs)
    assert (network.forwards, network.graphs) == (3, 3)
    some = read_instances(network, inputs, tensors=[BY_NAME["T1_N"], BY_NAME["T4_N"]])
    assert (network.forwards, network.graphs) == (4, 3)
    for name in ("T1_N", "T4_N"):
        assert torch.equal(some[0].raw[name], every[0].raw[name])
