"""Curves of a table in lines: a line for each ramp (rows), or for each reading (long)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.options import HowToRead
from utils.measured.parsing.cells import EMPTY, MISSING, NUMBER, TEXT
from utils.measured.parsing.columns import (
    KEYS,
    counts_lines,
    header_pulses,
    pulse_columns,
    readings,
    roles_of,
    select,
    value_columns,
)
from utils.measured.parsing.curves import ONE_DEVICE, Curve, Curves
from utils.measured.parsing.names import cycle_in, device_of_label, role
from utils.measured.parsing.table import Table


def from_rows(table: Table, how: HowToRead) -> Curves:
    """A ramp in each line, behind its label; pulses counted, or from the line above."""
    if how.pulses not in (None, "none"):
        raise UserError(
            f"--pulses {how.pulses}: in rows, pulses stand in the line above the numbers; leave it "
            "out, or say none to count them"
        )
    keys = key_columns(table)
    numeric = (table.kinds == NUMBER).any(axis=0)
    columns = sorted(select(table, how.columns, "--columns")) or [
        c for c in np.flatnonzero(numeric).tolist() if c not in keys
    ]
    if not columns:
        raise UserError(f"{table.path}: line {table.lines[0]}: no numbers behind the labels")
    devices, cycles, devices_from = devices_of_lines(table, keys, how.devices)
    above = None if how.pulses == "none" else header_pulses(table, columns[0])
    if above is not None and np.isnan(above[np.array(columns) - columns[0]]).any():
        column = columns[int(np.argmax(np.isnan(above[np.array(columns) - columns[0]])))]
        raise table.error(table.header, column, "no number of pulses above its values")
    left_out: list[str] = []
    curves = []
    for row, (device, cycle) in enumerate(zip(devices, cycles, strict=True)):
        lines = np.full(len(columns), row)
        found = readings(table, lines, np.array(columns), left_out)
        if not len(found):
            left_out.append(f"line {table.lines[row]}: no numbers")
            continue
        at = np.array(columns)[found]
        pulses = found - found[0] if above is None else above[at - columns[0]]
        curves.append(
            Curve(device, cycle, table.lines[lines[found]], at, pulses.astype(float), None,
                  table.values[row, at])
        )  # fmt: skip
    pulses_from = "counted 0, 1, 2, ..." if above is None else f"from line {table.header}"
    return Curves(
        curves, columns, "none" if above is None else "", pulses_from, devices_from,
        left_out,
    )  # fmt: skip


def key_columns(table: Table) -> list[int]:
    """The leading columns of a table in rows that are labels."""
    keys = []
    for column, name in enumerate(table.names):
        first = column == 0 and (counts_lines(table, 0) or (table.kinds[:, 0] == TEXT).any())
        if not (first or table.labels[column] or role(name) in KEYS):
            break
        keys.append(column)
    return keys


def devices_of_lines(
    table: Table, keys: Sequence[int], asked: str
) -> tuple[list[str], list[int | None], str]:
    """Device and cycle of each line of a table in rows, and for the user where they come from."""
    rows = range(len(table.cells))
    roles = [role(table.names[column]) for column in keys]
    labels = [" ".join(word for word in table.cells[row, keys] if word) for row in rows]
    if "cycle" in roles:
        numbers = table.values[:, keys[roles.index("cycle")]]
        cycles = [None if np.isnan(number) else int(number) for number in numbers]
    else:
        cycles = [cycle_in(label) for label in labels]
    if asked == "each":
        devices = [
            label if label and labels.count(label) == 1 else f"line {table.lines[row]}"
            for row, label in enumerate(labels)
        ]
        return devices, cycles, "every line a device, as --devices each says"
    if asked == "one":
        return [ONE_DEVICE] * len(rows), cycles, "one device, as --devices one says"
    named = [column for column, each in zip(keys, roles, strict=True) if each in ("device", None)]
    words = [" ".join(word for word in table.cells[row, named] if word) for row in rows]
    if any(words):
        devices = [device_of_label(word) or ONE_DEVICE for word in words]
        return devices, cycles, "devices as the labels of the lines tell"
    said = "one device, as no label names others" + " (else --devices each)" * (len(rows) > 1)
    return [ONE_DEVICE] * len(rows), cycles, said


def from_long(table: Table, how: HowToRead) -> Curves:
    """A line for each reading; device, cycle and branch in columns under usual names."""
    if how.devices != "auto":
        raise UserError(
            f"--devices {how.devices}: a long table names its devices in a column; leave it out"
        )
    roles = roles_of(table)
    columns = select(table, how.columns, "--columns") or value_columns(table, roles)
    if len(columns) != 1:
        names = ", ".join(table.title(c) for c in columns) or "none"
        raise UserError(
            f"{table.path}: line {table.header or 1}: a long table needs one column of values, "
            f"found {names}; name it with --columns"
        )
    keys = [c for c, each in enumerate(roles) if each in KEYS and c not in columns]
    pulses = pulse_columns(table, how, columns)[:1]
    left_out = [
        f"{table.title(c)}: neither value, pulse, device, cycle nor branch"
        for c in range(len(roles))
        if c not in (*columns, *keys, *pulses) and (table.kinds[:, c] != EMPTY).any()
    ]
    groups: dict[tuple, list[int]] = {}
    for row in range(len(table.cells)):
        for column in keys:
            if table.kinds[row, column] in (EMPTY, MISSING):
                raise table.error(table.lines[row], column, "empty; every reading needs its own")
        groups.setdefault(tuple(table.cells[row, keys]), []).append(row)
    curves = [
        of_group(table, roles, np.array(rows), columns[0], pulses, left_out)
        for rows in groups.values()
    ]
    curves = running_counts([curve for curve in curves if len(curve.values)])
    pulses_from = f"from {table.title(pulses[0])}" if pulses else "counted 0, 1, 2, ..."
    has_device = "device" in [roles[c] for c in keys]
    return Curves(
        curves, columns, str(pulses[0] + 1) if pulses else "none", pulses_from,
        "devices as the column says" if has_device else "one device, as no column names others",
        left_out,
    )  # fmt: skip


def of_group(
    table: Table,
    roles: Sequence[str | None],
    rows: np.ndarray,
    column: int,
    pulses: Sequence[int],
    left_out: list[str],
) -> Curve:
    """The readings of one device, cycle and branch, in the order of their pulses."""
    if pulses:
        rows = rows[np.argsort(table.values[rows, pulses[0]], kind="stable")]
    found = readings(table, rows, np.full(len(rows), column), left_out)
    counted = table.values[rows[found], pulses[0]] if pulses else found - found[:1]
    device = [c for c, each in enumerate(roles) if each == "device"]
    cycle = [c for c, each in enumerate(roles) if each == "cycle"]
    number = table.values[rows[0], cycle[0]] if cycle else np.nan
    return Curve(
        table.cells[rows[0], device[0]] if device else ONE_DEVICE,
        None if np.isnan(number) else int(number),
        table.lines[rows[found]], np.full(len(found), column), counted.astype(float),
        pulses[0] if pulses else None, table.values[rows[found], column],
    )  # fmt: skip


def running_counts(curves: Sequence[Curve]) -> list[Curve]:
    """Ramps of a device whose pulses go on from one to the next, each counted as the first."""
    last: dict[str, float] = {}
    goes_on = []
    for curve in curves:
        before = last.get(curve.device)
        goes_on.append(before is not None and len(curve.pulses) and curve.pulses[0] > before)
        last[curve.device] = float(curve.pulses[-1]) if len(curve.pulses) else np.inf
    firsts = {}
    for curve in curves:
        firsts.setdefault(curve.device, curve.pulses[0])
    return [
        curve.restarted(firsts[curve.device]) if follows else curve
        for curve, follows in zip(curves, goes_on, strict=True)
    ]
