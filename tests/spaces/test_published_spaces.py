"""What holds of every space whose architectures others have published in an order."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcsr.errors import InputError
from zcsr.spaces import SearchSpace, get_space


@dataclass(frozen=True)
class Published:
    """A space with its number of architectures, the hash of all of them in order, and the table that lists them."""

    space: SearchSpace
    size: int
    order: str
    table: str


PUBLISHED = tuple(
    Published(get_space(name), size, order, table)
    for name, size, order, table in (
        ("nasbench201", 15_625, "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84", "nb201"),
        ("nats-sss", 32_768, "8b99b4c0aabe959924c6fb36c0ee4a3f79362343e36b7752b90deee9409b492f", "nats_sss"),
    )
)
EACH = pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: str(one.space.name))
NATURAL_IMAGES = {"cifar10": (10, 3, 32, 32), "cifar100": (100, 3, 32, 32), "imagenet16-120": (120, 3, 16, 16)}
GREY_IMAGES = {"fashion-mnist": (10, 1, 16, 16)}


@EACH
def test_order_is_the_published_one_without_the_table(published: Published) -> None:
    text = "\n".join(published.space.arch(i) for i in range(published.size))
    assert hashlib.sha256(text.encode()).hexdigest() == published.order


@EACH
def test_order_equals_the_published_table(published: Published, shared: Path) -> None:
    table = polars.read_parquet(shared / "data" / f"{published.table}.parquet")
    assert [published.space.arch(i) for i in range(published.size)] == table["arch_str"].to_list()


@pytest.mark.parametrize(
    ("name", "size"), [("nasbench201", 15_625), ("nats-sss", 32_768), ("nats-sss-mini", 32_768)]
)
def test_index_inverts_arch(name: str, size: int) -> None:
    space = get_space(name)
    assert len(space) == size
    assert [space.index(space.arch(i)) for i in range(size)] == list(range(size))


@EACH
def test_index_outside_is_refused(published: Published) -> None:
    for index in (-1, published.size):
        with pytest.raises(InputError, match=f"0 to {published.size - 1}"):
            published.space.arch(index)


MALFORMED = {
    "nasbench201": [
        ("", "1 nodes"),
        ("|none~0|+|none~0|none~1|", "2 nodes"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "node 3 has 2 edges, it takes 3"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "does not begin and end"),
        ("|+|none~0|none~1|+|none~0|none~1|none~2|", "does not begin and end"),
        ("|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|", "did you mean 'nor_conv_3x3'"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "must read 'none~1'"),
        ("|none~0|+|none~0|none|+|none~0|none~1|none~2|", "must read 'none~1'"),
    ],
    "nats-sss": [
        ("", "it has 1 channel counts"),
        ("8:8:8:8", "it has 4 channel counts"),
        ("8:8:8:8:8:8", "it has 6 channel counts"),
        ("8,8,8,8,8", "it has 1 channel counts"),
        ("8:8:8:8:", "c5 is ''"),
        ("8:8:12:8:8", "c3 is '12'; the channel counts are 8, 16, 24, 32, 40, 48, 56, 64"),
        ("8:72:8:8:8", "c2 is '72'"),
        ("08:8:8:8:8", "c1 is '08'.* did you mean '8'"),
        ("8: 8:8:8:8", "c2 is ' 8'"),
        ("-8:8:8:8:8", "c1 is '-8'"),
        ("8.0:8:8:8:8", "c1 is '8.0'"),
        ("8:8:8:8:8\n", "c5 is "),
        ("８:8:8:8:8", "c1 is '８'"),
    ],
}


@pytest.mark.parametrize(
    ("name", "arch", "message"), [(name, *case) for name, cases in MALFORMED.items() for case in cases]
)
def test_malformed_architectures_are_refused(name: str, arch: str, message: str) -> None:
    space = get_space(name)
    for use in (space.index, space.neighbours, space.canonical):
        with pytest.raises(InputError, match=message):
            use(arch)
    with pytest.raises(InputError, match=message):
        space.build(arch, classes=10)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nasbench201", NATURAL_IMAGES),
        ("nasbench201-mini", GREY_IMAGES),
        ("nats-sss", NATURAL_IMAGES),
        ("nats-sss-mini", GREY_IMAGES),
    ],
)
def test_datasets(name: str, expected: dict[str, tuple[int, ...]]) -> None:
    datasets = get_space(name).datasets
    assert {dataset: (d.classes, d.channels, d.height, d.width) for dataset, d in datasets.items()} == expected


@EACH
@given(st.integers(0, 300), st.integers(0, 2**32))
def test_samples_are_distinct_and_repeatable(published: Published, count: int, seed: int) -> None:
    space = published.space
    sample = space.sample(count, random.Random(seed))
    assert len(sample) == len(set(sample)) == count
    assert sample == space.sample(count, random.Random(seed))
    assert all(space.arch(space.index(arch)) == arch for arch in sample)


@EACH
def test_impossible_samples_are_refused(published: Published) -> None:
    for count in (-1, published.size + 1):
        with pytest.raises(InputError, match=str(published.size)):
            published.space.sample(count, random.Random(0))
