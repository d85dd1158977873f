"""Evolution of programs (EZNAS, Algorithm 1): configuration, tasks, the loop, and its records.

Names are imported when first used: worker processes and the store need the records without DEAP, scipy and sympy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zcsr.evolve.config import EvolveConfig
    from zcsr.evolve.finalists import Finalist
    from zcsr.evolve.ledger import COUNTERS, GenerationProgress
    from zcsr.evolve.loop import draw, evolve
    from zcsr.evolve.records import (
        Generation,
        Genotype,
        Individual,
        Origin,
        ProgramRecord,
        Rejection,
        ScoreRecord,
        Stage,
    )
    from zcsr.evolve.tasks import Split, TaskData, choose_probes, split

__all__ = [
    "COUNTERS",
    "EvolveConfig",
    "Finalist",
    "Generation",
    "GenerationProgress",
    "Genotype",
    "Individual",
    "Origin",
    "ProgramRecord",
    "Rejection",
    "ScoreRecord",
    "Split",
    "Stage",
    "TaskData",
    "choose_probes",
    "draw",
    "evolve",
    "split",
]

_NAMES_IN = {
    "config": ("EvolveConfig",),
    "finalists": ("Finalist",),
    "ledger": ("COUNTERS", "GenerationProgress"),
    "loop": ("draw", "evolve"),
    "records": (
        "Generation",
        "Genotype",
        "Individual",
        "Origin",
        "ProgramRecord",
        "Rejection",
        "ScoreRecord",
        "Stage",
    ),
    "tasks": ("Split", "TaskData", "choose_probes", "split"),
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
