from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zcsr.errors import EvaluationError, ShapeError
from zcsr.evaluation.evaluate import apply_node
from zcsr.language.languages import EZNAS
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import Node, infer_shape
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.sameness.normal_form import (
    RULES,
    is_nonnegative,
    is_number,
    normal_form,
    rules_used,
    scalar_tree,
    simplified,
)
from zcsr.sameness.recognise import program_keys
from zcsr.sameness.sympy_form import SYMPY_MAX_NODES, sympy_key, to_latex

NAMES = ("T1_D", "T1_N", "T4_D")
SPECIAL = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, -1.0)

EXACT = [
    ("gt(T1_D, T1_N)", "lt(T1_N, T1_D)"),
    ("lt(T1_D, T1_D)", "zeros_like(T1_D)"),
    ("lt(zeros_like(T1_D), T1_D)", "positive(T1_D)"),
    ("gt(zeros_like(T1_D), T1_D)", "negative(T1_D)"),
    ("eq(T1_N, T1_D)", "eq(T1_D, T1_N)"),
    ("add(T1_N, T1_D)", "add(T1_D, T1_N)"),
    ("mul(T1_N, T1_D)", "mul(T1_D, T1_N)"),
    ("hamming(T1_N, T1_D)", "hamming(T1_D, T1_N)"),
    ("abs(abs(T1_D))", "abs(T1_D)"),
    ("abs(square(T1_D))", "square(T1_D)"),
    ("abs(exp(T1_D))", "exp(T1_D)"),
    ("relu(relu(T1_D))", "relu(T1_D)"),
    ("relu(abs(T1_D))", "abs(T1_D)"),
    ("relu(add(abs(T1_D), square(T1_N)))", "add(abs(T1_D), square(T1_N))"),
    ("square(abs(T1_D))", "square(T1_D)"),
    ("square(positive(T1_D))", "positive(T1_D)"),
    ("square(sub(T1_N, T1_D))", "square(sub(T1_D, T1_N))"),
    ("abs(sub(T1_N, T1_D))", "abs(sub(T1_D, T1_N))"),
    ("fro(abs(T1_D))", "fro(T1_D)"),
    ("sign(sign(T1_D))", "sign(T1_D)"),
    ("sign(relu(T1_D))", "positive(T1_D)"),
    ("sign(lt(T1_D, T1_N))", "lt(T1_D, T1_N)"),
    ("heaviside(T1_D)", "positive(T1_D)"),
    ("positive(relu(T1_D))", "positive(T1_D)"),
    ("positive(sign(T1_D))", "positive(T1_D)"),
    ("negative(sign(T1_D))", "negative(T1_D)"),
    ("negative(relu(T1_D))", "zeros_like(T1_D)"),
    ("hamming(relu(T1_N), sign(T1_D))", "hamming(T1_D, T1_N)"),
    ("log(relu(T1_D))", "log(T1_D)"),
    ("log(abs(T1_D))", "abslog(T1_D)"),
    ("abslog(square(T1_D))", "log(square(T1_D))"),
    ("abslog(abs(T1_D))", "abslog(T1_D)"),
    ("mean(fro(T1_D))", "fro(T1_D)"),
    ("mean(abs(T1_D))", "l1(T1_D)"),
    ("l1(abs(T1_D))", "l1(T1_D)"),
    ("l1(relu(T1_D))", "mean(relu(T1_D))"),
    ("fro(mean(T1_D))", "abs(mean(T1_D))"),
    ("numel(sigmoid(T1_D))", "numel(T1_D)"),
    ("ones_like(exp(abs(T1_D)))", "ones_like(T1_D)"),
    ("zeros_like(normalise(T1_D))", "zeros_like(T1_D)"),
    ("add(T1_D, zeros_like(exp(T1_D)))", "T1_D"),
    ("add(add(T1_N, zeros_like(T1_D)), T1_D)", "add(T1_D, T1_N)"),
    ("mul(ones_like(T1_D), sign(T1_D))", "sign(T1_D)"),
    ("sub(T1_D, zeros_like(T1_D))", "T1_D"),
    ("mul(T1_D, T1_D)", "square(T1_D)"),
    ("square(sub(zeros_like(T1_D), T1_D))", "square(T1_D)"),
]
"""Trees and their normal forms, which have the same value bit by bit."""

