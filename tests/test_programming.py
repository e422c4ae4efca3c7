"""Pulses and refresh, each against numbers worked out by hand."""

import math

import pytest
import torch
from support.cells import updated
from support.devices import RESPONSES
from support.pairs import LINEAR, row, write

from devices.built_in import curved
from devices.controller import Programming, physically_clipped
from devices.noise import Stream
from devices.pair import PairArray, PairState
from devices.programming import clamp_and_refresh

CLIPPED = dict(slopes=(2.0, 1.0), clipping=0.1)
WRITES = [  # device, slopes and programming, voltages and gradient before, voltages after
    # Requests |g| x 1000 x slope; g > 0: device 2 gets 1 pulse; g < 0: device 1 gets 3; 0.03 and
    # 0.09 pulses: clipped; 0.0003: device 2 gets 0.15 pulses.
    ("double-linear", dict(slopes=(1.5, 0.5), learning_rate=1000.0, clipping=0.1),
     [2.5] * 6, [2.6] * 6, [0.002, -0.002, 0.00006, -0.00006, 0.0003, 0.0],
     [2.5, 2.437, 2.5, 2.5, 2.5, 2.5], [2.579, 2.6, 2.6, 2.6, 2.59685, 2.6]),
    # 9.741 pulses take w - 0.750 to 1/e of it
    ("double-exponential", {}, [1.75, 2.25], [1.75, 2.25], [9.741, -9.741],
     [1.75, 0.75 + 1.5 / math.e], [0.75 + 1.0 / math.e, 2.25]),
    # the smallest pulse is applied, and just below is not
    ("double-linear", dict(learning_rate=2.0, clipping=0.5),
     [2.6] * 2, [2.6] * 2, [0.25, 0.2499], [2.6] * 2, [2.5895, 2.6]),
    # physical clipping comes before the smallest pulse: 0.15 pulses become 0.0848, below 0.1;
    # 0.09 x 2 (slope) become 0.1138
    ("double-linear", dict(physical=True) | CLIPPED, [2.6] * 3, [2.6] * 3, [0.15, 0.18, -0.09],
     [2.6, 2.6, 2.6 - 0.021 * 0.1137817], [2.6, 2.6 - 0.021 * 0.1137817, 2.6]),
    ("double-linear", CLIPPED, [2.6] * 3, [2.6] * 3, [0.15, 0.18, -0.09],
     [2.6, 2.6, 2.59622], [2.59685, 2.59622, 2.6]),
    # no upper limit: 30 pulses overshoot the end, and the used-up device is refreshed
    ("double-linear", {}, [2.6], [2.7], [-30.0], [2.217], [2.742]),
    # voltages out of range are clamped first
    ("double-linear", {}, [9.0, 2.7], [2.5, 2.819], [-1.0, 1.0], [2.721, 2.7], [2.5, 2.721]),
    # an ideal device is neither clamped nor refreshed, far beyond 27 pulses and above the top
    ("double-ideal", {}, [9.0, 2.5, -40.0], [2.5, 2.6, 2.6], [-1.0, 300.0, -100.0],
     [8.979, 2.5, -42.1], [2.5, -3.7, 2.6]),
    # write noise: four pulses miss by 2 x 0.01; where there is none, nothing
    ("double-linear", dict(clipping=0.5, write_noise=0.01, noise=[1.0, 1.0, -2.0]),
     [2.5] * 3, [2.6] * 3, [-4.0, 0.0, 4.0], [2.436, 2.5, 2.5], [2.6, 2.6, 2.476]),
    # by which a write lands below the end: used up; or above the top: it stays until the next time
    ("double-linear", dict(write_noise=0.1, noise=[-1.0, 1.0]),
     [2.7, 2.7], [2.2, 2.74], [1.0, 1.0], [2.742, 2.7], [2.217, 2.819]),
]  # fmt: skip


@pytest.mark.parametrize(("device", "how", "w1", "w2", "gradient", "after1", "after2"), WRITES)
def test_a_write_by_hand(device, how, w1, w2, gradient, after1, after2):
    pairs = updated(w1, w2, gradient, device, **how).state
    torch.testing.assert_close(pairs.w1, row(*after1))
    torch.testing.assert_close(pairs.w2, row(*after2))


