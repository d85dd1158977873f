"""What is known of a network besides its instances, found out when a program asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from zcsr.networks.untrained import Untrained
from zcsr.proxies import get_proxy, proxy_names


@dataclass(slots=True)
class KnownOf(Mapping[str, float]):
    """The scores of a network by known proxies, each computed when it is first asked for.

    `build` gives the network as it is before any training, which is not kept.
    """

    build: Callable[[], Untrained]
    _known: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        if name not in proxy_names():
            raise KeyError(name)
        if name not in self._known:
            network = self.build()
            self._known[name] = get_proxy(name)(network.model, network.inputs["D"], network.labels)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(proxy_names())

    def __len__(self) -> int:
        return len(proxy_names())
