"""Every operation of Table 5 against numpy, scipy or a plain loop, and its shape rule against its execution."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import reference
import scipy.special
import torch
from numpy.typing import NDArray

from zcsr.errors import InputError, ShapeError
from zcsr.language.languages import EZNAS
from zcsr.language.operations import OPERATIONS, Operation
from zcsr.language.shapes import Shape, broadcast

Array = NDArray[np.float64]

TABLE_5 = [
    *("add", "sub", "mul", "matmul", "lt", "gt", "eq", "log", "abslog", "abs", "square", "exp", "normalise"),
    *("relu", "sign", "heaviside", "reciprocal", "fro", "det", "logdet", "eig_ratio_sym", "eig_ratio", "mean"),
    *("l1", "hamming", "kl", "cosine", "softmax", "sigmoid", "ones_like", "zeros_like", "positive", "negative"),
    "numel",
]
UNARY = [operation.name for operation in OPERATIONS if operation.arity == 1]
BINARY = [operation.name for operation in OPERATIONS if operation.arity == 2]
REFUSALS = (ValueError, IndexError, np.linalg.LinAlgError)


# Oracles: none of them calls torch ------------------------------------------------------------------------------


def loop(function: Callable[..., float]) -> Callable[..., Array]:
    """Apply a function of numbers to each element in a Python loop, broadcasting by numpy's rule."""

    def apply(*arrays: Array) -> Array:
        full = np.broadcast_arrays(*arrays)
        flat = [function(*map(float, numbers)) for numbers in zip(*(a.ravel() for a in full), strict=True)]
        return np.array(flat, dtype=np.float64).reshape(full[0].shape)

    return apply


def log(a: float) -> float:
    return a if math.isnan(a) else math.log(a) if a > 0 else 0.0


def abslog(a: float) -> float:
    return a if math.isnan(a) else math.log(abs(a)) if a != 0 else 0.0


def exp(a: float) -> float:
    return math.inf if a > 709.78 else math.exp(a)


def relu(a: float) -> float:
    return a if a > 0 or math.isnan(a) else 0.0


def sign(a: float) -> float:
    return float(a > 0) - float(a < 0)


def reciprocal(a: float) -> float:
    return math.copysign(math.inf, a) if a == 0 else 1 / a


def normalise(a: Array) -> Array:
    if a.size < 2:
        return np.zeros_like(a)
    return np.asarray(np.nan_to_num((a - np.mean(a)) / np.std(a, ddof=1), nan=0.0, posinf=np.inf, neginf=-np.inf))


def frobenius(a: Array) -> float:
    return math.sqrt(sum(float(v) * float(v) for v in a.ravel()))


def mean(a: Array) -> float:
    return sum(map(float, a.ravel())) / a.size if a.size else math.nan


def logdet(a: Array) -> Array:
    signs, logarithms = np.linalg.slogdet(a)
    return np.asarray(np.where((signs < 0) | np.isnan(logarithms), 0.0, logarithms))


def gram(a: Array) -> Array:
    rows = a.reshape(a.shape[0], -1)
    return np.array([[float(np.sum(left * right)) for right in rows] for left in rows])


def eig_ratio_sym(a: Array) -> float:
    matrix = gram(a)
    values = scipy.linalg.eigvalsh(matrix + matrix.T)
    return float(values[-1] / values[0])


def hamming(a: Array, b: Array) -> float:
    return float(sum((x > 0) != (y > 0) for x, y in zip(*map(np.ravel, np.broadcast_arrays(a, b)), strict=True)))


def kl(a: Array, b: Array) -> float:
    count = a.shape[0]
    terms = [kl_term(float(x), float(y)) for x, y in zip(*map(np.ravel, np.broadcast_arrays(a, b)), strict=True)]
    return sum(terms) / count if count else math.nan


def kl_term(log_probability: float, target: float) -> float:
    if target == 0:
        return 0.0 if math.isfinite(log_probability) else math.nan
    return target * (math.log(target) - log_probability) if target > 0 else math.nan


def cosine(a: Array, b: Array) -> float:
    count = a.shape[0]
    lefts, rights = np.broadcast_arrays(a.reshape(count, -1), b.reshape(count, -1))
    total = 0.0
    for left, right in zip(lefts, rights, strict=True):
        left_length, right_length = (max(frobenius(side), 1e-8) for side in (left, right))
        total += sum(x / left_length * (y / right_length) for x, y in zip(left, right, strict=True))
    return total


def softmax(a: Array) -> Array:
    if a.size == 0:
        return a
    return np.asarray(scipy.special.softmax(a, axis=0 if a.ndim in (0, 1, 3) else 1))


