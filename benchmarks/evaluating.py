"""Many programs on many networks: together (`Evaluator`), and by the plain loop over instances."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import reference
import torch
from measuring import Pair, bandwidth, cpu, median_of
from numpy.typing import NDArray
from rows import Report, Row, Table, seconds
from setting import Setting, groups_of

from zcsr.evaluation.evaluate import Evaluator
from zcsr.evaluation.many_networks import NETWORKS_TOGETHER
from zcsr.language.languages import EZNAS
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program
from zcsr.language.text import parse
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.ranking import kendall

Scores = NDArray[np.float64]

DECOMPOSITIONS = ("det", "logdet", "eig_ratio", "eig_ratio_sym")
"""Operations whose time is that of LAPACK, in whatever order programs are computed."""

"""Operations that do not look at the values of their argument."""

PROFILED = NETWORKS_TOGETHER
"""Networks of the profile by operation."""

TARGET = 10.0


def measure(setting: Setting) -> Report:
    """The time a program and network, the agreement of the scores, and where the time goes."""
    sizes = setting.sizes
    programs = setting.programs
    archs = setting.archs(setting.task, sizes.networks)
    runs = [_run(setting, programs, archs) for _ in range(sizes.repeats)]
    pairs = len(programs) * len(archs)
    time_of = median_of([(run.reference / pairs, run.ours / pairs) for run in runs])
    profile = _profile(setting, programs, archs[:PROFILED])
    decompositions = profile.seconds_of(DECOMPOSITIONS)
    least = runs[0].bytes / bandwidth() / pairs
    what = f"evaluate {len(programs)} programs on {len(archs)} networks of {setting.task}, a program and network"
    row = Row(
        what,
        seconds(time_of.reference),
        seconds(time_of.ours),
        time_of.ratio,
        f"{seconds(least + decompositions)} ({seconds(least)} read, {seconds(decompositions)} decompose)",
        f"{TARGET:.0f}x",
        time_of.ratio >= TARGET,
    )
    return Report(
        [row, *_agreement(setting, runs[0], programs, archs)], _remarks(time_of, runs[0], pairs), [profile.table()]
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """CPU seconds of both ways, what the programs read (bytes), and the scores, [networks, programs]."""

    reference: float
    ours: float
    bytes: int
    plain_scores: Scores
    our_scores: Scores


def _run(setting: Setting, programs: Sequence[Program], archs: Sequence[str]) -> _Run:
    """Some networks at a time, in turns, each way on statistics of its own; loading them is not counted.

    The plain loop takes them one by one, ours together, as many as a search does.
    """
    names = frozenset().union(*(read_tensors(program.expression) for program in programs))
    ours, evaluator = cpu(Evaluator, programs)
    plain, read = 0.0, 0
    plain_scores, our_scores = [], []
    for group in groups_of(archs):
        for arch in group:
            spent, scores = cpu(plain_scores_of, programs, setting.load(setting.task, arch))
            plain += spent
            plain_scores.append(scores)
        loaded = [setting.load(setting.task, arch) for arch in group]
        spent, values = cpu(evaluator.scores_of, loaded)
        ours += spent
        our_scores.extend(values)
        read += sum(bytes_read(statistics, names) for statistics in loaded)
    return _Run(plain, ours, read, np.array(plain_scores), np.array(our_scores))


def plain_scores_of(programs: Sequence[Program], statistics: NetworkStatistics) -> list[float]:
    """The scores by the plain loop, NaN where torch refuses a program."""
    return [plain_score(program, statistics) for program in programs]


def plain_score(program: Program, statistics: NetworkStatistics) -> float:
    """One score by the plain loop, NaN where torch refuses the program."""
    try:
        return reference.score(program, statistics)
    except (RuntimeError, IndexError):
        return math.nan


def read_tensors(node: Node) -> frozenset[str]:
    """The tensors of a tree whose values are needed, and not just their shapes."""
    if not node.args:
        return frozenset({node.op})
    return frozenset() if node.word.from_shape else frozenset().union(*map(read_tensors, node.args))


def bytes_read(statistics: NetworkStatistics, names: frozenset[str]) -> int:
    """The bytes of the distinct tensors behind these names; a P tensor is the difference of two."""
    needed = names | {f"{name[:-1]}D" for name in names if name.endswith("_P")}
    tensors = {id(i.raw[name]): i.raw[name].nbytes for i in statistics.instances for name in needed}
    return sum(tensors.values())


# --- agreement --------------------------------------------------------------------------------------------------

LARGEST_DIFFERENCE = 1e-3
LEAST_TAU = 0.99
ROUNDING = 1e-5
"""Of the largest score: what a sum of many numbers in single precision may be off by."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one program's scores by two ways agree over networks.

    difference: the largest, relative to the greater magnitude, where both are finite; infinite where just one is
    tau: Kendall's tau-b between the two, NaN where either is the same for all networks but for rounding
    """

    difference: float
    tau: float

    @property
    def good(self) -> bool:
        """Whether rounding at most tells the two apart."""
        return self.difference <= LARGEST_DIFFERENCE and not self.tau < LEAST_TAU


def agreement(one: Scores, other: Scores) -> Agreement:
    """The agreement of two vectors of scores, both [networks]."""
    both = np.isfinite(one) & np.isfinite(other)
    scale = np.maximum(np.maximum(np.abs(one[both]), np.abs(other[both])), np.finfo(np.float32).tiny)
    relative = np.abs(one[both] - other[both]) / scale
    unequal = bool((np.isfinite(one) ^ np.isfinite(other)).any())
    ranked = _differs(one[both]) and _differs(other[both])
    return Agreement(
        math.inf if unequal else float(relative.max(initial=0.0)),
        kendall(one[both], other[both]) if ranked else math.nan,
    )


def _differs(scores: Scores) -> bool:
    """Whether the scores of networks differ by more than single precision leaves of equal ones."""
    return bool(len(scores)) and float(np.ptp(scores)) > ROUNDING * float(np.abs(scores).max())


def _agreement(setting: Setting, run: _Run, programs: Sequence[Program], archs: Sequence[str]) -> list[Row]:
    """Over the programs whose scores single precision determines: by the plain loop's in double precision."""
    found = [agreement(run.plain_scores[:, i], run.our_scores[:, i]) for i in range(len(programs))]
    doubtful = [i for i, one in enumerate(found) if not one.good]
    in_double = np.array([_in_double(setting, [programs[i] for i in doubtful], arch) for arch in archs])
    undetermined = {
        i for place, i in enumerate(doubtful) if not agreement(run.plain_scores[:, i], in_double[:, place]).good
    }
    determined = [one for i, one in enumerate(found) if i not in undetermined]
    taus = [one.tau for one in determined if not math.isnan(one.tau)]
    largest, least = max((one.difference for one in determined), default=0.0), min(taus, default=math.nan)
    left_out = f"{len(undetermined)} programs left out, which rounding decides" if undetermined else "all programs"
    return [
        Row(
            f"  largest relative difference from the plain loop's scores ({left_out})",
            ours=f"{largest:.1e}",
            target=f"{LARGEST_DIFFERENCE}",
            met=largest <= LARGEST_DIFFERENCE,
        ),
        Row(
            f"  least Kendall tau with the plain loop's scores over networks ({len(taus)} programs that have one)",
            ours=f"{least:.4f}",
            target=f"{LEAST_TAU}",
            met=not least < LEAST_TAU,
        ),
    ]


