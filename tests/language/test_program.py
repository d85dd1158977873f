"""Programs: text to tree and back, what is refused and how helpfully, and shapes against execution."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zcsr.errors import EvaluationError, InputError, ProgramError, ShapeError
from zcsr.evaluation.evaluate import apply_node
from zcsr.language.languages import EZNAS
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import MAX_HEIGHT, Node, Program, infer_shape
from zcsr.language.shapes import Shape
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse

# Trees ----------------------------------------------------------------------------------------------------------

leaves = st.sampled_from(TENSOR_NAMES).map(EZNAS.node)


def applied(arguments: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.sampled_from(OPERATIONS).flatmap(
        lambda operation: st.tuples(*[arguments] * operation.arity).map(lambda args: Node(operation, args))
    )


trees = st.recursive(leaves, applied, max_leaves=25)
programs = st.builds(EZNAS.program, trees, st.sampled_from(["mean", "l2"]), st.sampled_from(["mean", "sum"]))


def random_tree(height: int, generator: random.Random) -> Node:
    if height == 0 or generator.random() < 0.15:
        return EZNAS.node(generator.choice(TENSOR_NAMES))
    operation = generator.choice(OPERATIONS)
    return Node(operation, tuple(random_tree(height - 1, generator) for _ in range(operation.arity)))


def nested(height: int, inner: str = "T1_D") -> str:
    return "abs(" * height + inner + ")" * height


def test_the_22_tensors_in_order() -> None:
    expected = [
        *("T1_D", "T1_N", "T1_P", "T2_D", "T2_N", "T2_P", "T3", "T4_D", "T4_N", "T4_P"),
        *("T1G_D", "T1G_N", "T1G_P", "T2G_D", "T2G_N", "T2G_P"),
        *("T3G_D", "T3G_N", "T3G_P", "T4G_D", "T4G_N", "T4G_P"),
    ]
    assert list(TENSOR_NAMES) == expected
    assert not set(TENSOR_NAMES) & {operation.name for operation in EZNAS.operations}


def test_a_tree_by_hand() -> None:
    node = EZNAS.node("add", EZNAS.node("fro", EZNAS.node("T1_D")), EZNAS.node("T3"))
    assert str(node) == "add(fro(T1_D), T3)"
    assert node.size == 4
    assert node.height == 2
    assert {tensor.name for tensor in node.tensors()} == {"T1_D", "T3"}
    assert [entry.op for entry in node.walk()] == ["add", "fro", "T1_D", "T3"]
    assert EZNAS.node("T3").height == 0
    assert EZNAS.node("T3").size == 1


@given(trees)
def test_size_height_and_walk_are_the_recursive_definitions(tree: Node) -> None:
    def prefix(node: Node) -> Iterator[Node]:
        yield node
        for arg in node.args:
            yield from prefix(arg)

    def height(node: Node) -> int:
        return max((1 + height(arg) for arg in node.args), default=0)

    walked = list(tree.walk())
    assert walked == list(prefix(tree))
    assert tree.size == len(walked) == str(tree).count("(") + sum(not node.args for node in walked)
    assert tree.height == height(tree)
    assert {tensor.name for tensor in tree.tensors()} == {node.op for node in walked if node.op in TENSOR_NAMES}


@given(trees)
def test_trees_are_values(tree: Node) -> None:
    copy = parse(str(tree)).expression
    assert copy == tree
    assert hash(copy) == hash(tree)
    assert EZNAS.node("abs", tree) != tree
    assert pickle.loads(pickle.dumps(tree)) == tree
    with pytest.raises(AttributeError):
        tree.word = tree.word  # type: ignore[misc]


@pytest.mark.parametrize(
    ("op", "args", "message"),
    [
        ("fro", 2, r"fro takes 1 argument, 2 given"),
        ("add", 1, r"add takes 2 arguments, 1 given"),
        ("T3", 1, r"T3 is a tensor and takes no arguments, 1 were given"),
        ("froo", 1, r"unknown name 'froo'; did you mean fro\?"),
    ],
)
def test_a_tree_that_makes_no_sense_cannot_be_built(op: str, args: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        EZNAS.node(op, *(EZNAS.node("T1_D"),) * args)


# Text -----------------------------------------------------------------------------------------------------------


@given(programs)
def test_printing_and_parsing_are_inverse(program: Program) -> None:
    assert parse(str(program)) == program
    assert str(parse(str(program))) == str(program)


spaces = st.sampled_from(["", " ", "  ", "\t", "\n"])


@given(programs, st.data())
def test_white_space_does_not_count(program: Program, data: st.DataObject) -> None:
    text = str(program)
    for mark in ("->", "(", ")", ","):
        text = text.replace(mark, data.draw(spaces) + mark + data.draw(spaces))
    assert parse(data.draw(spaces) + text + data.draw(spaces)) == program


def test_the_two_steps_are_printed_only_when_they_are_not_the_papers() -> None:
    root = EZNAS.node("fro", EZNAS.node("T1_D"))
    assert str(EZNAS.program(root)) == "fro(T1_D)"
    assert str(EZNAS.program(root, "l2")) == "fro(T1_D) -> l2 -> mean"
    assert str(EZNAS.program(root, "mean", "sum")) == "fro(T1_D) -> mean -> sum"
    assert parse("fro(T1_D) -> mean -> mean") == EZNAS.program(root)
    assert parse("fro( T1_D )->l2->sum") == EZNAS.program(root, "l2", "sum")


def test_the_id_is_the_texts() -> None:
    # echo -n 'fro(T1_D)' | sha256sum
    assert parse("fro( T1_D )").id == "9fd9fb4d60f3"
    assert parse("fro(T1_D) -> mean -> sum").id != parse("fro(T1_D)").id
    assert parse("add(T1_D, T3)").id != parse("add(T3, T1_D)").id


@given(programs)
def test_ids_are_twelve_hexadecimal_digits(program: Program) -> None:
    assert len(program.id) == 12
    assert set(program.id) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, r"expected an operation or a tensor, found .*the end of the text"),
        ("  \n", 3, r"expected an operation or a tensor"),
        ("fr(T1_D)", 0, r"unknown name 'fr'; did you mean fro\?"),
        ("fro(sigmiod(T1_D))", 4, r"did you mean sigmoid\?"),
        ("fro(t1g_d)", 4, r"did you mean T1G_D\?"),
        ("FRO(T1_D)", 0, r"did you mean fro\?"),
        ("add(T1_D, qwertyuiop)", 10, r"unknown name 'qwertyuiop'; .*zcsr operations"),
        ("fro(42)", 0, r"fro takes a tensor, not a number of the network"),
        ("fro", 0, r"fro takes 1 argument, 0 given"),
        ("abs(add(T1_D))", 4, r"add takes 2 arguments, 1 given"),
        ("fro(T1_D, T3)", 0, r"fro takes 1 argument, 2 given"),
        ("fro(T1_D(T3))", 4, r"T1_D is a tensor and takes no arguments"),
        ("fro(T1_D) T3", 10, r"unexpected text after the end"),
        ("fro(T1_D)) ", 9, r"unexpected text after the end"),
        ("fro(T1_D) ; T3", 10, r"unexpected text after the end"),
        ("fro(T1_D), T3", 9, r"unexpected text after the end"),
        ("fro(T1_D) -> l2 -> sum)", 22, r"unexpected text after the end"),
        ("fro(T1_D", 8, r"expected ',' or '\)' in the arguments of fro"),
        ("add(T1_D, fro(T3)", 17, r"expected ',' or '\)' in the arguments of add"),
        ("fro(", 4, r"expected an operation or a tensor"),
        ("fro()", 4, r"expected an operation or a tensor, found '\)'"),
        ("add(T1_D,,T3)", 9, r"expected an operation or a tensor, found ','"),
        ("add(,T3)", 4, r"expected an operation or a tensor, found ','"),
        ("add(T1_D T3)", 9, r"expected ',' or '\)' in the arguments of add, found 'T3'"),
        ("add(T1_D; T3)", 8, r"expected ',' or '\)'"),
        ("(T1_D", 5, r"expected '\)', found the end"),
        ("(T1_D, T3)", 5, r"expected '\)'"),
        ("fro(T1_D) ->", 12, r"expected mean, l2, sum"),
        ("T1_D\x00", 4, r"unexpected text"),
        (nested(MAX_HEIGHT + 1), 0, rf"nested {MAX_HEIGHT + 1} deep here; at most {MAX_HEIGHT} are allowed"),
        (nested(20_000), 4 * (20_000 - MAX_HEIGHT - 1), r"at most \d+ are allowed"),
    ],
)
def test_what_is_wrong_and_where(text: str, position: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message) as caught:
        parse(text)
    assert caught.value.position == position
    assert f"column {position + 1}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("T3 -> l2", r"two steps or none"),
        ("T3 -> l2 -> sum -> sum", r"two steps or none.*3 given"),
        ("T3 -> sum -> mean", r"to_scalar is one of mean, l2, not 'sum'"),
        ("T3 -> mean -> l2", r"aggregation is one of mean, sum, not 'l2'"),
    ],
)
def test_steps_that_do_not_exist(text: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        parse(text)


def read(text: str) -> Program | ProgramError:
    try:
        return parse(text)
    except ProgramError as error:
        return error


@given(st.text(alphabet="abfro(), ->T1_DG3\n;é", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_inside(text: str) -> None:
    result = read(text)
    if isinstance(result, Program):
        assert parse(str(result)) == result
    else:
        assert result.position is None or 0 <= result.position <= len(text)


@given(programs, st.data())
def test_a_text_with_one_character_missing_never_crashes(program: Program, data: st.DataObject) -> None:
    text = str(program)
    place = data.draw(st.integers(0, len(text) - 1))
    shorter = text[:place] + text[place + 1 :]
    result = read(shorter)
    if isinstance(result, Program):
        assert parse(str(result)) == result
    else:
        assert result.position is None or 0 <= result.position <= len(shorter)


def test_the_deepest_trees_work_everywhere() -> None:
    text = nested(MAX_HEIGHT)
    program = parse(text)
    assert program.root.height == MAX_HEIGHT
    assert str(program) == text
    assert parse(text) == program
    assert hash(parse(text)) == hash(program)
    assert pickle.loads(pickle.dumps(program)) == program
    assert infer_shape(program.expression, {"T1_D": (2, 3)}) == (2, 3)
    assert apply_node(program.expression, {"T1_D": torch.full((2,), -1.0)}).tolist() == [1.0, 1.0]


# Shapes ---------------------------------------------------------------------------------------------------------


def instance_shapes(
    batch: int, channels: int, size: int, kernel: int = 3, stride: int = 1, widening: int = 1
) -> Mapping[str, Shape]:
    """The shapes of the 22 tensors of one instance."""
    before = (batch, channels, size, size)
    after = (batch, channels * widening, size // stride, size // stride)
    weight = (channels * widening, channels, kernel, kernel)
    places = {"T1": before, "T2": before, "T3": weight, "T4": after}
    return {name: places[name[:2]] for name in TENSOR_NAMES}


REALISTIC = {
    "3x3 at batch 1": instance_shapes(1, 4, 8),
    "1x1 at batch 1": instance_shapes(1, 4, 8, kernel=1),
    "as wide as high": instance_shapes(1, 4, 4),
    "stride 2": instance_shapes(1, 4, 8, stride=2, widening=2),
    "batch of the kernel's size": instance_shapes(3, 4, 8),
    "batch of the width": instance_shapes(8, 8, 4),
    "end of a small network": instance_shapes(1, 8, 1),
    "one channel": instance_shapes(2, 1, 2),
}


def outcome(function: Callable[[], Shape]) -> Shape | None:
    try:
        return function()
    except (ShapeError, EvaluationError):
        return None


@pytest.mark.parametrize("label", REALISTIC)
def test_predicted_shapes_are_those_of_execution_on_random_trees(label: str) -> None:
    shapes = REALISTIC[label]
    torch_generator = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(shape, generator=torch_generator) for name, shape in shapes.items()}
    generator = random.Random(label)
    ran = refused = 0
    for _ in range(500):
        tree = random_tree(generator.randint(1, 5), generator)
        predicted = outcome(lambda tree=tree: infer_shape(tree, shapes))  # type: ignore[misc]
        executed = outcome(lambda tree=tree: tuple(apply_node(tree, tensors).shape))  # type: ignore[misc]
        assert predicted == executed, str(tree)
        ran += predicted is not None
        refused += predicted is None
    assert ran > 50
    assert refused > 20


def test_shapes_of_named_programs_at_the_size_of_nas_bench_201() -> None:
    shapes = instance_shapes(1, 16, 32)
    assert infer_shape(parse("logdet(sign(T1G_D))").expression, shapes) == (1, 16)
    assert infer_shape(parse("fro(sigmoid(logdet(sign(T1G_D))))").expression, shapes) == ()
    assert infer_shape(parse("sigmoid(logdet(sign(T3G_N)))").expression, shapes) == (16, 16)
    assert infer_shape(parse("matmul(T1_D, T4_P)").expression, shapes) == (1, 16, 32, 32)
    assert infer_shape(parse("mul(T1_D, fro(T3))").expression, shapes) == (1, 16, 32, 32)


def test_shapes_that_do_not_fit_say_so() -> None:
    shapes = instance_shapes(1, 16, 32)
    with pytest.raises(ShapeError, match=r"\(1, 16, 32, 32\) and \(16, 16, 3, 3\)"):
        infer_shape(parse("fro(add(T1_D, T3))").expression, shapes)
    with pytest.raises(ProgramError, match=r"no tensor named T3 is given"):
        infer_shape(parse("fro(T3)").expression, {"T1_D": (1,)})


@pytest.mark.parametrize("blanks", [" " * 200_000, "\n\t " * 100_000])
def test_blanks_cost_no_more_than_they_are_long(blanks: str) -> None:
    assert parse(f"{blanks}fro({blanks}T1_D{blanks}){blanks}") == parse("fro(T1_D)")


def test_an_unknown_name_is_not_repeated_at_length() -> None:
    with pytest.raises(ProgramError) as raised:
        parse("x" * 1_000_000)
    assert len(str(raised.value)) < 300
