"""What zcsr withstands, with figures: kills, a full disk and damaged files, in small or for as long as one likes.

    python tests/torture/torture.py --minutes 10
    python tests/torture/torture.py --minutes 60 --jobs evolve --kinds kill --trials 200 --every 0 --flips 0
    python tests/torture/torture.py --minutes 30 --jobs "" --every 0 --flips 10000

It prints a row a kind of fault: trials, how many were survived (the same answers, or an error that names a file),
and what must be 0: other answers in silence, tracebacks, hangs. It ends with 1 where something is not 0.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import commands
import faults
import numpy as np
import polars as pl
from damaging import forget

from zcsr.errors import StoreError
from zcsr.language.tensors import TENSORS
from zcsr.spaces import get_space
from zcsr.store.jobs.testing import scored_pairs
from zcsr.store.jobs.verify import verify_store
from zcsr.store.kept.accuracies import measurements
from zcsr.store.kept.atomic import read_json_object
from zcsr.store.kept.checksums import remove
from zcsr.store.kept.collections import list_collections, open_collection
from zcsr.store.kept.columns import ColumnFolder
from zcsr.store.kept.images import load_images
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.runs import open_run, run_names
from zcsr.store.kept.scan import scan
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import connect
from zcsr.store.tables.declarations import SEEN

SPACE, DATASET = "nasbench201-mini", "fashion-mnist"
TASK = f"{SPACE}:{DATASET}"
SEARCH = (
    *("--task", TASK, "--networks", "4", "--generations", "2", "--population", "4", "--mu", "2", "--lambda", "4"),
    *("--test-networks", "4", "--against", "params", "--seed", "0", "--run", "it"),
)
MEASURED = ("costs", "timings")
"""Tables that hold what was measured, and differ from time to time."""


@dataclass(slots=True)
class Tally:
    """What became of the trials of one kind."""

    kind: str
    trials: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, what: str, detail: str = "") -> None:
        """Count a trial that ended so; `wrong`, `traceback`, `hang` and `not mended` must not be."""
        self.trials += 1
        self.seen[what] += 1
        if what in BAD:
            self.bad.append(f"{self.kind}: {what}: {detail}")


GOOD = ("same", "refused")
BAD = ("wrong", "traceback", "hang", "not mended")


# Stores to torture -----------------------------------------------------------------------------------------------


class Stores:
    """Stores in a folder: one with accuracies and images, and one in which every command has been."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = random.Random(0)
        first, *_ = get_space(SPACE).sample(1, generator)
        archs = [first, *get_space(SPACE).neighbours(first)][:20]
        table = {"arch": archs, "accuracy": [generator.uniform(10, 90) for _ in archs]}
        pl.DataFrame(table).write_parquet(folder / "accuracies.parquet")
        scores = {"arch": archs, "proxy": [generator.uniform(0, 1) for _ in archs]}
        pl.DataFrame(scores).write_parquet(folder / "scores.parquet")
        pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8)
        np.savez(folder / "images.npz", images=pixels, labels=np.arange(20) % 10)
        self.begun = folder / "begun"
        for words in self.imports:
            commands.done(*words, store=self.begun)
        self._full: Path | None = None

    @property
    def imports(self) -> tuple[tuple[str, ...], ...]:
        """The commands that bring in what the others need."""
        about = ("--space", SPACE, "--dataset", DATASET)
        return (
            (
                "import",
                "accuracies",
                str(self.folder / "accuracies.parquet"),
                *about,
                "--accuracy-column",
                "accuracy",
            ),
            ("import", "images", str(self.folder / "images.npz"), "--name", DATASET),
            ("import", "scores", str(self.folder / "scores.parquet"), *about, "--source", "others"),
        )

    @property
    def full(self) -> Path:
        """A store with a run, statistics, scores, a search; made when first asked for."""
        if self._full is None:
            self._full = self.copy(self.begun)
            for words in (
                ("evolve", *SEARCH, "--workers", "1"),
                ("test", "--task", TASK, "-p", "fro(T3)", "--proxy", "params", "--trained", "--workers", "1"),
                (
                    "search",
                    "--task",
                    TASK,
                    "--proxy",
                    "params",
                    "--budget",
                    "4",
                    "--repeats",
                    "2",
                    "--name",
                    "found",
                ),
            ):
                commands.done(*words, store=self._full)
        return self._full

    def copy(self, store: Path) -> Path:
        """A copy of a store, with the times of its files."""
        return Path(
            shutil.copytree(store, tempfile.mkdtemp(dir=self.folder) + "/store", copy_function=shutil.copy2)
        )


