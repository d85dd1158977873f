"""Runs on disk: what is written comes back exactly, whole or not at all."""

from __future__ import annotations

import json
import math
import shutil
import struct
from dataclasses import asdict, replace

import pytest
import store_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from zcsr.errors import InputError, StoreError
from zcsr.evolve.config import EvolveConfig
from zcsr.evolve.finalists import finalists
from zcsr.evolve.records import Generation, Individual, ProgramRecord, Rejection, ScoreRecord
from zcsr.language.program import Program
from zcsr.language.text import parse
from zcsr.store.kept import runs as runs_module
from zcsr.store.kept.runs import TestScore, create_run, installed_versions, list_runs, open_run, run_names
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query, verify

TASKS = ("nasbench201:cifar10", "nasbench201:cifar100")


def bits(values: tuple[float, ...]) -> bytes:
    return struct.pack(f"{len(values)}d", *values)


# Making runs


def test_a_run_records_what_it_was_started_with(store: Store) -> None:
    config = EvolveConfig(seed=7, population=10, crossover=0.1 + 0.2, to_scalar="l2", aggregation="sum")
    tasks = [samples.run_task(task) for task in TASKS]
    name = create_run(store, config, tasks, name="mine", command=("zcsr", "evolve", "--seed", "7"))
    assert name == "mine"
    run = open_run(store, "mine")
    info = run.info()
    assert (info.name, info.status, info.seconds) == ("mine", "running", 0.0)
    assert info.config == run.config == config
    assert info.command == ("zcsr", "evolve", "--seed", "7")
    assert info.task_names == TASKS
    assert info.versions == installed_versions()
    assert set(info.versions) == {"zcsr", "torch", "numpy", "deap", "python"}
    assert run.tasks() == tuple(tasks)
    written = json.loads((store.runs_dir / "mine" / "run.json").read_text())
    assert written["config"] == asdict(config)


def test_a_run_without_a_name_gets_a_readable_one_of_its_own(store: Store) -> None:
    made = {create_run(store, samples.CONFIG, [samples.run_task(TASKS[0])]) for _ in range(5)}
    assert len(made) == 5
    for name in made:
        day, clock, random = name.split("-")
        assert (len(day), len(clock), len(random)) == (8, 6, 4)
    assert run_names(store) == tuple(sorted(made))


def test_a_name_is_taken_once(store: Store) -> None:
    samples.write_run(store, "mine")
    before = list(open_run(store, "mine").generations())
    with pytest.raises(InputError, match="already in the store"):
        create_run(store, samples.CONFIG, [samples.run_task(TASKS[0])], name="mine")
    assert list(open_run(store, "mine").generations()) == before


@pytest.mark.parametrize("name", ["", "latest", "all", "../x", "a/b", ".tmp-x", "a b", "x" * 65, "é"])
def test_names_that_are_no_plain_folder_are_refused(store: Store, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a run"):
        create_run(store, samples.CONFIG, [samples.run_task(TASKS[0])], name=name)
    assert run_names(store) == ()


@pytest.mark.parametrize(
    ("evolve", "test", "message"),
    [(("a", "b"), ("b", "c"), "disjoint"), (("a", "a"), (), "twice"), ((), ("b", "b"), "twice")],
)
def test_a_split_that_overlaps_is_refused(
    store: Store, evolve: tuple[str, ...], test: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        create_run(store, samples.CONFIG, [samples.run_task(TASKS[0], evolve, test)], name="mine")


def test_a_task_given_twice_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="given twice"):
        create_run(store, samples.CONFIG, [samples.run_task(TASKS[0])] * 2)


def test_latest_is_the_run_started_last_not_the_last_name(store: Store) -> None:
    for name in ("zebra", "aardvark"):
        samples.write_run(store, name, generations=0, test=False)
    assert open_run(store).name == open_run(store, "latest").name == "aardvark"
    assert [info.name for info in list_runs(store)] == ["zebra", "aardvark"]


def test_an_unknown_run_is_refused_with_a_suggestion(store: Store) -> None:
    with pytest.raises(InputError, match="holds no runs"):
        open_run(store)
    samples.write_run(store, "first", generations=0, test=False)
    with pytest.raises(InputError, match="did you mean first"):
        open_run(store, "frist")


def test_the_status_changes_and_seconds_add_up(store: Store) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    run = open_run(store, "mine")
    run.set_status("interrupted", 2.5)
    run.set_status("finished", session_seconds=4.0)
    assert (run.info().status, run.info().seconds) == ("finished", 6.5)
    with pytest.raises(InputError, match="running, finished, interrupted"):
        run.set_status("done")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"status": "running"}', '{"config": {"seed": 0, "unheard_of": 1}}']
)
def test_a_damaged_record_is_a_store_error_that_names_the_file(store: Store, damage: str) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    path = store.runs_dir / "mine" / "run.json"
    record = json.loads(path.read_text())
    content = json.dumps(record | json.loads(damage)) if "unheard_of" in damage else damage
    path.write_text(content)
    with pytest.raises(StoreError, match=r"run\.json"):
        open_run(store, "mine").info()


