"""One network of a user's own: what a program or a known proxy says of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zcsr.engine.threads import one_thread
from zcsr.errors import EvaluationError, InputError, ProgramError, ZcsrError
from zcsr.evaluation.auto_pattern import fitting
from zcsr.evaluation.evaluate import ColumnEvaluator, Columns, columns_of
from zcsr.language.named_programs import find_program
from zcsr.language.program import Program
from zcsr.networks import initialisation as weights
from zcsr.networks.config import AUTO, Loss, Separable
from zcsr.networks.instances import Instance, NetworkStatistics, draw_inputs, read_instances
from zcsr.networks.outputs import no_instance, no_logits
from zcsr.networks.patterns import PATTERNS
from zcsr.proxies import get_proxy, proxy_names
from zcsr.proxies.proxy import Proxy
from zcsr.spaces import own


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What one program or known proxy says of one network, to compare with the scores of others by the same.

    value: the score, NaN where the value of an instance is NaN or infinite
    program: the program's text, or the proxy's name
    instances: how many there are; 0 for a proxy, which looks at the network as a whole
    modules: the path of each instance's convolution, "" where no module holds its weight
    tensors: those of the 22 that the program uses
    values: float64, what the program gives for each, in the order in which their BatchNorms ran: [instances], or
        [instances, columns] where it puts several together
    columns: what the program gives for each, as texts
    kept: the paths of the parameters that were not drawn anew by the seed, but taken as they are
    """

    value: float
    program: str
    instances: int
    modules: tuple[str, ...]
    tensors: tuple[str, ...]
    values: npt.NDArray[np.float64]
    columns: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        plural = "" if self.instances == 1 else "s"
        seen = f" over {self.instances} instance{plural}" if self.instances else ""
        return f"{self.value:.6g} by {self.program}{seen}"

    def __repr__(self) -> str:
        return f"Score({self})"

    @property
    def unusable(self) -> tuple[str, ...]:
        """The `modules` whose instance has a value that is NaN or infinite."""
        return tuple(
            module
            for module, values in zip(self.modules, self.values, strict=True)
            if not np.isfinite(values).all()
        )


def score(
    model: nn.Module,
    batch: Tensor,
    program: Program | Proxy | str,
    *,
    labels: Tensor | None = None,
    seed: int = 0,
    initialise: bool = True,
    pattern: str = "rcb",
    loss: Loss = "ones",
    noise_variance: float = 0.01,
    separable: Separable = "first",
    output: int | str | None = None,
) -> Score:
    """Return the score of a network on a minibatch, a function of the arguments alone.

    `model` is any torch module on the processor that maps images [b, c, h, w] to logits, or signals [b, c, l] or
    volumes [b, c, d, h, w] where it has convolutions of them; `batch` is such images, of the network's own
    floating-point type and normalised as for training. Of a compiled network the one that it was compiled from is
    looked at. `program` is a program, its text or its
    name (`zcsr.language.named_programs.named_programs`), or a known proxy or its name (`zcsr.proxies.proxy_names`).
    `labels`, int64 [b], are needed for the loss "cross_entropy" and by the proxies that look at them.

    With the pattern "auto" it is the one that the network has most instances of. Where the network returns several
    tensors, `output` says which of them are its logits: a place, or a key.

    The weights are drawn anew by `seed`, as EZNAS draws them, in a copy, and `Score.kept` names the parameters that
    its rules do not cover, which stay; with `initialise=False` all are taken as they are. `model` is left as it was
    either way. The other arguments are those of `read_instances` and `draw_inputs` in `zcsr.networks.instances`:
    for a network of a search space, the score is the one that `zcsr test` gives it.

    A value that is not finite is no error: the score is then NaN, and `Score.values` shows which instance it is
    from. Raises `ProgramError` for a program that cannot be read, `EvaluationError` with the layer for one that
    does not apply to the network's tensors, and `InputError` for a network without an instance, for one that cannot
    be copied or followed (lazy parameters, a ScriptModule, a container), for labels that are missing, and for what
    `read_instances` refuses.
    """
    (found,) = scores(
        model,
        batch,
        [program],
        labels=labels,
        seed=seed,
        initialise=initialise,
        pattern=pattern,
        loss=loss,
        noise_variance=noise_variance,
        separable=separable,
        output=output,
    )
    return found


