"""What a program looks at, and what moves its score: the sizes of random tensors, and real networks.

Random tensors show what the formula makes of shapes alone: every tensor is standard normal, so nothing but the
number of channels, the size of the kernel or of the map can change the value. The paper reads EZNAS-A so: its score
grows with the number of channels, and kernels of 1 and 7 give more than those of 3 and 5.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zcsr import recognise
from zcsr.errors import EvaluationError
from zcsr.evaluate import aggregate, apply_node, instance_values
from zcsr.export import is_gradient, tensor_meaning
from zcsr.initialise import random_stream
from zcsr.named import named_programs
from zcsr.operations import BY_NAME, Shape
from zcsr.parallel import Workers, one_thread
from zcsr.plan import kind_of
from zcsr.program import TENSOR_NAMES, Node, Program, infer_shape
from zcsr.proxies import get_proxy
from zcsr.ranking import kendall
from zcsr.recognise import ProgramKeys, program_keys
from zcsr.simplify import is_number, rules_used, scalar_tree, simplified, to_latex
from zcsr.spaces import dataset_shape, get_space, space_names
from zcsr.statistics import NetworkStatistics, StatisticsConfig, passes_for, untrained

if TYPE_CHECKING:
    from zcsr.images import ImageSet
    from zcsr.spaces import SearchSpace

Vector = npt.NDArray[np.float64]

# --- the formula ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TensorUse:
    """A tensor that a program takes: its name, what it is in words, and whether it is a gradient."""

    name: str
    meaning: str
    gradient: bool


@dataclass(frozen=True, slots=True)
class Formula:
    """A program as a formula.

    simplified: an equal program, often with a shorter text; the program itself where there is none
    rules: what was used to simplify it, in words
    latex: LaTeX of its value on one instance
    tree: the simplified program's tree, a line a node
    tensors: those that it takes
    inputs: which of D, N and P must go through the network for them
    """

    program: Program
    simplified: Program
    rules: tuple[str, ...]
    latex: str
    tree: tuple[str, ...]
    tensors: tuple[TensorUse, ...]
    inputs: tuple[str, ...]


def read_formula(program: Program) -> Formula:
    """Return a program as a formula; nothing is computed on tensors."""
    shorter = simplified(program)
    used = program.root.tensors()
    return Formula(
        program=program,
        simplified=shorter,
        rules=rules_used(_number_tree(program)) if shorter != program else (),
        latex=to_latex(shorter),
        tree=tuple(tree_lines(shorter.root)),
        tensors=tuple(
            TensorUse(name, tensor_meaning(name), is_gradient(name)) for name in TENSOR_NAMES if name in used
        ),
        inputs=passes_for(used),
    )


def tree_lines(root: Node) -> list[str]:
    """Return the tree as text, one line a node, each with what the operation or the tensor is."""
    labels = list(_branches(root, "", ""))
    width = max(len(label) for label, _ in labels)
    return [f"{label:<{width}}  {_what(node)}" for label, node in labels]


def _branches(node: Node, here: str, below: str) -> Iterator[tuple[str, Node]]:
    yield here + node.op, node
    for number, arg in enumerate(node.args, 1):
        last = number == len(node.args)
        yield from _branches(arg, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _what(node: Node) -> str:
    return BY_NAME[node.op].doc if node.args else tensor_meaning(node.op)


# --- the same by another name -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Twin:
    """A program that is known to be the same as another: its name or text, and why it is the same, in words."""

    name: str
    reason: str


def named_twins(program: Program) -> tuple[Twin, ...]:
    """Return the programs with a name of their own that share a key with a program (`zcsr.recognise`)."""
    keys = program_keys(program)
    return tuple(
        Twin(named.name, recognise.explain(program, named.program))
        for named in named_programs()
        if are_twins(program, keys, named.program, program_keys(named.program))
    )


def are_twins(one: Program, keys: ProgramKeys, other: Program, other_keys: ProgramKeys) -> bool:
    """Return whether two programs aggregate alike and have their text, normal form, sympy form or fingerprint in
    common; None is no key."""
    shared = (
        getattr(keys, stage) is not None and getattr(keys, stage) == getattr(other_keys, stage)
        for stage in ("normal_form", "sympy", "fingerprint")
    )
    return one == other or (one.aggregation == other.aggregation and any(shared))


# --- random tensors ---------------------------------------------------------------------------------------------

Filling = Literal["own", "weight", "activation"]
"""Which shapes random tensors have: each that of its name, or all that of a weight, or of an activation."""

Varied = Literal["kernel", "channels", "map"]

VALUES: Mapping[Varied, tuple[int, ...]] = {
    "kernel": (1, 3, 5, 7),
    "channels": (8, 16, 32, 64, 128),
    "map": (4, 8, 16, 32),
}
DRAWS = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of random tensors: weights are [channels, channels, kernel, kernel], activations [batch, channels,
    map, map]."""

    batch: int = 1
    channels: int = 64
    kernel: int = 3
    map: int = 8

    def shape(self, filling: Filling, tensor: str) -> Shape:
        """Return the shape of a tensor by its name."""
        if (filling_of(tensor) if filling == "own" else filling) == "weight":
            return (self.channels, self.channels, self.kernel, self.kernel)
        return (self.batch, self.channels, self.map, self.map)


