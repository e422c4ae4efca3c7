"""Devices: every number here is worked out by hand from the published equations."""

import json
import math

import pytest
import torch
from support.devices import NAMES, RESPONSES, device_of

from devices.built_in import LIBRARY, curved
from devices.library import constants, find, find_built_in, from_constants
from devices.network_responses import Responses
from devices.responses import Exponential, Linear, Table, expm1


@pytest.mark.parametrize(
    ("field", "pulses", "voltage"),
    [
        ("double-linear", 0.0, 2.742),
        ("double-linear", 10.0, 2.532),
        ("double-linear", 27.0, 2.175),
        ("double-exponential", 0.0, 2.280),
        ("double-exponential", 9.741, 0.750 + 1.530 / math.e),
        ("double-exponential", 27.0, 0.845701),
        ("double-ideal", 10.0, 2.532),
        ("double-ideal", 1000.0, -18.258),
        # Half of the pulses: (1 - e^(-nu / 2)) / (1 - e^-nu) = 1 / (1 + e^(-nu / 2)) of the way.
        ("double-curved-2.77", 13.5, 2.742 - 0.567 / (1 + math.exp(-1.385))),
        ("double-curved-2.77", 27.0, 2.175),
        ("double-curved--4.0", 13.5, 2.742 - 0.567 / (1 + math.exp(2))),
        ("double-curved--4.0", 0.0, 2.742),
        ("table", 2.0, 2.55),  # between 1 pulse, 2.6, and 3 pulses, 2.5
        ("table", 4.0, 2.49),
        ("table", 20.0, 2.175),
        ("table", 22.1, 2.175 - 0.125 * 2.1 / 10.5),  # the last line goes on
    ],
)
def test_response_by_hand(field, pulses, voltage):
    assert RESPONSES[field].response(pulses) == pytest.approx(voltage, abs=1e-6)
    tensor = RESPONSES[field].response(torch.tensor(pulses, dtype=torch.float64))
    assert tensor.item() == pytest.approx(voltage, abs=1e-6)


def test_ranges_by_hand():
    for field, response in RESPONSES.items():
        ends = (0.845701, 2.280) if field == "double-exponential" else (2.175, 2.742)
        assert (response.w_min, response.w_max) == pytest.approx(ends, abs=1e-6)
        assert response.span == pytest.approx(ends[1] - ends[0], abs=1e-6)


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
class TestContract:
    """Properties that every device must have, also those that are added later."""

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
        in_a_network = Responses([response]).after(voltage[None, None], torch.zeros(1, 1, 10001))
        assert torch.equal(in_a_network[0, 0], voltage)

    def test_networks_follow_it_as_exactly_as_single_precision_can(self, response):
        """Within 4 roundings of a voltage, 4 x 2^-22: by steps small and large, beyond the end."""
        voltage = torch.linspace(response.w_min, response.w_max, 4001)[None, None]
        for pulses in (1e-4, 0.03, 1.0, 7.7, 25.0):
            given = torch.full_like(voltage, pulses)
            actual = Responses([response]).after(voltage, given)
            exact = response.after(voltage.double(), given.double())
            assert (actual <= voltage).all()
            inside = exact >= response.w_min
            most = 1e-4 * response.span if response.family == "table" else 4 * 2**-22
            assert ((actual - exact)[inside].abs() < most).all()
            assert (actual[~inside] < response.w_min + 4 * 2**-22).all()

    def test_pulses_only_lower(self, response):
        pulses = torch.linspace(0, response.pulses_max, 100, dtype=torch.float64)
        assert (response.response(pulses).diff() < 0).all()


def test_what_a_device_relaxes_to():
    partners = {"double-linear": "double-exponential", "double-exponential": "double-linear"}
    partners |= dict.fromkeys(("double-curved-2.77", "double-curved-0.0"), "double-linear")
    for name, relaxes_to in partners.items():
        device = find(name)
        assert device.name == str(device) == name
        assert device.partner.name == relaxes_to
        assert device.partner.response is LIBRARY[relaxes_to].response
    assert find("double-ideal").partner is None


def test_a_nonlinearity_may_be_spelt_in_any_way():
    spellings = "2.77 2.770 +277e-2 2 -4 0 -0.0 1e-3 10 -10".split()
    names = "2.77 2.77 2.77 2.0 -4.0 0.0 0.0 0.001 10.0 -10.0".split()
    for spelling, name in zip(spellings, names, strict=True):
        device = find(f"double-curved-{spelling}")
        assert device.name == f"double-curved-{name}"
        assert device == find(device.name)


@pytest.mark.parametrize("spelling", ["10.001", "-11", "nan", "inf", "x", "", "../x.json"])
def test_a_nonlinearity_is_a_number_from_minus_ten_to_ten(spelling):
    with pytest.raises(ValueError, match="comes a number from -10 to 10"):
        find_built_in(f"double-curved-{spelling}")


