"""Tables that hold no pulse response are refused, by the name of what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.checks import trend
from utils.measured.column_roles import Roles
from utils.measured.counters import may_count
from utils.measured.names import (
    FROM_START,
    conditions_in,
    counts_anything,
    names_condition,
    words,
)
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.turns import turning_point
from utils.measured.vocabulary import (
    AFTER_WORDS,
    BEFORE_WORDS,
    DISTRIBUTION_WORDS,
    EPOCH_WORDS,
    LEARNING_WORDS,
    LOGARITHM_WORDS,
    ONE_LEVEL,
    PULSE_WORDS,
    PULSED_WORDS,
    TWO_LEVELS,
    Role,
)

LARGE_SPREAD = 0.08  # standard deviation of ranges, of their mean, in which devices differ
MIN_ERRORS = 4.0  # of ranges, which their spread is more than
CHANGE = re.compile(r"(^|[^A-Za-z])([dΔ∆]|delta[\s_]*)(?=[GRIVgriv]\b)", re.IGNORECASE)


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
    from_zero = [c for c in columns if shape.known(table.numbers[:, c])[0] == 0]
    for column in columns:
        x = table.numbers[:, column]
        counts = column == 0 and from_zero == [0] and shape.rises(x)
        if counts or shape.is_setpoint(x):
            rest = " ".join(str(c + 1) for c in columns if c != column)
            raise may_count(table, column, f"--columns {rest} --pulses none")


def refuse_overlooked(found: Roles, columns: Sequence[int]) -> None:
    """Raise UserError where a column of unknown name holds numbers like those of a response."""
    table, sure = found.table, found.of(Role.RESPONSE)
    alike: dict[int, int] = {}  # the response that such a column is like
    for column in columns:
        name, x = table.names[column], table.numbers[:, column]
        if name.role is not None or shape.is_setpoint(x):
            continue
        for other in sure:
            units = {"", name.unit, table.names[other].unit}
            if len(units) < 3 and shape.are_alike(x, table.numbers[:, other]):
                alike.setdefault(column, other)
    for column, other in alike.items():
        every = " ".join(str(c + 1) for c in sorted([*sure, *alike]))
        known = " ".join(str(c + 1) for c in sure)
        raise UserError(
            f"{table.path}: {table.title(column)} has no known name, but its numbers run like "
            f"those of {table.title(other)}; say --columns {every} if it is a response, too, or "
            f"--columns {known} if it is none"
        )


def refuse_others(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError for a table that is no pulse response, by its right name."""
    table, responses = found.table, found.of(Role.RESPONSE)
    refuse_conditions(found, options)
    if options.devices == "auto":
        refuse_spread(found)
    refuse_by_words(table, responses)
    if not responses:
        raise UserError(
            f"{table.path}: line {table.lines[0]}: no column is a response; name it with --columns"
        )
    is_current = any(
        Role.CURRENT in (table.names[c].quantity, table.names[c].role) for c in responses
    )
    for column in found.of(Role.DRIVE):
        x = table.numbers[:, column]
        refuse_pauses(table, column)
        if not shape.moves(x):
            continue
        if shape.alternates(x):
            raise UserError(
                f"{table.path}: {table.title(column)} alternates from line to line between "
                "the values of a write and of a read; keep only the lines of the reads"
            )
        if is_current and not PULSED_WORDS & {*words(table.names[column].text)}:
            raise sweep(table, column, responses[0])
        raise UserError(
            f"{table.path}: an amplitude staircase, not a pulse response: {table.title(column)} "
            "changes from pulse to pulse; a device file needs identical pulses"
        )
    if options.pulses is None:
        refuse_other_axes(found, bool(options.columns))


def refuse_other_axes(found: Roles, asked: bool) -> None:
    """Raise UserError where a curve may be one over time, temperature, field or the like.

    That is where such a column runs on, and none counts pulses, or one that may only count lines.
    asked: whether the user chose the responses.
    """
    table, counters = found.table, found.of(Role.PULSES)
    # Clock times are only the instrument's stamp; elapsed times may be what the curve is read over.
    times = found.of(Role.TIME)[:1]
    times = [] if times and turns_or_labels(found) else times
    axes = [(c, "a retention measurement", "holds times") for c in times]
    for column in found.of(Role.OTHER):
        x, name = table.numbers[:, column], table.names[column]
        is_set = name.role == Role.CURRENT and shape.is_setpoint(x)
        if is_set or shape.is_counter(x) or (names_condition(name) and shape.runs_on(x)):
            axes.append((column, "a sweep", "runs on from line to line"))
    for column, kind, why in axes:
        axis = f"{table.title(column)} {why}"
        if not counters:
            raise UserError(
                f"{table.path}: {kind}, not a pulse response: {axis}, and no column counts pulses; "
                "if one pulse came before every reading, say --pulses none"
            )
        by_lines = all(counts_anything(table.names[c].text) for c in counters)
        if table.numeric[column] and by_lines:
            raise UserError(
                f"{table.path}: {table.title(counters[0])} may count pulses, or only the readings "
                f"of {kind}, since {axis}; if it counts pulses, say --pulses {counters[0] + 1}"
            )
    for column in [] if asked or counters else found.of(Role.UNKNOWN):
        x, name = table.numbers[:, column], table.names[column]
        is_named = bool(name.text or name.unit) and table.numeric[column]
        if name.role is None and (shape.is_setpoint(x) or (is_named and shape.runs_on(x))):
            raise may_count(table, column, "--pulses none")


