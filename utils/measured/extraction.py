"""The series of a table: in its lines, in its columns, or in lines of the same labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import EMPTY, MISSING, SPACES, TEXT
from utils.measured.column_roles import Roles
from utils.measured.layouts import header_pulses
from utils.measured.names import branch_in, device_of_label, parse_name
from utils.measured.numeric_table import NumericTable, several
from utils.measured.options import ReadingOptions
from utils.measured.roles import select
from utils.measured.series import ONE_DEVICE, Series, series_in
from utils.measured.vocabulary import LABELS, Role


def series_of_lines(roles: Roles, options: ReadingOptions) -> list[Series]:
    """A ramp in each line, behind its labels; pulses counted, or from the line above."""
    if options.pulses not in (None, "none"):
        raise UserError(
            f"--pulses {options.pulses}: in a table of rows the line above the numbers holds the "
            "pulses; leave --pulses out, or say --pulses none to count the readings"
        )
    table, keys = roles.table, roles.of(Role.LABEL)
    columns = select(table, options.columns, "--columns") or roles.of(Role.RESPONSE)
    columns = np.array(sorted(columns), int)
    if not len(columns):
        raise UserError(
            f"{table.path}: line {table.lines[0]}: no numbers after the labels; choose columns "
            "with --columns"
        )
    above = None if options.pulses == "none" else header_pulses(table, columns[0])
    pulses = None if above is None else above[columns - columns[0]]
    if pulses is not None and np.isnan(pulses).any():
        raise table.error(
            table.header or 1,
            int(columns[np.argmax(np.isnan(pulses))]),
            "the number of pulses above this column is missing; fill it in",
        )
    labels = [" ".join(filter(None, cells)) for cells in table.cells[:, keys]]
    each = unique(labels, [f"line {line}" for line in table.lines])
    naming = [column for column in keys if table.names[column].role in (Role.DEVICE, None)]
    cycles = [column for column in keys if table.names[column].role == Role.CYCLE]
    found = []
    for row, label in enumerate(labels):
        series = series_in(table, row, columns, pulses)
        if series is None:
            table.left_out.append(f"line {table.lines[row]}: no numbers")
            continue
        named = " ".join(filter(None, table.cells[row, naming]))
        device = {"each": each[row], "one": ONE_DEVICE, "auto": device_of_label(named)}
        found.append(
            replace(
                series,
                place=row,
                device=device[options.devices] or ONE_DEVICE,
                cycle=number_in(table, row, cycles[-1]) if cycles else parse_name(label).cycle,
                branch=branch_in(label),
            )
        )
    return found


def series_of_columns(roles: Roles, options: ReadingOptions) -> list[Series]:
    """A series in each column of responses, and in each group of lines with the same labels."""
    table = roles.table
    columns = select(table, options.columns, "--columns") or roles.of(Role.RESPONSE)
    if table.dialect.separator == SPACES:
        refuse_gaps(table)
    keys = roles.of(*LABELS) if options.layout == "long" else []
    counters = roles.of(Role.PULSES)
    groups = without_resets(roles, keys, groups_of(table, keys), options)
    drives = [c for c in roles.of(Role.DRIVE) if not shape.is_constant(table.numbers[:, c])]
    found = []
    for column, device in zip(columns, devices_of(table, columns, options.devices), strict=True):
        at = ([c for c in counters if c < column] or counters[:1] or [None])[-1]
        name, counter = table.names[column], None if at is None else table.names[at]
        for rows in groups:
            if keys and at is not None:
                rows = in_order(rows, table.numbers[rows, at], bool(roles.of(Role.READ)))
            series = series_in(table, rows, column, None if at is None else table.numbers[rows, at])
            if series is None and len(groups) > 1:
                continue
            if series is None:
                problem = "this column holds no number; leave it out with --columns"
                raise table.error(int(table.lines[rows[0]]), column, problem)
            is_read = np.isin(table.lines[rows], series.lines)
            changes = [i for c in drives for i in shape.changes(table.numbers[rows, c])]
            breaks = {int(is_read[:i].sum()) for i in changes} - {0, len(series)}
            labels = labels_of(roles, keys, rows[0])
            found.append(
                replace(
                    series,
                    pulse_column=at,
                    place=len(found),
                    device=labels.get(Role.DEVICE) or device,
                    cycle=labels.get(Role.CYCLE, name.cycle),
                    branch=labels.get(Role.BRANCH) or name.branch or (counter and counter.branch),
                    read=name.read,
                    breaks=tuple(sorted(breaks)),
                )
            )
    return found


def refuse_gaps(table: NumericTable) -> None:
    """Raise UserError for a short line of cells divided by spaces: any of them may be missing."""
    counts = (table.kinds != EMPTY).sum(axis=1)
    if (counts < counts[0]).any():
        row = int(np.argmax(counts < counts[0]))
        raise table.error(
            int(table.lines[row]),
            int(counts[row]),
            f"the line has {counts[row]} cells, but line {table.lines[0]} has {counts[0]}, and "
            "spaces do not show which cell is empty; save the file with commas or tabs",
        )


def groups_of(table: NumericTable, keys: Sequence[int]) -> list[np.ndarray]:
    """Rows of each ramp of a table: those of the same labels, and of the same block."""
    for row, key in np.argwhere(np.isin(table.kinds[:, keys], (EMPTY, MISSING)))[:1].tolist():
        raise table.error(
            int(table.lines[row]),
            keys[key],
            "the cell is empty, but every line needs this label; fill it in",
        )
    labels = [c for c in keys if table.names[c].role != Role.READ]
    groups: dict[tuple, list[int]] = {}
    for row, (block, words) in enumerate(zip(table.blocks, table.cells[:, labels], strict=True)):
        groups.setdefault((block, *words), []).append(row)
    return list(map(np.array, groups.values()))


def without_resets(
    roles: Roles, keys: Sequence[int], groups: Sequence[np.ndarray], options: ReadingOptions
) -> list[np.ndarray]:
    """Rows of each ramp without single readings of the other branch, as after the pulse of a reset.

    The file names them in a column of branches, or instead of a number of pulses. Where --branches
    gives the branches of ramps in their order, they might be counted among these, and stay.
    """
    table, counters = roles.table, roles.of(Role.PULSES)
    resets = [
        row
        for row, counter in np.argwhere(table.kinds[:, counters] == TEXT).tolist()
        if branch_in(table.cells[row, counters[counter]])
    ]
    branches = [labels_of(roles, keys, rows[0]).get(Role.BRANCH) for rows in groups]
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


def labels_of(roles: Roles, keys: Sequence[int], row: int) -> dict:
    """What the labels of a line of a long table say."""
    table, labels = roles.table, {}
    for column in keys:
        role, cell = roles.roles[column], table.cells[row, column]
        if role == Role.CYCLE:
            labels[role] = number_in(table, row, column)
        else:
            labels[role] = branch_in(cell) if role == Role.BRANCH else cell
    return labels


def number_in(table: NumericTable, row: int, column: int) -> int | None:
    """The number that a label is, or that it holds."""
    number, found = table.numbers[row, column], re.search(r"\d+", table.cells[row, column])
    return int(number) if not np.isnan(number) else found and int(found[0])


def devices_of(table: NumericTable, columns: Sequence[int], devices: str) -> list[str]:
    """A label for the device of each column."""
    names = [table.names[column] for column in columns]
    if devices == "each":
        return unique([name.text for name in names], [f"column {c + 1}" for c in columns])
    if devices == "one" or not any(name.device for name in names):
        return [ONE_DEVICE] * len(columns)
    return [name.device or name.text for name in names]


def unique(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Names, each replaced by the other one where it is empty or not the only one of its kind."""
    pairs = zip(names, others, strict=True)
    return [name if name and names.count(name) == 1 else other for name, other in pairs]