def scores(
    model: nn.Module,
    batch: Tensor,
    programs: Sequence[Program | Proxy | str],
    *,
    labels: Tensor | None = None,
    seed: int = 0,
    initialise: bool = True,
    pattern: str = "rcb",
    loss: Loss = "ones",
    noise_variance: float = 0.01,
    separable: Separable = "first",
    output: int | str | None = None,
) -> tuple[Score, ...]:
    """Return the scores of a network under several programs, as `score`, looking at its tensors only once."""
    found = attempts(
        model,
        batch,
        programs,
        labels=labels,
        seed=seed,
        initialise=initialise,
        pattern=pattern,
        loss=loss,
        noise_variance=noise_variance,
        separable=separable,
        output=output,
    )
    for one in found:
        if isinstance(one, ZcsrError):
            raise one
    return tuple(one for one in found if isinstance(one, Score))


def attempts(
    model: nn.Module,
    batch: Tensor,
    programs: Sequence[Program | Proxy | str],
    *,
    labels: Tensor | None = None,
    seed: int = 0,
    initialise: bool = True,
    pattern: str = "rcb",
    loss: Loss = "ones",
    noise_variance: float = 0.01,
    separable: Separable = "first",
    output: int | str | None = None,
) -> tuple[Score | ZcsrError, ...]:
    """Return the same as `scores`, with the error in the place of the score of what does not apply to the network.

    What concerns the network as a whole, or the arguments, is raised.
    """
    chosen = [_chosen(program) for program in programs]
    _check_network(model)
    model = getattr(model, "_orig_mod", model)  # of a network that torch.compile gave
    _check_batch(model, batch)
    _check_types(model, batch)
    tensors = {one for program in chosen if isinstance(program, Program) for one in program.root.tensors()}
    read = partial(_read, pattern=pattern, loss=loss, labels=labels, separable=separable, tensors=tensors)
    with torch.inference_mode(False), one_thread(), _uncompiled(model):
        network = _initialised(model, seed) if initialise else model
        with _giving(network, output):
            wanted = any(isinstance(program, Program) for program in chosen)
            inputs = draw_inputs(batch, seed, noise_variance) if wanted else {}
            if wanted and pattern == AUTO:
                pattern = fitting({name: len(read(network, inputs, pattern=name, tensors=())) for name in PATTERNS})
                read = partial(read, pattern=pattern)
            seen = _instances(partial(read, network, inputs), network, pattern) if wanted else ()
            kept = weights.kept(network) if initialise else tuple(name for name, _ in network.named_parameters())
            measured = _Measured(network, batch, labels, seen, kept)
            return tuple(map(measured.attempt, chosen))


def _read(network: nn.Module, inputs: Mapping[str, Tensor], **options: Any) -> tuple[Instance, ...]:
    """What `read_instances` returns; InputError, with the place in a user's code, where the network fails."""
    try:
        return read_instances(network, inputs, **options)
    except Exception as error:
        if isinstance(error, ZcsrError) or not _is_the_networks(error):
            raise
        shape = list(inputs["D"].shape)
        raise InputError(f"the network fails on a batch of shape {shape}: {own.described(error)}") from error


def _is_the_networks(error: Exception) -> bool:
    """Whether an error is of the code of a network, or what torch raises where calls and shapes do not fit."""
    return isinstance(error, RuntimeError) or bool(own.users_place(error))


def _instances(
    read: Callable[..., tuple[Instance, ...]], network: nn.Module, pattern: str
) -> tuple[Instance, ...] | ZcsrError:
    """The instances of a network, or why no program can be told of it."""
    try:
        return read() or InputError(_no_instance(network, pattern, lambda other: read(pattern=other, tensors=())))
    except InputError as error:
        return error


