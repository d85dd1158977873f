"""What a user gives a command: programs by their ids, networks by --all, names that are nearly right."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import store_samples as samples
from commands import zcsr

from zcsr.cli.given import MeasureOptions, Networks, read_program
from zcsr.errors import InputError, nearest
from zcsr.language.named_programs import find_program
from zcsr.language.text import parse
from zcsr.proxies import proxy_names
from zcsr.spaces import DatasetShape, ListedSpace, SearchSpace, get_space
from zcsr.store import Store, query

UNKNOWN = "0123456789ab"
EMBEDDED = "nasbench201-mini:fashion-mnist"
SHAPES = {"stripes": DatasetShape(classes=4, channels=1, height=16, width=16)}


def refused(*words: str, store: Path | None = None, code: int = 2) -> str:
    """The one line that a command is refused with."""
    done, out, err = zcsr(*words, store=store)
    assert (done, out, len(err.splitlines())) == (code, "", 1), err
    assert err.startswith("zcsr: ")
    return err


# Ids of programs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with programs of runs, and others that were scored apart from any run; no test changes it."""
    return samples.filled_store(tmp_path_factory.mktemp("kept") / "store")


def texts(store: Store, table: str) -> dict[str, str]:
    return dict(query(store, f"SELECT DISTINCT program, text FROM {table}").rows())


@pytest.mark.parametrize("table", ["programs", "individuals", "network_scores", "named_programs"])
def test_every_id_that_a_table_shows_stands_for_its_text(kept: Store, table: str) -> None:
    shown = texts(kept, table)
    assert shown
    for program, text in [*shown.items()][:5]:
        assert str(read_program(program, kept.root)) == text


def test_an_id_may_be_in_capitals_and_in_a_file(kept: Store, tmp_path: Path) -> None:
    program, text = next(iter(texts(kept, "network_scores").items()))
    (tmp_path / "id.txt").write_text(f"{program}\n")
    for given in (f" {program.upper()} ", f"@{tmp_path / 'id.txt'}"):
        assert zcsr("export", given, "-f", "text", store=kept.root) == (0, f"{text}\n", "")


def test_the_id_of_a_named_program_needs_no_store(tmp_path: Path) -> None:
    for name in ("eznas-a", "pnas-printed"):
        assert read_program(find_program(name).id, tmp_path / "nowhere") == find_program(name)


def test_explain_takes_an_id_and_its_report_gives_the_text(kept: Store, tmp_path: Path) -> None:
    program, text = next(iter(texts(kept, "individuals").items()))
    code, out, _ = zcsr("explain", program, "--out", str(tmp_path), store=kept.root)
    assert code == 0
    command = Path(out.strip()).read_text(encoding="utf-8")
    assert f"zcsr explain {program}" not in command
    assert f"zcsr explain '{text}'" in command


NETWORK = """from torch import nn
def build():
    layers = nn.ReLU(), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten()
    return nn.Sequential(*layers)
"""


def test_score_takes_an_id(kept: Store, tmp_path: Path) -> None:
    network = tmp_path / "net.py"
    network.write_text(NETWORK)
    program = next(one for one, text in texts(kept, "network_scores").items() if "exp" not in text)
    text = texts(kept, "network_scores")[program]
    words = ("score", f"{network}:build", "--images", "fashion-mnist", "-p", program, "-p", text, "-f", "csv")
    code, out, err = zcsr(*words, store=kept.root)
    assert code == 0, err
    by_id, by_text = pl.read_csv(io.StringIO(out)).rows()
    assert by_id[0] == program
    assert by_id[1:] == by_text[1:]


def test_score_needs_no_images_for_noise_alone(kept: Store, tmp_path: Path) -> None:
    network = tmp_path / "net.py"
    network.write_text(NETWORK)
    words = ("score", f"{network}:build", "-p", "sum(fro(T4_N)) + 2 * params", "-f", "csv")
    code, out, err = zcsr(*words, "--shape", "1x8x8", store=tmp_path / "nowhere")
    assert (code, "no images are needed" in err) == (0, True)
    sizes = ("--height", "8", "--width", "8")
    by_images = zcsr(*words, "--images", "fashion-mnist", *sizes, store=kept.root)
    assert (by_images[1], "their shape is taken" in by_images[2]) == (out, True)
    assert "give --shape CHANNELSxHEIGHTxWIDTH" in refused(*words, store=kept.root)
    assert "not '3x32'" in refused(*words, "--shape", "3x32", store=kept.root)
    assert "look at images: give --images" in refused(*words, "-p", "T1_D", "--shape", "1x28x28", store=kept.root)


@pytest.mark.parametrize(
    "words",
    [
        ["export", UNKNOWN],
        ["explain", UNKNOWN],
        ["score", "net.py:build", "--images", "fashion-mnist", "-p", UNKNOWN],
        ["test", "-p", UNKNOWN],
        ["test", "--task", EMBEDDED, "--sample", "1", "-p", UNKNOWN],
        ["search", "--task", EMBEDDED, "-p", UNKNOWN],
    ],
)
def test_an_unknown_id_is_one_line_that_says_where_it_was_looked_up(words: list[str], kept: Store) -> None:
    said = refused(*words, store=kept.root)
    assert f"no program has the id {UNKNOWN} in the store {kept.root}; " in said
    assert "`zcsr query scored_programs`" in said
    assert "did you mean" not in said


