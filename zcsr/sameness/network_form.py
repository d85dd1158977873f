"""What formulas of numbers of a network have in common: a canonical form of their value, and one of their order.

These numbers are real scalars, so algebra decides. An aggregation of a column is a symbol, named by sympy's form of
the column and taken to be positive where nothing in the column can be negative; what is linear in the instances,
such as their sum, comes apart into those of its terms, and a mean is the sum over the count of instances. Constants
are the decimals that their text says, exactly. Ignored are rounding and what is not defined: a division by zero, a
zero among positive numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy

from zcsr.language.network_operations import COUNTS, INSTANCES, Constant, Known
from zcsr.language.operations import Operation
from zcsr.language.program import Node
from zcsr.sameness.normal_form import is_nonnegative, normal_form
from zcsr.sameness.sympy_form import SYMPY_MAX_NODES, ordered_text, sympy_form

LINEAR = {"sum": "sum", "average": "sum", "first": "first", "last": "last", "slope": "slope"}
"""The aggregations that come apart, with the one that stands for them: a mean is a sum over the count."""

MAX_DEGREE = 16
"""Formulas of a higher degree have no form here; equal ones are found by their fingerprint."""


def network_key(tree: Node) -> str | None:
    """Return a text that formulas of equal value share; None above `SYMPY_MAX_NODES` or `MAX_DEGREE`."""
    return ordered_text(network_form(tree)) if _has_form(tree) else None


def order_key(tree: Node) -> str | None:
    """Return a text that formulas share whose scores are in one order; None where `network_key` has none."""
    return ordered_text(order_form(network_form(tree))) if _has_form(tree) else None


def _has_form(tree: Node) -> bool:
    """Whether sympy can be asked for a form: expanded, a power of high degree takes for ever."""
    return tree.size <= SYMPY_MAX_NODES and _degree(tree) <= MAX_DEGREE


def _degree(node: Node) -> int:
    """A bound on the degree of a number of a network as a quotient of polynomials, constants taken for unknowns."""
    if node.word.aggregates or not node.args:
        return 1
    degrees = [_degree(arg) for arg in node.args]
    return 2 * degrees[0] if node.op == "square" else sum(degrees)


@cache
def network_form(tree: Node) -> sympy.Expr:
    """Return the canonical form of a number of a network: a reduced fraction, logarithms of products apart."""
    found = _form(tree)
    try:
        return sympy.cancel(sympy.expand_log(found))
    except (sympy.PolynomialError, NotImplementedError):
        return found


def order_form(form: sympy.Expr) -> sympy.Expr:
    """Return what is left of a canonical form without what does not change the order.

    That is an added constant, a positive factor, and at the root a logarithm, a square root, or a power of what is
    positive. What falls with its argument leaves -1 times that. A product of positive factors is the sum of their
    logarithms, and a sum is scaled by its first term in the order of their texts.
    """
    factor, rest = form.as_coeff_Mul()
    if factor.is_negative:
        return -order_form(rest) if rest != 1 else sympy.Integer(0)
    if rest.is_number:
        return sympy.Integer(0)
    constant, varying = rest.as_coeff_Add()
    if constant != 0:
        return order_form(varying)
    if isinstance(rest, sympy.log):
        return order_form(rest.args[0])
    if rest.is_Pow and rest.exp.is_number and (rest.base.is_positive or rest.exp == sympy.Rational(1, 2)):
        inner = order_form(rest.base)
        return inner if rest.exp.is_positive else -inner
    if (proper := _without_whole(rest)) != rest:
        return order_form(proper)
    if rest.is_Mul and rest.is_positive:
        return _scaled(sympy.expand_log(sympy.log(rest)))
    if rest.is_Mul:
        return sympy.Mul(*(part.primitive()[1] if part.is_Add else part for part in rest.args))
    return _scaled(rest) if rest.is_Add else rest


def _without_whole(fraction: sympy.Expr) -> sympy.Expr:
    """A fraction less the constant that its numerator has of its denominator: (a + b) / b becomes a / b."""
    above, below = sympy.fraction(fraction)
    if below.is_number:
        return fraction
    try:
        (quotient,), _ = sympy.reduced(above, [below])
    except sympy.PolynomialError:
        return fraction
    if not (quotient.is_number and quotient):
        return fraction
    return sympy.cancel((above - quotient * below) / below)


def _scaled(terms: sympy.Expr) -> sympy.Expr:
    """A sum over the magnitude of its first term's coefficient."""
    if not terms.is_Add:
        return order_form(terms)
    first = min((term.as_coeff_Mul() for term in terms.args), key=lambda pair: ordered_text(pair[1]))
    return sympy.expand(terms / abs(first[0]))


def _form(node: Node) -> Any:
    word = node.word
    if isinstance(word, Constant):
        return sympy.Rational(word.name)
    if isinstance(word, Known):
        return sympy.Symbol(word.name, positive=True) if word in COUNTS else sympy.Symbol(word.name, real=True)
    if word.aggregates:
        return _aggregated(node)
    args = [_form(arg) for arg in node.args]
    found = node.operation.symbolic(*args) if node.operation.symbolic else None
    return _opaque(node.operation, args) if found is None else found


def _aggregated(node: Node) -> Any:
    (column,) = node.args
    positive = is_nonnegative(node)
    if column.size > SYMPY_MAX_NODES or node.op not in LINEAR:
        return _symbol(f"{node.op}({normal_form(column)})", positive)
    of_column = sympy.expand(sympy_form(normal_form(column)))
    terms = [term.as_coeff_Mul() for term in sympy.Add.make_args(of_column)]
    alone = len(terms) == 1
    name = LINEAR[node.op]
    sums = [factor * _symbol(f"{name}({ordered_text(rest)})", alone and positive) for factor, rest in terms]
    total = sympy.Add(*sums)
    return total / sympy.Symbol(INSTANCES, positive=True) if node.op == "average" else total


def _symbol(name: str, positive: bool) -> Any:
    return sympy.Symbol(name, positive=True) if positive else sympy.Symbol(name, real=True)


def _opaque(operation: Operation, args: list[Any]) -> Any:
    ordered = sorted(args, key=ordered_text) if operation.commutative else args
    return sympy.Function(operation.name, real=True)(*ordered)
