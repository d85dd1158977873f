"""What one generation of a run is made of: plain immutable records, enough to store a run and to resume it.

Every value is a string, a number, a tuple or a mapping of those, a `Program` or another record; two records are
equal when everything but the measured time is. No record holds NaN: what is not a number is left out, as said
below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from zcsr.errors import InputError
from zcsr.evaluation.scorer import Reason, Refusal
from zcsr.language.program import Program

Origin = Literal["random", "crossover", "mutation", "reproduction", "seed", "readout", "formula"]
Stage = Literal["new", "text", "normal_form", "sympy", "fingerprint", "same_order"]


@dataclass(frozen=True, slots=True)
class Genotype:
    """What an individual is bred as, where that is not its expression: a sequential program, as text.

    `instructions` are its rows, and `reaching` how many of them reach the output.
    """

    text: str
    instructions: int
    reaching: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a representation proposes, before anything is known of its values, and how it came about.

    text: by which it is known: the program's or, without one, the genotype's
    outcome: the program that it stands for, or why it stands for none that may be admitted
    genotype: what it is bred as; None for a tree, which is bred as its expression
    """

    text: str
    origin: Origin
    outcome: Program | Refusal
    genotype: Genotype | None = None


@dataclass(frozen=True, slots=True)
class Individual:
    """A place in the population of one generation.

    `slot` is its 0-based place; `recognised_by` the stage that found it equal to a program seen before in the
    run ("new": none did); `same_as` the id of the distinct program whose scores it takes, which is its own id
    when it is new. `taus` are Kendall tau-b on the networks drawn in this generation, by task, for the tasks on
    which every score is finite. `fitness` is their minimum (of the absolute values when the run's fitness is
    "absolute"), in -1..1, and -inf when a score on any drawn network is not finite. `genotype` is None for a tree,
    which is bred as its expression.
    """

    slot: int
    program: Program
    origin: Origin
    recognised_by: Stage
    same_as: str
    fitness: float
    taus: Mapping[str, float]
    genotype: Genotype | None = None


@dataclass(frozen=True, slots=True)
class ProgramRecord:
    """A distinct program, in the generation that saw it first, with the keys by which it is recognised again.

    `sympy` is None for a tree too large for it, `fingerprint` for a program that does not run on the
    fingerprint's own inputs. `probe_values` are its scalars an instance on the run's probe networks, all finite; of
    a program without the paper's steps, its scores of parts of these networks. The key of its order is not kept: it
    follows from the program, as the others do, and is made again when a run is resumed.
    """

    program: Program
    normal_form: str
    sympy: str | None
    fingerprint: str | None
    probe_values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A program refused in this generation; one record a text.

    `count` is how many times it was proposed and refused in this generation. It is 0 for a program of the
    population that passed the probe networks and gave a score that is not finite on a network drawn in this
    generation (reason "non_finite", `detail` names the task and the network): it is refused from then on.
    `origin` is that of the first proposal.
    """

    text: str
    origin: Origin
    reason: Reason
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """The score of a distinct program on one network, in the generation that evaluated it; always finite."""

    program_id: str
    task: str
    arch: str
    score: float


ColumnState = Literal["known", "raced", "refused"]


@dataclass(frozen=True, slots=True)
class ColumnRecord:
    """A base column (`zcsr.evolve.bank`) in the generation that asked for it first, as text, and what became of it.

    Its numbers are known on all networks, or the race was lost on the first ones, or it is refused.
    """

    text: str
    state: ColumnState


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A program scored on all networks that selection sees, in the generation that did it first.

    `taus` are by task, all tasks of the run. `ranking` is a text that programs share which rank these
    networks alike; `shape_only` whether the program looks at sizes alone; `cost` that of a score
    (`zcsr.evolve.objectives.cost_of`).
    """

    program: Program
    origin: Origin
    taus: Mapping[str, float]
    ranking: str
    shape_only: bool
    cost: int

    @property
    def least(self) -> float:
        """The least tau over the tasks."""
        return min(self.taus.values())

    @property
    def mean(self) -> float:
        """The mean tau over the tasks."""
        return sum(self.taus.values()) / len(self.taus)

    @property
    def merit(self) -> float:
        """Half the least and half the mean tau over the tasks."""
        return (self.least + self.mean) / 2


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation: its draw, its population, and everything that became known while making it.

    `draws` maps each drawn task to the architectures drawn from it, in the order of the run's tasks and of each
    task's networks. `individuals` are in slot order: children first, then the new random programs. `programs`,
    `rejections` and `scores` hold only what is new in this generation (a refused text that was known before
    appears again, with this generation's count). A search over fronts has its population after selection as
    `individuals`, and in place of `scores` what was `evaluated` and the `columns` asked for first. `counters` count
    candidates and score look-ups; `seconds` are wall-clock times of the parts and are left out of comparisons.
    """

    number: int
    draws: Mapping[str, tuple[str, ...]]
    individuals: tuple[Individual, ...]
    programs: tuple[ProgramRecord, ...]
    rejections: tuple[Rejection, ...]
    scores: tuple[ScoreRecord, ...]
    counters: Mapping[str, int]
    evaluated: tuple[Evaluated, ...] = ()
    columns: tuple[ColumnRecord, ...] = ()
    seconds: Mapping[str, float] = field(compare=False, default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks drawn, in the run's order."""
        return tuple(self.draws)


def check_number(generation: Generation, number: int) -> None:
    """Raise InputError unless the generation in that place of a history is the one of that number."""
    if generation.number != number:
        raise InputError(
            f"generation {number} is missing from the run's history, which has {generation.number} in its place; "
            "the run cannot be resumed without it"
        )
