"""What networks return that is not their logits, and what to say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor


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
