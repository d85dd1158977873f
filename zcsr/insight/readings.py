"""What a program does on real networks: seeds, batch sizes, depth, and the size of the network."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from zcsr.engine.job import Progress, run_job, silent
from zcsr.engine.workers import mapped
from zcsr.errors import EvaluationError
from zcsr.evaluation.evaluate import columns_of
from zcsr.evaluation.known import KnownOf
from zcsr.language.program import Node, Program
from zcsr.networks.config import StatisticsConfig
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import Untrained, untrained
from zcsr.proxies import get_proxy
from zcsr.ranking import kendall
from zcsr.spaces import dataset_shape, get_space, space_names

if TYPE_CHECKING:
    from zcsr.networks.images import ImageSet
    from zcsr.spaces import SearchSpace

Vector = npt.NDArray[np.float64]

SEEDS = (0, 1, 2)

BATCH_SIZES = (1, 4, 16)

DEPTHS = 10
"""Parts of equal length that a network's depth is divided into."""

Load = Callable[[str], NetworkStatistics | None]
"""From an architecture to its statistics at the first seed and batch size, where they are at hand."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b (-1..1) between two rankings of the same networks, and how many have both values finite."""

    kind: Literal["size", "seed", "batch_size"]
    one: str
    other: str
    tau: float
    networks: int


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """Where along the depth of networks a column of a program has its values.

    column: its text
    depth: share of the sum of the instances' |value| that each tenth of the depth has, mean over the networks,
        [DEPTHS]; NaN where no network has such a sum
    measured: for how many networks there is such a sum
    """

    column: str
    depth: Vector
    measured: int


@dataclass(frozen=True, slots=True)
class TermReading:
    """A summand of a program's formula, and its share of what moves the score.

    share: its covariance with the score over the networks, over the variance of the score; the shares of all terms
        sum to 1; NaN where the score does not vary
    """

    term: str
    share: float


@dataclass(frozen=True, slots=True)
class NetworkReading:
    """What a program does on some networks of a space.

    archs: the networks
    scores: at the first seed and batch size, [networks]
    agreements: with parameters and FLOPs, between seeds, and between batch sizes
    columns: where along the depth the values of each of the program's columns are
    terms: the summands of the program's formula, where there are several
    """

    space: str
    dataset: str
    images: str
    archs: tuple[str, ...]
    scores: Vector
    agreements: tuple[Agreement, ...]
    columns: tuple[ColumnReading, ...]
    terms: tuple[TermReading, ...] = ()

    @property
    def depth(self) -> Vector:
        """That of the first column; NaN where there is none."""
        return self.columns[0].depth if self.columns else np.full(DEPTHS, np.nan)

    @property
    def measured(self) -> int:
        """That of the first column; 0 where there is none."""
        return self.columns[0].measured if self.columns else 0


