"""The project's own example of a measured curve, which is simulated, and says so in its head.

    python -m utils.measured.example > figures/example-device.csv

A built-in device, in several copies with slope factors of their own, each pulsed from one end of
its range for several cycles, with write noise and read noise as the simulation has them; read in
µS.
"""

from __future__ import annotations

import math
import random

from devices.built_in import EXPONENTIAL

DEVICES, CYCLES = 20, 3
VARIABILITY = 0.15  # sigma_device
READ, WRITE = 0.01, 0.01  # fractions of the range, the second one per square root of a pulse
HIGHEST, LOWEST = 62.0, 20.0  # µS, ends of the range
HEAD = """\
# Simulated, not measured: an example for python -m utils.measured, made by
# python -m utils.measured.example > figures/example-device.csv
# {devices} devices double-exponential (nonlinearity 2.77), {cycles} cycles of {pulses} pulses each;
# sigma_device {variability}, read noise {read:.0%} of the range,
# write noise {write:.0%} of the range per square root of a pulse
"""


def ramp(slope: float, draw: random.Random) -> list[float]:
    """Readings of one device before and after each pulse of a cycle, in µS."""
    response = EXPONENTIAL
    scale = (HIGHEST - LOWEST) / response.span
    voltage, readings = response.w_max, []
    for pulse in range(int(response.pulses_max) + 1):
        if pulse:
            voltage = response.after(voltage, slope)
            voltage += WRITE * response.span * math.sqrt(slope) * draw.gauss(0, 1)
        reading = voltage + READ * response.span * draw.gauss(0, 1)
        readings.append(LOWEST + scale * (reading - response.w_min))
    return readings


def text(seed: int = 2025) -> str:
    """The file: a column for each cycle of each device, a line for each pulse."""
    draw = random.Random(seed)
    slopes = [abs(draw.gauss(1, VARIABILITY)) for _ in range(DEVICES)]
    columns = [ramp(slope, draw) for slope in slopes for _ in range(CYCLES)]
    names = [f"D{d + 1} cycle {c + 1} (uS)" for d in range(DEVICES) for c in range(CYCLES)]
    head = HEAD.format(
        devices=DEVICES, cycles=CYCLES, pulses=int(EXPONENTIAL.pulses_max),
        variability=VARIABILITY, read=READ, write=WRITE,
    )  # fmt: skip
    lines = [",".join(["pulse", *names])]
    for pulse, row in enumerate(zip(*columns, strict=True)):
        lines.append(",".join([str(pulse), *(f"{value:.3f}" for value in row)]))
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(), end="")
