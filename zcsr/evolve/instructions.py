"""A program as a sequence of instructions: the second representation of EZNAS (appendix 8.2), and the weaker one.

An instruction is a row of four whole numbers: the address it writes, the operation (its place in the paper's
language, `EZNAS`), and the two addresses it reads. Addresses 0 to 21 hold the tensors, in the order of the
language, and are never written; 22 to 101 take the values of operations that keep tensors tensors; 102 to 121 those
of operations whose value is always one number. Any address may be read, and an operation of one argument ignores
its second read.

The paper leaves open which address is the output. Here it is what the last row writes, so every program has one.
The text form is `22 14 0 0; 102 17 22 22`, which is fro(sign(T1_D)).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from zcsr.errors import ProgramError
from zcsr.language.languages import EZNAS
from zcsr.language.operations import Operation
from zcsr.language.program import Node
from zcsr.language.tensors import Tensor

STATIC = range(len(EZNAS.tensors))
DYNAMIC = range(STATIC.stop, STATIC.stop + 80)
SCALAR = range(DYNAMIC.stop, DYNAMIC.stop + 20)
"""The addresses of the tensors of an instance, of values that are tensors, and of values that are one number."""

Value = TypeVar("Value")

_ROW = re.compile(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s*", re.ASCII)


def writable(operation: int) -> range:
    """The addresses that an operation may write: `SCALAR` where its value is always one number, else `DYNAMIC`."""
    return SCALAR if EZNAS.operations[operation].makes_number else DYNAMIC


@dataclass(frozen=True, slots=True)
class Instruction:
    """One row: where it writes, what it computes, and the two addresses it reads.

    Raises ProgramError for an operation that there is not, and for an address that it may not write or read.
    """

    write: int
    operation: int
    first: int
    second: int

    def __post_init__(self) -> None:
        last = len(EZNAS.operations) - 1
        if not 0 <= self.operation <= last:
            raise ProgramError(f"operations are numbered 0 to {last}, not {self.operation}")
        allowed = writable(self.operation)
        if self.write not in allowed:
            name = EZNAS.operations[self.operation].name
            raise ProgramError(f"{name} writes addresses {allowed[0]} to {allowed[-1]}, not {self.write}")
        for address in (self.first, self.second):
            if not 0 <= address < SCALAR.stop:
                raise ProgramError(f"addresses are 0 to {SCALAR[-1]}, not {address}")

    def __str__(self) -> str:
        return f"{self.write} {self.operation} {self.first} {self.second}"

    @property
    def reads(self) -> tuple[int, ...]:
        """The addresses that the operation looks at, as many as it has arguments."""
        return (self.first, self.second)[: EZNAS.operations[self.operation].arity]


@dataclass(frozen=True, slots=True)
class SequentialProgram:
    """Rows that are executed from the first to the last; the value of the last is the program's.

    Raises ProgramError without any row.
    """

    rows: tuple[Instruction, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise ProgramError("a sequential program has at least one row")

    def __str__(self) -> str:
        return "; ".join(map(str, self.rows))

    def reaching(self) -> int:
        """How many rows reach the output: the last one, and those whose value such a row reads."""
        return len(self._reached())

    def extent(self) -> tuple[int, int]:
        """The size and the height of `expression`, found without making it: its size may be exponential.

        Raises ProgramError as `expression` does, but for the height.
        """
        return self._flow(lambda _: (1, 0), _extent)

    def expression(self) -> Node:
        """What the output is computed by, as a tree: each read takes the value written last before its row.

        Rows that do not reach the output have no part in it. A value that is read twice is one node with two
        parents, so making the tree takes linear time, while its text may be exponentially long: see `extent`
        first. Raises ProgramError where a row that reaches the output reads an address that nothing has written,
        and where the tree is taller than any expression may be.
        """
        return self._flow(Node, lambda operation, args: Node(operation, tuple(args)))

    def _reached(self) -> list[int]:
        """The positions of the rows that reach the output, in order."""
        needed, reached = {self.rows[-1].write}, []
        for position in reversed(range(len(self.rows))):
            row = self.rows[position]
            if row.write in needed:
                needed.remove(row.write)
                needed.update(row.reads)
                reached.append(position)
        return reached[::-1]

    def _flow(self, leaf: Callable[[Tensor], Value], apply: Callable[[Operation, Sequence[Value]], Value]) -> Value:
        """What the last row writes, when tensors stand for `leaf` of them and operations `apply`."""
        values = {address: leaf(tensor) for address, tensor in enumerate(EZNAS.tensors)}
        for position in self._reached():
            row = self.rows[position]
            for address in row.reads:
                if address not in values:
                    raise ProgramError(f"row {position + 1} reads address {address}, which no row before it writes")
            values[row.write] = apply(EZNAS.operations[row.operation], [values[address] for address in row.reads])
        return values[self.rows[-1].write]


def parse_sequential(text: str) -> SequentialProgram:
    """Return the program a text stands for; `str` gives the text back (up to white space).

    Raises ProgramError that names the row which cannot be read.
    """
    return SequentialProgram(tuple(_instruction(number, row) for number, row in enumerate(text.split(";"), 1)))


def _instruction(number: int, text: str) -> Instruction:
    match = _ROW.fullmatch(text)
    if match is None:
        raise ProgramError(
            f"row {number} is '{text.strip()}'; a row is four whole numbers, as in '22 14 0 0': the address it "
            "writes, the operation, and the two addresses it reads"
        )
    try:
        return Instruction(*map(int, match.groups()))
    except ProgramError as error:
        raise ProgramError(f"row {number}: {error}") from None


def _extent(_: Operation, args: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return 1 + sum(size for size, _ in args), 1 + max(height for _, height in args)
