"""Stored statistics: the tensors of each network without loss, and their summaries for SQL.

A collection is a folder `statistics/<id>/` of everything computed with one configuration. It grows by shards, each
a block of up to 32 networks, by architecture, in two files: `values-<shard>.parquet` (see `encoding`) and
`summary-<shard>.parquet` (see `summaries`). It has all 22 tensors of its networks, or those that were asked for;
others may follow in a later shard, and no tensor of a network is in two. A shard's name is made from what is in it.

The summary is renamed into place last: a shard is there when its summary is. A writer that is killed leaves
temporary files, or values without a summary; both are removed once they are an hour old, when the collection is
next opened for writing.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import torch

import zcsr
from zcsr.errors import InputError, StoreError
from zcsr.language.tensors import BY_NAME, TENSOR_NAMES, TENSORS, with_references
from zcsr.language.tensors import Tensor as TensorRow
from zcsr.networks.config import AUTO, StatisticsConfig
from zcsr.networks.images import ImageSet, blank_images
from zcsr.networks.instances import Differences, Instance, NetworkStatistics
from zcsr.parameters import parameters_of
from zcsr.spaces import dataset_shape, get_space, space_origin
from zcsr.store.kept.atomic import (
    STALE_AFTER_SECONDS,
    age,
    exclusive,
    flush_file,
    flush_folder,
    give_up,
    read_json_object,
    sweep_temporary,
    write_json,
    written_by_polars,
)
from zcsr.store.kept.checksums import DamagedFile, files_in, heads, is_there, read_sum, remove, seal, temporary_path
from zcsr.store.kept.encoding import (
    Encoded,
    broken_pieces,
    check_pieces,
    decode,
    encode,
    hash_of_head,
    head_of,
    kept_tensors,
    write_values,
)
from zcsr.store.kept.images import image_names, load_images, stored_images_hash
from zcsr.store.kept.parquet import read_parquet
from zcsr.store.kept.store import SCHEMA_VERSION, Store
from zcsr.store.kept.summaries import SUMMARY_SCHEMA, difference, summaries
from zcsr.store.tables.frames import first_line

MAX_SHARD = 32
_LARGE_BYTES = 64 << 20
_JSON_NAME = "collection.json"
_SUMMARY = "summary-"
_VALUES = "values-"


@dataclass(frozen=True, slots=True)
class Collection:
    """All that decides the statistics of a network: space, dataset, name of the image set, configuration.

    `definition` is that of the origin of a user's own space (`zcsr.spaces.Origin`), "" for one that comes with
    zcsr; `Collection.of` fills it in.
    """

    space: str
    dataset: str
    images: str
    config: StatisticsConfig
    definition: str = ""

    @classmethod
    def of(cls, space: str, dataset: str, images: str, config: StatisticsConfig) -> Collection:
        """The collection of a space as it is defined now; InputError for an unknown space, or an open pattern."""
        get_space(space)
        if config.pattern == AUTO:
            raise InputError(f"a collection is of one pattern, which must be found out before: it is {AUTO!r}")
        origin = space_origin(space)
        return cls(space, dataset, images, config, origin.definition if origin else "")

    @property
    def id(self) -> str:
        """A readable name with a hash of the whole, such as "nasbench201-cifar10-b1-s0-rcb-ones-1f3a9c"."""
        whole = {name: value for name, value in asdict(self).items() if name != "definition" or value}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        config = self.config
        parts = (self.space, self.dataset, f"b{config.batch_size}", f"s{config.seed}", config.pattern, config.loss)
        return "-".join((*parts, digest[:6]))

    @property
    def names(self) -> Mapping[str, str]:
        """The columns that every row of the collection's summaries has in common."""
        return {"collection": self.id, "space": self.space, "dataset": self.dataset}

    @property
    def classes(self) -> int:
        """The number of classes of the dataset; InputError when the space has no such dataset."""
        return dataset_shape(get_space(self.space), self.dataset).classes


