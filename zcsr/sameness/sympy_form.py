"""Programs as sympy writes them: a form that equal programs share by algebra, and LaTeX.

Sympy's constructors know +, -, *, /, squares, absolute values and exponentials (x - x is 0, x * x * x is a cube);
all other operations are opaque functions. Tensors are real and nothing more: no sign is assumed. Ignored are
rounding, that x - x is NaN where x is infinite and x * (1 / x) where x is 0, and that either still has x's shape.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

from zcsr.language.network_operations import Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program
from zcsr.language.tensors import Tensor
from zcsr.sameness.normal_form import normal_form, number_tree

SYMPY_MAX_NODES = 64
"""Larger trees have no sympy form: it takes milliseconds, and equal ones are found by their fingerprint."""


def sympy_form(node: Node) -> sympy.Expr:
    """Return the tree as a sympy expression; operations without an algebraic form are functions of their name."""
    return node.fold(_symbol, _applied)


@cache
def _symbol(leaf: Tensor | Constant | Known) -> Any:
    if isinstance(leaf, Constant) and leaf.value < 0:
        return -_symbol(Constant(-leaf.value))
    return sympy.Symbol(leaf.name, real=True)  # a constant as it is written: nothing is folded into it


def _applied(operation: Operation, *args: sympy.Expr) -> sympy.Expr:
    form = operation.symbolic(*args) if operation.symbolic else None
    if form is not None:
        return form
    return _opaque(operation)(*(sorted(args, key=ordered_text) if operation.commutative else args))


@cache
def _opaque(operation: Operation) -> Any:
    function = sympy.Function(operation.name, real=True)
    function.row = operation
    return function


def sympy_key(node: Node) -> str | None:
    """Return a text that trees share when sympy's constructors give them one form; None above `SYMPY_MAX_NODES`.

    It is taken from the normal form, and does not depend on sympy's order of terms or the process.
    """
    if node.size > SYMPY_MAX_NODES:
        return None
    return ordered_text(sympy_form(normal_form(node)))


def to_latex(program: Program) -> str:
    r"""Return LaTeX for the value of the program on one instance (before instances are aggregated).

    Of a program without the paper's steps it is the whole formula, with what it makes of all instances.

    Tensors read `T_{1}^{D}` and, for gradients, `\nabla T_{1}^{D}`; terms are gathered and ordered by sympy.
    Trees of more than `SYMPY_MAX_NODES` nodes are given as their text in `\texttt`.
    """
    tree = number_tree(program) if program.has_steps else program.root
    if tree.size > SYMPY_MAX_NODES:
        escaped = str(tree).replace("_", r"\_").replace("->", r"$\to$")
        return rf"\texttt{{{escaped}}}"
    leaves = {node.word for node in tree.walk() if not isinstance(node.word, Operation)}
    names = {_symbol(leaf): leaf.latex for leaf in leaves if not (isinstance(leaf, Constant) and leaf.value < 0)}
    return str(_Latex({"symbol_names": names}).doprint(sympy_form(tree)))


def ordered_text(expression: sympy.Basic) -> str:
    """Return a text of an expression that does not depend on sympy's order of terms."""
    if expression.is_Symbol:
        return str(expression.name)
    if not expression.args:
        return str(expression)
    parts = [ordered_text(arg) for arg in expression.args]
    if expression.is_Add or expression.is_Mul:
        parts.sort()
    return f"{expression.func.__name__}({', '.join(parts)})"


class _Latex(LatexPrinter):  # type: ignore[misc]  # sympy has no types
    """Prints opaque functions and tensors by their rows."""

    def _print_Function(self, expr: Any, exp: str | None = None) -> str:
        operation: Operation | None = getattr(expr.func, "row", None)
        if operation is None:
            return str(super()._print_Function(expr, exp))
        printed = operation.latex.format(*(self._argument(operation, arg) for arg in expr.args))
        return printed if exp is None else rf"{{\left({printed}\right)}}^{{{exp}}}"

    def _argument(self, operation: Operation, arg: Any) -> str:
        return str(self.parenthesize(arg, PRECEDENCE["Mul"]) if operation.factors else self._print(arg))
