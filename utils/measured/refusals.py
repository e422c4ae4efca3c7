"""Tables that hold no pulse response are refused, by the name of what they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.checks import DECADE, flaw, trend
from utils.measured.column_roles import Roles
from utils.measured.counters import may_count
from utils.measured.names import FROM_START
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.turns import turning_point
from utils.measured.vocabulary import TWO_LEVELS, WORDS, Role, words

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
    from_zero = [column for column in columns if table.known(column)[0] == 0]
    for column in columns:
        counts = column == 0 and from_zero == [0] and shape.rises(table.known(column))
        if counts or shape.is_setpoint(table.known(column)):
            rest = " ".join(str(c + 1) for c in columns if c != column)
            raise may_count(table, column, f"--columns {rest} --pulses none")


def refuse_overlooked(found: Roles, columns: Sequence[int]) -> None:
    """Raise UserError where a column of unknown name holds numbers like those of a response."""
    table, sure = found.table, found.of(Role.RESPONSE)
    alike: dict[int, int] = {}  # the response that such a column is like
    for column in columns:
        name, x = table.names[column], table.known(column)
        if name.role is not None or name.has_words("mean", "spread", "fit") or shape.is_setpoint(x):
            continue
        for other in sure:
            units = {"", name.unit, table.names[other].unit}
            if len(units) < 3 and shape.are_alike(x, table.known(other)):
                alike.setdefault(column, other)
    for column, other in alike.items():
        every = " ".join(str(c + 1) for c in sorted([*sure, *alike]))
        known = " ".join(str(c + 1) for c in sure)
        raise table.refusal(
            f"{table.title(column)} has no known name, but its numbers run like those of "
            f"{table.title(other)}; say --columns {every} if it is a response, too, or --columns "
            f"{known} if it is none"
        )


def refuse_others(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError for a table that is no pulse response, by its right name."""
    table, responses = found.table, found.of(Role.RESPONSE)
    refuse_conditions(found, options)
    refuse_by_words(table, responses)
    if not responses:
        raise table.refusal(
            f"line {table.lines[0]}: no column is a response; name it with --columns"
        )
    for column in found.of(Role.DRIVE):
        refuse_drive(table, column, responses)
    if options.pulses is None:
        refuse_other_axes(found, bool(options.columns))
    if options.devices == "auto":
        refuse_spread(found)


def refuse_drive(table: NumericTable, column: int, responses: Sequence[int]) -> None:
    """Raise UserError for a drive that shows that pulses were not identical, or lacking.

    Readings one after the other at which it is 0 had no pulse before them. A single one, as the
    reading before the first pulse, belongs to the ramp beside it.
    """
    x, title = table.numbers[:, column], table.title(column)
    pauses = np.flatnonzero((x[1:] == 0) & (x[:-1] == 0))
    if len(pauses) and table.known(column).any():
        raise table.error(
            int(table.lines[pauses[0]]),
            column,
            "0 in several lines one after the other, so no pulse came before these readings; "
            "remove them",
        )
    if not shape.moves(x):
        return
    if shape.alternates(x):
        raise table.refusal(
            f"{title} alternates from line to line between the values of a write and of a read; "
            "keep only the lines of the reads"
        )
    kinds = [kind for c in responses for kind in (table.names[c].quantity, table.names[c].role)]
    if Role.CURRENT in kinds and not table.names[column].has_words("pulsed"):
        raise sweep(table, column, responses[0])
    raise table.refusal(
        f"an amplitude staircase, not a pulse response: {title} changes from pulse to pulse; a "
        "device file needs identical pulses"
    )


def refuse_other_axes(found: Roles, asked: bool) -> None:
    """Raise UserError where a curve may be one over time, temperature, field or the like.

    That is where such a column runs on, and none counts pulses, or one that may only count lines.
    asked: whether the user chose the responses.
    """
    table, counters = found.table, found.of(Role.PULSES)
    # Clock times are only the instrument's stamp; elapsed times may be what the curve is read over.
    times = found.of(Role.TIME)[:1]
    if times and shows_pulses(found):
        times = []
    axes = [(c, "a retention measurement", "holds times") for c in times]
    for column in found.of(Role.OTHER):
        x, name = table.known(column), table.names[column]
        is_set = name.role == Role.CURRENT and shape.is_setpoint(x)
        if is_set or shape.is_counter(x) or (name.is_condition and shape.runs_on(x)):
            axes.append((column, "a sweep", "runs on from line to line"))
    for column, kind, why in axes:
        axis = f"{table.title(column)} {why}"
        if not counters:
            raise table.refusal(
                f"{kind}, not a pulse response: {axis}, and no column counts pulses; if one pulse "
                "came before every reading, say --pulses none"
            )
        if table.numeric[column] and all(table.names[c].may_count_readings for c in counters):
            raise table.refusal(
                f"{table.title(counters[0])} may count pulses, or only the readings of {kind}, "
                f"since {axis}; if it counts pulses, say --pulses {counters[0] + 1}"
            )
    for column in [] if asked or counters else found.of(Role.UNKNOWN):
        x, name = table.known(column), table.names[column]
        is_named = bool(name.text or name.unit) and table.numeric[column]
        if name.role is None and (shape.is_setpoint(x) or (is_named and shape.runs_on(x))):
            raise may_count(table, column, "--pulses none")


