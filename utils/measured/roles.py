"""What each column of a table holds: its role, found from its name, its unit and its numbers.

In: a table and the options. Out: the columns of responses; each column of the table has a role and
a reason for it. It matters, for instance, for a file with three columns of numbers:

    n, U (V), I (nA)      n counts 1, 2, 3 …: pulses; U does not change: a drive; I: the response
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from utils.errors import UserError
from utils.measured.borders import refuse_comments, refuse_groups
from utils.measured.cells import NUMBER, TEXT
from utils.measured.column import Column, assign
from utils.measured.counters import refuse_counters, refuse_lone_pulses
from utils.measured.layouts import key_columns
from utils.measured.names import CLOCK_TIME, Name, branch_in, parse_name
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.refusals import refuse_others, refuse_overlooked, refuse_unnamed
from utils.measured.vocabulary import LABELS, WORDS, Role, words

FORMULA = re.compile(r"=(?!\s*[+-]?[\d.]+\s*[^\W\d]*(?:$|[\s,;_)]))")  # n=5 is a condition
WITH_UNIT = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*(?:m?V|[nµμu]s|ms)(?![^\W\d_])")
HAVE_UNITS = (Role.TIME, Role.DRIVE, Role.STATE, Role.VOLTAGE, Role.CURRENT, Role.OTHER)


def find_roles(table: NumericTable, options: ReadingOptions) -> list[Column]:
    """Give each column its role, and say why. Returns the responses, in the order of --columns.

    Raises UserError for what is no pulse response, and for what nothing decides.
    """
    for column in table.columns:
        assign([column], *(by_numbers if column.is_numeric else by_words)(column))
    asked = select(table, options.columns, "--columns")
    if options.layout == "rows":  # whatever the names of their columns are
        readings = [column for column in table.columns if (column.kinds == NUMBER).any()]
        assign(readings, Role.RESPONSE, "a ramp in each line")
        assign(key_columns(table), Role.LABEL, "the label of the line")
        return asked or table.of(Role.RESPONSE)
    if options.pulses not in (None, "none"):
        flag = f"--pulses {options.pulses}"
        (column, *further_columns) = select(table, [options.pulses], "--pulses")
        if further_columns or column in asked:
            raise UserError(f"{flag}: must be one column that is not among --columns")
        if not column.is_numeric:
            raise UserError(f"{flag}: {column} holds no numbers; name another")
        assign(table.of(Role.PULSES), Role.UNKNOWN, "--pulses names another column")
        assign([column], Role.PULSES, "set by --pulses")
    assign(asked, Role.RESPONSE, "set by --columns")
    counters = choose_pulses(table, options)
    choose_responses(table, asked, counters)
    if options.pulses == "none":
        why = "a counter, not used because of --pulses none"
        assign(table.of(Role.PULSES), Role.UNKNOWN, why)
    if options.devices == "auto":
        refuse_groups(table)
    if options.devices != "one":
        refuse_comments(table)
    refuse_others(table, options)
    return asked or table.of(Role.RESPONSE)


def by_numbers(column: Column) -> tuple[str, str]:
    """The role of a column of numbers by its name and numbers alone, and the reason for it."""
    name, counts, rises = column.name, column.counts, column.rises
    by = "by its unit" if name.unit else "by its name"
    is_pulses, is_label = name.role == Role.PULSES, name.role in LABELS
    counts_lines = rises and len(column.known) == len(column.numbers) >= 5
    is_quantity = bool(name.unit) or name.quantity != "response" or not counts
    is_no_counter = bool(name.text) and not counts and not (column.is_whole and rises)
    is_no_counter = is_no_counter and name.may_count_readings
    has_unit = bool(name.unit) and name.role in HAVE_UNITS
    labels = (name.device, name.branch, name.cycle, name.read)
    is_labelled = labels != (None,) * 4 and name.role in (None, Role.CURRENT)
    like_counter = "named like a counter, but its numbers do not"
    rules = (  # the stronger evidence stands first
        (column.is_id, Role.DEVICE, "its labels repeat"),
        (is_label and counts_lines, Role.PULSES, "its numbers count from line to line"),
        (is_label, name.role, "by its name"),
        (name.role == Role.RESPONSE and is_quantity, name.role, by),
        (is_pulses and column.is_constant, Role.UNKNOWN, f"{like_counter} change"),
        (is_pulses and is_no_counter, Role.UNKNOWN, f"{like_counter} count"),
        (is_pulses and not counts, name.role, "by its name"),
        (is_pulses, name.role, "by its name and its numbers, 0 or 1, 2, 3 …"),
        (counts and not has_unit, Role.PULSES, "its numbers count 0 or 1, 2, 3 …"),
        (is_labelled, Role.RESPONSE, "its name gives a device, cycle or branch"),
        (name.role, name.role, by),
        (name.text, Role.UNKNOWN, "its name is not known"),
        (True, Role.UNKNOWN, "no name"),
    )
    return first_true(rules)


def by_words(column: Column) -> tuple[str, str]:
    """The role of a column of labels, or without numbers, and the reason for it.

    Words such as `5 V` become numbers of a drive.
    """
    role, cells = column.name.role, [cell for cell in column.cells if cell]
    has_role = bool(cells) and role in (*LABELS, Role.TIME)
    if role in (Role.DRIVE, Role.PULSES, None) and cells and all(map(WITH_UNIT.match, cells)):
        matches = (WITH_UNIT.match(cell) for cell in column.cells)
        column.numbers = np.array(
            [float(match[1].replace(",", ".")) if match else np.nan for match in matches]
        )
        return Role.DRIVE, "voltages or times with their units"
    are_branches = column.has_labels and all(map(branch_in, cells))
    rules = (
        (has_role, role, "by its name"),
        (not (column.kinds == TEXT).any(), Role.NOTHING, "no cell is filled"),
        (are_branches, Role.BRANCH, "its words name branches"),
        (cells and CLOCK_TIME.search(cells[0]), Role.TIME, "clock times"),
        (column.is_id, Role.DEVICE, "its labels repeat"),
        (True, Role.TEXT, "words"),
    )
    return first_true(rules)


def first_true(rules: Sequence[tuple]) -> tuple[str, str]:
    """Role and reason of the first rule that holds."""
    return next((role, why) for holds, role, why in rules if holds)


def choose_pulses(table: NumericTable, options: ReadingOptions) -> list[Column]:
    """Leave only one column of pulses for each response; the others become unknown, and are
    returned.

    Raises UserError where nothing tells whether a column counts pulses.
    """
    refuse_counters(table, options)
    pulses = table.of(Role.PULSES)
    other_places = [c.place for c in table.numeric if c.role not in (Role.PULSES, *LABELS)]
    if pulses and not other_places:
        refuse_lone_pulses(table)
        assign(pulses[-1:], Role.RESPONSE, "the only other column of numbers")
        return []
    counters = []
    for pair in pairwise(pulses):
        if any(pair[0].place < place < pair[1].place for place in other_places) or options.pulses:
            continue  # each of both counts the pulses of the responses to its right
        dropped, used = sorted(pair, key=lambda c: ("puls" in c.name.text.lower(), c.place))
        if used.role == dropped.role == Role.PULSES:
            assign([dropped], Role.UNKNOWN, f"a counter, but {used} holds the pulses")
            counters.append(dropped)
    return counters


def choose_responses(
    table: NumericTable, asked: Sequence[Column], counters: Sequence[Column]
) -> None:
    """Decide which columns hold responses. asked: those that the user chose; counters: no
    responses.

    Raises UserError where nothing tells it.
    """
    if asked:
        not_asked = [column for column in table.of(Role.RESPONSE) if column not in asked]
        assign(not_asked, Role.UNKNOWN, "not among --columns")
        return
    leave_out_derived(table)
    if len(table.numeric) - len(table.of(Role.PULSES)) > 1:
        unknown = [c for c in table.of(Role.UNKNOWN) if c.is_numeric]
        assign([c for c in unknown if c.is_constant], Role.OTHER, "its numbers do not change")
    for role in (Role.STATE, Role.CURRENT, Role.VOLTAGE):
        columns = table.of(role)
        if responses := table.of(Role.RESPONSE):
            why = f"{responses[0]} is the response; --columns chooses another"
            assign(table.of(Role.STATE, Role.CURRENT), Role.OTHER, why)
        elif not all(column.is_constant for column in columns):
            assign(columns, Role.RESPONSE, f"a {role}, and no other column is a response")
    why = "a voltage or current, and another column is the response"
    assign(table.of(Role.VOLTAGE, Role.CURRENT), Role.DRIVE, why)
    candidates = [c for c in table.of(Role.UNKNOWN) if c.is_numeric and c not in counters]
    if table.of(Role.RESPONSE):
        refuse_overlooked(table, candidates)
    else:
        refuse_unnamed(table, candidates)
        assign(candidates, Role.RESPONSE, "numbers, and no column is named as a response")


def leave_out_derived(table: NumericTable) -> None:
    """Leave out fits, means and spreads of readings, unless nothing else is there."""
    for role in (Role.RESPONSE, Role.STATE, Role.CURRENT, Role.VOLTAGE, Role.UNKNOWN):
        columns = [c for c in table.of(role) if c.is_numeric and c.name.role in (None, role)]
        statistics = {column: statistic(column.name) for column in columns}
        means = [words for words in statistics.values() if words and words <= WORDS["mean"]]
        beside_mean = [c for c in columns if means and statistics[c] != means[0]]
        if role == Role.RESPONSE or not table.of(Role.RESPONSE):
            refuse_mean(table, statistics)
        for derived, why in (
            ([c for c in columns if c.name.has_words("fit")], "a fit or a model, no readings"),
            ([c for c in columns if FORMULA.search(c.name.text)], "made of other columns"),
            ([c for c in columns if statistics[c]], "made of other columns"),
            (beside_mean, "beside the mean or the median"),
        ):
            to_leave_out = [column for column in derived if column in columns]
            if len(to_leave_out) < len(columns):
                assign(to_leave_out, Role.OTHER, why)
                columns = [column for column in columns if column not in to_leave_out]


def refuse_mean(table: NumericTable, statistics: dict[Column, set[str]]) -> None:
    """Raise UserError for a column that is named a mean, but lies outside of the readings beside
    it.

    statistics: for each column, the words of its name that speak of a mean or a spread.
    """
    readings = [column for column in statistics if not statistics[column]]
    for mean in [column for column in statistics if column not in readings]:
        numbers = np.concatenate([column.known for column in readings or [mean]])
        is_away = not numbers.min() <= np.median(mean.known) <= numbers.max()
        if is_away and statistics[mean] <= WORDS["mean"]:
            raise table.refusal(
                f"{mean} is no mean of {readings[0]} beside it, by its numbers; say --columns "
                f"{mean.number} if it is the response, or --columns {readings[0].number}"
            )


def statistic(name: Name) -> set[str]:
    """The words of a name that speak of a mean or a spread; SD in G_SD is from source to drain."""
    words_of_name = {*words(name.text)}
    known = WORDS["mean"] | WORDS["spread"] | (set() if words_of_name & set("girv") else {"sd"})
    return words_of_name & known


def select(table: NumericTable, asked: Sequence[str], option: str) -> list[Column]:
    """Columns by their numbers from 1, by ranges such as 2-5, or by their names.

    Raises UserError for one that the table does not have.
    """
    chosen: list[Column] = []
    width, named = len(table.columns), [column for column in table.columns if column.name.text]
    for word in asked:
        if numbers := re.fullmatch(r"(\d+)(?:-(\d+))?", word):
            low, high = int(numbers[1]), int(numbers[2] or numbers[1])
            if not 1 <= low <= high <= width:
                raise UserError(
                    f"{option} {word}: {table.path} has columns 1 to {width}; choose among them"
                )
            chosen += table.columns[low - 1 : high]
            continue
        name = parse_name(word)
        matches = [c for c in named if c.name.text == word or c.name == name]
        matches = matches or [c for c in named if c.name.text.lower() == word.lower()]
        if not matches:
            names = ", ".join(dict.fromkeys(c.name.text for c in named)) or "none with a name"
            raise UserError(f"{option} {word}: {table.path} has no such column; it has {names}")
        chosen += matches
    return list(dict.fromkeys(chosen))
