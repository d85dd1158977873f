from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from zcsr.errors import ShapeError
from zcsr.evaluation.evaluate import instance_values, score
from zcsr.language.languages import EZNAS
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import Node, Program, infer_shape
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.sameness.fingerprint import LAYOUTS, fingerprint, probes, rounded
from zcsr.sameness.recognise import ProgramKeys, Recogniser, agree, explain_sameness, program_keys
from zcsr.spaces import get_space

RELATIVE = 1e-5

EQUAL = [
    ("add(T1_D, T2_D)", "add(T2_D, T1_D)", "normal_form"),
    ("lt(T1_D, T2_D)", "gt(T2_D, T1_D)", "normal_form"),
    ("fro(T1_D)", "T1_D -> l2 -> mean", "normal_form"),
    ("mean(fro(T1_D))", "fro(T1_D)", "normal_form"),
    ("abs(T4_D)", "l1(T4_D)", "normal_form"),
    ("exp(relu(relu(T4_D)))", "exp(relu(T4_D))", "normal_form"),
    ("square(sub(add(T2_D, T2_N), T2_D))", "square(T2_N)", "sympy"),
    ("square(mul(T2_D, T2_N))", "mul(square(T2_D), square(T2_N))", "sympy"),
    ("T2_D", "relu(T1_D)", "fingerprint"),
    ("fro(mul(positive(T1_D), T2G_D))", "fro(T1G_D)", "fingerprint"),
    ("matmul(add(T2_D, T2_N), T2_D)", "add(matmul(T2_D, T2_D), matmul(T2_N, T2_D))", "fingerprint"),
    ("reciprocal(add(ones_like(T4_D), exp(sub(zeros_like(T4_D), T4_D))))", "sigmoid(T4_D)", "fingerprint"),
]

NEAR_MISSES = [
    ("square(sub(T2_D, T2_N))", "sub(square(T2_D), square(T2_N))"),
    ("sub(T4_D, T4_N)", "sub(T4_N, T4_D)"),
    ("log(T4_D)", "abslog(T4_D)"),
    ("lt(T4_D, T4_N)", "lt(T4_N, T4_D)"),
    ("mean(T2_D)", "fro(T2_D)"),
    ("mean(T1_D)", "l1(T1_D)"),
    ("matmul(T2_D, T2_N)", "matmul(T2_N, T2_D)"),
    ("matmul(T2_D, T2_D)", "square(T2_D)"),
    ("relu(T1_D)", "abs(T1_D)"),
    ("sign(T1_D)", "positive(T1_D)"),
    ("exp(add(T4_D, T4_N))", "add(exp(T4_D), exp(T4_N))"),
    ("sigmoid(T4_D)", "softmax(T4_D)"),
    ("numel(T1_D)", "numel(T3)"),
    ("T1G_D", "T2G_D"),
    ("kl(T2_D, T2_N)", "kl(T2_N, T2_D)"),
    ("sigmoid(T4_D)", "sigmoid(T4_N)"),
    ("fro(T4_D) -> mean -> mean", "fro(T4_D) -> mean -> sum"),
    ("T4_D -> mean -> mean", "T4_D -> l2 -> mean"),
    ("sign(sub(add(T1_D, T1_N), T1_D))", "sign(T1_D)"),
    ("heaviside(l1(T1G_D))", "ones_like(l1(T1G_D))"),
]


@pytest.fixture(scope="module")
def networks() -> tuple[NetworkStatistics, ...]:
    """Six networks of the small NAS-Bench-201, the first two of which are the probe networks."""
    space = get_space("nasbench201-mini")
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (64, 16, 16, 1), dtype=np.uint8)
    images = ImageSet("random", pixels, np.zeros(64, dtype=np.int64), 10, (0.5,), (0.25,))
    return tuple(
        network_statistics(space, arch, 10, images, StatisticsConfig(batch_size=1, seed=seed))
        for seed, arch in enumerate(space.sample(6, random.Random(5)))
    )


def values_on(program: Program, networks: tuple[NetworkStatistics, ...]) -> np.ndarray:
    return np.concatenate([instance_values(program, network) for network in networks])


def same_number(one: float, other: float) -> bool:
    both_unusable = not math.isfinite(one) and not math.isfinite(other)
    return both_unusable or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-37)


