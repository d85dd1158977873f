"""What the files of a store hold, a row each kind: what goes with one that is damaged, and how it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from zcsr.store.tables.table import expression

Extent: TypeAlias = Literal["file", "both", "folder", "later"]
"""What is of no use without a file: nothing else, the other file of its pair, its folder, later generations."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of files.

    pattern: of their paths in the store; `{name}` stands for what `again` takes
    again: how what was in one comes back where there is no copy
    extent: what is of no use without it
    of_run: whether the run that it is of has to go on to make it again
    """

    pattern: str
    again: str
    extent: Extent = "file"
    of_run: bool = False


_RESUMED = "`zcsr evolve --resume --run {run}` makes it again, with the same result"
_BEGUN_AGAIN = "nothing else says what the run is: {started} makes it again, with the same result"

KINDS: tuple[Kind, ...] = (
    Kind("manifest.json", "it says which schema the store has, and is written anew"),
    Kind(
        "accuracies/{space}/{dataset}/training.json",
        "it says how networks were trained: `zcsr train {space} {dataset}` with the same flags writes it again",
    ),
    Kind(
        "accuracies/{space}/{dataset}/*.parquet",
        "accuracies are measured, and cannot be computed from the rest: import them again (`zcsr import "
        "benchmark`, `zcsr import accuracies`), or train again those that were trained here (`zcsr train {space} "
        "{dataset}`); those that come with zcsr are put in by the next `zcsr evolve --task {space}:{dataset}`",
    ),
    Kind("images/{name}.json", "import the images again (`zcsr import images SOURCE --name {name}`)", "both"),
    Kind("images/{name}.parquet", "import the images again (`zcsr import images SOURCE --name {name}`)", "both"),
    Kind(
        "statistics/{collection}/collection.json",
        "nothing else says what the statistics are of: `zcsr collect` or the next `zcsr evolve` computes them",
        "folder",
    ),
    Kind("statistics/{collection}/values-{shard}.parquet", "{collecting} computes it again", "both"),
    Kind("statistics/{collection}/summary-{shard}.parquet", "{collecting} computes it again", "both"),
    Kind(
        "scores/{collection}/collection.json",
        "it says how the networks of these scores came about: a `zcsr test --task` like theirs writes it again",
    ),
    Kind("scores/{collection}/*.parquet", "the `zcsr test --task` that made it computes the scores again"),
    Kind(
        "proxy_scores/{space}/{dataset}/{source}.parquet",
        "others computed these scores: import them again (`zcsr import scores`, `zcsr import benchmark`)",
    ),
    Kind("columns/{collection}/*.parquet", "the next search that needs it computes it again"),
    Kind("runs/{run}/run.json", _BEGUN_AGAIN, "folder"),
    Kind("runs/{run}/split.parquet", _BEGUN_AGAIN, "folder"),
    Kind("runs/{run}/config.toml", "the run does not need it, and its report has the same settings"),
    Kind("runs/{run}/generations/{generation}/*.parquet", _RESUMED, "later", of_run=True),
    Kind("runs/{run}/finalists.parquet", _RESUMED, of_run=True),
    Kind("runs/{run}/held_out/*.parquet", _RESUMED, of_run=True),
    Kind(
        "runs/{run}/tests/*.parquet",
        f"{_RESUMED}; programs of your own are scored again by `zcsr test {{run}} --program`",
        of_run=True,
    ),
    Kind("searches/{search}/search.json", "the same `zcsr search` makes it again, with the same result", "folder"),
    Kind("searches/{search}/steps.parquet", "the same `zcsr search` makes it again, with the same result"),
    Kind("costs/{session}.json", "what a session took was measured then, and is not counted without it"),
)


def kind_of(path: str) -> tuple[Kind, dict[str, str]] | None:
    """The kind of a file by its path in the store, and what the path says; None for what is no file of a store."""
    for kind in KINDS:
        if (match := expression(kind.pattern).fullmatch(path)) is not None:
            return kind, match.groupdict()
    return None
