"""The flags with which the user says what a file does not show by itself.

In: flags of the command line, or the options that a device file remembers. Out: `ReadingOptions`,
of which each field is a flag, with its help and the values it may have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from utils.errors import UserError
from utils.flags import check_values, flag
from utils.measured.measurement import Branch

READING = "reading the file"  # heading in --help
BRANCHES = ("falling", "rising")
MIN_READINGS = 5  # of a ramp


def option(
    default: Any, text: str, metavar: str | None = None, converter: Callable = str, **properties
) -> Any:
    """Return a dataclass field that is a flag of reading."""
    return flag(default, READING, text, converter, metavar=metavar, **properties)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The flags of reading. With the defaults, everything is found from the file.

    Raises UserError for an unknown choice, or flags that contradict each other.
    """

    layout: str = option(
        "auto",
        "columns: each column is a ramp; rows: each line is a ramp and begins with its label; "
        "long: each line is a reading, with columns device, cycle, branch, pulse, value; auto: "
        "found from the file",
        "LAYOUT",
        choices=("auto", "columns", "rows", "long"),
    )
    columns: tuple[str, ...] = option(
        (),
        "columns of the response, by name, number (from 1) or range (2-5) (default: found from "
        "names, units and numbers)",
        "COLUMN",
        is_list=True,
    )
    pulses: str | None = option(
        None,
        "column of the number of pulses, by name or number; none: there is one pulse before every "
        "reading (default: a column with such a name, or one whose numbers count pulses; otherwise "
        "none)",
        "COLUMN",
    )
    split: int | str | None = option(
        None,
        "how to cut a column that holds several ramps: after every N readings, or at the turning "
        "points (turns) (default: where the values clearly turn, or the pulses start again)",
        "N|turns",
    )
    reads: int | None = option(
        None,
        "readings after each pulse; they are averaged (default: found from the column of pulses)",
        "N",
        int,
        at_least=1,
    )
    branches: tuple[Branch, ...] = option(
        (),
        "one word: use only the ramps whose values fall, or rise; several words: the branch of "
        "each column, or each ramp, in their order (default: both, found from names such as LTP "
        "and LTD, or else from the values)",
        "falling|rising",
        is_list=True,
    )
    resistance: bool = option(
        False,
        "the file holds two-terminal resistances R: fit the conductances 1/R (leave it out for "
        "Hall voltages and Hall resistances)",
        converter=bool,
    )
    devices: str = option(
        "auto",
        "each: every column or line is another device; one: all are cycles of one device; auto: "
        "found from the names; columns without names are one device, lines with labels several",
        "DEVICES",
        choices=("auto", "each", "one"),
    )
    decimal: str = option(
        "auto", "decimal mark: point, comma, or auto", "MARK", choices=("auto", "point", "comma")
    )
    sheet: str | None = option(
        None, "sheet of a workbook (XLSX), by name or number (default: the first)", "SHEET"
    )

    def __post_init__(self):
        for name in ("columns", "branches"):  # lists, if they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
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
