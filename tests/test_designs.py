"""The benchmark of searches on a tiny budget: that its table is what the runs in the store say."""

from __future__ import annotations

from pathlib import Path

import designs
import pytest

from zcsr.store.jobs.experiment import Experiment, TaskRequest
from zcsr.store.kept.images import install_missing
from zcsr.store.kept.store import Store


@pytest.mark.slow
def test_runs_are_made_once_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"networks_per_task": 40, "population": 6, "mu": 4, "lambda_": 8, "columns": 6, "formulas": 1}
    monkeypatch.setattr(designs, "ROWS", {"default": small, "design lexicase": {**small, "design": "lexicase"}})
    monkeypatch.setattr(
        designs,
        "embedded_requests",
        lambda store: [TaskRequest("nasbench201-mini", "fashion-mnist", "fashion-mnist")],
    )
    store = Store.open(tmp_path / "store", create=True)
    install_missing(store, [("nasbench201-mini", "fashion-mnist")])
    words = ["--store", str(store.root), "--seeds", "3", "--generations", "2", "--workers", "1"]
    words += ["--rows", "default", "design lexicase"]
    tables = []
    for _ in range(2):
        assert designs.main(words) == 0
        tables.append(capsys.readouterr().out.splitlines())
    assert tables[0] == tables[1]  # seconds too, as nothing was searched again
    assert [line.split(" | ")[0] for line in tables[0][2:]] == ["| default", "| design lexicase"]
    experiment = Experiment.resume(store, "design-lexicase-3", workers=1)
    assert experiment.run.info().config.design == "lexicase"
    assert experiment.run.test_scores().is_empty()
    cells = tables[0][2].split(" | ")
    assert (float(cells[1]) + float(cells[2])) / 2 == pytest.approx(float(cells[3]), abs=2e-3)