REGROUPED = [
    ("add(add(T1_D, T1_N), T4_D)", "add(T1_N, add(T4_D, T1_D))"),
    ("mul(mul(T1_D, T1_N), T4_D)", "mul(T1_N, mul(T4_D, T1_D))"),
    ("mul(T1_D, mul(T1_N, T1_D))", "mul(mul(T1_D, T1_D), T1_N)"),
    ("mul(mul(T1_D, T1_D), mul(T1_D, T1_D))", "square(square(T1_D))"),
]

ALGEBRA = [
    ("sub(add(T1_D, T1_N), T1_D)", "T1_N"),
    ("sub(T1_D, sub(T1_D, T1_N))", "T1_N"),
    ("mul(T1_D, reciprocal(T1_N))", "reciprocal(mul(reciprocal(T1_D), T1_N))"),
    ("square(mul(T1_D, T1_N))", "mul(square(T1_D), square(T1_N))"),
    ("square(exp(T1_D))", "exp(add(T1_D, T1_D))"),
    ("reciprocal(reciprocal(T1_D))", "T1_D"),
    ("abs(mul(T1_D, square(T1_N)))", "mul(abs(T1_D), square(T1_N))"),
    ("add(T1_D, sub(T1_N, T1_D))", "T1_N"),
]
"""Equal by sympy, not by the normal form."""

NEAR_MISSES = [
    ("sub(T1_D, T1_N)", "sub(T1_N, T1_D)"),
    ("log(T1_D)", "abslog(T1_D)"),
    ("lt(T1_D, T1_N)", "lt(T1_N, T1_D)"),
    ("lt(T1_D, T1_N)", "gt(T1_D, T1_N)"),
    ("mean(T1_D)", "l1(T1_D)"),
    ("l1(T1_D)", "fro(T1_D)"),
    ("matmul(T1_D, T1_N)", "matmul(T1_N, T1_D)"),
    ("matmul(T1_D, T1_D)", "square(T1_D)"),
    ("abs(T1_D)", "T1_D"),
    ("relu(T1_D)", "abs(T1_D)"),
    ("sign(T1_D)", "positive(T1_D)"),
    ("positive(T1_D)", "negative(T1_D)"),
    ("exp(add(T1_D, T1_N))", "add(exp(T1_D), exp(T1_N))"),
    ("square(add(T1_D, T1_N))", "add(square(T1_D), square(T1_N))"),
    ("sigmoid(T1_D)", "softmax(T1_D)"),
    ("kl(T1_D, T1_N)", "kl(T1_N, T1_D)"),
    ("eq(T1_D, T1_D)", "positive(T1_D)"),
    ("T1_D", "T1_N"),
    ("numel(T1_D)", "numel(T3)"),
    ("relu(sub(T1_D, T1_N))", "relu(sub(T1_N, T1_D))"),
    ("det(T1_D)", "logdet(T1_D)"),
]

UNARY = [op.name for op in OPERATIONS if op.arity == 1]
BINARY = [op.name for op in OPERATIONS if op.arity == 2]