def open_collection(
    store: Store, collection: Collection | str, create: bool = False, *, with_images: bool = True
) -> CollectionStore:
    """Open a collection, given as such or by its id; with `create` for writing, making it when it is missing.

    Without images it does not matter whether there are any (`describe_collection`).

    Raises StoreError when it is missing or damaged, of another schema version, or when the image set of its name
    has another content now than when it was made; InputError when its images are needed and missing.
    """
    if isinstance(collection, str):
        collection = _read_collection(store, collection)
    folder = store.statistics_dir / collection.id
    if create:
        describe_collection(store, collection, folder, with_images=with_images)
    if not is_there(folder / _JSON_NAME):
        raise StoreError(f"no collection {collection.id}: {_there_are(store)}; collect its statistics first")
    _check_images(store, collection, _read_json(folder), needed=create and with_images)
    if create:
        _sweep(folder)
    return CollectionStore(folder, collection)


def _read_collection(store: Store, collection_id: str) -> Collection:
    folder = store.statistics_dir / collection_id
    if Path(collection_id).name != collection_id or not is_there(folder / _JSON_NAME):
        raise StoreError(f"no collection {collection_id!r}: {_there_are(store)}")
    return _collection_of(folder, _read_json(folder))


def _there_are(store: Store) -> str:
    return f"there are {', '.join(one.id for one in list_collections(store)) or 'none'}"


def list_collections(store: Store) -> tuple[Collection, ...]:
    """The collections of a store, by id; StoreError when one is damaged."""
    folders = sorted(store.statistics_dir.glob("*/"))
    return tuple(_collection_of(one, _read_json(one)) for one in folders if heads(one / _JSON_NAME, f"{_SUMMARY}*"))


def images_of(store: Store, collection: Collection, needed: bool) -> ImageSet:
    """The images of a collection; where none are needed and there are none, blank ones of the dataset's shape.

    InputError when they are needed and missing.
    """
    if needed or collection.images in image_names(store):
        return load_images(store, collection.images)
    shape = dataset_shape(get_space(collection.space), collection.dataset)
    return blank_images(collection.config.batch_size, shape.channels, shape.height, shape.width)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where tensors of a network are: their names, and rows of a shard's values file."""

    shard: str
    row: int
    rows: int
    names: tuple[str, ...]