# Generations


def test_generations_come_back_as_they_were(store: Store) -> None:
    samples.write_run(store, "mine", test=False)
    run = open_run(store, "mine")
    stored = list(run.generations())
    assert len(stored) == 3
    for number, one in enumerate(stored):
        original = samples.generation(number)
        assert one == original
        assert dict(one.seconds) == dict(original.seconds)
        assert list(one.counters) == list(original.counters)
        assert list(one.draws) == list(original.draws)
        assert [list(i.taus) for i in one.individuals] == [list(i.taus) for i in original.individuals]


floats = st.floats(allow_nan=False, width=64)
names = st.sampled_from(["abs(T1_D)", "fro(T3) -> l2 -> sum", "add(T1_P, T2G_N)", "T4_D"])
texts = st.text(max_size=20).filter(lambda text: "\x00" not in text and text.isprintable())


@settings(max_examples=40, deadline=None)
@given(
    fitness=floats,
    tau=floats,
    probes=st.lists(floats, max_size=5).map(tuple),
    text=names,
    fingerprint=st.none() | texts,
    detail=texts,
    score=floats,
    value=st.integers(-(2**62), 2**62),
)
def test_any_record_survives_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    fitness: float,
    tau: float,
    probes: tuple[float, ...],
    text: str,
    fingerprint: str | None,
    detail: str,
    score: float,
    value: int,
) -> None:
    program = parse(text)
    original = Generation(
        number=0,
        draws={"s:b": ("x", "y"), "s:a": ("z",)},
        individuals=(Individual(0, program, "random", "new", program.id, fitness, {"s:b": tau, "s:a": 0.1}),),
        programs=(ProgramRecord(program, detail, detail, fingerprint, probes),),
        rejections=(Rejection(detail, "crossover", "error", detail, 2),),
        scores=(ScoreRecord(program.id, "s:b", "x", score),),
        counters={"b": value, "a": 0},
        seconds={"total": abs(tau)},
    )
    store = Store.open(tmp_path_factory.mktemp("s"), create=True)
    create_run(store, EvolveConfig(), [], name="mine")
    open_run(store, "mine").append(original)
    (stored,) = open_run(store, "mine").generations()
    assert stored == original
    assert bits(stored.programs[0].probe_values) == bits(probes)
    assert bits((stored.individuals[0].fitness, stored.scores[0].score)) == bits((fitness, score))
    assert bits(tuple(stored.individuals[0].taus.values())) == bits((tau, 0.1))


def test_a_generation_without_anything_comes_back(store: Store) -> None:
    create_run(store, EvolveConfig(), [], name="mine")
    empty = Generation(0, {}, (), (), (), (), {})
    open_run(store, "mine").append(empty)
    assert list(open_run(store, "mine").generations()) == [empty]


