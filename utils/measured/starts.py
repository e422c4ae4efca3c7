"""At which count of pulses each ramp of a train starts, and which first ramp is only a part of one.

In a train of pulses one ramp begins where the one before has ended: the last reading of a rising
ramp is the state before the first falling pulse. Files count these pulses in many ways, for example

    pulse   1 2 3 … 50 51 52 … 100      one count for the whole train
    pulse   1 2 3 … 50  1  2 …  50      a count for each ramp
    pulse   0 1 2 … 50  0  1 …  50      the state at the turn is read twice
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.measured.series import Series

PART = 0.1  # of the range: a first ramp that lacks more of it at its start is a part of a ramp


def count_anew(ramp: Series, ramp_before: Series | None, counted_to: float) -> None:
    """Count the pulses of a ramp from its own start, where the file counts through a whole train.

    ramp_before: the ramp right before it, None where the reading there belongs to no ramp;
    counted_to: the largest count of that ramp in the file. Where the reading right before belongs
    to no ramp and the curve still ran the other way, the first reading of the ramp is the state at
    the turn, after 0 pulses.
    """
    first = ramp.pulses[0]
    if not ramp.is_counted:
        return
    if ramp_before is not None:
        if first > counted_to > 0:
            is_turn = ramp.branch != ramp_before.branch
            ramp.pulses = ramp.pulses - (counted_to if is_turn else first - ramp_before.pulses[0])
    elif ramp.counter and first > 1 and ramp.rows.min() > 0:
        row, blocks = ramp.rows.min() - 1, ramp.table.blocks
        count, value = ramp.counter.numbers[row], ramp.column.numbers[row]
        if blocks[row] == blocks[row + 1] and 0 <= count < first:
            is_turn = (ramp.values[0] - value) * ramp.trend.change < 0
            ramp.pulses = ramp.pulses - (first if is_turn else count)


def count_state_before(ramps: Sequence[Series]) -> None:
    """Let a count from 1 begin at 0 where the first reading is the state before the first pulse.

    In a train the first ramp has then one reading more than all others, of which each begins after
    a pulse:  1 2 … 51 rising, 52 … 101 falling, 102 … 151 rising.
    """
    trains: list[list[Series]] = []
    for ramp in ramps:
        if ramp.ramp_before is not None and trains and ramp.ramp_before is trains[-1][-1]:
            trains[-1].append(ramp)
        else:
            trains.append([ramp])
    for first, *later in trains:
        lengths = {int(np.ptp(ramp.positions)) for ramp in later[:-1] or later}
        has_one_more = lengths == {int(np.ptp(first.positions)) - 1}
        if first.counter and first.is_counted and first.pulses[0] == 1 and has_one_more:
            first.pulses = first.pulses - 1
            first.counter.add("it counts the reading before the first pulse, too")


def without_partial(ramps: Sequence[Series]) -> list[Series]:
    """Leave out the first ramp of a train where it covers only a part of the range.

    A fresh device is somewhere in its range, and there the same pulses do something else. So a
    first ramp that begins well within the range of later ones is left out, and of one that runs the
    other way at first, the readings that do so.
    """
    complete = []
    for ramp in ramps:
        train = (ramp.branch, ramp.place)
        alike = [other for other in ramps if (other.branch, other.place) == train]
        later = [other for other in alike if other.ramp_before is not None]
        begins_train = ramp.ramp_before is None and any(r.ramp_before is ramp for r in ramps)
        if begins_train and later:
            ramp = without_head(ramp, later)
            begin = float(ramp.values[0])
            start, end = (float(np.mean([other.values[i] for other in later])) for i in (0, -1))
            noise = max(other.trend.scatter for other in (ramp, *later))
            step = ramp.size / (len(ramp) - 1)
            missing = (begin - start) * np.sign(end - start)
            if missing > max(PART * abs(end - start), 4 * noise, 2 * step):
                ramp.table.left_out.append(
                    f"{ramp.where}: the first {ramp.branch} ramp, which begins at {begin:.4g}, "
                    f"while the next ones begin at {start:.4g}"
                )
                continue
        complete.append(ramp)
    return complete


def without_head(ramp: Series, later: Sequence[Series]) -> Series:
    """The first ramp of a train without those first readings that do not run along it.

    These are as many as it has more than the later ramps, which all have the same number of
    readings.
    """
    usual = len(later[0])
    head = len(ramp) - usual
    if head < 2 or {len(other) for other in later} != {usual}:
        return ramp
    progress = (ramp.values[head - 1] - ramp.values[0]) * np.sign(ramp.trend.change)
    expected = [abs(np.diff(other.fitted)[: head - 1].sum()) for other in later]
    if progress > 0.5 * np.mean(expected):
        return ramp
    where = ramp.take(slice(None, head)).where
    ramp.table.left_out.append(f"{where}: before the first {ramp.branch} ramp")
    cut = ramp.take(slice(head, None))
    cut.pulses = later[0].pulses
    return cut


def join_at_turns(ramps: Sequence[Series]) -> None:
    """Set the counts at which the ramps of a branch start, as the turns of their train show.

    Between the last reading before a turn and the first one after it the state has moved by one
    pulse, or not at all where it was read twice, or by something else where the train was
    interrupted.
    """
    turns = [(ramp.ramp_before, ramp) for ramp in ramps if ramp.ramp_before is not None]
    if not turns:
        return
    begins = np.array([ramp.fitted[:3] for _, ramp in turns])
    ends = np.array([before.fitted[-1] for before, _ in turns])
    ways = np.sign([ramp.trend.change for _, ramp in turns])
    pulses = np.array([ramp.pulses[1] - ramp.pulses[0] for _, ramp in turns])
    first, second = np.abs(np.diff(begins)).T
    steepening = np.divide(first, second, out=np.ones(len(turns)), where=second > 0).mean()
    gaps, steps = ways * (begins[:, 0] - ends), first / np.maximum(1, pulses)
    # How many of the readings that are missing at a turn come after it, by what they changed.
    missing = np.array([missing_between(before, ramp) for before, ramp in turns])
    missing_after = np.clip(np.round(gaps / np.maximum(steps, 1e-300)) - 1, 0, missing)
    gap, step = float(np.mean(gaps - missing_after * steps)), float(np.mean(steps))
    span = float(np.mean([ramp.size for _, ramp in turns]))
    noise = float(np.mean([ramp.trend.scatter for _, ramp in turns])) / np.sqrt(len(turns))
    slack = 4 * noise + 0.02 * span
    distance = abs(gap - step * steepening)  # of the gap from the change by one pulse
    # A branch with one reading more than the other has one before its first pulse.
    complete = [(before, ramp) for before, ramp in turns if before.ramp_before is not None]
    lengths = {np.ptp(ramp.positions) - np.ptp(before.positions) for before, ramp in complete}
    has_one_more = distance > 3 * noise and lengths == {1}
    is_still = abs(gap) <= min(slack, 0.4 * step) or abs(gap) < 1e-9 * span
    # Steps below the noise do not decide. A first ramp with one reading more, that before its first
    # pulse, has as many pulses as the others if each of these begins after a pulse.
    lengths = {int(np.ptp(ramp.positions)) for _, ramp in turns}
    firsts = [int(np.ptp(ramp.positions)) for ramp in ramps if ramp.ramp_before is None]
    is_longer = distance <= slack and {length - 1 for length in firsts} == lengths
    is_read_twice = has_one_more or (is_still and not is_longer)
    goes_on = not is_read_twice and distance <= slack + 0.3 * step
    for (before, ramp), lost, lost_after in zip(turns, missing, missing_after, strict=True):
        if not ramp.is_counted:
            ramp.pulses = ramp.pulses - ramp.pulses[0] + lost_after + float(goes_on)
        elif ramp.pulses[0] > 1:  # a count through the train counts the lost ones before the turn
            ramp.pulses = ramp.pulses - min(ramp.pulses[0] - 1, lost - lost_after)
        if goes_on and ramp.pulses[0] == 1:
            ramp.before = float(before.values[-1])
    # With one reading more, a count through the whole train is one of readings, not of pulses.
    counted = [(ramp, ramp.counter) for _, ramp in turns if has_one_more and ramp.counter]
    of_readings = [ramp for ramp, count in counted if count.numbers[ramp.rows[0]] != ramp.pulses[0]]
    usual = float(np.median([len(ramp.pulses) for _, ramp in turns]))
    goes_on = goes_on and all(ramp.pulses[0] > 0 for _, ramp in turns)
    for ramp in ramps:
        begins_train = ramp.ramp_before is None  # with one reading more it starts at 0 pulses
        if begins_train and ramp.pulses[0] == 0 and len(ramp.pulses) <= usual and goes_on:
            ramp.pulses = ramp.pulses + 1
        elif ramp in of_readings or (begins_train and of_readings and len(ramp.pulses) >= usual):
            ramp.pulses = ramp.pulses - min(ramp.pulses[0], ramp.pulses[1] - ramp.pulses[0])


def missing_between(ramp: Series, next_ramp: Series) -> int:
    """How many readings are missing between a ramp and the next one."""
    last = ramp.positions[-1] + 1 if ramp.place == next_ramp.place else 0
    return int(next_ramp.positions[0] - last)
