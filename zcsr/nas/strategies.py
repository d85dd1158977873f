"""Architecture search with a proxy: how many networks must be trained until a good one is found.

On a table of accuracies, training is a look-up, so that strategies can be run against each other many times:

    random        architectures drawn uniformly, each once
    evolution     aging evolution (Real et al., AAAI 2019): the most accurate of a tournament is the parent, a
                  uniformly drawn neighbour of it the child, and the oldest of the population goes
    warmup        the same, starting from the highest scores among untrained networks
    moves         the same, the child being the neighbour with the highest score that is not yet trained
    warmup_moves  both

The last three are "warm-up" and "move proposal" of Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS (ICLR
2021). The cost of a search is the number of distinct architectures that it trains: what is trained is known, and
meeting it again is free. Architectures are told apart by their strings, each with its own accuracy; isomorphic ones
are not merged.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from zcsr.errors import InputError
from zcsr.nas.config import SearchConfig
from zcsr.spaces import SearchSpace

Strategy = Literal["random", "evolution", "warmup", "moves", "warmup_moves"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
WARM: tuple[Strategy, ...] = ("warmup", "warmup_moves")
MOVING: tuple[Strategy, ...] = ("moves", "warmup_moves")

KNOWN_IN_A_ROW = 1000
"""Children in a row that are trained already, after which the population is taken to be stuck."""

Choose = Callable[[str, Collection[str]], str | None]
"""From a parent and what is trained to the child; None where the parent has no neighbour."""


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """What a search walks on: the architectures with an accuracy (percent, higher is better), and their neighbours.

    Neighbours that have no accuracy are passed over.
    """

    space: SearchSpace
    accuracies: Mapping[str, float]
    archs: tuple[str, ...] = field(init=False)
    _neighbours: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "archs", tuple(self.accuracies))

    def neighbours(self, arch: str) -> tuple[str, ...]:
        """The architectures with an accuracy that are one change away, in the space's order."""
        if arch not in self._neighbours:
            found = tuple(one for one in self.space.neighbours(arch) if one in self.accuracies)
            self._neighbours[arch] = found
        return self._neighbours[arch]


def run_strategy(
    landscape: Landscape,
    config: SearchConfig,
    strategy: Strategy,
    repeat: int,
    scores: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """The `config.budget` architectures that one search trains, each once, in the order in which it trains them.

    `scores` (higher is better) hold every architecture of the landscape; the strategies with a proxy need them and
    the others do not look at them. A score that is not finite ranks below all others; equal scores, and equal
    accuracies in a tournament, are ranked at random. Where a parent has no neighbour with an accuracy, or
    `KNOWN_IN_A_ROW` children in a row were trained already, the child is drawn uniformly among what is untrained.

    Every draw is from `random.Random(f"{seed}/{repeat}/{strategy}")`: the same arguments give the same search, and
    of one strategy and repeat two proxies are given the same draws. Raises InputError for a budget larger than the
    landscape, for missing scores, and where no architecture has a neighbour.
    """
    check_search(landscape, config, strategy, scores)
    generator = random.Random(f"{config.seed}/{repeat}/{strategy}")
    if strategy == "random":
        return tuple(generator.sample(landscape.archs, config.budget))
    ranks = {arch: score if math.isfinite(score) else -math.inf for arch, score in (scores or {}).items()}
    first = min(config.population, config.budget)
    if strategy in WARM:
        drawn = generator.sample(landscape.archs, min(config.warmup, len(landscape.archs)))
        start = sorted(drawn, key=ranks.__getitem__, reverse=True)[:first]  # equal scores stay in the order drawn
    else:
        start = generator.sample(landscape.archs, first)
    choose = _by_score(landscape, config.moves, ranks, generator) if strategy in MOVING else None
    return _evolution(landscape, config, start, choose or _uniformly(landscape, generator), generator)


def check_search(
    landscape: Landscape, config: SearchConfig, strategy: Strategy, scores: Mapping[str, float] | None
) -> None:
    """Raise InputError where `run_strategy` could not run with these."""
    name, count = landscape.space.name, len(landscape.archs)
    if config.budget > count:
        raise InputError(
            f"a budget of {config.budget} networks is more than the {count} of {name} to search among; lower it"
        )
    if strategy != "random" and not any(map(landscape.neighbours, landscape.archs)):
        raise InputError(
            f"no architecture of {name} has a neighbour with an accuracy among the {count} to search, so evolution "
            "has nowhere to go; search a space that names neighbours, with accuracies of them"
        )
    if strategy in (*WARM, *MOVING):
        missing = [arch for arch in landscape.archs if arch not in (scores or {})]
        if missing:
            raise InputError(
                f"{len(missing)} of {count} architectures of {name} have no score, {missing[0]} among them; the "
                f"strategy {strategy} needs one of each"
            )


def best_so_far(guide: Sequence[float], reported: Sequence[float]) -> list[float]:
    """After each network trained, the reported accuracy of the one with the highest guiding accuracy so far.

    Both [n], in percent, in the order of training; of equal guiding accuracies the first counts. What is reported
    may fall, since a search does not see it.
    """
    best: list[float] = []
    highest = -math.inf
    for guiding, shown in zip(guide, reported, strict=True):
        better = guiding > highest or not best
        highest = max(highest, guiding)
        best.append(shown if better else best[-1])
    return best


def _uniformly(landscape: Landscape, generator: random.Random) -> Choose:
    def choose(parent: str, _: Collection[str]) -> str | None:
        neighbours = landscape.neighbours(parent)
        return generator.choice(neighbours) if neighbours else None

    return choose


def _by_score(
    landscape: Landscape, moves: int | None, scores: Mapping[str, float], generator: random.Random
) -> Choose:
    def choose(parent: str, trained: Collection[str]) -> str | None:
        neighbours = landscape.neighbours(parent)
        drawn = generator.sample(neighbours, min(moves or len(neighbours), len(neighbours)))
        untrained = [arch for arch in drawn if arch not in trained]
        if untrained:
            return max(untrained, key=scores.__getitem__)  # of equal scores the first drawn
        return drawn[0] if drawn else None

    return choose


def _evolution(
    landscape: Landscape, config: SearchConfig, start: Sequence[str], choose: Choose, generator: random.Random
) -> tuple[str, ...]:
    trained = dict.fromkeys(start)
    population = deque(start, maxlen=config.population)  # drops the oldest
    known_in_a_row = 0
    while len(trained) < config.budget:
        rivals = generator.sample(population, min(config.tournament, len(population)))
        child = choose(max(rivals, key=landscape.accuracies.__getitem__), trained)
        if child is None or known_in_a_row == KNOWN_IN_A_ROW:
            child = generator.choice([arch for arch in landscape.archs if arch not in trained])
        known_in_a_row = known_in_a_row + 1 if child in trained else 0
        trained[child] = None
        population.append(child)
    return tuple(trained)
