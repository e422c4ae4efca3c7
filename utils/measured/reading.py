"""Reading a measured file: from whatever an instrument or a spreadsheet wrote to ramps.

bytes → lines (text) → cells → table → curves (layouts) → ramps (curves, turns, checks).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.measured.checks import Trend, flaw, trend
from utils.measured.cutting import check_pulses, cut, inverted
from utils.measured.options import HowToRead
from utils.measured.parsing.curves import Curve
from utils.measured.parsing.layouts import LAYOUTS, layout_of
from utils.measured.parsing.names import inverse, is_ohm
from utils.measured.parsing.table import Table, table_of
from utils.measured.parsing.text import decode
from utils.measured.ramps import Measurement, Ramp
from utils.measured.turns import turning_point

LARGEST_FILE = 1 << 28  # bytes


def read(path: str | Path, how: HowToRead | None = None) -> Measurement:
    """The ramps of one branch of a measured file: CSV, TSV or other text.

    how: what the file does not tell by itself. Raises UserError, one line that names file, line and
    column, for whatever is no measured ramp.
    """
    how = how or HowToRead()
    raw = bytes_of(Path(path))
    lines, encoding = decode(raw, str(path))
    table = table_of(lines, str(path), how.decimal)
    layout = layout_of(table) if how.layout == "auto" else how.layout
    found = LAYOUTS[layout](table, how)
    unit = unit_of(table, found.columns)
    left_out = [*table.left_out, *found.left_out]
    curves = []
    for curve in found.curves:
        curve = inverted(curve, table) if how.resistance else curve
        curves += cut(curve, how.split, table, left_out)
    trends = trends_of(curves, table)
    chosen, rising, branch = choose_branch(curves, trends, table, how.branch, left_out)
    understood = [
        f"{Path(path).name}: {encoding}, {divided(table)}; {header_of(table)}; layout {layout}",
        f"{sizes(chosen)}; {found.devices_from}; pulses {found.pulses_from}",
        f"{branch}, from {ends(chosen, 0)} to {ends(chosen, -1)} {unit_words(unit, how)}".rstrip(),
    ]
    if how.resistance:
        unit = inverse(unit)
    elif is_ohm(unit):
        understood.append("the values are resistances; --resistance fits conductances 1/R instead")
    repeated = asdict(how) | {
        "layout": layout,
        "columns": ranges(found.columns),
        "pulses": found.pulses or None,
        "branch": "rising" if rising else "falling",
        "devices": how.devices,
        "decimal": table.dialect.decimal,
    }
    return Measurement(
        numbered(chosen), rising, unit, Path(path).name, hashlib.sha256(raw).hexdigest(), repeated,
        tuple(understood), tuple(left_out),
    )  # fmt: skip


def bytes_of(path: Path) -> bytes:
    """Raises UserError where there is no such file, or none that can be read."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file in it")
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check its name and folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); check its name") from None
    if len(raw) > LARGEST_FILE:
        raise UserError(f"{path}: larger than {LARGEST_FILE >> 20} MiB; no measured curve is")
    if not raw:
        raise UserError(f"{path}: line 1: the file is empty; export the curve again")
    return raw


def unit_of(table: Table, columns: Sequence[int]) -> str | None:
    """The unit of the values. Raises UserError where columns have different ones."""
    units = {table.units[column]: column for column in reversed(columns) if table.units[column]}
    if len(units) > 1:
        (one, _), (other, column) = list(units.items())[:2][::-1]
        raise table.error(
            table.header or 1, column,
            f"the unit is {other}, that of another column {one}; choose with --columns",
        )  # fmt: skip
    return next(iter(units), None)


