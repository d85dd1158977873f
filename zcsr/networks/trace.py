"""What a network did in one pass: which activation, convolution and norm took which tensor, and their instances.

Calls are observed while the network runs, so it does not matter in which order, or whether at all, they come from
modules. `zcsr.export.python_file` copies what follows the imports.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zcsr.errors import InputError
from zcsr.networks.patterns import Pattern


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call, as patterns name it, with the tensor that it took and the one that it gave.

    One with weights has its weight, and the path of the module that holds it, "" where none does, and whether what
    it takes and gives has its channels last. Of an activation that is no ReLU `again` computes the output anew.
    """

    kind: str
    input: Tensor
    output: Tensor
    weight: Tensor | None = None
    module: str = ""
    channels_last: bool = False
    again: Callable[[Tensor], Tensor] | None = None


def holders_of(model: nn.Module) -> dict[int, str]:
    """The path of the module that holds a parameter, by the parameter's identity."""
    return {
        id(parameter): path
        for path, module in model.named_modules()
        for parameter in module._parameters.values()
        if parameter is not None
    }


class Watch(TorchFunctionMode):
    """Takes the calls of torch's functions, of modules or not, while a network runs inside of it."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self.call(func, args, kwargs or {})

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what the network gets from a call: what the function gives, unless a subclass says otherwise."""
        return func(*args, **options)


def by_batch(
    input: Tensor,
    running_mean: Tensor | None,  # noqa: ARG001
    running_var: Tensor | None,  # noqa: ARG001
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: ARG001
    momentum: float = 0.1,  # noqa: ARG001
    eps: float = 1e-5,
) -> Tensor:
    """Do what `F.batch_norm` does in training, without running statistics; InputError for one value a channel."""
    if input.numel() <= input.shape[1]:
        raise InputError(
            f"a BatchNorm sees one value a channel (input {tuple(input.shape)}), of which there is no "
            "deviation: use larger images or a larger batch"
        )
    return F.batch_norm(input, None, None, weight, bias, training=True, eps=eps)


