"""Responses of devices as they are drawn: ranges, changes per pulse, axes of the measured unit."""

import pytest
from matplotlib import pyplot as plt
from msgspec import structs
from support.devices import OTHERS, device_of, measured

from devices.device_file import Units
from devices.library import Device, find
from devices.responses import Linear
from utils.plots.comparison import draw_responses
from utils.plots.devices import draw_devices
from utils.study import FIELDS

pytestmark = pytest.mark.usefixtures("svg_alone")


def drawn_responses(*devices: Device):
    """The axes on which the responses are drawn."""
    axes = plt.figure().add_subplot()
    draw_responses(axes, devices, {device.name: "k" for device in devices})
    return axes


def test_a_mirrored_curve_rises_on_its_axis_and_a_missing_unit_is_named():
    devices = []
    for name, table, units in (("a", "table", Units(None, -2.0, 8.0)),
                               ("b", "longer table", Units("nA", 3.0, 0.0))):  # fmt: skip
        response = OTHERS[table].response
        file = structs.replace(measured(name, response), units=units)
        devices.append(Device(name, response, measured=file))
    axes = drawn_responses(*devices, find("double-linear"))
    first, second = axes.child_axes
    assert first.get_ylabel() == "measured value, unit not stated"
    assert second.get_ylabel() == "measured (nA)"
    first.figure.canvas.draw()
    top, bottom = (
        first.transData.transform((0, value))[1] for value in (8 - 2 * 2.742, 8 - 2 * 2.175)
    )
    assert top == pytest.approx(axes.transData.transform((0, 2.742))[1])
    assert bottom == pytest.approx(axes.transData.transform((0, 2.175))[1])


def test_ramps_of_very_different_lengths_are_drawn_by_share():
    long = Device("long", Linear(-0.000567, 2.742, 1000.0))
    axes = drawn_responses(long, find("double-linear"))
    for line in axes.get_lines():
        assert max(line.get_xdata()) == pytest.approx(1)
    assert axes.get_xlabel() == "share of the pulses of a range\n(long 1000, linear 27)"


@pytest.mark.parametrize("name", ["double-ideal", "table", "double-curved--4.0"])
def test_any_family_is_drawn(name):
    device = device_of(name)
    line = drawn_responses(device).get_lines()[0]
    for x, y in zip(line.get_xdata()[::57], line.get_ydata()[::57], strict=True):
        assert float(y) == pytest.approx(device.response.response(float(x)))
    assert (max(line.get_xdata()) > device.response.pulses_max) == device.response.endless


def test_responses_are_drawn_over_their_range():
    figure = draw_devices(FIELDS)
    line = figure.axes[0].get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(2.742)
    assert line.get_ydata()[-1] == pytest.approx(2.175)
    assert len(figure.axes[2].get_lines()) == 2 * 10 + 1  # ten devices a field, and the limit


def test_the_change_per_pulse_of_a_table_is_that_between_its_points():
    """From 2.742 to 2.6 with the first pulse, then by 0.05 with either of the next two."""
    _, change, _ = draw_devices([*FIELDS, OTHERS["table"]]).axes
    line = change.get_lines()[2]
    assert list(line.get_xdata()[:3]) == [0.5, 1.5, 2.5]
    assert list(line.get_ydata()[:3]) == pytest.approx([142, 50, 50], abs=1e-2)
