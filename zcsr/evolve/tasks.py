"""The networks a run learns from and those it is tested on, and which of them a program is probed with."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from zcsr.errors import InputError
from zcsr.evolve.config import EvolveConfig

T = TypeVar("T")

TEST_NETWORKS = 100
"""Networks of each task that a run is tested on when nothing else is said."""

_FEWEST_TESTED = 2  # one network has no rank
_FEWEST_HELD_OUT = 10


@dataclass(frozen=True, slots=True, eq=False)
class TaskData:
    """Networks of one task with their accuracies in percent, in the same order: `accuracies` is [networks]."""

    task: str
    archs: tuple[str, ...]
    accuracies: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.archs) != len(self.accuracies):
            raise InputError(f"{self.task}: {len(self.archs)} networks but {len(self.accuracies)} accuracies")
        if len(set(self.archs)) != len(self.archs):
            raise InputError(f"{self.task}: an architecture is given twice; each must be given once")
        if not np.isfinite(self.accuracies).all():
            raise InputError(f"{self.task}: an accuracy is not a number; leave such networks out")

    @property
    def space(self) -> str:
        """The search space's name: what precedes the colon in the task."""
        return self.task.partition(":")[0]

    def accuracies_of(self, archs: Sequence[str]) -> NDArray[np.float64]:
        """Return the accuracies of some of the task's networks, in the order asked for."""
        by_arch = dict(zip(self.archs, self.accuracies, strict=True))
        return np.array([by_arch[arch] for arch in archs], dtype=np.float64)

    def subset(self, archs: Sequence[str]) -> TaskData:
        """Return some of the task's networks, in the order asked for."""
        return TaskData(self.task, tuple(archs), self.accuracies_of(archs))


@dataclass(frozen=True, slots=True)
class Split:
    """One task's networks for evolution and for the test; no network is in both, see `split`."""

    evolve: TaskData
    test: TaskData


def split(
    tables: Sequence[TaskData],
    canonical: Mapping[str, Callable[[str], str]],
    config: EvolveConfig,
    test_networks: int | None = None,
) -> tuple[Split, ...]:
    """Draw each table's networks for evolution (`networks_per_task`) and for the test.

    A search over fronts takes at most half of a table for evolution.
    Stratified networks are one each of as many strata of accuracy, of one size.

    `test_networks` of each are tested on; when None, `TEST_NETWORKS`, or all that are left where these are fewer.

    `tables` hold all known networks of each task, `canonical` each space's function from an architecture to the
    representative of its isomorphism class. Test networks are drawn from those that evolution never sees in any
    task of the same space, neither themselves nor in an isomorphic form. Deterministic in the tables and the
    config's seed. Raises InputError, with the numbers, when there are too few.
    """
    check_distinct(tables)
    evolve = [_drawn_for_evolution(table, config) for table in tables]
    seen: dict[str, set[str]] = defaultdict(set)
    for data in evolve:
        seen[data.space].update(map(canonical[data.space], data.archs))
    return tuple(
        Split(drawn, _drawn_for_test(table, seen[table.space], canonical[table.space], config.seed, test_networks))
        for table, drawn in zip(tables, evolve, strict=True)
    )


def held_out(config: EvolveConfig, data: TaskData) -> tuple[TaskData, TaskData]:
    """Return a task's evolution networks in two: what selection sees, and what chooses the finalists.

    Neither part is smaller than `_FEWEST_HELD_OUT`; where that cannot be, the second is empty.
    """
    count = round(config.held_out * len(data.archs))
    if count < _FEWEST_HELD_OUT or len(data.archs) - count < _FEWEST_HELD_OUT:
        return data, data.subset(())
    generator = random.Random(f"{config.seed}/held_out/{data.task}")
    chosen = set(sample(data.archs, count, generator))
    return (
        data.subset([arch for arch in data.archs if arch not in chosen]),
        data.subset([arch for arch in data.archs if arch in chosen]),
    )


def choose_probes(config: EvolveConfig, tasks: Sequence[TaskData]) -> dict[str, tuple[str, ...]]:
    """Return, by task, the `probe_networks` evolution networks on which every program must run."""
    return {
        task.task: sample(task.archs, config.probe_networks, random.Random(f"{config.seed}/probes/{task.task}"))
        for task in tasks
    }


def check_distinct(tables: Sequence[TaskData]) -> None:
    """Raise InputError unless there is at least one task, and each is there once."""
    names = [table.task for table in tables]
    if not names or len(set(names)) != len(names):
        raise InputError(f"a run needs at least one task, each once; got {', '.join(names) or 'none'}")


def _drawn_for_evolution(table: TaskData, config: EvolveConfig) -> TaskData:
    wanted = config.networks_per_task
    if config.algorithm == "front":  # which has a use for few networks, where Algorithm 1 draws from a fixed number
        wanted = min(wanted, max(_FEWEST_TESTED, len(table.archs) // 2))
    if len(table.archs) < wanted:
        raise InputError(
            f"{table.task} has accuracies of {len(table.archs)} networks, fewer than the {wanted} that evolution "
            f"takes from each task; import more, or ask for fewer networks per task"
        )
    generator = random.Random(f"{config.seed}/split/{table.task}/evolve")
    if config.sampling == "uniform":
        return table.subset(sample(table.archs, wanted, generator))
    by_accuracy = np.argsort(table.accuracies, kind="stable")
    drawn = {int(generator.choice(stratum)) for stratum in np.array_split(by_accuracy, wanted)}
    return table.subset([table.archs[place] for place in sorted(drawn)])


def _drawn_for_test(
    table: TaskData, seen: set[str], canonical: Callable[[str], str], seed: int, wanted: int | None
) -> TaskData:
    free = [arch for arch in table.archs if canonical(arch) not in seen]
    wanted = max(_FEWEST_TESTED, min(TEST_NETWORKS, len(free))) if wanted is None else wanted
    if len(free) < wanted:
        raise InputError(
            f"{table.task} has accuracies of {len(table.archs)} networks, of which {len(free)} are not isomorphic "
            f"to a network of evolution in {table.space}: fewer than the {wanted} test networks asked for; "
            f"ask for at most {len(free)}"
        )
    return table.subset(sample(free, wanted, random.Random(f"{seed}/split/{table.task}/test")))


def sample(items: Sequence[T], count: int, generator: random.Random) -> tuple[T, ...]:
    """Return so many of the items, drawn without replacement, in the order of the whole."""
    return tuple(items[position] for position in sorted(generator.sample(range(len(items)), count)))
