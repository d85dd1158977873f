"""The list of known proxies says of each what the proxy itself says."""

from __future__ import annotations

from zcsr.proxies import get_proxy, proxy_names
from zcsr.proxies.listing import listed


def test_the_list_is_what_the_proxies_say() -> None:
    every = [get_proxy(name) for name in proxy_names()]
    assert list(listed()) == [(one.name, one.measures, one.source) for one in every]