def test_physical_clipping_by_hand():
    """0.18 pulses become 0.18 (1 - 1/e), 0.36 become 0.36 (1 - 1/e^2); ten hardly fewer."""
    request = row(0.0, 0.0018, 0.18, 0.36, 1.8, 10.0)
    expected = row(0.0, 1.791030e-5, 0.1137817, 0.3112793, 1.799918, 10.0)
    torch.testing.assert_close(physically_clipped(request), expected, rtol=1e-6, atol=0.0)
    single = physically_clipped(request.float())  # of small requests too, as exact as single is
    torch.testing.assert_close(single, expected.float(), rtol=2e-6, atol=0.0)


def test_an_enormous_request_is_clipped_physically_to_itself():
    huge = torch.tensor([3e38, torch.inf])
    assert torch.equal(physically_clipped(huge), huge)


def test_without_write_noise_nothing_is_drawn(monkeypatch):
    for draw in ("normal", "noisy"):
        monkeypatch.setattr(Stream, draw, lambda *_: pytest.fail("noise was drawn"))
    array = fresh_without_draws()
    programming = Programming(torch.ones(1), torch.zeros(1), torch.zeros(1))
    write(array, torch.ones(1, 2, 3), programming)
    torch.testing.assert_close(array.weight2, torch.full((1, 2, 3), 2.6 - 0.021))


def fresh_without_draws() -> PairArray:
    w, ones = torch.full((1, 2, 3), 2.6), torch.ones(1, 2, 3)
    return PairArray([LINEAR], PairState(w, w.clone()), [ones, ones.clone()])


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("double-linear", "double-exponential"),
        ("double-exponential", "double-linear"),
        ("double-curved--4.0", "double-linear"),
        ("table", "double-curved-2.77"),
        ("double-linear", "table"),
    ],
)
def test_switched_weight_by_hand(field, other):
    """Devices at 3 and 5 pulses, read under the other field, times the ratio of the ranges."""
    response, other = RESPONSES[field], RESPONSES[other]
    w1, w2 = response.response(3.0), response.response(5.0)
    array = PairArray([response], PairState(row(w1), row(w2)), [row(1.0), row(1.0)])
    relaxed = array.relaxed_weight([other]).item()
    expected = other.response(5.0) - other.response(3.0)
    assert relaxed == pytest.approx(expected * response.span / other.span)
    assert array.weight.item() == pytest.approx(w2 - w1)


@pytest.mark.parametrize(
    ("response", "pulses"),
    [
        (LINEAR, -0.058 / 0.021),
        (RESPONSES["table"], -0.058 / 0.142),
        (curved(-4.0), 0.0),
        (curved(4.0), None),
    ],
)
def test_a_device_above_its_range_is_switched_as_its_curve_goes_on(response, pulses):
    """Write noise may leave such devices; a curve that steepens has no inverse above its top."""
    if pulses is None:
        pulses = response.inverse(2.8)
        assert response.response(pulses) == pytest.approx(2.8)
    array = PairArray([response], PairState(row(2.8), row(2.742)), [row(1.0), row(1.0)])
    relaxed = array.relaxed_weight([LINEAR]).item()
    assert relaxed == pytest.approx(LINEAR.response(0.0) - LINEAR.response(pulses))


def test_clamped_and_refreshed_pairs_are_those_after_any_number_of_updates_without_gradient():
    """Devices in the range, above it, below it, used up, and pairs with both used up."""
    w1 = [2.5, 4.0, 2.0, 2.175, 2.175, 2.0, 2.4, 2.18]
    w2 = [2.6, 2.5, 2.5, 2.742, 2.5, 2.1, 2.175, 2.2]
    nothing = [0.0] * 8
    once = updated(w1, w2, nothing, learning_rate=1000.0)
    twice = updated(once.w1, once.w2, nothing, learning_rate=1000.0)
    at_once = clamp_and_refresh(PairState(row(*w1), row(*w2)), LINEAR)
    for name in ("w1", "w2"):
        actual = getattr(at_once, name)
        assert torch.equal(actual, getattr(once.state, name))
        torch.testing.assert_close(actual, getattr(twice.state, name), rtol=0, atol=1e-12)
    assert at_once.w1[0, 0].tolist() == pytest.approx(
        [2.5, 2.742, 2.417, 2.175, 2.417, 2.742, 2.742, 2.18], abs=1e-9
    )
