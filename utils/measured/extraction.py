"""The series of a table: in its lines, in its columns, or in lines of the same labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.cells import EMPTY, MISSING, SPACES, TEXT
from utils.measured.column import STEADY, Column
from utils.measured.layouts import header_pulses
from utils.measured.names import VALUE, branch_in, device_of_label, parse_name
from utils.measured.numeric_table import NumericTable, several
from utils.measured.options import ReadingOptions
from utils.measured.series import ONE_DEVICE, Series, series_in
from utils.measured.vocabulary import LABELS, Role


def series_of_lines(
    table: NumericTable, responses: Sequence[Column], options: ReadingOptions
) -> list[Series]:
    """A ramp in each line, behind its labels; pulses counted, or from the line above."""
    if options.pulses not in (None, "none"):
        raise UserError(
            f"--pulses {options.pulses}: in a table of rows the line above the numbers holds the "
            "pulses; leave --pulses out, or say --pulses none to count the readings"
        )
    if not responses:
        raise table.refusal(
            f"line {table.lines[0]}: no numbers after the labels; choose columns with --columns"
        )
    columns = np.array(sorted(column.place for column in responses))
    above = None if options.pulses == "none" else header_pulses(table, columns[0])
    pulses = None if above is None else above[columns - columns[0]]
    if pulses is not None and np.isnan(pulses).any():
        problem = "the number of pulses above this column is missing; fill it in"
        raise table.header_error(columns[np.argmax(np.isnan(pulses))], problem)
    keys = table.of(Role.LABEL)
    labels = [joined(keys, row) for row in range(len(table.lines))]
    unique_labels = unique(labels, [f"line {line}" for line in table.lines])
    naming = [column for column in keys if column.name.role in (Role.DEVICE, None)]
    cycles = [column for column in keys if column.name.role == Role.CYCLE]
    found = []
    for row, label in enumerate(labels):
        series = series_in(table, row, columns, pulses)
        if series is None:
            table.left_out.append(f"line {table.lines[row]}: no numbers")
            continue
        devices = {
            "each": unique_labels[row],
            "one": "",
            "auto": device_of_label(joined(naming, row)),
        }
        series.place, series.branch = row, branch_in(label)
        series.device = devices[options.devices] or ONE_DEVICE
        series.cycle = number_in(cycles[-1], row) if cycles else parse_name(label).cycle
        found.append(series)
    conditions = dict.fromkeys(series.device for series in found if VALUE.fullmatch(series.device))
    if options.devices == "auto" and len(conditions) > 1:
        raise table.refusal(
            f"the labels of the lines differ in a condition, {', '.join(conditions)}; "
            "keep only the lines of one, or say --devices one if all are cycles of one device"
        )
    return found


def joined(columns: Sequence[Column], row: int) -> str:
    """The words of a line in these columns."""
    return " ".join(column.cells[row] for column in columns if column.cells[row])


def series_of_columns(
    table: NumericTable, responses: Sequence[Column], options: ReadingOptions
) -> list[Series]:
    """A series in each column of responses, and in each group of lines with the same labels."""
    if table.dialect.separator == SPACES:
        refuse_gaps(table)
    keys = table.of(*LABELS) if options.layout == "long" else []
    counters = table.of(Role.PULSES)
    groups = without_resets(table, keys, groups_of(table, keys), options)
    found = []
    for column, device in zip(responses, devices_of(responses, options.devices), strict=True):
        before = [other for other in counters if other.place < column.place] or counters[:1]
        counter = before[-1] if before else None
        for rows in groups:
            if keys and counter:
                rows = in_order(rows, counter.numbers[rows], bool(table.of(Role.READ)))
            pulses = counter.numbers[rows] if counter else None
            series = series_in(table, rows, column.place, pulses)
            if series is None and len(groups) > 1:
                continue
            if series is None:
                problem = "this column holds no number; leave it out with --columns"
                raise table.error(rows[0], column.place, problem)
            labels, name = labels_of(keys, rows[0]), column.name
            named = name.branch or (counter and counter.name.branch)
            series.counter, series.place, series.read = counter, len(found), name.read
            series.segments = segments_of(table, rows)[series.positions]
            series.device = labels.get(Role.DEVICE) or device
            series.cycle = labels.get(Role.CYCLE, name.cycle)
            series.branch = labels.get(Role.BRANCH) or named
            found.append(series)
    return found


def segments_of(table: NumericTable, rows: np.ndarray) -> np.ndarray:
    """The number of the segment of rows in which each drive is steady, int [rows].

    The reading before the first pulse may have no drive. Where the last one has none, the drive of
    the next pulse is written beside each reading.
    """
    is_first = np.zeros(len(rows), bool)
    for drive in table.of(Role.DRIVE):
        if drive.is_constant:
            continue
        x = np.nan_to_num(drive.numbers[rows])
        if len(x) > 2 and x[-1] == 0 != x[0]:
            x = np.concatenate([x[:1], x[:-1]])
        elif len(x) > 2 and x[0] == 0:
            x[0] = x[1]
        is_first[1:] |= np.abs(np.diff(x)) > STEADY * np.abs(x).max()
    return np.cumsum(is_first)


def refuse_gaps(table: NumericTable) -> None:
    """Raise UserError for a short line of cells divided by spaces: any of them may be missing."""
    counts = (table.kinds != EMPTY).sum(axis=1)
    if (counts < counts[0]).any():
        row = int(np.argmax(counts < counts[0]))
        raise table.error(
            row,
            int(counts[row]),
            f"the line has {counts[row]} cells, but line {table.lines[0]} has {counts[0]}, and "
            "spaces do not show which cell is empty; save the file with commas or tabs",
        )


def groups_of(table: NumericTable, keys: Sequence[Column]) -> list[np.ndarray]:
    """Rows of each ramp of a table: those of the same labels, and of the same block."""
    places = [column.place for column in keys]
    for row, key in np.argwhere(np.isin(table.kinds[:, places], (EMPTY, MISSING)))[:1].tolist():
        problem = "the cell is empty, but every line needs this label; fill it in"
        raise table.error(row, places[key], problem)
    labels = [column.cells for column in keys if column.name.role != Role.READ]
    groups: dict[tuple, list[int]] = {}
    for row, label in enumerate(zip(table.blocks, *labels, strict=True)):
        groups.setdefault(label, []).append(row)
    return list(map(np.array, groups.values()))


def without_resets(
    table: NumericTable,
    keys: Sequence[Column],
    groups: Sequence[np.ndarray],
    options: ReadingOptions,
) -> list[np.ndarray]:
    """Rows of each ramp without single readings of the other branch, as after the pulse of a reset.

    The file names them in a column of branches, or instead of a number of pulses. Where --branches
    gives the branches of ramps in their order, they might be counted among these, and stay.
    """
    resets = [
        row
        for counter in table.of(Role.PULSES)
        for row in np.flatnonzero(counter.kinds == TEXT).tolist()
        if branch_in(counter.cells[row])
    ]
    branches = [labels_of(keys, rows[0]).get(Role.BRANCH) for rows in groups]
    ramps = {branch for branch, rows in zip(branches, groups, strict=True) if len(rows) > 1}
    if ramps and len(options.branches) < 2:
        pairs = zip(branches, groups, strict=True)
        resets += [int(rows[0]) for branch, rows in pairs if branch not in {None, *ramps}]
    if resets:
        table.left_out.append(
            f"{several([len(resets)], 'line')} of single readings after a reset, the first is line "
            f"{table.lines[min(resets)]}"
        )
    rest = (rows[~np.isin(rows, resets)] for rows in groups)
    return [rows for rows in rest if len(rows)]


def in_order(rows: np.ndarray, pulses: np.ndarray, with_reads: bool) -> np.ndarray:
    """Rows of a group in the order of their pulses, where the file has shuffled them."""
    steps = np.diff(pulses)
    shuffled = len(np.unique(pulses)) == len(pulses) and (steps < 0).sum() > 1 < (steps > 0).sum()
    by_reads = with_reads and (steps < 0).any()
    return rows[np.argsort(pulses, kind="stable")] if shuffled or by_reads else rows


def labels_of(keys: Sequence[Column], row: int) -> dict:
    """What the labels of a line of a long table say."""
    labels: dict = {column.role: column.cells[row] for column in keys}
    if Role.DEVICE in labels:  # of several columns, such as those of chips and devices
        labels[Role.DEVICE] = joined([c for c in keys if c.role == Role.DEVICE], row)
    for column in keys:
        if column.role == Role.CYCLE:
            labels[Role.CYCLE] = number_in(column, row)
    if Role.BRANCH in labels:
        labels[Role.BRANCH] = branch_in(labels[Role.BRANCH])
    return labels


def number_in(column: Column, row: int) -> int | None:
    """The number that a label is, or that it holds."""
    number, found = column.numbers[row], re.search(r"\d+", column.cells[row])
    return int(number) if not np.isnan(number) else found and int(found[0])


def devices_of(columns: Sequence[Column], devices: str) -> list[str]:
    """A label for the device of each column."""
    names = [column.name for column in columns]
    if devices == "each":
        return unique([name.text for name in names], [f"column {c.number}" for c in columns])
    if devices == "one" or not any(name.device for name in names):
        return [ONE_DEVICE] * len(columns)
    return [name.device or name.text for name in names]


def unique(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Names, each replaced by the other one where it is empty or not the only one of its kind."""
    pairs = zip(names, others, strict=True)
    return [name if name and names.count(name) == 1 else other for name, other in pairs]
