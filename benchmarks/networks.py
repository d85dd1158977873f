"""Published networks as people write them, scored at 224 pixels: instances, scores, CPU time and memory.

    python benchmarks/networks.py

Each is scored by `zcsr score` in a process of its own, which loads torch as well; the table is markdown.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "networks"
PROGRAMS = ("sign-rank", "sum(effective_rank(channels(T4_N)))")
SHAPE = "3x224x224"
HEADER = ("network", "parameters", "instances", *(f"`{program}`" for program in PROGRAMS), "CPU s", "peak MB")


def parameters(file: Path) -> int:
    """The number of parameters of the network that a file builds."""
    found = importlib.util.spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return sum(parameter.numel() for parameter in module.build().parameters())


def scored(file: Path) -> tuple[list[dict[str, str]], float, float]:
    """The rows of `zcsr score`, and the CPU seconds and megabytes that it took."""
    measures = [word for program in PROGRAMS for word in ("-p", program)]
    words = ["score", f"{file}:build", "--shape", SHAPE, "--pattern", "auto", "-f", "csv", *measures]
    code = "from zcsr.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    rows = list(csv.DictReader(process.stdout))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{file.name} is not scored: zcsr score ends with {process.returncode}")
    return rows, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    print(f"| {' | '.join(HEADER)} |")
    print(f"| --- |{' ---: |' * (len(HEADER) - 1)}")
    for file in sorted(FOLDER.glob("*.py")):
        rows, seconds, megabytes = scored(file)
        scores = [f"{float(row['score']):,.1f}" for row in rows]
        cells = (
            file.stem,
            f"{parameters(file):,}",
            rows[0]["instances"],
            *scores,
            f"{seconds:.1f}",
            f"{megabytes:.0f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
