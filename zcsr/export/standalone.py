"""What `zcsr export --format python` copies into the file it writes, so that the file needs torch alone.

The source of what is needed here becomes part of that file, beside the formula itself, so nothing here may use
anything of zcsr. It is a compact way to do for one program what `zcsr.networks.instances` and `zcsr.networks.trace`
do for all 22 tensors: the pattern ReLU-Conv-BatchNorm, gradients of the sum of the logits, the first convolution of
a chain.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Operations that take more than an expression.


def nan_to_zero(a: Tensor) -> Tensor:
    """Return `a` with 0 for NaN; infinities stay."""
    return torch.nan_to_num(a, nan=0.0, posinf=math.inf, neginf=-math.inf)


def normalise(a: Tensor) -> Tensor:
    """Return (a - mean) / standard deviation over all elements, 0 where all are equal."""
    if a.numel() < 2 or bool(a.min() == a.max()):
        return torch.zeros_like(a)
    return nan_to_zero((a - a.mean()) / a.std())


def gram(a: Tensor) -> Tensor:
    """Return the Gram matrix of `a` flattened to its leading dimension."""
    rows = a.reshape(a.shape[0], -1)
    return rows @ rows.T


def last_over_first(matrix: Tensor, eigenvalues: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the last eigenvalue over the first, real part; NaN for a matrix that is not finite."""
    if len(matrix) == 1:
        return (matrix / matrix)[0, 0]
    if not bool(torch.isfinite(matrix).all()):
        return matrix.new_tensor(math.nan)
    values = eigenvalues(matrix)
    return (values[-1] / values[0]).real.to(matrix.dtype)


def eig_ratio(a: Tensor) -> Tensor:
    """Return the last over the first eigenvalue of the Gram matrix."""
    return last_over_first(gram(a), torch.linalg.eigvals)


def eig_ratio_sym(a: Tensor) -> Tensor:
    """Return the largest over the smallest eigenvalue of the Gram matrix plus its transpose."""
    matrix = gram(a)
    return last_over_first(matrix + matrix.T, torch.linalg.eigvalsh)


def softmax(a: Tensor) -> Tensor:
    """Return the softmax over dimension 1 (dimension 0 of tensors with 0, 1 or 3 dimensions)."""
    return torch.softmax(a, dim=0 if a.ndim in (0, 1, 3) else 1)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine similarity of the two flattened to `a`'s leading dimension, summed over the rows."""
    return F.cosine_similarity(a.reshape(len(a), -1), b.reshape(len(a), -1), dim=1).sum()


# One network.


