"""What evolution needs to know about programs, whoever computes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zcsr.language.program import Program

Reason = Literal["too_tall", "shape", "error", "non_finite"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a program is refused."""

    reason: Reason
    detail: str


ProbeResult: TypeAlias = NDArray[np.float64] | Refusal
"""A program's finite numbers of instances over all probe networks in order, [instances], or why it is refused."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One network and the programs whose score on it is wanted."""

    task: str
    arch: str
    programs: tuple[Program, ...]


class Scorer(Protocol):
    """Probes and scores programs. Results depend on the arguments alone."""

    def probe(self, programs: Sequence[Program]) -> Sequence[ProbeResult]:
        """Run each program on the probe networks: one result a program, in order."""
        ...

    def score(self, pending: Sequence[Pending]) -> Iterable[NDArray[np.float64]]:
        """Yield, for each pending network in order, the scores of its programs, NaN where not finite."""
        ...
