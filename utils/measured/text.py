"""From the bytes of a file to its lines, and which separator and decimal mark they use."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from utils.errors import UserError

CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")  # no text holds them
COMMENT = re.compile(r'\s*"?(#|%|//|!)')
POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)([eEdD][+-]?\d+)?")
SAMPLE_LINES = 100  # by which a separator is judged
LIKE_ASCII = str.maketrans({"\N{MINUS SIGN}": "-", "\N{NO-BREAK SPACE}": " ", "\ufeff": ""})
SPACES = r"\s+"
SEPARATOR_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", SPACES: "spaces"}


@dataclass(frozen=True)
class Dialect:
    """How a line becomes cells and a cell a number; separator SPACES means any white space."""

    separator: str
    decimal: str  # point or comma

    @property
    def number(self) -> re.Pattern:
        return POINT if self.decimal == "point" else COMMA

    def split(self, line: str) -> list[str]:
        """The cells of a line, without quotes and white space around them."""
        if self.separator == SPACES:
            cells = line.split()
        elif '"' in line:
            cells = next(csv.reader([line], delimiter=self.separator, skipinitialspace=True), [])
        else:
            cells = line.split(self.separator)
        return [cell.strip().strip('"').strip() for cell in cells]

    def numbers(self, lines: Sequence[str]) -> int:
        """Characters that stand in cells which are numbers."""
        cells = (cell for line in lines for cell in self.split(line))
        return sum(len(cell) for cell in cells if self.number.fullmatch(cell))

    def __str__(self) -> str:
        return f"{SEPARATOR_NAMES[self.separator]} between cells, decimal {self.decimal}"


DIALECTS = tuple(Dialect(s, d) for s in SEPARATOR_NAMES for d in ("point", "comma"))


def decode(raw: bytes, path: str) -> tuple[list[str], str]:
    """The lines of a text file and the name of its encoding.

    Raises UserError for an empty or binary file.
    """
    encoding = encoding_of(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        # Latin-1 has a character for every byte, and what cannot stand in text is looked for there.
        text = raw[: error.start].decode("latin-1") + "\x00"
    lines = re.split(r"\r\n|\r|\n", text.translate(LIKE_ASCII).rstrip("\x1a\r\n"))
    for number, line in enumerate(lines, 1):
        if found := CONTROL.search(line):
            raise UserError(
                f"{path}: line {number}, character {found.start() + 1}: the file is binary, no "
                "text; save it as CSV"
            )
    if not any(line.strip() for line in lines):
        raise UserError(f"{path}: line 1: the file is empty; export the curve again")
    names = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
    return lines, names.get(encoding, encoding.upper())


def encoding_of(raw: bytes) -> str:
    """By the byte order mark, else by where zeros stand, else UTF-8 if that is possible."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = raw[: 1 << 16]
    for encoding, low, high in (("utf-16-le", 0, 1), ("utf-16-be", 1, 0)):
        # Digits and separators are ASCII: every second byte is 0, and none of the others.
        if 0 not in start[low::2] and 2 * start[high::2].count(0) > len(start[high::2]):
            return encoding
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"  # of older instruments, which write µ and ° in it
    return "utf-8-sig"


def dialect_of(lines: Sequence[str], decimal: str) -> Dialect:
    """The separator that clevercsv finds, and the decimal mark that explains most numbers.

    decimal: point, comma, or auto.
    """
    import clevercsv

    lines = [line for line in lines if line.strip() and not COMMENT.match(line)]
    marks = ("point", "comma") if decimal == "auto" else (decimal,)
    known = {f"sep={s}": s for s in (";", ",", "\t")}
    if lines and lines[0].strip(" ").lower() in known:  # how spreadsheets tell each other
        separator = known[lines.pop(0).strip(" ").lower()]
        return max((Dialect(separator, mark) for mark in marks), key=lambda d: d.numbers(lines))
    middle = len(lines) // 2
    sample = lines[:SAMPLE_LINES] + lines[max(SAMPLE_LINES, middle) : middle + SAMPLE_LINES]
    found = clevercsv.Sniffer().sniff("\n".join(sample), delimiters=[*",;\t "])
    separator = found.delimiter if found and found.delimiter else ","
    separator = SPACES if separator == " " else separator
    separators = [",", SPACES] if separator in (",", SPACES) else [separator]
    candidates = [Dialect(separator, mark) for separator in separators for mark in marks]
    if '"' not in "".join(sample):  # clevercsv takes no comma for a decimal mark
        candidates = [c for c in candidates if (c.separator, c.decimal) != (",", "comma")]
    candidates = candidates or [Dialect(SPACES, marks[0])]
    best = max(candidates, key=lambda d: d.numbers(sample))  # the first of equals
    only_one = all(sum(map(bool, map(best.number.fullmatch, best.split(x)))) < 2 for x in sample)
    if decimal == "auto" and best.decimal == "comma" and best.separator != ";" and only_one:
        return one_comma_a_line(sample, best)
    return best


def one_comma_a_line(lines: Sequence[str], best: Dialect) -> Dialect:
    """Whether `0,95` is one number or two integers: the second where a header says so, or where
    what stands before the comma counts the lines."""
    cells = Dialect(",", "point")
    rows = [cells.split(line) for line in lines]
    pairs = [row for row in rows if len(row) == 2 and all(POINT.fullmatch(cell) for cell in row)]
    numbers = [row for row in rows if POINT.fullmatch(row[0].split()[0] if row[0] else "")]
    if len(pairs) < len(numbers) or any(not re.fullmatch(r"\d+", row[0]) for row in pairs):
        return best
    before = rows[: rows.index(pairs[0])] if pairs else []
    counts = [int(row[0]) for row in pairs]
    rises = len(counts) >= 3 and all(b - a == 1 for a, b in pairwise(counts))
    return cells if rises or (before and len(before[-1]) == 2) else best
