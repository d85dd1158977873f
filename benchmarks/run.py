"""Measure zcsr: one table of what is taken, by the reference and by zcsr, on this machine.

    .venv/bin/python benchmarks/run.py [--only NAME ...] [--quick] [--out FILE]

Everything is made in a temporary folder. Times are CPU seconds of one process with one torch thread, medians of
repeats in which reference and zcsr take turns, unless the table says otherwise. What is in memory when a benchmark
starts takes no part in its garbage collection, as in zcsr's worker processes.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from measuring import load_average, memory_bytes, processor
from rows import Report, document, size
from setting import ACCURACY_COLUMNS, FULL, IMAGES_FILE, QUICK, SHARED, Setting, Sizes

from zcsr.engine.workers import available_workers

BENCHMARKS = (
    "evaluating",
    "operating",
    "searching",
    "refusing",
    "collecting",
    "correlating",
    "querying",
    "growing",
)
"""The modules that have a `measure`, in the order of the table."""

PACKAGES = ("torch", "numpy", "scipy", "polars", "duckdb", "deap")


def measure(names: Sequence[str], sizes: Sizes, folder: Path, images: Path | None, accuracies: Path | None) -> str:
    """Run some benchmarks in a folder: their tables and remarks in Markdown."""
    torch.set_num_threads(1)
    setting = Setting(folder, sizes, images, accuracies)
    load_before = load_average()
    reports: list[Report] = []
    for name in names:
        started = time.perf_counter()
        print(f"{name} ...", end="", file=sys.stderr, flush=True)
        module = importlib.import_module(name)
        gc.collect()
        gc.freeze()  # as in a worker, and so that nobody pays for looking through what earlier benchmarks left
        reports.append(module.measure(setting))
        gc.unfreeze()
        print(f" {time.perf_counter() - started:.0f} s", file=sys.stderr)
    loads = f"Load averages (1, 5, 15 minutes): {load_before} before, {load_average()} after."
    return f"{document(reports)}\n\nMeasured with {setting.materials}. {loads}"


def machine() -> str:
    """The machine in words, without its name."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{processor()}, {available_workers()} cores, {size(memory_bytes())} of memory; Python "
        f"{platform.python_version()}, {packages}."
    )


def command(arguments: Sequence[str]) -> str:
    """The command that was given, with the last part of absolute paths."""
    shown = [os.path.basename(a) if os.path.isabs(a) else a for a in arguments]
    return shlex.join([".venv/bin/python", "benchmarks/run.py", *shown])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="run only these")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that all runs, not to be quoted")
    parser.add_argument("--images", type=Path, help="real images, as `zcsr import images` takes them")
    parser.add_argument("--accuracies", type=Path, help="folder with nb201.parquet and nats_sss.parquet")
    parser.add_argument("--out", type=Path, help="write the result to this Markdown file as well")
    given = parser.parse_args()
    images = given.images or _if_there(SHARED / IMAGES_FILE)
    accuracies = given.accuracies or _if_there(SHARED)
    missing = [file for file, _ in ACCURACY_COLUMNS.values() if accuracies and not (accuracies / file).is_file()]
    if missing:
        parser.error(f"{accuracies} has no {missing[0]}: give a folder with real accuracies, or none")
    with tempfile.TemporaryDirectory(prefix="zcsr-benchmarks-") as folder:
        tables = measure(given.only, QUICK if given.quick else FULL, Path(folder), images, accuracies)
    print(tables)
    if given.out:
        given.out.write_text(_page(tables, given.quick, sys.argv[1:]), encoding="utf-8")


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None


def _page(tables: str, quick: bool, arguments: Sequence[str]) -> str:
    title = "# What zcsr takes" + (" (quick sizes, not to be quoted)" if quick else "")
    return f"{title}\n\n{machine()}\n\n    {command(arguments)}\n\n{tables}\n"


if __name__ == "__main__":
    main()
