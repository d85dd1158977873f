"""Commands that take configurations and groups of options as objects, each field of which is an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import partial, wraps
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from zcsr.parameters import Parameter, parameters_of

T = TypeVar("T")
Later = Callable[[], T]
"""Makes the object when it is called, and refuses then what it cannot be made of."""


@dataclass(frozen=True, slots=True)
class Without:
    """Names a parameter of a configuration that a command does not offer."""

    name: str


@dataclass(frozen=True, slots=True)
class _Group:
    """An argument of a command that is made of options: its name, its class, and what is left out of that."""

    name: str
    made: type
    later: bool
    without: frozenset[str]

    def options(self) -> Iterator[inspect.Parameter]:
        hints = get_type_hints(self.made, include_extras=True)
        declared = {parameter.name: parameter for parameter in parameters_of(self.made)}
        for field in fields(self.made):
            parameter = declared.get(field.name)
            if parameter is None:
                default = inspect.Parameter.empty if field.default is MISSING else field.default
                yield _keyword(f"{self.name}_{field.name}", hints[field.name], default)
            elif parameter.flag and field.name not in self.without:
                yield _keyword(f"{self.name}_{field.name}", _option(parameter), parameter.default)

    def take(self, values: dict[str, Any]) -> Any:
        """The object, made of its options' values, which are taken out of `values`."""
        names = {field.name: f"{self.name}_{field.name}" for field in fields(self.made)}
        make = partial(self.made, **{name: values.pop(key) for name, key in names.items() if key in values})
        return make if self.later else make()


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with options in place of its arguments that are dataclasses, which it is handed made.

    An option of a command is known as `<argument>_<field>`. A field is an option as its annotation says, or by its
    declaration as a parameter.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: group for name, hint in hints.items() if (group := _group(name, hint))}

    @wraps(command)
    def run(**values: Any) -> None:
        command(**{group.name: group.take(values) for group in groups.values()} | values)

    arguments = inspect.signature(command, eval_str=True).parameters
    expanded = [
        one for name in arguments for one in (groups[name].options() if name in groups else [arguments[name]])
    ]
    signature = inspect.Signature([one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in expanded])
    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


def spelled_by(name: str, config: Any) -> Mapping[str, str]:
    """What the options of a command's argument `name` would be given as, to make this configuration."""
    return {f"{name}_{one.name}": str(getattr(config, one.name)) for one in parameters_of(type(config))}


def _group(name: str, hint: Any) -> _Group | None:
    later = get_origin(hint) is Callable
    hint = get_args(hint)[1] if later else hint
    made, *said = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if not is_dataclass(made):
        return None
    return _Group(name, made, later, frozenset(one.name for one in said if isinstance(one, Without)))


def _option(parameter: Parameter) -> Any:
    bounds = {"min": parameter.least, "max": parameter.most} if parameter.ranged else {}
    shown = parameter.unset or True
    return Annotated[
        parameter.kind, typer.Option(parameter.flag, help=parameter.help, show_default=shown, **bounds)
    ]


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
