"""Runs: the configuration, tasks and split of an evolution, its generations, and its scores on held-out networks.

A run is a folder `runs/<run>/`; docs/store.md says of what files. A generation is a folder that is renamed as a
whole, and each write of test scores a file of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, cast, get_args

import polars as pl
from filelock import FileLock, Timeout

from zcsr.errors import InputError, StoreError, nearest
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import Finalist, finalists
from zcsr.evolve.records import Generation
from zcsr.language.program import Program
from zcsr.language.text import parse
from zcsr.networks.config import StatisticsConfig
from zcsr.proxies import language
from zcsr.spaces import Origin, space_origin
from zcsr.store.kept.atomic import (
    LOCK_NAME,
    is_temporary,
    kept,
    read_json_object,
    replace_directory,
    sweep_temporary,
    write_json,
    write_parquet,
    written_aside,
)
from zcsr.store.kept.checksums import files_in, heads, is_there, remove, temporary_path
from zcsr.store.kept.generations import generation_frames, read_generation
from zcsr.store.kept.parquet import read_frame
from zcsr.store.kept.run_files import NAME as CONFIG
from zcsr.store.kept.run_files import settings_text
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import FINALISTS, SPLIT, TESTS
from zcsr.store.tables.frames import fields_of, frame_of, rows_of, schema_of
from zcsr.store.tables.records import UNSAID_OF_RUNS, VERSIONED

if TYPE_CHECKING:
    from zcsr.store.kept.collections import Collection

Status: TypeAlias = Literal["running", "finished", "interrupted"]
LATEST = "latest"
RESERVED_NAMES = (LATEST, "all")
_SPLIT, _TESTS, _FINALISTS = map(schema_of, (SPLIT, TESTS, FINALISTS))

_WORK = "work"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_GENERATION_NAME = re.compile(r"[0-9]{4,}")


@dataclass(frozen=True, slots=True)
class RunTask:
    """A task of a run: which accuracies, images and statistics it uses, and which networks evolve and test.

    `evolve` and `test` are architecture strings, in the order that the run uses; they are disjoint.
    """

    task: str
    metric: str
    images: str
    collection: Collection
    evolve: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def space(self) -> str:
        """The search space's name: what precedes the colon in the task."""
        return self.task.partition(":")[0]

    @property
    def dataset(self) -> str:
        """The dataset's name: what follows the colon in the task."""
        return self.task.partition(":")[2]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What `run.json` says of a run. `started` is in UTC; `seconds` is wall-clock time over all its sessions."""

    name: str
    status: Status
    started: datetime
    seconds: float
    command: tuple[str, ...]
    versions: Mapping[str, str]
    config: EvolveConfig
    task_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TestScore:
    """The score of a program on one test network of a task; NaN where the program gives no finite value."""

    __test__: ClassVar[bool] = False  # the name begins like those of pytest's classes

    program: Program
    task: str
    arch: str
    score: float


def create_run(
    store: Store,
    config: EvolveConfig,
    tasks: Sequence[RunTask],
    versions: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    command: Sequence[str] = (),
    seeds: Sequence[Program] = (),
    against: Mapping[str, Program] = MappingProxyType({}),
    embedded: bool = False,
) -> str:
    """Make a run with status "running" and return its id: `name`, or one made of the time and four hex digits.

    `versions` are those of the installed packages when None is given; `seeds` are programs to begin with, `against`
    those to compare finalists with, by name. `embedded` says that the tasks are those a search has that names none.
    Raises InputError for a name that is taken
    or cannot be used, and for tasks that are named twice or whose evolve and test networks overlap.
    """
    for task in tasks:
        _check_task(task)
    _check_distinct([task.task for task in tasks])
    started = datetime.now(UTC)
    run = _checked_name(store, name) if name is not None else fresh_name(store, started)
    origins = {task.space: space_origin(task.space) for task in tasks}
    record = {
        "run": run,
        "status": "running",
        "started": started.isoformat(timespec="microseconds"),
        "seconds": 0.0,
        "command": list(command),
        "versions": dict(installed_versions() if versions is None else versions),
        "config": asdict(config),
        "seeds": [str(program) for program in seeds],
        "against": {name: str(program) for name, program in against.items()},
        "tasks": [_task_record(task) for task in tasks],
        "spaces": {space: asdict(origin) for space, origin in origins.items() if origin is not None},
    }
    store.runs_dir.mkdir(parents=True, exist_ok=True)
    final = store.runs_dir / run
    temporary = temporary_path(final)
    write_json(record, temporary / "run.json")
    write_parquet(_split_frame(tasks), temporary / "split.parquet")
    settings = settings_text(
        None if embedded else [(task.task, task.images) for task in tasks],
        [task.metric for task in tasks],
        [len(task.test) for task in tasks],
        config,
        tasks[0].collection.config if tasks else None,
        seeds,
        tuple(against),
    )
    with kept(temporary / CONFIG) as aside:
        aside.write_text(settings, encoding="utf-8")
    replace_directory(temporary, final)
    return run


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a run's numbers, by name."""
    return {name: platform.python_version() if name == "python" else version(name) for name in VERSIONED}


