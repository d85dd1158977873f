"""Who may import whom, read from the sources themselves, and what may not be called anywhere."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Folder of the tree -> the package it is installed as.
PACKAGES = {
    "zcsr": "zcsr",
    "store": "zcsr.store",
    "queries": "zcsr.queries",
    "reports": "zcsr.reports",
    "api": "zcsr.api",
    "cli": "zcsr.cli",
}
ALLOWED = {
    "zcsr": {"zcsr"},
    "store": {"store", "queries", "zcsr"},
    "queries": {"queries"},
    "reports": {"reports", "store", "queries", "zcsr"},
    "cli": {"cli", "reports", "store", "queries", "zcsr"},
    "api": {"api", "cli", "reports", "store", "queries", "zcsr"},
}
# The front door and `python -m zcsr` name what lies above the domain, and load it when it is asked for.
FRONT_DOOR = {"zcsr/__init__.py": {"api", "store"}, "zcsr/__main__.py": {"cli"}}
# The rooms of a folder from the bottom up: a room knows the rows below its own, not its neighbours. Whatever else
# lies in the folder, its `__init__` included, is the top.
ROOMS = {
    "zcsr": (
        {"__version__", "data", "errors"},
        {"parameters"},
        {"ranking", "cost"},
        {"language"},
        {"spaces"},
        {"engine"},
        {"networks"},
        {"proxies"},
        {"evaluation"},
        {"sameness"},
        {"evolve", "nas"},
        {"export", "insight"},
    ),
    "store": ({"tables"}, {"kept"}, {"sql"}, {"importers"}, {"jobs"}),
    "reports": ({"toolkit"}, {"pages"}),
}
# The domain computes: tables, databases, pictures and terminals are other packages' work.
NOT_IN_CORE = {
    "duckdb",
    "polars",
    "pandas",
    "pyarrow",
    "sqlite3",
    "rich",
    "typer",
    "click",
    "matplotlib",
    "argparse",
}
# Each of these runs code that a file or a text brings along.
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "_pickle.load",
    "_pickle.loads",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "cloudpickle.load",
    "cloudpickle.loads",
    "pandas.read_pickle",
    "sympy.parse_expr",
    "sympy.parsing.sympy_parser.parse_expr",
}
UNPICKLERS = {"pickle.Unpickler", "_pickle.Unpickler", "pickle._Unpickler"}
HEAVY = ("torch", "polars", "duckdb", "sympy", "scipy", "matplotlib", "deap")


parsed = functools.cache(ast.parse)


def package_of(path: Path, root: Path = ROOT) -> str:
    """The dotted name of the package that holds the module at `path`."""
    folder, *inner = path.relative_to(root).parent.parts
    return ".".join([PACKAGES[folder], *inner])


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that a `from ... import` reads, relative or not."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join(parents + ([node.module] if node.module else []))


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Every name that `tree` imports, as absolute dotted names, wherever the import stands.

    `from a import b` gives `a.b`, since b may be a module of its own.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{absolute(node, package)}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func, {}) in {"importlib.import_module", "import_module"}:
            yield from literal_module(node, package)


def literal_module(call: ast.Call, package: str) -> Iterator[str]:
    """The module that `import_module("literal")` names; a computed name gives nothing."""
    if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
        name = call.args[0].value
        level = len(name) - len(name.lstrip("."))
        yield absolute(ast.ImportFrom(module=name.lstrip("."), names=[], level=level), package)


def owner(name: str) -> str | None:
    """The folder of the tree that a dotted name belongs to, or None for other people's packages."""
    matches = [folder for folder, package in PACKAGES.items() if f"{name}.".startswith(f"{package}.")]
    return max(matches, key=lambda folder: len(PACKAGES[folder]), default=None)


