"""zcsr: discover zero-cost proxies by symbolic regression over the statistics of untrained networks."""

from __future__ import annotations

__version__ = "0.1.0"
