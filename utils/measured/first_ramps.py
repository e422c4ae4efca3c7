"""The beginning of a train of pulses, where a fresh device is somewhere within its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.measured.checks import trend
from utils.measured.directed import Directed
from utils.measured.numeric_table import NumericTable

PART = 0.1  # of the range, from which on the first ramp of a train is a part of one


def start_after_head(one: Directed, table: NumericTable) -> None:
    """Count the pulses of a ramp anew, where the readings before it are left out.

    Its first reading is the state at the turn where the curve still ran the other way up to it.
    """
    column, pulses = one.series.pulse_column, one.series.pulses
    if not one.fixed or column is None or pulses is None or pulses.min() <= 1:
        return
    block = table.blocks[np.searchsorted(table.lines, one.series.lines[0])]
    at = (table.lines < one.series.lines.min()) & (table.blocks == block)
    head = table.numbers[at][:, [column, int(one.series.columns[0])]]
    head = head[~np.isnan(head).any(axis=1)]
    if len(head) and (np.diff(head[:, 0]) > 0).all() and 0 <= head[-1, 0] < pulses.min():
        is_turn = (one.series.values[0] - head[-1, 1]) * one.found.change < 0
        one.pulses = one.pulses - (pulses.min() if is_turn else head[-1, 0])


def without_partial(directed: Sequence[Directed], table: NumericTable) -> list[Directed]:
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
            one = without_head(one, others, table)
            start, end = (float(np.mean([x.series.values[i] for x in others])) for i in (0, -1))
            span, noise = abs(end - start), max(x.found.scatter for x in (one, *others))
            missing = (float(one.series.values[0]) - start) / (end - start) * span
            step = abs(one.found.change) / (len(one.series) - 1)
            if missing > max(PART * span, 4 * noise, 2 * step):
                table.left_out.append(
                    f"{one.series.where(table)}: the first {one.branch} ramp, which begins at "
                    f"{one.series.values[0]:.4g}, while the next ones begin at {start:.4g}"
                )
                continue
        kept.append(one)
    return kept


def without_head(one: Directed, others: Sequence[Directed], table: NumericTable) -> Directed:
    """The first ramp of a train without readings at its begin that do not run along it.

    They are too few for a ramp of their own; all others have the same number of readings.
    """
    usual = len(others[0].series)
    head = len(one.series) - usual
    if head < 2 or {len(other.series) for other in others} != {usual}:
        return one
    progress = (one.series.values[head - 1] - one.series.values[0]) * np.sign(one.found.change)
    fitted = [abs(np.diff(x.series.values - x.found.residuals)[: head - 1].sum()) for x in others]
    if progress > 0.5 * np.mean(fitted):
        return one
    series = one.series.take(slice(head, None))
    first = one.series.take(slice(None, head))
    table.left_out.append(f"{first.where(table)}: before the first {one.branch} ramp")
    pulses = others[0].pulses
    cut = replace(one, series=series, pulses=pulses, found=trend(pulses, series.values))
    for other in others:
        other.after = cut if other.after is one else other.after
    return cut
