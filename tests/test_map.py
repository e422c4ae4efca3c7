"""The map of devices, and up to where a device is linear enough, from made-up records."""

import numpy as np
import pandas as pd
import pytest
from support import untrained_runs
from support.devices import OTHERS

from devices.library import Device, find
from devices.responses import Table
from utils.plots.devices import nonlinearity
from utils.plots.map import (
    above_linear,
    by_nonlinearity,
    conclusion,
    draw_map,
    find_limits,
    mean_grid,
    select,
)
from utils.studies import STUDIES, curved
from utils.study import FIELDS

pytestmark = pytest.mark.usefixtures("svg_alone")
MAP = STUDIES["map"]
SOME = {"field": [curved(nu) for nu in (-2.0, 0.0, 2.0, 4.0)], "lr": [500.0, 1000.0]}


def accuracy(setting, model: int) -> float:
    """0.125 nu^2 points below nu = 0, one more at 500; at nu = 4 best there. Spread over seeds."""
    nu = nonlinearity(setting.field)
    value = 96 - 0.125 * nu**2 - ((setting.lr == 500) != (nu == 4))
    return value + (0, 2, 4)[model] + (0, 0.1, -0.1)[model] * (nu != 0)


def map_beside(*devices: Device) -> pd.DataFrame:
    """The map, with networks of other devices that are best at the smallest learning rate."""
    settings = STUDIES["figure1"].settings({"field": devices})
    beside = untrained_runs.table(settings, lambda setting, model: 90 - setting.lr / 1000)
    curved = untrained_runs.table(MAP.settings(SOME), accuracy)
    return select(pd.concat([curved, beside], ignore_index=True))


@pytest.mark.parametrize("nu", [-4.0, -0.5, 0.0, 2.77, 8.0])
def test_the_nonlinearity_of_a_table_is_that_of_the_nearest_curve(nu):
    """Of points of a curve of the map, in whatever range, its own but for the lines between."""
    response, pulses = curved(nu).response, np.linspace(0, 27, 151)
    voltages = [0.3 * response.response(x) + 1 for x in pulses.tolist()]
    table = Table(tuple((pulses * 4).tolist()), tuple(voltages))
    assert nonlinearity(Device("mine", table)) == pytest.approx(nu, abs=2e-3)


def test_a_curve_that_none_of_the_map_is_near_to_has_no_place_on_it():
    step = Table((0.0, 13.0, 14.0, 27.0), (2.742, 2.74, 2.18, 2.175))
    assert nonlinearity(Device("mine", step)) is None
    figure = draw_map(map_beside(Device("mine", step)))
    assert len(figure.legends[0].get_texts()) == 1


def test_a_table_is_marked_where_its_nearest_curve_is():
    table = OTHERS["table"]
    figure = draw_map(map_beside(table))
    marked = figure.axes[0].get_lines()[-1]
    assert marked.get_xdata()[0] == pytest.approx(nonlinearity(table))
    assert -2.5 < nonlinearity(table) < 4.5
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-1].endswith(", at its best and the nearest ν")


def test_the_limit_is_between_neighbours_by_hand():
    """0, -0.2 and -1.0 at 0, 1 and 2: -0.5 is 3/8 of the way; with 0.2 less or more 1/8 or 5/8."""
    means = pd.Series({0.0: 0.0, 1.0: -0.2, 2.0: -1.0, -1.0: 0.1, -2.0: 0.0})
    width = 0.2 * (means.index > 0)
    curve = pd.DataFrame({"mean": means, "low": means - width, "high": means + width})
    assert list(find_limits(curve, 1)) == pytest.approx([1.375, 1.125, 1.625])
    assert find_limits(curve, -1).isna().all()
    assert find_limits(curve[curve.index >= 0], -1) is None


def test_each_nonlinearity_at_its_own_best_rate():
    """Differences at nu = 2: -0.5 less 0, 0.1, -0.1; s 0.1, error 0.0577350, t 4.302653."""
    chosen = select(untrained_runs.table(MAP.settings(SOME), accuracy))
    assert [rows["lr"].unique().tolist() for rows in by_nonlinearity(chosen).values()] == [
        [1000],
        [1000],
        [1000],
        [500],
    ]
    below = above_linear(chosen)
    means = {-2.0: -0.5, 0.0: 0.0, 2.0: -0.5, 4.0: -2.0}
    assert below["mean"].to_dict() == pytest.approx(means)
    assert below["low"][2.0] == pytest.approx(-0.5 - 4.302653 * 0.0577350, abs=1e-6)
    assert below["error"][0.0] == pytest.approx(0.01 / 6**0.5 / 3**0.5)  # that of rounding


def test_the_sentence():
    """-0.5 at 2, but for rounding; low: 0.5 / 0.748414 of 2; high: 0.248414 / 1.5 on from 2."""
    rows = untrained_runs.table(
        MAP.settings(SOME), lambda s, m: accuracy(s, m) - 1e-9 * (s.lr != 500)
    )
    assert conclusion(select(rows)).startswith(
        "Map: each at its own best learning rate, a device stays within 0.5 points of a linear one "
        "up to ν = 2.0 (95 %: 1.3 to 2.3) and down to the end of the map, ν = -2 (95 %: at least "
        "to -1.3)."
    )
    two_models = untrained_runs.table(MAP.settings(SOME), accuracy, n_models=2)
    assert "; no interval from 2 networks." in conclusion(select(two_models))
    assert "95 %" not in conclusion(select(two_models))
    alone = rows[rows["field"] == "double-curved-2.0"]
    assert conclusion(select(alone)) == "Map: too few nonlinearities yet."


def test_the_picture_shows_means_the_best_rate_and_fields_where_they_belong():
    figure = draw_map(map_beside(*FIELDS, find("double-ideal")))
    left = figure.axes[0]
    mesh = left.collections[0].get_array().reshape(2, 4)
    nus = np.array([-2, 0, 2, 4])
    expected = 98 - 0.125 * nus**2 - np.array([[1, 1, 1, 0], [0, 0, 0, 1]])
    assert np.asarray(mesh) == pytest.approx(expected)
    lost = figure.axes[1].collections[0].get_array()
    assert np.asarray(lost) == pytest.approx(1.0)
    _, best, linear, exponential = left.get_lines()
    assert list(best.get_ydata()) == [1000, 1000, 1000, 500]
    assert (linear.get_xdata()[0], linear.get_ydata()[0]) == (0, 500)
    assert exponential.get_xdata()[0] == pytest.approx(2.772, abs=1e-3)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "best learning rate",
        "linear, at its best",
        "exponential (range × 2.5), at its best",
    ]
    assert figure.get_size_inches()[0] <= 7


def test_a_part_of_the_grid_is_drawn():
    networks = untrained_runs.table(MAP.settings(SOME), accuracy)
    part = networks[(networks["lr"] == 500) | (networks["field"] != "double-curved-4.0")]
    assert mean_grid(select(part), "accuracy").isna().sum().sum() == 1
    assert draw_map(select(part)) is not None
    assert draw_map(select(networks[networks["lr"] == 500])) is None
    assert select(networks[networks["field"] == "double-linear"]).empty
