"""A run as a file of settings, from which the same run can be made again: `zcsr evolve --config FILE`.

It is TOML, and its keys are the long options of `zcsr evolve` without their dashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from zcsr.evolve.config import NOTHING, EvolveConfig
from zcsr.language.program import Program
from zcsr.networks.config import StatisticsConfig
from zcsr.parameters import parameters_of

NAME = "config.toml"
"""What it is called in the folder of a run."""


def settings_text(
    tasks: Sequence[tuple[str, str]] | None,
    metrics: Sequence[str],
    test_networks: Sequence[int],
    config: EvolveConfig,
    statistics: StatisticsConfig | None,
    seeds: Sequence[Program],
    against: Sequence[str],
) -> str:
    """Return the settings of a run.

    tasks: each with its images; None for the embedded benchmark
    metrics, test_networks: of each task
    statistics: None for a run without tasks
    seeds: programs to begin with
    """
    lines = ["# zcsr evolve --config FILE makes this run again; options of the command line win."]
    lines += _of_tasks(tasks)
    said: dict[str, Any] = {"metric": _common(metrics), "test-networks": _common(test_networks)}
    for values in (config, *filter(None, [statistics])):
        for one in parameters_of(type(values)):
            if one.flag is not None and one.name != "initialisation":
                said[key_of(one.flag)] = getattr(values, one.name)
    if seeds:
        said["seed-program"] = [str(program) for program in seeds]
    said["against"] = list(against) or [NOTHING]
    lines += [f"{key} = {json.dumps(value)}" for key, value in said.items() if value is not None]
    return "\n".join([*lines, ""])


def key_of(flags: str) -> str:
    """Return the key of an option: the first of its flags without the dashes."""
    return flags.split()[0].lstrip("-")


def _of_tasks(tasks: Sequence[tuple[str, str]] | None) -> Iterator[str]:
    if tasks is None:
        return
    images = {given for _, given in tasks}
    own = all(task.partition(":")[2] == given for task, given in tasks)
    if not own and len(images) > 1:
        listed = ", ".join(f"{task} with {given}" for task, given in tasks)
        yield f"# Its tasks have several images, which no option can say: {listed}."
        return
    yield f"task = {json.dumps([task for task, _ in tasks])}"
    if not own:
        yield f"images = {json.dumps(images.pop())}"


def _common(values: Sequence[Any]) -> Any:
    """The value that all have; None where they differ."""
    return values[0] if len(set(values)) == 1 else None
