"""A network of a user's own: what `zcsr.score` and `zcsr score` say of it, and what they refuse."""

from __future__ import annotations

import copy
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from commands import zcsr as run
from network_samples import noise
from torch import Tensor, nn

import zcsr
from zcsr import proxies
from zcsr.errors import EvaluationError, InputError, ProgramError
from zcsr.evaluation.evaluate import score as score_of_statistics
from zcsr.evaluation.one_network import scores
from zcsr.language.named_programs import find_program
from zcsr.networks.initialisation import initialise, random_stream
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.proxies import proxy_names
from zcsr.proxies.proxy import Proxy, proxy
from zcsr.spaces import get_space
from zcsr.store import Store, load_images


def network(channels: int = 3, seed: int = 0) -> nn.Sequential:
    """Two instances of ReLU-Conv-BatchNorm, of the convolutions "2" and "5"; one of Conv-BatchNorm-ReLU, of "2"."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3),
            nn.BatchNorm2d(6),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 10),
        )


def batch(size: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(size, channels, 9, 9, generator=torch.Generator().manual_seed(1))


@proxy(measures="the sum of the weights and of the images", source="made up")
def summed(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    return sum(parameter.sum().item() for parameter in network.parameters()) + images.sum().item()


@proxy(measures="the loss", source="made up")
def loss_of(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    return F.cross_entropy(network(images), labels).item()


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two proxies above are the known ones."""
    known = {"summed": summed, "loss_of": loss_of}

    def get(name: str) -> Proxy:
        return known[name] if name in known else original(name)

    original = proxies.get_proxy
    for module in (proxies, zcsr.evaluation.one_network):
        monkeypatch.setattr(module, "proxy_names", lambda: tuple(known))
        monkeypatch.setattr(module, "get_proxy", get)


# What comes back -------------------------------------------------------------------------------------------------


def test_a_score_by_hand() -> None:
    """The ReLU's inputs in a pass written out layer by layer, on the weights as they are."""
    model, images = network(), batch()
    first = model[0](images)
    second = F.batch_norm(model[2](first.relu()), None, None, training=True)
    expected = [first.square().mean().item(), second.square().mean().item()]
    found = zcsr.score(model, images, "square(T1_D)", initialise=False)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    assert found.value == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert float(found) == found.value
    assert (found.program, found.instances) == ("square(T1_D)", 2)
    assert (found.modules, found.tensors) == (("2", "5"), ("T1_D",))
    assert str(found) == f"{found.value:.6g} by square(T1_D) over 2 instances"


@pytest.mark.parametrize("pattern", ["rcb", "cbr"])
@pytest.mark.parametrize("loss", ["ones", "cross_entropy"])
def test_a_network_of_a_space_has_the_score_that_a_store_gives_it(pattern: str, loss: str) -> None:
    space = get_space("nasbench201-mini")
    arch = space.sample(1, random.Random(1))[0]
    images = noise(20)
    config = StatisticsConfig(batch_size=4, seed=3, pattern=pattern, loss=loss)  # type: ignore[arg-type]
    statistics = network_statistics(space, arch, 10, images, config)
    inputs, labels = images.minibatch(4, 3)
    names = ["eznas-a", "pnas", "fro(T3G_N) -> l2 -> sum"]
    found = scores(
        space.build(arch, 10, 1), inputs, names, labels=labels, seed=3, pattern=config.pattern, loss=config.loss
    )
    assert len(statistics.instances) > 0
    for name, one in zip(names, found, strict=True):
        assert one.value == score_of_statistics(find_program(name), statistics)
        assert one.modules == tuple(instance.module for instance in statistics.instances)


