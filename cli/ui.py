"""`zcsr ui`: a site on the store, for this machine alone."""

from __future__ import annotations

import webbrowser

from zcsr.cli.console import data, say
from zcsr.cli.groups import option, with_options
from zcsr.cli.options import StoreOption, open_store

PORT = 8123


@with_options
def ui(
    *,
    port: int = option(PORT, "port to answer on, of this machine alone; 0 for a free one", least=0),
    browser: bool = option(True, "open it in a browser", flag="--browser/--no-browser"),
    store: StoreOption = None,
) -> None:
    """Explore the store in a browser: runs as they go on, scores against accuracies, comparisons, SQL; read-only.

    It answers this machine alone, until Ctrl-C.
    """
    from zcsr.reports.ui import serve

    def ready(address: str) -> None:
        data().print(address, highlight=False)
        say("Ctrl-C ends it")
        if browser:
            webbrowser.open(address)

    serve(open_store(store), port, ready)
