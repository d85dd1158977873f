"""Algorithm 1 of EZNAS: a generator of generations, which neither prints nor stores.

Generation 0 is random. Every later one has one half of children of the generation before and one half of new
random programs; every generation is evaluated on its own random draw of tasks and networks. All randomness of
generation g comes from `random.Random(f"{seed}/{g}/{purpose}")` and candidates are judged in the order they are
proposed, so the run depends on its config, tasks and scores alone: not on workers, and not on interruptions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zcsr.engine.threads import one_thread
from zcsr.errors import InputError
from zcsr.evaluation.scorer import Pending, Refusal, Scorer
from zcsr.evolve.breeding import Breeding
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.fitness import fitness, taus
from zcsr.evolve.ledger import Ledger, Observe
from zcsr.evolve.memory import Memory
from zcsr.evolve.records import Generation, Individual, ScoreRecord, check_number
from zcsr.evolve.representation import REPRESENTATIONS, Representation
from zcsr.evolve.tasks import TaskData, check_distinct, sample
from zcsr.language.languages import LANGUAGES, Language
from zcsr.language.program import Program

Draws = Mapping[str, tuple[str, ...]]


def evolve(
    config: EvolveConfig,
    tasks: Sequence[TaskData],
    scorer: Scorer,
    history: Iterable[Generation] = (),
    observe: Observe | None = None,
    language: Language | None = None,
) -> Iterator[Generation]:
    """Return an iterator over the generations that follow `history`, up to `config.generations` in all.

    `tasks` hold the networks set aside for evolution. `history` are the run's first generations, in order; what
    follows equals what an uninterrupted run yields. `observe` is called as a generation progresses. Programs are of
    the `language`, if one is given, in place of the config's. Raises InputError for tasks or a history that do not
    fit the config, and ZcsrError when no valid program is found.
    """
    past = tuple(history)
    _check_tasks(config, tasks)
    _check_history(config, tasks, past)
    representation = REPRESENTATIONS[config.representation](language or LANGUAGES[config.language])
    return _generations(config, tasks, scorer, representation, past, observe or (lambda _: None))


def draw(config: EvolveConfig, number: int, tasks: Sequence[TaskData]) -> dict[str, tuple[str, ...]]:
    """Return the networks on which generation `number` is evaluated, by task: a random draw of both."""
    generator = random.Random(f"{config.seed}/{number}/draw")
    count = min(config.tasks_per_generation, len(tasks))
    return {one.task: sample(one.archs, config.draw, generator) for one in sample(tasks, count, generator)}


def _generations(
    config: EvolveConfig,
    tasks: Sequence[TaskData],
    scorer: Scorer,
    representation: Representation,
    past: Sequence[Generation],
    observe: Observe,
) -> Iterator[Generation]:
    memory = Memory()
    for generation in past:
        memory.learn(generation)
    previous = past[-1] if past else None
    for number in range(len(past), config.generations):
        breeding = Breeding(config, memory, scorer, representation, Ledger(number, observe))
        previous = _generation(tasks, breeding, previous)
        yield previous


def _generation(tasks: Sequence[TaskData], breeding: Breeding, previous: Generation | None) -> Generation:
    config, ledger = breeding.config, breeding.ledger
    with ledger.timed("total"), one_thread():  # the fingerprint's tensors are small
        draws = draw(config, ledger.number, tasks)
        breeding.breed(previous)
        evaluation = _Evaluation(draws, breeding.admitted, breeding.memory, ledger)
        with ledger.timed("score"):
            scores = evaluation.scores(breeding.scorer)
        with ledger.timed("rank"):
            individuals = evaluation.individuals(config, tasks)
    return Generation(
        number=ledger.number,
        draws=draws,
        individuals=individuals,
        programs=tuple(breeding.programs),
        rejections=tuple(ledger.rejections.values()),
        scores=scores,
        counters=ledger.counters(),
        seconds=dict(ledger.seconds),
    )


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """A full population on the networks drawn."""

    draws: Draws
    admitted: Sequence[Individual]
    memory: Memory
    ledger: Ledger

    def scores(self, scorer: Scorer) -> tuple[ScoreRecord, ...]:
        """Compute the unknown scores; a program with one that is not finite is refused from now on."""
        pending = self._pending()
        records: list[ScoreRecord] = []
        for done, (network, values) in enumerate(zip(pending, scorer.score(pending), strict=True), start=1):
            records.extend(self._finite(network, values))
            self.ledger.report("scores", done, len(pending))
        self.memory.keep(records)
        self.ledger.counts["scored"] += len(records)
        return tuple(records)

    def individuals(self, config: EvolveConfig, tasks: Sequence[TaskData]) -> tuple[Individual, ...]:
        """Return the population with its taus and fitness; every needed score is known by now, or not finite."""
        by_id = self._taus(tasks)
        fitnesses = {one: fitness(found, len(self.draws), config.fitness) for one, found in by_id.items()}
        return tuple(replace(one, taus=by_id[one.same_as], fitness=fitnesses[one.same_as]) for one in self.admitted)

    def _pending(self) -> list[Pending]:
        programs = self._programs()
        pending = []
        for network in ((task, arch) for task, archs in self.draws.items() for arch in archs):
            missing = tuple(p for p in programs if self.memory.score(p.id, network) is None)
            self.ledger.counts["remembered"] += len(programs) - len(missing)
            if missing:
                pending.append(Pending(*network, missing))
        return pending

    def _programs(self) -> list[Program]:
        """Return the distinct programs of the population, in the order of their first slots."""
        ids = dict.fromkeys(one.same_as for one in self.admitted)
        return [self.memory.distinct(program_id) for program_id in ids]

    def _finite(self, network: Pending, values: NDArray[np.float64]) -> Iterator[ScoreRecord]:
        for program, value in zip(network.programs, values, strict=True):
            if np.isfinite(value):
                yield ScoreRecord(program.id, network.task, network.arch, float(value))
            else:
                refusal = Refusal("non_finite", f"the score of {network.arch} on {network.task} is not finite")
                origin = next(one.origin for one in self.admitted if one.same_as == program.id)
                self.memory.refuse(str(program), refusal)
                self.ledger.expel(str(program), origin, refusal)

    def _taus(self, tasks: Sequence[TaskData]) -> dict[str, dict[str, float]]:
        """Return the defined taus, by distinct program and task."""
        ids = [program.id for program in self._programs()]
        by_id: dict[str, dict[str, float]] = {program_id: {} for program_id in ids}
        for task in tasks:
            if task.task not in self.draws:
                continue
            archs = self.draws[task.task]
            known = [[self.memory.score(program_id, (task.task, arch)) for arch in archs] for program_id in ids]
            scores = np.array(known, dtype=np.float64)  # None, of a score that is not finite, becomes NaN
            for program_id, tau in zip(ids, taus(scores, task.accuracies_of(archs)), strict=True):
                if not np.isnan(tau):
                    by_id[program_id][task.task] = float(tau)
        return by_id


def _check_tasks(config: EvolveConfig, tasks: Sequence[TaskData]) -> None:
    check_distinct(tasks)
    for task in tasks:
        if len(task.archs) < config.draw:
            raise InputError(
                f"{task.task} has {len(task.archs)} networks for evolution, fewer than the {config.draw} drawn in "
                f"each generation; give it more, or lower draw"
            )


def _check_history(config: EvolveConfig, tasks: Sequence[TaskData], past: Sequence[Generation]) -> None:
    for number, generation in enumerate(past):
        check_number(generation, number)
        if len(generation.individuals) != config.population or dict(generation.draws) != draw(
            config, number, tasks
        ):
            raise InputError(
                f"generation {number} has another population size, or was evaluated on other networks, than this "
                f"config and these tasks give; resume a run with those it was started with"
            )
