"""Networks as people bring them: compiled, scripted, lazy, of signals or volumes, with weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import zcsr as run
from torch import Tensor, nn

import zcsr
from zcsr.errors import InputError
from zcsr.networks.initialisation import initialise, kept

PROGRAM = "fro(T1G_D)"
SHAPE = ("--shape", "3x9x9")


def images() -> Tensor:
    return torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(5))


def network(axes: int = 2) -> nn.Sequential:
    """A network of images, or of as many other axes, with one instance, at "2"."""
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes]
    body = (convolution(3, 4, 3), nn.ReLU(), convolution(4, 4, 3), norm(4), nn.ReLU())
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(4 * 5**axes, 5))


def lazy() -> nn.Sequential:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lazy, r"6 of the network's parameters are lazy, .*first 0\.weight\): run it once, network\(images\)"),
        (lambda: torch.jit.script(network()), "the network is a ScriptModule, whose calls cannot be followed"),
        (lambda: nn.Sequential(torch.jit.script(network())), "part 0 of the network is a ScriptModule"),
        (lambda: nn.ModuleList([network()]), "the network is a ModuleList, which has no forward to run"),
    ],
)
@pytest.mark.parametrize("initialises", [True, False])
@pytest.mark.filterwarnings("ignore")  # torch's own, that lazy modules are new and scripts are old
def test_what_cannot_be_followed_says_why(build: Callable[[], nn.Module], message: str, initialises: bool) -> None:
    for measure in (PROGRAM, "params"):
        with pytest.raises(InputError, match=message):
            zcsr.score(build(), images(), measure, initialise=initialises)


@pytest.mark.filterwarnings("ignore")
def test_lazy_parameters_that_have_run_are_scored() -> None:
    model = lazy()
    model(images())
    assert zcsr.score(model, images(), PROGRAM).instances == 1


class Outer(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def compiled_in_place() -> nn.Module:
    model = network()
    model.compile()
    return model


@pytest.mark.parametrize(
    ("build", "module"),
    [
        (lambda: torch.compile(network()), "2"),
        (compiled_in_place, "2"),
        (lambda: Outer(torch.compile(network())), "inner._orig_mod.2"),
    ],
)
def test_a_compiled_network_is_scored_as_the_one_it_was_compiled_from(
    build: Callable[[], nn.Module], module: str
) -> None:
    counter = torch._dynamo.utils.counters["frames"]
    before = dict(counter)
    found = zcsr.score(build(), images(), PROGRAM)
    assert found.value == zcsr.score(network(), images(), PROGRAM).value
    assert found.modules == (module,)
    assert dict(counter) == before  # nothing was compiled


@pytest.mark.parametrize("axes", [1, 3])
def test_networks_of_signals_and_volumes(axes: int) -> None:
    batch = torch.randn(2, 3, *[9] * axes, generator=torch.Generator().manual_seed(5))
    model = network(axes)
    found = zcsr.score(model, batch, "sum(T1_D)", initialise=False, pattern="act-conv-norm")
    assert found.modules == ("2",)
    assert found.value == pytest.approx(model[0](batch).sum().item(), rel=1e-4)
    assert zcsr.score(network(axes), batch, "sum(T1_D)", pattern="auto", seed=4).kept == ()


@pytest.mark.parametrize(
    ("axes", "shape", "allowed"),
    [
        (2, (2, 3, 9), r"tensor \[b, c, h, w\], at least"),
        (1, (2, 3), r"\[b, c, h, w\] or \[b, c, l\], at"),
        (3, (2, 3, 9), r"\[b, c, h, w\] or \[b, c, d, h, w\], at"),
    ],
)
def test_a_batch_of_other_axes_says_what_it_should_be(axes: int, shape: tuple[int, ...], allowed: str) -> None:
    with pytest.raises(InputError, match=allowed):
        zcsr.score(network(axes), torch.randn(shape), PROGRAM)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1))
        self.table = nn.Embedding(3, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
        self.back = nn.ConvTranspose2d(3, 4, 3)
        self.plain = network()
        self.signal = network(1)
        self.volume = network(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.plain(x * self.scale)


def test_what_is_kept_is_what_no_seed_changes() -> None:
    model = Own()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 7.0)
    initialise(model, torch.Generator().manual_seed(1))
    unchanged = tuple(name for name, parameter in model.named_parameters() if bool((parameter == 7).all()))
    assert kept(model) == unchanged
    assert {"scale", "table.weight", "attention.in_proj_weight", "back.weight"} < set(unchanged)
    assert any(name.startswith("normed.parametrizations") for name in unchanged)
    assert not any(name.startswith(("plain", "signal", "volume")) for name in unchanged)


def test_a_score_names_what_it_kept() -> None:
    assert zcsr.score(Own(), images(), PROGRAM).kept == kept(Own())
    assert zcsr.score(network(), images(), PROGRAM).kept == ()
    every = tuple(name for name, _ in network().named_parameters())
    assert zcsr.score(network(), images(), "snip", labels=torch.tensor([0, 1]), initialise=False).kept == every


FILE = """
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1))
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x):
        return self.body(x * self.scale)

class Moved(Scaled):
    def forward(self, x):
        return super().forward(x.to("cuda"))

def built_there():
    return Scaled().to("cuda")
"""


def test_the_command_says_what_it_kept(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE, encoding="utf-8")
    words = ("score", f"{tmp_path}/net.py:Scaled", *SHAPE, "-p", "fro(T1_N)", "--store", str(tmp_path / "s"))
    code, _, err = run(*words)
    assert code == 0, err
    assert "not drawn anew by the seed, but as the function gives them: scale\n" in err
    code, _, err = run(*words, "--keep-weights")
    assert (code, "drawn anew" in err) == (0, False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="code that asks for an accelerator finds one here")
@pytest.mark.parametrize(("function", "line"), [("built_there", 19), ("Moved", 16)])
def test_code_that_asks_for_an_accelerator_is_told_its_line(function: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE, encoding="utf-8")
    code, _, err = run(
        "score", f"{tmp_path}/net.py:{function}", *SHAPE, "-p", "fro(T1_N)", "--store", str(tmp_path / "s")
    )
    said = err.splitlines()[-1]
    assert code == 2
    assert "Traceback" not in err
    assert f"(net.py, line {line})" in said


class OfVolumes(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.BatchNorm3d(4), nn.Flatten())


class Strict(nn.Module):
    """Its own code refuses what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != 224:
            raise LookupError("images must be 224 wide")
        return self.layer(x).flatten(1)


@pytest.mark.parametrize("measure", ["sum(fro(T1_D))", "zen", "params * sum(fro(T1_D))"])
def test_a_network_that_fails_is_told_in_python_as_well(measure: str) -> None:
    images = torch.randn(2, 3, 8, 8)
    with pytest.raises(InputError, match=r"RuntimeError: Given groups=1, weight of size \[4, 1, 3, 3, 3\]"):
        zcsr.score(OfVolumes(), images, measure)
    with pytest.raises(
        InputError, match=r"LookupError: images must be 224 wide \(test_brought_networks\.py, line "
    ):
        zcsr.score(Strict(), images, measure)


def test_a_defect_of_ones_own_is_no_error_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(torch.Tensor, "flatten", broken)
    monkeypatch.setitem(broken.__globals__, "__name__", "zcsr.made_up")
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(KeyError, match="defect"):
        zcsr.score(network, torch.randn(2, 3, 8, 8), "naswot")
