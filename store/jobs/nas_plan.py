"""What searches with a proxy are run on: the accuracies that guide and judge them, and the scores of each proxy."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zcsr.errors import InputError
from zcsr.language.named_programs import find_program, named_programs
from zcsr.nas.config import SearchConfig
from zcsr.nas.strategies import MOVING, STRATEGIES, WARM, Landscape, Strategy, check_search
from zcsr.proxies import get_proxy
from zcsr.ranking import kendall
from zcsr.spaces import dataset_shape, get_space
from zcsr.store.kept.accuracies import accuracies, accuracy_tables
from zcsr.store.kept.store import Store
from zcsr.store.sql.index import query

REPORTED = "test"
GUIDES = ("validation", REPORTED)
"""The metrics that guide a search when none is named, in order of preference."""

WITH_A_PROXY = (*WARM, *MOVING)


@dataclass(frozen=True, slots=True, eq=False)
class ProxyScores:
    """The scores (higher is better) by which a program or proxy guides searches.

    proxy: the name of a known proxy, the name or text of a program, or SOURCE:PROXY for scores of others
    source: the collection they were computed in, or the source they were imported under
    """

    proxy: str
    kind: Literal["proxy", "program", "imported"]
    source: str
    scores: Mapping[str, float]

    def record(self, accuracies: Mapping[str, float]) -> dict[str, Any]:
        """What is kept of them as JSON takes it; Kendall's tau-b is over the finite scores, None if undefined."""
        finite = [arch for arch, score in self.scores.items() if math.isfinite(score)]
        tau = kendall([self.scores[arch] for arch in finite], [accuracies[arch] for arch in finite])
        named = {"proxy": self.proxy, "kind": self.kind, "source": self.source}
        return named | {
            "non_finite": len(self.scores) - len(finite),
            "kendall": None if math.isnan(tau) else tau,
        }


@dataclass(frozen=True, slots=True, eq=False)
class SearchPlan:
    """Searches to run against each other. Make one with `plan_searches`.

    guide, reported: the accuracy (percent) that a search sees, of `metric`, and the test accuracy that is reported;
        both of the same architectures, in the space's canonical order
    target: the test accuracy (percent) to be reached; it changes no search
    """

    task: str
    metric: str
    config: SearchConfig
    guide: Mapping[str, float]
    reported: Mapping[str, float]
    scores: tuple[ProxyScores, ...]
    target: float

    @property
    def searches(self) -> tuple[tuple[Strategy, ProxyScores | None], ...]:
        """Each strategy with the scores it uses: those without a proxy once, the others once for each proxy."""
        plain = [(strategy, None) for strategy in STRATEGIES if strategy not in WITH_A_PROXY]
        guided = [(s, scores) for scores in self.scores for s in STRATEGIES if s in WITH_A_PROXY]
        return (*plain, *guided)

    @property
    def landscape(self) -> Landscape:
        """What the searches walk on."""
        return Landscape(get_space(self.task.partition(":")[0]), self.guide)

    @property
    def parameters(self) -> dict[str, Any]:
        """All that decides the searches and is short, as JSON takes it."""
        scores = [scores.record(self.reported) for scores in self.scores]
        chosen = {"task": self.task, "metric": self.metric, "architectures": len(self.guide)}
        return chosen | {"config": asdict(self.config), "scores": scores}

    @property
    def inputs(self) -> str:
        """A hash of all accuracies and scores."""
        tables = (self.guide, self.reported, *(s.scores for s in self.scores))
        whole = "\n".join(repr([table[arch] for table in tables]) + arch for arch in self.guide)
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def default_name(self) -> str:
        """A name that the same plan always has, such as "nasbench201-cifar10-1f3a9c07"."""
        whole = json.dumps([self.parameters, self.inputs], sort_keys=True)
        return f"{self.task.replace(':', '-')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def plan_searches(
    store: Store,
    space: str,
    dataset: str,
    config: SearchConfig,
    *,
    metric: str | None = None,
    proxies: Sequence[str] = (),
    programs: Sequence[str] = (),
    others: Sequence[str] = (),
    collection: str | None = None,
    scored_only: bool = False,
    target: float | None = None,
) -> SearchPlan:
    """Gather what searches on a task need, from what the store has.

    The architectures are those with an accuracy of both metrics, the mean over seeds; with `scored_only` those
    among them that every proxy scores. `metric` guides a search: validation accuracy where the store has it when
    None, else test accuracy, which is what is reported. `proxies` are known ones, `programs` names or texts, and
    `others` SOURCE:PROXY of imported scores. `collection` is where proxies and programs were scored, needed where
    there are several. The target is, when None, what a thousandth of the architectures reach, rounded down to
    hundredths. Raises InputError where something is missing, with the command that makes missing scores.
    """
    known = get_space(space)
    dataset_shape(known, dataset)
    task = f"{space}:{dataset}"
    metric = metric or _guide(store, space, dataset)
    guide, reported = (_accuracies(store, space, dataset, one) for one in (metric, REPORTED))
    archs = [arch for arch in guide if arch in reported]
    found = list(_found_scores(store, task, proxies, programs, others))
    wanted = None if scored_only else archs
    scores = [_chosen(store, task, one, collection, wanted) for one in found]
    archs = [arch for arch in archs if all(arch in one.scores for one in scores)]
    if not archs:
        raise InputError(f"no architecture of {task} has {metric} accuracy, test accuracy and all scores asked for")
    kept = tuple(
        ProxyScores(one.proxy, one.kind, one.source, {arch: one.scores[arch] for arch in archs}) for one in scores
    )
    values = {arch: reported[arch] for arch in archs}
    aim = _target(values) if target is None else _checked_target(target)
    plan = SearchPlan(task, metric, config, {arch: guide[arch] for arch in archs}, values, kept, aim)
    landscape = plan.landscape
    for strategy, used in plan.searches:
        check_search(landscape, config, strategy, used.scores if used else None)
    return plan


