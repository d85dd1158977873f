"""The tables that a run is stored in, and how a generation becomes Parquet files and comes back exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from zcsr.errors import ProgramError, StoreError
from zcsr.evolve.records import Generation, Genotype, Individual, ProgramRecord, Rejection, ScoreRecord
from zcsr.language.text import parse

GENERATION_TABLES = ("generation", "individuals", "taus", "draws", "programs", "rejections", "scores")
GENOTYPES = "genotypes"
"""The table of what individuals are bred as; only where that is not their expression."""

_COUNTERS = pl.List(pl.Struct({"counter": pl.String, "value": pl.Int64}))
_SECONDS = pl.List(pl.Struct({"part": pl.String, "seconds": pl.Float64}))
SCHEMAS: dict[str, dict[str, Any]] = {
    "generation": {"number": pl.Int64, "counters": _COUNTERS, "seconds": _SECONDS},
    "individuals": {
        "slot": pl.Int64,
        "program": pl.String,
        "text": pl.String,
        "origin": pl.String,
        "recognised_by": pl.String,
        "same_as": pl.String,
        "fitness": pl.Float64,
    },
    "taus": {"slot": pl.Int64, "task": pl.String, "tau": pl.Float64},
    GENOTYPES: {"slot": pl.Int64, "genotype": pl.String, "instructions": pl.Int64, "reaching": pl.Int64},
    "draws": {"task": pl.String, "position": pl.Int64, "arch": pl.String},
    "programs": {
        "program": pl.String,
        "text": pl.String,
        "size": pl.Int64,
        "height": pl.Int64,
        "normal_form": pl.String,
        "sympy": pl.String,
        "fingerprint": pl.String,
        "probe_values": pl.List(pl.Float64),
    },
    "rejections": {
        "text": pl.String,
        "origin": pl.String,
        "reason": pl.String,
        "detail": pl.String,
        "count": pl.Int64,
    },
    "scores": {"program": pl.String, "task": pl.String, "arch": pl.String, "score": pl.Float64},
    "split": {"task": pl.String, "role": pl.String, "position": pl.Int64, "arch": pl.String},
    "tests": {
        "program": pl.String,
        "text": pl.String,
        "size": pl.Int64,
        "height": pl.Int64,
        "task": pl.String,
        "arch": pl.String,
        "score": pl.Float64,
    },
}


def frame_of(table: str, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """Rows as a frame with the columns of that table."""
    return pl.DataFrame(list(rows), schema=SCHEMAS[table], orient="row")


def generation_frames(generation: Generation) -> dict[str, pl.DataFrame]:
    """The tables of a generation, by name; no value is rounded, and the order of every record is kept."""
    counters = [{"counter": name, "value": value} for name, value in generation.counters.items()]
    seconds = [{"part": part, "seconds": value} for part, value in generation.seconds.items()]
    individuals = generation.individuals
    genotypes = [(one.slot, one.genotype) for one in individuals if one.genotype is not None]
    frames = {
        "generation": frame_of("generation", [(generation.number, counters, seconds)]),
        "individuals": frame_of("individuals", map(_individual_row, individuals)),
        "taus": frame_of("taus", ((one.slot, task, tau) for one in individuals for task, tau in one.taus.items())),
        "draws": frame_of(
            "draws",
            (
                (task, position, arch)
                for task, archs in generation.draws.items()
                for position, arch in enumerate(archs)
            ),
        ),
        "programs": frame_of("programs", map(_program_row, generation.programs)),
        "rejections": frame_of(
            "rejections",
            ((one.text, one.origin, one.reason, one.detail, one.count) for one in generation.rejections),
        ),
        "scores": frame_of(
            "scores", ((one.program_id, one.task, one.arch, one.score) for one in generation.scores)
        ),
    }
    if genotypes:
        rows = ((slot, one.text, one.instructions, one.reaching) for slot, one in genotypes)
        frames[GENOTYPES] = frame_of(GENOTYPES, rows)
    return frames


def _individual_row(one: Individual) -> tuple[object, ...]:
    return (
        one.slot,
        one.program.id,
        str(one.program),
        one.origin,
        one.recognised_by,
        one.same_as,
        one.fitness,
    )


def _program_row(record: ProgramRecord) -> tuple[object, ...]:
    root = record.program.root
    return (
        record.program.id,
        str(record.program),
        root.size,
        root.height,
        record.normal_form,
        record.sympy,
        record.fingerprint,
        list(record.probe_values),
    )


def read_table(path: Path, table: str) -> pl.DataFrame:
    """The rows of a Parquet file. Raises StoreError when it cannot be read or has other columns."""
    schema = SCHEMAS[table]
    try:
        frame = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    if dict(frame.schema) != schema:
        raise StoreError(f"cannot read {path}: expected the columns {', '.join(schema)}, found {frame.schema}")
    return frame


def read_generation(folder: Path, number: int) -> Generation:
    """The generation in a folder, equal to the one stored. Raises StoreError when it cannot be read."""
    tables = (*GENERATION_TABLES, *([GENOTYPES] if (folder / f"{GENOTYPES}.parquet").exists() else []))
    frames = {table: read_table(folder / f"{table}.parquet", table) for table in tables}
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
        seconds={entry["part"]: entry["seconds"] for entry in seconds},
    )


def _individuals(
    individuals: pl.DataFrame, taus: pl.DataFrame, genotypes: pl.DataFrame | None
) -> tuple[Individual, ...]:
    by_slot: dict[int, dict[str, float]] = {}
    for slot, task, tau in taus.iter_rows():
        by_slot.setdefault(slot, {})[task] = tau
    bred_as = {} if genotypes is None else {slot: Genotype(*rest) for slot, *rest in genotypes.iter_rows()}
    return tuple(
        Individual(
            slot=row["slot"],
            program=parse(row["text"]),
            origin=row["origin"],
            recognised_by=row["recognised_by"],
            same_as=row["same_as"],
            fitness=row["fitness"],
            taus=by_slot.get(row["slot"], {}),
            genotype=bred_as.get(row["slot"]),
        )
        for row in individuals.iter_rows(named=True)
    )


def _program_record(row: Mapping[str, Any]) -> ProgramRecord:
    return ProgramRecord(
        program=parse(row["text"]),
        normal_form=row["normal_form"],
        sympy=row["sympy"],
        fingerprint=row["fingerprint"],
        probe_values=tuple(row["probe_values"]),
    )
