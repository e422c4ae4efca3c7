"""Readings as they stand one after the other in a file, whatever layout it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from utils.errors import UserError
from utils.measured.grid import NUMBER, TEXT
from utils.measured.measurement import Branch
from utils.measured.numeric_table import NumericTable, spread

ONE_DEVICE = "1"  # label of the only device of a file that does not name it
MAX_VALUE = 9e37  # instruments write 9.9e37 for an overflow


@dataclass(frozen=True, eq=False)
class Series:
    """Readings of one device in the order of time, of one ramp or of several.

    place: of series side by side, in the order of the file. device: its label; cycle, branch, read:
    as the file names them, else None. lines, columns: int [n], where each reading stands, lines
    from 1 and columns from 0. values: float64 [n]. pulses: float64 [n] as the file counts them,
    None where it does not. pulse_column: where they stand, None if in no column. breaks: indices at
    which another ramp begins for sure. counted: float64 [n], 0, 1, 2 … with the pulses that lack a
    reading.
    """

    place: int
    device: str
    cycle: int | None
    branch: Branch | None
    read: int | None
    lines: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    pulses: np.ndarray | None
    pulse_column: int | None
    breaks: tuple[int, ...] = ()
    counted: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, part: np.ndarray | slice) -> Series:
        """Some of the readings."""
        pulses, counted = (None if x is None else x[part] for x in (self.pulses, self.counted))
        return replace(
            self,
            lines=self.lines[part],
            columns=self.columns[part],
            values=self.values[part],
            pulses=pulses,
            counted=counted,
            breaks=(),
        )

    def error(self, table: NumericTable, problem: str, at: int = 0) -> UserError:
        return table.error(int(self.lines[at]), int(self.columns[at]), problem)

    def pulse_error(self, table: NumericTable, problem: str, at: int) -> UserError:
        """The error of a reading's number of pulses, where that stands in a column of its own."""
        column = self.columns[at] if self.pulse_column is None else self.pulse_column
        return table.error(int(self.lines[at]), int(column), problem)

    def where(self, table: NumericTable) -> str:
        """Where it stands, in words."""
        if self.lines[0] == self.lines[-1]:
            return f"line {self.lines[0]}"
        return f"{table.title(int(self.columns[0]))}, {spread(self.lines[[0, -1]], 'line')}"


def readings(
    table: NumericTable, rows: np.ndarray, columns: np.ndarray, left_out: list[str]
) -> np.ndarray:
    """Which cells of a series, given by row [n] and column [n], hold a reading: indices into them.

    Empty cells after the last reading are the end of a short ramp, those before the first were not
    measured yet; within the ramp the pulse counts, and that its reading is missing gets a line in
    left_out. Raises UserError for text.
    """
    kinds = table.kinds[rows, columns]
    if len(text := np.flatnonzero(kinds == TEXT)):
        row, column = int(rows[text[0]]), int(columns[text[0]])
        raise table.error(
            table.lines[row],
            column,
            f"'{table.cells[row, column]}' is text within a ramp, where "
            "there has to be a number or nothing",
        )
    found = np.flatnonzero(kinds == NUMBER)
    values = table.numbers[rows, columns]
    if len(huge := found[~(np.abs(values[found]) < MAX_VALUE)]):
        row, column = int(rows[huge[0]]), int(columns[huge[0]])
        raise table.error(
            table.lines[row],
            column,
            f"{table.cells[row, column]} is an overflow of the "
            "instrument, no reading; empty the cell",
        )
    if len(found) and (holes := np.setdiff1d(np.arange(found[0], found[-1]), found)).size:
        row, column = int(rows[holes[0]]), int(columns[holes[0]])
        left_out.append(
            f"line {table.lines[row]}, {table.title(column)}: no reading"
            + (f", as in {len(holes) - 1} further cells of its ramp" if len(holes) > 1 else "")
            + "; the pulse counts"
        )
    return found
