"""From the readings of a column to single ramps: the column is cut where another ramp begins.

In: a series of readings, and what the user says with --split and --reads. Out: series of one ramp
each. Another ramp begins where the number of pulses starts again, where a drive changes, or, if no
column shows it, where the values turn:

    pulse 1 2 3 1 2 3      value 0.1 0.2 0.3 0.25 0.15 0.05      two ramps
"""

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
REPEATED = 0.15  # of the change of a curve: readings of one state change by less in all
BACK = 0.1  # of the range: a ramp that goes on after bad readings may have gone back by so much
STEPS_ERRORS = 4  # standard errors from which on values that change in steps are no accident


def cut_into_ramps(series: Series, options: ReadingOptions) -> list[Series]:
    """The ramps of a series. Readings that are in no ramp of enough readings are left out."""
    parts = ramp_indices(series, options)
    is_used = np.isin(np.arange(len(series)), np.concatenate([[], *parts]))
    if len(unused := np.flatnonzero(~is_used)):
        series.table.left_out.append(
            f"{series.column}: {several([len(unused)], 'reading')} outside of complete ramps, "
            f"between lines {series.lines[unused[0]]} and {series.lines[unused[-1]]}"
        )
    if not parts:
        raise series.error(
            f"no ramp here has {MIN_READINGS} readings or more; a ramp needs so many"
        )
    ramps = [
        replace(series.take(part), follows=bool(is_used[: part[0]][-1:].any())) for part in parts
    ]
    for ramp in ramps:
        if len(starts := restarts(ramp)) > 1:
            raise ramp.pulse_error(
                "the count of pulses starts again within a ramp that --split cut; leave --split "
                "out, or say --pulses none",
                starts[1],
            )
    return ramps


def ramp_indices(series: Series, options: ReadingOptions) -> list[np.ndarray]:
    """The indices of the readings of each ramp, int [readings] each.

    Ramps have N readings (--split N), end at turns (--split turns), or end where the file shows it.
    """
    n, split = len(series), options.split
    if split is None:
        changes = np.flatnonzero(np.diff(series.segments)) + 1
        starts = {*restarts(series), *(changes.tolist() if series.branch is None else ())}
        bounds = [*sorted(starts), n]
        ramps = parts = np.split(np.arange(n), bounds[1:-1])
        for part in parts:
            refuse_units(series.take(part))
        turned = [turns_within(series, *span) for span in pairwise(bounds)]
        if any(turned):
            ramps = [np.arange(n)[ramp] for ramp in between_turns(series, bounds[1:-1])]
        if options.reads is None:
            refuse_steps(series, ramps)
        if len(ramps) == len(parts):
            return ramps
    elif split == "turns":
        if n < 2 * MIN_READINGS:
            raise series.error(f"too few readings for a turn, {n}; leave --split turns out")
        ramps = [np.arange(n)[ramp] for ramp in between_turns(series)]
        if len(ramps) < 2:
            raise series.error("the curve does not turn; leave --split turns out")
    else:
        ramps = np.split(np.arange(n), np.arange(int(split), n + 1, int(split)))[:-1]
        if not ramps:
            problem = f"the number of readings, {n}, is below --split {split}; give a smaller one"
            raise series.error(problem, n - 1)
    return [ramp for ramp in ramps if len(ramp) >= MIN_READINGS]


def turns_within(series: Series, start: int, stop: int) -> bool:
    """Whether the curve turns between two indices, at which other ramps begin.

    Raises UserError where it does within what is named as one ramp, or too short for two.
    """
    first = start if series.branch else state_before(series.values, start, stop)
    turn = turning_point(series.values[first:stop])
    if turn is None:
        return False
    if series.branch is not None or stop - start < 2 * MIN_READINGS:
        turn += first
        raise series.error(
            f"the curve turns back here, at {series.values[turn]:.6g}, so it is not one "
            f"{'' if series.branch is None else series.branch + ' '}ramp; save each ramp "
            "in its own column",
            turn,
        )
    return True


def refuse_units(series: Series) -> None:
    """Raise UserError where the values go on a thousand times smaller or larger, as where an
    instrument changes from nA to µA by itself."""
    last = jump(series.values, 0, len(series) - 1)
    if last is None or not MIN_READINGS <= last + 1 <= len(series) - MIN_READINGS:
        return
    before, after = series.values[last : last + 2].tolist()
    small, large = sorted((abs(before), abs(after)))
    if abs(large - 1000 * small) < 0.1 * large:
        raise series.error(f"{after:g} follows {before:g}; give all values in one unit", last + 1)


