"""A program in other forms: what the written Python computes, what JSON brings back, what a picture shows."""

from __future__ import annotations

import ast
import json
import math
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import reference
import sympy
import torch
import torch.nn.functional as F
from commands import zcsr as run
from exported import loaded
from network_samples import noise
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import zcsr
from zcsr.errors import EvaluationError, InputError, ProgramError
from zcsr.evaluation import one_network as single
from zcsr.evaluation.evaluate import Evaluator, apply_node
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.typed_trees import TypedTrees
from zcsr.export.json_form import from_json, to_json
from zcsr.export.python_file import formula_source, to_python, to_sympy
from zcsr.language.languages import EZNAS, ZCSR
from zcsr.language.named_programs import find_program, named_programs
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import MAX_HEIGHT, Node, Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.untrained import StatisticsConfig, untrained
from zcsr.proxies import language
from zcsr.reports.toolkit.tree import boxes, place, tree_figure
from zcsr.sameness.sympy_form import sympy_form
from zcsr.spaces import get_space

EZNAS_A = find_program("eznas-a")


def random_tree(height: int, generator: random.Random) -> Node:
    if height == 0 or generator.random() < 0.15:
        return EZNAS.node(generator.choice(TENSOR_NAMES))
    operation = generator.choice(OPERATIONS)
    return Node(operation, tuple(random_tree(height - 1, generator) for _ in range(operation.arity)))


def random_programs(count: int, seed: int, height: int = 6) -> list[Program]:
    generator = random.Random(seed)
    return [
        EZNAS.program(
            random_tree(generator.randint(1, height), generator),
            generator.choice(("mean", "l2")),
            generator.choice(("mean", "sum")),
        )
        for _ in range(count)
    ]


def written(tmp_path: Path, program: Program) -> ModuleType:
    return loaded(tmp_path / f"proxy_{program.id}.py", to_python(program))


# JSON ------------------------------------------------------------------------------------------------------------


def test_json_brings_every_program_back() -> None:
    for program in random_programs(300, seed=1):
        assert from_json(to_json(program)) == program


def test_json_holds_the_tree_and_the_steps() -> None:
    assert json.loads(to_json(parse("sub(T3, fro(T1_D)) -> l2 -> sum"))) == {
        "format": 1,
        "program": "sub(T3, fro(T1_D)) -> l2 -> sum",
        "to_scalar": "l2",
        "aggregation": "sum",
        "tree": {"op": "sub", "args": [{"tensor": "T3"}, {"op": "fro", "args": [{"tensor": "T1_D"}]}]},
    }


def test_the_deepest_program_comes_back() -> None:
    deepest = parse("abs(" * MAX_HEIGHT + "T1_D" + ")" * MAX_HEIGHT)
    assert from_json(to_json(deepest)) == deepest


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(to_json(parse("abs(T3)"))) | changes)


def deep(levels: int) -> str:
    return changed().replace(
        '{"tensor": "T3"}', '{"op": "abs", "args": [' * levels + '{"tensor": "T3"}' + "]}" * levels
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON of a program"),
        ("abs(T3)", "no JSON of a program"),
        ("[]", "is an object with format, program, to_scalar, aggregation, tree, not a list"),
        ("3", "not a number"),
        (changed(format=2), "this one has to_scalar, has aggregation"),
        (changed(format=3), "has format 1 or 2, this one 3"),
        (changed(format=True), "has format 1 or 2, this one True"),
        (changed(extra=1), "this one has extra"),
        ('{"format": 1}', "this one lacks program, lacks to_scalar"),
        ('{"format": 1, "format": 1}', "a key is given twice"),
        (changed(to_scalar="max"), "to_scalar is one of mean, l2, not 'max'"),
        (changed(aggregation=None), "aggregation is one of mean, sum, not 'None'"),
        (changed(program="abs(T1_D)"), "contradicts itself: its tree is abs(T3)"),
        (changed(program=7), "contradicts itself"),
        (changed(tree="abs(T3)"), "a node in JSON is .*, not a text"),
        (changed(tree={"op": "abs"}), "this one lacks args"),
        (changed(tree={"tensor": "T3", "op": "abs"}), "this one has op"),
        (changed(tree={"op": "abs", "args": {}}), "a list as its args"),
        (changed(tree={"op": 3, "args": []}), "a text as its op"),
        (changed(tree={"tensor": "abs"}), "unknown tensor 'abs'"),
        (changed(tree={"op": "T3", "args": []}), "unknown op 'T3'"),
        (changed(tree={"op": "abz", "args": [{"tensor": "T3"}]}), "did you mean abs"),
        (changed(tree={"op": "abs", "args": []}), "abs takes 1 argument, 0 given"),
        (deep(MAX_HEIGHT + 1), "nested"),
        (deep(20_000), "nested"),
    ],
)  # fmt: skip
def test_other_json_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


