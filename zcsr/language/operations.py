"""The operations of programs, one row each with all that is known of it: this table is the only list.

A row's function is pure and works on stacks (`zcsr.language.kernels`), so that many instances cost one call. Where
the released implementation of the paper is known to slip (`log` and `abslog` writing into their argument, `abslog`
of the wrong quantity), the row follows the paper's table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from zcsr.language import kernels, plain, shapes
from zcsr.language.shapes import Shape

Type = Literal["tensor", "number", "score"]
"""What a part of a program is: a tensor of an instance, one number of an instance, or one number of a network.

A number is a tensor of shape (), and is taken wherever a tensor is, unless a row says otherwise.
"""

Of = Literal["activations", "weights"]
"""What a tensor of an instance is made of: of weights, and their gradients, alone, or of anything else."""

Sign = Literal["any", "never negative", "as arguments"]
"""Whether an element of the value can be below 0 (it may be NaN); "as arguments": not where theirs cannot."""

_ANY_SHAPE = (2, 2, 3, 3)  # square in every pair of dimensions that an operation looks at, so that none refuses it


@dataclass(frozen=True, eq=False)
class Operation:
    """One row of the operation table; rows are the same when they are the same object.

    computing
      stacked: the values of stacks, all of one length of at least 1: `[k, *shape]` for each argument, and for the
        result; for an aggregation, from the numbers of instances, float64 [instances] of at least 1, to one number;
        for an operation on scores, from float64 arrays of one shape, a network each, to another
      shape: the value's shape from the arguments' shapes, without the stack; raises `ShapeError` exactly where
        they are refused
      takes, gives: the types of its arguments and of its value
      takes_numbers: whether a number will do where it takes a tensor
      of: of what its argument must be made; None where that makes no difference
      elementwise: each element of the result is made of the elements at the same place, so it may be given tensors
        that only broadcast to `[k, *shape]`, and then returns such a one
      from_shape: the number that fills the value, where that depends on the argument's shape alone
      of_repeated: the factor of the value where each element is there so many times; lets the operation take a
        tensor that is the same all over as the one element that it is
    algebra
      commutative, associative: what may change places, and be regrouped
      neutral: the operation that gives, of a fellow term, a term without effect
      twice: the operation that a term which occurs twice becomes
      sign: see `Sign`
      indicator: whether all elements are 0 or 1
      even: whether a sign of the argument makes no difference
      keeps_positivity: whether its value is above 0 where its argument is
      symbolic: the algebraic form from sympy expressions, None for arguments that have none; without it the
        operation is opaque to algebra (a function of that name about which nothing is assumed)
    words
      meaning: what it is, in a line
      latex: a template with one `{i}` per argument
      factors: whether LaTeX puts sums among the arguments into parentheses
      source: how a file that needs torch alone writes it, with one `{i}` per argument; `helpers` are the functions
        that the file needs for that, by their source
      stands_for: for a step after an arrow, the operation that says the same within an expression
      step: whether it is written after an arrow, and no node of the tree that is counted
    """

    name: str
    takes: tuple[Type, ...]
    stacked: Callable[..., Any]
    shape: Callable[..., Shape]
    meaning: str
    latex: str
    source: str
    gives: Type = "tensor"
    takes_numbers: bool = True
    of: Of | None = None
    symbolic: Callable[..., Any] | None = None
    helpers: tuple[Callable[..., Any], ...] = ()
    elementwise: bool = False
    commutative: bool = False
    associative: bool = False
    neutral: str | None = None
    twice: str | None = None
    sign: Sign = "any"
    indicator: bool = False
    even: bool = False
    keeps_positivity: bool = False
    from_shape: Callable[[Shape], float] | None = None
    of_repeated: Callable[[float], float] | None = None
    factors: bool = False
    stands_for: str | None = None
    step: bool = False

    @property
    def arity(self) -> int:
        """How many arguments it takes."""
        return len(self.takes)

    @property
    def keeps_shape(self) -> bool:
        """Whether the value has its only argument's shape."""
        return self.shape is shapes.same

    @cached_property
    def makes_number(self) -> bool:
        """Whether the value is one number whatever the arguments' shapes are."""
        return self.gives == "tensor" and self.shape(*[_ANY_SHAPE] * self.arity) == ()

    @property
    def reads_rows(self) -> bool:
        """Whether its number is of the rows of a matrix, so that it matters what they are."""
        return self.shape is shapes.with_rows_to_number

    @property
    def aggregates(self) -> bool:
        """Whether it makes one number of a network of the numbers of its instances."""
        return self.gives == "score" and self.takes == ("number",)

    def accepts(self, types: Sequence[Type], of: Of) -> bool:
        """Whether it takes arguments of these types, the first of which is made of `of`."""
        return (
            len(types) == self.arity
            and self.of in (None, of)
            and all(
                seen == wanted or (self.takes_numbers and (seen, wanted) == ("number", "tensor"))
                for seen, wanted in zip(types, self.takes, strict=True)
            )
        )

    def apply(self, *args: Tensor) -> Tensor:
        """Return the value for tensors as they are, without a stack; `ShapeError` where they are refused."""
        self.shape(*(tuple(arg.shape) for arg in args))
        value: Tensor = self.stacked(*(arg.unsqueeze(0) for arg in args)).squeeze(0)
        return value

    def type_of(self, *args: Type) -> Type:
        """Return the type of the value for arguments of these types."""
        broadcasts = self.shape in (shapes.same, shapes.broadcast)
        if self.gives == "tensor" and (self.makes_number or (broadcasts and set(args) == {"number"})):
            return "number"
        return self.gives

    @property
    def identity(self) -> tuple[str, bool, Type, tuple[Type, ...], Of | None]:
        """What tells it from all other rows."""
        return self.name, self.step, self.gives, self.takes, self.of

    def __reduce__(self) -> tuple[Callable[..., Operation], tuple[str, bool, Type, tuple[Type, ...], Of | None]]:
        from zcsr.language.languages import operation_identified

        return operation_identified, self.identity


