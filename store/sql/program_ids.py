"""Programs by their ids, which name them in every table of a store."""

from __future__ import annotations

from zcsr.errors import InputError
from zcsr.language.program import Program
from zcsr.language.text import parse
from zcsr.proxies import language
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query

_TEXT = """
SELECT text FROM (
    SELECT text FROM programs WHERE program = $id
    UNION ALL SELECT text FROM individuals WHERE program = $id
    UNION ALL SELECT text FROM network_scores WHERE program = $id
) LIMIT 1
"""


def program_of_id(store: Store, id: str) -> Program:
    """Return the program with that id (`Program.id`) which a run of the store made, or which was scored in it.

    Raises InputError, with how to list programs, where the store knows none.
    """
    rows = query(store, _TEXT, {"id": id}).rows()
    if not rows:
        raise InputError(
            f"no program has the id {id} in the store {store.root}; "
            '`zcsr query "SELECT DISTINCT program, text FROM programs"` lists those of runs, and '
            "`zcsr query scored_programs` those scored apart from runs"
        )
    return parse(rows[0][0], language())
