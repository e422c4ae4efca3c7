"""Irregular times between pulses, of which a curve over pulses knows nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.measured.column_roles import Roles
from utils.measured.directed import Directed
from utils.measured.vocabulary import Role

IRREGULAR = 3.0  # times the median: longer intervals are worth a note


def irregular_times(ramps: Sequence[Directed], roles: Roles) -> str | None:
    """What the times of readings say of the intervals between pulses; None where they are regular.

    The time of a response is the column of times to the left of it, or else the first one. An
    interval over several pulses is divided by their number, so that readings which are lost, or
    taken after every tenth pulse, are no gaps.
    """
    table = roles.table
    times = [column for column in roles.of(Role.TIME) if table.numeric[column]]
    intervals, lines = [np.zeros(0)], [np.zeros(0, int)]
    for ramp in ramps if times else ():
        column = ([c for c in times if c < ramp.series.column] or times[:1])[-1]
        clock = table.numbers[np.searchsorted(table.lines, ramp.series.lines), column]
        intervals.append(np.abs(np.diff(clock) / np.diff(ramp.pulses)))
        lines.append(np.maximum(ramp.series.lines[1:], ramp.series.lines[:-1]))
    each = np.concatenate(intervals)
    known = each[each > 0]  # 0 where the clock is too coarse
    if not len(known) or known.max() <= IRREGULAR * np.median(known):
        return None
    unit = f"{table.names[times[0]].unit} ".lstrip()
    return (
        f"the pulses come at irregular times: {np.median(known):.3g} {unit}apart in the median, "
        f"but {known.max():.3g} {unit}before line {np.concatenate(lines)[np.nanargmax(each)]}; "
        "drift between readings is not modelled"
    )
