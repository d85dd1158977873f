"""The text of programs: function calls over the names of leaves, `sum(effective_rank(channels(T4_N)))`.

A text that names no aggregation is a program of the paper's form: how the value of the root becomes one number per
instance, and how instances become one number per network, follow as ` -> mean -> sum`; both are `mean`, as in the
paper's main results, when nothing is said. `a + b`, `a - b`, `a * b`, `a / b` and `-a` may be written for
`add(a, b)` and so on, with parentheses where they are needed.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from zcsr.errors import ProgramError
from zcsr.language.languages import ZCSR, Language
from zcsr.language.program import Node, Program


def parse(text: str, language: Language = ZCSR) -> Program:
    """Return the program a text stands for; `str` gives the text back, in function calls.

    Raises `ProgramError` with the position of the error and, for a misspelt name, a suggestion.
    """
    return _Parser(text, language).program()


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>\w+)|(?P<arrow>->)|(?P<infix>[-+*/])|(?P<mark>[(),])"
    r"|(?P<other>\S))",
    re.ASCII,
)
_INFIX = {"+": ("add", 1), "-": ("sub", 1), "*": ("mul", 2), "/": ("div", 2)}
_MINUS = 3


class _Open(NamedTuple):
    """What waits for what follows: an operator, a parenthesis, or (with its arguments so far) an operation.

    `binds` is how strongly an operator does, 0 for what a `)` ends; `takes` the number of values that it takes.
    """

    token: _Token
    name: str
    binds: int
    takes: int


class _Parser:
    """Reads one program text with explicit stacks, so that depth is bounded by memory only."""

    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._tokens = [
            _Token(str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup)))
            for match in _TOKEN.finditer(text.rstrip())  # blanks that no token follows would be looked at again
        ]
        self._next = 0
        self._open: list[_Open] = []
        self._values: list[Node] = []

    def program(self) -> Program:
        root = self._expression()
        steps: list[str] = []
        while self._peek().kind == "arrow":
            self._take("arrow", "'->'")
            words = dict.fromkeys(step.name for step in (*self._language.readouts, *self._language.aggregations))
            steps.append(self._take("name", ", ".join(words)).text)
        if self._peek().kind != "end":
            raise self._error("unexpected text after the end of the program", self._peek())
        if root.type == "score":
            if steps:
                raise ProgramError(f"{root} is the score of a network: no steps follow it, and {len(steps)} do")
            return Program(root)
        if len(steps) not in (0, 2):
            raise ProgramError(
                f"a program ends in two steps or none, as in 'fro(T1_D) -> l2 -> sum' (per instance, then over "
                f"instances); {len(steps)} given"
            )
        return self._language.program(root, *steps)

    def _expression(self) -> Node:
        while True:
            self._operand()
            while self._peek().text == ")" and self._open:
                self._close()
            token = self._peek()
            if token.kind == "infix":
                name, binds = _INFIX[token.text]
                self._reduce(binds)
                self._open.append(_Open(token, name, binds, 2))
            elif token.text == "," and self._open:
                self._reduce(1)
                self._argument(token)
            elif token.kind in ("end", "arrow") or not self._inside():
                self._reduce(1)
                if self._open:
                    raise self._unended(token)
                return self._values.pop()
            else:
                raise self._unended(token)
            self._next += 1

    def _operand(self) -> None:
        """Read up to a value: what opens before it, and a leaf or a number."""
        while True:
            token = self._peek()
            if token.text == "-":
                self._next += 1
                if self._peek().kind == "number":
                    return self._number(-1.0)
                self._open.append(_Open(token, "neg", _MINUS, 1))
            elif token.text == "(":
                self._next += 1
                self._open.append(_Open(token, "", 0, 1))
            elif token.kind == "number":
                return self._number(1.0)
            else:
                self._take("name", "an operation or a tensor")
                if self._peek().text != "(":
                    return self._values.append(self._node(token, ()))
                self._next += 1
                self._open.append(_Open(token, token.text, 0, 1))

    def _number(self, sign: float) -> None:
        token = self._take("number", "a number")
        value = sign * float(token.text)
        if not math.isfinite(value):
            raise self._error(f"{token.text} is too large for a number", token)
        try:
            self._values.append(self._language.constant(value))
        except ProgramError as error:
            raise self._error(str(error), token) from None

    def _inside(self) -> bool:
        return any(not one.binds for one in self._open)

    def _reduce(self, binds: int) -> None:
        """Apply the operators that bind at least so strongly, down to what a `)` ends."""
        while self._open and self._open[-1].binds >= binds:
            self._apply(self._open.pop())

    def _argument(self, comma: _Token) -> None:
        if not self._open[-1].name:
            raise self._error("expected ')'", comma)
        self._open[-1] = self._open[-1]._replace(takes=self._open[-1].takes + 1)

    def _close(self) -> None:
        self._reduce(1)
        if not self._open:
            raise self._error("unexpected text after the end of the program", self._peek())
        self._next += 1
        opened = self._open.pop()
        if opened.name:
            self._apply(opened)

    def _apply(self, opened: _Open) -> None:
        first = len(self._values) - opened.takes
        args = tuple(self._values[first:])
        del self._values[first:]
        self._values.append(self._node(opened.token._replace(text=opened.name), args))

    def _node(self, token: _Token, args: tuple[Node, ...]) -> Node:
        try:
            return self._language.node(token.text, *args)
        except ProgramError as error:
            raise self._error(str(error), token) from None

    def _unended(self, token: _Token) -> ProgramError:
        opened = next(one for one in reversed(self._open) if not one.binds)
        expected = f"',' or ')' in the arguments of {opened.name}" if opened.name else "')'"
        found = token.text if token.kind == "end" else repr(token.text)
        return self._error(f"expected {expected}, found {found}", token)

    def _peek(self) -> _Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return _Token("end", "the end of the text", len(self._text))

    def _take(self, kind: str, expected: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            found = token.text if token.kind == "end" else repr(token.text)
            raise self._error(f"expected {expected}, found {found}", token)
        self._next += 1
        return token

    def _error(self, message: str, token: _Token) -> ProgramError:
        return ProgramError(f"program, column {token.position + 1}: {message}", token.position)
