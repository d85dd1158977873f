"""What the known proxies are, in words, without loading them: they load torch, of which a list needs nothing."""

from __future__ import annotations

import ast
import importlib.resources
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from zcsr.proxies import MODULES


class Listed(NamedTuple):
    """A known proxy's name, what it measures, and its source, as `zcsr.proxies.proxy.Proxy` has them."""

    name: str
    measures: str
    source: str


def listed() -> Iterator[Listed]:
    """Yield the known proxies in their order, as the decorators in the sources of their modules declare them."""
    for module, names in MODULES.items():
        source = importlib.resources.files("zcsr.proxies").joinpath(f"{module}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        texts = {
            statement.targets[0].id: statement.value.value
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(statement.value, ast.Constant)
        }
        functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
        for name in names:
            (decorator,) = functions[name].decorator_list
            assert isinstance(decorator, ast.Call)
            said = {keyword.arg: keyword.value for keyword in decorator.keywords}
            yield Listed(name, _text(said["measures"], texts), _text(said["source"], texts))


def _text(written: ast.expr, texts: Mapping[str, object]) -> str:
    """A text as it is written: a literal, the name of one, or an f-string of such names."""
    match written:
        case ast.Constant():
            return str(written.value)
        case ast.Name():
            return str(texts[written.id])
        case ast.JoinedStr():
            return "".join(_text(part, texts) for part in written.values)
        case ast.FormattedValue():
            return _text(written.value, texts)
    raise AssertionError(f"a proxy's decorator has texts and names of texts, not {ast.unparse(written)}")
