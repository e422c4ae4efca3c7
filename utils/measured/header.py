"""Where the numbers of a file begin, and which lines above them are their header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from utils.measured.cells import COMMENT, EMPTY, NUMBER, NUMBERS, SPACES, TEXT, Grid
from utils.measured.names import Name, parse_name, with_branches
from utils.measured.vocabulary import KNOWN_UNIT, LABELS, Role

COUNT_UNIT = re.compile(r"n[or]?\.?|-", re.IGNORECASE)  # as it stands below a name of pulses
JUDGED_LINES = 5  # last lines with numbers, which show the columns of labels


@dataclass(frozen=True)
class Header:
    """Rows from 0. row: of the names, None if there are none; top: of the first line that names
    columns, which may hold groups of them; start: of the first numbers.

    names: one per column, without a text where there is none; groups: what stands above each name
    in a line of its own and is not understood, "" where nothing does.
    """

    row: int | None
    top: int
    start: int
    names: tuple[Name, ...]
    groups: tuple[str, ...]


def label_columns(grid: Grid) -> np.ndarray:
    """bool [columns]: those that hold text where others hold numbers, line by line.

    In the first column, where devices have their names, most lines of the second half decide.
    """
    rows = grid.numeric_rows
    labels = (grid.kinds[rows[-JUDGED_LINES:]] == TEXT).all(axis=0)
    half = rows[-max(JUDGED_LINES, len(rows) // 2) :]
    labels[0] = (grid.kinds[half, 0] == TEXT).mean() > 0.5
    return labels


def find_header(grid: Grid, labels: np.ndarray) -> Header:
    """Raises UserError for a header that holds a number among its names."""
    numeric = grid.numeric_rows
    # Columns right of all numbers hold comments, or nothing.
    numbers = np.flatnonzero((grid.kinds == NUMBER).any(axis=0))
    comments = np.arange(len(labels)) > numbers[-1]
    plain = np.where(labels | comments, EMPTY, grid.kinds)  # as if they were not there
    clean = (plain == NUMBER).any(axis=1) & ~(plain == TEXT).any(axis=1)
    start = int(np.argmax(clean)) if clean.any() else int(numeric[0])
    row = row_above(grid, labels, start)
    below = numeric[numeric > start]
    if row is None and len(below) and counts(grid, labels, start, below[0]):
        row, start = start, int(below[0])
    units: list[str] = []
    groups: list[str] = []
    if row is None:
        row, names = commented(grid, start)
        top = start if row is None else row
    else:
        row, names, units = with_units(grid, row)
        top = row
        if grid.dialect.separator == SPACES:
            names = names_in(grid.text[row], len(grid.columns_in(start)))
        else:
            top, names, groups = below_groups(grid, row, names)
    names, units, groups = (
        [*words, *[""] * len(labels)][: len(labels)] for words in (names, units, groups)
    )
    return Header(row, top, start, with_branches([*map(parse_name, names, units)]), tuple(groups))


def counts(grid: Grid, labels: np.ndarray, row: int, below: int) -> bool:
    """Whether a line of numbers, with nothing above it, is a header; below: the next such line.

    It is if it counts 0, 1, 2 … or 1, 2, 3 … where the next line does not, or has integers that
    rise behind a word where the others have their labels.
    """
    first, second = grid.numbers[[row, below]]
    there = ~np.isnan(first) & ~labels
    first, second = first[there], second[there]
    if grid.filled_rows[0] < row or len(first) < 3 or (np.diff(first) <= 0).any():
        return False
    if labels[0] and (first == np.floor(first)).all() and (second != np.floor(second)).any():
        return True
    steps = (np.diff(first) == 1).all() and not (np.diff(second) == 1).all()
    return bool(steps and first[0] in (0, 1))


def row_above(grid: Grid, labels: np.ndarray, start: int) -> int | None:
    """The row of the header of numbers that start in this row; None if there is none."""
    above = grid.filled_rows[grid.filled_rows < start]
    if not len(above):
        return None
    row = int(above[-1])
    kinds, filled, below = grid.kinds[row], grid.columns_in(row), grid.columns_in(start)
    if not (kinds == NUMBER).any():
        fits = grid.dialect.separator == SPACES or filled[-1] >= below[-1] or labels[0]
        return row if fits or with_units(grid, row)[0] != row else None
    words = grid.cells[row, filled]
    names = above[-2:-1].tolist()  # the row above, which may hold the names
    is_named = bool(names) and bool((grid.kinds[names[0], below] == TEXT).all())
    if not is_named and kinds[0] == TEXT and all(re.fullmatch(r"\d+", word) for word in words[1:]):
        return row  # a name, then numbers of devices or of pulses
    inside = below[~labels[below]]
    if is_named or (kinds[inside] == NUMBER).sum() >= max(1, len(inside) / 2):
        column = int(np.argmax((kinds == TEXT) & ~labels))
        if any(number.fullmatch(grid.cells[row, column]) for number in NUMBERS.values()):
            return None  # a number of another dialect, which has a better refusal
        raise grid.error(
            row,
            column,
            f"'{grid.cells[row, column]}' is not a number, and a line that holds numbers, too, "
            "cannot be the header; correct the cell (labels stand in every line), or put # before "
            "the line if it holds no reading",
        )
    return None


def with_units(grid: Grid, row: int) -> tuple[int, list[str], list[str]]:
    """The row of names, and names and units, where the row right above the numbers holds units, or
    comments below units, as plotting programs write them.

    Above a first column that is empty they write what the lines of the header are.
    """
    lines = {at: grid.cells[at].tolist() for at in grid.filled_rows[grid.filled_rows <= row][::-1]}
    if (grid.kinds[grid.numeric_rows, 0] == EMPTY).all():
        lines = {at: ["", *cells[1:]] for at, cells in lines.items() if any(cells[1:])}
    for at, names in pairwise([*lines][:3]):
        units = units_below(lines[names], lines[at])
        if units and not (grid.kinds[names] == NUMBER).any():
            last = next(iter(lines))
            comments = lines[last] if at != last else [""] * len(units)
            words = zip(lines[names], comments, strict=True)
            return int(names), [f"{name} {comment}".strip() for name, comment in words], units
    return row, list(grid.cells[row]), []


def units_below(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The units that cells hold, below a name each or more; none if they hold something else."""
    units = [cell.strip("()[] ") for cell in cells]
    for column, (name, unit) in enumerate(zip(names, units, strict=True)):
        if COUNT_UNIT.fullmatch(unit) and parse_name(name).role == Role.PULSES:
            units[column] = ""
        elif unit and not KNOWN_UNIT.fullmatch(unit):
            return []
    return units if sum(map(bool, names)) >= sum(map(bool, units)) > 0 else []


