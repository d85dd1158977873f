"""What every engine of workers must do, and what its processes leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from working import State, add, broken, die, refuse, sleep, slow_first, spaces, ten, threads, who

from zcsr.engine.job import run_job
from zcsr.engine.workers import ENGINES, Workers, mapped, open_workers
from zcsr.errors import InputError, ZcsrError
from zcsr.spaces import SpaceFile, space_files, use_space_files

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

SPACE = """
from torch import nn
from zcsr.spaces import DatasetShape, ListedSpace

SPACE = ListedSpace("known-to-workers", ["a", "b"], lambda *_: nn.Identity(), {"d": DatasetShape(2, 3, 8, 8)})
"""


@pytest.fixture(scope="module", params=ENGINES)
def pool(request: pytest.FixtureRequest) -> Iterator[Workers[State]]:
    before = space_files()
    use_space_files([SpaceFile("/nowhere/space.py", SPACE.encode())])
    with open_workers(2, State, request.param) as opened:
        list(opened.map(spaces, [0]))
        yield opened
    use_space_files(before)


def test_results_come_in_the_order_of_the_items(pool: Workers[State]) -> None:
    assert list(pool.map(slow_first, range(12))) == list(range(12))
    assert list(pool.map(slow_first, [])) == []


def test_items_are_drawn_as_results_are_taken(pool: Workers[State]) -> None:
    drawn = []

    def items() -> Iterator[int]:
        for item in range(100):
            drawn.append(item)
            yield item

    results = pool.map(slow_first, items())
    assert drawn == []
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(drawn) < 12


def test_a_worker_is_set_up_once(pool: Workers[State]) -> None:
    seen = [*pool.map(who, range(10)), *pool.map(who, range(10))]
    makes = {made for made, _ in seen}
    assert len(makes) == len({process for process, _ in makes}) <= 2
    assert sum(max(asked for made, asked in seen if made == one) for one in makes) == 20


def test_torch_computes_with_one_thread(pool: Workers[State]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert list(pool.map(threads, range(3))) == [1, 1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_space_files_are_known(pool: Workers[State]) -> None:
    assert all("known-to-workers" in names for names in pool.map(spaces, range(4)))


def test_an_exception_is_raised_where_its_result_would_be_taken(pool: Workers[State]) -> None:
    results = pool.map(refuse, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match="two is refused"):
        next(results)
    assert list(pool.map(refuse, [3, 4])) == [3, 4]  # the workers go on


@EACH_ENGINE
def test_a_set_up_that_fails_is_an_error(engine: str) -> None:
    with pytest.raises(ZcsrError), open_workers(2, broken, engine) as pool:
        list(pool.map(refuse, [1]))


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "here"])
def test_a_worker_that_dies_is_one_clear_error(engine: str) -> None:
    with (
        pytest.raises(ZcsrError, match=r"a worker process died, .*fewer --workers"),
        open_workers(2, State, engine) as pool,
    ):
        list(pool.map(die, range(4)))


@EACH_ENGINE
def test_ctrl_c_ends_the_wait(engine: str) -> None:
    def press() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    def wait(pool: Workers[State]) -> None:
        with pool:
            assert list(pool.map(sleep, [0.0])) == [0.0]
            threading.Thread(target=press).start()
            list(pool.map(sleep, [300.0] * 8))

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait(open_workers(2, State, engine))
    assert time.monotonic() - started < 200


@pytest.mark.parametrize("count", [0, -1])
def test_there_is_one_worker_at_least(count: int) -> None:
    with pytest.raises(InputError, match=f"workers must be at least 1, not {count}"):
        open_workers(count, State)


@pytest.mark.parametrize(("count", "engine"), [(1, "here"), (2, "processes")])
def test_one_worker_is_this_process(count: int, engine: str) -> None:
    assert type(open_workers(count, State)) is type(open_workers(count, State, engine))


SILENT = """
import gc
from zcsr.engine.workers import open_workers

def setup():
    import duckdb  # which reports, as the process ends, whatever of it was not freed

    duckdb.connect().execute("SELECT 1").fetchall()

def frozen(_, item):
    return gc.get_freeze_count() > 0

if __name__ == "__main__":
    with open_workers(2, setup) as pool:
        print(list(pool.map(frozen, range(4))))
"""


def test_workers_end_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text(SILENT, encoding="utf-8")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=True)
    assert (ended.stdout, ended.stderr) == ("[True, True, True, True]\n", "")


# Jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_computes_what_is_missing_and_writes_it_together() -> None:
    written: list[list[int]] = []
    told: list[tuple[int, int]] = []
    report = run_job(
        range(7),
        {0, 3},
        lambda missing: mapped(1, ten, add, missing),
        lambda results: written.append(list(results)),
        together=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert written == [[11, 12], [14, 15], [16]]
    assert told == [(done, 7) for done in range(2, 8)]
    assert (report.done, report.already, report.bytes) == (5, 2, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_what_a_job_holds_is_written_when_it_is_stopped(error: type[BaseException]) -> None:
    written: list[int] = []

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise error

    with pytest.raises(error):
        run_job(
            range(9), (), lambda missing: mapped(1, ten, add, missing), written.extend, together=3, progress=stop
        )
    assert written == [10, 11, 12, 13]
