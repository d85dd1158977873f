"""Programs on many networks: from stored statistics during a run, or collecting and forgetting them as it goes.

Networks are what is shared out among the workers, so each one's statistics are loaded or collected once and seen
by all the programs; results do not depend on how many workers there are.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zcsr.engine.workers import Workers, mapped, open_workers
from zcsr.errors import EvaluationError, InputError, ProgramError
from zcsr.evaluation import evaluate
from zcsr.evaluation.known import KnownOf
from zcsr.evaluation.scorer import Network, Pending, ProbeResult, Refusal, ShapesOfInstance, Wanted
from zcsr.language.network_operations import COUNTED
from zcsr.language.program import Node, Program, infer_shape
from zcsr.language.tensors import BY_NAME
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.config import Loss, StatisticsConfig
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.outputs import no_instance
from zcsr.networks.untrained import untrained
from zcsr.proxies import get_proxy
from zcsr.spaces import dataset_shape, get_space, space_names

if TYPE_CHECKING:
    from zcsr.language.shapes import Shape
    from zcsr.networks.images import ImageSet
    from zcsr.spaces import SearchSpace

Item = TypeVar("Item")
OfNetwork = TypeVar("OfNetwork", Pending, Wanted)

Load = Callable[[str, str], NetworkStatistics]
"""From a task's name and an architecture to its statistics; picklable where there are several workers."""

Refused = Callable[[str, str, str], None]
"""Is told of an architecture, a measure, and why there is no score."""

DEFAULT_MEMORY = 320 << 20
"""Bytes of statistics that each worker keeps."""

PROBED_TOGETHER = 8
"""Programs that a worker probes at a time."""

NETWORKS_TOGETHER = 10
"""Networks whose instances are stacked on each other, at most."""


class StatisticsScorer:
    """Probes and scores programs (a `zcsr.evaluation.scorer.Scorer`) on statistics that `load` brings.

    A context manager.

    load: see `Load`
    probe_archs: the architectures of each task on which a program must run to be valid
    workers: processes; with one, everything runs in this process
    memory: bytes of statistics that each worker keeps at most (it always holds the one it is working on); below
        the size of the probe networks together, these are loaded again for every few programs
    """

    def __init__(
        self,
        load: Load,
        probe_archs: Mapping[str, Sequence[str]],
        workers: int = 1,
        memory: int = DEFAULT_MEMORY,
    ) -> None:
        probes = tuple((task, arch) for task, archs in probe_archs.items() for arch in archs)
        if not probes:
            raise InputError("no probe networks are given; every program must run on at least one to be valid")
        self._workers: Workers[_Networks] = open_workers(workers, partial(_Networks, load, probes, memory))

    def __enter__(self) -> StatisticsScorer:
        self._workers.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._workers.__exit__(*raised)

    def probe(self, programs: Sequence[Program]) -> list[ProbeResult]:
        """Run each program on the probe networks until one refuses it.

        First the shapes of all their instances are checked without touching a tensor (reason "shape"); then come
        the values an instance, which must exist ("error") and be finite ("non_finite").
        """
        return list(chain.from_iterable(self._workers.map(_probe, _batches(programs, PROBED_TOGETHER))))

    def score(self, pending: Iterable[Pending]) -> Iterator[NDArray[np.float64]]:
        """Yield, for each pending network in order, the scores of its programs, [programs].

        NaN where a value in an instance is not finite, and where the program does not apply to the network.
        """
        for scores in self._workers.map(_score_pending, _together(pending)):
            yield from scores

    def shapes(self, networks: Iterable[Network]) -> Iterator[tuple[ShapesOfInstance, ...]]:
        """Yield, for each network in order, the shapes of its instances."""
        for found in self._workers.map(_shapes_of_instances, _batches(list(networks), NETWORKS_TOGETHER)):
            yield from found

    def numbers(self, wanted: Iterable[Wanted]) -> Iterator[tuple[NDArray[np.float64] | None, ...]]:
        """Yield, for each network in order, the numbers of its instances by column, as `ColumnSource` says."""
        for found in self._workers.map(_numbers_wanted, _together(wanted)):
            yield from found

    def known(self, name: str, networks: Iterable[Network]) -> Iterator[float]:
        """Yield, for each network in order, what is known of it by that name."""
        batches = _batches([(name, *network) for network in networks], NETWORKS_TOGETHER)
        for found in self._workers.map(_known_by_name, batches):
            yield from found