def below_groups(grid: Grid, row: int, names: list[str]) -> tuple[int, list[str], list[str]]:
    """Names, each behind its group where a line above names devices, cycles or branches; and the
    group of each, where it is something else. The first item is the row of that line, or of names.

    A group stands above the first of its columns; spreadsheets merge the cells. In the first column
    the line may have a name.
    """
    above = grid.filled_rows[grid.filled_rows < row]
    columns = grid.columns_in(above[-1]) if len(above) else np.zeros(0, int)
    cells = [str(grid.cells[above[-1], column]) for column in columns]
    if cells and columns[0] == 0 and not is_known(first := parse_name(cells[0])):
        columns, cells = columns[1:], cells[1:]
        title = f"{first.text} " if first.role in LABELS else ""  # such as `cycle,1,1,2,2`
        cells = [cell if is_known(parse_name(cell)) else title + cell for cell in cells]
    groups = [parse_name(cell) for cell in cells]
    known = [is_known(group) for group in groups]
    letters = [cell[:1] == chr(ord("A") + at) for cell, at in zip(cells, columns, strict=True)]
    if len({*cells}) < 2 or all(letters) or not all(names[column] for column in columns):
        return row, names, []  # A, B, C or A(X), B(Y) are of a spreadsheet
    at = np.searchsorted(columns, np.arange(len(names)), "right") - 1
    has_group = [bool(name) and group >= 0 for name, group in zip(names, at, strict=True)]
    pairs = list(zip(names, at, has_group, strict=True))
    made = [group.has_words("error", "mean", "spread", "sd") for group in groups]
    if any(known) and all(map(any, zip(known, made, strict=True))):
        names = [f"{groups[group].text} {name}" if has else name for name, group, has in pairs]
        return int(above[-1]), names, []
    where = f"in line {grid.lines[above[-1]]}"
    return row, names, [f"'{cells[group]}' {where}" if has else "" for _, group, has in pairs]


def is_known(group: Name) -> bool:
    """Whether a name is that of a device, a cycle or a branch."""
    return bool(group.branch or group.device) or group.cycle is not None


def names_in(line: str, width: int) -> list[str]:
    """As many names as columns, if any separator gives so many: `G (uS)` is one, after spaces."""
    for way in ("(?!)", r"\t+", r"\s{2,}", ";", ",", r"\s+(?![(\[])", r"\s+"):
        names = [name.strip('", ') for name in re.split(way, line.strip())]
        if len(names) == width:  # with the first way of a single column
            return names
    return []


def commented(grid: Grid, start: int) -> tuple[int | None, list[str]]:
    """Row and names of a comment right above the numbers, as NumPy's savetxt writes them."""
    above = [row for row, line in enumerate(grid.text[:start]) if line.strip()]
    mark = COMMENT.match(grid.text[above[-1]]) if above else None
    if mark:
        line, width = grid.text[above[-1]][mark.end() :].strip(' "'), len(grid.columns_in(start))
        cells = grid.dialect.split(grid.text[above[-1]])
        is_name = grid.dialect.separator != SPACES and cells[0] == "#" and len(cells) == width
        names = cells if is_name else names_in(line, width)
        are_words = names and not any(map(grid.dialect.number.fullmatch, names))
        if are_words and (width > 1 or parse_name(names[0]).role):
            return above[-1], names
    return None, []
