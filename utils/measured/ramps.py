"""What was measured: ramps of pulses, as the fit wants them and whatever file they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ramp:
    """One ramp: a device gets one pulse after the other in one direction, and is read each time.

    device: its label; cycle: which ramp of this device, counted from 0; pulses: float64 [n], pulses
    received before each reading, rising; values: float64 [n], in the unit of the measurement.
    """

    device: str
    cycle: int
    pulses: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Measurement:
    """All ramps of one branch of a file, and how the file was understood.

    ramps: device by device, cycle by cycle; rising: whether values rise along the ramps; unit: of
    the values, None where the file does not tell; file: name of the file without its folder;
    sha256: of its bytes; how: what repeats the reading, ready for JSON; understood: lines for the
    user; left_out: one line for each thing of the file that was not used, and why.
    """

    ramps: tuple[Ramp, ...]
    rising: bool
    unit: str | None
    file: str
    sha256: str
    how: Mapping[str, object]
    understood: tuple[str, ...]
    left_out: tuple[str, ...]


def one_branch(both) -> Measurement:
    """The falling ramps of a utils.measured.measurement.Measurement, or the rising ones where there
    are no others."""
    branch = "falling" if any(ramp.branch == "falling" for ramp in both.ramps) else "rising"
    counts: dict[str, int] = {}
    ramps = []
    for ramp in both.ramps:
        if ramp.branch == branch:
            cycle = counts[ramp.device] = counts.get(ramp.device, -1) + 1
            ramps.append(Ramp(ramp.device, cycle, ramp.pulses, ramp.values))
    return Measurement(
        tuple(ramps), branch == "rising", both.unit or None, both.file, both.sha256, both.how,
        (both.layout,), both.left_out,
    )  # fmt: skip
