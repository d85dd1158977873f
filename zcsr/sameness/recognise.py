"""Recognise programs that were met before, so that none is evaluated twice.

A cascade from cheap to dear: the text, the normal form, the sympy form, the fingerprint. A stage is reached only
when the ones before it missed. Last comes the order: programs without the paper's steps that differ in value but
rank all networks alike, as by a logarithm at the root; it is a stage of its own, and says nothing of values. Beyond
the text, a common key is a proposal; it counts once the two programs' values on the run's own statistics agree
(`agree`), or are in the same order (`agree_in_order`).

This confirms, it does not prove. Programs that reduce an instance to a few values, 0 or 1 mostly, can agree on
every probe network by chance and differ on a later one, where rounding or a rare value tips a comparison; so a
common fingerprint does not count for them, unless they depend on shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from zcsr.language.program import Node, Program
from zcsr.sameness.fingerprint import (
    DIGITS,
    DRAWN_NETWORKS,
    LAYOUTS,
    NETWORKS,
    fingerprint,
    fingerprint_values,
    rounded,
)
from zcsr.sameness.network_form import network_form, network_key, order_form, order_key
from zcsr.sameness.normal_form import normal_form, rules_used, scalar_tree, score_tree
from zcsr.sameness.sympy_form import sympy_form, sympy_key

Stage = Literal["new", "text", "normal_form", "sympy", "fingerprint", "same_order"]
KeyStage = Literal["normal_form", "sympy", "fingerprint", "same_order"]
Values = npt.NDArray[np.float64]
T = TypeVar("T")

TOLERANCE = 1e-5
"""Largest relative difference between the values of equal programs on real statistics."""

_FEW_VALUES = 3
"""Different values on the probe networks up to which a fingerprint does not count."""

_SMALLEST = float(np.finfo(np.float32).tiny)


class ProgramKeys(NamedTuple):
    """The keys of a program's value on an instance, plain texts to be stored with it; None where there is none.

    `sympy` is None for large trees, `fingerprint` for programs that run on no probe, `same_order` for programs
    with steps and large ones. None are never equal.
    """

    normal_form: str
    sympy: str | None
    fingerprint: str | None
    same_order: str | None = None

    @property
    def of_value(self) -> tuple[str, str | None, str | None]:
        """The keys that programs of one value share."""
        return self[:3]

    def share(self, other: ProgramKeys) -> bool:
        """Return whether any key of the value is the other's as well."""
        return any(key is not None and key == its for key, its in zip(self.of_value, other.of_value, strict=True))


@dataclass(frozen=True, slots=True)
class Recognition:
    """What became of a program: the stage that recognised it and the id of the distinct program that it equals.

    For stage "new" the id is its own, and `keys` are those to `add` it with.
    """

    stage: Stage
    same_as: str
    keys: ProgramKeys | None = None


def program_keys(program: Program) -> ProgramKeys:
    """Return all three keys of a program (about a millisecond)."""
    return _program_keys(dict(_keys(program)))


def are_same(one: Program, other: Program) -> bool:
    """Return whether two programs, of whatever form, are one or aggregate alike and share a key of their value."""
    if one.has_steps != other.has_steps:
        one, other = Program(score_tree(one)), Program(score_tree(other))
    return one == other or (_scope(one) == _scope(other) and program_keys(one).share(program_keys(other)))


def key_of_order(program: Program) -> str | None:
    """Return a text that programs share which rank alike; None for programs with steps and for large ones."""
    return None if program.has_steps else order_key(normal_form(program.root))


def agree(one: Values, other: Values) -> bool:
    """Return whether two programs' values on the same instances confirm that they are equal.

    Every pair of values, and the two sums, must differ by at most `TOLERANCE` of the larger magnitude; below the
    smallest normal float32 number values count as 0. False if the shapes differ, without any values, and where any
    value is NaN or infinite: such values confirm nothing.
    """
    if one.shape != other.shape or one.size == 0 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return False
    return _close(one, other) and _close(one.sum(keepdims=True), other.sum(keepdims=True))


def agree_in_order(one: Values, other: Values) -> bool:
    """Return whether two programs' values on the same networks confirm that they rank alike.

    No two networks may be ranked the other way round, but for those that either has within `TOLERANCE`. False as
    `agree` is.
    """
    if one.shape != other.shape or one.size == 0 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return False
    return _rising(one, other) and _rising(other, one)


def _rising(one: Values, other: Values) -> bool:
    """Whether the other never falls by more than rounding where the one rises by more than that."""
    rise, fall = np.subtract.outer(one, one), np.subtract.outer(other, other)
    size = [np.maximum.outer(np.abs(values), np.abs(values)) for values in (one, other)]
    return not bool(((rise > TOLERANCE * size[0]) & (fall < -TOLERANCE * size[1])).any())