def test_without_nonlinearity_it_is_the_linear_device():
    assert curved(0.0) == curved(1e-7) == LIBRARY["double-linear"].response
    nearly = curved(1e-6)
    assert isinstance(nearly, Exponential)
    for pulses in (0.0, 9.0, 27.0):
        assert nearly.response(pulses) == pytest.approx(2.742 - 0.021 * pulses, abs=1e-7)


@pytest.mark.parametrize("nonlinearity", [1e-6, 1e-3, -1e-3])
def test_a_nearly_linear_device_moves_in_single_precision_as_in_double(nonlinearity):
    """Half a pulse lowers it by 0.0105, whatever large numbers its amplitude and offset are."""
    response = curved(nonlinearity)
    voltage = torch.linspace(2.2, 2.742, 1001)[None, None]
    actual = Responses([response]).after(voltage, torch.full_like(voltage, 0.5)) - voltage
    exact = [
        response.response(response.inverse(w) + 0.5) - w
        for w in voltage.double().flatten().tolist()
    ]
    assert (actual.flatten() - torch.tensor(exact)).abs().max() < 2.5e-7  # a rounding of w
    assert actual.mean().item() == pytest.approx(-0.0105, rel=1e-3)


def test_an_endless_device_has_no_limits():
    ideal = LIBRARY["double-ideal"].response
    assert (ideal.lowest, ideal.highest) == (-math.inf, math.inf)
    assert ideal.span == pytest.approx(0.567)  # what write noise is a fraction of
    linear = LIBRARY["double-linear"].response
    assert (linear.lowest, linear.highest) == (linear.w_min, linear.w_max)


def test_a_table_goes_from_line_to_line_by_hand():
    """From 2.6, at 1 pulse, two pulses lead to 2.5; from 2.55, at 2 pulses, to 2.49; and so on."""
    table = RESPONSES["table"]
    w = torch.tensor([[[2.6, 2.55, 2.742, 2.49, 2.6]]])
    pulses = torch.tensor([[[2.0, 2.0, 0.5, 5.5, 0.4]]])
    expected = torch.tensor([[[2.5, 2.49, 2.671, 2.3, 2.58]]])
    actual = Responses([table]).after(w, pulses)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4 * table.span)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Linear(0.021, 2.742, 27.0), "slope is 0.021, so the curve does not fall"),
        (Linear(-0.021, 2.742, 0.0), "pulses_max is 0"),
        (Exponential(-1.0, 5.0, 0.0, 27.0), "must be of one sign"),
        (Exponential(-1.0, -0.1, 0.0, 27.0), "too steep"),
        (Table((0.0,), (1.0,)), "at least 2"),
        (Table((0.0, 1.0), (1.0,)), "equally many"),
        (Table((1.0, 2.0), (1.0, 0.0)), "must start at 0"),
        (Table((0.0, 1.0, 1.0), (1.0, 0.5, 0.0)), "does not rise at its number 3"),
        (Table((0.0, 1.0, 2.0), (1.0, 0.5, 0.5)), "does not fall at its number 3"),
        (Table((0.0, 1.0, 2.0), (1.0, 0.5, 0.5 - 1e-9)), "does not fall at its number 3"),
    ],
)
def test_curves_that_do_not_fall(response, message):
    with pytest.raises(ValueError, match=message):
        response.check()


@pytest.mark.parametrize("name", NAMES)
def test_constants_say_all_of_a_device(name):
    device = device_of(name)
    content = json.loads(json.dumps(constants(device), allow_nan=False))
    assert content.keys() == {name} | ({device.partner.name} if device.partner else set())
    assert from_constants(name, content) == device
    for owner in content:
        for constant, value in content[owner].items():
            if isinstance(value, float):
                changed = content | {owner: content[owner] | {constant: 1.01 * value}}
                assert from_constants(name, changed) != device
            if isinstance(value, list):
                changed = content | {owner: content[owner] | {constant: [value[0], *value[2:]]}}
                with pytest.raises(ValueError, match="equally many"):
                    from_constants(name, changed)


def test_exp_minus_one_in_single_precision():
    """The relative error is 1e-6 on both sides of the end of its series; 0 stays exactly 0."""
    x = torch.cat([-torch.logspace(-9, 2, 2000), torch.logspace(-9, 1, 2000), torch.tensor([0.1])])
    x = torch.cat([x, -x[-1:], torch.zeros(1)]).float()
    exact = torch.expm1(x.double())
    assert ((expm1(x).double() - exact).abs() <= 1e-6 * exact.abs()).all()
    assert torch.equal(expm1(x.double()), exact)
    assert expm1(0.0) == 0
