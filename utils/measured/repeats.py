"""Several readings of the same state: means of repeated reads, and readings in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.measured.numeric_table import several
from utils.measured.options import ReadingOptions
from utils.measured.series import ARRAYS, Series

PAUSE_READINGS = 3  # at one count of pulses, from which on they are no mistake
MOVES_ON = 0.4  # of the change from count to count: readings at one count are of several states
STANDS_STILL = 0.3  # of the range of a curve: what changes by less in a pause does not respond


@dataclass(eq=False)
class Repeats:
    """Repeated readings of the same state, which tell the noise of reading."""

    squares: float = 0.0  # of the deviations from the means
    freedom: int = 0
    reads: int = 1

    @property
    def noise(self) -> float | None:
        """Standard deviation of a single reading, None where none is repeated."""
        return float(np.sqrt(self.squares / self.freedom)) if self.freedom else None

    def mean(self, values: np.ndarray, firsts: np.ndarray) -> np.ndarray:
        """Means of readings [n] of states of which each begins at one of these indices."""
        counts = np.diff(firsts, append=len(values))
        means = np.add.reduceat(values, firsts) / counts
        if not (values == np.repeat(values[firsts], counts)).all():  # else they are copies
            self.squares += float(((values - np.repeat(means, counts)) ** 2).sum())
            self.freedom += len(values) - len(means)
        self.reads = max(self.reads, int(np.median(counts)))
        return means


def average_columns(found: Sequence[Series], repeats: Repeats) -> list[Series]:
    """One series for all that are readings 1, 2, … of the same ramp, side by side."""
    groups: dict[tuple, list[Series]] = {}
    for series in found:
        ramp = (series.device, series.cycle, series.branch, series.rows[0])
        groups.setdefault((series.place,) if series.read is None else ramp, []).append(series)
    averaged = []
    for group in groups.values():
        if len(group) == 1:
            averaged += group
            continue
        both = joined(group)
        order = np.argsort(both.positions, kind="stable")
        _, firsts = np.unique(both.positions[order], return_index=True)
        means = repeats.mean(both.values[order], firsts)
        averaged.append(replace(both.take(order[firsts]), values=means))
    return averaged


def joined(group: Sequence[Series]) -> Series:
    """All readings of several series, one series after the other."""
    arrays = {name: np.concatenate([getattr(series, name) for series in group]) for name in ARRAYS}
    return replace(group[0], **arrays)


def one_for_each_state(series: Series, options: ReadingOptions, repeats: Repeats) -> Series:
    """The means of readings below each other: N of them, as --reads says, or those of most counts.

    Where only some counts of pulses stand for several readings, these are of pauses.
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
    is_counted = bool((counts > 1).any())  # else --reads means readings that are counted each
    return replace(
        series.take(firsts),
        values=repeats.mean(series.values, firsts),
        positions=states[firsts],
        pulses=series.pulses[firsts] if is_counted else states[firsts].astype(float),
        is_counted=is_counted,
    )


def refuse_other_states(series: Series, firsts: np.ndarray) -> None:
    """Raise UserError if readings at the same count, of which each begins at one of these indices,
    change along the curve as if pulses came between them, as those before and after each do."""
    values, lasts = series.values, np.append(firsts[1:], len(series)) - 1
    inner, mean = (values[lasts] - values[firsts])[1:-1], (values[lasts] + values[firsts]) / 2
    along = (mean[2:] - mean[:-2]) / 2
    if not along.any():
        return
    share = inner @ along / (along @ along)
    error = np.sqrt(((inner - share * along) ** 2).mean() / (along @ along))
    if share > max(MOVES_ON, 4 * error):
        problem = "is not read again at the same count of pulses, but changes as by a pulse"
        raise series.error(f"the state {problem}; keep one reading after each pulse", 1)


def without_pauses(series: Series, firsts: np.ndarray) -> Series:
    """The readings without those of pauses, in which the file repeats the count of the last pulse.

    The first reading of a pause is the one after that pulse; of one before all pulses the last
    reading counts. In a pause the values stand still, or else the pulses have another polarity than
    those that the file counts. firsts: of the readings at each count of pulses.
    """
    values, places = series.values, np.arange(len(series))
    pauses = [run for run in np.split(places, firsts[1:]) if len(run) >= PAUSE_READINGS]
    if not pauses or max(np.ptp(values[at]) for at in pauses) > STANDS_STILL * np.ptp(values):
        return series
    rest = np.concatenate([pause[1:] if pause[0] else pause[:-1] for pause in pauses])
    left = np.delete(places, rest)
    series.table.left_out.append(
        f"{series.column}: {several([len(rest)], 'reading')} in pauses between pulses, the first "
        f"in line {series.lines[rest[0]]}"
    )
    return replace(
        series.take(left), positions=series.positions[left] - np.searchsorted(rest, left)
    )
