"""`zcsr spaces`, `zcsr operations` and `zcsr proxies`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.table import Table
from rich.text import Text

from zcsr import proxies as known
from zcsr.cli.console import data
from zcsr.cli.options import Place, SpaceFileOption
from zcsr.cli.tables import Column, print_columns
from zcsr.spaces import SearchSpace, get_space, space_names, space_size


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
    """List the operations of a program and the tensors they work on."""
    from zcsr.language.languages import EZNAS

    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for number, operation in enumerate(EZNAS.operations):
        arguments = "A, B" if operation.arity == 2 else "A"
        table.add_row(str(number), f"{operation.name}({arguments})", Text(operation.meaning))
    table.add_row()
    table.add_row("", "tensors", Text(" ".join(tensor.name for tensor in EZNAS.tensors)))
    data().print(table)


def proxies() -> None:
    """List the known proxies and the programs that have a name."""
    from zcsr.language.named_programs import named_programs

    every = [known.get_proxy(name) for name in known.proxy_names()]
    _print(("proxy", "measures", "source"), ((proxy.name, proxy.measures, proxy.source) for proxy in every))
    data().print()
    _print(
        ("program", "text", "reading"),
        ((named.name, str(named.program), named.reading) for named in named_programs()),
    )


def _print(names: tuple[str, ...], rows: Iterable[tuple[str, ...]], numeric: Collection[str] = ()) -> None:
    cells = zip(names, zip(*rows, strict=True), strict=True)
    print_columns([Column(name, texts, name in numeric) for name, texts in cells])
