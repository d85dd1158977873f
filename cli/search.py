"""`zcsr search`: strategies of architecture search against each other on a table of accuracies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zcsr.cli.console import progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible
from zcsr.cli.groups import with_options
from zcsr.cli.options import Place, parse_task
from zcsr.cli.programs import MeasureOptions
from zcsr.cli.query import print_named
from zcsr.nas.config import SearchConfig


@with_options
def search(
    *,
    task: Annotated[str, typer.Option("--task", "-t", help="SPACE:DATASET with accuracies in the store.")],
    measures: MeasureOptions,
    scores_of: Annotated[
        list[str] | None,
        typer.Option(
            "--scores-of",
            help="Guide by imported scores of others, SOURCE:PROXY; may be repeated.",
            show_default="none",
        ),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection", help="Where proxies and programs were scored.", show_default="the only one with all"
        ),
    ] = None,
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Search only among networks that all of them score.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Accuracies that guide.", show_default="validation, or test without it"),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target", help="Test accuracy to reach, percent.", show_default="what a thousandth of networks have"
        ),
    ] = None,
    config: SearchConfig,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the search.", show_default="the task and a hash of it all")
    ] = None,
    place: Place,
) -> None:
    """Run random search and aging evolution, without and with proxies, and print how soon each finds a good one.

    Training is a look-up of a stored accuracy; what counts is the number of distinct networks looked up. The scores
    of a --proxy or --program are looked up as well: `zcsr test --task` stores them. With these, evolution starts
    from the networks with the highest scores (warmup), takes the neighbour with the highest score (moves), or both.

    Finished repeats are kept: after Ctrl-C the same command goes on where it stopped.
    """
    from zcsr.store.jobs.nas_plan import plan_searches
    from zcsr.store.jobs.nas_searches import run_searches

    place.use_spaces()
    pair = parse_task(task)
    programs = [str(program) for program in measures.programs(place.store)]
    opened = place.open_for([pair])
    plan = plan_searches(
        opened,
        *pair,
        config,
        metric=metric,
        proxies=measures.proxies(),
        programs=programs,
        others=scores_of or (),
        collection=collection,
        scored_only=scored_only,
        target=target,
    )
    say(
        f"{len(plan.guide):,} networks of {task}, guided by {plan.metric} accuracy; the target is {plan.target:g}% "
        "test accuracy"
    )
    kept = interruptible("finished repeats are kept, and the same command goes on")
    cost = measured(opened, "search", search=name or plan.default_name, tasks=[task])
    with kept, cost, progress("searching", "searches") as report:
        made = run_searches(opened, plan, name=name, command=["zcsr", *sys.argv[1:]], report=report)
    print_named(opened, "search_summary", {"search": made})
    say(f"search {made}; `zcsr report --search {made}` writes a report with its curves")