@dataclass(frozen=True, slots=True)
class Measures:
    """What networks are scored by: programs, and known proxies by their names (`zcsr.proxies`)."""

    programs: tuple[Program, ...] = ()
    proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.proxies:
            get_proxy(name)  # an unknown one is the caller's mistake, not a worker's

    def __len__(self) -> int:
        return len(self.programs) + len(self.proxies)

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The id and the text of each, in the order of scores; both are its name for a proxy."""
        return (
            *((program.id, str(program)) for program in self.programs),
            *((proxy, proxy) for proxy in self.proxies),
        )

    def need_images(self, loss: Loss) -> bool:
        """Whether the images, or their labels, make a difference; where not, their shape is enough."""
        return need_images(self.programs, self.proxies, loss)

    @property
    def tensors(self) -> tuple[TensorRow, ...]:
        """The tensors that the programs take."""
        return tuple(dict.fromkeys(tensor for program in self.programs for tensor in program.root.tensors()))


def need_images(programs: Iterable[Program], proxies: Iterable[str], loss: Loss) -> bool:
    """Return whether images, or their labels, make a difference to scores; where not, their shape is enough."""
    chosen = tuple(programs)
    known = {*proxies, *(name for program in chosen for name in program.known_by_proxy)}
    tensors = {tensor for program in chosen for tensor in program.root.tensors()}
    return bool(known - COUNTED) or looks_at_images(tensors, loss)


def looks_at_images(tensors: Iterable[TensorRow], loss: Loss) -> bool:
    """Return whether images, or their labels, make a difference to any of these tensors."""
    return any(one.input in ("D", "P") or (one.gradient and loss == "cross_entropy") for one in tensors)


def score_networks(
    space: SearchSpace,
    dataset: str,
    archs: Iterable[str],
    images: ImageSet,
    config: StatisticsConfig,
    measures: Measures,
    workers: int = 1,
    refused: Refused = lambda *_: None,
) -> Generator[tuple[str, NDArray[np.float64], float], None, None]:
    """Yield each architecture, its scores, [programs and then proxies], and the seconds all took together.

    `refused` is told of what cannot be computed of a network, whose score is then NaN: the architecture, the proxy
    or the program's text, and why. A program that looks at instances cannot where there are none.
    A network is built once; its statistics are collected, as far as the programs need them, used and dropped.
    Programs' scores are NaN as in `StatisticsScorer.score`. With several workers, a space that `get_space` does not
    know must be picklable. Raises InputError for a dataset the space does not know, and for what a proxy refuses.
    """
    shape = dataset_shape(space, dataset)
    portable = space.name if space.name in space_names() else space
    setup = partial(_Untrained, portable, shape.classes, images, config, measures)
    for arch, scores, seconds, errors in mapped(workers, setup, _score_untrained, archs):
        for name, reason in errors.items():
            refused(arch, name, reason)
        yield arch, scores, seconds


def _batches(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def _together(pending: Iterable[OfNetwork]) -> Iterator[tuple[OfNetwork, ...]]:
    """Networks of one task that follow each other, as many at a time as are evaluated together."""
    for _, of_task in groupby(pending, lambda one: one.task):
        yield from _batches(list(of_task), NETWORKS_TOGETHER)


@dataclass
class _Networks:
    """What a worker holds: the statistics used last, within `memory` bytes."""

    load: Load
    probes: tuple[tuple[str, str], ...]
    memory: int
    _kept: OrderedDict[tuple[str, str], tuple[NetworkStatistics, int]] = field(default_factory=OrderedDict)
    _evaluator: evaluate.Evaluator = field(default_factory=lambda: evaluate.Evaluator(()))
    _columns: evaluate.ColumnEvaluator = field(default_factory=lambda: evaluate.ColumnEvaluator(()))

    def _held(self, task: str, arch: str) -> tuple[NetworkStatistics, int]:
        """A network's statistics, and the bytes that they take."""
        key = (task, arch)
        if key not in self._kept:
            statistics = self.load(task, arch)
            self._kept[key] = (statistics, _bytes(statistics))
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.memory:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def groups(self, networks: Sequence[tuple[str, str]]) -> Iterator[list[NetworkStatistics]]:
        """Load networks in their order; yield as many at a time as are evaluated together, within the memory."""
        group: list[NetworkStatistics] = []
        held = 0
        for network in networks:
            statistics, size = self._held(*network)
            if group and (len(group) == NETWORKS_TOGETHER or held + size > self.memory):
                yield group
                group, held = [], 0
            group.append(statistics)
            held += size
        if group:
            yield group

    @cached_property
    def probe_shapes(self) -> tuple[dict[str, Shape], ...]:
        """The different sets of tensor shapes among the instances of the probe networks."""
        distinct = {_shapes(i): None for probe in self.probes for i in self._held(*probe)[0].instances}
        return tuple(dict(shapes) for shapes in distinct)

    def evaluator(self, programs: tuple[Program, ...]) -> evaluate.Evaluator:
        """Return what evaluates these programs; the one used last, for the same, has its plans made."""
        if self._evaluator.programs != programs:
            self._evaluator = evaluate.Evaluator(programs)
        return self._evaluator

    def column_evaluator(self, columns: tuple[Node, ...]) -> evaluate.ColumnEvaluator:
        """Return what evaluates these columns; the one used last, for the same, has its plans made."""
        if self._columns.columns != columns:
            self._columns = evaluate.ColumnEvaluator(columns)
        return self._columns