@dataclass(slots=True)
class _Measured:
    """A network and what was found out about it; `instances` is an error where programs have none to look at."""

    network: nn.Module
    batch: Tensor
    labels: Tensor | None
    instances: tuple[Instance, ...] | ZcsrError
    kept: tuple[str, ...]
    known: dict[str, float] = field(default_factory=dict)

    def attempt(self, one: Program | Proxy) -> Score | ZcsrError:
        """Return the score by a program or a proxy, or why there is none."""
        try:
            found = self._by_program(one) if isinstance(one, Program) else self._by_proxy(one)
            return replace(found, kept=self.kept)
        except ZcsrError as error:
            return error
        except Exception as error:
            if not _is_the_networks(error):
                raise
            what = str(one) if isinstance(one, Program) else one.name
            return InputError(f"{what} cannot be computed of the network: {own.described(error)}")

    def _by_proxy(self, proxy: Proxy) -> Score:
        return Score(self._value(proxy), proxy.name, 0, (), (), np.empty(0))

    def _by_program(self, program: Program) -> Score:
        if isinstance(self.instances, ZcsrError):
            raise self.instances
        for name in program.known_by_proxy:
            if name not in self.known:
                self.known[name] = self._value(get_proxy(name))
        return _by_program(program, self.instances, self.known)

    def _value(self, proxy: Proxy) -> float:
        return proxy(self.network, self.batch, _labels(proxy.name, self.batch, self.labels))


@contextmanager
def _giving(network: nn.Module, output: int | str | None) -> Iterator[None]:
    """The network returns one of the tensors that it returns, while this lasts."""
    if output is None:
        yield
        return

    def pick(_: nn.Module, __: Any, given: Any) -> Any:
        try:
            return given[output]
        except (LookupError, TypeError) as error:
            raise InputError(f"the network returns no output {output!r}: {no_logits(given)}") from error

    hook = network.register_forward_hook(pick, prepend=True)
    try:
        yield
    finally:
        hook.remove()


def _check_types(network: nn.Module, batch: Tensor) -> None:
    """Raise InputError where the network's weights have another type than the batch."""
    kinds = {parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()}
    others = sorted(str(kind).removeprefix("torch.") for kind in kinds - {batch.dtype})
    if others:
        given = str(batch.dtype).removeprefix("torch.")
        raise InputError(
            f"the network is {' and '.join(others)} and the batch {given}: make them of one type, such as by "
            "network.float()"
        )


def _uncompiled(model: nn.Module) -> AbstractContextManager[None]:
    """Parts that are compiled run as they were written, while this lasts: else zcsr's watching is compiled too."""
    compiled = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
    # Asking for it imports the compiler, which takes seconds.
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _chosen(program: Program | Proxy | str) -> Program | Proxy:
    if isinstance(program, Program | Proxy):
        return program
    return get_proxy(program.strip()) if program.strip() in proxy_names() else find_program(program, proxy_names())


