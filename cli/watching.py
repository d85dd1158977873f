"""A search as it goes on, shown live in a terminal and as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zcsr.cli.console import progress, say, talk
from zcsr.cli.display import EvolveDisplay
from zcsr.engine.job import Progress
from zcsr.evolve.ledger import GenerationProgress
from zcsr.evolve.records import Generation
from zcsr.store.jobs.evolving import Watcher
from zcsr.store.jobs.experiment import Experiment


class Shown(Watcher):
    """Says and shows on stderr how a search goes on."""

    _display: EvolveDisplay

    def began(self, experiment: Experiment) -> None:
        """Say what the run is on."""
        tasks = ", ".join(
            f"{task.task} ({len(task.evolve)} networks to evolve on, {len(task.test)} to test on)"
            for task in experiment.tasks
        )
        say(f"run {experiment.run.name}: {tasks}")

    @contextmanager
    def step(self, doing: str, unit: str) -> Iterator[Progress]:
        """Show a bar, or lines."""
        with progress(doing, unit) as tell:
            yield tell

    def collected(self, experiment: Experiment) -> None:
        """Say of how many networks programs see nothing."""
        for task, (archs, of) in experiment.without_instances().items():
            if archs:
                say(
                    f"{task}: {len(archs)} of {of} networks have no instance, such as {archs[0]}: programs see "
                    "nothing of them, and all aggregations are 0"
                )

    @contextmanager
    def searching(self, experiment: Experiment) -> Iterator[Callable[[GenerationProgress], None] | None]:
        """Show the panel of the run."""
        shown = EvolveDisplay(talk(), experiment.config, experiment.run.name, experiment.known())
        with shown as self._display:
            yield self._display.observe

    def generation(self, generation: Generation) -> str | None:
        """Show the generation."""
        self._display.update(generation)
        return None

    def stopped(self, generation: Generation, reached: str) -> None:
        """Say why it is the last."""
        say(f"stopped after {generation.number + 1} generations: {reached} is reached")
