"""NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022): `zc_nasbench201.json`, the scores of known proxies.

An object of data sets, in each architectures, in each proxies with their `score` and the seconds it took, and the
architecture's `val_accuracy` in percent. An
architecture is written as six numbers, `(4, 0, 3, 1, 4, 3)`: for the edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 the
position of the operation in `OPERATIONS`. Both orders are NASLib's, and neither is that of NAS-Bench-201.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zcsr.errors import InputError
from zcsr.spaces.nasbench201 import format_arch
from zcsr.store.importers.nds_files import load_json

SPACE = "nasbench201"
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
MOST = 1 << 1023  # a whole number that a float can still hold
NO_SCORE = "score not a number"
UNKNOWN_ARCH = "unknown architecture"
UNKNOWN_DATASET = "unknown dataset"

_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16-120"}
_EDGES = (0, 1, 3, 2, 4, 5)
"""Where in their order the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 of an architecture string are."""
_SIX_NUMBERS = re.compile(r"\(" + ", ".join([r"([0-4])"] * len(_EDGES)) + r"\)")


ACCURACY = "val_accuracy"


def read(path: Path) -> Iterator[tuple[str, str, str, float, str | None]]:
    """Dataset, proxy, architecture, score, and why it cannot be taken, if so; InputError for another form.

    The accuracy of an architecture comes under the name `ACCURACY`; other entries that are no proxy's are passed
    over.
    """
    content = load_json(path)
    if not (isinstance(content, dict) and content and all(isinstance(archs, dict) for archs in content.values())):
        raise InputError(f"{path} is no file of NAS-Bench-Suite-Zero: it is no object of data sets")
    for theirs, archs in content.items():
        dataset = _DATASETS.get(theirs)
        for key, proxies in archs.items():
            arch = arch_of(key)
            problem = UNKNOWN_DATASET if dataset is None else UNKNOWN_ARCH if arch is None else None
            for proxy, entry in proxies.items() if isinstance(proxies, dict) else ():
                if isinstance(entry, dict) or proxy == ACCURACY:
                    score = _number(entry.get("score") if isinstance(entry, dict) else entry)
                    found = problem or (NO_SCORE if score is None else None)
                    yield dataset or "", proxy, arch or "", 0.0 if score is None else score, found


def arch_of(key: str) -> str | None:
    """The architecture string of six numbers of NAS-Bench-Suite-Zero; None for anything else."""
    numbers = _SIX_NUMBERS.fullmatch(key)
    if numbers is None:
        return None
    operations = [OPERATIONS[int(number)] for number in numbers.groups()]
    return format_arch([operations[edge] for edge in _EDGES])


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if isinstance(value, float) or abs(value) < MOST else None
