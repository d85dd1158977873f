"""When are two programs the same by algebra: a normal form of trees, sorted and rewritten by `RULES`.

The rules hold element by element, shapes included, for every tensor; where NaN, infinities or -0.0 matter the rule
says so. Rounding is ignored, so a common normal form is a proposal (`zcsr.sameness.recognise`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from zcsr.language.languages import EZNAS, ZCSR
from zcsr.language.operations import Operation
from zcsr.language.program import Node, Program, Word


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewriting of nodes with an operation of `heads`; `rewrite` returns None where it does not apply."""

    heads: Callable[[Word], bool]
    statement: str
    rewrite: Callable[[Node], Node | None]


def _named(*names: str) -> Callable[[Word], bool]:
    return lambda word: word.name in names


def is_number(node: Node) -> bool:
    """Return whether the value has shape () whatever the tensors' shapes are."""
    return node.type == "number"


def is_nonnegative(node: Node) -> bool:
    """Return whether no element can be below 0 (it may be NaN), as far as the operations alone tell."""
    if node.word.sign == "as arguments":
        return all(map(is_nonnegative, node.args))
    return node.word.sign == "never negative"


def _compare_with_zero(node: Node) -> Node | None:
    left, right = node.args
    if left == right or right == EZNAS.node("zeros_like", left):
        return EZNAS.node("zeros_like" if left == right else "negative", left)
    return EZNAS.node("positive", right) if left == EZNAS.node("zeros_like", right) else None