def state(root: Path) -> dict[str, list[str]]:
    """All that a store says, less what is measured anew each time."""
    said = {}
    with connect(Store(root)) as connection:
        for table in (one.name for one in SEEN if one.name not in MEASURED):
            frame = connection.frame(f"FROM {table}")
            kept = [name for name in frame.columns if name not in ("seconds", "started", "command")]
            said[table] = sorted(map(repr, frame.select(kept).rows()))
    return said


# Kills and full disks --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """A command, the one that goes on with it, and the store that it begins with."""

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...] | None = None
    fresh: bool = False


def jobs(stores: Stores) -> list[Job]:
    """The commands that write: import, collect, test, evolve."""
    tested = ("test", "--task", TASK, "-p", "fro(T3)", "--proxy", "params", "--sample", "6", "--workers", "1")
    return [
        Job("import", stores.imports[0], fresh=True),
        Job("collect", ("collect", SPACE, DATASET, "--sample", "6", "--workers", "1")),
        Job("test", tested),
        Job(
            "evolve", ("evolve", *SEARCH, "--workers", "2"), ("evolve", "--resume", "--run", "it", "--workers", "1")
        ),
    ]


class Undisturbed:
    """What a job gives where nothing goes wrong, and how many file operations it takes."""

    def __init__(self, stores: Stores, job: Job) -> None:
        self.begin = stores.folder / "nothing" if job.fresh else stores.begun
        self.store = self.begun(stores)
        started = time.monotonic()
        outcome = faults.run(job.words, self.store)
        assert outcome.code == 0, outcome.err
        self.seconds = time.monotonic() - started
        self.operations = outcome.operations
        self.state = state(self.store)

    def begun(self, stores: Stores) -> Path:
        """A store in which the job has not begun."""
        if self.begin.exists():
            return stores.copy(self.begin)
        return Path(tempfile.mkdtemp(dir=stores.folder)) / "store"


def disturb(
    stores: Stores, job: Job, plain: Undisturbed, how: faults.How, at: int, after: float | None
) -> tuple[str, str]:
    """One trial: what became of the store and of going on with it."""
    store = plain.begun(stores)
    try:
        outcome = faults.run(job.words, store, how, at, after)
        where = f"{job.name} {how} at {at or after}"
        if outcome.code is None:
            return "hang", where
        if "Traceback" in outcome.err:
            return "traceback", f"{where}: {outcome.err.strip().splitlines()[-1]}"
        if how == "full" and outcome.code not in (0, 3):
            return "wrong", f"{where}: exit {outcome.code}: {outcome.err[-300:]}"
        forget()
        if (store / "manifest.json").exists() and (problems := verify_store(Store(store)).problems):
            return "not mended", f"{where}: {problems[0]}"
        begun = job.again is not None and (store / "runs" / "it" / "run.json").exists()
        again = commands.zcsr(*(job.again if begun and job.again else job.words), store=store)
        if again.code != 0:
            return "not mended", f"{where}: {again.err[-300:]}"
        forget()
        after_all = state(store)
        if after_all != plain.state:
            differing = [table for table in after_all if after_all[table] != plain.state[table]]
            return "wrong", f"{where}: {differing}"
        problems = verify_store(Store(store)).problems
        return ("not mended", f"{where}: {problems[0]}") if problems else ("same", "")
    finally:
        shutil.rmtree(store.parent, ignore_errors=True)


def trials_of(
    job: Job, plain: Undisturbed, how: str, generator: random.Random
) -> Iterator[tuple[int, float | None]]:
    """Where to disturb a job, without end: at every operation, in an order drawn anew each round; or in time."""
    while True:
        if how == "time":
            yield 0, generator.uniform(0.05, 1.0) * plain.seconds
        else:
            yield from (
                (number, None) for number in generator.sample(range(1, plain.operations + 1), plain.operations)
            )


# Damage ----------------------------------------------------------------------------------------------------------

Damage = Callable[[bytes, random.Random], bytes]


