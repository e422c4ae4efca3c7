"""From lines of text to a grid of cells, and which of them are numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.measured.parsing.text import COMMENT, DIALECTS, SPACES, Dialect, sniff

EMPTY, NUMBER, MISSING, TEXT = range(4)  # kinds of cells
NOT_READ = re.compile(r"nan|n/?a|none|null|-+|\+?9\.910*e\+?37", re.IGNORECASE)  # 9.91e37: SCPI
UNIT_SEPARATOR = "\x1f"  # stands in no text, since control characters are refused
LARGEST_GRID = 20_000_000  # cells


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a file, a row for each of its lines; lines of comments are empty.

    lines: as they stand in the file; cells: str [lines, columns]; kinds: int [lines, columns].
    """

    path: str
    dialect: Dialect
    lines: Sequence[str]
    cells: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, lines: Sequence[str], path: str, decimal: str) -> Grid:
        """decimal: point, comma, or auto. Raises UserError for more cells than any curve has."""
        dialect = sniff(lines, decimal)
        cells = split(lines, dialect, path)
        return cls(path, dialect, lines, cells, kinds_of(cells, dialect))

    def count(self, row: int) -> int:
        """Number of cells of a line that are not empty."""
        return int((self.kinds[row] != EMPTY).sum())

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """float64 [rows, columns], NaN where there is no number."""
        values = np.full((len(rows), self.cells.shape[1]), np.nan)
        there = self.kinds[rows] == NUMBER
        words = self.cells[rows][there].astype(str)
        if self.dialect.decimal == "comma":
            words = np.char.replace(words, ",", ".")
        for exponent in "dD":
            words = np.char.replace(words, exponent, "e")
        values[there] = words.astype(float)
        return values

    def error(self, row: int, column: int, problem: str) -> UserError:
        return UserError(f"{self.path}: line {row + 1}, column {column + 1}: {problem}")


def split(lines: Sequence[str], dialect: Dialect, path: str) -> np.ndarray:
    """All cells, str [lines, columns], read by pandas; comments give empty lines."""
    import pandas

    lines = ["" if COMMENT.match(line) else line for line in lines]
    if lines[0].strip().lower().startswith("sep="):
        lines[0] = ""
    separator = dialect.separator
    if separator == SPACES or any('"' in line for line in lines):
        separator = UNIT_SEPARATOR
        lines = [separator.join(dialect.split(line)) for line in lines]
    width = max(line.count(separator) for line in lines) + 1
    if width * len(lines) > LARGEST_GRID:
        raise UserError(
            f"{path}: {len(lines)} lines of up to {width} cells are too many to be a measured "
            f"curve (at most {LARGEST_GRID} cells)"
        )
    frame = pandas.read_csv(
        io.StringIO("\n".join(lines) + "\n"), sep=separator, header=None, names=range(width),
        index_col=False, dtype=str, keep_default_na=False, skip_blank_lines=False,
        quoting=csv.QUOTE_NONE,
    )  # fmt: skip
    cells = frame.fillna("").to_numpy(dtype=object)
    return np.array([cell.strip() for cell in cells.flat], object).reshape(cells.shape)


def kinds_of(cells: np.ndarray, dialect: Dialect) -> np.ndarray:
    is_number, is_missing = dialect.number.fullmatch, NOT_READ.fullmatch

    def kind(cell: str) -> int:
        if not cell:
            return EMPTY
        if is_missing(cell):
            return MISSING
        return NUMBER if is_number(cell) else TEXT

    return np.fromiter(map(kind, cells.flat), np.int8, cells.size).reshape(cells.shape)


def wrong_dialect(cell: str, dialect: Dialect) -> str | None:
    """Why a text is no number, where it would be one, or several, in another dialect."""
    other = "comma" if dialect.decimal == "point" else "point"
    if Dialect(dialect.separator, other).number.fullmatch(cell):
        return (
            f"mixed separators: '{cell}' is a number with a decimal {other}, while the file has "
            f"{dialect}; write all lines alike"
        )
    for candidate in DIALECTS:
        words = [word for word in candidate.split(cell) if word]
        several = len(words) > 1 or (words and words[0] != cell)
        if several and all(candidate.number.fullmatch(word) for word in words):
            return (
                f"mixed separators: '{cell}' is {len(words)} numbers with another separator, "
                f"while the file has {dialect}; write all lines alike"
            )
    return None