@dataclass(slots=True, eq=False)
class CollectionStore:
    """The shards of one collection. Can be pickled, and read and written by several processes at once."""

    folder: Path
    collection: Collection
    _places: dict[str, tuple[_Place, ...]] = field(default_factory=dict, repr=False)
    _shards: set[str] = field(default_factory=set, repr=False)
    _checked: set[_Place] = field(default_factory=set, repr=False)

    def archs(self, tensors: Iterable[TensorRow] = ()) -> set[str]:
        """The architectures of which these tensors are there now, or any; StoreError when a shard is damaged."""
        wanted = _names(tensors)
        self._refresh()
        return {arch for arch in self._places if wanted <= self._kept(arch)}

    def lacking(self, arch: str, tensors: Iterable[TensorRow]) -> tuple[TensorRow, ...]:
        """Those of the tensors, and of what they refer to, that are not there now of an architecture."""
        self._refresh()
        kept = self._kept(arch)
        return tuple(tensor for tensor in with_references(tensors) if tensor.name not in kept)

    def without_instances(self, archs: Iterable[str]) -> list[str]:
        """Those of the architectures whose networks have no instance; StoreError when a shard is damaged."""
        self._refresh()
        given = list(archs)
        shards = {place.shard for arch in given for place in self._places.get(arch, ())}
        found: set[str] = set()
        for name in shards:
            try:
                found.update(read_parquet(self.summary_path(name), ["arch"])["arch"])
            except _UNREADABLE as error:
                raise self._damaged(name, error) from error
        return [arch for arch in given if arch in self._places and arch not in found]

    def write(self, statistics: Iterable[NetworkStatistics], tensors: Iterable[TensorRow] = TENSORS) -> Path | None:
        """Write a shard of these tensors of up to 32 networks, less what is there; returns its summary file.

        None when there was nothing to write. The networks are taken one by one, so a generator keeps only the
        encoded ones in memory. They have the tensors, and those that they refer to, which are written as well.
        InputError for more than 32, or an architecture given twice.
        """
        networks = self._encoded(statistics, _names(tensors))
        if any(network.nbytes > _LARGE_BYTES for network, _ in networks.values()):
            _give_memory_back()
        while networks := self._left(networks):
            name = _shard_name(network for network, _ in networks.values())
            if self._publish(name, networks):
                return self.summary_path(name)
        return None

    def load(self, arch: str, tensors: Iterable[TensorRow] | None = None) -> NetworkStatistics:
        """The statistics of a network, bit by bit what was written: all that is there, or these tensors.

        Raises StoreError when they are missing or damaged.
        """
        places = self._places_of(arch)
        wanted = self._kept(arch) if tensors is None else _names(tensors)
        if missing := wanted - self._kept(arch):
            listed = [name for name in TENSOR_NAMES if name in missing]
            raise StoreError(
                f"collection {self.collection.id} has no {', '.join(listed)} of {arch!r}; to add what is missing: "
                + collecting(self.collection, [arch], listed)
            )
        parts, left = [], wanted
        for place in places:
            if taken := left.intersection(place.names):
                parts.append(self._part(arch, place, taken))
                left = left - taken
        return NetworkStatistics(arch, self._together(arch, parts))

    def _part(self, arch: str, place: _Place, names: frozenset[str]) -> tuple[Instance, ...]:
        """The instances with these of a shard's tensors, whose checksums are checked when they are first read."""
        path = self.values_path(place.shard)
        try:
            rows = pl.scan_parquet(path, glob=False).slice(place.row, place.rows)
            pieces = rows.select("piece", "layout", "crc32", "data").collect()
            if place not in self._checked:
                check_pieces(arch, pieces)
                self._checked.add(place)
            network = decode(arch, pieces, place.names)
        except _UNREADABLE as error:
            raise self._damaged(place.shard, error) from error
        return tuple(instance.only(names) for instance in network.instances)

    def _together(self, arch: str, parts: Sequence[tuple[Instance, ...]]) -> tuple[Instance, ...]:
        """The instances of which the parts have some of the tensors each."""
        if len(parts) < 2:
            return next(iter(parts), ())
        if len({tuple((one.layer, one.module) for one in part) for part in parts}) > 1:
            raise StoreError(
                f"the shards of {arch!r} in {self.folder} are of networks with other instances: move the folder "
                "out of the store and collect again"
            )
        differences = Differences()
        return tuple(
            Instance(same[0].layer, same[0].module, _in_order(same), differences)
            for same in zip(*parts, strict=True)
        )

    def verify(self, sample: int | None = None) -> list[str]:
        """Read every shard again and say what is wrong with it; the empty list when nothing is.

        Checksums are checked for all networks; the summaries are computed again from the values of the first
        `sample` networks of each shard, or of all.
        """
        shards = self._there(_SUMMARY)  # first, as a writer renames it last; values alone are an interrupted write
        values = self._there(_VALUES)
        problems = [f"{self.summary_path(name)}: its values file is missing" for name in sorted(shards - values)]
        places: dict[str, dict[str, _Place]] = {}
        for name in sorted(shards & values):
            try:
                places[name] = self._read_places(name)
            except StoreError as error:
                problems.append(f"{self.values_path(name)}: cannot be read ({error})")
        problems += self._kept_twice(places)
        together = _by_arch(places.values())
        for name, in_shard in places.items():
            problems += self._verify_shard(name, in_shard, together, sample)
        return problems

    def summary_path(self, shard: str) -> Path:
        """The file of a shard's summaries."""
        return self.folder / f"{_SUMMARY}{shard}.parquet"

    def values_path(self, shard: str) -> Path:
        """The file of a shard's tensors."""
        return self.folder / f"{_VALUES}{shard}.parquet"

    def shard_bytes(self, summary: Path) -> int:
        """The size on disk of a shard's two files, given that of its summary."""
        values = self.values_path(summary.stem.removeprefix(_SUMMARY))
        return summary.stat().st_size + values.stat().st_size

    def _publish(self, name: str, networks: _Networks) -> bool:
        """Write both files and let them appear, unless others have written one of the networks meanwhile."""
        values, summary = self.values_path(name), self.summary_path(name)
        aside_values, aside_summary = temporary_path(values), temporary_path(summary)
        try:
            with written_by_polars(values):
                write_values((network for network, _ in networks.values()), aside_values)
            with written_by_polars(summary):
                pl.concat(rows for _, rows in networks.values()).write_parquet(aside_summary)
            flush_file(aside_values)
            flush_file(aside_summary)
            seal(aside_values, values, hash_of_head(head_of(aside_values)))
            seal(aside_summary, summary)
            with exclusive(self.folder):
                self._refresh()
                if any(self._kept(arch).intersection(one.names) for arch, (one, _) in networks.items()):
                    return False
                os.replace(aside_values, values)
                os.replace(aside_summary, summary)
            flush_folder(self.folder)
            return True
        finally:
            give_up(aside_values)
            give_up(aside_summary)

    def _encoded(self, statistics: Iterable[NetworkStatistics], wanted: frozenset[str]) -> _Networks:
        """By architecture, what of the wanted tensors is not there."""
        self._refresh()
        networks: dict[str, tuple[Encoded, pl.DataFrame]] = {}
        for network in statistics:
            if network.arch in networks or len(networks) == MAX_SHARD:
                given = f"{network.arch!r} twice" if network.arch in networks else f"more than {MAX_SHARD}"
                raise InputError(f"a shard takes up to {MAX_SHARD} different networks, not {given}")
            names = _sorted_names(wanted - self._kept(network.arch))
            rows = summaries(network, self.collection.names).filter(pl.col("tensor").is_in(names))
            networks[network.arch] = encode(network, self.collection.config.dtype, names), rows
        return networks

    def _left(self, networks: _Networks) -> _Networks:
        """By architecture in their order, what is not there now, as others may write as well."""
        self._refresh()
        left = {arch: frozenset(one.names) - self._kept(arch) for arch, (one, _) in networks.items()}
        return {arch: _less(*networks[arch], left[arch]) for arch in sorted(networks) if left[arch]}

    def _kept(self, arch: str) -> frozenset[str]:
        """The names of the tensors that are known to be there of an architecture."""
        return frozenset(name for place in self._places.get(arch, ()) for name in place.names)

    def _places_of(self, arch: str) -> tuple[_Place, ...]:
        self._refresh()
        if arch not in self._places:
            raise StoreError(f"collection {self.collection.id} has no statistics of {arch!r}: collect them first")
        return self._places[arch]

    def _refresh(self) -> None:
        for name in sorted(self._names(_SUMMARY) - self._shards):
            for arch, place in self._read_places(name).items():
                self._places[arch] = (*self._places.get(arch, ()), place)
            self._shards.add(name)

    def _read_places(self, name: str) -> dict[str, _Place]:
        path = self.values_path(name)
        try:
            head = head_of(path)
            _check_head(path, head)
            return {arch: _Place(name, row, rows, names) for arch, row, rows, names in kept_tensors(head)}
        except _UNREADABLE as error:
            raise self._damaged(name, error) from error

    def _names(self, prefix: str) -> set[str]:
        return {file.stem.removeprefix(prefix) for file in files_in(self.folder, prefix)}

    def _there(self, prefix: str) -> set[str]:
        return {file.stem.removeprefix(prefix) for file in self.folder.glob(f"{prefix}*.parquet")}

    def _damaged(self, name: str, error: BaseException) -> StoreError:
        values, summary = self.values_path(name), self.summary_path(name)
        return StoreError(
            f"cannot read {values}: {first_line(error)}; restore it and {summary.name} from a copy, or let `zcsr "
            "store repair` move them aside, and collect again"
        )

    def _kept_twice(self, places: Mapping[str, Mapping[str, _Place]]) -> Iterator[str]:
        first: dict[tuple[str, str], str] = {}
        for name, in_shard in places.items():
            for arch, place in in_shard.items():
                shards = (first.setdefault((arch, tensor), name) for tensor in place.names)
                if other := next((shard for shard in shards if shard != name), None):
                    yield f"{self.values_path(name)}: {arch} is in {self.values_path(other).name} as well"

    def _verify_shard(
        self,
        name: str,
        places: Mapping[str, _Place],
        together: Mapping[str, tuple[_Place, ...]],
        sample: int | None,
    ) -> list[str]:
        path = self.values_path(name)
        try:
            summary = read_parquet(self.summary_path(name), list(SUMMARY_SCHEMA))
        except (*_UNREADABLE, StoreError) as error:
            return [f"{self.summary_path(name)}: cannot be read ({error})"]
        try:
            broken = broken_pieces(path)
        except _UNREADABLE as error:
            return [f"{path}: cannot be read ({error})"]
        problems = [f"{path}: the checksum of {arch} piece {piece} is wrong" for arch, piece in broken]
        if strangers := set(summary["arch"]) - set(places):
            problems.append(f"{self.summary_path(name)}: {min(strangers)} is not in the values file")
        for arch in list(places)[:sample]:
            others = (place for place in together[arch] if place.shard != name)
            problems += self._verify_arch(arch, (places[arch], *others), summary)
        return problems

    def _verify_arch(self, arch: str, places: tuple[_Place, ...], summary: pl.DataFrame) -> list[str]:
        """Compare the summaries of the tensors in the first place, which may refer to those in others."""
        name, names = places[0].shard, places[0].names
        reader = CollectionStore(self.folder, self.collection, {arch: places}, self._names(_SUMMARY))
        try:
            network = reader.load(arch, [BY_NAME[tensor] for tensor in names])
        except StoreError as error:
            return [str(error)]
        again = summaries(network, self.collection.names).filter(pl.col("tensor").is_in(names))
        problem = difference(summary.filter(pl.col("arch") == arch), again)
        return [f"{self.summary_path(name)}: {arch}: {problem}"] if problem else []


