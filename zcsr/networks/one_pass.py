"""One pass of a network: the tensors of its instances, and the network left as it was.

`zcsr.export.python_file` copies what follows the imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zcsr.networks.initialisation import seeded
from zcsr.networks.patterns import Pattern, Read
from zcsr.networks.trace import Call, Found, Rules, Trace, holders_of


class Network:
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


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pass gives of an instance: its convolution's path, and by place the tensors and their gradients."""

    module: str
    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def one_pass(
    network: Network,
    batch: Tensor,
    rules: Rules,
    objective: Callable[[Tensor], Tensor] | None,
    values: frozenset[str] | None = None,
    gradients: frozenset[str] | None = None,
) -> list[Measured]:
    """Return what a batch of images gives, of each instance, with the gradients of `objective` of the logits.

    Without an objective there are none. `values` and `gradients` name the places at which they are wanted, all of
    them where nothing is said; where no gradient is wanted nothing is done for one. All tensors are detached and
    contiguous. Raises InputError where a BatchNorm sees one value a channel, or a recorded tensor is overwritten in
    a way that cannot be followed.
    """
    taken = None if gradients is not None and not gradients else objective
    with torch.inference_mode(False), torch.set_grad_enabled(taken is not None), network.left_as_it_was(), seeded():
        # A leaf would refuse operations in place, and the caller's tensor must not have them.
        image = batch.detach().clone().requires_grad_(taken is not None).clone()
        trace = Trace(network.holders, rules.pattern.calls)
        with trace:
            logits = trace.current(network.model(image))
        trace.check_recorded()
        found = rules.find(trace, image)
        reads = rules.pattern.reads
        graded_reads = _at(reads, gradients) if taken else ()
        return _measure(rules.pattern, _at(reads, values), graded_reads, found, taken(logits) if taken else None)


def _at(reads: Sequence[Read], places: frozenset[str] | None) -> Sequence[Read]:
    return reads if places is None else [read for read in reads if read.place in places]


def _measure(
    pattern: Pattern,
    reads: Sequence[Read],
    graded: Sequence[Read],
    found: Sequence[Found],
    objective: Tensor | None,
) -> list[Measured]:
    wanted = [_graded_at(read, calls) for calls in found for read in graded]
    gradients, values = _gradients(objective, {id(tensor): tensor for tensor in wanted}), _Values(found)
    shown = _ChannelsSecond()

    def seen(read: Read, calls: Found, tensor: Tensor) -> Tensor:
        turned = calls[pattern.weighted].channels_last and read.end != "weight"
        return shown.of(tensor) if turned else tensor

    def value(read: Read, calls: Found) -> Tensor:
        return seen(read, calls, values.of(_tensor_at(read, calls), read.end == "weight"))

    def gradient(read: Read, calls: Found) -> Tensor:
        taken = gradients[id(_graded_at(read, calls))]
        return seen(read, calls, values.through(calls[read.call], taken) if read.through else taken)

    return [
        Measured(
            calls[pattern.weighted].module,
            {read.place: value(read, calls) for read in reads},
            {read.place: gradient(read, calls) for read in graded},
        )
        for calls in found
    ]


class _ChannelsSecond:
    """Tensors [b, ..., channels] as [b, channels, ...]; the same object for the same tensor."""

    def __init__(self) -> None:
        self._shown: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The tensor with its channels second."""
        if id(tensor) not in self._shown:
            self._shown[id(tensor)] = (tensor, tensor.movedim(-1, 1).contiguous() if tensor.ndim > 2 else tensor)
        return self._shown[id(tensor)][1]


def _tensor_at(read: Read, calls: Found) -> Tensor:
    tensor: Tensor = getattr(calls[read.call], read.end)
    return tensor


def _graded_at(read: Read, calls: Found) -> Tensor:
    """The tensor with respect to which the gradient is taken."""
    return calls[read.call].output if read.through else _tensor_at(read, calls)


class _Values:
    """The values of traced tensors, free of the graph; the same object for the same values, where that is known."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._twins: dict[int, Tensor] = {}
        first: dict[int, Tensor] = {}
        for relu in (calls["relu"] for calls in found if "relu" in calls):
            # ReLUs of one tensor give equal tensors, of which one is enough
            self._twins[id(relu.output)] = first.setdefault(id(relu.input), relu.output)
        self._values: dict[int, Tensor] = {}
        self._through: dict[int, Tensor] = {}

    def of(self, tensor: Tensor, copied: bool = False) -> Tensor:
        """The values of a tensor; copied for a weight, which may change later in the network."""
        tensor = self._twins.get(id(tensor), tensor)
        if id(tensor) not in self._values:
            self._values[id(tensor)] = _owned(tensor, copied)
        return self._values[id(tensor)]

    def through(self, call: Call, gradient: Tensor) -> Tensor:
        """The gradient at an activation's input from the one at its output, as torch's own backward pass has it."""
        if id(call.output) not in self._through:
            self._through[id(call.output)] = _through(call, gradient, self.of(call.input))
        return self._through[id(call.output)]


def _through(call: Call, gradient: Tensor, taken: Tensor) -> Tensor:
    if call.again is None:
        return blocked(gradient, taken)
    with torch.enable_grad():
        start = taken.detach().requires_grad_()
        (found,) = torch.autograd.grad(call.again(start), start, gradient)
    return _owned(found)


def blocked(gradient: Tensor, relu_input: Tensor) -> Tensor:
    """A gradient at a ReLU's output, brought to its input: 0 where that is 0 or negative, else the same bits."""
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, relu_input, 0)
    return passed


def _gradients(objective: Tensor | None, tensors: Mapping[int, Tensor]) -> dict[int, Tensor]:
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


def _autograd(objective: Tensor | None, tensors: Mapping[int, Tensor]) -> dict[int, Tensor | None]:
    if objective is None or not tensors or not objective.requires_grad:
        return {}
    return dict(
        zip(tensors, torch.autograd.grad(objective, list(tensors.values()), allow_unused=True), strict=True)
    )


def _owned(tensor: Tensor, copied: bool = False) -> Tensor:
    """The tensor free of the graph, contiguous, and in a memory of just its size, of its own where it is copied."""
    tensor = tensor.detach()
    if not copied and tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)
