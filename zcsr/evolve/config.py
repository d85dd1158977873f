"""The parameters of an evolution run; the defaults are those of EZNAS (Akhauri et al., NeurIPS 2022), 8.7."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zcsr.errors import InputError
from zcsr.language.languages import EZNAS

FitnessKind = Literal["signed", "absolute"]
RepresentationName = Literal["tree", "sequential"]


@dataclass(frozen=True, slots=True)
class EvolveConfig:
    """How a run searches. Raises InputError on values that cannot be used.

    seed: of every random choice of the run
    population: programs in a generation; even, half are children and half new random programs
    generations: how many, counting the first, whose programs are all random
    tournament: programs that compete for each parent's place
    mu: parents selected in a generation; lambda_: children proposed at a time
    crossover, mutation: probability of each; the rest is reproduction
    min_depth, max_depth: height of random programs and of the subtrees that mutation puts in
    height_limit: the tallest program that is admitted
    networks_per_task: networks set aside for evolution from each task
    draw: networks drawn from each drawn task in each generation
    tasks_per_generation: tasks drawn in each generation (all of them where there are fewer)
    to_scalar, aggregation: what a program's root value becomes in an instance, and over the instances
    fitness: "signed" takes the minimum of tau over the tasks, "absolute" the minimum of |tau|
    probe_networks: networks of each task on which a program must run before it is admitted
    representation: how programs are drawn and bred: as expression trees, or as sequences of instructions (8.2)
    min_length, max_length: rows of random sequential programs; no child has more than max_length either

    The lengths are not from the paper. Longer random programs compute little more than these: ever fewer of their
    rows reach the output.
    """

    seed: int = 0
    population: int = 50
    generations: int = 15
    tournament: int = 4
    mu: int = 25
    lambda_: int = 50
    crossover: float = 0.4
    mutation: float = 0.4
    min_depth: int = 2
    max_depth: int = 10
    height_limit: int = 10
    networks_per_task: int = 80
    draw: int = 20
    tasks_per_generation: int = 4
    to_scalar: str = "mean"
    aggregation: str = "mean"
    fitness: FitnessKind = "signed"
    probe_networks: int = 2
    representation: RepresentationName = "tree"
    min_length: int = 2
    max_length: int = 32

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            _require(getattr(self, name) >= least, f"{name} must be at least {least}", getattr(self, name))
        _require(
            self.population % 2 == 0,
            "population must be even (half are children, half new random programs)",
            self.population,
        )
        for name in ("crossover", "mutation"):
            _require(getattr(self, name) >= 0, f"{name} is a probability", getattr(self, name))
        _require(
            self.crossover + self.mutation <= 1 + 1e-12,
            "crossover + mutation must not exceed 1 (the rest is reproduction)",
            self.crossover + self.mutation,
        )
        _require(
            self.min_depth <= self.max_depth,
            "min_depth must not exceed max_depth",
            (self.min_depth, self.max_depth),
        )
        _require(
            self.representation != "tree" or self.min_depth <= self.height_limit,
            "min_depth must not exceed height_limit",
            (self.min_depth, self.height_limit),
        )
        _require(
            self.min_length <= self.max_length,
            "min_length must not exceed max_length",
            (self.min_length, self.max_length),
        )
        for name in ("draw", "probe_networks"):
            _require(
                getattr(self, name) <= self.networks_per_task,
                f"{name} must not exceed networks_per_task ({self.networks_per_task})",
                getattr(self, name),
            )
        for name, allowed in _CHOICES.items():
            _require(
                getattr(self, name) in allowed, f"{name} must be one of {', '.join(allowed)}", getattr(self, name)
            )


_LEAST = {
    "population": 2,
    "generations": 1,
    "tournament": 1,
    "mu": 2,
    "lambda_": 1,
    "min_depth": 0,
    "height_limit": 0,
    "networks_per_task": 2,
    "draw": 2,
    "tasks_per_generation": 1,
    "probe_networks": 1,
    "min_length": 1,
    "max_length": 2,
}
_CHOICES = {
    "to_scalar": tuple(step.name for step in EZNAS.readouts),
    "aggregation": tuple(step.name for step in EZNAS.aggregations),
    "fitness": ("signed", "absolute"),
    "representation": ("tree", "sequential"),
}


def _require(holds: bool, rule: str, seen: object) -> None:
    if not holds:
        raise InputError(f"{rule}; got {seen}")
