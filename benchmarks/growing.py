"""How time and memory grow with networks and layers, and what a second worker brings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from measuring import Line, apart, cpu, line_through, load_average, median_of, resident_peak
from rows import Report, Row, Table, seconds, size
from setting import PROBES, Load, Setting, groups_of

from zcsr.evaluation.evaluate import Evaluator
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evaluation.scorer import Pending
from zcsr.language.text import parse
from zcsr.networks.instances import NetworkStatistics

TARGET_R2 = 0.98
TARGET_WORKERS = 1.7
TARGET_RESIDENT = 1e9

PARTS = 8
"""Parts of a network, each with its share of the layers of every shape."""


def measure(setting: Setting) -> Report:
    """Lines through times, memory, and the gain of two workers."""
    counts = setting.sizes.growth
    times = [_seconds_for(setting, setting.archs(setting.task, count)) for count in counts]
    layers, by_layers = _over_layers(setting)
    programs = len(setting.programs)
    rows = [
        _line(f"growth of the time of {programs} programs over {_list(counts)} networks", counts, times, "network"),
        _line(f"growth of the time of {programs} programs over {_list(layers)} layers", layers, by_layers, "layer"),
        _resident(setting),
        _workers(setting),
    ]
    by_network = _table("Growth with networks, loading them included.", "networks", counts, times)
    return Report(
        rows, tables=[by_network, _table("Growth with layers, one network.", "layers", layers, by_layers)]
    )


def _table(title: str, unit: str, x: Sequence[int], y: Sequence[float]) -> Table:
    return Table(title, (unit, "time"), [(str(count), seconds(time)) for count, time in zip(x, y, strict=True)])


def _line(what: str, x: Sequence[float], y: Sequence[float], unit: str) -> Row:
    line: Line = line_through(x, y)
    return Row(
        what,
        ours=f"{seconds(line.slope)} a {unit}, R2 {line.r2:.4f}",
        target=f"linear (R2 {TARGET_R2})",
        met=line.r2 >= TARGET_R2,
    )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _seconds_for(setting: Setting, archs: Sequence[str]) -> float:
    """CPU seconds of loading and evaluating these networks, the plans made before; the median of the repeats."""
    evaluator = Evaluator(setting.programs)

    def run() -> None:
        for group in groups_of(archs):
            evaluator.scores_of([setting.load(setting.task, arch) for arch in group])

    run()
    return statistics.median(cpu(run)[0] for _ in range(setting.sizes.repeats))


def _over_layers(setting: Setting) -> tuple[list[int], list[float]]:
    """Parts of the first network's layers, and the time that each takes; layers of all shapes alike in each."""
    archs = setting.archs(setting.task, setting.sizes.growth[-1])
    largest = max(archs, key=lambda arch: len(setting.load(setting.task, arch).instances))
    evaluator = Evaluator(setting.programs)
    layers, times = [], []
    for parts in range(2, PARTS + 1, 2):
        spent = []
        for _ in range(setting.sizes.repeats + 1):
            part = part_of(setting.load(setting.task, largest), parts)
            spent.append(cpu(evaluator.scores_of, [part])[0])
        layers.append(len(part.instances))
        times.append(statistics.median(spent[1:]))
    return layers, times


def part_of(network: NetworkStatistics, parts: int) -> NetworkStatistics:
    """So many eighths of a network's instances: of each run of eight that have the same shapes, the first ones."""
    by_shape: dict[tuple[tuple[int, ...], ...], int] = {}
    chosen = []
    for instance in network.instances:
        shapes = tuple(tuple(tensor.shape) for tensor in instance.raw.values())
        number = by_shape[shapes] = by_shape.get(shapes, -1) + 1
        if number % PARTS < parts:
            chosen.append(instance)
    return NetworkStatistics(network.arch, tuple(chosen))


def _resident(setting: Setting) -> Row:
    counts = sorted({*setting.sizes.growth, setting.sizes.resident})
    archs = setting.archs(setting.task, counts[-1])
    texts = [str(program) for program in setting.programs]
    before, *grown = apart(evaluate_in_steps, setting.load, setting.task, archs, texts, counts)
    steps = ", ".join(f"{size(resident)} at {count}" for count, resident in zip(counts, grown, strict=True))
    return Row(
        f"resident memory of evaluating {len(texts)} programs on {counts[-1]} networks from the store ({steps})",
        ours=size(grown[-1]),
        limit=f"{size(before)} (import zcsr)",
        target=f"under {size(TARGET_RESIDENT)}",
        met=grown[-1] < TARGET_RESIDENT,
    )


def evaluate_in_steps(
    load: Load, task: str, archs: Sequence[str], texts: Sequence[str], counts: Sequence[int]
) -> list[int]:
    """Score programs on more and more networks, as a search does, in this process.

    The most bytes that were resident before, and after each of `counts` networks.
    """
    programs = [parse(text) for text in texts]
    grown = [resident_peak()]
    with StatisticsScorer(load, {task: archs[:PROBES]}) as scorer:
        for start, end in zip((0, *counts), counts, strict=False):
            list(scorer.score(Pending(task, arch, tuple(programs)) for arch in archs[start:end]))
            grown.append(resident_peak())
    return grown


def _workers(setting: Setting) -> Row:
    """Two processes against one, by the clock, once both have started and made their plans."""
    archs = setting.archs(setting.task, setting.sizes.growth[-1])
    probes = {setting.task: archs[:PROBES]}
    with StatisticsScorer(setting.load, probes, 1) as one, StatisticsScorer(setting.load, probes, 2) as two:
        pairs = [
            (_clock(one, setting, archs), _clock(two, setting, archs)) for _ in range(setting.sizes.repeats + 1)
        ]
    time_of = median_of(pairs[1:])
    return Row(
        f"two workers against one: {len(setting.programs)} programs on {len(archs)} networks, by the clock",
        seconds(time_of.reference),
        seconds(time_of.ours),
        time_of.ratio,
        f"2x on two idle cores (load here {load_average()})",
        f"{TARGET_WORKERS}x",
        time_of.ratio >= TARGET_WORKERS,
    )


def _clock(scorer: StatisticsScorer, setting: Setting, archs: Sequence[str]) -> float:
    start = time.perf_counter()
    list(scorer.score(Pending(setting.task, arch, tuple(setting.programs)) for arch in archs))
    return time.perf_counter() - start
