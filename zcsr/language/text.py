"""The text of programs: function calls over tensor names, `fro(sigmoid(logdet(sign(T1G_D))))`.

How the value of the root becomes one number per instance, and how instances become one number per network, follow
as ` -> mean -> sum`; both are `mean`, as in the paper's main results, when nothing is said.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from zcsr.errors import ProgramError
from zcsr.language.languages import EZNAS, Language
from zcsr.language.program import Node, Program


def parse(text: str, language: Language = EZNAS) -> Program:
    """Return the program a text stands for; `str` gives the text back (up to white space).

    Raises `ProgramError` with the position of the error and, for a misspelt name, a suggestion.
    """
    return _Parser(text, language).program()


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(r"\s*(?:(?P<name>\w+)|(?P<arrow>->)|(?P<mark>[(),])|(?P<other>\S))")


class _Frame(NamedTuple):
    """An operation whose arguments are still being read."""

    token: _Token
    args: list[Node]


class _Parser:
    """Reads one program text with an explicit stack, so that depth is bounded by memory only."""

    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._tokens = [
            _Token(str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup)))
            for match in _TOKEN.finditer(text)
        ]
        self._next = 0

    def program(self) -> Program:
        root = self._expression()
        steps: list[str] = []
        while self._peek().kind == "arrow":
            self._take("arrow", "'->'")
            steps.append(self._take("name", "mean, l2 or sum").text)
        if self._peek().kind != "end":
            raise self._error("unexpected text after the end of the program", self._peek())
        if len(steps) not in (0, 2):
            raise ProgramError(
                f"a program ends in two steps or none, as in 'fro(T1_D) -> l2 -> sum' (per instance, then over "
                f"instances); {len(steps)} given"
            )
        return self._language.program(root, *steps)

    def _expression(self) -> Node:
        frames: list[_Frame] = []
        while True:
            token = self._take("name", "an operation or a tensor")
            if self._peek().text == "(":
                self._next += 1
                frames.append(_Frame(token, []))
                continue
            node = self._node(token, ())
            while frames:
                frames[-1].args.append(node)
                closing = self._take("mark", f"',' or ')' in the arguments of {frames[-1].token.text}")
                if closing.text == ",":
                    break
                if closing.text != ")":
                    raise self._error("expected ',' or ')'", closing)
                frame = frames.pop()
                node = self._node(frame.token, tuple(frame.args))
            else:
                return node

    def _node(self, token: _Token, args: tuple[Node, ...]) -> Node:
        try:
            return self._language.node(token.text, *args)
        except ProgramError as error:
            raise self._error(str(error), token) from None

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