class Trace(TorchFunctionMode):
    """Records which ReLU, convolution and BatchNorm took which tensor while a network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.relus: dict[int, tuple[Tensor, Tensor]] = {}  # by the identity of what a call gave: what it took, gave
        self.convolutions: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # what it took, its weight, what it gave
        self.norms: dict[int, tuple[Tensor, Tensor]] = {}
        self.versions: dict[int, tuple[Tensor, int]] = {}
        self.weights: dict[int, tuple[Tensor, Tensor]] = {}
        self.instead: dict[int, tuple[Tensor, Tensor]] = {}  # a tensor overwritten in place, and its new values

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Record a call, and keep recorded tensors from being overwritten in place."""
        args, kwargs = self.current(args), self.current(kwargs or {})
        if func in (F.relu, torch.relu, Tensor.relu):
            return self.relu(*args, **kwargs)
        if func in (torch.relu_, Tensor.relu_):
            return self.relu(args[0], inplace=True)
        if func is F.conv2d:
            return self.convolution(*args, **kwargs)
        if func is F.batch_norm:
            return self.norm(*args, **kwargs)
        if args and id(args[0]) in self.versions and in_place(func):
            copied = args[0].clone()
            self.instead[id(args[0])] = (args[0], copied)
            args = (copied, *args[1:])
        return func(*args, **kwargs)

    def relu(self, input: Tensor, inplace: bool = False) -> Tensor:
        """Stand in for ReLUs, in place or not."""
        output = F.relu(input)
        self.relus[id(output)] = (self.record(input), self.record(output))
        if inplace:
            self.instead[id(input)] = (input, output)
        return output

    def convolution(self, input: Tensor, weight: Tensor, *rest: Any, **options: Any) -> Tensor:
        """Stand in for convolutions; frozen weights have gradients too."""
        if weight.grad_fn is None:
            weight = self.weights.setdefault(id(weight), (weight, weight.detach().requires_grad_()))[1]
        output = F.conv2d(input, weight, *rest, **options)
        self.convolutions[id(output)] = (self.record(input), weight, self.record(output))
        return output

    def norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,  # noqa: ARG002
        running_var: Tensor | None,  # noqa: ARG002
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,  # noqa: ARG002
        momentum: float = 0.1,  # noqa: ARG002
        eps: float = 1e-5,
    ) -> Tensor:
        """Stand in for BatchNorms, which use the statistics of the batch."""
        output = F.batch_norm(input, None, None, weight, bias, training=True, eps=eps)
        self.norms[id(output)] = (input, self.record(output))
        return output

    def record(self, tensor: Tensor) -> Tensor:
        """Keep a tensor, so that no later one can have its identity."""
        self.versions.setdefault(id(tensor), (tensor, tensor._version))
        return tensor

    def current(self, value: Any) -> Any:
        """Return what stands for a value since it was overwritten; looks into lists, tuples and dicts."""
        if type(value) in (list, tuple):
            return type(value)(self.current(item) for item in value)
        if type(value) is dict:
            return {key: self.current(item) for key, item in value.items()}
        while id(value) in self.instead:
            value = self.instead[id(value)][1]
        return value

    def instances(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield T1 to T4 of each instance, in the order in which the BatchNorms ran."""
        if any(tensor._version != version for tensor, version in self.versions.values()):
            raise RuntimeError("the network overwrites the input or output of a ReLU, convolution or BatchNorm")
        for tensor, t4 in self.norms.values():
            t3 = None
            while id(tensor) in self.convolutions:  # of a chain of convolutions the first counts
                tensor, t3, _ = self.convolutions[id(tensor)]
            if t3 is not None and id(tensor) in self.relus:
                t1, t2 = self.relus[id(tensor)]
                yield t1, t2, t3, t4


def in_place(func: Callable[..., Any]) -> bool:
    """Return whether a function of torch overwrites its first argument."""
    name = getattr(func, "__name__", "")
    operators = [f"__i{operator}__" for operator in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")]
    return name in operators or name == "__setitem__" or (name.endswith("_") and name[-2:] != "__")


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Run the body in evaluation mode, with one thread and torch's generator seeded; leave all as it was."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for module, _ in modes:
        module.training = False
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, values in buffers:
                buffer.copy_(values)


def network_tensors(model: nn.Module, batch: Tensor, gradients: bool) -> list[dict[str, Tensor]]:
    """Return T1 to T4 of each instance, and their gradients of the sum of the logits, for one batch of images."""
    with torch.inference_mode(False), torch.enable_grad(), as_it_was(model):
        trace = Trace()
        with trace:
            logits = trace.current(model(batch.detach().clone().requires_grad_().clone()))
        found = [dict(zip(("T1", "T2", "T3", "T4"), one, strict=True)) for one in trace.instances()]
        if gradients:
            wanted = {id(one[name]): one[name] for one in found for name in ("T2", "T3", "T4")}
            gradient = gradients_of(logits.sum(), wanted)
            for one in found:
                one |= {f"{name}G": gradient[id(one[name])] for name in ("T2", "T3", "T4")}
                one["T1G"] = one["T2G"].masked_fill(one["T1"] <= 0, 0.0)  # through this ReLU alone
    return [{name: tensor.detach() for name, tensor in one.items()} for one in found]


def gradients_of(objective: Tensor, tensors: dict[int, Tensor]) -> dict[int, Tensor]:
    """Return the gradients of a number, 0 where nothing leads from a tensor to it."""
    taken = {key: tensor for key, tensor in tensors.items() if tensor.requires_grad}
    found: dict[int, Tensor | None] = {}
    if taken and objective.requires_grad:
        gradients = torch.autograd.grad(objective, list(taken.values()), allow_unused=True)
        found = dict(zip(taken, gradients, strict=True))
    zeros = {key: torch.zeros_like(tensor) for key, tensor in tensors.items() if found.get(key) is None}
    return {key: zeros[key] if key in zeros else found[key] for key in tensors}  # type: ignore[misc]


def draw_inputs(images: Tensor, seed: int) -> dict[str, Tensor]:
    """Return the images (D), noise of their shape (N), and the images with a little noise (P)."""
    return {
        "D": images,
        "N": noise(images, seed, "noise"),
        "P": images + math.sqrt(NOISE_VARIANCE) * noise(images, seed, "perturbation"),
    }


def noise(images: Tensor, seed: int, purpose: str) -> Tensor:
    """Return standard normal noise of the images' shape, from a stream of its own for each seed and purpose."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(images.shape, generator=generator, dtype=torch.float32).to(images)


NOISE_VARIANCE = 0.01


def instance_tensors(
    model: nn.Module, images: Tensor, seed: int, inputs: str, gradients: bool
) -> list[dict[str, Tensor]]:
    """Return the tensors of each instance by name, such as T1G_D; those of P are differences from D's."""
    batches = draw_inputs(images, seed)
    passes = {which: network_tensors(model, batches[which], gradients) for which in inputs}
    merged: list[dict[str, Tensor]] = []
    for found in zip(*passes.values(), strict=True):
        plain = found[0]
        tensors = {"T3": plain["T3"]}
        for which, measured in zip(passes, found, strict=True):
            for name, tensor in measured.items():
                tensors[f"{name}_{which}"] = tensor - plain[name] if which == "P" else tensor
        merged.append(tensors)
    return merged
