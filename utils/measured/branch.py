"""The ramps of one branch in units of their own range, whatever was measured."""

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

    time: float64 [n], pulses as a fraction of those of the range. level: [n, ramps], readings on a
    scale that rises from about 0 to about 1. ramps: [ramps], their places in the branch. device:
    [ramps], the place of the device of each.
    """

    time: np.ndarray
    level: np.ndarray
    ramps: np.ndarray
    device: np.ndarray


@dataclass(frozen=True, eq=False)
class BranchData:
    """All ramps of one branch, mapped onto levels that rise from about 0 to about 1.

    reading = first + step * level, so that what is computed from levels does not depend on the unit
    of the measurement, on an offset, or on the direction. first, step: in the unit of the
    measurement. origin: the count of pulses at which the range begins. pulses_max: pulses of the
    range: the last count that half of the ramps reach, less the origin. devices: their labels.
    device, cycle: int [ramps]. groups: the ramps, by the pulses of their readings.
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
    """The ramps, scaled; is_train: whether they belong to a continuous train of pulses.

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
            (np.asarray(ramps[some[0]].pulses, float) - origin) / pulses_max,
            np.stack([(ramps[index].values - first) / step for index in some], axis=1),
            np.array(some),
            device[some],
        )
        for some in members.values()
    )
    cycle = np.array([ramp.cycle for ramp in ramps])
    return BranchData(tuple(ramps), first, step, origin, pulses_max, devices, device, cycle, groups)


def origin_of(ramps: Sequence[Ramp], is_train: bool) -> float:
    """The count of pulses at which the range begins: that of the first reading.

    In a train the state before the first pulse of a ramp is there, although its reading belongs to
    the ramp before, and so belongs to the range: there the range begins at 0.
    """
    first, second = min((float(ramp.pulses[0]), float(ramp.pulses[1])) for ramp in ramps)
    return 0.0 if is_train and 0 <= first <= (second - first) * (1 + 1e-9) else first


def mean_curve(
    ramps: Sequence[tuple[np.ndarray, np.ndarray]],
    positions: np.ndarray | None = None,
    min_ramps: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of ramps of different lengths: a mean value, then mean changes, added up.

    Changes, not values, are averaged, so that it does not jump where ramps end. ramps: positions
    and values of each. positions: where the mean is wanted, those of all readings by default.
    Returns positions and the mean there; it ends where fewer than `min_ramps` go on (half of them).
    Before enough of them have begun, as where one alone was read before its first pulse, it is made
    of those that have.
    """
    if positions is None:
        positions = np.unique(np.concatenate([position for position, _ in ramps]))
    min_ramps = (len(ramps) + 1) // 2 if min_ramps is None else min_ramps
    inside = np.full((len(ramps), len(positions)), np.nan)
    for row, (position, value) in zip(inside, ramps, strict=True):
        row[:] = np.interp(positions, position, value, left=np.nan, right=np.nan)
        row[(positions > position[-1]) & (positions < position[-1] * (1 + 1e-9))] = value[-1]
    change = np.diff(inside, axis=1)
    count = np.isfinite(change).sum(axis=0)
    start = int(np.argmax(count >= min_ramps))  # of the first change that is one of enough ramps
    few = count[start:] < min_ramps
    end = start + int(np.argmax(few)) if few.any() else len(count)
    level = np.mean([np.interp(positions[start], position, value) for position, value in ramps])
    total = np.nansum(change[:, :end], axis=0) / np.maximum(count[:end], 1)
    curve = np.concatenate([[0.0], np.cumsum(total)])
    return positions[: end + 1], level + curve - curve[start]