ORACLES: dict[str, Callable[..., Array | float]] = {
    "add": loop(lambda a, b: a + b),
    "sub": loop(lambda a, b: a - b),
    "mul": loop(lambda a, b: a * b),
    "matmul": np.matmul,
    "lt": loop(lambda a, b: float(a < b)),
    "gt": loop(lambda a, b: float(a > b)),
    "eq": loop(lambda a, b: float(a == b)),
    "log": loop(log),
    "abslog": loop(abslog),
    "abs": loop(abs),
    "square": loop(lambda a: a * a),
    "exp": loop(exp),
    "normalise": normalise,
    "relu": loop(relu),
    "sign": loop(sign),
    "heaviside": loop(lambda a: float(a > 0)),
    "reciprocal": loop(reciprocal),
    "fro": frobenius,
    "det": np.linalg.det,
    "logdet": logdet,
    "eig_ratio_sym": eig_ratio_sym,
    "mean": mean,
    "l1": lambda a: mean(np.abs(a)),
    "hamming": hamming,
    "kl": kl,
    "cosine": cosine,
    "softmax": softmax,
    "sigmoid": loop(lambda a: 1 / (1 + math.exp(-a)) if a > -700 else 0.0),
    "ones_like": np.ones_like,
    "zeros_like": np.zeros_like,
    "positive": loop(lambda a: float(a > 0)),
    "negative": loop(lambda a: float(a < 0)),
    "numel": lambda a: float(a.size),
}


# Inputs ---------------------------------------------------------------------------------------------------------


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def inputs() -> dict[str, Array]:
    signed_zeros = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324])
    return {
        "0-d": np.array(-1.25),
        "0-d zero": np.array(0.0),
        "1-d": normal(5),
        "1-d one": np.array([3.0]),
        "zeros": np.zeros((3, 3)),
        "ones": np.ones((2, 3)),
        "negatives": -np.abs(normal(4, 4)),
        "positives": np.abs(normal(3, 4)),
        "signed zeros": signed_zeros,
        "1x1": np.array([[2.5]]),
        "1x1 negative": np.array([[-0.5]]),
        "1x1 zero": np.array([[0.0]]),
        "square": normal(4, 4),
        "wide": normal(2, 7),
        "tall": normal(7, 2),
        "3-d": normal(2, 3, 3),
        "4-d": normal(2, 3, 4, 4),
        "batch of one": normal(1, 4, 6, 6),
        "weights": normal(5, 4, 3, 3),
        "pointwise weights": normal(5, 4, 1, 1),
        "5-d": normal(2, 1, 2, 3, 3),
        "empty": np.zeros(0),
        "no rows": np.zeros((0, 3)),
        "no columns": np.zeros((3, 0)),
        "no matrices": np.zeros((0, 3, 3)),
        "empty matrices": np.zeros((2, 0, 0)),
        "huge": np.array([[1e150, -1e150], [3e150, 1e150]]),
        "overflowing": np.array([[1e200, -1e200], [3e200, 1e200]]),
        "tiny": np.array([[1e-200, -1e-200], [3e-200, 1e-200]]),
    }


INPUTS = inputs()
# When squares or products overflow inside a sum, inf, NaN or a ratio depends on the order of the sum.
ORDER_DECIDES = {("matmul", "overflowing"), ("cosine", "overflowing")}
# An ill-conditioned Gram matrix has a smallest eigenvalue that is only rounding: no oracle can say which.
FULL_RANK = {"0-d", "1-d one", "1x1", "1x1 negative", "wide", "4-d", "batch of one", "weights", "square"}


def arguments(shape_of: str) -> Iterable[Array]:
    """What a binary operation takes beside the named input: its own shape, what broadcasts, what does not."""
    a = INPUTS[shape_of]
    yield np.sqrt(np.abs(a)) * np.where(np.arange(a.size).reshape(a.shape) % 2, 1.0, -1.0)
    yield np.abs(a)
    yield a
    yield np.array(0.75)
    yield np.array([[0.5]])
    yield from (normal(*shape, seed=1) for shape in ((3,), (3, 3), (4, 1), (2, 7, 1), (1, 3, 4, 4), (0, 3)))


