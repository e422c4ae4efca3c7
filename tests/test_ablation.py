"""What each imperfection costs, against numbers worked out by hand, from made-up records."""

import pytest
from support import untrained_runs
from support.simulated import untrained_report

from devices.library import find
from utils.plots.ablation import (
    ALONE,
    SUMS,
    TOGETHER,
    WON_BACK,
    conclusion,
    draw_ablation,
    find_ablations,
    table,
)
from utils.plots.sections import SECTIONS
from utils.studies import STUDIES

pytestmark = pytest.mark.usefixtures("svg_alone")
ABLATION = STUDIES["ablation"]
LINEAR = {"field": (find("double-linear"),)}
SEEDS = (0.0, 3.0, -2.0)  # points by which a network is better than others, whatever the setting


def accuracy(setting, model: int) -> float:
    """Variability costs 1 alone and 2 among all, read noise 0.5, the smallest pulse 0.25 ± 0.25."""
    value = 96.0 + SEEDS[model] - 0.5 * (setting.resistor_noise > 0)
    value -= (0.0, 0.25, 0.5)[model] * (setting.clipping > 0)
    value -= (setting.var > 0) * (2 if setting.clipping and setting.resistor_noise else 1)
    return value + (setting.field.name == "double-ideal")


@pytest.fixture
def linear():
    (ablation,) = find_ablations(untrained_runs.table(ABLATION.settings(LINEAR), accuracy))
    return ablation


def test_points_by_hand(linear):
    """Smallest pulse alone 0, 0.25, 0.5: mean 0.25, s 0.25, error 0.25 / sqrt(3)."""
    alone = {name: linear.points[name, ALONE] for name in linear.imperfections}
    back = {name: linear.points[name, WON_BACK] for name in linear.imperfections}
    assert {name: point.mean for name, point in alone.items()} == {
        "var": 1.0,
        "resistor_noise": 0.5,
        "clipping": 0.25,
    }
    assert alone["clipping"].error == pytest.approx(0.1443376)
    assert {name: point.mean for name, point in back.items()} == {
        "var": 2.0,
        "resistor_noise": 1.5,
        "clipping": 1.25,
    }
    assert [linear.points[name, TOGETHER].mean for name in SUMS] == [2.75, 1.0, 3.75]


def test_the_sentence(linear):
    assert conclusion(linear) == (
        "Ablation, linear at learning rate 1000: of the 3.75 ± 0.14 points to the ideal network "
        "the variability costs 1.00 ± 0.00 alone, the read noise costs 0.50 ± 0.00 alone, the "
        "smallest pulse costs 0.25 ± 0.14 alone, the response costs 1.00 ± 0.00; the variability "
        "matters most: without it +2.00 points (95 %: +1.99 to +2.01) are won back (mean ± "
        "standard error over equal seeds, n = 3)."
    )


def test_noise_and_too_few_networks_are_named():
    settings = ABLATION.settings(LINEAR)
    noisy = untrained_runs.table(settings, lambda s, model: 90 + model * (-1) ** len(s.slug))
    (ablation,) = find_ablations(noisy)
    assert "wins nothing that is clear of noise" in conclusion(ablation)
    (ablation,) = find_ablations(untrained_runs.table(settings, accuracy, n_models=2))
    words = "most is won back without the variability, +2.00 points (no interval from 2 networks)"
    assert words in conclusion(ablation)


def test_of_a_part_only_what_is_known_is_concluded():
    """Without the networks that lack the variability alone nobody knows what matters most."""
    settings = [s for s in ABLATION.settings(LINEAR) if s.var or not s.clipping]
    (ablation,) = find_ablations(untrained_runs.table(settings, accuracy))
    assert conclusion(ablation) == (
        "Ablation, linear at learning rate 1000: of the 3.75 ± 0.14 points to the ideal network "
        "the variability costs 1.00 ± 0.00 alone, the read noise costs 0.50 ± 0.00 alone, the "
        "response costs 1.00 ± 0.00; of what is trained most is won back without the read noise, "
        "+1.50 points (95 %: +1.49 to +1.51) (mean ± standard error over equal seeds, n = 3)."
    )


def test_the_table_and_the_picture_have_the_same_numbers(linear):
    rows = table([linear])
    assert len(rows) == 3 * 2 + 3
    assert rows["points"].tolist() == [1.0, 2.0, 0.5, 1.5, 0.25, 1.25, 2.75, 1.0, 3.75]
    figure = draw_ablation([linear])
    (axes,) = figure.axes
    drawn = [bar.lines[0].get_xdata()[0] for bar in axes.containers]
    assert drawn == rows["points"].tolist()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["variability 0.2", "read noise 0.015", "smallest pulse 0.1"]
    assert figure.get_size_inches()[0] <= 3.34
    assert "MNIST" in figure.legends[0].get_title().get_text()
    assert "n = 3" in figure.legends[0].get_title().get_text()


def test_device_noise_goes_with_the_read_noise_and_is_drawn_whole(tmp_path):
    """Networks without read noise have none, and stand beside those that do all the same."""
    settings = ABLATION.settings({**LINEAR, "epochs": 2, "device_noise": True})
    noises = {(bool(s.resistor_noise), s.device_noise) for s in settings}
    assert noises == {(True, True), (False, False)}
    report = untrained_report(tmp_path, settings, accuracy)
    (ablation,) = report.select("ablation")
    assert ablation.full.device_noise
    assert ("resistor_noise", ALONE) in ablation.points
    assert report.draw("ablation") is not None
    assert report.missing("ablation") == []


def test_networks_with_an_accumulator_alone_can_be_drawn(tmp_path):
    """The figures without a smallest pulse have none of these, which is no error."""
    settings = STUDIES["figure1"].settings({"accumulate": (True,), "epochs": 2})
    report = untrained_report(tmp_path, settings, lambda setting, model: 90.0 + model)
    assert report.draw("figure1") is not None
    assert report.select("ablation") == []
    assert all(isinstance(line, str) for name in SECTIONS for line in report.missing(name))
