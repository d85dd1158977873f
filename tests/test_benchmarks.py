"""Each benchmark on tiny inputs: that it runs, what its table looks like, and that it compares like with like."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import collecting
import evaluating
import growing
import measuring
import numpy as np
import operating
import pytest
import querying
import refusing
import rows
import run
import setting
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_samples import noise

from zcsr.evolve.config import EvolveConfig
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query

TINY = setting.Sizes(
    tasks=("nasbench201-mini:fashion-mnist", "nats-sss-mini:fashion-mnist"),
    programs=4,
    networks=3,
    repeats=1,
    config=EvolveConfig(
        language="eznas", population=4, generations=2, mu=2, lambda_=4, networks_per_task=4, draw=3
    ),
    traced=2,
    refused=3,
    agreement=60,
    collected=2,
    resident=3,
    sql_networks=60,
    sql_measures=3,
    stored_scores=300,
    growth=(2, 3),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> setting.Setting:
    return setting.Setting(tmp_path_factory.mktemp("benchmarks"), TINY, None, None)


@pytest.fixture(scope="module")
def report(tiny: setting.Setting) -> Callable[[str], rows.Report]:
    """What a benchmark reports, each measured once."""
    return cache(lambda name: importlib.import_module(name).measure(tiny))


SLOW = ("querying", "growing")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in run.BENCHMARKS]
)
def test_every_benchmark_measures_something(name: str, report: Callable[[str], rows.Report]) -> None:
    found = report(name)
    assert found.rows
    for row in found.rows:
        assert row.what
        assert re.search(r"\d", row.ours)
        assert row.target
        assert row.met is not None
        assert row.ratio is None or row.ratio > 0
        assert len(row.cells) == len(rows.COLUMNS)
    for table in found.tables:
        assert table.rows
        assert {len(line) for line in table.rows} == {len(table.columns)}


def test_scores_and_refusals_agree_and_nothing_is_lost(report: Callable[[str], rows.Report]) -> None:
    met = {row.what: row.met for name in ("evaluating", "refusing", "collecting") for row in report(name).rows}
    same_on_any_machine = [what for what in met if re.search("differ|Kendall", what)]
    assert len(same_on_any_machine) == 4
    assert all(met[what] for what in same_on_any_machine)


def test_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = run._page(run.measure(["correlating"], TINY, tmp_path, None, None), True, ["--out", "/somewhere/x.md"])
    header = next(line for line in page.splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "what", "reference", "ours", "ratio", "limit", "target", "verdict",
    ]  # fmt: skip
    assert "images of noise, and accuracies made from numbers of parameters" in page
    assert "/somewhere" not in page
    assert str(tmp_path) not in page
    assert "correlating" in capsys.readouterr().err


@pytest.mark.parametrize("label", operating.PLAIN)
def test_plain_lines_compute_what_the_operations_compute(label: str) -> None:
    operation = operating.labelled()[label]
    tensors = [
        torch.randn(3, 4, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (0, 1)
    ]
    plain = operating.PLAIN[label](*tensors[: operation.arity])
    expected = torch.as_tensor(plain, dtype=torch.float64)
    torch.testing.assert_close(
        operation.apply(*tensors[: operation.arity]), expected, rtol=1e-9, atol=1e-12, equal_nan=True
    )


def test_every_operation_that_the_paper_lacks_is_measured() -> None:
    assert set(operating.PLAIN) == set(operating.labelled())


def test_markdown_keeps_bars_inside_cells() -> None:
    lines = rows.markdown(("a", "b"), [("x|y", "1")]).splitlines()
    assert lines == ["| a    | b |", "| ---- | --- |", "| x\\|y | 1 |"]


@pytest.mark.parametrize(
    ("value", "text"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.5e-5, "45 us"), (3e-9, "3 ns"), (123.4, "123 s")]
)
def test_durations_take_a_unit_that_suits(value: float, text: str) -> None:
    assert rows.seconds(value) == text


def test_verdicts() -> None:
    assert [rows.Row("x", met=met).cells[-1] for met in (True, False, None)] == ["met", "missed", ""]


# --- what is compared -------------------------------------------------------------------------------------------


def test_plain_collection_has_the_tensors_of_zcsr() -> None:
    space = get_space("nasbench201-mini")
    arch = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    images = noise(4)
    ours = network_statistics(space, arch, 10, images, StatisticsConfig())
    network = collecting.untrained_network(
        SimpleNamespace(space="nasbench201-mini", classes=10, config=StatisticsConfig()),  # type: ignore[arg-type]
        images,
        arch,
    )
    plain = collecting.collect_plainly(network)
    assert len(plain) == len(ours.instances) > 0
    for theirs, instance in zip(plain, ours.instances, strict=True):
        assert set(theirs) == set(TENSOR_NAMES)
        for name in TENSOR_NAMES:
            if not name.startswith("T1G"):
                torch.testing.assert_close(theirs[name], instance.raw[name], rtol=1e-4, atol=1e-6)


def test_only_tensors_whose_values_are_needed_count_as_read() -> None:
    assert evaluating.read_tensors(parse("add(numel(T1_D), mul(T3, ones_like(T4_D)))").expression) == {"T3"}


def test_a_shared_tensor_is_read_once_and_a_difference_is_of_two(tiny: setting.Setting) -> None:
    network = tiny.load(tiny.task, tiny.archs(tiny.task, 1)[0])
    raw = [instance.raw for instance in network.instances]
    expected = sum({t.data_ptr(): t.nbytes for one in raw for t in (one["T1_P"], one["T1_D"])}.values())
    assert evaluating.bytes_read(network, frozenset({"T1_P"})) == expected


@pytest.mark.parametrize(
    ("one", "other", "good"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], True),
        ([1.0, 2.0, 3.0], [1.0, 2.0001, 3.0], True),
        ([1.0, 2.0, 3.0], [1.0, 2.1, 3.0], False),
        ([1.0, 1.00001, 3.0], [1.00001, 1.0, 3.0], False),
        ([1.0, math.nan, 3.0], [1.0, math.nan, 3.0], True),
        ([1.0, math.nan, 3.0], [1.0, 2.0, 3.0], False),
        ([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], True),
    ],
)
def test_agreement(one: list[float], other: list[float], good: bool) -> None:
    assert evaluating.agreement(np.array(one), np.array(other)).good is good


def test_programs_are_valid_and_distinct(tiny: setting.Setting) -> None:
    networks = [tiny.load(tiny.task, arch) for arch in tiny.archs(tiny.task, setting.PROBES)]
    assert len({str(program) for program in tiny.programs}) == TINY.programs
    assert all(refusing.run_until_refused(program, networks) for program in tiny.programs)


def test_a_part_of_a_network_has_its_share_of_every_shape() -> None:
    space = get_space("nasbench201-mini")
    arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    network = network_statistics(space, arch, 10, noise(4), StatisticsConfig())
    assert len(growing.part_of(network, growing.PARTS).instances) == len(network.instances)
    half = growing.part_of(network, growing.PARTS // 2)
    assert len(refusing.different_shapes(half)) == len(refusing.different_shapes(network))


def test_a_filled_store_has_the_scores_asked_for(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    stored = querying.fill(store, 250, networks=60, names=3)
    assert stored == 300  # 60 networks by 3 proxies, and the 2 that are left for a second collection
    assert query(store, "SELECT count(*) FROM network_scores").item() == stored


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_a_line_is_found_again(slope: float, intercept: float) -> None:
    x = [1.0, 2.0, 4.0, 9.0]
    line = measuring.line_through(x, [slope * value + intercept for value in x])
    assert line.slope == pytest.approx(slope, abs=1e-6)
    assert line.intercept == pytest.approx(intercept, abs=1e-6)


def test_memory_of_a_new_process_is_its_own() -> None:
    ballast = np.ones(1 << 26)  # half a gibibyte
    assert measuring.resident_peak() > ballast.nbytes
    assert measuring.apart(measuring.resident_peak) < ballast.nbytes


def test_without_real_data_images_are_noise_and_accuracies_follow_sizes(tmp_path: Path) -> None:
    made = setting.Setting(tmp_path, TINY, None, None)
    assert load_images(made.store, made.images).pixels.shape == (64, 32, 32, 3)
    arch = get_space("nasbench201").arch(5)
    assert setting.parameters("nasbench201:cifar10", arch) == 372_346  # as NATS-Bench has it
    assert made.accuracy("nasbench201:cifar10", arch) == pytest.approx(10 * math.log10(372_346))


def test_real_accuracies_are_those_of_the_table(shared: Path, tmp_path: Path) -> None:
    real = setting.Setting(tmp_path, TINY, None, shared / "data")
    best = get_space("nasbench201").arch(6111)
    assert real.accuracy("nasbench201:cifar10", best) == pytest.approx(94.373, abs=5e-4)