class Recogniser:
    """The programs of a run, found again by text or, for the same `probe_values`, by the other stages.

    Deterministic: of several programs with a common key, the first that was added and is confirmed is taken. To
    restore it, `add` the run's programs in their order, with the stored keys and values.
    """

    def __init__(self) -> None:
        self._by_text: dict[str, str] = {}
        self._by_key: dict[tuple[str, str, str], list[tuple[str, Values]]] = {}

    def recognise(self, program: Program, probe_values: Values) -> Recognition:
        """Return which known program this one is the same as, and by which stage; changes nothing.

        `probe_values` are its values (`instance_values`) on the run's probe networks, shape [instances].
        """
        same_as = self._by_text.get(str(program))
        if same_as is not None:
            return Recognition("text", same_as)
        keys: dict[KeyStage, str | None] = {}
        for stage, key in _keys(program):
            keys[stage] = key
            same_as = self._confirmed(stage, program, key, probe_values)
            if same_as is not None:
                return Recognition(stage, same_as)
        return Recognition("new", program.id, _program_keys(keys))

    def add(self, program: Program, keys: ProgramKeys, probe_values: Values) -> None:
        """Make a new program known, with its values on the run's probe networks."""
        self._by_text.setdefault(str(program), program.id)
        values = np.array(probe_values, dtype=np.float64)
        for stage in get_args(KeyStage):
            key = getattr(keys, stage)
            if key is not None and _can_be_confirmed(stage, program, values):
                self._by_key.setdefault((stage, _scope(program), key), []).append((program.id, values))

    def _confirmed(self, stage: KeyStage, program: Program, key: str | None, values: Values) -> str | None:
        if key is None or not _can_be_confirmed(stage, program, values):
            return None
        candidates = self._by_key.get((stage, _scope(program), key), ())
        confirm = agree_in_order if stage == "same_order" else agree
        return next((known for known, its_values in candidates if confirm(its_values, values)), None)


def _scope(program: Program) -> str:
    """What besides the key must be equal."""
    return program.aggregation if program.has_steps else ""


def explain_sameness(one: Program, other: Program) -> str:
    """Return in words why two programs are the same on every network, or that nothing says so.

    Algebra ignores rounding and division by zero, and probes are a sample; `agree` on real statistics has the last
    word.
    """
    if str(one) == str(other):
        return "The same text."
    if not (one.has_steps and other.has_steps):
        return _explain_networks(one, other)
    if one.aggregation != other.aggregation:
        return f"Not the same: instances are aggregated by {one.aggregation} and by {other.aggregation}."
    trees = scalar_tree(one), scalar_tree(other)
    if _share(lambda tree: str(normal_form(tree)), *trees):
        return f"The same normal form, {normal_form(trees[0])}: {_decisive_rules(*trees)}."
    if _share(sympy_key, *trees):
        return f"The same by algebra; sympy writes both as {sympy_form(normal_form(trees[0]))}."
    if _share(fingerprint, one, other):
        return (
            f"The same numbers: both give the same values to {DIGITS} digits on {len(LAYOUTS)} probe instances; "
            f"no rule of algebra known here says why."
        )
    return _explain_difference(one, other)


def _keys(program: Program) -> Iterator[tuple[KeyStage, str | None]]:
    """Yield the stages with their keys, each computed only when asked for."""
    normal = normal_form(scalar_tree(program) if program.has_steps else program.root)
    yield "normal_form", str(normal)
    yield "sympy", sympy_key(normal) if program.has_steps else network_key(normal)
    yield "fingerprint", fingerprint(program)
    yield "same_order", key_of_order(program)


def _program_keys(keys: Mapping[KeyStage, str | None]) -> ProgramKeys:
    return ProgramKeys(str(keys["normal_form"]), keys["sympy"], keys["fingerprint"], keys.get("same_order"))


def _can_be_confirmed(stage: KeyStage, program: Program, values: Values) -> bool:
    """Return whether equal values say that programs with a common key of this stage are equal."""
    return stage != "fingerprint" or len(np.unique(values)) > _FEW_VALUES or _depends_on_shapes_alone(program)


def _depends_on_shapes_alone(program: Program) -> bool:
    return all(
        column.fold(lambda _: False, lambda operation, *args: operation.from_shape is not None or all(args))
        for column in program.columns
    )


def _close(one: Values, other: Values) -> bool:
    larger = np.maximum(np.abs(one), np.abs(other))
    return bool((np.abs(one - other) <= np.maximum(TOLERANCE * larger, _SMALLEST)).all())


def _share(key: Callable[[T], object], one: T, other: T) -> bool:
    """Return whether both have the key, and the same."""
    found = key(one)
    return found is not None and found == key(other)


def _decisive_rules(one: Node, other: Node) -> str:
    """Return what makes two trees' normal forms one: the rules that only one of them needs, or all of them."""
    used = rules_used(one), rules_used(other)
    decisive = [rule for rule in used[0] if rule not in used[1]] + [rule for rule in used[1] if rule not in used[0]]
    return "; ".join(decisive or used[0]) or "the terms of sums and products are in another order"


def _explain_networks(one: Program, other: Program) -> str:
    trees = score_tree(one), score_tree(other)
    if _share(lambda tree: str(normal_form(tree)), *trees):
        return f"The same normal form, {normal_form(trees[0])}."
    if _share(network_key, *trees):
        return f"The same by algebra; sympy writes both as {network_form(normal_form(trees[0]))}."
    if _share(fingerprint, Program(trees[0]), Program(trees[1])):
        count = len(NETWORKS) + len(DRAWN_NETWORKS)
        return (
            f"The same numbers: both give the same scores to {DIGITS} digits on {count} probe networks; no rule of "
            "algebra known here says why."
        )
    if _share(order_key, *trees):
        common = order_form(network_form(normal_form(trees[0])))
        return f"The same order, not the same value: both rank as {common} does."
    return "Not known to be the same."


def _explain_difference(one: Program, other: Program) -> str:
    values = zip(LAYOUTS, fingerprint_values(one), fingerprint_values(other), strict=True)
    for layout, left, right in values:
        if rounded(left) != rounded(right):
            return (
                f"Not the same: on a probe instance of batch {layout.batch} with "
                f"{layout.kernel}x{layout.kernel} weights the first {_gives(left)}, the second {_gives(right)}."
            )
    return "Not known to be the same: neither runs on the probe instances."


def _gives(value: float | None) -> str:
    return "does not run" if value is None else f"gives {value:.6g}"
