"""Formulas of numbers of a network: which are of one value, which rank alike, and that no merge changes a rank."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
import synthetic
from scipy.stats import rankdata

from zcsr.evaluation.evaluate import Evaluator
from zcsr.language.program import Program
from zcsr.language.text import parse
from zcsr.networks.instances import NetworkStatistics
from zcsr.sameness.network_form import network_key, order_key
from zcsr.sameness.normal_form import score_tree
from zcsr.sameness.recognise import (
    Recogniser,
    agree_in_order,
    explain_sameness,
    program_keys,
)

RANK = "sum(effective_rank(channels(T4_N)))"  # never negative
SIGNED = "sum(mean(T1_D))"  # of either sign
NORM = "average(fro(T1_D))"  # never negative

SAME_VALUE = [
    (f"log({RANK} * {NORM})", f"log({RANK}) + log({NORM})"),
    (f"{RANK} * {NORM} + {RANK} * params", f"{RANK} * ({NORM} + params)"),
    (f"{RANK} / ({RANK} + {NORM})", f"1 / (1 + {NORM} / {RANK})"),
    ("instances * average(fro(T1_D))", "sum(fro(T1_D))"),
    ("sum(add(fro(T1_D), fro(T2_D)))", "sum(fro(T1_D)) + sum(fro(T2_D))"),
    ("sum(add(fro(T1_D), fro(T1_D)))", "2 * sum(fro(T1_D))"),
    ("first(sub(fro(T1_D), fro(T2_D)))", "first(fro(T1_D)) - first(fro(T2_D))"),
    ("slope(add(fro(T1_D), fro(T2_D)))", "slope(fro(T1_D)) + slope(fro(T2_D))"),
    (f"{SIGNED} * 2 * 3 - 1 - 1", f"6 * {SIGNED} - 2"),
    (f"{SIGNED} - {SIGNED} + params", "params"),
    (f"abs({RANK})", RANK),
    (f"sqrt({RANK} * {RANK})", RANK),
    (f"neg(neg({SIGNED}))", SIGNED),
    (f"minimum({RANK}, {NORM})", f"minimum({NORM}, {RANK})"),
    ("fro(T1_D) -> mean -> sum", "sum(fro(T1_D))"),
    ("T1_D", "average(mean(T1_D))"),
]

SAME_ORDER = [
    (f"{RANK} / 338.9 + 3", RANK),
    (f"log({RANK})", RANK),
    (f"sqrt({SIGNED})", SIGNED),
    (f"square({RANK})", RANK),
    (f"1 / {RANK}", f"-{RANK}"),
    (f"3 - 2 * {SIGNED}", f"-{SIGNED}"),
    (f"{RANK} * {NORM}", f"log({RANK}) + log({NORM})"),
    (f"square({RANK}) * {NORM}", f"2 * log({RANK}) + log({NORM}) + 7"),
    (f"2 * {RANK} + 3 * {SIGNED}", f"{RANK} + 1.5 * {SIGNED}"),
    (f"(2 * {SIGNED} + 4 * {NORM}) / params", f"({SIGNED} + 2 * {NORM}) / params"),
    (f"sqrt(log({RANK} + params) + 1)", f"{RANK} + params"),
    (f"({SIGNED} + params) / params", f"{SIGNED} / params"),
    (f"({SIGNED} - 3 * {NORM}) / {NORM}", f"{SIGNED} / {NORM}"),
    (f"{RANK} / ({RANK} + 1)", RANK),
]

NEITHER = [
    (f"square({SIGNED})", SIGNED),
    (f"abs({SIGNED})", SIGNED),
    (f"1 / {SIGNED}", f"-{SIGNED}"),
    (f"log({RANK})", f"-log({RANK})"),
    (f"{RANK} - {NORM}", f"{NORM} - {RANK}"),
    (f"2 * {RANK} + 3 * {NORM}", f"3 * {RANK} + 2 * {NORM}"),
    (f"{RANK} + 3 * {NORM}", f"{RANK} - 3 * {NORM}"),
    (f"{RANK} / {NORM}", f"{NORM} / {RANK}"),
    (RANK, "average(effective_rank(channels(T4_N)))"),
    ("median(fro(T1_D))", "sum(fro(T1_D))"),
    ("first(fro(T1_D))", "last(fro(T1_D))"),
    (f"{SIGNED} / ({SIGNED} + 1)", SIGNED),
    (f"({RANK} + params) / params", f"({RANK} + params) / {RANK}"),
    ("sum(square(fro(T1_D)))", "square(sum(fro(T1_D)))"),
]


def keys_of(text: str) -> tuple[str | None, str | None]:
    tree = score_tree(parse(text))
    return network_key(tree), order_key(tree)


@pytest.mark.parametrize(("one", "other"), SAME_VALUE)
def test_algebra_knows_one_value(one: str, other: str) -> None:
    assert keys_of(one) == keys_of(other)
    assert explain_sameness(parse(one), parse(other)).startswith("The same")


@pytest.mark.parametrize(("one", "other"), SAME_ORDER)
def test_what_ranks_alike_is_told_from_what_is_equal(one: str, other: str) -> None:
    (value, order), (other_value, other_order) = keys_of(one), keys_of(other)
    assert order == other_order
    assert value != other_value
    assert explain_sameness(parse(one), parse(other)).startswith("The same order, not the same value")


@pytest.mark.parametrize(("one", "other"), NEITHER)
def test_what_may_rank_otherwise_is_not_merged(one: str, other: str) -> None:
    (value, order), (other_value, other_order) = keys_of(one), keys_of(other)
    assert order != other_order
    assert value != other_value


@pytest.mark.parametrize("inside", ["params + 1", "1.5", RANK])
def test_high_powers_have_no_form(inside: str) -> None:
    text = inside
    for _ in range(20):
        text = f"square({text})"
    assert keys_of(text) == (None, None)
    assert program_keys(parse(text)).normal_form


def test_the_paper_s_programs_have_no_order_of_their_own() -> None:
    assert program_keys(parse("fro(T1_D)")).same_order is None


# --- no merge changes a rank --------------------------------------------------------------------------------------

COLUMNS = (
    "fro(T1_D)",
    "mean(T1_D)",
    "mean(T3)",
    "effective_rank(channels(T4_N))",
    "add(fro(T1_D), mean(T2_D))",
    "l1(T3G_N)",
    "std(T4_D)",
    "numel(T3)",
)
UNARY = ("log", "sqrt", "square", "abs", "neg")
BINARY = ("add", "sub", "mul", "div", "minimum", "maximum")
LEAVES = ("params", "instances", "2", "0.5", "-1.5")


def formula(generator: random.Random, height: int) -> str:
    if height == 0:
        if generator.random() < 0.3:
            return generator.choice(LEAVES)
        aggregation = generator.choice(("sum", "average", "largest", "sum", "first", "slope"))
        return f"{aggregation}({generator.choice(COLUMNS[:4])})"
    if generator.random() < 0.5:
        return f"{generator.choice(UNARY)}({formula(generator, height - 1)})"
    return f"{generator.choice(BINARY)}({formula(generator, height - 1)}, {formula(generator, 0)})"


@pytest.fixture(scope="module")
def networks() -> list[NetworkStatistics]:
    loaded = [synthetic.load("toy:a", f"net{number}") for number in range(30)]
    return [
        NetworkStatistics(one.arch, one.instances, {"params": 1000.0 + 37 * number**2})
        for number, one in enumerate(loaded)
    ]


@pytest.fixture(scope="module")
def drawn(networks: list[NetworkStatistics]) -> list[tuple[Program, np.ndarray]]:
    generator = random.Random(5)
    texts = dict.fromkeys(formula(generator, generator.randint(0, 3)) for _ in range(1400))
    programs = [parse(text) for text in texts]
    return list(zip(programs, Evaluator(programs).scores_of(networks).T, strict=True))


def groups(drawn: list[tuple[Program, np.ndarray]], key: str) -> list[list[tuple[Program, np.ndarray]]]:
    """The programs that share a key, and are finite somewhere."""
    found = defaultdict(list)
    for program, scores in drawn:
        if np.isfinite(scores).sum() > 2:
            found[getattr(program_keys(program), key)].append((program, scores))
    return [group for of_key, group in found.items() if of_key is not None and len(group) > 1]


@pytest.mark.parametrize("key", ["normal_form", "sympy", "fingerprint"])
def test_programs_of_one_value_have_one_value(key: str, drawn: list[tuple[Program, np.ndarray]]) -> None:
    merged = groups(drawn, key)
    assert len(merged) > 2
    for (first, scores), *others in merged:
        for other, its in others:
            both = np.isfinite(scores) & np.isfinite(its)
            tolerance = 1e-6 * max(1.0, float(np.abs(scores[both]).max(initial=0.0)))
            np.testing.assert_allclose(
                its[both], scores[both], rtol=1e-6, atol=tolerance, err_msg=f"{first} {other}"
            )


def test_programs_of_one_order_rank_alike(drawn: list[tuple[Program, np.ndarray]]) -> None:
    merged = groups(drawn, "same_order")
    assert sum(map(len, merged)) > 100
    for (first, scores), *others in merged:
        for other, its in others:
            both = np.isfinite(scores) & np.isfinite(its)
            ranks = [rankdata(rounded(values[both])) for values in (scores, its)]
            assert not both.any() or agree_in_order(*ranks), f"{first} {other}"


def rounded(values: np.ndarray) -> np.ndarray:
    """The values to 7 digits of the largest, so that ties stay ties."""
    largest = np.abs(values).max(initial=0.0) or 1.0
    return np.round(values / largest, 7)


def test_a_recogniser_never_merges_what_ranks_otherwise(drawn: list[tuple[Program, np.ndarray]]) -> None:
    recogniser, scores_of, stages = Recogniser(), {}, defaultdict(int)
    for program, scores in drawn:
        if not np.isfinite(scores).all():
            continue
        found = recogniser.recognise(program, scores)
        stages[found.stage] += 1
        if found.keys is not None:
            recogniser.add(program, found.keys, scores)
            scores_of[program.id] = scores
        else:
            twin = scores_of[found.same_as]
            assert agree_in_order(scores, twin)
            if found.stage != "same_order":
                np.testing.assert_allclose(scores, twin, rtol=1e-4)
    assert min(stages[stage] for stage in ("new", "normal_form", "sympy", "same_order")) > 1, dict(stages)