def random_programs(seed: int, networks: tuple[NetworkStatistics, ...]) -> Iterator[Program]:
    """Yield random trees of depth 2 to 6 that run on the probe networks and give finite values there."""
    generator = random.Random(seed)
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in instance.raw.items()}
        for network in networks[:2]
        for instance in network.instances
    ]

    def tree(depth: int, is_root: bool) -> Node:
        if depth == 0 or (not is_root and generator.random() < 0.12):
            return EZNAS.node(generator.choice(TENSOR_NAMES))
        operation = generator.choice(OPERATIONS)
        return Node(operation, tuple(tree(depth - 1, False) for _ in range(operation.arity)))

    while True:
        program = EZNAS.program(tree(generator.randint(2, 6), True))
        try:
            for known in shapes:
                infer_shape(program.expression, known)
        except ShapeError:
            continue
        if np.isfinite(values_on(program, networks[:2])).all():
            yield program


def recognised(one: str, other: str, networks: tuple[NetworkStatistics, ...]) -> str:
    first, second = parse(one), parse(other)
    recogniser = Recogniser()
    recogniser.add(first, program_keys(first), values_on(first, networks[:2]))
    recognition = recogniser.recognise(second, values_on(second, networks[:2]))
    assert recognition.same_as == (second.id if recognition.stage == "new" else first.id)
    return recognition.stage


@pytest.mark.parametrize(("one", "other", "stage"), EQUAL)
def test_equal_programs_are_recognised_at_their_stage_in_either_order(one, other, stage, networks) -> None:
    assert recognised(one, other, networks) == stage
    assert recognised(other, one, networks) == stage
    for network in networks:
        assert same_number(score(parse(one), network), score(parse(other), network))


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES)
def test_near_misses_stay_apart(one, other, networks) -> None:
    assert recognised(one, other, networks) == "new"
    assert recognised(other, one, networks) == "new"


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES[:15])
def test_near_misses_are_told_apart_by_the_fingerprint_alone(one, other) -> None:
    assert fingerprint(parse(one)) != fingerprint(parse(other))


def test_the_same_text_is_recognised_whatever_its_values() -> None:
    recogniser, program = Recogniser(), parse("fro(T1_D)")
    assert recogniser.recognise(program, np.ones(3)).stage == "new"
    recogniser.add(program, program_keys(program), np.ones(3))
    recognition = recogniser.recognise(parse(" fro( T1_D )"), np.zeros(3))
    assert (recognition.stage, recognition.same_as) == ("text", program.id)
    assert recogniser.recognise(parse("mean(fro(T1_D))"), np.zeros(3)).stage == "new"


def test_a_new_program_comes_with_the_keys_to_add_it_with(networks) -> None:
    program = parse("add(T2_D, exp(T2_N))")
    recognition = Recogniser().recognise(program, values_on(program, networks[:2]))
    assert recognition.keys == program_keys(program)


def test_a_common_key_does_not_count_unless_the_values_agree(networks) -> None:
    one, other = parse("add(T1_D, T1_N)"), parse("add(T1_N, T1_D)")
    values = values_on(one, networks[:2])
    recogniser = Recogniser()
    recogniser.add(one, program_keys(one), values)
    assert recogniser.recognise(other, values * (1 + 0.5 * RELATIVE)).stage == "normal_form"
    assert recogniser.recognise(other, values * (1 + 2 * RELATIVE)).stage == "new"
    assert recogniser.recognise(other, values[:-1]).stage == "new"


def test_of_several_programs_with_a_key_the_first_confirmed_one_is_taken() -> None:
    recogniser = Recogniser()
    programs = [parse("add(T1_D, T1_N)"), parse("add(T1_N, T1_D)"), parse("mean(add(T1_D, T1_N))")]
    for program, value in zip(programs, (1.0, 2.0, 2.0), strict=True):
        recogniser.add(program, program_keys(program), np.full(3, value))
    assert recogniser.recognise(parse("mean(add(T1_N, T1_D))"), np.full(3, 2.0)).same_as == programs[1].id


def test_rounding_traps_are_not_merged() -> None:
    """1 + 1e-9 - 1 is 0 in float32, whatever algebra says."""
    shape = (1, 2, 4, 4)
    raw = {name: torch.ones(shape) for name in TENSOR_NAMES} | {"T1_N": torch.full(shape, 1e-9)}
    statistics = NetworkStatistics("trap", (Instance(0, "", raw),))
    trap, plain = "sign(sub(add(T1_D, T1_N), T1_D))", "sign(T1_N)"
    assert program_keys(parse(trap)).sympy == program_keys(parse(plain)).sympy
    assert recognised(trap, plain, (statistics,)) == "new"
    tame = NetworkStatistics("tame", (Instance(0, "", raw | {"T1_N": torch.full(shape, 0.5)}),))
    assert recognised(trap, plain, (tame,)) == "sympy"


