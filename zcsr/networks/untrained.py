"""The networks of a space as they are before any training: built, initialised, and what goes through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.language.tensors import TENSORS
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.config import StatisticsConfig
from zcsr.networks.initialisation import initialise, random_stream, seeded
from zcsr.networks.instances import (
    NetworkStatistics,
    draw_inputs,
    read_instances,
)
from zcsr.spaces.own import own_code

if TYPE_CHECKING:
    from zcsr.networks.images import ImageSet
    from zcsr.spaces import DatasetShape, SearchSpace


def network_statistics(
    space: SearchSpace,
    arch: str,
    classes: int,
    images: ImageSet,
    config: StatisticsConfig,
    tensors: Iterable[TensorRow] = TENSORS,
) -> NetworkStatistics:
    """Return the statistics of one architecture of a space, a function of the arguments alone.

    The network is built for `classes` and for the images' channels, and initialised by `config.seed`, stream
    "weights"; `images` draws the minibatch by the same seed, at the size of the space's data set of as many
    classes. torch computes with one thread meanwhile, so that results do not depend on their number, and its
    generator is left as it was. Raises InputError for what `images`, `space` or `read_instances` refuse.
    """
    return untrained(space, arch, classes, images, config).statistics(tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Untrained:
    """A network as it is before any training, and what goes through it.

    `inputs` holds D, N and P, each float [b, c, h, w]; `labels`, int64 [b], are those of the images of D.
    """

    space: SearchSpace
    arch: str
    model: nn.Module
    inputs: Mapping[str, Tensor]
    labels: Tensor
    config: StatisticsConfig

    def statistics(self, tensors: Iterable[TensorRow] = TENSORS) -> NetworkStatistics:
        """Return the network's statistics, as far as `tensors` need them; the network stays as it is."""
        with torch.inference_mode(False), one_thread(), own_code(self.space, self.arch):
            instances = read_instances(
                self.model,
                self.inputs,
                pattern=self.config.pattern,
                loss=self.config.loss,
                labels=self.labels,
                separable=self.config.separable,
                tensors=tensors,
            )
        return NetworkStatistics(self.arch, instances)


def untrained(space: SearchSpace, arch: str, classes: int, images: ImageSet, config: StatisticsConfig) -> Untrained:
    """Return the network of an architecture with its weights and inputs, drawn as `network_statistics` says."""
    with torch.inference_mode(False), one_thread(), own_code(space, arch):
        shape = _dataset_shape(space, classes)
        batch, labels = images.minibatch(config.batch_size, config.seed, shape.height, shape.width)
        inputs = draw_inputs(batch, config.seed, config.noise_variance)
        dtype: torch.dtype = getattr(torch, config.dtype)
        model = _of_type(_build(space, arch, classes, batch.shape[1], config), dtype)
        typed = {which: tensor.to(dtype) for which, tensor in inputs.items()}
    return Untrained(space, arch, model, typed, labels, config)


def _dataset_shape(space: SearchSpace, classes: int) -> DatasetShape:
    fitting = {shape for shape in space.datasets.values() if shape.classes == classes}
    if len({(shape.height, shape.width) for shape in fitting}) != 1:
        known = ", ".join(f"{name} ({shape.classes})" for name, shape in space.datasets.items())
        raise InputError(
            f"{classes} classes do not single out an image size in space {space.name!r}: its data sets are {known}"
        )
    return next(iter(fitting))


def _build(space: SearchSpace, arch: str, classes: int, channels: int, config: StatisticsConfig) -> nn.Module:
    weights = random_stream(config.seed, "weights")
    with seeded(weights.initial_seed()):
        model = _of_type(space.build(arch, classes, channels), torch.float32)
    if config.initialisation == "eznas":
        initialise(model, weights)
    return model


def _of_type(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model with floating-point tensors of this type: `model.to` takes its time also where they are."""
    tensors = (t for module in model.modules() for t in (*module._parameters.values(), *module._buffers.values()))
    fits = all(tensor is None or tensor.dtype == dtype or not tensor.is_floating_point() for tensor in tensors)
    return model if fits else model.to(dtype)
