"""How well a program ranks the networks drawn: Kendall tau-b a task, and their minimum (EZNAS, section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zcsr.evolve.config import FITNESSES
from zcsr.ranking import kendall_many


def taus(scores: ArrayLike, accuracies: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall tau-b of each row of `scores` [P, n] with `accuracies` [n]: [P], in -1..1.

    0 where all scores of a row (or all accuracies) are equal: such a program ranks nothing. NaN where a score of
    the row is NaN or infinite.
    """
    rows = np.asarray(scores, dtype=np.float64)
    values = kendall_many(rows, accuracies)
    values[np.isnan(values)] = 0.0
    values[~np.isfinite(rows).all(axis=1)] = np.nan
    return values


def fitness(taus_by_task: Mapping[str, float], tasks_drawn: int, kind: str) -> float:
    """Return the minimum of tau ("signed") or of |tau| ("absolute") over the tasks drawn; greater is better.

    -inf where a drawn task has no tau, because a score there is not finite.
    """
    if len(taus_by_task) < tasks_drawn:
        return -math.inf
    return min(map(FITNESSES[kind].taken, taus_by_task.values()))
