"""What a network that was never trained computes: the 22 tensors of each of its instances (EZNAS, section 3.2).

An instance is a ReLU, the convolution that takes its output, and the BatchNorm that takes the convolution's
(pattern "rcb"), or a convolution, its BatchNorm, and a ReLU that takes its output (pattern "cbr"). Which call takes
which tensor is observed while the network runs, so it does not matter in which order, or whether at all, the three
are modules: calls of `relu`, `relu_`, `conv2d` and `batch_norm` in `torch.nn.functional` count as well.

| name | tensor |
|---|---|
| T1 | input of the ReLU |
| T2 | input of the convolution |
| T3 | weight of the convolution |
| T4 | output of the BatchNorm |
| T1G T2G T3G T4G | gradients: of the sum of the logits, or of the cross-entropy, with respect to each |

Each but T3 is there for data (D), for noise (N) and for perturbed data (P).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.errors import InputError
from zcsr.language.tensors import INPUTS, TENSOR_NAMES
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.config import Loss, Pattern, Separable
from zcsr.networks.initialisation import random_stream, seeded
from zcsr.networks.trace import Call, Found, Rules, Trace, holders_of

if TYPE_CHECKING:
    pass


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
        return self.differences.of(tensor, self.raw[f"{name[:-1]}D"]) if name.endswith("_P") else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """The tensors of one instance.

    `layer` is its 0-based place in the order in which the BatchNorms ran. `module` is the path of the module that
    holds the convolution's weight, "" where none does. `raw` holds the 22 tensors of `TENSOR_NAMES` as measured,
    detached, contiguous, P not yet differenced; tensors that several instances share are the same object.
    Instances of one network may share `differences`, which then computes those of shared tensors once.
    """

    layer: int
    module: str
    raw: Mapping[str, Tensor]
    differences: Differences = field(default_factory=Differences, repr=False)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The 22 tensors as programs see them: each P is the difference P - D, taken when first asked for."""
        return _ProgramTensors(self.raw, self.differences)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkStatistics:
    """A network, and its instances in the order in which they ran."""

    arch: str
    instances: tuple[Instance, ...]

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
    perturbation = math.sqrt(noise_variance) * _noise(batch, seed, "perturbation")
    return {"D": batch, "N": _noise(batch, seed, "noise"), "P": batch + perturbation}


def passes_for(tensors: Iterable[TensorRow]) -> tuple[str, ...]:
    """Return the inputs, of D, N and P, that must be run for these tensors; P takes D, its reference."""
    inputs = {tensor.input for tensor in tensors}
    if "P" in inputs or inputs <= {None}:
        inputs.add("D")
    return tuple(which for which in INPUTS if which in inputs)