def _names(tensors: Iterable[TensorRow]) -> frozenset[str]:
    """The names of tensors and of those that they refer to."""
    return frozenset(tensor.name for tensor in with_references(tensors))


def _sorted_names(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in TENSOR_NAMES if name in names)


def _in_order(parts: Iterable[Instance]) -> dict[str, torch.Tensor]:
    raw = {name: tensor for part in parts for name, tensor in part.raw.items()}
    return {name: raw[name] for name in TENSOR_NAMES if name in raw}


def _by_arch(shards: Iterable[Mapping[str, _Place]]) -> dict[str, tuple[_Place, ...]]:
    places: dict[str, tuple[_Place, ...]] = {}
    for in_shard in shards:
        for arch, place in in_shard.items():
            places[arch] = (*places.get(arch, ()), place)
    return places


def collecting(collection: Collection, archs: Sequence[str], names: Sequence[str] = ()) -> str:
    """The command that collects these tensors, or all, of some architectures."""
    config = collection.config
    given = {"--images": collection.images} if collection.images != collection.dataset else {}
    given |= {
        one.flag.split()[0]: str(getattr(config, one.name))
        for one in parameters_of(StatisticsConfig)
        if one.flag and getattr(config, one.name) != one.default
    }
    flags = (f"{flag} {shlex.quote(value)}" for flag, value in given.items())
    tensors = (f"--tensor {name}" for name in names)
    networks = (f"--arch {shlex.quote(arch)}" for arch in archs)
    return " ".join(("zcsr collect", collection.space, collection.dataset, *networks, *tensors, *flags))


