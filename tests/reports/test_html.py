"""A report as one HTML file: it says what the markdown says, asks for nothing, and can be explored in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
import store_samples as samples
from browsers import opened
from commands import zcsr

from zcsr.errors import InputError
from zcsr.reports import page_of_run
from zcsr.reports.toolkit import html
from zcsr.store import Store, named

pytest.importorskip("altair", reason="needs the extra html")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return samples.store_of_front(tmp_path_factory.mktemp("html") / "store")


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    result = zcsr("report", "front", "--html", "--out", str(folder), store=store.root)
    assert result.out == f"{folder / 'front.html'}\n", result.err
    return folder / "front.html"


def test_it_is_one_file_that_names_no_place_to_load_from(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"""(src|href)=["']?(?!["']?data:|["']?#)""", markup)
    assert not re.search(r"<script[^>]+src", text)
    assert "default-src 'none'" in text
    assert "/tmp" not in text
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", text, flags=re.S)
    for said in ("Beside what is known", "Read with care", "Appendix", "How to reproduce"):
        assert said in words


def test_its_charts_have_the_rows_of_the_queries(store: Store, page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', text, re.S)[0])
    best = page_of_run(store, "front", tmp_path).best
    assert best is not None
    rows = named(store, "test_scores", {"run": "front", "program": best["program"]})
    points = [row for panel in charts["scatter"]["concat"] for row in panel["data"]["values"]]
    expected = rows.filter(pl.col("score").is_finite()).select("arch", "score", "accuracy").rows()
    assert sorted((row["arch"], row["score"], row["accuracy"]) for row in points) == sorted(expected)
    programs = {row["text"] for row in charts["front"]["hconcat"][0]["layer"][1]["data"]["values"]}
    assert programs == set(named(store, "evaluated", {"run": "front"})["text"])


def test_the_same_store_gives_the_same_bytes(store: Store, page: Path, tmp_path: Path) -> None:
    assert page_of_run(store, "front", tmp_path).write_html().read_bytes() == page.read_bytes()


def test_what_is_marked_up_in_a_name_stays_text(tmp_path: Path) -> None:
    made = html.html_page(
        "<b>", "| a |\n| --- |\n| <script>alert(1)</script> |\n", tmp_path, {"x": {"d": "</script>"}}
    )
    assert "<script>alert" not in made
    assert "<title>&lt;b&gt;</title>" in made
    assert '{"x": {"d": "\\u003c/script>"}}' in made


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(html, "import_module", missing)
    with pytest.raises(InputError, match=r"this needs vl_convert, .* pip install '\.\[html\]'"):
        html.needed("vl_convert")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_it_can_be_explored_and_asks_for_nothing(page: Path, scheme: str) -> None:
    with opened(page.as_uri(), color_scheme=scheme) as shown:
        browser = shown.page
        point = browser.locator("[data-chart=scatter] .mark-symbol path").first
        point.hover(force=True)
        tooltip = browser.locator("#vg-tooltip-element.visible")
        tooltip.wait_for()
        assert all(word in tooltip.inner_text() for word in ("architecture", "score", "accuracy"))

        table = browser.locator("table").first
        column = table.locator("th").all_inner_texts().index("rival tau")
        cells = table.locator(f"tbody tr td:nth-child({column + 1})")
        for direction, order in (("ascending", 1), ("descending", -1)):
            table.locator("th button").nth(column).click()
            values = [order * float(text.replace("−", "-")) for text in cells.all_inner_texts()]
            assert values == sorted(values)
            assert table.locator("th").nth(column).get_attribute("aria-sort") == direction

        parameters = browser.get_by_role("heading", name="Parameters")
        assert not parameters.is_visible()
        browser.locator("main > details > summary").click()
        assert parameters.is_visible()
        background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (scheme == "light")
        assert shown.said == []
        assert shown.asked == [page.as_uri()]
