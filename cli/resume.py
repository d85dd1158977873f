"""What `zcsr evolve --resume` may be told, and what was decided when the run was started."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from zcsr.store.jobs.experiment import Experiment
    from zcsr.store.kept.runs import RunStore

FREE = frozenset({"run", "resume", "workers", "space_file", "store", "meter"})
"""Parameters that belong to a session, not to the run."""


def check_same_search(context: typer.Context, experiment: Experiment) -> None:
    """Raise InputError where a flag on the command line says other than the run was started with."""
    from zcsr.errors import InputError

    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    decided = _decided(experiment)
    for name in _given(context):
        if name not in FREE and _spelled(context.params[name]) != decided[name]:
            raise InputError(
                f"run {experiment.run.name} was started with {flags[name]} {decided[name]}, "
                f"not {_spelled(context.params[name])}; to go on with it, leave that flag out, "
                "or start a new run without --resume"
            )


def space_flags(run: RunStore) -> str:
    """The flags that name the files of a run's spaces again, after a blank each; "" when it has none."""
    files = dict.fromkeys(origin.where for origin in run.spaces().values() if origin.kind == "file")
    return "".join(f" --space-file {shlex.quote(file)}" for file in files)


def _given(context: typer.Context) -> list[str]:
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _decided(experiment: Experiment) -> Mapping[str, str]:
    """What the run was started with, as the command line's parameters spell it."""
    tasks = experiment.tasks
    statistics = tasks[0].collection.config
    config = experiment.config
    return {name: str(getattr(config, name)) for name in type(config).__dataclass_fields__} | {
        "networks": str(config.networks_per_task),
        "task": _spelled([task.task for task in tasks]),
        "images": _one_of(task.images for task in tasks),
        "metric": _one_of(task.metric for task in tasks),
        "test_networks": _one_of(len(task.test) for task in tasks),
        "batch_size": str(statistics.batch_size),
        "network_seed": str(statistics.seed),
        "pattern": statistics.pattern,
        "loss": statistics.loss,
    }


def _spelled(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _one_of(values: Iterable[object]) -> str:
    """The value that all have in common, or all of them."""
    return " and ".join(dict.fromkeys(map(str, values)))