@dataclass(frozen=True, slots=True)
class Response:
    """What a program gives for random tensors of certain sizes.

    varied, value: which size is varied, and its value here; `sizes` has all of them
    mean, deviation: of the program's value on an instance, over the draws; NaN where one is not finite, or where
        the program does not apply to such shapes
    root_mean_square: where the value is a norm (`fro` at the root, or to_scalar l2), of the elements it is taken
        over: the norm over the square root of their number, averaged over the draws; None otherwise
    refused: why the program does not apply to such shapes; "" where it does
    """

    filling: Filling
    varied: Varied
    value: int
    sizes: Sizes
    mean: float
    deviation: float
    root_mean_square: float | None
    refused: str = ""


def fillings(program: Program) -> tuple[Filling, ...]:
    """Return the shapes that random tensors are given for a program, its own first.

    A program that takes weights (and their gradients) alone, or activations alone, is shown on the other kind too:
    what it makes of a shape does not depend on the name. One that takes both is shown on its own shapes first.
    """
    kinds = {filling_of(name) for name in program.root.tensors()}
    if len(kinds) == 2:
        return ("own", "weight", "activation")
    return ("weight", "activation") if kinds == {"weight"} else ("activation", "weight")


def filling_of(tensor: str) -> Filling:
    """Return whether a tensor, by its name, has the shape of a weight or of an activation."""
    return "weight" if kind_of(tensor) == "weight" else "activation"


def responses(program: Program, draws: int = DRAWS, seed: int = 0) -> tuple[Response, ...]:
    """Return what the program gives for standard normal tensors as their sizes vary, one size at a time.

    The same for the same arguments: each tensor of each draw has a stream of its own (`random_stream`).
    """
    with torch.inference_mode(), one_thread():
        return tuple(
            response(program, filling, varied, value, draws, seed)
            for filling in fillings(program)
            for varied in _varied(filling)
            for value in VALUES[varied]
        )


def response(
    program: Program, filling: Filling, varied: Varied, value: int, draws: int = DRAWS, seed: int = 0
) -> Response:
    """Return what the program gives at one size, the others being those of `Sizes`."""
    sizes = replace(Sizes(), **{varied: value})
    names = sorted(program.root.tensors())
    shapes = {name: sizes.shape(filling, name) for name in names}
    tree = _number_tree(program)
    try:
        values = [float(apply_node(tree, _normal(shapes, seed, draw))) for draw in range(draws)]
        count = _elements_of_norm(tree, shapes)
    except EvaluationError as error:
        return Response(filling, varied, value, sizes, math.nan, math.nan, None, str(error))
    array = np.array(values)
    usable = bool(np.isfinite(array).all())
    mean, deviation = (float(array.mean()), float(array.std())) if usable else (math.nan, math.nan)
    root_mean_square = mean / math.sqrt(count) if count else None
    return Response(filling, varied, value, sizes, mean, deviation, root_mean_square)


