"""Meters that measure electricity while something runs, beside the estimate of `zcsr.cost.footprint`.

codecarbon reads the counters of the processor where the system lets it, and estimates from its load where not. It
measures the whole machine, graphics cards included. It is an optional package: `pip install codecarbon`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from zcsr.errors import InputError

MEASURE_SECONDS = 5.0


class Meter(Protocol):
    """What a session asks of a meter. Whatever it raises is passed over by who asks."""

    def start(self) -> None:
        """Begin to measure."""

    def kwh(self) -> float | None:
        """The energy measured since the start, in kWh; None where there is no measurement yet."""

    def stop(self) -> None:
        """Measure for the last time."""


def open_meter(name: str) -> Meter:
    """The meter of that name, not yet started.

    Raises InputError for a name that there is not, and where the meter's package is not installed.
    """
    if name not in METERS:
        raise InputError(f"no meter named '{name}'; there is {' and '.join(METERS)}")
    return METERS[name]()


class Codecarbon:
    """The offline tracker of codecarbon: it asks nothing of the network, writes no file and says nothing."""

    def __init__(self) -> None:
        try:
            from codecarbon import OfflineEmissionsTracker
        except ImportError as error:
            raise InputError(
                f"the meter codecarbon is not installed ({error}): pip install codecarbon, or leave out --meter"
            ) from None
        self._tracker_of: Callable[..., Any] = OfflineEmissionsTracker
        self._tracker: Any = None
        self._latest: float | None = None

    def start(self) -> None:
        """Find out what can be measured, and begin."""
        logging.getLogger("codecarbon").disabled = True
        self._tracker = self._tracker_of(
            measure_power_secs=MEASURE_SECONDS,
            api_call_interval=1,
            output_methods=[],
            output_handlers=[self],
            allow_multiple_runs=True,
            pue=1.0,
            # The grams are reckoned from the energy, where it is shown; a number here spares a look-up by country.
            force_carbon_intensity_g_co2e_kwh=0.0,
            log_level="critical",
        )
        self._tracker.start()

    def kwh(self) -> float | None:
        """The energy of the machine since the start, at its last measurement."""
        return self._latest

    def stop(self) -> None:
        """Measure for the last time."""
        if self._tracker is not None:
            self._tracker.stop()

    # What the tracker calls, as one of its outputs.

    def live_out(self, total: Any, delta: Any) -> None:  # noqa: ARG002
        """Take what was measured until now."""
        self._take(total)

    def out(self, total: Any, delta: Any) -> None:  # noqa: ARG002
        """Take what was measured in all."""
        self._take(total)

    def task_out(self, data: Any, experiment_name: str) -> None:
        """Nothing is measured by tasks."""

    def exit(self) -> None:
        """Nothing is left open."""

    def _take(self, total: Any) -> None:
        with suppress(AttributeError, TypeError, ValueError):
            kwh = float(total.energy_consumed)
            self._latest = kwh if kwh > 0 else None


METERS: dict[str, Callable[[], Meter]] = {"codecarbon": Codecarbon}
