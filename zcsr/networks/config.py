"""How networks are looked at before any training, and how they are trained."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal, get_args

from zcsr.networks.patterns import PATTERNS
from zcsr.parameters import check, parameter

Separable = Literal["first", "second", "both"]
Loss = Literal["ones", "cross_entropy"]
Initialisation = Literal["eznas", "torch"]
Precision = Literal["float32", "float64"]

_UNKNOWN = "unknown {name} {value!r}: the known ones are {choices}"
_TOO_SHORT = "training takes epochs >= 1 and batch size >= 2, not {config.epochs} and {config.batch_size}"


AUTO = "auto"
"""Stands for the pattern that networks have most instances of, until that is found out."""

_TITLES = ", ".join(f"{row.name} ({row.title})" for row in PATTERNS.values())


@dataclass(frozen=True, slots=True)
class StatisticsConfig:
    """All that statistics depend on besides the network and the images; InputError for values outside of the lists.

    `seed` decides the weights, the images drawn and the noise, each by a stream of its own. Weights are drawn by
    EZNAS's rules (`zcsr.networks.initialisation`), or by torch's own, with which other proxies were published.
    """

    batch_size: int = parameter(
        1,
        "images in the minibatch",
        least=1,
        ranged=True,
        refusal="batch size {value} is too small: statistics take 1 image or more",
    )
    seed: int = parameter(0, "seed of the weights, the minibatch and the noise", flag="--network-seed")
    pattern: str = parameter(
        "rcb",
        f"instances: {_TITLES}; or {AUTO}, the one that networks have most of",
        choices=lambda: (*PATTERNS, AUTO),
        refusal=_UNKNOWN,
    )
    loss: Loss = parameter(
        "ones",
        "what the gradients come from: ones (on the logits) or cross_entropy",
        choices=get_args(Loss),
        refusal=_UNKNOWN,
    )
    noise_variance: float = parameter(
        0.01,
        "of what perturbs the data",
        least=0,
        most=sys.float_info.max,
        refusal="noise variance {value} is no variance: it must be finite and 0 or more",
        flag=None,
    )
    initialisation: Initialisation = parameter(
        "eznas",
        "weights by the rules of eznas, or of torch as other proxies' are",
        choices=get_args(Initialisation),
        refusal=_UNKNOWN,
    )
    dtype: Precision = parameter(
        "float32", "type of the tensors", choices=get_args(Precision), refusal=_UNKNOWN, flag=None
    )
    separable: Separable = parameter(
        "first",
        "which convolution of a chain before one BatchNorm gives T2 and T3 (EZNAS takes the first)",
        choices=get_args(Separable),
        refusal=_UNKNOWN,
        flag=None,
    )

    def __post_init__(self) -> None:
        check(self)


Optimiser = Literal["sgd", "adamw"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How long and how to train, the learning rate one cycle up and down.

    SGD has Nesterov momentum; AdamW (Loshchilov and Hutter, ICLR 2019) has `momentum` as its first beta.
    """

    epochs: int = parameter(4, "passes over the training images", least=1, ranged=True, refusal=_TOO_SHORT)
    # Batch normalisation has no variance to divide by in a batch of one.
    batch_size: int = parameter(64, "images in a step", least=2, ranged=True, refusal=_TOO_SHORT)
    learning_rate: float = parameter(0.2, "highest of the one cycle")
    optimiser: Optimiser = parameter("sgd", "sgd, or adamw, which transformers need", choices=get_args(Optimiser))
    momentum: float = parameter(0.9, "share of the last step in the next", flag=None)
    weight_decay: float = parameter(5e-4, "of all weights", flag=None)
    flips: bool = parameter(
        True, "whether half of the training images are mirrored, drawn anew each time", flag=None
    )

    def __post_init__(self) -> None:
        check(self)