def test_numbers_must_follow(store: Store) -> None:
    samples.write_run(store, "mine", generations=2, test=False)
    run = open_run(store, "mine")
    for wrong in (0, 1, 3, -1):
        with pytest.raises(StoreError, match=r"next one is number 2"):
            run.append(samples.generation(wrong) if wrong >= 0 else replace(samples.generation(0), number=-1))
    assert len(list(run.generations())) == 2


def test_a_half_written_generation_is_neither_read_nor_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.write_run(store, "mine", generations=1, test=False)
    run = open_run(store, "mine")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs_module, "replace_directory", killed)
        with pytest.raises(KeyboardInterrupt):
            run.append(samples.generation(1))
    folder = store.runs_dir / "mine" / "generations"
    assert len(list(folder.iterdir())) == 2
    assert list(run.generations()) == [samples.generation(0)]
    run.append(samples.generation(1))
    assert sorted(path.name for path in folder.iterdir()) == ["0000", "0001"]
    assert list(run.generations()) == [samples.generation(0), samples.generation(1)]


def test_of_two_writers_of_one_generation_the_second_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.write_run(store, "mine", generations=1, test=False)
    first, second = open_run(store, "mine"), open_run(store, "mine")
    real = runs_module.generation_frames

    def overtaken(generation: Generation) -> object:
        monkeypatch.setattr(runs_module, "generation_frames", real)
        second.append(samples.generation(1))
        return real(generation)

    monkeypatch.setattr(runs_module, "generation_frames", overtaken)
    with pytest.raises(StoreError, match="0001"):
        first.append(samples.generation(1, seed=9))
    assert list(first.generations())[1] == samples.generation(1)


def test_a_gap_is_a_store_error(store: Store) -> None:
    samples.write_run(store, "mine", test=False)
    (store.runs_dir / "mine" / "generations" / "0001").rename(store.root / "elsewhere")
    with pytest.raises(StoreError, match="lacks generation 1"):
        list(open_run(store, "mine").generations())


@pytest.mark.parametrize("table", ["generation", "individuals", "scores"])
def test_a_damaged_table_is_a_store_error_that_names_the_file(store: Store, table: str) -> None:
    samples.write_run(store, "mine", test=False)
    path = store.runs_dir / "mine" / "generations" / "0001" / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=f"{table}.parquet"):
        list(open_run(store, "mine").generations())
    path.unlink()
    with pytest.raises(StoreError, match=f"{table}.parquet"):
        list(open_run(store, "mine").generations())


# Finalists


@pytest.mark.parametrize("representation", ["tree", "sequential"])
def test_finalists_are_stored_once_the_last_generation_is_there(store: Store, representation: str) -> None:
    config = replace(samples.CONFIG, representation=representation)
    samples.write_run(store, "mine", generations=2, test=False, config=config)
    run = open_run(store, "mine")
    path = store.runs_dir / "mine" / "finalists.parquet"
    assert run.finalists() == finalists(run.generations())
    assert not path.exists()
    last = samples.generation(2)
    run.append(samples.bred_as_rows(last) if representation == "sequential" else last)
    decided = run.finalists()
    assert decided == finalists(run.generations())
    assert path.exists()
    stored = query(
        store, "SELECT program, role, fitness, generation, slot FROM finalists ORDER BY role, fitness DESC"
    ).rows()
    expected = [(one.program.id, one.role, one.fitness, one.generation, one.slot) for one in decided]
    assert sorted(stored) == sorted(expected)
    assert open_run(store, "mine").finalists() == decided
    samples.write_accuracies(store)
    assert verify(store) == []


def test_finalists_are_the_same_in_sql_before_they_are_stored(store: Store) -> None:
    samples.write_run(store, "mine", test=False)
    before = query(store, "FROM finalists ORDER BY program").rows()
    open_run(store, "mine").finalists()
    assert query(store, "FROM finalists ORDER BY program").rows() == before
    assert len(before) == 3
    (store.runs_dir / "mine" / "finalists.parquet").write_bytes(b"rubbish")
    with pytest.raises(StoreError, match=r"finalists\.parquet"):
        open_run(store, "mine").finalists()
    with pytest.raises(StoreError, match=r"finalists\.parquet"):
        query(store, "FROM finalists")


