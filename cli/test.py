"""`zcsr test`: programs on networks that no evolution has drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from zcsr.cli.console import progress, say
from zcsr.cli.costs import measured, measured_run
from zcsr.cli.failures import interruptible
from zcsr.cli.given import MeasureOptions, Networks
from zcsr.cli.groups import Later, option, with_options
from zcsr.cli.options import ImagesOption, Place, Work, parse_task, settled
from zcsr.cli.query import print_named
from zcsr.cost.meter import Meter
from zcsr.errors import InputError
from zcsr.networks.config import StatisticsConfig
from zcsr.spaces import get_space
from zcsr.store import Store

if TYPE_CHECKING:
    from zcsr.evaluation.many_networks import Measures
    from zcsr.language.program import Program
    from zcsr.store import Collection


@with_options
def test(
    *,
    run: Annotated[
        str | None,
        typer.Argument(help="Name of a run, or latest; with --task, its finalists.", show_default="latest"),
    ] = None,
    measures: MeasureOptions,
    task: str | None = option(None, "test on SPACE:DATASET instead, apart from any run", flag="--task -t"),
    networks: Networks,
    without: list[str] | None = option(
        None,
        "run whose evolution networks are left out, and what is isomorphic to them; may be repeated",
        unset="none",
    ),
    images: ImagesOption = None,
    statistics: Later[StatisticsConfig],
    work: Work,
    place: Place,
) -> None:
    """Score programs on a run's test networks, or on any networks of a --task, and print how they rank them.

    Without --task, a run's test networks are scored by the programs, or by its finalists where none are given.
    With --task, a run's finalists, programs and known proxies are scored together, on the networks that --trained,
    --sample, --indices or --all choose: a network is built once for all of them. Scores are kept as they come:
    after Ctrl-C the same command goes on where it stopped.
    """
    from zcsr.store import Collection
    from zcsr.store.kept.accuracies import accuracies

    place.use_spaces()
    if task is None and (measures.proxy or networks.asked or without):
        raise InputError(
            "--proxy, --trained, --sample, --indices, --all and --without take a --task as well; without one, "
            "programs are tested on the test networks of a run"
        )
    meter = work.opened_meter()
    with interruptible("scores are kept, and the same command goes on with them"):
        if task is None:
            _test_run(place.open(), run or "latest", measures.programs(place.store), work.count(), meter)
        else:
            space, dataset = parse_task(task)
            opened = cache(lambda: place.open_for([(space, dataset)]))
            conditions = settled(statistics(), space, dataset)
            collection = Collection.of(space, dataset, images or dataset, conditions)
            archs = networks.archs(
                get_space(space),
                "say which networks to test on: --trained, --sample N, --indices FIRST:END or --all, one of these",
                lambda: accuracies(opened(), space, dataset).archs,
            )
            programs = measures.programs(place.store)
            archs = _never_evolved_on(opened(), without or (), space, archs)
            chosen = _measures(opened(), run, programs, measures.proxies())
            _test_task(opened(), collection, chosen, archs, work.count(), meter)


def _test_run(store: Store, name: str, programs: Sequence[Program], workers: int, meter: Meter | None) -> None:
    from zcsr.store.jobs.experiment import Experiment

    experiment = Experiment.resume(store, name, workers=workers)
    with measured_run(experiment, "test", meter), progress("testing", "networks") as tell:
        experiment.test(programs or [finalist.program for finalist in experiment.finalists()], tell)
    print_named(store, "correlations", {"run": experiment.run.name, "role": "test"})


def _never_evolved_on(store: Store, runs: Sequence[str], space: str, archs: list[str]) -> list[str]:
    if not runs:
        return archs
    from zcsr.store.jobs.testing import never_evolved_on

    kept = never_evolved_on(store, runs, space, archs)
    say(f"{len(archs) - len(kept)} of {len(archs)} networks left out: {', '.join(runs)} evolved on them")
    return kept


def _measures(store: Store, run: str | None, programs: Sequence[Program], proxies: Sequence[str]) -> Measures:
    from zcsr.evaluation.many_networks import Measures
    from zcsr.store.jobs.experiment import Experiment

    of_run = [f.program for f in Experiment.resume(store, run, workers=1).finalists()] if run else []
    measures = Measures(tuple(dict.fromkeys((*of_run, *programs))), tuple(proxies))
    if not len(measures):
        raise InputError("say what to test: a RUN, --program 'TEXT' or --proxy NAME")
    return measures


def _test_task(
    store: Store,
    collection: Collection,
    measures: Measures,
    archs: Sequence[str],
    workers: int,
    meter: Meter | None,
) -> None:
    from zcsr.store.jobs.testing import score_and_store

    task = f"{collection.space}:{collection.dataset}"
    if not measures.need_images(collection.config.loss):
        say("no images are needed: noise alone is looked at")
    refusals = _Refusals()
    cost = measured(store, "test", tasks=[task], collections=[collection.id], workers=workers, meter=meter)
    with cost, progress("testing", "networks") as tell:
        report = score_and_store(
            store, collection, measures, archs, workers=workers, progress=tell, refused=refusals.add
        )
    refusals.say()
    refusals.check(measures, report.done)
    per_network = f"; {report.seconds / report.done:.2f} s a network" if report.done else ""
    say(f"{report.done} networks scored, {report.already} were already{per_network}")
    _say_of_untrained(store, collection, archs)
    print_named(store, "network_correlations", {"collection": collection.id})


def _say_of_untrained(store: Store, collection: Collection, archs: Sequence[str]) -> None:
    """Say of how many of the networks there is no accuracy to rank by."""
    from zcsr.store.kept.accuracies import measurements

    trained = set(measurements(store, collection.space, collection.dataset)["arch"])
    ranked = len(trained.intersection(archs))
    if ranked < len(archs):
        others = f"; --trained scores the {len(trained):,} that have one" if trained else " in this store"
        say(f"{ranked:,} of the {len(archs):,} networks have a test accuracy to be ranked by{others}")


@dataclass(slots=True)
class _Refusals:
    """What could not be computed: by measure how often, of which network first, and why."""

    _counts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, arch: str, measure: str, reason: str) -> None:
        """Take in one."""
        self._counts[measure] += 1
        self._first.setdefault(measure, (arch, reason))

    def say(self) -> None:
        """Say a line a measure."""
        for measure, (arch, reason) in self._first.items():
            say(f"{measure}: no score of {self._counts[measure]} networks, first {arch}: {reason}")

    def check(self, measures: Measures, networks: int) -> None:
        """Raise InputError where nothing could be computed of any network."""
        if networks and self._counts.total() == len(measures) * networks:
            ((_, reason), *_) = self._first.values()
            raise InputError(f"nothing can be computed of any of the {networks} networks: {reason}")