def collect(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    pattern: Pattern = "rcb",
    loss: Loss = "ones",
    labels: Tensor | None = None,
    separable: Separable = "first",
    passes: Sequence[str] = INPUTS,
) -> tuple[Instance, ...]:
    """Return the instances of `model` for the inputs D, N and P, in the order in which their BatchNorms ran.

    Only the inputs in `passes` are run, and only T3 and their tensors are there then; `passes_for` says which
    ones some tensors need. Each takes one forward and one backward pass: of the sum of the logits (loss "ones"),
    or of the mean cross-entropy with `labels`, int64 [b]. Gradients are total, over all the ways from the tensor
    to the output, and zero where there is none; but T1G is the gradient at the ReLU's input through that ReLU
    alone, as EZNAS's release records it. So with "rcb" T2 = relu(T1), and T1G is T2G where T1 > 0, else 0, exactly.

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
    check_choice("pattern", pattern, get_args(Pattern))
    check_choice("loss", loss, get_args(Loss))
    check_choice("separable", separable, get_args(Separable))
    _check_inputs(inputs)
    network, rules, objective = _Network(model), Rules(pattern, separable), _Objective(loss, labels)
    return _instances({which: _run(network, inputs[which], rules, objective) for which in passes})


def check_choice(what: str, value: str, allowed: Sequence[str]) -> None:
    """Raise InputError for a value that is none of those allowed."""
    """Raise InputError for a value that is none of those allowed."""
    if value not in allowed:
        raise InputError(f"unknown {what} {value!r}: the known ones are {', '.join(allowed)}")


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
    """Raise InputError for what is no variance."""
    if not 0 <= variance < math.inf:
        raise InputError(f"noise variance {variance} is no variance: it must be finite and 0 or more")


def _noise(batch: Tensor, seed: int, purpose: str) -> Tensor:
    noise = torch.randn(batch.shape, generator=random_stream(seed, purpose), dtype=torch.float32)
    return noise.to(batch)


# --- one pass ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Objective:
    loss: Loss
    labels: Tensor | None

    def of(self, logits: Tensor) -> Tensor:
        """The scalar whose gradients are taken."""
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            seen = f"a {logits.dtype} tensor" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise InputError(f"the network must return its logits, one floating-point tensor; it returns {seen}")
        return logits.sum() if self.loss == "ones" else F.cross_entropy(logits, self._checked_labels(logits))

    def _checked_labels(self, logits: Tensor) -> Tensor:
        if self.labels is None:
            raise InputError('loss "cross_entropy" needs the labels of the images, int64 [b]; none are given')
        fitting = logits.ndim == 2 and self.labels.shape == logits.shape[:1]
        if not fitting or self.labels.dtype != torch.int64:
            raise InputError(
                f"cross-entropy takes logits [b, classes] and int64 labels [b]; these are {list(logits.shape)} "
                f"and {self.labels.dtype} {list(self.labels.shape)}"
            )
        outside = self.labels[(self.labels < 0) | (self.labels >= logits.shape[1])]
        if len(outside):
            raise InputError(
                f"labels must be in 0..{logits.shape[1] - 1}, as there are logits; one is {outside[0]}"
            )
        return self.labels


@dataclass(frozen=True, slots=True)
class _Measured:
    module: str
    tensors: Mapping[str, Tensor]


def _run(network: _Network, batch: Tensor, rules: Rules, objective: _Objective) -> list[_Measured]:
    with torch.inference_mode(False), torch.enable_grad(), network.left_as_it_was(), seeded():
        # A leaf would refuse operations in place, and the caller's tensor must not have them.
        image = batch.detach().clone().requires_grad_().clone()
        trace = Trace(network.holders)
        with trace:
            logits = trace.current(network.model(image))
        trace.check_recorded()
        return _measure(rules.find(trace, image), objective.of(logits))


def _measure(found: Sequence[Found], objective: Tensor) -> list[_Measured]:
    wanted = (
        tensor
        for f in found
        for tensor in (f.relu.output, f.convolution.input, f.convolution.weight, f.norm.output)
    )
    gradients = _gradients(objective, {id(tensor): tensor for tensor in wanted})
    values = _Values(found)
    measured = []
    for f in found:
        t1, t2, t3, t4 = f.relu.input, f.convolution.input, f.convolution.weight, f.norm.output
        tensors = {"T1": values.of(t1), "T2": values.of(t2), "T3": values.of_weight(t3), "T4": values.of(t4)}
        tensors |= {"T1G": values.through(f.relu, gradients[id(f.relu.output)])}
        tensors |= {"T2G": gradients[id(t2)], "T3G": gradients[id(t3)], "T4G": gradients[id(t4)]}
        measured.append(_Measured(f.convolution.module, tensors))
    return measured


class _Values:
    """The values of traced tensors, free of the graph; the same object for the same values, where that is known."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._twins: dict[int, Tensor] = {}
        first: dict[int, Tensor] = {}
        for f in found:  # ReLUs of one tensor give equal tensors, of which one is enough
            self._twins[id(f.relu.output)] = first.setdefault(id(f.relu.input), f.relu.output)
        self._values: dict[int, Tensor] = {}
        self._through: dict[int, Tensor] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The values of an activation."""
        tensor = self._twins.get(id(tensor), tensor)
        if id(tensor) not in self._values:
            self._values[id(tensor)] = _owned(tensor)
        return self._values[id(tensor)]

    def of_weight(self, weight: Tensor) -> Tensor:
        """A copy: the network's own weight may change later."""
        if id(weight) not in self._values:
            self._values[id(weight)] = weight.detach().clone(memory_format=torch.contiguous_format)
        return self._values[id(weight)]

    def through(self, relu: Call, gradient: Tensor) -> Tensor:
        """The gradient at a ReLU's input from the one at its output, as torch's own backward pass has it."""
        if id(relu.output) not in self._through:
            self._through[id(relu.output)] = blocked(gradient, self.of(relu.input))
        return self._through[id(relu.output)]


