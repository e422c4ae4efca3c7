"""Readings as they stand one after the other in a file, whatever layout it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from utils.errors import UserError
from utils.measured.cells import NUMBER, TEXT
from utils.measured.measurement import Branch
from utils.measured.numeric_table import NumericTable, several, spread

ONE_DEVICE = "1"  # label of the only device of a file that does not name it
MAX_VALUE = 9e37  # instruments write 9.9e37 for an overflow


@dataclass(frozen=True, eq=False)
class Series:
    """Readings of one device in the order of time, of one ramp or of several.

    table: in which they stand. lines, columns: int [n], where each stands, lines from 1 and columns
    from 0. values: float64 [n]. pulses: float64 [n] as the file counts them, or else 0, 1, 2 … with
    the pulses that lack a reading; is_counted: which of the two. pulse_column: where they stand,
    None if in no column. place: of series side by side, in the order of the file. device: its
    label; cycle, branch, read: as the file names them, else None. breaks: indices at which another
    ramp begins for sure. follows: whether the readings come right after those of the series before,
    so that the device was in the state where that ended.
    """

    table: NumericTable
    lines: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    pulses: np.ndarray
    is_counted: bool
    pulse_column: int | None = None
    place: int = 0
    device: str = ONE_DEVICE
    cycle: int | None = None
    branch: Branch | None = None
    read: int | None = None
    breaks: tuple[int, ...] = ()
    follows: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def column(self) -> int:
        """That of the first reading."""
        return int(self.columns[0])

    @property
    def where(self) -> str:
        """Where the readings stand, in words."""
        lines = spread(self.lines[[0, -1]], "line")
        one_line = self.lines[0] == self.lines[-1]
        return lines if one_line else f"{self.table.title(self.column)}, {lines}"

    def take(self, part: np.ndarray | slice) -> Series:
        """Some of the readings, without breaks."""
        names = ("lines", "columns", "values", "pulses")
        return replace(self, **{name: getattr(self, name)[part] for name in names}, breaks=())

    def error(self, problem: str, at: int = 0) -> UserError:
        """What is wrong with a reading."""
        return self.table.error(int(self.lines[at]), int(self.columns[at]), problem)

    def pulse_error(self, problem: str, at: int) -> UserError:
        """What is wrong with a reading's number of pulses, which may have a column of its own."""
        column = self.columns[at] if self.pulse_column is None else self.pulse_column
        return self.table.error(int(self.lines[at]), int(column), problem)

    def whole_error(self, problem: str) -> UserError:
        """What is wrong with all of the readings."""
        return UserError(f"{self.table.path}: {self.where}: {problem}")


def series_in(
    table: NumericTable,
    rows: np.ndarray | int,
    columns: np.ndarray | int,
    pulses: np.ndarray | None,
) -> Series | None:
    """The readings in cells of a row or a column, [n]; None if there are none.

    Empty cells after the last reading are the end of a short ramp, those before the first were not
    measured yet; within the ramp the pulse counts, and that its reading is missing is said.
    pulses: [n]. Raises UserError for text.
    """
    rows, columns = np.broadcast_arrays(rows, columns)
    kinds, values = table.kinds[rows, columns], table.numbers[rows, columns]
    for wrong, problem in (
        (kinds == TEXT, "is text, but every cell of a ramp must hold a number or be empty"),
        (
            np.abs(values) >= MAX_VALUE,
            "is the overflow value of the instrument, not a reading; empty the cell",
        ),
    ):
        if wrong.any():
            row, column = rows[wrong][0], int(columns[wrong][0])
            cell = table.cells[row, column]
            raise table.error(int(table.lines[row]), column, f"'{cell}' {problem}")
    found = np.flatnonzero(kinds == NUMBER)
    if not len(found):
        return None
    if len(holes := np.setdiff1d(np.arange(found[0], found[-1]), found)):
        more = f", nor in {several([len(holes) - 1], 'more cell')} of this ramp"
        table.left_out.append(
            f"line {table.lines[rows[holes[0]]]}, {table.title(int(columns[holes[0]]))}: "
            f"no reading{more if len(holes) > 1 else ''}; the pulse counts all the same"
        )
    return Series(
        table,
        table.lines[rows[found]],
        columns[found],
        values[found],
        found.astype(float) if pulses is None else pulses[found],
        pulses is not None,
    )
