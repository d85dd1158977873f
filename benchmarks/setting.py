"""What the benchmarks measure on: a temporary store with images, networks, accuracies and programs."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch

from zcsr.engine.workers import available_workers
from zcsr.evaluation.many_networks import NETWORKS_TOGETHER, StatisticsScorer
from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.memory import Memory
from zcsr.evolve.tasks import TaskData
from zcsr.evolve.trees import Trees
from zcsr.language.languages import EZNAS
from zcsr.language.program import Program
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig
from zcsr.sameness.recognise import Recognition
from zcsr.spaces import dataset_shape, get_space
from zcsr.store.importers.image_sets import import_images
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.kept.collections import Collection, CollectionStore, open_collection
from zcsr.store.kept.images import embedded_images
from zcsr.store.kept.store import Store

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where real images and accuracies are looked for when none are named."""

IMAGES_FILE = "cifar10_train256_lossless.parquet"

ACCURACY_COLUMNS: Mapping[str, tuple[str, str]] = {
    "nasbench201:cifar10": ("nb201.parquet", "cifar10_test_200"),
    "nasbench201:cifar100": ("nb201.parquet", "cifar100_test_200"),
    "nasbench201:imagenet16-120": ("nb201.parquet", "in16_test_200"),
    "nats-sss:cifar10": ("nats_sss.parquet", "cifar10_test_90"),
}
"""Files and columns of real accuracies (percent) by task, beside a column `arch_str`."""

PROBES = 2
"""Networks on which a program must run to be valid."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    programs, networks: evaluated together; repeats: of everything that is repeated, for the median
    config: of the search, on `tasks`; traced, paired: programs, and networks of each task, on which the plain way
        is measured in a generation
    refused: programs whose refusal is timed; agreement: programs on which both ways of refusing must agree;
    drawn: random programs of which the valid ones are counted
    collected: networks collected together; resident: networks of the measurement of memory
    deep: task and architecture of a large network, "" for none
    sql_networks, sql_measures: of the table over all networks; stored_scores: in the store that is opened
    growth: numbers of networks
    """

    tasks: tuple[str, ...] = tuple(ACCURACY_COLUMNS)
    programs: int = 100
    networks: int = 20
    repeats: int = 3
    config: EvolveConfig = field(default_factory=lambda: EvolveConfig(language="eznas"))
    traced: int = 10
    paired: int = 1
    refused: int = 200
    agreement: int = 10_000
    drawn: int = 2_000
    collected: int = 8
    resident: int = 80
    deep: tuple[str, str] = ("", "")
    sql_networks: int = 15_625
    sql_measures: int = 20
    stored_scores: int = 1_000_000
    growth: tuple[int, ...] = (10, 20, 40, 80)


_DARTS_V2 = (
    "normal=sep_conv_3x3~0,sep_conv_3x3~1,sep_conv_3x3~0,sep_conv_3x3~1,sep_conv_3x3~1,skip_connect~0,"
    "skip_connect~0,dil_conv_3x3~2;normal_concat=2,3,4,5;"
    "reduce=max_pool_3x3~0,max_pool_3x3~1,skip_connect~2,max_pool_3x3~1,max_pool_3x3~0,skip_connect~2,"
    "skip_connect~2,max_pool_3x3~1;reduce_concat=2,3,4,5"
)

FULL = Sizes(deep=("nds-darts:cifar10", f"{_DARTS_V2};width=36;depth=20"))

QUICK = Sizes(
    tasks=("nasbench201:cifar10", "nasbench201:imagenet16-120"),
    programs=25,
    networks=3,
    repeats=1,
    config=EvolveConfig(
        language="eznas", population=10, generations=2, mu=5, lambda_=10, networks_per_task=6, draw=3
    ),
    traced=3,
    refused=25,
    agreement=300,
    drawn=200,
    collected=3,
    resident=6,
    deep=("nds-darts:cifar10", f"{_DARTS_V2};width=36;depth=6"),
    sql_networks=3_000,
    stored_scores=100_000,
    growth=(2, 4, 6),
)


def groups_of(archs: Sequence[str]) -> Iterator[Sequence[str]]:
    """The networks that a search evaluates together."""
    for start in range(0, len(archs), NETWORKS_TOGETHER):
        yield archs[start : start + NETWORKS_TOGETHER]


@dataclass(frozen=True, slots=True)
class Load:
    """From a task and an architecture to its stored statistics, in any process."""

    root: Path
    collections: Mapping[str, Collection]
    _opened: dict[str, CollectionStore] = field(default_factory=dict)

    def __call__(self, task: str, arch: str) -> NetworkStatistics:
        if task not in self._opened:
            self._opened[task] = open_collection(Store.open(self.root), self.collections[task])
        return self._opened[task].load(arch)

    def __reduce__(self) -> tuple[type[Load], tuple[Path, Mapping[str, Collection]]]:
        return Load, (self.root, self.collections)