def run_names(store: Store) -> tuple[str, ...]:
    """The ids of the runs in a store, sorted."""
    folders = (folder for folder in store.runs_dir.glob("*/") if not is_temporary(folder))
    return tuple(sorted(folder.name for folder in folders if heads(folder / "run.json", "generations")))


def list_runs(store: Store) -> tuple[RunInfo, ...]:
    """Every run of a store, the oldest first. Raises StoreError where a `run.json` cannot be read."""
    infos = [RunStore(store.runs_dir / run).info() for run in run_names(store)]
    return tuple(sorted(infos, key=lambda info: (info.started, info.name)))


def open_run(store: Store, run: str = LATEST) -> RunStore:
    """The run of that id, or the one started last for "latest". Raises InputError when there is none."""
    names = run_names(store)
    if not names:
        raise InputError(f"the store {store.root} holds no runs; `zcsr evolve` makes one")
    if run == LATEST:
        return RunStore(store.runs_dir / list_runs(store)[-1].name)
    if run not in names:
        hint = nearest(run, names, otherwise="; `zcsr query runs` lists them", quoted=False)
        raise InputError(f"no run named '{run}' in the store {store.root}{hint}")
    return RunStore(store.runs_dir / run)


class RunStore:
    """Reads and writes one run. Get one with `open_run`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generations_dir = folder / "generations"
        self._finalists_path = folder / "finalists.parquet"
        self._tests = _ScoreFolder(folder / "tests")
        self._held_out = _ScoreFolder(folder / "held_out")

    @property
    def name(self) -> str:
        """The run's id."""
        return self._folder.name

    @property
    def config(self) -> EvolveConfig:
        """The parameters of the search."""
        return self.info().config

    def info(self) -> RunInfo:
        """What is known of the run apart from its generations. Raises StoreError when it cannot be read."""
        record = self._record()
        try:
            return RunInfo(
                name=self.name,
                status=_checked_status(record["status"]),
                started=datetime.fromisoformat(record["started"]),
                seconds=float(record["seconds"]),
                command=tuple(record["command"]),
                versions=dict(record["versions"]),
                config=EvolveConfig(**UNSAID_OF_RUNS | record["config"]),
                task_names=tuple(task["task"] for task in record["tasks"]),
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"cannot read {self._folder / 'run.json'}: {_described(error)}") from error

    def set_status(self, status: Status, session_seconds: float = 0.0) -> None:
        """Record how the run stands, and add the seconds that this session took."""
        record = dict(self._record())
        record["status"] = _checked_status(status)
        record["seconds"] = float(record["seconds"]) + session_seconds
        write_json(record, self._folder / "run.json")

    @contextmanager
    def worked_on(self) -> Iterator[None]:
        """Let no other process go on with the run meanwhile; StoreError at once where one does.

        Where the platform or the file system has no locks, nothing is held.
        """
        folder = self._folder / _WORK
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / LOCK_NAME, fallback_to_soft=False, timeout=0)
        note = folder / "process.json"
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"run {self.name} is being worked on by {_worker_of(note)}: wait for its end, or end it"
            ) from None
        except (OSError, NotImplementedError):
            pass  # nothing is held
        try:
            now = datetime.now(UTC).isoformat(" ", timespec="seconds")
            with written_aside(note) as temporary:
                temporary.write_text(json.dumps({"process": os.getpid(), "since": now}), encoding="utf-8")
            yield
        finally:
            note.unlink(missing_ok=True)
            lock.release()

    def extend(self, generations: int) -> None:
        """Ask for so many generations in all. InputError where there are more by now."""
        there = self.generation_count
        if generations < there:
            raise InputError(
                f"run {self.name} has {there} generations by now, more than {generations}: ask for at least as many"
            )
        record = dict(self._record())
        record["config"] = {**record["config"], "generations": generations}
        write_json(record, self._folder / "run.json")

    def seeds(self) -> tuple[Program, ...]:
        """The programs that the run begins with."""
        return tuple(parse(text, language()) for text in self._record().get("seeds", ()))

    def against(self) -> Mapping[str, Program]:
        """The programs that finalists are compared with, by name."""
        return {name: parse(text, language()) for name, text in self._record().get("against", {}).items()}

    def spaces(self) -> Mapping[str, Origin]:
        """Where those of the run's spaces came from that do not come with zcsr, by name."""
        return {space: Origin(**origin) for space, origin in self._record().get("spaces", {}).items()}

    def tasks(self) -> tuple[RunTask, ...]:
        """The run's tasks with their networks, in the order given to `create_run`."""
        split = read_frame(self._folder / "split.parquet", _SPLIT)
        return tuple(
            RunTask(
                task=task["task"],
                metric=task["metric"],
                images=task["images"],
                collection=_collection(task["collection"]),
                evolve=tuple(split.filter(task=task["task"], role="evolve")["arch"]),
                test=tuple(split.filter(task=task["task"], role="test")["arch"]),
            )
            for task in self._record()["tasks"]
        )

    def append(self, generation: Generation) -> None:
        """Store the next generation: all of it, or nothing when the process is stopped on the way.

        Raises StoreError when its number does not follow the last one stored.
        """
        folder = self._generations_dir
        folder.mkdir(exist_ok=True)
        sweep_temporary(folder, older_than=0.0)
        expected = len(self._numbers())
        if generation.number != expected:
            raise StoreError(
                f"run {self.name} holds {expected} generations, so the next one is number {expected}, "
                f"not {generation.number}; another process may be writing the same run"
            )
        final = folder / f"{generation.number:04d}"
        temporary = temporary_path(final)
        for table, frame in generation_frames(generation).items():
            write_parquet(frame, temporary / f"{table}.parquet")
        remove(self._finalists_path)  # there only where later generations were taken away
        replace_directory(temporary, final)

    @property
    def generation_count(self) -> int:
        """How many generations are stored, without reading them. Raises StoreError where one is missing."""
        return len(self._numbers())

    def generations(self) -> Iterator[Generation]:
        """Yield the stored generations in order, each equal to the one that was appended.

        Raises StoreError where one is missing or cannot be read.
        """
        sequential = self.config.representation == "sequential"
        for number in self._numbers():
            folder = self._generations_dir / f"{number:04d}"
            generation = read_generation(folder, number)
            if sequential and any(one.genotype is None for one in generation.individuals):
                raise StoreError(
                    f"{folder} lacks genotypes.parquet, or rows of it, without which this run of sequential "
                    "programs cannot go on; restore the file"
                )
            yield generation

    def finalists(self) -> tuple[Finalist, ...]:
        """The programs chosen for the test, as they are stored; decided from the generations where they are not.

        That decision is stored when the last generation is there. A search over fronts has none before they are
        chosen (`choose`).
        """
        if is_there(self._finalists_path):
            rows = read_frame(self._finalists_path, _FINALISTS).iter_rows(named=True)
            return tuple(Finalist(**fields_of(row)) for row in rows)
        if self.config.algorithm == "front":
            return ()
        chosen = finalists(self.generations())
        if len(self._numbers()) >= self.config.generations:
            write_parquet(finalists_frame(chosen), self._finalists_path)
        return chosen

    def choose(self, chosen: Sequence[Finalist]) -> None:
        """Store the finalists of a search over fronts, in place of those chosen after fewer generations."""
        write_parquet(finalists_frame(chosen), self._finalists_path)

    def held_out_scores(self) -> pl.DataFrame:
        """The stored scores on held-out networks, with the columns of `test_scores`."""
        return self._held_out.read()

    def write_held_out_scores(self, scores: Iterable[TestScore]) -> int:
        """Store scores on held-out networks as `write_test_scores` does those on test networks."""
        return self._held_out.write(scores)

    def missing_held_out(self, task: str, archs: Sequence[str], programs: Sequence[Program]) -> tuple[str, ...]:
        """Those of some held-out networks of a task on which any of the programs still has to be scored."""
        return self._held_out.missing(task, archs, programs)

    def write_test_scores(self, scores: Iterable[TestScore]) -> int:
        """Store scores on test networks in one atomic file; return how many were new.

        What is stored already is left out, so that each (program, task, arch) is stored once. Infinite scores
        become NaN.
        """
        return self._tests.write(scores)

    def test_scores(self) -> pl.DataFrame:
        """The stored test scores: program (id), text, size, height, task, arch, score (NaN where not finite)."""
        return self._tests.read()

    def missing_tests(self, task: str, programs: Sequence[Program]) -> tuple[str, ...]:
        """The task's test networks on which any of the programs still has to be scored, in the run's order.

        A stored NaN is not missing. Raises InputError for a task that the run does not have.
        """
        networks = {one.task: one.test for one in self.tasks()}
        if task not in networks:
            raise InputError(f"run {self.name} has no task '{task}'; its tasks are {', '.join(networks)}")
        return self._tests.missing(task, networks[task], programs)

    def _record(self) -> Mapping[str, Any]:
        return read_json_object(self._folder / "run.json")

    def _numbers(self) -> range:
        names = (path.name for path in self._generations_dir.glob("*/"))
        numbers = sorted(int(name) for name in names if _GENERATION_NAME.fullmatch(name))
        if numbers != list(range(len(numbers))):
            lost = min(set(range(numbers[-1])) - set(numbers))
            raise StoreError(
                f"run {self.name} lacks generation {lost}, though later ones are stored; "
                f"restore {self._generations_dir / f'{lost:04d}'} or remove the later ones"
            )
        return range(len(numbers))