def test_the_same_again_and_another_seed() -> None:
    model, images = network(), batch()
    values = [zcsr.score(model, images, "fro(T2_D)", seed=seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert values[0] == zcsr.score(network(seed=7), images, "fro(T2_D)", seed=0).value  # weights are drawn anew
    assert zcsr.score(model, images, "fro(T2_D)", initialise=False).value != values[0]


@pytest.mark.parametrize("initialises", [True, False])
def test_the_network_is_left_as_it_was(initialises: bool) -> None:
    model, images = network(), batch()
    before, seen = copy.deepcopy(model.state_dict()), images.clone()
    state = torch.random.get_rng_state()
    zcsr.score(model, images, "eznas-a-printed", initialise=initialises)
    assert all(torch.equal(before[name], values) for name, values in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(images, seen)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_aggregation_and_tensors_are_the_programs() -> None:
    found = zcsr.score(network(), batch(), "add(T4_P, mul(T1_N, T1_N)) -> l2 -> sum", pattern="cbr")
    assert found.tensors == ("T1_N", "T4_P")
    assert (found.instances, found.value) == (1, found.values.sum())


def test_a_value_that_is_not_finite_is_shown_and_no_error() -> None:
    model, images = network(), batch()
    with torch.no_grad():
        for parameter in model[2].parameters():  # what the second ReLU takes is then all 0, and so its norm
            parameter.fill_(0)
    found = zcsr.score(model, images, "reciprocal(fro(T1_D))", initialise=False)
    assert math.isnan(found.value)
    assert np.isfinite(found.values).tolist() == [True, False]
    assert found.unusable == ("5",)
    assert str(found).startswith("nan by reciprocal")


def test_a_known_proxy_by_name_or_as_it_is(made_up: None) -> None:
    model, images = network(), batch()
    kept = zcsr.score(model, images, "summed", initialise=False)
    assert kept.value == pytest.approx(sum(p.sum().item() for p in model.parameters()) + images.sum().item())
    assert (kept.program, kept.instances, kept.modules, kept.tensors) == ("summed", 0, (), ())
    assert kept.values.shape == (0,)
    assert str(kept) == f"{kept.value:.6g} by summed"
    drawn = copy.deepcopy(model)
    initialise(drawn, random_stream(5, "weights"))
    anew = zcsr.score(model, images, summed, seed=5)
    assert anew.value == pytest.approx(sum(p.sum().item() for p in drawn.parameters()) + images.sum().item())


def test_labels_are_asked_for_where_they_are_looked_at(made_up: None) -> None:
    model, images, labels = network(), batch(), torch.tensor([3, 1])
    found = zcsr.score(model, images, "loss_of", labels=labels, initialise=False)
    assert found.value == pytest.approx(F.cross_entropy(copy.deepcopy(model)(images), labels).item())
    with pytest.raises(
        InputError, match=r"proxy loss_of looks at the labels of the images: give labels, int64 \[2\]"
    ):
        zcsr.score(model, images, "loss_of")
    with pytest.raises(InputError, match='loss "cross_entropy" needs the labels'):
        zcsr.score(model, images, "fro(T1G_D)", loss="cross_entropy")


@pytest.mark.parametrize(
    "look",
    [
        lambda labels: labels[0].item(),
        lambda labels: (labels == 0).sum().item(),
        lambda labels: F.one_hot(labels, 10).sum().item(),
        lambda labels: labels.float().mean().item(),
        lambda labels: float(labels.tolist()[0]),
        lambda labels: float(next(iter(labels))),
        lambda labels: torch.zeros(10)[labels].sum().item(),
    ],
)
def test_every_look_at_absent_labels_is_noticed(look: Callable[[Tensor], float]) -> None:
    looking = Proxy("looking", "the labels", "made up", lambda network, images, labels: look(labels))
    with pytest.raises(InputError, match="proxy looking looks at the labels"):
        zcsr.score(network(), batch(), looking)
    counting = Proxy("counting", "their number", "made up", lambda network, images, labels: len(labels))
    assert zcsr.score(network(), batch(), counting).value == 2


# What is refused -------------------------------------------------------------------------------------------------


def test_a_program_that_does_not_apply_names_the_layer() -> None:
    with pytest.raises(EvaluationError, match=r"^det\(T3\), layer 1 \(5\): det"):
        zcsr.score(nn.Sequential(*network()[:5], nn.Conv2d(4, 6, (3, 2)), *network()[6:]), batch(), "det(T3)")


def test_without_an_instance_it_says_what_one_is() -> None:
    post = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(1)
    )
    with pytest.raises(InputError) as caught:
        zcsr.score(post, batch(), "fro(T1_D)")
    assert zcsr.score(post, batch(), "fro(T1_D)", pattern="cbr").instances == 1
    message = str(caught.value)
    assert "no instance of the pattern 'rcb'" in message
    assert "a ReLU whose output a Conv2d takes, whose output a BatchNorm takes" in message
    assert "; by other patterns it has 1 of 'cbr', 1 of 'conv-norm-act', of which 'auto'" in message


def test_without_any_instance_it_says_what_there_is() -> None:
    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.GroupNorm(2, 4), nn.Flatten(1))
    with pytest.raises(InputError) as caught:
        zcsr.score(smooth, batch(), "fro(T1_D)", pattern="cbr")
    assert "a Conv2d whose output a BatchNorm takes, whose output a ReLU takes" in str(caught.value)
    assert str(caught.value).endswith(
        "by other patterns it has 2 of 'layer', of which 'auto' takes the most frequent"
    )
    assert zcsr.score(smooth, batch(), "fro(T1_D)", pattern="auto").instances == 2
    bare = nn.Sequential(nn.MaxPool2d(2), nn.SiLU(), nn.Flatten(1))
    with pytest.raises(InputError, match=r"the network is made of 1 MaxPool2d, 1 SiLU, 1 Flatten$"):
        zcsr.score(bare, batch(), "fro(T1_D)", pattern="cbr")


class Uncopied(nn.Module):
    """Holds a tensor of a graph, which torch does not copy."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.scale = self.inner[0].weight.mean()

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) * self.scale


def test_a_network_that_cannot_be_copied_is_scored_as_it_is() -> None:
    model = Uncopied()
    with pytest.raises(InputError, match=r"cannot be copied.*initialise=False"):
        zcsr.score(model, batch(), "fro(T1_D)")
    inner = zcsr.score(model.inner, batch(), "fro(T1_D)", initialise=False)
    assert zcsr.score(model, batch(), "fro(T1_D)", initialise=False).value == inner.value


@pytest.mark.parametrize(
    ("model", "images", "message"),
    [
        (3, batch(), "a torch module, not a int"),
        (network(), batch()[0], r"not torch.float32 \[3, 9, 9\]"),
        (network(), batch().long(), "not torch.int64"),
        (network(), batch()[:0], r"\[0, 3, 9, 9\]"),
        (network(), np.zeros((1, 3, 9, 9)), "not a ndarray"),
        (nn.Linear(2, 2, device="meta"), batch(), "the network is on meta"),
    ],
)
def test_a_network_or_batch_of_another_kind(model: nn.Module, images: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        zcsr.score(model, images, "fro(T1_D)")


def test_an_unknown_program_pattern_or_loss() -> None:
    with pytest.raises(ProgramError, match="did you mean eznas-"):
        zcsr.score(network(), batch(), "eznas-x")
    with pytest.raises(InputError, match="unknown pattern 'crb'"):
        zcsr.score(network(), batch(), "fro(T1_D)", pattern="crb")
    with pytest.raises(InputError, match="unknown loss"):
        zcsr.score(network(), batch(), "fro(T1_D)", loss="mse")  # type: ignore[arg-type]


# The command -----------------------------------------------------------------------------------------------------

MODULE = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(),
        nn.LazyLinear(10),
    )

def concrete():
    network = build()
    network[5] = nn.Linear(4 * 14 * 14, 10)
    return network

def number():
    return 3

def broken():
    return 1 / 0

class Forgetful(nn.Module):
    def forward(self, images):
        return self.layer(images)

class Beside(nn.Module):
    def __new__(cls):
        from beside import network
        return network()
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MODULE)
    (tmp_path / "beside.py").write_text("from mine_too import network\n")
    (tmp_path / "mine_too.py").write_text(
        "from torch import nn\nnetwork = lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), "
        "nn.BatchNorm2d(4), nn.Flatten())\n"
    )
    return path


IMAGES = ("--images", "fashion-mnist")


def built() -> nn.Module:
    """The network of `concrete`, with weights of its own."""
    middle = nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), middle, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, 10))


def test_the_command_prints_a_row_a_program(module: Path, tmp_path: Path, made_up: None) -> None:
    store = tmp_path / "store"
    words = ("score", f"{module}:concrete", *IMAGES, "-p", "nasnet", "-p", "fro(T1_D)", "--proxy", "loss_of")
    code, out, err = run(*words, "--batch-size", "4", "--network-seed", "2", "--format", "json", store=store)
    assert (code, err) == (0, "")
    rows = json.loads(out)
    images, labels = load_images(Store.open(store), "fashion-mnist").minibatch(4, 2)
    expected = scores(built(), images, ["nasnet", "fro(T1_D)", loss_of], labels=labels, seed=2)
    assert rows == [
        {"program": "nasnet", "score": expected[0].value, "instances": 1, "tensors": "T1_N T4_P"},
        {"program": "fro(T1_D)", "score": expected[1].value, "instances": 1, "tensors": "T1_D"},
        {"program": "loss_of", "score": expected[2].value, "instances": None, "tensors": ""},
    ]
    code, out, _ = run(*words, store=store)
    assert out.splitlines()[0].split() == ["program", "score", "instances", "tensors"]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["nasnet", "fro(T1_D)", "loss_of"]
    assert run(*words, "-f", "csv", store=store)[1].splitlines()[0] == "program,score,instances,tensors"
    assert run(*words, "-f", "markdown", store=store)[1].startswith("| program | score |")


def test_weights_that_are_kept_are_the_same_again(module: Path, tmp_path: Path) -> None:
    words = ("score", f"{module}:concrete", *IMAGES, "-p", "fro(T3)", "-f", "csv")
    kept = [run(*words, "--keep-weights", "--network-seed", seed, store=tmp_path / "s")[1] for seed in "011"]
    drawn = [run(*words, "--network-seed", seed, store=tmp_path / "s")[1] for seed in "011"]
    assert kept[0] == kept[1] == kept[2] != drawn[0]
    assert drawn[0] != drawn[1] == drawn[2]


def test_images_of_another_size_and_files_beside(module: Path, tmp_path: Path) -> None:
    words = ("score", f"{module}:Beside", *IMAGES, "-p", "numel(T1_D)", "-f", "csv")
    code, out, err = run(*words, "--height", "8", "--width", "10", store=tmp_path / "s")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == f"numel(T1_D),{4 * 6 * 8}.0,1,T1_D"
    assert str(tmp_path) not in sys.path


def test_what_is_not_finite_is_said(module: Path, tmp_path: Path) -> None:
    program = "reciprocal(zeros_like(T1_D))"
    code, out, err = run("score", f"{module}:concrete", *IMAGES, "-p", program, store=tmp_path / "s")
    assert code == 0
    assert out.splitlines()[1].split()[-3:] == ["nan", "1", "T1_D"]
    assert err == f"{program}: NaN or infinite in 1 of 1 instances, first in 2\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{0}:concrete", *IMAGES], "say what to score with"),
        (["{0}:concrete", "-p", "nasnet"], "images"),
        (["{0}:concrete", *IMAGES, "-p", "nasnett"], "did you mean nasnet"),
        (["{0}:concrete", *IMAGES, "--proxy", "sinflow"], "did you mean 'synflow'"),
        (["{0}:concrete", *IMAGES, "-p", "nasnet", "-f", "xml"], "table, csv, json, markdown, not 'xml'"),
        (["{0}:concrete", *IMAGES, "-p", "nasnet", "--pattern", "crb"], "unknown pattern 'crb'"),
        (["{0}:concrete", "--images", "mine", "-p", "nasnet"], "no image set 'mine'"),
        (["{0}:concrete", *IMAGES, "-p", "nasnet", "--height", "99"], "cannot be brought to 99x16"),
        (["{0}:concrete", *IMAGES, "-p", "matmul(T1_D, T3)"], "matmul(T1_D, T3), layer 0 (2): matmul"),
        (
            ["{0}:concrete", *IMAGES, "-p", "nasnet", "--pattern", "cbr"],
            "by other patterns it has 1 of 'rcb', 1 of 'act-conv-norm'",
        ),
        (["{0}", *IMAGES, "-p", "nasnet"], "as in net.py:build"),
        (["{0}:no", *IMAGES, "-p", "nasnet"], "has no function 'no': it has build, concrete, number"),
        (["{0}x.py:no", *IMAGES, "-p", "nasnet"], "cannot read"),
        (["{0}:number", *IMAGES, "-p", "nasnet"], "gives a int, not a torch module"),
        (["{0}:broken", *IMAGES, "-p", "nasnet"], "fails: ZeroDivisionError: division by zero (mine.py, line 19)"),
        (["{0}:Forgetful", *IMAGES, "-p", "nasnet"], "no attribute 'layer' (mine.py, line 23)"),
        (["{0}:build", *IMAGES, "-p", "nasnet"], "parameters are lazy, without a shape until it has run"),
    ],
)
def test_a_bad_command_is_one_line(words: list[str], message: str, module: Path, tmp_path: Path) -> None:
    code, out, err = run("score", *(word.format(module) for word in words), store=tmp_path / "s")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_a_file_that_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1\nimport nothing_of_that_name\n")
    code, _, err = run("score", f"{tmp_path}/bad.py:build", *IMAGES, "-p", "nasnet", store=tmp_path / "s")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "No module named 'nothing_of_that_name' (bad.py, line 2)" in err


def test_the_list_of_proxies_and_named_programs(capsys: pytest.CaptureFixture) -> None:
    from zcsr.cli.show import proxies as command

    command()
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[0].split() == ["proxy", "measures", "source"]
    assert [line.split()[0] for line in first.splitlines()[1:]] == list(proxy_names())
    assert "the number of parameters" in first
    named = {line.split()[0]: line for line in second.splitlines()[1:]}
    assert "fro(sigmoid(logdet(sign(T3G_N))))" in named["eznas-a-printed"]
    assert "printed in the paper" in named["eznas-a-printed"]
    assert "executed in the release" in named["eznas-a"]


# What people bring ------------------------------------------------------------------------------------------------

COLOURS = ("--images", "fashion-mnist-32")
SEVERAL = """
from torch import nn

class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Flatten()
        )
        self.head = nn.Linear(8 * 28 * 28, 10)

    def forward(self, x):
        features = self.body(x)
        return {"features": features, "logits": self.head(features)}

