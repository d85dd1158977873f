"""A search for a front of programs: a generator of generations, which neither prints nor stores.

Every program is scored on all networks that selection sees, so a value never changes and what is good is not lost.
Only base columns cost time (`zcsr.evolve.bank`): a generation asks for a fixed number of new ones, by random
programs and children, and then tries every readout of them and thousands of formulas over all that are known. New
columns are raced on the first networks. Who survives is decided by least tau, mean tau, size and cost
(`zcsr.evolve.objectives`).

All randomness of generation g comes from `random.Random(f"{seed}/{g}/{purpose}")`; candidates are judged in the
order they are proposed, and which columns are new is a matter of the run alone. So the run depends on its config,
tasks and numbers alone: not on workers, not on what a store knows already, and not on interruptions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from zcsr.engine.threads import one_thread
from zcsr.errors import InputError, ProgramError, ZcsrError
from zcsr.evaluation.scorer import ColumnSource, Reason, Refusal
from zcsr.evolve.bank import Bank, base_columns_of
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.fitness import MEASURES, merits
from zcsr.evolve.ledger import FRONT_COUNTERS, Ledger, Observe
from zcsr.evolve.objectives import cost_of, parents, survivors
from zcsr.evolve.proposals import FUNCTIONS, Formulas, negated, parts, readouts
from zcsr.evolve.records import (
    ColumnRecord,
    ColumnState,
    Evaluated,
    Generation,
    Individual,
    Origin,
    ProgramRecord,
    check_number,
)
from zcsr.evolve.tasks import TaskData, check_distinct, sample
from zcsr.evolve.typed_trees import TypedTrees
from zcsr.language.languages import LANGUAGES, Language
from zcsr.language.network_operations import COUNTED, COUNTS
from zcsr.language.program import Node, Program, infer_shape
from zcsr.ranking import chance_deviation
from zcsr.sameness.normal_form import normal_form
from zcsr.sameness.recognise import program_keys

FIRST_SHARE = 0.3
"""Share of each task's networks on which new columns are raced."""

FEWEST_FIRST = 8
"""Least number of these networks of a task."""

PROPOSED_TOGETHER = 50
"""Random programs, or children, proposed at a time."""

HOPELESS_AFTER = 20_000
"""Candidates in a row without a new column after which a generation goes on without more of them."""

TERMS = 60
"""Readouts that formulas try as further terms: those of the highest mean tau, up to the sign."""

KEPT_FORMULAS = 3
"""Formulas of a program that become candidates."""

WORDS = 0.5
"""Share of the new columns of a generation that are words, an operation on a tensor each, while any are left."""

_ROUNDS = 2
"""How often a generation improves programs by one more term."""


def search(
    config: EvolveConfig,
    tasks: Sequence[TaskData],
    source: ColumnSource,
    history: Iterable[Generation] = (),
    observe: Observe | None = None,
    language: Language | None = None,
    seeds: Sequence[Program] = (),
) -> Iterator[Generation]:
    """Return an iterator over the generations that follow `history`, up to `config.generations` in all.

    `tasks` hold the networks that selection sees. `history` are the run's first generations, in order; what follows
    equals what an uninterrupted run yields. `seeds` are programs that the first generation has besides random ones.
    Raises InputError for tasks or a history that do not fit the config, and ZcsrError when no program is valid.
    """
    past = tuple(history)
    check_distinct(tasks)
    _check_history(tasks, past)
    spoken = language or LANGUAGES[config.language]
    bank = Bank(tasks, source, _first(config, tasks))
    memory = _Memory()
    for generation in past:
        memory.learn(generation)
    return _generations(config, bank, memory, spoken, len(past), observe or (lambda _: None), seeds)


def _generations(
    config: EvolveConfig,
    bank: Bank,
    memory: _Memory,
    language: Language,
    number: int,
    observe: Observe,
    seeds: Sequence[Program],
) -> Iterator[Generation]:
    for upcoming in range(number, config.generations):
        making = _Making(config, bank, memory, language, Ledger(upcoming, observe))
        generation = making.generation(seeds if upcoming == 0 else ())
        memory.learn(generation)
        yield generation


