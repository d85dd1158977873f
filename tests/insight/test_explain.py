"""What a program looks at and what moves its score, against the paper's reading, brute force and scipy."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import store_samples as samples
from commands import zcsr
from network_samples import noise
from scipy import stats

from zcsr.evolve.records import Individual, ProgramRecord
from zcsr.insight.formula import named_twins, read_formula, tree_lines
from zcsr.insight.readings import DEPTHS, choose_networks, depth_shares, read_networks
from zcsr.insight.responses import (
    VALUES,
    Response,
    Sizes,
    described,
    fillings,
    response,
    response_groups,
    responses,
)
from zcsr.language.named_programs import find_program
from zcsr.language.program import Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig, network_statistics, untrained
from zcsr.reports.program_page import (
    archive_twins,
    explain_program,
    inputs_line,
    render_explanation,
)
from zcsr.sameness.recognise import program_keys
from zcsr.spaces import get_space
from zcsr.store import Store
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.jobs.explaining import networks_of_task
from zcsr.store.kept.collections import Collection
from zcsr.store.kept.runs import create_run, open_run

EZNAS_A = find_program("eznas-a")
PRINTED = find_program("eznas-a-printed")

# Random tensors --------------------------------------------------------------------------------------------------

PAPER = {1: 0.500, 3: 0.408, 5: 0.443, 7: 0.507}
"""The root mean square of sigmoid(logdet(sign(X))) by the size of the kernel, as the paper gives it."""


@pytest.mark.parametrize("program", [EZNAS_A, PRINTED], ids=["executed", "printed"])
@pytest.mark.parametrize("kernel", PAPER)
def test_eznas_a_gives_the_papers_figures_on_weights(program: Program, kernel: int) -> None:
    found = response(program, "weight", "kernel", kernel).root_mean_square
    assert found == pytest.approx(PAPER[kernel], abs=0.004)


def expected_root_mean_square(kernel: int) -> float:
    """Over all matrices of signs: signs of rows and columns change the sign of a determinant alone."""
    free = (kernel - 1) ** 2
    bits = (np.arange(2**free)[:, None] >> np.arange(free)) & 1
    matrices = np.ones((2**free, kernel, kernel))
    matrices[:, 1:, 1:] = (2.0 * bits - 1).reshape(2**free, kernel - 1, kernel - 1)
    size = np.abs(np.rint(np.linalg.det(matrices)))
    # A determinant d > 0 gives sigmoid(log d) = d / (1 + d), one below 0 gives sigmoid(0), and 0 gives 0.
    squares = np.where(size == 0, 0.0, (0.5**2 + (size / (1 + size)) ** 2) / 2)
    return math.sqrt(squares.mean())


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_eznas_a_gives_what_all_matrices_of_signs_give(kernel: int) -> None:
    expected = expected_root_mean_square(kernel)
    assert expected == pytest.approx(PAPER[kernel], abs=0.001)
    found = response(PRINTED, "weight", "kernel", kernel, draws=30).root_mean_square
    assert found == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize("program", [EZNAS_A, PRINTED], ids=["executed", "printed"])
def test_eznas_a_prefers_channels_and_kernels_of_1_and_7(program: Program) -> None:
    groups = {(group[0].filling, group[0].varied): group for group in response_groups(responses(program))}
    kernels = {one.value: one.mean for one in groups["weight", "kernel"]}
    assert min(kernels[1], kernels[7]) > max(kernels[3], kernels[5])
    assert described(groups["weight", "kernel"]).startswith("highest at 7")
    for filling in ("weight", "activation"):
        means = [one.mean for one in groups[filling, "channels"]]
        assert means == sorted(means)
        assert described(groups[filling, "channels"]).startswith("grows from ")
        # As the square root of the number of matrices: of channels for activations, their square for weights.
        power = 1.0 if filling == "weight" else 0.5
        assert means[-1] / means[0] == pytest.approx(16**power, rel=0.12)


def test_tensors_have_the_shapes_that_responses_name() -> None:
    sizes = {
        ("weight", "kernel"): lambda value: 64 * 64 * value**2,
        ("weight", "channels"): lambda value: value**2 * 9,
        ("activation", "channels"): lambda value: value * 64,
        ("activation", "map"): lambda value: 64 * value**2,
    }
    for name in TENSOR_NAMES:
        found = responses(parse(f"numel({name})"), draws=1)
        assert len(found) == 4 + 5 + 5 + 4
        for one in found:
            assert one.mean == sizes[one.filling, one.varied](one.value)
            assert one.deviation == 0


def test_both_kinds_of_tensors_keep_their_own_shapes() -> None:
    program = parse("sub(numel(T1_D), numel(T3))")
    assert fillings(program) == ("own", "weight", "activation")
    found = response(program, "own", "channels", 16, draws=1)
    assert found.mean == 16 * 64 - 16 * 16 * 9
    assert found.sizes == Sizes(channels=16)


def test_tensors_are_standard_normal_and_draws_differ() -> None:
    one = response(parse("T3 -> l2 -> mean"), "weight", "kernel", 3)
    assert one.root_mean_square == pytest.approx(1, abs=0.01)
    assert one.mean == pytest.approx(math.sqrt(64 * 64 * 9), rel=0.01)
    assert 0.3 < one.deviation < 1.4  # of a chi distribution of many degrees of freedom: 1 / sqrt(2)
    mean = response(parse("square(T1_D)"), "activation", "map", 32)
    assert (mean.mean, mean.root_mean_square) == (pytest.approx(1, abs=0.01), None)


def test_the_same_arguments_give_the_same_and_another_seed_others() -> None:
    assert responses(PRINTED, draws=2) == responses(PRINTED, draws=2)
    assert response(PRINTED, "weight", "kernel", 3, 2).mean != response(PRINTED, "weight", "kernel", 3, 2, 1).mean


def test_shapes_that_a_program_refuses_are_told() -> None:
    found = responses(parse("matmul(T1_D, T3)"), draws=2)
    own = [one for one in found if one.filling == "own"]
    assert {one.refused == "" for one in own if one.value != 8} == {False}
    assert all(math.isnan(one.mean) == bool(one.refused) for one in found)
    assert described([one for one in own if one.varied == "kernel"]).startswith("the program does not apply")


def made(means: Sequence[float], deviation: float = 0.1) -> list[Response]:
    return [
        Response("weight", "kernel", value, Sizes(), mean, deviation, None)
        for value, mean in zip(VALUES["kernel"], means, strict=True)
    ]


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ((1, 2, 3, 4), "grows from 1 at 1 to 4 at 7"),
        ((1, 2, 1.95, 4), "grows from 1 at 1 to 4 at 7"),
        ((4, 3, 3, 1), "falls from 4 at 1 to 1 at 7"),
        ((1, 1.08, 0.92, 1), "stays near 1"),
        ((1, 5, 3, 2), "highest at 3 (5), lowest at 1 (1)"),
        ((5, 1, 2, 5), "highest at 1 (5), lowest at 3 (1)"),
        ((math.nan, 1, math.nan, math.nan), "a value at one size only"),
        ((math.nan,) * 4, "the program does not apply to such shapes, nor any finite value"),
    ],
)
def test_responses_in_words(means: Sequence[float], words: str) -> None:
    assert described(made(means)) == words


# The formula -----------------------------------------------------------------------------------------------------


def test_a_tree_as_text() -> None:
    lines = tree_lines(parse("sub(fro(T3), mul(T1G_P, exp(T4_N)))").expression)
    assert [re.match(r"[│├└─ ]*\w+", line)[0] for line in lines] == [  # type: ignore[index]
        "sub",
        "├─ fro",
        "│  └─ T3",
        "└─ mul",
        "   ├─ T1G_P",
        "   └─ exp",
        "      └─ T4_N",
    ]
    assert lines[2].endswith("the convolution's weight")
    assert lines[4].endswith("the gradient at the ReLU's input, what changes in it when data are perturbed")
    assert lines[5].endswith("exponential")


def test_a_formula_says_what_it_takes() -> None:
    formula = read_formula(parse("gt(abs(fro(T1G_P)), mean(T3))"))
    assert str(formula.simplified) == "lt(mean(T3), fro(T1G_P))"
    assert "a > b is b < a" in formula.rules
    assert [(use.name, use.gradient) for use in formula.tensors] == [("T3", False), ("T1G_P", True)]
    assert formula.inputs == ("D", "P")
    assert read_formula(EZNAS_A).rules == ()


def test_programs_with_a_name_are_found_again() -> None:
    (twin,) = named_twins(parse("mul(fro(T2_N), fro(T2_N))"))
    assert twin.name == "topprog"
    assert twin.reason.startswith("The same normal form")
    assert named_twins(parse("square(fro(T2_N)) -> mean -> sum")) == ()
    assert named_twins(parse("fro(T2_N)")) == ()


# Real networks ---------------------------------------------------------------------------------------------------

SPACE = get_space("nasbench201-mini")


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return noise(8)


def test_networks_are_read_as_scipy_and_plain_loops_would(images: ImageSet) -> None:
    program = parse("l1(T1G_N)")
    archs = SPACE.sample(7, random.Random(1))
    found = read_networks(program, SPACE, "fashion-mnist", archs, images, seeds=(0, 3), batch_sizes=(1, 2))
    scores: dict[tuple[int, int], list[float]] = {}
    shares, parameters = [], []
    for seed, size in ((0, 1), (3, 1), (0, 2)):
        for arch in archs:
            network = untrained(SPACE, arch, 10, images, StatisticsConfig(seed=seed, batch_size=size))
            values = [float(one.tensors["T1G_N"].abs().mean()) for one in network.statistics().instances]
            scores.setdefault((seed, size), []).append(float(np.mean(values)) if values else 0.0)
            if (seed, size) == (0, 1):
                parameters.append(sum(parameter.numel() for parameter in network.model.parameters()))
                shares.append(fine_shares(values))
    assert found.scores == pytest.approx(scores[0, 1], rel=1e-5)
    taus = {(one.kind, one.one, one.other): one.tau for one in found.agreements}
    assert taus["seed", "0", "3"] == pytest.approx(stats.kendalltau(scores[0, 1], scores[3, 1]).statistic)
    assert taus["batch_size", "1", "2"] == pytest.approx(stats.kendalltau(scores[0, 1], scores[0, 2]).statistic)
    assert taus["size", "score", "parameters"] == pytest.approx(
        stats.kendalltau(scores[0, 1], parameters).statistic
    )
    assert {one.networks for one in found.agreements} == {7}
    assert found.depth == pytest.approx(np.nanmean(shares, axis=0), abs=1e-3)
    assert found.measured == 7


def fine_shares(values: Sequence[float], steps: int = 12_600) -> list[float]:
    """Shares by counting many points of the depth, each with the value of the instance that it lies in."""
    points = (np.arange(steps) + 0.5) / steps
    magnitudes = np.abs(values)[(points * len(values)).astype(int)]
    return [float(part.sum() / magnitudes.sum()) for part in np.split(magnitudes, DEPTHS)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 21])
def test_shares_by_depth_are_those_of_many_points(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    shares = depth_shares(values)
    assert shares is not None
    assert shares == pytest.approx(fine_shares(values.tolist()), abs=1e-3)
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [1.0, math.nan], [math.inf, 1.0]])
def test_without_a_finite_sum_there_are_no_shares(values: list[float]) -> None:
    assert depth_shares(np.array(values)) is None


def test_a_program_that_does_not_apply_has_no_tau(images: ImageSet) -> None:
    found = read_networks(
        parse("add(T1_D, T3)"), SPACE, "fashion-mnist", SPACE.sample(2, random.Random(0)), images,
        seeds=(0,), batch_sizes=(1,),
    )  # fmt: skip
    assert np.isnan(found.scores).all()
    assert math.isnan(found.agreements[0].tau)
    assert (found.agreements[0].networks, found.measured) == (0, 0)
    assert np.isnan(found.depth).all()


def test_statistics_at_hand_are_used(images: ImageSet) -> None:
    asked = []

    def load(arch: str) -> NetworkStatistics | None:
        asked.append(arch)
        given = network_statistics(SPACE, arch, 10, images, StatisticsConfig(seed=9))
        return given if len(asked) == 1 else None

    archs = SPACE.sample(2, random.Random(2))
    program = parse("l1(T3)")
    found = read_networks(program, SPACE, "fashion-mnist", archs, images, seeds=(0,), batch_sizes=(1,), load=load)
    plain = read_networks(program, SPACE, "fashion-mnist", archs, images, seeds=(0,), batch_sizes=(1,))
    assert asked == archs
    assert found.scores[0] != plain.scores[0]
    assert found.scores[1] == plain.scores[1]


def test_networks_are_drawn_from_sorted_candidates() -> None:
    names = [f"net{number}" for number in range(30)]
    drawn = choose_networks(names, 10)
    assert drawn == choose_networks(reversed(names), 10)
    assert len(set(drawn)) == 10
    assert sorted(choose_networks(names, 99)) == sorted(names)


# The store -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a run whose programs, some of them twins of EZNAS-A, have their true keys."""
    opened = Store.open(tmp_path_factory.mktemp("archive"), create=True)
    texts = (
        "abs(fro(sigmoid(logdet(sign(sign(T1G_D))))))",
        "fro(sigmoid(logdet(sign(T1G_N))))",
        "sigmoid(logdet(sign(T1G_D))) -> l2 -> mean",
        "sigmoid(logdet(sign(T1G_D))) -> l2 -> sum",
    )
    programs = [parse(text) for text in texts]
    records = tuple(ProgramRecord(one, *program_keys(one).of_value, (1.0,)) for one in programs)
    individuals = tuple(
        Individual(slot, one, "random", "new", one.id, 0.1 * slot, {samples.TASKS[0]: 0.1 * slot})
        for slot, one in enumerate(programs)
    )
    create_run(
        opened, samples.CONFIG, [samples.run_task(samples.TASKS[0])], {"zcsr": "0.1"}, name="one", command=("zcsr",)
    )
    generation = samples.generation(0)
    open_run(opened, "one").append(dataclasses.replace(generation, programs=records, individuals=individuals))
    return opened