class _ScoreFolder:
    """Scores of programs on some networks of a run: a file a write, each (program, task, arch) once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: set[tuple[str, str, str]] | None = None

    def read(self) -> pl.DataFrame:
        frames = [read_frame(path, _TESTS) for path in files_in(self._folder)]
        return pl.concat(frames) if frames else pl.DataFrame(schema=_TESTS)

    def write(self, scores: Iterable[TestScore]) -> int:
        """Store those that are new, and return how many they are."""
        there = self._known()
        rows: dict[tuple[str, str, str], TestScore] = {}
        for score in scores:
            key = (score.program.id, score.task, score.arch)
            if key not in there:
                rows.setdefault(key, score)
        if not rows:
            return 0
        name = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:16]
        write_parquet(_tests_frame(rows.values()), self._folder / f"{name}.parquet")
        there.update(rows)
        return len(rows)

    def missing(self, task: str, archs: Iterable[str], programs: Sequence[Program]) -> tuple[str, ...]:
        there = self._known()
        ids = [program.id for program in programs]
        return tuple(arch for arch in archs if any((program, task, arch) not in there for program in ids))

    def _known(self) -> set[tuple[str, str, str]]:
        if self._keys is None:
            self._keys = set(self.read().select("program", "task", "arch").iter_rows())
        return self._keys


def _worker_of(note: Path) -> str:
    try:
        record = read_json_object(note)
        return f"process {int(record['process'])} since {record['since']}"
    except (StoreError, KeyError, TypeError, ValueError):  # not written yet, or gone by now
        return "another process"


def fresh_name(store: Store, started: datetime | None = None) -> str:
    """Return a name that no run has, made of the time (now, if none is given) and four hex digits."""
    stamp = (started or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    while (store.runs_dir / (name := f"{stamp}-{secrets.token_hex(2)}")).exists():
        pass
    return name


def _checked_name(store: Store, name: str) -> str:
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise InputError(
            f"'{name}' cannot name a run: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter "
            f"or digit, other than {' and '.join(RESERVED_NAMES)}"
        )
    if (store.runs_dir / name).exists():
        raise InputError(f"a run named '{name}' is already in the store {store.root}; give another name")
    return name


def _check_distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"task {name} is given twice; name each task once")


def _check_task(task: RunTask) -> None:
    shared = set(task.evolve) & set(task.test)
    if shared:
        raise InputError(
            f"task {task.task}: {len(shared)} networks are both for evolution and for testing, "
            f"among them {min(shared)}; they must be disjoint"
        )
    for role, archs in (("evolve", task.evolve), ("test", task.test)):
        if len(set(archs)) != len(archs):
            raise InputError(f"task {task.task}: an architecture is named twice among the {role} networks")


def _checked_status(status: str) -> Status:
    if status not in get_args(Status):
        raise InputError(f"the status of a run is one of {', '.join(get_args(Status))}, not '{status}'")
    return cast(Status, status)


def _described(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _task_record(task: RunTask) -> dict[str, object]:
    return {
        "task": task.task,
        "metric": task.metric,
        "images": task.images,
        "collection": {"id": task.collection.id} | asdict(task.collection),
        "evolve_networks": len(task.evolve),
        "test_networks": len(task.test),
    }


def _collection(record: Mapping[str, Any]) -> Collection:
    from zcsr.store.kept.collections import Collection

    fields = {name: value for name, value in record.items() if name != "id"}
    return Collection(**fields | {"config": StatisticsConfig(**record["config"])})


def finalists_frame(chosen: Iterable[Finalist]) -> pl.DataFrame:
    """Finalists as the rows in which they are stored."""
    return frame_of(_FINALISTS, rows_of(_FINALISTS, chosen))


def _split_frame(tasks: Sequence[RunTask]) -> pl.DataFrame:
    return frame_of(
        _SPLIT,
        (
            (task.task, role, position, arch)
            for task in tasks
            for role, archs in (("evolve", task.evolve), ("test", task.test))
            for position, arch in enumerate(archs)
        ),
    )


def _tests_frame(scores: Iterable[TestScore]) -> pl.DataFrame:
    finite = pl.when(pl.col("score").is_finite()).then("score").otherwise(math.nan)
    return frame_of(_TESTS, rows_of(_TESTS, scores)).with_columns(finite.alias("score"))
