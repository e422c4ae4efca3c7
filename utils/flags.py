"""Flags: fields of dataclasses that are given on the command line and stored in records."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from utils.errors import UserError

LARGEST = 3e38  # the largest number that a simulation in float32 can hold
# The groups of flags in --help.
GROUPS = "device physics", "programming", "network", "training", "run"
PHYSICAL, PROGRAMMING, NETWORK, TRAINING, RUNNING = GROUPS


@dataclass(frozen=True)
class Stored:
    """How the value of a flag is stored in files.

    json: its place in the record, a path with dots; slug: its part of the folder's name, which is
    left out, as in tables and titles, if the value is `omit_if`; to_json, from_json: conversions
    between value and JSON, where they differ; added_later: whether records from before the flag
    lack it, which then have its default.
    """

    json: str
    slug: str | None = None
    omit_if: float | str | None = None
    to_json: Callable[[Any], Any] | None = None
    from_json: Callable[[Any], Any] | None = None
    added_later: bool = False


@dataclass(frozen=True)
class Flag:
    """A flag, from which parser, names, identity, records, tables and titles follow.

    On the command line. group: its heading in --help; type: converts a word of the command line to
    a value; is_list: whether the value is a tuple; sweeps: whether the flag takes several values,
    of which each makes a setting; choices: all valid values; at_least, at_most, above: bounds;
    hint: what a value above at_most probably should be, with {0} for the value and {1} for a
    hundredth of it.

    For values that are not given. measured: the name of the value in device files; the measured
    value of the field's device is taken, or `fallback` if it was not measured.

    For flags of a setting. stored: how the value is stored in files; physics: whether the training
    step has operations for the flag, which are left out if the value is 0, false, None or infinite,
    or the default among choices; imperfection: whether networks are compared with it and without
    it, at 0; column: its header in the table of a run; label: its name in pictures and texts.
    """

    group: str
    help: str
    type: Callable[[str], Any]
    metavar: str | None = None
    is_list: bool = False
    sweeps: bool = False
    choices: Sequence[str | bool] | None = None
    at_least: float | None = None
    at_most: float | None = None
    hint: str = ""
    above: float | None = None
    fallback: float | None = None
    measured: str | None = None
    stored: Stored = Stored("")
    physics: bool = False
    imperfection: bool = False
    column: str | None = None
    label: str | None = None


def flag(default: Any, group: str, text: str, converter: Callable, **properties) -> Any:
    """Return a dataclass field that is a flag."""
    return dataclasses.field(
        default=default, metadata={"flag": Flag(group, text, converter, **properties)}
    )


def flags_of(table: type) -> dict[str, tuple[Flag, Any]]:
    """Return the flags of Setting or Run by name, each with its default, in order."""
    return {
        field.name: (field.metadata["flag"], field.default)
        for field in dataclasses.fields(table)
        if "flag" in field.metadata
    }


def check_values(owner: object) -> None:
    """Raise UserError if a value is not among the choices or is out of its flag's bounds."""
    for name, (flag, default) in flags_of(type(owner)).items():
        value: Any = getattr(owner, name)
        if value == default and type(value) is type(default):
            continue
        if flag.choices and value not in flag.choices:
            valid = ", ".join(map(str, flag.choices))
            raise UserError(f"--{name} {value}: unknown; the valid ones: {valid}")
        numbers = value if flag.is_list else () if value is None else (value,)
        if flag.type is bool and not isinstance(value, bool):
            raise UserError(f"--{name} {value}: must be true or false")
        for number in numbers:
            if flag.at_least is not None and not flag.at_least <= number <= LARGEST:
                raise UserError(f"--{name} {number}: must be a finite number >= {flag.at_least}")
            if flag.at_most is not None and number > flag.at_most:
                hint = "; " + flag.hint.format(number, number / 100) if flag.hint else ""
                raise UserError(f"--{name} {number}: must be at most {flag.at_most}{hint}")
            if flag.above is not None and not flag.above < number <= LARGEST:
                raise UserError(f"--{name} {number}: must be a finite number > {flag.above}")


def check_writable(flag: str, folder: Path) -> None:
    """Raise UserError if the folder cannot be made, or is there and cannot be written to."""
    existing = folder.absolute()
    try:
        while not existing.exists() and existing != existing.parent:
            if existing.is_symlink():
                raise UserError(f"{flag} {folder}: {existing} is a link to nothing; name another")
            existing = existing.parent
    except OSError as error:  # the name is too long, or a folder above may not be entered
        raise UserError(f"{flag} {folder}: {error.strerror}; name another") from None
    if not existing.is_dir():
        raise UserError(f"{flag} {folder}: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{flag} {folder}: no permission to write in {existing}; name another")


class Once(argparse.Action):
    """Stores a flag's value and refuses a second one, which would silently replace the first."""

    def __call__(self, parser, namespace, values, option_string=None):
        if hasattr(namespace, self.dest):
            parser.error(f"{option_string}: given twice; give it once, with all its values")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, and with the likely flag for one that is mistyped."""

    def __init__(
        self,
        prog: str,
        description: str,
        epilog: str | None = None,
        retired: Mapping[str, str] | None = None,
    ):
        """retired: the messages for flags that are no longer accepted."""
        self.retired = retired or {}
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        parsed, unknown = self.parse_known_args(args, namespace)
        flags = [word for word in unknown if word.startswith("-")]
        if flags:
            self.error(self.hint(flags[0].split("=")[0]))
        if unknown:
            self.error(f"unexpected '{unknown[0]}': a value needs its flag before it; see --help")
        return parsed

    def hint(self, flag: str) -> str:
        """Return the message for a flag that does not exist."""
        if flag in self.retired:
            return f"{flag} {self.retired[flag]}"
        known = [option for option in self._option_string_actions if option.startswith("--")]
        meant = flag.lower().lstrip("-").replace("-", "_")
        close = [k for k in known if meant and k.startswith(f"--{meant}")]
        close += get_close_matches(f"--{meant}", known, n=1, cutoff=0.8)
        return f"unknown flag {flag}; " + (f"did you mean {close[0]}?" if close else "see --help")


def add(group, name: str, flag: Flag, default: Any) -> None:
    """Add a flag to an argument group."""
    text = flag.help.replace("%", "%%")  # argparse formats it
    if flag.type is bool and not flag.sweeps:
        group.add_argument(f"--{name}", action="store_true", help=text)
        return
    if flag.type is bool:  # the flag without a value means true
        group.add_argument(
            f"--{name}",
            action=Once,
            choices=("on", "off"),
            nargs="*",
            help=f"[...] {text} (default: {'on' if default else 'off'})",
        )
        return
    if default is None or default == ():
        shown = ""  # its help describes the default
    else:
        words = default if flag.is_list else (default,)
        shown = f" (default: {' '.join(map(str, words))})"
    group.add_argument(
        f"--{name}",
        action=Once,
        type=flag.type,
        nargs="+" if flag.is_list or flag.sweeps else None,
        metavar=flag.metavar or {float: "X", int: "N"}[flag.type],
        help=("[...] " if flag.sweeps else "") + text + shown,
    )