def test_without_a_store_an_id_is_not_looked_up_and_a_text_needs_none(tmp_path: Path) -> None:
    said = refused("export", UNKNOWN, store=tmp_path / "nowhere", code=3)
    assert f"cannot look up {UNKNOWN}, the id of a program: no store at {tmp_path / 'nowhere'}" in said
    assert zcsr("export", "fro(T1_D)", "-f", "text", store=tmp_path / "nowhere") == (0, "fro(T1_D)\n", "")
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_an_id_is_told_from_a_misspelt_name() -> None:
    program = parse("fro(T1_D)")
    with pytest.raises(InputError, match=f"{program.id} looks like a program's id"):
        find_program(program.id)


def test_all_stands_for_every_known_proxy() -> None:
    assert MeasureOptions(proxy=["params", "all"]).proxies() == proxy_names()
    assert MeasureOptions(proxy=["synflow", "params", "synflow"]).proxies() == ("synflow", "params")


# Networks of a space ---------------------------------------------------------------------------------------------

SPACE = ListedSpace("listed", [f"net-{number}" for number in range(7)], lambda *_: None, SHAPES)  # type: ignore[arg-type, return-value]


TRAINED = ["net-5", "net-1", "net-2"]


def chosen_archs(space: SearchSpace, ask: str, *, named: Sequence[str] | None = None, **given: Any) -> list[str]:
    return Networks(**given).archs(space, ask, lambda: TRAINED, named)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"every": True}, [0, 1, 2, 3, 4, 5, 6]),
        ({"indices": "2:5"}, [2, 3, 4]),
        ({"indices": "6:3"}, [6, 5, 4]),
        ({"named": ["net-3", "0"]}, [3, 0]),
        ({"trained": True}, [5, 1, 2]),
    ],
)
def test_networks_are_chosen_by_one_option(given: dict[str, Any], expected: list[int]) -> None:
    chosen = chosen_archs(SPACE, "say which", **given)
    assert chosen == [f"net-{number}" for number in expected]


def test_a_sample_is_the_space_s() -> None:
    chosen = chosen_archs(SPACE, "say which", sample=4, sample_seed=3)
    assert chosen == SPACE.sample(4, random.Random(3))


def test_a_sample_of_the_trained_ones_is_of_these() -> None:
    chosen = chosen_archs(SPACE, "say which", sample=2, trained=True)
    assert len(set(chosen)) == 2
    assert set(chosen) < set(TRAINED)
    with pytest.raises(InputError, match="--sample 4 is more than the 3 networks with an accuracy"):
        chosen_archs(SPACE, "say which", sample=4, trained=True)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"every": True, "sample": 2},
        {"every": True, "indices": "0:2"},
        {"sample": 2, "indices": "0:2"},
        {"every": True, "named": ["net-1"]},
        {"trained": True, "every": True},
        {"trained": True, "indices": "0:2"},
    ],
)
def test_it_is_one_option_and_no_more(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="say which"):
        chosen_archs(SPACE, "say which", **given)


def test_all_of_a_space_that_is_too_large_is_refused() -> None:
    with pytest.raises(InputError, match=r"at most 1,000,000 architectures, and nds-darts has 9\.5e\+26"):
        chosen_archs(get_space("nds-darts"), "say which", every=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["collect", "nasbench201-mini", "fashion-mnist", "--all", "--sample", "2"],
            "--sample N, --indices FIRST:END",
        ),
        (["test", "--task", EMBEDDED, "--proxy", "params", "--all", "--sample", "2"], "or --all, one of these"),
        (["test", "--task", EMBEDDED, "--proxy", "params"], "or --all, one of these"),
        (["test", "latest", "--all"], "--all and --without take a --task as well"),
        (["test", "latest", "--sample", "4"], "take a --task as well"),
        (["train", "nasbench201-mini", "fashion-mnist", "--networks", "20000"], "--networks is at most 15,625"),
    ],
)
def test_a_bad_choice_of_networks_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    assert message in refused(*words, store=tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


# The benchmark that comes with zcsr ------------------------------------------------------------------------------

COLLECT = ("collect", "nasbench201-mini", "fashion-mnist", "--arch", "0", "--workers", "1")
SEARCH = ("--budget", "4", "--repeats", "1", "--population", "3", "--tournament", "2")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["evolve", "--task", EMBEDDED, "--networks", "500", "--preset", "paper"], 2),
        (["test", "--task", EMBEDDED, "--proxy", "params", "--sample", "2", "--workers", "1"], 0),
        (["search", "--task", EMBEDDED, *SEARCH], 0),
        (COLLECT, 0),
    ],
)
def test_a_task_of_the_embedded_benchmark_brings_its_accuracies(
    words: list[str], code: int, tmp_path: Path
) -> None:
    done, _, err = zcsr(*words, store=tmp_path / "store")
    assert done == code, err
    assert err.splitlines()[0] == f"accuracies of {EMBEDDED} put into the store: they come with zcsr"
    assert ("fewer than the 500" in err) == (code == 2)
    rows = query(
        Store.open(tmp_path / "store"), "SELECT DISTINCT task, count(*) AS n FROM accuracies GROUP BY task"
    )
    assert rows.rows() == [(EMBEDDED, 400)]


