"""What docs/python.md and the notebook show runs as they show it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_TESTED = re.compile(r"<!-- tested -->\n```python\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.slow


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a user's script; it must succeed."""
    path = folder / "shown.py"
    path.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_examples_in_python_run(tmp_path: Path) -> None:
    examples = _TESTED.findall((DOCS / "python.md").read_text(encoding="utf-8"))
    assert len(examples) == 7
    (readme,) = re.findall(
        r"## In Python\n\n```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert "generations=5)" in readme
    small = "generations=1, population=8, columns=4, max_depth=2, networks_per_task=20, test_networks=4, workers=1)"
    done = run("\n".join([readme.replace("generations=5)", small), *examples]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"my-store", "front.svg", "tree.svg", "proxy.py"}
    *_, last = done.stdout.splitlines()
    assert last == "Search(run='first', finished, 3 generations)"


def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = json.loads((DOCS / "first_search.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    done = run("\n".join([*cells, "print(search, search.best_, sep='\\n')"]), tmp_path)
    assert done.stderr == ""
    state, best = done.stdout.splitlines()
    assert re.fullmatch(r"Search\(run='[\w-]+', finished, 3 generations\)", state)
    shown = [text for cell in notebook["cells"] for text in _shown(cell)]
    assert any("finished, 2 generations" in text for text in shown), "the notebook is stored without its outputs"
    assert best


def _shown(cell: dict[str, object]) -> list[str]:
    outputs = cell.get("outputs", [])
    assert isinstance(outputs, list)
    return ["".join(one.get("data", {}).get("text/plain", "")) for one in outputs]