def dotted(node: ast.expr, aliases: dict[str, str]) -> str:
    """The dotted name of an expression such as `p.loads`, with local names put back to what they stand for."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, aliases)}.{node.attr}"
    return ""


def local_names(tree: ast.AST, package: str) -> dict[str, str]:
    """What each imported local name stands for: {"p": "pickle"} after `import pickle as p`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node, package)
            names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
    return names


def wrong_directions(text: str, folder: str, package: str) -> list[str]:
    """The imports in `text` that the module's folder is not allowed."""
    tree = parsed(text)
    return [
        name
        for name in imported(tree, package)
        if ((home := owner(name)) is not None and home not in ALLOWED[folder])
        or name.split(".")[0] in {"store", "queries", "cli", "reports", "api"}
    ]


def room_of(name: str) -> tuple[str, str] | None:
    """The folder that a dotted name belongs to and the room in it, "" for the top; None for other packages."""
    folder = owner(name)
    if folder is None:
        return None
    room = name.removeprefix(PACKAGES[folder]).lstrip(".").split(".")[0]
    return folder, room if any(room in row for row in ROOMS.get(folder, ())) else ""


def level(folder: str, room: str) -> int:
    """How high a room of a folder lies; the top is above all."""
    rows = ROOMS.get(folder, ())
    return next((number for number, row in enumerate(rows) if room in row), len(rows))


def climbs(text: str, package: str, module: str) -> list[str]:
    """The imports in the `text` of a module from rooms of its folder that are not below its own."""
    folder, room = room_of(f"{package}.{module}") or ("", "")
    homes = ((name, room_of(name)) for name in imported(parsed(text), package))
    return [
        name
        for name, home in homes
        if home and home[0] == folder and home[1] != room and level(*home) >= level(folder, room)
    ]


def code_runners(text: str, package: str) -> list[str]:
    """The uses in `text` of anything that would run code from a file or a text."""
    tree = parsed(text)
    aliases = local_names(tree, package)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node, aliases).removeprefix("builtins.")
            if name in FORBIDDEN_CALLS | UNPICKLERS:
                found.append(name)
        elif isinstance(node, ast.Call):
            found += unsafe_flags(node, aliases)
    return found


def unsafe_flags(call: ast.Call, aliases: dict[str, str]) -> list[str]:
    """`numpy.load(allow_pickle=True)`, and `torch.load` without the literal `weights_only=True`."""
    flags = {keyword.arg: keyword.value for keyword in call.keywords}
    found = []
    allow = flags.get("allow_pickle")
    if allow is not None and not (isinstance(allow, ast.Constant) and allow.value is False):
        found.append("allow_pickle")
    only = flags.get("weights_only")
    if dotted(call.func, aliases) == "torch.load" and not (isinstance(only, ast.Constant) and only.value is True):
        found.append("torch.load")
    return found


SOURCES = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
EACH_SOURCE = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def roots(path: Path) -> set[str]:
    """The top-level packages that a source file imports."""
    tree = parsed(path.read_text(encoding="utf-8"))
    return {name.split(".")[0] for name in imported(tree, package_of(path))}


def test_every_package_has_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(PACKAGES)


def rooms(folder: str) -> set[str]:
    """The packages in a folder of the tree."""
    return {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}


def modules(folder: str) -> set[str]:
    """The modules that lie in a folder of the tree beside its rooms."""
    return {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "__main__"}


def test_the_layout_in_contributing_names_every_room() -> None:
    layout = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Layout")[1].split("## House style")[0]
    named: dict[str, set[str]] = {}
    for outer, inner in re.findall(r"^ {4}(?:(\w+)/|  ([\w.]+/?)) ", layout, re.MULTILINE):
        if outer:
            named[outer] = set()
        else:
            named[list(named)[-1]].add(inner)
    actual = {folder: {f"{room}/" for room in rooms(folder)} for folder in (*PACKAGES, "benchmarks", "tests")}
    actual["zcsr"] |= {f"{module}.py" for module in modules("zcsr")}
    assert named == actual


