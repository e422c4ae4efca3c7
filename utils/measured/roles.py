"""What each column of a table holds: found from its name, its unit and its numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.cells import EMPTY, NUMBER, TEXT
from utils.measured.column_roles import Roles
from utils.measured.names import CLOCK_TIME, branch_in, parse_name, words
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.refusals import refuse_others, refuse_unnamed, turns_or_labels
from utils.measured.vocabulary import COUNT_WORDS, LABELS, Role


def find_roles(table: NumericTable, options: ReadingOptions) -> Roles:
    """Raises UserError for what is no pulse response, and for what nothing decides."""
    roles, why = zip(*(role_alone(table, c) for c in range(len(table.names))), strict=True)
    found = Roles(table, [*roles], [*why])
    asked = select(table, options.columns, "--columns")
    if options.pulses not in (None, "none"):
        (column, *more) = select(table, [options.pulses], "--pulses")
        if more or column in asked:
            raise UserError(
                f"--pulses {options.pulses}: must be one column that is not among --columns"
            )
        if not table.numeric[column]:
            raise UserError(
                f"--pulses {options.pulses}: {table.title(column)} holds no numbers; name another"
            )
        for other in found.of(Role.PULSES):
            found.set(other, Role.UNKNOWN, "--pulses names another column")
        found.set(column, Role.PULSES, "set by --pulses")
    counters = choose_pulses(found, options, asked)
    choose_responses(found, asked, counters)
    if options.pulses == "none":
        for column in found.of(Role.PULSES):
            found.set(column, Role.UNKNOWN, "a counter, not used because of --pulses none")
    refuse_others(found, options)
    return found


def role_alone(table: NumericTable, column: int) -> tuple[str, str]:
    """The role of a column as far as it tells itself."""
    name, kinds = table.names[column], table.kinds[:, column]
    if not table.numeric[column]:
        return role_of_text(table, column)
    x = table.numbers[:, column]
    counter = shape.is_counter(x)
    if name.role and name.role in LABELS:
        if shape.rises(x) and not np.isnan(x).any() and len(x) >= 5:
            return Role.PULSES, "its numbers count from line to line"
        return name.role, "by its name"
    if name.role == Role.RESPONSE and (name.unit or name.quantity != "response" or not counter):
        return Role.RESPONSE, "by its unit" if name.unit and name.quantity else "by its name"
    if counter and not (
        name.unit and name.role in (Role.TIME, Role.DRIVE, Role.VOLTAGE, Role.CURRENT, Role.OTHER)
    ):
        both = "by its name and its numbers, 0 or 1, 2, 3 …"
        return Role.PULSES, both if name.role == Role.PULSES else "its numbers count 0 or 1, 2, 3 …"
    if name.role == Role.PULSES:
        if shape.is_constant(x):
            return Role.UNKNOWN, "named like a counter, but its numbers do not change"
        generic = all(word in COUNT_WORDS or word.isdigit() for word in words(name.text))
        integers = shape.are_integers(shape.known(x)) and shape.rises(x)
        if generic and name.text and not integers:
            return Role.UNKNOWN, "named like a counter, but its numbers do not count"
        return Role.PULSES, "by its name"
    labelled = name.device or name.branch or name.cycle is not None or name.read is not None
    if labelled and name.role in (None, Role.CURRENT) and (kinds == NUMBER).any():
        return Role.RESPONSE, "its name gives a device, cycle or branch"
    if name.role is not None:
        return name.role, "by its unit" if name.unit else "by its name"
    return Role.UNKNOWN, "no name" if not name.text else "its name is not known"


def role_of_text(table: NumericTable, column: int) -> tuple[str, str]:
    name, kinds = table.names[column], table.kinds[:, column]
    cells = [cell for cell in table.cells[:, column] if cell]
    if name.role and name.role in (*LABELS, Role.TIME) and (kinds != EMPTY).any():
        return name.role, "by its name"
    if not (kinds == TEXT).any():
        return Role.NOTHING, "no cell is filled"
    if all(branch_in(cell) for cell in cells) and table.labels[column]:
        return Role.BRANCH, "its words name branches"
    if CLOCK_TIME.search(cells[0]):
        return Role.TIME, "clock times"
    if not name.text and column == 0 and 1 < len(set(cells)) <= len(cells) / 5:
        return Role.DEVICE, "its labels repeat"
    return Role.TEXT, "words"


def choose_pulses(found: Roles, options: ReadingOptions, asked: Sequence[int]) -> list[int]:
    """Leave one column of pulses before each response, and refuse what may count or not.

    Returns the counters beside them.
    """
    table = found.table
    for column in asked:
        found.set(column, Role.RESPONSE, "set by --columns")
    if not found.of(Role.PULSES) and options.pulses is None:
        for column in found.of(Role.TIME, Role.DRIVE, Role.VOLTAGE, Role.CURRENT, Role.OTHER):
            x = table.numbers[:, column]
            if shape.is_counter(x) and found.of(
                Role.RESPONSE, Role.CURRENT, Role.UNKNOWN, Role.VOLTAGE
            ) != [column]:
                if found.roles[column] == Role.TIME and turns_or_labels(found):
                    continue
                kind = "a retention measurement" if found.roles[column] == Role.TIME else "a sweep"
                raise UserError(
                    f"{table.path}: {kind}, not a pulse response: {table.title(column)} runs 0 or "
                    f"1, 2, 3 … {table.names[column].unit}; if it counts pulses, say --pulses "
                    f"{column + 1}"
                )
    others = [
        c for c in np.flatnonzero(table.numeric) if found.roles[c] not in (Role.PULSES, *LABELS)
    ]
    pulses = found.of(Role.PULSES)
    for column in pulses:
        x = shape.known(table.numbers[:, column])
        if not shape.are_integers(x) and np.median(np.abs(np.diff(x))) < 1:
            raise UserError(
                f"{table.path}: {table.title(column)} counts fractions of pulses; if one pulse "
                "came before every reading, say --pulses none"
            )
    if pulses and not others:
        strong = [c for c in pulses if table.names[c].role == Role.PULSES]
        if strong and "puls" in table.names[strong[0]].text.lower():
            for column in found.of(Role.TEXT):
                if any(map(str.isdigit, cell := table.cells[0, column])):
                    problem = f"'{cell}' is not a number; give the value alone"
                    raise table.error(int(table.lines[0]), column, problem)
            raise table.error(
                int(table.lines[0]),
                strong[0],
                "this column counts pulses, but no other column holds values; add one",
            )
        found.set(pulses[-1], Role.RESPONSE, "the only other column of numbers")
        return []
    counters = []
    for before, column in pairwise(pulses):
        if any(before < other < column for other in others):
            continue  # each has its responses on its right
        keep, drop = sorted(
            (before, column), key=lambda c: ("puls" in table.names[c].text.lower(), c), reverse=True
        )
        if found.roles[keep] == found.roles[drop] == Role.PULSES and options.pulses is None:
            found.set(drop, Role.UNKNOWN, f"a counter, but {table.title(keep)} holds the pulses")
            counters.append(drop)
    return counters


def choose_responses(found: Roles, asked: Sequence[int], counters: Sequence[int]) -> None:
    """Which columns hold responses, among those whose names leave it open."""
    table = found.table
    if asked:
        for column in found.of(Role.RESPONSE):
            if column not in asked:
                found.set(column, Role.UNKNOWN, "not among --columns")
        return
    spare = table.numeric.sum() - len(found.of(Role.PULSES)) > 1
    for column in found.of(Role.UNKNOWN):
        if spare and table.numeric[column] and shape.is_constant(table.numbers[:, column]):
            found.set(column, Role.OTHER, "its numbers do not change")
    sure = found.of(Role.RESPONSE)
    if not sure:
        for role in (Role.CURRENT, Role.VOLTAGE):
            if not all(shape.is_constant(table.numbers[:, c]) for c in found.of(role)):
                for column in found.of(role):
                    found.set(column, Role.RESPONSE, f"a {role}, and no other column is a response")
                break
    else:
        for column in found.of(Role.CURRENT):
            found.set(
                column,
                Role.OTHER,
                f"{table.title(sure[0])} is the response; --columns chooses another",
            )
    for column in found.of(Role.VOLTAGE, Role.CURRENT):
        found.set(column, Role.DRIVE, "a voltage or current, and another column is the response")
    if not found.of(Role.RESPONSE):
        candidates = [c for c in found.of(Role.UNKNOWN) if table.numeric[c] and c not in counters]
        refuse_unnamed(found, candidates)
        for column in candidates:
            found.set(column, Role.RESPONSE, "numbers, and no column is named as a response")


def select(table: NumericTable, asked: Sequence[str], option: str) -> list[int]:
    """Columns, counted from 0, by numbers from 1, ranges such as 2-5, or names.

    Raises UserError for one that the table does not have.
    """
    chosen: list[int] = []
    width = len(table.names)
    for word in asked:
        if found := re.fullmatch(r"(\d+)(?:-(\d+))?", word):
            low, high = int(found[1]), int(found[2] or found[1])
            if not 1 <= low <= high <= width:
                raise UserError(
                    f"{option} {word}: {table.path} has columns 1 to {width}; choose among them"
                )
            matches = list(range(low - 1, high))
        else:
            named = [(c, name) for c, name in enumerate(table.names) if name.text]
            wanted = parse_name(word)
            matches = [c for c, name in named if name.text == word or name == wanted]
            matches = matches or [c for c, n in named if n.text.lower() == word.lower()]
            if not matches:
                names = ", ".join(dict.fromkeys(n.text for _, n in named)) or "none with a name"
                raise UserError(f"{option} {word}: {table.path} has no such column; it has {names}")
        chosen += [column for column in matches if column not in chosen]
    return chosen
