"""Random sequential programs and their variation (EZNAS, appendix 8.2).

The five variations are the paper's: Mate, InsertOP, RemoveOP, MutateOP and MutateOpArg. What they draw is settled
here, in favour of programs that can be computed: a new row reads nothing but the 22 tensors and what the rows
before it write. Nothing repairs what a variation leaves behind, though. A row may go on reading an address that
nothing writes any more, and the program is refused if that row reaches the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random
from typing import ClassVar

from zcsr.errors import InputError, ProgramError
from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.instructions import STATIC, Instruction, SequentialProgram, parse_sequential, writable
from zcsr.evolve.records import Candidate, Genotype, Individual, Origin
from zcsr.language.languages import EZNAS, Language
from zcsr.language.program import MAX_HEIGHT

LARGEST = 1 << 12
"""Nodes of the largest tree that a sequential program may stand for.

No tree within the default height limit has as many. A taller one that reads its own values over and over doubles
with every row, and its text would fill the memory.
"""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of instructions as a representation: what is bred are the rows (EZNAS, appendix 8.2).

    Raises InputError for a language that the paper does not number.
    """

    language: Language
    taller_by: ClassVar[str] = "max_length"

    def __post_init__(self) -> None:
        if self.language is not EZNAS:
            raise InputError(f"sequential programs are of the language {EZNAS.name}, not {self.language.name}")

    def random(self, config: EvolveConfig, count: int, generator: Random) -> list[Candidate]:
        """Return `count` random programs of `min_length` to `max_length` rows, each length equally likely."""
        return [proposed(config, random_program(config, generator), "random") for _ in range(count)]

    def children(self, config: EvolveConfig, parents: Sequence[Individual], generator: Random) -> list[Candidate]:
        """Return `lambda_` children of `parents` (at least two), with the probabilities that trees have.

        Crossover is Mate of two parents, mutation one of the other four; reproduction returns a parent as it is.
        """
        rows = [parse_sequential(parent.genotype.text) for parent in parents if parent.genotype is not None]
        return [proposed(config, *_child(config, rows, generator)) for _ in range(config.lambda_)]


def random_program(config: EvolveConfig, generator: Random) -> SequentialProgram:
    """Return one random program, see `Sequences.random` and `random_row`."""
    rows: list[Instruction] = []
    for _ in range(generator.randint(config.min_length, config.max_length)):
        rows.append(random_row(rows, generator))
    return SequentialProgram(tuple(rows))


def random_row(before: Sequence[Instruction], generator: Random) -> Instruction:
    """Return a row that may follow these: each operation, address to write and readable address equally likely."""
    operation = generator.randrange(len(EZNAS.operations))
    write = generator.choice(writable(operation))
    addresses = readable(before)
    return Instruction(write, operation, generator.choice(addresses), generator.choice(addresses))


def readable(before: Sequence[Instruction]) -> tuple[int, ...]:
    """Return the addresses that hold something after these rows: the tensors, then what is written, in order."""
    return (*STATIC, *dict.fromkeys(row.write for row in before))


def _child(
    config: EvolveConfig, parents: Sequence[SequentialProgram], generator: Random
) -> tuple[SequentialProgram, Origin]:
    choice = generator.random()
    if choice < config.crossover:
        return mate(*generator.sample(parents, 2)), "crossover"
    if choice < config.crossover + config.mutation:
        return mutate(generator.choice(parents), config.max_length, generator), "mutation"
    return generator.choice(parents), "reproduction"


def mate(one: SequentialProgram, other: SequentialProgram) -> SequentialProgram:
    """Return the first halves of both, interleaved: a row of `one`, a row of `other`, and so on.

    Of an odd number of rows the smaller half is taken, but one row at least; what is left of the longer half
    follows. No child has more rows than the longer parent, but for two parents of one row.
    """
    halves = (program.rows[: max(1, len(program.rows) // 2)] for program in (one, other))
    return SequentialProgram(tuple(row for pair in zip_longest(*halves) for row in pair if row is not None))


def mutate(program: SequentialProgram, max_length: int, generator: Random) -> SequentialProgram:
    """Return the program after InsertOP, RemoveOP, MutateOP or MutateOpArg, each equally likely.

    One that has `max_length` rows already gets none inserted, and one of a single row keeps it.
    """
    kinds: list[Callable[[SequentialProgram, Random], SequentialProgram]] = [mutate_op, mutate_op_arg]
    if len(program.rows) < max_length:
        kinds.append(insert_op)
    if len(program.rows) > 1:
        kinds.append(remove_op)
    return generator.choice(kinds)(program, generator)


def insert_op(program: SequentialProgram, generator: Random) -> SequentialProgram:
    """Return the program with a random row (`random_row`) before any of its rows, or after the last."""
    position = generator.randint(0, len(program.rows))
    before, after = program.rows[:position], program.rows[position:]
    return SequentialProgram((*before, random_row(before, generator), *after))


def remove_op(program: SequentialProgram, generator: Random) -> SequentialProgram:
    """Return the program without one of its rows, of which there must be two. Raises ProgramError where not."""
    position = generator.randrange(len(program.rows))
    return SequentialProgram(program.rows[:position] + program.rows[position + 1 :])


def mutate_op(program: SequentialProgram, generator: Random) -> SequentialProgram:
    """Return the program with another operation in one of its rows.

    It is one that writes the same kind of address, so that whatever reads the row goes on reading it.
    """
    position = generator.randrange(len(program.rows))
    row = program.rows[position]
    alike = [
        operation
        for operation in range(len(EZNAS.operations))
        if operation != row.operation and writable(operation) == writable(row.operation)
    ]
    return _replaced(program, position, Instruction(row.write, generator.choice(alike), row.first, row.second))


def mutate_op_arg(program: SequentialProgram, generator: Random) -> SequentialProgram:
    """Return the program with another address in one read of one of its rows, of those that can be read there.

    A read that the row's operation ignores is left alone.
    """
    position = generator.randrange(len(program.rows))
    row = program.rows[position]
    which = generator.randrange(len(row.reads))
    addresses = [one for one in readable(program.rows[:position]) if one != row.reads[which]]
    address = generator.choice(addresses)
    reads = (address, row.second) if which == 0 else (row.first, address)
    return _replaced(program, position, Instruction(row.write, row.operation, *reads))


def proposed(config: EvolveConfig, rows: SequentialProgram, origin: Origin) -> Candidate:
    """Return the rows as a candidate: with the program that they stand for, or the reason why there is none.

    The reasons are "error" where a row that reaches the output reads what nothing has written, and "too_tall"
    where the expression is taller than `height_limit` or has more than `LARGEST` nodes as a tree.
    """
    genotype = Genotype(str(rows), len(rows.rows), rows.reaching())
    refusal = _refusal(config, rows)
    if refusal is not None:
        return Candidate(genotype.text, origin, refusal, genotype)
    program = EZNAS.program(rows.expression(), config.to_scalar, config.aggregation)
    return Candidate(str(program), origin, program, genotype)


def _refusal(config: EvolveConfig, program: SequentialProgram) -> Refusal | None:
    try:
        size, height = program.extent()
    except ProgramError as error:
        return Refusal("error", str(error))
    limit = min(config.height_limit, MAX_HEIGHT)
    if height > limit:
        return Refusal("too_tall", f"height {height}, the limit is {limit}")
    if size > LARGEST:
        return Refusal("too_tall", f"{size} nodes as a tree, the limit is {LARGEST}")
    return None


def _replaced(program: SequentialProgram, position: int, row: Instruction) -> SequentialProgram:
    return SequentialProgram((*program.rows[:position], row, *program.rows[position + 1 :]))
