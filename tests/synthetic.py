"""A made-up task whose networks' statistics are small random tensors, a function of task and architecture alone.

In a module of its own so that worker processes can import it.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.records import Generation
from zcsr.evolve.tasks import TaskData
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.networks.instances import Instance, NetworkStatistics

SEQUENTIAL = EvolveConfig(
    language="eznas",
    representation="sequential",
    max_length=12,
    population=12,
    generations=4,
    mu=8,
    lambda_=12,
    networks_per_task=30,
    draw=8,
    tasks_per_generation=2,
    probe_networks=1,
)
"""A search on these tasks for sequential programs."""


def load(task: str, arch: str) -> NetworkStatistics:
    """Return one to three instances; in every fifth network all gradients are zero, so some programs fail there."""
    number = int(arch.removeprefix("net"))
    generator = torch.Generator().manual_seed(zlib.crc32(f"{task}/{arch}".encode()))
    instances = tuple(_instance(layer, number, generator) for layer in range(1 + number % 3))
    return NetworkStatistics(arch, instances, {"params": 10.0 + number, "flops": 2.0 * number, "depth": number % 4})


def make_task(name: str, networks: int = 30) -> TaskData:
    generator = random.Random(f"accuracies of {name}")
    accuracies = np.array([generator.uniform(50, 95) for _ in range(networks)])
    return TaskData(name, tuple(f"net{number}" for number in range(networks)), accuracies)


def make_tasks() -> list[TaskData]:
    return [make_task(name) for name in ("toy:a", "toy:b", "other:c")]


@functools.cache
def full_run(config: EvolveConfig) -> tuple[Generation, ...]:
    """An uninterrupted run on these tasks, computed once."""
    from zcsr.evaluation.many_networks import StatisticsScorer  # worker processes need no search
    from zcsr.evolve.loop import evolve
    from zcsr.evolve.tasks import choose_probes

    tasks = make_tasks()
    with StatisticsScorer(load, choose_probes(config, tasks)) as scorer:
        return tuple(evolve(config, tasks, scorer))


def without_seconds(run: tuple[Generation, ...]) -> list[str]:
    """What each generation of a run is, but for the time that it took."""
    return [repr(replace(generation, seconds={})) for generation in run]


def run_elsewhere(config: EvolveConfig, hash_seed: str) -> list[str]:
    """The same of a run in a process of its own, with this hash seed and another global generator."""
    script = f"""
import random, synthetic
from zcsr.evolve.config import EvolveConfig
random.seed(99)
print(*synthetic.without_seconds(synthetic.full_run({config!r})), sep="\\n")
"""
    finished = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.splitlines()


def _instance(layer: int, number: int, generator: torch.Generator) -> Instance:
    channels = 2 + layer
    raw = {}
    for name in TENSOR_NAMES:
        shape = (channels, channels, 3, 3) if name.startswith("T3") else (1, channels, 4, 4)
        values = (1 + number / 10) * torch.randn(shape, generator=generator)
        raw[name] = values * 0 if "G" in name and number % 5 == 4 else values
    return Instance(layer, f"layer{layer}", raw)
