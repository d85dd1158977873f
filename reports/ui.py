"""A site on one store that only reads: its runs as they go on, scores against accuracies, comparisons, and SQL.

Needs the extra `zcsr[ui]`. `app_of` gives the application, which answers nobody but this machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from zcsr.errors import InputError, ZcsrError
from zcsr.reports.run_page import marked, page_of_run
from zcsr.reports.toolkit.charts import curves_chart, front_chart, scatter_chart
from zcsr.reports.toolkit.html import in_script, needed
from zcsr.reports.toolkit.markdown import number
from zcsr.reports.toolkit.phrases import template
from zcsr.store import Store, named, query

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

SHOWN = 500
"""Rows of a table."""

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'"
)
Charts = Mapping[str, Mapping[str, Any]]


def app_of(store: Store) -> Starlette:
    """The application. Raises InputError where the extra is not installed."""
    needed("altair", "vl_convert")
    applications, routing, trusted = needed(
        "starlette.applications", "starlette.routing", "starlette.middleware.trustedhost"
    )
    pages: Mapping[str, Callable[[Store, Request], Response]] = {
        "/": _runs,
        "/runs/{run}": _run,
        "/runs/{run}/charts": _charts_of_run,
        "/compare": _compare,
        "/scores": _scores,
        "/sql": _sql,
    }
    routes = [routing.Route(path, _answering(page, store), methods=["GET"]) for path, page in pages.items()]
    routes.append(routing.Route("/vega.js", _vega, methods=["GET"]))
    app: Starlette = applications.Starlette(routes=routes)
    # Another site whose name leads to this machine cannot read the store through a browser.
    app.add_middleware(trusted.TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    return app


def _answering(page: Callable[[Store, Request], Response], store: Store) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return page(store, request)
        except ZcsrError as error:
            return _page("zcsr", 400 if isinstance(error, InputError) else 500, problem=str(error))

    return answer


# Pages ---------------------------------------------------------------------------------------------------------


def _runs(store: Store, _: Request) -> Response:
    runs = named(store, "runs")
    return _page("Runs", runs=runs["run"].to_list(), tables=[_table("", runs, link="run")])


def _run(store: Store, request: Request) -> Response:
    run = request.path_params["run"]
    page = page_of_run(store, run, store.root)
    charts = _of_run(store, run)
    finalists, rivals = named(store, "finalists", {"run": run}), named(store, "rivals", {"run": run})
    tables = [
        *([_table("Finalists on test networks", finalists)] if not finalists.is_empty() else []),
        *([_table("Beside what is known", rivals)] if not rivals.is_empty() else []),
        _table("Best programs", named(store, "top_programs", {"run": run})),
    ]
    status = f"{page.info.status}, {named(store, 'generations', {'run': run}).height} generations"
    live = run if page.info.status == "running" else ""
    return _page(f"Run {run}", status=status, charts=charts, tables=tables, live=live)


def _charts_of_run(store: Store, request: Request) -> Response:
    (responses,) = needed("starlette.responses")
    run = request.path_params["run"]
    answer: Response = responses.JSONResponse({"charts": _of_run(store, run), "status": _status(store, run)})
    return answer


def _compare(store: Store, request: Request) -> Response:
    runs = request.query_params.getlist("run")
    if not runs:
        raise InputError("choose runs to compare on the first page")
    given = {"runs": ",".join(runs)}
    curves = named(store, "outcome_curves", given)
    charts = {} if curves.is_empty() else {"fitness": curves_chart(curves, "run", "best fitness")}
    return _page("Comparison", charts=charts, tables=[_table("Outcomes", named(store, "outcomes", given))])


def _scores(store: Store, request: Request) -> Response:
    choices = query(
        store,
        "SELECT DISTINCT collection, name FROM scored_networks WHERE metric = 'test' ORDER BY collection, name",
    )
    collection, name = (request.query_params.get(one) for one in ("collection", "name"))
    if collection is None or name is None:
        return _page("Scores", choices=choices.rows())
    sql = (
        "SELECT task, arch, score, accuracy FROM scored_networks "
        "WHERE metric = 'test' AND collection = $collection AND name = $name ORDER BY arch"
    )
    rows = query(store, sql, {"collection": collection, "name": name})
    if rows.is_empty():
        raise InputError(f"{name} has no scores of networks with accuracies in {collection}")
    charts = {"scatter": scatter_chart(rows, {task: f"{name} on {task}" for task in rows["task"].unique()})}
    found = _table("", named(store, "network_correlations", {"collection": collection}))
    return _page("Scores", choices=choices.rows(), charts=charts, tables=[found])


def _sql(store: Store, request: Request) -> Response:
    sql = request.query_params.get("q", "")
    tables = [_table("", query(store, sql))] if sql.strip() else []
    return _page("SQL", sql=sql, tables=tables)


@cache
def _script() -> str:
    (vl_convert,) = needed("vl_convert")
    return str(vl_convert.javascript_bundle())


def _vega(_: Request) -> Response:
    (responses,) = needed("starlette.responses")
    answer: Response = responses.Response(_script(), media_type="text/javascript")
    return answer


# What pages are made of ----------------------------------------------------------------------------------------


def _of_run(store: Store, run: str) -> Charts:
    """The charts of a run as far as it has come."""
    page = page_of_run(store, run, store.root)
    generations = named(store, "generations", {"run": run})
    evaluated = page.ask("evaluated").frame
    charts: dict[str, Mapping[str, Any]] = {}
    if not generations.is_empty():
        charts["fitness"] = curves_chart(generations, "run", "best fitness")
    if not evaluated.is_empty():
        charts["front"] = front_chart(evaluated, marked(page))
    if page.best is not None and page.tested(page.best["program"]):
        charts["scatter"] = page.charts()["scatter"]
    return charts


def _status(store: Store, run: str) -> str:
    (status,) = query(store, "SELECT status FROM runs WHERE run = $run", {"run": run})["status"].to_list()
    return str(status)


def _table(title: str, frame: pl.DataFrame, link: str = "") -> dict[str, Any]:
    rows = [[_cell(value) for value in row] for row in frame.head(SHOWN).iter_rows()]
    more = f"{SHOWN} of {frame.height:,} rows" if frame.height > SHOWN else ""
    numeric = [kind.is_numeric() for kind in frame.dtypes]
    at = frame.columns.index(link) if link else -1
    return {"title": title, "columns": frame.columns, "numeric": numeric, "rows": rows, "more": more, "link": at}


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else number(value, 0)
    return str(value)


def _page(title: str, status_code: int = 200, *, charts: Charts | None = None, **parts: Any) -> Response:
    (responses,) = needed("starlette.responses")
    specs = in_script(charts or {})
    text = template("ui.html").render({"live": "", **parts}, title=title, charts=charts or {}, specs=specs)
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    answer: Response = responses.HTMLResponse(text, status_code, headers)
    return answer


def serve(store: Store, port: int, ready: Callable[[str], object]) -> None:
    """Answer on this machine alone until Ctrl-C; `ready` is told the address once it does.

    Port 0 takes a free one. Raises InputError where the port is taken.
    """
    import socket

    app = app_of(store)
    (uvicorn,) = needed("uvicorn")
    listening = socket.socket()
    try:
        listening.bind((HOSTS[0], port))
    except OSError as error:
        raise InputError(f"cannot listen on port {port}: {error.strerror}; name another with --port") from None
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    started = server.startup

    async def startup(*given: Any, **options: Any) -> None:
        await started(*given, **options)
        ready(f"http://{HOSTS[0]}:{listening.getsockname()[1]}/")

    server.startup = startup
    server.run(sockets=[listening])