def _shapes(instance: Instance) -> tuple[tuple[str, Shape], ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in instance.raw.items())


def _bytes(statistics: NetworkStatistics) -> int:
    """Count tensors that instances share once, and those seen as a difference from another twice."""
    sizes = {
        id(tensor): tensor.nbytes * (2 if BY_NAME[name].reference else 1)
        for instance in statistics.instances
        for name, tensor in instance.raw.items()
    }
    return sum(sizes.values())


def _probe(networks: _Networks, programs: tuple[Program, ...]) -> list[ProbeResult]:
    """Probe group by group, so that each network is loaded once even where the memory holds only one group."""
    refused = _refused_shapes(programs, networks)
    values: dict[Program, list[NDArray[np.float64]]] = {program: [] for program in programs}
    done = 0
    for group in networks.groups(networks.probes):
        left = tuple(program for program in values if program not in refused)
        outcomes = networks.evaluator(left).columns_of(group)
        tasks = [task for task, _ in networks.probes[done : done + len(group)]]
        done += len(group)
        for task, statistics, of_network in zip(tasks, group, outcomes, strict=True):
            for program, outcome in zip(left, of_network, strict=True):
                refusal = _refusal(outcome, statistics, task)
                if refusal is None:
                    values[program].append(evaluate.raised(outcome).probe_values())
                else:
                    refused.setdefault(program, refusal)
    return [refused.get(program) or np.concatenate(values[program]) for program in programs]


def _refused_shapes(programs: Sequence[Program], networks: _Networks) -> dict[Program, Refusal]:
    refused = {}
    for program in programs:
        try:
            for shapes in networks.probe_shapes:
                for column in program.columns:
                    infer_shape(column, shapes)
        except ProgramError as error:
            refused[program] = Refusal("shape", str(error))
    return refused


def _refusal(outcome: evaluate.Outcome, statistics: NetworkStatistics, task: str) -> Refusal | None:
    """Why values on a probe network make a program invalid; None where they do not."""
    if isinstance(outcome, EvaluationError):
        return Refusal("error", f"{outcome}; in {statistics.arch} on {task}")
    for values in outcome.values.values():
        unusable = np.flatnonzero(~np.isfinite(values))
        if len(unusable):
            layer = statistics.instances[unusable[0]].layer
            return Refusal("non_finite", f"{values[unusable[0]]} in layer {layer} of {statistics.arch} on {task}")
    if not outcome.program.has_steps and not math.isfinite(outcome.score()):
        return Refusal("non_finite", f"the score of {statistics.arch} on {task} is not finite")
    return None


