"""From curves to ramps: cut where several stand in one column, and checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from utils.errors import UserError
from utils.measured.checks import FEWEST
from utils.measured.parsing.curves import Curve
from utils.measured.parsing.table import Table
from utils.measured.turns import ramps_between_turns


def inverted(curve: Curve, table: Table) -> Curve:
    """Conductances 1/R for resistances R. Raises UserError for one that is not positive."""
    wrong = np.flatnonzero(~(curve.values > 0))
    if len(wrong):
        at = int(wrong[0])
        raise curve.error(
            table, f"--resistance: {curve.values[at]:g} is no resistance; it must be positive", at
        )
    return replace(curve, values=1 / curve.values)


def cut(curve: Curve, split: int | str | None, table: Table, left_out: list[str]) -> list[Curve]:
    """The ramps of a curve; each counts its pulses as the first does.

    split: readings of a ramp, `turns`, or None. What is not used gets a line in left_out.
    """
    if split is None:
        return [curve]
    n = len(curve.values)
    if isinstance(split, int):
        if n < split:
            raise curve.error(table, f"holds {n} readings, fewer than --split {split}", n - 1)
        parts = [slice(start, start + split) for start in range(0, n - split + 1, split)]
    else:
        if n < 2 * FEWEST:
            raise curve.error(
                table, f"holds {n} readings, too few to turn; leave out --split turns"
            )
        parts, resets = ramps_between_turns(curve.values)
        if len(parts) < 2:
            raise curve.error(table, "has no turning point; leave out --split turns")
        if resets:
            left_out.append(
                f"{curve.place(table)}: {resets} resets between ramps, which are no ramps"
            )
        short = [part for part in (parts[0], parts[-1]) if part.stop - part.start < FEWEST]
        parts = [part for part in parts if part not in short]
    used = np.zeros(n, bool)
    for part in parts:
        used[part] = True
    if rest := int((~used).sum()):
        at = [int(index) for index in np.flatnonzero(~used)[[0, -1]]]
        left_out.append(
            f"{table.title(int(curve.columns[0]))}: {rest} readings that make no whole ramp, the "
            f"first in line {curve.lines[at[0]]}, the last in line {curve.lines[at[1]]}"
        )
    return [curve[part].restarted(curve.pulses[0]) for part in parts]


def check_pulses(curve: Curve, table: Table) -> None:
    """Raise UserError for pulses that are given twice, fall, are negative, or too few."""
    pulses = curve.pulses

    def error(at: int, problem: str) -> UserError:
        return table.error(int(curve.lines[at]), curve.pulse_column, problem)

    if curve.pulse_column is not None:
        seen: dict[float, int] = {}
        for at, pulse in enumerate(pulses.tolist()):
            if np.isnan(pulse):
                raise error(at, "no number of pulses, though there is a value for it")
            if pulse < 0:
                raise error(at, f"{pulse:g} pulses; their number cannot be negative")
            if pulse in seen:
                raise error(
                    at, f"pulse {pulse:g} is given twice, first in line "
                    f"{curve.lines[seen[pulse]]}; several ramps in one column need "
                    "--split N or --split turns",
                )  # fmt: skip
            seen[pulse] = at
        if (falls := np.flatnonzero(np.diff(pulses) < 0)).size:
            at = int(falls[0]) + 1
            raise error(
                at, f"pulse {pulses[at]:g} after {pulses[at - 1]:g}; pulses must rise along a ramp"
            )
    if len(pulses) < FEWEST:
        raise curve.error(
            table, f"only {len(pulses)} readings; a ramp needs at least {FEWEST} pulses "
            "(--columns leaves a column out)", len(pulses) - 1,
        )  # fmt: skip
