"""Rank correlations of a population, against scipy's function in a loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measuring import comparison_rate, in_turns
from numpy.typing import NDArray
from rows import Report, Row, seconds
from scipy import stats
from setting import Setting

from zcsr.ranking import kendall_many

Values = NDArray[np.float64]

TARGET_SECONDS = 5e-3


def measure(setting: Setting) -> Report:
    """Kendall's tau-b of a population on all tasks of a generation."""
    config = setting.sizes.config
    tasks = config.tasks_per_generation
    generator = np.random.default_rng(0)
    # Rounded, so that there are ties.
    scores = generator.random((tasks, config.population, config.draw)).round(2)
    accuracies = generator.random((tasks, config.draw)).round(2)
    largest = np.abs(by_loop(scores, accuracies) - at_once(scores, accuracies)).max()
    repeats = max(3, setting.sizes.repeats)
    time_of = in_turns(lambda: by_loop(scores, accuracies), lambda: at_once(scores, accuracies), repeats)
    comparisons = 2 * tasks * (config.population + 1) * config.draw * (config.draw - 1) / 2
    row = Row(
        f"Kendall tau-b of {config.population} programs on {tasks} x {config.draw} networks",
        f"{seconds(time_of.reference)} (scipy)",
        seconds(time_of.ours),
        time_of.ratio,
        f"{seconds(comparisons / comparison_rate())} ({comparisons:,.0f} comparisons)",
        f"under {seconds(TARGET_SECONDS)}",
        time_of.ours < TARGET_SECONDS,
    )
    return Report([row], [f"Kendall: the largest difference from scipy is {largest:.1e}."])


def by_loop(scores: Values, accuracies: Values) -> Values:
    """[tasks, programs], one call of scipy each."""
    rows: Sequence[Sequence[float]] = [
        [stats.kendalltau(row, of_task).statistic for row in population]
        for population, of_task in zip(scores, accuracies, strict=True)
    ]
    return np.array(rows)


def at_once(scores: Values, accuracies: Values) -> Values:
    """[tasks, programs], one call of zcsr a task."""
    pairs = zip(scores, accuracies, strict=True)
    return np.array([kendall_many(population, of_task) for population, of_task in pairs])
