"""The shape rules of operations: from the shapes of arguments to that of the value, or `ShapeError`."""

from __future__ import annotations

import math
from itertools import zip_longest

from zcsr.errors import ShapeError

Shape = tuple[int, ...]


def same(a: Shape) -> Shape:
    """The same shape."""
    return a


def number(_: Shape) -> Shape:
    """A number, whatever the shape."""
    return ()


def broadcast(a: Shape, b: Shape) -> Shape:
    """Return the shape two shapes broadcast to, by torch's rule; raises `ShapeError` if they do not."""
    if a == b:
        return a
    merged = []
    for left, right in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if left != right and left != 1 and right != 1:
            raise ShapeError(f"shapes {a} and {b} do not broadcast")
        merged.append(right if left == 1 else left)
    return tuple(reversed(merged))


def broadcast_to_number(a: Shape, b: Shape) -> Shape:
    """A number of two shapes that broadcast."""
    broadcast(a, b)
    return ()


def matmul(a: Shape, b: Shape) -> Shape:
    """The shape of a product of matrices in the last two dimensions, by torch's rule."""
    if not a or not b:
        raise ShapeError(f"matmul takes tensors of at least one dimension, not {a} and {b}")
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ShapeError(f"matmul of {a} and {b}: inner sizes {a[-1]} and {inner} differ")
    return broadcast(a[:-2], b[:-2]) + rows + columns


def square_matrices(a: Shape) -> Shape:
    """The leading dimensions of square matrices in the last two."""
    if len(a) < 2 or a[-1] != a[-2]:
        raise ShapeError(f"a determinant takes square matrices in the last two dimensions, not {a}")
    return a[:-2]


def rows(a: Shape) -> Shape:
    """Shape of `a` flattened to (a[0], -1)."""
    if not a or a[0] == 0:
        raise ShapeError(f"a leading dimension of at least one is needed to flatten to rows, not {a}")
    return (a[0], math.prod(a[1:]))


def rows_to_number(a: Shape) -> Shape:
    """A number of what can be flattened to rows."""
    rows(a)
    return ()


def kl(a: Shape, b: Shape) -> Shape:
    """A number of two shapes that broadcast, of which the first has a dimension."""
    if not a:
        raise ShapeError("kl takes log-probabilities of at least one dimension, not a number")
    broadcast(a, b)
    return ()


def cosine(a: Shape, b: Shape) -> Shape:
    """A number of two shapes that flatten to as many rows, of widths that broadcast."""
    count, width = rows(a)
    if math.prod(b) % count:
        raise ShapeError(f"cosine of {a} and {b}: the second cannot be flattened to {count} rows")
    broadcast((width,), (math.prod(b) // count,))
    return ()


def with_rows(a: Shape) -> Shape:
    """The same shape, of what can be flattened to rows that have elements."""
    _, width = rows(a)
    if not width:
        raise ShapeError(f"rows without elements have no mean, which those of {a} would need")
    return a


def with_rows_to_number(a: Shape) -> Shape:
    """A number of what can be flattened to rows that have elements."""
    with_rows(a)
    return ()


def one_a_row(a: Shape) -> Shape:
    """A number for each row."""
    return rows(a)[:1]


def square_of_rows(a: Shape) -> Shape:
    """A number for each two rows."""
    return rows(a)[:1] * 2


def by_channel(a: Shape) -> Shape:
    """A row for each index of the second dimension."""
    if len(a) < 2 or a[1] == 0:
        raise ShapeError(f"channels are the second dimension, which {a} lacks")
    return (a[1], a[0] * math.prod(a[2:]))


def by_map(a: Shape) -> Shape:
    """A row for each index of the first two dimensions."""
    if len(a) < 2 or math.prod(a[:2]) == 0:
        raise ShapeError(f"maps are one for each index of the first two dimensions, which {a} lacks")
    return (math.prod(a[:2]), math.prod(a[2:]))


def some(a: Shape) -> Shape:
    """A number of a tensor that has elements."""
    if not math.prod(a):
        raise ShapeError(f"a tensor of shape {a} has no elements")
    return ()


def scores(*_: Shape) -> Shape:
    """A number of a network, of whatever numbers."""
    return ()