def _symbolic_exp(a: Any) -> Any:
    import sympy

    return sympy.exp(a)


def _symbolic_square(a: Any) -> Any:
    # sympy would carry out the squares of squares of a number digit by digit.
    coefficient = a.as_coeff_Mul()[0]
    large = (
        coefficient.is_Rational and max(int(part).bit_length() for part in coefficient.as_numer_denom()) > _MAX_BITS
    )
    return None if large else a**2


_MAX_BITS = 64


def taking(*types: Type) -> Callable[..., Operation]:
    """Return what makes a row for arguments of these types: of a name, what computes, the shape rule, and words."""

    def row(
        name: str, stacked: Callable[..., Tensor], shape: Callable[..., Shape], *words: str, **facts: Any
    ) -> Operation:
        meaning, latex, source = words
        return Operation(name, types, stacked, shape, meaning, latex, source, **facts)

    return row


unary, binary = taking("tensor"), taking("tensor", "tensor")


def elementwise(name: str, stacked: Callable[..., Tensor], *words: str, **facts: Any) -> Operation:
    """Return a row that makes each element of the one at the same place."""
    return unary(name, stacked, shapes.same, *words, elementwise=True, **facts)


def pairwise(name: str, stacked: Callable[..., Tensor], *words: str, **facts: Any) -> Operation:
    """Return a row that makes each element of the two at the same place, of tensors that broadcast."""
    return binary(name, stacked, shapes.broadcast, *words, elementwise=True, **facts)


_INDICATOR: dict[str, Any] = {"sign": "never negative", "indicator": True}

