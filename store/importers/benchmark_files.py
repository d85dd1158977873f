"""Import the files in which others publish benchmarks: NATS-Bench, NAS-Bench-201, NDS, NAS-Bench-Suite-Zero.

The first three give accuracies, one row a training, beside those of tables. The last gives scores of proxies, and
validation accuracies:
`proxy_scores/<space>/<dataset>/<source>.parquet`, one row a proxy and architecture: source, space, dataset, proxy,
arch, score (NaN and infinities as published). Importing the same file again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

from zcsr.engine.job import Progress, silent
from zcsr.errors import InputError
from zcsr.spaces import get_space
from zcsr.store.importers import nats_files, nds_files, suitezero_files
from zcsr.store.importers.nats_files import Trial
from zcsr.store.importers.user_tables import ImportReport, source_name
from zcsr.store.kept import accuracies
from zcsr.store.kept.accuracies import install_accuracies
from zcsr.store.kept.atomic import write_parquet
from zcsr.store.kept.store import Store
from zcsr.store.tables.declarations import PROXY_SCORES
from zcsr.store.tables.frames import frame_of, schema_of

Kind = Literal["auto", "nats", "nasbench201", "nds", "suite-zero"]
KINDS: tuple[str, ...] = get_args(Kind)

ELSEWHERE = "validation accuracy, which the store has from elsewhere"

_NATS_SPACES = ("nasbench201", "nats-sss")


def import_benchmark(
    store: Store,
    path: Path,
    *,
    kind: str = "auto",
    space: str | None = None,
    dataset: str | None = None,
    epochs: int | None = None,
    same_training: bool = False,
    progress: Progress = silent,
) -> ImportReport:
    """Import a published file or folder; `kind` auto tells by its form and name what it is.

    `space` and `dataset` say what a file of NDS is about where its name does not. `epochs` chooses among the
    lengths of training of NATS-Bench and NAS-Bench-201, the longest when None; the metrics of another one than the
    longest end in its number, such as `test_12`. Trainings without an accuracy, of unknown architectures or outside
    of 0..100 percent are left out and counted. `progress` is told how many files or bytes are done, of how many.
    Raises InputError when the file is of another form, asks for anything but plain data, or holds nothing to take,
    and where the store has accuracies of a task and metric from elsewhere, unless `same_training` says that those
    networks were trained in the same way; nothing is written then. Of a file of scores, validation accuracies are
    left out instead, and counted.
    """
    chosen = _kind(path, kind)
    _check_options(chosen, space, dataset, epochs)
    if chosen == "suite-zero":
        return _import_suite_zero(store, path, same_training)
    if chosen == "nds":
        known, trials = _nds(path, space, dataset)
    else:
        read = nats_files.read_folder if chosen == "nats" else nats_files.read_pth
        known, trials = "", read(path, epochs, progress)
    return _import_trials(store, path, known, trials, same_training)


def _kind(path: Path, kind: str) -> str:
    if kind not in KINDS:
        raise InputError(f"no kind {kind!r} of benchmark: there are {', '.join(KINDS)}")
    if not path.exists():
        raise InputError(f"cannot import {path}: there is no such file or folder")
    found = _found_kind(path)
    if kind == "auto" and found is not None:
        return found
    if kind == "auto" or path.is_dir() != (kind == "nats") or (kind == "nats" and found is None):
        raise InputError(
            f"cannot import {path}{'' if kind == 'auto' else f' as {kind}'}: give a folder with "
            f"{nats_files.META}, a .pth of NAS-Bench-201, a .json of NDS, or zc_nasbench201.json"
        )
    return kind


def _found_kind(path: Path) -> str | None:
    if path.is_dir():
        return "nats" if (path / nats_files.META).is_file() else None
    if path.suffix.lower() == ".pth":
        return "nasbench201"
    if path.suffix.lower() == ".json":
        return "suite-zero" if path.name.startswith("zc_") else "nds"
    return None


def _check_options(kind: str, space: str | None, dataset: str | None, epochs: int | None) -> None:
    if kind != "nds" and (space or dataset):
        raise InputError(
            f"--space and --dataset are for files of NDS: a file of {kind} says itself what it is about"
        )
    if epochs is not None and kind not in ("nats", "nasbench201"):
        raise InputError(f"--epochs is for NATS-Bench and NAS-Bench-201, not for a file of {kind}")


def _nds(path: Path, space: str | None, dataset: str | None) -> tuple[str, Iterator[Trial]]:
    known = space or nds_files.space_of(path)
    if known is None:
        raise InputError(f"cannot tell the space of {path.name} from its name: give --space, such as nds-darts")
    on = dataset or nds_files.dataset_of(path)
    if on not in get_space(known).datasets:
        raise InputError(f"space {known} has no dataset {on!r}: it has {', '.join(get_space(known).datasets)}")
    rows = nds_files.read(path)
    return known, (Trial(arch, on, "test", seed, accuracy, problem) for arch, accuracy, seed, problem in rows)


def _import_trials(
    store: Store, path: Path, space: str, trials: Iterable[Trial], same_training: bool
) -> ImportReport:
    """Take what can be taken, and write it when all has been read; `space` is found from the first when empty."""
    taken: dict[tuple[str, str, str, int], float] = {}
    skipped: Counter[str] = Counter()
    unknown: dict[str, str | None] = {}
    for trial in trials:
        space = space or _nats_space(trial.arch, path)
        key = (trial.dataset, trial.metric, trial.arch, trial.seed)
        problem = trial.problem or _problem(space, trial, unknown)
        if problem is None and key in taken:
            problem = accuracies.DUPLICATE
        if problem is None:
            taken[key] = trial.accuracy
        else:
            skipped[problem] += 1
    if not taken:
        raise InputError(f"{path} has no accuracy to import{_reasons(skipped)}")
    source = _source(path)
    for on, metric in () if same_training else sorted({key[:2] for key in taken}):
        accuracies.check_alone(store, space, on, metric, source)
    rows = [(space, *key, accuracy, source) for key, accuracy in taken.items()]
    install_accuracies(store, frame_of(accuracies.SCHEMA, rows), source)
    return ImportReport(len(taken), dict(skipped))


def _problem(space: str, trial: Trial, unknown: dict[str, str | None]) -> str | None:
    if trial.accuracy != trial.accuracy:
        return accuracies.EMPTY
    if not 0.0 <= trial.accuracy <= 100.0:
        return accuracies.OUT_OF_RANGE
    if trial.arch not in unknown:
        unknown[trial.arch] = _refusal(space, trial.arch)
    return unknown[trial.arch]


def _refusal(space: str, arch: str) -> str | None:
    """Why a space does not know an architecture, without the architecture itself; None when it does."""
    try:
        get_space(space).index(arch)
    except InputError as error:
        return f"{accuracies.UNKNOWN_ARCH}: {str(error).removeprefix(repr(arch)).strip()}"
    return None


def _nats_space(arch: str, path: Path) -> str:
    for space in _NATS_SPACES:
        if _refusal(space, arch) is None:
            return space
    raise InputError(f"{path} is about {arch!r}, which is an architecture of none of {', '.join(_NATS_SPACES)}")


def _reasons(skipped: Counter[str]) -> str:
    return "".join(f"; {count} skipped: {reason}" for reason, count in skipped.most_common(3))


def _import_suite_zero(store: Store, path: Path, same_training: bool) -> ImportReport:
    """Take scores of proxies, and validation accuracies where the file has some."""
    source = _source(path)
    taken = []
    trials: list[Trial] = []
    skipped: Counter[str] = Counter()
    for dataset, proxy, arch, score, problem in suitezero_files.read(path):
        if problem is not None:
            skipped[problem] += 1
        elif proxy == suitezero_files.ACCURACY:
            trials.append(Trial(arch, dataset, "validation", 0, score))
        else:
            taken.append((source, suitezero_files.SPACE, dataset, proxy, arch, score))
    if not taken and not trials:
        raise InputError(f"{path} has no score to import{_reasons(skipped)}")
    frame = frame_of(schema_of(PROXY_SCORES), taken)
    for (dataset,), block in frame.group_by(["dataset"], maintain_order=True):
        folder = store.proxy_scores_dir / suitezero_files.SPACE / str(dataset)
        write_parquet(block, folder / f"{source}.parquet")
    alone = {one: same_training or _alone(store, one, source) for one in {trial.dataset for trial in trials}}
    kept = [trial for trial in trials if alone[trial.dataset]]
    skipped[ELSEWHERE] += len(trials) - len(kept)
    if not kept:
        return ImportReport(len(taken), dict(+skipped))
    report = _import_trials(store, path, suitezero_files.SPACE, kept, same_training=True)
    return ImportReport(len(taken) + report.taken, dict(skipped + Counter(report.skipped)))


def _alone(store: Store, dataset: str, source: str) -> bool:
    """Whether the store has validation accuracies of a dataset from no other source."""
    return set(accuracies.sources(store, suitezero_files.SPACE, dataset, "validation")) <= {source}


def _source(path: Path) -> str:
    return source_name(path.resolve().name if path.is_dir() else path.stem, otherwise="benchmark")