def _score_pending(networks: _Networks, pending: tuple[Pending, ...]) -> list[NDArray[np.float64]]:
    """The scores that are wanted of each network; all of them are evaluated on all networks, which is quicker."""
    programs = tuple(dict.fromkeys(program for one in pending for program in one.programs))
    evaluator = networks.evaluator(programs)
    groups = networks.groups([(one.task, one.arch) for one in pending])
    scores = (row for group in groups for row in evaluator.scores_of(group))
    column = {program: number for number, program in enumerate(programs)}
    return [row[[column[p] for p in one.programs]] for one, row in zip(pending, scores, strict=True)]


def _shapes_of_instances(networks: _Networks, wanted: tuple[Network, ...]) -> list[tuple[ShapesOfInstance, ...]]:
    same: dict[ShapesOfInstance, ShapesOfInstance] = {}  # equal ones become one object, which is sent once

    def shared(instance: Instance) -> ShapesOfInstance:
        shapes = _shapes(instance)
        return same.setdefault(shapes, shapes)

    groups = networks.groups(wanted)
    return [tuple(map(shared, network.instances)) for group in groups for network in group]


def _numbers_wanted(
    networks: _Networks, wanted: tuple[Wanted, ...]
) -> list[tuple[NDArray[np.float64] | None, ...]]:
    """What is wanted of each network; all columns are evaluated on all of them, which is quicker."""
    columns = tuple(dict.fromkeys(column for one in wanted for column in one.columns))
    evaluator = networks.column_evaluator(columns)
    groups = networks.groups([(one.task, one.arch) for one in wanted])
    found = (values for group in groups for values in evaluator.values_of(group))
    return [
        tuple(None if isinstance(value := values[c], EvaluationError) else value for c in one.columns)
        for one, values in zip(wanted, found, strict=True)
    ]


def _known_by_name(networks: _Networks, wanted: tuple[tuple[str, str, str], ...]) -> list[float]:
    return [networks.load(task, arch).known_of(name) for name, task, arch in wanted]


@dataclass(slots=True)
class _Untrained:
    """What a worker needs to score networks from nothing; the space by its name where that is enough."""

    space: SearchSpace | str
    classes: int
    images: ImageSet
    config: StatisticsConfig
    measures: Measures
    evaluator: evaluate.Evaluator = field(init=False)

    def __post_init__(self) -> None:
        self.evaluator = evaluate.Evaluator(self.measures.programs)


def _score_untrained(work: _Untrained, arch: str) -> tuple[str, NDArray[np.float64], float, dict[str, str]]:
    """The architecture, its scores, the seconds they took, and why proxies are missing."""
    start = time.perf_counter()
    space = get_space(work.space) if isinstance(work.space, str) else work.space
    network = untrained(space, arch, work.classes, work.images, work.config)
    programs, proxies = work.measures.programs, work.measures.proxies
    known = KnownOf(lambda: network)
    errors: dict[str, str] = {}
    by_program: Iterable[float] = ()
    if programs:
        statistics = replace(network.statistics(work.measures.tensors), known=known)
        by_program = work.evaluator.scores_of([statistics])[0]
        if not statistics.instances:
            reason = no_instance(network.model, work.config.pattern)
            errors = {str(program): reason for program in programs if program.columns}
            scores = zip(programs, by_program, strict=True)
            by_program = [math.nan if program.columns else value for program, value in scores]
    by_proxy = [_by_proxy(known, name, errors) for name in proxies]
    return arch, np.array([*by_program, *by_proxy], dtype=np.float64), time.perf_counter() - start, errors


def _by_proxy(known: KnownOf, name: str, errors: dict[str, str]) -> float:
    """The score by a proxy; NaN, and why in `errors`, where it cannot be computed."""
    try:
        return known[name]
    except (InputError, RuntimeError) as error:  # the latter torch raises, where it cannot do what is asked
        errors[name] = str(error).partition("\n")[0]
        return math.nan
