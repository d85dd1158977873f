"""The documents: every command in them is one that zcsr has, the tutorial runs, and the reference is complete."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from commands import forked

from zcsr import queries
from zcsr.cli.app import app
from zcsr.language.named_programs import named_programs
from zcsr.language.operations import OPERATIONS
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.networks.patterns import PATTERNS
from zcsr.proxies import proxy_names
from zcsr.spaces import get_space, space_names
from zcsr.store import Store, connect
from zcsr.store.sql.functions import AGGREGATES, CHOICES, FUNCTIONS
from zcsr.store.tables.declarations import SEEN

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = sorted((*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "zcsr/data/README.md"))
WITH_WORKERS = ("evolve", "collect", "test", "train", "explain")

_BLOCK = re.compile(r"^(?P<mark><!-- tested -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_HEREDOC = re.compile(r"<<'(\w+)'")
_ZCSR = re.compile(r"^(?P<settings>(?:\w+=\S+ )*)(?P<command>zcsr\b.*?)(?P<rest> [|>] .*)?$", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    tested: bool


@dataclass(frozen=True)
class Ran:
    """A command of the tutorial, and what it printed."""

    line: str
    out: str
    err: str


def blocks(document: Path) -> list[Block]:
    found = _BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [Block(one["language"], one["text"], one["mark"] is not None) for one in found]


def statements(script: str) -> Iterator[str]:
    """The commands of a script: joined where a quote is open, a line is continued, or a here-document follows."""
    gathered: list[str] = []
    until = None
    for line in script.splitlines():
        gathered.append(line)
        if until is not None:
            if line != until:
                continue
        elif heredoc := _HEREDOC.search(line):
            until = heredoc[1]
            continue
        elif line.endswith("\\") or _open("\n".join(gathered)):
            continue
        text, gathered, until = "\n".join(gathered).strip(), [], None
        if text and not text.startswith("#"):
            yield text
    assert not gathered, f"the script ends inside of a command: {gathered}"


def _open(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


# Commands that exist ---------------------------------------------------------------------------------------------


def shell_commands(document: Path) -> list[str]:
    scripts = (block.text for block in blocks(document) if block.language == "sh")
    return [line for script in scripts for line in statements(script)]


DOCUMENTED = {
    f"{document.stem}: {line}": found["command"]
    for document in DOCUMENTS
    for line in shell_commands(document)
    if (found := _ZCSR.match(line.removeprefix(".venv/bin/")))
}


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, one in inner.items():
        yield from walk(one, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


@pytest.mark.parametrize("command_line", DOCUMENTED.values(), ids=[key[:60] for key in DOCUMENTED])
def test_every_command_in_the_documents_exists_with_its_options(command_line: str) -> None:
    words = shlex.split(command_line.replace("\\\n", " "), comments=True)[1:]
    if words == ["--version"]:
        return
    path = next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)
    assert path, f"no such command: {words}"
    command = COMMANDS[path]
    given = words[len(path) :]
    if "--help" in given:
        return
    with command.make_context("zcsr", given) as context:  # parses, checks and converts; runs nothing
        assert context.args == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_the_prose_mentions_exists(document: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for mentioned in re.findall(r"`(zcsr [a-z][^`]*)`", prose):
        words = mentioned.split()[1:]
        path = next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)
        group = any(path[0] == words[0] and len(path) > 1 for path in COMMANDS)
        assert path or group, mentioned
        known = {option for parameter in COMMANDS[path].params for option in parameter.opts} if path else set()
        assert {word for word in words if word.startswith("-")} <= known | {"--help"}, mentioned


def test_the_documents_show_many_commands() -> None:
    shown = {command_line.split()[1] for command_line in DOCUMENTED.values()}
    assert {"evolve", "query", "train", "test", "search", "explain", "export", "score", "import", "report"} <= shown


def test_a_command_that_does_not_exist_would_be_found() -> None:
    command = COMMANDS[("evolve",)]
    with pytest.raises(Exception, match="--generation"):
        command.make_context("zcsr", ["--generation-count", "3"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    subprocess.run([sys.executable, str(DOCS / "site.py")], check=True, timeout=60)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    index = json.loads((tmp_path / "site" / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert len({page["location"].partition("#")[0] for page in index["docs"]}) > 15
    assert "zcsr.score" in (tmp_path / "site" / "docs" / "api" / "index.html").read_text(encoding="utf-8")


def test_results_name_every_published_report() -> None:
    reports = {path.name for path in (ROOT / "reports" / "published").glob("*.md")}
    linked = re.findall(r"reports/published/([\w.-]+\.md)", (DOCS / "results.md").read_text(encoding="utf-8"))
    assert set(linked) == reports


def test_the_picture_is_of_the_panel_and_loads_nothing() -> None:
    picture = (DOCS / "pictures" / "evolve.svg").read_text(encoding="utf-8")
    assert "generation" in picture
    assert not re.search(r"url\(\s*[\"']?http|<script|<image", picture)


# The reference is complete ---------------------------------------------------------------------------------------


def sections(text: str, level: int) -> dict[str, str]:
    """What stands under each heading of a level."""
    parts = re.split(rf"^{'#' * level} (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


REFERENCE = sections((DOCS / "reference.md").read_text(encoding="utf-8"), 2)


def cells(text: str) -> list[list[str]]:
    """The rows of the tables in a text whose first cell is code, without the marks of that one."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [[row[0].strip("`"), *row[1:]] for row in rows]


def names(section: str) -> list[str]:
    rows = cells(REFERENCE[section])
    assert all(row[1] for row in rows)
    return [row[0] for row in rows]


def test_the_reference_is_what_the_code_declares() -> None:
    written = runpy.run_path(str(DOCS / "reference.py"))["reference"]()
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == written, "`make reference` writes it anew"


def test_the_reference_has_every_command() -> None:
    assert sorted(names("Commands")) == sorted(f"zcsr {' '.join(path)}" for path in COMMANDS)


def test_the_reference_has_every_operation_with_its_arguments() -> None:
    documented = [(row[0], len(row[1].split(", "))) for row in cells(REFERENCE["Operations"])]
    assert documented == [(operation.name, operation.arity) for operation in OPERATIONS]
    assert len(documented) == 34


def test_the_reference_has_every_tensor() -> None:
    assert names("Tensors") == [*PATTERNS, *TENSOR_NAMES]
    assert len(TENSOR_NAMES) == 22


def test_the_reference_has_every_proxy_and_named_program() -> None:
    assert names("Known proxies") == list(proxy_names())
    documented = [(row[0], row[1].strip("`")) for row in cells(REFERENCE["Programs with a name"])]
    assert documented == [(named.name, str(named.program)) for named in named_programs()]