def _check_network(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"a network to score is a torch module, not a {type(model).__name__}")
    elsewhere = {str(parameter.device) for parameter in model.parameters()} - {"cpu"}
    if elsewhere:
        raise InputError(
            f"the network is on {', '.join(sorted(elsewhere))}: zcsr computes on the processor; give model.cpu()"
        )
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise InputError(
            f"{len(lazy)} of the network's parameters are lazy, without a shape until it has run (first "
            f"{lazy[0]}): run it once, network(images), before it is scored"
        )
    scripted = [name for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    if scripted:
        where = f"part {scripted[0]} of the network" if scripted[0] else "the network"
        raise InputError(
            f"{where} is a ScriptModule, whose calls cannot be followed: give the module that it was made from"
        )
    if type(model).forward is nn.Module.forward and "forward" not in vars(model):
        raise InputError(
            f"the network is a {type(model).__name__}, which has no forward to run: give a module that has one, "
            "such as nn.Sequential"
        )


_SIGNALS_AND_VOLUMES = (
    ((nn.Conv1d, nn.ConvTranspose1d), 3, "[b, c, l]"),
    ((nn.Conv3d, nn.ConvTranspose3d), 5, "[b, c, d, h, w]"),
)


def _check_batch(model: nn.Module, batch: Tensor) -> None:
    shapes = {4: "[b, c, h, w]"} | {
        axes: shape
        for kinds, axes, shape in _SIGNALS_AND_VOLUMES
        if any(isinstance(module, kinds) for module in model.modules())
    }
    fitting = isinstance(batch, Tensor) and batch.ndim in shapes and batch.is_floating_point() and len(batch) > 0
    if not fitting:
        seen = f"{batch.dtype} {list(batch.shape)}" if isinstance(batch, Tensor) else f"a {type(batch).__name__}"
        allowed = " or ".join(shapes.values())
        raise InputError(f"a batch is images in a floating-point tensor {allowed}, at least one, not {seen}")


def _initialised(model: nn.Module, seed: int) -> nn.Module:
    try:
        copied = copy.deepcopy(model)
    except RuntimeError as error:
        raise InputError(
            f"the network cannot be copied, in which its weights would be drawn anew ({error}): score it as it is, "
            "with initialise=False (--keep-weights)"
        ) from error
    weights.initialise(copied, weights.random_stream(seed, "weights"))
    return copied


def _by_program(program: Program, instances: Sequence[Instance], known: Mapping[str, float]) -> Score:
    found = _columns(program, NetworkStatistics("", tuple(instances), known))
    return Score(
        value=found.score(),
        program=str(program),
        instances=len(instances),
        modules=tuple(instance.module for instance in instances),
        tensors=tuple(tensor.name for tensor in program.root.tensors()),
        values=found.per_instance if program.columns else np.empty((len(instances), 0)),
        columns=tuple(map(str, program.columns)),
    )


def _columns(program: Program, statistics: NetworkStatistics) -> Columns:
    try:
        return columns_of(program, statistics)
    except ProgramError as error:
        raise EvaluationError(f"{program}, {_refusing(program, statistics.instances)}: {error}") from error


def _refusing(program: Program, instances: Sequence[Instance]) -> str:
    """The first instance to whose tensors the program does not apply."""
    evaluator = ColumnEvaluator(program.columns)
    for instance in instances:
        (found,) = evaluator.values_of((NetworkStatistics("", (instance,)),))
        if any(isinstance(values, EvaluationError) for values in found.values()):
            return f"layer {instance.layer}" + (f" ({instance.module})" if instance.module else "")
    return "the network"


def _labels(proxy: str, batch: Tensor, labels: Tensor | None) -> Tensor:
    return _absent_labels(proxy, len(batch)) if labels is None else labels


def _absent_labels(proxy: str, count: int) -> Tensor:
    """What stands for labels that are not given: it can be passed on, and whatever looks at one is told so."""

    class Absent(Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            if func in _NOT_LOOKED_AT:
                return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
            raise InputError(f"the proxy {proxy} looks at the labels of the images: give labels, int64 [{count}]")

    return torch.zeros(count, dtype=torch.int64).as_subclass(Absent)


_NOT_LOOKED_AT = frozenset(
    (Tensor.clone, Tensor.__len__, Tensor.dtype.__get__, Tensor.shape.__get__, Tensor.device.__get__)  # type: ignore[attr-defined]
)


def _no_instance(network: nn.Module, pattern: str, collected: Callable[[str], tuple[Instance, ...]]) -> str:
    others = [other for other in PATTERNS if other != pattern]
    for alone in (False, True):  # whose instances are layers alone only where there is nothing else
        there = {other: len(collected(other)) for other in others if PATTERNS[other].alone is alone}
        if found := ", ".join(f"{count} of {other!r}" for other, count in there.items() if count):
            fitting = f"by other patterns it has {found}, of which {AUTO!r} takes the most frequent"
            return no_instance(network, pattern, fitting)
    return no_instance(network, pattern)
