"""The rising branch of a device: how pulses of the other polarity raise its voltage. Without torch.

A device that is driven both ways has two curves. Where its polarity changes, its state moves from
one curve to the other at equal voltage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devices.responses import Response, Value


@dataclass(frozen=True)
class RisingBranch:
    """The response w = mirror - g(x) to x pulses that raise the voltage, where g falls.

    response: g, of any family; mirror: arb. u., the sum of both ends of the range, so that the
    branch begins at the lower end of the range and ends at the upper one.
    """

    response: Response
    mirror: float

    @classmethod
    def mirrored(cls, response: Response) -> RisingBranch:
        """Return the mirror image of a falling branch, within the same range.

        Each rising pulse then does less than the one before if each falling pulse does.
        """
        return cls(response, response.w_max + response.w_min)

    def after(self, voltage: Value, pulses: Value) -> Value:
        """Return the voltage (arb. u.) after `pulses` >= 0 further rising pulses."""
        return raised(voltage, pulses, self.response, self.mirror)


def raised(voltage: Value, pulses: Value, response: Any, mirror: Value) -> Value:
    """Return mirror - g(g^-1(mirror - w) + pulses), the voltage after rising pulses.

    response: g. It is computed as a change of the voltage, so that 0 pulses leave every bit as it
    is.
    """
    below = mirror - voltage
    return voltage - (response.after(below, pulses) - below)
