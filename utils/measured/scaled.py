"""Ramps in the units of their own range: what the fit computes with, whatever was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.measured.ramps import Measurement


@dataclass(frozen=True, eq=False)
class Group:
    """Ramps that were read at the same pulses.

    time: float64 [n], pulses since the first reading as a fraction of the range of pulses; level:
    [n, ramps], readings on a scale that rises from about 0 to about 1; ramps: [ramps], their places
    in the measurement; device: [ramps], the place of each one's device.
    """

    time: np.ndarray
    level: np.ndarray
    ramps: np.ndarray
    device: np.ndarray


@dataclass(frozen=True, eq=False)
class Scaled:
    """A measurement mapped onto levels that rise from about 0 to about 1, whichever way it ran.

    reading = first + step * level, so that everything computed from levels is independent of the
    unit of the measurement, of an offset and of its direction.

    first, step: in the unit of the measurement; start: pulses at the first reading, which count as
    none; pulses_max: the last pulse that half of the ramps reach, counted from there; devices:
    their labels; device, cycle: int [ramps]; groups: the ramps, by the pulses of their readings.
    """

    first: float
    step: float
    start: float
    pulses_max: float
    devices: tuple[str, ...]
    device: np.ndarray
    cycle: np.ndarray
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, measurement: Measurement) -> Scaled:
        """Raises UserError where the ramps do not run in the direction that the reading says."""
        ramps = measurement.ramps
        start = min(float(ramp.pulses[0]) for ramp in ramps)
        last = np.sort([float(ramp.pulses[-1]) for ramp in ramps])
        pulses_max = float(last[(len(last) - 1) // 2]) - start
        pulses, mean = mean_curve([(ramp.pulses - start, ramp.values) for ramp in ramps])
        first = float(mean[0])
        step = float(np.interp(pulses_max, pulses, mean)) - first
        if step == 0 or (step > 0) != measurement.rising:
            way = "rise" if measurement.rising else "fall"
            raise UserError(
                f"{measurement.file}: the mean of the ramps does not {way} from its first to its "
                "last value; nothing can be fitted, choose other columns or another branch"
            )
        devices = tuple(dict.fromkeys(ramp.device for ramp in ramps))
        device = np.array([devices.index(ramp.device) for ramp in ramps])
        members: dict[bytes, list[int]] = {}
        for index, ramp in enumerate(ramps):
            members.setdefault(np.asarray(ramp.pulses, float).tobytes(), []).append(index)
        groups = tuple(
            Group(
                (np.asarray(ramps[some[0]].pulses, float) - start) / pulses_max,
                np.stack([(ramps[index].values - first) / step for index in some], axis=1),
                np.array(some),
                device[some],
            )
            for some in members.values()
        )
        cycle = np.array([ramp.cycle for ramp in ramps])
        return cls(first, step, start, pulses_max, devices, device, cycle, groups)

    @property
    def n_ramps(self) -> int:
        return len(self.device)

    @property
    def n_readings(self) -> int:
        return sum(group.level.size for group in self.groups)


def mean_curve(
    ramps: list[tuple[np.ndarray, np.ndarray]],
    positions: np.ndarray | None = None,
    fewest: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of ramps of different lengths: mean first value, then mean changes, added up.

    Changes, not values, are averaged, so that it does not jump where ramps end. ramps: positions
    and values of each; positions: where the mean is wanted, those of all readings by default.
    Returns positions and the mean there; it ends where fewer than `fewest` ramps go on (half of
    them).
    """
    if positions is None:
        positions = np.unique(np.concatenate([position for position, _ in ramps]))
    fewest = (len(ramps) + 1) // 2 if fewest is None else fewest
    inside = np.full((len(ramps), len(positions)), np.nan)
    for row, (position, value) in zip(inside, ramps, strict=True):
        row[:] = np.interp(positions, position, value, left=np.nan, right=np.nan)
        row[(positions > position[-1]) & (positions < position[-1] * (1 + 1e-9))] = value[-1]
    change = np.diff(inside, axis=1)
    count = np.isfinite(change).sum(axis=0)
    kept = int(np.argmax(count < fewest)) if (count < fewest).any() else len(count)
    first = np.mean([np.interp(positions[0], position, value) for position, value in ramps])
    total = np.nansum(change[:, :kept], axis=0) / count[:kept]
    return positions[: kept + 1], first + np.concatenate([[0.0], np.cumsum(total)])