def blocked(gradient: Tensor, relu_input: Tensor) -> Tensor:
    """A gradient at a ReLU's output, brought to its input: 0 where that is 0 or negative, else the same bits."""
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, relu_input, 0)
    return passed


def _gradients(objective: Tensor, tensors: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The gradients of `objective`, under the tensors' keys; the same object for those that share their memory."""
    taken = _autograd(objective, {key: tensor for key, tensor in tensors.items() if tensor.requires_grad})
    zeros: dict[torch.Size, Tensor] = {}
    owned: dict[tuple[int, torch.Size, tuple[int, ...]], Tensor] = {}
    gradients = {}
    for key, tensor in tensors.items():
        gradient = taken.get(key)
        if gradient is None:  # nothing leads from the tensor to the output
            if tensor.shape not in zeros:
                zeros[tensor.shape] = tensor.new_zeros(tensor.shape)
            gradients[key] = zeros[tensor.shape]
        else:
            place = (gradient.data_ptr(), gradient.shape, gradient.stride())
            if place not in owned:
                owned[place] = _owned(gradient)
            gradients[key] = owned[place]
    return gradients


def _autograd(objective: Tensor, tensors: Mapping[int, Tensor]) -> dict[int, Tensor | None]:
    if not tensors or not objective.requires_grad:
        return {}
    return dict(
        zip(tensors, torch.autograd.grad(objective, list(tensors.values()), allow_unused=True), strict=True)
    )


def _owned(tensor: Tensor) -> Tensor:
    """The tensor free of the graph, contiguous, and in a memory of just its size."""
    tensor = tensor.detach()
    if tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def _instances(passes: Mapping[str, list[_Measured]]) -> tuple[Instance, ...]:
    plain = next(iter(passes.values()))
    if any([m.module for m in measured] != [m.module for m in plain] for measured in passes.values()):
        raise InputError("the network runs other layers for noise than for data: statistics need the same ones")
    differences = Differences()
    return tuple(
        Instance(
            layer,
            plain[layer].module,
            _raw({which: run[layer].tensors for which, run in passes.items()}),
            differences,
        )
        for layer in range(len(plain))
    )


def _raw(by_input: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that were measured under their names, in the order of `TENSOR_NAMES`."""
    raw = {}
    for name in TENSOR_NAMES:
        tensor, _, which = name.partition("_")
        measured = by_input.get(which) if which else next(iter(by_input.values()))
        if measured is not None:
            raw[name] = measured[tensor]
    return raw


# --- leaving no trace -------------------------------------------------------------------------------------------


class _Network:
    """A network with what its passes may change of it and how its parameters are called, looked up once for all."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.holders = holders_of(model)
        self._modes = [(module, module.training) for module in model.modules()]
        self._buffers = [
            (module, name, buffer, buffer.detach().clone())
            for module, _ in self._modes
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]

    @contextmanager
    def left_as_it_was(self) -> Iterator[None]:
        """All modules in evaluation mode, so that nothing draws; modes and buffers are put back at the end."""
        for module, _ in self._modes:
            _set_mode(module, False)
        try:
            yield
        finally:
            for module, mode in self._modes:
                _set_mode(module, mode)
            for module, name, buffer, values in self._buffers:
                module._buffers[name] = buffer
                _restore(buffer, values)


def _set_mode(module: nn.Module, training: bool) -> None:
    """As `module.training = ...`, without torch's search for a parameter of that name."""
    object.__setattr__(module, "training", training)


@torch.no_grad()
def _restore(buffer: Tensor, values: Tensor) -> None:
    if not torch.equal(buffer, values):
        buffer.copy_(values)