def trends_of(curves: Sequence[Curve], table: Table) -> list[Trend]:
    """Each ramp's trend. Raises UserError for what is no ramp."""
    for curve in curves:
        check_pulses(curve, table)
    trends = [trend(curve.pulses, curve.values) for curve in curves]
    fallback = float(np.sqrt(np.mean([found.read_noise**2 for found in trends])))
    for curve, found in zip(curves, trends, strict=True):
        if (at := turning_point(curve.values)) is not None:
            raise curve.error(
                table, f"the curve turns back here, at {curve.values[at]:.6g}, so it is no single "
                "ramp; --split N or --split turns cuts it", at,
            )  # fmt: skip
        if why := flaw(curve.values, found, fallback):
            raise curve.error(table, why)
    return trends


def choose_branch(
    curves: Sequence[Curve], trends: Sequence[Trend], table: Table, asked: str, left_out: list[str]
) -> tuple[list[Curve], bool, str]:
    """The ramps of one direction, whether they rise, and why these, in words."""
    branches: dict[bool, list[Curve]] = {False: [], True: []}
    for curve, found in zip(curves, trends, strict=True):
        branches[found.change > 0].append(curve)
    rising = asked == "rising" or (asked == "auto" and not branches[False])
    name, other = ("rising", "falling") if rising else ("falling", "rising")
    if not branches[rising]:
        raise UserError(
            f"{table.path}: line {table.lines[0]}: --branch {name}: every ramp is {other}; "
            f"leave it out"
        )
    if not branches[not rising]:
        return branches[rising], rising, f"{name} branch, the only one"
    places = branches[not rising][0].place(table)
    left_out.append(
        f"{several([len(branches[not rising])], f'{other} ramp')}, the first in {places}: "
        f"the {name} branch is used (else --branch {other})"
    )
    why = "as --branch says" if asked != "auto" else f"(else --branch {other})"
    return branches[rising], rising, f"{name} branch {why}"


def numbered(curves: Sequence[Curve]) -> tuple[Ramp, ...]:
    """Device by device in the order of the file; by cycle where the file numbers all of them."""
    devices: dict[str, list[Curve]] = {}
    for curve in curves:
        devices.setdefault(curve.device, []).append(curve)
    ramps = []
    for device, cycles in devices.items():
        if all(curve.cycle is not None for curve in cycles):
            cycles.sort(key=lambda curve: curve.cycle)
        ramps += [
            Ramp(device, cycle, curve.pulses, curve.values) for cycle, curve in enumerate(cycles)
        ]
    return tuple(ramps)


def several(counts: Sequence[int], one: str) -> str:
    """`1 ramp`, `3 ramps`, `2 to 3 ramps`."""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} {one}{'' if high == 1 else 's'}"


def sizes(curves: Sequence[Curve]) -> str:
    """`2 devices × 1 to 3 ramps × 100 pulses`."""

    devices = Counter(curve.device for curve in curves)
    readings = [len(curve.values) for curve in curves]
    return " × ".join(
        (
            several([len(devices)], "device"),
            several(list(devices.values()), "ramp"),
            several(readings, "pulse"),
        )
    )


def divided(table: Table) -> str:
    one = table.cells.shape[1] == 1
    return f"one column, decimal {table.dialect.decimal}" if one else str(table.dialect)


def header_of(table: Table) -> str:
    first, last = int(table.lines[0]), int(table.lines[-1])
    head = f"names in line {table.header}" if table.header else "no names"
    return f"{head}, numbers in lines {first} to {last}"


def ends(curves: Sequence[Curve], at: int) -> str:
    """The first or last value, of several ramps the mean."""
    mean = float(np.mean([curve.values[at] for curve in curves]))
    return f"{mean:.6g}" + (" (mean)" if at == -1 and len(curves) > 1 else "")


def unit_words(unit: str | None, how: HowToRead) -> str:
    words = inverse(unit) if how.resistance else unit
    return (words or "") + (" (1/R)" if how.resistance else "")


def ranges(columns: Sequence[int]) -> list[str]:
    """Columns counted from 0 as --columns takes them: 2-5 for four neighbours."""
    words: list[list[int]] = []
    for column in columns:
        if words and column == words[-1][1] + 1:
            words[-1][1] = column
        else:
            words.append([column, column])
    return [str(a + 1) if a == b else f"{a + 1}-{b + 1}" for a, b in words]
