"""`zcsr search`: strategies of architecture search against each other on a table of accuracies."""

from __future__ import annotations

import sys

from zcsr.cli.console import progress, say
from zcsr.cli.costs import measured
from zcsr.cli.failures import interruptible
from zcsr.cli.given import MeasureOptions
from zcsr.cli.groups import REQUIRED, option, with_options
from zcsr.cli.options import Place, parse_task
from zcsr.cli.query import print_named
from zcsr.nas.config import SearchConfig


@with_options
def search(
    *,
    task: str = option(REQUIRED, "SPACE:DATASET with accuracies in the store", flag="--task -t"),
    measures: MeasureOptions,
    scores_of: list[str] | None = option(
        None, "guide by imported scores of others, SOURCE:PROXY; may be repeated", unset="none"
    ),
    collection: str | None = option(None, "where proxies and programs were scored", unset="the only one with all"),
    scored_only: bool = option(False, "search only among networks that all of them score"),
    metric: str | None = option(None, "accuracies that guide", unset="validation, or test without it"),
    target: float | None = option(
        None, "test accuracy to reach, percent", unset="what a thousandth of networks have"
    ),
    config: SearchConfig,
    name: str | None = option(None, "name of the search", unset="the task and a hash of it all"),
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
    with kept, cost, progress("searching", "searches") as tell:
        made = run_searches(opened, plan, name=name, command=["zcsr", *sys.argv[1:]], progress=tell)
    print_named(opened, "search_summary", {"search": made})
    say(f"search {made}; `zcsr report --search {made}` writes a report with its curves")
