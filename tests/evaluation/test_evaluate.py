"""Scores against a loop over instances in numpy, and what happens where a program does not apply."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import reference
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_samples import noise
from numpy.typing import NDArray
from torch import Tensor

from zcsr.errors import EvaluationError, InputError
from zcsr.evaluation.evaluate import ColumnOutcome, Columns, Evaluator, apply_node, instance_values, score
from zcsr.language.languages import EZNAS, Language
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import Node, Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space

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
    (together,) = Evaluator(programs).scores_of([statistics])
    assert together.shape == (len(FORMULAS),)
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, [score(program, statistics) for program in programs])
    assert Evaluator([]).scores_of([statistics]).shape == (1, 0)


def test_perturbed_tensors_are_the_difference_from_the_plain_ones() -> None:
    network = single(T1_D=[1.0, 2.0], T1_P=[1.5, 1.0])
    assert score(parse("T1_P"), network) == pytest.approx(-0.25)
    assert score(parse("T1_D"), network) == pytest.approx(1.5)


def test_a_network_without_instances_scores_zero() -> None:
    bare = NetworkStatistics("|none~0|", ())
    for text in ("fro(T1_D)", "exp(T1_D) -> l2 -> sum", "det(numel(T3))"):
        assert instance_values(parse(text), bare).shape == (0,)
        assert score(parse(text), bare) == 0.0
    both = Evaluator([parse("T3"), parse("T1_D")]).scores_of([bare])
    np.testing.assert_array_equal(both, [[0.0, 0.0]])


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


def aggregated(values: Sequence[float], text: str) -> float:
    """What a program of one column makes of its values."""
    program = parse(text)
    return Columns(program, {program.number: np.array(values)}).score()


def test_infinities_of_both_signs_do_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    assert math.isnan(aggregated([math.inf, -math.inf, 1.0], "T3"))
    assert math.isnan(aggregated([math.inf, 1.0], "T3 -> mean -> sum"))
    assert not recwarn.list


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_aggregation_is_the_plain_mean_or_sum(numbers: list[float]) -> None:
    assert aggregated(numbers, "T3 -> mean -> sum") == pytest.approx(math.fsum(numbers), rel=1e-9, abs=1e-6)
    assert aggregated(numbers, "T3") == pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-9, abs=1e-6)


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
        apply_node(parse("add(T1_D, T4_D)").expression, {"T1_D": torch.ones(2)})


# What must hold for any program -----------------------------------------------------------------------------------


def random_tree(height: int, generator: random.Random, names: Sequence[str] = TENSOR_NAMES[:10]) -> Node:
    if height == 0:
        return EZNAS.node(generator.choice(names))
    operation = generator.choice(OPERATIONS)
    return Node(operation, tuple(random_tree(height - 1, generator, names) for _ in range(operation.arity)))


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
            expected = reference.value(tree, tensors)
        except (RuntimeError, IndexError):
            with pytest.raises(EvaluationError):
                apply_node(tree, tensors)
            continue
        value = apply_node(tree, tensors)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
        compared += 1
    assert compared > 200
    for name, tensor in tensors.items():
        assert torch.equal(tensor, before[name]), name


# Many programs at once --------------------------------------------------------------------------------------------


def spy_on(name: str) -> tuple[Language, list[int]]:
    """The language with an operation that notes the length of the stack at every call."""
    lengths: list[int] = []
    operation = EZNAS.words[name]

    def stacked(*args: Tensor) -> Tensor:
        lengths.append(len(args[0]))
        return operation.stacked(*args)

    return EZNAS.having(dataclasses.replace(operation, stacked=stacked)), lengths


def values_of(
    texts: Sequence[str], statistics: NetworkStatistics, language: Language = EZNAS
) -> list[ColumnOutcome]:
    return Evaluator([parse(text, language) for text in texts]).instance_values_of([statistics])[0]


def test_a_subtree_of_several_programs_is_computed_once() -> None:
    language, lengths = spy_on("exp")
    network = single(T1_D=[0.0, 0.0], T2_D=[1.0, 1.0])
    first, second = values_of(["add(exp(T1_D), exp(T1_D))", "mul(T2_D, add(T2_D, exp(T1_D)))"], network, language)
    assert lengths == [1]
    assert first.tolist() == [2.0]
    assert second.tolist() == [2.0]


@pytest.mark.parametrize("text", ["numel(exp(T1_D))", "ones_like(exp(T1_D))", "fro(zeros_like(log(exp(T1_D))))"])
def test_what_needs_a_shape_alone_does_not_compute_its_argument(text: str) -> None:
    language, lengths = spy_on("exp")
    network = single(T1_D=[[3.0, 4.0]])
    plain = reference.instance_values(parse(text), network)
    assert values_of([text], network, language)[0].tolist() == plain
    assert lengths == []


def test_a_shape_that_does_not_fit_is_found_where_nothing_is_computed() -> None:
    (error,) = values_of(["numel(add(T1_D, T2_D))"], single(T1_D=[1.0, 2.0], T2_D=[1.0, 2.0, 3.0]))
    assert isinstance(error, EvaluationError)
    assert "add does not apply to shapes (2,), (3,)" in str(error)


def test_what_is_the_same_all_over_is_worked_on_as_one_number() -> None:
    sizes: list[int] = []
    operation = EZNAS.words["exp"]
    spy = dataclasses.replace(operation, stacked=lambda a: (sizes.append(a.numel()), operation.stacked(a))[1])
    network = single(T1_D=[[1.0, 2.0, 3.0]])
    mean, norm = values_of(
        ["exp(ones_like(T1_D))", "exp(ones_like(T1_D)) -> l2 -> sum"], network, EZNAS.having(spy)
    )
    assert sizes == [1]
    assert mean.tolist() == pytest.approx([math.e])
    assert norm.tolist() == pytest.approx([math.e * math.sqrt(3)])


def test_instances_that_share_tensors_share_values() -> None:
    language, lengths = spy_on("exp")
    shared, own = torch.rand(2, 3), [torch.rand(2, 3) for _ in range(3)]
    network = NetworkStatistics(
        "three", tuple(Instance(i, "", {"T1_D": shared if i != 1 else own[1], "T4_D": own[i]}) for i in range(3))
    )
    text = "add(exp(T1_D), T4_D)"
    np.testing.assert_allclose(
        values_of([text], network, language)[0], reference.instance_values(parse(text), network), rtol=1e-6
    )
    assert lengths == [2]


def test_a_decomposition_that_fails_fails_its_own_program_alone(statistics: NetworkStatistics) -> None:
    def failing(_: Tensor) -> Tensor:
        raise RuntimeError("the algorithm failed to converge\nand more")

    language = EZNAS.having(dataclasses.replace(EZNAS.words["eig_ratio"], stacked=failing))
    failed, fine = values_of(["abs(eig_ratio(T1_D))", "fro(T1_D)"], statistics, language)
    assert isinstance(failed, EvaluationError)
    assert str(failed) == "torch cannot compute it: the algorithm failed to converge"
    np.testing.assert_array_equal(fine, instance_values(parse("fro(T1_D)"), statistics))


@pytest.fixture(scope="module")
def cell_network() -> NetworkStatistics:
    """A real network, whose edges share tensors and whose kernels have two sizes."""
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    return network_statistics(get_space("nasbench201-mini"), arch, 10, noise(4), StatisticsConfig(batch_size=2))


def random_programs(count: int, seed: int) -> list[Program]:
    generator = random.Random(seed)
    trees = [random_tree(generator.randint(1, 5), generator, TENSOR_NAMES) for _ in range(count)]
    return [EZNAS.program(tree, generator.choice(("mean", "l2"))) for tree in trees]


def in_double_precision(network: NetworkStatistics) -> NetworkStatistics:
    double = (
        Instance(one.layer, one.module, {name: tensor.double() for name, tensor in one.raw.items()})
        for one in network.instances
    )
    return NetworkStatistics(network.arch, tuple(double))


def rounding_decides(single: Array, double: Array) -> bool:
    """Whether single precision does not settle the plain loop's own value: a difference that cancels, or a step."""
    return not np.allclose(single, double, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.oracle("language", "spaces", "engine", "networks", "evaluation")
def test_random_programs_are_what_the_plain_loop_computes(cell_network: NetworkStatistics) -> None:
    programs = random_programs(1500, 11)
    compared = refused = 0
    for program, outcome in zip(programs, Evaluator(programs).instance_values_of([cell_network])[0], strict=True):
        try:
            expected = np.array(reference.instance_values(program, cell_network))
        except (RuntimeError, IndexError):
            assert isinstance(outcome, EvaluationError), str(program)
            refused += 1
            continue
        assert not isinstance(outcome, EvaluationError), str(program)
        if not np.allclose(outcome, expected, rtol=1e-5, atol=1e-6, equal_nan=True):
            double = np.array(reference.instance_values(program, in_double_precision(cell_network)))
            assert rounding_decides(expected, double), str(program)
        else:
            compared += 1
    assert compared > 300
    assert refused > 300


def test_a_program_scores_the_same_whatever_stands_beside_it(cell_network: NetworkStatistics) -> None:
    programs = random_programs(300, 12)
    for program, together in zip(programs, Evaluator(programs).instance_values_of([cell_network])[0], strict=True):
        (alone,) = Evaluator([program]).instance_values_of([cell_network])[0]
        if isinstance(together, EvaluationError):
            assert str(alone) == str(together)
        else:
            np.testing.assert_array_equal(alone, together)


@pytest.fixture(scope="module")
def cell_networks(cell_network: NetworkStatistics) -> list[NetworkStatistics]:
    """Real networks, of which the second has no instance in its cells and the last weights of all kinds."""
    images = noise(4, seed=1)
    space = get_space("nasbench201-mini")
    archs = [space.arch(index) for index in (0, 4000, 9000, 15624)]
    config = StatisticsConfig(batch_size=2)
    return [cell_network, *(network_statistics(space, arch, 10, images, config) for arch in archs)]


@pytest.mark.oracle("language", "spaces", "engine", "networks", "evaluation")
def test_a_network_scores_the_same_whatever_stands_beside_it(cell_networks: list[NetworkStatistics]) -> None:
    programs = random_programs(400, 13)
    together = Evaluator(programs).instance_values_of(cell_networks)
    alone = [Evaluator(programs).instance_values_of([network])[0] for network in cell_networks]
    compared = 0
    for of_one, of_all in zip(alone, together, strict=True):
        for program, expected, outcome in zip(programs, of_one, of_all, strict=True):
            if isinstance(expected, EvaluationError):
                assert str(outcome) == str(expected), str(program)
            else:
                np.testing.assert_array_equal(outcome, expected, err_msg=str(program))
                compared += 1
    assert compared > 500
    scores = Evaluator(programs).scores_of(cell_networks)
    assert scores.shape == (5, 400)
    np.testing.assert_array_equal(scores[3], Evaluator(programs).scores_of([cell_networks[3]])[0])


def test_no_networks_have_no_scores() -> None:
    assert Evaluator([parse("fro(T1_D)")]).scores_of([]).shape == (0, 1)


def test_shapes_that_do_not_fit_concern_their_own_network_alone() -> None:
    square, oblong = single(T1_D=[[1.0, 2.0], [3.0, 5.0]]), single(T1_D=[[1.0, 2.0]])
    (first, second), (third, fourth) = Evaluator([parse("det(T1_D)"), parse("fro(T1_D)")]).instance_values_of(
        [square, oblong]
    )
    np.testing.assert_allclose([first, second], [[-1], [np.sqrt(39)]], rtol=1e-6)
    assert isinstance(third, EvaluationError)
    np.testing.assert_allclose(fourth, [np.sqrt(5)], rtol=1e-6)


def test_a_decomposition_that_fails_concerns_its_own_network_alone() -> None:
    def failing(a: Tensor) -> Tensor:
        if bool((a == 7).any()):
            raise RuntimeError("the algorithm failed to converge")
        return a.sum(1)

    language = EZNAS.having(dataclasses.replace(EZNAS.words["eig_ratio"], stacked=failing))
    networks = [single(T1_D=[1.0, 2.0]), single(T1_D=[7.0, 2.0]), single(T1_D=[3.0, 4.0])]
    programs = [parse("abs(eig_ratio(T1_D))", language), parse("mean(T1_D)")]
    outcomes = Evaluator(programs).instance_values_of(networks)
    assert [isinstance(of_one[0], EvaluationError) for of_one in outcomes] == [False, True, False]
    assert [float(of_one[1][0]) for of_one in outcomes] == [1.5, 4.5, 3.5]
    assert [float(outcomes[place][0][0]) for place in (0, 2)] == [3.0, 7.0]


def test_the_same_call_gives_the_same_bits(statistics: NetworkStatistics) -> None:
    program = parse("fro(sigmoid(logdet(sign(T1G_D))))")
    assert score(program, statistics) == score(program, statistics)


def test_gradients_are_not_recorded() -> None:
    network = NetworkStatistics("g", (Instance(0, "", {"T3": torch.ones(2, 2, requires_grad=True)}),))
    assert score(parse("fro(T3)"), network) == pytest.approx(2.0)