OPERATIONS: tuple[Operation, ...] = (
    pairwise("add", kernels.pairwise(torch.add), "sum A + B", "{0} + {1}", "{0} + {1}",
             symbolic=lambda a, b: a + b, commutative=True, associative=True, neutral="zeros_like",
             sign="as arguments"),
    pairwise("sub", kernels.pairwise(torch.sub), "difference A - B", "{0} - {1}", "{0} - {1}",
             symbolic=lambda a, b: a - b),
    pairwise("mul", kernels.pairwise(torch.mul), "element-wise product A * B", r"{0} \odot {1}", "{0} * {1}",
             symbolic=lambda a, b: a * b, commutative=True, associative=True, neutral="ones_like", twice="square",
             sign="as arguments"),
    binary("matmul", kernels.matmul, shapes.matmul, "matrix product A @ B over the last two dimensions", "{0} {1}",
           "{0} @ {1}", sign="as arguments", factors=True),
    pairwise("lt", kernels.compare(torch.lt), "1 where A < B, else 0", r"\left[{0} < {1}\right]",
              "({0} < {1}).to({0}.dtype)", **_INDICATOR),
    pairwise("gt", kernels.compare(torch.gt), "1 where A > B, else 0", r"\left[{0} > {1}\right]",
              "({0} > {1}).to({0}.dtype)", **_INDICATOR),
    pairwise("eq", kernels.compare(torch.eq), "1 where A equals B, else 0", r"\left[{0} = {1}\right]",
              "({0} == {1}).to({0}.dtype)", commutative=True, **_INDICATOR),
    elementwise("log", kernels.log, "natural logarithm, with A <= 0 read as 1", r"\log^{{+}}\left({0}\right)",
                "torch.where({0} <= 0, 1.0, {0}).log()"),
    elementwise("abslog", kernels.abslog, "log|A|, with A = 0 read as 1", r"\log\left|{0}\right|",
                "torch.where({0} == 0, 1.0, {0}.abs()).log()", even=True),
    elementwise("abs", torch.abs, "absolute value", r"\left|{0}\right|", "{0}.abs()", symbolic=abs, even=True,
                sign="never negative"),
    elementwise("square", torch.square, "A * A", r"\left({0}\right)^{{2}}", "{0}.square()",
                symbolic=_symbolic_square, even=True, sign="never negative"),
    elementwise("exp", kernels.exp, "exponential", r"e^{{{0}}}", "{0}.exp()", symbolic=_symbolic_exp,
                sign="never negative"),
    unary("normalise", kernels.normalise, shapes.same,
          "(A - mean) / standard deviation over all elements (unbiased), NaN set to 0",
          r"\operatorname{{normalise}}\left({0}\right)", "normalise({0})",
          helpers=(plain.nan_to_zero, plain.normalise)),
    elementwise("relu", torch.relu, "max(A, 0)", r"\operatorname{{relu}}\left({0}\right)", "torch.relu({0})",
                sign="never negative", keeps_positivity=True),
    elementwise("sign", torch.sign, "-1, 0 or 1", r"\operatorname{{sign}}\left({0}\right)", "torch.sign({0})",
                keeps_positivity=True),
    elementwise("heaviside", kernels.positive, "step function, 0 at 0", r"H\left({0}\right)",
              "({0} > 0).to({0}.dtype)", **_INDICATOR),
    elementwise("reciprocal", torch.reciprocal, "1 / A", r"\frac{{1}}{{{0}}}", "1 / {0}",
                symbolic=lambda a: None if a.is_zero else 1 / a),
    unary("fro", kernels.fro, shapes.number, "Frobenius norm over all elements, a number",
          r"\left\lVert {0} \right\rVert_F", "torch.linalg.vector_norm({0})", even=True, sign="never negative"),
    unary("det", kernels.by_matrix(torch.linalg.det), shapes.square_matrices,
          "determinant of the matrices in the last two dimensions", r"\det\left({0}\right)",
          "torch.linalg.det({0})"),
    unary("logdet", kernels.by_matrix(lambda a: plain.nan_to_zero(torch.logdet(a))), shapes.square_matrices,
          "logarithm of the determinant over the last two dimensions, NaN (a negative one) set to 0",
          r"\log\det\left({0}\right)", "nan_to_zero(torch.logdet({0}))", helpers=(plain.nan_to_zero,)),
    unary("eig_ratio_sym", kernels.eig_ratio_sym, shapes.rows_to_number,
          "largest over smallest eigenvalue of G + G', G the Gram matrix of A flattened to rows",
          r"\rho_{{\mathrm{{sym}}}}\left({0}\right)", "eig_ratio_sym({0})",
          helpers=(plain.gram, plain.last_over_first, plain.eig_ratio_sym)),
    unary("eig_ratio", kernels.eig_ratio, shapes.rows_to_number,
          "last over first eigenvalue, real part, of the Gram matrix of A flattened to rows",
          r"\rho\left({0}\right)", "eig_ratio({0})", helpers=(plain.gram, plain.last_over_first, plain.eig_ratio)),
    unary("mean", kernels.mean, shapes.number, "sum over the number of elements, a number", r"\overline{{{0}}}",
          "{0}.mean()", sign="as arguments"),
    unary("l1", lambda a: kernels.mean(a.abs()), shapes.number,
          "sum of |A| over the number of elements, a number", r"\left\lVert {0} \right\rVert_1",
          "{0}.abs().mean()", even=True, sign="never negative"),
    binary("hamming", kernels.hamming, shapes.broadcast_to_number,
           "number of elements whose step function differs between A and B", r"d_H\left({0}, {1}\right)",
           "(({0} > 0) != ({1} > 0)).sum().to({0}.dtype)", commutative=True, sign="never negative"),
    binary("kl", kernels.kl, shapes.kl,
           "Kullback-Leibler divergence, A as log-probabilities, B as target, over the leading dimension",
           r"\operatorname{{KL}}\left({0}, {1}\right)", 'F.kl_div({0}, {1}, reduction="sum") / {0}.shape[0]'),
    binary("cosine", kernels.cosine, shapes.cosine,
           "cosine similarity of A and B flattened to A's leading dimension, summed over the rows",
           r"\cos\left({0}, {1}\right)", "cosine({0}, {1})", helpers=(plain.cosine,)),
    unary("softmax", kernels.softmax, shapes.same,
          "softmax over dimension 1 (dimension 0 of tensors with 0, 1 or 3 dimensions)",
          r"\operatorname{{softmax}}\left({0}\right)", "softmax({0})", helpers=(plain.softmax,),
          sign="never negative"),
    elementwise("sigmoid", kernels.sigmoid, "logistic function", r"\sigma\left({0}\right)", "torch.sigmoid({0})",
                sign="never negative"),
    unary("ones_like", torch.ones_like, shapes.same, "ones in the shape of A", r"\mathbf{{1}}\left({0}\right)",
          "torch.ones_like({0})", from_shape=lambda _: 1.0, **_INDICATOR),
    unary("zeros_like", torch.zeros_like, shapes.same, "zeros in the shape of A", r"\mathbf{{0}}\left({0}\right)",
          "torch.zeros_like({0})", from_shape=lambda _: 0.0, **_INDICATOR),
    elementwise("positive", kernels.positive, "1 where A > 0, else 0", r"\left[{0} > 0\right]",
              "({0} > 0).to({0}.dtype)", keeps_positivity=True, **_INDICATOR),
    elementwise("negative", kernels.negative, "1 where A < 0, else 0", r"\left[{0} < 0\right]",
              "({0} < 0).to({0}.dtype)", **_INDICATOR),
    unary("numel", kernels.numel, shapes.number, "number of elements", r"\left|{0}\right|_{{\#}}",
          "{0}.new_tensor(float({0}.numel()))", from_shape=lambda shape: float(math.prod(shape)),
          sign="never negative"),
)  # fmt: skip
"""The 34 operations of EZNAS (Table 5), which take tensors of any shape and give tensors."""

READOUTS: tuple[Operation, ...] = (
    Operation("mean", ("tensor",), kernels.readout_mean, shapes.number, "mean of the elements", r"\overline{{{0}}}",
              "{0}.mean()", "number", of_repeated=lambda _: 1.0, stands_for="mean", step=True),
    Operation("l2", ("tensor",), kernels.fro, shapes.number, "L2 norm of the elements",
              r"\left\lVert {0} \right\rVert_F", "torch.linalg.vector_norm({0})", "number", of_repeated=math.sqrt,
              stands_for="fro", step=True),
)  # fmt: skip
"""How the value of an expression becomes one number of an instance."""

AGGREGATIONS: tuple[Operation, ...] = (
    Operation("mean", ("number",), lambda values: values.mean(), shapes.number, "mean over the instances",
              r"\frac{{1}}{{n}} \sum {0}", "math.fsum({0}) / max(1, len({0}))", "score", stands_for="average",
              step=True),
    Operation("sum", ("number",), lambda values: values.sum(), shapes.number, "sum over the instances",
              r"\sum {0}", "math.fsum({0})", "score", stands_for="sum", step=True),
)  # fmt: skip
"""How the numbers of the instances become the score of a network."""
