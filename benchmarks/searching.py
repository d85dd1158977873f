"""A whole search, against the plain way: programs tried by execution, everybody evaluated in every generation."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import reference
from evaluating import plain_score
from measuring import bandwidth, cpu
from rows import Report, Row, seconds
from scipy import stats
from setting import Load, Setting

from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.loop import evolve
from zcsr.evolve.records import Candidate, Generation
from zcsr.evolve.tasks import TaskData, choose_probes
from zcsr.evolve.trees import Trees, select
from zcsr.language.languages import EZNAS
from zcsr.language.program import Program
from zcsr.networks.instances import NetworkStatistics

TARGET = 100.0


@dataclass(slots=True)
class PlainWay:
    """CPU seconds that the plain way takes, sample by sample.

    random, child: of finding one valid random program, or child of the population, by running candidates on the
        probe networks, refused ones included; tried: how many candidates each took
    score: of the score of one program of the population on one network drawn
    correlate: of the rank correlation of one program on one task
    """

    random: list[float] = field(default_factory=list)
    child: list[float] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    correlate: list[float] = field(default_factory=list)

    def whole(self, config: EvolveConfig, tasks: int) -> float:
        """The seconds of a search, by the means of the samples.

        The first generation is of random programs, later ones of one half each; all the population is scored on
        all networks drawn.
        """
        later = config.generations - 1
        half = config.population // 2
        individuals = config.population * config.generations
        drawn = min(config.tasks_per_generation, tasks)
        return (
            (config.population + later * half) * statistics.fmean(self.random)
            + later * half * statistics.fmean(self.child)
            + individuals * drawn * config.draw * statistics.fmean(self.score)
            + individuals * drawn * statistics.fmean(self.correlate)
        )


def measure(setting: Setting) -> Report:
    """Ours in full; the plain way in samples between its generations, and projected from them."""
    config = setting.sizes.config
    tasks = [setting.task_data(task) for task in setting.sizes.tasks]
    probes = choose_probes(config, tasks)
    loaded = {task: [setting.load(task, arch) for arch in archs] for task, archs in probes.items()}
    networks = [network for of_task in loaded.values() for network in of_task]
    plain = _Sampler(config, setting.load, networks, tasks, setting.sizes.traced, setting.sizes.paired)
    ours, generations = 0.0, []
    with StatisticsScorer(setting.load, probes) as scorer:
        run = evolve(config, tasks, scorer)
        for _ in range(config.generations):
            spent, generation = cpu(next, run)
            ours += spent
            generations.append(generation)
            plain.sample(generation)
    projected = plain.way.whole(config, len(tasks))
    row = Row(
        f"a search: {config.generations} generations of {config.population} on {len(tasks)} tasks x {config.draw} "
        f"of {config.networks_per_task} networks",
        f"{seconds(projected)} (projected)",
        seconds(ours),
        projected / ours,
        f"{seconds(_least(loaded, generations))} (read each network drawn once)",
        f"{TARGET:.0f}x",
        projected / ours >= TARGET,
    )
    return Report([row], _remarks(plain.way, len(networks), generations))


@dataclass(slots=True)
class _Sampler:
    """Measures the plain way on a few programs and networks of each generation."""

    config: EvolveConfig
    load: Load
    probes: Sequence[NetworkStatistics]
    tasks: Sequence[TaskData]
    programs: int
    networks: int
    way: PlainWay = field(default_factory=PlainWay)

    def sample(self, generation: Generation) -> None:
        generator = random.Random(f"plain/{generation.number}")
        self.way.random.append(self._find_valid(_random(self.config, generator)))
        self.way.child.append(self._find_valid(_children(self.config, generation, generator)))
        population = [individual.program for individual in generation.individuals]
        programs = generator.sample(population, min(self.programs, len(population)))
        for task in self.tasks:
            archs = generation.draws.get(task.task, ())
            for arch in generator.sample(archs, min(self.networks, len(archs))):
                network = self.load(task.task, arch)
                self.way.score += [cpu(plain_score, p, network)[0] for p in programs]
        scores = np.random.default_rng(generation.number).random((len(self.tasks), len(self.tasks[0].archs)))
        for task, values in zip(self.tasks, scores, strict=False):
            count = len(generation.draws.get(task.task, ()))
            self.way.correlate.append(cpu(stats.kendalltau, values[:count], task.accuracies[:count])[0])

    def _find_valid(self, candidates: Iterator[Program]) -> float:
        """Seconds that it takes to run candidates on the probe networks until one is valid."""
        spent = 0.0
        for tried, program in enumerate(candidates, 1):
            trial, valid = cpu(runs_on, program, self.probes)
            spent += trial
            if valid:
                self.way.tried.append(tried)
                break
        return spent


def _random(config: EvolveConfig, generator: random.Random) -> Iterator[Program]:
    while True:
        yield from _admitted(config, Trees(EZNAS).random(config, config.lambda_, generator))


def _children(config: EvolveConfig, generation: Generation, generator: random.Random) -> Iterator[Program]:
    pool = [individual for individual in generation.individuals if math.isfinite(individual.fitness)]
    pool = pool or list(generation.individuals)
    parents = select(config, pool, generator)
    while True:
        yield from _admitted(config, Trees(EZNAS).children(config, parents, generator))


def _admitted(config: EvolveConfig, candidates: Iterable[Candidate]) -> Iterator[Program]:
    programs = (one.outcome for one in candidates)
    return (p for p in programs if isinstance(p, Program) and p.root.height <= config.height_limit)


def runs_on(program: Program, networks: Sequence[NetworkStatistics]) -> bool:
    """Whether the plain loop gives finite values on all of these networks."""
    try:
        return all(np.isfinite(reference.instance_values(program, network)).all() for network in networks)
    except (RuntimeError, IndexError):
        return False


def _least(loaded: Mapping[str, Sequence[NetworkStatistics]], generations: Sequence[Generation]) -> float:
    """Seconds to read every network drawn, once a generation, of the mean size of the probe networks."""
    size = {task: statistics.fmean(network.nbytes for network in networks) for task, networks in loaded.items()}
    drawn = ((task, len(archs)) for generation in generations for task, archs in generation.draws.items())
    return sum(count * size[task] for task, count in drawn) / bandwidth()


def _remarks(way: PlainWay, probes: int, generations: Sequence[Generation]) -> list[str]:
    counts = {name: sum(g.counters[name] for g in generations) for name in ("scored", "remembered", "proposed")}
    parts = {name: sum(g.seconds.get(name, 0.0) for g in generations) for name in ("probe", "recognise", "score")}
    mean = statistics.fmean
    return [
        "search: collecting the networks' statistics is counted on neither side; ours loads them from disk as it "
        "goes, the plain way has them all in memory. The plain way is projected from samples taken after each "
        f"generation of ours: {seconds(mean(way.random))} to find a valid random program and "
        f"{seconds(mean(way.child))} a valid child, by running {mean(way.tried):.1f} candidates on {probes} probe "
        f"networks ({len(way.random)} samples of each), {seconds(mean(way.score))} for a score of a program of "
        f"that generation on a network ({len(way.score)} samples), {seconds(mean(way.correlate))} for a rank "
        "correlation. It scores everybody on every network drawn.",
        f"search: ours judged {counts['proposed']} proposals, computed {counts['scored']} scores and remembered "
        f"{counts['remembered']}; "
        + ", ".join(f"{seconds(spent)} to {name}" for name, spent in parts.items())
        + " by the clock.",
    ]
