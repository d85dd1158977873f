"""Refusing a program that cannot run: by the rules of shapes, and by running it until torch refuses."""

from __future__ import annotations

import random
from collections.abc import Sequence

import reference
import torch
from measuring import cpu, median_of
from rows import Report, Row, seconds
from setting import PROBES, Setting

from zcsr.errors import ProgramError
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.representation import REPRESENTATIONS
from zcsr.evolve.trees import Trees
from zcsr.language.languages import EZNAS, LANGUAGES
from zcsr.language.program import Program, infer_shape
from zcsr.language.shapes import Shape
from zcsr.networks.instances import Instance, NetworkStatistics
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space
from zcsr.store.kept.images import load_images

TARGET_SECONDS = 1e-3

SMALL_TASK = "nasbench201-mini:fashion-mnist"
"""Its networks have the shapes of larger ones, only smaller, so that thousands of programs can be run."""


def measure(setting: Setting) -> Report:
    """The time of a refusal, and whether both ways agree."""
    sizes = setting.sizes
    probes = setting.archs(setting.task, PROBES)
    loaded = [setting.load(setting.task, arch) for arch in probes]
    with StatisticsScorer(setting.load, {setting.task: probes}) as scorer:
        programs = _refused(scorer, sizes.refused)
        pairs = [
            (
                cpu(lambda: [run_until_refused(program, loaded) for program in programs])[0] / len(programs),
                cpu(lambda: scorer.probe(programs))[0] / len(programs),
            )
            for _ in range(sizes.repeats)
        ]
    time_of = median_of(pairs)
    walk = cpu(lambda: [sum(1 for _ in program.root.walk()) for program in programs])[0] / len(programs)
    row = Row(
        f"refuse a program whose shapes do not fit ({len(programs)} random ones)",
        seconds(time_of.reference),
        seconds(time_of.ours),
        time_of.ratio,
        f"{seconds(walk)} (walk over its nodes)",
        f"under {seconds(TARGET_SECONDS)}",
        time_of.ours < TARGET_SECONDS,
    )
    return Report([row, _agreement(setting), _valid(setting, probes)])


def _refused(scorer: StatisticsScorer, count: int) -> list[Program]:
    found: list[Program] = []
    generator = random.Random("refused")
    while len(found) < count:
        programs = proposals(64, generator)
        results = scorer.probe(programs)
        found += [
            p for p, result in zip(programs, results, strict=True) if getattr(result, "reason", None) == "shape"
        ]
    return found[:count]


def proposals(count: int, generator: random.Random) -> list[Program]:
    """Random programs, valid or not, of the height that a search admits."""
    config = EvolveConfig(language="eznas")
    found: list[Program] = []
    while len(found) < count:
        drawn = (one.outcome for one in Trees(EZNAS).random(config, count, generator))
        found += [p for p in drawn if isinstance(p, Program) and p.root.height <= config.height_limit]
    return found[:count]


def run_until_refused(program: Program, networks: Sequence[NetworkStatistics]) -> bool:
    """Whether the plain loop gets through all networks."""
    try:
        for network in networks:
            reference.instance_values(program, network)
    except (RuntimeError, IndexError):
        return False
    return True


def _agreement(setting: Setting) -> Row:
    instances = different_shapes(_small_network(setting))
    programs = proposals(setting.sizes.agreement, random.Random("agreement"))
    refusals, differing = 0, 0
    for program in programs:
        fits, runs = shapes_fit(program, instances), computes(program, instances)
        refusals += not runs
        differing += fits != runs
    return Row(
        f"  shape rules and execution differ, of {len(programs):,} random programs ({refusals:,} refused)",
        ours=str(differing),
        target="0",
        met=differing == 0,
    )


def _valid(setting: Setting, probes: Sequence[str]) -> Row:
    """How many random programs have a value: of the paper's language, and of the larger one, drawn by types."""
    shares = {}
    with StatisticsScorer(setting.load, {setting.task: probes}) as scorer:
        for language in ("eznas", "zcsr"):
            trees = REPRESENTATIONS["tree"](LANGUAGES[language])
            drawn = trees.random(EvolveConfig(language=language), setting.sizes.drawn, random.Random("valid"))
            programs = [one.outcome for one in drawn if isinstance(one.outcome, Program)]
            shares[language] = sum(not hasattr(one, "reason") for one in scorer.probe(programs)) / len(drawn)
    return Row(
        f"  valid random programs, of {setting.sizes.drawn:,}: of the paper's language, of the larger one by types",
        f"{shares['eznas']:.0%}",
        f"{shares['zcsr']:.0%}",
        target="more",
        met=shares["zcsr"] > shares["eznas"],
    )


def _small_network(setting: Setting) -> NetworkStatistics:
    space, _, dataset = SMALL_TASK.partition(":")
    small = get_space(space)
    images = load_images(setting.store, dataset)
    arch = "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    return network_statistics(small, arch, small.datasets[dataset].classes, images, StatisticsConfig())


def _shapes(instance: Instance) -> tuple[tuple[str, Shape], ...]:
    return tuple((name, tuple(tensor.shape)) for name, tensor in instance.raw.items())


def different_shapes(network: NetworkStatistics) -> list[Instance]:
    """The first instance of each set of shapes."""
    return list({_shapes(instance): instance for instance in reversed(network.instances)}.values())


def shapes_fit(program: Program, instances: Sequence[Instance]) -> bool:
    """Whether the shape rules admit the program on all instances."""
    try:
        for instance in instances:
            infer_shape(program.expression, dict(_shapes(instance)))
    except ProgramError:
        return False
    return True


@torch.inference_mode()
def computes(program: Program, instances: Sequence[Instance]) -> bool:
    """Whether the plain loop computes the program on all instances, finite or not."""
    try:
        for instance in instances:
            reference.value(program.expression, instance.tensors)
    except (RuntimeError, IndexError):
        return False
    return True
