"""What each column of a table holds: found from its name, its unit and its numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from utils.errors import UserError
from utils.measured import column_shapes as shape
from utils.measured.column_roles import Roles, roles_alone
from utils.measured.counters import refuse_counters, refuse_lone_pulses
from utils.measured.names import Name, parse_name
from utils.measured.numeric_table import NumericTable
from utils.measured.options import ReadingOptions
from utils.measured.refusals import refuse_others, refuse_overlooked, refuse_unnamed
from utils.measured.vocabulary import LABELS, WORDS, Role, words


def find_roles(table: NumericTable, options: ReadingOptions) -> Roles:
    """Raises UserError for what is no pulse response, and for what nothing decides."""
    found = roles_alone(table, options.layout)
    if options.layout == "rows":
        return found
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
        found.set(found.of(Role.PULSES), Role.UNKNOWN, "--pulses names another column")
        found.set([column], Role.PULSES, "set by --pulses")
    found.set(asked, Role.RESPONSE, "set by --columns")
    counters = choose_pulses(found, options)
    choose_responses(found, asked, counters)
    if options.pulses == "none":
        why = "a counter, not used because of --pulses none"
        found.set(found.of(Role.PULSES), Role.UNKNOWN, why)
    refuse_others(found, options)
    return found


def choose_pulses(found: Roles, options: ReadingOptions) -> list[int]:
    """Leave one column of pulses before each response, and refuse what may count or not.

    Returns the counters beside them.
    """
    table = found.table
    refuse_counters(found, options)
    pulses = found.of(Role.PULSES)
    others = [
        c for c in np.flatnonzero(table.numeric) if found.roles[c] not in (Role.PULSES, *LABELS)
    ]
    if pulses and not others:
        refuse_lone_pulses(found)
        found.set(pulses[-1:], Role.RESPONSE, "the only other column of numbers")
        return []
    counters = []
    for pair in pairwise(pulses):
        if any(pair[0] < other < pair[1] for other in others) or options.pulses is not None:
            continue  # each has its responses on its right
        drop, keep = sorted(pair, key=lambda c: ("puls" in table.names[c].text.lower(), c))
        if found.roles[keep] == found.roles[drop] == Role.PULSES:
            found.set([drop], Role.UNKNOWN, f"a counter, but {table.title(keep)} holds the pulses")
            counters.append(drop)
    return counters


def choose_responses(found: Roles, asked: Sequence[int], counters: Sequence[int]) -> None:
    """Which columns hold responses, among those whose names leave it open."""
    table = found.table
    if asked:
        found.set({*found.of(Role.RESPONSE)} - {*asked}, Role.UNKNOWN, "not among --columns")
        return
    leave_out_derived(found)
    constant = [shape.is_constant(x) for x in table.numbers.T]
    if table.numeric.sum() - len(found.of(Role.PULSES)) > 1:
        steady = [c for c in found.of(Role.UNKNOWN) if table.numeric[c] and constant[c]]
        found.set(steady, Role.OTHER, "its numbers do not change")
    if sure := found.of(Role.RESPONSE):
        why = f"{table.title(sure[0])} is the response; --columns chooses another"
        found.set(found.of(Role.CURRENT), Role.OTHER, why)
    for role in (Role.CURRENT, Role.VOLTAGE):
        columns = found.of(role)
        if not found.of(Role.RESPONSE) and not all(constant[c] for c in columns):
            found.set(columns, Role.RESPONSE, f"a {role}, and no other column is a response")
    why = "a voltage or current, and another column is the response"
    found.set(found.of(Role.VOLTAGE, Role.CURRENT), Role.DRIVE, why)
    candidates = [c for c in found.of(Role.UNKNOWN) if table.numeric[c] and c not in counters]
    if found.of(Role.RESPONSE):
        refuse_overlooked(found, candidates)
    else:
        refuse_unnamed(found, candidates)
        found.set(candidates, Role.RESPONSE, "numbers, and no column is named as a response")


def leave_out_derived(found: Roles) -> None:
    """Give another role to columns that are made of the readings beside them."""
    for role in (Role.RESPONSE, Role.CURRENT, Role.VOLTAGE, Role.UNKNOWN):
        names = {c: found.table.names[c] for c in found.of(role) if found.table.numeric[c]}
        names = {c: name for c, name in names.items() if name.role in (None, role)}
        fits = [c for c, name in names.items() if name.has_words("fit")]
        leave_out(found, names, fits, "a fit or a model, no readings")
        leave_out(found, names, [c for c in names if "=" in names[c].text], "made of other columns")
        statistics = {c: statistic(name) for c, name in names.items()}
        leave_out(found, names, [c for c in names if statistics[c]], "made of other columns")
        means = [statistics[c] for c in names if statistics[c] and statistics[c] <= WORDS["mean"]]
        if means and all(statistics[c] for c in names):  # the mean or the median, of each branch
            others = [c for c in names if statistics[c] != means[0]]
            leave_out(found, names, others, "beside the mean or the median")


def leave_out(found: Roles, names: dict[int, Name], which: Sequence[int], why: str) -> None:
    """Call some of these columns other than responses, unless that would leave none."""
    if len(which) < len(names):
        found.set(which, Role.OTHER, why)
        for column in which:
            del names[column]


def statistic(name: Name) -> set[str]:
    """Which words of a name are of a mean or a spread; G_SD is from source to drain."""
    found = {*words(name.text)}
    known = WORDS["mean"] | WORDS["spread"] | (set() if found & set("girv") else {"sd"})
    return found & known


def select(table: NumericTable, asked: Sequence[str], option: str) -> list[int]:
    """Columns, counted from 0, by numbers from 1, ranges such as 2-5, or names.

    Raises UserError for one that the table does not have.
    """
    chosen: list[int] = []
    width = len(table.names)
    named = {column: name for column, name in enumerate(table.names) if name.text}
    for word in asked:
        if found := re.fullmatch(r"(\d+)(?:-(\d+))?", word):
            low, high = int(found[1]), int(found[2] or found[1])
            if not 1 <= low <= high <= width:
                raise UserError(
                    f"{option} {word}: {table.path} has columns 1 to {width}; choose among them"
                )
            chosen += range(low - 1, high)
            continue
        wanted = parse_name(word)
        matches = [c for c, name in named.items() if name.text == word or name == wanted]
        matches = matches or [c for c, n in named.items() if n.text.lower() == word.lower()]
        if not matches:
            names = ", ".join(dict.fromkeys(n.text for n in named.values())) or "none with a name"
            raise UserError(f"{option} {word}: {table.path} has no such column; it has {names}")
        chosen += matches
    return list(dict.fromkeys(chosen))