def test_tensors_to_collect_are_named_or_of_an_input(tmp_path: Path) -> None:
    store = tmp_path / "store"
    held = "SELECT DISTINCT tensor FROM summaries ORDER BY ALL"
    assert zcsr(*COLLECT, "--tensor", "T1_P", "--tensor", "T3", store=store)[0] == 0
    assert query(Store.open(store), held)["tensor"].to_list() == ["T1_D", "T1_P", "T3"]
    code, _, err = zcsr(*COLLECT, "--input", "N", "--tensor", "T3", store=store)
    assert (code, "1 networks collected, 0 were there" in err) == (0, True)
    of_noise = [f"{name}_N" for name in ("T1G", "T1", "T2G", "T2", "T3G", "T4G", "T4")]
    assert query(Store.open(store), held)["tensor"].to_list() == sorted([*of_noise, "T1_D", "T1_P", "T3"])
    code, _, err = zcsr(*COLLECT, store=store)
    assert (code, "1 networks collected, 0 were there" in err) == (0, True)
    twice = "SELECT count(*) AS n FROM summaries GROUP BY arch, layer, tensor HAVING n > 1"
    assert query(Store.open(store), twice).is_empty()
    assert query(Store.open(store), held).height == 22
    assert zcsr("store", "verify", store=store)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tensor", "T4_n"], "--tensor is one of T1_D, T1_N, T1_P, T2_D,"),
        (["--tensor", "T4_n"], "did you mean 'T4_N'?"),
        (["--input", "X"], "--input is one of D, N, P, not 'X'"),
    ],
)
def test_a_tensor_that_there_is_not_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    assert message in refused(*COLLECT, *words, store=tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_accuracies_that_are_there_stay_alone(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(f"arch,accuracy\n{get_space('nasbench201-mini').arch(0)},50\n")
    words = ("--space", "nasbench201-mini", "--dataset", "fashion-mnist", "--accuracy-column", "accuracy")
    assert zcsr("import", "accuracies", str(table), *words, store=tmp_path / "store")[0] == 0
    code, _, err = zcsr(*COLLECT, store=tmp_path / "store")
    assert code == 0
    assert "put into the store" not in err
    assert query(Store.open(tmp_path / "store"), "SELECT accuracy FROM accuracies").rows() == [(50.0,)]


@pytest.mark.parametrize("words", [["test", "--proxy", "params", "--sample", "2"], ["search"]])
def test_any_other_task_makes_no_store(words: list[str], tmp_path: Path) -> None:
    said = refused(*words, "--task", "nds-darts:cifar10", store=tmp_path / "nowhere", code=3)
    assert "no store at" in said
    assert list(tmp_path.iterdir()) == []


# Names that are nearly right -------------------------------------------------------------------------------------


def test_the_nearest_name_is_suggested() -> None:
    assert nearest("sinflow", ["params", "synflow"]) == "; did you mean 'synflow'?"
    assert nearest("t1_d", ["T2G_N", "T1_D"], quoted=False) == "; did you mean T1_D?"
    names = ["eznas-a", "pnas", "eznas-b"]
    assert nearest("eznas-z", names, quoted=False, count=2) == "; did you mean eznas-b or eznas-a?"


def test_where_no_name_is_near_there_is_no_suggestion() -> None:
    assert nearest("xyzzy", ["params"]) == ""
    assert nearest("xyzzy", [], otherwise="; `zcsr proxies` lists them") == "; `zcsr proxies` lists them"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("explain", "@/dev/zero"), "cannot read a program from /dev/zero: it is no ordinary file"),
        (("explain", "@{folder}"), "it is no ordinary file"),
        (("explain", "@{folder}/pipe"), "it is no ordinary file"),
        (("explain", "@{folder}/large"), "it has more than 1,048,576 bytes"),
        (("explain", "@{folder}/bytes"), "it is no text"),
        (("evolve", "--config", "/dev/zero"), "cannot read settings from /dev/zero: it is no ordinary file"),
        (("import", "accuracies", "/dev/zero.csv", "--space", "nasbench201", "--dataset", "cifar10",
          "--accuracy-column", "a"), "there is no such file"),
    ],
)  # fmt: skip
def test_what_never_ends_is_not_read(words: Sequence[str], message: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("(" * (1 << 20) + "T1_D", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    code, _, err = zcsr(*(word.format(folder=tmp_path) for word in words), "--store", str(tmp_path / "store"))
    assert code == 2
    assert message in " ".join(err.split())
    assert len(err.splitlines()) == 1
