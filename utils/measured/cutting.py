"""From series of readings to single ramps: repeated reads averaged, cut where another begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from utils.errors import UserError
from utils.measured.numeric_table import NumericTable, several
from utils.measured.options import MIN_READINGS, ReadingOptions
from utils.measured.series import Series
from utils.measured.turns import cut_at_turns, turning_point

MAX_READS = 10  # after each pulse, looked for where no column counts pulses
REPEATED = 0.15  # of the change of a curve: what changes less between the same places is repeated


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

    def add(self, deviations: np.ndarray, means: int, reads: int) -> None:
        """Count the deviations of readings from this number of means, of usually `reads` each."""
        self.squares += float((deviations**2).sum())
        self.freedom += deviations.size - means
        self.reads = max(self.reads, reads)


def average_columns(found: Sequence[Series], repeats: Repeats) -> list[Series]:
    """One series for all that are readings 1, 2, … of the same ramp, side by side."""
    groups: dict[tuple, list[Series]] = {}
    for one in found:
        ramp = (one.device, one.cycle, one.branch, one.lines[0])
        groups.setdefault((one.place,) if one.read is None else ramp, []).append(one)
    averaged = []
    for group in groups.values():
        if len(group) == 1 or any(len(one) != len(group[0]) for one in group):
            averaged += group
            continue
        values = np.stack([one.values for one in group])  # [reads, n]
        means = values.mean(axis=0)
        repeats.add(values - means, len(means), len(values))
        averaged.append(replace(group[0], values=means))
    return averaged


def average_lines(
    series: Series, table: NumericTable, options: ReadingOptions, repeats: Repeats
) -> Series:
    """The means of readings below each other: N of them, as --reads says, or after equal pulses."""
    n, reads = len(series), options.reads or 1
    if n % reads:
        raise series.error(
            table,
            f"the number of readings, {n}, is not a multiple of --reads {reads}; give another",
            n - 1,
        )
    changes, share = np.arange(n), 0.0
    if series.pulses is not None:
        changes = np.flatnonzero(np.diff(series.pulses, prepend=np.nan) != 0)
        share = float((np.diff(changes, append=n) > 1).mean())  # of pulses with several readings
    if reads > 1:
        firsts = np.arange(0, n, reads)
    elif options.reads is None and share > 0.5:
        firsts = changes
    else:
        return series
    counts = np.diff(firsts, append=n)
    means = np.add.reduceat(series.values, firsts) / counts
    repeats.add(series.values - np.repeat(means, counts), len(means), int(np.median(counts)))
    averaged = series.take(firsts)
    return replace(
        averaged,
        values=means,
        counted=np.arange(len(firsts), dtype=float),
        pulses=averaged.pulses if share > 0 else None,
        breaks=tuple(int(np.searchsorted(firsts, at)) for at in series.breaks),
    )


def refuse_steps(series: Series, table: NumericTable) -> None:
    """Raise UserError for a ramp that stands still for the same number of readings, again and
    again, as repeated reads do of which no column tells."""
    n, steps = len(series), np.diff(series.values)
    change = abs(series.values[-1] - series.values[0])
    for reads in range(MAX_READS, 1, -1):
        if n % reads or n // reads < MIN_READINGS:
            continue
        within = np.delete(steps, np.arange(reads - 1, n - 1, reads))
        between = steps[reads - 1 :: reads]
        quiet = float(np.sqrt(np.mean(within**2))) * 3 < float(np.sqrt(np.mean(between**2)))
        if quiet and abs(within.sum()) <= REPEATED * change:
            raise series.error(
                table,
                f"the values change only after every {reads} readings; --reads {reads} averages "
                "them, --reads 1 takes each of them as one pulse",
            )


def cut(series: Series, table: NumericTable, options: ReadingOptions) -> list[Series]:
    """The ramps of a series; what is not used is said."""
    if options.split is not None:
        return ramps_at(series, split(series, table, options.split), table)
    starts = {*restarts(series, table), *(series.breaks if series.branch is None else ())}
    parts = [slice(a, b) for a, b in pairwise([*sorted(starts), len(series)])]
    cuts: list[slice] = []
    for part in parts:
        one = series.take(part)
        at = turning_point(one.values)
        if at is None:
            cuts.append(part)
            continue
        if series.branch is not None or len(one) < 2 * MIN_READINGS:
            raise one.error(
                table,
                f"the curve turns back here, at {one.values[at]:.6g}, so it is not one "
                f"{'' if series.branch is None else series.branch + ' '}ramp; save each ramp "
                "in its own column",
                at,
            )
        inner = between_turns(one, table)
        cuts += [slice(part.start + x.start, part.start + x.stop) for x in inner]
    if len(cuts) == 1 and options.reads is None and series.pulses is None:
        refuse_steps(series, table)
    if len(cuts) > len(parts):
        cuts = long_enough(cuts)
    return ramps_at(series, cuts, table)


def split(series: Series, table: NumericTable, how: int | str) -> list[slice]:
    """Ramps as --split says: of equal length, or between turns."""
    n = len(series)
    if isinstance(how, int):
        if n < how:
            raise series.error(
                table,
                f"the number of readings, {n}, is below --split {how}; give a smaller one",
                n - 1,
            )
        return [slice(start, start + how) for start in range(0, n - how + 1, how)]
    if n < 2 * MIN_READINGS:
        raise series.error(table, f"too few readings for a turn, {n}; leave --split turns out")
    cuts = between_turns(series, table)
    if len(cuts) < 2:
        raise series.error(table, "the curve does not turn; leave --split turns out")
    return long_enough(cuts)


def between_turns(series: Series, table: NumericTable) -> list[slice]:
    cuts, resets = cut_at_turns(series.values)
    if resets:
        table.left_out.append(
            f"{series.where(table)}: {several([resets], 'reset')} between ramps (single jumps)"
        )
    return cuts


def long_enough(cuts: Sequence[slice]) -> list[slice]:
    return [part for part in cuts if part.stop - part.start >= MIN_READINGS]


def ramps_at(series: Series, cuts: Sequence[slice], table: NumericTable) -> list[Series]:
    """These parts of a series, each a ramp; the rest of it is left out, and said."""
    used = np.zeros(len(series), bool)
    for part in cuts:
        used[part] = True
    if len(rest := np.flatnonzero(~used)):
        table.left_out.append(
            f"{table.title(int(series.columns[0]))}: {several([len(rest)], 'reading')} outside of "
            f"complete ramps, between lines {series.lines[rest[0]]} and {series.lines[rest[-1]]}"
        )
    if not cuts:
        raise series.error(
            table, f"no ramp here has {MIN_READINGS} readings or more; a ramp needs so many"
        )
    follows = [part.start > 0 and bool(used[part.start - 1]) for part in cuts]
    ramps = [replace(series.take(part), follows=x) for part, x in zip(cuts, follows, strict=True)]
    for ramp in ramps:
        if len(again := restarts(ramp, table)) > 1:
            raise ramp.pulse_error(
                table,
                "the count of pulses starts again within a ramp that --split cut; leave --split "
                "out, or say --pulses none",
                again[1],
            )
    return ramps


def restarts(series: Series, table: NumericTable) -> list[int]:
    """Indices at which the count of pulses starts again, or turns to count the other way.

    Raises UserError for a count that is negative or missing, that stands twice, or that falls.
    """
    pulses = np.array([]) if series.pulses is None else series.pulses

    def error(at: int, problem: str) -> UserError:
        return series.pulse_error(table, problem, at)

    if series.pulse_column is not None:
        for at in np.flatnonzero(np.isnan(pulses)).tolist():
            raise error(at, "the number of pulses is missing, but the value is there; fill it in")
        for at in np.flatnonzero(pulses < 0).tolist():
            raise error(at, f"the number of pulses, {pulses[at]:g}, is negative; correct it")
    ways = np.sign(np.diff(pulses))
    starts, at, n = [0], 0, len(pulses)
    while at < n - 1:
        others = np.flatnonzero((ways[at:] != ways[at]) | (ways[at:] == 0))
        if not len(others):
            break
        way, end = ways[at], at + 1 + int(others[0])
        long_enough = end - at >= MIN_READINGS and n - end >= MIN_READINGS
        again = way > 0 and pulses[end] in (0, 1, pulses[0])
        turned = end + 1 < n and ways[end] == -way
        if not (long_enough and (again or turned or (way < 0 and pulses[end] <= 1 + pulses[at]))):
            seen = np.flatnonzero(pulses[:end] == pulses[end])
            problem = f"follows pulse {pulses[end - 1]:g}, but pulses must rise along a ramp"
            if len(seen):
                problem = f"is given twice, first in line {series.lines[seen[0]]}"
            raise error(end, f"pulse {pulses[end]:g} {problem}; correct it")
        starts.append(end)
        at = end
    return starts
