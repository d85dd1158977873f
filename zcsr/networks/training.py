"""Short training of a network of a search space: the accuracy that a benchmark of one's own is made of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from zcsr.errors import InputError
from zcsr.networks.config import TrainingConfig
from zcsr.spaces import SearchSpace
from zcsr.spaces.own import own_code

_TEST_BATCH = 250


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Normalised images, float32 [n, c, h, w], and their labels, int64 [n]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: str) -> Examples:
        """The same examples on that device."""
        return Examples(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """`accuracy` in percent of the test examples, mean `loss` over the last epoch (nats), wall-clock `seconds`."""

    accuracy: float
    loss: float
    seconds: float


def train_network(
    space: SearchSpace,
    arch: str,
    classes: int,
    train: Examples,
    test: Examples,
    config: TrainingConfig,
    seed: int,
    device: str = "cpu",
) -> TrainingResult:
    """Train the architecture from torch's default initialisation and test it on all of `test`.

    On a processor, accuracy and loss depend on the arguments alone (and on the number of torch's threads); the
    global generator is left as it was. An incomplete last batch of an epoch is left out. Training that diverges
    is no error: its loss is NaN. InputError where `train` does not fill one batch or `test` is empty.
    """
    _check_sizes(train, test, config)
    started = time.perf_counter()
    with own_code(space, arch):
        network = _initialised(space, arch, classes, train.images.shape[1], seed).to(device)
        loss = _train(network, train.to(device), config, seed)
        accuracy = _accuracy(network, test.to(device))
    return TrainingResult(accuracy, loss, time.perf_counter() - started)


def _check_sizes(train: Examples, test: Examples, config: TrainingConfig) -> None:
    if len(train) < config.batch_size:
        raise InputError(f"{len(train)} images to train on do not fill one batch of {config.batch_size}")
    if not len(test):
        raise InputError("there are no images to test on: give at least one")


def _initialised(space: SearchSpace, arch: str, classes: int, channels: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return space.build(arch, classes, channels)


def _train(network: nn.Module, train: Examples, config: TrainingConfig, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    optimiser = _optimiser(network, config)
    steps = config.epochs * (len(train) // config.batch_size)
    schedule = OneCycleLR(optimiser, config.learning_rate, total_steps=steps, cycle_momentum=False)
    network.train()
    losses: list[Tensor] = []
    for _ in range(config.epochs):
        losses = []
        for batch in _batches(train, config, generator):
            losses.append(_step(network, optimiser, batch))
            schedule.step()
    return float(torch.stack(losses).mean())


def _optimiser(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    rates: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": True}
    if config.optimiser == "adamw":
        return torch.optim.AdamW(network.parameters(), betas=(config.momentum, 0.999), **rates)
    return torch.optim.SGD(network.parameters(), momentum=config.momentum, nesterov=True, **rates)


def _batches(train: Examples, config: TrainingConfig, generator: torch.Generator) -> Iterator[Examples]:
    order = torch.randperm(len(train), generator=generator)
    flipped = torch.rand(len(train), generator=generator) < (0.5 if config.flips else 0.0)
    for start in range(0, len(train) - config.batch_size + 1, config.batch_size):
        chosen = order[start : start + config.batch_size].to(train.labels.device)
        mirrored = flipped[start : start + config.batch_size].to(train.labels.device).view(-1, 1, 1, 1)
        images = train.images[chosen]
        yield Examples(torch.where(mirrored, images.flip(-1), images), train.labels[chosen])


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, batch: Examples) -> Tensor:
    optimiser.zero_grad()
    loss = F.cross_entropy(network(batch.images), batch.labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.detach()


@torch.inference_mode()
def _accuracy(network: nn.Module, test: Examples) -> float:
    network.eval()
    answers = torch.cat([network(images).argmax(dim=1) for images in torch.split(test.images, _TEST_BATCH)])
    return 100.0 * int((answers == test.labels).sum()) / len(test)