def _in_double(setting: Setting, programs: Sequence[Program], arch: str) -> list[float]:
    return plain_scores_of(programs, double(setting.load(setting.task, arch))) if programs else []


def double(network: NetworkStatistics) -> NetworkStatistics:
    """The same statistics as numbers of double precision; tensors that were shared are shared no more."""
    instances = (
        Instance(one.layer, one.module, {name: tensor.double() for name, tensor in one.raw.items()})
        for one in network.instances
    )
    return NetworkStatistics(network.arch, tuple(instances))


# --- profile ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Profile:
    """Where an evaluator's CPU time goes, by operation."""

    pairs: int
    whole: float = 0.0
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)

    def seconds_of(self, operations: Sequence[str]) -> float:
        """Seconds that these operations take, a program and network."""
        return sum(self.spent[name] for name in operations) / self.pairs

    def table(self) -> Table:
        """One row an operation, the dearest first."""
        rows = [
            (
                name,
                str(self.calls[name]),
                f"{spent / self.whole:.1%}",
                f"{spent / max(1, self.elements[name]) * 1e9:.2f}",
            )
            for name, spent in sorted(self.spent.items(), key=lambda item: -item[1])
        ]
        rest = self.whole - sum(self.spent.values())
        rows.append(("all else (stacking, differences, scalars, planning)", "", f"{rest / self.whole:.1%}", ""))
        return Table(
            "Where the evaluator's time goes. An element is one of the operation's largest argument.",
            ("operation", "calls", "share of time", "ns an element"),
            rows,
        )


def _profile(setting: Setting, programs: Sequence[Program], archs: Sequence[str]) -> Profile:
    profile = Profile(len(programs) * len(archs))
    loaded = [setting.load(setting.task, arch) for arch in archs]
    language = EZNAS.having(*(_reporting(operation, profile) for operation in EZNAS.operations))
    evaluator = Evaluator([parse(str(program), language) for program in programs])
    profile.whole, _ = cpu(evaluator.scores_of, loaded)
    return profile


def _reporting(operation: Operation, profile: Profile) -> Operation:
    stacked: Callable[..., torch.Tensor] = operation.stacked

    def timed(*args: torch.Tensor) -> torch.Tensor:
        start = time.process_time()
        value = stacked(*args)
        profile.spent[operation.name] += time.process_time() - start
        profile.calls[operation.name] += 1
        profile.elements[operation.name] += max(arg.numel() for arg in args)
        return value

    return replace(operation, stacked=timed)


def _remarks(time_of: Pair, run: _Run, pairs: int) -> list[str]:
    return [
        f"evaluate: the limit is {run.bytes / pairs / 1e3:.0f} kB a program and network, the distinct tensors that "
        f"the programs read, each read once at the measured {bandwidth() / 1e9:.1f} GB/s, and the time inside "
        f"{', '.join(DECOMPOSITIONS)}. Statistics are loaded beforehand, for each way its own; making the plans "
        f"is counted. Both take {time_of.reference * pairs:.1f} s and {time_of.ours * pairs:.1f} s in all."
    ]
