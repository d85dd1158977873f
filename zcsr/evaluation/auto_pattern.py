"""Which pattern the networks of a space have most instances of."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from zcsr.engine.threads import one_thread
from zcsr.networks.config import AUTO, StatisticsConfig
from zcsr.networks.images import blank_images
from zcsr.networks.instances import read_instances
from zcsr.networks.patterns import PATTERNS
from zcsr.networks.untrained import untrained
from zcsr.spaces import SearchSpace, dataset_shape

LOOKED_AT = 3
"""Networks of a space that are looked at."""


def with_pattern(
    config: StatisticsConfig, space: SearchSpace, dataset: str, archs: Sequence[str] = ()
) -> tuple[StatisticsConfig, Mapping[str, int]]:
    """Return the configuration with a pattern in the place of "auto", and how many instances of each were counted.

    They are counted in the first of the architectures, or in some of the space where none are given. Without
    "auto" nothing is counted. InputError for a dataset that the space does not know.
    """
    if config.pattern != AUTO:
        return config, {}
    shape = dataset_shape(space, dataset)
    images = blank_images(config.batch_size, shape.channels, shape.height, shape.width)
    plain = replace(config, pattern=next(iter(PATTERNS)))
    chosen = archs[:LOOKED_AT] or space.sample(LOOKED_AT, random.Random(0))
    networks = [untrained(space, arch, shape.classes, images, plain) for arch in chosen]
    counts = {
        name: sum(_count(network.model, network.inputs, name, config) for network in networks) for name in PATTERNS
    }
    return replace(config, pattern=fitting(counts)), counts


def fitting(counts: Mapping[str, int]) -> str:
    """Return the pattern of the highest count, the first in the table of those that are alike.

    One whose instances are layers alone, which every network has most of, is the last resort.
    """
    return max(PATTERNS, key=lambda name: (counts[name] > 0, not PATTERNS[name].alone, counts[name]))


def _count(model: nn.Module, inputs: Mapping[str, Tensor], pattern: str, config: StatisticsConfig) -> int:
    with one_thread():
        return len(read_instances(model, inputs, pattern=pattern, separable=config.separable, tensors=()))
