"""The role of each column of a table as far as it tells itself, by its name and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.measured import column_shapes as shape
from utils.measured.cells import EMPTY, NUMBER, TEXT
from utils.measured.layouts import is_id, key_columns
from utils.measured.names import CLOCK_TIME, branch_in, counts_anything
from utils.measured.numeric_table import NumericTable
from utils.measured.vocabulary import LABELS, Role


@dataclass(eq=False)
class Roles:
    """The role of each column, and why it has this role; both are printed."""

    table: NumericTable
    roles: list[str]
    why: list[str]

    def of(self, *roles: str) -> list[int]:
        """The columns that have one of these roles."""
        return [column for column, role in enumerate(self.roles) if role in roles]

    def set(self, column: int, role: str, why: str) -> None:
        """Give a column another role."""
        self.roles[column], self.why[column] = role, why

    def add(self, column: int, text: str) -> None:
        """Say of a column what was done to it, once."""
        if text not in self.why[column].split("; "):
            self.why[column] += f"; {text}"


def roles_alone(table: NumericTable, layout: str) -> Roles:
    """Of all columns. In rows these are labels and readings, whatever their names say."""
    keys = key_columns(table) if layout == "rows" else []
    found = []
    for column in range(len(table.names)):
        if column in keys:
            found.append((Role.LABEL, "the label of the line"))
        elif layout == "rows" and (table.kinds[:, column] == NUMBER).any():
            found.append((Role.RESPONSE, "a ramp in each line"))
        else:
            found.append(role_alone(table, column))
    return Roles(table, [role for role, _ in found], [why for _, why in found])


def role_alone(table: NumericTable, column: int) -> tuple[str, str]:
    """The role of a column as far as it tells itself, and why."""
    name = table.names[column]
    if not table.numeric[column]:
        return role_of_text(table, column)
    if is_id(table, column):
        return Role.DEVICE, "its labels repeat"
    x = table.numbers[:, column]
    counter, by = shape.is_counter(x), "by its unit" if name.unit else "by its name"
    if name.role and name.role in LABELS:
        if shape.rises(x) and not np.isnan(x).any() and len(x) >= 5:
            return Role.PULSES, "its numbers count from line to line"
        return name.role, "by its name"
    if name.role == Role.RESPONSE and (name.unit or name.quantity != "response" or not counter):
        return Role.RESPONSE, by
    if counter and not (
        name.unit and name.role in (Role.TIME, Role.DRIVE, Role.VOLTAGE, Role.CURRENT, Role.OTHER)
    ):
        both = "by its name and its numbers, 0 or 1, 2, 3 …"
        return Role.PULSES, both if name.role == Role.PULSES else "its numbers count 0 or 1, 2, 3 …"
    if name.role == Role.PULSES:
        if shape.is_constant(x):
            return Role.UNKNOWN, "named like a counter, but its numbers do not change"
        integers = shape.are_integers(shape.known(x)) and shape.rises(x)
        if counts_anything(name.text) and name.text and not integers:
            return Role.UNKNOWN, "named like a counter, but its numbers do not count"
        return Role.PULSES, "by its name"
    labelled = name.device or name.branch or name.cycle is not None or name.read is not None
    if labelled and name.role in (None, Role.CURRENT):
        return Role.RESPONSE, "its name gives a device, cycle or branch"
    if name.role is not None:
        return name.role, by
    return Role.UNKNOWN, "no name" if not name.text else "its name is not known"


def role_of_text(table: NumericTable, column: int) -> tuple[str, str]:
    name, kinds = table.names[column], table.kinds[:, column]
    cells = [cell for cell in table.cells[:, column] if cell]
    if name.role and name.role in (*LABELS, Role.TIME) and (kinds != EMPTY).any():
        return name.role, "by its name"
    if not (kinds == TEXT).any():
        return Role.NOTHING, "no cell is filled"
    if all(map(branch_in, cells)) and table.labels[column]:
        return Role.BRANCH, "its words name branches"
    if CLOCK_TIME.search(cells[0]):
        return Role.TIME, "clock times"
    if is_id(table, column):
        return Role.DEVICE, "its labels repeat"
    return Role.TEXT, "words"
