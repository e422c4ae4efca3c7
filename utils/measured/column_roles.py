"""The roles of a table's columns, as far as they are found."""

from __future__ import annotations

from dataclasses import dataclass

from utils.measured.numeric_table import NumericTable


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
