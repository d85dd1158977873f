"""Parameters declared once: what they are, what is refused, and where their declaration is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import pytest
import typer

from zcsr.cli.app import app
from zcsr.errors import InputError
from zcsr.evolve.config import FITNESSES, EvolveConfig
from zcsr.nas.config import SearchConfig
from zcsr.networks.config import StatisticsConfig, TrainingConfig
from zcsr.parameters import check, parameter, parameters_of

CONFIGS = {"evolve": EvolveConfig, "test": StatisticsConfig, "search": SearchConfig, "train": TrainingConfig}


@dataclass(frozen=True)
class Invented:
    """A configuration of this test's own, with one field that is no parameter."""

    plain: int = 7
    count_: int = parameter(3, "things; whole", least=1, most=9)
    share: float = parameter(0.5, "share of it", least=0, refusal="{name} {value} of {config.plain} is no share")
    kind: str = parameter("a", "what it is", choices=("a", "b"), flag="--sort -s", only_for="tree")
    later: str = parameter("x", "what is known late", choices=lambda: ["x", "y"], flag=None)
    few: int | None = parameter(None, "how many", least=1, unset="all")


def test_a_declaration_is_read_with_its_flag_and_help() -> None:
    declared = {one.name: one for one in parameters_of(Invented)}
    assert list(declared) == ["count_", "share", "kind", "later", "few"]
    assert [one.flag for one in declared.values()] == ["--count", "--share", "--sort -s", None, "--few"]
    assert declared["count_"].help == "Things; whole."
    assert (declared["kind"].kind, declared["few"].kind) == (str, int | None)
    assert [one.only_for for one in declared.values()] == [None, None, "tree", None, None]


@pytest.mark.parametrize(
    "values", [{}, {"count_": 1}, {"count_": 9}, {"later": "y"}, {"few": 1}, {"share": math.inf}]
)
def test_what_is_allowed_passes(values: dict[str, Any]) -> None:
    check(Invented(**values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count_": 0}, "count_ must be at least 1; got 0"),
        ({"share": math.nan}, "share nan of 7 is no share"),
        ({"kind": "c"}, "kind must be one of a, b; got c"),
        ({"kind": None}, "kind must be one of a, b; got None"),
        ({"later": "z"}, "later must be one of x, y; got z"),
        ({"few": 0}, "few must be at least 1; got 0"),
    ],
)
def test_what_is_not_allowed_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        check(Invented(**values))
    assert str(refused.value) == message


@pytest.mark.parametrize("config", CONFIGS.values())
def test_every_field_of_a_configuration_is_declared_and_its_default_allowed(config: type) -> None:
    declared = parameters_of(config)
    assert [one.name for one in declared] == [field.name for field in fields(config)]
    assert all(one.allows(one.default) and one.meaning and not one.meaning.endswith(".") for one in declared)
    check(config())


def test_a_choice_that_has_an_option_names_all_it_may_be() -> None:
    declared = [one for config in CONFIGS.values() for one in parameters_of(config) if one.flag]
    assert [(one.name, text) for one in declared for text in one.texts() if text not in one.meaning] == []
    assert FITNESSES["absolute"].taken(-0.5) == 0.5


@pytest.mark.parametrize("command", CONFIGS)
def test_a_command_has_the_declared_options_with_their_defaults(command: str) -> None:
    options = {param.opts[0]: param for param in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    for one in parameters_of(CONFIGS[command]):
        if one.flag:
            assert (options[one.flag].help, options[one.flag].default) == (one.help, one.default)