def test_twins_in_the_archive_are_found_with_the_reason(store: Store) -> None:
    rows = archive_twins(EZNAS_A, store).frame.to_dicts()
    assert [(row["text"], row["runs"], row["best_fitness"]) for row in rows] == [
        ("sigmoid(logdet(sign(T1G_D))) -> l2 -> mean", 1, pytest.approx(0.2)),
        ("abs(fro(sigmoid(logdet(sign(sign(T1G_D))))))", 1, pytest.approx(0.0)),
    ]
    assert all(row["reason"].startswith("The same normal form, fro(sigmoid(logdet(sign(T1G_D))))") for row in rows)
    assert archive_twins(parse("fro(T3)"), store).frame.is_empty()
    (same,) = archive_twins(parse("fro(sigmoid(logdet(sign(T1G_N))))"), store).frame.to_dicts()
    assert same["reason"] == "The same text."


def test_networks_whose_statistics_are_stored_come_first(store: Store) -> None:
    collection = Collection.of("nasbench201-mini", "fashion-mnist", "fashion-mnist", StatisticsConfig())
    archs = SPACE.sample(3, random.Random(8))
    collect_networks(store, collection, archs)
    given = (store, parse("l1(T3)"), "nasbench201-mini", "fashion-mnist", "fashion-mnist")
    assert set(networks_of_task(*given, 3).archs) == set(archs)
    assert networks_of_task(*given, 4).archs == tuple(SPACE.sample(4, random.Random(0)))


