"""What must not change when only the structure of the code does: hashes of what fixed commands compute.

`python benchmarks/unchanged.py --out FILE.json` runs, in a store of its own, the embedded default search with seed
0 as trees and as sequences, tests every named program on 50 NAS-Bench-201 networks, and asks every named query. It
writes a hash of each answer as CSV, and of each table that holds what was computed, without times and what follows
from them. `--against FILE.json` compares with what was written before. The accuracies and images of NAS-Bench-201
are read from the folder given by `--data`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from zcsr import queries

ZCSR = Path(sys.executable).with_name("zcsr")

MEASURED = frozenset(
    {
        *("started", "seconds", "seconds_per_generation", "share", "milliseconds_per_pair", "command", "session"),
        *("hours", "cpu_hours", "gb", "kwh", "grams", "share_of_paper", "metered_kwh", "cpu_seconds", "peak_gb"),
        *("seconds_a_generation", "generation_seconds", "sessions"),
        *("seconds_mean", "seconds_low", "seconds_high"),
    }
)
"""Columns that hold times, or follow from them."""

TABLES = (
    *(
        "accuracies",
        "collections",
        "runs",
        "tasks",
        "split",
        "counters",
        "individuals",
        "taus",
        "genotypes",
        "draws",
    ),
    *("programs", "rejections", "network_scores", "scores"),
)
RUNS = {
    "trees": ("--language", "eznas"),
    "sequences": ("--language", "eznas", "--representation", "sequential"),
}


def main() -> int:
    """Compute, write and compare; 1 where something has changed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where to write the hashes")
    parser.add_argument("--against", type=Path, help="hashes to compare with")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="accuracies and images")
    parser.add_argument("--rows", type=Path, help="a folder for the rows behind the hashes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hashes = computed(Path(folder) / "store", args.data.resolve(), args.rows)
    text = json.dumps(hashes, indent=2) + "\n"
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    if args.against is None:
        return 0
    before = json.loads(args.against.read_text(encoding="utf-8"))
    changed = [name for name in sorted({*before, *hashes}) if before.get(name) != hashes.get(name)]
    print(
        f"{len(hashes) - len(changed)} of {len(hashes)} equal" + "".join(f"\nchanged: {name}" for name in changed)
    )
    return 1 if changed else 0


def computed(store: Path, data: Path, rows: Path | None) -> dict[str, str]:
    """The hashes, by what they are of."""
    for name, flags in RUNS.items():
        zcsr(store, "evolve", "--seed", "0", "--run", name, *flags)
    zcsr(store, "import", "images", str(data / "cifar10_train256_lossless.parquet"), "--name", "cifar10")
    zcsr(store, "import", "accuracies", str(data / "nb201.parquet"), "--space", "nasbench201", "--dataset",
         "cifar10", "--arch-column", "arch_str", "--accuracy-column", "cifar10_test_200")  # fmt: skip
    programs = pl.read_csv(
        zcsr(store, "query", "SELECT name FROM named_programs ORDER BY name", "--format", "csv").encode()
    )["name"].to_list()
    named = (word for name in programs for word in ("--program", name))
    zcsr(store, "test", "--task", "nasbench201:cifar10", *named, "--proxy", "params", "--sample", "50")
    answers = {}
    for name in query_names():
        for run in RUNS if re.search(r"\$run\b", queries.load(name).sql) else ("",):
            flags = ("--parameter", f"run={run}") if run else ()
            answers[f"query {name} {run}".strip()] = zcsr(store, "query", name, *flags, "--format", "csv")
    for name in TABLES:
        answers[f"table {name}"] = zcsr(store, "query", f"SELECT * FROM {name} ORDER BY ALL", "--format", "csv")
    kept = {name: without_times(text) for name, text in answers.items()}
    if rows:
        rows.mkdir(parents=True, exist_ok=True)
        for name, text in kept.items():
            (rows / f"{name.replace(' ', '-')}.csv").write_text(text, encoding="utf-8")
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in kept.items()}


def query_names() -> list[str]:
    """The queries that come with zcsr, but for those that are about times alone."""
    return [name for name in queries.names() if name not in ("timings", "footprint")]


def without_times(text: str) -> str:
    """A table in CSV without its columns of times."""
    if not text.strip():
        return text
    frame = pl.read_csv(text.encode(), infer_schema=False)
    return frame.select([name for name in frame.columns if name not in MEASURED]).write_csv()


def zcsr(store: Path, *words: str) -> str:
    """What a command printed."""
    done = subprocess.run(
        [str(ZCSR), *words, "--store", str(store)],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("ZCSR_")},
    )
    if done.returncode:
        sys.exit(f"zcsr {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
