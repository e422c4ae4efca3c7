"""Which way a ramp runs: by its name, or else by its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.measured.checks import Trend, trend
from utils.measured.column_roles import Roles
from utils.measured.measurement import Branch
from utils.measured.names import names_conductance_way, names_polarity_only
from utils.measured.options import ReadingOptions
from utils.measured.series import Series
from utils.measured.turns import without_spikes
from utils.measured.vocabulary import Role


@dataclass(eq=False)
class Directed:
    """A ramp whose branch is known, before it is numbered among those of its device.

    pulses: float64 [n], rising; fixed: whether their start is known, not only their differences;
    found: its trend; after: the ramp of the other branch right before it; before: see Ramp.
    """

    series: Series
    branch: Branch
    pulses: np.ndarray
    fixed: bool
    found: Trend
    after: Directed | None = None
    before: float | None = None

    @property
    def size(self) -> float:
        """The range, never negative."""
        return abs(self.found.change)

    @property
    def fitted(self) -> np.ndarray:
        """The readings on the trend, [n]."""
        return self.series.values - self.found.residuals


def direct(
    series: Series, index: int, roles: Roles, options: ReadingOptions, quantity: str
) -> Directed:
    """The ramp in the order of time, turned if it is stored backwards.

    index: of the ramp in the file. Raises UserError where its name means one branch or the other.
    """
    pulses, values = series.pulses, without_spikes(series.values)
    counts_down = bool(pulses[-1] < pulses[0])
    fixed = series.is_counted and not counts_down
    found = trend(np.abs(pulses - pulses[0]), values)
    way = "rising" if found.change > 0 else "falling"
    branch, by_polarity = wanted(series, index, roles, options, quantity)
    branch = branch or way
    if branch != way and by_polarity and not counts_down:
        why = f"{way} in the file, which counts for more than the name of the pulses"
        roles.add(series.column, why)
        branch = way
    elif branch != way:
        why = f"{branch} by its name, but {way} in the file: stored backwards, and turned"
        roles.add(series.column, why)
        series = series.take(slice(None, None, -1))
        found = Trend(-found.change, found.residuals[::-1])
    elif counts_down:
        roles.add(series.column, "the pulses count down; the order of the lines is that of time")
    since_first = np.abs(series.pulses - series.pulses[0])
    start = pulses.min() if fixed else 0
    return Directed(series, branch, since_first + start, fixed, found)


def wanted(
    series: Series, index: int, roles: Roles, options: ReadingOptions, quantity: str
) -> tuple[Branch | None, bool]:
    """The branch that the user, or a name, gives a ramp, None where only its values tell; and
    whether it is named by the polarity of the pulses alone, which the values may contradict."""
    if len(options.branches) > 1:
        return options.branches[index % len(options.branches)], False
    if series.branch is None:
        return None, False
    columns = [c for c in (series.column, series.pulse_column) if c is not None]
    row = int(np.searchsorted(series.table.lines, series.lines[0]))
    cells = [series.table.cells[row, column] for column in roles.of(Role.BRANCH)]
    label = " ".join([*(series.table.names[column].text for column in columns), *cells])
    by_conductance, branch = names_conductance_way(label), series.branch
    if by_conductance and quantity == "resistance" and not options.resistance:
        branch = "rising" if series.branch == "falling" else "falling"
    elif by_conductance and (series.values < 0).all() and quantity != "conductance":
        raise series.whole_error(
            "the values are negative, so a potentiation may raise them or their size; say which "
            "ramp falls and which rises, such as --branches falling rising, in the order of the "
            "ramps"
        )
    return branch, names_polarity_only(label)
