from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import synthetic
from network_samples import noise

from zcsr.errors import InputError, ShapeError
from zcsr.evaluation import evaluate
from zcsr.evaluation.many_networks import Measures, StatisticsScorer, score_networks
from zcsr.evaluation.scorer import Pending, Refusal
from zcsr.language.program import Program, infer_shape
from zcsr.language.text import parse
from zcsr.networks.untrained import StatisticsConfig, network_statistics
from zcsr.spaces import get_space

TASK = "toy:a"
PROBES = {TASK: ("net0", "net7")}
VALID = tuple(parse(text) for text in ("fro(T1_D)", "mean(mul(T1_P, T2_N)) -> l2 -> sum", "logdet(T4_D)", "T3G_P"))
PARTLY_FINITE = parse("reciprocal(fro(T2G_N))")  # T2G_N is zero in net4, net9, ...
WRONG_SHAPE = parse("add(T1_D, T3)")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[StatisticsScorer]:
    with StatisticsScorer(synthetic.load, PROBES, workers=2) as scorer:
        yield scorer


class Loads:
    """A loader that counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, task: str, arch: str):
        self.counts[arch] += 1
        return synthetic.load(task, arch)


def test_probe_gives_the_values_of_every_instance_of_every_probe_network():
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        results = scorer.probe(VALID)
    for program, result in zip(VALID, results, strict=True):
        expected = [evaluate.instance_values(program, synthetic.load(TASK, arch)) for arch in PROBES[TASK]]
        np.testing.assert_array_equal(result, np.concatenate(expected))


def test_probe_refuses_shapes_before_it_computes(monkeypatch):
    computed = []
    monkeypatch.setattr(
        evaluate.Evaluator,
        "columns_of",
        lambda self, group: [
            [computed.append(p) or evaluate.Columns(p, {p.number: np.zeros(1)}) for p in self.programs]
            for _ in group
        ],
    )
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        (refused, accepted) = scorer.probe([WRONG_SHAPE, VALID[0]])
    shapes = {name: tuple(t.shape) for name, t in synthetic.load(TASK, "net0").instances[0].raw.items()}
    with pytest.raises(ShapeError) as error:
        infer_shape(WRONG_SHAPE.expression, shapes)
    assert refused == Refusal("shape", str(error.value))
    assert isinstance(accepted, np.ndarray)
    assert set(computed) == {VALID[0]}


def test_probe_refuses_what_is_not_finite_on_any_probe_network():
    with StatisticsScorer(synthetic.load, {TASK: ("net0", "net9")}) as scorer:
        (result,) = scorer.probe([PARTLY_FINITE])
    assert result == Refusal("non_finite", "inf in layer 0 of net9 on toy:a")


def test_probe_reports_an_operation_that_fails(monkeypatch):
    def fail(self, group):
        return [[evaluate.EvaluationError("no such thing") for _ in self.programs] for _ in group]

    monkeypatch.setattr(evaluate.Evaluator, "columns_of", fail)
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        (result,) = scorer.probe([VALID[0]])
    assert result == Refusal("error", "no such thing; in net0 on toy:a")


def scores_of(scorer: StatisticsScorer, programs: list[Program], task: str, archs: list[str]) -> np.ndarray:
    """The scores of every program on every network, [programs, networks]."""
    return np.array(list(scorer.score(Pending(task, arch, tuple(programs)) for arch in archs))).T


def test_scores_are_those_of_evaluate_and_nan_where_not_finite():
    programs, archs = [*VALID, PARTLY_FINITE], ["net3", "net1", "net9"]
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        scores = scores_of(scorer, programs, TASK, archs)
    assert scores.shape == (5, 3)
    for row, program in zip(scores, programs, strict=True):
        for score, arch in zip(row, archs, strict=True):
            expected = evaluate.score(program, synthetic.load(TASK, arch))
            assert score == expected or (math.isnan(score) and math.isnan(expected))
    assert np.argwhere(np.isnan(scores)).tolist() == [[4, 2]]


def test_a_program_that_does_not_apply_has_no_score_and_disturbs_no_other():
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        scores = scores_of(scorer, [WRONG_SHAPE, VALID[0]], TASK, ["net1"])
    assert np.isnan(scores[0, 0])
    assert scores[1, 0] == evaluate.score(VALID[0], synthetic.load(TASK, "net1"))


def test_each_pending_network_has_its_own_programs():
    pending = [Pending(TASK, "net2", tuple(VALID[:1])), Pending("toy:b", "net2", tuple(VALID[1:]))]
    with StatisticsScorer(synthetic.load, PROBES) as scorer:
        first, second = scorer.score(pending)
    assert first.tolist() == [evaluate.score(VALID[0], synthetic.load(TASK, "net2"))]
    assert second.tolist() == [evaluate.score(p, synthetic.load("toy:b", "net2")) for p in VALID[1:]]


def test_networks_evaluated_together_may_want_different_programs(two_workers):
    archs = [f"net{number % 10}" for number in range(12)]  # two groups, of which the second has some again
    wanted = [VALID[: 1 + number % len(VALID)] for number in range(12)]
    pending = [Pending(TASK, arch, tuple(programs)) for arch, programs in zip(archs, wanted, strict=True)]
    assert [scores.tolist() for scores in two_workers.score(pending)] == [
        [evaluate.score(program, synthetic.load(TASK, arch)) for program in programs]
        for arch, programs in zip(archs, wanted, strict=True)
    ]


def test_a_network_is_loaded_once_while_it_is_kept():
    load = Loads()
    with StatisticsScorer(load, PROBES) as scorer:
        scorer.probe(VALID * 10)
        scores_of(scorer, VALID, TASK, ["net0", "net1"])
        scores_of(scorer, VALID, TASK, ["net1", "net0"])
    assert load.counts == {"net0": 1, "net7": 1, "net1": 1}


def test_memory_is_bounded_and_the_least_recently_used_goes_first():
    load = Loads()
    # net0, net3 and net6 have one layer: 18 tensors of 32 floats and T3 with its gradients of 36, P ones twice
    one = 4 * ((18 + 6) * 32 + (4 + 1) * 36)
    with StatisticsScorer(load, PROBES, memory=2 * one) as scorer:
        for arch in ("net0", "net3", "net0", "net6", "net0", "net3"):
            scores_of(scorer, VALID, TASK, [arch])
    assert load.counts == {"net0": 1, "net3": 2, "net6": 1}


def test_results_do_not_depend_on_memory():
    with StatisticsScorer(synthetic.load, PROBES) as ample:
        expected = ample.probe(VALID * 5)
    with StatisticsScorer(synthetic.load, PROBES, memory=0) as scanty:
        for one, other in zip(expected, scanty.probe(VALID * 5), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_two_workers_give_what_one_gives(two_workers):
    programs = [*VALID, PARTLY_FINITE, WRONG_SHAPE] * 3
    archs = [f"net{number}" for number in range(12)]
    with StatisticsScorer(synthetic.load, PROBES, workers=1) as one:
        for left, right in zip(one.probe(programs), two_workers.probe(programs), strict=True):
            np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(
            scores_of(one, programs, TASK, archs), scores_of(two_workers, programs, TASK, archs)
        )


def test_no_probe_networks_is_an_error():
    with pytest.raises(InputError, match="no probe networks"):
        StatisticsScorer(synthetic.load, {TASK: ()})


# Without stored statistics -------------------------------------------------------------------------------------


IMAGES = noise(20, seed=1)


def test_score_networks_collects_scores_and_forgets():
    space, config = get_space("nasbench201-mini"), StatisticsConfig(batch_size=2, seed=3)
    archs = [space.arch(index) for index in (0, 1462, 15624)]
    rows = list(score_networks(space, "fashion-mnist", archs, IMAGES, config, Measures(VALID)))
    assert [arch for arch, _, _ in rows] == archs
    for arch, scores, seconds in rows:
        statistics = network_statistics(space, arch, 10, IMAGES, config)
        np.testing.assert_array_equal(scores, [evaluate.score(program, statistics) for program in VALID])
        assert seconds > 0


def test_score_networks_streams():
    space, taken = get_space("nasbench201-mini"), []

    def archs() -> Iterator[str]:
        for index in range(0, 15000, 100):
            taken.append(index)
            yield space.arch(index)

    rows = score_networks(space, "fashion-mnist", archs(), IMAGES, StatisticsConfig(), Measures(VALID))
    assert next(rows)[0] == space.arch(0)
    assert len(taken) < 5
    rows.close()


@pytest.mark.slow
def test_score_networks_gives_the_same_for_two_workers():
    space, config = get_space("nasbench201-mini"), StatisticsConfig()
    archs = [space.arch(index) for index in range(0, 9000, 1500)]
    one, two = (
        list(score_networks(space, "fashion-mnist", archs, IMAGES, config, Measures(VALID), workers=workers))
        for workers in (1, 2)
    )
    assert [arch for arch, _, _ in one] == [arch for arch, _, _ in two]
    np.testing.assert_array_equal([scores for _, scores, _ in one], [scores for _, scores, _ in two])


def test_score_networks_refuses_an_unknown_data_set():
    with pytest.raises(InputError, match="no dataset 'mnist'"):
        next(
            score_networks(get_space("nasbench201-mini"), "mnist", [], IMAGES, StatisticsConfig(), Measures(VALID))
        )
