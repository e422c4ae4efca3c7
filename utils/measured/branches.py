"""From single ramps to those of a measurement: their branch, their pulses, their order in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.checks import DECADE, flaw
from utils.measured.column_roles import Roles
from utils.measured.directed import Directed, direct
from utils.measured.measurement import Ramp
from utils.measured.numeric_table import several
from utils.measured.options import BRANCHES, MIN_READINGS, ReadingOptions
from utils.measured.series import Series
from utils.measured.starts import join, start_after_head, start_again, without_partial
from utils.measured.timing import irregular_times
from utils.measured.turns import without_spikes

MAX_RATIO = 2.0  # of the ranges of columns that are pooled as one device
MIN_NOISES = 6.0  # read noises by which these ranges differ then


def ramps_of(
    pieces: Sequence[Series], roles: Roles, options: ReadingOptions, quantity: str
) -> list[Ramp]:
    """Raises UserError for what is no ramp, and for ramps that differ by decades."""
    if len({piece.column for piece in pieces}) == 1:
        pieces = sorted(pieces, key=lambda piece: piece.lines.min())
    directed: list[Directed] = []
    for index, piece in enumerate(pieces):
        if len(piece) < MIN_READINGS:
            raise piece.error(
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
            start_after_head(one)
        directed.append(one)
    directed = without_partial(directed)
    check_ramps(directed)
    if options.devices == "auto":
        check_columns(directed)
    if len(options.branches) == 1:
        directed = only(directed, options.branches[0])
    for branch in BRANCHES:
        ramps = [one for one in directed if one.branch == branch]
        join(ramps)
        if note := irregular_times(ramps, roles):
            roles.table.notes.append(f"{branch} branch: {note}")
    return number(directed)


def follows(one: Series, other: Series) -> bool:
    """Whether the readings of a ramp come right after those of another of the same device."""
    if one.device != other.device or one.column != other.column:
        return False
    in_time = bool((np.diff(one.lines) > 0).all() and (np.diff(other.lines) > 0).all())
    if one.place == other.place and other.follows:
        return in_time
    step = one.lines[-1] - one.lines[-2]  # several where readings of the same pulse are averaged
    return in_time and 0 < other.lines[0] - one.lines[-1] <= step + 1


def check_ramps(directed: Sequence[Directed]) -> None:
    """Raise UserError for what is no ramp, and for ramps that differ by decades."""
    fallback = float(np.sqrt(np.mean([one.found.read_noise**2 for one in directed])))
    for one in directed:
        if why := flaw(without_spikes(one.series.values), one.found, fallback):
            raise one.series.error(why)
    ranges = np.array([one.size for one in directed])
    middle = float(np.median(ranges))
    worst = int(np.argmax(np.maximum(ranges / middle, middle / ranges)))
    if ranges.max() > DECADE * ranges.min():
        raise directed[worst].series.whole_error(
            f"the range is {ranges[worst]:.3g}, but that of the other ramps {middle:.3g}, which is "
            "decades apart; choose with --columns what belongs together"
        )


def check_columns(directed: Sequence[Directed]) -> None:
    """Raise UserError where columns that nothing names as cycles of a device have other ranges."""
    unnamed = [
        one
        for one in directed
        if one.series.cycle is None and one.series.table.names[one.series.column].device is None
    ]
    for branch in BRANCHES:
        ramps = [one for one in unnamed if one.branch == branch]
        columns, devices = ({getattr(x.series, a) for x in ramps} for a in ("column", "device"))
        if len(columns) < 2 or len(devices) > 1:
            continue
        low, high = (pick(ramps, key=lambda ramp: ramp.size) for pick in (min, max))
        noise = max(low.found.read_noise, high.found.read_noise)
        if high.size > MAX_RATIO * low.size and high.size - low.size > MIN_NOISES * noise:
            raise high.series.whole_error(
                f"the range is {high.size:.3g}, but in {low.series.where} it is {low.size:.3g}; "
                "if these are devices, say --devices each; if they are cycles of one device all "
                "the same, --devices one; if other things differ between them, choose with "
                "--columns"
            )


def only(directed: Sequence[Directed], branch: str) -> list[Directed]:
    """The ramps of one branch; that the other is left out is said."""
    rest = [one for one in directed if one.branch != branch]
    table = directed[0].series.table
    if len(rest) == len(directed):
        raise UserError(
            f"{table.path}: line {table.lines[0]}: --branches {branch}: every ramp is "
            f"{rest[0].branch}; leave --branches out"
        )
    if rest:
        table.left_out.append(
            f"{several([len(rest)], f'{rest[0].branch} ramp')}, the first in "
            f"{rest[0].series.where}: --branches {branch} uses only the others"
        )
    return [one for one in directed if one.branch == branch]


def number(directed: Sequence[Directed]) -> list[Ramp]:
    """Device by device in the order of the file; by cycle where the file numbers all of them."""
    ramps = []
    for device in dict.fromkeys(one.series.device for one in directed):
        ones = [one for one in directed if one.series.device == device]
        if all(one.series.cycle is not None for one in ones):
            ones.sort(key=lambda one: one.series.cycle or 0)
        counts = Counter()
        for order, one in enumerate(ones):
            counts[one.branch] += 1
            series, pulses = one.series, one.pulses.astype(float)
            ramp = (device, counts[one.branch], one.branch, pulses, series.values, series.lines)
            ramps.append(Ramp(*ramp, order, one.before))
    return ramps
