"""Where the numbers of a file begin, and which lines above them are their header.

In: the cells of a file. Out: a name for each column, with unit, and the row of the first numbers.
The header may have up to three lines, groups, names and units, or be a comment right above the
numbers:

    Device 1,, Device 2,
    pulse, G, pulse, G
    , uS, , uS
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from utils.measured.cells import COMMENT, EMPTY, NUMBER, NUMBERS, SPACES, TEXT, Grid
from utils.measured.names import Name, parse_name, with_branches
from utils.measured.vocabulary import KNOWN_UNIT, LABELS, Role

COUNT_UNIT = re.compile(r"n[or]?\.?|-", re.IGNORECASE)  # "unit" below the name of a pulse number
JUDGED_LINES = 5  # last lines with numbers; they show which columns hold labels


@dataclass(frozen=True)
class Header:
    """The names of columns, and where they stand; rows are counted from 0.

    row: that of the names, None if there are none. top: the first row of the header, which may name
    groups of columns. start: the first row of numbers. names: one per column, without text where
    there is none. groups: for each column, words in the row above the names that are not
    understood, or "".
    """

    row: int | None
    top: int
    start: int
    names: tuple[Name, ...]
    groups: tuple[str, ...]


def label_columns(grid: Grid) -> np.ndarray:
    """Which columns hold labels, bool [columns]: those that hold text in the last lines of numbers.

    The first column often has names of devices, not in every line: there most lines of the second
    half decide.
    """
    rows = grid.numeric_rows
    labels = (grid.kinds[rows[-JUDGED_LINES:]] == TEXT).all(axis=0)
    half = rows[-max(JUDGED_LINES, len(rows) // 2) :]
    labels[0] = (grid.kinds[half, 0] == TEXT).mean() > 0.5
    return labels


def find_header(grid: Grid, labels: np.ndarray) -> Header:
    """Find the header and the first row of numbers; labels: bool [columns], which hold labels.

    Raises UserError for a header that holds a number among its names.
    """
    numeric = grid.numeric_rows
    # Columns to the right of all numbers hold comments, or nothing.
    numbers = np.flatnonzero((grid.kinds == NUMBER).any(axis=0))
    comments = np.arange(len(labels)) > numbers[-1]
    kinds = np.where(labels | comments, EMPTY, grid.kinds)  # labels and comments do not matter
    has_only_numbers = (kinds == NUMBER).any(axis=1) & ~(kinds == TEXT).any(axis=1)
    start = int(np.argmax(has_only_numbers)) if has_only_numbers.any() else int(numeric[0])
    row = row_above(grid, labels, start)
    below = numeric[numeric > start]
    if row is None and len(below) and is_numbered_header(grid, labels, start, below[0]):
        row, start = start, int(below[0])
    units: list[str] = []
    groups: list[str] = []
    if row is None:
        row, names = comment_header(grid, start)
        top = start if row is None else row
    else:
        row, names, units = with_units(grid, row)
        top = row
        if grid.dialect.separator == SPACES:
            names = names_in(grid.text[row], len(grid.columns_in(start)))
        else:
            top, names, groups = with_groups(grid, row, names)
    names, units, groups = (
        [*words, *[""] * len(labels)][: len(labels)] for words in (names, units, groups)
    )
    return Header(row, top, start, with_branches([*map(parse_name, names, units)]), tuple(groups))


def is_numbered_header(grid: Grid, labels: np.ndarray, row: int, below: int) -> bool:
    """Whether the first line of numbers is a header that numbers the columns.

    It is if it counts 0, 1, 2 … or 1, 2, 3 … and the next line of numbers (row `below`) does not;
    or, where lines begin with labels, if it has rising integers and the next line has not.
    """
    first, second = grid.numbers[[row, below]]
    is_compared = ~np.isnan(first) & ~labels
    first, second = first[is_compared], second[is_compared]
    if grid.filled_rows[0] < row or len(first) < 3 or (np.diff(first) <= 0).any():
        return False
    if labels[0] and (first == np.floor(first)).all() and (second != np.floor(second)).any():
        return True
    is_count = (np.diff(first) == 1).all() and not (np.diff(second) == 1).all()
    return bool(is_count and first[0] in (0, 1))


def row_above(grid: Grid, labels: np.ndarray, start: int) -> int | None:
    """The row of the header above the numbers that start in row `start`; None if there is none.

    Raises UserError for a line of names and numbers, which may be a reading or the header.
    """
    rows_above = grid.filled_rows[grid.filled_rows < start]
    if not len(rows_above):
        return None
    row = int(rows_above[-1])
    kinds, filled, filled_below = grid.kinds[row], grid.columns_in(row), grid.columns_in(start)
    if not (kinds == NUMBER).any():
        is_wide_enough = (
            grid.dialect.separator == SPACES or filled[-1] >= filled_below[-1] or labels[0]
        )
        return row if is_wide_enough or with_units(grid, row)[0] != row else None
    words = grid.cells[row, filled]
    names = rows_above[-2:-1].tolist()  # the row above it, which may be the header
    is_named = bool(names) and bool((grid.kinds[names[0], filled_below] == TEXT).all())
    if not is_named and kinds[0] == TEXT and all(re.fullmatch(r"\d+", word) for word in words[1:]):
        return row  # a name, then numbers of devices or of pulses
    number_columns = filled_below[~labels[filled_below]]
    if is_named or (kinds[number_columns] == NUMBER).sum() >= max(1, len(number_columns) / 2):
        column = int(np.argmax((kinds == TEXT) & ~labels))
        if any(number.fullmatch(grid.cells[row, column]) for number in NUMBERS.values()):
            return None  # a number with another decimal mark is refused later, in better words
        raise grid.error(
            row,
            column,
            f"'{grid.cells[row, column]}' is not a number, and a line that holds numbers, too, "
            "cannot be the header; correct the cell (labels stand in every line), or put # before "
            "the line if it holds no reading",
        )
    return None


def with_units(grid: Grid, row: int) -> tuple[int, list[str], list[str]]:
    """The row of the names, the names, and the units, which may stand below the names.

    Plotting programs write names, units and comments, one below the other; the comments are added
    to the names. If the first column has no numbers, its cells only say what each line of the
    header is.
    """
    upwards = grid.filled_rows[grid.filled_rows <= row][::-1]
    lines = {line: grid.cells[line].tolist() for line in upwards}
    if (grid.kinds[grid.numeric_rows, 0] == EMPTY).all():
        lines = {line: ["", *cells[1:]] for line, cells in lines.items() if any(cells[1:])}
    for row_below, names in pairwise([*lines][:3]):
        units = units_below(lines[names], lines[row_below])
        if units and not (grid.kinds[names] == NUMBER).any():
            last = next(iter(lines))
            comments = lines[last] if row_below != last else [""] * len(units)
            words = zip(lines[names], comments, strict=True)
            return int(names), [f"{name} {comment}".strip() for name, comment in words], units
    return row, list(grid.cells[row]), []


def units_below(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The units in a row below names; an empty list if one of its cells is no unit."""
    units = [cell.strip("()[] ") for cell in cells]
    for column, (name, unit) in enumerate(zip(names, units, strict=True)):
        if COUNT_UNIT.fullmatch(unit) and parse_name(name).role == Role.PULSES:
            units[column] = ""
        elif unit and not KNOWN_UNIT.fullmatch(unit):
            return []
    return units if sum(map(bool, names)) >= sum(map(bool, units)) > 0 else []


