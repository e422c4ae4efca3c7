"""Several readings of the same state are averaged, and readings in pauses are left out.

In: the series of a file. Out: series with one reading after each pulse, and the read noise, which
repeated readings show directly. They stand side by side or below each other:

    pulse, Read 1, Read 2        or        pulse 1 1 2 2 3 3, value 0.11 0.12 0.21 0.20 0.30 0.31
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.measured.numeric_table import several
from utils.measured.options import ReadingOptions
from utils.measured.series import ARRAYS, Series

PAUSE_READINGS = 3  # at one count of pulses, from which on they are no mistake
MOVES_ON = 0.4  # of the change by a pulse: readings that change by more are not of one state
STANDS_STILL = 0.3  # of the range of a curve: values of a pause change by less


@dataclass(eq=False)
class Repeats:
    """What the repeated readings of a file show of the read noise, summed up while it is read."""

    squares: float = 0.0  # sum of the squares of the deviations from the means
    freedom: int = 0  # degrees of freedom of this sum
    reads: int = 1  # readings of each state

    @property
    def noise(self) -> float | None:
        """Standard deviation of a single reading, None where none is repeated."""
        return float(np.sqrt(self.squares / self.freedom)) if self.freedom else None

    def mean(self, values: np.ndarray, firsts: np.ndarray) -> np.ndarray:
        """The mean of the readings of each state; values: [n], firsts: where each state begins."""
        counts = np.diff(firsts, append=len(values))
        means = np.add.reduceat(values, firsts) / counts
        if not (values == np.repeat(values[firsts], counts)).all():  # else copies, without noise
            self.squares += float(((values - np.repeat(means, counts)) ** 2).sum())
            self.freedom += len(values) - len(means)
        self.reads = max(self.reads, int(np.median(counts)))
        return means


def average_columns(all_series: Sequence[Series], repeats: Repeats) -> list[Series]:
    """One series of means in place of all that are reads 1, 2, … of the same ramp, side by side."""
    groups: dict[tuple, list[Series]] = {}
    for series in all_series:
        ramp = (series.device, series.cycle, series.branch, series.rows[0])
        groups.setdefault((series.place,) if series.read is None else ramp, []).append(series)
    averaged = []
    for group in groups.values():
        if len(group) == 1:
            averaged += group
            continue
        arrays = {name: np.concatenate([getattr(read, name) for read in group]) for name in ARRAYS}
        joint = replace(group[0], **arrays)
        order = np.argsort(joint.positions, kind="stable")
        _, firsts = np.unique(joint.positions[order], return_index=True)
        means = repeats.mean(joint.values[order], firsts)
        averaged.append(replace(joint.take(order[firsts]), values=means))
    return averaged


def average_states(series: Series, options: ReadingOptions, repeats: Repeats) -> Series:
    """The means of readings of the same state that stand below each other.

    Either N readings are of the same state, as --reads N says, or readings at the same number of
    pulses, if most numbers of pulses stand twice or more. If only a few do, these are pauses.
    """
    firsts = np.flatnonzero(np.diff(series.pulses, prepend=np.nan) != 0)
    counts = np.diff(firsts, append=len(series))
    if options.reads:
        positions = series.positions - series.positions[0]
        n = int(positions[-1]) + 1  # with those that are missing
        if n % options.reads:
            problem = f"is not a multiple of --reads {options.reads}; give another"
            raise series.error(f"the number of readings, {n}, {problem}", len(series) - 1)
        states = positions // options.reads  # of which each reading is one
        firsts = np.flatnonzero(np.diff(states, prepend=-1))
    elif (counts > 1).mean() > 0.5:
        states = np.repeat(np.arange(len(counts)), counts)
        refuse_other_states(series, firsts)
    else:
        return without_pauses(series, firsts)
    if len(firsts) == len(series):
        return series
    is_counted = bool(
        (counts > 1).any()
    )  # else the file counts every reading, and --reads says more
    return replace(
        series.take(firsts),
        values=repeats.mean(series.values, firsts),
        positions=states[firsts],
        pulses=series.pulses[firsts] if is_counted else states[firsts].astype(float),
        is_counted=is_counted,
    )


def refuse_other_states(series: Series, firsts: np.ndarray) -> None:
    """Raise UserError if readings at the same number of pulses change as if pulses came between
    them.

    firsts: index of the first reading at each number of pulses.
    """
    values, lasts = series.values, np.append(firsts[1:], len(series)) - 1
    change_within, mean = (
        (values[lasts] - values[firsts])[1:-1],
        (values[lasts] + values[firsts]) / 2,
    )
    along = (mean[2:] - mean[:-2]) / 2
    if not along.any():
        return
    share = change_within @ along / (along @ along)
    error = np.sqrt(((change_within - share * along) ** 2).mean() / (along @ along))
    if share > max(MOVES_ON, 4 * error):
        problem = "is not read again at the same count of pulses, but changes as by a pulse"
        raise series.error(f"the state {problem}; keep one reading after each pulse", 1)


def without_pauses(series: Series, firsts: np.ndarray) -> Series:
    """The readings without those of pauses, in which the file repeats the number of the last pulse.

    The first reading of a pause stays: it is the one after that pulse. Of a pause before all pulses
    the last reading stays. If the values move during such pauses, pulses of the other polarity
    came, which the file does not count; then all readings stay. firsts: index of the first reading
    at each number of pulses.
    """
    values, places = series.values, np.arange(len(series))
    pauses = [run for run in np.split(places, firsts[1:]) if len(run) >= PAUSE_READINGS]
    if not pauses or max(np.ptp(values[pause]) for pause in pauses) > STANDS_STILL * np.ptp(values):
        return series
    left_out = np.concatenate([pause[1:] if pause[0] else pause[:-1] for pause in pauses])
    used = np.delete(places, left_out)
    series.table.left_out.append(
        f"{series.column}: {several([len(left_out)], 'reading')} in pauses between pulses, the "
        f"first in line {series.lines[left_out[0]]}"
    )
    return replace(
        series.take(used), positions=series.positions[used] - np.searchsorted(left_out, used)
    )
