"""The parameters of searches for architectures; population and tournament are those of Abdelfattah et al."""

from __future__ import annotations

from dataclasses import dataclass

from zcsr.errors import InputError
from zcsr.parameters import check, parameter


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How searches are run. Raises InputError on values that cannot be used.

    Every random choice is drawn from the seed, the repeat and the strategy. Whatever is drawn, for a tournament, a
    warm-up or a move, is drawn without replacement.
    """

    seed: int = parameter(0, "seed of the searches")
    budget: int = parameter(300, "networks that a search trains", least=1)
    repeats: int = parameter(10, "searches by each strategy", least=1)
    population: int = parameter(64, "networks alive in an evolution", least=1)
    tournament: int = parameter(10, "of these, compete to be the parent", least=1)
    warmup: int = parameter(3000, "untrained networks scored for a warm-up; all where there are fewer", least=1)
    moves: int | None = parameter(None, "neighbours scored for a move", least=1, unset="all of the parent's")

    def __post_init__(self) -> None:
        check(self)
        if self.tournament > self.population:
            raise InputError(f"tournament must not exceed population ({self.population}); got {self.tournament}")
        if self.warmup < self.population:
            raise InputError(f"warmup fills the population ({self.population}), so no fewer; got {self.warmup}")