def trees(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[Node]:
    leaves = st.sampled_from(names).map(EZNAS.node)

    def grown(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        one = st.builds(lambda op, a: EZNAS.node(op, a), st.sampled_from(UNARY), children)
        two = st.builds(lambda op, a, b: EZNAS.node(op, a, b), st.sampled_from(BINARY), children, children)
        return one | two

    return st.recursive(leaves, grown, max_leaves=6)


def root(text: str) -> Node:
    return parse(text).expression


def special_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name in NAMES:
        values = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
        places = torch.randperm(values.numel(), generator=generator)[: 6 * len(SPECIAL)]
        values.view(-1)[places] = torch.tensor(SPECIAL, dtype=torch.float64).repeat(6)
        tensors[name] = values
    return tensors


def finite_tensors(seed: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64) for name in NAMES}


@pytest.mark.parametrize(("text", "expected"), EXACT)
def test_rules_hold_bit_by_bit_also_for_nan_and_infinities(text: str, expected: str) -> None:
    assert str(normal_form(root(text))) == expected
    for tensors in (special_tensors(), finite_tensors()):
        left, right = apply_node(root(text), tensors), apply_node(root(expected), tensors)
        assert left.shape == right.shape
        assert torch.equal(left.nan_to_num(1e99), right.nan_to_num(1e99))


def test_every_rule_is_exercised_by_the_examples() -> None:
    used = {statement for text, _ in EXACT for statement in rules_used(root(text))}
    assert used == {rule.statement for rule in RULES}


@pytest.mark.parametrize(("one", "other"), REGROUPED)
def test_sums_and_products_are_regrouped(one: str, other: str) -> None:
    assert normal_form(root(one)) == normal_form(root(other))
    left, right = (apply_node(root(text), finite_tensors()) for text in (one, other))
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("one", "other"), ALGEBRA)
def test_sympy_finds_what_the_normal_form_does_not(one: str, other: str) -> None:
    assert normal_form(root(one)) != normal_form(root(other))
    assert sympy_key(root(one)) == sympy_key(root(other))
    left, right = (apply_node(root(text), finite_tensors()) for text in (one, other))
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES)
def test_near_misses_keep_keys_of_their_own(one: str, other: str) -> None:
    assert normal_form(root(one)) != normal_form(root(other))
    assert sympy_key(root(one)) != sympy_key(root(other))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(trees())
def test_the_normal_form_keeps_shape_and_value(tree: Node) -> None:
    tensors = finite_tensors()
    try:
        expected = apply_node(tree, tensors)
    except EvaluationError:
        return
    found = apply_node(normal_form(tree), tensors)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9, equal_nan=True)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(trees())
def test_the_normal_form_of_a_normal_form_is_itself(tree: Node) -> None:
    normal = normal_form(tree)
    assert normal_form(normal) == normal


@settings(max_examples=250, deadline=None, derandomize=True)
@given(trees())
def test_what_is_called_a_number_or_not_negative_is(tree: Node) -> None:
    try:
        shape = infer_shape(tree, dict.fromkeys(NAMES, (2, 3, 4, 4)))
    except ShapeError:
        return
    if is_number(tree):
        assert shape == ()
    if is_nonnegative(tree):
        assert not (apply_node(tree, special_tensors()) < 0).any()


def test_number_operations_are_those_whose_shape_rule_says_so() -> None:
    for operation in OPERATIONS:
        args = tuple(EZNAS.node(name) for name in NAMES[: operation.arity])
        shapes = [(2, 3, 4, 4)] * operation.arity
        assert is_number(Node(operation, args)) == (operation.shape(*shapes) == ()), operation.name


@settings(max_examples=200, deadline=None, derandomize=True)
@given(trees(), st.sampled_from(["mean", "l2"]), st.sampled_from(["mean", "sum"]))
def test_simplified_programs_have_the_same_numbers_and_are_not_longer(tree: Node, to_scalar, aggregation) -> None:
    program = EZNAS.program(tree, to_scalar, aggregation)
    shown = simplified(program)
    assert len(str(shown)) <= len(str(program))
    assert shown.aggregation == aggregation
    try:
        expected = apply_node(scalar_tree(program), finite_tensors())
    except EvaluationError:
        return
    found = apply_node(scalar_tree(shown), finite_tensors())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean(abs(abs(T1_D)))", "l1(T1_D)"),
        ("mean(square(abs(T1_D)))", "square(T1_D)"),
        ("fro(relu(relu(T3))) -> l2 -> sum", "relu(T3) -> l2 -> sum"),
        ("matmul(T1_D, T1_N)", "matmul(T1_D, T1_N)"),
    ],
)
def test_simplified(text: str, expected: str) -> None:
    assert str(simplified(parse(text))) == expected


