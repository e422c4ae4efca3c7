"""From series of readings to single ramps: cut where another one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from utils.measured.numeric_table import several
from utils.measured.options import MIN_READINGS, ReadingOptions
from utils.measured.series import Series
from utils.measured.turns import cut_at_turns, jump, state_before, turning_point

MAX_READS = 10  # after each pulse, looked for where no column counts pulses
REPEATED = 0.15  # of the change of a curve: what changes less between the same places is repeated
BACK = 0.1  # of the range of a ramp, by which it may have gone back after a few bad readings
STEPS_ERRORS = 4  # from which on a change that is missing within repeated readings is no accident


def cut(series: Series, options: ReadingOptions) -> list[Series]:
    """The ramps of a series, as --split says, or where another one begins; the rest is left out."""
    cuts = split(series, options)
    used = np.isin(np.arange(len(series)), np.concatenate([[], *cuts]))
    if len(rest := np.flatnonzero(~used)):
        series.table.left_out.append(
            f"{series.column}: {several([len(rest)], 'reading')} outside of "
            f"complete ramps, between lines {series.lines[rest[0]]} and {series.lines[rest[-1]]}"
        )
    if not cuts:
        raise series.error(
            f"no ramp here has {MIN_READINGS} readings or more; a ramp needs so many"
        )
    ramps = [replace(series.take(cut), follows=bool(used[: cut[0]][-1:].any())) for cut in cuts]
    for ramp in ramps:
        if len(again := restarts(ramp)) > 1:
            raise ramp.pulse_error(
                "the count of pulses starts again within a ramp that --split cut; leave --split "
                "out, or say --pulses none",
                again[1],
            )
    return ramps


def split(series: Series, options: ReadingOptions) -> list[np.ndarray]:
    """Places of the readings of each ramp: of equal length, between turns, or found."""
    n, how = len(series), options.split
    if how is None:
        changes = np.flatnonzero(np.diff(series.segments)) + 1
        starts = {*restarts(series), *(changes.tolist() if series.branch is None else ())}
        bounds = [*sorted(starts), n]
        cuts = parts = np.split(np.arange(n), bounds[1:-1])
        for part in parts:
            refuse_units(series.take(part))
        turned = [turns_within(series, *span) for span in pairwise(bounds)]
        if any(turned):
            cuts = [np.arange(n)[cut] for cut in between_turns(series, bounds[1:-1])]
        if options.reads is None:
            refuse_steps(series, cuts)
        if len(cuts) == len(parts):
            return cuts
    elif how == "turns":
        if n < 2 * MIN_READINGS:
            raise series.error(f"too few readings for a turn, {n}; leave --split turns out")
        cuts = [np.arange(n)[cut] for cut in between_turns(series)]
        if len(cuts) < 2:
            raise series.error("the curve does not turn; leave --split turns out")
    else:
        cuts = np.split(np.arange(n), np.arange(int(how), n + 1, int(how)))[:-1]
        if not cuts:
            problem = f"the number of readings, {n}, is below --split {how}; give a smaller one"
            raise series.error(problem, n - 1)
    return [cut for cut in cuts if len(cut) >= MIN_READINGS]


def turns_within(series: Series, start: int, stop: int) -> bool:
    """Whether the curve turns between two indices, at which other ramps begin.

    Raises UserError where it does within what is named as one ramp, or too short for two.
    """
    first = start if series.branch else state_before(series.values, start, stop)
    at = turning_point(series.values[first:stop])
    if at is None:
        return False
    if series.branch is not None or stop - start < 2 * MIN_READINGS:
        at += first
        raise series.error(
            f"the curve turns back here, at {series.values[at]:.6g}, so it is not one "
            f"{'' if series.branch is None else series.branch + ' '}ramp; save each ramp "
            "in its own column",
            at,
        )
    return True


def refuse_units(series: Series) -> None:
    """Raise UserError where the values go on a thousand times smaller or larger, as where an
    instrument changes from nA to µA by itself."""
    at = jump(series.values, 0, len(series) - 1)
    if at is None or not MIN_READINGS <= at + 1 <= len(series) - MIN_READINGS:
        return
    before, after = series.values[at : at + 2].tolist()
    small, large = sorted((abs(before), abs(after)))
    if abs(large - 1000 * small) < 0.1 * large:
        raise series.error(f"{after:g} follows {before:g}; give all values in one unit", at + 1)


def between_turns(series: Series, starts: Sequence[int] = ()) -> list[slice]:
    """The ramps between turns and resets; that there are resets is said.

    starts: indices at which another ramp begins for sure.
    """
    places = series.positions - series.positions[0]
    # With what is missing in place, so that ramps of equally many pulses have equally many values.
    values = np.full(places[-1] + 1, np.nan)
    values[places] = series.values
    cuts, resets = cut_at_turns(values, places[list(starts)].tolist())
    cuts = [slice(*np.searchsorted(places, (cut.start, cut.stop)).tolist()) for cut in cuts]
    for ramp_before, between, ramp_after in (
        zip(cuts, cuts[1:], cuts[2:], strict=False) if resets > 1 else ()
    ):
        ramp, back = series.values[ramp_before], series.values[ramp_after][0]
        if between.stop - between.start < MIN_READINGS <= len(ramp):
            change = ramp[-1] - ramp[0]
            if (back - ramp[-1]) * np.sign(change) > -BACK * abs(change):  # the ramp goes on
                raise series.error(
                    f"{several([between.stop - between.start], 'reading')} far from those before "
                    "and after, which belong to one ramp; empty the cells of bad readings",
                    between.start,
                )
    if resets:
        series.table.left_out.append(
            f"{series.where}: {several([resets], 'reset')} between ramps (single jumps)"
        )
    return cuts


def refuse_steps(series: Series, ramps: list[np.ndarray]) -> None:
    """Raise UserError if the values change only after every N readings, as repeated reads do of
    which no column tells: within N readings they change by no more than their noise."""
    places = series.positions - series.positions[0]
    values = np.interp(np.arange(places[-1] + 1), places, series.values)  # with those missing
    found = []
    for reads in range(2, MAX_READS + 1):
        states = [whole_states(values, reads, places[ramp[[0, -1]]]) for ramp in ramps]
        if len(values) % reads or min(map(len, states)) < MIN_READINGS:
            continue
        changes = np.array([ramp_states[-1, -1] - ramp_states[0, 0] for ramp_states in states])
        inner = [(ramp_states[:, -1] - ramp_states[:, 0]).sum() for ramp_states in states]
        within, total = abs(np.sign(changes) @ inner), abs(changes).sum()
        error = np.sqrt(
            sum((np.diff(ramp_states) ** 2).sum() for ramp_states in states) / (reads - 1)
        )
        # A ramp of which each reading follows a pulse changes within as much as elsewhere.
        missing = (1 - 1 / reads) * total - within
        if missing > STEPS_ERRORS * error and within <= max(3 * error, REPEATED * total):
            found.append((missing / error if error else np.inf, reads))
    if found:
        _, reads = max(found)
        raise series.error(
            f"the values change only after every {reads} readings; --reads {reads} averages them, "
            "--reads 1 takes each of them as one pulse",
        )


def whole_states(values: np.ndarray, reads: int, ends: np.ndarray) -> np.ndarray:
    """Those states [n, reads] of a file of repeated readings that lie within a ramp's two ends."""
    first, last = -(-ends[0] // reads), (ends[1] + 1) // reads
    return values[first * reads : max(first, last) * reads].reshape(-1, reads)


def restarts(series: Series) -> list[int]:
    """Indices at which the count of pulses starts again, or turns to count the other way.

    Raises UserError for a count that is negative or missing, that stands twice, or that falls.
    """
    pulses, n = series.pulses, len(series)
    for wrong, problem in (
        (np.isnan(pulses), "the number of pulses is missing, but the value is there; fill it in"),
        (pulses < 0, "the number of pulses, {:g}, is negative; correct it"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong))
            raise series.pulse_error(problem.format(pulses[at]), at)
    ways, starts = np.sign(np.diff(pulses)).tolist(), [0]
    for end in range(1, n):
        at, way = starts[-1], ways[starts[-1]]
        if way != 0 and ways[end - 1] == way:
            continue
        enough = end - at >= MIN_READINGS and n - end >= MIN_READINGS
        missing = series.positions[end] - series.positions[end - 1] - 1
        again = way > 0 and pulses[end] - missing in (0, 1, pulses[0])
        turned = end + 1 < n and ways[end] == -way
        if not (enough and (again or turned or (way < 0 and pulses[end] <= 1 + pulses[at]))):
            seen = np.flatnonzero(pulses[:end] == pulses[end])
            problem = f"follows pulse {pulses[end - 1]:g}, but pulses must rise along a ramp"
            advice = "correct it"
            if len(seen):
                problem = f"is given twice, first in line {series.lines[seen[0]]}"
            if np.array_equal(pulses[end - 1 : end + 2], np.full(3, pulses[end])):
                advice = (
                    "give the number of all pulses so far, or say --pulses none if one pulse came "
                    "before every reading"
                )
            raise series.pulse_error(f"pulse {pulses[end]:g} {problem}; {advice}", end)
        starts.append(end)
    return starts
