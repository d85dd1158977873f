"""The 22 tensors of an instance (EZNAS, section 3.2), one row each.

A place is where in an instance a tensor is read: the input of the ReLU (T1), the input and the weight of the
convolution (T2, T3), the output of the BatchNorm (T4). Each is there with its gradient (T1G to T4G), and each but
the weight itself for data (D), for noise (N) and for perturbed data (P), which programs see as the difference from
D.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

Input = Literal["D", "N", "P"]
Kind = Literal["input", "weight", "output"]
End = Literal["input", "output", "weight"]

INPUTS: tuple[Input, ...] = get_args(Input)
"""What goes through a network: data, noise, perturbed data."""

_WORDS: dict[Input, str] = {
    "D": " for data",
    "N": " for noise",
    "P": ", what changes in it when data are perturbed",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an instance a tensor is read.

    kind: whose shape it has: of the convolution's weight, of what comes in, or of what goes out
    meaning: what it is, in words
    call, end: which call of an instance has it, and at which end, unless a pattern reads it elsewhere
    through: whether its gradient is the one that comes through that call alone, see `zcsr.networks.patterns.Read`
    shared: whether it is the same whatever goes through the network
    """

    name: str
    kind: Kind
    meaning: str
    call: str
    end: End
    through: bool = False
    shared: bool = False


PLACES = (
    Place("T1", "input", "the ReLU's input", "relu", "input", through=True),
    Place("T2", "input", "the convolution's input", "convolution", "input"),
    Place("T3", "weight", "the convolution's weight", "convolution", "weight", shared=True),
    Place("T4", "output", "the BatchNorm's output", "norm", "output"),
)


class Leaf:
    """What has no arguments: all that `Operation` says of operations, of which nothing is known here."""

    __slots__ = ()

    step: ClassVar[bool] = False
    sign: ClassVar[str] = "any"
    indicator: ClassVar[bool] = False
    even: ClassVar[bool] = False
    keeps_positivity: ClassVar[bool] = False
    commutative: ClassVar[bool] = False
    associative: ClassVar[bool] = False
    keeps_shape: ClassVar[bool] = False
    aggregates: ClassVar[bool] = False
    from_shape: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class Tensor(Leaf):
    """One row of the tensor table.

    `input` says what went through the network, None for a tensor that is the same whatever did. Programs see a
    tensor with a `reference` as the difference from the tensor of that name.
    """

    place: Place
    gradient: bool
    input: Input | None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.measured + (f"_{self.input}" if self.input else ""))

    def type_of(self) -> Literal["tensor"]:
        """The type of its value in a program."""
        return "tensor"

    @property
    def measured(self) -> str:
        """What is measured in each pass, such as T1G."""
        return self.place.name + ("G" if self.gradient else "")

    @property
    def kind(self) -> Kind:
        """Whose shape it has."""
        return self.place.kind

    @property
    def order(self) -> tuple[bool, str, str]:
        """By what tensors are put in the order of the paper."""
        return self.gradient, self.place.name, self.input or ""

    @property
    def reference(self) -> str | None:
        """The tensor from which programs see this one as the difference; None where they see it as it is."""
        return f"{self.measured}_D" if self.input == "P" else None

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        place = f"the gradient at {self.place.meaning}" if self.gradient else self.place.meaning
        return place + (_WORDS[self.input] if self.input else "")

    @property
    def latex(self) -> str:
        r"""LaTeX such as `T_{1}^{D}`, and `\nabla T_{1}^{D}` for a gradient."""
        above = f"^{{{self.input}}}" if self.input else ""
        return (r"\nabla " if self.gradient else "") + f"T_{{{self.place.name[1:]}}}{above}"


def _tensors() -> Iterable[Tensor]:
    for gradient in (False, True):
        for place in PLACES:
            inputs: tuple[Input | None, ...] = (None,) if place.shared and not gradient else INPUTS
            yield from (Tensor(place, gradient, which) for which in inputs)


TENSORS: tuple[Tensor, ...] = tuple(_tensors())
"""The tensors of an instance, in the order of the paper."""

BY_NAME: dict[str, Tensor] = {tensor.name: tensor for tensor in TENSORS}
TENSOR_NAMES: tuple[str, ...] = tuple(BY_NAME)


def with_references(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Return the tensors and those that they are seen as the difference from, in the order of `TENSORS`."""
    wanted = frozenset(tensors)
    needed = wanted | {BY_NAME[tensor.reference] for tensor in wanted if tensor.reference}
    return tuple(tensor for tensor in TENSORS if tensor in needed)
