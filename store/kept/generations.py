"""How a generation becomes Parquet files, and comes back exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.errors import ProgramError, StoreError
from zcsr.evolve.records import (
    ColumnRecord,
    Evaluated,
    Generation,
    Genotype,
    Individual,
    ProgramRecord,
    Rejection,
    ScoreRecord,
)
from zcsr.store.kept.checksums import is_there
from zcsr.store.kept.parquet import read_frame
from zcsr.store.tables.declarations import OF_GENERATIONS
from zcsr.store.tables.frames import fields_of, frame_of, rows_of, schema_of

GENOTYPES = "genotypes"
"""The file of what individuals are bred as; only where that is not their expression."""

OPTIONAL = frozenset(Path(pattern).stem for pattern, optional in OF_GENERATIONS.items() if optional)
"""The files that only the generations of some runs have."""

_COUNTERS = pl.List(pl.Struct({"counter": pl.String, "value": pl.Int64}))
_SECONDS = pl.List(pl.Struct({"part": pl.String, "seconds": pl.Float64}))
_GENERATION: dict[str, Any] = {"number": pl.Int64, "counters": _COUNTERS, "seconds": _SECONDS}
SCHEMAS: Mapping[str, pl.Schema] = {
    **{Path(pattern).stem: schema_of(pattern) for pattern in OF_GENERATIONS},
    "generation": pl.Schema(_GENERATION),
}
"""The columns of the files of a generation, by their names."""


def generation_frames(generation: Generation) -> dict[str, pl.DataFrame]:
    """The tables of a generation, by name; no value is rounded, and the order of every record is kept."""
    counters = [{"counter": name, "value": value} for name, value in generation.counters.items()]
    seconds = [{"part": part, "seconds": value} for part, value in generation.seconds.items()]
    individuals = generation.individuals
    genotypes = [(one.slot, one.genotype) for one in individuals if one.genotype is not None]
    rows: dict[str, Iterable[tuple[object, ...]]] = {
        "generation": [(generation.number, counters, seconds)],
        "individuals": rows_of(SCHEMAS["individuals"], individuals),
        "taus": ((one.slot, task, tau) for one in individuals for task, tau in one.taus.items()),
        "draws": (
            (task, position, arch)
            for task, archs in generation.draws.items()
            for position, arch in enumerate(archs)
        ),
        "programs": rows_of(SCHEMAS["programs"], generation.programs),
        "rejections": map(attrgetter(*SCHEMAS["rejections"]), generation.rejections),
        "scores": ((one.program_id, one.task, one.arch, one.score) for one in generation.scores),
    }
    if generation.columns or generation.evaluated:
        rows["evaluated"] = itertools.starmap(_evaluated_row, enumerate(generation.evaluated))
        rows["columns"] = ((place, one.text, one.state) for place, one in enumerate(generation.columns))
    if genotypes:
        rows[GENOTYPES] = ((slot, one.text, one.instructions, one.reaching) for slot, one in genotypes)
    return {name: frame_of(SCHEMAS[name], of_table) for name, of_table in rows.items()}


def read_generation(folder: Path, number: int) -> Generation:
    """The generation in a folder, equal to the one stored. Raises StoreError when it cannot be read."""
    files = {name: folder / f"{name}.parquet" for name in SCHEMAS}
    frames = {
        name: read_frame(file, SCHEMAS[name])
        for name, file in files.items()
        if name not in OPTIONAL or is_there(file)
    }
    try:
        generation = _generation(frames)
    except ProgramError as error:
        raise StoreError(f"cannot read {folder}: {error}") from error
    if generation.number != number:
        raise StoreError(f"cannot read {folder}: it holds generation {generation.number}")
    return generation


def _generation(frames: Mapping[str, pl.DataFrame]) -> Generation:
    number, counters, seconds = frames["generation"].row(0)
    draws: dict[str, list[str]] = {}
    for task, arch in frames["draws"].select("task", "arch").iter_rows():
        draws.setdefault(task, []).append(arch)
    return Generation(
        number=number,
        draws={task: tuple(archs) for task, archs in draws.items()},
        individuals=_individuals(frames["individuals"], frames["taus"], frames.get(GENOTYPES)),
        programs=tuple(_program_record(row) for row in frames["programs"].iter_rows(named=True)),
        rejections=tuple(Rejection(**row) for row in frames["rejections"].iter_rows(named=True)),
        scores=tuple(ScoreRecord(*row) for row in frames["scores"].iter_rows()),
        counters={entry["counter"]: entry["value"] for entry in counters},
        evaluated=tuple(_evaluated(row, tuple(draws)) for row in _rows(frames, "evaluated")),
        columns=tuple(ColumnRecord(row["text"], row["state"]) for row in _rows(frames, "columns")),
        seconds={entry["part"]: entry["seconds"] for entry in seconds},
    )


def _rows(frames: Mapping[str, pl.DataFrame], name: str) -> Iterable[dict[str, Any]]:
    return frames[name].iter_rows(named=True) if name in frames else ()


def _evaluated_row(place: int, one: Evaluated) -> tuple[object, ...]:
    program, root = one.program, one.program.root
    values = one.least, one.mean, list(one.taus.values()), one.cost, one.shape_only, one.ranking
    return place, program.id, str(program), root.size, root.height, one.origin, *values


def _evaluated(row: Mapping[str, Any], tasks: Sequence[str]) -> Evaluated:
    kept = fields_of({name: row[name] for name in ("text", "origin", "cost", "shape_only", "ranking")})
    return Evaluated(**kept, taus=dict(zip(tasks, row["taus"], strict=True)))


def _individuals(
    individuals: pl.DataFrame, taus: pl.DataFrame, genotypes: pl.DataFrame | None
) -> tuple[Individual, ...]:
    by_slot: dict[int, dict[str, float]] = {}
    for slot, task, tau in taus.iter_rows():
        by_slot.setdefault(slot, {})[task] = tau
    bred_as = {} if genotypes is None else {slot: Genotype(*rest) for slot, *rest in genotypes.iter_rows()}
    return tuple(
        Individual(**fields_of(row), taus=by_slot.get(row["slot"], {}), genotype=bred_as.get(row["slot"]))
        for row in individuals.iter_rows(named=True)
    )


def _program_record(row: Mapping[str, Any]) -> ProgramRecord:
    return ProgramRecord(**{**fields_of(row), "probe_values": tuple(row["probe_values"])})
