"""Worker processes: what they leave behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SILENT = """
import gc
from zcsr.engine.processes import Workers

def setup():
    import duckdb  # which reports, as the process ends, whatever of it was not freed

    duckdb.connect().execute("SELECT 1").fetchall()

def frozen(_, item):
    return gc.get_freeze_count() > 0

if __name__ == "__main__":
    with Workers(2, setup) as pool:
        print(list(pool.map(frozen, range(4))))
"""


def test_workers_end_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text(SILENT, encoding="utf-8")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=True)
    assert (ended.stdout, ended.stderr) == ("[True, True, True, True]\n", "")
