"""The branch, the pulses and the order in time of each ramp.

In: single ramps as they stand in the file, and what the user says about their branches. Out: the
ramps of the measurement. A name may contradict the values, as in a column `LTD` of 0.1, 0.2, 0.3 …,
which is named a depression, but rises: it was stored backwards, then, and is turned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from utils.measured.checks import flaw
from utils.measured.column import column_for
from utils.measured.measurement import Branch, Ramp
from utils.measured.names import names_polarity_only
from utils.measured.numeric_table import several
from utils.measured.options import BRANCHES, MIN_READINGS, ReadingOptions
from utils.measured.pooling import check_pooled
from utils.measured.series import Series
from utils.measured.starts import count_anew, count_state_before, join_at_turns, without_partial
from utils.measured.turns import without_spikes
from utils.measured.vocabulary import Role, has_words

OTHER: dict[str, Branch] = {"falling": "rising", "rising": "falling"}
IRREGULAR = 3.0  # times the median: longer intervals between pulses are worth a note


def ramps_of(pieces: Sequence[Series], options: ReadingOptions, quantity: str) -> list[Ramp]:
    """Return the ramps of a measurement, each of a known branch, in the order of its devices.

    pieces: the series between turns; quantity: of the response, such as "resistance". Raises
    UserError for what is no ramp, for names of branches that the values contradict, and for ramps
    that do not belong together.
    """
    if len({piece.column for piece in pieces}) == 1:
        pieces = sorted(pieces, key=lambda piece: piece.rows.min())
    for piece in pieces:
        if len(piece) < MIN_READINGS:
            raise piece.error(
                f"only {several([len(piece)], 'reading')}, but a ramp needs at least "
                f"{MIN_READINGS}; leave it out with --columns",
                len(piece) - 1,
            )
    ramps: list[Series] = []
    counted_to = 0.0  # by the ramp before, as the file has it
    for piece, branch in zip(pieces, branches_of(pieces, options, quantity), strict=True):
        last_count = float(piece.pulses.max())
        ramp = in_order_of_time(piece, branch)
        is_next = bool(ramps) and comes_right_after(ramps[-1], ramp)
        if is_next and ramps[-1].branch != ramp.branch:
            ramp.ramp_before = ramps[-1]
        count_anew(ramp, ramps[-1] if is_next else None, counted_to)
        counted_to = last_count
        ramps.append(ramp)
    count_state_before(ramps)
    ramps = without_partial(ramps)
    check_ramps(ramps)
    check_pooled(ramps, options.devices)
    if len(options.branches) == 1:
        ramps = choose_branch(ramps, options.branches[0])
    for branch in BRANCHES:
        if same_branch := [ramp for ramp in ramps if ramp.branch == branch]:
            join_at_turns(same_branch)
            note_irregular_times(same_branch, branch)
    return numbered_ramps(ramps)


def in_order_of_time(series: Series, branch: Branch) -> Series:
    """The ramp of this branch in the order of time, turned if it is stored backwards."""
    pulses, column, way = series.pulses, series.column, series.way
    is_counted = series.is_counted and not series.counts_down
    if branch != way:
        column.add(f"{branch} by its name, but {way} in the file: stored backwards, and turned")
        series = series.take(slice(None, None, -1))
    elif series.counts_down:
        column.add("the pulses count down; the order of the lines is that of time")
    start = pulses.min() if is_counted else 0.0
    series.pulses = start + np.abs(series.pulses - series.pulses[0])
    series.branch, series.is_counted = branch, is_counted
    return series


def branches_of(pieces: Sequence[Series], options: ReadingOptions, quantity: str) -> list[Branch]:
    """The branch of each ramp, from what the user says, else from its name, else from its values.

    Where the values of all named ramps contradict their names, the values count if the user chose a
    single branch with --branches; if not, that is refused. So is a name that may mean either
    branch.
    """
    if len(options.branches) > 1:
        return [options.branches[index % len(options.branches)] for index in range(len(pieces))]
    ways: list[Branch] = [piece.way for piece in pieces]
    period = next(n for n in range(1, len(ways) + 1) if ways[n:] == ways[:-n])
    by_values = f"--branches {' '.join(ways[:period])}"
    hint = f", or say {by_values}" if period > 1 else ""
    names: list[Branch | None] = [named_branch(piece, options, quantity, hint) for piece in pieces]
    pairs = list(zip(pieces, names, strict=True))
    contradicting = [ramp for ramp, name in pairs if name not in (None, ramp.way)]
    contradicting = [ramp for ramp in contradicting if not ramp.counts_down]
    n_named = sum(name is not None for name in names)
    may_be_turned = quantity == "conductance" and len({*names} - {None}) < 2
    if not contradicting or len(contradicting) < n_named or may_be_turned:
        return [name or way for name, way in zip(names, ways, strict=True)]
    if not options.branches:
        ramp = contradicting[0]
        as_others = ", as with all other ramps" if len(contradicting) > 1 else ""
        raise ramp.whole_error(
            f"{OTHER[ramp.way]} by its name, but {ramp.way} in the file{as_others}; say {by_values}"
            " if the values are right"
        )
    return ways


def named_branch(
    series: Series, options: ReadingOptions, quantity: str, or_by_values: str
) -> Branch | None:
    """The branch that the name of a ramp gives it; None where only its values show it.

    A name of a resistance is turned round: its potentiation lowers it. A name such as SET is one of
    the pulses, so the values count for more. or_by_values: ends a message, how the user says that
    the values are right.
    """
    branch, way = series.branch, series.way
    names = [column.name.text for column in (series.column, series.counter) if column]
    cells = [column.cells[series.rows[0]] for column in series.table.of(Role.BRANCH)]
    label = " ".join([*names, *cells])
    if branch and has_words(label, "conductance way"):
        if quantity == "resistance" and not (options.resistance or has_words(label, "hall")):
            branch = OTHER[branch]
        elif (series.values < 0).all() and quantity != "conductance" and not options.branches:
            raise series.whole_error(
                "the values are negative, so a potentiation may raise them or their size; give the "
                f"sizes of all values in the file{or_by_values}"
            )
    if branch in (None, way) or series.counts_down or not names_polarity_only(label):
        return branch
    series.column.add(f"{way} in the file, which counts for more than the name of the pulses")
    return way


def comes_right_after(ramp: Series, following: Series) -> bool:
    """Whether the second ramp comes right after the first one, on the same device."""
    if ramp.device != following.device or ramp.column != following.column:
        return False
    in_time = bool((np.diff(ramp.lines) > 0).all() and (np.diff(following.lines) > 0).all())
    if ramp.place == following.place and following.follows:
        return in_time
    step = ramp.lines[-1] - ramp.lines[-2]  # several where readings of the same pulse are averaged
    return in_time and 0 < following.lines[0] - ramp.lines[-1] <= step + 1


def check_ramps(ramps: Sequence[Series]) -> None:
    """Raise UserError for a flat curve, one below its noise, and others that are no ramp."""
    usual_noise = float(np.sqrt(np.mean([ramp.trend.read_noise**2 for ramp in ramps])))
    for ramp in ramps:
        if why := flaw(without_spikes(ramp.values), ramp.trend, usual_noise):
            raise ramp.error(why)


def choose_branch(ramps: Sequence[Series], branch: str) -> list[Series]:
    """The ramps of one branch; the table notes that the other is left out."""
    chosen = [ramp for ramp in ramps if ramp.branch == branch]
    left_out = [ramp for ramp in ramps if ramp.branch != branch]
    table = ramps[0].table
    if not chosen:
        raise table.refusal(
            f"line {table.lines[0]}: --branches {branch}: every ramp is {left_out[0].branch}; "
            "leave --branches out"
        )
    if left_out:
        table.left_out.append(
            f"{several([len(left_out)], f'{left_out[0].branch} ramp')}, the first in "
            f"{left_out[0].where}: --branches {branch} uses only the others"
        )
    return chosen


def numbered_ramps(ramps: Sequence[Series]) -> list[Ramp]:
    """Return the ramps of each device in the order of the file, or of the cycles it numbers."""
    numbered = []
    for device in dict.fromkeys(ramp.device for ramp in ramps):
        device_ramps = [ramp for ramp in ramps if ramp.device == device]
        if all(ramp.cycle is not None for ramp in device_ramps):
            device_ramps.sort(key=lambda ramp: ramp.cycle or 0)
        counts = Counter()
        for order, ramp in enumerate(device_ramps):
            assert ramp.branch is not None  # as `in_order_of_time` has found
            counts[ramp.branch] += 1
            labels = (device, counts[ramp.branch], ramp.branch, ramp.pulses.astype(float))
            numbered.append(Ramp(*labels, ramp.values, ramp.lines, order, ramp.before))
    return numbered


def note_irregular_times(ramps: Sequence[Series], branch: str) -> None:
    """Note irregular times between pulses, of which a curve over pulses knows nothing.

    An interval over several pulses is divided by their number: a lost reading is no gap, nor are
    readings after every tenth pulse.
    """
    table, intervals, lines = ramps[0].table, [], []
    times = [column for column in table.of(Role.TIME) if column.is_numeric]
    for ramp in ramps:
        clock = column_for(ramp.column, times)
        if clock is None:
            return
        times_read = clock.numbers[ramp.rows]
        intervals.append(np.abs(np.diff(times_read) / np.diff(ramp.pulses)))
        lines.append(np.maximum(ramp.lines[1:], ramp.lines[:-1]))
    all_intervals = np.concatenate(intervals)
    known = all_intervals[all_intervals > 0]  # 0 where the clock is too coarse
    if len(known) and known.max() > IRREGULAR * np.median(known):
        unit = f"{times[0].name.unit} ".lstrip()
        table.notes.append(
            f"{branch} branch: the pulses come at irregular times: {np.median(known):.3g} {unit}"
            f"apart in the median, but {known.max():.3g} {unit}before line "
            f"{np.concatenate(lines)[np.nanargmax(all_intervals)]}; "
            "drift between readings is not modelled"
        )
