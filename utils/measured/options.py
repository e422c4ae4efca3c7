"""How a file is to be read, where it does not tell by itself."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from utils.errors import UserError
from utils.flags import check_values, flag
from utils.measured.checks import FEWEST

READING = "reading the file"  # heading in --help
LAYOUTS = ("auto", "columns", "rows", "long")
BRANCHES = ("auto", "falling", "rising")
DEVICES = ("auto", "each", "one")
DECIMALS = ("auto", "point", "comma")


def split_of(word: str) -> int | str:
    """A number of readings, or `turns`."""
    if word == "turns":
        return word
    if not re.fullmatch(r"\d{1,9}", word):
        raise argparse.ArgumentTypeError(f"{word}: must be a number of readings, or turns")
    return int(word)


@dataclass(frozen=True, kw_only=True)
class HowToRead:
    """Everything that the user may say about a file; the defaults find it out.

    Raises UserError for an unknown choice, or flags that contradict each other.
    """

    layout: str = flag(
        "auto", READING,
        "columns: each column is a ramp; rows: each line is one, its label first; long: a line for "
        "each reading, with columns device, cycle, branch, pulse, value; auto finds out", str,
        metavar="LAYOUT", choices=LAYOUTS,
    )  # fmt: skip
    columns: tuple[str, ...] = flag(
        (), READING,
        "columns to use, by name or number from 1, also 2-5 (default: all that hold numbers)", str,
        metavar="COLUMN", is_list=True,
    )  # fmt: skip
    pulses: str | None = flag(
        None, READING,
        "column of the number of pulses, by name or number; none: count 0, 1, 2, ... (default: a "
        "column called so, or that counts the lines; else count)", str, metavar="COLUMN",
    )  # fmt: skip
    split: int | str | None = flag(
        None, READING,
        "a column holds many ramps, one after the other: of N readings each, or cut at its turning "
        "points (turns)", split_of, metavar="N|turns",
    )  # fmt: skip
    resistance: bool = flag(
        False, READING, "the values are resistances R; use conductances 1/R", bool
    )
    branch: str = flag(
        "auto", READING,
        "falling or rising ramps; auto: the falling ones, or the rising ones where only these are",
        str, metavar="BRANCH", choices=BRANCHES,
    )  # fmt: skip
    devices: str = flag(
        "auto", READING,
        "each: every column or line is a device of its own; one: all are cycles of one device; "
        "auto: as their names tell; columns that have none are one device, labelled lines are each "
        "a device", str, metavar="DEVICES", choices=DEVICES,
    )  # fmt: skip
    decimal: str = flag(
        "auto", READING, "decimal mark: point, comma, or auto", str,
        metavar="MARK", choices=DECIMALS,
    )  # fmt: skip

    def __post_init__(self):
        object.__setattr__(self, "columns", tuple(self.columns))  # a list, if it comes from JSON
        check_values(self)
        if isinstance(self.split, bool) or not isinstance(self.split, int | str | None):
            raise UserError(f"--split {self.split}: must be a number of readings, or turns")
        if isinstance(self.split, str) and self.split != "turns":
            raise UserError(f"--split {self.split}: must be a number of readings, or turns")
        if isinstance(self.split, int) and self.split < FEWEST:
            raise UserError(f"--split {self.split}: a ramp has at least {FEWEST} readings")
        if self.pulses is not None and self.pulses in self.columns:
            raise UserError(
                f"--pulses {self.pulses}: also in --columns; a column holds one or the other"
            )
        if self.devices != "auto" and self.layout == "long":
            raise UserError(
                f"--devices {self.devices}: a long table has a column of devices; leave it out"
            )
