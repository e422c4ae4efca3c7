"""The project's own example of a measured curve, which is simulated, and says so in its head.

    python -m utils.measured.example > figures/example-device.csv

Several devices that differ in their slope factors are pulsed down and up again for some cycles,
with the write noise and the read noise of the simulation, and read in µS. Falling branches follow
`double-exponential`; rising ones follow a curve of smaller nonlinearity.
"""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd

from devices.built_in import EXPONENTIAL, curved
from devices.responses import Response

DEVICES, CYCLES, PULSES = 20, 2, int(EXPONENTIAL.pulses_max)
VARIABILITY = 0.15  # sigma_device
READ, WRITE = 0.01, 0.01  # fractions of the range, the second one per square root of a pulse
HIGHEST, LOWEST = 62.0, 20.0  # µS, ends of the range
RISING = 1.5  # nonlinearity of the pulses up
HEAD = f"""\
# Simulated, not measured: an example for python -m utils.measured, made by
# python -m utils.measured.example > figures/example-device.csv
# {DEVICES} devices, {CYCLES} cycles of {PULSES} pulses down (LTD, the curve of double-exponential,
# nonlinearity 2.77) and as many up (LTP, nonlinearity {RISING}); sigma_device {VARIABILITY},
# read noise {READ:.0%} of the range, write noise {WRITE:.0%} of it per square root of a pulse
"""


def ramp(response: Response, slope: float, draw: random.Random) -> list[float]:
    """Readings of one device before and after each pulse, as fractions of the way, 0 to 1."""
    voltage, readings = response.w_max, []
    for pulse in range(int(response.pulses_max) + 1):
        if pulse:
            voltage = response.after(voltage, slope)
            voltage += WRITE * response.span * math.sqrt(slope) * draw.gauss(0, 1)
        readings.append((response.w_max - voltage) / response.span + READ * draw.gauss(0, 1))
    return readings


def text(seed: int = 2025) -> str:
    """The file: a column for each ramp of each device, a line for each pulse."""
    draw, columns = random.Random(seed), {}
    for device in range(DEVICES):
        slope = abs(draw.gauss(1, VARIABILITY))
        for cycle in range(CYCLES):
            down, up = (
                np.array(ramp(response, slope, draw)) for response in (EXPONENTIAL, curved(RISING))
            )
            name = f"D{device + 1} cycle {cycle + 1}"
            columns[f"{name} LTD (uS)"] = HIGHEST - (HIGHEST - LOWEST) * down
            columns[f"{name} LTP (uS)"] = LOWEST + (HIGHEST - LOWEST) * up
    return HEAD + pd.DataFrame(columns).to_csv(float_format="%.3f", index_label="pulse")


if __name__ == "__main__":
    print(text(), end="")
