"""A program with all its forms: text, LaTeX, sympy, torch, a picture; what notebooks show of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcsr import proxies
from zcsr.api.pictures import Picture, tree_picture
from zcsr.errors import InputError, nearest
from zcsr.language import program as words
from zcsr.language.named_programs import find_program
from zcsr.language.text import parse as read
from zcsr.networks.patterns import PATTERNS
from zcsr.spaces.own import SpaceFile, run_file

if TYPE_CHECKING:
    import sympy

    from zcsr.language.languages import Language


class TorchProgram:
    """A program as a function of a network and images, `score(model, images, seed=0)`, that needs torch alone.

    It takes the weights as they are, as `zcsr.score(..., initialise=False)` does. `source` is the text of a Python
    file with this function.
    """

    def __init__(self, source: str, function: Callable[..., float]) -> None:
        self.source = source
        self._function = function

    def __call__(self, model: Any, images: Any, *, seed: int = 0) -> float:
        """Return the score of a network on images, float [b, c, h, w]; noise is drawn by the seed."""
        return self._function(model, images, seed=seed)

    def save(self, path: str | Path) -> Path:
        """Write the source to a file, and return the path."""
        path = Path(path)
        path.write_text(self.source, encoding="utf-8")
        return path


class Program(words.Program):
    """A program, as `zcsr.parse` and a `Search` give it: an expression that gives a network's score, in every form.

    It equals every other program of the same tree.
    """

    __slots__ = ()
    __hash__ = words.Program.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, words.Program) and self.root == other.root

    @classmethod
    def of(cls, program: words.Program) -> Program:
        """Return a program with these forms."""
        return cls(program.root)

    def latex(self) -> str:
        """Return LaTeX of its value on an instance, or of the whole formula of one without the paper's steps."""
        from zcsr.sameness.sympy_form import to_latex

        return to_latex(self)

    def sympy(self) -> sympy.Expr:
        """Return sympy's expression of the same; operations without algebra are functions of their names.

        Raises InputError for a program that is too large to have one.
        """
        from zcsr.export.python_file import as_sympy

        return as_sympy(self)

    def torch(self, pattern: str = "rcb") -> TorchProgram:
        """Return it as a function of a network and images that needs torch alone, with its source.

        `pattern` says what its instances are (`zcsr score --pattern`).
        """
        from zcsr.export.python_file import to_python

        if pattern not in PATTERNS:
            raise InputError(
                f"pattern is one of {', '.join(PATTERNS)}, not {pattern!r}{nearest(pattern, PATTERNS)}"
            )
        source = to_python(self, PATTERNS[pattern])
        return TorchProgram(source, run_file(SpaceFile(f"{self.id}.py", source.encode())).score)

    def plot(self, path: str | Path | None = None) -> Picture:
        """Return a picture of its tree, which a notebook shows; with a path, write it there too, as SVG."""
        picture = tree_picture(self)
        if path is not None:
            picture.save(path)
        return picture

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        tree, text = tree_picture(self).svg, escape(str(self))
        return f"<figure>{tree[tree.index('<svg') :]}<figcaption><code>{text}</code></figcaption></figure>"


def parse(text: str, language: Language | None = None) -> Program:
    """Return the program that a text or a name such as `eznas-a` stands for; `str` gives the text back.

    Known proxies may be numbers in it, as in `mul(naswot, log(params))`. With a language it is a text of that.
    Raises `ProgramError` with the position of the error and, for a misspelt name, a suggestion.
    """
    found = find_program(text, proxies.proxy_names()) if language is None else read(text, language)
    return Program.of(found)
