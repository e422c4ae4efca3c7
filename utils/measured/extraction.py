"""From a table, whose columns have roles, to series of readings in the order of time.

In: the table, its responses, and the options. Out: one series for each line (layout rows), for each
column (layout columns), or for each group of lines with the same labels (layout long):

    rows      D1, 0.1, 0.2, 0.3          long      device, pulse, G
              D2, 0.1, 0.2, 0.4                    D1, 1, 0.1
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.cells import EMPTY, MISSING, SPACES, TEXT
from utils.measured.column import STEADY, Column, column_for
from utils.measured.layouts import header_pulses
from utils.measured.names import VALUE, branch_in, device_of_label, parse_name
from utils.measured.numeric_table import NumericTable, several
from utils.measured.options import ReadingOptions
from utils.measured.series import ONE_DEVICE, Series, series_in
from utils.measured.vocabulary import LABELS, Role


def series_of_lines(
    table: NumericTable, responses: Sequence[Column], options: ReadingOptions
) -> list[Series]:
    """A series for each line, behind its labels.

    The numbers of pulses stand in the line above the numbers, or the readings are counted.
    """
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
    label_columns = table.of(Role.LABEL)
    labels = [joined_cells(label_columns, row) for row in range(len(table.lines))]
    separate_devices = unique(labels, [f"line {line}" for line in table.lines])
    device_columns = [column for column in label_columns if column.name.role in (Role.DEVICE, None)]
    cycles = [column for column in label_columns if column.name.role == Role.CYCLE]
    all_series = []
    for row, label in enumerate(labels):
        series = series_in(table, row, columns, pulses)
        if series is None:
            table.left_out.append(f"line {table.lines[row]}: no numbers")
            continue
        series.place, series.branch = row, branch_in(label)
        if options.devices == "each":
            series.device = separate_devices[row]
        elif options.devices == "auto":
            series.device = device_of_label(joined_cells(device_columns, row)) or ONE_DEVICE
        series.cycle = number_in(cycles[-1], row) if cycles else parse_name(label).cycle
        all_series.append(series)
    devices = dict.fromkeys(series.device for series in all_series)
    conditions = [device for device in devices if VALUE.fullmatch(device)]
    if options.devices == "auto" and len(conditions) > 1:
        raise table.refusal(
            f"the labels of the lines differ in a condition, {', '.join(conditions)}; "
            "keep only the lines of one, or say --devices one if all are cycles of one device"
        )
    return all_series


def joined_cells(columns: Sequence[Column], row: int) -> str:
    """The words of a line in these columns."""
    return " ".join(column.cells[row] for column in columns if column.cells[row])


def series_of_columns(
    table: NumericTable, responses: Sequence[Column], options: ReadingOptions
) -> list[Series]:
    """A series for each column of responses and each group of lines with the same labels in it."""
    if table.dialect.separator == SPACES:
        refuse_gaps(table)
    keys = table.of(*LABELS) if options.layout == "long" else []
    counters = table.of(Role.PULSES)
    groups = without_resets(table, keys, groups_of(table, keys), options)
    all_series = []
    for column, device in zip(responses, devices_of(responses, options.devices), strict=True):
        counter = column_for(column, counters)
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
            branch = name.branch or (counter and counter.name.branch)
            series.counter, series.place, series.read = counter, len(all_series), name.read
            series.segments = segments_of(table, rows)[series.positions]
            series.device = labels.get(Role.DEVICE) or device
            series.cycle = labels.get(Role.CYCLE, name.cycle)
            series.branch = labels.get(Role.BRANCH) or branch
            all_series.append(series)
    return all_series


def segments_of(table: NumericTable, rows: np.ndarray) -> np.ndarray:
    """The number of the segment of each row, int [rows]; all drives stay the same in a segment.

    Where the drive is 0 beside the first reading, that one was read before any pulse, and belongs
    to the first segment. Where it is 0 beside the last one, the file gives the drive of the next
    pulse beside each reading, so that all are moved by a line.
    """
    is_first = np.zeros(len(rows), bool)
    for drive in table.of(Role.DRIVE):
        if drive.is_constant:
            continue
        sizes = np.nan_to_num(drive.numbers[rows])
        if len(sizes) > 2 and sizes[-1] == 0 != sizes[0]:
            sizes = np.concatenate([sizes[:1], sizes[:-1]])
        elif len(sizes) > 2 and sizes[0] == 0:
            sizes[0] = sizes[1]
        is_first[1:] |= np.abs(np.diff(sizes)) > STEADY * np.abs(sizes).max()
    return np.cumsum(is_first)


def refuse_gaps(table: NumericTable) -> None:
    """Raise UserError for a short line whose cells are separated by spaces: any may be missing."""
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
    """The rows of each group of lines that have the same labels and are in the same block."""
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
    """The rows of each group without single readings after a reset, which belong to no ramp.

    The file names them in a column of branches, or writes a word such as RESET in place of a number
    of pulses. If --branches gives the branch of each ramp, the user may have counted them among the
    ramps, so that those of the column of branches stay.
    """
    resets = [
        row
        for counter in table.of(Role.PULSES)
        for row in np.flatnonzero(counter.kinds == TEXT).tolist()
        if branch_in(counter.cells[row])
    ]
    branches = [labels_of(keys, rows[0]).get(Role.BRANCH) for rows in groups]
    pairs = list(zip(branches, groups, strict=True))
    of_ramps = {branch for branch, rows in pairs if len(rows) > 1}
    if of_ramps and len(options.branches) < 2:
        resets += [int(rows[0]) for branch, rows in pairs if branch not in {None, *of_ramps}]
    if resets:
        table.left_out.append(
            f"{several([len(resets)], 'line')} of single readings after a reset, the first is line "
            f"{table.lines[min(resets)]}"
        )
    remaining = (rows[~np.isin(rows, resets)] for rows in groups)
    return [rows for rows in remaining if len(rows)]


def in_order(rows: np.ndarray, pulses: np.ndarray, with_reads: bool) -> np.ndarray:
    """The rows of a group, sorted by their pulses if the file has shuffled them.

    with_reads: whether a column numbers repeated readings; these may stand one pass after another.
    """
    steps = np.diff(pulses)
    are_unique = len(np.unique(pulses)) == len(pulses)
    is_shuffled = are_unique and (steps < 0).sum() > 1 < (steps > 0).sum()
    read_by_read = with_reads and (steps < 0).any()
    return rows[np.argsort(pulses, kind="stable")] if is_shuffled or read_by_read else rows


def labels_of(keys: Sequence[Column], row: int) -> dict:
    """What the labels of a line of a long table say."""
    labels: dict = {}
    for column in keys:
        if column.role == Role.DEVICE:  # perhaps several columns, such as those of chip and device
            labels[Role.DEVICE] = f"{labels.get(Role.DEVICE, '')} {column.cells[row]}".strip()
        elif column.role == Role.CYCLE:
            labels[Role.CYCLE] = number_in(column, row)
        elif column.role == Role.BRANCH:
            labels[Role.BRANCH] = branch_in(column.cells[row])
    return labels


def number_in(column: Column, row: int) -> int | None:
    """The number that a label is, or that it holds."""
    number, digits = column.numbers[row], re.search(r"\d+", column.cells[row])
    return int(number) if not np.isnan(number) else digits and int(digits[0])


def devices_of(columns: Sequence[Column], devices: str) -> list[str]:
    """A label for the device of each column."""
    names = [column.name for column in columns]
    if devices == "each":
        return unique([name.text for name in names], [f"column {c.number}" for c in columns])
    if devices == "one" or not any(name.device for name in names):
        return [ONE_DEVICE] * len(columns)
    return [name.device or name.text for name in names]


def unique(names: Sequence[str], replacements: Sequence[str]) -> list[str]:
    """Names, with a replacement for each that is empty or occurs twice."""
    pairs = zip(names, replacements, strict=True)
    return [name if name and names.count(name) == 1 else replacement for name, replacement in pairs]
