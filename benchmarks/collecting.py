"""Collecting the statistics of networks into a store, against plain hooks and torch.save; and resident memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from measuring import apart, cpu, median_of, resident_peak
from rows import Report, Row, seconds, size
from setting import Setting
from torch import Tensor, nn

from zcsr.engine.threads import one_thread
from zcsr.networks.images import ImageSet
from zcsr.networks.instances import NetworkStatistics
from zcsr.networks.untrained import Untrained, network_statistics, untrained
from zcsr.spaces import get_space
from zcsr.store.jobs.collecting import collect_networks
from zcsr.store.kept.collections import Collection, open_collection
from zcsr.store.kept.images import load_images
from zcsr.store.kept.store import Store

TARGET_SECONDS = 0.12
TARGET_BYTES = 20e6
TARGET_RESIDENT = 1e9


def measure(setting: Setting) -> Report:
    """Time and bytes of a network, whether nothing is lost, and the memory that a large one takes."""
    store = Store.open(setting.folder / "collecting", create=True)
    collection = setting.collection(setting.task)
    images = load_images(setting.store, collection.images)
    _copy_images(setting, collection.images, store)
    sizes = setting.sizes
    most = sizes.collected * (sizes.repeats + 1)
    archs = setting_archs(setting, most)
    chunks = [archs[start : start + sizes.collected] for start in range(0, most, sizes.collected)]
    runs = [_run(store, collection, images, chunk, setting.folder) for chunk in chunks][1:]  # the first warms up
    time_of = median_of([(run.plain, run.ours) for run in runs])
    ours_bytes, plain_bytes = _mean([run.bytes for run in runs]), _mean([run.plain_bytes for run in runs])
    least = median_of([(run.passes, run.passes) for run in runs]).ours
    rows = [
        Row(
            f"collect a network of {setting.task} at batch size 1",
            seconds(time_of.reference),
            seconds(time_of.ours),
            time_of.ratio,
            f"{seconds(least)} (build it, three passes)",
            f"under {seconds(TARGET_SECONDS)}",
            time_of.ours < TARGET_SECONDS,
        ),
        Row(
            "  bytes on disk",
            size(plain_bytes),
            size(ours_bytes),
            plain_bytes / ours_bytes,
            "",
            f"under {size(TARGET_BYTES)}",
            ours_bytes < TARGET_BYTES,
        ),
        _lossless(store, collection, images, chunks[0]),
        *_deep(setting),
    ]
    remark = (
        f"collect: the reference takes hooks on every ReLU, convolution and BatchNorm, and saves the 22 tensors of "
        f"each instance by torch.save. Ours computes the summaries for SQL as well. {len(runs)} times "
        f"{sizes.collected} networks."
    )
    return Report(rows, [remark])


def setting_archs(setting: Setting, count: int) -> list[str]:
    """Networks spread evenly over the space of the setting's task, from the last one down."""
    space = get_space(setting.task.partition(":")[0])
    step = max(1, len(space) // (count + 1))
    return [space.arch(len(space) - 1 - step * number) for number in range(count)]


@dataclass(frozen=True, slots=True)
class _Run:
    """CPU seconds and bytes a network: the plain way's, ours, and the passes' alone."""

    plain: float
    ours: float
    passes: float
    plain_bytes: float
    bytes: float


def _run(store: Store, collection: Collection, images: ImageSet, archs: Sequence[str], folder: Path) -> _Run:
    plain = passes = 0.0
    written = 0
    for arch in archs:
        passes += cpu(_three_passes, collection, images, arch)[0]
        spent, size_of = cpu(_save_plainly, collection, images, arch, folder / "plain.pt")
        plain += spent
        written += size_of
    ours, report = cpu(collect_networks, store, collection, archs)
    count = len(archs)
    return _Run(plain / count, ours / count, passes / count, written / count, report.bytes / count)


def untrained_network(collection: Collection, images: ImageSet, arch: str) -> Untrained:
    """A network of the collection with its weights and inputs."""
    return untrained(get_space(collection.space), arch, collection.classes, images, collection.config)


def _three_passes(collection: Collection, images: ImageSet, arch: str) -> None:
    network = untrained_network(collection, images, arch)
    with one_thread():
        for batch in network.inputs.values():
            network.model(batch.requires_grad_()).sum().backward()


# --- the plain way ----------------------------------------------------------------------------------------------


def _save_plainly(collection: Collection, images: ImageSet, arch: str, path: Path) -> int:
    with one_thread():
        torch.save(collect_plainly(untrained_network(collection, images, arch)), path)
    written = path.stat().st_size
    path.unlink()
    return written


def collect_plainly(network: Untrained) -> list[dict[str, Tensor]]:
    """The 22 tensors of each ReLU, convolution and BatchNorm that are called in this order, as hooks see them.

    T1G is the whole gradient of what enters the ReLU, of which zcsr takes only what comes through that ReLU.
    """
    passes = {which: _pass(network.model, batch) for which, batch in network.inputs.items()}
    instances = []
    for each in zip(*passes.values(), strict=True):
        tensors = {"T3": each[0]["T3"]}
        for which, found in zip(passes, each, strict=True):
            tensors |= {f"{name}_{which}": tensor for name, tensor in found.items() if name != "T3"}
        instances.append(tensors)
    return instances


@dataclass(slots=True)
class _Calls:
    """The calls of modules in their order: the module, its input and its output."""

    calls: list[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=list)

    def note(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for tensor in (inputs[0], output):
            if tensor.requires_grad:
                tensor.retain_grad()
        self.calls.append((module, inputs[0], output))

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        watched = (nn.ReLU, nn.Conv2d, nn.BatchNorm2d)
        hooks = [m.register_forward_hook(self.note) for m in model.modules() if isinstance(m, watched)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _pass(model: nn.Module, batch: Tensor) -> list[dict[str, Tensor]]:
    model.zero_grad()
    seen = _Calls()
    with seen.of(model):
        model(batch.clone().requires_grad_()).sum().backward()
    triples = zip(seen.calls, seen.calls[1:], seen.calls[2:], strict=False)
    return [
        _tensors(relu, convolution, norm)
        for relu, convolution, norm in triples
        if (type(relu[0]), type(convolution[0]), type(norm[0])) == (nn.ReLU, nn.Conv2d, nn.BatchNorm2d)
        and convolution[1] is relu[2]
        and norm[1] is convolution[2]
    ]


def _tensors(
    relu: tuple[nn.Module, Tensor, Tensor],
    convolution: tuple[nn.Module, Tensor, Tensor],
    norm: tuple[nn.Module, Tensor, Tensor],
) -> dict[str, Tensor]:
    weight = convolution[0].get_parameter("weight")
    found = {"T1": relu[1], "T2": convolution[1], "T3": weight, "T4": norm[2]}
    gradients = {f"{name}G": _gradient(tensor) for name, tensor in found.items()}
    return {name: tensor.detach().clone() for name, tensor in found.items()} | gradients


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad.detach().clone()


# --- nothing is lost --------------------------------------------------------------------------------------------


def _lossless(store: Store, collection: Collection, images: ImageSet, archs: Sequence[str]) -> Row:
    opened = open_collection(store, collection)
    compared = different = 0
    for arch in archs:
        computed = network_statistics(
            get_space(collection.space), arch, collection.classes, images, collection.config
        )
        pairs = bits_of(opened.load(arch)), bits_of(computed)
        compared += len(pairs[1])
        different += sum(pairs[0].get(key) != bits for key, bits in pairs[1].items())
        different += len(pairs[0].keys() - pairs[1].keys())
    return Row(
        f"  tensors read back that differ in any bit ({compared:,} of {len(archs)} networks)",
        ours=str(different),
        target="0",
        met=different == 0,
    )


def bits_of(network: NetworkStatistics) -> dict[tuple[int, str], tuple[tuple[int, ...], bytes]]:
    """Shape and bytes of every tensor, by the instance's place and the tensor's name."""
    return {
        (place, name): (tuple(tensor.shape), tensor.numpy().tobytes())
        for place, instance in enumerate(network.instances)
        for name, tensor in instance.raw.items()
    }


# --- memory -----------------------------------------------------------------------------------------------------


def _deep(setting: Setting) -> list[Row]:
    task, arch = setting.sizes.deep
    if not task:
        return []
    store = Store.open(setting.folder / "deep", create=True)
    collection = setting.collection(task)
    _copy_images(setting, collection.images, store)
    written, resident = apart(collect_one, store.root, collection, arch)
    shape = " and ".join(part.replace("=", " ") for part in arch.split(";")[-2:])
    return [
        Row(
            f"resident memory of collecting a network of {task}, {shape} ({size(written)} on disk)",
            ours=size(resident),
            target=f"under {size(TARGET_RESIDENT)}",
            met=resident < TARGET_RESIDENT,
        )
    ]


def collect_one(root: Path, collection: Collection, arch: str) -> tuple[int, int]:
    """Collect a network: the bytes written, and the most that were resident."""
    return collect_networks(Store.open(root), collection, [arch]).bytes, resident_peak()


def _copy_images(setting: Setting, name: str, store: Store) -> None:
    """Put a set of images that is in the setting's store into another store."""
    for path in setting.store.images_dir.glob(f"{name}.*"):
        store.images_dir.mkdir(parents=True, exist_ok=True)
        (store.images_dir / path.name).write_bytes(path.read_bytes())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
