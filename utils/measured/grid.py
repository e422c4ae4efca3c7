"""The cells of a text file or of a sheet, and which of them are numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.errors import UserError
from utils.measured.text import COMMENT, DIALECTS, SPACES, Dialect, decode, dialect_of

EMPTY, NUMBER, MISSING, TEXT = range(4)  # kinds of cells
NOT_READ = re.compile(r"nan|n/?a|none|null|-+|\+?9\.910*e\+?37", re.IGNORECASE)  # 9.91e37: SCPI
UNIT_SEPARATOR = "\x1f"  # stands in no text, since control characters are refused
MAX_CELLS = 20_000_000
WORKBOOK, OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # ZIP: XLSX, ODS; OLE: XLS


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a file, a row for each of its lines; lines of comments are empty.

    source: how the file is written, in words; lines: as they stand in the file, none of a sheet;
    cells: str [lines, columns]; kinds: int [lines, columns]; numbers: float64 [lines, columns],
    NaN where there is none.
    """

    path: str
    source: str
    dialect: Dialect
    lines: Sequence[str]
    cells: np.ndarray
    kinds: np.ndarray
    numbers: np.ndarray

    @classmethod
    def from_cells(
        cls, path: str, source: str, dialect: Dialect, lines: Sequence[str], cells: np.ndarray
    ) -> Grid:
        kinds = kinds_of(cells, dialect)
        numbers = np.full(cells.shape, np.nan)
        plain = (
            str.maketrans("dD,", "ee.") if dialect.decimal == "comma" else str.maketrans("dD", "ee")
        )
        numbers[kinds == NUMBER] = [float(word.translate(plain)) for word in cells[kinds == NUMBER]]
        return cls(path, source, dialect, lines, cells, kinds, numbers)

    def count(self, row: int) -> int:
        """Number of cells of a line that are not empty."""
        return int((self.kinds[row] != EMPTY).sum())

    def error(self, row: int, column: int, problem: str) -> UserError:
        return UserError(f"{self.path}: line {row + 1}, column {column + 1}: {problem}")


def read_grid(raw: bytes, path: str, decimal: str, sheet: str | None) -> Grid:
    """The cells of a file. decimal: point, comma, or auto; sheet: of a workbook.

    Raises UserError for what is neither text nor a workbook, and for more cells than a curve has.
    """
    if raw.startswith(OLD_WORKBOOK):
        raise UserError(f"{path}: is a spreadsheet of an old format (XLS); save it as XLSX or CSV")
    if raw.startswith(WORKBOOK):
        return from_workbook(raw, path, sheet)
    if sheet is not None:
        raise UserError(f"--sheet {sheet}: {path} is text, without sheets; leave it out")
    lines, encoding = decode(raw, path)
    dialect = dialect_of(lines, decimal)
    cells = split(lines, dialect, path)
    divided = f"one column, decimal {dialect.decimal}" if cells.shape[1] == 1 else str(dialect)
    return Grid.from_cells(path, f"{encoding}, {divided}", dialect, lines, cells)


def from_workbook(raw: bytes, path: str, sheet: str | None) -> Grid:
    import pandas

    try:
        with pandas.ExcelFile(io.BytesIO(raw), engine="openpyxl") as book:
            names = list(map(str, book.sheet_names))
            wanted = names[0] if sheet is None else sheet
            by_number = wanted not in names and wanted.isdigit()
            if by_number and 1 <= int(wanted) <= len(names):
                wanted = names[int(wanted) - 1]
            if wanted not in names:
                raise UserError(
                    f"--sheet {sheet}: no such sheet in {path}; its sheets: {', '.join(names)}"
                )
            frame = book.parse(wanted, header=None, dtype=object)
    except UserError:
        raise
    except Exception as error:  # openpyxl has no common class for what a broken file makes it raise
        raise UserError(
            f"{path}: is no workbook that can be read ({type(error).__name__}); save as XLSX or CSV"
        ) from None
    if frame.size > MAX_CELLS:
        raise UserError(f"{path}: more than {MAX_CELLS} cells; no measured curve has so many")
    if frame.empty:
        raise UserError(f"{path}: line 1: sheet {wanted} is empty; choose another with --sheet")
    words = ["" if pandas.isna(cell) else str(cell).strip() for cell in frame.to_numpy().flat]
    cells = np.array(words, object).reshape(frame.shape)
    source = f"workbook, sheet {wanted} of {len(names)}" if len(names) > 1 else "workbook"
    return Grid.from_cells(path, source, Dialect(",", "point"), (), cells)


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
    if width * len(lines) > MAX_CELLS:
        raise UserError(
            f"{path}: {len(lines)} lines of up to {width} cells are too many to be a measured "
            f"curve (at most {MAX_CELLS} cells)"
        )
    frame = pandas.read_csv(
        io.StringIO("\n".join(lines) + "\n"),
        sep=separator,
        header=None,
        names=range(width),
        index_col=False,
        dtype=object,
        keep_default_na=False,
        skip_blank_lines=False,
        quoting=csv.QUOTE_NONE,
    )
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
