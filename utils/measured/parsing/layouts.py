"""Which layout a table has, and its curves."""

from __future__ import annotations

import re

import numpy as np

from utils.measured.checks import FEWEST
from utils.measured.parsing.by_column import from_columns
from utils.measured.parsing.by_line import from_long, from_rows, key_columns
from utils.measured.parsing.cells import NUMBER
from utils.measured.parsing.columns import (
    KEYS,
    counts_lines,
    header_pulses,
    roles_of,
    value_columns,
)
from utils.measured.parsing.table import Table

LAYOUTS = {"columns": from_columns, "rows": from_rows, "long": from_long}
STEEPER = 3.0  # times that lines change more than columns, if they are the ramps


def layout_of(table: Table) -> str:
    """columns, rows or long: by the names, by labels, else by where the numbers change more."""
    roles = roles_of(table)
    enough = (table.kinds == NUMBER).sum(axis=1).max() >= FEWEST
    labels = len(key_columns(table))
    if labels and enough and header_pulses(table, labels) is not None:
        return "rows"
    keys = [column for column, each in enumerate(roles) if each in KEYS]
    groups = len({tuple(row) for row in table.cells[:, keys]})
    if keys and value_columns(table, roles) and groups <= len(table.cells) / 2:
        return "long"
    if any(table.names) and not table.labels[0] and header_pulses(table, 0) is None:
        return "columns"
    if not enough or roles[0] == "time" or is_time(table.cells[0, 0]):
        return "columns"
    tall = len(table.cells) >= FEWEST
    return "rows" if not tall or lines_are_steeper(table) else "columns"


def is_time(cell: str) -> bool:
    return bool(re.search(r"\d:\d|\d{4}-\d\d-\d\d", cell))


def lines_are_steeper(table: Table) -> bool:
    """Whether values change more from the first to the last of a line than of a column."""

    def change(rows: np.ndarray) -> float:
        known = [row[~np.isnan(row)] for row in rows]
        return float(np.median([abs(row[-1] - row[0]) for row in known if len(row) > 1] or [0.0]))

    values = table.values[:, ~table.labels]
    if counts_lines(table, 0):
        values = values[:, 1:]
    along, across = change(values), change(values.T)
    return along > (across if table.labels[0] else STEEPER * across)