def several():
    return Several()

def smooth():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 30 * 30, 10))

def float64():
    return smooth().double()

def float16():
    return smooth().half()

def bfloat16():
    return smooth().bfloat16()
"""


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    path = tmp_path / "brought.py"
    path.write_text(SEVERAL, encoding="utf-8")
    return path


def test_the_output_that_is_the_logits_can_be_said(brought: Path, tmp_path: Path) -> None:
    words = ("score", f"{brought}:several", *COLOURS, "-p", "fro(T1G_D)", "--proxy", "snip", "-f", "json")
    store = str(tmp_path / "store")
    code, _, err = run(*words, "--store", store)
    assert code == 2
    assert "returns a dict of 2: let it return them alone" in err
    assert "output='logits' (--output logits)" in err
    code, out, err = run(*words, "--output", "logits", "--store", store)
    assert code == 0, err
    assert [row["program"] for row in json.loads(out)] == ["fro(T1G_D)", "snip"]
    assert all(math.isfinite(row["score"]) for row in json.loads(out))
    code, _, err = run(*words, "--output", "nothing", "--store", store)
    assert code == 2
    assert "the network returns no output 'nothing'" in err


def test_what_does_not_apply_costs_its_own_row_only(brought: Path, tmp_path: Path) -> None:
    proxies_asked = ("--proxy", "naswot", "--proxy", "snip", "-p", "fro(T1_D)", "--proxy", "params")
    words = ("score", f"{brought}:smooth", *COLOURS, *proxies_asked, "-f", "json")
    code, out, err = run(*words, "--store", str(tmp_path / "store"))
    assert code == 0, err
    assert [row["program"] for row in json.loads(out)] == ["snip", "params"]
    assert "naswot: naswot looks at which units of rectifiers" in err
    assert "fro(T1_D): the network has no instance of the pattern 'rcb'" in err


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
def test_a_network_of_another_type_is_told_by_its_name(kind: str, brought: Path, tmp_path: Path) -> None:
    code, _, err = run(
        "score", f"{brought}:{kind}", *COLOURS, "--proxy", "naswot", "--store", str(tmp_path / "store")
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"the network is {kind} and the batch float32" in err


class DropsPaths(nn.Module):
    """Leaves a branch out at random, as networks with stochastic depth do while they train."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.branch = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(x)
        if not self.training:
            return x + branch
        kept = (torch.rand(len(x), 1, 1, 1) >= self.share) / (1 - self.share)
        return x + kept * branch


def path_dropping(share: float) -> nn.Module:
    blocks = (DropsPaths(share) for _ in range(3))
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(share), nn.Linear(4, 5)
    )


@pytest.mark.parametrize("measure", ["sum(fro(T1G_D))", "sum(effective_rank(T3G_N))", "snip"])
def test_dropping_paths_makes_no_difference(measure: str) -> None:
    images = torch.randn(8, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(8) % 5
    (often,), (never,) = (scores(path_dropping(share), images, [measure], labels=labels) for share in (0.9, 0.0))
    assert often.value == never.value > 0
