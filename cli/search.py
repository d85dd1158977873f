"""`zcsr search`: strategies of architecture search against each other on a table of accuracies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zcsr.cli.costs import measured
from zcsr.cli.options import (
    ProgramOption,
    ProxyOption,
    SpaceFileOption,
    StoreOption,
    open_store_for,
    parse_task,
    use_spaces,
)


def search(
    task: Annotated[str, typer.Option("--task", "-t", help="SPACE:DATASET with accuracies in the store.")],
    proxy: ProxyOption = None,
    program: ProgramOption = None,
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
    budget: Annotated[int, typer.Option("--budget", help="Networks that a search trains.")] = 300,
    repeats: Annotated[int, typer.Option("--repeats", help="Searches by each strategy.")] = 10,
    population: Annotated[int, typer.Option("--population", help="Networks alive in an evolution.")] = 64,
    tournament: Annotated[int, typer.Option("--tournament", help="Of these, compete to be the parent.")] = 10,
    warmup: Annotated[
        int, typer.Option("--warmup", help="Untrained networks scored for a warm-up; all where there are fewer.")
    ] = 3000,
    moves: Annotated[
        int | None,
        typer.Option("--moves", help="Neighbours scored for a move.", show_default="all of the parent's"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the searches.")] = 0,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the search.", show_default="the task and a hash of it all")
    ] = None,
    space_file: SpaceFileOption = None,
    store: StoreOption = None,
) -> None:
    """Run random search and aging evolution, without and with proxies, and print how soon each finds a good one.

    Training is a look-up of a stored accuracy; what counts is the number of distinct networks looked up. The scores
    of a --proxy or --program are looked up as well: `zcsr test --task` stores them. With these, evolution starts
    from the networks with the highest scores (warmup), takes the neighbour with the highest score (moves), or both.

    Finished repeats are kept: after Ctrl-C the same command goes on where it stopped.
    """
    from zcsr.cli.console import progress, say
    from zcsr.cli.failures import Interrupted
    from zcsr.cli.programs import proxies_named, read_program
    from zcsr.cli.query import print_named
    from zcsr.nas.strategies import SearchConfig
    from zcsr.store.jobs.nas_plan import plan_searches
    from zcsr.store.jobs.nas_searches import run_searches

    use_spaces(space_file)
    config = SearchConfig(
        seed=seed,
        budget=budget,
        repeats=repeats,
        population=population,
        tournament=tournament,
        warmup=warmup,
        moves=moves,
    )
    pair = parse_task(task)
    programs = [str(read_program(text, store)) for text in program or ()]
    opened = open_store_for([pair], store)
    plan = plan_searches(
        opened,
        *pair,
        config,
        metric=metric,
        proxies=proxies_named(proxy or ()),
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
    cost = measured(opened, "search", search=name or plan.default_name, tasks=[task])
    try:
        with cost, progress("searching", "searches") as tell:
            made = run_searches(opened, plan, name=name, command=["zcsr", *sys.argv[1:]], progress=tell)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; finished repeats are kept, and the same command goes on") from None
    print_named(opened, "search_summary", {"search": made})
    say(f"search {made}; `zcsr report --search {made}` writes a report with its curves")
