"""What networks have and return that zcsr has no use for, and what to say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from zcsr.networks.patterns import PATTERNS, Pattern

_SHOWN_LAYERS = 6


def no_logits(output: Any) -> str:
    """Return what to say of a network that does not return its logits alone."""
    seen = f"a {type(output).__name__}"
    pick = ""
    if isinstance(output, tuple | list | Mapping):
        kept = [key for key, value in _items(output) if isinstance(value, Tensor)]
        seen += f" of {len(output)}"
        pick = f", or say which part they are, output={kept[-1]!r} (--output {kept[-1]})" if kept else ""
    return f"the network must return its logits, one tensor, and returns {seen}: let it return them alone{pick}"


def _items(output: Any) -> Iterable[tuple[Any, Any]]:
    return output.items() if isinstance(output, Mapping) else enumerate(output)


def no_instance(network: nn.Module, pattern: str, fitting: str = "") -> str:
    """Return what to say of a network without an instance; `fitting` says what other patterns it has."""
    return (
        f"the network has no instance of the pattern {pattern!r}, which programs look at: one is "
        f"{PATTERNS[pattern].meaning}{but_the_first(PATTERNS[pattern])}; "
        f"{fitting or f'the network is made of {_layers(network)}'}"
    )


def but_the_first(pattern: Pattern) -> str:
    """Return the words to add to a pattern's meaning where the first layer makes no instance."""
    return "" if pattern.alone else ", and not the convolution that reads the images"


def _layers(network: nn.Module) -> str:
    """The most frequent kinds of module in a network that hold no other."""
    kinds = Counter(
        type(module).__name__ for module in network.modules() if not any(True for _ in module.children())
    )
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN_LAYERS))
    return listed + (" and others" if len(kinds) > _SHOWN_LAYERS else "")
