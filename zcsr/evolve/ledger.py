"""What is counted, timed and refused while one generation is made."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.records import Origin, Rejection, Stage

COUNTERS = ("proposed", "rejected", "known", "probed", *get_args(Stage), "scored", "remembered")
"""Names of a generation's counters.

Candidates: `proposed` = `rejected` + the population; `known` were decided by their text alone, `probed` by
running; the population by how each was recognised, see `Stage`.
Pairs of a distinct program and a drawn network: `scored` in this generation, and `remembered` from before.
"""

FRONT_COUNTERS = (
    "proposed", "rejected", "known", "columns", "computed", "spared", "scored", "same_order", "shape_only",
)  # fmt: skip
"""Names of the counters of a search over fronts.

Candidates: `proposed` by chance or as children, `rejected`, `known` by their text. New base `columns`; pairs of one
and a network `computed`, and `spared` by the race. Programs and formulas `scored` from known columns; of these
`same_order` rank as a smaller one does, and `shape_only` look at sizes alone.
"""

Part = Literal["children", "random", "scores", "columns", "formulas"]


@dataclass(frozen=True, slots=True)
class GenerationProgress:
    """How far a generation is: `done` of `wanted` valid children, valid random programs, or networks scored.

    `proposed` counts the candidates judged so far in the generation.
    """

    generation: int
    part: Part
    done: int
    wanted: int
    proposed: int


Observe = Callable[[GenerationProgress], None]


@dataclass(slots=True)
class Ledger:
    """The books of one generation."""

    number: int
    observe: Observe
    rejections: dict[str, Rejection] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def reject(self, text: str, origin: Origin, refusal: Refusal) -> None:
        """Enter a refused proposal; the first of a text gives the origin, the others count."""
        self.counts["rejected"] += 1
        entry = self.rejections.get(text) or Rejection(text, origin, refusal.reason, refusal.detail, 0)
        self.rejections[text] = replace(entry, count=entry.count + 1)

    def expel(self, text: str, origin: Origin, refusal: Refusal) -> None:
        """Enter a program of the population that is refused from now on."""
        self.rejections.setdefault(text, Rejection(text, origin, refusal.reason, refusal.detail, 0))

    def counters(self) -> dict[str, int]:
        """Return all counters, zeros included but for `same_order`, which the paper's programs never have."""
        always = (name for name in COUNTERS if name != "same_order" or self.counts[name])
        return {name: self.counts[name] for name in always}

    def report(self, part: Part, done: int, wanted: int) -> None:
        """Tell the observer."""
        self.observe(GenerationProgress(self.number, part, done, wanted, self.counts["proposed"]))

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time spent inside to `seconds[part]`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start
