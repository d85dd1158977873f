"""Lay out what the site of the documents is built from: copies of them, where their links lead to one another.

`make docs` runs it and then `mkdocs build --strict`. Links lead from docs/ to reports and back, so the copies lie
under `build/site` as the files do in the project.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGED = ROOT / "build" / "site"
SOURCES = ROOT / "build" / "api"
"""The packages where an import finds them: the folders beside `zcsr/` are installed inside of it."""

COPIED = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt"),
    *(
        "docs/*.md",
        "docs/*.ipynb",
        "docs/pictures/*",
        "docs/own_space/*",
        "reports/published/*",
        "benchmarks/*.md",
        "zcsr/data/README.md",
    ),
)
API = """# Python

What `import zcsr` gives, and how a store is read. The command line is made of the same functions.

::: zcsr
    options:
      show_root_heading: true

::: zcsr.store
    options:
      show_root_heading: true
      members: [Store, connect, named, query, open_run, open_collection, list_collections]

::: zcsr.spaces
    options:
      show_root_heading: true
      members: [SearchSpace, DatasetShape, ListedSpace, get_space, space_names]
"""


def main() -> None:
    """Make the folder anew."""
    shutil.rmtree(STAGED, ignore_errors=True)
    for pattern in COPIED:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                target = STAGED / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    (STAGED / "docs" / "api.md").write_text(API, encoding="utf-8")
    _copy_sources()
    _write_index(STAGED / "reports" / "published", "Published reports")
    _write_index(STAGED / "docs" / "own_space", "The example of a space of one's own")

    for page in STAGED.rglob("*.md"):
        page.write_text(_with_indices(page), encoding="utf-8")


def _copy_sources() -> None:
    shutil.rmtree(SOURCES, ignore_errors=True)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-dir"
    ]
    for package, folder in packages.items():
        shutil.copytree(ROOT / folder, SOURCES / package.replace(".", "/"), dirs_exist_ok=True)


def _with_indices(page: Path) -> str:
    """The text of a page whose links to folders lead to their lists."""

    def lead(link: re.Match[str]) -> str:
        folder = page.parent / link[1]
        return f"]({link[1].rstrip('/')}/index.md)" if (folder / "index.md").is_file() else link[0]

    return re.sub(r"\]\(([\w./-]+)\)", lead, page.read_text(encoding="utf-8"))


def _write_index(folder: Path, title: str) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".md", ".py", ".csv"))
    lines = [f"- [{name.removesuffix('.md')}]({name})" for name in names]
    (folder / "index.md").write_text("\n".join([f"# {title}", "", *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
