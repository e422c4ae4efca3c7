"""From single ramps to those of a measurement: their branch, their pulses, their order in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from utils.measured.checks import DECADE, flaw
from utils.measured.measurement import Branch, Ramp
from utils.measured.names import names_polarity_only
from utils.measured.numeric_table import several
from utils.measured.options import BRANCHES, MIN_READINGS, ReadingOptions
from utils.measured.series import Series
from utils.measured.starts import count_anew, join, without_partial
from utils.measured.turns import without_spikes
from utils.measured.vocabulary import Role, has_words

LARGE_SPREAD = 0.08  # standard deviation of ranges, of their mean, in which devices differ
LARGE_RATIO = 0.5  # of the largest range, by which no cycles of a device differ
MIN_NOISES = 4.0  # read noises by which ranges differ then
OTHER: dict[str, Branch] = {"falling": "rising", "rising": "falling"}
IRREGULAR = 3.0  # times the median: longer intervals between pulses are worth a note


def ramps_of(pieces: Sequence[Series], options: ReadingOptions, quantity: str) -> list[Ramp]:
    """Return the ramps of a measurement, each of a known branch, in the order of its devices.

    pieces: the series between turns; quantity: of the response, such as "resistance". Raises
    UserError for what is no ramp, for ramps whose ranges differ by decades, and where the ranges
    of columns differ that nothing names.
    """
    if len({piece.column for piece in pieces}) == 1:
        pieces = sorted(pieces, key=lambda piece: piece.rows.min())
    ramps: list[Series] = []
    counted_to = 0.0  # by the ramp before, as the file has it
    for index, piece in enumerate(pieces):
        if len(piece) < MIN_READINGS:
            raise piece.error(
                f"only {several([len(piece)], 'reading')}, but a ramp needs at least "
                f"{MIN_READINGS}; leave it out with --columns",
                len(piece) - 1,
            )
        last_count = float(piece.pulses.max())
        one = direct(piece, index, options, quantity)
        is_next = bool(ramps) and follows(ramps[-1], one)
        if is_next and ramps[-1].branch != one.branch:
            one.after = ramps[-1]
        count_anew(one, ramps[-1] if is_next else None, counted_to)
        counted_to = last_count
        ramps.append(one)
    ramps = without_partial(ramps)
    check_ramps(ramps)
    if options.devices == "auto":
        check_columns(ramps)
    if len(options.branches) == 1:
        ramps = only(ramps, options.branches[0])
    for branch in BRANCHES:
        if own := [one for one in ramps if one.branch == branch]:
            join(own)
            note_irregular_times(own, branch)
    return number(ramps)


def direct(series: Series, index: int, options: ReadingOptions, quantity: str) -> Series:
    """The ramp in the order of time, turned if it is stored backwards, and of a known branch.

    index: of the ramp in the file. Raises UserError where its name means one branch or the other.
    """
    pulses, column = series.pulses, series.column
    counts_down = bool(pulses[-1] < pulses[0])
    is_counted = series.is_counted and not counts_down
    way = "rising" if series.trend.change > 0 else "falling"
    branch, by_polarity = wanted(series, index, options, quantity)
    branch = branch or way
    if branch != way and by_polarity and not counts_down:
        column.add(f"{way} in the file, which counts for more than the name of the pulses")
        branch = way
    elif branch != way:
        column.add(f"{branch} by its name, but {way} in the file: stored backwards, and turned")
        series = series.take(slice(None, None, -1))
    elif counts_down:
        column.add("the pulses count down; the order of the lines is that of time")
    start = pulses.min() if is_counted else 0.0
    series.pulses = start + np.abs(series.pulses - series.pulses[0])
    series.branch, series.is_counted = branch, is_counted
    return series


def wanted(
    series: Series, index: int, options: ReadingOptions, quantity: str
) -> tuple[Branch | None, bool]:
    """The branch that the user, or a name, gives a ramp, None where only its values tell; and
    whether it is named by the polarity of the pulses alone, which the values may contradict."""
    if len(options.branches) > 1:
        return options.branches[index % len(options.branches)], False
    if series.branch is None:
        return None, False
    names = [column.name.text for column in (series.column, series.counter) if column]
    cells = [column.cells[series.rows[0]] for column in series.table.of(Role.BRANCH)]
    label = " ".join([*names, *cells])
    by_conductance, branch = has_words(label, "conductance way"), series.branch
    if by_conductance and quantity == "resistance" and not options.resistance:
        branch = OTHER[series.branch]
    elif by_conductance and (series.values < 0).all() and quantity != "conductance":
        raise series.whole_error(
            "the values are negative, so a potentiation may raise them or their size; say which "
            "ramp falls and which rises, such as --branches falling rising, in the order of the "
            "ramps"
        )
    return branch, names_polarity_only(label)


def follows(one: Series, other: Series) -> bool:
    """Whether the readings of a ramp come right after those of another of the same device."""
    if one.device != other.device or one.column != other.column:
        return False
    in_time = bool((np.diff(one.lines) > 0).all() and (np.diff(other.lines) > 0).all())
    if one.place == other.place and other.follows:
        return in_time
    step = one.lines[-1] - one.lines[-2]  # several where readings of the same pulse are averaged
    return in_time and 0 < other.lines[0] - one.lines[-1] <= step + 1


def check_ramps(ramps: Sequence[Series]) -> None:
    """Raise UserError for what is no ramp, and for ramps that differ by decades."""
    fallback = float(np.sqrt(np.mean([one.trend.read_noise**2 for one in ramps])))
    for one in ramps:
        if why := flaw(without_spikes(one.values), one.trend, fallback):
            raise one.error(why)
    ranges = np.array([one.size for one in ramps])
    middle = float(np.median(ranges))
    worst = int(np.argmax(np.maximum(ranges / middle, middle / ranges)))
    if ranges.max() > DECADE * ranges.min():
        raise ramps[worst].whole_error(
            f"the range is {ranges[worst]:.3g}, but that of the other ramps {middle:.3g}, which is "
            "decades apart; choose with --columns what belongs together"
        )


def check_columns(ramps: Sequence[Series]) -> None:
    """Raise UserError where columns that nothing names as cycles of a device have other ranges.

    Names of their own may be those of devices: then less of a difference counts.
    """
    for branch in BRANCHES:
        own = [one for one in ramps if (one.branch, one.cycle) == (branch, None)]
        own = [one for one in own if not one.column.name.device]
        columns = list(dict.fromkeys(one.column for one in own))
        if len(columns) < 2 or len({one.device for one in own}) > 1:
            continue
        ranges = np.array([one.size for one in own])
        spread, mean = float(np.std(ranges, ddof=1)), float(ranges.mean())
        names = {column.name.text for column in columns} - {""}
        are_plain = all(column.name.branch is column.name.read is None for column in columns)
        if are_plain and len(own) == len(columns) == len(names) >= 3:
            difference, limit = spread, LARGE_SPREAD * mean
        else:
            difference, limit = np.ptp(ranges), LARGE_RATIO * ranges.max()
        if difference > max(limit, MIN_NOISES * max(one.trend.read_noise for one in own)):
            table = own[0].table
            raise table.refusal(
                f"{table.title(*(column.place for column in columns))}: the ranges differ by "
                f"{100 * spread / mean:.2g} %, and nothing names devices or cycles; if these are "
                "devices, say --devices each; if they are cycles of one device, --devices one; if "
                "other things differ between them, choose with --columns"
            )


def only(ramps: Sequence[Series], branch: str) -> list[Series]:
    """The ramps of one branch; the table notes that the other is left out."""
    own, rest = ([one for one in ramps if one.branch == each] for each in (branch, OTHER[branch]))
    table = ramps[0].table
    if not own:
        raise table.refusal(
            f"line {table.lines[0]}: --branches {branch}: every ramp is {rest[0].branch}; leave "
            "--branches out"
        )
    if rest:
        table.left_out.append(
            f"{several([len(rest)], f'{rest[0].branch} ramp')}, the first in {rest[0].where}: "
            f"--branches {branch} uses only the others"
        )
    return own


def number(ramps: Sequence[Series]) -> list[Ramp]:
    """Return the ramps of each device in the order of the file, or of the cycles it numbers."""
    numbered = []
    for device in dict.fromkeys(one.device for one in ramps):
        own = [one for one in ramps if one.device == device]
        if all(one.cycle is not None for one in own):
            own.sort(key=lambda one: one.cycle or 0)
        counts = Counter()
        for order, one in enumerate(own):
            assert one.branch is not None  # as `direct` has found
            counts[one.branch] += 1
            what = (device, counts[one.branch], one.branch, one.pulses.astype(float))
            numbered.append(Ramp(*what, one.values, one.lines, order, one.before))
    return numbered


def note_irregular_times(ramps: Sequence[Series], branch: str) -> None:
    """Note irregular times between pulses, of which a curve over pulses knows nothing.

    The time of a response is the column of times to the left of it, or else the first one. An
    interval over several pulses is divided by their number, so that readings which are lost, or
    taken after every tenth pulse, are no gaps.
    """
    table, intervals, lines = ramps[0].table, [], []
    times = [column for column in table.of(Role.TIME) if column.is_numeric]
    if not times:
        return
    for one in ramps:
        clock = ([c for c in times if c.place < one.column.place] or times[:1])[-1]
        read_at = clock.numbers[one.rows]
        intervals.append(np.abs(np.diff(read_at) / np.diff(one.pulses)))
        lines.append(np.maximum(one.lines[1:], one.lines[:-1]))
    each = np.concatenate(intervals)
    known = each[each > 0]  # 0 where the clock is too coarse
    if len(known) and known.max() > IRREGULAR * np.median(known):
        unit = f"{times[0].name.unit} ".lstrip()
        table.notes.append(
            f"{branch} branch: the pulses come at irregular times: {np.median(known):.3g} {unit}"
            f"apart in the median, but {known.max():.3g} {unit}before line "
            f"{np.concatenate(lines)[np.nanargmax(each)]}; drift between readings is not modelled"
        )
