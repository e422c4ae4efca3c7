"""Several readings of the same state: means of repeated reads, and readings in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.measured.numeric_table import several
from utils.measured.options import ReadingOptions
from utils.measured.series import ARRAYS, Series

PAUSE_READINGS = 3  # at one count of pulses, from which on they are no mistake
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
    for one in found:
        ramp = (one.device, one.cycle, one.branch, one.lines[0])
        groups.setdefault((one.place,) if one.read is None else ramp, []).append(one)
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
    arrays = {name: np.concatenate([getattr(one, name) for one in group]) for name in ARRAYS}
    return replace(group[0], **arrays)


def without_pauses(series: Series) -> Series:
    """The readings without those of pauses, in which the file repeats the count of the last pulse.

    The first reading of a pause is the one after that pulse; of one before all pulses the last
    reading counts. In a pause the values stand still, or else the pulses have another polarity than
    those that the file counts. Where most counts stand for several readings, these are repeated
    reads and no pauses.
    """
    n, values = len(series), series.values
    firsts = np.flatnonzero(np.diff(series.pulses, prepend=np.nan) != 0)
    counts = np.diff(firsts, append=n)
    pauses = [
        slice(first, first + count)
        for first, count in zip(firsts, counts, strict=True)
        if count >= PAUSE_READINGS
    ]
    still = all(np.ptp(values[pause]) <= STANDS_STILL * np.ptp(values) for pause in pauses)
    if not pauses or not still or (counts > 1).mean() > 0.5:
        return series
    places = np.arange(n)
    rest = [places[pause][1:] if pause.start else places[pause][:-1] for pause in pauses]
    rest = np.concatenate(rest)
    kept = np.delete(places, rest)
    series.table.left_out.append(
        f"{series.table.title(series.column)}: {several([len(rest)], 'reading')} in pauses between "
        f"pulses, the first in line {series.lines[rest[0]]}"
    )
    breaks = {*np.searchsorted(kept, series.breaks).tolist()} - {len(kept)}
    left = series.take(kept)
    positions = left.positions - np.searchsorted(rest, kept)
    return replace(left, positions=positions, breaks=tuple(sorted(breaks)))


def average_lines(series: Series, options: ReadingOptions, repeats: Repeats) -> Series:
    """The means of readings below each other: N of them, as --reads says, or after equal pulses."""
    reads, positions = options.reads or 1, series.positions - series.positions[0]
    n = int(positions[-1]) + 1  # with those that are missing
    if n % reads:
        raise series.error(
            f"the number of readings, {n}, is not a multiple of --reads {reads}; give another",
            len(series) - 1,
        )
    states = positions // reads  # of which each reading is one
    firsts = np.flatnonzero(np.diff(states, prepend=-1))
    changes = np.flatnonzero(np.diff(series.pulses, prepend=np.nan) != 0)
    repeated = np.diff(changes, append=len(series)) > 1
    if options.reads is None and repeated.mean() > 0.5:
        firsts, states = (
            changes,
            np.repeat(np.arange(len(changes)), np.diff(changes, append=len(series))),
        )
    if len(firsts) == len(series):
        return series
    is_counted = bool(repeated.any())  # else --reads means readings that are counted each
    return replace(
        series.take(firsts),
        values=repeats.mean(series.values, firsts),
        positions=states[firsts],
        pulses=series.pulses[firsts] if is_counted else states[firsts].astype(float),
        is_counted=is_counted,
        breaks=tuple(np.searchsorted(firsts, series.breaks).tolist()),
    )
