"""Which ramps may be averaged: those of one device, measured under one condition.

In: the ramps of a file. Out: nothing, or a UserError that says what differs between ramps that
would be averaged. It matters, for instance, for columns whose names differ in a condition:

    pulse, G at 300 K, G at 350 K
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from utils.measured.checks import DECADE
from utils.measured.column import Column
from utils.measured.names import Name
from utils.measured.series import Series
from utils.measured.vocabulary import LABELS, Role

LARGE_SPREAD = 0.08  # of the mean range: a larger standard deviation is one between devices
LARGE_RATIO = 0.5  # of the largest range: ranges of cycles of one device differ by less
MIN_NOISES = 4.0  # read noises: ranges that differ by less are equal
SAME_STATE = 0.01  # of a temperature, say: if it changes by less from ramp to ramp, it is the same
FAR_AWAY = 1.3  # of the range, between two levels; parts of a single ramp come close to 1
STATES = (Role.DRIVE, Role.OTHER, Role.UNKNOWN, Role.TEXT)  # what conditions of a measurement have


def check_pooled(ramps: Sequence[Series], devices: str) -> None:
    """Raise UserError for ramps of a device that seem to be of several devices or conditions.

    devices: as --devices says.
    """
    groups: dict[tuple, list[Series]] = {}
    for ramp in ramps if devices != "one" else ():
        groups.setdefault((ramp.device, ramp.branch), []).append(ramp)
    for group in groups.values():
        check_states(group)
    check_ranges(ramps)
    for group in groups.values():
        for are_cycles in (False, True):
            check_names([ramp for ramp in group if (ramp.cycle is not None) == are_cycles])
        check_levels(group)
        check_columns([ramp for ramp in group if ramp.cycle is None])


def check_names(ramps: Sequence[Series]) -> None:
    """Raise UserError where the names of columns differ in more than the number of a cycle."""
    columns = {ramp.column for ramp in ramps if ramp.column.name.text and not np.ptp(ramp.columns)}
    columns = sorted(columns, key=lambda column: column.place)
    names = {column.name for column in columns}
    if len(names) < 2 or not differ_in_condition(names):
        return
    words = [column.name.remainder[0] for column in columns]
    common = set.intersection(*map(set, words))
    differing = [
        " ".join(word for word in name_words if word not in common) for name_words in words
    ]
    shown = [text or column.name.text for text, column in zip(differing, columns, strict=True)]
    table = ramps[0].table
    raise table.refusal(
        f"the names of {', '.join(map(str, columns[:3]))} differ in a condition, "
        f"{', '.join(shown[:3])}, or in the device; {advice(columns)}"
    )


def differ_in_condition(names: set[Name]) -> bool:
    """Whether names of columns differ in a condition or a device, and not only in a cycle's number.

    They do if their words or values differ, if their plain numbers are too far apart to be those of
    cycles, or if columns of the same cycle have different plain numbers.
    """
    words, numbers = zip(*(name.remainder for name in names), strict=True)
    if all(numbers):  # a single letter before one is another number
        words = [[word for word in words_of_name if len(word) > 1] for words_of_name in words]
    if any(words_of_name != words[0] for words_of_name in words):
        return True
    cycles = {name.cycle for name in names}
    if cycles != {None}:
        return len(cycles) < len({(name.cycle, *name.remainder[1]) for name in names})
    all_numbers = [number for numbers_of_name in numbers for number in numbers_of_name]
    return bool(all_numbers) and max(all_numbers) - min(all_numbers) > 2 * (len(names) - 1)


def check_states(ramps: Sequence[Series]) -> None:
    """Raise UserError where a condition is constant within each ramp, but not the same in all."""
    table = ramps[0].table
    for column in table.columns:
        role = column.name.role if column.role == Role.LABEL else column.role
        if role not in STATES or column.name.has_words("error"):
            continue
        # The ends of a ramp may belong to the state beside it.
        inner_rows = [ramp.rows[1:-1] for ramp in ramps]
        cells = [{column.cells[row] for row in rows} for rows in inner_rows]
        numbers = column.numbers[[rows[0] for rows in inner_rows]]
        is_same = np.ptp(numbers) <= SAME_STATE * np.abs(numbers).max()  # never of text
        labels = list(dict.fromkeys(label for ramp_cells in cells for label in ramp_cells))
        if any(len(ramp_cells) > 1 for ramp_cells in cells) or len(labels) < 2 or is_same:
            continue
        hint = "" if table.of(*LABELS) else "; or say --devices one if they are cycles all the same"
        raise table.refusal(
            f"other devices or conditions: {column} is '{labels[0]}' in one {ramps[0].branch} "
            f"ramp and '{labels[1]}' in another; keep only the lines of one of these, or name the "
            f"column Device or Cycle in the file if it tells these{hint}"
        )


def check_ranges(ramps: Sequence[Series]) -> None:
    """Raise UserError for ramps that differ by decades."""
    ranges = np.array([ramp.size for ramp in ramps])
    median = float(np.median(ranges))
    worst = int(np.argmax(np.maximum(ranges / median, median / ranges)))
    if ranges.max() > DECADE * ranges.min():
        raise ramps[worst].whole_error(
            f"the range is {ranges[worst]:.3g}, but that of the other ramps {median:.3g}, which is "
            "decades apart; choose with --columns what belongs together"
        )


def check_levels(ramps: Sequence[Series]) -> None:
    """Raise UserError where levels of ramps are further apart than their range."""
    ramps = sorted(ramps, key=lambda ramp: np.median(ramp.values))
    levels = np.array([np.median(ramp.values) for ramp in ramps])
    gaps, range_ = np.diff(levels), max(ramp.size for ramp in ramps)
    if len(gaps) and gaps.max() > FAR_AWAY * range_:
        below = int(gaps.argmax())
        raise ramps[below].whole_error(
            f"the values lie about {levels[below]:.6g}, but those of another ramp of the device "
            f"about {levels[below + 1]:.6g}, further away than their range of {range_:.3g}; choose "
            "with --columns, or in the file, what belongs together, or say --devices each if these "
            "are devices"
        )


def advice(columns: Iterable[Column]) -> str:
    """How the user tells which columns are of one device under one condition."""
    if_devices, if_cycles = "say --devices each", "--devices one"
    if any(column.name.branch or column.name.cycle is not None for column in columns):
        if_devices, if_cycles = "name them Device 1, Device 2 … in the file", "say --devices one"
    return (
        f"if these are devices, {if_devices}; if they are cycles of one device, {if_cycles}; if "
        "other things differ between them, choose with --columns"
    )


def check_columns(ramps: Sequence[Series]) -> None:
    """Raise UserError where the ranges of columns differ, and no name says that these are cycles.

    Where each column has a name of its own, the names may be those of devices, and a smaller
    difference of the ranges is refused.
    """
    columns = list(dict.fromkeys(ramp.column for ramp in ramps))
    if len(columns) < 2 or any(column.name.device for column in columns):
        return
    ranges = np.array([ramp.size for ramp in ramps])
    spread, mean = float(np.std(ranges, ddof=1)), float(ranges.mean())
    names = {column.name.text for column in columns} - {""}
    are_plain = all(column.name.branch is column.name.read is None for column in columns)
    if are_plain and len(ramps) == len(columns) == len(names) >= 3:
        difference, limit = spread, LARGE_SPREAD * mean
    else:
        difference, limit = np.ptp(ranges), LARGE_RATIO * ranges.max()
    if difference > max(limit, MIN_NOISES * max(ramp.trend.read_noise for ramp in ramps)):
        table = ramps[0].table
        raise table.refusal(
            f"{table.title(*(column.place for column in columns))}: the ranges differ by "
            f"{100 * spread / mean:.2g} %, and nothing names devices or cycles; {advice(columns)}"
        )