def test_the_reference_has_every_query_with_its_parameters() -> None:
    documented = {row[0]: re.findall(r"`(\w+)`", row[2]) for row in cells(REFERENCE["Queries"])}
    assert documented == {
        name: [parameter.name for parameter in queries.load(name).parameters] for name in queries.names()
    }
    assert all(row[1] for row in cells(REFERENCE["Queries"]))


def test_the_reference_has_every_function() -> None:
    documented = {row[0]: row[1].split(":")[0].count(",") + 1 for row in cells(REFERENCE["SQL functions"])}
    in_python = {call.__name__: len(signature(call).parameters) for call in FUNCTIONS}
    assert documented == in_python | dict.fromkeys(AGGREGATES, 3) | dict.fromkeys(CHOICES, 1)


def test_the_reference_has_every_table_with_its_columns_and_types(tmp_path: Path) -> None:
    tables = sections(REFERENCE["Tables"], 3)
    documented = {name: [tuple(row[:2]) for row in cells(text)] for name, text in tables.items()}
    with connect(Store.open(tmp_path / "store", create=True)) as connection:
        shown = [name for (name,) in connection.frame("SHOW TABLES").rows()]
        actual = {name: [row[:2] for row in connection.frame(f"DESCRIBE {name}").rows()] for name in shown}
    assert documented == actual
    assert set(actual) == {table.name for table in SEEN}
    assert all(row[2] for text in tables.values() for row in cells(text))
    assert all(text.split("\n\n")[1].endswith(".") for text in tables.values())


def test_the_reference_has_every_exit_code() -> None:
    documented = re.findall(r"^\| (\d+) \|", REFERENCE["Exit codes"], re.MULTILINE)
    readme = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == readme == ["0", "1", "2", "3", "130"]


# The tutorial runs -----------------------------------------------------------------------------------------------


class Shell:
    """Runs the lines of a script as a user's shell does: each is a process, which knows the environment alone.

    Those of `zcsr` are forked from one that has imported what is heavy and has run nothing, to save doing it again;
    they have one worker.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.store = store
        self.ran: list[Ran] = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "ZCSR_STORE": str(store)}

    def run(self, line: str) -> None:
        if match := _ZCSR.match(line):
            self._zcsr(line, match)
        elif line.startswith("cd "):
            self.folder = self.folder / shlex.split(line)[1]
        else:
            self.ran.append(Ran(line, *self._bash(line)))

    def _zcsr(self, line: str, match: re.Match[str]) -> None:
        words = self._bash(f"printf '%s\\0' {match['command']}")[0].split("\0")[:-1]
        settings = dict(setting.split("=", 1) for setting in match["settings"].split())
        if words[1] in WITH_WORKERS:
            words += ["--workers", "1"]
        done = forked(words, self.folder, self._environment | settings)
        assert done.code == 0, f"{line}: {done.err}"
        self.ran.append(Ran(line, done.out, done.err))
        if match["rest"]:
            self._bash(f"cat {match['rest']}", done.out)

    def _bash(self, line: str, given: str = "") -> tuple[str, str]:
        done = subprocess.run(
            ["bash", "-c", f"set -eu -o pipefail\n{line}"],
            cwd=self.folder,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout, done.stderr

    def said(self, start: str) -> str:
        """What the first command that begins so printed."""
        return next(ran.out for ran in self.ran if ran.line.startswith(start))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The shell after the tested blocks of the tutorial, in order, in a folder with a copy of `docs`."""
    folder = tmp_path_factory.mktemp("tutorial")
    shutil.copytree(DOCS, folder / "docs")
    shell = Shell(folder, folder / "zcsr-store")
    for block in blocks(DOCS / "tutorial.md"):
        if block.language == "sh" and block.tested:
            for line in statements(block.text):
                shell.run(line)
    return shell