def _check_head(path: Path, head: pl.DataFrame) -> None:
    """Raise ValueError where the head of a values file is not what its checksum says, if it has one."""
    try:
        known = read_sum(path)
    except DamagedFile:  # which accuses the checksum alone
        return
    if known is not None and known.head and known.head != hash_of_head(head):
        raise ValueError("it is damaged: what it says of the tensors in it is not what was written")


# What reading a file that is missing, cut short or of other content can raise.
_UNREADABLE = (pl.exceptions.PolarsError, OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError)


# --- collection.json --------------------------------------------------------------------------------------------


def describe_collection(store: Store, collection: Collection, folder: Path, *, with_images: bool = True) -> None:
    """Write down in a folder what a collection's statistics or scores are made from, unless it is there already.

    Without images, whatever set of their name there is or will be does not matter: its hash is null until it does.
    Raises InputError for a dataset the space does not know, and for a space that is not what it was.
    """
    _check_definition(collection)
    described = folder / _JSON_NAME
    if heads(described, f"{_SUMMARY}*"):
        if not (with_images and read_json_object(described)["images"]["sha256"] is None):
            return
        _check_channels(store, collection)
    _ = collection.classes  # refuses an unknown dataset before anything is made
    content: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "id": collection.id,
        "zcsr": zcsr.__version__,
        "torch": torch.__version__,
        "space": collection.space,
        "dataset": collection.dataset,
        "images": {
            "name": collection.images,
            "sha256": stored_images_hash(store, collection.images) if with_images else None,
        },
        "config": asdict(collection.config),
    }
    if collection.definition:
        content["definition"] = collection.definition
    write_json(content, folder / _JSON_NAME)


