"""What the columns of a table hold: pulses, values, keys; and which of them were asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.options import HowToRead
from utils.measured.parsing.cells import NUMBER, TEXT
from utils.measured.parsing.names import name_and_unit, role
from utils.measured.parsing.table import Table

KEYS = ("device", "cycle", "branch")
LARGEST_VALUE = 9e37  # instruments write 9.9e37 for an overflow


def roles_of(table: Table) -> list[str | None]:
    """What each column holds, by its name; a cycle that rises with every line counts pulses."""
    roles = [role(name) for name in table.names]
    for column, each in enumerate(roles):
        if each in KEYS and "pulse" not in roles:
            numbers = table.values[:, column]
            if len(numbers) > 1 and not np.isnan(numbers).any() and (np.diff(numbers) > 0).all():
                roles[column] = "pulse"
    return roles


def value_columns(table: Table, roles: Sequence[str | None]) -> list[int]:
    """Of a long table: the columns called as values, else those whose names tell nothing."""
    numeric = (table.kinds == NUMBER).any(axis=0) & ~table.labels
    for wanted in ("value", None):
        found = [c for c, each in enumerate(roles) if each == wanted and numeric[c]]
        if found:
            return found
    return []


def counts_lines(table: Table, column: int) -> bool:
    """Whether a column without a name holds 0, 1, 2 … or 1, 2, 3 …, and others hold values."""
    numbers = table.values[:, column]
    others = (table.kinds == NUMBER).any(axis=0)
    others[column] = False
    return bool(
        not table.names[column] and others.any() and len(numbers) > 1
        and numbers[0] in (0, 1) and (np.diff(numbers) == 1).all()
    )  # fmt: skip


def header_pulses(table: Table, first: int) -> np.ndarray | None:
    """Numbers of pulses in the names of columns `first` and on, [columns]; None if they tell none.

    Such as 0, 1, 2 … or p0, p1, p2 … or `pulse 10`, `pulse 20` …
    """
    names = list(table.names[first:])
    while names and not names[-1]:
        names.pop()
    found = [re.fullmatch(r"(?:p|pulses?|n|#)?[\s_.#-]*(\d+(?:\.\d+)?)", n, re.I) for n in names]
    if len(names) < 3 or not all(found):
        return None
    pulses = np.array([float(each[1]) for each in found])
    if (np.diff(pulses) <= 0).any():
        return None
    return np.concatenate([pulses, np.full(len(table.names) - first - len(pulses), np.nan)])


def pulse_columns(table: Table, how: HowToRead, asked: Sequence[int]) -> list[int]:
    """Columns of pulses, each for the values on its right: as asked, by name, or by counting."""
    if how.pulses == "none":
        return []
    if how.pulses is not None:
        (column, *more) = select(table, [how.pulses], "--pulses")
        if more or column in asked:
            raise UserError(f"--pulses {how.pulses}: must be one column, and none of --columns")
        return [column]
    numeric = (table.kinds == NUMBER).any(axis=0) & ~table.labels
    roles = roles_of(table)
    named = [c for c, each in enumerate(roles) if each == "pulse" and numeric[c] and c not in asked]
    if named and numeric.sum() > len(named):
        return named
    if any("pulse" in table.names[column].lower() for column in named):
        raise table.error(
            int(table.lines[0]), named[0], "pulses, but no column has values for them"
        )
    return [0] if numeric[0] and 0 not in asked and counts_lines(table, 0) else []


def select(table: Table, words: Sequence[str], option: str) -> list[int]:
    """Columns, counted from 0, that words name: numbers from 1, ranges such as 2-5, or names."""
    chosen: list[int] = []
    width = len(table.names)
    for word in words:
        if found := re.fullmatch(r"(\d+)(?:-(\d+))?", word):
            low, high = int(found[1]), int(found[2] or found[1])
            if not 1 <= low <= high <= width:
                raise UserError(
                    f"{option} {word}: {table.path} has columns 1 to {width}; choose among them"
                )
            matches = list(range(low - 1, high))
        else:
            named = [(c, name) for c, name in enumerate(table.names) if name]
            asked = name_and_unit(word)
            matches = [c for c, name in named if name == word or (name, table.units[c]) == asked]
            matches = matches or [c for c, name in named if name.lower() == word.lower()]
            if not matches:
                names = ", ".join(dict.fromkeys(name for _, name in named)) or "none has a name"
                raise UserError(
                    f"{option} {word}: no such column in {table.path}; its names: {names}"
                )
        chosen += [column for column in matches if column not in chosen]
    return chosen


def readings(
    table: Table, lines: np.ndarray, columns: np.ndarray, left_out: list[str]
) -> np.ndarray:
    """Which cells of a ramp, given by row [n] and column [n], hold a reading: indices into them.

    Empty cells after the last reading are the end of a short ramp, those before the first were not
    measured yet; within the ramp the pulse counts, and that its reading is missing gets a line in
    left_out. Raises UserError for text.
    """
    kinds = table.kinds[lines, columns]
    if len(text := np.flatnonzero(kinds == TEXT)):
        row, column = lines[text[0]], columns[text[0]]
        raise table.error(
            table.lines[row], column, f"'{table.cells[row, column]}' is text within a ramp, where "
            "there has to be a number or nothing",
        )  # fmt: skip
    found = np.flatnonzero(kinds == NUMBER)
    values = table.values[lines, columns]
    if len(huge := found[~(np.abs(values[found]) < LARGEST_VALUE)]):
        row, column = lines[huge[0]], columns[huge[0]]
        raise table.error(
            table.lines[row], column, f"{table.cells[row, column]} is an overflow of the "
            "instrument, no reading; empty the cell",
        )  # fmt: skip
    if len(found) and (holes := np.setdiff1d(np.arange(found[0], found[-1]), found)).size:
        row, column = lines[holes[0]], columns[holes[0]]
        left_out.append(
            f"line {table.lines[row]}, {table.title(column)}: no reading"
            + (f", as in {len(holes) - 1} further cells of its ramp" if len(holes) > 1 else "")
            + "; the pulse counts"
        )
    return found
