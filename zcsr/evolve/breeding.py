"""The candidates of one generation: proposed in batches, judged in order, admitted until the population is full.

A proposal is refused by shapes before any tensor is touched, and never repaired, so valid programs are distributed
as those of the representation are, given that they are valid.

Batches have fixed sizes and judging follows the order of proposal, so the outcome does not depend on how many
workers run the probes.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zcsr.errors import ZcsrError
from zcsr.evaluation.scorer import ProbeResult, Refusal, Scorer
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.ledger import Ledger, Part
from zcsr.evolve.memory import Memory
from zcsr.evolve.records import Candidate, Generation, Individual, ProgramRecord
from zcsr.evolve.representation import Representation
from zcsr.evolve.trees import select
from zcsr.language.program import Program
from zcsr.sameness.recognise import Recognition

RANDOM_BATCH = 64
"""Random programs proposed at a time."""

HOPELESS_AFTER = 20_000
"""Candidates refused in a row before the search for a valid one is given up."""


@dataclass(slots=True)
class Breeding:
    """Fills one generation's population.

    `admitted` are its individuals, not ranked yet; `programs` the distinct ones that it brought, in order.
    """

    config: EvolveConfig
    memory: Memory
    scorer: Scorer
    representation: Representation
    ledger: Ledger
    admitted: list[Individual] = field(default_factory=list)
    programs: list[ProgramRecord] = field(default_factory=list)

    def breed(self, previous: Generation | None) -> None:
        """Admit one half of children and one half of random programs, or random ones alone without parents."""
        size = self.config.population
        if previous is not None:
            self._admit_until(size // 2, "children", self._children_of(previous))
        self._admit_until(size, "random", self._random_programs())

    def _children_of(self, previous: Generation) -> Iterator[list[Candidate]]:
        pool = [individual for individual in previous.individuals if math.isfinite(individual.fitness)]
        parents = select(self.config, pool or previous.individuals, self._generator("parents"))
        generator = self._generator("children")
        while True:
            yield self.representation.children(self.config, parents, generator)

    def _random_programs(self) -> Iterator[list[Candidate]]:
        generator = self._generator("random")
        while True:
            yield self.representation.random(self.config, RANDOM_BATCH, generator)

    def _generator(self, purpose: str) -> random.Random:
        return random.Random(f"{self.config.seed}/{self.ledger.number}/{purpose}")

    def _admit_until(self, size: int, part: Part, batches: Iterator[list[Candidate]]) -> None:
        already, refused_in_a_row = len(self.admitted), 0
        while len(self.admitted) < size:
            with self.ledger.timed("vary"):
                batch = next(batches)
            before = len(self.admitted)
            self._admit_from(batch, size)
            refused_in_a_row = 0 if len(self.admitted) > before else refused_in_a_row + len(batch)
            if refused_in_a_row >= HOPELESS_AFTER:
                raise ZcsrError(self._hopeless(refused_in_a_row))
            self.ledger.report(part, len(self.admitted) - already, size - already)

    def _admit_from(self, batch: Sequence[Candidate], size: int) -> None:
        """Judge a batch in order until the population has `size` programs; what is left over is forgotten."""
        probed = self._probe(batch)
        for candidate in batch:
            if len(self.admitted) == size:
                return
            self.ledger.counts["proposed"] += 1
            self._admit(candidate, self._judge(candidate, probed))

    def _admit(self, candidate: Candidate, verdict: Refusal | Recognition) -> None:
        if isinstance(verdict, Refusal):
            self.memory.refuse(candidate.text, verdict)
            self.ledger.reject(candidate.text, candidate.origin, verdict)
        elif isinstance(candidate.outcome, Program):  # nothing else is ever recognised
            self.ledger.counts[verdict.stage] += 1
            individual = Individual(
                slot=len(self.admitted),
                program=candidate.outcome,
                origin=candidate.origin,
                recognised_by=verdict.stage,
                same_as=verdict.same_as,
                fitness=-math.inf,
                taus={},
                genotype=candidate.genotype,
            )
            self.admitted.append(individual)

    def _probe(self, batch: Sequence[Candidate]) -> dict[str, ProbeResult]:
        """Run on the probe networks what memory cannot decide and is not too tall, each text once."""
        unknown = {
            one.text: one.outcome
            for one in batch
            if isinstance(one.outcome, Program)
            and one.outcome.root.height <= self.config.height_limit
            and self.memory.verdict(one.text) is None
        }
        with self.ledger.timed("probe"):
            results = self.scorer.probe(list(unknown.values())) if unknown else ()
        return dict(zip(unknown, results, strict=True))

    def _judge(self, candidate: Candidate, probed: Mapping[str, ProbeResult]) -> Refusal | Recognition:
        known = self.memory.verdict(candidate.text)
        if known is not None:
            self.ledger.counts["known"] += 1
            return known
        program = candidate.outcome
        if isinstance(program, Refusal):
            return program
        height, limit = program.root.height, self.config.height_limit
        if height > limit:
            return Refusal("too_tall", f"height {height}, the limit is {limit}")
        self.ledger.counts["probed"] += 1
        result = probed[candidate.text]
        if isinstance(result, Refusal):
            return result
        with self.ledger.timed("recognise"):
            verdict, record = self.memory.admit(program, result)
        if record is not None:
            self.programs.append(record)
        return verdict

    def _hopeless(self, refused: int) -> str:
        reasons: Counter[str] = Counter()
        for rejection in self.ledger.rejections.values():
            reasons[rejection.reason] += rejection.count
        seen = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        return (
            f"no valid program among {refused} candidates in a row in generation {self.ledger.number} ({seen}); "
            f"check the statistics of the probe networks, or lower {self.representation.taller_by}"
        )
