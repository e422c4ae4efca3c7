"""The picture of a fitted device: order of time, curves, residuals, steps, devices or cycles."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support.ramps import both_branches, exponential, measurement, two_bends

from utils.measured.branch_fit import changes
from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.measurement import Measurement
from utils.measured.picture import display, draw


@pytest.fixture(scope="module")
def measured() -> Measurement:
    return exponential(2.77).measurement(0)


@pytest.fixture(scope="module")
def fitted(measured) -> DeviceFit:
    return fit_device(measured)


def texts_above(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_picture_shows_time_pulses_residuals_steps_and_devices():
    truth = exponential(2.77, read=0.005, write=0.005)
    rising = 82 - truth.ramps(np.random.default_rng(5))
    fitted = fit_device(both_branches(truth.measurement(0), measurement(rising, 2)))
    figure = draw(fitted)
    time, pulses, residuals, steps, slopes = figure.axes
    assert [axes.texts[0].get_text() for axes in figure.axes] == list("abcde")
    assert texts_above(time) == ["16 falling ramps", "16 rising ramps"]
    assert time.get_xlabel() == "reading of each of 8 devices, in the order of time"
    assert (time.get_ylabel(), pulses.get_xlabel()) == ("conductance (µS)", "pulses")
    first = [line for line in time.get_lines() if line.get_xdata()[0] == 1]
    assert len(first) == 8
    last = [line for line in time.get_lines() if line.get_xdata()[-1] == 4 * 28]
    assert {tuple(line.get_ydata()) for line in last} <= {tuple(column) for column in rising.T}
    assert texts_above(pulses) == ["falling: exponential", "rising: exponential"]
    (falling,) = (line for line in pulses.get_lines() if line.get_label() == texts_above(pulses)[0])
    assert falling.get_ydata()[[0, -1]] == pytest.approx([62, 20], abs=2)
    assert residuals.get_ylabel() == "residual (% of range)"
    assert texts_above(residuals) == ["falling, mean", "rising, mean"]
    branch = fitted.falling
    percent = 100 * branch.taken.residual[0][:, 3] / branch.taken.range * np.sign(branch.data.step)
    assert residuals.get_lines()[3].get_ydata() == pytest.approx(percent, abs=1e-9)
    assert (steps.get_xlabel(), steps.get_ylabel()) == ("conductance (µS)", "step of a pulse (µS)")
    assert texts_above(steps)[-1] == "symmetry point"
    assert texts_above(slopes)[0] == "8 devices"
    assert slopes.get_lines()[0].get_xdata() == pytest.approx(np.sort(fitted.slopes))


def test_the_size_of_a_step_is_that_of_the_ramps_by_value():
    values = np.array([10.0, 8, 7, 6.5, 6.25, 6.125])
    value, change = changes(fit_device(measurement(values)).falling)
    assert change == pytest.approx([2, 1, 0.5, 0.25, 0.125])
    assert value == pytest.approx([9, 7.5, 6.75, 6.375, 6.1875])


def test_many_devices_are_a_histogram_and_one_device_shows_its_cycles():
    def axes_of(cycles: int, **truth) -> list:
        ramps = exponential(2.77, cycles=cycles, **truth).ramps(np.random.default_rng(0))
        each_higher = ramps + 2.1 * (np.arange(ramps.shape[1]) % cycles)  # by 5 % of the range
        return draw(fit_device(measurement(each_higher, cycles))).axes

    slopes = axes_of(devices=30, cycles=1)[4]
    assert sum(patch.get_height() for patch in slopes.patches[:-1]) == 30
    assert slopes.get_xlabel() == "slope factor"
    cycles = axes_of(devices=1, cycles=6, sigma=0.0)[4]
    assert cycles.get_xlabel() == "cycle"
    assert texts_above(cycles) == ["falling, start", "falling, range"]
    assert np.polyfit(range(6), cycles.get_lines()[0].get_ydata(), 1)[0] == pytest.approx(5, abs=1)
    assert len(axes_of(devices=1, cycles=1, sigma=0.0)) == 4


@pytest.mark.parametrize("kind", ["devices", "cycles"])
def test_legends_cover_no_data_and_stay_inside(kind, fitted):
    one_device = two_bends(devices=1, cycles=8, sigma=0.0)
    figure = draw(fitted if kind == "devices" else fit_device(one_device.measurement(0)))
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y0 >= panel.y1 - 1
        assert legend.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize(
    ("unit", "largest", "label"),
    [
        ("A", 2.4e-4, (1e6, "current", "µA")),
        ("uS", 62.0, (1, "conductance", "µS")),
        ("mV", 1500.0, (1e-3, "voltage", "V")),
        ("Ohm", 2e5, (1e-3, "resistance", "kΩ")),
        (None, 3.0, (1, "measured value", "arb. u.")),
        ("%", 50.0, (1, "measured value", "%")),
        (None, 2.4e-4, (1e4, "measured value", "10$^{-4}$ arb. u.")),
        ("S", 1e-4, (1e6, "conductance", "µS")),
    ],
)
def test_axes_have_units_that_can_be_read(unit, largest, label):
    factor, quantity, shown = display(unit, largest)
    assert factor == pytest.approx(label[0])
    assert (quantity, shown) == label[1:]


def test_the_picture_of_a_device_in_siemens_is_that_of_one_in_microsiemens(measured, fitted):
    ramps = tuple(replace(ramp, values=1e-6 * ramp.values) for ramp in measured.ramps)
    there = fit_device(replace(measured, unit="S", ramps=ramps))
    for a, b in zip(draw(fitted).axes, draw(there).axes, strict=True):
        assert a.get_ylabel() == b.get_ylabel()
        assert a.get_ylim() == pytest.approx(b.get_ylim(), rel=1e-3)