class Trace(Watch):
    """Records the calls that instances consist of, by the identity of the tensors they give.

    `holders` has, by the identity of a parameter, the path of the module that holds it: `holders_of` the network;
    `names` are those of a pattern's calls.
    """

    def __init__(self, holders: Mapping[int, str], names: Sequence[str]) -> None:
        super().__init__()
        self._handlers = {func: (name, HANDLERS[name]) for name in names for func in FUNCTIONS[name]}
        self.calls: dict[int, Call] = {}
        self._holders = holders
        self._stand_ins: dict[int, tuple[Tensor, Tensor]] = {}
        self._recorded: dict[int, tuple[Tensor, int]] = {}
        self._overwritten: dict[int, tuple[Tensor, Tensor]] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Record a call of those that instances consist of; return what the network gets."""
        if self._overwritten:
            args = tuple(self.current(arg) for arg in args)
            options = {name: self.current(option) for name, option in options.items()}
        if func in self._handlers:
            name, handler = self._handlers[func]
            return handler(self, name, func, *args, **options)
        if func is F.batch_norm:
            return by_batch(*args, **options)
        if args and self._is_recorded(args[0]) and _works_in_place(func, args, options):
            return self._apart(func, args, options)
        return func(*args, **options)

    def current(self, value: Any) -> Any:
        """What stands for `value` since it was overwritten; lists and tuples of tensors are looked through."""
        if type(value) in (list, tuple):
            return type(value)(self.current(item) for item in value)
        while id(value) in self._overwritten:
            value = self._overwritten[id(value)][1]
        return value

    def check_recorded(self) -> None:
        """Raise InputError where a recorded tensor no longer has the values it was recorded with."""
        if any(tensor._version != version for tensor, version in self._recorded.values()):
            raise InputError(
                "the network overwrites the input or output of a ReLU, convolution or BatchNorm in place "
                "(through a view, or a function with inplace=True): build it without"
            )

    def activation(self, name: str, func: Callable[..., Any], input: Tensor, *rest: Any, **options: Any) -> Tensor:
        """Stand in for an activation, in place or not."""
        inplace = _works_in_place(func, (input, *rest), options)
        again = None if func in RELUS else partial(_activated, func, inplace, rest, options)
        output = again(input) if again else F.relu(input)
        self.calls[id(output)] = Call(name, self._record(input), self._record(output), again=again)
        if inplace:
            self._replace(input, output)
        return output

    def weighted(
        self, name: str, func: Callable[..., Any], input: Tensor, weight: Tensor, *rest: Any, **options: Any
    ) -> Tensor:
        """Stand in for a convolution or a linear layer."""
        stand_in = self._stand_in(weight)
        output: Tensor = func(input, stand_in, *rest, **options)
        holder = self._holders.get(id(weight), "")
        ends = self._record(input), self._record(output)
        self.calls[id(output)] = Call(name, *ends, stand_in, holder, channels_last=func is F.linear)
        return output

    def norm(self, name: str, func: Callable[..., Any], input: Tensor, *rest: Any, **options: Any) -> Tensor:
        """Stand in for a norm; a BatchNorm is always in training and without running statistics."""
        output: Tensor = (by_batch if func is F.batch_norm else func)(input, *rest, **options)
        # Of a BatchNorm alone nothing reads the input.
        taken = input if name == "norm" else self._record(input)
        self.calls[id(output)] = Call(name, taken, self._record(output))
        return output

    def _stand_in(self, weight: Tensor) -> Tensor:
        """The weight itself where it was computed, otherwise a leaf: frozen weights have gradients too."""
        if weight.grad_fn is not None:
            return weight
        if id(weight) not in self._stand_ins:
            self._stand_ins[id(weight)] = (weight, weight.detach().requires_grad_())
        return self._stand_ins[id(weight)][1]

    def _record(self, tensor: Tensor) -> Tensor:
        self._recorded.setdefault(id(tensor), (tensor, tensor._version))
        return tensor

    def _is_recorded(self, tensor: Any) -> bool:
        """Whether a tensor, or the one that it is a view of, is recorded."""
        return isinstance(tensor, Tensor) and not self._recorded.keys().isdisjoint((id(tensor), id(tensor._base)))

    def _apart(self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call what works in place on a copy of its first argument, with which the network goes on."""
        tensor = args[0]
        copy = tensor.clone()
        given = func(copy, *args[1:], **options)
        self._replace(tensor, copy)
        return given

    def _replace(self, tensor: Tensor, by: Tensor) -> None:
        """Let `by` stand for a tensor from now on, and in the place of a view in what it is a view of."""
        self._overwritten[id(tensor)] = (tensor, by)
        if tensor._base is not None:
            base = self.current(tensor._base)
            whole = base.clone()
            start = tensor.storage_offset() - tensor._base.storage_offset()
            whole.as_strided(tensor.size(), tensor.stride(), start).copy_(by)
            self._overwritten[id(base)] = (base, whole)


def _activated(
    func: Callable[..., Any], inplace: bool, rest: tuple[Any, ...], options: Mapping[str, Any], taken: Tensor
) -> Tensor:
    output: Tensor = func(taken.clone() if inplace else taken, *rest, **options)
    return output


