"""Long comparisons with published numbers and plain ways, which need not run twice on the same sources.

A test marked `oracle(room, ...)` looks at these rooms of zcsr. Once it has passed, it is left out, and said to be,
until a source of theirs, of the tests' own or a pinned version changes. A fresh clone runs all; so does
`--cache-clear`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Leave out what has passed on the same sources."""
    for item in items:
        if config.cache is not None and config.cache.get(_key(item), "") == (now := digest(item)) != "":
            item.add_marker(
                pytest.mark.skip(reason=f"passed on the same sources before ({now[:8]}); --cache-clear")
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    """Remember what has passed."""
    report = yield
    now = digest(item) if report.when == "call" and report.passed else ""
    if now and item.config.cache is not None:
        item.config.cache.set(_key(item), now)
    return report


def digest(item: pytest.Item) -> str:
    """What the result of a marked test depends on, as a hash; empty for one that is not marked."""
    marker = item.get_closest_marker("oracle")
    if marker is None:
        return ""
    zcsr = ROOT / "zcsr"
    rooms = (path for room in marker.args for path in (zcsr / room).rglob("*.py"))
    shared = (ROOT / "constraints.txt", *ROOT.glob("tests/*.py"), *ROOT.glob("benchmarks/*.py"))
    found = hashlib.sha256(repr(sorted(marker.args)).encode())
    for path in sorted({item.path, *zcsr.glob("*.py"), *rooms, *shared}):
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _key(item: pytest.Item) -> str:
    return f"oracles/{hashlib.sha256(item.nodeid.encode()).hexdigest()[:16]}"
