"""Parameters, each declared once: the field of a configuration with its default, its meaning and its bounds.

The check of a configuration, the command line, the tables of the store and the reports read the declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, get_type_hints

from zcsr.errors import InputError

OUTSIDE = "{name} must be at least {least}; got {value}"
UNKNOWN = "{name} must be one of {choices}; got {value}"

Choices = Sequence[str] | Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a configuration.

    name: of the field, and of the column in tables
    kind: the type of its values; str where they are choices
    meaning: in words, without a capital or a full stop
    least, most: its bounds, which are allowed; None where there is none, and then a default of None is no number
    choices: the texts that are allowed, or what returns them; empty where it is no choice
    refusal: what a value that is not allowed is refused with; may take the other fields of this record, the `value`
        and the whole `config`
    flag: its option of the command line, and after a blank a short one; None where it has none
    ranged: whether the command line tells the bounds, and checks them before any computing
    unset: what a default of None stands for
    only_for: the representation of programs that alone uses it; None where all do
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    least: float | None
    most: float | None
    choices: Choices
    refusal: str
    flag: str | None
    ranged: bool
    unset: str | None
    only_for: str | None

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
            return value in (self.texts() or (self.default,))
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def parameter(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Choices = (),
    refusal: str | None = None,
    flag: str | None = "--<name>",
    ranged: bool = False,
    unset: str | None = None,
    only_for: str | None = None,
) -> Any:
    """Return the field of a frozen dataclass that declares a parameter; see `Parameter` for what is said of it."""
    said = {
        "meaning": meaning,
        "least": least,
        "most": most,
        "choices": choices,
        "refusal": refusal or (UNKNOWN if choices else OUTSIDE),
        "flag": flag,
        "ranged": ranged,
        "unset": unset,
        "only_for": only_for,
    }
    return field(default=default, metadata=said)


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
            words = {"name": one.name, "least": one.least, "choices": choices, "value": value, "config": config}
            raise InputError(one.refusal.format(**words))


def read_parameter(name: str, kind: Any, declared: Field[Any]) -> Parameter:
    """Return what a field made by `parameter` declares, for a name and the type of its values."""
    flag, choices = declared.metadata["flag"], declared.metadata["choices"]
    spelled = flag and flag.replace("<name>", name.strip("_").replace("_", "-"))
    said = {**declared.metadata, "flag": spelled}
    return Parameter(name, str if choices else kind, declared.default, **said)