# The formula -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """Square activations and weights in double precision, so that rounding decides nothing."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn((2, 3, 4, 4) if not name.startswith("T3") else (3, 3, 3, 3), generator=generator).double()
        for name in TENSOR_NAMES
    }


Formula = Callable[[dict[str, Tensor]], Tensor]
HEAD = """
import torch
import torch.nn.functional as F
from torch import Tensor
from zcsr.language.plain import cosine, eig_ratio, eig_ratio_sym, nan_to_zero, normalise, softmax
"""


def formulas(path: Path, nodes: Sequence[Node]) -> list[Formula]:
    """What is written for each tree, all in one file."""
    sources = [formula_source(node).replace("formula", f"formula_{i}", 1) for i, node in enumerate(nodes)]
    module = loaded(path / "formulas.py", "\n\n".join([HEAD, *sources]))
    return [getattr(module, f"formula_{i}") for i in range(len(nodes))]


def assert_as_evaluated(path: Path, nodes: Sequence[Node], tensors: dict[str, Tensor]) -> int:
    """Compare what is written with what is evaluated; returns for how many trees there is a value."""
    applied = 0
    for node, formula in zip(nodes, formulas(path, nodes), strict=True):
        try:
            expected = apply_node(node, tensors)
        except EvaluationError:
            continue
        applied += 1
        torch.testing.assert_close(formula(tensors), expected, rtol=1e-7, atol=1e-10, equal_nan=True, msg=str(node))
    return applied


APPLICATIONS = [
    Node(operation, tuple(map(EZNAS.node, names[: operation.arity])))
    for operation in OPERATIONS
    for names in (("T1_D", "T2_D"), ("T2_D", "T1_D"))
]


@pytest.mark.parametrize("shape", [(), (5,), (3, 3), (2, 3, 3), (1, 2, 4, 4), (2, 3, 4, 4), (1, 1, 1, 1)])
def test_every_operation_is_written_as_it_is_evaluated(shape: tuple[int, ...], tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randn(shape, generator=generator).double() for _ in range(2))
    given = {"T1_D": torch.where(one < -1, 0.0, one), "T2_D": torch.where(other > 1, one, other)}  # some are equal
    assert assert_as_evaluated(tmp_path, APPLICATIONS, given) >= 44


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -0.0, 3.0])
def test_special_values_are_written_as_they_are_evaluated(value: float, tmp_path: Path) -> None:
    filled = torch.tensor([[1.0, value, -2.0], [0.5, -0.5, value], [value, 2.0, 1.0]]).double()
    given = {"T1_D": filled, "T2_D": torch.full((3, 3), value).double()}
    assert assert_as_evaluated(tmp_path, APPLICATIONS, given) >= 60