def with_groups(grid: Grid, row: int, names: list[str]) -> tuple[int, list[str], list[str]]:
    """The first row of the header, the names with their groups, and groups that are not understood.

    A line above the names may group columns: `Device 1,, Device 2,`. A group stands above the first
    of its columns, since spreadsheets merge the cells. If groups are devices, cycles or branches,
    each is put before the names of its columns. If not, the third list has the group of each
    column.
    """
    rows_above = grid.filled_rows[grid.filled_rows < row]
    columns = grid.columns_in(rows_above[-1]) if len(rows_above) else np.zeros(0, int)
    cells = [str(grid.cells[rows_above[-1], column]) for column in columns]
    if cells and columns[0] == 0 and not is_known(first := parse_name(cells[0])):
        columns, cells = columns[1:], cells[1:]
        title = f"{first.text} " if first.role in LABELS else ""  # such as `cycle,1,1,2,2`
        cells = [cell if is_known(parse_name(cell)) else title + cell for cell in cells]
    groups = [parse_name(cell) for cell in cells]
    known = [is_known(group) for group in groups]
    pairs = zip(cells, columns, strict=True)
    are_letters = all(cell[:1] == chr(ord("A") + column) for cell, column in pairs)
    if len({*cells}) < 2 or are_letters or not all(names[column] for column in columns):
        return row, names, []  # A, B, C or A(X), B(Y) are of a spreadsheet
    # Which group each column has; -1 is none, as is that of a column without a name.
    group_at = np.searchsorted(columns, np.arange(len(names)), "right") - 1
    group_at[[not name for name in names]] = -1
    columns_in_group = list(zip(names, group_at.tolist(), strict=True))
    are_statistics = [group.has_words("error", "mean", "spread", "sd") for group in groups]
    if any(known) and all(map(any, zip(known, are_statistics, strict=True))):
        texts = [group.text for group in groups]
        names = [name if at < 0 else f"{texts[at]} {name}" for name, at in columns_in_group]
        return int(rows_above[-1]), names, []
    where = f"in line {grid.lines[rows_above[-1]]}"
    return row, names, ["" if at < 0 else f"'{cells[at]}' {where}" for at in group_at.tolist()]


def is_known(name: Name) -> bool:
    """Whether a name is that of a device, a cycle or a branch."""
    return bool(name.branch or name.device) or name.cycle is not None


def names_in(line: str, width: int) -> list[str]:
    """The names in a line, by the first separator that gives one for each of `width` columns.

    An empty list if none does. Spaces come last, as a name may have some: `G (uS)`.
    """
    for separator in ("(?!)", r"\t+", r"\s{2,}", ";", ",", r"\s+(?![(\[])", r"\s+"):
        names = [name.strip('", ') for name in re.split(separator, line.strip())]
        if len(names) == width:  # with the first way of a single column
            return names
    return []


def comment_header(grid: Grid, start: int) -> tuple[int | None, list[str]]:
    """Row and names of a header that is a comment: `# pulse G`, as NumPy's savetxt writes it."""
    rows_above = [row for row, line in enumerate(grid.text[:start]) if line.strip()]
    mark = COMMENT.match(grid.text[rows_above[-1]]) if rows_above else None
    if mark:
        line = grid.text[rows_above[-1]][mark.end() :].strip(' "')
        width = len(grid.columns_in(start))
        cells = grid.dialect.split(grid.text[rows_above[-1]])
        is_name = grid.dialect.separator != SPACES and cells[0] == "#" and len(cells) == width
        names = cells if is_name else names_in(line, width)
        are_words = names and not any(map(grid.dialect.number.fullmatch, names))
        if are_words and (width > 1 or parse_name(names[0]).role):
            return rows_above[-1], names
    return None, []