def _flipped(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


DAMAGE: dict[str, Damage] = {
    "flip": _flipped,
    "cut short": lambda content, generator: content[: generator.randrange(len(content))],
    "zeros": lambda content, _: bytes(len(content)),
    "emptied": lambda *_: b"",
}


def readers(root: Path) -> dict[str, Callable[[], Any]]:
    """By the first part of a file's path, what reads it other than SQL, as text that shows all of it."""
    store = Store(root)

    def statistics() -> Any:
        opened = [open_collection(store, one) for one in list_collections(store)]
        networks = [one.load(arch, TENSORS) for one in opened for arch in sorted(one.archs())]
        return [
            (one.arch, i.layer, i.module, [(n, t.numpy().tobytes()) for n, t in sorted(i.raw.items())])
            for one in networks
            for i in one.instances
        ]

    def runs() -> Any:
        opened = [open_run(store, name) for name in run_names(store)]
        frames = [frame.rows() for one in opened for frame in (one.test_scores(), one.held_out_scores())]
        told = [(one.info(), one.tasks(), one.finalists(), one.seeds(), list(one.generations())) for one in opened]
        return repr((told, frames))

    def images() -> Any:
        one = load_images(store, DATASET)
        return one.pixels.tobytes(), one.labels.tobytes(), one.mean, one.std, one.classes

    def columns() -> Any:
        folders = [ColumnFolder(one) for one in sorted(store.columns_dir.glob("*/"))]
        return [sorted(map(repr, _all_columns(one))) for one in folders]

    return {
        "manifest.json": lambda: Store.open(root),
        "accuracies": lambda: measurements(store, SPACE, DATASET).rows(),
        "statistics": statistics,
        "runs": runs,
        "images": images,
        "columns": columns,
        "scores": lambda: sorted(pair for one in list_collections(store) for pair in scored_pairs(store, one)),
    }


def _alone(file: Path) -> Any:
    return repr(read_json_object(file) if file.suffix == ".json" else read_parquet(file).rows())


def _all_columns(folder: ColumnFolder) -> Any:
    folder.read([], [])
    archs = {arch for files in folder._files.values() for one in files for arch in read_parquet(one)["arch"]}
    return folder.read(list(folder._files), sorted(archs)).items()


def answered(read: Callable[[], Any]) -> tuple[str, Any]:
    """What a reader answers: `answer` with it, `refused` with the error's words, or `traceback`."""
    forget()
    try:
        return "answer", read()
    except StoreError as error:
        return "refused", str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"


def judged(oracle: Any, answer: tuple[str, Any], file: Path) -> tuple[str, str]:
    """What an answer is beside that of the sound store."""
    kind, said = answer
    if kind == "answer":
        return ("same", "") if said == oracle else ("wrong", str(file))
    if kind == "refused":
        return ("refused", "") if file.name in said else ("wrong", f"{file}: not named: {said}")
    return "traceback", f"{file}: {said}"


class Damaged:
    """A store with everything in it, whose files are damaged one after the other and put right again."""

    def __init__(self, stores: Stores) -> None:
        self.root = stores.copy(stores.full)
        self.readers = readers(self.root)
        self.oracles = {part: read() for part, read in self.readers.items()}
        self.sql = state(self.root)
        skipped = ("reports/", "index.duckdb")
        files = (one for one in sorted(self.root.rglob("*")) if one.is_file() and one.name != ".lock")
        self.files = [one for one in files if not str(one.relative_to(self.root)).startswith(skipped)]
        self.content = {one: one.read_bytes() for one in self.files}
        self.alone: dict[Path, Any] = {}
        self.seen_by_sql = {self.root / path for path in scan(Store(self.root)).files}

    def read(self, file: Path) -> tuple[str, str]:
        """What the reader of a file says, other than SQL; of a checksum, that of its file."""
        part = file.relative_to(self.root).parts[0]
        part = "manifest.json" if part == ".manifest.json.sum" else part
        if part not in self.readers:
            return self.ask(file)
        return judged(self.oracles[part], answered(self.readers[part]), file)

    def read_alone(self, file: Path) -> tuple[str, str]:
        """What the function says that everybody reads a file of its kind with."""
        part = file.relative_to(self.root).parts[0]
        if part == "statistics" or file.suffix not in (".parquet", ".json"):
            return self.read(file)
        read = partial(_alone, file)
        if file not in self.alone:
            good = file.read_bytes()
            file.write_bytes(self.content[file])
            self.alone[file] = read()
            file.write_bytes(good)
        return judged(self.alone[file], answered(read), file)

    def ask(self, file: Path) -> tuple[str, str]:
        """What SQL says, from an index that has to be made anew."""
        remove(self.root / "index.duckdb")
        return judged(self.sql, answered(lambda: state(self.root)), file)

    def try_out(
        self, file: Path, damage: Damage, generator: random.Random, how: Callable[[Path], tuple[str, str]]
    ) -> tuple[str, str]:
        """Damage a file, read, and put it right."""
        good = file.read_bytes()
        try:
            file.write_bytes(damage(good, generator))
            return how(file)
        finally:
            file.write_bytes(good)

    def without(self, file: Path, how: Callable[[Path], tuple[str, str]]) -> tuple[str, str]:
        """Take a file away, read, and put it back."""
        good = file.read_bytes()
        try:
            file.unlink()
            return how(file)
        finally:
            file.write_bytes(good)

    def swapped(self, file: Path, other: Path, how: Callable[[Path], tuple[str, str]]) -> tuple[str, str]:
        """Swap two files, read, and put them back; either may be named."""
        one, two = file.read_bytes(), other.read_bytes()
        try:
            file.write_bytes(two)
            other.write_bytes(one)
            said = how(file)
            return how(other) if said[0] == "wrong" and "not named" in said[1] else said
        finally:
            file.write_bytes(one)
            other.write_bytes(two)


def damage_all(
    stores: Stores, tallies: dict[str, Tally], generator: random.Random, flips: int, until: float, every: int = 1
) -> None:
    """Every kind of damage to every `every`th file (of 0: none), then flips of single bits, so many or so long."""
    damaged = Damaged(stores)
    for file in damaged.files[generator.randrange(every) :: every] if every else ():
        how = damaged.ask if file in damaged.seen_by_sql and generator.random() < 0.3 else damaged.read
        for name, damage in DAMAGE.items():
            tallies[name].add(*damaged.try_out(file, damage, generator, how))
        tallies["gone"].add(*damaged.without(file, how))
        like = [
            one for one in damaged.files if one.suffix == file.suffix and one != file and one.parent == file.parent
        ]
        if like:
            tallies["swapped"].add(*damaged.swapped(file, generator.choice(like), how))
    weights = [max(1.0, file.stat().st_size) ** 0.25 for file in damaged.files]
    for number in range(flips):
        if time.monotonic() > until:
            break
        (file,) = generator.choices(damaged.files, weights)
        by_all = damaged.ask if file in damaged.seen_by_sql and number % 400 == 0 else damaged.read
        how = by_all if number % 100 == 0 else damaged.read_alone
        tallies["flip"].add(*damaged.try_out(file, _flipped, generator, how))


# All of it -------------------------------------------------------------------------------------------------------


KINDS = ("kill", "full", "time")


def torture(
    folder: Path,
    minutes: float,
    seed: int,
    flips: int,
    names: tuple[str, ...],
    every: int = 1,
    kinds: tuple[str, ...] = KINDS,
    trials: int | None = None,
) -> list[Tally]:
    """At most two fifths of the time for damage, the rest for kills and full disks, in turn over all jobs.

    A kind of fault of a job ends early after so many `trials`, if that is given.
    """
    generator = random.Random(seed)
    stores = Stores(folder)
    tallies = {name: Tally(name) for name in (*DAMAGE, "gone", "swapped")}
    begin = time.monotonic()
    if every or flips:
        damage_all(stores, tallies, generator, flips, begin + (24 if any(names) else 60) * minutes, every)
    turns = []
    for job in (one for one in jobs(stores) if one.name in names):
        plain = Undisturbed(stores, job)
        for how in kinds:
            tally = tallies.setdefault(f"{job.name}: {how}", Tally(f"{job.name}: {how}"))
            turns.append((job, plain, how, tally, trials_of(job, plain, how, generator)))
    while turns and time.monotonic() < begin + 60 * minutes:
        for job, plain, how, tally, places in turns:
            if time.monotonic() < begin + 60 * minutes:
                at, after = next(places)
                fault: faults.How = "kill" if how == "time" else how  # type: ignore[assignment]
                tally.add(*disturb(stores, job, plain, fault, at if after is None else 10**9, after))
        turns = [turn for turn in turns if trials is None or turn[3].trials < trials]
    return [tally for tally in tallies.values() if tally.trials]


def table(tallies: list[Tally]) -> str:
    """The figures, a row a kind and one for all, in markdown."""
    rows = [("fault", "trials", "same result", "refused, file named", *BAD)]
    whole = Tally("all")
    for tally in tallies:
        whole.trials += tally.trials
        whole.seen += tally.seen
    counts = [(one.kind, one.trials, *(one.seen[what] for what in (*GOOD, *BAD))) for one in (*tallies, whole)]
    rows += [(kind, *(f"{count:,}" for count in rest)) for kind, *rest in counts]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| --- |" + " ---: |" * (len(rows[0]) - 1), *lines[1:]])


def main() -> int:
    """Run it as said on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=1, help="damage every n-th file in each way, or none for 0")
    parser.add_argument("--jobs", default="import,collect,test,evolve")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kill at an operation, full disk, kill in time")
    parser.add_argument("--trials", type=int, help="of each kind of each job, unless the time is over before")
    given = parser.parse_args()
    names, kinds = tuple(given.jobs.split(",")), tuple(given.kinds.split(","))
    with tempfile.TemporaryDirectory() as folder:
        tallies = torture(
            Path(folder), given.minutes, given.seed, given.flips, names, given.every, kinds, given.trials
        )
    print(table(tallies))
    bad = [line for tally in tallies for line in tally.bad]
    print(*bad, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
