"""The built-in devices with their constants and sources.

Every physical constant of a device stands here and nowhere else. Torch is not imported.

Source of the first two responses: G. Bernard, K. Cottart, ..., L. Herrera Diez, "Dynamic Control of
Weight-Update Linearity in Magneto-Ionic Synapses", Nano Letters 25 (2025) 1443,
doi:10.1021/acs.nanolett.4c05247.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from devices.responses import Exponential, Linear, Response


@dataclass(frozen=True)
class Entry:
    """A built-in device: its response and its partner.

    relaxes_to: the name of the device whose response it takes on under the other field; None where
    there is none.
    """

    response: Response
    relaxes_to: str | None


# Measured in a strong magnetic field, where every pulse makes the same step: w = -0.021 x + 2.742,
# valid for x in [0, 27] pulses, w in [2.175, 2.742] (arb. u.). The constants of the paper's
# simulations; assumed to be those of every device, but for its slope factor. Measured falling only.
LINEAR = Linear(slope=-0.021, offset=2.742, pulses_max=27.0)
# Measured in a weak magnetic field: w = 1.530 exp(-x / 9.741) + 0.750, valid for x in [0, 27]
# pulses, w in [0.846, 2.280] (arb. u.). It has the source and the assumptions of the linear device.
EXPONENTIAL = Exponential(amplitude=1.530, decay=9.741, offset=0.750, pulses_max=27.0)

LIBRARY: dict[str, Entry] = {
    "double-linear": Entry(LINEAR, relaxes_to="double-exponential"),
    "double-exponential": Entry(EXPONENTIAL, relaxes_to="double-linear"),
    # No measured device: the upper bound, linear without end. There is no field to switch it to.
    "double-ideal": Entry(replace(LINEAR, endless=True), relaxes_to=None),
}
CURVED = "double-curved-"  # the name goes on with a number, the nonlinearity
LARGEST_NONLINEARITY = 10.0
# Curves of a smaller nonlinearity nu are taken as straight: they differ from the line by at most
# nu / 8 of the span, which is less than the rounding of a voltage in single precision.
STRAIGHT = 1e-6
VALID = f"{', '.join(LIBRARY)}, {CURVED}NU with -10 <= NU <= 10"


def look_up(name: str) -> tuple[str, Entry]:
    """Return the device of a name, after the name as results write it.

    Raises ValueError, which lists the valid names, if there is no such device.
    """
    if name in LIBRARY:
        return name, LIBRARY[name]
    if name.startswith(CURVED):
        try:
            nonlinearity = float(name.removeprefix(CURVED))
        except ValueError:
            nonlinearity = math.nan
        if not abs(nonlinearity) <= LARGEST_NONLINEARITY:
            raise ValueError(
                f"{name}: after {CURVED} comes a number from -10 to 10, such as {CURVED}2.77"
            )
        return f"{CURVED}{nonlinearity + 0.0}", Entry(curved(nonlinearity), "double-linear")
    raise ValueError(
        f"{name}: unknown; the valid ones: {VALID}, or the path of a device file, FILE.json"
    )


def is_built_in(name: str) -> bool:
    """Whether the name belongs to a built-in device, or looks as if it did."""
    return name in LIBRARY or name.startswith(CURVED)


def curved(nonlinearity: float) -> Response:
    """Return the exponential response of nonlinearity nu in the range of the linear device.

    nu = pulses_max / decay, and w = w_max - span (1 - exp(-nu x / pulses_max)) / (1 - exp(-nu)),
    which is a line at nu = 0. If nu is positive, each pulse lowers the voltage by less than the
    pulse before; if nu is negative, by more. Devices of this response relax to the linear device,
    with which they are compared.
    """
    if abs(nonlinearity) < STRAIGHT:
        return LINEAR
    amplitude = -LINEAR.span / math.expm1(-nonlinearity)
    return Exponential(
        amplitude=amplitude,
        decay=LINEAR.pulses_max / nonlinearity,
        offset=LINEAR.w_max - amplitude,
        pulses_max=LINEAR.pulses_max,
    )
