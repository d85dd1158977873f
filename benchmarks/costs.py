"""What a score of one network costs by each measure: CPU time with one thread, and passes.

    python benchmarks/costs.py -p 'sum(effective_rank(channels(T3G_N)))' --proxy params --out costs.csv

Each measure runs by itself on a network that is there already, so what several could share counts for each. The
median over the networks is told, after one run that is not counted. A pass calls the network, or autograd.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import nn

from zcsr import score
from zcsr.language.named_programs import find_program
from zcsr.networks.initialisation import seeded
from zcsr.proxies import get_proxy, proxy_names
from zcsr.spaces import dataset_shape, get_space

Measure = Callable[[nn.Module, torch.Tensor, torch.Tensor], object]


@dataclass
class Passes:
    """How often a network was called, and autograd."""

    forward: int = 0
    backward: int = 0


@contextmanager
def counted(network: nn.Module) -> Iterator[Passes]:
    """Count the passes of a network and of its copies."""
    passes = Passes()
    engine = torch.autograd.graph._engine_run_backward  # type: ignore[attr-defined]  # where grad and backward meet

    def forward(*_: object) -> None:
        passes.forward += 1

    def backward(*given: object, **options: object) -> object:
        passes.backward += 1
        return engine(*given, **options)

    hook = network.register_forward_pre_hook(forward)
    modules = (torch.autograd, torch.autograd.graph)
    for module in modules:
        module._engine_run_backward = backward  # type: ignore[attr-defined]
    try:
        yield passes
    finally:
        hook.remove()
        for module in modules:
            module._engine_run_backward = engine  # type: ignore[attr-defined]


def measure_of(name: str, batch_size: int) -> Measure:
    """Return the function from a network and a minibatch of 16 images that a name or text stands for."""
    if name in proxy_names():
        return get_proxy(name)
    program = find_program(name, proxy_names())
    return lambda network, images, labels: score(network, images[:batch_size], program, labels=labels[:batch_size])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", "-p", action="append", default=[])
    parser.add_argument("--proxy", action="append", default=[])
    parser.add_argument("--space", default="nasbench201")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--networks", type=int, default=11)
    parser.add_argument("--batch-size", type=int, default=1, help="of programs; known proxies have 16 images")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    space = get_space(given.space)
    shape = dataset_shape(space, given.dataset)
    with seeded(0):
        networks = [space.build(arch, shape.classes) for arch in space.sample(given.networks + 1, random.Random(0))]
        images = torch.randn(16, shape.channels, shape.height, shape.width)
        labels = torch.arange(16) % shape.classes
    rows = []
    names = [*given.program, *(proxy_names() if "all" in given.proxy else given.proxy)]
    for name in names:
        measure, taken = measure_of(name, given.batch_size), []
        for network in networks:
            begun = time.process_time()
            measure(network, images, labels)
            taken.append(1000 * (time.process_time() - begun))
        with counted(networks[0]) as passes:
            measure(networks[0], images, labels)
        rows.append((name, statistics.median(taken[1:]), passes.forward, passes.backward))
        print(f"{name}: {rows[-1][1]:.1f} ms, {passes.forward} forward, {passes.backward} backward", flush=True)
    frame = pl.DataFrame(rows, schema=["name", "cpu_ms", "forward", "backward"], orient="row")
    if given.out:
        frame.write_csv(given.out, float_precision=1)


if __name__ == "__main__":
    main()