def test_every_room_has_its_place_in_the_order() -> None:
    assert rooms("zcsr") | modules("zcsr") <= set().union(*ROOMS["zcsr"])
    assert {folder for folder in PACKAGES if rooms(folder)} == set(ROOMS)
    assert all(rooms(folder) <= set().union(*rows) for folder, rows in ROOMS.items())


def test_tests_mirror_the_rooms() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == (rooms("zcsr") | {"store", "queries", "reports", "cli", "api", "torture"}) - {"data"}


@EACH_SOURCE
def test_imports_point_one_way(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    named = FRONT_DOOR.get(path.relative_to(ROOT).as_posix(), set())
    wrong = wrong_directions(path.read_text(encoding="utf-8"), folder, package_of(path))
    assert [name for name in wrong if owner(name) not in named] == []


def test_no_import_climbs() -> None:
    found = {
        str(path.relative_to(ROOT)): set(climbs(path.read_text(encoding="utf-8"), package_of(path), path.stem))
        for path in SOURCES
    }
    assert {path: names for path, names in found.items() if names} == {}


@EACH_SOURCE
def test_nothing_runs_code_from_data(path: Path) -> None:
    assert code_runners(path.read_text(encoding="utf-8"), package_of(path)) == []


@pytest.mark.parametrize(("library", "home"), [("deap", ROOT / "zcsr" / "evolve"), ("duckdb", ROOT / "store")])
def test_a_library_is_known_in_one_place(library: str, home: Path) -> None:
    users = [path for path in SOURCES if library in roots(path)]
    assert [path for path in users if not path.is_relative_to(home)] == []


def test_core_has_no_tables_databases_pictures_or_terminal() -> None:
    used = {path: roots(path) & NOT_IN_CORE for path in SOURCES if path.is_relative_to(ROOT / "zcsr")}
    assert {path: names for path, names in used.items() if names} == {}


def test_queries_know_the_standard_library_only() -> None:
    used = {name for path in SOURCES if path.is_relative_to(ROOT / "queries") for name in roots(path)}
    assert used - sys.stdlib_module_names - {"zcsr"} == set()


@pytest.mark.parametrize(
    ("text", "folder", "package", "expected"),
    [
        ("import zcsr.store", "zcsr", "zcsr", ["zcsr.store"]),
        ("from zcsr import cli", "zcsr", "zcsr", ["zcsr.cli"]),
        ("from .store import Store", "zcsr", "zcsr", ["zcsr.store.Store"]),
        ("from ..reports import render_run", "zcsr", "zcsr.evolve", ["zcsr.reports.render_run"]),
        ("from . import parse\nfrom ..errors import InputError", "zcsr", "zcsr.spaces", []),
        ("def f():\n    from zcsr.cli import main", "store", "zcsr.store", ["zcsr.cli.main"]),
        ("if TYPE_CHECKING:\n    from zcsr.store import Store", "queries", "zcsr.queries", ["zcsr.store.Store"]),
        ("import importlib\nimportlib.import_module('zcsr.reports')", "store", "zcsr.store", ["zcsr.reports"]),
        ("import importlib\nimportlib.import_module('..cli', 'zcsr.store')", "store", "zcsr.store", ["zcsr.cli"]),
        ("from store import Store", "cli", "zcsr.cli", ["store.Store"]),
        ("from zcsr.storehouse import x", "zcsr", "zcsr", []),
        ("from zcsr import errors\nfrom zcsr.queries import load", "store", "zcsr.store", []),
        ("from zcsr.errors import InputError", "queries", "zcsr.queries", ["zcsr.errors.InputError"]),
    ],
)
def test_the_check_sees_a_wrong_direction(text: str, folder: str, package: str, expected: list[str]) -> None:
    assert wrong_directions(text, folder, package) == expected


@pytest.mark.parametrize(
    ("text", "module", "expected"),
    [
        ("from zcsr.proxies import proxy_names", "zcsr.language.program", ["zcsr.proxies.proxy_names"]),
        ("from zcsr.language.program import parse", "zcsr.proxies.snip", []),
        ("from .operations import BY_NAME", "zcsr.language.program", []),
        ("from .. import evolve", "zcsr.evaluation.plan", ["zcsr.evolve"]),
        ("def f():\n    from zcsr.nas import strategies", "zcsr.evolve.loop", ["zcsr.nas.strategies"]),
        ("if TYPE_CHECKING:\n    from zcsr.store import jobs", "zcsr.store.sql.index", ["zcsr.store.jobs"]),
        ("import zcsr.ranking", "zcsr.errors", ["zcsr.ranking"]),
        ("from zcsr import score", "zcsr.evaluation.plan", ["zcsr.score"]),
        ("from zcsr.store import Store", "zcsr.store.jobs.verify", ["zcsr.store.Store"]),
        ("from zcsr.evaluation.one_network import score", "zcsr.__init__", []),
        ("import zcsr.reports.run_page", "zcsr.reports.toolkit.render", ["zcsr.reports.run_page"]),
        ("from zcsr.reports.run_page import picture", "zcsr.reports.nas_page", []),
        ("from zcsr.cli.app import app", "zcsr.cli.console", []),
        ("from zcsr.nas import strategies", "zcsr.store.tables.declarations", []),
    ],
)
def test_the_check_sees_an_import_that_climbs(text: str, module: str, expected: list[str]) -> None:
    assert climbs(text, *module.rsplit(".", 1)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import pickle\npickle.load(f)", ["pickle.load"]),
        ("import pickle as p\np.loads(b'')", ["pickle.loads"]),
        ("from pickle import loads as read\nread(b'')", ["pickle.loads"]),
        ("import pickle\npickle.Unpickler(f).load()", ["pickle.Unpickler"]),
        ("import pickle\nclass Plain(pickle.Unpickler): ...", ["pickle.Unpickler"]),
        ("import pickle\npickle.dumps(1)", []),
        ("eval('1')", ["eval"]),
        ("import builtins\nbuiltins.exec('1')", ["exec"]),
        ("model.eval()", []),
        ("import torch\ntorch.load(f)", ["torch.load"]),
        ("import torch\ntorch.load(f, weights_only=True)", []),
        ("import numpy as np\nnp.load(f, allow_pickle=True)", ["allow_pickle"]),
        ("import numpy as np\nnp.load(f, allow_pickle=False)", []),
    ],
)
def test_the_check_sees_code_that_runs_data(text: str, expected: list[str]) -> None:
    assert code_runners(text, "zcsr.store") == expected


