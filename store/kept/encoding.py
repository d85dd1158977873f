"""The tensors of a network as rows of a values file, without loss, and back.

Each distinct tensor is kept once. Tensors follow each other in pieces of about 2 MiB, one row a piece, none cut in
two; the first row carries the names of the tensors that are kept (a file of an earlier version has no such column:
it keeps all 22), and the layout, a JSON object: `dtype`; `shapes` of the distinct tensors in their order; and
`instances`, where each tensor is the number of a distinct one, or the rule that gives it from others of the
instance, as the patterns' rows say ("relu": T2 is T1, but 0 where that is negative; "masked": T1G is T2G, but 0
where T1 is 0 or negative). A rule is used only where it gives every bit. P tensors are kept as measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from polars.io.plugins import register_io_source
from torch import Tensor

from zcsr.errors import InputError
from zcsr.language.tensors import INPUTS, TENSOR_NAMES, TENSORS
from zcsr.networks.instances import Differences, Instance, NetworkStatistics
from zcsr.networks.one_pass import blocked
from zcsr.networks.patterns import PATTERNS

PIECE_BYTES = 2 << 20
_DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
_SMALLEST: Mapping[torch.dtype, float] = {torch.float32: 2.0**-149, torch.float64: 2.0**-1074}
"""The smallest positive number of a type."""

_COLUMNS: Mapping[str, Any] = {
    "arch": pl.String,
    "piece": pl.Int32,
    "tensors": pl.List(pl.String),
    "layout": pl.String,
    "crc32": pl.UInt32,
    "data": pl.Binary,
}
VALUES_SCHEMA = pl.Schema(_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A network as it is stored.

    names: of the tensors that are kept
    layout: see the module's docstring
    tensors: the distinct ones, which its pieces are made of
    """

    arch: str
    names: tuple[str, ...]
    layout: str
    tensors: Sequence[Tensor]

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def rows(self) -> Iterator[pl.DataFrame]:
        """Its rows, one by one, with the columns of `VALUES_SCHEMA`."""
        for number, piece in enumerate(_pieces(self.tensors)):
            columns = {
                "arch": [self.arch],
                "piece": [number],
                "tensors": [None if number else self.names],
                "layout": [None if number else self.layout],
                "crc32": [zlib.crc32(piece)],
                "data": [piece],
            }
            yield pl.DataFrame(columns, schema=VALUES_SCHEMA)


def encode(network: NetworkStatistics, dtype: str, names: Sequence[str] = TENSOR_NAMES) -> Encoded:
    """A network with these of its tensors ready to be stored; they are not copied.

    InputError for tensors of another `dtype`.
    """
    blobs = _Blobs(dtype)
    references = _References(blobs, names)
    instances = [
        {"layer": one.layer, "module": one.module, "tensors": references.of(one.raw)} for one in network.instances
    ]
    layout = json.dumps({"dtype": dtype, "shapes": blobs.shapes, "instances": instances}, separators=(",", ":"))
    return Encoded(network.arch, tuple(names), layout, blobs.tensors)


def write_values(networks: Iterable[Encoded], path: Path) -> None:
    """Write a values file, one row a group: a network's pieces are read without its neighbours'.

    One piece is made at a time, so that writing takes little memory. Noise does not compress: lz4 saves 3 to 5% of
    the bytes, and costs more time than the disk does.
    """

    def source(*_: object) -> Iterator[pl.DataFrame]:
        return (row for network in networks for row in network.rows())

    register_io_source(source, schema=VALUES_SCHEMA).sink_parquet(
        path, compression="uncompressed", row_group_size=1, statistics=False, maintain_order=True
    )


def _pieces(tensors: Sequence[Tensor]) -> Iterator[bytes]:
    """Their bytes, joined to pieces of at most `PIECE_BYTES`, or of a single larger tensor; at least one piece."""
    group: list[memoryview] = []
    size = 0
    for tensor in tensors:
        if size and size + tensor.nbytes > PIECE_BYTES:
            yield b"".join(group)
            group, size = [], 0
        group.append(tensor.numpy().ravel().data.cast("B"))
        size += tensor.nbytes
    yield b"".join(group)


