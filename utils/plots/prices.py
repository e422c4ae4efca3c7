"""What the user's devices take and endure, by which costs are counted. Without torch."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any

from utils.errors import UserError


def price(unit: str, text: str) -> Any:
    """A field of a price that is not known. unit, text: as --help shows them."""
    return dataclasses.field(default=None, metadata={"metavar": unit, "help": text})


@dataclass(frozen=True)
class Prices:
    """What the user's devices take and endure, a flag each; None where it is not known."""

    pulse_energy: float | None = price("JOULE", "energy of a pulse, for the table of costs")
    refresh_energy: float | None = price("JOULE", "energy of a refresh of a pair")
    pulse_time: float | None = price("SECONDS", "duration of a pulse")
    endurance: float | None = price("N", "pulses that a device endures")
    refresh_endurance: float | None = price("N", "refreshes that a device endures")

    @classmethod
    def from_environment(cls) -> Prices:
        """From the variables MAGNETOIONIC_PULSE_ENERGY, _REFRESH_ENERGY, ...; raises UserError."""
        words = {name: os.environ.get(f"MAGNETOIONIC_{name.upper()}") for name in FLAGS}
        return cls(**{name: number(name, word) for name, word in words.items() if word is not None})


FLAGS = {field.name: field.metadata for field in dataclasses.fields(Prices)}  # for argparse
NO_PRICES = Prices()


def number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(f"--{name} {word}: must be a finite number >= 0")
    return value