def test_finalists_go_with_the_generations_that_they_were_chosen_from(store: Store) -> None:
    samples.write_run(store, "mine", test=False)
    run = open_run(store, "mine")
    run.finalists()
    shutil.rmtree(store.runs_dir / "mine" / "generations" / "0002")
    run.append(samples.generation(2, seed=5))
    assert run.finalists() == finalists(run.generations())


# Test scores


@pytest.fixture
def programs() -> tuple[Program, ...]:
    return parse("fro(T1_D)"), parse("abs(T3) -> l2 -> sum")


def scores_of(
    programs: tuple[Program, ...], archs: tuple[str, ...], score: float = 1.0, task: str = TASKS[0]
) -> list[TestScore]:
    return [TestScore(program, task, arch, score) for program in programs for arch in archs]


def test_test_scores_come_back_and_what_is_missing_is_known(store: Store, programs: tuple[Program, ...]) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    run = open_run(store, "mine")
    assert run.test_scores().height == 0
    assert run.missing_tests(TASKS[0], programs) == samples.TEST
    assert run.write_test_scores(scores_of(programs, samples.TEST[:4], 0.1 + 0.2)) == 8
    assert run.write_test_scores(scores_of(programs[:1], samples.TEST[4:6])) == 2
    fresh = open_run(store, "mine")
    for reader in (run, fresh):
        assert reader.missing_tests(TASKS[0], programs) == samples.TEST[4:]
        assert reader.missing_tests(TASKS[0], programs[:1]) == samples.TEST[6:]
        assert reader.missing_tests(TASKS[1], programs) == samples.TEST
        assert reader.missing_tests(TASKS[0], ()) == ()
    stored = fresh.test_scores()
    assert stored.height == 10
    first = stored.filter(arch=samples.TEST[0], program=programs[1].id).row(0, named=True)
    assert first["text"] == str(programs[1])
    assert (first["size"], first["height"], first["score"]) == (2, 1, 0.1 + 0.2)


def test_what_is_stored_is_not_stored_twice(store: Store, programs: tuple[Program, ...]) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    rows = scores_of(programs, samples.TEST)
    assert open_run(store, "mine").write_test_scores(rows + rows) == 20
    assert open_run(store, "mine").write_test_scores(rows) == 0
    assert open_run(store, "mine").test_scores().height == 20


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_stored_as_nan(
    store: Store, programs: tuple[Program, ...], score: float
) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    run = open_run(store, "mine")
    run.write_test_scores(scores_of(programs[:1], samples.TEST, score))
    assert run.test_scores()["score"].is_nan().all()
    assert run.missing_tests(TASKS[0], programs[:1]) == ()


def test_missing_tests_of_an_unknown_task_are_refused(store: Store, programs: tuple[Program, ...]) -> None:
    samples.write_run(store, "mine", generations=0, test=False)
    with pytest.raises(InputError, match="nasbench201:cifar100"):
        open_run(store, "mine").missing_tests("nasbench201:svhn", programs)


def test_held_out_scores_are_stored_once(store: Store) -> None:
    """Also where a run that goes on scores further programs on the same networks."""
    samples.write_run(store, "mine", test=False)
    programs = [parse("fro(T1_D)"), parse("fro(T2_D)")]
    run = open_run(store, "mine")
    assert run.missing_held_out(TASKS[0], samples.EVOLVE[:3], programs) == samples.EVOLVE[:3]
    assert run.write_held_out_scores(scores_of(programs[:1], samples.EVOLVE[:3])) == 3
    assert run.missing_held_out(TASKS[0], samples.EVOLVE[:3], programs[:1]) == ()
    assert open_run(store, "mine").write_held_out_scores(scores_of(programs, samples.EVOLVE[:3])) == 3
    assert run.held_out_scores().height == 6
    assert run.generation_count == 3