# The report ------------------------------------------------------------------------------------------------------


def test_a_report_has_its_pictures_and_is_the_same_each_time(
    store: Store, images: ImageSet, tmp_path: Path
) -> None:
    archs = SPACE.sample(4, random.Random(3))
    networks = read_networks(EZNAS_A, SPACE, "fashion-mnist", archs, images, seeds=(0, 1), batch_sizes=(1,))
    explanation = explain_program(EZNAS_A, store, networks, ("zcsr", "explain", "eznas-a"))
    path, again = (render_explanation(explanation, tmp_path / name) for name in "ab")
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "eznas-a-depth.png",
        "eznas-a-depth.svg",
        "eznas-a-responses.png",
        "eznas-a-responses.svg",
        "eznas-a-tree.png",
        "eznas-a.md",
    ]
    for file in path.parent.iterdir():
        assert file.read_bytes() == (again.parent / file.name).read_bytes()
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\]\(([\w.-]+\.png)\)", text):
        width, height = struct.unpack(">II", (path.parent / name).read_bytes()[16:24])
        assert width > 150 < height
    assert text.startswith("# eznas-a\n")
    assert "queries/same_programs.sql" in text
    assert "| seed | 0 | 1 |" in text
    assert "highest at 7" in text
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    counts = [{len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()} for block in blocks]
    assert len(blocks) == 5
    assert all(len(of) == 1 for of in counts)


