"""When are two programs the same by algebra: a normal form of trees, and a sympy form.

Two stages of a cascade (`zcsr.sameness.recognise`), each a key that equal programs share:

- `normal_form` sorts the terms of sums and products and applies `RULES`, which hold element by element, shapes
  included, for every tensor; where NaN, infinities or -0.0 matter the rule says so.
- `sympy_key` adds what sympy's constructors know of +, -, *, /, squares, absolute values and exponentials
  (x - x is 0, x * x * x is a cube). Comparisons, logarithms, norms, products of matrices and all other
  operations are opaque functions. Tensors are real and nothing more: no sign is assumed.

Both treat real numbers: rounding is ignored, and sympy ignores as well that x - x is NaN where x is infinite, that
x * (1 / x) is NaN where x is 0, and that either still has x's shape. A key is therefore a proposal, which counts
only once the values on real statistics confirm it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from zcsr.language.operations import BY_NAME, OPERATIONS
from zcsr.language.program import Node, Program, ToScalar

_SCALAR_OPERATION: dict[ToScalar, str] = {"mean": "mean", "l2": "fro"}

_NUMBERS = frozenset({"fro", "eig_ratio_sym", "eig_ratio", "mean", "l1", "hamming", "kl", "cosine", "numel"})
_SHAPE_KEEPING = frozenset(op.name for op in OPERATIONS if op.shape is BY_NAME["abs"].shape)
_INDICATORS = frozenset({"lt", "gt", "eq", "heaviside", "positive", "negative", "ones_like", "zeros_like"})
_NEVER_NEGATIVE = _INDICATORS | {
    "abs", "square", "exp", "relu", "sigmoid", "softmax", "fro", "l1", "hamming", "numel",
}  # fmt: skip
_NOT_NEGATIVE_OF_SUCH = frozenset({"add", "mul", "matmul", "mean"})
_SAME_POSITIVITY = frozenset({"relu", "sign", "positive"})


# The normal form -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewriting of nodes with one of the operations `heads`; `rewrite` returns None where it does not apply."""

    heads: tuple[str, ...]
    statement: str
    rewrite: Callable[[Node], Node | None]


def is_number(node: Node) -> bool:
    """Return whether the value has shape () whatever the tensors' shapes are."""
    if node.op in _NUMBERS:
        return True
    element_wise = node.op in _SHAPE_KEEPING or node.op in ("add", "sub", "mul", "lt", "gt", "eq")
    return element_wise and all(map(is_number, node.args))


def is_nonnegative(node: Node) -> bool:
    """Return whether no element can be below 0 (it may be NaN), as far as the operations alone tell."""
    if node.op in _NEVER_NEGATIVE:
        return True
    return node.op in _NOT_NEGATIVE_OF_SUCH and all(map(is_nonnegative, node.args))


def _swap_greater(node: Node) -> Node:
    return Node("lt", (node.args[1], node.args[0]))


def _compare_with_zero(node: Node) -> Node | None:
    left, right = node.args
    if left == right or right == Node("zeros_like", (left,)):
        return Node("zeros_like" if left == right else "negative", (left,))
    return Node("positive", (right,)) if left == Node("zeros_like", (right,)) else None


def _identity_on_nonnegative(node: Node) -> Node | None:
    return node.args[0] if is_nonnegative(node.args[0]) else None


