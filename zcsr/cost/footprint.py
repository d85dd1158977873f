"""The energy that computing takes and the CO2e of it, by the method of Green Algorithms.

    energy (kWh)  =  hours x (cores x watts per core x usage  +  GB of memory x watts per GB)  x  PUE  x  0.001
    CO2e (grams)  =  energy  x  carbon intensity

from Lannelongue, Grealey and Inouye, *Green Algorithms: Quantifying the Carbon Footprint of Computation*, Advanced
Science 8 (2021), which is reference 11 of the EZNAS paper. Hours x cores x usage is the time that processors
worked, so measured CPU seconds over all processes stand for the three; memory counts for as long as the clock ran.
Graphics cards are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from zcsr.errors import InputError, nearest

PAPER_GRAMS = 358.6
"""Grams of CO2e that EZNAS (NeurIPS 2022) reports for one evolution, 24 hours on an Intel Xeon Gold 6242."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What turns measured time and memory into energy and CO2e; a number of each that is finite and not negative.

    watts_per_core: what a core draws at full use, W
    watts_per_gb: what a gigabyte of memory draws, W
    pue: power usage effectiveness, what the computing centre draws for each watt that reaches the computer
    carbon_intensity: grams of CO2e for a kWh of electricity

    The defaults are those of Green Algorithms (2.2) where nothing is known: a core of any type, a centre of unknown
    effectiveness (the mean of a survey of 2019), electricity of the world's mean (IEA, 2019). Raises InputError for
    any other number.
    """

    watts_per_core: float = 12.0
    watts_per_gb: float = 0.3725
    pue: float = 1.67
    carbon_intensity: float = 475.0

    def __post_init__(self) -> None:
        for name, value in self.values().items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is a finite number that is not negative, not {value:g}")

    @classmethod
    def of(cls, pairs: Iterable[str]) -> Footprint:
        """The defaults with what is given as `name=value`; of two values of one name the last counts.

        Raises InputError for a text of another form, an unknown name, and a value that cannot be used.
        """
        return cls(**dict(map(_read, pairs)))

    def values(self) -> dict[str, float]:
        """Every parameter by its name."""
        return {name: getattr(self, name) for name in NAMES}

    def changed(self) -> dict[str, float]:
        """The parameters that are not what they are by default."""
        usual = GREEN_ALGORITHMS.values()
        return {name: value for name, value in self.values().items() if value != usual[name]}


NAMES = tuple(field.name for field in fields(Footprint))

GREEN_ALGORITHMS = Footprint()
"""The defaults."""


def _read(pair: str) -> tuple[str, float]:
    name, equals, text = pair.partition("=")
    name = name.strip()
    if not equals:
        raise InputError(f"a footprint's parameter is name=value, such as {NAMES[-1]}=230, not '{pair}'")
    if name not in NAMES:
        hint = nearest(name, NAMES, quoted=False)
        raise InputError(f"a footprint has no parameter '{name}' (it has {', '.join(NAMES)}){hint}")
    try:
        return name, float(text)
    except ValueError:
        raise InputError(f"{name} is a finite number that is not negative, not '{text}'") from None
