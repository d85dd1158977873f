"""What docs/reference.md says: the prose of docs/reference.template, and a row for all that the code declares.

`python docs/reference.py` writes the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from zcsr import queries
from zcsr.language.instance_operations import INSTANCE_OPERATIONS
from zcsr.language.named_programs import named_programs
from zcsr.language.network_operations import COUNTS, NETWORK_AGGREGATIONS, SCORE_OPERATIONS
from zcsr.language.operations import OPERATIONS, Operation
from zcsr.language.tensors import PLACES, TENSORS
from zcsr.networks.patterns import PATTERNS
from zcsr.proxies import get_proxy, proxy_names
from zcsr.store.sql.functions import documented
from zcsr.store.tables.declarations import SEEN

HERE = Path(__file__).parent


def reference() -> str:
    """The whole text."""
    text = (HERE / "reference.template").read_text(encoding="utf-8")
    for name, part in PARTS.items():
        text = text.replace(f"<<{name}>>", "\n".join(part()))
    return text


def _operations(of: Sequence[Operation]) -> Iterable[str]:
    rows = ((f"`{one.name}`", ", ".join("AB"[: one.arity]), _meaning(one)) for one in of)
    return _table(("operation", "arguments", "value"), rows)


def _meaning(operation: Operation) -> str:
    return f"of {operation.of}: {operation.meaning}" if operation.of else operation.meaning


def _patterns() -> Iterable[str]:
    titles = ("pattern", "an instance", *(place.name for place in PLACES))
    rows = (
        (f"`{row.name}`", row.meaning, *(f"{read.end} of the {_call(read.call)}" for read in row.reads))
        for row in PATTERNS.values()
    )
    return _table(titles, rows)


def _call(name: str) -> str:
    return {"relu": "ReLU", "norm": "BatchNorm", "linear": "linear layer"}.get(name, name.removeprefix("any "))


def _known() -> Iterable[str]:
    return _table(("name", "number of a network"), ((f"`{one.name}`", one.meaning) for one in COUNTS))


def _tensors() -> Iterable[str]:
    return _table(("tensor", "meaning"), ((f"`{one.name}`", one.meaning) for one in TENSORS))


def _proxies() -> Iterable[str]:
    return _table(
        ("proxy", "what it measures"), ((f"`{name}`", get_proxy(name).measures) for name in proxy_names())
    )


def _programs() -> Iterable[str]:
    rows = ((f"`{one.name}`", f"`{one.program}`", one.reading) for one in named_programs())
    return _table(("name", "program", "reading"), rows)


def _queries() -> Iterable[str]:
    return _table(("query", "a row is", "parameters"), map(_query, queries.names()))


def _query(name: str) -> tuple[str, str, str]:
    query = queries.load(name)
    first_sentence = query.doc.partition(". ")[0].removesuffix(".")
    return f"`{name}`", first_sentence, ", ".join(f"`{one.name}`" for one in query.parameters)


def _functions() -> Iterable[str]:
    rows = (
        (f"`{name}`", f"`{name}({', '.join(arguments)})`: {meaning}") for name, arguments, meaning in documented()
    )
    return _table(("function", "gives"), rows)


def _tables() -> Iterator[str]:
    for number, table in enumerate(SEEN):
        columns = ((f"`{one.name}`", one.type, one.meaning) for one in table.columns)
        yield from ([""] if number else [])
        yield from (f"### {table.name}", "", table.meaning, "", *_table(("column", "type", "meaning"), columns))


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return (f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *escaped))


PARTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "operations": partial(_operations, OPERATIONS),
    "instance_operations": partial(_operations, INSTANCE_OPERATIONS),
    "aggregations": partial(_operations, NETWORK_AGGREGATIONS),
    "score_operations": partial(_operations, SCORE_OPERATIONS),
    "known": _known,
    "patterns": _patterns,
    "tensors": _tensors,
    "proxies": _proxies,
    "programs": _programs,
    "queries": _queries,
    "functions": _functions,
    "tables": _tables,
}
"""What stands for each mark in the template."""


if __name__ == "__main__":
    (HERE / "reference.md").write_text(reference(), encoding="utf-8")
