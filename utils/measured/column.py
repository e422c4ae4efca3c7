"""A column of a table: its name, its cells, what its numbers look like, and which role it has.

In: the name and the cells of a column. Out: whether it counts (0, 1, 2 …), whether it is a setpoint
(0, 0.5, 1.0 …), whether it goes back through the same values, as a sweep does, and more of this
kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from utils.measured.cells import NUMBER, TEXT
from utils.measured.names import Name
from utils.measured.vocabulary import WORDS, Role, words

STEADY = 0.05  # of the size of a drive: if it changes by less, it is steady
ALIKE = 3.0  # largest ratio of the ranges of two columns that may hold the same quantity


@dataclass(eq=False)
class Column:
    """A column of a table and what it holds.

    place: its number from 0. name: what its header means. group: as in `Header`. cells, kinds,
    numbers: [rows], as those of a `Grid`. has_labels: whether it holds labels, not numbers. role:
    what it holds; why: the reason for this role. Both are printed.
    """

    place: int
    name: Name
    group: str
    cells: list[str]
    kinds: np.ndarray
    numbers: np.ndarray
    has_labels: bool
    role: str = Role.UNKNOWN
    why: str = ""

    def __str__(self) -> str:
        """`column 3 (G)`."""
        return f"column {self.number}" + (f" ({self.name.text})" if self.name.text else "")

    @property
    def number(self) -> int:
        """Its number for the user, from 1."""
        return self.place + 1

    def add(self, text: str) -> None:
        """Add to `why` what was done to the column, once."""
        if text not in self.why.split("; "):
            self.why += f"; {text}"

    @cached_property
    def known(self) -> np.ndarray:
        """Its numbers without the cells that hold none; [at most rows]."""
        return self.numbers[~np.isnan(self.numbers)]

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, and no labels."""
        return not self.has_labels and bool((self.kinds == NUMBER).any())

    @property
    def is_whole(self) -> bool:
        """Whether it holds integers."""
        return bool(len(self.known) and (self.known == np.floor(self.known)).all())

    @property
    def is_constant(self) -> bool:
        """Whether it has numbers, all equal but for rounding."""
        x = self.known
        return bool(len(x) and np.ptp(x) <= 1e-9 * np.abs(x).max())

    @cached_property
    def counts(self) -> bool:
        """Whether its numbers count 0, 1, 2 … or 1, 2, 3 …, or down to 0 or 1.

        They may do so again and again, each number may stand several times in a row, and a few may
        be missing.
        """
        if not self.is_whole or self.known.min() not in (0, 1):
            return False
        x = self.known[np.diff(self.known, prepend=-1) != 0]
        if len(np.unique(x)) < 3 or not {x[0], x[-1]} & {0, 1}:
            return False
        steps = np.diff(x)
        restarts = (steps < -1) & np.isin(x[1:], (0, 1))
        return float((np.abs(steps) == 1).sum()) >= 0.8 * max(1, (~restarts).sum())

    @property
    def rises(self) -> bool:
        """Whether every number is larger than the one before."""
        return len(self.known) > 1 and bool((np.diff(self.known) > 0).all())

    @property
    def runs_on(self) -> bool:
        """Whether most of its steps have the same sign as the step before, as in a sweep."""
        steps = np.diff(self.known)
        return len(steps) > 6 and float((steps[1:] * steps[:-1] > 0).mean()) >= 0.8

    @property
    def is_setpoint(self) -> bool:
        """Whether it changes in equal steps, and all numbers are multiples of the step.

        So do drives, times and counters, but not readings.
        """
        steps = np.abs(np.diff(self.known))
        step = float(np.median(steps)) if len(steps) > 3 else 0.0
        if step == 0:
            return False
        # Numbers have four digits or more.
        rounding = 10.0 ** (np.floor(np.log10(np.abs(self.known).max())) - 3)
        near = min(0.1 * step, rounding)
        off_grid = np.abs(self.known / step - np.round(self.known / step)) * step
        return bool((np.abs(steps - step) <= near).mean() > 0.95 and (off_grid <= 2 * near).all())

    @property
    def moves(self) -> bool:
        """Whether a drive has more than one value for pulses of a polarity."""
        sides = (self.known[self.known > 0], self.known[self.known < 0])
        return any(len(x) and np.ptp(x) > STEADY * np.abs(x).max() for x in sides)

    @property
    def alternates(self) -> bool:
        """Whether a drive changes from line to line between one value, as of a read, and one or two
        others, as of the writes of either polarity."""
        values, counts = np.unique(self.known, return_counts=True)
        share = counts.max() / max(1, len(self.known))
        is_changed = np.diff(self.known) != 0
        return len(values) in (2, 3) and 0.4 < share < 0.6 and float(is_changed.mean()) > 0.9

    @property
    def retraces(self) -> bool:
        """Whether it goes back through exactly the same values, as only a sweep does."""
        numbers, turn = self.known, int(np.argmax(self.known))
        length = min(turn, len(numbers) - 1 - turn)
        if length < 5 or numbers[turn] == numbers[turn - length]:
            return False
        back, forth = numbers[turn + 1 : turn + 1 + length], numbers[turn - length : turn][::-1]
        return float((back == forth).mean()) > 0.9

    @property
    def is_smooth(self) -> bool:
        """Whether it changes little from one number to the next, compared with its whole range."""
        x = self.known
        if len(x) < 3 or not np.isfinite(x).all():
            return False
        return float(np.mean(np.diff(x) ** 2)) < 0.5 * float(np.var(x))

    def is_like(self, other: Column) -> bool:
        """Whether both columns may hold readings of the same quantity.

        They have about as many numbers, ranges of similar size that overlap, and are smooth.
        """
        a, b = self.known, other.known
        if not 0.8 <= len(a) / len(b) <= 1.25 or not (self.is_smooth and other.is_smooth):
            return False
        meet = min(a.max(), b.max()) > max(a.min(), b.min())
        return bool(meet and 1 / ALIKE < np.ptp(a) / np.ptp(b) < ALIKE)

    def changes_sign_with(self, other: Column) -> bool:
        """Whether both change their signs in the same lines, as voltage and current do."""
        pair = np.nan_to_num([self.numbers, other.numbers])
        a, b = pair[:, (pair != 0).all(axis=0)] > 0
        if len(a) < 8 or min(a.mean(), 1 - a.mean(), b.mean(), 1 - b.mean()) < 0.1:
            return False
        return abs(float((a == b).mean()) - 0.5) > 0.45

    @property
    def is_id(self) -> bool:
        """Whether a column that is named ID, or a first column without a name, labels devices.

        Its words or integers then stay the same over many lines.
        """
        words_of_name = {*words(self.name.text)}
        is_named = "id" in words_of_name and words_of_name <= WORDS["label number"]
        is_first = self.place == 0 and not self.name.text
        is_text = bool((self.kinds == TEXT).any())
        may_label = is_text or (is_named and self.is_whole)
        if self.name.unit or not (is_named or is_first) or not may_label:
            return False
        labels = [cell for cell in self.cells if cell]
        n_changes = sum(cell != before for before, cell in pairwise(self.cells))
        repeats = 1 < len({*labels}) <= len(labels) / 5
        return repeats and (is_text or n_changes <= len(self.cells) / 5)


def column_for(response: Column, columns: Sequence[Column]) -> Column | None:
    """The one of these columns, of times or pulses, that belongs to a response.

    It is the nearest to the left, else the first one; None if there is none.
    """
    to_the_left = [column for column in columns if column.place < response.place]
    return next(iter(to_the_left[::-1] or columns), None)


def assign(columns: Iterable[Column], role: str, why: str) -> None:
    """Give columns a role, and the reason for it."""
    for column in columns:
        column.role, column.why = role, why
