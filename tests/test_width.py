"""Accuracy over size and number of hidden layers, from made-up records."""

import pytest
from support import untrained_runs
from support.simulated import assert_curve, untrained_report

from utils.parser import parse
from utils.plots.width import by_size, conclusion, draw_width, table
from utils.studies import STUDIES

pytestmark = pytest.mark.usefixtures("svg_alone")
WIDTH = STUDIES["width"]
BELOW = {"double-ideal": 0.0, "double-linear": 1.0, "double-exponential": 3.0}


def plain(networks):
    """Return the networks with the default fresh weights and the rule of the paper."""
    is_plain = (networks["init"] == 0.01) & (networks["rounding"] == "none")
    return networks[is_plain & ~networks["accumulate"]]


def accuracy(setting, model: int) -> float:
    """Best at 1000; exponential 2 below linear, 3 with 64 neurons; spread over seeds.

    Other fresh weights and the accumulator gain half a point each where there are several layers.
    """
    value = 90 + setting.layers[0] / 256 + len(setting.layers) - BELOW[setting.field.name]
    value -= setting.layers == (64,) and setting.field.name == "double-exponential"
    if len(setting.layers) > 1:
        value += 0.5 * (setting.init > 0.01) + 0.5 * setting.accumulate + 0.1 * (setting.init > 0.1)
    return value - (setting.lr != 1000) + (0, 2, 4)[model]


@pytest.fixture(scope="module")
def networks():
    return untrained_runs.table(WIDTH.settings(), accuracy)


def test_the_picture_shows_each_at_its_best_rate(networks):
    width, depth = draw_width(plain(networks)).axes
    linear, exponential, ideal = width.get_lines()
    sizes = [64, 128, 256, 512, 1024]
    assert_curve(linear, sizes, [92 + size / 256 for size in sizes])
    assert_curve(ideal, sizes, [93 + size / 256 for size in sizes])
    assert exponential.get_ydata()[0] == pytest.approx(89.25)
    for line, top in zip(depth.get_lines(), (92, 90, 93), strict=True):
        assert_curve(line, [1, 2, 3], [top + k for k in (1, 2, 3)])


def test_table_and_sentence(networks):
    networks = plain(networks)
    rows = table(networks)
    assert len(rows) == 7 * 3
    row = rows[(rows["layers"] == "64") & (rows["field"] == "exponential")]
    assert row[["best lr", "n", "mean", "to ideal"]].values.tolist() == [["1000", 3, 89.25, -4.0]]
    assert by_size(networks) == (
        "Width: linear minus exponential, each at its best learning rate, over equal seeds: "
        "+2.00 points (95 %: +1.99 to +2.01) with 128 hidden neurons, +3.00 points (95 %: +2.99 "
        "to +3.01) with 64 hidden neurons; linear is better in all 7 networks."
    )
    assert "no linear and exponential" in by_size(networks[networks["field"] == "double-ideal"])
    two = by_size(networks[networks["model"] < 2])
    assert "(no interval from 2 networks)" in two
    assert two.endswith("which is better is clear in 0 of 7 networks.")


def test_depth_has_a_panel_for_each_rule_and_names_the_best(networks):
    """Of three layers of 256: 94 linear, + 0.6 with fresh weights of 0.2, + 0.5 accumulated."""
    figure = draw_width(networks)
    assert [axes.get_title() for axes in figure.axes] == [
        "",
        "drop below smallest pulse",
        "round stochastically",
        "accumulate",
    ]
    linear = figure.axes[3].get_lines()[:3]  # fresh weights of 0.01, 0.05, 0.2
    tops = [94.5, 95.0, 95.1]
    assert [line.get_ydata()[1] for line in linear] == pytest.approx(tops)
    _, *lines = conclusion(networks).splitlines()
    assert lines[0].startswith(
        "Depth, linear: best with 256 + 256 + 256 hidden neurons, --init 0.2 and the rule "
        "'accumulate': 96.10 %, +3.10 points (95 %: "
    )
    assert lines[1].startswith("Depth, exponential: ")
    assert conclusion(plain(networks)) == by_size(networks)


def test_a_part_is_drawn_and_the_command_for_the_rest_is_named(tmp_path):
    """Not mixed with networks of other layers, or of the same in another physics."""
    part = [s for s in WIDTH.settings({"epochs": 2}) if s.layers in ((64,), (128,))]
    other = STUDIES["figure2"].settings({"epochs": 2, "layers": (64,)})
    other = [s for s in other if s.field.name == "double-exponential"]
    # Of figure 1, at rates that no other size has been trained at.
    other += WIDTH.settings({"epochs": 2, "layers": (512,), "lr": [4000.0]})
    report = untrained_report(tmp_path, [*part, *other], accuracy)
    assert len(report.select("width")) == 3 * len(part)
    assert report.draw("width") is not None
    command = "figures/width.sh --resume --epochs 2 --n_models 3"
    line = f"Width: 207 of 225 settings are missing; train them with: {command}"
    assert report.missing("width") == [line]
    run = parse(["--study", "width", *command.split()[1:]])
    assert len(set(run.settings) - set(part)) == 207
    assert len(report.table("width")) == 6
