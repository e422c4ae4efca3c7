"""From the bytes of a text file to its lines.

In: bytes in UTF-8, UTF-16 or Windows-1252. Out: the lines as text, with plain minus signs, plain
spaces and without the codes that plotting programs use, such as `\\g(m)A` for µA.
"""

from __future__ import annotations

import re

from utils.errors import UserError

# A cell in quotes that has one to four line breaks in it.
BROKEN = re.compile(r'(?m)(?:^|[,;\t]) *"[^"\n]*(?:\n[^"\n]*){1,4}"(?= *(?:[,;\t]|$))')
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")  # characters that no text has
PLAIN = str.maketrans("\N{MINUS SIGN}\N{NO-BREAK SPACE}\N{OHM SIGN}", "- Ω", "\ufeff")
# What plotting programs write for superscripts, subscripts and other styles, and Greek letters.
ESCAPES = (
    (re.compile(r"\\\+\(([^()]*)\)"), r"^\1"),
    (re.compile(r"\\[-=biu]\(([^()]*)\)"), r"\1"),
    (re.compile(r"\\g\(m\)"), "µ"),
    (re.compile(r"\\g\(W\)"), "Ω"),
    (re.compile(r"\\g\(D\)"), "Δ"),
)


def decode(raw: bytes, path: str) -> tuple[list[str], str]:
    """The lines of a text file and the name of its encoding.

    If a cell in quotes has line breaks, all of it stands in its first line, and its other lines are
    empty, so that lines keep their numbers. Raises UserError for an empty or binary file.
    """
    encoding = encoding_of(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        # Up to the wrong byte; the control character behind it is refused below, with its place.
        text = raw[: error.start].decode("latin-1") + "\x00"
    text = re.sub(r"\r\n?", "\n", text.translate(PLAIN)).rstrip("\x1a\n")
    for escape, plain in ESCAPES if "\\" in text else ():
        text = escape.sub(plain, text)
    if control := CONTROL.search(text):
        *above, before = text[: control.start()].split("\n")
        raise UserError(
            f"{path}: line {len(above) + 1}, character {len(before) + 1}: the file is binary, or "
            "its encoding is none of UTF-8, UTF-16 and Windows-1252; save it as CSV in UTF-8"
        )
    if not text.strip():
        raise UserError(f"{path}: line 1: the file is empty; export the curve again")
    names = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
    text = BROKEN.sub(lambda cell: cell[0].replace("\n", "\v"), text)
    lines = [
        part
        for line in text.split("\n")
        for part in (line.replace("\v", " "), *[""] * line.count("\v"))
    ]
    return lines, names.get(encoding, encoding.upper())


def encoding_of(raw: bytes) -> str:
    """The encoding by the byte order mark, or by where zero bytes stand, or the one that works."""
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
        return "cp1252"  # older instruments write µ and ° in it
    return "utf-8-sig"
