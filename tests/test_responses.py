"""Devices: every number here is worked out by hand from the published equations."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from conftest import PROJECT

from devices.built_in import LIBRARY
from devices.library import constants, find, from_constants
from devices.responses import FAMILIES

FIELDS = {name: entry.response for name, entry in LIBRARY.items()}


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

    def test_registered_under_its_family(self, response):
        assert FAMILIES[response.family] is type(response)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_device_relaxes_to_another_one(name):
    device = find(name)
    assert device.name == str(device) == name
    assert device.response is LIBRARY[name].response
    assert device.partner.name == LIBRARY[name].relaxes_to != name
    assert device.partner.response is LIBRARY[device.partner.name].response


def test_a_device_may_have_no_partner(monkeypatch):
    alone = replace(LIBRARY["double-linear"], relaxes_to=None)
    monkeypatch.setitem(LIBRARY, "alone", alone)
    assert find("alone").partner is None


def test_unknown_devices_are_told_with_the_valid_ones(monkeypatch):
    with pytest.raises(ValueError, match="linear: unknown; the valid ones: double-linear, double"):
        find("linear")
    lost = replace(LIBRARY["double-linear"], relaxes_to="nowhere")
    monkeypatch.setitem(LIBRARY, "lost", lost)
    with pytest.raises(ValueError, match="that lost relaxes to, nowhere: unknown"):
        find("lost")


@pytest.mark.parametrize("name", LIBRARY)
def test_constants_say_all_of_a_device(name):
    device = find(name)
    content = json.loads(json.dumps(constants(device)))
    assert content.keys() == {name, device.partner.name}
    assert from_constants(name, content) == device
    for owner in content:
        for constant, value in content[owner].items():
            if isinstance(value, float):
                changed = content | {owner: content[owner] | {constant: 1.01 * value}}
                assert from_constants(name, changed) != device


def test_constants_by_hand():
    linear = {"family": "linear", "slope": -0.021, "offset": 2.742, "pulses_max": 27.0}
    exponential = {
        "family": "exponential", "amplitude": 1.53, "decay": 9.741, "offset": 0.75,
        "pulses_max": 27.0,
    }  # fmt: skip
    assert constants(find("double-linear")) == {
        "double-linear": linear | {"relaxes_to": "double-exponential"},
        "double-exponential": exponential,
    }


def test_library_needs_no_torch():
    code = (
        "import devices.library as l, sys; assert l.find('double-linear'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
