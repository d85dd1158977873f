"""What a network that was never trained computes: the 22 tensors of each of its instances (EZNAS, section 3.2).

What an instance is, a pattern says (`zcsr.networks.patterns`). Which call takes which tensor is observed while the
network runs, so it does not matter in which order, or whether at all, the calls are modules: those of `relu`,
`relu_`, `conv2d` and `batch_norm` in `torch.nn.functional` count as well. `zcsr.language.tensors` has the tensors;
gradients are of the sum of the logits, or of the cross-entropy.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import EvaluationError, InputError
from zcsr.language.network_operations import INSTANCES
from zcsr.language.tensors import BY_NAME, INPUTS, TENSORS, with_references
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.config import Loss, Separable, StatisticsConfig
from zcsr.networks.initialisation import random_stream
from zcsr.networks.one_pass import Measured, Network, one_pass
from zcsr.networks.outputs import no_logits
from zcsr.networks.patterns import PATTERNS
from zcsr.networks.trace import Rules


class Differences:
    """P minus D, computed once for all the instances that share both tensors."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def of(self, perturbed: Tensor, plain: Tensor) -> Tensor:
        """Return `perturbed - plain`: the same object for the same two objects."""
        key = (id(perturbed), id(plain))
        if key not in self._known:
            # Both are kept, so that no later tensor can have their identities.
            self._known[key] = (perturbed, plain, perturbed - plain)
        return self._known[key][2]

    def __reduce__(self) -> tuple[type[Differences], tuple[()]]:
        return Differences, ()  # identities mean nothing in another process


@dataclass(frozen=True, slots=True)
class _ProgramTensors(Mapping[str, Tensor]):
    raw: Mapping[str, Tensor]
    differences: Differences

    def __getitem__(self, name: str) -> Tensor:
        tensor = self.raw[name]
        reference = BY_NAME[name].reference
        return tensor if reference is None else self.differences.of(tensor, self.raw[reference])

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """The tensors of one instance.

    `layer` is its 0-based place in the order in which the BatchNorms ran. `module` is the path of the module that
    holds the convolution's weight, "" where none does. `raw` holds the 22 tensors of `TENSOR_NAMES`, or those that
    were asked for, as measured, detached, contiguous, P not yet differenced; tensors that several instances share
    are the same object. Instances of one network may share `differences`, which then computes those of shared
    tensors once.
    """

    layer: int
    module: str
    raw: Mapping[str, Tensor]
    differences: Differences = field(default_factory=Differences, repr=False)

    def only(self, names: Container[str]) -> Instance:
        """Return the instance with no other tensors than these."""
        return replace(self, raw={name: tensor for name, tensor in self.raw.items() if name in names})

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors as programs see them: each P is the difference P - D, taken when first asked for."""
        return _ProgramTensors(self.raw, self.differences)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkStatistics:
    """A network, and its instances in the order in which they ran.

    `known` holds what else programs may ask of it: counts, and scores by known proxies, by their names.
    """

    arch: str
    instances: tuple[Instance, ...]
    known: Mapping[str, float] = field(default_factory=dict)

    def known_of(self, name: str) -> float:
        """Return what is known by that name, the number of instances included; EvaluationError where nothing is."""
        if name == INSTANCES:
            return float(len(self.instances))
        if name not in self.known:
            raise EvaluationError(f"{name} is not known of the network {self.arch}, which the program asks for")
        return self.known[name]

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors, those that are the same object counted once."""
        return sum({id(t): t.nbytes for instance in self.instances for t in instance.raw.values()}.values())


def draw_inputs(batch: Tensor, seed: int, noise_variance: float = 0.01) -> dict[str, Tensor]:
    """Return the three inputs, each of the shape of `batch`: D (`batch` itself), N and P.

    N is standard normal noise; P is D + sqrt(noise_variance) times other such noise, from a stream of its own
    (`random_stream` of `seed` with the purposes "noise" and "perturbation"). Noise is drawn in float32.
    """
    check_variance(noise_variance)
    perturbation = math.sqrt(noise_variance) * noise(batch, seed, "perturbation")
    return {"D": batch, "N": noise(batch, seed, "noise"), "P": batch + perturbation}


def passes_for(tensors: Iterable[TensorRow]) -> tuple[str, ...]:
    """Return the inputs, of D, N and P, that must be run for these tensors; P takes D, its reference."""
    inputs = {which for tensor in tensors for which in (tensor.input, "D" if tensor.reference else tensor.input)}
    return tuple(which for which in INPUTS if which in inputs) or ("D",)


