"""What `zcsr evolve --resume` may be told, and what was decided when the run was started."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from zcsr.cli.groups import spelled_by
from zcsr.errors import InputError

if TYPE_CHECKING:
    from zcsr.store.jobs.experiment import Experiment
    from zcsr.store.kept.runs import RunStore


def check_same_search(context: typer.Context, experiment: Experiment) -> None:
    """Raise InputError where a flag on the command line says other than the run was started with."""
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name, decided in _decided(experiment).items():
        given = _given(context, name)
        if given not in (None, decided):
            raise InputError(
                f"run {experiment.run.name} was started with {flags[name]} {decided}, not {given}; to go on with "
                "it, leave that flag out, or start a new run without --resume"
            )


def space_flags(run: RunStore) -> str:
    """The flags that name the files of a run's spaces again, after a blank each; "" when it has none."""
    files = dict.fromkeys(origin.where for origin in run.spaces().values() if origin.kind == "file")
    return "".join(f" --space-file {shlex.quote(file)}" for file in files)


def _given(context: typer.Context, name: str) -> str | None:
    """What the command line itself says for a parameter, spelled as it is there."""
    source = context.get_parameter_source(name)
    return _spelled(context.params[name]) if source is not None and source.name == "COMMANDLINE" else None


def _decided(experiment: Experiment) -> Mapping[str, str]:
    """What the run was started with, as the command line's parameters spell it; all others belong to a session."""
    tasks = experiment.tasks
    return {
        "task": _spelled([task.task for task in tasks]),
        "images": _one_of(task.images for task in tasks),
        "metric": _one_of(task.metric for task in tasks),
        **spelled_by("config", experiment.config),
        "test_networks": _one_of(len(task.test) for task in tasks),
        **spelled_by("statistics", tasks[0].collection.config),
    }


def _spelled(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _one_of(values: Iterable[object]) -> str:
    """The value that all have in common, or all of them."""
    return " and ".join(dict.fromkeys(map(str, values)))
