"""Named programs: every formula written out in plain torch, and how a name or a text is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from zcsr.errors import ProgramError
from zcsr.evaluation.evaluate import apply_node
from zcsr.language.named_programs import find_program, named_programs
from zcsr.language.named_records import named_records
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.proxies import proxy_names

Formula = Callable[..., Tensor]


def eznas_a(x: Tensor) -> Tensor:
    determinants = torch.linalg.det(x.sign())
    logarithms = torch.where(determinants < 0, 0.0, determinants.log())
    return (1 / (1 + (-logarithms).exp())).square().sum().sqrt()


def eznas_b(x: Tensor) -> Tensor:
    def logistic(a: Tensor) -> Tensor:
        return 1 / (1 + (-a).exp())

    inner = logistic(logistic(x).log()).log()  # a logistic function is positive: its logarithm needs no care
    return 1 / (x.square().sum().sqrt() + inner.square().sum().sqrt().exp())


def topprog(x: Tensor) -> Tensor:
    return x.square().sum()


def nasnet(x: Tensor, y: Tensor) -> Tensor:
    def logarithm(a: Tensor) -> Tensor:
        return torch.where(a > 0, a.clamp_min(1e-30).log(), 0.0)

    return (logarithm(logarithm(x) + y) < 0).double().sum().sqrt()


def pnas(x: Tensor, y: Tensor) -> Tensor:
    for _ in range(3):
        x = (x - x.mean()) / (x - x.mean()).square().sum().div(x.numel() - 1).sqrt()
    target = (y > 0).double()
    return -(target * x).sum() / len(x)  # t * (log t - x), where t log t is 0 for t in {0, 1}


EXPECTED: dict[str, tuple[Formula, tuple[str, ...], str]] = {
    "eznas-a": (eznas_a, ("T1G_D",), "executed in the release"),
    "eznas-a-printed": (eznas_a, ("T3G_N",), "printed in the paper"),
    "eznas-b": (eznas_b, ("T4_P",), "executed in the release"),
    "eznas-b-printed": (eznas_b, ("T1G_P",), "printed in the paper's text"),
    "eznas-b-drawn": (eznas_b, ("T2G_P",), "drawn in the paper"),
    "topprog": (topprog, ("T2_N",), "executed in the release"),
    "topprog-printed": (topprog, ("T2G_N",), "printed in the paper"),
    "nasnet": (nasnet, ("T4_P", "T1_N"), "executed in the release"),
    "nasnet-printed": (nasnet, ("T2G_P", "T4_D"), "printed in the paper"),
    "pnas": (pnas, ("T4G_P", "T4G_D"), "executed in the release"),
    "pnas-printed": (pnas, ("T3", "T4_P"), "printed in the paper"),
}


def tensors(seed: int) -> dict[str, Tensor]:
    """All of one shape, so that every reading applies; determinants of 2x2 signs are exact."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64) for name in TENSOR_NAMES}


def test_each_is_listed_once_with_its_reading() -> None:
    of_the_paper = named_programs()[: len(EXPECTED)]
    assert {named.name: named.reading for named in of_the_paper} == {
        name: reading for name, (_, _, reading) in EXPECTED.items()
    }
    assert all("EZNAS" in named.source for named in of_the_paper)
    assert all(named.program.has_steps for named in of_the_paper)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("seed", range(3))
def test_a_named_program_computes_its_formula(name: str, seed: int) -> None:
    formula, leaves, _ = EXPECTED[name]
    given = tensors(seed)
    expected = formula(*(given[leaf] for leaf in leaves))
    assert expected.isfinite()
    assert expected != 0
    torch.testing.assert_close(apply_node(find_program(name).expression, given), expected)


def test_eznas_b_is_zero_where_its_exponential_overflows() -> None:
    large = {"T4_P": torch.zeros(16, 64, 8, 8)}  # the norm of 65,536 equal logarithms is 254
    assert apply_node(find_program("eznas-b").expression, large) == 0


def test_no_name_means_two_things() -> None:
    names = {named.name for named in named_programs()}
    assert names.isdisjoint(proxy_names())
    assert names.isdisjoint(TENSOR_NAMES)


@pytest.mark.parametrize("spelling", ["EZNAS-A", " eznas-a\n", "Eznas-A", "fro(sigmoid(logdet(sign(T1G_D))))"])
def test_a_name_or_its_text_gives_the_program(spelling: str) -> None:
    assert str(find_program(spelling)) == "fro(sigmoid(logdet(sign(T1G_D))))"


@pytest.mark.parametrize("text", ["T1_D", "add(T1_D, T3) -> l2 -> sum", "add(T1_D,T3)"])
def test_anything_else_is_parsed(text: str) -> None:
    assert find_program(text) == parse(text)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("eznas-c", "did you mean eznas-"),
        ("toprog", "did you mean topprog"),
        ("t1_d", "did you mean T1_D"),
        ("xyzzy", "`zcsr proxies` lists the named programs"),
        ("synflow", "'synflow' is a known proxy, not a program: give it as a proxy (--proxy synflow)"),
        ("fro", "fro takes 1 argument"),
        ("nasnet(T1_D)", "unknown name 'nasnet'"),
        ("", "expected an operation or a tensor"),
    ],
)
def test_an_unknown_word_is_told_what_is_near(word: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        find_program(word, proxy_names())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_are_written_as_programs_are_printed() -> None:
    assert [(one.name, one.text) for one in named_records()] == [
        (one.name, str(one.program)) for one in named_programs()
    ]