def described(group: Sequence[Response]) -> str:
    """Return in words how the value moves along a group of responses to one size.

    A movement counts that is larger than twice the largest deviation between draws.
    """
    usable = [one for one in group if math.isfinite(one.mean)]
    if len(usable) < 2:
        reason = next((f": {one.refused}" for one in group if one.refused), ", nor any finite value")
        return f"the program does not apply to such shapes{reason}" if not usable else "a value at one size only"
    means = [one.mean for one in usable]
    noise = max(one.deviation for one in usable)
    first, last = usable[0], usable[-1]
    high, low = max(usable, key=lambda one: one.mean), min(usable, key=lambda one: one.mean)
    if high.mean - low.mean <= 2 * noise:
        return f"stays near {np.mean(means):.4g}"
    steps = np.diff(means) if last.mean > first.mean else -np.diff(means)
    if (steps >= -noise).all() and abs(last.mean - first.mean) > 0.9 * (high.mean - low.mean):
        verb = "grows" if last.mean > first.mean else "falls"
        return f"{verb} from {first.mean:.4g} at {first.value} to {last.mean:.4g} at {last.value}"
    return f"highest at {high.value} ({high.mean:.4g}), lowest at {low.value} ({low.mean:.4g})"


def response_groups(found: Sequence[Response]) -> list[tuple[Response, ...]]:
    """Return responses in groups that share the shapes and the size that is varied, in their order."""
    return [tuple(group) for _, group in itertools.groupby(found, key=lambda one: (one.filling, one.varied))]


def _varied(filling: Filling) -> tuple[Varied, ...]:
    kinds: dict[Filling, tuple[Varied, ...]] = {
        "own": ("kernel", "channels", "map"),
        "weight": ("kernel", "channels"),
        "activation": ("channels", "map"),
    }
    return kinds[filling]


def _normal(shapes: Mapping[str, Shape], seed: int, draw: int) -> dict[str, Tensor]:
    return {
        name: torch.randn(shape, generator=random_stream(seed, f"explain/{name}/{shape}/{draw}"))
        for name, shape in shapes.items()
    }


def _number_tree(program: Program) -> Node:
    """The tree of a program's number an instance, without a mean of what is a number already."""
    if program.to_scalar == "mean" and is_number(program.root):
        return program.root
    return scalar_tree(program)


def _elements_of_norm(tree: Node, shapes: Mapping[str, Shape]) -> int:
    """The number of elements that the norm at the root of a tree is taken over; 0 where there is none."""
    while tree.op == "fro" and is_number(tree.args[0]):
        tree = tree.args[0]
    return math.prod(infer_shape(tree.args[0], shapes)) if tree.op == "fro" else 0


# --- real networks ----------------------------------------------------------------------------------------------

SEEDS = (0, 1, 2)
BATCH_SIZES = (1, 4, 16)
DEPTHS = 10
"""Parts of equal length that a network's depth is divided into."""

Load = Callable[[str], NetworkStatistics | None]
"""From an architecture to its statistics at the first seed and batch size, where they are at hand."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b (-1..1) between two rankings of the same networks, and how many have both values finite."""

    kind: Literal["size", "seed", "batch_size"]
    one: str
    other: str
    tau: float
    networks: int


@dataclass(frozen=True, slots=True)
class NetworkReading:
    """What a program does on some networks of a space.

    archs: the networks
    scores: at the first seed and batch size, [networks]
    agreements: with parameters and FLOPs, between seeds, and between batch sizes
    depth: share of the sum of the instances' |value| that each tenth of the depth has, mean over the networks,
        [DEPTHS]; NaN where no network has such a sum
    measured: for how many networks there is such a sum
    """

    space: str
    dataset: str
    images: str
    archs: tuple[str, ...]
    scores: Vector
    agreements: tuple[Agreement, ...]
    depth: Vector
    measured: int