def test_random_formulas_are_written_as_they_are_evaluated(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    nodes = [program.expression for program in random_programs(300, seed=2, height=5)]
    assert assert_as_evaluated(tmp_path, nodes, tensors) > 80


def test_what_is_written_is_the_plain_definition(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    compared = 0
    for node, formula in zip(APPLICATIONS, formulas(tmp_path, APPLICATIONS), strict=True):
        try:
            expected = reference.value(node, tensors)
        except (RuntimeError, IndexError):
            continue
        compared += 1
        torch.testing.assert_close(
            formula(tensors), expected, rtol=1e-9, atol=1e-12, check_dtype=False, equal_nan=True
        )
    assert compared > 60


def test_a_subtree_that_occurs_twice_is_written_once() -> None:
    source = formula_source(parse("add(exp(T3), mul(exp(T3), fro(exp(T3))))").expression)
    assert source.count(".exp()") == 1
    assert len(ast.parse(source).body) == 1


# Networks --------------------------------------------------------------------------------------------------------

PROGRAMS = (
    EZNAS_A,
    parse("fro(negative(add(log(T4_P), T4_D)))"),
    find_program("pnas"),
    parse("add(normalise(mul(T3, T3G_N)), l1(T4_N)) -> l2 -> sum"),
)


@pytest.mark.parametrize("space", ["nasbench201-mini", "darts-mini"])
def test_scores_of_networks_are_those_of_zcsr(space: str, tmp_path: Path) -> None:
    modules = [written(tmp_path, program) for program in PROGRAMS]
    images = noise(8)
    evaluator = Evaluator(PROGRAMS)
    found = get_space(space)
    for seed, arch in enumerate(found.sample(25, random.Random(5))):
        network = untrained(found, arch, 10, images, StatisticsConfig(seed=seed, batch_size=1 + seed % 2))
        expected = evaluator.scores_of([network.statistics()])[0]
        scores = [module.score(network.model, network.inputs["D"], seed=seed) for module in modules]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


class Plain(nn.Module):
    """Modules in the usual order, after a stem, with a chain of two convolutions and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)),
            *(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)),
            *(
                nn.Dropout(0.5),
                nn.ReLU(inplace=True),
                nn.Conv2d(6, 6, 1, bias=False),
                nn.BatchNorm2d(6, affine=False),
            ),
        )
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class Functional(nn.Module):
    """Functions instead of modules; in-place sums; a ReLU with two convolutions; a weight that is a buffer."""

    count: Tensor
    fixed: Tensor

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3, generator=generator))
        self.register_buffer("fixed", torch.randn(4, 4, 3, 3, generator=generator))
        self.register_buffer("count", torch.zeros(()))
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        x = self.norm(F.conv2d(x, self.weight, padding=1))
        active = torch.relu_(x)
        one = F.batch_norm(F.conv2d(active, self.fixed, padding=1), None, None, training=True)
        other = self.norm(F.conv2d(active, self.fixed, stride=1, padding=1))
        one += other
        one.mul_(0.5)
        again = self.norm(F.conv2d(one.relu(), weight=self.fixed.transpose(0, 1), padding=1))
        return again.flatten(1)[:, :7] * self.count


class Normalised(Plain):
    """A convolution whose weight is computed, and frozen parameters."""

    def __init__(self) -> None:
        super().__init__()
        parametrizations.weight_norm(self.body[3])
        for parameter in self.body[4].parameters():
            parameter.requires_grad_(False)


class Cut(Plain):
    """No gradient reaches the body."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)).detach())


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[Program, ModuleType]:
    """For each of the 22 tensors a program that takes it alone, and what is written of it."""
    folder = tmp_path_factory.mktemp("readings")
    programs = [parse(f"add(l1({name}), mul({name}, fro({name}))) -> l2 -> sum") for name in TENSOR_NAMES]
    return {program: written(folder, program) for program in programs}


@pytest.mark.parametrize("build", [Plain, Functional, Normalised, Cut])
def test_any_network_has_the_scores_of_zcsr_and_is_left_alone(
    build: type[nn.Module], readings: dict[Program, ModuleType]
) -> None:
    torch.manual_seed(0)
    model = build().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    random_state = torch.random.get_rng_state()
    expected = single.scores(model, images, list(readings), seed=4, initialise=False)
    assert expected[0].instances == (3 if build is Functional else 2)
    for one, module in zip(expected, readings.values(), strict=True):
        assert module.score(model, images, seed=4) == pytest.approx(one.value, rel=1e-5, abs=1e-9), one.program
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), random_state)


