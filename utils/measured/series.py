"""Readings as they stand one after the other in a file, whatever layout it has."""

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
ARRAYS = ["rows", "columns", "values", "positions", "segments", "pulses"]  # of a series
MAX_VALUE = 9e37  # instruments write 9.9e37 for an overflow
MAX_LOST = 0.02  # of the readings of a series that may be lost ones
MIN_STEPS, MIN_STEPS_AT_END = 2.0, 3.0  # by which a lost one is away from those beside it


@dataclass(eq=False)
class Series:
    """Readings of one device in the order of time, of one ramp or of several.

    table: in which they stand. rows, columns: int [n], where each stands, from 0. values: float64
    [n]. positions: int [n], 0, 1, 2 … with those that lack a reading. segments: int [n]; another
    ramp begins for sure where they change. pulses: float64 [n] as the file counts them, or else the
    positions; is_counted: which of the two. counter: the column in which they stand, None if in
    none. place: of series side by side, in the order of the file. device: its label; cycle, branch,
    read: as the file names them, else None. follows: whether the readings come right after those of
    the series before, so that the device was in the state where that ended. Of a single ramp its
    branch becomes known, and then, in a train of pulses, ramp_before: the ramp of the other branch
    right before it; before: see `Ramp`.
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
        """That of the first reading."""
        return self.table.columns[self.columns[0]]

    @cached_property
    def trend(self) -> Trend:
        """That of a single ramp."""
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

    def take(self, part: np.ndarray | slice) -> Series:
        """Some of the readings."""
        return replace(self, **{name: getattr(self, name)[part] for name in ARRAYS})

    def error(self, problem: str, at: int = 0) -> UserError:
        """What is wrong with a reading."""
        return self.table.error(self.rows[at], self.columns[at], problem)

    def pulse_error(self, problem: str, at: int) -> UserError:
        """What is wrong with a reading's number of pulses, which may have a column of its own."""
        place = self.counter.place if self.counter else self.columns[at]
        return self.table.error(self.rows[at], place, problem)

    def whole_error(self, problem: str) -> UserError:
        """What is wrong with all of the readings."""
        return self.table.refusal(f"{self.where}: {problem}")


def series_in(
    table: NumericTable,
    rows: np.ndarray | int,
    columns: np.ndarray | int,
    pulses: np.ndarray | None,
) -> Series | None:
    """The readings in cells of a row or a column, [n]; None if there are none.

    Empty cells after the last reading are the end of a short ramp, those before the first were not
    measured yet; within the ramp the pulse counts, and that its reading is missing is said. So it
    is where an instrument has written 0 for a reading that it lost.
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
            row, column = rows[wrong][0], columns[wrong][0]
            raise table.error(row, column, f"'{table.cells[row, column]}' {problem}")
    found = np.flatnonzero(kinds == NUMBER)
    if not len(found):
        return None
    lost = lost_readings(values[found])

    def cell(at: int) -> str:
        return table.cell(int(rows[at]), int(columns[at]))

    for at in found[lost].tolist():
        table.left_out.append(
            f"{cell(at)}: a reading of 0, far from all others, which the instrument has lost; the "
            "pulse counts all the same"
        )
    empty = np.setdiff1d(np.arange(found[0], found[-1]), found).tolist()
    found = np.delete(found, lost)
    if len(empty):
        more = f", nor in {several([len(empty) - 1], 'more cell')} of this ramp"
        table.left_out.append(
            f"{cell(empty[0])}: no reading{more if len(empty) > 1 else ''}; the pulse counts all "
            "the same"
        )
    return Series(
        table,
        rows[found],
        columns[found],
        values[found],
        found,
        np.zeros_like(found),
        found.astype(float) if pulses is None else pulses[found],
        pulses is not None,
    )


def lost_readings(values: np.ndarray) -> np.ndarray:
    """Indices of readings [n] of exactly 0 that stand far from all others, which have one sign.

    Far: the readings beside it are more than two steps of the curve there away from 0. At an end it
    may be the state before a first pulse that does more than others, so that three of the largest
    steps count.
    """
    zeros = np.flatnonzero(values == 0)
    others = np.abs(np.delete(values, zeros))
    few = 0 < len(zeros) <= max(1, MAX_LOST * len(values)) and len(others) >= MIN_READINGS
    if not few or np.ptp(np.sign(np.delete(values, zeros))):
        return zeros[:0]
    largest, padded = np.abs(np.diff(others)).max(), np.pad(others, 2, constant_values=np.nan)
    lost = []
    for number, at in enumerate(zeros.tolist()):
        before_last, last, first, second = padded[at - number : at - number + 4]
        step = MIN_STEPS_AT_END * largest
        if not np.isnan(last + first):  # the step over the gap is of two pulses
            steps = np.abs([last - before_last, (first - last) / 2, second - first])
            step = MIN_STEPS * np.nanmax(steps)
        lost.append(np.nanmin([last, first]) > step)
    return zeros[lost]
