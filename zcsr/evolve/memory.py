"""What a run has found out so far, so that nothing is decided or computed twice.

It is a function of the stored generations alone: making a generation and learning it from its record lead to
the same memory, which is why a run resumes exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zcsr.evaluation.scorer import Network, Refusal
from zcsr.evolve.records import Generation, ProgramRecord, ScoreRecord
from zcsr.language.program import Program
from zcsr.sameness.recognise import ProgramKeys, Recogniser, Recognition, key_of_order


@dataclass(slots=True)
class Memory:
    """Refused texts, admitted texts, distinct programs with their keys, and every score computed."""

    _refused: dict[str, Refusal] = field(default_factory=dict)
    _admitted: dict[str, str] = field(default_factory=dict)
    _distinct: dict[str, Program] = field(default_factory=dict)
    _scores: dict[str, dict[Network, float]] = field(default_factory=dict)
    _recogniser: Recogniser = field(default_factory=Recogniser)

    def verdict(self, text: str) -> Refusal | Recognition | None:
        """Return what is known about a text: refused, admissible, or None when it was never judged."""
        if text in self._refused:
            return self._refused[text]
        if text in self._admitted:
            return self._refused_as(self._admitted[text]) or Recognition("text", self._admitted[text])
        return None

    def admit(
        self, program: Program, probe_values: NDArray[np.float64]
    ) -> tuple[Refusal | Recognition, ProgramRecord | None]:
        """Take in a program that ran on the probe networks, with its values there.

        Returns how it was recognised and, for a program equal to none before, its record. A program equal to one
        that was refused since is refused too.
        """
        found = self._recogniser.recognise(program, probe_values)
        record: ProgramRecord | None = None
        if found.keys is not None:
            record = ProgramRecord(program, *found.keys.of_value, tuple(probe_values.tolist()))
            self._add_distinct(record)
        elif (refusal := self._refused_as(found.same_as)) is not None:
            return refusal, None
        self._admitted[str(program)] = found.same_as
        return found, record

    def refuse(self, text: str, refusal: Refusal) -> None:
        """Refuse this text, and whatever equals it, from now on."""
        self._refused[text] = refusal

    def keep(self, scores: Iterable[ScoreRecord]) -> None:
        """Remember scores."""
        for score in scores:
            self._scores.setdefault(score.program_id, {})[score.task, score.arch] = score.score

    def distinct(self, program_id: str) -> Program:
        """Return the distinct program of this id."""
        return self._distinct[program_id]

    def score(self, program_id: str, network: Network) -> float | None:
        """Return a distinct program's score on a network, or None when it was never computed."""
        return self._scores.get(program_id, {}).get(network)

    def learn(self, generation: Generation) -> None:
        """Take in everything a stored generation found out."""
        for record in generation.programs:
            self._add_distinct(record)
        for individual in generation.individuals:
            self._admitted[str(individual.program)] = individual.same_as
        for rejection in generation.rejections:
            self._refused[rejection.text] = Refusal(rejection.reason, rejection.detail)
        self.keep(generation.scores)

    def _refused_as(self, program_id: str) -> Refusal | None:
        return self._refused.get(str(self._distinct[program_id]))

    def _add_distinct(self, record: ProgramRecord) -> None:
        keys = ProgramKeys(record.normal_form, record.sympy, record.fingerprint, key_of_order(record.program))
        self._recogniser.add(record.program, keys, np.array(record.probe_values))
        self._distinct[record.program.id] = record.program
