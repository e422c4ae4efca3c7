"""Cells by hand: what falling and rising pulses do to a weight, and clamping at the ends."""

import numpy as np
import pytest
import torch
from support.cells import CELLS, RULES, Row
from support.devices import BRANCHED, LINEAR, NAMES, device_of

from devices.programming import Draws

BOTH_WAYS, REFERENCE = dict(cell="both-ways"), dict(cell="reference")
TOP, BOTTOM, MIDDLE = 2.742, 2.175, 2.4585


def saturating(nu, end):
    """From 2.175 to 2.742 by (1 - exp(-nu x / end)) / (1 - exp(-nu)) of the way."""
    return lambda x: 2.175 + 0.567 * (1 - np.exp(-nu * x / end)) / (1 - np.exp(-nu))


def mirrored_table(x):
    return 4.917 - np.interp(x, [0, 1, 3, 4, 9.5, 20], [2.742, 2.6, 2.5, 2.49, 2.3, 2.175])


RISING = {  # f_up(x) as DESIGN writes it, and the pulses to its end; without the project's mirror
    "double-linear": (lambda x: 2.175 + 0.021 * x, 27),
    "double-ideal": (lambda x: 2.175 + 0.021 * x, 27),
    "double-exponential": (
        lambda x: 2.28 + 1.53 * np.exp(-27 / 9.741) - 1.53 * np.exp(-x / 9.741),
        27,
    ),
    "double-curved-2.77": (saturating(2.77, 27), 27),
    "double-curved--4.0": (saturating(-4.0, 27), 27),
    "table": (mirrored_table, 20),
    "falls-exponentially": (mirrored_table, 20),
    "falls-linearly": (saturating(-1.5, 60), 60),
    "falls-by-a-table": (lambda x: 2.175 + 0.0378 * x, 15),
    "asymmetric": (saturating(-2.0, 27), 27),
}


def after_by_bisection(curve, end, voltage, pulses):
    """curve(curve^-1(voltage) + pulses); the curve rises over 0 .. end."""
    low, high = np.zeros_like(voltage), np.full_like(voltage, end)
    for _ in range(60):
        middle = (low + high) / 2
        is_below = curve(middle) < voltage
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return curve((low + high) / 2 + pulses)


@pytest.mark.parametrize("name", [*NAMES, *BRANCHED])
def test_single_pulses_from_a_thousand_states(name):
    """Up by the rising branch and down by the falling one, at v p pulses, within the range."""
    device, rng = device_of(name), np.random.default_rng(1)
    response, n = device.response, 1000
    w1, w2 = rng.uniform(response.w_min + 1e-9, response.w_max - 1e-9, (2, 1, 1, n))
    pulses, v1, v2 = rng.uniform(0, 3, (3, n))
    rise = rng.random(n) < 0.5  # of the weight
    gradient = torch.from_numpy(np.where(rise, -pulses, pulses))[None, None]
    slopes = (v1, v2)
    after = Row(torch.from_numpy(w1), torch.from_numpy(w2), name, BOTH_WAYS, slopes).write(gradient)
    curve, end = RISING[name]

    def falling(x):
        return -np.array([response.response(mask) for mask in x.tolist()])

    def fallen(w, p):
        return -after_by_bisection(falling, response.pulses_max, -w, p)

    def risen(w, p):
        return after_by_bisection(curve, end, w, p)

    for actual, w, slope, goes_up in (
        (after.w1, w1[0, 0], v1, ~rise),
        (after.w2, w2[0, 0], v2, rise),
    ):
        p = pulses * slope
        beyond = risen(w, p) >= response.w_max, fallen(w, p) <= response.w_min
        expected = np.where(goes_up, risen(w, p), fallen(w, p))
        if not response.endless:
            assert min(mask.sum() for mask in beyond) > 0  # so that clamping is seen
            expected = expected.clip(response.w_min, response.w_max)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [*NAMES, *BRANCHED])
def test_no_pulse_leaves_every_bit(name, cell, dtype):
    """Of a weight whose gradient is 0, or asks for less than the smallest pulse, in range."""
    response, generator = device_of(name).response, torch.Generator().manual_seed(4)
    shape = 1, 1, 2000
    w1, w2 = (
        response.w_min + 1e-4 + torch.rand(shape, generator=generator) * (response.span - 2e-4)
        for _ in range(2)
    )
    w1, w2 = w1.to(dtype), w2.to(dtype)
    gradient = torch.randn(shape, generator=generator).clamp(-0.9, 0.9).to(dtype) / 10
    gradient[..., ::3] = 0.0
    for rule, scheme in RULES.items():
        draws = Draws(rounding=torch.full_like(w1, 0.99))
        for clipping in (0.2, 1.0) if rule != "none" else (0.2,):
            weights = Row(w1, w2, name, scheme | dict(cell=cell))
            weights.write(gradient, draws, clipping=clipping)
            assert torch.equal(weights.state.w1, w1), rule
            assert torch.equal(weights.state.w2, w2), rule


NEAREST = BOTH_WAYS | dict(rounding="nearest")


@pytest.mark.parametrize(
    ("scheme", "slopes", "smallest", "w1", "w2", "gradient", "after1", "after2"),
    [
        # 40 pulses of 0.021 are more than the range; half of a pair may stop alone
        (BOTH_WAYS, (1, 1), 0, [2.5, 2.5], [2.6, 2.3], [40, -40], [TOP, BOTTOM], [BOTTOM, TOP]),
        (BOTH_WAYS, (1, 1), 0, [2.2, 2.7], [2.5, 2.4], [-2, 3], [BOTTOM, TOP], [2.542, 2.337]),
        (REFERENCE, (1, 1), 0, [MIDDLE] * 2, [2.5, 2.4], [40, -40], [MIDDLE] * 2, [BOTTOM, TOP]),
        # nothing is refreshed: a device that stopped rises again from its end
        (BOTH_WAYS, (1, 1), 0, [TOP], [BOTTOM], [-1], [TOP - 0.021], [BOTTOM + 0.021]),
        # the paper's threshold is that of each device: 0.4 pulses are too few, 1.5 are not
        (BOTH_WAYS, (0.4, 1.5), 0.5, [2.5] * 2, [2.6] * 2, [1, -1],
         [2.5, 2.5], [2.6 - 0.0315, 2.6 + 0.0315]),
        # that of a controller is that of the request: of 0.6 a pulse of 0.5 for both, of 0.2 none
        (NEAREST, (0.4, 1.5), 0.5, [2.5] * 3, [2.6] * 3, [0.6, -0.6, 0.2],
         [2.5042, 2.4958, 2.5], [2.6 - 0.01575, 2.6 + 0.01575, 2.6]),
    ],
)  # fmt: skip
def test_a_write_by_hand(scheme, slopes, smallest, w1, w2, gradient, after1, after2):
    weights = Row(w1, w2, LINEAR, scheme, slopes).write(map(float, gradient), clipping=smallest)
    assert (weights.w1, weights.w2) == (pytest.approx(after1), pytest.approx(after2))