def modules_after(code: str, folder: Path) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running `code` with success."""
    report = "import sys as s; print('MODULES', *{name.split('.')[0] for name in s.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("MODULES", 1)[1].split())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], None),
        (["evolve", "--help"], None),
        (["spaces"], None),
        (["proxies"], None),
        (["evolve", "--generation", "3"], 2),
        (["evolve", "--population", "none"], 2),
        (["test", "--batch-size", "0"], 2),
        (["score"], 2),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else str(one),
)
def test_lists_and_what_is_refused_load_nothing_heavy(words: list[str], code: int | None, tmp_path: Path) -> None:
    script = f"""
import sys
from zcsr.cli import main
sys.argv = ["zcsr", *{words}]
try:
    main()
except SystemExit as stop:
    assert (stop.code or None) == {code}, stop.code
"""
    assert modules_after(script, tmp_path).isdisjoint(HEAVY)


def test_importing_zcsr_loads_nothing_heavy(tmp_path: Path) -> None:
    assert modules_after("import zcsr, zcsr.errors, zcsr.queries", tmp_path).isdisjoint({*HEAVY, "numpy"})


def test_the_declarations_of_tables_load_nothing_heavy(tmp_path: Path) -> None:
    assert modules_after("import zcsr.store.tables.declarations", tmp_path).isdisjoint(HEAVY)
