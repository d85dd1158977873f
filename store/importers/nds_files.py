"""The JSON files of NDS (Radosavovic et al., ICCV 2019): networks of one cell space and how they were trained.

A file is a list of trainings, or an object with two such lists, `top` and `mid`. A training has its network under
`net` and under `test_ep_top1` the test error after each epoch, in percent. The accuracy is 100 minus the last one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zcsr.errors import InputError
from zcsr.spaces.nds import arch_of
from zcsr.store.importers.limits import content_of

NO_ERROR_RATE = "no test error"
NO_NETWORK = "no network in the space's form"

_SPACES = {
    "darts": "nds-darts",
    "amoeba": "nds-amoeba",
    "enas": "nds-enas",
    "pnas": "nds-pnas",
    "nasnet": "nds-nasnet",
}
_ERRORS = "test_ep_top1"
_IMAGENET = "_in"
_KEPT = ("net", _ERRORS)


def space_of(path: Path) -> str | None:
    """The space that a file of NDS is about by its name, such as `DARTS_fix-w-d.json`; None where it says none."""
    return _SPACES.get(path.stem.partition("_")[0].lower())


def dataset_of(path: Path) -> str:
    """The data set that a file of NDS is about: ImageNet where its name ends in `_in`, otherwise CIFAR-10."""
    return "imagenet" if path.stem.lower().endswith(_IMAGENET) else "cifar10"


def read(path: Path) -> list[tuple[str, float, int, str | None]]:
    """Architecture, accuracy, number among the trainings of that architecture, and why it cannot be taken, if so.

    The text of the file is in memory while it is read, but no more than the last error of each training is kept of
    it. InputError for a file that is too large (`zcsr.store.importers.limits`), or of another form.
    """
    content = load_json(path, _shrunk)
    seen: Counter[str] = Counter()
    rows = []
    for training in _trainings(content, path):
        arch, accuracy, problem = _judged(training)
        rows.append((arch, accuracy, seen[arch], problem))
        seen[arch] += problem is None
    return rows


def load_json(path: Path, shrunk: Any = None) -> Any:
    """The content of a JSON file, every object of it passed through `shrunk`; InputError when it cannot be read."""
    content = content_of(path)
    try:
        return json.loads(content.decode("utf-8"), object_hook=shrunk)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _shrunk(value: dict[str, Any]) -> dict[str, Any]:
    if _ERRORS not in value:
        return value
    kept = {key: value[key] for key in _KEPT if key in value}
    if isinstance(kept[_ERRORS], list):
        kept[_ERRORS] = kept[_ERRORS][-1:]
    return kept


def _trainings(content: Any, path: Path) -> Iterator[Any]:
    match content:
        case list():
            yield from content
        case {"top": list(top), "mid": list(mid)}:
            yield from top
            yield from mid
        case _:
            raise InputError(f"{path} is no file of NDS: it is neither a list nor an object with 'top' and 'mid'")


def _judged(training: Any) -> tuple[str, float, str | None]:
    net = training.get("net") if isinstance(training, Mapping) else None
    if not isinstance(net, Mapping):
        return "", 0.0, NO_NETWORK
    try:
        arch = arch_of(net)
    except InputError:
        return "", 0.0, NO_NETWORK
    match training.get(_ERRORS):
        case [int() | float() as error] if type(error) is float or abs(error) < 1000:
            return arch, 100.0 - float(error), None
    return arch, 0.0, NO_ERROR_RATE