def read_networks(
    program: Program,
    space: SearchSpace,
    dataset: str,
    archs: Sequence[str],
    images: ImageSet,
    *,
    seeds: Sequence[int] = SEEDS,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    load: Load | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NetworkReading:
    """Return what a program does on real networks, the same for any number of workers.

    Scores are made at every seed with the first batch size, and at every batch size with the first seed. Networks
    whose score is not finite are left out of a tau. `load` must be picklable where there are several workers.
    """
    classes = dataset_shape(space, dataset).classes
    configs = _configs(seeds, batch_sizes)
    portable = space.name if space.name in space_names() else space
    setup = partial(_Work, program, portable, classes, images, tuple(configs.values()), load)
    rows: list[_Row] = []
    with Workers(workers, setup) as pool:
        for row in pool.map(_read_network, archs):
            rows.append(row)
            if progress:
                progress(len(rows), len(archs))
    scores = dict(zip(configs, np.array([row.scores for row in rows], dtype=np.float64).T, strict=True))
    base = (seeds[0], batch_sizes[0])
    shares = np.array([row.depth for row in rows if row.depth is not None], dtype=np.float64).reshape(-1, DEPTHS)
    return NetworkReading(
        space=space.name,
        dataset=dataset,
        images=images.name,
        archs=tuple(archs),
        scores=scores[base],
        agreements=(
            _agreement("size", "score", "parameters", scores[base], np.array([row.parameters for row in rows])),
            _agreement("size", "score", "FLOPs", scores[base], np.array([row.flops for row in rows])),
            *(
                _agreement("seed", str(a), str(b), scores[a, base[1]], scores[b, base[1]])
                for a, b in itertools.combinations(seeds, 2)
            ),
            *(
                _agreement("batch_size", str(a), str(b), scores[base[0], a], scores[base[0], b])
                for a, b in itertools.combinations(batch_sizes, 2)
            ),
        ),
        depth=shares.mean(0) if len(shares) else np.full(DEPTHS, np.nan),
        measured=len(shares),
    )


def choose_networks(candidates: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """Return so many of the candidates, or all of them, drawn by a seed from their sorted order."""
    ordered = sorted(set(candidates))
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def depth_shares(values: Vector, parts: int = DEPTHS) -> Vector | None:
    """Return which share of the sum of |values| lies in each part of the depth, [parts], summing to 1.

    `values`, [instances], are those of instances in the order in which they run, which divide the depth evenly; one
    that reaches over the end of a part is divided as well. None where the sum is 0 or not finite.
    """
    magnitudes = np.abs(values)
    total = magnitudes.sum() if values.size else 0.0
    if not (np.isfinite(total) and total > 0):
        return None
    reached = np.concatenate([[0.0], np.cumsum(magnitudes / total)])
    ends = np.linspace(0, 1, parts + 1)
    shares: Vector = np.diff(np.interp(ends, np.linspace(0, 1, len(reached)), reached))
    return shares


def _configs(seeds: Sequence[int], batch_sizes: Sequence[int]) -> dict[tuple[int, int], StatisticsConfig]:
    pairs = dict.fromkeys(
        [*((seed, batch_sizes[0]) for seed in seeds), *((seeds[0], size) for size in batch_sizes)]
    )
    return {(seed, size): StatisticsConfig(seed=seed, batch_size=size) for seed, size in pairs}


def _agreement(
    kind: Literal["size", "seed", "batch_size"], one: str, other: str, left: Vector, right: Vector
) -> Agreement:
    both = np.isfinite(left) & np.isfinite(right)
    return Agreement(kind, one, other, kendall(left[both], right[both]), int(both.sum()))


@dataclass(frozen=True, slots=True)
class _Row:
    scores: tuple[float, ...]
    parameters: float
    flops: float
    depth: Vector | None


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker needs; the space by its name where that is enough."""

    program: Program
    space: SearchSpace | str
    classes: int
    images: ImageSet
    configs: tuple[StatisticsConfig, ...]
    load: Load | None

    def values(self, statistics: NetworkStatistics) -> Vector:
        try:
            return instance_values(self.program, statistics)
        except EvaluationError:
            return np.array([math.nan])


def _read_network(work: _Work, arch: str) -> _Row:
    space = get_space(work.space) if isinstance(work.space, str) else work.space
    passes = passes_for(work.program.root.tensors())
    values = []
    for config in work.configs:
        network = untrained(space, arch, work.classes, work.images, config)
        stored = work.load(arch) if work.load and config is work.configs[0] else None
        values.append(work.values(stored or network.statistics(passes)))
    parameters, flops = (
        get_proxy(name)(network.model, network.inputs["D"], network.labels) for name in ("params", "flops")
    )
    return _Row(
        scores=tuple(aggregate(one, work.program.aggregation) for one in values),
        parameters=parameters,
        flops=flops,
        depth=depth_shares(values[0]),
    )
