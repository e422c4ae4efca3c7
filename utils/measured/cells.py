"""From the bytes of a file to its cells, and which of these are numbers.

In: a text file or a workbook. Out: a `Grid` of cells. What separates cells, and which decimal mark
numbers have, is found from the whole file:

    0,95; 1,02      two numbers with decimal commas
    0,95            one number with a decimal comma; but two if 1,97 and 2,99 follow: 0, 1, 2 count
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from utils.errors import UserError
from utils.measured.decoding import PLAIN, decode
from utils.measured.vocabulary import KNOWN_UNIT

EMPTY, NUMBER, MISSING, TEXT = range(4)  # kinds of cells
COMMENT = re.compile(r'\s*"?(#|%|//|!)|\s*sep=', re.IGNORECASE)  # spreadsheets write sep=;
NOT_READ = re.compile(  # instruments write 9.9e37 or 9.91e37 for it, spreadsheets #N/A and the like
    r"nan|n/?a|none|null|-+|\+?9\.91?0*e\+?37|#(n/a|div/0!|value!|num!|ref!|null!|wert!|zahl!|nv)",
    re.IGNORECASE,
)
NUMBERS = {
    "point": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?"),
    "comma": re.compile(r"[+-]?(\d+,?\d*|,\d+)([eEdD][+-]?\d+)?"),
}
SAMPLE_LINES = 100  # at the start and in the middle of a file, from which its separator is found
LIKE_PYTHON = str.maketrans("dD,", "ee.")
SPACES = r"\s+"
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", SPACES: "spaces"}
SEPARATOR_LINE = re.compile(r"\s*sep=([;,\t])\s*", re.IGNORECASE)
MAX_CELLS = 20_000_000
WORKBOOK, OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # ZIP: XLSX, ODS; OLE: XLS


@dataclass(frozen=True)
class Dialect:
    """How a file separates cells, and which decimal mark its numbers have.

    separator: a key of SEPARATORS; SPACES means any white space.
    """

    separator: str
    decimal: str  # point or comma

    @property
    def number(self) -> re.Pattern:
        return NUMBERS[self.decimal]

    def split(self, line: str) -> list[str]:
        """The cells of a line, without quotes and white space around them."""
        if self.separator == SPACES:
            cells = line.split()
        elif '"' in line:
            cells = next(csv.reader([line], delimiter=self.separator, skipinitialspace=True), [])
        else:
            cells = line.split(self.separator)
        return [cell.strip().strip('"').strip() for cell in cells]

    def kind(self, cell: str) -> int:
        """Whether a cell is EMPTY, a NUMBER, MISSING (such as nan), or TEXT."""
        if not cell:
            return EMPTY
        if NOT_READ.fullmatch(cell):
            return MISSING
        return NUMBER if self.number.fullmatch(cell) else TEXT

    def n_number_characters(self, lines: Sequence[str] | np.ndarray) -> int:
        """How many characters of these lines stand in cells that are numbers."""
        cells = (cell for line in lines for cell in self.split(line))
        return sum(len(cell) for cell in cells if self.number.fullmatch(cell))

    def __str__(self) -> str:
        return f"{SEPARATORS[self.separator]} between cells, decimal {self.decimal}"


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a file, one row for each line of the file; lines of comments are empty.

    source: how the file is written, in words. text: its lines, empty for a workbook. lines: number
    of the line of each row, from 1, int [rows]. cells: the text in each cell, kinds: EMPTY, NUMBER,
    MISSING or TEXT, numbers: float64, NaN where there is none, all [rows, columns]. other_sheets:
    names of the other sheets of a workbook, if the user chose none.
    """

    path: str
    source: str
    dialect: Dialect
    text: Sequence[str]
    lines: np.ndarray
    cells: np.ndarray
    kinds: np.ndarray
    numbers: np.ndarray
    other_sheets: str

    @property
    def numeric_rows(self) -> np.ndarray:
        """The rows that hold a number, at least."""
        return np.flatnonzero((self.kinds == NUMBER).any(axis=1))

    @property
    def filled_rows(self) -> np.ndarray:
        """The rows that are not empty."""
        return np.flatnonzero((self.kinds != EMPTY).any(axis=1))

    def columns_in(self, row: int) -> np.ndarray:
        """The columns in which a row is not empty."""
        return np.flatnonzero(self.kinds[row] != EMPTY)

    def title(self, *columns: int) -> str:
        """A column as it is named in messages: `column 3` for columns[0] = 2."""
        return f"column {columns[0] + 1}"

    def refusal(self, problem: str) -> UserError:
        """A UserError about the file, or about the sheet of it that was read."""
        hint = f"; --sheet chooses another: {self.other_sheets}" if self.other_sheets else ""
        return UserError(f"{self.path}: {problem}{hint}")

    def cell(self, row: int, column: int) -> str:
        """A cell as it is named in messages: `line 5, column 3`; row and column from 0."""
        return f"line {self.lines[row]}, {self.title(column)}"

    def error(self, row: int, column: int, problem: str) -> UserError:
        """A UserError about a cell; row and column from 0."""
        return self.refusal(f"{self.cell(row, column)}: {problem}")


