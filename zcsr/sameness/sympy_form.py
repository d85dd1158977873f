"""Programs as sympy writes them: a form that equal programs share by algebra, and LaTeX."""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

from zcsr.language.operations import BY_NAME
from zcsr.language.program import TENSOR_NAMES, Node, Program
from zcsr.sameness.normal_form import normal_form, number_tree

SYMPY_MAX_NODES = 64
"""Larger trees have no sympy form: it takes milliseconds, and equal ones are found by their fingerprint."""

_MAX_COEFFICIENT_BITS = 64  # sympy would carry out the squares of squares of a number digit by digit


@cache
def _symbol(name: str) -> Any:
    return sympy.Symbol(name, real=True)


@cache
def _opaque(name: str) -> Any:
    return sympy.Function(name, real=True)


def sympy_form(node: Node) -> sympy.Expr:
    """Return the tree as a sympy expression; operations without an algebraic form are functions of their name."""
    if not node.args:
        return _symbol(node.op)
    operation = BY_NAME[node.op]
    args = [sympy_form(arg) for arg in node.args]
    if operation.symbolic is not None and not _must_stay_opaque(node.op, args[0]):
        return operation.symbolic(*args)
    if operation.commutative:
        args.sort(key=_ordered_text)
    return _opaque(node.op)(*args)


def sympy_key(node: Node) -> str | None:
    """Return a text that trees share when sympy's constructors give them one form; None above `SYMPY_MAX_NODES`.

    It is taken from the normal form, and does not depend on sympy's order of terms or the process.
    """
    if node.size > SYMPY_MAX_NODES:
        return None
    return _ordered_text(sympy_form(normal_form(node)))


def to_latex(program: Program) -> str:
    r"""Return LaTeX for the value of the program on one instance (before instances are aggregated).

    Tensors read `T_{1}^{D}` and, for gradients, `\nabla T_{1}^{D}`; terms are gathered and ordered by sympy.
    Trees of more than `SYMPY_MAX_NODES` nodes are given as their text in `\texttt`.
    """
    tree = number_tree(program)
    if tree.size > SYMPY_MAX_NODES:
        return rf"\texttt{{{_escaped(str(tree))}}}"
    return str(_Latex().doprint(sympy_form(tree)))


def _must_stay_opaque(op: str, arg: sympy.Expr) -> bool:
    """Return whether sympy would divide by zero here, or square a number of many digits."""
    if op == "reciprocal":
        return bool(arg.is_zero)
    if op == "square":
        coefficient = arg.as_coeff_Mul()[0]
        return max(int(coefficient.p).bit_length(), int(coefficient.q).bit_length()) > _MAX_COEFFICIENT_BITS
    return False


def _ordered_text(expression: sympy.Basic) -> str:
    if expression.is_Symbol:
        return str(expression.name)
    if not expression.args:
        return str(expression)
    parts = [_ordered_text(arg) for arg in expression.args]
    if expression.is_Add or expression.is_Mul:
        parts.sort()
    return f"{expression.func.__name__}({', '.join(parts)})"


class _Latex(LatexPrinter):  # type: ignore[misc]  # sympy has no types
    """Prints opaque functions by the operation table's templates and tensors in the paper's letters."""

    def _print_Symbol(self, expr: Any, **_: Any) -> str:
        return _TENSOR_LATEX[expr.name]

    def _print_Function(self, expr: Any, exp: str | None = None) -> str:
        operation = BY_NAME.get(expr.func.__name__)
        if operation is None:
            return str(super()._print_Function(expr, exp))
        printed = operation.latex.format(*(self._argument(operation.name, arg) for arg in expr.args))
        return printed if exp is None else rf"{{\left({printed}\right)}}^{{{exp}}}"

    def _argument(self, op: str, arg: Any) -> str:
        return str(self.parenthesize(arg, PRECEDENCE["Mul"]) if op == "matmul" else self._print(arg))


def _tensor_latex(name: str) -> str:
    base, _, inputs = name.partition("_")
    letter = f"T_{{{base[1]}}}" + (f"^{{{inputs}}}" if inputs else "")
    return rf"\nabla {letter}" if base.endswith("G") else letter


def _escaped(text: str) -> str:
    return text.replace("_", r"\_").replace("->", r"$\to$")


_TENSOR_LATEX = {name: _tensor_latex(name) for name in TENSOR_NAMES}
