"""A made-up task whose networks' statistics are small random tensors, a function of task and architecture alone.

In a module of its own so that worker processes can import it.
"""

from __future__ import annotations

import random
import zlib

import numpy as np
import torch

from zcsr.evolve import TaskData
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.networks.instances import Instance, NetworkStatistics


def load(task: str, arch: str) -> NetworkStatistics:
    """Return one to three instances; in every fifth network all gradients are zero, so some programs fail there."""
    number = int(arch.removeprefix("net"))
    generator = torch.Generator().manual_seed(zlib.crc32(f"{task}/{arch}".encode()))
    instances = tuple(_instance(layer, number, generator) for layer in range(1 + number % 3))
    return NetworkStatistics(arch, instances)


def make_task(name: str, networks: int = 30) -> TaskData:
    generator = random.Random(f"accuracies of {name}")
    accuracies = np.array([generator.uniform(50, 95) for _ in range(networks)])
    return TaskData(name, tuple(f"net{number}" for number in range(networks)), accuracies)


def _instance(layer: int, number: int, generator: torch.Generator) -> Instance:
    channels = 2 + layer
    raw = {}
    for name in TENSOR_NAMES:
        shape = (channels, channels, 3, 3) if name.startswith("T3") else (1, channels, 4, 4)
        values = (1 + number / 10) * torch.randn(shape, generator=generator)
        raw[name] = values * 0 if "G" in name and number % 5 == 4 else values
    return Instance(layer, f"layer{layer}", raw)