def test_a_network_without_an_instance_has_the_score_0(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert written(tmp_path, EZNAS_A).score(model, torch.ones(1, 3, 2, 2)) == 0.0


def test_a_value_that_is_not_finite_gives_nan(tmp_path: Path) -> None:
    assert math.isnan(written(tmp_path, parse("reciprocal(zeros_like(T3))")).score(Plain(), torch.ones(2, 3, 6, 6)))


ALONE = """
import sys
sys.modules["zcsr"] = None
import torch
from torch import nn
import proxy
torch.manual_seed(7)
layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5))
images = torch.randn(2, 3, 8, 8)
model(images)
print(repr(proxy.score(model, images, seed=3)))
"""


def test_the_file_needs_torch_alone(tmp_path: Path) -> None:
    program = parse("sub(fro(mul(T1G_P, T1_N)), l1(T3G_D))")
    (tmp_path / "proxy.py").write_text(to_python(program), encoding="utf-8")
    (tmp_path / "alone.py").write_text(ALONE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "alone.py"], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    torch.manual_seed(7)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5))
    images = torch.randn(2, 3, 8, 8)
    model(images)
    expected = single.score(model, images, program, seed=3, initialise=False).value
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("program", [named.program for named in named_programs()], ids=lambda one: one.id)
def test_the_text_names_program_and_version_and_imports_torch_alone(program: Program) -> None:
    text = to_python(program)
    assert text == to_python(program)
    assert str(program) in text
    assert f"zcsr {zcsr.__version__}" in text
    assert not re.search(r"20\d\d-|noqa|type: ignore", text)
    tree = ast.parse(text)
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).split(".")[0] for name in modules} - sys.stdlib_module_names == {"torch"}
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(defined) == len(set(defined))


# Sympy -----------------------------------------------------------------------------------------------------------


def test_sympys_spelling_reads_as_the_expression() -> None:
    program = parse("mul(add(T1_D, T1_D), reciprocal(square(T3)))")
    namespace = {name: getattr(sympy, name) for name in ("Add", "Mul", "Pow", "Symbol", "Integer", "Function")}
    read = sympy.sympify(to_sympy(EZNAS.program(EZNAS.node("fro", program.expression))), locals=namespace)
    (inner,) = read.args
    assert sympy.simplify(inner - sympy_form(program.expression)) == 0


def test_a_large_program_has_no_sympy_form() -> None:
    with pytest.raises(InputError, match="at most 64"):
        to_sympy(parse("abs(" * 70 + "T3" + ")" * 70))


# The picture -----------------------------------------------------------------------------------------------------


def test_boxes_never_overlap_and_stand_within_what_is_below_them() -> None:
    for program in random_programs(60, seed=9, height=7):
        placed = place(boxes(program))
        assert sum(one.box.kind != "step" for one in placed) == program.root.size
        rows: dict[int, list[Any]] = {}
        for one in placed:
            rows.setdefault(one.level, []).append(one)
        for row in rows.values():
            row.sort(key=lambda one: one.x)
            for left, right in pairwise(row):
                assert left.x + left.box.width / 2 < right.x - right.box.width / 2
        for level, row in rows.items():
            for one in row:
                below = [other.x for other in rows.get(level + 1, []) if other.above == one.x]
                assert len(below) == len(one.box.below)
                assert not below or min(below) - 1e-9 <= one.x <= max(below) + 1e-9
        assert min(one.x - one.box.width / 2 for one in placed) > -1e-9


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("fro(T3)", ["mean over instances"]),
        ("T3 -> l2 -> sum", ["sum over instances", "L2 norm of the elements"]),
        ("exp(T3)", ["mean over instances", "mean of the elements"]),
        ("fro(T3) -> l2 -> mean", ["mean over instances", "absolute value"]),
    ],
)
def test_the_steps_to_the_score_stand_above_the_tree(text: str, steps: list[str]) -> None:
    assert [one.box.label for one in place(boxes(parse(text))) if one.box.kind == "step"] == steps


