"""Fixtures that more than one test module uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from zcsr.store import Store

pytest_plugins = ["oracles"]

# Small tensors are slower with more threads, and a busy machine must not make property tests fail by the clock.
torch.set_num_threads(1)
settings.register_profile("zcsr", deadline=None)
settings.load_profile("zcsr")

# Whoever runs the tests may have a store and spaces of their own.
for name in ("ZCSR_STORE", "ZCSR_SPACES"):
    os.environ.pop(name, None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store of the test's own."""
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture(scope="module")
def few_samples() -> Iterator[None]:
    """Fewer bootstrap samples than users get: what they give is tested beside the function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zcsr.store.sql.functions.REPEATS", 60)
        yield


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real measurements beside the project's root; tests that need it skip without it."""
    if not (SHARED / "data" / "nb201.parquet").exists():
        pytest.skip("needs the folder ../shared with the real accuracy tables")
    return SHARED
