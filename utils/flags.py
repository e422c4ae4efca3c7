"""How a field of a dataclass is given on the command line and kept in records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from utils.errors import UserError

LARGEST = 3e38  # of the numbers that the simulation can hold, float32
PHYSICAL, NETWORK, TRAINING, RUNNING = "device physics", "network", "training", "run"  # in --help


@dataclass(frozen=True)
class Flag:
    """A row of the table that parser, names, identity, records, tables and titles are read off.

    On the command line. group: its heading in --help; kind: from a word of the command line to its
    value; is_list: the value is a tuple; sweeps: the flag takes several values, each a setting;
    choices: all valid values; at_least, above: bounds.

    Values that are not given. measured: the name of the value in device files: what was measured
    of the field's device is taken, or else `fallback`.

    In files. slug: its part of the folder's name, left out at the value `omit_if`, as it is from
    tables and titles; json: its place in the record, a path with dots; to_json, from_json: between
    value and JSON, where they differ; added_later: records from before the flag lack it, and mean
    its default.

    Of a setting. physics: the training step has operations for it, which a network leaves out
    where the value is 0, false or None, or the default among choices; imperfection: networks are
    compared with it and without it, at 0; column: its header in the table of a run; label: its
    name in pictures and texts.
    """

    group: str
    help: str
    kind: Callable[[str], Any]
    metavar: str | None = None
    is_list: bool = False
    sweeps: bool = False
    choices: Sequence[str] | None = None
    at_least: float | None = None
    above: float | None = None
    slug: str | None = None
    omit_if: float | str | None = None
    fallback: float | None = None
    measured: str | None = None
    json: str | None = None
    to_json: Callable[[Any], Any] = lambda value: value
    from_json: Callable[[Any], Any] | None = None
    added_later: bool = False
    physics: bool = False
    imperfection: bool = False
    column: str | None = None
    label: str | None = None


def flag(default: Any, group: str, text: str, kind: Callable, **properties) -> Any:
    """A dataclass field that is a flag."""
    return dataclasses.field(
        default=default, metadata={"flag": Flag(group, text, kind, **properties)}
    )


def flags_of(kind: type) -> dict[str, tuple[Flag, Any]]:
    """The flags of Setting or Run by name, each with its default, in order."""
    return {
        field.name: (field.metadata["flag"], field.default)
        for field in dataclasses.fields(kind)
        if "flag" in field.metadata
    }


def check_values(owner: object) -> None:
    """Raise UserError for a value that is none of the choices, or out of its flag's bounds."""
    for name, (each, default) in flags_of(type(owner)).items():
        value = getattr(owner, name)
        if type(value) is type(default) and value == default:
            continue
        if each.choices and value not in each.choices:
            valid = ", ".join(each.choices)
            raise UserError(f"--{name} {value}: unknown; the valid ones: {valid}")
        if each.kind is bool and not isinstance(value, bool):
            raise UserError(f"--{name} {value}: must be true or false")
        for number in value if each.is_list else () if value is None else (value,):
            if each.at_least is not None and not each.at_least <= number <= LARGEST:
                raise UserError(f"--{name} {number}: must be a finite number >= {each.at_least}")
            if each.above is not None and not each.above < number <= LARGEST:
                raise UserError(f"--{name} {number}: must be a finite number > {each.above}")
