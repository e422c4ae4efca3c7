"""Words above the numbers that may separate devices or conditions, and are not understood.

In: a table whose columns have roles. Out: nothing, or a UserError that quotes the words:

    # 300 K         1, 0.1   2, 0.2   3, 0.3
    # 350 K         1, 0.1   2, 0.3   3, 0.5
"""

from __future__ import annotations

import numpy as np

from utils.measured.cells import COMMENT
from utils.measured.names import CLOCK_TIME, CYCLE_NUMBER, parse_name
from utils.measured.numeric_table import NumericTable
from utils.measured.refusals import column_numbers
from utils.measured.vocabulary import Role


def refuse_groups(table: NumericTable) -> None:
    """Raise UserError where different words stand above the names of responses."""
    responses = [column for column in table.of(Role.RESPONSE) if column.group]
    first = [column for column in responses if column.group == responses[0].group]
    if len(first) < len(responses):
        raise table.refusal(
            f"{first[0].group} stands above {first[0]}, other words above other responses, and "
            f"nothing tells what they mean; choose one of these groups with --columns "
            f"{column_numbers(first)}, or put # before that line if it is a comment"
        )


def refuse_comments(table: NumericTable) -> None:
    """Raise UserError where different comments stand above the ramps of one branch.

    A ramp begins at the first number, and where the pulses start again; the last comment right
    above it counts. Comments that differ only in the number of a cycle are alike.
    """
    starts = {table.lines[0]}.union(
        *(table.lines[1:][np.diff(column.numbers) < 0] for column in table.of(Role.PULSES))
    )
    first_comments: dict = {}
    for start in sorted(starts):
        before = table.lines[table.lines < start]
        lines = table.text[before[-1] if len(before) else 0 : start - 1]
        marks = [(line, COMMENT.match(line)) for line in lines if not CLOCK_TIME.search(line)]
        names = [parse_name(line[mark.end() :].strip(' "')) for line, mark in marks if mark]
        for name in [name for name in names if not name.may_count_readings][-1:]:
            text = CYCLE_NUMBER.sub("", name.text)
            first = first_comments.setdefault(name.branch, text)
            if first != text:
                raise table.refusal(
                    f"'{first}' stands above the numbers, and '{text}' above line {start}; write "
                    "what these comments say into a column of its own, in every line, or say "
                    "--devices one if they mean nothing for the curves"
                )
