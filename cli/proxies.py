"""`zcsr proxies`: the known proxies and the programs with a name."""

from __future__ import annotations

from collections.abc import Iterable

from zcsr import proxies as known
from zcsr.cli.console import data
from zcsr.cli.tables import Column, layout


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


def _print(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    console = data()
    columns = [Column(name, cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)]
    console.print(layout(columns, console.width))
