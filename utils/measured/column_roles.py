"""The role of each column of a table by its own name and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from utils.measured import column_shapes as shape
from utils.measured.cells import NUMBER, TEXT
from utils.measured.layouts import is_id, key_columns
from utils.measured.names import CLOCK_TIME, branch_in
from utils.measured.numeric_table import NumericTable
from utils.measured.vocabulary import LABELS, Role

HAVE_UNITS = (Role.TIME, Role.DRIVE, Role.VOLTAGE, Role.CURRENT, Role.OTHER)


@dataclass(eq=False)
class Roles:
    """The role of each column, and why it has this role; both are printed."""

    table: NumericTable
    roles: list[str]
    why: list[str]

    def of(self, *roles: str) -> list[int]:
        """The columns that have one of these roles."""
        return [column for column, role in enumerate(self.roles) if role in roles]

    def set(self, columns: Iterable[int], role: str, why: str) -> None:
        """Give columns another role."""
        for column in columns:
            self.roles[column], self.why[column] = role, why

    def add(self, column: int, text: str) -> None:
        """Say of a column what was done to it, once."""
        if text not in self.why[column].split("; "):
            self.why[column] += f"; {text}"


def roles_alone(table: NumericTable, layout: str) -> Roles:
    """Of all columns. In rows these are labels and readings, whatever their names are."""
    found = [role_alone(table, column) for column in range(len(table.names))]
    if layout == "rows":
        keys = key_columns(table)
        for column in range(len(found)):
            if column in keys:
                found[column] = Role.LABEL, "the label of the line"
            elif (table.kinds[:, column] == NUMBER).any():
                found[column] = Role.RESPONSE, "a ramp in each line"
    return Roles(table, [role for role, _ in found], [why for _, why in found])


def role_alone(table: NumericTable, column: int) -> tuple[str, str]:
    """The role of a column by its own name and numbers, and why."""
    name, x = table.names[column], table.known(column)
    if not table.numeric[column]:
        return role_of_text(table, column)
    if is_id(table, column):
        return Role.DEVICE, "its labels repeat"
    counter, by = shape.is_counter(x), "by its unit" if name.unit else "by its name"
    if name.role and name.role in LABELS:
        if shape.rises(x) and len(x) == len(table.numbers) >= 5:
            return Role.PULSES, "its numbers count from line to line"
        return name.role, "by its name"
    if name.role == Role.RESPONSE and (name.unit or name.quantity != "response" or not counter):
        return name.role, by
    if name.role == Role.PULSES and not counter:
        if shape.is_constant(x):
            return Role.UNKNOWN, "named like a counter, but its numbers do not change"
        counts = not name.text or (shape.are_integers(x) and shape.rises(x))
        if name.may_count_readings and not counts:
            return Role.UNKNOWN, "named like a counter, but its numbers do not count"
        return name.role, "by its name"
    if counter and not (name.unit and name.role in HAVE_UNITS):
        named = name.role == Role.PULSES
        how = "by its name and its numbers," if named else "its numbers count"
        return Role.PULSES, f"{how} 0 or 1, 2, 3 …"
    labelled = name.device or name.branch or name.cycle is not None or name.read is not None
    if labelled and name.role in (None, Role.CURRENT):
        return Role.RESPONSE, "its name gives a device, cycle or branch"
    if name.role:
        return name.role, by
    return Role.UNKNOWN, "its name is not known" if name.text else "no name"


def role_of_text(table: NumericTable, column: int) -> tuple[str, str]:
    """The role of a column without numbers, or of labels, and why."""
    name, kinds = table.names[column], table.kinds[:, column]
    cells = [cell for cell in table.cells[:, column] if cell]
    if cells and name.role and name.role in (*LABELS, Role.TIME):
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