def test_what_holds_in_rcb_instances_alone_is_not_merged_elsewhere(networks) -> None:
    assert recognised("T2_D", "relu(T1_D)", networks) == "fingerprint"
    generator = torch.Generator().manual_seed(0)
    raw = {name: torch.randn((1, 2, 4, 4), generator=generator) for name in TENSOR_NAMES}
    assert recognised("T2_D", "relu(T1_D)", (NetworkStatistics("cbr", (Instance(0, "", raw),)),)) == "new"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, -2.0], [1.0, -2.0], True),
        ([0.0, 1.0], [-0.0, 1.0], True),
        ([1e-20, 1.0], [2e-20, 1.0], False),
        ([1e-39, 1.0], [0.0, 1.0], True),
        ([1.0, 2.0], [1.0, 2.0 + 3e-5], False),
        ([1.0, 2.0], [1.0, 2.0 + 1e-5], True),
        ([1e3, -1e3 + 1e-3], [1e3 + 1e-3, -1e3 + 1e-3], False),  # the sums, and so the scores, differ by half
        ([math.nan], [math.nan], False),
        ([math.inf], [math.inf], False),
        ([1.0], [1.0, 1.0], False),
        ([], [], False),
    ],
)
def test_agree(one: list[float], other: list[float], expected: bool) -> None:
    assert agree(np.array(one), np.array(other)) is expected
    assert agree(np.array(other), np.array(one)) is expected


def test_a_recogniser_restored_from_stored_keys_decides_alike(networks) -> None:
    programs = [program for program, _ in zip(random_programs(11, networks), range(120), strict=False)]
    live, stored = Recogniser(), []
    decisions = []
    for program in programs:
        values = values_on(program, networks[:2])
        recognition = live.recognise(program, values)
        decisions.append((recognition.stage, recognition.same_as))
        if recognition.keys is not None:
            live.add(program, recognition.keys, values)
            stored.append((str(program), recognition.keys, values.tolist()))
        if len(decisions) == 60:
            restored = Recogniser()
            for text, keys, numbers in stored:
                copied = ProgramKeys(keys.normal_form, keys.sympy, keys.fingerprint)
                restored.add(parse(text), copied, np.array(numbers))
            live = restored
    uninterrupted = list(stages(programs, networks))
    assert decisions == uninterrupted
    assert len({stage for stage, _ in decisions}) > 2


def stages(programs, networks) -> Iterator[tuple[str, str | None]]:
    recogniser = Recogniser()
    for program in programs:
        values = values_on(program, networks[:2])
        recognition = recogniser.recognise(program, values)
        if recognition.keys is not None:
            recogniser.add(program, recognition.keys, values)
        yield recognition.stage, recognition.same_as


LONG = pytest.mark.oracle("language", "spaces", "engine", "networks", "evaluation", "sameness")


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=[pytest.mark.slow, LONG])])
def test_no_merge_changes_a_score(seed: int, networks) -> None:
    count = 1000 if seed > 1 else 250
    programs = [program for program, _ in zip(random_programs(seed, networks), range(count), strict=False)]
    by_id = {program.id: program for program in programs}
    counts: Counter[str] = Counter()
    for program, (stage, same_as) in zip(programs, stages(programs, networks), strict=True):
        counts[stage] += 1
        if stage in ("new", "text"):
            continue
        original = by_id[str(same_as)]
        pairs = [(score(program, network), score(original, network)) for network in networks[2:]]
        assert all(same_number(*pair) for pair in pairs), (stage, str(program), str(original), pairs)
    assert counts["fingerprint"] > 0
    assert counts["normal_form"] > 0
    assert counts["new"] < count


def test_probes_obey_what_holds_in_every_rcb_instance() -> None:
    for probe in probes():
        assert tuple(probe) == TENSOR_NAMES
        for inputs in ("D", "N"):
            assert torch.equal(probe[f"T2_{inputs}"], torch.relu(probe[f"T1_{inputs}"]))
            masked = torch.where(probe[f"T1_{inputs}"] > 0, probe[f"T2G_{inputs}"], 0.0)
            assert torch.equal(probe[f"T1G_{inputs}"], masked)


