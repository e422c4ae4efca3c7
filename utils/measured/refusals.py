"""Tables that hold no pulse response are refused, by the name of what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.column_roles import Roles
from utils.measured.names import words
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.turns import turning_point
from utils.measured.vocabulary import (
    COUNT_WORDS,
    DISTRIBUTION_WORDS,
    LEARNING_WORDS,
    LOGARITHM_WORDS,
    TWO_LEVELS,
    Role,
)

CHANGE = re.compile(r"(^|[^A-Za-z])([dΔ∆]|delta[\s_]*)(?=[GRIVgriv]\b)", re.IGNORECASE)
PULSED_WORDS = set(
    "pulse puls impulsion amplitude write prog vpulse vwrite vprog vset vreset vp width".split()
)


def refuse_unnamed(found: Roles, columns: Sequence[int]) -> None:
    """Raise UserError where columns that no name tells apart are no responses, or may be none."""
    table = found.table
    if len(columns) < 2:
        return
    for one, other in combinations(columns, 2):
        if shape.cross_zero_together(table.numbers[:, one], table.numbers[:, other]):
            raise sweep(table, one, other)
    for one, other in pairwise([*columns, columns[0]]):
        if shape.retraces(table.numbers[:, one]):
            raise sweep(table, one, other)
    for column in columns:
        x = table.numbers[:, column]
        start = shape.known(x)[0]
        zeros = [shape.known(table.numbers[:, c])[0] == 0 for c in columns if c != column]
        if shape.is_setpoint(x) or (
            column == 0 and start == 0 and shape.rises(x) and not any(zeros)
        ):
            rest = " ".join(str(c + 1) for c in columns if c != column)
            raise UserError(
                f"{table.path}: {table.title(column)} has no known name, and its numbers run like "
                f"a voltage, a time or a counter; say --pulses {column + 1} if it counts pulses, "
                f"or --columns {rest} --pulses none if one pulse came before every reading"
            )


def refuse_others(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError for a table that is no pulse response, by its right name."""
    table, responses = found.table, found.of(Role.RESPONSE)
    refuse_by_words(table, responses)
    if not responses:
        raise UserError(
            f"{table.path}: line {table.lines[0]}: no column is a response; name it with --columns"
        )
    drives = [c for c in found.of(Role.DRIVE) if shape.moves(table.numbers[:, c])]
    for column in drives:
        x, text = table.numbers[:, column], table.names[column].text
        if shape.alternates(x):
            raise UserError(
                f"{table.path}: {table.title(column)} alternates from line to line between "
                "the values of a write and of a read; keep only the lines of the reads"
            )
        pulsed = bool(PULSED_WORDS & {*words(text)})
        is_current = any(table.names[c].quantity == "current" for c in responses) or any(
            table.names[c].role == Role.CURRENT for c in responses
        )
        if is_current and not pulsed:
            raise sweep(table, column, responses[0])
        raise UserError(
            f"{table.path}: an amplitude staircase, not a pulse response: {table.title(column)} "
            "changes from pulse to pulse; a device file needs identical pulses"
        )
    if options.pulses is not None or not found.of(Role.TIME) or turns_or_labels(found):
        return
    counters, column = found.of(Role.PULSES), found.of(Role.TIME)[0]
    # Clock times are only the instrument's stamp; elapsed times may be what the curve is read over.
    if table.numeric[column] and counters and all(is_line_number(table, c) for c in counters):
        raise UserError(
            f"{table.path}: {table.title(counters[0])} may count pulses, or only the readings of a "
            f"retention measurement, since {table.title(column)} holds times; if it counts pulses, "
            f"say --pulses {counters[0] + 1}"
        )
    if not counters:
        raise UserError(
            f"{table.path}: a retention measurement, not a pulse response: {table.title(column)} "
            "holds times, and no column counts pulses; if one pulse came before every reading, "
            "say --pulses none"
        )


def refuse_by_words(table: NumericTable, responses: Sequence[int]) -> None:
    """Raise UserError for what its names say to be no reading after pulses."""
    names = [{*words(name.text)} for name in table.names]
    for column, found in enumerate(names):
        if found & DISTRIBUTION_WORDS:
            raise UserError(
                f"{table.path}: a distribution, not a pulse response: {table.title(column)}"
            )
    if any(levels <= set().union(*names) for levels in TWO_LEVELS):
        raise UserError(
            f"{table.path}: two levels of each cycle, as of an endurance test, not a pulse response"
        )
    for column in responses:
        x = np.abs(shape.known(table.numbers[:, column]))
        if names[column] & LEARNING_WORDS:
            raise UserError(
                f"{table.path}: {table.title(column)} is the result of a training, not a pulse "
                "response"
            )
        if names[column] & LOGARITHM_WORDS:
            raise UserError(
                f"{table.path}: {table.title(column)} holds logarithms; give the values themselves"
            )
        if CHANGE.search(table.names[column].text) and x[0] > max(x.max() / 2, 2 * x[-1]):
            raise UserError(
                f"{table.path}: {table.title(column)} seems to hold the change by each pulse; give "
                "the value after each pulse, or rename the column"
            )


def is_line_number(table: NumericTable, column: int) -> bool:
    """Whether a counter's name, such as index or n, or no name at all, may count readings only."""
    return all(word in COUNT_WORDS or word.isdigit() for word in words(table.names[column].text))


def sweep(table: NumericTable, drive: int, response: int) -> UserError:
    return UserError(
        f"{table.path}: an I-V sweep, not a pulse response: {table.title(response)} follows "
        f"{table.title(drive)}; a device file needs readings after identical pulses"
    )


def turns_or_labels(found: Roles) -> bool:
    """Whether something else than a counter shows pulses: the names of branches, a drive that
    changes its sign, or a curve that goes up and down."""
    table = found.table
    if found.of(Role.BRANCH, Role.DRIVE) or any(
        table.names[c].branch for c in range(len(table.names))
    ):
        return True
    columns = found.of(Role.RESPONSE, Role.CURRENT) or found.of(Role.VOLTAGE, Role.UNKNOWN)
    curves = (shape.known(table.numbers[:, column]) for column in columns)
    return any(len(x) >= 10 and turning_point(x) is not None for x in curves)