def _check_channels(store: Store, collection: Collection) -> None:
    """Raise InputError where networks seen without images had another number of channels than the images have."""
    shape = dataset_shape(get_space(collection.space), collection.dataset)
    channels = load_images(store, collection.images).channels
    if channels != shape.channels:
        raise InputError(
            f"collection {collection.id} was begun without images, for the {shape.channels} channels of "
            f"{collection.dataset}, and the image set {collection.images!r} has {channels}: import it under "
            "another name"
        )


def _check_definition(collection: Collection) -> None:
    now = Collection.of(collection.space, collection.dataset, collection.images, collection.config).definition
    if now != collection.definition:
        was, is_ = (definition[:12] or "zcsr's own" for definition in (collection.definition, now))
        raise InputError(
            f"the space {collection.space!r} of collection {collection.id} is not what it was ({was}, now {is_}): "
            "restore it, or make a collection of the new one"
        )


def _read_json(folder: Path) -> Mapping[str, Any]:
    content = read_json_object(folder / _JSON_NAME)
    schema = content.get("schema")
    if schema != SCHEMA_VERSION:
        raise StoreError(
            f"the collection {folder} has schema version {schema} and zcsr {zcsr.__version__} reads schema version "
            f"{SCHEMA_VERSION}: delete the folder and collect again, or install the zcsr that wrote it"
        )
    return content


def _collection_of(folder: Path, content: Mapping[str, Any]) -> Collection:
    try:
        config = StatisticsConfig(**content["config"])
        names = (content["space"], content["dataset"], content["images"]["name"])
        collection = Collection(*names, config, content.get("definition", ""))
    except (KeyError, TypeError, InputError) as error:
        raise StoreError(
            f"{folder / _JSON_NAME} is damaged: {error}; delete the folder and collect again"
        ) from error
    if collection.id != folder.name:
        raise StoreError(f"{folder / _JSON_NAME} describes {collection.id}, not the collection of its folder")
    return collection


def _check_images(store: Store, collection: Collection, content: Mapping[str, Any], *, needed: bool) -> None:
    try:
        current = stored_images_hash(store, collection.images)
    except InputError:
        if needed:
            raise
        return
    recorded = content["images"]["sha256"]
    if recorded is not None and current != recorded:
        raise StoreError(
            f"collection {collection.id} was made from other images named {collection.images!r} "
            f"(sha256 {recorded[:12]}, now {current[:12]}): import the former ones again under that name, "
            "or the new ones under another"
        )


def _sweep(folder: Path) -> None:
    sweep_temporary(folder)
    for values in folder.glob(f"{_VALUES}*.parquet"):
        summary = folder / values.name.replace(_VALUES, _SUMMARY, 1)
        if not summary.is_file() and age(values) >= STALE_AFTER_SECONDS:
            remove(values)


# --- a shard in memory ------------------------------------------------------------------------------------------


_Networks: TypeAlias = Mapping[str, tuple[Encoded, pl.DataFrame]]
"""By architecture, what its rows of a shard's two files are made from: the tensors, and the summaries."""


def _give_memory_back() -> None:
    """Give what was freed back to the system, where the C library can: writing takes memory from another pool."""
    with suppress(Exception):
        ctypes.CDLL(None).malloc_trim(0)


def _shard_name(networks: Iterable[Encoded]) -> str:
    held = (one.arch if one.names == TENSOR_NAMES else f"{one.arch} {' '.join(one.names)}" for one in networks)
    return hashlib.sha256("\n".join(held).encode()).hexdigest()[:16]


def _less(network: Encoded, rows: pl.DataFrame, names: frozenset[str]) -> tuple[Encoded, pl.DataFrame]:
    """What is written of a network where only these of its tensors are."""
    if names == frozenset(network.names):
        return network, rows
    whole = decode(network.arch, pl.concat(network.rows()), network.names)
    kept = _sorted_names(names)
    return encode(whole, json.loads(network.layout)["dtype"], kept), rows.filter(pl.col("tensor").is_in(kept))
