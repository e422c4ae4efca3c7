"""Which layout a table has: ramps in columns, in lines behind their labels, or in a long table.

In: a table of numbers. Out: "columns", "rows" or "long":

    columns   pulse, D1, D2      rows   , 1, 2, 3            long   device, pulse, G
              1, 0.1, 0.2               D1, 0.1, 0.2, 0.3           D1, 1, 0.1
"""

from __future__ import annotations

import re

import numpy as np

from utils.measured.cells import NUMBER, TEXT
from utils.measured.column import Column
from utils.measured.names import CLOCK_TIME
from utils.measured.numeric_table import NumericTable
from utils.measured.options import MIN_READINGS
from utils.measured.vocabulary import LABELS, Role

STEEPER = 3.0  # ramps are in lines if lines change by so many times more than columns


def layout_of(table: NumericTable) -> str:
    """columns, rows or long: by names, by labels, else by whether lines or columns change more."""
    first, labels = table.columns[0], len(key_columns(table))
    enough = (table.kinds == NUMBER).sum(axis=1).max() >= MIN_READINGS
    if labels and enough and header_pulses(table, labels) is not None:
        return "rows"
    keys = [c.place for c in table.columns if c.name.role in LABELS or c.is_id]
    groups = len({tuple(row) for row in table.cells[:, keys]})
    if keys and table.numeric and groups <= len(table.cells) / 2:
        return "long"
    if any(column.name.text for column in table.columns) and not first.has_labels:
        return "columns" if header_pulses(table, 0) is None else "rows"
    if not enough or first.name.role == Role.TIME or CLOCK_TIME.search(table.cells[0, 0]):
        return "columns"
    tall = len(table.cells) >= MIN_READINGS
    return "rows" if not tall or lines_are_steeper(table) else "columns"


def lines_are_steeper(table: NumericTable) -> bool:
    """Whether values change more from the first to the last of a line than of a column."""

    def change(lines: np.ndarray) -> float:
        known = [line[~np.isnan(line)] for line in lines]
        return float(np.median([abs(x[-1] - x[0]) for x in known if len(x) > 1] or [0.0]))

    columns = [column for column in table.columns if not column.has_labels]
    columns = columns[1:] if columns[0].counts else columns
    if len(columns) < MIN_READINGS:
        return False
    values = np.stack([column.numbers for column in columns], axis=1)
    return change(values) > change(values.T) * (1 if table.columns[0].has_labels else STEEPER)


def key_columns(table: NumericTable) -> list[Column]:
    """The leading columns of a table in rows that are labels."""
    keys = []
    for column in table.columns:
        is_first = column.place == 0 and (
            (not column.name.text and column.counts) or (column.kinds == TEXT).any()
        )
        if not (is_first or column.has_labels or column.name.role in LABELS):
            break
        keys.append(column)
    return keys


def header_pulses(table: NumericTable, first: int) -> np.ndarray | None:
    """Numbers of pulses that are the names of the columns from `first` on, [columns]; None if not.

    Such names are 0, 1, 2 … or p0, p1, p2 … or `pulse 10`, `pulse 20` …; NaN without a name.
    """
    pattern = r"(?:p|pulses?|puls|impuls(?:ion)?|n|#)?[\s_.#-]*(\d+(?:\.\d+)?)"
    names = [column.name.text for column in table.columns[first:]]
    matches = [re.fullmatch(pattern, name, re.IGNORECASE) for name in names]
    pulses = np.array([float(match[1]) if match else np.nan for match in matches])
    named = pulses[: 1 + max((place for place, name in enumerate(names) if name), default=-1)]
    return pulses if len(named) >= 3 and (np.diff(named) > 0).all() else None
