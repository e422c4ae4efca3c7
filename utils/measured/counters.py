"""Columns that may count pulses, or something else: what nothing decides is refused."""

from __future__ import annotations

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import TEXT
from utils.measured.column_roles import Roles
from utils.measured.names import words
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.vocabulary import Role

PER_WORDS = {"per", "pro", "par", "je", "each"}


def refuse_counters(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError where a column of pulses may count something else, or fractions of them."""
    table = found.table
    refuse_factors(found, options)
    for column in found.of(Role.PULSES):
        name = table.names[column]
        by_ones = shape.is_counter(x := table.numbers[:, column])
        trained = "iteration" in words(name.text)
        if name.role == Role.CYCLE and (trained or not by_ones) and options.pulses is None:
            raise UserError(
                f"{table.path}: {table.title(column)} may count pulses, or cycles of an endurance "
                f"test or of a training; if it counts pulses, say --pulses {column + 1}"
            )
        x = shape.known(x)
        fractions = not shape.are_integers(x) and np.median(np.abs(np.diff(x))) < 1
        if fractions and options.pulses != "none":
            raise UserError(
                f"{table.path}: {table.title(column)} counts fractions of pulses; if one pulse "
                "came before every reading, say --pulses none"
            )


def refuse_factors(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError where numbers of pulses are no plain numbers, or a column tells how many came
    before each reading."""
    table, counters = found.table, found.of(Role.PULSES)
    if options.pulses == "none":
        return
    for column, name in enumerate(table.names):
        role, line = found.roles[column], int(table.lines[0])
        x, cells = shape.known(table.numbers[:, column]), table.cells[:, column]
        if role == Role.PULSES and np.isnan(name.factor):
            problem = f"'{name.unit}' is no factor of numbers of pulses that is known here"
            raise table.error(
                table.header or line,
                column,
                f"{problem}; give plain numbers, or "
                "say --pulses none if one pulse came before every reading",
            )
        if name.role != Role.PULSES:
            continue
        is_fixed = role == Role.UNKNOWN and shape.is_constant(x) and x[0] not in (0, 1)
        if is_fixed and PER_WORDS & {*words(name.text)}:
            problem = f"{x[0]:g} pulses before each reading; give the number of all pulses so far"
            raise table.error(line, column, f"{problem} in one column, and leave this one out")
        if role == Role.TEXT and not counters:
            rows = [row for row, cell in enumerate(cells) if any(map(str.isdigit, cell))]
            if len(rows) > len(cells) / 2:
                row = next(row for row in rows if table.kinds[row, column] == TEXT)
                problem = f"'{cells[row]}' is no plain number of pulses; write it out"
                raise table.error(int(table.lines[row]), column, problem)


def refuse_lone_pulses(found: Roles) -> None:
    """Raise UserError where a column that is named for pulses stands alone, or beside words."""
    table, line = found.table, int(found.table.lines[0])
    named = [c for c in found.of(Role.PULSES) if table.names[c].role == Role.PULSES]
    if named and "puls" in table.names[named[0]].text.lower():
        for column in found.of(Role.TEXT):
            if any(map(str.isdigit, cell := table.cells[0, column])):
                problem = f"'{cell}' is not a number; give the value alone"
                raise table.error(line, column, problem)
        problem = "this column counts pulses, but no other column holds values; add one"
        raise table.error(line, named[0], problem)


def may_count(table: NumericTable, column: int, otherwise: str) -> UserError:
    return UserError(
        f"{table.path}: {table.title(column)} has no known name, and its numbers run like a "
        f"voltage, a time or a counter; say --pulses {column + 1} if it counts pulses, or "
        f"{otherwise} if one pulse came before every reading"
    )
