"""The finalists of runs that have not decided on them for good, in SQL."""

from __future__ import annotations

from typing import Any

import duckdb

from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import BY_NAME


def register(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Make `undecided_finalists(run)` known to a connection: those of the generations that the run has by now."""

    def undecided(run: str) -> list[dict[str, Any]]:
        from zcsr.evolve.finalists import finalists
        from zcsr.store.kept.runs import finalists_frame, open_run

        return finalists_frame(finalists(open_run(store, run).generations())).to_dicts()

    columns = ", ".join(f"{one.name} {one.type}" for one in BY_NAME["finalists"].columns if one.name != "run")
    connection.create_function("undecided_finalists", undecided, ["VARCHAR"], f"STRUCT({columns})[]")