def test_pictures_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        one, other = (tree_figure(tmp_path / f"{n}.{kind}", EZNAS_A, kind) for n in "ab")  # type: ignore[arg-type]
        assert one.read_bytes() == other.read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert ET.parse(tmp_path / "a.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


# The command -----------------------------------------------------------------------------------------------------


def test_formats_go_to_stdout_or_to_a_file(tmp_path: Path) -> None:
    assert run("export", "eznas-a", "--format", "text") == (0, f"{EZNAS_A}\n", "")
    assert run("export", "eznas-a") == (0, to_python(EZNAS_A), "")
    assert run("export", str(EZNAS_A), "-f", "json") == (0, to_json(EZNAS_A), "")
    assert run("export", "eznas-a", "-f", "sympy")[1] == to_sympy(EZNAS_A) + "\n"
    assert r"\log\det" in run("export", "eznas-a", "-f", "latex")[1]
    for name in ("a.py", "a.json", "a.tex", "a.txt", "a.png", "a.svg"):
        assert run("export", "eznas-a", "--out", str(tmp_path / name)) == (0, "", "")
    assert (tmp_path / "a.py").read_text() == to_python(EZNAS_A)
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_a_file_after_an_at_holds_text_or_json(tmp_path: Path) -> None:
    for name in ("a.json", "a.txt"):
        run("export", "topprog", "--out", str(tmp_path / name))
        assert run("export", f"@{tmp_path / name}", "-f", "text")[1] == f"{find_program('topprog')}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "eznas-z"], "did you mean eznas-b or eznas-a"),
        (["export", "eznas-a", "-f", "pdf"], "--format is one of python, json"),
        (["export", "eznas-a", "-f", "png"], "needs a file to write to: --out FILE.png"),
        (["export", "@missing.json"], "cannot read a program from missing.json: No such file"),
        (["export", "@"], "cannot read a program from a file without a name"),
        (["export", "eznas-a", "-o", "no/such/folder/a.py"], "cannot write no/such/folder/a.py"),
    ],
)
def test_bad_input_is_one_line(words: list[str], message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("zcsr: ")
    assert message in err
    assert len(err.splitlines()) == 1


# --- programs of several columns ----------------------------------------------------------------------------------

RANK = "sum(effective_rank(channels(T4_N)))"
FORMULAS = [
    RANK,
    f"{RANK} / 338.9 + 0.5 * average(spectral_entropy(channels(T2G_D))) / 0.709 - 0.5 * average(fro(T1G_N)) / 0.26",
    "log(params) * sqrt(instances) + slope(nuclear_norm(channels(T3)))",
    "median(quantile_90(T1_D)) - largest(patterns(T2_N)) * mean_abslog(mean(T4_P))",
    "std(logdet_gram(centre(maps(T1_D)))) / (first(std(T3G_N)) + last(largest_share(samples(T3))))",
    "minimum(sum(sum(agreement(T1_P))), maximum(-2, smallest(div(fro(T1_D), fro(T2_D)))))",
    "log(params) - 3",
    "depth / log(flops) + instances",
]


@pytest.mark.parametrize("space", ["nasbench201-mini", "nats-sss-mini"])
def test_scores_by_several_columns_are_those_of_zcsr(space: str, tmp_path: Path) -> None:
    files = [loaded(tmp_path / f"formula_{i}.py", to_python(parse(text))) for i, text in enumerate(FORMULAS)]
    images, found_space, finite = noise(8), get_space(space), 0
    for arch in found_space.sample(25, random.Random(4)):
        network = untrained(found_space, arch, 10, images, StatisticsConfig(batch_size=2))
        expected = single.scores(network.model, network.inputs["D"], FORMULAS, initialise=False)
        for file, one in zip(files, expected, strict=True):
            found = file.score(network.model, network.inputs["D"])
            assert found == pytest.approx(one.value, rel=1e-5, nan_ok=True), one.program
            finite += math.isfinite(found)
    assert finite > 25 * len(FORMULAS) * 0.8


def test_a_file_says_what_it_cannot_compute() -> None:
    program = parse(f"{RANK} / naswot", language())
    with pytest.raises(InputError, match="takes naswot, which a file that needs torch alone does not compute"):
        to_python(program)


def test_json_brings_formulas_back() -> None:
    drawn = TypedTrees(ZCSR).random(EvolveConfig(), 300, random.Random(2))
    programs = [candidate.outcome for candidate in drawn if isinstance(candidate.outcome, Program)]
    assert len(programs) == 300
    for program in (*programs, *map(parse, FORMULAS)):
        assert from_json(to_json(program)) == program


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"constant": "1"}, "a constant in JSON is a finite number"),
        ({"constant": True}, "a constant in JSON is a finite number"),
        ({"known": "T3"}, "unknown known 'T3'"),
        ({"tensor": "params"}, "unknown tensor 'params'"),
        ({"op": "sum", "args": [{"constant": 2}]}, "sum takes a tensor"),
    ],
)
def test_other_leaves_are_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        from_json(json.dumps({"format": 2, "program": "x", "tree": {"op": "neg", "args": [node]}}))
