"""Sequential programs: rows and data flow, their variation, and a search that breeds them as it does trees."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import store_samples as samples
import synthetic
import torch
from commands import zcsr
from scipy import stats
from torch import Tensor

import zcsr.evolve.loop as loop
from zcsr.errors import InputError, ProgramError, StoreError
from zcsr.evaluation.many_networks import StatisticsScorer
from zcsr.evaluation.scorer import Refusal
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.instructions import Instruction, SequentialProgram, parse_sequential, writable
from zcsr.evolve.loop import evolve
from zcsr.evolve.records import Candidate, Generation, Genotype, Individual
from zcsr.evolve.representation import Sequences
from zcsr.evolve.sequences import (
    LARGEST,
    insert_op,
    mate,
    mutate,
    mutate_op,
    mutate_op_arg,
    proposed,
    random_program,
    random_row,
    readable,
    remove_op,
)
from zcsr.evolve.tasks import TaskData, choose_probes
from zcsr.language.languages import EZNAS
from zcsr.language.operations import OPERATIONS
from zcsr.language.program import Node, Program
from zcsr.language.tensors import TENSOR_NAMES
from zcsr.language.text import parse
from zcsr.store import Store, create_run, open_run, query
from zcsr.store.kept.atomic import write_json
from zcsr.store.kept.checksums import remove
from zcsr.store.kept.runs import TestScore
from zcsr.store.sql.index import verify

CONFIG = synthetic.SEQUENTIAL
GIVES_A_NUMBER = {"fro", "eig_ratio_sym", "eig_ratio", "mean", "l1", "hamming", "kl", "cosine", "numel"}


SEQUENCES = Sequences(EZNAS)


def code(name: str) -> int:
    return [operation.name for operation in EZNAS.operations].index(name)


def rows(*texts: str) -> SequentialProgram:
    """A program from rows such as `22 sign 0`: the operation by its name, and 0 where a read is not given."""
    made = []
    for text in texts:
        write, name, *reads = text.split()
        first, second = (*map(int, reads), 0)[:2]
        made.append(Instruction(int(write), code(name), first, second))
    return SequentialProgram(tuple(made))


def executed(program: SequentialProgram, tensors: dict[str, Tensor]) -> Tensor:
    """What the program computes when it is run row by row on a memory of addresses."""
    memory: list[Any] = [tensors[name] for name in TENSOR_NAMES] + [None] * 100
    for row in program.rows:
        operation = OPERATIONS[row.operation]
        arguments = [memory[row.first], memory[row.second]][: operation.arity]
        # A dead row may read what is not there, or refuse what it is given; nobody asks for its value.
        try:
            memory[row.write] = operation.apply(*arguments)
        except (ProgramError, AttributeError, RuntimeError):
            memory[row.write] = None
    value = memory[program.rows[-1].write]
    assert isinstance(value, Tensor)
    return value


# Rows ------------------------------------------------------------------------------------------------------------


def test_the_addresses_are_those_of_the_appendix() -> None:
    assert {operation.name for operation in OPERATIONS if operation.makes_number} == GIVES_A_NUMBER
    for number, operation in enumerate(OPERATIONS):
        of_numbers = operation.name in GIVES_A_NUMBER
        assert list(writable(number)) == (list(range(102, 122)) if of_numbers else list(range(22, 102)))


def test_what_writes_a_scalar_address_is_a_number_for_any_shape() -> None:
    for name in GIVES_A_NUMBER:
        for shape in ((3,), (2, 5), (1, 3, 4, 4), (7, 2, 3, 1)):
            assert EZNAS.words[name].apply(*[torch.rand(shape)] * EZNAS.words[name].arity).shape == ()


def test_a_text_is_rows_of_four_numbers() -> None:
    program = parse_sequential("22 14 0 0; 102 17 22 22")
    assert program.rows == (Instruction(22, 14, 0, 0), Instruction(102, 17, 22, 22))
    assert str(program) == "22 14 0 0; 102 17 22 22"
    assert str(program.expression()) == "fro(sign(T1_D))"
    assert parse_sequential(" 22  14 0 0 ;102 17 22 22\n") == program


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1 is ''; a row is four whole numbers"),
        ("22 14 0", "row 1 is '22 14 0'; a row is four whole numbers"),
        ("22 14 0 0;", "row 2 is ''"),
        ("22 14 0 0; 23 x 0 0", "row 2 is '23 x 0 0'"),
        ("22 14 -1 0", "a row is four whole numbers"),
        ("22 34 0 0", "row 1: operations are numbered 0 to 33, not 34"),
        ("102 14 0 0", "row 1: sign writes addresses 22 to 101, not 102"),
        ("5 14 0 0", "sign writes addresses 22 to 101, not 5"),
        ("22 14 0 0; 22 17 0 0", "row 2: fro writes addresses 102 to 121, not 22"),
        ("22 14 0 122", "addresses are 0 to 121, not 122"),
    ],
)
def test_what_is_no_program_is_refused_with_the_row(text: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        parse_sequential(text)


def test_any_random_program_comes_back_from_its_text() -> None:
    generator = random.Random(1)
    for _ in range(200):
        program = random_program(CONFIG, generator)
        assert parse_sequential(str(program)) == program


# Data flow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "expression", "reaching"),
    [
        (rows("22 sign 0"), "sign(T1_D)", 1),
        # The second row writes over the first, and the third over what it reads itself.
        (rows("22 sign 0", "22 abs 1", "22 exp 22"), "exp(abs(T1_N))", 2),
        # A value written later than its read does not count.
        (rows("22 sign 0", "23 abs 22", "22 exp 3", "24 add 22 23"), "add(exp(T2_D), abs(sign(T1_D)))", 4),
        # Rows that nobody reads, one of which reads what is nowhere.
        (rows("22 sign 0", "30 abs 99", "102 fro 30", "23 relu 22"), "relu(sign(T1_D))", 2),
        # A number is read like anything else; the second read of a unary operation does not count.
        (rows("102 fro 6", "22 sigmoid 102 77"), "sigmoid(fro(T3))", 2),
        (rows("22 sign 0", "23 mul 22 22"), "mul(sign(T1_D), sign(T1_D))", 2),
    ],
)
def test_a_read_takes_what_was_written_last_before_it(
    program: SequentialProgram, expression: str, reaching: int
) -> None:
    assert str(program.expression()) == expression
    assert program.reaching() == reaching


def test_reading_what_nothing_has_written_is_an_error_only_where_it_reaches_the_output() -> None:
    with pytest.raises(ProgramError, match="row 2 reads address 40, which no row before it writes"):
        rows("22 sign 0", "23 add 22 40").expression()
    with pytest.raises(ProgramError, match="row 1 reads address 22"):
        rows("22 sign 22").extent()
    with pytest.raises(ProgramError, match="row 1 reads address 23"):  # it is written, but too late
        rows("22 sign 23", "23 abs 0", "24 add 22 23").expression()
    assert str(rows("22 sign 99", "23 abs 0").expression()) == "abs(T1_D)"


def test_the_expression_computes_what_the_rows_do() -> None:
    generator = random.Random(5)
    draw = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(1, 3, 4, 4, generator=draw) for name in TENSOR_NAMES}
    config = replace(CONFIG, max_length=30)
    compared = shorter = 0
    while compared < 60:
        program = random_program(config, generator)
        try:
            expected = executed(program, tensors)
        except AssertionError:
            continue
        value = computed(program.expression(), tensors)
        assert torch.equal(torch.nan_to_num(value), torch.nan_to_num(expected))
        compared += 1
        shorter += program.reaching() < len(program.rows)
    assert shorter > 30


def computed(node: Node, tensors: dict[str, Tensor]) -> Tensor:
    if not node.args:
        return tensors[node.op]
    return node.operation.apply(*(computed(arg, tensors) for arg in node.args))


def test_extent_is_that_of_the_expression() -> None:
    generator = random.Random(6)
    for _ in range(300):
        program = random_program(replace(CONFIG, max_length=40), generator)
        root = program.expression()
        assert program.extent() == (root.size, root.height)
        assert program.reaching() <= len(program.rows)


def refused(config: EvolveConfig, program: SequentialProgram) -> Refusal:
    """Why a program is no candidate."""
    outcome = proposed(config, program, "random").outcome
    assert isinstance(outcome, Refusal)
    return outcome


def doubling(count: int) -> SequentialProgram:
    """Rows that each read twice what the row before wrote: the tree doubles with every row."""
    return rows("22 add 0 0", *(f"{22 + n} add {21 + n} {21 + n}" for n in range(1, count)))


def test_a_tree_that_doubles_with_every_row_is_measured_and_never_written_out() -> None:
    program = doubling(70)
    assert program.extent() == (2**71 - 1, 70)
    assert refused(CONFIG, program).reason == "too_tall"
    tall = replace(CONFIG, height_limit=100)
    assert refused(tall, program).detail == f"{2**71 - 1} nodes as a tree, the limit is {LARGEST}"
    # No tree within the default limit is refused for its size.
    assert doubling(EvolveConfig().height_limit).extent()[0] <= LARGEST
    assert isinstance(proposed(EvolveConfig(), doubling(10), "random").outcome, Program)


def test_a_chain_beyond_any_expression_is_too_tall_too() -> None:
    chain = SequentialProgram((*rows("22 sign 0").rows, *rows("22 exp 22").rows * 250))
    refusal = refused(replace(CONFIG, height_limit=1000), chain)
    assert (refusal.reason, refusal.detail) == ("too_tall", "height 251, the limit is 200")
    with pytest.raises(ProgramError, match="at most 200"):
        chain.expression()


# Variation -------------------------------------------------------------------------------------------------------

LONG = rows("22 sign 0", "23 abs 22", "102 fro 23", "24 exp 102", "25 add 24 22")
SHORT = rows("50 relu 5", "51 log 50")


class Listed(random.Random):
    """A generator whose every draw is told beforehand, as the place among what may be drawn."""

    def __init__(self, *places: int) -> None:
        super().__init__(0)
        self.places = list(places)

    def choice(self, seq: Any) -> Any:
        return seq[self.places.pop(0)]

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert stop is None
        place = self.places.pop(0)
        assert 0 <= place < start
        return place

    def randint(self, a: int, b: int) -> int:
        place = self.places.pop(0)
        assert a <= place <= b
        return place


def test_mate_interleaves_the_first_halves() -> None:
    # Of five rows two, of two rows one.
    assert mate(LONG, SHORT) == rows("22 sign 0", "50 relu 5", "23 abs 22")
    assert mate(SHORT, LONG) == rows("50 relu 5", "22 sign 0", "23 abs 22")
    assert mate(LONG, LONG) == rows("22 sign 0", "22 sign 0", "23 abs 22", "23 abs 22")
    one = rows("60 exp 7")
    assert mate(one, one) == rows("60 exp 7", "60 exp 7")


def test_mate_never_makes_a_longer_program() -> None:
    generator = random.Random(2)
    config = replace(CONFIG, min_length=2, max_length=9)
    for _ in range(300):
        one, other = random_program(config, generator), random_program(config, generator)
        assert len(mate(one, other).rows) <= max(len(one.rows), len(other.rows))


def test_insert_op_puts_a_row_in_that_reads_what_is_there() -> None:
    # Before the third row; operation 14 (sign), the first address of its kind, the reads 22 + 1 and 22 + 0.
    assert insert_op(LONG, Listed(2, code("sign"), 0, 23, 22)) == rows(
        "22 sign 0", "23 abs 22", "22 sign 23 22", "102 fro 23", "24 exp 102", "25 add 24 22"
    )
    # After the last row; fro writes an address of numbers.
    assert insert_op(SHORT, Listed(2, code("fro"), 19, 23, 0)) == rows("50 relu 5", "51 log 50", "121 fro 51 0")


def test_remove_op_takes_a_row_out() -> None:
    assert remove_op(LONG, Listed(1)) == rows("22 sign 0", "102 fro 23", "24 exp 102", "25 add 24 22")
    assert remove_op(SHORT, Listed(1)) == rows("50 relu 5")
    with pytest.raises(ProgramError, match="at least one row"):
        remove_op(rows("22 sign 0"), Listed(0))


def test_mutate_op_changes_an_operation_to_one_that_writes_the_same_kind() -> None:
    numbers = [name for name in (one.name for one in OPERATIONS) if name in GIVES_A_NUMBER and name != "fro"]
    place = numbers.index("l1")
    assert mutate_op(LONG, Listed(2, place)) == rows(
        "22 sign 0", "23 abs 22", "102 l1 23", "24 exp 102", "25 add 24 22"
    )
    seen = {mutate_op(SHORT, random.Random(seed)).rows[0].operation for seed in range(3000)}
    assert seen == {code(one.name) for one in OPERATIONS if one.name not in GIVES_A_NUMBER}


def test_mutate_op_arg_changes_one_read() -> None:
    # The last row, its second read; 22 is left out of the tensors, 22, 23, 102 and 24, so 24 is the last of 25.
    assert mutate_op_arg(LONG, Listed(4, 1, 24)) == rows(
        "22 sign 0", "23 abs 22", "102 fro 23", "24 exp 102", "25 add 24 24"
    )
    assert mutate_op_arg(SHORT, Listed(1, 0, 3)) == rows("50 relu 5", "51 log 3")
    for seed in range(200):
        changed = mutate_op_arg(SHORT, random.Random(seed))
        assert [row.second for row in changed.rows] == [0, 0]  # what nobody looks at is left alone
        assert sum(a != b for a, b in zip(changed.rows, SHORT.rows, strict=True)) == 1


def test_a_random_row_draws_each_operation_address_and_read_alike() -> None:
    generator = random.Random(3)
    drawn = [random_row(LONG.rows, generator) for _ in range(34_000)]
    allowed = [*range(22), 22, 23, 102, 24, 25]
    assert list(readable(LONG.rows)) == allowed
    operations = Counter(row.operation for row in drawn)
    assert stats.chisquare([operations[index] for index in range(34)]).pvalue > 0.001
    reads = Counter(read for row in drawn for read in (row.first, row.second))
    assert set(reads) == set(allowed)
    assert stats.chisquare([reads[address] for address in allowed]).pvalue > 0.001
    assert {row.write for row in drawn} == set(range(22, 122))


def test_random_programs_have_every_length_alike_and_can_be_computed() -> None:
    config = replace(CONFIG, min_length=3, max_length=8)
    candidates = SEQUENCES.random(config, 3000, random.Random(4))
    lengths = Counter(one.genotype.instructions for one in candidates if one.genotype)
    assert set(lengths) == set(range(3, 9))
    assert stats.chisquare(list(lengths.values())).pvalue > 0.001
    assert all(isinstance(one.outcome, Program) and one.origin == "random" for one in candidates)


def test_mutations_are_alike_likely_where_the_length_allows_them() -> None:
    def kinds(program: SequentialProgram, most: int) -> Counter[str]:
        return Counter(kind(program, mutate(program, most, random.Random(seed))) for seed in range(4000))

    def kind(before: SequentialProgram, after: SequentialProgram) -> str:
        if len(after.rows) != len(before.rows):
            return "insert" if len(after.rows) > len(before.rows) else "remove"
        changed = [(a, b) for a, b in zip(before.rows, after.rows, strict=True) if a != b]
        assert len(changed) == 1
        return "operation" if changed[0][0].operation != changed[0][1].operation else "read"

    assert stats.chisquare(list(kinds(LONG, 10).values())).pvalue > 0.001
    assert set(kinds(LONG, 10)) == {"insert", "remove", "operation", "read"}
    assert set(kinds(LONG, 5)) == {"remove", "operation", "read"}
    assert set(kinds(rows("22 sign 0"), 5)) == {"insert", "operation", "read"}


def test_children_follow_the_probabilities_of_trees() -> None:
    config = replace(CONFIG, lambda_=6000)
    generator = random.Random(8)
    parents = [random_program(CONFIG, generator) for _ in range(6)]
    bred = [
        Individual(slot, parse("T3"), "random", "new", "", 0.0, {}, Genotype(str(rows), 0, 0))
        for slot, rows in enumerate(parents)
    ]
    offspring = SEQUENCES.children(config, bred, generator)
    shares = {origin: count / 6000 for origin, count in Counter(child.origin for child in offspring).items()}
    assert shares == pytest.approx({"crossover": 0.4, "mutation": 0.4, "reproduction": 0.2}, abs=0.025)
    texts = {origin: {c.genotype.text for c in offspring if c.origin == origin and c.genotype} for origin in shares}
    assert texts["reproduction"] == set(map(str, parents))
    assert texts["crossover"] == {str(mate(a, b)) for a in parents for b in parents if a is not b}
    assert max(child.genotype.instructions for child in offspring if child.genotype) <= config.max_length


def test_what_it_draws_depends_on_the_generator_alone() -> None:
    random.seed(1)
    state = random.getstate()
    drawn = SEQUENCES.random(CONFIG, 50, random.Random(9))
    assert random.getstate() == state
    assert drawn == SEQUENCES.random(CONFIG, 50, random.Random(9))


def test_a_candidate_without_an_expression_says_why() -> None:
    broken = proposed(CONFIG, rows("22 sign 0", "23 abs 50"), "mutation")
    assert isinstance(broken.outcome, Refusal)
    assert (broken.outcome.reason, broken.outcome.detail) == (
        "error",
        "row 2 reads address 50, which no row before it writes",
    )
    assert broken.genotype is not None
    assert broken.genotype.text == f"22 {code('sign')} 0 0; 23 {code('abs')} 50 0"
    sound = proposed(CONFIG, LONG, "crossover")
    assert (str(sound.outcome), sound.text, sound.origin) == (*[str(LONG.expression())] * 2, "crossover")
    assert sound.genotype is not None
    assert (sound.genotype.instructions, sound.genotype.reaching) == (5, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"representation": "graph"}, "representation must be one of tree, sequential; got graph"),
        ({"min_length": 0}, "min_length must be at least 1; got 0"),
        ({"min_length": 9, "max_length": 8}, r"min_length must not exceed max_length; got \(9, 8\)"),
        ({"max_length": 1, "min_length": 1}, "max_length must be at least 2; got 1"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvolveConfig(**changes)


# A search --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tasks() -> list[TaskData]:
    return synthetic.make_tasks()


@pytest.fixture
def run() -> tuple[Generation, ...]:
    return synthetic.full_run(CONFIG)


def test_individuals_are_what_their_rows_compute(run: tuple[Generation, ...]) -> None:
    for generation in run:
        assert len(generation.individuals) == CONFIG.population
        for one in generation.individuals:
            assert one.genotype is not None
            program = parse_sequential(one.genotype.text)
            assert program.expression() == one.program.expression
            assert (one.genotype.instructions, one.genotype.reaching) == (len(program.rows), program.reaching())
            assert one.genotype.instructions <= CONFIG.max_length
    trees = synthetic.full_run(replace(CONFIG, representation="tree"))
    assert all(one.genotype is None for one in trees[0].individuals)


def test_children_are_bred_from_the_rows_of_the_generation_before(run: tuple[Generation, ...]) -> None:
    kept = 0
    for before, generation in itertools.pairwise(run):
        texts = {i.genotype.text for i in before.individuals if i.genotype and math.isfinite(i.fitness)}
        programs = list(map(parse_sequential, texts))
        mated = {str(mate(a, b)) for a in programs for b in programs}
        for one in generation.individuals:
            assert one.genotype is not None
            if one.origin == "reproduction":
                assert one.genotype.text in texts
            if one.origin == "crossover":
                assert one.genotype.text in mated
            kept += one.origin in ("reproduction", "crossover")
    assert kept > 5
    origins = {one.origin for generation in run for one in generation.individuals}
    assert origins == {"random", "crossover", "mutation", "reproduction"}


def test_equal_programs_are_recognised_whatever_their_rows_are(run: tuple[Generation, ...]) -> None:
    genotypes: dict[str, set[str]] = {}
    for generation in run:
        for one in generation.individuals:
            assert one.genotype is not None
            genotypes.setdefault(one.same_as, set()).add(one.genotype.text)
    assert max(map(len, genotypes.values())) > 1
    distinct = {record.program.id for generation in run for record in generation.programs}
    assert set(genotypes) == distinct


def test_refusals_are_known_by_the_rows_or_by_the_expression() -> None:
    config = replace(CONFIG, min_length=1, max_length=6, crossover=0.0, mutation=1.0, height_limit=1, population=40)
    reasons: Counter[str] = Counter()
    known = 0
    for generation in synthetic.full_run(config):
        counters = generation.counters
        assert counters["rejected"] == sum(one.count for one in generation.rejections)
        assert counters["proposed"] == counters["rejected"] + len(generation.individuals)
        known += counters["known"]
        for one in generation.rejections:
            reasons[one.reason] += 1
            if one.reason == "too_tall":
                assert parse_sequential(one.text).expression().height == 2
            else:
                assert parse(one.text).root.height <= 1
    assert min(reasons[reason] for reason in ("too_tall", "shape", "non_finite")) > 0
    assert known > 0


def test_rows_that_read_what_is_nowhere_are_refused_and_remembered(
    tasks: list[TaskData], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = rows("22 sign 0", "23 abs 50")

    class Broken(Sequences):
        def random(self, config: EvolveConfig, count: int, generator: random.Random) -> list[Candidate]:
            half = super().random(config, count // 2, generator)
            return [proposed(config, broken, "random"), *half, proposed(config, broken, "random")]

    monkeypatch.setattr(loop, "REPRESENTATIONS", {"sequential": Broken})
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks)) as scorer:
        first, second = itertools.islice(evolve(replace(CONFIG, population=60), tasks, scorer), 2)
    for generation, judged_before in ((first, False), (second, True)):
        (refused,) = [one for one in generation.rejections if one.reason == "error"]
        assert (refused.text, refused.detail) == (
            str(broken),
            "row 2 reads address 50, which no row before it writes",
        )
        assert refused.count > 1
        assert generation.counters["known"] >= refused.count - (not judged_before)


@pytest.mark.parametrize("done", [1, 3])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(
    run: tuple[Generation, ...], tasks: list[TaskData], done: int
) -> None:
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks)) as scorer:
        assert tuple(evolve(CONFIG, tasks, scorer, history=run[:done])) == run[done:]


@pytest.mark.slow
def test_two_workers_make_the_same_run(run: tuple[Generation, ...], tasks: list[TaskData]) -> None:
    with StatisticsScorer(synthetic.load, choose_probes(CONFIG, tasks), workers=2) as scorer:
        assert tuple(itertools.islice(evolve(CONFIG, tasks, scorer), 2)) == run[:2]


@pytest.mark.slow
def test_the_run_does_not_depend_on_the_hash_seed(run: tuple[Generation, ...]) -> None:
    assert synthetic.run_elsewhere(CONFIG, "5") == synthetic.without_seconds(run)


# In the store ----------------------------------------------------------------------------------------------------


RUNS = {"tree-0": ("tree", 0), "tree-1": ("tree", 1), "rows-0": ("sequential", 0), "rows-1": ("sequential", 1)}


def config_of(run: str) -> EvolveConfig:
    representation, seed = RUNS[run]
    return replace(CONFIG, representation=representation, seed=seed, generations=2)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Runs of both representations on invented networks, tested on invented scores; no test changes it."""
    made = Store.open(tmp_path_factory.mktemp("representations") / "store", create=True)
    samples.write_accuracies(made)
    tasks = [samples.run_task(task) for task in samples.TASKS]
    for name in RUNS:
        config = config_of(name)
        create_run(made, config, tasks, name=name, command=("zcsr", "evolve", "--run", name))
        opened = open_run(made, name)
        for number, generation in enumerate(synthetic.full_run(config)):
            opened.append(replace(generation, seconds={"score": 0.25, "total": 1.5 + number}))
        generator = random.Random(name)
        programs = [record.program for record in synthetic.full_run(config)[0].programs[:4]]
        opened.write_test_scores(
            TestScore(program, task, arch, 1.0 if place == 0 else generator.gauss(0, 1))
            for place, program in enumerate(programs)
            for task in samples.TASKS
            for arch in samples.TEST
        )
        opened.set_status("finished")
    return made


