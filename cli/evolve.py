"""`zcsr evolve`: the main job, from a table of accuracies to tested programs and a report."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from zcsr.cli.compare import compare_runs
from zcsr.cli.console import say, show_report
from zcsr.cli.costs import command
from zcsr.cli.failures import interruptible
from zcsr.cli.given import read_program
from zcsr.cli.groups import Later, option, spelled_by, with_options
from zcsr.cli.options import Conditions, ImagesOption, Place, Work, parse_task, settled
from zcsr.cli.query import print_named
from zcsr.cli.run_file import ConfigOption
from zcsr.cost.footprint import GREEN_ALGORITHMS
from zcsr.cost.meter import Meter
from zcsr.errors import InputError
from zcsr.evolve.config import AGAINST, NOTHING, EvolveConfig
from zcsr.evolve.config import preset as settings_of
from zcsr.store import Store

if TYPE_CHECKING:
    from zcsr.language.program import Program
    from zcsr.store.jobs.experiment import Experiment
    from zcsr.store.kept.runs import RunStore

_AGAINST = ", ".join(AGAINST)


@with_options
def evolve(
    context: typer.Context,
    *,
    task: list[str] | None = option(
        None, "SPACE:DATASET; may be repeated", flag="--task -t", unset="the embedded benchmark"
    ),
    images: ImagesOption = None,
    metric: str = option("test", "accuracies to rank by"),
    run: str | None = option(None, "name of the run", unset="date and time"),
    resume: bool = option(
        False, "go on with --run, or with the latest run, where it stopped; with more --generations than it has"
    ),
    seeds: int = option(
        1, "runs, one of each seed from --seed on, named after --run and their seed; compared at the end", least=1
    ),
    time_limit: float | None = option(
        None, "minutes after which no further generation begins", least=0, unset="none"
    ),
    stop_at: float | None = option(None, "fitness that is enough: no further generation begins", unset="none"),
    seed_program: list[str] | None = option(
        None, "program to begin with besides random ones, as text or by its name; may be repeated", unset="none"
    ),
    from_run: str | None = option(None, "run whose front to begin with", unset="none"),
    against: list[str] | None = option(
        None,
        f"known proxy or program to test beside the finalists, or {NOTHING}; may be repeated",
        unset=_AGAINST,
    ),
    config_file: ConfigOption = None,
    preset: str = option("front", "what other parameters are by default: front, or paper (EZNAS, 8.7)"),
    config: Later[EvolveConfig],
    test_networks: int | None = option(
        None, "networks of each task, never evolved on, for the test", least=2, unset="100, or all that are left"
    ),
    statistics: Later[Conditions],
    work: Work,
    place: Place,
) -> None:
    """Search for programs whose scores rank networks by accuracy, test the best on others, and write a report.

    Without --task it searches on the benchmark that comes with zcsr. The paper's own search is --preset paper.

    A run is in the store from the first generation: after Ctrl-C or a crash, --resume goes on with it.
    """
    del config_file  # read before all others
    place.use_spaces()
    meter = work.opened_meter()
    pairs = [parse_task(one) for one in task or ()]
    going_on = resume and seeds == 1
    # What cannot be searched with is refused before a store is made.
    searched = None if going_on else config(**_preset(context, preset))
    conditions = statistics()
    opened = place.open() if resume else place.open_for(pairs, create=True)

    def planned(name: str | None, searched: EvolveConfig) -> Experiment:
        from zcsr.store.jobs.evolving import front_of, requested, rival
        from zcsr.store.jobs.experiment import Experiment

        def read(text: str) -> Program:
            return read_program(text, opened.root)

        requests = requested(opened, pairs, images, metric)
        begun = [] if from_run is None else front_of(opened, from_run)
        rivals = AGAINST if against is None else [name for name in against if name != NOTHING]
        return Experiment.plan(
            opened,
            requests,
            searched,
            settled(conditions, requests[0].space, requests[0].dataset),
            test_networks=test_networks,
            workers=work.count(),
            name=name,
            command=command(),
            seeds=[*map(read, seed_program or ()), *begun],
            against={name: rival(name, read) for name in rivals},
        )

    if searched is None or seeds == 1:
        name = run or "latest"
        experiment = planned(run, searched) if searched else _resumed(context, opened, name, work.count())
        _complete(experiment, meter, time_limit, stop_at)
        return
    from zcsr.store.kept.runs import fresh_name

    if resume and run is None:
        raise InputError("to go on with several seeds, say what the names of their runs begin with: --run NAME")
    base = run or fresh_name(opened)
    names = [f"{base}-{seed}" for seed in range(searched.seed, searched.seed + seeds)]
    for seed, name in enumerate(names, searched.seed):
        if resume and (opened.runs_dir / name).is_dir():
            experiment = _resumed(context, opened, name, work.count(), of_several=True)
        else:
            experiment = planned(name, replace(searched, seed=seed))
        _complete(experiment, meter, time_limit, stop_at)
    compare_runs(opened, names, f"{base}-seeds", None, GREEN_ALGORITHMS)


def _resumed(context: typer.Context, store: Store, run: str, workers: int, of_several: bool = False) -> Experiment:
    """A run to go on with, which is the same search; of several that differ in the seed, --seed tells the first."""
    from zcsr.store.jobs.experiment import Experiment

    experiment = Experiment.resume(store, run, workers=workers)
    _check_same_search(context, experiment, ("config_seed",) if of_several else ())
    wanted = _given(context, "config_generations")
    if wanted is not None:
        experiment.extend(int(wanted))
    return experiment


def _complete(experiment: Experiment, meter: Meter | None, minutes: float | None, fitness: float | None) -> None:
    """Do what a run still lacks, and show what it found; on Ctrl-C say how to go on with it."""
    from zcsr.cli.watching import Shown
    from zcsr.store.jobs.evolving import Limits, complete

    finished = experiment.finished
    if finished:
        say(f"run {experiment.run.name} is finished; to go on with it, ask for more --generations")
    else:
        again = f"zcsr evolve --resume --run {experiment.run.name}{_space_flags(experiment.run)}"
        with interruptible(f"everything finished is kept. To go on: {again}"):
            complete(experiment, command(), Shown(), Limits(minutes, fitness), meter)
    _show(experiment, written=finished)


def _preset(context: typer.Context, name: str) -> dict[str, object]:
    """What the preset says of the parameters that the command line does not give."""
    return {key: value for key, value in settings_of(name).items() if _given(context, f"config_{key}") is None}


def _show(experiment: Experiment, written: bool) -> None:
    """Print the finalists' table and the report's path; a report that is `written` already is left as it is."""
    from zcsr.reports import render_run

    print_named(experiment.store, "finalists", {"run": experiment.run.name})
    folder = experiment.store.root / "reports"
    path = folder / f"{experiment.run.name}.md"
    if not (written and path.is_file()):
        path = render_run(experiment.store, experiment.run.name, folder)
    show_report(path)


# To go on with a run ------------------------------------------------------------------------------------------


_MAY_CHANGE = ("config_generations",)
"""What a run that goes on may be given otherwise."""


def _check_same_search(context: typer.Context, experiment: Experiment, told_otherwise: Sequence[str] = ()) -> None:
    """Raise InputError where a flag on the command line says other than the run was started with."""
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name, decided in _decided(experiment).items():
        given = _given(context, name)
        if given not in (None, decided) and name not in told_otherwise:
            raise InputError(
                f"run {experiment.run.name} was started with {flags[name]} {decided}, not {given}; to go on with "
                "it, leave that flag out, or start a new run without --resume"
            )


def _space_flags(run: RunStore) -> str:
    """The flags that name the files of a run's spaces again, after a blank each; "" when it has none."""
    files = dict.fromkeys(origin.where for origin in run.spaces().values() if origin.kind == "file")
    return "".join(f" --space-file {shlex.quote(file)}" for file in files)


def _given(context: typer.Context, name: str) -> str | None:
    """What the command line, or the file it names, says for a parameter, spelled as it is there."""
    source = context.get_parameter_source(name)
    given = source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")
    return _spelled(context.params[name]) if given else None


def _decided(experiment: Experiment) -> Mapping[str, str]:
    """What the run was started with, as the command line's parameters spell it; all others belong to a session."""
    tasks = experiment.tasks
    return {
        "task": _spelled([task.task for task in tasks]),
        "images": _one_of(task.images for task in tasks),
        "metric": _one_of(task.metric for task in tasks),
        **{name: text for name, text in spelled_by("config", experiment.config).items() if name not in _MAY_CHANGE},
        "test_networks": _one_of(len(task.test) for task in tasks),
        **spelled_by("statistics", tasks[0].collection.config),
    }


def _spelled(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _one_of(values: Iterable[object]) -> str:
    """The value that all have in common, or all of them."""
    return " and ".join(dict.fromkeys(map(str, values)))
