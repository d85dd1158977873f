"""A row is all there is to an operation: one made here, which no file of zcsr names, works everywhere."""

from __future__ import annotations

import math
import random
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import sympy
import synthetic
import torch

from zcsr.errors import InputError, ProgramError, ShapeError
from zcsr.evaluation.evaluate import Evaluator, apply_node, raised
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.loop import evolve
from zcsr.evolve.sequences import Sequences
from zcsr.evolve.tasks import choose_probes
from zcsr.evolve.trees import Trees
from zcsr.export.python_file import formula_source, to_python
from zcsr.insight.formula import read_formula
from zcsr.insight.responses import responses
from zcsr.language import shapes
from zcsr.language.languages import EZNAS
from zcsr.language.operations import Operation
from zcsr.language.program import infer_shape
from zcsr.language.tensors import Place, Tensor
from zcsr.language.text import parse
from zcsr.sameness.normal_form import is_nonnegative, normal_form
from zcsr.sameness.recognise import Recogniser, program_keys
from zcsr.sameness.sympy_form import sympy_form, to_latex


def cubed(a: torch.Tensor) -> torch.Tensor:
    """Return the cube of each element."""
    return a * a * a


CUBE = Operation(
    "cube",
    ("tensor",),
    cubed,
    shapes.same,
    "A * A * A",
    r"\left({0}\right)^{{3}}",
    "cubed({0})",
    symbolic=lambda a: a**3,
    helpers=(cubed,),
    elementwise=True,
)
MIDDLE = Operation(
    "middle",
    ("tensor",),
    lambda a: a.reshape(len(a), -1).median(1).values,
    shapes.number,
    "median of the elements, a number",
    r"\operatorname{{median}}\left({0}\right)",
    "{0}.median()",
    sign="as arguments",
)
LANGUAGE = EZNAS.having(CUBE, MIDDLE)
PROGRAM = parse("middle(cube(T1_D)) -> mean -> sum", LANGUAGE)


def test_the_language_of_the_paper_is_as_it_was() -> None:
    assert len(EZNAS.operations) == 34
    with pytest.raises(ProgramError, match="unknown name 'cube'"):
        parse("cube(T1_D)")


def test_it_is_parsed_and_printed() -> None:
    assert str(PROGRAM) == "middle(cube(T1_D)) -> mean -> sum"
    assert parse(str(PROGRAM), LANGUAGE) == PROGRAM
    with pytest.raises(ProgramError, match=r"cube takes 1 argument, 2 given: A \* A \* A"):
        parse("cube(T1_D, T1_N)", LANGUAGE)


def test_it_is_computed_and_its_shapes_are_refused() -> None:
    tensor = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    value = apply_node(PROGRAM.expression, {"T1_D": tensor})
    assert value.item() == pytest.approx(float((tensor**3).median()))
    assert infer_shape(parse("cube(T1_D)", LANGUAGE).expression, {"T1_D": (2, 5)}) == (2, 5)
    with pytest.raises(ShapeError):
        infer_shape(parse("cube(add(T1_D, T1_N))", LANGUAGE).expression, {"T1_D": (2,), "T1_N": (3,)})


def test_it_is_evaluated_beside_others() -> None:
    network = synthetic.load("made:one", "net1")
    values = raised(Evaluator([parse("fro(T1_D)"), PROGRAM]).instance_values_of([network])[0][1])
    assert values == pytest.approx([float((one.tensors["T1_D"] ** 3).median()) for one in network.instances])


def test_its_facts_serve_algebra() -> None:
    assert program_keys(parse("sub(cube(T1_D), mul(T1_D, square(T1_D)))", LANGUAGE)).sympy == "mean(0)"
    assert is_nonnegative(parse("middle(abs(T1_D))", LANGUAGE).expression)
    assert str(normal_form(parse("abs(middle(abs(T1_D)))", LANGUAGE).expression)) == "middle(abs(T1_D))"
    assert sympy_form(parse("cube(T1_D)", LANGUAGE).expression) == sympy.Symbol("T1_D", real=True) ** 3
    assert to_latex(PROGRAM) == r"\operatorname{median}\left(\left(T_{1}^{D}\right)^{3}\right)"


def test_it_is_recognised_by_its_numbers() -> None:
    known, other = (parse(text, LANGUAGE) for text in ("cube(T1_D)", "mul(square(T1_D), T1_D)"))
    assert program_keys(known).fingerprint == program_keys(other).fingerprint
    recogniser, values = Recogniser(), torch.arange(1.0, 9.0).numpy().astype(float)
    recogniser.add(known, program_keys(known), values)
    assert recogniser.recognise(other, values).same_as == known.id


def test_it_is_exported_with_its_helper(tmp_path: Path) -> None:
    source = to_python(PROGRAM)
    assert "def cubed(a: torch.Tensor) -> torch.Tensor:" in source
    assert "cube_1 = cubed(T1_D)" in formula_source(PROGRAM.expression)
    path = tmp_path / "exported.py"
    path.write_text(source, encoding="utf-8")
    module = runpy.run_path(str(path))
    tensor = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    assert float(module["formula"]({"T1_D": tensor})) == pytest.approx(float((tensor**3).median()))


def test_it_is_explained() -> None:
    formula = read_formula(PROGRAM)
    assert any("median of the elements, a number" in line for line in formula.tree)
    found = [one for one in responses(PROGRAM, draws=2) if one.varied == "channels"]
    assert all(math.isfinite(one.mean) for one in found)


def test_a_search_finds_it() -> None:
    config = EvolveConfig(
        population=20, generations=3, mu=6, lambda_=8, networks_per_task=12, draw=6, probe_networks=1, max_depth=4
    )
    tasks = [synthetic.make_task("made:one", 12)]
    with StatisticsScorer(synthetic.load, choose_probes(config, tasks)) as scorer:
        made = list(evolve(config, tasks, scorer, language=replace(LANGUAGE, operations=(CUBE, MIDDLE))))
    words = {node.op for generation in made for one in generation.individuals for node in one.program.root.walk()}
    assert words >= {"cube", "middle"}
    drawn = Trees(LANGUAGE).random(config, 2000, random.Random(0))
    assert any("cube(" in one.text for one in drawn)


def test_sequences_are_of_the_paper_alone() -> None:
    with pytest.raises(InputError, match="of the language eznas"):
        Sequences(LANGUAGE)


def test_a_tensor_is_its_row_too() -> None:
    between = Tensor(Place("T5", "output", "the convolution's output", "convolution", "output"), True, "P")
    program = parse("fro(T5G_P)", EZNAS.having(between))
    assert str(program) == "fro(T5G_P)"
    assert to_latex(program) == r"\left\lVert \nabla T_{5}^{P} \right\rVert_F"
    assert between.reference == "T5G_D"
    drawn = Trees(EZNAS.having(between)).random(EvolveConfig(min_depth=1, max_depth=2), 500, random.Random(1))
    assert any("T5G_P" in one.text for one in drawn)
    lines = read_formula(program).tree
    assert any(
        "the gradient at the convolution's output, what changes in it when data are per" in one for one in lines
    )