def read_instances(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    pattern: str = "rcb",
    loss: Loss = "ones",
    labels: Tensor | None = None,
    separable: Separable = "first",
    tensors: Iterable[TensorRow] = TENSORS,
) -> tuple[Instance, ...]:
    """Return the instances of `model` for the inputs D, N and P, in the order in which their BatchNorms ran.

    `pattern` is the name of one of `PATTERNS`; one without a BatchNorm says itself what orders its instances. Only
    what `tensors` need is computed and there: they, and what they refer to. Each input that they come from takes a
    forward pass and, where a gradient is among them, a backward one: of the sum of the logits (loss "ones"), or of
    the mean cross-entropy with `labels`, int64 [b]. Gradients are total, over all the ways from the tensor to the
    output, and zero where there is none; but T1G is the gradient at the ReLU's input through that ReLU alone, as
    EZNAS's release records it. So with "rcb" T2 = relu(T1), and T1G is T2G where T1 > 0, else 0, exactly.

    Only a call that takes the very tensor that another gave counts: a pooling, sum or padding in between makes no
    instance. The convolution that reads the images, and layers without a BatchNorm, are none either. Where several
    convolutions follow each other before one BatchNorm, `separable` takes the "first", the last ("second"), each
    with its own input, or "both"; T2 of any but the first is no ReLU's output. A ReLU whose output
    several convolutions take gives an instance for each. The tuple is empty for a network without any.

    BatchNorms use the statistics of the batch whatever mode they are in; everything else runs as in evaluation, so
    dropout does nothing. A forward pass that draws from torch's generator all the same finds it seeded. ReLUs in
    place leave their input as it was for the record, and the network goes on with their output in its place; so
    does any other operation in place on a recorded tensor. `model` is left as it was, also by an exception:
    parameters and their gradients, buffers, modes, hooks and torch's generator. It may be frozen, and
    gradients may be switched off around the call.

    Raises InputError where the inputs, labels or the network's output are not of these shapes, a BatchNorm sees one
    value a channel, or a recorded tensor is overwritten in a way that cannot be followed (through a view).
    """
    StatisticsConfig(pattern=pattern, loss=loss, separable=separable)  # refuses what it does not know
    if pattern not in PATTERNS:
        raise InputError(
            f"instances are of one pattern: {', '.join(PATTERNS)}; {pattern!r} must be found out before"
        )
    _check_inputs(inputs)
    network, rules = Network(model), Rules(PATTERNS[pattern], separable)
    objective = partial(_objective, loss, labels)
    needed = frozenset(with_references(tensors))
    return _instances(
        {
            which: one_pass(network, inputs[which], rules, objective, *_places(needed, which))
            for which in passes_for(needed)
        },
        needed,
    )


def _places(tensors: Iterable[TensorRow], which: str) -> tuple[frozenset[str], frozenset[str]]:
    """The places whose values, and those whose gradients, are wanted of the pass of an input."""
    of_pass = [tensor for tensor in tensors if tensor.input in (which, None)]
    values, gradients = (
        frozenset(tensor.place.name for tensor in of_pass if tensor.gradient is graded) for graded in (False, True)
    )
    return values, gradients


def _check_inputs(inputs: Mapping[str, Tensor]) -> None:
    missing = [which for which in INPUTS if which not in inputs]
    if missing:
        raise InputError(f"inputs lack {', '.join(missing)}: statistics take D, N and P, as draw_inputs makes them")
    if (
        len({(inputs[which].shape, inputs[which].dtype) for which in INPUTS}) > 1
        or not inputs["D"].is_floating_point()
    ):
        seen = ", ".join(f"{which} {inputs[which].dtype} {list(inputs[which].shape)}" for which in INPUTS)
        raise InputError(f"D, N and P must be floating-point tensors of one type and shape; they are {seen}")


def check_variance(variance: float) -> None:
    """Raise InputError for what is no variance."""
    if not 0 <= variance < math.inf:
        raise InputError(f"noise variance {variance} is no variance: it must be finite and 0 or more")


def noise(batch: Tensor, seed: int, purpose: str) -> Tensor:
    """Return standard normal noise of the shape and type of `batch`, drawn in float32 from `random_stream`."""
    return torch.randn(batch.shape, generator=random_stream(seed, purpose), dtype=torch.float32).to(batch)


def _objective(loss: Loss, labels: Tensor | None, logits: Tensor) -> Tensor:
    """The scalar whose gradients are taken."""
    if not isinstance(logits, Tensor):
        raise InputError(no_logits(logits))
    if not logits.is_floating_point():
        raise InputError(f"the network must return its logits, a floating-point tensor; it returns {logits.dtype}")
    return logits.sum() if loss == "ones" else F.cross_entropy(logits, _checked(labels, logits))


def _checked(labels: Tensor | None, logits: Tensor) -> Tensor:
    if labels is None:
        raise InputError('loss "cross_entropy" needs the labels of the images, int64 [b]; none are given')
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype != torch.int64:
        raise InputError(
            f"cross-entropy takes logits [b, classes] and int64 labels [b]; these are {list(logits.shape)} "
            f"and {labels.dtype} {list(labels.shape)}"
        )
    outside = labels[(labels < 0) | (labels >= logits.shape[1])]
    if len(outside):
        raise InputError(f"labels must be in 0..{logits.shape[1] - 1}, as there are logits; one is {outside[0]}")
    return labels


def _instances(passes: Mapping[str, list[Measured]], tensors: frozenset[TensorRow]) -> tuple[Instance, ...]:
    plain = next(iter(passes.values()))
    if any([m.module for m in measured] != [m.module for m in plain] for measured in passes.values()):
        raise InputError("the network runs other layers for noise than for data: statistics need the same ones")
    differences = Differences()
    return tuple(
        Instance(
            layer, one.module, _raw({which: run[layer] for which, run in passes.items()}, tensors), differences
        )
        for layer, one in enumerate(plain)
    )


def _raw(passes: Mapping[str, Measured], tensors: frozenset[TensorRow]) -> dict[str, Tensor]:
    """The tensors under their names, in the order of `TENSORS`."""
    raw = {}
    for tensor in TENSORS:
        if tensor in tensors:
            measured = passes[tensor.input] if tensor.input else next(iter(passes.values()))
            raw[tensor.name] = (measured.gradients if tensor.gradient else measured.values)[tensor.place.name]
    return raw
