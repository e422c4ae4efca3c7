"""Curves of a table in columns: each column is a ramp, pulses are counted or have a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.errors import UserError
from utils.measured.options import HowToRead
from utils.measured.parsing.cells import EMPTY, NUMBER, TEXT
from utils.measured.parsing.columns import counts_lines, pulse_columns, readings, roles_of, select
from utils.measured.parsing.curves import ONE_DEVICE, Curve, Curves
from utils.measured.parsing.names import cycle_in, device_in
from utils.measured.parsing.table import Table
from utils.measured.parsing.text import SPACES


def from_columns(table: Table, how: HowToRead) -> Curves:
    """A ramp in each column, pulses counted or from a column of their own."""
    asked = select(table, how.columns, "--columns")
    left_out: list[str] = []
    pulses = pulse_columns(table, how, asked)
    columns = asked or value_candidates(table, pulses, left_out)
    if not columns:
        raise UserError(f"{table.path}: line {table.lines[0]}: no column of values but the pulses")
    if table.dialect.separator == SPACES:
        refuse_gaps(table)
    device_names, devices_from = devices_of_columns(table, columns, how.devices)
    curves = []
    for column, device in zip(columns, device_names, strict=True):
        at = ([each for each in pulses if each < column] or pulses[:1] or [None])[-1]
        for block in np.unique(table.blocks):
            lines = np.flatnonzero(table.blocks == block)
            found = readings(table, lines, np.full(len(lines), column), left_out)
            if not len(found):
                raise table.error(table.lines[lines[0]], column, "no number in this column")
            counted = found - found[0] if at is None else table.values[lines[found], at]
            curves.append(
                Curve(
                    device, cycle_in(table.names[column]), table.lines[lines[found]],
                    np.full(len(found), column), counted.astype(float),
                    at, table.values[lines[found], column],
                )
            )  # fmt: skip
    pulses_from = (
        "from " + " and ".join(table.title(c) for c in pulses) if pulses else "counted 0, 1, 2, ..."
    )
    return Curves(
        curves, columns, str(pulses[0] + 1) if len(pulses) == 1 else "none" if not pulses else "",
        pulses_from, devices_from, left_out,
    )  # fmt: skip


def value_candidates(table: Table, pulses: Sequence[int], left_out: list[str]) -> list[int]:
    """The columns that hold values; the others get a line in left_out."""
    columns = []
    for column, each in enumerate(roles_of(table)):
        kinds = table.kinds[:, column]
        numeric, text = (kinds == NUMBER).any(), (kinds == TEXT).any()
        if column in pulses or not (numeric or text or table.names[column]):
            continue
        if each == "time" or not numeric:
            why = "times, no response" if each == "time" else "text" if text else "empty"
            left_out.append(f"{table.title(column)}: {why}")
        elif counts_lines(table, column) and column == 0:
            left_out.append(f"{table.title(column)}: counts the lines")
        else:
            columns.append(column)
    return columns


def refuse_gaps(table: Table) -> None:
    """Raise UserError for a short line where spaces divide, since nobody knows what it lacks."""
    counts = (table.kinds != EMPTY).sum(axis=1)
    short = np.flatnonzero(counts < counts[0])
    if len(short):
        row = int(short[0])
        raise table.error(
            table.lines[row], int(counts[row]), f"the line has {counts[row]} cells, line "
            f"{table.lines[0]} has {counts[0]}, and spaces do not show which is empty; save with "
            "commas or tabs",
        )  # fmt: skip


def devices_of_columns(table: Table, columns: Sequence[int], devices: str) -> tuple[list[str], str]:
    """A label for the device of each column, and for the user where it comes from."""
    names = [table.names[column] for column in columns]
    told = [device_in(name) for name in names]
    if devices == "each":
        labels = [
            name if name and names.count(name) == 1 else f"column {column + 1}"
            for name, column in zip(names, columns, strict=True)
        ]
        return labels, "every column a device, as --devices each says"
    if devices == "one":
        return [ONE_DEVICE] * len(columns), "one device, as --devices one says"
    if any(told):
        labels = [each or name for each, name in zip(told, names, strict=True)]
        return labels, "devices as the names of the columns tell"
    if len(columns) == 1:
        return [ONE_DEVICE], "one column, one device"
    if all(cycle_in(name) is not None for name in names):
        why = "their names number ramps"
    else:
        why = "their names tell no devices" if any(names) else "they have no names"
    return [ONE_DEVICE] * len(columns), f"all columns one device, since {why} (else --devices each)"
