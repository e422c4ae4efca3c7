"""The lines of a file that hold numbers, and the columns that they form, with names and units.

In: the cells of a file. Out: a table of its numbers. Text above and below it is left out, and
noted; text within it is refused, such as the mark of thousands in the second line here:

    pulse; G
    1; 1,003.5
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from utils.errors import UserError
from utils.measured.cells import EMPTY, NUMBER, NUMBERS, SEPARATORS, TEXT, Dialect, Grid
from utils.measured.column import Column
from utils.measured.header import Header, find_header, label_columns
from utils.measured.vocabulary import has_words

MARKS = "has a mark of thousands; write all numbers without such marks"
NO_NUMBERS = {  # what is wrong with texts among the numbers
    # A list as programs write it: `up = [0.11` or `0.9]`.
    "is a number in brackets; write a table of plain numbers": re.compile(
        r"(^|[=:])\s*[\[{]\s*[-+.]?\d[\d.eE+-]*$|^[-+.\d][\d.eE+-]*\s*[\]}];?$"
    ),
    "is not a number; give the value, and its error in a column of its own": re.compile("±"),
    MARKS: re.compile(r"^[+-]?\d{1,3}((,\d{3})+\.\d+|(\.\d{3})+,\d+|(['’\s]\d{3})+([.,]\d+)?)$"),
}
MAY_HAVE_MARKS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")


@dataclass(frozen=True, eq=False)
class NumericTable(Grid):
    """The lines of a grid that hold numbers, and what stands above each column.

    header: the line of the names, None if there is none. blocks: int [rows], the number of the
    block, where a file has several blocks of lines, one below the other. left_out: sentences for
    the user, what is not used of the file; notes: what else he should know. Reading adds to both.
    """

    columns: tuple[Column, ...]
    header: int | None
    blocks: np.ndarray
    left_out: list[str]
    notes: list[str] = field(default_factory=list)

    def title(self, *places: int) -> str:
        """`column 3 (G)`, or `columns 2 to 9 (D1 … D8)`: neighbours, counted from 0."""
        names = [self.columns[place].name.text for place in places]
        words = ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]}"
        numbers = spread((places[0] + 1, places[-1] + 1), "column")
        return numbers + (f" ({words})" if names[0] else "")

    def header_error(self, column: int, problem: str) -> UserError:
        """A UserError about the name of a column, or about what it means."""
        line = self.header or self.lines[0]
        return self.refusal(f"line {line}, {self.title(column)}: {problem}")

    @property
    def numeric(self) -> list[Column]:
        """Those columns that hold numbers, and no labels."""
        return [column for column in self.columns if column.is_numeric]

    def of(self, *roles: str) -> list[Column]:
        """The columns that have one of these roles."""
        return [column for column in self.columns if column.role in roles]


def spread(numbers: Sequence[int] | np.ndarray, what: str) -> str:
    """`line 3`, or `lines 3 to 7`."""
    low, high = int(numbers[0]), int(numbers[-1])
    return f"{what} {low}" if low == high else f"{what}s {low} to {high}"


def several(counts: Sequence[int], noun: str) -> str:
    """`1 ramp`, `3 ramps`, `2 to 3 ramps`."""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} {noun}{'' if high == 1 else 's'}"


def find_numbers(grid: Grid) -> NumericTable:
    """The table of the numbers of a grid, with its header.

    Raises UserError for a file without numbers, for lines with different separators, for a line
    with more cells than columns, and for text in the first line of numbers.
    """
    blocks, left_out = instrument_blocks(grid)
    if not len(grid.numeric_rows):
        raise grid.refusal(
            f"lines 1 to {len(grid.cells)}: no column holds numbers; give the file, or the "
            "--sheet, of the measured curve"
        )
    labels, filled = label_columns(grid), grid.filled_rows
    last = last_row(grid, labels)
    header = find_header(grid, labels)
    check_separators(grid, header)
    for side, rows in (("above", filled[filled < header.top]), ("below", filled[filled > last])):
        if len(rows):
            left_out.append(f"{spread(rows + 1, 'line')}: text {side} the numbers")
    rows = filled[(filled >= header.start) & (filled <= last)]
    part = {name: getattr(grid, name)[rows] for name in ("lines", "cells", "kinds", "numbers")}
    factors = np.array([name.factor for name in header.names])
    part["numbers"] *= np.where(np.isnan(factors), 1.0, factors)
    notes = [
        f"column {column + 1} ({header.names[column].text}): its name says that pulses are "
        f"{factors[column]:g} times as many"
        for column in np.flatnonzero(~np.isnan(factors) & (factors != 1))
    ]
    words, kinds, numbers = part["cells"].T.tolist(), part["kinds"].T, part["numbers"].T
    fields = (header.names, header.groups, words, kinds, numbers, labels.tolist())
    return NumericTable(
        **vars(grid) | part,
        columns=tuple(map(Column, range(len(labels)), *fields)),
        header=None if header.row is None else header.row + 1,
        blocks=blocks[rows],
        left_out=left_out,
        notes=notes,
    )


def last_row(grid: Grid, labels: np.ndarray) -> int:
    """The last row of readings: below it a spreadsheet may hold means, errors and the like, whose
    names stand in a column of numbers.

    labels: bool [columns], which of them hold words in every row.
    """
    *others, last = grid.numeric_rows
    are_numbers = (grid.kinds[grid.numeric_rows] == NUMBER).mean(axis=0) > 0.5
    for row in [last, *reversed(others)]:
        words = grid.cells[row, (grid.kinds[row] == TEXT) & ~labels & are_numbers]
        if not any(has_words(word, "mean", "spread", "error", "sd") for word in words):
            return int(row)
    return int(last)


def instrument_blocks(grid: Grid) -> tuple[np.ndarray, list[str]]:
    """The number of the block of each row, int [rows], and sentences on what is left out.

    Source-measure units export lines `DataName, …`, each followed by lines `DataValue, …`. Each
    such block is another ramp. All other cells of such a file are emptied. Other files are one
    block.
    """
    first_cells = grid.cells[:, 0].copy()
    is_values, name_rows = first_cells == "DataValue", np.flatnonzero(first_cells == "DataName")
    if not is_values.any():
        return np.zeros(len(first_cells), int), []
    for name_row in name_rows[name_rows < np.flatnonzero(is_values)[-1]].tolist():
        if list(grid.cells[name_row]) != list(grid.cells[name_rows[0]]):
            raise grid.error(
                name_row,
                0,
                "this block names other columns than the first; save each block in its own file",
            )
    n_others = len(np.setdiff1d(grid.filled_rows, [*np.flatnonzero(is_values), *name_rows]))
    is_values[name_rows[:1]] = True
    for array, empty in ((grid.cells, ""), (grid.kinds, EMPTY), (grid.numbers, np.nan)):
        array[~is_values] = array[:, 0] = empty
    left_out = [f"{n_others} lines of the instrument's header"] if n_others else []
    return np.searchsorted(name_rows, np.arange(len(first_cells))), left_out


def check_separators(grid: Grid, header: Header) -> None:
    """Raise UserError for text among the numbers, other separators, and lines of too many cells."""
    texts = np.argwhere(grid.kinds == TEXT).tolist()
    for (problem, pattern), (row, column) in product(NO_NUMBERS.items(), texts):
        if row >= header.start and pattern.search(grid.cells[row, column]):
            raise grid.error(row, column, f"'{grid.cells[row, column]}' {problem}")
    check_thousands(grid, header)
    for row, column in texts:
        cell, is_below = grid.cells[row, column], row >= header.start
        cells = [cell] if is_below else grid.cells[row, grid.kinds[row] == TEXT]
        if all(wrong_dialect(text, grid.dialect) for text in cells):
            raise grid.error(row, column, wrong_dialect(cell, grid.dialect) or "")
    named = [column for column, name in enumerate(header.names) if name.text or name.unit]
    width = 1 + max([*named, *grid.columns_in(header.start)])
    for row, column in np.argwhere(grid.kinds[header.start :, width:] != EMPTY)[:1].tolist():
        cell = grid.cells[header.start + row, width + column]
        raise grid.error(
            header.start + row,
            width + column,
            f"'{cell}' is one cell too many, since line {header.start + 1} has {width}; look for "
            "text, mixed separators, or decimal commas where commas separate cells, and write all "
            "lines alike",
        )


def check_thousands(grid: Grid, header: Header) -> None:
    """Raise UserError for `1.003` or `1,003` in a column of integers up to 999: it may be 1003."""
    for column, cells in enumerate(grid.cells[header.start :].T.tolist()):
        marked = [row for row, cell in enumerate(cells) if MAY_HAVE_MARKS.fullmatch(cell)]
        small = [cell for cell in cells if re.fullmatch(r"[+-]?\d{1,3}", cell)]
        are_all = marked and len(marked) + len(small) == sum(map(bool, cells))
        if are_all and any(abs(int(cell)) > 99 for cell in small):
            cell = cells[marked[0]]
            raise grid.error(header.start + marked[0], column, f"'{cell}' {MARKS}")


def wrong_dialect(cell: str, dialect: Dialect) -> str | None:
    """Why a text is no number, if it would be one or several in another dialect; else None."""
    for candidate in (Dialect(*pair) for pair in product(SEPARATORS, NUMBERS)):
        words = [word for word in candidate.split(cell) if word]
        if words and all(map(candidate.number.fullmatch, words)):
            meaning = f"{several([len(words)], 'number')} with another separator"
            if words == [cell]:
                meaning = f"a number with a decimal {candidate.decimal}"
            return (
                f"mixed separators: '{cell}' is {meaning}, but the file has {dialect}; write all "
                "lines alike"
            )
    return None