def read_networks(
    program: Program,
    space: SearchSpace,
    dataset: str,
    archs: Sequence[str],
    images: ImageSet,
    *,
    seeds: Sequence[int] = SEEDS,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    load: Load | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> NetworkReading:
    """Return what a program does on real networks, the same for any number of workers.

    Scores are made at every seed with the first batch size, and at every batch size with the first seed. Networks
    whose score is not finite are left out of a tau. `load` must be picklable where there are several workers.
    """
    classes = dataset_shape(space, dataset).classes
    configs = _configs(seeds, batch_sizes)
    portable = space.name if space.name in space_names() else space
    setup = partial(_Work, program, portable, classes, images, tuple(configs.values()), load)
    read: list[_Reading] = []
    run_job(archs, (), partial(mapped, workers, setup, _read_network), read.extend, progress=progress)
    scores = dict(zip(configs, np.array([one.scores for one in read], dtype=np.float64).T, strict=True))
    base = (seeds[0], batch_sizes[0])
    return NetworkReading(
        space=space.name,
        dataset=dataset,
        images=images.name,
        archs=tuple(archs),
        scores=scores[base],
        agreements=(
            _agreement("size", "score", "parameters", scores[base], np.array([one.parameters for one in read])),
            _agreement("size", "score", "FLOPs", scores[base], np.array([one.flops for one in read])),
            *(
                _agreement("seed", str(a), str(b), scores[a, base[1]], scores[b, base[1]])
                for a, b in itertools.combinations(seeds, 2)
            ),
            *(
                _agreement("batch_size", str(a), str(b), scores[base[0], a], scores[base[0], b])
                for a, b in itertools.combinations(batch_sizes, 2)
            ),
        ),
        columns=tuple(
            _column_reading(str(column), [one.depths[number] for one in read])
            for number, column in enumerate(program.columns)
        ),
        terms=_term_readings(summands(program), np.array([one.terms for one in read], dtype=np.float64)),
    )


def _column_reading(column: str, found: Sequence[Vector | None]) -> ColumnReading:
    shares = np.array([one for one in found if one is not None], dtype=np.float64).reshape(-1, DEPTHS)
    return ColumnReading(column, shares.mean(0) if len(shares) else np.full(DEPTHS, np.nan), len(shares))


def summands(program: Program) -> tuple[tuple[float, Node], ...]:
    """Return the terms of a formula with their signs: what is added or taken away at its root."""
    found: list[tuple[float, Node]] = []
    pending = [(1.0, program.root)]
    while pending:
        sign, node = pending.pop()
        if node.op in ("add", "sub", "neg") and node.type == "score":
            signs = {"add": (1.0, 1.0), "sub": (1.0, -1.0), "neg": (-1.0,)}[node.op]
            pending += [(sign * own, arg) for own, arg in zip(signs, node.args, strict=True)][::-1]
        else:
            found.append((sign, node))
    return tuple(found)


def _term_readings(terms: Sequence[tuple[float, Node]], values: Vector) -> tuple[TermReading, ...]:
    """Their shares, from the values [networks, terms]; none for a formula of a single term."""
    if len(terms) < 2:
        return ()
    usable = values[np.isfinite(values).all(1)]
    scores = usable.sum(1)
    centred = scores - scores.mean() if len(usable) else scores
    variance = float(centred @ centred)
    shares = centred @ usable / variance if variance > 0 else np.full(len(terms), np.nan)
    return tuple(
        TermReading(("" if sign > 0 else "-") + str(node), float(share))
        for (sign, node), share in zip(terms, shares, strict=True)
    )


def choose_networks(candidates: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """Return so many of the candidates, or all of them, drawn by a seed from their sorted order."""
    ordered = sorted(set(candidates))
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def depth_shares(values: Vector, parts: int = DEPTHS) -> Vector | None:
    """Return which share of the sum of |values| lies in each part of the depth, [parts], summing to 1.

    `values`, [instances], are those of instances in the order in which they run, which divide the depth evenly; one
    that reaches over the end of a part is divided as well. None where the sum is 0 or not finite.
    """
    magnitudes = np.abs(values)
    total = magnitudes.sum() if values.size else 0.0
    if not (np.isfinite(total) and total > 0):
        return None
    reached = np.concatenate([[0.0], np.cumsum(magnitudes / total)])
    ends = np.linspace(0, 1, parts + 1)
    shares: Vector = np.diff(np.interp(ends, np.linspace(0, 1, len(reached)), reached))
    return shares


def _configs(seeds: Sequence[int], batch_sizes: Sequence[int]) -> dict[tuple[int, int], StatisticsConfig]:
    pairs = [(seed, batch_sizes[0]) for seed in seeds] + [(seeds[0], size) for size in batch_sizes]
    return {(seed, size): StatisticsConfig(seed=seed, batch_size=size) for seed, size in pairs}


def _agreement(
    kind: Literal["size", "seed", "batch_size"], one: str, other: str, left: Vector, right: Vector
) -> Agreement:
    both = np.isfinite(left) & np.isfinite(right)
    return Agreement(kind, one, other, kendall(left[both], right[both]), int(both.sum()))


@dataclass(frozen=True, slots=True)
class _Reading:
    scores: tuple[float, ...]
    parameters: float
    flops: float
    depths: tuple[Vector | None, ...]
    terms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker needs; the space by its name where that is enough."""

    program: Program
    space: SearchSpace | str
    classes: int
    images: ImageSet
    configs: tuple[StatisticsConfig, ...]
    load: Load | None


def _itself(network: Untrained) -> Untrained:
    return network


def _read_network(work: _Work, arch: str) -> _Reading:
    space = get_space(work.space) if isinstance(work.space, str) else work.space
    count, terms = len(work.program.columns), summands(work.program)
    scores: list[float] = []
    depths: tuple[Vector | None, ...] = (None,) * count
    parts = (math.nan,) * len(terms)
    for number, config in enumerate(work.configs):
        network = untrained(space, arch, work.classes, work.images, config)
        stored = work.load(arch) if work.load and number == 0 else None
        known = KnownOf(partial(_itself, network))
        try:
            statistics = replace(stored or network.statistics(work.program.root.tensors()), known=known)
            found = columns_of(work.program, statistics)
        except EvaluationError:
            scores.append(math.nan)
            continue
        scores.append(found.score())
        if number == 0:
            depths = tuple(depth_shares(found.values[column]) for column in work.program.columns)
            parts = tuple(sign * replace(found, program=Program(node)).score() for sign, node in terms)
    parameters, flops = (
        get_proxy(name)(network.model, network.inputs["D"], network.labels) for name in ("params", "flops")
    )
    return _Reading(scores=tuple(scores), parameters=parameters, flops=flops, depths=depths, terms=parts)
