"""NAS-Bench-201 and NATS-Bench (Dong et al., TPAMI 2021): the files in which their authors publish them.

NATS-Bench is a folder with `meta.pickle.pbz2` (architectures by position) and one `NNNNNN.pickle.pbz2` an
architecture; NAS-Bench-201 is one `.pth` of the same content. An architecture has a record for each length of
training, with a trial for each (data set, seed), and a trial has the accuracy after each epoch on each set of
images. Taken are those after the last epoch of the longest training unless another is asked for: as `test` the
authors' test images, as `validation` their validation images.
"""

from __future__ import annotations

import bz2
import io
import mmap
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zcsr.engine.job import Progress
from zcsr.errors import InputError
from zcsr.store.importers.limits import content_of, unpacked
from zcsr.store.importers.pickle_reader import PickleReader, Shrink

SUFFIX = ".pickle.pbz2"
META = f"meta{SUFFIX}"
NO_ACCURACY = "no accuracy after the last epoch"
NO_RECORD = "no record of that training"

# The authors' data set and set of images -> the data set and metric here. The networks that are validated on
# CIFAR-10 were trained on half of its training images, those that are tested on all of them.
_TAKEN: Mapping[tuple[str, str], tuple[str, str]] = {
    ("cifar10", "ori-test"): ("cifar10", "test"),
    ("cifar10-valid", "x-valid"): ("cifar10", "validation"),
    ("cifar100", "x-test"): ("cifar100", "test"),
    ("cifar100", "x-valid"): ("cifar100", "validation"),
    ("ImageNet16-120", "x-test"): ("imagenet16-120", "test"),
    ("ImageNet16-120", "x-valid"): ("imagenet16-120", "validation"),
}
_OLD_LENGTHS: Mapping[str, int] = {"full": 200, "less": 12}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True, slots=True)
class Trial:
    """The accuracy of one training, percent; `problem` says why there is none to take, else None."""

    arch: str
    dataset: str
    metric: str
    seed: int
    accuracy: float
    problem: str | None = None


def read_folder(path: Path, epochs: int | None, progress: Progress) -> Iterator[Trial]:
    """The trials of a folder of NATS-Bench, one file in memory at a time; InputError for another form."""
    archs = _archs(_unpacked(path / META), path / META)
    files = sorted(file for file in path.glob(f"*{SUFFIX}") if file.name != META)
    for done, file in enumerate(files):
        progress(done, len(files))
        number = file.name.removesuffix(SUFFIX)
        if not number.isascii() or not number.isdigit() or int(number) >= len(archs):
            raise InputError(f"{file} is named after none of the {len(archs)} architectures of {META}")
        yield from _trials(archs[int(number)], _unpacked(file), epochs, file)
    progress(len(files), len(files))


def read_pth(path: Path, epochs: int | None, progress: Progress) -> Iterator[Trial]:
    """The trials of a `.pth` of NAS-Bench-201, in PyTorch's old form or in its zip; InputError as `read_folder`."""
    content = _pth(path, progress)
    archs = _archs(content, path)
    for index, records in _dict(content, "arch2infos", path).items():
        if type(index) is not int or not 0 <= index < len(archs):
            raise InputError(f"{path} has a record of architecture {index!r} and {len(archs)} architectures")
        yield from _trials(archs[index], records, epochs, path)


def _unpacked(file: Path) -> Any:
    try:
        with bz2.open(io.BytesIO(content_of(file))) as stream:
            content = unpacked(file, stream)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    return PickleReader(content, str(file), shrinking=_SHRINKING).read()


