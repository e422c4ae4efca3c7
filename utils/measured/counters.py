"""Columns that may count pulses or something else, and are refused where nothing decides it.

In: a table whose columns have roles. Out: nothing, or a UserError with the flag that decides. Such
a column is, for instance, `Iteration`, which may count the cycles of an endurance test.
"""

from __future__ import annotations

import numpy as np

from utils.errors import UserError
from utils.measured.cells import TEXT
from utils.measured.column import Column
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.vocabulary import Role, words


def refuse_counters(table: NumericTable, options: ReadingOptions) -> None:
    """Raise UserError for a column of pulses that gives no clear number of pulses.

    Its unit may be no factor that is known; it may give the pulses between two readings, count
    something else, hold words or hold fractions. With --pulses none it does not matter.
    """
    if options.pulses == "none":
        return
    for column in table.columns:
        name, numbers, role = column.name, column.known, column.role
        is_named = name.role == Role.PULSES
        if role == Role.PULSES and np.isnan(name.factor) and options.pulses is None:
            raise table.header_error(
                column.place,
                f"'{name.unit}' is no factor of numbers of pulses that is known here; say --pulses "
                f"{column.number} if the numbers are those of the pulses all the same, or --pulses "
                "none if one pulse came before every reading",
            )
        is_fixed = role == Role.UNKNOWN and column.is_constant and numbers[0] not in (0, 1)
        if is_named and is_fixed and name.has_words("per"):
            raise table.error(
                0,
                column.place,
                f"{numbers[0]:g} pulses before each reading; give the number of all pulses so far "
                "in one column, and leave this one out",
            )
        if is_named and role == Role.TEXT and not table.of(Role.PULSES):
            refuse_digits(table, column, "no plain number of pulses; write it out")
    for column in table.of(Role.PULSES):
        may_be_training = "iteration" in words(column.name.text)
        is_cycle = column.name.role == Role.CYCLE and (may_be_training or not column.counts)
        if is_cycle and options.pulses is None:
            raise table.refusal(
                f"{column} may count pulses, or cycles of an endurance test or of a training; if "
                f"it counts pulses, say --pulses {column.number}"
            )
        if not column.is_whole and np.median(np.abs(np.diff(column.known))) < 1:
            raise table.refusal(
                f"{column} counts fractions of pulses; if one pulse came before every reading, say "
                "--pulses none"
            )


def refuse_lone_pulses(table: NumericTable) -> None:
    """Raise UserError where a column named for pulses is the only one, or all others hold words."""
    named = [c for c in table.of(Role.PULSES) if c.name.role == Role.PULSES]
    if named and "puls" in named[0].name.text.lower():
        for column in table.of(Role.TEXT):
            refuse_digits(table, column, "not a number; give the value alone")
        problem = "this column counts pulses, but no other column holds values; add one"
        raise table.error(0, named[0].place, problem)


def refuse_digits(table: NumericTable, column: Column, problem: str) -> None:
    """Raise UserError for a column of words if most of them have digits, as numbers have."""
    has_digits = np.array([any(map(str.isdigit, cell)) for cell in column.cells])
    if has_digits.mean() > 0.5:
        row = int(np.argmax(has_digits & (column.kinds == TEXT)))
        problem = f"'{column.cells[row]}' is {problem}"
        raise table.error(row, column.place, problem)


def may_count(table: NumericTable, column: Column, otherwise: str) -> UserError:
    """A UserError for a column of which nothing tells whether it counts the pulses.

    otherwise: the flags for the case that it does not.
    """
    return table.refusal(
        f"{column} has no known name, and its numbers run like a voltage, a time or a counter; say "
        f"--pulses {column.number} if it counts pulses, or {otherwise} if one pulse came before "
        "every reading"
    )
