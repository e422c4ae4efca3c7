"""From a grid of cells to a table: the lines with numbers, and the names above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.measured.parsing.cells import EMPTY, NUMBER, TEXT, Grid, wrong_dialect
from utils.measured.parsing.head import (
    commented_header,
    counts,
    header_above,
    label_columns,
    names_above,
    rejoined,
)
from utils.measured.parsing.names import name_and_unit
from utils.measured.parsing.text import SPACES, Dialect

JUDGED = 5  # last lines with numbers, by which it is told which columns hold labels


@dataclass(frozen=True, eq=False)
class Table:
    """The lines of a file that hold numbers, and what stands above them.

    names, units: a column each, "" and None where nothing tells; header: line of the names; lines:
    int [rows], counted from 1; cells, kinds, values: [rows, columns], the words, what they are, and
    float64 with NaN where there is no number; labels: bool [columns], whether text is expected
    there; blocks: int [rows], which of several tables one below the other; left_out: for the user.
    """

    path: str
    dialect: Dialect
    names: tuple[str, ...]
    units: tuple[str | None, ...]
    header: int | None
    lines: np.ndarray
    cells: np.ndarray
    kinds: np.ndarray
    values: np.ndarray
    labels: np.ndarray
    blocks: np.ndarray
    left_out: tuple[str, ...]

    def title(self, column: int) -> str:
        """`column 3 (G)`: how a column, counted from 0, is called towards the user."""
        name = self.names[column]
        return f"column {column + 1}" + (f" ({name})" if name else "")

    def error(self, line: int, column: int, problem: str) -> UserError:
        """What is wrong with a cell. line: counted from 1; column: from 0."""
        return UserError(f"{self.path}: line {line}, {self.title(column)}: {problem}")


def table_of(lines: Sequence[str], path: str, decimal: str) -> Table:
    """Find the numbers of a file and the header above them. decimal: point, comma, or auto.

    Raises UserError for a file without numbers, for lines of different separators, for more cells
    than there are columns, and for text in what looks like the first line of numbers.
    """
    grid = Grid.of(lines, path, decimal)
    numeric = np.flatnonzero((grid.kinds == NUMBER).any(axis=1))
    if not len(numeric):
        raise UserError(
            f"{path}: lines 1 to {len(lines)}: no numbers in any column; name the file of the curve"
        )
    if (grid.cells[:, 0] == "DataValue").any():
        return instrument_table(grid)
    labels = label_columns(grid.kinds, numeric)
    plain = np.where(labels, EMPTY, grid.kinds)  # as if the labels were not there
    clean = (plain == NUMBER).any(axis=1) & ~(plain == TEXT).any(axis=1)
    start = int(np.argmax(clean)) if clean.any() else int(numeric[0])
    head = header_above(grid, labels, start)
    below = numeric[numeric > start]
    if head is None and len(below) and counts(grid, labels, start, below[0]):
        head, start = start, int(below[0])
    units: Sequence[str] = ()
    if head is not None and (above := names_above(grid, head)) is not None:
        head, units = above, grid.cells[head]
    names = () if head is None else grid.cells[head]
    if head is not None and grid.dialect.separator == SPACES:
        names = rejoined(grid, grid.lines[head], start)
    if head is None:
        head, names = commented_header(grid, start)
    rows = np.arange(start, len(lines))[(grid.kinds[start:] != EMPTY).any(axis=1)]
    check(grid, rows, names, start)
    left_out = left_over(grid, head, start, rows, int(numeric[-1]))
    rows = rows[rows <= numeric[-1]]
    return assemble(grid, rows, names, units, head, labels, np.zeros(len(rows), int), left_out)


def assemble(
    grid: Grid,
    rows: np.ndarray,
    names: Sequence[str],
    units: Sequence[str],
    head: int | None,
    labels: np.ndarray,
    blocks: np.ndarray,
    left_out: Sequence[str],
) -> Table:
    """A table of these rows of the grid; names and units may be fewer than columns."""
    width = grid.cells.shape[1]
    parts = [name_and_unit(name) for name in [*names, *[""] * width][:width]]
    units = [unit.strip("()[] ") for unit in [*units, *[""] * width][:width]]
    return Table(
        grid.path, grid.dialect, tuple(name for name, _ in parts),
        tuple(below or unit for (_, unit), below in zip(parts, units, strict=True)),
        None if head is None else head + 1, rows + 1, grid.cells[rows], grid.kinds[rows],
        grid.numbers(rows), labels, blocks, tuple(left_out),
    )  # fmt: skip


def check(grid: Grid, rows: np.ndarray, names: Sequence[str], start: int) -> None:
    """Raise UserError for lines that are divided in another way than the others."""
    for row in range(start):
        why = [wrong_dialect(cell, grid.dialect) for cell in grid.cells[row] if cell]
        if why and all(why):
            raise grid.error(row, 0, why[0])
    for row, column in np.argwhere(grid.kinds[rows] == TEXT):
        if why := wrong_dialect(grid.cells[rows[row], column], grid.dialect):
            raise grid.error(rows[row], column, why)
    filled = np.flatnonzero([bool(name) for name in names])
    known = int(filled[-1]) + 1 if len(filled) else 0
    width = max(known, int(np.flatnonzero(grid.kinds[start] != EMPTY)[-1]) + 1)
    beyond = np.argwhere(grid.kinds[rows, width:] != EMPTY)
    if len(beyond):
        row, column = rows[beyond[0, 0]], width + beyond[0, 1]
        raise grid.error(
            row, column, f"'{grid.cells[row, column]}' stands behind the {width} cells that line "
            f"{start + 1} has: text, mixed separators, or a decimal comma where commas divide; "
            "write all lines alike",
        )  # fmt: skip


def left_over(grid: Grid, head: int | None, start: int, rows: np.ndarray, last: int) -> list[str]:
    """What of the text around the numbers is not used, for the user."""
    first = start if head is None else head
    above = np.flatnonzero((grid.kinds[:first] != EMPTY).any(axis=1))
    lines = []
    if len(above):
        lines.append(f"{spread(above + 1, 'line')}: text above the numbers")
    below = rows[rows > last]
    if len(below):
        lines.append(f"{spread(below + 1, 'line')}: text below the numbers")
    return lines


def spread(numbers: np.ndarray, what: str) -> str:
    """`line 3`, or `lines 3 to 7`."""
    low, high = int(numbers[0]), int(numbers[-1])
    return f"{what} {low}" if low == high else f"{what}s {low} to {high}"


def instrument_table(grid: Grid) -> Table:
    """The lines `DataValue, …` below their `DataName, …`, as source-measure units export them.

    Each further DataName begins another block, that is, another ramp.
    """
    rows = np.flatnonzero(grid.cells[:, 0] == "DataValue")
    heads = np.flatnonzero(grid.cells[:, 0] == "DataName")
    heads = heads[heads < rows[-1]]
    blocks = np.searchsorted(heads, rows)
    names = ["", *grid.cells[heads[0]][1:]] if len(heads) else []
    for head in heads[1:]:
        if list(grid.cells[head][1:]) != names[1:]:
            raise grid.error(
                head, 0, "the block below has other names than the first; save each in its own file"
            )
    check(grid, rows, names, int(rows[0]))
    labels = np.zeros(grid.cells.shape[1], bool)
    grid.kinds[:, 0] = EMPTY  # the word DataValue has said what it has to say
    others = np.setdiff1d(np.flatnonzero((grid.cells != "").any(axis=1)), [*rows, *heads])
    left_out = [f"{len(others)} lines of the instrument's header"] if len(others) else []
    head = int(heads[0]) if len(heads) else None
    return assemble(grid, rows, names, (), head, labels, blocks, left_out)
