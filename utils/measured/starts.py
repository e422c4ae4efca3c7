"""Where the pulses of each ramp of a train start, and which readings come before a whole ramp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.measured.checks import trend
from utils.measured.directed import Directed
from utils.measured.series import Series

PART = 0.1  # of the range, from which on the first ramp of a train is a part of one


def start_again(one: Directed, last: Directed) -> None:
    """Count the pulses of a ramp anew, where the file counts on from the ramp right before it."""
    end, first = last.series.pulses.max(), one.pulses[0]
    if one.fixed and first > end > 0:
        start = last.pulses[0] if one.branch == last.branch else first - end
        one.pulses = one.pulses - first + start


def start_after_head(one: Directed) -> None:
    """Count the pulses of a ramp anew, where the readings before it are left out.

    Its first reading is the state at the turn where the curve still ran the other way up to it.
    """
    series, first = one.series, one.pulses[0]
    if not one.fixed or series.pulse_column is None or first <= 1:
        return
    table = series.table
    block = table.blocks[np.searchsorted(table.lines, series.lines[0])]
    at = (table.lines < series.lines.min()) & (table.blocks == block)
    head = table.numbers[at][:, [series.pulse_column, series.column]]
    head = head[~np.isnan(head).any(axis=1)]
    if len(head) and (np.diff(head[:, 0]) > 0).all() and 0 <= head[-1, 0] < first:
        is_turn = (series.values[0] - head[-1, 1]) * one.found.change < 0
        one.pulses = one.pulses - (first if is_turn else head[-1, 0])


def without_partial(directed: Sequence[Directed]) -> list[Directed]:
    """The ramps, of each train the first one without what does not belong to a whole ramp.

    A fresh device is somewhere in its range. There the same pulses do something else, so a first
    ramp that begins within the range of the next ones is left out, and of one that runs the other
    way at first, those readings.
    """
    kept = []
    for one in directed:
        others = [
            other
            for other in directed
            if (other.branch, other.series.place) == (one.branch, one.series.place)
            and other.after is not None
        ]
        if one.after is None and others and any(other.after is one for other in directed):
            one = without_head(one, others)
            begin = float(one.series.values[0])
            start, end = (float(np.mean([x.series.values[i] for x in others])) for i in (0, -1))
            noise = max(x.found.scatter for x in (one, *others))
            step = one.size / (len(one.series) - 1)
            missing = (begin - start) * np.sign(end - start)
            if missing > max(PART * abs(end - start), 4 * noise, 2 * step):
                one.series.table.left_out.append(
                    f"{one.series.where}: the first {one.branch} ramp, which begins at "
                    f"{begin:.4g}, while the next ones begin at {start:.4g}"
                )
                continue
        kept.append(one)
    return kept


def without_head(one: Directed, others: Sequence[Directed]) -> Directed:
    """The first ramp of a train without readings at its begin that do not run along it.

    They are too few for a ramp of their own; all others have the same number of readings.
    """
    usual = len(others[0].series)
    head = len(one.series) - usual
    if head < 2 or {len(other.series) for other in others} != {usual}:
        return one
    progress = (one.series.values[head - 1] - one.series.values[0]) * np.sign(one.found.change)
    fitted = [abs(np.diff(other.fitted)[: head - 1].sum()) for other in others]
    if progress > 0.5 * np.mean(fitted):
        return one
    first, series = one.series.take(slice(None, head)), one.series.take(slice(head, None))
    series.table.left_out.append(f"{first.where}: before the first {one.branch} ramp")
    pulses = others[0].pulses
    cut = replace(one, series=series, pulses=pulses, found=trend(pulses, series.values))
    for other in others:
        other.after = cut if other.after is one else other.after
    return cut


def join(ramps: Sequence[Directed]) -> None:
    """Where the pulses of ramps of one branch start, as the turns of their train show.

    Between the last reading before a turn and the first after it the state has moved by one pulse,
    or by none where it was read again, or by something else where the train was interrupted.
    """
    turns = [(one, one.after) for one in ramps if one.after is not None]
    if not turns:
        return
    begins = np.array([one.fitted[:3] for one, _ in turns])
    ends = np.array([after.fitted[-1] for _, after in turns])
    ways = np.sign([one.found.change for one, _ in turns])
    pulses = np.array([one.pulses[1] - one.pulses[0] for one, _ in turns])
    first, second = np.abs(np.diff(begins)).T
    steepening = np.divide(first, second, out=np.ones(len(turns)), where=second > 0).mean()
    gaps, steps = ways * (begins[:, 0] - ends), first / np.maximum(1, pulses)
    # Of the readings that are missing at each turn, those after it, by what they changed.
    missing = np.array([missing_between(after.series, one.series) for one, after in turns])
    own = np.clip(np.round(gaps / np.maximum(steps, 1e-300)) - 1, 0, missing)
    gap, step = float(np.mean(gaps - own * steps)), float(np.mean(steps))
    span = float(np.mean([one.size for one, _ in turns]))
    noise = float(np.mean([one.found.scatter for one, _ in turns])) / np.sqrt(len(turns))
    slack = 4 * noise + 0.02 * span
    again = abs(gap) <= min(slack, 0.4 * step) or abs(gap) < 1e-9 * span
    goes_on = not again and abs(gap - step * steepening) <= slack + 0.3 * step
    for (one, after), before, behind in zip(turns, missing - own, own, strict=True):
        if not one.fixed:
            one.pulses = one.pulses - one.pulses[0] + behind + float(goes_on)
        elif one.pulses[0] > 1:  # a count that runs on counts the last ones of the ramp before, too
            one.pulses = one.pulses - min(one.pulses[0] - 1, before)
        if goes_on and one.pulses[0] == 1:
            one.before = float(after.series.values[-1])
    usual = float(np.median([len(one.pulses) for one, _ in turns]))
    for one in ramps if goes_on else ():
        # The first of a train; with one reading more it begins at 0.
        if one.after is None and one.pulses[0] == 0 and len(one.pulses) <= usual:
            one.pulses = one.pulses + 1


def missing_between(one: Series, other: Series) -> int:
    """How many readings are missing between a ramp and the next one."""
    last = one.positions[-1] + 1 if one.place == other.place else 0
    return int(other.positions[0] - last)
