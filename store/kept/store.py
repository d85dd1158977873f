"""A store: one folder that holds accuracies, images, statistics and runs, and says of which schema it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path

import zcsr
from zcsr.errors import StoreError
from zcsr.store.kept.atomic import is_temporary, read_json_object, write_json
from zcsr.store.kept.checksums import is_there, sum_path

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"


def default_root() -> Path:
    """The folder of the store when none is named: `ZCSR_STORE`, else `zcsr` in the user's data folder.

    A store in `~/.local/share/zcsr`, or in `zcsr` of `XDG_DATA_HOME`, is found on every system.
    """
    named = os.environ.get("ZCSR_STORE")
    if named:
        return Path(named).expanduser()
    old = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "zcsr"
    return old if (old / MANIFEST_NAME).is_file() else user_data_path("zcsr", appauthor=False)


class _Within:
    """A path within a store, by its name there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, store: Store, _: type[Store]) -> Path:
        return store.root / self._name


@dataclass(frozen=True, slots=True)
class Store:
    """An opened store. Get one with `Store.open`, which checks the manifest."""

    root: Path

    accuracies_dir = _Within("accuracies")  # <space>/<dataset>/<metric>-<source>.parquet
    images_dir = _Within("images")  # <name>.parquet and <name>.json
    statistics_dir = _Within("statistics")  # one folder a collection
    scores_dir = _Within("scores")  # one folder a collection: scores of programs, apart from any run
    proxy_scores_dir = _Within("proxy_scores")  # <space>/<dataset>/<source>.parquet, as others computed them
    runs_dir = _Within("runs")  # one folder a run
    columns_dir = _Within("columns")  # one folder a collection: numbers of instances, as searches asked for them
    searches_dir = _Within("searches")  # one folder a search with a proxy
    costs_dir = _Within("costs")  # <UTC time>-<hex>.json: what a session of a command cost
    index_path = _Within("index.duckdb")  # can be rebuilt from all the rest

    @classmethod
    def open(cls, root: Path, create: bool = False) -> Store:
        """Open the store at `root`; with `create`, make it where there is nothing or an empty folder.

        Raises StoreError when the folder is missing or is no store (saying how to make one), when its manifest
        cannot be read, and when it is of another schema version.
        """
        root = Path(root)
        if not is_there(root / MANIFEST_NAME):
            if not create:
                raise StoreError(_no_store_message(root))
            _create(root)
        _check_manifest(root)
        return cls(root)


def _create(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError(f"cannot make a store at {root}: it is a file; give the name of a folder")
    begun = sum_path(root / MANIFEST_NAME)  # left by a process that was killed in between
    if root.is_dir() and any(not is_temporary(path) and path != begun for path in root.iterdir()):
        raise StoreError(
            f"cannot make a store at {root}: the folder holds other files and no {MANIFEST_NAME}; "
            "give a new or empty folder"
        )
    try:
        write_manifest(root)
    except OSError as error:
        raise StoreError(f"cannot make a store at {root}: {error.strerror or error}") from error


def write_manifest(root: Path) -> None:
    """Write what says that a folder is a store, and of which schema version."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json({"schema": SCHEMA_VERSION, "zcsr": zcsr.__version__, "created": created}, root / MANIFEST_NAME)


def _check_manifest(root: Path) -> None:
    manifest = read_json_object(root / MANIFEST_NAME)
    schema = manifest.get("schema")
    if schema == SCHEMA_VERSION:
        return
    written_by = manifest.get("zcsr", "unknown")
    raise StoreError(
        f"the store {root} has schema version {schema} (written by zcsr {written_by}) and zcsr {zcsr.__version__} "
        f"reads schema version {SCHEMA_VERSION}: install the zcsr that wrote it, or import and collect again "
        "into a new store"
    )


def _no_store_message(root: Path) -> str:
    seen = f"{root} holds no {MANIFEST_NAME}" if root.is_dir() else f"there is no folder {root}"
    return (
        f"no store at {root} ({seen}): name an existing store with --store or ZCSR_STORE, or make one by "
        "importing or collecting into it (in Python: Store.open(root, create=True))"
    )
