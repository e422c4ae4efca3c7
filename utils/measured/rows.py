"""Series of a table in rows: a ramp in each line, behind its label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import NUMBER, TEXT
from utils.measured.measurement import Branch
from utils.measured.names import branch_in, device_of_label, parse_name
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.roles import select
from utils.measured.series import ONE_DEVICE, Series, series_in
from utils.measured.vocabulary import LABELS, Role


def series_of_rows(table: NumericTable, options: ReadingOptions) -> list[Series]:
    """A ramp in each line, behind its label; pulses counted, or from the line above."""
    if options.pulses not in (None, "none"):
        raise UserError(
            f"--pulses {options.pulses}: in a table of rows the line above the numbers holds the "
            "pulses; leave --pulses out, or say --pulses none to count the readings"
        )
    keys = key_columns(table)
    numeric = np.flatnonzero((table.kinds == NUMBER).any(axis=0)).tolist()
    columns = sorted(select(table, options.columns, "--columns")) or [
        column for column in numeric if column not in keys
    ]
    if not columns:
        raise UserError(
            f"{table.path}: line {table.lines[0]}: no numbers after the labels; choose columns "
            "with --columns"
        )
    above = None if options.pulses == "none" else header_pulses(table, columns[0])
    pulses = None if above is None else above[np.array(columns) - columns[0]]
    if pulses is not None and np.isnan(pulses).any():
        column = columns[int(np.argmax(np.isnan(pulses)))]
        raise table.error(
            table.header or 1,
            column,
            "the number of pulses above this column is missing; fill it in",
        )
    found = []
    for row in range(len(table.cells)):
        rows = np.full(len(columns), row)
        series = series_in(table, rows, np.array(columns), pulses)
        if series is None:
            table.left_out.append(f"line {table.lines[row]}: no numbers")
            continue
        device, cycle, branch = labels_of_line(table, keys, row, options.devices)
        found.append(replace(series, place=row, device=device, cycle=cycle, branch=branch))
    return found


def labels_of_line(
    table: NumericTable, keys: Sequence[int], row: int, devices: str
) -> tuple[str, int | None, Branch | None]:
    """Device, cycle and branch of a line of a table in rows."""
    label = " ".join(word for word in table.cells[row, keys] if word)
    cycle, branch = parse_name(label).cycle, branch_in(label)
    named = []
    for column in keys:
        if table.names[column].role == Role.CYCLE:
            number = table.numbers[row, column]
            cycle = None if np.isnan(number) else int(number)
        elif table.names[column].role in (Role.DEVICE, None):
            named.append(table.cells[row, column])
    if devices == "each":
        labels = [" ".join(w for w in table.cells[r, keys] if w) for r in range(len(table.cells))]
        each = label if label and labels.count(label) == 1 else f"line {table.lines[row]}"
        return each, cycle, branch
    words = " ".join(word for word in named if word)
    return (device_of_label(words) if devices == "auto" else "") or ONE_DEVICE, cycle, branch


def key_columns(table: NumericTable) -> list[int]:
    """The leading columns of a table in rows that are labels."""
    keys = []
    for column, name in enumerate(table.names):
        unnamed = not name.text and shape.is_counter(table.numbers[:, column])
        first = column == 0 and (unnamed or (table.kinds[:, 0] == TEXT).any())
        if not (first or table.labels[column] or name.role in LABELS):
            break
        keys.append(column)
    return keys


def header_pulses(table: NumericTable, first: int) -> np.ndarray | None:
    """Numbers of pulses in the names of columns `first` and on, [columns]; None if they tell none.

    Such as 0, 1, 2 … or p0, p1, p2 … or `pulse 10`, `pulse 20` …
    """
    names = [name.text for name in table.names[first:]]
    while names and not names[-1]:
        names.pop()
    pattern = r"(?:p|pulses?|puls|impuls(?:ion)?|n|#)?[\s_.#-]*(\d+(?:\.\d+)?)"
    matches = (re.fullmatch(pattern, name, re.IGNORECASE) for name in names)
    found = [match for match in matches if match]
    if len(names) < 3 or len(found) < len(names):
        return None
    pulses = np.array([float(each[1]) for each in found])
    if (np.diff(pulses) <= 0).any():
        return None
    return np.concatenate([pulses, np.full(len(table.names) - first - len(pulses), np.nan)])
