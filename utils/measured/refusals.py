"""Tables that hold no pulse response are refused by their right name.

In: a table whose columns have roles. Out: nothing, or a UserError that says what the table is:

    V, I       V goes up and down, and I with it      an I-V sweep
    time, G    no column counts pulses                a retention measurement
    V, G       V is 1.0, 1.1, 1.2 …                   an amplitude staircase
"""

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

LONG_BLOCK = 10  # mean number of readings at the same drive, if each block of lines is a ramp
NEXT_STATE = 0.2  # of the squared changes by pulses: less between a pulse and the next one
CHANGE = re.compile(r"(^|[^A-Za-z])([dΔ∆]|delta[\s_]*)(?=[GRIVgriv]\b)", re.IGNORECASE)


def refuse_unnamed(table: NumericTable, columns: Sequence[Column]) -> None:
    """Raise UserError where columns without known names form a sweep, or one of them may count."""
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
            responses = column_numbers([other for other in columns if other is not column])
            raise may_count(table, column, f"--columns {responses} --pulses none")


def refuse_overlooked(table: NumericTable, columns: Sequence[Column]) -> None:
    """Raise UserError for a column of unknown name whose numbers are like those of a response."""
    responses, similar = table.of(Role.RESPONSE), {}  # to each such column, the response
    for column in columns:
        name = column.name
        if name.role or name.has_words("mean", "spread", "fit") or column.is_setpoint:
            continue
        for response in responses:
            units = {"", name.unit, response.name.unit}
            if len(units) < 3 and column.is_like(response):
                similar.setdefault(column, response)
    for column, response in similar.items():
        with_similar = column_numbers([*responses, *similar])
        raise table.refusal(
            f"{column} has no known name, but its numbers run like those of {response}; say "
            f"--columns {with_similar} if it is a response, too, or --columns "
            f"{column_numbers(responses)} if it is none"
        )


def refuse_others(table: NumericTable, options: ReadingOptions) -> None:
    """Raise UserError for a table that is no pulse response, and say what it is."""
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
    """Raise UserError for a drive that shows that pulses were not identical, or missing.

    Several lines one after the other in which the drive is 0 had no pulse; a single one is the
    reading before the first pulse. asked: whether the user chose the responses; a voltage or
    current that looks like another reading does not matter then.
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
    counts_pulses = any(column.name.has_words("pulse") for column in table.of(Role.PULSES))
    if are_currents and not drive.name.has_words("pulsed") and not counts_pulses:
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
    """Raise UserError where the values may be a curve over time, temperature, field or the like.

    They may if such a column changes steadily from line to line, and none counts pulses, or only
    one that may count the readings. asked: whether the user chose the responses.
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
    """Whether a table without a counter shows pulses all the same.

    Names of branches, a drive, or a curve that goes up and down show them.
    """
    if table.of(Role.BRANCH, Role.DRIVE) or any(column.name.branch for column in table.columns):
        return True
    curves = table.of(Role.RESPONSE, Role.CURRENT) or table.of(Role.VOLTAGE, Role.UNKNOWN)
    return any(len(c.known) >= 10 and turning_point(c.known) is not None for c in curves)


def refuse_states_before(table: NumericTable, responses: Sequence[Column]) -> None:
    """Raise UserError where one column is read before each pulse, and another one after it."""
    for before, after in [*pairwise(responses), *pairwise(responses[::-1])]:
        names = before.name, after.name
        numbers = np.stack([before.numbers, after.numbers])
        first, second = numbers[:, ~np.isnan(numbers).any(axis=0)]
        is_named = [name.has_words("before") - name.has_words("after") for name in names]
        limit = NEXT_STATE if is_named[0] > is_named[1] else 0.0  # else the very same numbers
        between, changed = first[1:] - second[:-1], second - first
        if len(between) > 1 and changed.any() and between @ between <= limit * (changed @ changed):
            raise table.refusal(
                f"{before} is read before each pulse, and {after} after it, since each of its "
                f"values is the next one of the other; choose one with --columns {after.number}"
            )


def refuse_by_words(table: NumericTable, responses: Sequence[Column]) -> None:
    """Raise UserError where the names of columns say that they hold no readings after pulses."""
    all_words = {word for column in table.columns for word in words(column.name.text)}
    is_level = not all_words.isdisjoint(WORDS["level"]) and all_words.isdisjoint(WORDS["pulse"])
    no_responses = [c for c in table.columns if Role.RESPONSE not in (c.role, c.name.role)]
    for kind, columns, problem in (
        ("distribution", table.columns, "a distribution, not a pulse response: {}"),
        ("learning", responses, "{} is the result of a training, not a pulse response"),
        ("logarithm", responses, "{} holds logarithms; give the values themselves"),
        ("epoch", no_responses, "{} counts the epochs of a training, not pulses"),
    ):
        for column in columns:
            if column.name.has_words(kind):
                raise table.refusal(problem.format(column))
    if is_level or any(levels <= all_words for levels in TWO_LEVELS):
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
    """A UserError for a table in which a response follows a drive."""
    return table.refusal(
        f"an I-V sweep, not a pulse response: {response} follows {drive}; a device file needs "
        "readings after identical pulses"
    )


def column_numbers(columns: Sequence[Column]) -> str:
    """Columns as --columns takes them."""
    return " ".join(str(number) for number in sorted(column.number for column in columns))
