"""Programming schemes: the cell of a weight, and how requests become pulses. Without torch."""

from __future__ import annotations

from dataclasses import dataclass

# The devices of a weight, and which way pulses drive them; see devices.programming.
ONE_WAY, BOTH_WAYS, REFERENCE = CELLS = ("one-way", "both-ways", "reference")
# How the controller rounds requests to whole numbers of smallest pulses.
NONE, NEAREST, STOCHASTIC = ROUNDINGS = ("none", "nearest", "stochastic")


@dataclass(frozen=True)
class Scheme:
    """The cell and the rules of programming, which networks side by side have in common.

    cell: one of CELLS; rounding: one of ROUNDINGS; accumulate: whether requests are summed up, one
    number for each weight, until they reach the smallest pulse.
    """

    cell: str = ONE_WAY
    rounding: str = NONE
    accumulate: bool = False

    @property
    def drives_both_ways(self) -> bool:
        """Whether devices receive pulses of both polarities, so that they need a rising branch."""
        return self.cell != ONE_WAY

    @property
    def refreshes(self) -> bool:
        """Whether pairs are refreshed at the end of their range; else they are clamped to it."""
        return self.cell == ONE_WAY

    @property
    def devices_written(self) -> int:
        """The number of devices of a weight that an update writes."""
        return 2 if self.cell == BOTH_WAYS else 1

    @property
    def devices_read(self) -> int:
        """The number of devices of a weight that a reading with noise reads."""
        return 1 if self.cell == REFERENCE else 2

    @property
    def controller_knows_slopes(self) -> bool:
        """Whether a request takes a device's slope factor into account, as in the paper.

        A real controller does not know it: under all other rules its pulses are the same for all
        devices, which then respond each with its own slope factor.
        """
        return self.rounding == NONE and not self.accumulate


PUBLISHED = Scheme()  # that of the paper