def _guide(store: Store, space: str, dataset: str) -> str:
    there = {metric for s, d, metric in accuracy_tables(store) if (s, d) == (space, dataset)}
    return next((metric for metric in GUIDES if metric in there), REPORTED)


def _accuracies(store: Store, space: str, dataset: str, metric: str) -> dict[str, float]:
    table = accuracies(store, space, dataset, metric)
    return dict(zip(table.archs, table.accuracies.tolist(), strict=True))


def _target(reported: Mapping[str, float]) -> float:
    highest = sorted(reported.values(), reverse=True)
    return math.floor(100 * highest[max(1, len(highest) // 1000) - 1]) / 100


def _checked_target(target: float) -> float:
    if not 0 < target <= 100:
        raise InputError(f"the target is a test accuracy in percent, above 0 and at most 100; got {target}")
    return target


# Scores --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Scores of a proxy on a task, by source; `flags` are those of `zcsr test` that name it."""

    proxy: str
    kind: Literal["proxy", "program", "imported"]
    flags: tuple[str, ...]
    by_source: Mapping[str, Mapping[str, float]]


def _found_scores(
    store: Store, task: str, proxies: Sequence[str], programs: Sequence[str], others: Sequence[str]
) -> Iterator[_Found]:
    for name in dict.fromkeys(proxies):
        get_proxy(name)
        yield _Found(name, "proxy", ("--proxy", name), _own_scores(store, task, name))
    for program in dict.fromkeys(map(find_program, programs)):
        name = next((named.name for named in named_programs() if named.program.id == program.id), str(program))
        yield _Found(name, "program", ("--program", name), _own_scores(store, task, program.id))
    for name in dict.fromkeys(others):
        source, colon, proxy = name.partition(":")
        if not (source and colon and proxy):
            raise InputError(f"--scores-of takes SOURCE:PROXY, such as suite-zero:nwot, not '{name}'")
        yield _Found(name, "imported", (), {source: _imported_scores(store, task, source, proxy)})


def _own_scores(store: Store, task: str, program: str) -> dict[str, dict[str, float]]:
    sql = (
        "SELECT collection, arch, score FROM network_scores WHERE task = $task AND program = $program ORDER BY ALL"
    )
    by_source: dict[str, dict[str, float]] = {}
    for collection, arch, score in query(store, sql, {"task": task, "program": program}).iter_rows():
        by_source.setdefault(collection, {})[arch] = score
    return by_source


def _imported_scores(store: Store, task: str, source: str, proxy: str) -> dict[str, float]:
    sql = "SELECT arch, score FROM proxy_scores WHERE task = $task AND source = $source AND proxy = $proxy"
    rows = query(store, sql, {"task": task, "source": source, "proxy": proxy}).rows()
    if not rows:
        there = query(
            store, "SELECT DISTINCT source || ':' || proxy FROM proxy_scores WHERE task = $1 ORDER BY 1", [task]
        )
        names = ", ".join(name for (name,) in there.rows()) or "none; `zcsr import scores` imports some"
        raise InputError(f"there are no scores {source}:{proxy} of {task}: there are {names}")
    return dict(rows)


def _chosen(
    store: Store, task: str, found: _Found, collection: str | None, archs: Sequence[str] | None
) -> ProxyScores:
    """The scores of one source, which must cover `archs` where any are given."""
    sources = dict(found.by_source)
    if collection is not None and found.kind != "imported":
        sources = {source: scores for source, scores in sources.items() if source == collection}
    if not sources:
        raise InputError(_no_scores(task, found, collection))
    complete = {
        source: scores
        for source, scores in sources.items()
        if archs is None or all(arch in scores for arch in archs)
    }
    if len(complete) > 1:
        raise InputError(
            f"{found.proxy} was scored on {task} in several collections, {', '.join(complete)}; name one with "
            "--collection"
        )
    if not complete:
        source = max(sources, key=lambda one: len(sources[one]))
        count = sum(arch in sources[source] for arch in archs or ())
        raise InputError(_too_few(store, task, found, source, count, len(archs or ())))
    ((source, scores),) = complete.items()
    return ProxyScores(found.proxy, found.kind, source, scores)


def _no_scores(task: str, found: _Found, collection: str | None) -> str:
    if collection is None:
        return f"there are no scores of {found.proxy} on {task}; `{_command(task, found)}` makes them"
    there = ", ".join(found.by_source) or "none"
    return f"{found.proxy} was not scored on {task} in the collection {collection}; collections with it: {there}"


def _too_few(store: Store, task: str, found: _Found, source: str, count: int, needed: int) -> str:
    some = f"{found.proxy} scores {count} of the {needed} architectures of {task} to search among in {source}"
    less = "--scored-only searches among those that have scores"
    if found.kind == "imported":
        return f"{some}; {less}"
    return f"{some}; `{_command(task, found, _collection_flags(store, task, source))}` makes all, and {less}"


def _command(task: str, found: _Found, collection: Iterable[str] = ()) -> str:
    return shlex.join(("zcsr", "test", "--task", task, *found.flags, "--trained", *collection))


def _collection_flags(store: Store, task: str, collection: str) -> Iterator[str]:
    """The flags of `zcsr test` that name a collection, as far as they are known and not the default."""
    sql = (
        "SELECT images, batch_size, seed, pattern, loss FROM scored_collections "
        "WHERE collection = $collection AND task = $task"
    )
    values = query(store, sql, {"collection": collection, "task": task}).row(0)
    flags = ("--images", "--batch-size", "--network-seed", "--pattern", "--loss")
    defaults = (task.partition(":")[2], 1, 0, "rcb", "ones")
    for flag, value, default in zip(flags, values, defaults, strict=True):
        if value not in (None, default):
            yield from (flag, str(value))
