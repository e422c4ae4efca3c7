"""From single ramps to those of a measurement: their branch, their pulses, their order in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.errors import UserError
from utils.measured.checks import Trend, flaw, trend
from utils.measured.column_roles import Roles
from utils.measured.directed import Directed
from utils.measured.first_ramps import start_after_head, without_partial
from utils.measured.measurement import Branch, Ramp
from utils.measured.names import names_conductance_way, names_polarity_only
from utils.measured.numeric_table import NumericTable, several
from utils.measured.options import MIN_READINGS, ReadingOptions
from utils.measured.series import Series
from utils.measured.timing import irregular_times
from utils.measured.turns import without_spikes
from utils.measured.vocabulary import Role

DECADE = 10.0  # between the ranges of ramps that are pooled
MAX_RATIO = 2.0  # of the ranges of columns that are pooled as one device
MIN_NOISES = 6.0  # read noises by which these ranges differ then


def ramps_of(
    pieces: Sequence[Series], roles: Roles, options: ReadingOptions, quantity: str
) -> list[Ramp]:
    """Raises UserError for what is no ramp, and for ramps that differ by decades."""
    table = roles.table
    if len({int(piece.columns[0]) for piece in pieces}) == 1:
        pieces = sorted(pieces, key=lambda piece: piece.lines.min())
    directed: list[Directed] = []
    for index, piece in enumerate(pieces):
        if len(piece) < MIN_READINGS:
            raise piece.error(
                table,
                f"only {several([len(piece)], 'reading')}, but a ramp needs at least "
                f"{MIN_READINGS}; leave it out with --columns",
                len(piece) - 1,
            )
        one = direct(piece, index, roles, options, quantity)
        if directed and follows(directed[-1].series, one.series):
            if directed[-1].branch != one.branch:
                one.after = directed[-1]
            start_again(one, directed[-1])
        else:
            start_after_head(one, table)
        directed.append(one)
    directed = without_partial(directed, table)
    check_ramps(directed, table)
    if options.devices == "auto":
        check_columns(directed, table)
    for branch in ("falling", "rising"):
        join([one for one in directed if one.branch == branch])
    if len(options.branches) == 1:
        directed = only(directed, options.branches[0], roles)
    for branch in ("falling", "rising"):
        own = [(one.series, one.pulses) for one in directed if one.branch == branch]
        if note := irregular_times(own, roles):
            table.notes.append(f"{branch} branch: {note}")
    return number(directed)


def follows(one: Series, other: Series) -> bool:
    """Whether the readings of a ramp come right after those of another of the same device."""
    if one.device != other.device or one.columns[0] != other.columns[0]:
        return False
    in_time = bool((np.diff(one.lines) > 0).all() and (np.diff(other.lines) > 0).all())
    if one.place == other.place and other.follows:
        return in_time
    step = one.lines[-1] - one.lines[-2]  # several where readings of the same pulse are averaged
    return in_time and 0 < other.lines[0] - one.lines[-1] <= step + 1


def direct(
    series: Series, index: int, roles: Roles, options: ReadingOptions, quantity: str
) -> Directed:
    """The branch of a ramp, by its name, else by its values; its pulses in the order of time."""
    pulses, column = series.pulses, int(series.columns[0])
    counts_down = pulses is not None and pulses[-1] < pulses[0]
    at = np.arange(len(series)) if pulses is None else np.abs(pulses - pulses[0])
    found = trend(at, without_spikes(series.values))
    way = "rising" if found.change > 0 else "falling"
    branch = wanted(series, index, options, roles, quantity) or way
    by_polarity = len(options.branches) < 2 and names_polarity_only(label(series, roles))
    if branch != way and by_polarity and not counts_down:
        roles.add(column, f"{way} in the file, which counts for more than the name of the pulses")
        series, branch = replace(series, branch=way), way
    if branch != way:
        roles.add(
            column, f"{branch} by its name, but {way} in the file: stored backwards, and turned"
        )
        series = replace(series.take(slice(None, None, -1)), branch=branch)
        found = Trend(-found.change, found.residuals[::-1])
        if pulses is not None:
            pulses = series.pulses
    elif counts_down:
        roles.add(column, "the pulses count down; the order of the lines is that of time")
    if pulses is None:
        relative = series.counted if series.counted is not None else np.arange(len(series)) * 1.0
        relative = np.abs(relative - relative[0])
        return Directed(series, branch, relative, False, found)
    relative = np.abs(pulses - pulses[0])
    return Directed(
        series, branch, relative + (0 if counts_down else pulses.min()), not counts_down, found
    )


def start_again(one: Directed, last: Directed) -> None:
    """Count the pulses of a ramp anew, where the file counts on from the ramp before."""
    before, after = last.series.pulses, one.series.pulses
    if one.fixed and before is not None and after is not None:
        end, first = before.max(), after.min()
        if first > end > 0:
            start = last.pulses[0] if one.branch == last.branch else first - end
            one.pulses = one.pulses - one.pulses[0] + start


def wanted(
    series: Series, index: int, options: ReadingOptions, roles: Roles, quantity: str
) -> Branch | None:
    """The branch that the user, or a name, gives a ramp; None where only its values tell."""
    if len(options.branches) > 1:
        return options.branches[index % len(options.branches)]
    if series.branch is None:
        return None
    by_conductance = names_conductance_way(label(series, roles))
    if by_conductance and quantity == "resistance" and not options.resistance:
        return "rising" if series.branch == "falling" else "falling"
    if by_conductance and (series.values < 0).all() and quantity != "conductance":
        raise UserError(
            f"{roles.table.path}: {series.where(roles.table)}: the values are negative, so a "
            "potentiation may raise them or their size; say which ramp falls and which rises, such "
            "as --branches falling rising, in the order of the ramps"
        )
    return series.branch


def label(series: Series, roles: Roles) -> str:
    """The words that may name the branch of a ramp."""
    columns = [int(series.columns[0])]
    columns += [] if series.pulse_column is None else [series.pulse_column]
    row = int(np.searchsorted(roles.table.lines, series.lines[0]))
    cells = [roles.table.cells[row, column] for column in roles.of(Role.BRANCH)]
    return " ".join([*(roles.table.names[column].text for column in columns), *cells])


def check_ramps(directed: Sequence[Directed], table: NumericTable) -> None:
    """Raise UserError for what is no ramp, and for ramps that differ by decades."""
    fallback = float(np.sqrt(np.mean([one.found.read_noise**2 for one in directed])))
    for one in directed:
        if why := flaw(without_spikes(one.series.values), one.found, fallback):
            raise one.series.error(table, why)
    ranges = np.array([abs(one.found.change) for one in directed])
    middle = float(np.median(ranges))
    worst = int(np.argmax(np.maximum(ranges / middle, middle / ranges)))
    if ranges.max() > DECADE * ranges.min():
        one = directed[worst]
        raise UserError(
            f"{table.path}: {one.series.where(table)}: the range is {ranges[worst]:.3g}, but that "
            f"of the other ramps {middle:.3g}, which is decades apart; choose with --columns what "
            "belongs together"
        )


def check_columns(directed: Sequence[Directed], table: NumericTable) -> None:
    """Raise UserError where columns that nothing names as cycles of a device have other ranges."""

    def column(one: Directed) -> int:
        return int(one.series.columns[0])

    for branch in ("falling", "rising"):
        ramps = [one for one in directed if one.branch == branch and one.series.cycle is None]
        ramps = [one for one in ramps if table.names[column(one)].device is None]
        if len({*map(column, ramps)}) < 2 or len({one.series.device for one in ramps}) > 1:
            continue
        low, high = (one(ramps, key=lambda ramp: abs(ramp.found.change)) for one in (min, max))
        small, large = abs(low.found.change), abs(high.found.change)
        noise = max(low.found.read_noise, high.found.read_noise)
        if large > MAX_RATIO * small and large - small > MIN_NOISES * noise:
            raise UserError(
                f"{table.path}: {high.series.where(table)}: the range is {large:.3g}, but in "
                f"{low.series.where(table)} it is {small:.3g}; if these are devices, say --devices "
                "each; if they are cycles of one device all the same, --devices one; if other "
                "things differ between them, choose with --columns"
            )


def join(ramps: Sequence[Directed]) -> None:
    """Where the pulses of ramps of one branch start, as the turns of their train show.

    Between the last reading before a turn and the first after it the state has moved by one pulse,
    or by none where it was read again, or by something else where the train was interrupted.
    """
    turns = [(one, one.after) for one in ramps if one.after is not None]
    if not turns:
        return
    gaps, steps, noises, missing = [], [], [], []
    for one, after in turns:
        sign = np.sign(one.found.change)
        fitted = one.series.values - one.found.residuals
        end = after.series.values - after.found.residuals
        step = abs(fitted[1] - fitted[0]) / max(1.0, one.pulses[1] - one.pulses[0])
        gap = float(sign * (fitted[0] - end[-1]))
        # Of the readings that are missing at the turn, those of this ramp, by what they changed.
        own = round(gap / max(step, 1e-300)) - 1
        missing.append(int(np.clip(own, 0, between(after, one))))
        gaps.append(gap - step * missing[-1])
        steps.append(step)
        noises.append(np.std(one.found.residuals))
    gap, step = float(np.mean(gaps)), float(np.mean(steps))
    noise = float(np.mean(noises)) / np.sqrt(len(turns))
    span = float(np.mean([abs(one.found.change) for one, _ in turns]))
    steepening = np.mean([curvature(one) for one, _ in turns])
    slack = 4 * noise + 0.02 * span
    again = abs(gap) <= min(slack, 0.4 * step) or abs(gap) < 1e-9 * span
    goes_on = not again and abs(gap - step * steepening) <= slack + 0.3 * step
    for (one, after), lost in zip(turns, missing, strict=True):
        first = lost + (1.0 if goes_on else 0.0)
        if not one.fixed:
            one.pulses = one.pulses - one.pulses[0] + first
        elif one.pulses[0] > 1:  # a count that runs on counts the last ones of the ramp before, too
            one.pulses = one.pulses - min(one.pulses[0] - 1, between(after, one) - lost)
        if goes_on and one.pulses[0] == 1:
            one.before = float(after.series.values[-1])
    if goes_on:
        usual = float(np.median([len(one.pulses) for one, _ in turns]))
        for one in ramps:  # the first of a train; with one reading more it begins at 0
            if one.after is None and one.pulses[0] == 0 and len(one.pulses) <= usual:
                one.pulses = one.pulses + 1


def between(one: Directed, other: Directed) -> int:
    """How many readings are missing between two ramps."""
    last = one.series.counted[-1] + 1 if one.series.place == other.series.place else 0
    return int(other.series.counted[0] - last)


def curvature(one: Directed) -> float:
    """By how much the step before the first reading is larger than that after it."""
    fitted = one.series.values - one.found.residuals
    first, second = abs(fitted[1] - fitted[0]), abs(fitted[2] - fitted[1])
    return first / second if second > 0 else 1.0


def only(directed: Sequence[Directed], branch: str, roles: Roles) -> list[Directed]:
    """The ramps of one branch; that the other is left out is said."""
    kept = [one for one in directed if one.branch == branch]
    table = roles.table
    if not kept:
        other = "rising" if branch == "falling" else "falling"
        raise UserError(
            f"{table.path}: line {table.lines[0]}: --branches {branch}: every ramp is {other}; "
            "leave --branches out"
        )
    if len(kept) < len(directed):
        rest = next(one for one in directed if one.branch != branch)
        table.left_out.append(
            f"{several([len(directed) - len(kept)], f'{rest.branch} ramp')}, the first in "
            f"{rest.series.where(table)}: --branches {branch} uses only the others"
        )
    return kept


def number(directed: Sequence[Directed]) -> list[Ramp]:
    """Device by device in the order of the file; by cycle where the file numbers all of them."""
    ramps = []
    for device in dict.fromkeys(one.series.device for one in directed):
        ones = [one for one in directed if one.series.device == device]
        if all(one.series.cycle is not None for one in ones):
            ones.sort(key=lambda one: one.series.cycle or 0)
        counts = {"falling": 0, "rising": 0}
        for order, one in enumerate(ones):
            counts[one.branch] += 1
            ramps.append(
                Ramp(
                    device,
                    counts[one.branch],
                    one.branch,
                    one.pulses.astype(float),
                    one.series.values,
                    one.series.lines,
                    order,
                    one.before,
                )
            )
    return ramps