def _first(config: EvolveConfig, tasks: Sequence[TaskData]) -> NDArray[np.bool_]:
    """The networks on which columns are raced: all of them where there is no race."""
    flags: list[bool] = []
    for task in tasks:
        count = len(task.archs)
        wanted = min(count, max(FEWEST_FIRST, round(FIRST_SHARE * count))) if config.race else count
        drawn = set(sample(task.archs, wanted, random.Random(f"{config.seed}/race/{task.task}")))
        flags += [arch in drawn for arch in task.archs]
    return np.array(flags, dtype=bool)


@dataclass(slots=True)
class _Memory:
    """What a run has found out: a function of its generations."""

    columns: dict[str, ColumnState] = field(default_factory=dict)
    same: dict[Node, str] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    smallest: dict[str, Evaluated] = field(default_factory=dict)
    terms: dict[str, Evaluated] = field(default_factory=dict)
    by_id: dict[str, Evaluated] = field(default_factory=dict)
    population: list[Evaluated] = field(default_factory=list)

    def key(self, column: Node) -> str:
        """The text that equal columns share: the normal form's."""
        if column not in self.same:
            self.same[column] = str(normal_form(column))
        return self.same[column]

    def learn(self, generation: Generation) -> None:
        """Take in everything that a generation found out."""
        for record in generation.columns:
            self.columns[record.text] = record.state
        self.texts.update(rejection.text for rejection in generation.rejections)
        for one in generation.evaluated:
            self.enter(one)
        self.population = [self.by_id[one.same_as] for one in generation.individuals]

    def enter(self, one: Evaluated) -> None:
        """Take in a program that was evaluated."""
        self.texts.add(str(one.program))
        self.by_id[one.program.id] = one
        before = self.smallest.get(one.ranking)
        if before is None or one.program.root.size < before.program.root.size:
            self.smallest[one.ranking] = one
        if is_term(one.program):
            self.terms[str(one.program)] = one


def is_term(program: Program) -> bool:
    """Whether a program is one number of the network: an aggregation, or a count."""
    return program.root.word.aggregates or not program.root.args


