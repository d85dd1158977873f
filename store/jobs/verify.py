"""Whether a whole store is sound: each file, its shards of statistics, its runs and accuracies, and its index."""

from __future__ import annotations

from dataclasses import dataclass

from zcsr.store.jobs.damages import Damage, examine
from zcsr.store.jobs.repair import inner_problems, remedy
from zcsr.store.kept.store import Store


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line a problem, none when all is sound; and how many files have no checksum, as of an earlier zcsr."""

    problems: tuple[str, ...]
    without_sum: int


def verify_store(store: Store) -> Verdict:
    """Read everything of a store and say what is wrong; changes nothing.

    Every file is compared with its checksum, and where none is damaged, every tensor of every collection with its
    summary, and every table with the index. What others write meanwhile is no problem.
    """
    examined = examine(store)
    problems = [_line(store, damage) for damage in examined.damages] or inner_problems(store)
    return Verdict(tuple(problems), len(examined.without_sum))


def _line(store: Store, damage: Damage) -> str:
    if damage.of_sum:
        return f"{damage.file} {damage.words}: `zcsr store repair` makes it anew; the file itself can be read"
    return f"{damage.file} {damage.words}: restore it from a copy; without one, {remedy(store, damage)}"
