"""What the user may say about a file, where it does not tell by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from utils.errors import UserError
from utils.flags import check_values, flag
from utils.measured.measurement import Branch

READING = "reading the file"  # heading in --help
LAYOUTS = ("auto", "columns", "rows", "long")
BRANCHES = ("falling", "rising")
DEVICES = ("auto", "each", "one")
DECIMALS = ("auto", "point", "comma")
MIN_READINGS = 5  # of a ramp


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """Flags of reading; the defaults find out what they can.

    Raises UserError for an unknown choice, or flags that contradict each other.
    """

    layout: str = flag(
        "auto",
        READING,
        "columns: each column is a ramp; rows: each line is a ramp and begins with its label; "
        "long: each line is a reading, with columns device, cycle, branch, pulse, value; auto: "
        "found from the file",
        str,
        metavar="LAYOUT",
        choices=LAYOUTS,
    )
    columns: tuple[str, ...] = flag(
        (),
        READING,
        "columns of the response, by name, number (from 1) or range (2-5) (default: found from "
        "names, units and numbers)",
        str,
        metavar="COLUMN",
        is_list=True,
    )
    pulses: str | None = flag(
        None,
        READING,
        "column of the number of pulses, by name or number; none: there is one pulse before every "
        "reading (default: a column with such a name, or one whose numbers count pulses; otherwise "
        "none)",
        str,
        metavar="COLUMN",
    )
    split: int | str | None = flag(
        None,
        READING,
        "how to cut a column that holds several ramps: after every N readings, or at the turning "
        "points (turns) (default: where the values clearly turn, or the pulses start again)",
        str,
        metavar="N|turns",
    )
    reads: int | None = flag(
        None,
        READING,
        "readings after each pulse; they are averaged (default: found from the column of pulses)",
        int,
        metavar="N",
        at_least=1,
    )
    branches: tuple[Branch, ...] = flag(
        (),
        READING,
        "one word: use only the ramps whose values fall, or rise; several words: the branch of "
        "each column, or each ramp, in their order (default: both, found from names such as LTP "
        "and LTD, or else from the values)",
        str,
        metavar="falling|rising",
        is_list=True,
    )
    resistance: bool = flag(
        False,
        READING,
        "the file holds two-terminal resistances R: fit the conductances 1/R (leave it out for "
        "Hall voltages and Hall resistances)",
        bool,
    )
    devices: str = flag(
        "auto",
        READING,
        "each: every column or line is another device; one: all are cycles of one device; auto: "
        "found from the names; columns without names are one device, lines with labels several",
        str,
        metavar="DEVICES",
        choices=DEVICES,
    )
    decimal: str = flag(
        "auto",
        READING,
        "decimal mark: point, comma, or auto",
        str,
        metavar="MARK",
        choices=DECIMALS,
    )
    sheet: str | None = flag(
        None,
        READING,
        "sheet of a workbook (XLSX), by name or number (default: the first)",
        str,
        metavar="SHEET",
    )

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(self.columns))  # a list, if it comes from JSON
        object.__setattr__(self, "branches", tuple(self.branches))
        if isinstance(self.split, str) and re.fullmatch(r"\d{1,9}", self.split):
            object.__setattr__(self, "split", int(self.split))
        check_values(self)
        for word in self.branches:
            if word not in BRANCHES:
                raise UserError(
                    f"--branches {word}: unknown; the valid ones: {', '.join(BRANCHES)}"
                )
        if self.split not in (None, "turns") and type(self.split) is not int:
            raise UserError(f"--split {self.split}: must be a number of readings, or turns")
        if isinstance(self.split, int) and self.split < MIN_READINGS:
            raise UserError(f"--split {self.split}: a ramp has at least {MIN_READINGS} readings")
        if self.pulses is not None and self.pulses in self.columns:
            raise UserError(
                f"--pulses {self.pulses}: also in --columns; name the column in only one of them"
            )
        if self.devices != "auto" and self.layout == "long":
            raise UserError(
                f"--devices {self.devices}: a long table has a column of devices; leave it out"
            )
