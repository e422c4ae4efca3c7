"""Curves as they stand in a file: readings that know their places."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from utils.errors import UserError
from utils.measured.parsing.table import Table

ONE_DEVICE = "1"  # label of the only device of a file that does not name it


@dataclass(frozen=True, eq=False)
class Curve:
    """Readings of one device, one after the other.

    device: its label; cycle: the number that the file gives, or None; lines, columns: int [n],
    where each reading stands, lines from 1 and columns from 0; pulses: float64 [n], received before
    it, NaN where a line lacks them; pulse_column: where they stand, None if in no column; values:
    float64 [n].
    """

    device: str
    cycle: int | None
    lines: np.ndarray
    columns: np.ndarray
    pulses: np.ndarray
    pulse_column: int | None
    values: np.ndarray

    def __getitem__(self, part: slice) -> Curve:
        return replace(
            self, lines=self.lines[part], columns=self.columns[part], pulses=self.pulses[part],
            values=self.values[part],
        )  # fmt: skip

    def error(self, table: Table, problem: str, at: int = 0) -> UserError:
        return table.error(int(self.lines[at]), int(self.columns[at]), problem)

    def place(self, table: Table) -> str:
        """Where it stands, in words."""
        lines, title = (int(self.lines[0]), int(self.lines[-1])), table.title(int(self.columns[0]))
        if lines[0] == lines[1]:
            return f"line {lines[0]}"
        return f"{title}, lines {lines[0]} to {lines[1]}"

    def restarted(self, first: float) -> Curve:
        """The same with pulses that start at this number."""
        return replace(self, pulses=self.pulses - self.pulses[0] + first)


@dataclass(eq=False)
class Curves:
    """What a layout found: the curves, what repeats the choice, and lines for the user."""

    curves: list[Curve]
    columns: list[int]  # of the values
    pulses: str  # what --pulses would say
    pulses_from: str
    devices_from: str
    left_out: list[str] = field(default_factory=list)