class _Blobs:
    """The distinct tensors of a network, in the order in which they are first met."""

    def __init__(self, dtype: str) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.tensors: list[Tensor] = []
        self._dtype = _DTYPES[dtype]
        self._by_identity: dict[int, int] = {}
        self._by_sample: dict[tuple[tuple[int, ...], bytes], list[int]] = {}

    def number(self, tensor: Tensor) -> int:
        """The number of the tensor's content; the tensor must stay alive as long as this object."""
        if id(tensor) not in self._by_identity:
            self._by_identity[id(tensor)] = self._number_of_content(tensor.detach().contiguous())
        return self._by_identity[id(tensor)]

    def _number_of_content(self, tensor: Tensor) -> int:
        if tensor.dtype != self._dtype:
            raise InputError(f"statistics of {self._dtype} were asked for, a tensor is {tensor.dtype}")
        shape = tuple(tensor.shape)
        alike = self._by_sample.setdefault((shape, _sample(tensor)), [])
        same = next((number for number in alike if _same_bits(self.tensors[number], tensor)), None)
        if same is not None:
            return same
        alike.append(len(self.tensors))
        self.shapes.append(shape)
        self.tensors.append(tensor)
        return alike[-1]


def _sample(tensor: Tensor) -> bytes:
    """A few of its values, by which most tensors differ already."""
    values = tensor.numpy().reshape(-1)
    return values[:: max(1, values.size // 16)].tobytes()


def _derivations(names: Collection[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """For each of these tensors the rules that may give it, each with those of them that it takes.

    They are tried for every pattern: a network does not say which one its instances are of, nor does a store.
    """
    named = {(one.measured, which): one.name for one in TENSORS for which in INPUTS if one.input in (which, None)}
    known: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in names}
    for measured, rule, *sources in (derived for pattern in PATTERNS.values() for derived in pattern.derived):
        for which in INPUTS:
            name, taken = named[measured, which], tuple(named[source, which] for source in sources)
            if known.keys() >= {name, *taken}:
                known[name][rule] = taken
    return known


class _References:
    """What stands for tensors in the layout; all must stay alive as long as this object."""

    def __init__(self, blobs: _Blobs, names: Collection[str]) -> None:
        self._blobs = blobs
        self._derivations = _derivations(names)
        self._holds: dict[tuple[str | int, ...], bool] = {}

    def of(self, raw: Mapping[str, Tensor]) -> dict[str, int | str]:
        """For each tensor the rule that gives it bit by bit, or the number of its content where there is none."""
        return {name: self._rule(raw, name) or self._blobs.number(raw[name]) for name in self._derivations}

    def _rule(self, raw: Mapping[str, Tensor], name: str) -> str | None:
        for rule, sources in self._derivations[name].items():
            if self._gives(rule, [raw[source] for source in sources], raw[name]):
                return rule
        return None

    def _gives(self, rule: str, sources: Sequence[Tensor], wanted: Tensor) -> bool:
        key: tuple[str | int, ...] = (rule, *map(id, (*sources, wanted)))
        if key not in self._holds:
            alike = all(source.shape == wanted.shape for source in sources)
            self._holds[key] = alike and _same_bits(_RULES[rule](*sources), wanted)
        return self._holds[key]


def _relu(tensor: Tensor) -> Tensor:
    # torch.relu written out, so that what it does with -0.0 and NaN (nothing) is the same wherever it runs: what is
    # at most the largest negative number becomes 0. As quick as copying, which filling by a mask is not.
    return F.threshold(tensor, -_SMALLEST[tensor.dtype], 0.0)


_RULES: Mapping[str, Callable[..., Tensor]] = {"relu": _relu, "masked": blocked}
"""What gives tensors that need not be kept; a store names them."""


def _same_bits(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    integers = torch.int32 if left.dtype == torch.float32 else torch.int64
    return torch.equal(left.contiguous().view(integers), right.contiguous().view(integers))


def decode(arch: str, rows: pl.DataFrame, names: Sequence[str] = TENSOR_NAMES) -> NetworkStatistics:
    """The network whose rows these are (columns layout and data), which keep these tensors.

    Equal ones are one object.

    Raises ValueError, KeyError, IndexError, TypeError or RuntimeError where the rows are not what `encode` makes.
    """
    layout = json.loads(rows["layout"][0])
    blobs = list(_tensors(rows["data"].to_list(), layout["shapes"], layout["dtype"]))
    derived = _Derived(blobs, names)
    differences = Differences()
    instances = tuple(
        Instance(entry["layer"], entry["module"], derived.raw(entry["tensors"]), differences)
        for entry in layout["instances"]
    )
    return NetworkStatistics(arch, instances)


def _tensors(pieces: Iterable[bytes], shapes: Sequence[Sequence[int]], dtype: str) -> Iterator[Tensor]:
    """The tensors, each in memory of its own and aligned as torch aligns it.

    A view would carry its whole piece along, also into other processes; and products may depend on alignment.
    """
    remaining = iter(pieces)
    piece, offset = next(remaining), 0
    for shape in shapes:
        count = math.prod(shape)
        if offset == len(piece) and count:
            piece, offset = next(remaining), 0
        values = np.frombuffer(piece, np.dtype(dtype), count, offset)
        tensor = torch.empty(shape, dtype=_DTYPES[dtype])
        tensor.numpy()[...] = values.reshape(shape)
        yield tensor
        offset += values.nbytes
    if offset != len(piece) or next(remaining, None) is not None:
        raise ValueError("there are more bytes than the layout says")


class _Derived:
    """The tensors of a layout's references; the same object wherever a rule is given the same tensors."""

    def __init__(self, blobs: Sequence[Tensor], names: Collection[str]) -> None:
        self._blobs = blobs
        self._derivations = _derivations(names)
        self._given: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def raw(self, references: Mapping[str, int | str]) -> dict[str, Tensor]:
        """The tensors of one instance by their names."""
        return {name: self._tensor(name, references) for name in self._derivations}

    def _tensor(self, name: str, references: Mapping[str, int | str]) -> Tensor:
        reference = references[name]
        if isinstance(reference, int):
            return self._blobs[reference]
        sources = tuple(int(references[source]) for source in self._derivations[name][reference])
        if (reference, sources) not in self._given:
            tensors = (self._blobs[number] for number in sources)
            self._given[reference, sources] = _RULES[reference](*tensors)
        return self._given[reference, sources]


def head_of(path: Path) -> pl.DataFrame:
    """All of a values file but the tensors themselves, whose checksums are among it."""
    return pl.scan_parquet(path, glob=False).drop("data").collect()


def hash_of_head(head: pl.DataFrame) -> str:
    """SHA-256 in hex of what is in the head of a values file."""
    return hashlib.sha256(repr((head.columns, head.rows())).encode()).hexdigest()


def kept_tensors(head: pl.DataFrame) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    """What a values file holds: architecture, first row, rows, and the names of the tensors that are kept of it."""
    archs = head["arch"].to_list()
    kept = head["tensors"].to_list() if "tensors" in head.columns else [TENSOR_NAMES] * len(archs)
    starts = [row for row, arch in enumerate(archs) if not row or archs[row - 1] != arch]
    for start, end in zip(starts, [*starts[1:], len(archs)], strict=True):
        names = tuple(kept[start])
        if unknown := set(names).difference(TENSOR_NAMES):
            raise ValueError(f"{archs[start]} has a tensor {min(unknown)}, of which nothing is known")
        yield archs[start], start, end - start, names


def check_pieces(arch: str, rows: pl.DataFrame) -> None:
    """Raise ValueError for a piece of a network whose checksum is wrong; columns piece, crc32, data."""
    for piece, crc32, data in rows.select("piece", "crc32", "data").iter_rows():
        if zlib.crc32(data) != crc32:
            raise ValueError(f"the checksum of {arch} piece {piece} is wrong")


def broken_pieces(path: Path) -> list[tuple[str, int]]:
    """The pieces of a values file whose checksum is wrong: (architecture, number of the piece)."""
    broken = []
    rows = pl.scan_parquet(path, glob=False).select("arch", "piece", "crc32", "data")
    count = rows.select(pl.len()).collect().item()
    for row in range(count):  # one by one: a shard need not fit into memory
        arch, piece, crc32, data = rows.slice(row, 1).collect().row(0)
        if zlib.crc32(data) != crc32:
            broken.append((arch, piece))
    return broken
