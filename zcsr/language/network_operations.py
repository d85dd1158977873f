"""How the numbers of instances become numbers of a network, and what a formula makes of these, one row each.

A network without instances has the number 0 by every aggregation, as EZNAS has it for the mean, so that it still
has a rank. On numbers of a network everything is exact arithmetic in float64; what is not defined (a division by
zero, the logarithm of what is not above 0) is NaN, and a program that gives it is refused by value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from zcsr.language import plain, shapes
from zcsr.language.operations import Operation, Sign, Type
from zcsr.language.tensors import Leaf

Values = npt.NDArray[np.float64]

# --- leaves -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant(Leaf):
    """A decimal number; equal to another of the same value."""

    value: float

    meaning: ClassVar[str] = "a constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.value + 0.0)  # no -0.0

    def type_of(self) -> Literal["score"]:
        """The type of its value in a program."""
        return "score"

    @property
    def sign(self) -> Sign:  # type: ignore[override]  # of this constant
        """Whether it is below 0."""
        return "any" if self.value < 0 else "never negative"

    @property
    def name(self) -> str:
        """The shortest text that gives the value back."""
        whole = self.value.is_integer() and abs(self.value) < 1e15
        return str(int(self.value)) if whole else repr(self.value)

    @property
    def latex(self) -> str:
        """The number as it is written."""
        return self.name


@dataclass(frozen=True, slots=True)
class Known(Leaf):
    """A number that is known of a network without any instance: a count, or the score by a known proxy.

    sign: whether it can be below 0, as `Operation` says it of operations
    """

    name: str
    meaning: str
    sign: str = "any"  # type: ignore[misc]  # of this row, where other leaves have one for all

    def type_of(self) -> Literal["score"]:
        """The type of its value in a program."""
        return "score"

    @property
    def latex(self) -> str:
        """The name as a word."""
        return rf"\mathrm{{{self.name}}}".replace("_", r"\_")


INSTANCES = "instances"
"""The count that the instances themselves give."""

COUNTS: tuple[Known, ...] = (
    Known("params", "number of parameters", "never negative"),
    Known("flops", "floating-point operations of the forward pass of one image", "never negative"),
    Known("depth", "most convolutional and linear layers on a way from the images to the logits", "never negative"),
    Known(INSTANCES, "number of instances", "never negative"),
)
"""What every network has."""

COUNTED = frozenset(count.name for count in COUNTS)
"""Their names."""


# --- operations -------------------------------------------------------------------------------------------------


def _aggregation(name: str, stacked: Callable[[Values], Any], *words: str, **facts: Any) -> Operation:
    meaning, latex, source = words
    return Operation(name, ("number",), stacked, shapes.scores, meaning, latex, source, "score", **facts)


def _of_scores(name: str, stacked: Callable[..., Any], *words: str, arity: int = 2, **facts: Any) -> Operation:
    meaning, latex, source = words

    def quietly(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return stacked(*args)

    scores: tuple[Type, ...] = ("score", "score")
    takes = scores[:arity]
    return Operation(name, takes, quietly, shapes.scores, meaning, latex, source, "score", **facts)


def _sympy(name: str) -> Callable[..., Any]:
    def symbolic(*args: Any) -> Any:
        import sympy

        return getattr(sympy, name)(*args)

    return symbolic


def _over_instances(function: Callable[..., Any]) -> Callable[[Values], Any]:
    return partial(function, axis=-1)


def _slope(values: Values) -> Values:
    places = np.linspace(-0.5, 0.5, values.shape[-1])
    rises = (values * places).sum(axis=-1)
    return rises / (places * places).sum() if values.shape[-1] > 1 else np.zeros_like(rises)


def _abslog(values: Values) -> Values:
    return np.log(np.where(values == 0, 1.0, np.abs(values)))


def _sign(words: Literal["as arguments", "never negative"]) -> dict[str, Any]:
    return {"sign": words}


_AS_ARGUMENTS, _NONNEGATIVE = _sign("as arguments"), _sign("never negative")
_SYMMETRIC: dict[str, Any] = {"commutative": True, "associative": True, "sign": "as arguments"}

NETWORK_AGGREGATIONS: tuple[Operation, ...] = (
    _aggregation("sum", _over_instances(np.sum), "sum over the instances", r"\sum {0}", "math.fsum({0})",
                 factors=True, **_AS_ARGUMENTS),
    _aggregation("average", _over_instances(np.mean), "mean over the instances", r"\frac{{1}}{{n}} \sum {0}",
                 "math.fsum({0}) / len({0})", factors=True, **_AS_ARGUMENTS),
    _aggregation("median", _over_instances(np.median), "median over the instances",
                 r"\operatorname{{median}} {0}", "statistics.median({0})", factors=True, **_AS_ARGUMENTS),
    _aggregation("largest", _over_instances(np.max), "largest over the instances", r"\max {0}", "max({0})",
                 factors=True, **_AS_ARGUMENTS),
    _aggregation("smallest", _over_instances(np.min), "smallest over the instances", r"\min {0}", "min({0})",
                 factors=True, **_AS_ARGUMENTS),
    _aggregation("std", _over_instances(np.std), "standard deviation over the instances",
                 r"\operatorname{{std}} {0}", "statistics.pstdev({0})", factors=True, **_NONNEGATIVE),
    _aggregation("first", lambda values: values[..., 0], "value of the first instance",
                 r"\operatorname{{first}} {0}", "{0}[0]", factors=True, **_AS_ARGUMENTS),
    _aggregation("last", lambda values: values[..., -1], "value of the last instance",
                 r"\operatorname{{last}} {0}", "{0}[-1]", factors=True, **_AS_ARGUMENTS),
    _aggregation("sum_abslog", lambda values: _abslog(values).sum(axis=-1),
                 "sum of log|x| over the instances, 0 read as 1", r"\sum \log\left|{0}\right|",
                 "math.fsum(abslogs({0}))", helpers=(plain.abslogs,)),
    _aggregation("mean_abslog", lambda values: _abslog(values).mean(axis=-1),
                 "mean of log|x| over the instances, 0 read as 1",
                 r"\frac{{1}}{{n}} \sum \log\left|{0}\right|", "math.fsum(abslogs({0})) / len({0})",
                 helpers=(plain.abslogs,)),
    _aggregation("slope", _slope,
                 "slope of the straight line through the values from the first instance, at 0, to the last, at 1",
                 r"\operatorname{{slope}} {0}", "slope({0})", factors=True, helpers=(plain.slope,)),
)  # fmt: skip
"""How the numbers of the instances become one number of the network: [instances] -> [], [k, instances] -> [k]."""

SCORE_OPERATIONS: tuple[Operation, ...] = (
    _of_scores("add", np.add, "sum A + B", "{0} + {1}", "{0} + {1}", symbolic=lambda a, b: a + b, **_SYMMETRIC),
    _of_scores("sub", np.subtract, "difference A - B", "{0} - {1}", "{0} - {1}", symbolic=lambda a, b: a - b),
    _of_scores("mul", np.multiply, "product A * B", r"{0} \cdot {1}", "{0} * {1}", symbolic=lambda a, b: a * b,
               **_SYMMETRIC),
    _of_scores("div", lambda a, b: np.where(b == 0, np.nan, np.divide(a, b)), "A / B, NaN where B is 0",
               r"\frac{{{0}}}{{{1}}}", "divided({0}, {1})", helpers=(plain.divided,),
               symbolic=lambda a, b: None if b.is_zero else a / b, **_AS_ARGUMENTS),
    _of_scores("neg", np.negative, "-A", "-{0}", "-{0}", arity=1, symbolic=lambda a: -a),
    _of_scores("abs", np.abs, "absolute value", r"\left|{0}\right|", "abs({0})", arity=1, symbolic=abs, even=True,
               **_NONNEGATIVE),
    _of_scores("log", lambda a: np.where(a > 0, np.log(a), np.nan), "natural logarithm, NaN where A <= 0",
               r"\log\left({0}\right)", "logarithm({0})", arity=1, helpers=(plain.logarithm,),
               symbolic=_sympy("log")),
    _of_scores("sqrt", np.sqrt, "square root, NaN below 0", r"\sqrt{{{0}}}", "root({0})", arity=1,
               helpers=(plain.root,), symbolic=_sympy("sqrt"), **_NONNEGATIVE),
    _of_scores("square", np.square, "A * A", r"\left({0}\right)^{{2}}", "{0} * {0}", arity=1,
               symbolic=lambda a: a**2, even=True, **_NONNEGATIVE),
    _of_scores("minimum", np.minimum, "the smaller of A and B", r"\min\left({0}, {1}\right)",
               "smaller({0}, {1})", helpers=(plain.smaller,), **_SYMMETRIC),
    _of_scores("maximum", np.maximum, "the larger of A and B", r"\max\left({0}, {1}\right)",
               "larger({0}, {1})", helpers=(plain.larger,), **_SYMMETRIC),
)  # fmt: skip
"""What a formula makes of numbers of a network."""

EMPTY = 0.0
"""What every aggregation gives for a network without instances."""