@pytest.mark.parametrize("name", TENSOR_NAMES)
def test_probes_have_many_values_of_many_sizes_in_every_tensor(name: str) -> None:
    values = torch.cat([probe[name].flatten() for probe in probes()])
    sizes = values[values != 0].abs().log10().floor()
    assert len(values) >= 256
    assert len(sizes.unique()) >= 6
    assert (values == 0).any()
    assert not torch.signbit(values[values == 0]).any()
    assert (values > 0).any()
    assert (values < 0).any() or name in ("T2_D", "T2_N")


def test_probe_shapes_tell_the_tensors_and_dimensions_apart() -> None:
    sizes = {tuple(probe[name].numel() for probe in probes()) for name in ("T1_D", "T3", "T4_D")}
    assert len(sizes) == 3
    assert {layout.batch for layout in LAYOUTS} == {1, 2}
    assert {layout.kernel for layout in LAYOUTS} == {1, 3}


def test_constants_have_a_fingerprint_and_what_runs_nowhere_has_none() -> None:
    assert fingerprint(parse("ones_like(T1_D)")) is not None
    assert fingerprint(parse("add(T1_D, T4_D)")) is not None  # where a block keeps its shape
    assert fingerprint(parse("reciprocal(zeros_like(T1_D))")) is not None
    assert fingerprint(parse("matmul(T1_D, T3)")) is None
    assert fingerprint(parse("det(fro(T1_D))")) is None


def test_minus_zero_is_zero_and_nan_is_not_infinite() -> None:
    assert rounded(-0.0) == rounded(0.0) == rounded(-1e-15)
    negated = parse("mul(zeros_like(T1_D), sub(zeros_like(T1_D), ones_like(T1_D)))")
    assert fingerprint(negated) == fingerprint(parse("zeros_like(T1_D)"))
    infinite = parse("reciprocal(zeros_like(T1_D))")
    undefined = parse("sub(reciprocal(zeros_like(T1_D)), reciprocal(zeros_like(T1_D)))")
    assert fingerprint(infinite) != fingerprint(undefined)
    assert len({rounded(value) for value in (math.inf, -math.inf, math.nan, None, 0.0)}) == 5


def test_a_fingerprint_counts_for_programs_of_shapes_alone(networks) -> None:
    assert recognised("numel(add(T1_D, T1_N))", "numel(T1_D)", networks) == "fingerprint"
    assert recognised("exp(zeros_like(T1_D))", "square(cosine(ones_like(T3), ones_like(T3)))", networks) == "new"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the smallest eigenvalue of a singular Gram matrix is zero up to rounding, so the ratio has either sign
        ("negative(eig_ratio(negative(T3G_D)))", "zeros_like(fro(T1_D))"),
        ("logdet(reciprocal(T1G_D))", "zeros_like(T1_D)"),
    ],
)
def test_a_fingerprint_does_not_count_for_programs_of_few_values(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        common = ProgramKeys("of another program", None, program_keys(parse(second)).fingerprint)
        recogniser = Recogniser()
        recogniser.add(parse(first), common, np.zeros(5))
        assert recogniser.recognise(parse(second), np.zeros(5)).stage == "new"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("fro(T1_D)", "fro(T1_D)", "The same text."),
        ("lt(T1_D, T2_D)", "gt(T2_D, T1_D)", "a > b is b < a"),
        ("add(T1_D, T2_D)", "add(T2_D, T1_D)", "in another order"),
        (
            "square(mul(T2_D, T2_N))",
            "mul(square(T2_D), square(T2_N))",
            "both as mean(T2_D**2*T2_N**2)",
        ),
        ("T2_D", "relu(T1_D)", f"on {len(LAYOUTS)} probe instances"),
        ("sub(T4_D, T4_N)", "sub(T4_N, T4_D)", "Not the same: on a probe instance of batch 1 with 3x3 weights"),
        ("add(T1_D, T4_D)", "T1_D", "Not the same"),
        ("det(fro(T1_D))", "det(fro(T1_N))", "neither runs"),
        ("T1_D -> mean -> sum", "T1_D", "aggregated by sum and by mean"),
    ],
)
def test_explain(one: str, other: str, expected: str) -> None:
    assert expected in explain_sameness(parse(one), parse(other))
