"""Columns that may count pulses, or something else: what nothing decides is refused."""

from __future__ import annotations

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import TEXT
from utils.measured.column_roles import Roles
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.vocabulary import Role, words


def refuse_counters(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError where a column of pulses may count something else, or no plain numbers.

    The user may say that one pulse came before every reading; the columns then do not matter.
    """
    table, pulses = found.table, found.of(Role.PULSES)
    if options.pulses != "none":
        refuse_factors(found)
    for column in pulses:
        name, x = table.names[column], table.known(column)
        trained = "iteration" in words(name.text)
        is_cycle = name.role == Role.CYCLE and (trained or not shape.is_counter(x))
        if is_cycle and options.pulses is None:
            raise table.refusal(
                f"{table.title(column)} may count pulses, or cycles of an endurance test or of a "
                f"training; if it counts pulses, say --pulses {column + 1}"
            )
        fractions = not shape.are_integers(x) and np.median(np.abs(np.diff(x))) < 1
        if fractions and options.pulses != "none":
            raise table.refusal(
                f"{table.title(column)} counts fractions of pulses; if one pulse came before every "
                "reading, say --pulses none"
            )


def refuse_factors(found: Roles) -> None:
    """Raise UserError where numbers of pulses are no plain numbers, or a column tells how many came
    before each reading."""
    table, line = found.table, int(found.table.lines[0])
    for column, name in enumerate(table.names):
        role, x = found.roles[column], table.known(column)
        if role == Role.PULSES and np.isnan(name.factor):
            raise table.error(
                table.header or line,
                column,
                f"'{name.unit}' is no factor of numbers of pulses that is known here; give plain "
                "numbers, or say --pulses none if one pulse came before every reading",
            )
        if name.role != Role.PULSES:
            continue
        is_fixed = role == Role.UNKNOWN and shape.is_constant(x) and x[0] not in (0, 1)
        if is_fixed and name.has_words("per"):
            problem = f"{x[0]:g} pulses before each reading; give the number of all pulses so far"
            raise table.error(line, column, f"{problem} in one column, and leave this one out")
        if role == Role.TEXT and not found.of(Role.PULSES):
            refuse_digits(table, column, "no plain number of pulses; write it out")


def refuse_lone_pulses(found: Roles) -> None:
    """Raise UserError where a column that is named for pulses stands alone, or beside words."""
    table = found.table
    named = [c for c in found.of(Role.PULSES) if table.names[c].role == Role.PULSES]
    if named and "puls" in table.names[named[0]].text.lower():
        for column in found.of(Role.TEXT):
            refuse_digits(table, column, "not a number; give the value alone")
        problem = "this column counts pulses, but no other column holds values; add one"
        raise table.error(int(table.lines[0]), named[0], problem)


def refuse_digits(table: NumericTable, column: int, problem: str) -> None:
    """Raise UserError for a column of words, if most of them hold digits and so are numbers."""
    cells = table.cells[:, column]
    rows = [row for row, cell in enumerate(cells) if any(map(str.isdigit, cell))]
    if len(rows) > len(cells) / 2:
        row = next(row for row in rows if table.kinds[row, column] == TEXT)
        raise table.error(int(table.lines[row]), column, f"'{cells[row]}' is {problem}")


def may_count(table: NumericTable, column: int, otherwise: str) -> UserError:
    """What is wrong where nothing tells whether a column counts the pulses."""
    return table.refusal(
        f"{table.title(column)} has no known name, and its numbers run like a voltage, a time or a "
        f"counter; say --pulses {column + 1} if it counts pulses, or {otherwise} if one pulse came "
        "before every reading"
    )