RELUS: frozenset[Callable[..., Any]] = frozenset(
    {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
)
RECTIFIERS: frozenset[Callable[..., Any]] = RELUS | {
    *(F.relu6, F.leaky_relu, F.leaky_relu_, F.rrelu, F.rrelu_),
    *(torch.prelu, Tensor.prelu),
}
SMOOTH: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.silu, F.gelu, F.mish, F.hardswish, F.elu, F.selu, F.celu, F.softplus, F.hardsigmoid, F.softsign),
        *(F.tanh, F.sigmoid, F.logsigmoid, torch.tanh, torch.sigmoid, Tensor.tanh, Tensor.sigmoid),
    }
)
CONVOLUTIONS: frozenset[Callable[..., Any]] = frozenset(
    {F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}
)
FUNCTIONS: Mapping[str, frozenset[Callable[..., Any]]] = {
    "relu": RELUS,
    "activation": RECTIFIERS | SMOOTH | {F.hardtanh},
    "convolution": frozenset({F.conv2d}),
    "any convolution": CONVOLUTIONS,
    "linear": frozenset({F.linear}),
    "layer": CONVOLUTIONS | {F.linear},
    "norm": frozenset({F.batch_norm}),
    "any norm": frozenset({F.batch_norm, F.group_norm, F.layer_norm, F.instance_norm}),
}
"""The functions of torch that are a call of that name."""
HANDLERS: Mapping[str, Callable[..., Tensor]] = {
    "relu": Trace.activation,
    "activation": Trace.activation,
    "convolution": Trace.weighted,
    "any convolution": Trace.weighted,
    "linear": Trace.weighted,
    "layer": Trace.weighted,
    "norm": Trace.norm,
    "any norm": Trace.norm,
}
"""What stands in for them."""
_IN_PLACE_OPERATORS = {f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")}


def _works_in_place(func: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    name = getattr(func, "__name__", "")
    if name in _IN_PLACE_OPERATORS or name == "__setitem__" or (name.endswith("_") and name[-2:] != "__"):
        return True
    place = _place_of_inplace(func)
    return bool(options.get("inplace", False) or (place is not None and len(args) > place and args[place]))


@cache
def _place_of_inplace(func: Callable[..., Any]) -> int | None:
    """The place of the argument `inplace` of a function of torch, None where it has none."""
    try:
        names = list(inspect.signature(func).parameters)
    except (TypeError, ValueError):  # written in C
        return None
    return names.index("inplace") if "inplace" in names else None


# --- instances in a trace ---------------------------------------------------------------------------------------


Found = Mapping[str, Call]
"""The calls of one instance, by their kind."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which calls make an instance.

    Of convolutions that follow each other it has the "first", the last ("second"), or "both" in turn.
    """

    pattern: Pattern
    separable: str

    def find(self, trace: Trace, image: Tensor) -> list[Found]:
        """The instances in the order of the calls that the pattern counts by."""
        weighted = self.pattern.weighted
        if self.pattern.alone:
            return [{weighted: call} for call in trace.calls.values() if call.kind == weighted]
        fed = {id(call.input) for call in trace.calls.values() if call.kind == weighted}
        found: list[Found] = []
        for call in trace.calls.values():
            if call.kind != weighted or id(call.output) not in fed:  # else the chain goes on
                found += self._ending_in(call, trace, image)
        ran = {key: number for number, key in enumerate(trace.calls)}
        return sorted(found, key=lambda calls: ran[id(calls[self.pattern.order].output)])

    def _ending_in(self, call: Call, trace: Trace, image: Tensor) -> list[Found]:
        """The instances whose last call this is, one for each convolution chosen."""
        calls: dict[str, Call] = {}
        chain: list[Call] = []
        tensor = call.output
        weighted = self.pattern.weighted
        for kind in reversed(self.pattern.calls):
            given = _given_by(kind, tensor, trace, kind == weighted)
            if not given:
                return []
            calls[kind], tensor = given[0], given[0].input
            if kind == weighted:
                chain = given
        if calls[weighted].input is image:
            return []
        return [calls | {weighted: layer} for layer in self._chosen(chain)]

    def _chosen(self, chain: list[Call]) -> list[Call]:
        return {"first": chain[:1], "second": chain[-1:], "both": chain}[self.separable]


def _given_by(kind: str, tensor: Tensor, trace: Trace, weighted: bool) -> list[Call]:
    """The call that gave a tensor, after those that fed it if it has weights; empty for another kind."""
    call = trace.calls.get(id(tensor))
    if call is None or call.kind != kind:
        return []
    return [*_given_by(kind, call.input, trace, weighted), call] if weighted else [call]