def _ignore_sign(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "abs":
        return Node(node.op, arg.args)
    if arg.op == "sub" and str(arg.args[1]) < str(arg.args[0]):
        return Node(node.op, (Node("sub", (arg.args[1], arg.args[0])),))
    return None


def _sign(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "sign":
        return arg
    return Node("positive", (arg,)) if is_nonnegative(arg) else None


def _heaviside(node: Node) -> Node:
    return Node("positive", node.args)


def _positive(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op in _INDICATORS:
        return arg
    return Node("positive", arg.args) if arg.op in _SAME_POSITIVITY else None


def _negative(node: Node) -> Node | None:
    (arg,) = node.args
    if is_nonnegative(arg):
        return Node("zeros_like", (arg,))
    return Node("negative", arg.args) if arg.op == "sign" else None


def _hamming(node: Node) -> Node | None:
    stripped = tuple(arg.args[0] if arg.op in _SAME_POSITIVITY else arg for arg in node.args)
    return Node("hamming", stripped) if stripped != node.args else None


def _logarithm(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "relu":
        return Node("log", arg.args)
    return Node("abslog", arg.args) if arg.op == "abs" else None


def _abslog_of_nonnegative(node: Node) -> Node | None:
    (arg,) = node.args
    return Node("log", node.args) if arg.op != "abs" and is_nonnegative(arg) else None


def _mean(node: Node) -> Node | None:
    (arg,) = node.args
    if is_number(arg):
        return arg
    return Node("l1", arg.args) if arg.op == "abs" else None


def _norm_of_number(node: Node) -> Node | None:
    return Node("abs", node.args) if is_number(node.args[0]) else None


def _l1_of_nonnegative(node: Node) -> Node | None:
    (arg,) = node.args
    return Node("mean", node.args) if arg.op != "abs" and is_nonnegative(arg) else None


def _shape_alone(node: Node) -> Node | None:
    (arg,) = node.args
    return Node(node.op, arg.args) if arg.op in _SHAPE_KEEPING else None


def _square_of_indicator(node: Node) -> Node | None:
    return node.args[0] if node.args[0].op in _INDICATORS else None


def _minus_zeros(node: Node) -> Node | None:
    left, right = node.args
    return left if right == Node("zeros_like", (left,)) else None


RULES: tuple[Rule, ...] = (
    Rule(("gt",), "a > b is b < a", _swap_greater),
    Rule(("lt",), "x < x is 0, 0 < x is positive(x), x < 0 is negative(x), zeros in x's shape", _compare_with_zero),
    Rule(("abs", "relu"), "abs and relu keep what is never negative (up to -0.0)", _identity_on_nonnegative),
    Rule(("abs", "square", "abslog", "fro", "l1"), "f(abs(x)) is f(x) and f(a - b) is f(b - a) for abs, square, "
         "abslog, fro, l1", _ignore_sign),
    Rule(("square",), "square keeps zeros and ones", _square_of_indicator),
    Rule(("sign",), "sign(sign(x)) is sign(x), and positive(x) where x is never negative", _sign),
    Rule(("heaviside",), "heaviside(x) is positive(x)", _heaviside),
    Rule(("positive",), "positive(f(x)) is positive(x) for relu and sign, and keeps zeros and ones", _positive),
    Rule(("negative",), "negative(sign(x)) is negative(x), and zeros where x is never negative", _negative),
    Rule(("hamming",), "hamming compares only where its arguments are above 0", _hamming),
    Rule(("log",), "log(relu(x)) is log(x) and log(abs(x)) is abslog(x)", _logarithm),
    Rule(("abslog",), "abslog(x) is log(x) where x is never negative", _abslog_of_nonnegative),
    Rule(("mean",), "the mean of a number is the number, and mean(abs(x)) is l1(x)", _mean),
    Rule(("fro", "l1"), "a norm of a number is its absolute value", _norm_of_number),
    Rule(("l1",), "l1(x) is mean(x) where x is never negative", _l1_of_nonnegative),
    Rule(("numel", "ones_like", "zeros_like"), "numel, ones_like, zeros_like see the shape alone", _shape_alone),
    Rule(("sub",), "x - zeros in x's shape is x", _minus_zeros),
)  # fmt: skip
"""The rules of the normal form, besides the sorting of sums and products (see `normal_form`)."""

_RULES_OF: dict[str, tuple[Rule, ...]] = {
    op.name: tuple(rule for rule in RULES if op.name in rule.heads) for op in OPERATIONS
}
_NEUTRAL = {"add": "zeros_like", "mul": "ones_like"}


def normal_form(node: Node) -> Node:
    """Return the normal form: a tree with the same value, and with the same text for programs equal by `RULES`.

    Arguments of commutative operations are sorted by their text; nested sums (products) become one, nested to
    the left; zeros (ones) in the shape of a fellow term are dropped and a factor that occurs twice becomes a
    square. Regrouping moves values by rounding only. Applying it again changes nothing.
    """
    return _normal(node, set())


def rules_used(node: Node) -> tuple[str, ...]:
    """Return the statements of the rules that `normal_form` applies to the tree, in the order of `RULES`."""
    used: set[str] = set()
    _normal(node, used)
    return tuple(rule.statement for rule in RULES if rule.statement in used)


def scalar_tree(program: Program) -> Node:
    """Return the tree with `to_scalar` written as an operation above the root: `mean(...)` or `fro(...)`."""
    return Node(_SCALAR_OPERATION[program.to_scalar], (program.root,))


def number_tree(program: Program) -> Node:
    """Return the tree of a program's number an instance, without a mean of what is a number already."""
    if program.to_scalar == "mean" and is_number(program.root):
        return program.root
    return scalar_tree(program)


def simplified(program: Program) -> Program:
    """Return an equal program in normal form, to be shown: the same numbers up to rounding, often a shorter text.

    An operation above the root that `to_scalar` carries out anyway is left out.
    """
    tree = normal_form(scalar_tree(program))
    if tree.op == _SCALAR_OPERATION[program.to_scalar]:
        (tree,) = tree.args
    shown = Program(tree, program.to_scalar, program.aggregation)
    return shown if len(str(shown)) <= len(str(program)) else program


def _normal(node: Node, used: set[str]) -> Node:
    if not node.args:
        return node
    return _rewritten(Node(node.op, tuple(_normal(arg, used) for arg in node.args)), used)


def _rewritten(node: Node, used: set[str]) -> Node:
    """Apply the rules to a node whose arguments are in normal form, until none applies."""
    operation = BY_NAME.get(node.op)
    if operation is None:
        return node
    if operation.associative and operation.commutative:
        return _sorted_terms(node, used)
    for rule in _RULES_OF[node.op]:
        found = rule.rewrite(node)
        if found is not None:
            used.add(rule.statement)
            return _rewritten_below(found, used)
    if operation.commutative:
        return Node(node.op, tuple(sorted(node.args, key=str)))
    return node


def _rewritten_below(node: Node, used: set[str]) -> Node:
    """Finish a node that a rule built: its arguments, too, may have lost or changed their head."""
    if not node.args:
        return node
    return _rewritten(Node(node.op, tuple(_rewritten(arg, used) for arg in node.args)), used)


def _sorted_terms(node: Node, used: set[str]) -> Node:
    terms = [term for arg in node.args for term in _terms(node.op, arg)]
    neutral = _NEUTRAL[node.op]
    terms = _without_neutral(terms, neutral)
    terms.sort(key=str)
    if node.op == "mul":
        terms = _with_squares(terms, used)
    tree = terms[0]
    for term in terms[1:]:
        tree = Node(node.op, (tree, term))
    return tree


def _terms(op: str, node: Node) -> list[Node]:
    if node.op != op:
        return [node]
    return [term for arg in node.args for term in _terms(op, arg)]


def _without_neutral(terms: list[Node], neutral: str) -> list[Node]:
    if all(term.op != neutral for term in terms):
        return terms
    shapes = {term for term in terms if term.op != neutral}
    return [term for term in terms if term.op != neutral or not _is_shape_of(term.args[0], shapes)]


def _is_shape_of(like: Node, terms: set[Node]) -> bool:
    """Return whether one of the terms has the shape of `like`, which `_shape_alone` has stripped."""
    return any(_normal(Node("numel", (term,)), set()) == Node("numel", (like,)) for term in terms)


def _with_squares(factors: list[Node], used: set[str]) -> list[Node]:
    """Turn pairs of equal factors (sorted, so neighbours) into squares, until no factor occurs twice."""
    while True:
        for index, (left, right) in enumerate(pairwise(factors)):
            if left == right:
                square = _rewritten(Node("square", (left,)), used)
                factors = sorted([*factors[:index], square, *factors[index + 2 :]], key=str)
                break
        else:
            return factors
