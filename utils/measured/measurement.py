"""A measurement: ramps of identical pulses, with what is known of the file they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Branch = Literal["falling", "rising"]


@dataclass(frozen=True, eq=False)
class Ramp:
    """A series of identical pulses of one polarity on one device, which is read after each pulse.

    device: its label, "1" if the file names none. cycle: 1, 2, ... of this device and branch, in
    the order of time. branch: the direction in which the response moves from pulse to pulse.
    pulses: float64 [n], strictly increasing; 0 is the state before the first pulse, if it was read.
    values: float64 [n], the mean of repeated reads, in the unit of the measurement. lines: int [n],
    the line of the file (the row of a sheet) in which the first reading after each pulse stands.
    order: place in time, 0, 1, 2, ..., among all ramps of the device. before: in a continuous train
    of pulses, the reading before the first pulse, which is the last reading of the ramp before; the
    range then starts at 0 pulses, not at the first reading. None otherwise.
    """

    device: str
    cycle: int
    branch: Branch
    pulses: np.ndarray
    values: np.ndarray
    lines: np.ndarray
    order: int
    before: float | None = None


@dataclass(frozen=True, eq=False)
class Measurement:
    """All ramps of a file, of both branches, and how the file was understood.

    file: its name without the folder. sha256: of its bytes. quantity: such as "conductance", unit:
    such as "uS", both "" where the file does not tell. repeated_read_noise: standard deviation of a
    single reading, from repeated readings after the same pulse, in the unit of the measurement;
    None where none is repeated. reads: readings averaged after each pulse. understood: one row per
    column of the file, with its `column`, `role` and `why`. layout: a sentence on devices, cycles,
    branches and pulses. left_out: sentences on data that were not used, with the reason. how: the
    options that repeat this reading, ready for JSON. notes: further sentences for the user.
    assumed_cycles: whether columns count as ramps of one device although no name says so.
    """

    file: str
    sha256: str
    quantity: str
    unit: str
    ramps: tuple[Ramp, ...]
    repeated_read_noise: float | None
    reads: int
    understood: pd.DataFrame
    layout: str
    left_out: tuple[str, ...]
    how: Mapping[str, object]
    notes: tuple[str, ...] = ()
    assumed_cycles: bool = False
