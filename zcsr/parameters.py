"""Parameters, each declared once: the field of a configuration with its default, its meaning and its bounds.

The check of a configuration, the command line, the tables of the store and the reports read the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, Field, dataclass, field, fields, replace
from typing import Any, ParamSpec, get_type_hints

from zcsr.errors import InputError

OUTSIDE = "{name} must be at least {least}; got {value}"
UNKNOWN = "{name} must be one of {choices}; got {value}"

P = ParamSpec("P")
Choices = Sequence[str] | Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a configuration.

    meaning: in words, without a capital or a full stop
    least, most: its bounds, which are allowed; None where there is none, and then a default of None is no number
    choices: the texts that are allowed, or what returns them; empty where it is no choice
    refusal: what a value that is not allowed is refused with, if not `OUTSIDE` or `UNKNOWN`; may take the other
        fields of this record, the `value` and the whole `config`
    flag: its option of the command line, and after a blank a short one; None where it has none
    ranged: whether the command line tells the bounds, and checks them before any computing
    unset: what a default of None stands for
    only_for: the algorithm, the representation or the language of programs that alone uses it; None where all do
    name: of the field, and of the column in tables
    kind: the type of its values; str where they are choices
    """

    default: Any
    meaning: str
    _: KW_ONLY
    least: float | None = None
    most: float | None = None
    choices: Choices = ()
    refusal: str | None = None
    flag: str | None = "--<name>"
    ranged: bool = False
    unset: str | None = None
    only_for: str | None = None
    name: str = ""
    kind: Any = str

    @property
    def help(self) -> str:
        """The meaning as a sentence."""
        return f"{self.meaning[0].upper()}{self.meaning[1:]}."

    def texts(self) -> tuple[str, ...]:
        """The choices."""
        return tuple(self.choices() if callable(self.choices) else self.choices)

    def allows(self, value: Any) -> bool:
        """Whether a value is one of the choices and within the bounds; NaN is within none."""
        if value is None or self.choices:
            # The default is allowed without asking what else is, which may load much.
            return value == self.default or value in self.texts()
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def _as_field(declare: Callable[P, Parameter]) -> Callable[P, Any]:
    def parameter(*args: P.args, **said: P.kwargs) -> Any:
        declared = declare(*args, **said)
        return field(default=declared.default, metadata={"meaning": declared.meaning, "parameter": declared})

    return parameter


parameter = _as_field(Parameter)
"""Returns the field of a frozen dataclass that declares a parameter, which says all but the name and the kind."""


def parameters_of(config: type) -> tuple[Parameter, ...]:
    """Return the parameters that a configuration declares, in their order."""
    hints = get_type_hints(config)
    return tuple(read_parameter(one.name, hints[one.name], one) for one in fields(config) if one.metadata)


def check(config: Any) -> None:
    """Raise InputError for the first value of a configuration that its parameter does not allow."""
    for one in parameters_of(type(config)):
        value = getattr(config, one.name)
        if not one.allows(value):
            choices = ", ".join(one.texts())
            refusal = one.refusal or (UNKNOWN if one.choices else OUTSIDE)
            words = {"name": one.name, "least": one.least, "choices": choices, "value": value, "config": config}
            raise InputError(refusal.format(**words))


def read_parameter(name: str, kind: Any, declared: Field[Any]) -> Parameter:
    """Return what a field made by `parameter` declares, for a name and the type of its values."""
    said: Parameter = declared.metadata["parameter"]
    flag = said.flag and said.flag.replace("<name>", name.strip("_").replace("_", "-"))
    return replace(said, name=name, kind=str if said.choices else kind, flag=flag)
