"""The picture of a fitted device: data, fit, residuals, changes per pulse and devices."""

from dataclasses import replace

import numpy as np
import pytest
from support.ramps import exponential, measurement, two_bends

from utils.measured.fitting import fit
from utils.measured.picture import changes, display, draw


def texts_above(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_picture_shows_data_fit_residuals_changes_and_devices():
    truth = exponential(2.77, read=0.005, write=0.005)
    fitted = fit(truth.measurement(0))
    figure = draw(fitted)
    ramps, residuals, change, slopes = figure.axes
    assert [axes.texts[0].get_text() for axes in figure.axes] == list("abcd")
    lines = ramps.get_lines()
    assert len(lines) == 16 + 2
    for line, ramp in zip(lines, fitted.measurement.ramps, strict=False):
        assert line.get_ydata() == pytest.approx(ramp.values)
    assert lines[-1].get_ydata()[[0, -1]] == pytest.approx([62, 20], abs=2)
    assert texts_above(ramps) == ["16 ramps, 8 devices", "mean", "exponential, $v_i$ = 1"]
    assert (ramps.get_xlabel(), ramps.get_ylabel()) == ("pulses", "conductance (µS)")
    assert residuals.get_ylabel() == "residual (% of range)"
    ramp, group = fitted.measurement.ramps[3], fitted.scaled.groups[0]
    model = fitted.taken.start[3] + fitted.range * (
        (1 - np.exp(-fitted.taken.nonlinearity * fitted.taken.slopes[1] * group.time))
        / (1 - np.exp(-fitted.taken.nonlinearity))
    )
    model = fitted.scaled.first + fitted.scaled.step * model
    percent = 100 * (ramp.values - model) / abs(fitted.scaled.step * fitted.range)
    assert residuals.get_lines()[3].get_ydata() == pytest.approx(percent, abs=1e-6)
    assert change.get_ylabel() == "change per pulse (µS)"
    assert f"mean, n = {16 * 27}" in texts_above(change)
    assert texts_above(slopes)[1] == "8 devices"
    assert sorted(slopes.containers[0][0].get_xdata()) == pytest.approx(sorted(fitted.taken.slopes))


def test_change_per_pulse_is_that_of_the_ramps_by_value():
    values = np.array([10.0, 8, 7, 6.5, 6.25, 6.125])[:, None]
    level, change, fitted = changes(fit(measurement(values)))
    step = 10 - 6.125
    assert change * step == pytest.approx([2, 1, 0.5, 0.25, 0.125])
    assert fitted * step == pytest.approx(change * step, rel=1e-6)
    assert 10 - level * step == pytest.approx([9, 7.5, 6.75, 6.375, 6.1875])


def test_many_devices_are_a_histogram_and_one_device_shows_its_cycles():
    many = fit(exponential(2.77, devices=30, cycles=1).measurement(0))
    slopes = draw(many).axes[3]
    assert sum(patch.get_height() for patch in slopes.patches) == 30
    assert slopes.get_xlabel() == "slope factor $v_i$"
    cycles = draw(fit(exponential(2.77, devices=1, cycles=6, sigma=0.0).measurement(0))).axes[3]
    assert cycles.get_xlabel() == "cycle"
    assert texts_above(cycles) == ["first value, n = 6", "range, n = 6"]
    single = fit(exponential(2.77, devices=1, cycles=1, sigma=0.0).measurement(0))
    assert len(draw(single).axes) == 3


@pytest.mark.parametrize("truth", [exponential(2.77), two_bends(devices=1, cycles=8, sigma=0.0)])
def test_legends_cover_no_data_and_stay_inside(truth):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw(fit(truth.measurement(0)))
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox
    for axes in figure.axes:
        legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y0 >= panel.y1 - 1
        assert legend.x1 <= whole.x1 + 1


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


def test_the_picture_of_a_device_in_amperes_is_that_of_one_in_microamperes():
    one = exponential(2.77).measurement(0)
    small = replace(
        one, unit="S", ramps=tuple(replace(r, values=1e-6 * r.values) for r in one.ramps)
    )
    here, there = draw(fit(one)).axes, draw(fit(small)).axes
    for a, b in zip(here, there, strict=True):
        assert a.get_ylabel() == b.get_ylabel()
        assert a.get_ylim() == pytest.approx(b.get_ylim(), rel=1e-4)
