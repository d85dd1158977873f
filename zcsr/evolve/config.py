"""The parameters of an evolution run. `PRESETS` has those of EZNAS (Akhauri et al., NeurIPS 2022), 8.7."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from zcsr.errors import InputError, nearest
from zcsr.parameters import check, parameter, parameters_of

RepresentationName = Literal["tree", "sequential"]
Algorithm = Literal["auto", "front", "generations"]
Design = Literal["nsga2", "lexicase", "islands"]
Refused = Literal["nothing", "shape-only"]
Sampling = Literal["uniform", "stratified"]


@dataclass(frozen=True, slots=True)
class FitnessKind:
    """What the tau of a drawn task is taken as, of which the least is the fitness, and what reports call that."""

    taken: Callable[[float], float]
    words: str
    measure: str


FITNESSES: Mapping[str, FitnessKind] = {
    "signed": FitnessKind(float, "Kendall tau", "Kendall's tau-b"),
    "absolute": FitnessKind(abs, "absolute Kendall tau", "the absolute value of Kendall's tau-b"),
    "lower": FitnessKind(float, "lower bound of Kendall's tau", "the lower 95% bootstrap bound of Kendall's tau-b"),
    "top": FitnessKind(float, "Kendall tau in the top tenth", "Kendall's tau-b among the most accurate tenth"),
}
_OF_GENERATIONS = ("signed", "absolute")

_PROBABILITY = "{name} is a probability; got {value}"


def _steps(which: str) -> tuple[str, ...]:
    # What loads torch is asked when values are checked: a declaration is light to import.
    from zcsr.language.languages import EZNAS

    return tuple(step.name for step in getattr(EZNAS, which))


def _languages() -> tuple[str, ...]:
    from zcsr.language.languages import LANGUAGES

    return tuple(LANGUAGES)


@dataclass(frozen=True, slots=True)
class EvolveConfig:
    """How a run searches. Raises InputError on values that cannot be used.

    Lengths of sequential programs are not from the paper. Longer random ones compute little more than these: ever
    fewer of their rows reach the output.
    """

    algorithm: Algorithm = parameter(
        "auto",
        "search on all networks for a front of programs (front), or by the paper's Algorithm 1 (generations); "
        "auto is front, or generations for the paper's language",
        choices=get_args(Algorithm),
    )
    seed: int = parameter(0, "seed of the search")
    population: int = parameter(50, "programs in a generation; even", least=2)
    generations: int = parameter(15, "generations, the first included", least=1)
    tournament: int = parameter(4, "programs that compete to be a parent", least=1)
    mu: int = parameter(25, "parents selected in a generation", least=2)
    lambda_: int = parameter(50, "children proposed at a time", least=1)
    crossover: float = parameter(0.4, "probability of crossover", least=0, refusal=_PROBABILITY)
    mutation: float = parameter(0.4, "probability of mutation", least=0, refusal=_PROBABILITY)
    min_depth: int = parameter(2, "least height of a random program", least=0, only_for="tree")
    max_depth: int = parameter(
        0, "greatest height of a random program", only_for="tree", unset="10, or 5 in a search over fronts"
    )
    height_limit: int = parameter(10, "tallest program admitted", least=0)
    networks_per_task: int = parameter(
        80, "networks of each task kept for evolution; by front at most half of all", least=2, flag="--networks"
    )
    sampling: Sampling = parameter(
        "uniform", "how these are drawn: uniform, or stratified by accuracy", choices=get_args(Sampling)
    )
    draw: int = parameter(20, "networks of each task drawn in a generation", least=2, only_for="generations")
    tasks_per_generation: int = parameter(
        4, "tasks drawn in a generation, at most", least=1, only_for="generations"
    )
    held_out: float = parameter(
        0.5, "share of the evolution networks that choose the finalists", least=0, most=0.9, only_for="front"
    )
    design: Design = parameter(
        "nsga2",
        "who survives and has children: nsga2, lexicase or islands",
        choices=get_args(Design),
        only_for="front",
    )
    columns: int = parameter(40, "new columns computed in a generation", least=1, only_for="front")
    formulas: int = parameter(8, "programs improved by formulas in a generation", least=0, only_for="front")
    race: float = parameter(
        2.0,
        "standard errors by which a new column may be behind on the first networks; 0 races nothing away",
        least=0,
        only_for="front",
    )
    shape_only: float = parameter(
        0.2, "greatest share of programs that look at sizes alone", least=0, most=1, only_for="front"
    )
    refuse: Refused = parameter(
        "nothing", "programs never admitted: nothing, or shape-only", choices=get_args(Refused), only_for="front"
    )
    language: str = parameter(
        "zcsr", "words of programs: eznas (the paper's) or zcsr (these and more)", choices=_languages
    )
    to_scalar: str = parameter(
        "mean", "over an instance: mean or l2", choices=partial(_steps, "readouts"), only_for="eznas"
    )
    aggregation: str = parameter(
        "mean", "over the instances: mean or sum", choices=partial(_steps, "aggregations"), only_for="eznas"
    )
    fitness: str = parameter(
        "signed",
        "minimum over tasks of tau (signed) or |tau| (absolute); by front also of its lower bound (lower) or of "
        "tau in the top tenth (top)",
        choices=tuple(FITNESSES),
    )
    probe_networks: int = parameter(
        2, "networks of each task a program must run on to be admitted", least=1, only_for="generations"
    )
    representation: RepresentationName = parameter(
        "tree", "programs as expression trees (tree) or rows (sequential)", choices=get_args(RepresentationName)
    )
    min_length: int = parameter(2, "fewest rows of a random sequential program", least=1, only_for="sequential")
    max_length: int = parameter(32, "most rows of a sequential program", least=2, only_for="sequential")

    def __post_init__(self) -> None:
        check(self)
        if self.algorithm == "auto":
            object.__setattr__(self, "algorithm", "generations" if self.language == "eznas" else "front")
        if not self.max_depth:
            object.__setattr__(self, "max_depth", _MAX_DEPTH[self.algorithm])
        halves = "population must be even (half are children, half new random programs)"
        _require(self.population % 2 == 0, halves, self.population)
        varied = self.crossover + self.mutation
        _require(varied <= 1 + 1e-12, "crossover + mutation must not exceed 1 (the rest is reproduction)", varied)
        self._require_order("min_depth", "max_depth")
        if self.representation == "tree":
            self._require_order("min_depth", "height_limit")
        self._require_order("min_length", "max_length")
        if self.representation == "sequential":
            paper = "sequential programs are of the paper's language: give language eznas (--language eznas)"
            _require(self.language == "eznas", paper, self.language)
        if self.algorithm == "front":
            larger = (
                "a search over fronts is for the larger language: give algorithm generations with language eznas"
            )
            _require(self.language != "eznas", larger, self.language)
        else:
            kinds = f"Algorithm 1 has a fitness of {' or '.join(_OF_GENERATIONS)}"
            _require(self.fitness in _OF_GENERATIONS, kinds, self.fitness)
        for name in ("draw", "probe_networks") if self.algorithm == "generations" else ():
            seen, most = getattr(self, name), self.networks_per_task
            _require(seen <= most, f"{name} must not exceed networks_per_task ({most})", seen)

    def _require_order(self, lower: str, upper: str) -> None:
        seen = getattr(self, lower), getattr(self, upper)
        _require(seen[0] <= seen[1], f"{lower} must not exceed {upper}", seen)


def _require(holds: bool, rule: str, seen: object) -> None:
    if not holds:
        raise InputError(f"{rule}; got {seen}")


_MAX_DEPTH = {"front": 5, "generations": 10}

PRESETS: Mapping[str, Mapping[str, object]] = {"front": {}, "paper": {"language": "eznas"}}
"""What a preset sets otherwise than the defaults; "paper" is Algorithm 1 with the parameters of 8.7."""

AGAINST = ("params", "flops", "naswot", "synflow", "eznas-a", "eznas-a-summed")
"""What finalists are compared with where nothing is said."""

NOTHING = "none"
"""What they are compared with where they are compared with nothing."""


def preset(name: str) -> Mapping[str, object]:
    """Return what the preset of that name sets; InputError, with the nearest name, for any other."""
    if name not in PRESETS:
        raise InputError(f"preset is one of {', '.join(PRESETS)}, not {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name]


def in_short(config: EvolveConfig) -> str:
    """Return what a search is called among others: the nearest preset, and what it has otherwise, less the seed."""
    described = []
    for name, settings in PRESETS.items():
        usual = EvolveConfig(**settings)  # type: ignore[arg-type]
        others = (one.name for one in parameters_of(EvolveConfig) if one.name != "seed")
        differing = [one for one in others if getattr(config, one) != getattr(usual, one)]
        words = (f"{one.strip('_').replace('_', ' ')} {getattr(config, one)}" for one in differing)
        described.append((len(differing), ", ".join((name, *words))))
    return min(described)[1]