@pytest.mark.parametrize("op", [op.name for op in OPERATIONS])
def test_sympy_takes_chains_of_every_operation_up_to_its_limit(op: str) -> None:
    tree = EZNAS.node("T1_D")
    arity = 2 if op in BINARY else 1
    while tree.size + arity <= SYMPY_MAX_NODES:
        tree = EZNAS.node(op, *((tree,) if arity == 1 else (tree, EZNAS.node("T1_N"))))
    assert sympy_key(tree)
    assert sympy_key(EZNAS.node("add", tree, tree)) is None


def test_squares_of_numbers_are_not_carried_out_digit_by_digit() -> None:
    tree = root("add(mul(T1_D, reciprocal(T1_D)), mul(T1_D, reciprocal(T1_D)))")
    while tree.size < SYMPY_MAX_NODES:
        tree = EZNAS.node("square", tree)
    key = sympy_key(tree)
    assert key is not None
    assert len(key) < 200


def test_dividing_by_an_algebraic_zero_stays_opaque() -> None:
    keys = {sympy_key(root(f"{op}(reciprocal(sub(T1_D, T1_D)))")) for op in ("mean", "exp", "fro")}
    assert not any("zoo" in str(key) or "nan" in str(key) for key in keys)
    assert len(keys) == 3


def test_keys_do_not_depend_on_the_process() -> None:
    texts = (
        "add(mul(T4_D, T1_D), sub(exp(T3), mul(T1G_N, T2_P)))",
        "eq(mul(T3, T1_D), add(T1_N, T4_P))",
        "fro(T3)",
    )
    script = (
        "from zcsr.language.text import parse; from zcsr.sameness.recognise import program_keys\n"
        f"for text in {texts}: print(program_keys(parse(text)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.splitlines() == [str(program_keys(parse(text))) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "fro(sigmoid(logdet(sign(T1G_D))))",
            r"\left\lVert \sigma\left(\log\det\left(\operatorname{sign}\left(\nabla T_{1}^{D}\right)\right)\right) "
            r"\right\rVert_F",
        ),
        ("lt(T1_D, T3)", r"\overline{\left[T_{1}^{D} < T_{3}\right]}"),
        ("T3", r"\overline{T_{3}}"),
        (
            "matmul(add(T1_D, T1_N), T1_P) -> l2 -> mean",
            r"\left\lVert \left(T_{1}^{D} + T_{1}^{N}\right) T_{1}^{P} \right\rVert_F",
        ),
        (
            "square(mean(normalise(T4_D)))",
            r"{\left(\overline{\operatorname{normalise}\left(T_{4}^{D}\right)}\right)}^{2}",
        ),
    ],
)
def test_latex(text: str, expected: str) -> None:
    assert to_latex(parse(text)) == expected


def test_latex_of_every_operation_and_tensor_has_balanced_braces() -> None:
    for operation in OPERATIONS:
        for first, second in zip(TENSOR_NAMES, reversed(TENSOR_NAMES), strict=True):
            args = (EZNAS.node(first), EZNAS.node(second))[: operation.arity]
            latex = to_latex(EZNAS.program(Node(operation, args)))
            assert latex.count("{") == latex.count("}")
            assert latex.count(r"\left") == latex.count(r"\right")
            assert "_D" not in latex


def test_latex_of_large_trees_is_their_text() -> None:
    tree = EZNAS.node("T1_D")
    while tree.size <= SYMPY_MAX_NODES:
        tree = EZNAS.node("sigmoid", tree)
    assert to_latex(EZNAS.program(tree)).startswith(r"\texttt{mean(sigmoid(")
    assert r"T1\_D" in to_latex(EZNAS.program(tree))