def _ignore_sign(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "abs":
        return Node(node.word, arg.args)
    if arg.op == "sub" and str(arg.args[1]) < str(arg.args[0]):
        return Node(node.word, (EZNAS.node("sub", arg.args[1], arg.args[0]),))
    return None


def _sign(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "sign":
        return arg
    return EZNAS.node("positive", arg) if is_nonnegative(arg) else None


def _positive(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.word.indicator:
        return arg
    return EZNAS.node("positive", *arg.args) if arg.word.keeps_positivity else None


def _negative(node: Node) -> Node | None:
    (arg,) = node.args
    if is_nonnegative(arg):
        return EZNAS.node("zeros_like", arg)
    return EZNAS.node("negative", *arg.args) if arg.op == "sign" else None


def _hamming(node: Node) -> Node | None:
    stripped = tuple(arg.args[0] if arg.word.keeps_positivity else arg for arg in node.args)
    return Node(node.word, stripped) if stripped != node.args else None


def _logarithm(node: Node) -> Node | None:
    (arg,) = node.args
    if arg.op == "relu":
        return EZNAS.node("log", *arg.args)
    return EZNAS.node("abslog", *arg.args) if arg.op == "abs" else None


def _where_nonnegative(name: str) -> Callable[[Node], Node | None]:
    """Write the operation of that name where the argument, which is no abs, is never negative."""

    def rewrite(node: Node) -> Node | None:
        (arg,) = node.args
        return EZNAS.node(name, arg) if arg.op != "abs" and is_nonnegative(arg) else None

    return rewrite


def _mean(node: Node) -> Node | None:
    (arg,) = node.args
    if is_number(arg):
        return arg
    return EZNAS.node("l1", *arg.args) if arg.op == "abs" else None


def _minus_zeros(node: Node) -> Node | None:
    left, right = node.args
    return left if right == EZNAS.node("zeros_like", left) else None


RULES: tuple[Rule, ...] = (
    Rule(_named("gt"), "a > b is b < a", lambda node: EZNAS.node("lt", *reversed(node.args))),
    Rule(_named("lt"), "x < x is 0, 0 < x is positive(x), x < 0 is negative(x), zeros in x's shape",
         _compare_with_zero),
    Rule(_named("abs", "relu"), "abs and relu keep what is never negative (up to -0.0)",
         lambda node: node.args[0] if is_nonnegative(node.args[0]) else None),
    Rule(lambda word: word.even, "f(abs(x)) is f(x) and f(a - b) is f(b - a) for abs, square, abslog, fro, l1",
         _ignore_sign),
    Rule(_named("square"), "square keeps zeros and ones",
         lambda node: node.args[0] if node.args[0].word.indicator else None),
    Rule(_named("sign"), "sign(sign(x)) is sign(x), and positive(x) where x is never negative", _sign),
    Rule(_named("heaviside"), "heaviside(x) is positive(x)", lambda node: EZNAS.node("positive", *node.args)),
    Rule(_named("positive"), "positive(f(x)) is positive(x) for relu and sign, and keeps zeros and ones",
         _positive),
    Rule(_named("negative"), "negative(sign(x)) is negative(x), and zeros where x is never negative", _negative),
    Rule(_named("hamming"), "hamming compares only where its arguments are above 0", _hamming),
    Rule(_named("log"), "log(relu(x)) is log(x) and log(abs(x)) is abslog(x)", _logarithm),
    Rule(_named("abslog"), "abslog(x) is log(x) where x is never negative", _where_nonnegative("log")),
    Rule(_named("mean"), "the mean of a number is the number, and mean(abs(x)) is l1(x)", _mean),
    Rule(_named("fro", "l1"), "a norm of a number is its absolute value",
         lambda node: EZNAS.node("abs", *node.args) if is_number(node.args[0]) else None),
    Rule(_named("l1"), "l1(x) is mean(x) where x is never negative", _where_nonnegative("mean")),
    Rule(lambda word: word.from_shape is not None, "numel, ones_like, zeros_like see the shape alone",
         lambda node: Node(node.word, node.args[0].args) if node.args[0].word.keeps_shape else None),
    Rule(_named("sub"), "x - zeros in x's shape is x", _minus_zeros),
)  # fmt: skip
"""The rules of the normal form, besides the sorting of sums and products (see `normal_form`)."""


@cache
def _rules_of(word: Word) -> tuple[Rule, ...]:
    if isinstance(word, Operation) and word.gives == "score":
        return ()  # the rules are of tensors; what holds of numbers of a network, sympy knows
    return tuple(rule for rule in RULES if rule.heads(word))


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
    return EZNAS.node(str(program.number.operation.stands_for), program.expression)


def score_tree(program: Program) -> Node:
    """Return the whole tree, with the two steps of the paper, where it ends in them, written as operations."""
    if not program.has_steps:
        return program.root
    return ZCSR.node(str(program.root.operation.stands_for), number_tree(program))


def number_tree(program: Program) -> Node:
    """Return the tree of a program's number an instance, without a mean of what is a number already."""
    if program.to_scalar == "mean" and is_number(program.expression):
        return program.expression
    return scalar_tree(program)


def simplified(program: Program) -> Program:
    """Return an equal program in normal form, to be shown: the same numbers up to rounding, often a shorter text.

    An operation above the root that `to_scalar` carries out anyway is left out.
    """
    if not program.has_steps:
        shown = Program(normal_form(program.root))
        return shown if len(str(shown)) < len(str(program)) else program
    written = scalar_tree(program)
    tree = normal_form(written)
    if tree.op == written.op:
        (tree,) = tree.args
    shown = EZNAS.program(tree, program.to_scalar, program.aggregation)
    return shown if len(str(shown)) <= len(str(program)) else program


def _normal(node: Node, used: set[str]) -> Node:
    if not node.args:
        return node
    return _rewritten(Node(node.word, tuple(_normal(arg, used) for arg in node.args)), used)


def _rewritten(node: Node, used: set[str]) -> Node:
    """Apply the rules to a node whose arguments are in normal form, until none applies."""
    if node.word.associative and node.word.commutative:
        return _sorted_terms(node, used)
    for rule in _rules_of(node.word):
        found = rule.rewrite(node)
        if found is not None:
            used.add(rule.statement)
            return _rewritten_below(found, used)
    if node.word.commutative:
        return Node(node.word, tuple(sorted(node.args, key=str)))
    return node


def _rewritten_below(node: Node, used: set[str]) -> Node:
    """Finish a node that a rule built: its arguments, too, may have lost or changed their head."""
    if not node.args:
        return node
    return _rewritten(Node(node.word, tuple(_rewritten(arg, used) for arg in node.args)), used)


def _sorted_terms(node: Node, used: set[str]) -> Node:
    operation = node.operation
    terms = [term for arg in node.args for term in _terms(operation, arg)]
    terms = _without_neutral(terms, operation.neutral)
    terms.sort(key=str)
    if operation.twice:
        terms = _without_twins(terms, operation.twice, used)
    tree = terms[0]
    for term in terms[1:]:
        tree = Node(operation, (tree, term))
    return tree


def _terms(operation: Operation, node: Node) -> list[Node]:
    if node.word is not operation:
        return [node]
    return [term for arg in node.args for term in _terms(operation, arg)]


def _without_neutral(terms: list[Node], neutral: str | None) -> list[Node]:
    if all(term.op != neutral for term in terms):
        return terms
    shapes = {term for term in terms if term.op != neutral}
    return [term for term in terms if term.op != neutral or not _is_shape_of(term.args[0], shapes)]


def _is_shape_of(like: Node, terms: set[Node]) -> bool:
    """Return whether one of the terms has the shape of `like`, of which a rule has kept the shape alone."""
    return any(_normal(EZNAS.node("numel", term), set()) == EZNAS.node("numel", like) for term in terms)


def _without_twins(terms: list[Node], twice: str, used: set[str]) -> list[Node]:
    """Turn pairs of equal terms (sorted, so neighbours) into one (a square), until none occurs twice."""
    while True:
        for index, (left, right) in enumerate(pairwise(terms)):
            if left == right:
                both = _rewritten(EZNAS.node(twice, left), used)
                terms = sorted([*terms[:index], both, *terms[index + 2 :]], key=str)
                break
        else:
            return terms