def _pth(path: Path, progress: Progress) -> Any:
    position, zipped = _start(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = PickleReader(
                data, str(path), position=position, shrinking=_SHRINKING, progress=_forgetting(data, progress)
            )
            if not zipped:  # before the content come a magic number, a version and the machine it was made on
                if reader.read() != _TORCH_MAGIC:
                    raise InputError(f"{path} is not read: it is no file that torch.save has written")
                reader.read()
                reader.read()
            return reader.read()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _forgetting(data: mmap.mmap, progress: Progress) -> Progress:
    """The same progress, which also gives back the memory that the part of the file already read takes."""

    def forget(done: int, total: int) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            data.madvise(mmap.MADV_DONTNEED, 0, done // mmap.PAGESIZE * mmap.PAGESIZE)
        progress(done, total)

    return forget


def _start(path: Path) -> tuple[int, bool]:
    """Where in the file the pickle begins, and whether the file is a zip."""
    try:
        if not zipfile.is_zipfile(path):
            return 0, False
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
        if len(members) != 1 or members[0].compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{path} is not read: it needs one data.pkl, not compressed, as torch.save writes it")
        with path.open("rb") as file:
            file.seek(members[0].header_offset + 26)
            name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return members[0].header_offset + 30 + name + extra, True


def _archs(content: Any, file: Path) -> list[str]:
    archs = content.get("meta_archs") if type(content) is dict else None
    if type(archs) is not list or not archs or not all(type(arch) is str for arch in archs):
        raise InputError(f"{file} has no 'meta_archs', the list of architectures of NATS-Bench or NAS-Bench-201")
    return archs


def _trials(arch: str, records: Any, epochs: int | None, file: Path) -> Iterator[Trial]:
    lengths = {length: record for key, record in _items(records, file) if (length := _length(key)) is not None}
    if not lengths:
        raise InputError(f"{file} has no record of a training of {arch!r}, under its number of epochs")
    wanted = max(lengths) if epochs is None else epochs
    if wanted not in lengths:
        listed = ", ".join(map(str, sorted(lengths)))
        yield Trial(arch, "", "", 0, 0.0, f"{NO_RECORD}: its lengths are {listed} epochs")
        return
    suffix = "" if epochs is None or epochs == max(lengths) else f"_{epochs}"
    for key, trial in _dict(lengths[wanted], "all_results", file).items():
        if not (type(key) is tuple and len(key) == 2 and type(key[0]) is str and type(key[1]) is int):
            raise InputError(f"{file} has a trial that is not called by a data set and a seed")
        accuracies, ran = _dict(trial, "eval_acc1es", file), trial.get("epochs")
        last = (ran if type(ran) is int else wanted) - 1
        for (theirs, images), (dataset, metric) in _TAKEN.items():
            if theirs == key[0]:
                value = _percent(accuracies.get(f"{images}@{last}"))
                problem = NO_ACCURACY if value is None else None
                yield Trial(arch, dataset, metric + suffix, key[1], value or 0.0, problem)


def _percent(value: Any) -> float | None:
    """A number as a float; None for anything else, and for whole numbers far from any percentage."""
    if type(value) is float or (type(value) is int and abs(value) < 1000):
        return float(value)
    return None


def _length(key: object) -> int | None:
    if isinstance(key, str):
        return _OLD_LENGTHS.get(key) or (int(key) if key.isascii() and key.isdigit() and len(key) < 6 else None)
    return None


def _dict(parent: Any, key: str, file: Path) -> dict[Any, Any]:
    value = parent.get(key) if type(parent) is dict else None
    if type(value) is not dict:
        raise InputError(f"{file} has no dict {key!r} where NATS-Bench and NAS-Bench-201 have one")
    return value


def _items(records: Any, file: Path) -> Iterator[tuple[Any, Any]]:
    if type(records) is not dict:
        raise InputError(f"{file} holds a {type(records).__name__}, not the dict of an architecture's records")
    return iter(records.items())


def _cleared(value: Any) -> None:
    if type(value) in (dict, list):
        value.clear()


def _last_epoch_only(value: Any) -> None:
    """Of `set@epoch` keep the last epoch of each set."""
    if type(value) is not dict:
        return
    last: dict[str, int] = {}
    for key in value:
        images, epoch = _split(key)
        last[images] = max(last.get(images, 0), epoch)
    kept = {key: accuracy for key, accuracy in value.items() if _split(key) in last.items()}
    value.clear()
    value.update(kept)


def _split(key: Any) -> tuple[str, int]:
    images, _, epoch = key.partition("@") if type(key) is str else ("", "", "")
    return images, int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 9 else 0


_SHRINKING: Mapping[str, Shrink] = {
    "eval_acc1es": _last_epoch_only,
    **dict.fromkeys(("train_acc1es", "train_acc5es", "train_losses", "train_times"), _cleared),
    **dict.fromkeys(("eval_losses", "eval_times", "latency", "arch_config"), _cleared),
}
