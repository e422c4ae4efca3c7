"""How curved a device is: its nonlinearity nu, or that of the nearest curve of the map."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar

from devices import built_in
from devices.library import Device
from devices.responses import Exponential, Linear, Response

N_PLACES = 201  # at which curves are compared
TOLERANCE = 0.05  # of the range, rms, that a curve may be off to stand for another


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