def torch_of(array: Array, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(array, dtype=dtype)


def check_against_oracle(operation: Operation, arrays: list[Array]) -> None:
    tensors = [torch_of(array) for array in arrays]
    shapes = [array.shape for array in arrays]
    with np.errstate(all="ignore"):
        try:
            expected = np.asarray(ORACLES[operation.name](*arrays))
        except REFUSALS:
            with pytest.raises(ShapeError):
                operation.apply(*tensors)
            with pytest.raises(ShapeError):
                operation.shape(*shapes)
            return
    value = operation.apply(*tensors)
    assert operation.shape(*shapes) == expected.shape
    assert value.shape == expected.shape
    assert value.dtype == torch.float64
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9, atol=rounding(operation, arrays), equal_nan=True)


def rounding(operation: Operation, arrays: list[Array]) -> float:
    """What cancellation may leave of terms that large."""
    if operation.name != "matmul":
        return 1e-12
    return 1e-13 * float(np.max(np.matmul(*map(np.abs, arrays)), initial=1.0))


# The table ------------------------------------------------------------------------------------------------------


def test_the_table_is_table_5_in_order() -> None:
    assert [operation.name for operation in OPERATIONS] == TABLE_5
    assert all(EZNAS.words[operation.name] is operation for operation in OPERATIONS)


def test_every_row_says_what_it_does() -> None:
    for operation in OPERATIONS:
        assert operation.meaning.strip(), operation.name
        written = operation.latex.format(*"XY"[: operation.arity])
        assert "X" in written, operation.name
        assert ("Y" in written) == (operation.arity == 2), operation.name


def test_every_operation_but_the_unsymmetric_eigenvalues_has_an_oracle() -> None:
    assert set(ORACLES) == set(TABLE_5) - {"eig_ratio"}


@pytest.mark.parametrize("name", BINARY)
def test_commutativity_is_as_stated(name: str) -> None:
    # KL divides by its first argument's leading dimension, cosine flattens by it: neither commutes.
    operation = EZNAS.words[name]
    swaps = [
        torch.equal(operation.apply(torch_of(a), torch_of(b)), operation.apply(torch_of(b), torch_of(a)))
        for a, b in [(normal(4, 4, seed=s), np.abs(normal(4, 4, seed=s + 50))) for s in range(10)]
    ]
    commutes = all(swaps)
    assert commutes == operation.commutative or name == "cosine"


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.associative], ids=lambda o: o.name)
def test_associative_operations_are(operation: Operation) -> None:
    a, b, c = (torch_of(normal(3, 3, seed=seed)) for seed in range(3))
    left = operation.apply(operation.apply(a, b), c)
    torch.testing.assert_close(left, operation.apply(a, operation.apply(b, c)))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.symbolic], ids=lambda o: o.name)
def test_the_symbolic_form_says_the_same(operation: Operation) -> None:
    sympy = pytest.importorskip("sympy")
    assert operation.symbolic is not None
    for numbers in itertools.product((-2.5, 0.75, 3.0), repeat=operation.arity):
        form = operation.symbolic(*map(sympy.Float, numbers))
        value = operation.apply(*(torch.tensor(number, dtype=torch.float64) for number in numbers))
        assert float(form) == pytest.approx(value.item(), rel=1e-12)


# Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", INPUTS)
@pytest.mark.parametrize("name", [name for name in UNARY if not name.startswith("eig_ratio")])
def test_unary_operation_is_its_oracle(name: str, label: str) -> None:
    check_against_oracle(EZNAS.words[name], [INPUTS[label]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "label"), [pair for pair in itertools.product(BINARY, INPUTS) if pair not in ORDER_DECIDES]
)
def test_binary_operation_is_its_oracle(name: str, label: str) -> None:
    for other in arguments(label):
        check_against_oracle(EZNAS.words[name], [INPUTS[label], other])
        check_against_oracle(EZNAS.words[name], [other, INPUTS[label]])


@pytest.mark.parametrize("label", sorted(FULL_RANK))
def test_symmetric_eigenvalue_ratio_is_scipys(label: str) -> None:
    check_against_oracle(EZNAS.words["eig_ratio_sym"], [INPUTS[label]])


@pytest.mark.parametrize("label", sorted(FULL_RANK - {"0-d"}))
def test_eigenvalue_ratio_is_one_of_the_ratios(label: str) -> None:
    # The unsymmetric solver promises no order, so only the set of ratios is certain.
    a = INPUTS[label]
    values = np.linalg.eigvals(gram(a)).real
    ratios = (values[:, None] / values[None, :]).ravel()
    value = EZNAS.words["eig_ratio"].apply(torch_of(a)).item()
    assert np.isclose(ratios, value, rtol=1e-8).any()


