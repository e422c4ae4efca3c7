"""From single ramps to those of a measurement: their branch, their pulses, their order in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from utils.measured.checks import flaw
from utils.measured.measurement import Branch, Ramp
from utils.measured.names import names_polarity_only
from utils.measured.numeric_table import several
from utils.measured.options import BRANCHES, MIN_READINGS, ReadingOptions
from utils.measured.pooling import check_pooled
from utils.measured.series import Series
from utils.measured.starts import count_anew, join, without_partial
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
        ramp = direct(piece, branch)
        is_next = bool(ramps) and follows(ramps[-1], ramp)
        if is_next and ramps[-1].branch != ramp.branch:
            ramp.ramp_before = ramps[-1]
        count_anew(ramp, ramps[-1] if is_next else None, counted_to)
        counted_to = last_count
        ramps.append(ramp)
    ramps = without_partial(ramps)
    check_ramps(ramps)
    check_pooled(ramps, options.devices)
    if len(options.branches) == 1:
        ramps = only(ramps, options.branches[0])
    for branch in BRANCHES:
        if of_branch := [ramp for ramp in ramps if ramp.branch == branch]:
            join(of_branch)
            note_irregular_times(of_branch, branch)
    return number(ramps)


def direct(series: Series, branch: Branch) -> Series:
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
    """The branch of each ramp: as the user, or a name, says, else the way of its values.

    The values count, too, where --branches with a single word chooses among ramps that all
    contradict their names. Raises UserError where they do so without it, and for names that may
    mean one branch or the other.
    """
    if len(options.branches) > 1:
        return [options.branches[index % len(options.branches)] for index in range(len(pieces))]
    ways: list[Branch] = [piece.way for piece in pieces]
    period = next(n for n in range(1, len(ways) + 1) if ways[n:] == ways[:-n])
    by_values = f"--branches {' '.join(ways[:period])}"
    hint = f", or say {by_values}" if period > 1 else ""
    found: list[Branch | None] = [wanted(piece, options, quantity, hint) for piece in pieces]
    named = [(piece, branch) for piece, branch in zip(pieces, found, strict=True) if branch]
    against = [piece for piece, branch in named if branch != piece.way and not piece.counts_down]
    may_be_turned = quantity == "conductance" and len({branch for _, branch in named}) < 2
    if not against or len(against) < len(named) or may_be_turned:
        return [branch or way for branch, way in zip(found, ways, strict=True)]
    if not options.branches:
        piece, as_others = against[0], ", as with all other ramps" if len(against) > 1 else ""
        raise piece.whole_error(
            f"{OTHER[piece.way]} by its name, but {piece.way} in the file{as_others}; say "
            f"{by_values} if the values are right"
        )
    return ways


def wanted(
    series: Series, options: ReadingOptions, quantity: str, or_by_values: str
) -> Branch | None:
    """The branch that a name gives a ramp, None where only its values tell.

    The polarity of the pulses counts for less. or_by_values: a hint that the values may tell.
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


def follows(ramp: Series, next_ramp: Series) -> bool:
    """Whether the readings of a ramp come right after those of another of the same device."""
    if ramp.device != next_ramp.device or ramp.column != next_ramp.column:
        return False
    in_time = bool((np.diff(ramp.lines) > 0).all() and (np.diff(next_ramp.lines) > 0).all())
    if ramp.place == next_ramp.place and next_ramp.follows:
        return in_time
    step = ramp.lines[-1] - ramp.lines[-2]  # several where readings of the same pulse are averaged
    return in_time and 0 < next_ramp.lines[0] - ramp.lines[-1] <= step + 1


def check_ramps(ramps: Sequence[Series]) -> None:
    """Raise UserError for what is no ramp."""
    fallback = float(np.sqrt(np.mean([ramp.trend.read_noise**2 for ramp in ramps])))
    for ramp in ramps:
        if why := flaw(without_spikes(ramp.values), ramp.trend, fallback):
            raise ramp.error(why)


def only(ramps: Sequence[Series], branch: str) -> list[Series]:
    """The ramps of one branch; the table notes that the other is left out."""
    used, unused = (
        [ramp for ramp in ramps if ramp.branch == name] for name in (branch, OTHER[branch])
    )
    table = ramps[0].table
    if not used:
        raise table.refusal(
            f"line {table.lines[0]}: --branches {branch}: every ramp is {unused[0].branch}; leave "
            "--branches out"
        )
    if unused:
        table.left_out.append(
            f"{several([len(unused)], f'{unused[0].branch} ramp')}, the first in "
            f"{unused[0].where}: --branches {branch} uses only the others"
        )
    return used


def number(ramps: Sequence[Series]) -> list[Ramp]:
    """Return the ramps of each device in the order of the file, or of the cycles it numbers."""
    numbered = []
    for device in dict.fromkeys(series.device for series in ramps):
        of_device = [series for series in ramps if series.device == device]
        if all(series.cycle is not None for series in of_device):
            of_device.sort(key=lambda series: series.cycle or 0)
        counts = Counter()
        for order, series in enumerate(of_device):
            assert series.branch is not None  # as `direct` has found
            counts[series.branch] += 1
            what = (device, counts[series.branch], series.branch, series.pulses.astype(float))
            numbered.append(Ramp(*what, series.values, series.lines, order, series.before))
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
    for ramp in ramps:
        clock = ([c for c in times if c.place < ramp.column.place] or times[:1])[-1]
        read_at = clock.numbers[ramp.rows]
        intervals.append(np.abs(np.diff(read_at) / np.diff(ramp.pulses)))
        lines.append(np.maximum(ramp.lines[1:], ramp.lines[:-1]))
    interval = np.concatenate(intervals)
    known = interval[interval > 0]  # 0 where the clock is too coarse
    if len(known) and known.max() > IRREGULAR * np.median(known):
        unit = f"{times[0].name.unit} ".lstrip()
        table.notes.append(
            f"{branch} branch: the pulses come at irregular times: {np.median(known):.3g} {unit}"
            f"apart in the median, but {known.max():.3g} {unit}before line "
            f"{np.concatenate(lines)[np.nanargmax(interval)]}; drift between readings is not "
            "modelled"
        )