def between_turns(series: Series, starts: Sequence[int] = ()) -> list[slice]:
    """The readings of the ramps between turns and resets, as slices; resets are noted.

    starts: indices at which another ramp begins for sure. Raises UserError for a few readings far
    off in the middle of a ramp, which look like two resets.
    """
    places = series.positions - series.positions[0]
    # Missing readings keep their place, so that ramps of equally many pulses are equally long.
    values = np.full(places[-1] + 1, np.nan)
    values[places] = series.values
    cuts, resets = cut_at_turns(values, places[list(starts)].tolist())
    cuts = [slice(*np.searchsorted(places, (cut.start, cut.stop)).tolist()) for cut in cuts]
    for ramp_cut, between, next_cut in zip(cuts, cuts[1:], cuts[2:], strict=False):
        ramp, n_between = series.values[ramp_cut], between.stop - between.start
        if resets > 1 and n_between < MIN_READINGS <= len(ramp):
            change, gap = ramp[-1] - ramp[0], series.values[next_cut][0] - ramp[-1]
            if gap * np.sign(change) > -BACK * abs(change):  # the ramp goes on
                raise series.error(
                    f"{several([n_between], 'reading')} far from those before and after, which "
                    "belong to one ramp; empty the cells of bad readings",
                    between.start,
                )
    if resets:
        series.table.left_out.append(
            f"{series.where}: {several([resets], 'reset')} between ramps (single jumps)"
        )
    return cuts


def refuse_steps(series: Series, ramps: list[np.ndarray]) -> None:
    """Raise UserError if the values change only after every N readings.

    Then each state was probably read N times, which no column of the file shows: 0.1, 0.1, 0.2,
    0.2, 0.3, 0.3. Within N readings the values change by no more than their noise.
    """
    places = series.positions - series.positions[0]
    values = np.interp(np.arange(places[-1] + 1), places, series.values)  # with those missing
    possible = []
    for reads in range(2, MAX_READS + 1):
        states = [complete_states(values, reads, places[ramp[[0, -1]]]) for ramp in ramps]
        if len(values) % reads or min(map(len, states)) < MIN_READINGS:
            continue
        changes = np.array([ramp[-1, -1] - ramp[0, 0] for ramp in states])
        inner = [(ramp[:, -1] - ramp[:, 0]).sum() for ramp in states]
        within, total = abs(np.sign(changes) @ inner), abs(changes).sum()
        error = np.sqrt(sum((np.diff(ramp) ** 2).sum() for ramp in states) / (reads - 1))
        # A ramp of which each reading follows a pulse changes within as much as elsewhere.
        missing = (1 - 1 / reads) * total - within
        if missing > STEPS_ERRORS * error and within <= max(3 * error, REPEATED * total):
            possible.append((missing / error if error else np.inf, reads))
    if possible:
        _, reads = max(possible)
        raise series.error(
            f"the values change only after every {reads} readings; --reads {reads} averages them, "
            "--reads 1 takes each of them as one pulse",
        )


def complete_states(values: np.ndarray, reads: int, ends: np.ndarray) -> np.ndarray:
    """The values of those states [n, reads] that lie wholly between the two ends of a ramp."""
    first, last = -(-ends[0] // reads), (ends[1] + 1) // reads
    return values[first * reads : max(first, last) * reads].reshape(-1, reads)


def restarts(series: Series) -> list[int]:
    """Indices at which the number of pulses starts again, or begins to count the other way.

    The first one is 0. Raises UserError for a number of pulses that is negative or missing, that
    stands twice, or that falls within a ramp.
    """
    pulses, n = series.pulses, len(series)
    for wrong, problem in (
        (np.isnan(pulses), "the number of pulses is missing, but the value is there; fill it in"),
        (pulses < 0, "the number of pulses, {:g}, is negative; correct it"),
    ):
        if wrong.any():
            start = int(np.argmax(wrong))
            raise series.pulse_error(problem.format(pulses[start]), start)
    ways, starts = np.sign(np.diff(pulses)).tolist(), [0]
    for end in range(1, n):
        start, way = starts[-1], ways[starts[-1]]
        if way != 0 and ways[end - 1] == way:
            continue
        are_long = end - start >= MIN_READINGS and n - end >= MIN_READINGS
        missing = series.positions[end] - series.positions[end - 1] - 1
        starts_again = way > 0 and pulses[end] - missing in (0, 1, pulses[0])
        is_turned = end + 1 < n and ways[end] == -way
        if not (
            are_long
            and (starts_again or is_turned or (way < 0 and pulses[end] <= 1 + pulses[start]))
        ):
            earlier = np.flatnonzero(pulses[:end] == pulses[end])
            problem = f"follows pulse {pulses[end - 1]:g}, but pulses must rise along a ramp"
            advice = "correct it"
            if len(earlier):
                problem = f"is given twice, first in line {series.lines[earlier[0]]}"
            if np.array_equal(pulses[end - 1 : end + 2], np.full(3, pulses[end])):
                advice = (
                    "give the number of all pulses so far, or say --pulses none if one pulse came "
                    "before every reading"
                )
            raise series.pulse_error(f"pulse {pulses[end]:g} {problem}; {advice}", end)
        starts.append(end)
    return starts
