"""Commands that take configurations and groups of options as objects, each field of which is an option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import partial, wraps
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from zcsr.parameters import Parameter, parameter, parameters_of, read_parameter

T = TypeVar("T")
Later = Callable[[], T]
"""Makes the object when it is called, and refuses then what it cannot be made of."""

REQUIRED: Any = MISSING
"""The default of an option that must be given."""


def option(
    default: Any, meaning: str, *, least: int | None = None, flag: str = "--<name>", unset: str | None = None
) -> Any:
    """Return the declaration of an option that is no parameter of a configuration, and has its bounds checked."""
    return parameter(default, meaning, least=least, flag=flag, unset=unset, ranged=True)


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
        for one in fields(self.made):
            if one.name not in self.without:
                default = one if one.metadata else one.default
                yield from _options(f"{self.name}_{one.name}", hints[one.name], default, one.name)

    def take(self, values: dict[str, Any]) -> Any:
        """The object, made of its options' values, which are taken out of `values`."""
        names = {one.name: f"{self.name}_{one.name}" for one in fields(self.made)}
        make = partial(self.made, **{name: values.pop(key) for name, key in names.items() if key in values})
        return make if self.later else make()


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with options in place of its arguments that are dataclasses, which it is handed made.

    Options are what `option` or `parameter` declares, and what is annotated as one. That of a field of an argument
    is known as `<argument>_<field>`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: group for name, hint in hints.items() if (group := _group(name, hint))}

    @wraps(command)
    def run(**values: Any) -> None:
        command(**{group.name: group.take(values) for group in groups.values()} | values)

    expanded: list[inspect.Parameter] = []
    for name, one in inspect.signature(command).parameters.items():
        expanded += groups[name].options() if name in groups else _options(name, hints[name], one.default, name)
    run.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
    return run


def spelled_by(name: str, config: Any) -> Mapping[str, str]:
    """What the options of a command's argument `name` would be given as, to make this configuration."""
    return {f"{name}_{one.name}": str(getattr(config, one.name)) for one in parameters_of(type(config))}


def _group(name: str, hint: Any) -> _Group | None:
    later = get_origin(hint) is Callable
    hint = get_args(hint)[1] if later else hint
    made, *said = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if not (isinstance(made, type) and is_dataclass(made)):
        return None
    return _Group(name, made, later, frozenset(one.name for one in said if isinstance(one, Without)))


def _options(name: str, hint: Any, default: Any, field: str) -> Iterator[inspect.Parameter]:
    """The option of that name, if it is one, for an argument or a field with this type and default."""
    if isinstance(default, Field):
        declared = read_parameter(field, hint, default)
        if declared.flag is None:
            return
        hint, default = Annotated[declared.kind, _option(declared, declared.flag)], declared.default
    given = inspect.Parameter.empty if default is MISSING else default
    yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=given)


def _option(declared: Parameter, flag: str) -> Any:
    least, most = (declared.least, declared.most) if declared.ranged else (None, None)
    shown = declared.unset or True
    return typer.Option(*flag.split(), min=least, max=most, help=declared.help, show_default=shown)