@dataclass(slots=True)
class _Making:
    """One generation as it is made."""

    config: EvolveConfig
    bank: Bank
    memory: _Memory
    language: Language
    ledger: Ledger
    evaluated: dict[str, Evaluated] = field(default_factory=dict)
    columns: dict[str, ColumnState] = field(default_factory=dict)

    def generation(self, seeds: Sequence[Program]) -> Generation:
        """Make the generation."""
        ledger, config = self.ledger, self.config
        with ledger.timed("total"), one_thread():
            for term in (Program(Node(count)) for count in COUNTS if ledger.number == 0):
                self._consider(term, "readout")
            self._with_new_columns(seeds)
            with ledger.timed("formulas"):
                self._improve()
            if not (pool := self._pool()):
                raise ZcsrError(self._hopeless())
            with ledger.timed("select"):
                most = math.floor(config.shape_only * config.population)
                chosen = survivors(pool, config.design, config.population, most, self._generator("survivors"))
            individuals = tuple(self._individual(slot, one) for slot, one in enumerate(chosen))
            programs = tuple(self._record(one) for one in chosen if one.program.id in self.evaluated)
        return Generation(
            number=ledger.number,
            draws={task.task: task.archs for task in self.bank.tasks},
            individuals=individuals,
            programs=programs,
            rejections=tuple(ledger.rejections.values()),
            scores=(),
            counters={name: ledger.counts[name] for name in FRONT_COUNTERS},
            evaluated=tuple(self.evaluated.values()),
            columns=tuple(ColumnRecord(text, state) for text, state in self.columns.items()),
            seconds=dict(ledger.seconds),
        )

    def _generator(self, purpose: str) -> random.Random:
        return random.Random(f"{self.config.seed}/{self.ledger.number}/{purpose}")

    # --- new columns --------------------------------------------------------------------------------------------

    def _with_new_columns(self, seeds: Sequence[Program]) -> None:
        """Draw programs until enough of them need new columns; compute these, and consider all that can be."""
        waiting: list[tuple[Program, Origin]] = []
        wanted: dict[str, Node] = {}
        fruitless = 0
        for program, origin in self._drawn(seeds):
            self.ledger.counts["proposed"] += 1
            fruitless += 1
            missing = self._missing(program, origin)
            if missing is None:
                continue
            if not missing:
                if self._consider(program, origin):
                    fruitless = 0
            else:
                waiting.append((program, origin))
                fruitless = 0 if any(key not in wanted for key in missing) else fruitless
                wanted |= missing
                self.ledger.report("columns", len(wanted), self.config.columns)
            if len(wanted) >= self.config.columns or fruitless >= HOPELESS_AFTER:
                break
        with self.ledger.timed("columns"):
            found = self._computed(wanted)
        for column in found:
            self._read_out(column)
        for program, origin in waiting:
            if not self._missing(program, origin):
                self._consider(program, origin)

    def _drawn(self, seeds: Sequence[Program]) -> Iterator[tuple[Program, Origin]]:
        """Seeds, and words; then random programs alone, or children and random programs in turn."""
        yield from ((program, "seed") for program in seeds)
        yield from ((program, "random") for program in self._words())
        trees, population = TypedTrees(self.language), self.memory.population
        by_chance, of_parents = self._generator("random"), self._generator("children")
        while True:
            if population:
                chosen = parents(population, self.config.design, self.config.mu, self.config.tournament, of_parents)
                for candidate in trees.children(self.config, chosen, of_parents):
                    assert isinstance(candidate.outcome, Program)
                    yield candidate.outcome, candidate.origin
            for candidate in trees.random(self.config, PROPOSED_TOGETHER, by_chance):
                assert isinstance(candidate.outcome, Program)
                yield candidate.outcome, candidate.origin

    def _words(self) -> list[Program]:
        """The next words that the run knows nothing of, in an order of its own, each summed over the instances."""
        words = _words_of(self.language)
        random.Random(f"{self.config.seed}/words").shuffle(words)
        unknown = (word for word in words if self._state(self.memory.key(word)) is None)
        count = round(WORDS * self.config.columns)
        return [Program(self.language.node("sum", word)) for word in islice(unknown, count)]

    def _missing(self, program: Program, origin: Origin) -> dict[str, Node] | None:
        """The base columns that the run does not know yet, by key; None for a program that is not worth them."""
        if str(program) in self.memory.texts or str(program) in self.ledger.rejections:
            self.ledger.counts["known"] += 1
            return None
        height, limit = program.root.height, self.config.height_limit
        if height > limit:
            self._refuse(program, origin, "too_tall", f"height {height}, the limit is {limit}")
            return None
        missing: dict[str, Node] = {}
        for column in base_columns_of(program):
            state = self._state(key := self.memory.key(column))
            if state is None:
                missing[key] = column
            elif state != "known":
                reason: Reason = "raced" if state == "raced" else "non_finite"
                self._refuse(program, origin, reason, f"its column {column} was {state} before")
                return None
        try:
            for shapes in self.bank.shapes if missing else ():
                for column in program.columns:
                    infer_shape(column, shapes)
        except ProgramError as error:
            self._refuse(program, origin, "shape", str(error))
            return None
        return missing

    def _state(self, key: str) -> ColumnState | None:
        return self.columns.get(key) or self.memory.columns.get(key)

    def _computed(self, wanted: Mapping[str, Node]) -> list[Node]:
        """Race the columns on the first networks and complete those that are not lost; these are returned."""
        self.ledger.counts["columns"] += len(wanted)
        begun: dict[Node, NDArray[np.float64]] = {}
        total = len(self.bank.networks)
        first = int(self.bank.first.sum())
        least = self._least_in_race()
        for (key, column), numbers in zip(wanted.items(), self.bank.begin(list(wanted.values())), strict=True):
            if numbers is None or not self.bank.finite(numbers, self.bank.first):
                self.columns[key] = "refused"
            elif self._best_in_race(column, numbers) < least:
                self.columns[key] = "raced"
                self.ledger.counts["spared"] += total - first
            else:
                begun[column] = numbers
        self.ledger.counts["computed"] += len(wanted) * first + len(begun) * (total - first)
        for (column, _), numbers in zip(begun.items(), self.bank.complete(begun), strict=True):
            good = numbers is not None and bool(np.isfinite(numbers).all())
            self.columns[self.memory.key(column)] = "known" if good else "refused"
        return [column for column in begun if self._state(self.memory.key(column)) == "known"]

    def _least_in_race(self) -> float:
        """The mean |tau| on the first networks from which a column stays in the race, -inf where there is none.

        It is what half of the population reaches there, less the margin.
        """
        if not self.config.race or not self.memory.population:
            return -math.inf
        standard = self._in_race([self.bank.scores(one.program) for one in self.memory.population])
        error = math.sqrt(sum(chance_deviation(count) ** 2 for count in self.bank.counted(self.bank.first)))
        return float(np.median(standard)) - self.config.race * error / len(self.bank.tasks)

    def _best_in_race(self, column: Node, numbers: NDArray[np.float64]) -> float:
        """The highest mean |tau| of a column's readouts on the first networks, whose numbers are given."""
        given = {column: numbers}
        programs = readouts(self.language, column)
        return float(self._in_race([self.bank.scores(one, given) for one in programs]).max())

    def _in_race(self, scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        taus = self.bank.by_task(MEASURES["signed"], np.nan_to_num(np.array(scores)), self.bank.first)
        means: NDArray[np.float64] = np.abs(taus.mean(axis=1))
        return means

    # --- programs of known columns ------------------------------------------------------------------------------

    def _consider(self, program: Program, origin: Origin) -> Evaluated | None:
        """Evaluate a program whose columns are known, and enter it unless it is refused or nothing new."""
        text = str(program)
        if text in self.memory.texts or text in self.ledger.rejections:
            self.ledger.counts["known"] += 1
            return None
        scores = self.bank.scores(program)
        self.ledger.counts["scored"] += 1
        if not np.isfinite(scores).all():
            self._refuse(program, origin, "non_finite", "a score is not finite")
            return None
        if all(np.ptp(scores[place]) == 0 for place in self.bank.slices.values()):
            self._refuse(program, origin, "constant", "every network of a task has the same score")
            return None
        ranking = self.bank.ranking_of(scores)
        before = self.memory.smallest.get(ranking)
        if before is not None and before.program.root.size <= program.root.size:
            self.ledger.counts["same_order"] += 1
            return None
        shape_only = all(map(self.bank.depends_on_shapes_alone, base_columns_of(program)))
        shape_only = shape_only and COUNTED.issuperset(program.known)
        if shape_only and self.config.refuse == "shape-only":
            self._refuse(program, origin, "shape_only", "it looks at sizes alone")
            return None
        (taus,) = self.bank.by_task(MEASURES[self.config.fitness], scores[None, :])
        by_task = dict(zip((task.task for task in self.bank.tasks), taus.tolist(), strict=True))
        one = Evaluated(program, origin, by_task, ranking, shape_only, cost_of(program))
        self.ledger.counts["shape_only"] += shape_only
        self.evaluated[program.id] = one
        self.memory.enter(one)
        return one

    def _read_out(self, column: Node) -> None:
        """Consider the best readout of a new column, whichever way round it ranks, and that without a function."""
        programs = readouts(self.language, column)
        scores = np.array([self.bank.scores(one) for one in programs])
        self.ledger.counts["scored"] += len(programs)
        taus = self.bank.by_task(MEASURES["signed"], np.where(np.isnan(scores), 0.0, scores))
        merit = np.abs(_merit(taus))
        plain = len(programs) // (1 + len(FUNCTIONS))  # those without a function come first
        for best in dict.fromkeys((int(merit[:plain].argmax()), int(merit.argmax()))):
            chosen = programs[best]
            self._consider(chosen if _merit(taus[best]) > 0 else negated(self.language, chosen), "readout")
            if _merit(taus[best]) <= 0:  # the term itself is what formulas take
                self._consider(chosen, "readout")

    def _improve(self) -> None:
        """Improve programs, each by the best of one more term, and consider their parts."""
        generator = self._generator("formulas")
        for _ in range(_ROUNDS):
            pool = self._pool()
            if not pool or not self.config.formulas:
                return
            best = survivors(pool, self.config.design, self.config.population, len(pool), generator)
            chosen = parents(best, self.config.design, self.config.formulas, self.config.tournament, generator)
            terms = self._terms()
            others = np.array([self.bank.scores(term.program) for term in terms])
            for parent in {one.program.id: one for one in chosen}.values():
                for part in parts(parent.program):
                    self._consider(part, "formula")
                self._extend(parent, [term.program for term in terms], others)
            self.ledger.report("formulas", len(self.evaluated), len(self.evaluated))

    def _pool(self) -> list[Evaluated]:
        """The population and what is new, the smallest of those that rank alike."""
        pool = [*self.memory.population, *self.evaluated.values()]
        return [one for one in pool if self.memory.smallest[one.ranking] is one]

    def _terms(self) -> list[Evaluated]:
        ranked = sorted(self.memory.terms.values(), key=lambda one: (-abs(one.mean), str(one.program)))
        return ranked[:TERMS]

    def _extend(self, parent: Evaluated, terms: Sequence[Program], others: NDArray[np.float64]) -> None:
        own = self.bank.scores(parent.program)
        formulas = Formulas.of(self.language, parent.program, own, terms, others)
        if not len(formulas.scores):
            return
        taus = self.bank.by_task(MEASURES[self.config.fitness], formulas.scores)
        self.ledger.counts["scored"] += len(formulas.scores)
        merit = np.where(np.isnan(taus).any(axis=1), -math.inf, _merit(np.nan_to_num(taus, nan=-1.0)))
        better = [place for place in np.argsort(-merit, kind="stable") if merit[place] > parent.merit]
        for place in better[:KEPT_FORMULAS]:
            program = formulas.program_at(int(place))
            if program is not None and program.root.height <= self.config.height_limit:
                self._consider(program, "formula")

    # --- records ------------------------------------------------------------------------------------------------

    def _refuse(self, program: Program, origin: Origin, reason: Reason, detail: str) -> None:
        self.ledger.reject(str(program), origin, Refusal(reason, detail))

    def _individual(self, slot: int, one: Evaluated) -> Individual:
        new = one.program.id in self.evaluated
        return Individual(
            slot=slot,
            program=one.program,
            origin=one.origin,
            recognised_by="new" if new else "text",
            same_as=one.program.id,
            fitness=one.least,
            taus=one.taus,
        )

    def _record(self, one: Evaluated) -> ProgramRecord:
        return ProgramRecord(one.program, *program_keys(one.program).of_value, probe_values=())

    def _hopeless(self) -> str:
        seen = ", ".join(f"{one.reason}: {one.text}" for one in list(self.ledger.rejections.values())[:3])
        return f"no valid program among {self.ledger.counts['proposed']} candidates ({seen or 'none proposed'})"


def _words_of(language: Language) -> list[Node]:
    """The columns that are one operation on a tensor.

    What is of a matrix takes activations with a row for each channel. Where shapes alone decide, one tensor of each
    kind is enough.
    """
    words: dict[tuple[str, str], Node] = {}
    for tensor in language.tensors:
        for operation in language.operations:
            if operation.takes == ("tensor",) and operation.type_of("tensor") == "number":
                leaf = language.node(tensor.name)
                by_channel = operation.reads_rows and tensor.kind != "weight"
                read = tensor.kind if operation.from_shape else tensor.name
                word = language.node(operation.name, language.node("channels", leaf) if by_channel else leaf)
                words.setdefault((operation.name, read), word)
    return list(words.values())


def _merit(taus: NDArray[np.float64]) -> NDArray[np.float64]:
    """The merits of taus [..., tasks] -> [...], by the better way round of ranking."""
    up, down = merits(taus), merits(-taus)
    return np.where(up >= down, up, -down)


def _check_history(tasks: Sequence[TaskData], past: Sequence[Generation]) -> None:
    networks = {task.task: task.archs for task in tasks}
    for number, generation in enumerate(past):
        check_number(generation, number)
        if dict(generation.draws) != networks:
            raise InputError(
                f"generation {number} was evaluated on other networks than this config and these tasks give; "
                f"resume a run with those it was started with"
            )
