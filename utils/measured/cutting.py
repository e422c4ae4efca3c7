"""From series of readings to single ramps: repeated reads averaged, cut where another begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from utils.errors import UserError
from utils.measured.numeric_table import NumericTable
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

    def average(self, series: Series, firsts: np.ndarray) -> Series:
        """The means of the readings from each of the indices `firsts` to the next."""
        counts = np.diff([*firsts, len(series)])
        means = np.add.reduceat(series.values, firsts) / counts
        self.squares += float(((series.values - np.repeat(means, counts)) ** 2).sum())
        self.freedom += int((counts - 1).sum())
        self.reads = max(self.reads, int(np.median(counts)))
        breaks = tuple(int(np.searchsorted(firsts, at)) for at in series.breaks)
        return replace(
            series.take(firsts),
            values=means,
            breaks=breaks,
            counted=np.arange(len(firsts), dtype=float),
        )


def average_columns(found: Sequence[Series], repeats: Repeats) -> list[Series]:
    """One series for all that are readings 1, 2, … of the same ramp, side by side."""
    groups: dict[tuple, list[Series]] = {}
    for one in found:
        key = one.place if one.read is None else (one.device, one.cycle, one.branch, one.lines[0])
        groups.setdefault((key,), []).append(one)
    averaged = []
    for group in groups.values():
        if len(group) == 1 or any(len(one) != len(group[0]) for one in group):
            averaged += group
            continue
        values = np.stack([one.values for one in group])  # [reads, n]
        repeats.squares += float(((values - values.mean(axis=0)) ** 2).sum())
        repeats.freedom += (len(values) - 1) * values.shape[1]
        repeats.reads = max(repeats.reads, len(values))
        averaged.append(replace(group[0], values=values.mean(axis=0)))
    return averaged


def average_lines(
    series: Series, table: NumericTable, options: ReadingOptions, repeats: Repeats
) -> Series:
    """The means of readings below each other: N of them, as --reads says, or after equal pulses."""
    n, pulses = len(series), series.pulses
    if options.reads and options.reads > 1:
        if n % options.reads:
            raise series.error(
                table, f"holds {n} readings, no multiple of --reads {options.reads}", n - 1
            )
        averaged = repeats.average(series, np.arange(0, n, options.reads))
        return replace(averaged, pulses=None if repeated_share(pulses) == 0 else averaged.pulses)
    if options.reads is None and pulses is not None and repeated_share(pulses) > 0.5:
        return repeats.average(series, np.flatnonzero(np.diff(pulses, prepend=np.nan) != 0))
    return series


def repeated_share(pulses: np.ndarray | None) -> float:
    """Share of the numbers of pulses that stand in several lines after each other."""
    if pulses is None or len(pulses) < 2:
        return 0.0
    firsts = np.flatnonzero(np.diff(pulses, prepend=np.nan) != 0)
    return float((np.diff(firsts, append=len(pulses)) > 1).mean())


def refuse_steps(series: Series, table: NumericTable) -> None:
    """Raise UserError for a ramp that stands still for the same number of readings, again and
    again, as repeated reads do of which no column tells."""
    n, steps = len(series), np.diff(series.values)
    change = abs(series.values[-1] - series.values[0])
    for reads in range(2, MAX_READS + 1):
        if n % reads or n // reads < MIN_READINGS:
            continue
        within = np.delete(steps, np.arange(reads - 1, n - 1, reads))
        between = steps[reads - 1 :: reads]
        quiet = float(np.sqrt(np.mean(within**2))) * 3 < float(np.sqrt(np.mean(between**2)))
        if quiet and abs(within.sum()) <= REPEATED * change:
            raise series.error(
                table,
                f"moves after every {reads} readings only; --reads {reads} averages them, "
                "--reads 1 takes each for a pulse",
            )


@dataclass(frozen=True, eq=False)
class Piece:
    """Readings that are one ramp. follows: whether they come right after those of the piece before,
    so that the device was in the state where that ended."""

    series: Series
    follows: bool


def cut(
    series: Series, table: NumericTable, options: ReadingOptions, left_out: list[str]
) -> list[Piece]:
    """The ramps of a series; what is not used gets a line in left_out."""
    n = len(series)
    if options.split is not None:
        return split(series, table, options.split, left_out)
    starts = {0, *series.breaks} if series.branch is None else {0}
    if series.pulses is not None:
        starts |= set(restarts(series, table))
    bounds = [*sorted(starts), n]
    parts = [slice(a, b) for a, b in pairwise(bounds)]
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
                f"the curve turns back here, at {one.values[at]:.6g}, so it is no single "
                "ramp" + ("" if series.branch is None else f" that is {series.branch}"),
                at,
            )
        inner, resets = cut_at_turns(one.values)
        note_resets(one, table, resets, left_out)
        cuts += [slice(part.start + x.start, part.start + x.stop) for x in inner]
    if len(cuts) == 1 and options.reads is None and series.pulses is None:
        refuse_steps(series, table)
    return pieces(series, cuts, table, left_out, trim=len(cuts) > len(parts))


def split(series: Series, table: NumericTable, how: int | str, left_out: list[str]) -> list[Piece]:
    """Ramps as --split says: of equal length, or between turns."""
    n = len(series)
    if isinstance(how, int):
        if n < how:
            raise series.error(table, f"holds {n} readings, fewer than --split {how}", n - 1)
        cuts = [slice(start, start + how) for start in range(0, n - how + 1, how)]
        return pieces(series, cuts, table, left_out, trim=True)
    if n < 2 * MIN_READINGS:
        raise series.error(table, f"holds {n} readings, too few to turn; leave out --split turns")
    cuts, resets = cut_at_turns(series.values)
    if len(cuts) < 2:
        raise series.error(table, "has no turning point; leave out --split turns")
    note_resets(series, table, resets, left_out)
    return pieces(series, cuts, table, left_out, trim=True)


def note_resets(series: Series, table: NumericTable, resets: int, left_out: list[str]) -> None:
    if resets:
        left_out.append(f"{series.where(table)}: {resets} resets between ramps, which are no ramps")


def pieces(
    series: Series, cuts: Sequence[slice], table: NumericTable, left_out: list[str], trim: bool
) -> list[Piece]:
    """Pieces of these readings; with `trim`, those too short to be a ramp are left out."""
    if trim:
        cuts = [part for part in cuts if part.stop - part.start >= MIN_READINGS]
    used = np.zeros(len(series), bool)
    for part in cuts:
        used[part] = True
    if rest := int((~used).sum()):
        at = np.flatnonzero(~used)[[0, -1]]
        left_out.append(
            f"{table.title(int(series.columns[0]))}: {rest} readings that make no whole ramp, the "
            f"first in line {series.lines[at[0]]}, the last in line {series.lines[at[1]]}"
        )
    if not cuts:
        raise series.error(table, f"no ramp of {MIN_READINGS} readings or more")
    stops = [-1, *(part.stop for part in cuts)]
    found = [
        Piece(series.take(part), part.start == stop)
        for part, stop in zip(cuts, stops, strict=False)
    ]
    if series.pulses is not None:
        for piece in found:
            if len(again := restarts(piece.series, table)) > 1:
                raise piece.series.pulse_error(
                    table,
                    "the pulses start again within a ramp that --split makes; leave it out, "
                    "or --pulses none",
                    again[1],
                )
    return found


def restarts(series: Series, table: NumericTable) -> list[int]:
    """Indices at which the count of pulses starts again, or turns to count the other way.

    Raises UserError for a count that is negative or lacks, that stands twice, and that falls back.
    """
    pulses = series.pulses
    if pulses is None:
        return [0]

    def error(at: int, problem: str) -> UserError:
        return series.pulse_error(table, problem, at)

    if series.pulse_column is not None:
        for at in np.flatnonzero(np.isnan(pulses)).tolist():
            raise error(at, "no number of pulses, though there is a value for it")
        for at in np.flatnonzero(pulses < 0).tolist():
            raise error(at, f"{pulses[at]:g} pulses; their number cannot be negative")
    starts, at, n = [0], 0, len(pulses)
    while at < n - 1:
        way = np.sign(pulses[at + 1] - pulses[at])
        end = at + 1
        while end < n and np.sign(pulses[end] - pulses[end - 1]) == way != 0:
            end += 1
        if end == n:
            break
        long_enough = end - at >= MIN_READINGS and n - end >= MIN_READINGS
        again = way > 0 and pulses[end] in (0, 1, pulses[0])
        turned = end + 1 < n and np.sign(pulses[end + 1] - pulses[end]) == -way
        if not (long_enough and (again or turned or (way < 0 and pulses[end] <= 1 + pulses[at]))):
            seen = np.flatnonzero(pulses[:end] == pulses[end])
            if len(seen):
                raise error(
                    end,
                    f"pulse {pulses[end]:g} is given twice, first in line "
                    f"{series.lines[seen[0]]}; correct it",
                )
            raise error(
                end,
                f"pulse {pulses[end]:g} after {pulses[end - 1]:g}; pulses must rise along a ramp",
            )
        starts.append(end)
        at = end
    return starts
