"""What evolution needs to know about programs, whoever computes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zcsr.language.program import Node, Program

Network: TypeAlias = tuple[str, str]
"""A task's name and an architecture."""

Reason = Literal["too_tall", "shape", "error", "non_finite", "constant", "shape_only", "raced"]


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """One network and the columns (parts that give a number of each instance) whose numbers are wanted."""

    task: str
    arch: str
    columns: tuple[Node, ...]


ShapesOfInstance: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""The names of an instance's tensors, each with its shape."""


class ColumnSource(Protocol):
    """Gives the numbers of instances, and what else is known of networks. Results depend on the arguments alone."""

    def shapes(self, networks: Sequence[Network]) -> Iterable[tuple[ShapesOfInstance, ...]]:
        """Yield, for each network in order, the shapes of its instances."""
        ...

    def numbers(self, wanted: Sequence[Wanted]) -> Iterable[tuple[NDArray[np.float64] | None, ...]]:
        """Yield, for each network in order, the numbers of its instances by column: [instances] each.

        None where the column does not apply to the network; NaN and inf stay.
        """
        ...

    def known(self, name: str, networks: Sequence[Network]) -> Iterable[float]:
        """Yield, for each network in order, what is known of it by that name."""
        ...


class Scorer(Protocol):
    """Probes and scores programs. Results depend on the arguments alone."""

    def probe(self, programs: Sequence[Program]) -> Sequence[ProbeResult]:
        """Run each program on the probe networks: one result a program, in order."""
        ...

    def score(self, pending: Sequence[Pending]) -> Iterable[NDArray[np.float64]]:
        """Yield, for each pending network in order, the scores of its programs, NaN where not finite."""
        ...