def test_generations_come_back_with_their_rows(store: Store) -> None:
    for name in RUNS:
        assert list(open_run(store, name).generations()) == list(synthetic.full_run(config_of(name)))
    folders = {name: store.runs_dir / name / "generations" / "0001" for name in RUNS}
    assert [name for name, path in folders.items() if (path / "genotypes.parquet").exists()] == ["rows-0", "rows-1"]


def test_sql_sees_the_rows(store: Store) -> None:
    shown = query(store, "FROM genotypes WHERE run = 'rows-0' AND generation = 1 ORDER BY slot")
    expected = [
        ("rows-0", 1, one.slot, one.genotype.text, one.genotype.instructions, one.genotype.reaching)
        for one in synthetic.full_run(config_of("rows-0"))[1].individuals
        if one.genotype
    ]
    assert shown.rows() == expected
    assert len(expected) == CONFIG.population
    assert query(store, "FROM genotypes WHERE run LIKE 'tree%'").is_empty()
    assert query(store, "SELECT run FROM runs WHERE representation = 'sequential' ORDER BY run").rows() == [
        ("rows-0",),
        ("rows-1",),
    ]
    assert verify(store) == []


def test_a_run_from_before_the_choice_is_one_of_trees(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", create=True)
    samples.write_run(store, "old")
    samples.write_accuracies(store)
    path = store.runs_dir / "old" / "run.json"
    record = json.loads(path.read_text())
    for name in ("representation", "min_length", "max_length"):
        del record["config"][name]
    write_json(record, path)
    assert open_run(store, "old").config == samples.CONFIG
    assert len(list(open_run(store, "old").generations())) == 3
    assert query(store, "SELECT representation FROM runs").item() == "tree"
    assert query(store, "FROM genotypes").is_empty()
    assert verify(store) == []


def test_rows_that_are_lost_are_noticed(store: Store, tmp_path: Path) -> None:
    copy = Store.open(tmp_path / "copy", create=True)
    create_run(copy, config_of("rows-0"), [], name="lossy")
    opened = open_run(copy, "lossy")
    for generation in synthetic.full_run(config_of("rows-0")):
        opened.append(generation)
    remove(copy.runs_dir / "lossy" / "generations" / "0001" / "genotypes.parquet")
    with pytest.raises(StoreError, match=r"0001 lacks genotypes\.parquet"):
        list(open_run(copy, "lossy").generations())
    assert verify(copy) == ["runs/lossy/generations/0001/genotypes.parquet is missing"]


# The command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--representation", "graph"), "representation must be one of tree, sequential; got graph"),
        (("--min-length", "40"), "min_length must not exceed max_length"),
    ],
)
def test_a_representation_that_there_is_not_is_one_line(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, _, err = zcsr("evolve", *words, "--store", str(tmp_path / "store"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err
