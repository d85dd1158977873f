"""Scores against a loop over instances in numpy, and what happens where a program does not apply."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from zcsr.errors import EvaluationError, InputError
from zcsr.evaluate import aggregate, apply_node, instance_values, score, scores
from zcsr.operations import OPERATIONS
from zcsr.program import TENSOR_NAMES, Node, parse
from zcsr.statistics import Instance, NetworkStatistics

Array = NDArray[np.float64]

# In single precision, as statistics are.
PRECISION = 2e-5


def instance(layer: int, channels: int, size: int, generator: torch.Generator) -> Instance:
    activation, weight = (2, channels, size, size), (channels, channels, 3, 3)
    return Instance(
        layer=layer,
        module=f"cells.{layer}",
        raw={
            name: torch.randn(weight if name.startswith("T3") else activation, generator=generator)
            for name in TENSOR_NAMES
        },
    )


@pytest.fixture(scope="module")
def statistics() -> NetworkStatistics:
    generator = torch.Generator().manual_seed(0)
    sizes = [(4, 6), (4, 6), (8, 3), (3, 3)]
    instances = tuple(instance(i, channels, size, generator) for i, (channels, size) in enumerate(sizes))
    return NetworkStatistics("some-arch", instances)


def single(**tensors: Sequence[object] | float) -> NetworkStatistics:
    """A network with one instance that has only the given tensors."""
    raw: Mapping[str, Tensor] = {name: torch.tensor(value) for name, value in tensors.items()}
    return NetworkStatistics("one", (Instance(0, "", raw),))


def as_programs_see_them(one: Instance) -> dict[str, Array]:
    raw = {name: tensor.numpy().astype(np.float64) for name, tensor in one.raw.items()}
    return {name: raw[name] - raw[f"{name[:-1]}D"] if name.endswith("_P") else raw[name] for name in raw}


def logdet(a: Array) -> Array:
    signs, logarithms = np.linalg.slogdet(a)
    return np.where(signs < 0, 0.0, logarithms)


# Each formula twice: as a program, and in numpy on one instance's tensors.
FORMULAS: dict[str, Callable[[Mapping[str, Array]], Array | np.floating]] = {
    "T1_D": lambda t: t["T1_D"],
    "T4_P": lambda t: t["T4_P"],
    "add(T1_D, T4_N)": lambda t: t["T1_D"] + t["T4_N"],
    "sub(T3G_P, T3)": lambda t: t["T3G_P"] - t["T3"],
    "fro(T2G_D)": lambda t: np.linalg.norm(t["T2G_D"].ravel()),
    "square(abs(fro(T2_N)))": lambda t: np.linalg.norm(t["T2_N"].ravel()) ** 2,
    "mul(T1G_N, l1(T3))": lambda t: t["T1G_N"] * np.abs(t["T3"]).mean(),
    "fro(negative(add(log(T1_D), T4_D)))": lambda t: np.sqrt(
        np.sum(np.log(np.where(t["T1_D"] > 0, t["T1_D"], 1)) + t["T4_D"] < 0)
    ),
    "fro(sigmoid(logdet(sign(T3G_N))))": lambda t: np.linalg.norm(scipy.special.expit(logdet(np.sign(t["T3G_N"])))),
    "matmul(T1_D, T2_D)": lambda t: np.einsum("bcij,bcjk->bcik", t["T1_D"], t["T2_D"]),
}

TO_SCALAR: dict[str, Callable[[Array | np.floating], float]] = {
    "mean": lambda value: float(np.mean(value)),
    "l2": lambda value: float(np.sqrt(np.sum(np.square(value)))),
}
AGGREGATION: dict[str, Callable[[list[float]], float]] = {
    "mean": lambda numbers: sum(numbers) / len(numbers),
    "sum": sum,
}


@pytest.mark.parametrize("aggregation", AGGREGATION)
@pytest.mark.parametrize("to_scalar", TO_SCALAR)
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_score_is_the_loop_over_instances(
    formula: str, to_scalar: str, aggregation: str, statistics: NetworkStatistics
) -> None:
    on_one = FORMULAS[formula]
    numbers = [TO_SCALAR[to_scalar](on_one(as_programs_see_them(one))) for one in statistics.instances]
    program = parse(f"{formula} -> {to_scalar} -> {aggregation}")
    values = instance_values(program, statistics)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, numbers, rtol=PRECISION, atol=PRECISION)
    expected = AGGREGATION[aggregation](numbers)
    assert score(program, statistics) == pytest.approx(expected, rel=PRECISION, abs=4 * PRECISION)


def test_many_programs_score_as_each_alone(statistics: NetworkStatistics) -> None:
    programs = [parse(f"{formula} -> l2 -> sum") for formula in FORMULAS]
    together = scores(programs, statistics)
    assert together.shape == (len(FORMULAS),)
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, [score(program, statistics) for program in programs])
    assert scores([], statistics).shape == (0,)


def test_perturbed_tensors_are_the_difference_from_the_plain_ones() -> None:
    network = single(T1_D=[1.0, 2.0], T1_P=[1.5, 1.0])
    assert score(parse("T1_P"), network) == pytest.approx(-0.25)
    assert score(parse("T1_D"), network) == pytest.approx(1.5)


def test_a_network_without_instances_scores_zero() -> None:
    bare = NetworkStatistics("|none~0|", ())
    for text in ("fro(T1_D)", "exp(T1_D) -> l2 -> sum", "det(numel(T3))"):
        assert instance_values(parse(text), bare).shape == (0,)
        assert score(parse(text), bare) == 0.0
    np.testing.assert_array_equal(scores([parse("T3"), parse("T1_D")], bare), [0.0, 0.0])


@pytest.mark.parametrize(
    "text", ["reciprocal(T1_D)", "exp(mul(T1_D, T1_N))", "T4_D", "T4_N -> l2 -> sum", "sub(T4_N, T4_N)"]
)
def test_a_value_that_is_not_finite_makes_the_score_nan(text: str) -> None:
    network = NetworkStatistics(
        "two",
        (
            *single(T1_D=[2.0], T1_N=[3.0], T4_D=[1.0], T4_N=[1.0]).instances,
            *single(T1_D=[0.0, 400.0], T1_N=[1.0, 2.0], T4_D=[math.nan], T4_N=[math.inf]).instances,
        ),
    )
    values = instance_values(parse(text), network)
    assert np.isfinite(values).tolist() == [True, False]
    assert math.isnan(score(parse(text), network))


def test_infinities_of_both_signs_do_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    assert math.isnan(aggregate(np.array([math.inf, -math.inf, 1.0]), "mean"))
    assert math.isnan(aggregate(np.array([math.inf, 1.0]), "sum"))
    assert not recwarn.list


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_aggregation_is_the_plain_mean_or_sum(numbers: list[float]) -> None:
    values = np.array(numbers)
    assert aggregate(values, "sum") == pytest.approx(math.fsum(numbers), rel=1e-9, abs=1e-6)
    assert aggregate(values, "mean") == pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-9, abs=1e-6)


def test_aggregation_is_in_double_precision() -> None:
    network = NetworkStatistics("many", single(T3=16777216.0).instances + single(T3=1.0).instances * 3)
    assert score(parse("T3 -> mean -> sum"), network) == 16777219.0


# Where a program does not apply ----------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_name_the_operation_and_the_shapes(statistics: NetworkStatistics) -> None:
    program = parse("fro(add(T1_D, T3))")
    expected = r"add does not apply to shapes \(2, 4, 6, 6\), \(4, 4, 3, 3\)"
    with pytest.raises(EvaluationError, match=expected) as caught:
        score(program, statistics)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError)
    with pytest.raises(EvaluationError, match="add does not apply"):
        scores([parse("fro(T3)"), program], statistics)


def test_an_error_in_a_later_instance_is_not_missed() -> None:
    network = NetworkStatistics("two", single(T1_D=[[1.0]]).instances + single(T1_D=[[1.0, 2.0]]).instances)
    with pytest.raises(EvaluationError, match=r"det does not apply to shapes \(1, 2\)"):
        score(parse("det(T1_D)"), network)


@pytest.mark.parametrize(
    "text", ["softmax(numel(T3))", "eig_ratio(fro(T3))", "kl(fro(T3), T3)", "cosine(fro(T3), T3)"]
)
def test_operations_on_a_number_run_or_are_refused_politely(text: str) -> None:
    network = single(T3=[[1.0, 2.0], [3.0, 4.0]])
    if text.startswith("softmax"):
        assert score(parse(text), network) == 1.0
    else:
        with pytest.raises(EvaluationError, match=r"does not apply to shapes \(\)"):
            score(parse(text), network)


def test_a_tensor_that_is_not_given_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"no tensor named T4_D is given; given are T1_D"):
        apply_node(parse("add(T1_D, T4_D)").root, {"T1_D": torch.ones(2)})


# What must hold for any program -----------------------------------------------------------------------------------


def naive(node: Node, tensors: Mapping[str, Tensor]) -> Tensor:
    operations = {operation.name: operation.apply for operation in OPERATIONS}
    return operations[node.op](*(naive(arg, tensors) for arg in node.args)) if node.args else tensors[node.op]


def random_tree(height: int, generator: random.Random) -> Node:
    if height == 0:
        return Node(generator.choice(TENSOR_NAMES[:10]))
    operation = generator.choice(OPERATIONS)
    return Node(operation.name, tuple(random_tree(height - 1, generator) for _ in range(operation.arity)))


def test_random_trees_are_the_naive_recursion_and_leave_the_statistics_alone(
    statistics: NetworkStatistics,
) -> None:
    tensors = dict(statistics.instances[2].tensors)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    generator = random.Random(3)
    compared = 0
    for _ in range(600):
        tree = random_tree(generator.randint(1, 4), generator)
        try:
            expected = naive(tree, tensors)
        except (RuntimeError, IndexError):
            with pytest.raises(EvaluationError):
                apply_node(tree, tensors)
            continue
        value = apply_node(tree, tensors)
        torch.testing.assert_close(value, expected, rtol=0, atol=0, equal_nan=True)
        compared += 1
    assert compared > 200
    for name, tensor in tensors.items():
        assert torch.equal(tensor, before[name]), name


def test_repeated_subtrees_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    true_exp = torch.exp

    def counting_exp(a: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return true_exp(a)

    by_name = dict(apply_node.__globals__["BY_NAME"])
    exp = by_name["exp"]
    by_name["exp"] = type(exp)(**{name: getattr(exp, name) for name in exp.__slots__} | {"apply": counting_exp})
    monkeypatch.setitem(apply_node.__globals__, "BY_NAME", by_name)
    value = apply_node(parse("add(exp(T3), mul(exp(T3), exp(T3)))").root, {"T3": torch.zeros(2)})
    assert value.tolist() == [2.0, 2.0]
    assert calls == 1


def test_the_same_call_gives_the_same_bits(statistics: NetworkStatistics) -> None:
    program = parse("fro(sigmoid(logdet(sign(T1G_D))))")
    assert score(program, statistics) == score(program, statistics)


def test_gradients_are_not_recorded() -> None:
    network = NetworkStatistics("g", (Instance(0, "", {"T3": torch.ones(2, 2, requires_grad=True)}),))
    assert score(parse("fro(T3)"), network) == pytest.approx(2.0)