class Setting:
    """Everything is made when it is first asked for, and kept in the store at `folder`.

    `images` is a file or folder that `zcsr import images` takes, `accuracies` a folder that holds the files of
    `ACCURACY_COLUMNS`; without them, images are noise and accuracies follow the numbers of parameters.
    """

    def __init__(self, folder: Path, sizes: Sizes, images: Path | None, accuracies: Path | None) -> None:
        self.folder = folder
        self.sizes = sizes
        self.store = Store.open(folder / "store", create=True)
        self._images = images
        self._accuracies = accuracies
        self._tables: dict[tuple[Path, str], dict[str, float]] = {}

    @property
    def task(self) -> str:
        """The task of whatever takes but one."""
        return self.sizes.tasks[0]

    @cached_property
    def images(self) -> str:
        """The name of the image set that stands for all data sets of 32x32 pixels."""
        noise = self.folder / "noise.npz"
        if self._images is None:
            generator = np.random.default_rng(0)
            pixels = generator.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
            np.savez(noise, images=pixels, labels=generator.integers(0, 10, 64))
        import_images(self.store, self._images or noise, name="cifar10", classes=10)
        return "cifar10"

    def collection(self, task: str, config: StatisticsConfig | None = None) -> Collection:
        """The collection of a task at batch size 1."""
        space, _, dataset = task.partition(":")
        images = dataset if dataset in embedded_images() else self.images
        return Collection.of(space, dataset, images, config or StatisticsConfig())

    @cached_property
    def load(self) -> Load:
        """What loads the statistics of any task."""
        return Load(self.store.root, {task: self.collection(task) for task in self.sizes.tasks})

    def archs(self, task: str, count: int) -> tuple[str, ...]:
        """The first networks of a task's random order, whose statistics are in the store afterwards."""
        space, _, _ = task.partition(":")
        most = max(count, self.sizes.config.networks_per_task, self.sizes.resident, *self.sizes.growth)
        drawn = tuple(get_space(space).sample(most, random.Random(f"benchmarks/{task}"))[:count])
        workers = min(available_workers(), -(-count // 8))
        collect_networks(self.store, self.collection(task), drawn, workers=workers)
        return drawn

    def task_data(self, task: str) -> TaskData:
        """A task's networks for evolution, with accuracies in percent."""
        archs = self.archs(task, self.sizes.config.networks_per_task)
        return TaskData(task, archs, np.array([self.accuracy(task, arch) for arch in archs]))

    def accuracy(self, task: str, arch: str) -> float:
        """A network's accuracy in percent; without real ones, ten times the decimal logarithm of its parameters."""
        if not self.has_accuracies(task) or self._accuracies is None:
            return 10.0 * math.log10(parameters(task, arch))
        file, column = ACCURACY_COLUMNS[task]
        path = self._accuracies / file
        if (path, column) not in self._tables:
            rows = pl.read_parquet(path, columns=["arch_str", column]).select("arch_str", column).iter_rows()
            self._tables[path, column] = dict(rows)
        return self._tables[path, column][arch]

    def has_accuracies(self, task: str) -> bool:
        """Whether there are real ones."""
        return self._accuracies is not None and task in ACCURACY_COLUMNS

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """Random programs as a search with default parameters proposes them, valid and pairwise distinct."""
        found = valid_programs(self.load, self.task, self.archs(self.task, PROBES), self.sizes.programs)
        return tuple(found)

    @property
    def materials(self) -> str:
        """In words, what images and accuracies are used."""
        images = "real images, the same for all data sets of 32x32 pixels" if self._images else "images of noise"
        real = self._accuracies is not None
        accuracies = "real accuracies" if real else "accuracies made from numbers of parameters"
        return f"{images}, and {accuracies}"


def valid_programs(load: Load, task: str, probes: Sequence[str], count: int, seed: int = 0) -> list[Program]:
    """Random programs that run on the probe networks with finite values, none equal to another by any stage."""
    config, generator, memory = EvolveConfig(language="eznas"), random.Random(seed), Memory()
    found: list[Program] = []
    with StatisticsScorer(load, {task: probes}) as scorer:
        while len(found) < count:
            drawn = (candidate.outcome for candidate in Trees(EZNAS).random(config, 64, generator))
            programs = [p for p in drawn if isinstance(p, Program) and p.root.height <= config.height_limit]
            for program, result in zip(programs, scorer.probe(programs), strict=True):
                if isinstance(result, Refusal) or memory.verdict(str(program)) is not None:
                    continue
                verdict, _ = memory.admit(program, result)
                if isinstance(verdict, Recognition) and verdict.stage == "new":
                    found.append(program)
    return found[:count]


def parameters(task: str, arch: str) -> int:
    """The number of parameters of a network, which is built without memory for them."""
    name, _, dataset = task.partition(":")
    space = get_space(name)
    shape = dataset_shape(space, dataset)
    with torch.device("meta"):
        return sum(p.numel() for p in space.build(arch, shape.classes, shape.channels).parameters())
