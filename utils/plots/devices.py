"""The devices themselves: responses, change per pulse, how devices differ, how curved they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar

from devices import built_in
from devices.library import Device
from devices.noise import Draw, Stream
from devices.responses import Exponential, Linear, Response
from utils.plots import panels, style
from utils.study import FIELDS

N_DEVICES, SIGMA = 10, 0.2
N_PLACES = 201  # at which curves are compared
TOLERANCE = 0.05  # of the range, rms, that a curve may be off to stand for another


def draw_devices(devices: Sequence[Device]) -> Figure:
    """Three panels over the number of pulses, one colour a field.

    devices: the paper's two, and the user's own, which are drawn over their own pulses.
    """
    figure, ((voltage, change, spread),) = panels.grid(1, 3, (style.PAGE, 2.5))
    looks = style.looks(device.name for device in devices)
    # As a fresh network draws them: |N(1, sigma_device)|.
    zero = torch.tensor(0)
    normal = Stream(torch.tensor([100]), zero, zero).normal(Draw.SLOPE_1, (N_DEVICES,))[0]
    slopes = (1 + SIGMA * normal).abs()
    for device in devices:
        response, look = device.response, looks[device.name]
        colour = look["color"]
        inside = torch.linspace(0, response.pulses_max, 200)
        voltage.plot(inside, response.response(inside), color=colour)
        if device in FIELDS:
            beyond = torch.linspace(response.pulses_max, 1.2 * response.pulses_max, 50)
            voltage.plot(beyond, response.response(beyond), color=colour, ls=":", lw=0.8)
        voltage.axhspan(response.w_min, response.w_max, xmax=0.03, color=colour, alpha=0.4, lw=0)
        whole = torch.arange(0.0, math.floor(response.pulses_max))
        step = response.response(whole + 1) - response.response(whole)  # of one more pulse
        every = 1 + len(whole) // 30
        change.plot(whole + 0.5, -1000 * step, ms=2, lw=0.8, markevery=every, **look)
        for slope in slopes if device in FIELDS else ():
            pulses = (slope * inside).clamp(max=response.pulses_max)  # where the range ends
            spread.plot(inside, response.response(pulses), color=colour, lw=0.5, alpha=0.8)
    limit = FIELDS[0].response.pulses_max
    widest = max(device.response.pulses_max for device in devices)
    label = "Hall voltage w (arb. u.)"
    for axes, end in ((voltage, widest), (change, widest), (spread, limit)):
        axes.axvline(limit, color=style.GREY, lw=0.7, ls="--")
        axes.set(xlabel="pulses x", ylabel=label, xlim=(0, 1.3 * end))
    text = "the paper's:\n" * (len(devices) > len(FIELDS)) + "measured\nup to here"
    place = 1.01 * limit, 0.45
    panels.note(voltage, text, place, coords=panels.AT_EDGE, va="center", color=style.GREY)
    voltage.set_title("response; bars: range")
    change.set(title="change per pulse", ylabel="step down (10$^{-3}$ arb. u.)", ylim=(0, None))
    spread.set_title(f"{N_DEVICES} devices, variability {SIGMA}")
    figure.legend(*change.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def nonlinearity(device: Device) -> float | None:
    """nu = pulses_max / decay of an exponential response, 0 of a linear one.

    Of any other, such as a table, that of the curve of the map which is nearest to it: by least
    squares over the range, pulses and voltages both scaled to 0..1; None if that is not near.
    """
    response = device.response
    if isinstance(response, Exponential):
        return response.pulses_max / response.decay
    return 0.0 if isinstance(response, Linear) else nearest(response)


@lru_cache(maxsize=64)
def nearest(response: Response) -> float | None:
    """The nonlinearity of the nearest curve; None if it is farther off than TOLERANCE."""
    target = share_fallen(response)
    ends = (-built_in.LARGEST_NONLINEARITY, built_in.LARGEST_NONLINEARITY)
    found = minimize_scalar(
        lambda nu: np.square(share_fallen(built_in.curved(nu)) - target).mean(),
        bounds=ends,
        method="bounded",
    )
    return float(found.x) if math.sqrt(found.fun) <= TOLERANCE else None


def share_fallen(response: Response) -> np.ndarray:
    """The share of its range that a device has fallen, over the share of its pulses: [N_PLACES]."""
    pulses = np.linspace(0, response.pulses_max, N_PLACES).tolist()
    return np.array([(response.w_max - response.response(x)) / response.span for x in pulses])
