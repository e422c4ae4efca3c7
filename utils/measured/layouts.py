"""Which layout a table has: ramps in columns, in lines behind their labels, or in a long table."""

from __future__ import annotations

import re

import numpy as np

from utils.measured import column_shapes as shape
from utils.measured.cells import NUMBER, TEXT
from utils.measured.names import CLOCK_TIME
from utils.measured.numeric_table import NumericTable
from utils.measured.options import MIN_READINGS
from utils.measured.vocabulary import LABELS, WORDS, Role, words

STEEPER = 3.0  # times that lines change more than columns, if they are the ramps


def layout_of(table: NumericTable) -> str:
    """columns, rows or long: by the names, by labels, else by where the numbers change more."""
    enough = (table.kinds == NUMBER).sum(axis=1).max() >= MIN_READINGS
    labels = len(key_columns(table))
    if labels and enough and header_pulses(table, labels) is not None:
        return "rows"
    keys = [c for c, name in enumerate(table.names) if name.role in LABELS or is_id(table, c)]
    groups = len({tuple(row) for row in table.cells[:, keys]})
    if keys and table.numeric.any() and groups <= len(table.cells) / 2:
        return "long"
    if any(name.text for name in table.names) and not table.labels[0]:
        return "columns" if header_pulses(table, 0) is None else "rows"
    if not enough or table.names[0].role == Role.TIME or CLOCK_TIME.search(table.cells[0, 0]):
        return "columns"
    tall = len(table.cells) >= MIN_READINGS
    return "rows" if not tall or lines_are_steeper(table) else "columns"


def is_id(table: NumericTable, column: int) -> bool:
    """Whether a column that is named ID, or without a name the first one, holds labels of devices:
    words or integers that stay the same over many lines."""
    name, cells = table.names[column], table.cells[:, column]
    known = {*words(name.text)}
    if not (known <= WORDS["label number"] and "id" in known) and (
        known or name.text or column > 0
    ):
        return False
    is_text = (table.kinds[:, column] == TEXT).any()
    if name.unit or not (is_text or (known and shape.are_integers(table.numbers[:, column]))):
        return False
    labels = [cell for cell in cells if cell]
    repeats = 1 < len({*labels}) <= len(labels) / 5
    return repeats and (is_text or int((cells[1:] != cells[:-1]).sum()) <= len(cells) / 5)


def lines_are_steeper(table: NumericTable) -> bool:
    """Whether values change more from the first to the last of a line than of a column."""

    def change(rows: np.ndarray) -> float:
        present = [shape.known(row) for row in rows]
        return float(np.median([abs(row[-1] - row[0]) for row in present if len(row) > 1] or [0.0]))

    values = table.numbers[:, ~table.labels]
    if shape.is_counter(values[:, 0]):
        values = values[:, 1:]
    if values.shape[1] < MIN_READINGS:
        return False
    return change(values) > change(values.T) * (1 if table.labels[0] else STEEPER)


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

    Such as 0, 1, 2 … or p0, p1, p2 … or `pulse 10`, `pulse 20` …; NaN behind the last name.
    """
    pattern = r"(?:p|pulses?|puls|impuls(?:ion)?|n|#)?[\s_.#-]*(\d+(?:\.\d+)?)"
    names = [name.text for name in table.names[first:]]
    found = [re.fullmatch(pattern, name, re.IGNORECASE) for name in names]
    pulses = np.array([float(each[1]) if each else np.nan for each in found])
    named = pulses[: 1 + max((place for place, name in enumerate(names) if name), default=-1)]
    return pulses if len(named) >= 3 and (np.diff(named) > 0).all() else None