def test_a_report_on_a_program_without_a_name_or_a_store(tmp_path: Path) -> None:
    program = parse("matmul(T1_D, add(T3, T3)) -> l2 -> sum")
    path = render_explanation(explain_program(program, None), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert path.name == f"{program.id}.md"
    assert "No store was asked" in text
    assert "does not apply to such shapes" in text
    assert "$" not in re.sub(r"\$\$.*?\$\$", "", text)


# The command -----------------------------------------------------------------------------------------------------


def test_it_prints_all_that_is_known(store: Store) -> None:
    task = ("--task", "nasbench201-mini:fashion-mnist", "--networks", "2", "--workers", "1")
    code, out, err = zcsr("explain", "eznas-a", *task, "--store", str(store.root))
    assert code == 0
    assert out.startswith("fro(sigmoid(logdet(sign(T1G_D))))\n")
    for part in ("└─ T1G_D", r"\log\det", "-> l2 -> mean", "[64, 64, k, k]", "highest at 7", "FLOPs", "0.9 to 1.0"):
        assert part in out, part
    assert "2 of 2 networks" in err


def test_without_a_store_it_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    code, out, err = zcsr("explain", "mul(fro(T2_N), fro(T2_N))")
    assert code == 0
    assert "topprog: The same normal form" in out
    assert err.startswith("no store at ")
    assert list(tmp_path.iterdir()) == []


def test_a_report_goes_to_a_folder(tmp_path: Path, store: Store) -> None:
    code, out, _ = zcsr("explain", "topprog", "--out", str(tmp_path / "reports"), "--store", str(store.root))
    assert (code, out) == (0, f"{tmp_path / 'reports' / 'topprog.md'}\n")
    text = (tmp_path / "reports" / "topprog.md").read_text(encoding="utf-8")
    assert "zcsr explain topprog --out DIR" in text
    assert str(store.root) not in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["explain", "eznas-q"], 2, "unknown program 'eznas-q'"),
        (["explain", "fro(T1_D"], 2, "expected ',' or ')'"),
        (["explain", "@nowhere"], 2, "cannot read a program from nowhere"),
        (["explain", "eznas-a", "--task", "nasbench201"], 2, "--task takes SPACE:DATASET"),
        (["explain", "eznas-a", "--task", "nasbench201:mars"], 2, "mars"),
        (["explain", "eznas-a", "--store", "nowhere"], 3, "no store at nowhere"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    done, out, err = zcsr(*words)
    assert (done, out) == (code, "")
    assert message in err
    assert err.splitlines()[-1].startswith("zcsr: ")


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("add(T1_D, T4_D)", "activations"),
        ("fro(T3G_N)", "weights"),
        ("add(fro(T3), T2_D)", "weights and activations"),
    ],
)
def test_the_report_says_whose_shapes_a_program_takes(text: str, shapes: str) -> None:
    assert inputs_line(read_formula(parse(text))).startswith(f"Their shapes are those of {shapes}. ")