def shows_pulses(found: Roles) -> bool:
    """Whether something else than a counter shows pulses: the names of branches, a drive that
    changes its sign, or a curve that goes up and down."""
    if found.of(Role.BRANCH, Role.DRIVE) or any(name.branch for name in found.table.names):
        return True
    columns = found.of(Role.RESPONSE, Role.CURRENT) or found.of(Role.VOLTAGE, Role.UNKNOWN)
    curves = map(found.table.known, columns)
    return any(len(x) >= 10 and turning_point(x) is not None for x in curves)


def refuse_conditions(found: Roles, options: ReadingOptions) -> None:
    """Raise UserError where columns that would be ramps of one device are of other conditions."""
    table = found.table
    names = {column: table.names[column] for column in found.of(Role.RESPONSE)}
    before = [column for column, name in names.items() if name.has_words("before")]
    after = [column for column, name in names.items() if name.has_words("after")]
    if before and after:
        raise table.refusal(
            f"{table.title(before[0])} is read before each pulse, and {table.title(after[0])} "
            f"after it; choose one with --columns {after[0] + 1}"
        )
    if options.devices != "auto" or any(name.device for name in names.values()):
        return
    for branch in {name.branch for name in names.values()}:
        differ = {c: name.conditions for c, name in names.items() if name.branch == branch}
        # Equal sizes of other signs are pulses of both polarities.
        sizes = {tuple(each.lstrip("+-") for each in own) for own in differ.values()}
        if len(differ) > 1 and all(differ.values()) and len(sizes) == len(differ):
            words_of = [" ".join(each) for each in differ.values()]
            raise table.refusal(
                f"the names of {table.title(*differ)} differ in a condition, "
                f"{', '.join(words_of[:3])}; choose one with --columns {min(differ) + 1}, or say "
                "--devices one if they are cycles of one device all the same"
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
    curves = [table.known(column) for column in columns]
    if any(len(x) < 10 or not np.isfinite(x).all() for x in curves):
        return  # what is wrong with them is found with their lines
    if any(turning_point(x) is not None for x in curves):
        return
    trends = [trend(np.arange(len(x)), x) for x in curves]
    ranges = np.array([abs(one.change) for one in trends])
    error = max(one.read_noise for one in trends)
    flaws = [flaw(x, one, error) for x, one in zip(curves, trends, strict=True)]
    if any(flaws) or ranges.max() > DECADE * ranges.min():
        return  # found with its lines, too
    spread, mean = float(np.std(ranges, ddof=1)), float(ranges.mean())
    if spread > max(LARGE_SPREAD * mean, MIN_ERRORS * error):
        raise table.refusal(
            f"{table.title(*columns)}: the ranges differ by {100 * spread / mean:.2g} %, and "
            "nothing names devices or cycles; if these are devices, say --devices each; if they "
            "are cycles of one device, --devices one; if other things differ between them, choose "
            "with --columns"
        )


def refuse_by_words(table: NumericTable, responses: Sequence[int]) -> None:
    """Raise UserError for what its names say to be no reading after pulses."""
    every = {word for name in table.names for word in words(name.text)}
    is_level = not every.isdisjoint(WORDS["level"]) and every.isdisjoint(WORDS["pulse"])
    columns = range(len(table.names))
    others = [c for c in columns if c not in responses and table.names[c].role != Role.RESPONSE]
    for kind, which, problem in (
        ("distribution", columns, "a distribution, not a pulse response: {}"),
        ("learning", responses, "{} is the result of a training, not a pulse response"),
        ("logarithm", responses, "{} holds logarithms; give the values themselves"),
        ("epoch", others, "{} counts the epochs of a training, not pulses"),
    ):
        for column in which:
            if table.names[column].has_words(kind):
                raise table.refusal(problem.format(table.title(column)))
    if is_level or any(levels <= every for levels in TWO_LEVELS):
        raise table.refusal("levels of each cycle, as of an endurance test, not a pulse response")
    for column in responses:
        x, name = np.abs(table.known(column)), table.names[column]
        from_start = FROM_START.search(name.text) and name.branch == "falling"
        is_change = CHANGE.search(name.text) is not None and not from_start
        if is_change and x[0] > max(x.max() / 2, 2 * x[-1]):
            raise table.refusal(
                f"{table.title(column)} seems to hold the change by each pulse; give the value "
                "after each pulse, or rename the column"
            )


def sweep(table: NumericTable, drive: int, response: int) -> UserError:
    """What is wrong where a response follows a drive."""
    return table.refusal(
        f"an I-V sweep, not a pulse response: {table.title(response)} follows "
        f"{table.title(drive)}; a device file needs readings after identical pulses"
    )
