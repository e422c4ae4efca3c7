"""Where the pulses of each ramp of a train start, and which readings come before a whole ramp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.measured.series import Series

PART = 0.1  # of the range, from which on the first ramp of a train is a part of one


def count_anew(one: Series, last: Series | None, counted_to: float) -> None:
    """Count the pulses of a ramp anew, where the file counts on from the readings before it.

    last: the ramp right before it, None where the reading there is in no ramp; counted_to: its
    largest count in the file. The first reading after one in no ramp is the state at the turn where
    the curve still ran the other way up to it.
    """
    first = one.pulses[0]
    if not one.is_counted:
        return
    if last is not None:
        if first > counted_to > 0:
            own = counted_to if one.branch != last.branch else first - last.pulses[0]
            one.pulses = one.pulses - own
    elif one.counter and first > 1 and one.rows.min() > 0:
        row, blocks = one.rows.min() - 1, one.table.blocks
        count, value = one.counter.numbers[row], one.column.numbers[row]
        if blocks[row] == blocks[row + 1] and 0 <= count < first:
            is_turn = (one.values[0] - value) * one.trend.change < 0
            one.pulses = one.pulses - (first if is_turn else count)


def without_partial(ramps: Sequence[Series]) -> list[Series]:
    """The ramps, of each train the first one without what does not belong to a whole ramp.

    A fresh device is somewhere in its range. There the same pulses do something else, so a first
    ramp that begins within the range of the next ones is left out, and of one that runs the other
    way at first, those readings.
    """
    whole = []
    for one in ramps:
        own = [other for other in ramps if (other.branch, other.place) == (one.branch, one.place)]
        others = [other for other in own if other.after is not None]
        if one.after is None and others and any(other.after is one for other in ramps):
            one = without_head(one, others)
            begin = float(one.values[0])
            start, end = (float(np.mean([other.values[i] for other in others])) for i in (0, -1))
            noise = max(other.trend.scatter for other in (one, *others))
            step = one.size / (len(one) - 1)
            missing = (begin - start) * np.sign(end - start)
            if missing > max(PART * abs(end - start), 4 * noise, 2 * step):
                one.table.left_out.append(
                    f"{one.where}: the first {one.branch} ramp, which begins at {begin:.4g}, while "
                    f"the next ones begin at {start:.4g}"
                )
                continue
        whole.append(one)
    return whole


def without_head(one: Series, others: Sequence[Series]) -> Series:
    """The first ramp of a train without readings at its begin that do not run along it.

    They are too few for a ramp of their own; all others have the same number of readings.
    """
    usual = len(others[0])
    head = len(one) - usual
    if head < 2 or {len(other) for other in others} != {usual}:
        return one
    progress = (one.values[head - 1] - one.values[0]) * np.sign(one.trend.change)
    fitted = [abs(np.diff(other.fitted)[: head - 1].sum()) for other in others]
    if progress > 0.5 * np.mean(fitted):
        return one
    where = one.take(slice(None, head)).where
    one.table.left_out.append(f"{where}: before the first {one.branch} ramp")
    cut = one.take(slice(head, None))
    cut.pulses = others[0].pulses
    return cut


def join(ramps: Sequence[Series]) -> None:
    """Where the pulses of ramps of one branch start, as the turns of their train show.

    Between the last reading before a turn and the first after it the state has moved by one pulse,
    or by none where it was read again, or by something else where the train was interrupted.
    """
    turns = [(one, one.after) for one in ramps if one.after is not None]
    if not turns:
        return
    begins = np.array([one.fitted[:3] for one, _ in turns])
    ends = np.array([after.fitted[-1] for _, after in turns])
    ways = np.sign([one.trend.change for one, _ in turns])
    pulses = np.array([one.pulses[1] - one.pulses[0] for one, _ in turns])
    first, second = np.abs(np.diff(begins)).T
    steepening = np.divide(first, second, out=np.ones(len(turns)), where=second > 0).mean()
    gaps, steps = ways * (begins[:, 0] - ends), first / np.maximum(1, pulses)
    # Of the readings that are missing at each turn, those after it, by what they changed.
    missing = np.array([missing_between(after, one) for one, after in turns])
    own = np.clip(np.round(gaps / np.maximum(steps, 1e-300)) - 1, 0, missing)
    gap, step = float(np.mean(gaps - own * steps)), float(np.mean(steps))
    span = float(np.mean([one.size for one, _ in turns]))
    noise = float(np.mean([one.trend.scatter for one, _ in turns])) / np.sqrt(len(turns))
    slack = 4 * noise + 0.02 * span
    off = abs(gap - step * steepening)
    # With one reading more than the other branch, ramps begin with one before their first pulse.
    pairs = [(one.positions, after.positions) for one, after in turns if after.after is not None]
    odd = off > 3 * noise and {np.ptp(one) - np.ptp(after) for one, after in pairs} == {1}
    again = odd or abs(gap) <= min(slack, 0.4 * step) or abs(gap) < 1e-9 * span
    goes_on = not again and off <= slack + 0.3 * step
    for (one, after), before, behind in zip(turns, missing - own, own, strict=True):
        if not one.is_counted:
            one.pulses = one.pulses - one.pulses[0] + behind + float(goes_on)
        elif one.pulses[0] > 1:  # a count that runs on counts the last ones of the ramp before, too
            one.pulses = one.pulses - min(one.pulses[0] - 1, before)
        if goes_on and one.pulses[0] == 1:
            one.before = float(after.values[-1])
    # Then a count that runs on from ramp to ramp counts readings, not pulses.
    counted = [(one, one.counter) for one, _ in turns if odd and one.counter]
    run_on = [one for one, counter in counted if counter.numbers[one.rows[0]] != one.pulses[0]]
    usual = float(np.median([len(one.pulses) for one, _ in turns]))
    goes_on = goes_on and all(one.pulses[0] > 0 for one, _ in turns)
    for one in ramps:
        # The first of a train; with one reading more it begins at 0.
        if one.after is None and one.pulses[0] == 0 and len(one.pulses) <= usual and goes_on:
            one.pulses = one.pulses + 1
        elif one in run_on or (one.after is None and run_on and len(one.pulses) >= usual):
            one.pulses = one.pulses - min(one.pulses[0], one.pulses[1] - one.pulses[0])


def missing_between(one: Series, other: Series) -> int:
    """How many readings are missing between a ramp and the next one."""
    last = one.positions[-1] + 1 if one.place == other.place else 0
    return int(other.positions[0] - last)
