"""Where the numbers of a file begin, and which line above them is their header."""

from __future__ import annotations

import re

import numpy as np

from utils.measured.parsing.cells import EMPTY, NUMBER, TEXT, Grid
from utils.measured.parsing.names import is_unit, name_and_unit, role
from utils.measured.parsing.text import COMMENT, SEPARATORS, SPACES, Dialect

JUDGED = 5  # last lines with numbers, by which it is told which columns hold labels


def label_columns(kinds: np.ndarray, numeric: np.ndarray) -> np.ndarray:
    """bool [columns]: those that hold text where others hold numbers, line by line.

    In the first column, where devices have their names, most of the last lines decide.
    """
    last = kinds[numeric[-JUDGED:]] == TEXT
    labels = last.all(axis=0)
    labels[0] = last[:, 0].mean() > 0.5
    return labels


def counts(grid: Grid, labels: np.ndarray, row: int, below: int) -> bool:
    """Whether a line of numbers, with nothing above it, is a header; below: the next such line.

    It is if it counts 0, 1, 2 … or 1, 2, 3 … where the next line does not, or has integers that
    rise behind a word where the others have their labels.
    """
    if (grid.kinds[:row] != EMPTY).any():
        return False
    first, second = grid.numbers(np.array([row, below]))
    there = ~np.isnan(first) & ~labels
    if there.sum() < 3 or (np.diff(first[there]) <= 0).any():
        return False
    integers = [bool((np.floor(each) == each)[there].all()) for each in (first, second)]
    if labels[0] and integers == [True, False]:
        return True
    steps, low = np.diff(first[there]), first[there][0]
    return bool((steps == 1).all() and low in (0, 1) and not (np.diff(second[there]) == 1).all())


def header_above(grid: Grid, labels: np.ndarray, start: int) -> int | None:
    """The row of the header of numbers that start in this row; None if there is none."""
    above = np.flatnonzero((grid.kinds[:start] != EMPTY).any(axis=1))
    if not len(above):
        return None
    head = int(above[-1])
    kinds = grid.kinds[head]
    width = int(np.flatnonzero(grid.kinds[start] != EMPTY)[-1]) + 1
    filled = np.flatnonzero(kinds != EMPTY)
    if not (kinds == NUMBER).any():
        fits = grid.dialect.separator == SPACES or filled[-1] + 1 >= width or labels[0]
        return head if fits else None
    words = grid.cells[head, filled]
    if kinds[0] == TEXT and all(re.fullmatch(r"\d+", word) for word in words[1:]):
        return head  # a name, then numbers of devices or of pulses
    if len(filled) == grid.count(start):
        column = int(np.argmax((kinds == TEXT) & ~labels))
        raise grid.error(
            head, column, f"'{grid.cells[head, column]}' is no number, and the line no header "
            "since it holds numbers, too; correct it, or put # before it",
        )  # fmt: skip
    return None


def names_above(grid: Grid, head: int) -> int | None:
    """The row of names, if the row right above the numbers holds only units; else None."""
    filled = [cell for cell in grid.cells[head] if cell]
    above = np.flatnonzero((grid.kinds[:head] != EMPTY).any(axis=1))
    if not len(above) or not all(map(is_unit, filled)):
        return None
    names = int(above[-1])
    fits = grid.count(names) >= len(filled) and not (grid.kinds[names] == NUMBER).any()
    return names if fits else None


def rejoined(grid: Grid, line: str, start: int) -> list[str]:
    """Names in a line that only spaces divide: `G (uS)` is one; none if they are no names."""
    line, width = line.strip(), grid.count(start)
    ways = ("(?!)", r"\t+", r"\s{2,}", r"\s+(?![(\[])", r"\s+")  # the first for a single column
    for names in (re.split(way, line) for way in ways):
        if len(names) == width:
            return [name.strip('" ') for name in names]
    return []


def commented_header(grid: Grid, start: int) -> tuple[int | None, list[str]]:
    """Names that stand in a comment right above the numbers, as NumPy's savetxt writes them."""
    above = [row for row in range(start) if grid.lines[row].strip()]
    if not above or not (found := COMMENT.match(grid.lines[above[-1]])):
        return None, []
    line = grid.lines[above[-1]][found.end() :].strip(' "')
    width = grid.count(start)
    for separator in (grid.dialect.separator, *SEPARATORS):
        names = Dialect(separator, "point").split(line)
        if separator == SPACES:
            names = rejoined(grid, line, start)
        if len(names) == width and not any(grid.dialect.number.fullmatch(name) for name in names):
            tells = [role(name_and_unit(name)[0]) for name in names]
            if width > 1 or tells[0]:
                return above[-1], names
    return None, []
