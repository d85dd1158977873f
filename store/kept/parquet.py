"""Parquet files of a store as polars frames, from bytes that are known to be those that were written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from zcsr.errors import StoreError
from zcsr.store.kept.checksums import read_checked
from zcsr.store.tables.frames import first_line


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of a Parquet file, with all columns or these, in their order.

    Raises DamagedFile where it is not what was written; OSError, or an error of polars, where it cannot be read.
    """
    frame = pl.read_parquet(io.BytesIO(read_checked(path)), columns=None if columns is None else list(columns))
    return frame if columns is None else frame.select(columns)


def read_frame(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """The rows of a Parquet file. Raises StoreError when it cannot be read, is damaged or has other columns."""
    try:
        frame = read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"cannot read {path}: {first_line(error)}") from error
    if dict(frame.schema) != dict(schema):
        raise StoreError(f"cannot read {path}: expected the columns {', '.join(schema)}, found {frame.schema}")
    return frame
