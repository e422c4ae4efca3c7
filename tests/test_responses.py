"""Devices: every number here is worked out by hand from the published equations."""

import math
import subprocess
import sys

import pytest
import torch
from conftest import PROJECT

from devices import FIELDS


@pytest.mark.parametrize(
    ("field", "pulses", "voltage"),
    [
        ("double-linear", 0.0, 2.742),
        ("double-linear", 10.0, 2.532),
        ("double-linear", 27.0, 2.175),
        ("double-exponential", 0.0, 2.280),
        ("double-exponential", 9.741, 0.750 + 1.530 / math.e),
        ("double-exponential", 27.0, 0.845701),
    ],
)
def test_response_by_hand(field, pulses, voltage):
    assert FIELDS[field].response(pulses) == pytest.approx(voltage, abs=1e-6)
    tensor = FIELDS[field].response(torch.tensor(pulses, dtype=torch.float64))
    assert tensor.item() == pytest.approx(voltage, abs=1e-6)


@pytest.mark.parametrize(
    ("field", "w_min", "w_max"),
    [("double-linear", 2.175, 2.742), ("double-exponential", 0.845701, 2.280)],
)
def test_range(field, w_min, w_max):
    response = FIELDS[field]
    assert response.w_min == pytest.approx(w_min, abs=1e-6)
    assert response.w_max == pytest.approx(w_max, abs=1e-6)
    assert response.span == pytest.approx(w_max - w_min, abs=1e-6)


@pytest.mark.parametrize("response", FIELDS.values(), ids=FIELDS)
class TestContract:
    """What every device must fulfil, also the ones to come."""

    def test_inverse(self, response):
        pulses = torch.linspace(0, response.pulses_max, 50, dtype=torch.float64)
        torch.testing.assert_close(response.inverse(response.response(pulses)), pulses)

    def test_after_is_response_of_inverse_plus_pulses(self, response):
        voltage = torch.linspace(response.w_min, response.w_max, 40, dtype=torch.float64)[:, None]
        pulses = torch.linspace(0, 30, 30, dtype=torch.float64)
        expected = response.response(response.inverse(voltage) + pulses)
        torch.testing.assert_close(response.after(voltage, pulses), expected)

    def test_no_pulse_changes_nothing_to_the_bit(self, response):
        voltage = torch.linspace(response.w_min, response.w_max, 10001)
        assert torch.equal(response.after(voltage, torch.zeros(())), voltage)

    def test_pulses_only_lower(self, response):
        pulses = torch.linspace(0, response.pulses_max, 100, dtype=torch.float64)
        assert (response.response(pulses).diff() < 0).all()

    def test_relaxes_to_another_field(self, response):
        assert response.relaxes_to in FIELDS
        assert response.relaxes_to != response.name

    def test_registered_under_its_name(self, response):
        assert FIELDS[response.name] is response


def test_registry_needs_no_torch():
    code = "import devices, sys; assert devices.FIELDS; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