def read_grid(raw: bytes, path: str, decimal: str, sheet: str | None) -> Grid:
    """The cells of a file. decimal: point, comma, or auto; sheet: name or number, in a workbook.

    Raises UserError for a file that is neither text nor a workbook, and for one that is too large.
    """
    marks = ("point", "comma") if decimal == "auto" else (decimal,)
    if raw.startswith(OLD_WORKBOOK):
        raise UserError(f"{path}: the spreadsheet has the old XLS format; save it as XLSX or CSV")
    if raw.startswith(WORKBOOK):
        source, cells, other_sheets = cells_of_workbook(raw, path, sheet)
        text, dialect = (), most_numbers([Dialect("\t", mark) for mark in marks], cells.ravel())
    elif sheet is not None:
        raise UserError(f"--sheet {sheet}: {path} is text and has no sheets; leave --sheet out")
    else:
        other_sheets = ""
        text, encoding = decode(raw, path)
        dialect = dialect_of(text, marks)
        cells = cells_of_text(text, dialect, path)
        one_column = f"one column, decimal {dialect.decimal}"
        source = f"{encoding}, {dialect if cells.shape[1] > 1 else one_column}"
    kinds = np.vectorize(dialect.kind, otypes=[np.int8])(cells)
    is_direction = (cells == "+").any(axis=0)  # in a column of + and -, the - is no missing reading
    kinds[(cells == "-") & is_direction] = TEXT
    numbers = np.full(cells.shape, np.nan)
    is_number = kinds == NUMBER
    numbers[is_number] = [float(word.translate(LIKE_PYTHON)) for word in cells[is_number]]
    lines = np.arange(len(cells)) + 1
    return Grid(path, source, dialect, text, lines, cells, kinds, numbers, other_sheets)


def dialect_of(lines: Sequence[str], marks: Sequence[str]) -> Dialect:
    """The separator that clevercsv finds, and the decimal mark that gives most numbers.

    marks: the decimal marks that are possible. A first line such as `sep=;` gives the separator.
    """
    import clevercsv

    announced = SEPARATOR_LINE.fullmatch(lines[0])
    lines = [line for line in lines if line.strip() and not COMMENT.match(line)]
    if announced:
        return most_numbers([Dialect(announced[1], mark) for mark in marks], lines)
    middle = len(lines) // 2
    sample = lines[:SAMPLE_LINES] + lines[max(SAMPLE_LINES, middle) : middle + SAMPLE_LINES]
    sniffed = clevercsv.Sniffer().sniff("\n".join(sample), delimiters=[*",;\t "])
    separator = (sniffed and sniffed.delimiter) or ","
    # Commas separate cells and are the decimal mark, too, only if cells stand in quotes.
    has_quotes = any('"' in line for line in sample)
    pairs = product((",", SPACES) if separator in ", " else (separator,), marks)
    candidates = [Dialect(*pair) for pair in pairs if has_quotes or pair != (",", "comma")]
    best = most_numbers(candidates, sample)
    may_be_pairs = best.decimal == "comma" and best.separator != ";" and "point" in marks
    return Dialect(",", "point") if may_be_pairs and are_two_integers(sample) else best


