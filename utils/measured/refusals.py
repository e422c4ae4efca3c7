"""Tables that hold no pulse response are refused, by the name of what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from utils.errors import UserError
from utils.measured.column import Column
from utils.measured.counters import may_count
from utils.measured.names import FROM_START
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.turns import turning_point
from utils.measured.vocabulary import TWO_LEVELS, WORDS, Role, words

LONG_BLOCK = 10  # readings in the mean at the same drive, as of a ramp
NEXT_STATE = 0.2  # of the squares of what pulses change: less from the state after one to the next
CHANGE = re.compile(r"(^|[^A-Za-z])([dΔ∆]|delta[\s_]*)(?=[GRIVgriv]\b)", re.IGNORECASE)


def refuse_unnamed(table: NumericTable, columns: Sequence[Column]) -> None:
    """Raise UserError where columns that no name tells apart are no responses, or may be none."""
    if len(columns) < 2:
        return
    sweeps = [(a, b) for a, b in combinations(columns, 2) if a.changes_sign_with(b)]
    sweeps += [(a, b) for a, b in pairwise([*columns, columns[0]]) if a.retraces]
    for drive, response in sweeps:
        raise sweep(table, drive, response)
    from_zero = [column for column in columns if column.known[0] == 0]
    for column in columns:
        counts = column.place == 0 and from_zero == [column] and column.rises
        if counts or column.is_setpoint:
            rest = numbers([other for other in columns if other is not column])
            raise may_count(table, column, f"--columns {rest} --pulses none")


def refuse_overlooked(table: NumericTable, columns: Sequence[Column]) -> None:
    """Raise UserError where a column of unknown name holds numbers like those of a response."""
    sure, alike = table.of(Role.RESPONSE), {}  # the response that such a column is like
    for column in columns:
        name = column.name
        if name.role or name.has_words("mean", "spread", "fit") or column.is_setpoint:
            continue
        for other in sure:
            units = {"", name.unit, other.name.unit}
            if len(units) < 3 and column.is_like(other):
                alike.setdefault(column, other)
    for column, other in alike.items():
        raise table.refusal(
            f"{column} has no known name, but its numbers run like those of {other}; say --columns "
            f"{numbers([*sure, *alike])} if it is a response, too, or --columns {numbers(sure)} if "
            "it is none"
        )


def refuse_others(table: NumericTable, options: ReadingOptions) -> None:
    """Raise UserError for a table that is no pulse response, by its right name."""
    responses = table.of(Role.RESPONSE)
    refuse_states_before(table, responses)
    refuse_by_words(table, responses)
    if not responses:
        raise table.refusal(
            f"line {table.lines[0]}: no column is a response; name it with --columns"
        )
    for column in table.of(Role.DRIVE):
        refuse_drive(table, column, responses, bool(options.columns))
    if options.pulses is None:
        refuse_other_axes(table, bool(options.columns))


def refuse_drive(
    table: NumericTable, drive: Column, responses: Sequence[Column], asked: bool
) -> None:
    """Raise UserError for a drive that shows that pulses were not identical, or lacking.

    Readings one after the other at which it is 0 had no pulse before them. A single one, as the
    reading before the first pulse, belongs to the ramp beside it. asked: whether the user chose the
    responses; then what may be another reading, as of a second phase, does not matter.
    """
    if not drive.moves:
        pauses = np.flatnonzero((drive.numbers[1:] == 0) & (drive.numbers[:-1] == 0))
        if len(pauses) and drive.known.any():
            raise table.error(
                pauses[0],
                drive.place,
                "0 in several lines one after the other, so no pulse came before these readings; "
                "remove them",
            )
        return
    if drive.alternates:
        raise table.refusal(
            f"{drive} alternates from line to line between the values of a write and of a read; "
            "keep only the lines of the reads"
        )
    changes = np.count_nonzero(np.diff(np.nan_to_num(drive.numbers)))
    if changes < len(drive.numbers) / LONG_BLOCK:
        raise table.refusal(
            f"an amplitude staircase, or other conditions: {drive} changes between blocks of "
            "lines; keep only the lines of one block, or remove the column if each branch has one"
        )
    are_currents = any(Role.CURRENT in (c.name.quantity, c.name.role) for c in responses)
    if are_currents and not drive.name.has_words("pulsed"):
        raise sweep(table, drive, responses[0])
    may_be_reading = drive.name.role in (Role.VOLTAGE, Role.CURRENT) and not drive.is_setpoint
    if may_be_reading and asked:
        return
    hint = "; if it is no drive, choose the responses with --columns" if may_be_reading else ""
    raise table.refusal(
        f"an amplitude staircase, not a pulse response: {drive} changes from pulse to pulse; a "
        f"device file needs identical pulses{hint}"
    )


def refuse_other_axes(table: NumericTable, asked: bool) -> None:
    """Raise UserError where a curve may be one over time, temperature, field or the like.

    That is where such a column runs on, and none counts pulses, or one that may only count lines.
    asked: whether the user chose the responses.
    """
    counters = table.of(Role.PULSES)
    # Clock times are only the instrument's stamp; elapsed times may be what the curve is read over.
    times = table.of(Role.TIME)[:1]
    if times and shows_pulses(table):
        times = []
    axes = [(column, "a retention measurement", "holds times") for column in times]
    for column in table.of(Role.OTHER):
        is_set = column.name.role == Role.CURRENT and column.is_setpoint
        if is_set or column.counts or (column.name.is_condition and column.runs_on):
            axes.append((column, "a sweep", "runs on from line to line"))
    for column, kind, why in axes:
        if not counters:
            raise table.refusal(
                f"{kind}, not a pulse response: {column} {why}, and no column counts pulses; if "
                "one pulse came before every reading, say --pulses none"
            )
        if column.is_numeric and all(counter.name.may_count_readings for counter in counters):
            raise table.refusal(
                f"{counters[0]} may count pulses, or only the readings of {kind}, since {column} "
                f"{why}; if it counts pulses, say --pulses {counters[0].number}"
            )
    for column in [] if asked or counters else table.of(Role.UNKNOWN):
        is_named = bool(column.name.text or column.name.unit) and column.is_numeric
        if not column.name.role and (column.is_setpoint or (is_named and column.runs_on)):
            raise may_count(table, column, "--pulses none")


def shows_pulses(table: NumericTable) -> bool:
    """Whether something else than a counter shows pulses: the names of branches, a drive that
    changes its sign, or a curve that goes up and down."""
    if table.of(Role.BRANCH, Role.DRIVE) or any(column.name.branch for column in table.columns):
        return True
    curves = table.of(Role.RESPONSE, Role.CURRENT) or table.of(Role.VOLTAGE, Role.UNKNOWN)
    return any(len(c.known) >= 10 and turning_point(c.known) is not None for c in curves)


def refuse_states_before(table: NumericTable, responses: Sequence[Column]) -> None:
    """Raise UserError where one column holds the states before pulses, and another those after."""
    for before, after in [*pairwise(responses), *pairwise(responses[::-1])]:
        names = before.name, after.name
        both = np.stack([before.numbers, after.numbers])
        both = both[:, ~np.isnan(both).any(axis=0)]
        is_named = [name.has_words("before") - name.has_words("after") for name in names]
        most = NEXT_STATE if is_named[0] > is_named[1] else 0.0  # else the very same numbers
        rest, changed = both[0, 1:] - both[1, :-1], both[1] - both[0]
        if len(rest) > 1 and changed.any() and rest @ rest <= most * (changed @ changed):
            raise table.refusal(
                f"{before} is read before each pulse, and {after} after it, since each of its "
                f"values is the next one of the other; choose one with --columns {after.number}"
            )


def refuse_by_words(table: NumericTable, responses: Sequence[Column]) -> None:
    """Raise UserError for what its names say to be no reading after pulses."""
    every = {word for column in table.columns for word in words(column.name.text)}
    is_level = not every.isdisjoint(WORDS["level"]) and every.isdisjoint(WORDS["pulse"])
    others = [c for c in table.columns if Role.RESPONSE not in (c.role, c.name.role)]
    for kind, columns, problem in (
        ("distribution", table.columns, "a distribution, not a pulse response: {}"),
        ("learning", responses, "{} is the result of a training, not a pulse response"),
        ("logarithm", responses, "{} holds logarithms; give the values themselves"),
        ("epoch", others, "{} counts the epochs of a training, not pulses"),
    ):
        for column in columns:
            if column.name.has_words(kind):
                raise table.refusal(problem.format(column))
    if is_level or any(levels <= every for levels in TWO_LEVELS):
        raise table.refusal("levels of each cycle, as of an endurance test, not a pulse response")
    for column in responses:
        x, text = np.abs(column.known), column.name.text
        from_start = FROM_START.search(text) and column.name.branch == "falling"
        if CHANGE.search(text) and not from_start and x[0] > max(x.max() / 2, 2 * x[-1]):
            raise table.refusal(
                f"{column} seems to hold the change by each pulse; give the value after each "
                "pulse, or rename the column"
            )


def sweep(table: NumericTable, drive: Column, response: Column) -> UserError:
    """What is wrong where a response follows a drive."""
    return table.refusal(
        f"an I-V sweep, not a pulse response: {response} follows {drive}; a device file needs "
        "readings after identical pulses"
    )


def numbers(columns: Sequence[Column]) -> str:
    """Columns as --columns takes them."""
    return " ".join(str(number) for number in sorted(column.number for column in columns))