def test_eigenvalue_ratio_of_known_eigenvalues() -> None:
    diagonal = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    assert EZNAS.words["eig_ratio_sym"].apply(diagonal).item() == pytest.approx(9.0)
    assert EZNAS.words["eig_ratio"].apply(diagonal).item() == pytest.approx(9.0)
    assert EZNAS.words["eig_ratio"].apply(diagonal.flip(0).flip(1)).item() == pytest.approx(1 / 9)


@pytest.mark.parametrize("name", ["eig_ratio_sym", "eig_ratio"])
def test_eigenvalue_ratios_at_the_edges(name: str) -> None:
    apply = EZNAS.words[name].apply
    assert apply(torch_of(normal(1, 3, 8, 8))).item() == pytest.approx(1.0)
    assert math.isnan(apply(torch.zeros(3, 3)).item())
    assert math.isnan(apply(torch.zeros(3, 0)).item())
    for value in (math.nan, math.inf, 1e30):
        assert math.isnan(apply(torch.full((3, 3), value)).item())
    for refused in (torch.tensor(1.0), torch.zeros(0, 3)):
        with pytest.raises(ShapeError):
            apply(refused)


NOT_FINITE = np.array([[math.nan, math.inf], [-math.inf, 2.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log", [[math.nan, math.inf], [0.0, math.log(2)]]),
        ("abslog", [[math.nan, math.inf], [math.inf, math.log(2)]]),
        ("abs", [[math.nan, math.inf], [math.inf, 2.0]]),
        ("square", [[math.nan, math.inf], [math.inf, 4.0]]),
        ("exp", [[math.nan, math.inf], [0.0, math.exp(2)]]),
        ("normalise", [[0.0, 0.0], [0.0, 0.0]]),
        ("relu", [[math.nan, math.inf], [0.0, 2.0]]),
        ("reciprocal", [[math.nan, 0.0], [0.0, 0.5]]),
        ("heaviside", [[0.0, 1.0], [0.0, 1.0]]),
        ("positive", [[0.0, 1.0], [0.0, 1.0]]),
        ("negative", [[0.0, 0.0], [1.0, 0.0]]),
        ("fro", math.nan),
        ("det", math.nan),
        ("logdet", 0.0),
        ("mean", math.nan),
        ("l1", math.nan),
        ("sigmoid", [[math.nan, 1.0], [0.0, 1 / (1 + math.exp(-2))]]),
        ("ones_like", [[1.0, 1.0], [1.0, 1.0]]),
        ("zeros_like", [[0.0, 0.0], [0.0, 0.0]]),
        ("numel", 4.0),
    ],
)
def test_values_that_are_not_finite(name: str, expected: object) -> None:
    value = EZNAS.words[name].apply(torch_of(NOT_FINITE))
    np.testing.assert_allclose(value.numpy(), np.array(expected), rtol=1e-12, equal_nan=True)


def test_logdet_of_singular_and_negative_determinants() -> None:
    apply = EZNAS.words["logdet"].apply
    assert apply(torch.zeros(2, 2)).item() == -math.inf
    assert apply(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).item() == 0.0
    batch = torch.stack([torch.eye(3) * 2, -torch.eye(3)])
    np.testing.assert_allclose(apply(batch).numpy(), [3 * math.log(2), 0.0], rtol=1e-6)


@pytest.mark.parametrize(("value", "count"), [(0.1, 7), (0.1, 16384), (0.3, 1000), (123456.7, 1000), (1e30, 7)])
def test_normalise_of_a_constant_is_zero(value: float, count: int) -> None:
    constant = torch.full((count,), value)
    assert torch.equal(EZNAS.words["normalise"].apply(constant), torch.zeros(count))


def test_softmax_sums_to_one_over_channels() -> None:
    probabilities = EZNAS.words["softmax"].apply(torch_of(normal(2, 5, 3, 3) * 100))
    np.testing.assert_allclose(probabilities.sum(dim=1).numpy(), np.ones((2, 3, 3)), rtol=1e-12)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_single_precision_in_single_precision_out(operation: Operation) -> None:
    tensors = [torch_of(normal(3, 3, seed=seed), torch.float32) for seed in range(operation.arity)]
    value = operation.apply(*tensors)
    assert value.dtype == torch.float32
    if operation.name in ORACLES:
        arrays = [tensor.numpy().astype(np.float64) for tensor in tensors]
        np.testing.assert_allclose(value.numpy(), ORACLES[operation.name](*arrays), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_huge_single_precision_values_never_raise(operation: Operation) -> None:
    for value in (3e38, -3e38, 1e-45, math.inf, -math.inf, math.nan):
        tensors = [torch.full((4, 4), value), torch.eye(4)][: operation.arity]
        assert operation.apply(*tensors).shape == operation.shape(*[(4, 4)] * operation.arity)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_no_operation_changes_its_arguments(operation: Operation) -> None:
    special = np.array([[0.0, -0.0, -2.0], [3.0, math.nan, 1e30], [-1e30, 1.0, 0.5]])
    for arrays in ([special, special.T.copy()], [normal(3, 3), -np.abs(normal(3, 3))], [normal(2, 3, 3, 3)] * 2):
        tensors = [torch_of(array, torch.float32) for array in arrays[: operation.arity]]
        before = [tensor.clone() for tensor in tensors]
        value = operation.apply(*tensors)
        value.add_(1)  # a result that shares memory with an argument would carry this into it
        for tensor, copy in zip(tensors, before, strict=True):
            np.testing.assert_array_equal(tensor.numpy().view(np.int32), copy.numpy().view(np.int32))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_views_give_the_same_as_copies(operation: Operation) -> None:
    base = torch_of(np.abs(normal(3, 4, 4, 3)))
    views = [base.permute(0, 3, 1, 2), base.permute(3, 0, 2, 1)][: operation.arity]
    copies = [view.contiguous() for view in views]
    torch.testing.assert_close(operation.apply(*views), operation.apply(*copies), rtol=1e-8, atol=1e-10)


# Shapes ---------------------------------------------------------------------------------------------------------


def outcome(function: Callable[..., Shape], *args: object) -> Shape | None:
    try:
        return function(*args)
    except (ShapeError, RuntimeError, IndexError):
        return None


def executed(operation: Operation, shapes: tuple[Shape, ...]) -> Shape | None:
    plain = reference.OPERATIONS[operation.name]
    return outcome(lambda: tuple(plain(*(torch.rand(shape) for shape in shapes)).shape))


def random_shape(generator: random.Random) -> Shape:
    return tuple(generator.choice((0, 1, 1, 2, 2, 3, 3, 4, 6)) for _ in range(generator.randrange(6)))


def related_shape(shape: Shape, generator: random.Random) -> Shape:
    """A shape that has a fair chance to fit the first: broadcast, transposed, cut or the same."""
    ways: tuple[Callable[[], Shape], ...] = (
        lambda: shape,
        lambda: tuple(size if generator.random() < 0.6 else 1 for size in shape),
        lambda: shape[generator.randrange(len(shape) + 1) :],
        lambda: shape[:-2] + shape[:-3:-1],
        lambda: tuple(generator.sample(shape, len(shape))),
        lambda: random_shape(generator),
    )
    return generator.choice(ways)()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_the_shape_rule_is_what_execution_does(operation: Operation) -> None:
    generator = random.Random(operation.name)
    accepted = refused = 0
    for _ in range(400):
        first = random_shape(generator)
        shapes = (first, related_shape(first, generator))[: operation.arity]
        if generator.random() < 0.3:
            shapes = shapes[::-1]
        predicted = outcome(operation.shape, *shapes)
        assert predicted == executed(operation, shapes), (operation.name, shapes)
        if predicted is not None:
            assert operation.apply(*(torch.rand(shape) for shape in shapes)).shape == predicted
        accepted += predicted is not None
        refused += predicted is None
    assert accepted > 20
    takes_anything = operation.arity == 1 and operation.name not in {"det", "logdet", "eig_ratio_sym", "eig_ratio"}
    assert (refused == 0) == takes_anything


def test_broadcast_is_numpys() -> None:
    generator = random.Random(0)
    for _ in range(3000):
        first = random_shape(generator)
        second = related_shape(first, generator)
        try:
            expected = np.broadcast_shapes(first, second)
        except ValueError:
            with pytest.raises(ShapeError, match="do not broadcast"):
                broadcast(first, second)
        else:
            assert broadcast(first, second) == expected


def test_a_refusal_names_the_shapes_and_is_the_users() -> None:
    with pytest.raises(InputError, match=r"\(2, 3\) and \(4, 5\).*3 and 4 differ") as caught:
        EZNAS.words["matmul"].shape((2, 3), (4, 5))
    assert caught.value.exit_code == 2
    with pytest.raises(ShapeError, match=r"square.*\(2, 3\)"):
        EZNAS.words["det"].shape((2, 3))


def test_normalise_of_tiny_values_is_that_of_the_same_values_scaled() -> None:
    """Squares of such values are zero in float32."""
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(3))
    expected = (values - values.mean()) / values.std()
    normalise = next(operation for operation in OPERATIONS if operation.name == "normalise")
    torch.testing.assert_close(normalise.apply(values * 1e-24), expected, rtol=1e-5, atol=1e-6)
