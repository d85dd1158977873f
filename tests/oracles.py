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
_DIGEST = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Leave out what has passed on the same sources."""
    cache = getattr(config, "cache", None)  # not there with `-p no:cacheprovider`
    for item in items:
        now = item.stash[_DIGEST] = digest(item)
        if now and cache is not None and cache.get(_key(item), "") == now:
            reason = f"passed on the same sources before ({now[:8]}); --cache-clear runs it again"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    """Remember what has passed on the sources that were there before it ran."""
    report = yield
    now, cache = item.stash.get(_DIGEST, ""), getattr(item.config, "cache", None)
    if now and cache is not None and report.when == "call" and report.passed:
        cache.set(_key(item), now)
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