@pytest.mark.slow
def test_the_tutorial_runs_and_each_step_leaves_what_it_says(tutorial: Shell) -> None:
    folder, store = tutorial.folder, tutorial.store
    assert folder.name == "my_space"
    assert (store / "reports" / "small.md").is_file()
    assert (store / "reports" / "tiny.md").is_file()
    assert "tiny" in tutorial.said("zcsr spaces")
    assert "12 trainings" in next(ran.err for ran in tutorial.ran if ran.line.startswith("zcsr train"))
    text = (folder / "best.txt").read_text(encoding="utf-8").strip()
    assert "chosen" in tutorial.said("zcsr query finalists -p run=tiny")
    assert text in tutorial.said("zcsr test").replace("\n", " ")
    assert len(list((folder / "explained").glob("*.md"))) == 1
    assert {path.name for path in folder.glob("best.*")} == {"best.txt", "best.py", "best.json", "best.svg"}
    assert (store / "searches" / "first" / "steps.parquet").is_file()
    assert len(pl.read_csv(folder.parent / "gradients.csv")) > 10
    float(tutorial.said("python -c"))  # the exported proxy, without zcsr


def test_the_architectures_shown_are_those_of_every_space() -> None:
    text = (DOCS / "spaces.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^## (.*?)\n\n```text\n(.*?)\n```", text, re.MULTILINE | re.DOTALL))
    named = {heading: re.findall(r"`([\w-]+)`", heading) for heading in shown}
    for heading, arch in shown.items():
        space = get_space(named[heading][0])
        assert space.arch(space.index(arch)) == arch
    families = {f"{name.removeprefix('nds-')}-mini" for name in space_names() if name.startswith("nds-")}
    named_outright = {name for names in named.values() for name in names}
    assert set(space_names()) <= named_outright | families


def test_the_example_of_one_network_with_two_strings_prints_what_is_said() -> None:
    (example,) = [one.text for one in blocks(DOCS / "own_space.md") if one.language == "python" and one.tested]
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=120, check=True)
    assert f"prints `{done.stdout.strip()}`" in (DOCS / "own_space.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_of_the_store_read_what_zcsr_reads(tutorial: Shell) -> None:
    examples = [one.text for one in blocks(DOCS / "store.md") if one.language == "python"]
    assert all(one.tested for one in blocks(DOCS / "store.md") if one.language == "python")
    counts = 'print("counts", len(summaries), len(scores), len(population), len(best), len(gradients), len(ranks))'
    program = "\n".join([*examples, counts])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "ZCSR_STORE": str(tutorial.store)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sql = """
        SELECT (SELECT count(*) FROM summaries), (SELECT count(*) FROM network_scores),
            (SELECT count(*) FROM individuals WHERE run = 'tiny'), (SELECT count(DISTINCT text) FROM individuals),
            (SELECT count(DISTINCT (space, layer)) FROM summaries),
            (SELECT count(DISTINCT (collection, text)) FROM network_scores)"""
    with connect(Store.open(tutorial.store)) as connection:
        expected = connection.frame(sql).row(0)
    assert min(expected) > 0
    assert done.stdout.splitlines()[-1] == "counts " + " ".join(map(str, expected))


def documented_files(layout: str) -> Iterator[str]:
    """The paths of a layout, which indents what is in a folder by four and ends the names of folders by a slash."""
    folders: list[str] = []
    for line in layout.splitlines():
        name = line.split()[0]
        del folders[(len(line) - len(line.lstrip())) // 4 :]
        if name.endswith("/"):
            folders.append(name)
        else:
            yield "".join([*folders, name])


@pytest.mark.slow
def test_the_layout_of_the_store_is_the_documented_one(tutorial: Shell) -> None:
    layout = next(one.text for one in blocks(DOCS / "store.md") if one.language == "text")
    patterns = [re.sub("<[^>]*>", "[^/]+", re.escape(path)) for path in documented_files(layout)]
    found = [path.relative_to(tutorial.store).as_posix() for path in tutorial.store.rglob("*") if path.is_file()]
    files = [path for path in found if not path.startswith("reports/") and not path.endswith("/.lock")]
    sums = {path for path in files if path.endswith(".sum")}
    kept = [path for path in files if path not in sums]
    assert sums == {re.sub(r"([^/]+)$", r".\1.sum", path) for path in kept if path != "index.duckdb"}
    unknown = [path for path in kept if not any(re.fullmatch(pattern, path) for pattern in patterns)]
    assert unknown == []
    unused = [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in kept)]
    # The tutorial imports no scores, and breeds nothing but trees of the larger language.
    proxy_scores, genotypes, *_ = unused
    assert "proxy_scores" in proxy_scores
    assert "genotypes" in genotypes
    assert json.loads((tutorial.store / "manifest.json").read_text(encoding="utf-8"))["schema"] == 1
