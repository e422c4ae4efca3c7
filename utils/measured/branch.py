"""The ramps of one branch, scaled to levels from about 0 to about 1.

    level = (reading - first) / step,    time = (pulses - origin) / pulses_max,

where `first` and `first + step` are the ends of the mean curve over the ramps. Every fit works on
this scale, so no result depends on the unit, the offset or the direction of the measurement. Ramps
of a measurement go in; `BranchData` comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.measured.measurement import Ramp

WAYS = {"falling": "fall", "rising": "rise"}


@dataclass(eq=False)
class Group:
    """Ramps that were read after the same pulses.

    time: float64 [n], pulses as a fraction of those of the range. level: float64 [n, ramps].
    ramps: int [ramps], indices of the ramps within the branch. device: int [ramps], indices of
    their devices.
    """

    time: np.ndarray
    level: np.ndarray
    ramps: np.ndarray
    device: np.ndarray


@dataclass(frozen=True, eq=False)
class BranchData:
    """All ramps of one branch, mapped onto levels that rise from about 0 to about 1.

    reading = first + step * level, with first and step in the unit of the measurement. origin: the
    count of pulses at which the range begins. pulses_max: the pulses of the range, which is the
    last count that half of the ramps reach, less the origin. devices: labels of the devices.
    device: int [ramps], indices into `devices`. cycle: int [ramps]. groups: the same ramps, grouped
    by the pulses at which they were read.
    """

    ramps: tuple[Ramp, ...]
    first: float
    step: float
    origin: float
    pulses_max: float
    devices: tuple[str, ...]
    device: np.ndarray
    cycle: np.ndarray
    groups: tuple[Group, ...]

    @property
    def is_rising(self) -> bool:
        return self.ramps[0].branch == "rising"

    @property
    def n_ramps(self) -> int:
        return len(self.device)

    @property
    def n_readings(self) -> int:
        return sum(group.level.size for group in self.groups)


def branch_data(ramps: Sequence[Ramp], file: str, is_train: bool = False) -> BranchData:
    """Scale the ramps. is_train: whether they belong to a continuous train of pulses.

    Raises UserError where they do not run in the direction of their branch.
    """
    origin = origin_of(ramps, is_train)
    last = np.sort([float(ramp.pulses[-1]) for ramp in ramps])
    pulses_max = float(last[(len(last) - 1) // 2]) - origin
    pulses, mean = mean_curve([(ramp.pulses - origin, ramp.values) for ramp in ramps])
    first = float(mean[0])
    step = float(np.interp(pulses_max, pulses, mean)) - first
    branch = ramps[0].branch
    if step == 0 or (step > 0) != (branch == "rising"):
        raise UserError(
            f"{file}: on average its {branch} ramps do not {WAYS[branch]} from the first to the "
            "last value; choose other columns with --columns, or name the branch of each with "
            "--branches"
        )
    devices = tuple(dict.fromkeys(ramp.device for ramp in ramps))
    device = np.array([devices.index(ramp.device) for ramp in ramps])
    members: dict[bytes, list[int]] = {}
    for index, ramp in enumerate(ramps):
        members.setdefault(np.asarray(ramp.pulses, float).tobytes(), []).append(index)
    groups = tuple(
        Group(
            (np.asarray(ramps[indices[0]].pulses, float) - origin) / pulses_max,
            np.stack([(ramps[index].values - first) / step for index in indices], axis=1),
            np.array(indices),
            device[indices],
        )
        for indices in members.values()
    )
    cycle = np.array([ramp.cycle for ramp in ramps])
    return BranchData(tuple(ramps), first, step, origin, pulses_max, devices, device, cycle, groups)


def origin_of(ramps: Sequence[Ramp], is_train: bool) -> float:
    """The count of pulses at which the range begins, which is that of the first reading.

    In a continuous train it is 0: the state before the first pulse of a ramp was read, but counts
    as the last reading of the ramp before.
    """
    first, second = min((float(ramp.pulses[0]), float(ramp.pulses[1])) for ramp in ramps)
    return 0.0 if is_train and 0 <= first <= (second - first) * (1 + 1e-9) else first


def mean_curve(
    ramps: Sequence[tuple[np.ndarray, np.ndarray]],
    positions: np.ndarray | None = None,
    min_ramps: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of ramps of different lengths: a mean value plus the sum of mean changes.

    Changes are averaged, not values, so that the mean does not jump where a ramp ends. ramps:
    positions and values of each ramp. positions: where the mean is wanted, by default at all
    readings. Returns positions and the mean there, up to where fewer than `min_ramps` ramps go on
    (by default half of them). At the beginning, where fewer have begun, the mean is that of those.
    """
    if positions is None:
        positions = np.unique(np.concatenate([position for position, _ in ramps]))
    min_ramps = (len(ramps) + 1) // 2 if min_ramps is None else min_ramps
    values = np.full((len(ramps), len(positions)), np.nan)
    for row, (position, value) in zip(values, ramps, strict=True):
        row[:] = np.interp(positions, position, value, left=np.nan, right=np.nan)
        row[(positions > position[-1]) & (positions < position[-1] * (1 + 1e-9))] = value[-1]
    change = np.diff(values, axis=1)
    count = np.isfinite(change).sum(axis=0)
    start = int(np.argmax(count >= min_ramps))  # the first change that enough ramps have
    too_few = count[start:] < min_ramps
    end = start + int(np.argmax(too_few)) if too_few.any() else len(count)
    level = np.mean([np.interp(positions[start], position, value) for position, value in ramps])
    total = np.nansum(change[:, :end], axis=0) / np.maximum(count[:end], 1)
    curve = np.concatenate([[0.0], np.cumsum(total)])
    return positions[: end + 1], level + curve - curve[start]
