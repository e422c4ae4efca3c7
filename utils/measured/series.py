"""Readings one after the other, whatever layout the file has that they come from.

In: cells of a row or a column. Out: their numbers, in the order of the file, with line and column
of each. Empty cells within a ramp are readings that are missing, and so is a single 0 far from all
other readings, which an instrument writes where it lost one:

    0.11, 0.12, , 0.14          0.11, 0.12, 0, 0.14
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from utils.errors import UserError
from utils.measured.cells import NUMBER, TEXT
from utils.measured.checks import Trend, trend
from utils.measured.column import Column
from utils.measured.measurement import Branch
from utils.measured.numeric_table import NumericTable, several, spread
from utils.measured.options import MIN_READINGS
from utils.measured.turns import without_spikes

ONE_DEVICE = "1"  # label of the only device of a file that does not name it
ARRAYS = ["rows", "columns", "values", "positions", "segments", "pulses"]  # fields of a series
MAX_VALUE = 9e37  # instruments write 9.9e37 for an overflow
MAX_LOST = 0.02  # of the readings of a series: more zeros are no lost readings
MIN_STEPS, MIN_STEPS_AT_END = 2.0, 3.0  # of the curve, between a lost reading and those beside it


@dataclass(eq=False)
class Series:
    """Readings of one device in the order of time, of one ramp or of several.

    table: the table in which they stand. rows, columns: int [n], where each stands, from 0. values:
    float64 [n]. positions: int [n], 0, 1, 2 …; missing readings are counted, too. segments: int
    [n]; where they change, another ramp begins for sure. pulses: float64 [n], as the file counts
    them (is_counted), or else the positions. counter: the column of the pulses, None if there is
    none. place: number of the series among those of the file. device: its label. cycle, branch,
    read: as the file names them, else None. follows: whether the readings come right after those of
    the series before, so that the device was in the state where that ended.

    Known only of a single ramp: its branch; ramp_before: in a train of pulses, the ramp of the
    other branch right before it; before: see `Ramp`.
    """

    table: NumericTable
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    pulses: np.ndarray
    is_counted: bool
    counter: Column | None = None
    place: int = 0
    device: str = ONE_DEVICE
    cycle: int | None = None
    branch: Branch | None = None
    read: int | None = None
    follows: bool = False
    ramp_before: Series | None = None
    before: float | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def column(self) -> Column:
        """The column of the first reading."""
        return self.table.columns[self.columns[0]]

    @cached_property
    def trend(self) -> Trend:
        """The trend of a single ramp over its pulses."""
        return trend(np.abs(self.pulses - self.pulses[0]), without_spikes(self.values))

    @property
    def way(self) -> Branch:
        """The branch of a single ramp by its values, as they stand in the file."""
        return "rising" if self.trend.change > 0 else "falling"

    @property
    def counts_down(self) -> bool:
        """Whether the pulses of a single ramp count down."""
        return bool(self.pulses[-1] < self.pulses[0])

    @property
    def size(self) -> float:
        """The range of a ramp, never negative."""
        return abs(self.trend.change)

    @property
    def fitted(self) -> np.ndarray:
        """The readings of a ramp on its trend, [n]."""
        return self.values - self.trend.residuals

    @property
    def lines(self) -> np.ndarray:
        """The lines of the file in which they stand, int [n]."""
        return self.table.lines[self.rows]

    @property
    def where(self) -> str:
        """Where the readings stand, in words."""
        lines = spread(self.lines[[0, -1]], "line")
        one_line = self.lines[0] == self.lines[-1]
        return lines if one_line else f"{self.column}, {lines}"

    def take(self, indices: np.ndarray | slice) -> Series:
        """Some of the readings."""
        return replace(self, **{name: getattr(self, name)[indices] for name in ARRAYS})

    def error(self, problem: str, at: int = 0) -> UserError:
        """A UserError about the reading of this index, which names its line and column."""
        return self.table.error(self.rows[at], self.columns[at], problem)

    def pulse_error(self, problem: str, at: int) -> UserError:
        """A UserError about the number of pulses of a reading, in its column if it has one."""
        place = self.counter.place if self.counter else self.columns[at]
        return self.table.error(self.rows[at], place, problem)

    def whole_error(self, problem: str) -> UserError:
        """A UserError about all of the readings."""
        return self.table.refusal(f"{self.where}: {problem}")


def series_in(
    table: NumericTable,
    rows: np.ndarray | int,
    columns: np.ndarray | int,
    pulses: np.ndarray | None,
) -> Series | None:
    """The readings in cells of a row or a column, [n]; None if there are none.

    Empty cells before the first reading and after the last one do not belong to the series. An
    empty cell between them, or a 0 that stands for a lost reading, is noted for the user, and its
    pulse is counted. pulses: [n], or None if no column counts them. Raises UserError for text.
    """
    rows, columns = np.broadcast_arrays(rows, columns)
    kinds, values = table.kinds[rows, columns], table.numbers[rows, columns]
    for is_wrong, problem in (
        (kinds == TEXT, "is text, but every cell of a ramp must hold a number or be empty"),
        (
            np.abs(values) >= MAX_VALUE,
            "is the overflow value of the instrument, not a reading; empty the cell",
        ),
    ):
        if is_wrong.any():
            row, column = rows[is_wrong][0], columns[is_wrong][0]
            raise table.error(row, column, f"'{table.cells[row, column]}' {problem}")
    present = np.flatnonzero(kinds == NUMBER)
    if not len(present):
        return None
    lost = lost_readings(values[present])

    def cell(index: int) -> str:
        return table.cell(int(rows[index]), int(columns[index]))

    for index in present[lost].tolist():
        table.left_out.append(
            f"{cell(index)}: a reading of 0, far from all others, which the instrument has lost; "
            "the pulse counts all the same"
        )
    empty = np.setdiff1d(np.arange(present[0], present[-1]), present).tolist()
    present = np.delete(present, lost)
    if len(empty):
        tail = f", nor in {several([len(empty) - 1], 'more cell')} of this ramp"
        table.left_out.append(
            f"{cell(empty[0])}: no reading{tail if len(empty) > 1 else ''}; the pulse counts all "
            "the same"
        )
    return Series(
        table,
        rows[present],
        columns[present],
        values[present],
        present,
        np.zeros_like(present),
        present.astype(float) if pulses is None else pulses[present],
        pulses is not None,
    )


def lost_readings(values: np.ndarray) -> np.ndarray:
    """Indices of readings [n] of exactly 0 that are far from all others, which have one sign.

    The readings beside it have to be further from 0 than two steps of the curve there. At an end, a
    0 may be the state before a first pulse that does more than others; there it is three of the
    largest steps of the curve.
    """
    zeros = np.flatnonzero(values == 0)
    nonzero = np.abs(np.delete(values, zeros))
    may_be_lost = 0 < len(zeros) <= max(1, MAX_LOST * len(values)) and len(nonzero) >= MIN_READINGS
    if not may_be_lost or np.ptp(np.sign(np.delete(values, zeros))):
        return zeros[:0]
    largest, padded = np.abs(np.diff(nonzero)).max(), np.pad(nonzero, 2, constant_values=np.nan)
    is_lost = []
    for number, index in enumerate(zeros.tolist()):
        before_last, last, first, second = padded[index - number : index - number + 4]
        step = MIN_STEPS_AT_END * largest
        if not np.isnan(last + first):  # the step over the gap is of two pulses
            steps = np.abs([last - before_last, (first - last) / 2, second - first])
            step = MIN_STEPS * np.nanmax(steps)
        is_lost.append(np.nanmin([last, first]) > step)
    return zeros[is_lost]