def most_numbers(dialects: Sequence[Dialect], lines: Sequence[str] | np.ndarray) -> Dialect:
    """The dialect in which most characters belong to numbers; the first of equally good ones."""
    return max(dialects, key=lambda dialect: dialect.n_number_characters(lines))


def are_two_integers(lines: Sequence[str]) -> bool:
    """Whether lines such as `0,95` hold two integers and not one number with a decimal comma.

    They do if the header above them has two names, or if the first integers count the lines.
    """
    rows = [Dialect(",", "point").split(line) for line in lines]
    is_number = NUMBERS["point"].fullmatch
    pairs = [row for row in rows if is_number((row[0].split() or [""])[0])]
    are_two = [len(row) == 2 and row[0].isdecimal() and is_number(row[1]) for row in pairs]
    if not pairs or not all(are_two):
        return False
    counts_lines = len(pairs) >= 3 and (np.diff([int(row[0]) for row in pairs]) == 1).all()
    above = rows[: rows.index(pairs[0])][-1:]
    return bool(counts_lines or any(len(row) == 2 for row in above))


def cells_of_text(lines: Sequence[str], dialect: Dialect, path: str) -> np.ndarray:
    """The cells, str [lines, columns]; comments are left empty, short lines end in empty cells."""
    rows: list[list[str]] = []
    names: list[str] = []  # cells of the last line that is not empty
    for line in lines:
        cells = dialect.split(line)
        rows.append([] if COMMENT.match(line) and not are_units(cells, names, dialect) else cells)
        names = rows[-1] if any(rows[-1]) else names
    width = max(map(len, rows))
    if width * len(lines) > MAX_CELLS:
        raise UserError(
            f"{path}: the file has {len(lines)} lines of up to {width} cells, but at most "
            f"{MAX_CELLS} cells are read; save the measured curve alone"
        )
    return np.array([row + [""] * (width - len(row)) for row in rows], object)


def are_units(cells: Sequence[str], names: Sequence[str], dialect: Dialect) -> bool:
    """Whether a line such as `#, uS`, which begins like a comment, holds units below the names."""
    units = [KNOWN_UNIT.fullmatch(cell.strip("()[] ")) for cell in cells]
    named = len(cells) == len(names) and not any(map(dialect.number.fullmatch, names))
    return len(cells) > 1 and named and all(units)


def cells_of_workbook(raw: bytes, path: str, sheet: str | None) -> tuple[str, np.ndarray, str]:
    """How the workbook is described, its cells [lines, columns], and the names of its other sheets.

    sheet: name or number, None for the first one; only then the other sheets are returned.
    """
    import pandas

    try:
        with pandas.ExcelFile(io.BytesIO(raw), engine="openpyxl") as book:
            names = list(map(str, book.sheet_names))
            name = names[0] if sheet is None else sheet
            if name not in names and name.isdigit() and 1 <= int(name) <= len(names):
                name = names[int(name) - 1]
            frame = None
            if name in names:
                frame = pandas.read_excel(book, name, header=None, dtype=object)
    except Exception as error:  # openpyxl has no common class for what a broken file makes it raise
        raise UserError(
            f"{path}: the workbook cannot be read ({type(error).__name__}); save it as XLSX or CSV"
        ) from None
    if frame is None:
        raise UserError(f"--sheet {sheet}: {path} has no such sheet; it has {', '.join(names)}")
    if frame.size > MAX_CELLS:
        raise UserError(
            f"{path}: sheet {name} has more than {MAX_CELLS} cells; save the curve alone"
        )
    if frame.empty:
        raise UserError(f"{path}: line 1: sheet {name} is empty; choose another with --sheet")
    words = [
        "" if pandas.isna(cell) else " ".join(str(cell).translate(PLAIN).split())
        for cell in frame.to_numpy().flat
    ]
    other_sheets = ", ".join(other for other in names if other != name)
    source = "workbook"
    if other_sheets:
        source += f", sheet {name} (not read: {other_sheets}; --sheet chooses)"
    to_choose_from = other_sheets if sheet is None else ""
    return source, np.array(words, object).reshape(frame.shape), to_choose_from