def refuse_conditions(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError where columns that would be ramps of one device are of other conditions."""
    table, responses = found.table, found.of(Role.RESPONSE)
    names = [table.names[column] for column in responses]
    said = [{*words(name.text)} for name in names]
    before = [c for c, own in zip(responses, said, strict=True) if own & BEFORE_WORDS]
    after = [c for c, own in zip(responses, said, strict=True) if own & AFTER_WORDS]
    if before and after:
        raise UserError(
            f"{table.path}: {table.title(before[0])} is read before each pulse, and "
            f"{table.title(after[0])} after it; choose one with --columns {after[0] + 1}"
        )
    if options.devices != "auto" or any(name.device for name in names):
        return
    for branch in {name.branch for name in names}:
        own = [c for c in responses if table.names[c].branch == branch]
        differ = [conditions_in(table.names[c]) for c in own]
        sizes = {tuple(each.lstrip("+-") for each in names) for names in differ}
        # Equal sizes of other signs are pulses of both polarities.
        if len(own) > 1 and all(differ) and len(sizes) == len(own):
            raise UserError(
                f"{table.path}: the names of {table.title(*own)} differ in a condition, "
                f"{', '.join(' '.join(each) for each in differ[:3])}; choose one with --columns "
                f"{own[0] + 1}, or say --devices one if they are cycles of one device all the same"
            )


def refuse_spread(found: Roles) -> None:
    """Raise UserError where three columns or more, of names that may be of devices or of cycles,
    have ranges that differ by more than their noise, as those of devices do."""
    table = found.table
    columns = found.of(Role.RESPONSE)
    names = [table.names[column] for column in columns]
    known = [(n.device, n.branch, n.cycle, n.read) != (None,) * 4 for n in names]
    if any(known) or len({name.text for name in names} - {""}) < max(3, len(names)):
        return
    curves = [shape.known(table.numbers[:, column]) for column in columns]
    if any(len(x) < 10 or turning_point(x) is not None for x in curves):
        return
    trends = [trend(np.arange(len(x)), x) for x in curves]
    ranges = np.array([abs(one.change) for one in trends])
    error = max(one.read_noise for one in trends)
    spread, mean = float(np.std(ranges, ddof=1)), float(ranges.mean())
    if spread > max(LARGE_SPREAD * mean, MIN_ERRORS * error):
        raise UserError(
            f"{table.path}: {table.title(*columns)}: the ranges differ by "
            f"{100 * spread / mean:.2g} %, and nothing names devices or cycles; if these are "
            "devices, say --devices each; if they are cycles of one device, --devices one"
        )


def refuse_pauses(table: NumericTable, column: int) -> None:
    """Raise UserError for readings one after the other at which a drive is 0, and so no pulse came.

    A single one, as the reading before the first pulse, belongs to the ramp beside it.
    """
    x = table.numbers[:, column]
    if not (shape.known(x) != 0).any():
        return
    for row in np.flatnonzero((x[1:] == 0) & (x[:-1] == 0))[:1].tolist():
        raise table.error(
            int(table.lines[row]),
            column,
            "0 in several lines one after the other, so no pulse came before these readings; "
            "remove them",
        )


def refuse_by_words(table: NumericTable, responses: Sequence[int]) -> None:
    """Raise UserError for what its names say to be no reading after pulses."""
    names = [{*words(name.text)} for name in table.names]
    for column, found in enumerate(names):
        if found & DISTRIBUTION_WORDS:
            raise UserError(
                f"{table.path}: a distribution, not a pulse response: {table.title(column)}"
            )
    counts_pulses = any(PULSE_WORDS & found for found in names)
    every = set().union(*names)
    if any(levels <= every for levels in TWO_LEVELS) or (every & ONE_LEVEL and not counts_pulses):
        raise UserError(
            f"{table.path}: levels of each cycle, as of an endurance test, not a pulse response"
        )
    for column in responses:
        x = np.abs(shape.known(table.numbers[:, column]))
        name = table.names[column]
        from_start = FROM_START.search(name.text) and name.branch == "falling"
        is_change = CHANGE.search(name.text) is not None and not from_start
        for is_so, what in (
            (names[column] & LEARNING_WORDS, "is the result of a training, not a pulse response"),
            (names[column] & LOGARITHM_WORDS, "holds logarithms; give the values themselves"),
            (
                is_change and x[0] > max(x.max() / 2, 2 * x[-1]),
                "seems to hold the change by each pulse; give the value after each pulse, or "
                "rename the column",
            ),
        ):
            if is_so:
                raise UserError(f"{table.path}: {table.title(column)} {what}")
    for column, found in enumerate(names):
        name = table.names[column]
        if found & EPOCH_WORDS and column not in responses and name.role != Role.RESPONSE:
            raise UserError(
                f"{table.path}: {table.title(column)} counts the epochs of a training, not pulses"
            )


def sweep(table: NumericTable, drive: int, response: int) -> UserError:
    return UserError(
        f"{table.path}: an I-V sweep, not a pulse response: {table.title(response)} follows "
        f"{table.title(drive)}; a device file needs readings after identical pulses"
    )


def turns_or_labels(found: Roles) -> bool:
    """Whether something else than a counter shows pulses: the names of branches, a drive that
    changes its sign, or a curve that goes up and down."""
    if found.of(Role.BRANCH, Role.DRIVE) or any(name.branch for name in found.table.names):
        return True
    columns = found.of(Role.RESPONSE, Role.CURRENT) or found.of(Role.VOLTAGE, Role.UNKNOWN)
    curves = (shape.known(found.table.numbers[:, column]) for column in columns)
    return any(len(x) >= 10 and turning_point(x) is not None for x in curves)
