"""Which layout a table has, and its series: ramps in columns, in lines, or in a long table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import EMPTY, MISSING, NUMBER, SPACES
from utils.measured.column_roles import Roles
from utils.measured.names import CLOCK_TIME, branch_in
from utils.measured.numeric_table import NumericTable
from utils.measured.options import MIN_READINGS, ReadingOptions
from utils.measured.roles import select
from utils.measured.rows import header_pulses, key_columns
from utils.measured.series import ONE_DEVICE, Series, series_in
from utils.measured.vocabulary import LABELS, Role

STEEPER = 3.0  # times that lines change more than columns, if they are the ramps


def layout_of(table: NumericTable) -> str:
    """columns, rows or long: by the names, by labels, else by where the numbers change more."""
    enough = (table.kinds == NUMBER).sum(axis=1).max() >= MIN_READINGS
    labels = len(key_columns(table))
    if labels and enough and header_pulses(table, labels) is not None:
        return "rows"
    keys = [c for c, name in enumerate(table.names) if name.role in LABELS]
    groups = len({tuple(row) for row in table.cells[:, keys]})
    if keys and table.numeric.sum() > 0 and groups <= len(table.cells) / 2:
        return "long"
    if any(name.text for name in table.names) and not table.labels[0]:
        return "columns" if header_pulses(table, 0) is None else "rows"
    if not enough or table.names[0].role == Role.TIME or CLOCK_TIME.search(table.cells[0, 0]):
        return "columns"
    tall = len(table.cells) >= MIN_READINGS
    return "rows" if not tall or lines_are_steeper(table) else "columns"


def lines_are_steeper(table: NumericTable) -> bool:
    """Whether values change more from the first to the last of a line than of a column."""

    def change(rows: np.ndarray) -> float:
        present = [row[~np.isnan(row)] for row in rows]
        return float(np.median([abs(row[-1] - row[0]) for row in present if len(row) > 1] or [0.0]))

    values = table.numbers[:, ~table.labels]
    if shape.is_counter(values[:, 0]):
        values = values[:, 1:]
    if values.shape[1] < MIN_READINGS:
        return False
    along, across = change(values), change(values.T)
    return along > (across if table.labels[0] else STEEPER * across)


# Columns and long tables


def series_of_columns(roles: Roles, options: ReadingOptions, layout: str) -> list[Series]:
    """A series in each column of responses, and in each group of lines with the same labels."""
    table = roles.table
    columns = select(table, options.columns, "--columns") or roles.of(Role.RESPONSE)
    if table.dialect.separator == SPACES:
        refuse_gaps(table)
    if layout == "long" and options.devices != "auto":
        raise UserError(
            f"--devices {options.devices}: a long table has a column of devices; leave it out"
        )
    keys = roles.of(*LABELS) if layout == "long" else []
    groups = groups_of(table, keys)
    drives = [c for c in roles.of(Role.DRIVE) if not shape.is_constant(table.numbers[:, c])]
    devices = devices_of_columns(table, columns, options.devices)
    pulses = roles.of(Role.PULSES)
    found = []
    for column, device in zip(columns, devices, strict=True):
        at = ([c for c in pulses if c < column] or pulses[:1] or [None])[-1]
        for rows in groups:
            rows = in_order(table, roles, rows, at) if keys else rows
            counts = None if at is None else table.numbers[rows, at]
            series = series_in(table, rows, np.full(len(rows), column), counts)
            if series is None and len(groups) > 1:
                continue
            if series is None:
                raise table.error(
                    int(table.lines[rows[0]]),
                    column,
                    "this column holds no number; leave it out with --columns",
                )
            changes = [i for c in drives for i in shape.changes(table.numbers[rows, c])]
            breaks = {int(i) for i in np.searchsorted(series.counted, changes)}
            name, labels = table.names[column], labels_of(roles, keys, rows[0])
            by_pulses = None if at is None else table.names[at].branch
            found.append(
                replace(
                    series,
                    pulse_column=at,
                    place=len(found),
                    device=labels.get(Role.DEVICE) or device,
                    cycle=labels.get(Role.CYCLE, name.cycle),
                    branch=labels.get(Role.BRANCH) or name.branch or by_pulses,
                    read=name.read,
                    breaks=tuple(sorted(breaks - {0, len(series)})),
                )
            )
    return found


def groups_of(table: NumericTable, keys: Sequence[int]) -> list[np.ndarray]:
    """Rows of each ramp of a table: those of the same labels, and of the same block."""
    empty = np.argwhere(np.isin(table.kinds[:, keys], (EMPTY, MISSING)))
    if len(empty):
        row, column = empty[0]
        raise table.error(
            int(table.lines[row]),
            keys[column],
            "the cell is empty, but every line needs this label; fill it in",
        )
    labels = [c for c in keys if table.names[c].role != Role.READ]
    groups: dict[tuple, list[int]] = {}
    for row, (block, words) in enumerate(zip(table.blocks, table.cells[:, labels], strict=True)):
        groups.setdefault((block, *words), []).append(row)
    return list(map(np.array, groups.values()))


def in_order(table: NumericTable, roles: Roles, rows: np.ndarray, at: int | None) -> np.ndarray:
    """Rows of a group in the order of their pulses, where the file has shuffled them."""
    if at is None:
        return rows
    pulses = table.numbers[rows, at]
    steps = np.diff(pulses)
    shuffled = len(np.unique(pulses)) == len(pulses) and (steps < 0).sum() > 1 < (steps > 0).sum()
    by_reads = roles.of(Role.READ) and (steps < 0).any()
    return rows[np.argsort(pulses, kind="stable")] if shuffled or by_reads else rows


def labels_of(roles: Roles, keys: Sequence[int], row: int) -> dict:
    """What the labels of a line say."""
    table, labels = roles.table, {}
    for column in keys:
        role, cell = roles.roles[column], table.cells[row, column]
        if role == Role.CYCLE:
            number = table.numbers[row, column]
            found = re.search(r"\d+", cell)
            labels[role] = int(number) if not np.isnan(number) else found and int(found[0])
        elif role == Role.BRANCH:
            labels[role] = branch_in(cell)
        else:
            labels[role] = cell
    return labels


def refuse_gaps(table: NumericTable) -> None:
    """Raise UserError for a short line of cells divided by spaces: any of them may be missing."""
    counts = (table.kinds != EMPTY).sum(axis=1)
    short = np.flatnonzero(counts < counts[0])
    if len(short):
        line, count = int(table.lines[short[0]]), int(counts[short[0]])
        raise table.error(
            line,
            count,
            f"the line has {count} cells, but line {table.lines[0]} has {counts[0]}, and spaces do "
            "not show which cell is empty; save the file with commas or tabs",
        )


def devices_of_columns(table: NumericTable, columns: Sequence[int], devices: str) -> list[str]:
    """A label for the device of each column."""
    names = [table.names[column] for column in columns]
    texts = [name.text for name in names]
    if devices == "each":
        return [
            text if text and texts.count(text) == 1 else f"column {column + 1}"
            for text, column in zip(texts, columns, strict=True)
        ]
    if devices == "one" or not any(name.device for name in names):
        return [ONE_DEVICE] * len(columns)
    return [name.device or name.text for name in names]
