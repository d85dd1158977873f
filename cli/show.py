"""`zcsr spaces`, `zcsr operations` and `zcsr proxies`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from zcsr.cli.console import data
from zcsr.cli.options import Place, SpaceFileOption
from zcsr.cli.tables import Column, print_columns
from zcsr.spaces import SearchSpace, get_space, space_names, space_size

if TYPE_CHECKING:
    from zcsr.language.operations import Operation


def spaces(space_file: SpaceFileOption = None) -> None:
    """List the search spaces with their datasets."""
    Place(space_file).use_spaces()
    rows = [
        (name, _count(space), dataset, str(shape.classes), f"{shape.channels}x{shape.height}x{shape.width}")
        for name in space_names()
        for space in [get_space(name)]
        for dataset, shape in space.datasets.items()
    ]
    names = ("space", "architectures", "dataset", "classes", "image")
    _print(names, rows, numeric=("architectures", "classes"))


def _count(space: SearchSpace) -> str:
    """How many architectures a space has; some have more than `len` can say."""
    size = space_size(space)
    return f"{size:,}" if size < 10**12 else f"{size:.1e}"


def operations() -> None:
    """List the operations of a program and the tensors they work on.

    First those of the paper, by their numbers in sequential programs; then what else the larger language has.
    """
    from zcsr.language.instance_operations import INSTANCE_OPERATIONS
    from zcsr.language.languages import EZNAS, ZCSR
    from zcsr.language.network_operations import NETWORK_AGGREGATIONS, SCORE_OPERATIONS

    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for number, operation in enumerate(EZNAS.operations):
        table.add_row(str(number), _called(operation), Text(operation.meaning))
    table.add_row()
    table.add_row("", "tensors", Text(" ".join(tensor.name for tensor in EZNAS.tensors)))
    for heading, rows in (
        ("on instances", INSTANCE_OPERATIONS),
        ("over instances", NETWORK_AGGREGATIONS),
        ("on numbers of the network", SCORE_OPERATIONS),
    ):
        table.add_row()
        table.add_row("", Text(heading, style="italic"))
        for operation in rows:
            table.add_row("", _called(operation), Text(operation.meaning))
    table.add_row()
    table.add_row("", Text("known of a network", style="italic"))
    for one in ZCSR.known:
        table.add_row("", one.name, Text(one.meaning))
    table.add_row("", "0.5", Text("a constant"))
    data().print(table)


def _called(operation: Operation) -> str:
    return f"{operation.name}({'A, B' if operation.arity == 2 else 'A'})"


def proxies() -> None:
    """List the known proxies and the programs that have a name."""
    from zcsr.language.named_records import named_records
    from zcsr.proxies.listing import listed

    _print(("proxy", "measures", "source"), listed())
    data().print()
    _print(("program", "text", "reading"), ((one.name, one.text, one.reading) for one in named_records()))


def _print(names: tuple[str, ...], rows: Iterable[tuple[str, ...]], numeric: Collection[str] = ()) -> None:
    cells = zip(names, zip(*rows, strict=True), strict=True)
    print_columns([Column(name, texts, name in numeric) for name, texts in cells])
