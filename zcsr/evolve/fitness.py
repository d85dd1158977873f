"""How well a program ranks the networks drawn: Kendall tau-b a task, and their minimum (EZNAS, section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

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


def _lower(scores: ArrayLike, accuracies: ArrayLike) -> NDArray[np.float64]:
    """Return the lower end of tau's one-sided 95% bootstrap interval: the quantile over draws of the networks."""
    rows, targets = np.asarray(scores, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    generator = np.random.default_rng(0)
    draws = [generator.integers(len(targets), size=len(targets)) for _ in range(_DRAWS)]
    return np.quantile([taus(rows[:, draw], targets[draw]) for draw in draws], 0.05, axis=0)


def _top(scores: ArrayLike, accuracies: ArrayLike) -> NDArray[np.float64]:
    """Return tau among the most accurate tenth of the networks, or the `_FEWEST` most accurate."""
    rows, targets = np.asarray(scores, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    count = min(len(targets), max(_FEWEST, math.ceil(_TOP * len(targets))))
    best = np.argsort(-targets, kind="stable")[:count]
    return taus(rows[:, best], targets[best])


def _absolute(scores: ArrayLike, accuracies: ArrayLike) -> NDArray[np.float64]:
    return np.abs(taus(scores, accuracies))


_DRAWS, _TOP, _FEWEST = 40, 0.1, 10

MEASURES: Mapping[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "signed": taus,
    "absolute": _absolute,
    "lower": _lower,
    "top": _top,
}
"""By the name of a fitness: from scores [P, n] and accuracies [n] to the values a task, [P]."""


def merits(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return half the least and half the mean of the values of tasks, which lie along an axis of `values`."""
    of_tasks = np.asarray(values, dtype=np.float64)
    found: NDArray[np.float64] = (of_tasks.min(axis=axis) + of_tasks.mean(axis=axis)) / 2
    return found


def fitness(taus_by_task: Mapping[str, float], tasks_drawn: int, kind: str) -> float:
    """Return the minimum of tau ("signed") or of |tau| ("absolute") over the tasks drawn; greater is better.

    -inf where a drawn task has no tau, because a score there is not finite.
    """
    if len(taus_by_task) < tasks_drawn:
        return -math.inf
    return min(map(FITNESSES[kind].taken, taus_by_task.values()))
