"""The site on a store: what it answers, that it only reads, for this machine alone, and that figures appear."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import store_samples as samples
from browsers import opened

from zcsr.errors import InputError
from zcsr.store import Store, connect

pytest.importorskip("starlette", reason="needs the extra ui")
pytest.importorskip("altair", reason="needs the extra ui")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    filled = samples.store_of_front(tmp_path_factory.mktemp("ui") / "store")
    samples.write_run(filled, "first")
    with connect(filled):
        return filled


@pytest.fixture(scope="module")
def site(store: Store) -> Iterator[str]:
    command = [str(Path(sys.executable).parent / "zcsr"), "ui", "--port", "0", "--no-browser"]
    environment = {**os.environ, "ZCSR_STORE": str(store.root)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as ui:
        assert ui.stdout is not None
        yield ui.stdout.readline().strip()
        ui.send_signal(signal.SIGINT)
        _, said = ui.communicate(timeout=30)
        assert ui.returncode == 130
        assert "Traceback" not in said


def answered(address: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Host": host} if host else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_every_page_answers(site: str) -> None:
    for path, said in {
        "": '<a href="/runs/front">front</a>',
        "runs/front": "Beside what is known",
        "runs/front/charts": '"hconcat"',
        "runs/first": "Best programs",
        "compare?run=front&run=first": "Outcomes",
        "scores": "Nothing is scored apart from runs yet",
        "sql": "Run, read-only",
        "sql?q=" + urllib.parse.quote("SELECT 6 * 7 AS answer"): ">42<",
    }.items():
        code, text = answered(site + path)
        assert code == 200, (path, text)
        assert said in text, path


def test_what_cannot_be_shown_is_said_on_the_page(site: str) -> None:
    for path, said in {
        "runs/nope": "no run named",
        "compare": "choose runs to compare",
        "sql?q=" + urllib.parse.quote("DROP TABLE runs"): "DROP would write",
        "sql?q=" + urllib.parse.quote("FROM read_csv('/etc/passwd')"): 'class="problem"',
        "sql?q=" + urllib.parse.quote("SELECT '<script>' FROM nothing"): "nothing",
    }.items():
        code, text = answered(site + path)
        assert (code, said in text) == (400, True), (path, text)
        assert "<script>' FROM" not in text
        assert "root:" not in text


def test_it_reads_alone_and_answers_this_machine_alone(site: str, store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    assert site.startswith("http://127.0.0.1:")
    assert answered(site, host="example.org")[0] == 400
    assert answered(site, method="POST")[0] == 405
    answered(site + "runs/front")
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == before


def test_a_port_that_is_taken_is_one_line(site: str, store: Store) -> None:
    from zcsr.reports.ui import serve

    with pytest.raises(InputError, match=r"cannot listen on port \d+: .*; name another with --port"):
        serve(store, int(site.rstrip("/").rpartition(":")[2]), print)


def test_figures_appear_in_a_browser_and_nothing_is_asked_of_others(site: str) -> None:
    with opened(site + "runs/front") as shown:
        shown.page.locator("[data-chart=fitness] svg.marks").wait_for()
        shown.page.locator("[data-chart=front] svg.marks").wait_for()
        shown.page.locator("[data-chart=front] .mark-symbol path").first.hover(force=True)
        shown.page.locator("#vg-tooltip-element.visible").wait_for()
        assert shown.said == []
        assert all(address.startswith(site) for address in shown.asked)
