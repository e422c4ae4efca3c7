"""What each imperfection costs, against numbers worked out by hand, from made-up records."""

import re

import pytest
from conftest import PROJECT
from support import untrained_runs
from support.devices import OTHERS, device_file, measured
from support.simulated import report_on, untrained_report

from devices.library import find
from utils.errors import UserError
from utils.parser import parse
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
from utils.study import without

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


def values(settings) -> set:
    return {(s.field.name, s.var, s.resistor_noise, s.clipping, s.write_noise) for s in settings}


def test_its_settings_by_hand():
    settings = ABLATION.settings()
    assert len(settings) == 17
    assert {s.lr for s in settings} == {1000.0}
    expected = {
        (field, var, read, clipping, 0.0)
        for field in ("double-linear", "double-exponential")
        for var in (0.0, 0.2)
        for read in (0.0, 0.015)
        for clipping in (0.0, 0.1)
    }
    assert values(settings) == expected | {("double-ideal", 0.0, 0.0, 0.0, 0.0)}
    assert {s.voltage_noise for s in settings if not s.resistor_noise} == {0.0}


def test_values_of_flags_are_what_is_switched_off():
    run = parse("--study ablation --field double-linear --var 0.3 --write_noise 0.01".split())
    assert len(run.settings) == 17
    assert values(run.settings[:1]) == {("double-linear", 0.3, 0.015, 0.1, 0.01)}
    assert {s.var for s in run.settings} == {0.0, 0.3}
    assert len(ABLATION.settings({**LINEAR, "clipping": [0.0]})) == 4 + 1
    with pytest.raises(UserError, match=r"--var: --study ablation takes one value.* given 2"):
        ABLATION.settings({"var": [0.1, 0.2]})


def test_of_a_device_file_the_measured_values_are_switched_off(tmp_path):
    """Write noise was measured and joins; what was not measured is that of figure 1."""
    mine = measured("mine", OTHERS["table"].response, 0.3, None, 0.02)
    file = device_file(tmp_path / "x.json", mine)
    settings = ABLATION.settings({"field": [find(str(file))]})
    assert len(settings) == 17
    assert values(settings[:1]) == {("mine", 0.3, 0.015, 0.1, 0.02)}
    assert settings[0].var == mine.variability.value


@pytest.fixture
def linear():
    (ablation,) = find_ablations(untrained_runs.table(ABLATION.settings(LINEAR), accuracy))
    return ablation


def test_points_by_hand(linear):
    """Smallest pulse alone 0, 0.25, 0.5: mean 0.25, s 0.25, error 0.25 / sqrt(3), t 4.302653."""
    alone = {name: linear.points[name, ALONE] for name in linear.imperfections}
    back = {name: linear.points[name, WON_BACK] for name in linear.imperfections}
    assert {name: one.mean for name, one in alone.items()} == {
        "var": 1.0,
        "resistor_noise": 0.5,
        "clipping": 0.25,
    }
    # The spread over seeds is that of pairs, here of rounding to one of 10000 test images.
    assert alone["var"].error == pytest.approx(0.01 / 6**0.5 / 3**0.5)
    assert alone["clipping"].error == pytest.approx(0.1443376)
    assert alone["clipping"].low == pytest.approx(0.25 - 4.302653 * 0.1443376, abs=1e-6)
    assert not alone["clipping"].is_clear
    assert {name: one.mean for name, one in back.items()} == {
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
    few = "most is won back without the variability, +2.00 points (no interval from 2 networks)"
    assert few in conclusion(ablation)


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


@pytest.mark.parametrize(
    ("given", "is_there", "n_missing", "words"),
    [
        (
            {},
            lambda setting: setting.clipping,
            5,
            "figures/ablation.sh --resume --field double-linear --lr 1000 --var 0.2 "
            "--resistor_noise 0.015 --write_noise 0 --clipping 0.1 --epochs 2 --n_models 3$",
        ),
        (
            {"accumulate": (True,)},
            lambda setting: setting.clipping or setting.var or setting.resistor_noise,
            2,
            " --accumulate",
        ),
    ],
    ids=["the paper's rule", "an accumulator"],
)
def test_a_part_is_drawn_and_the_command_for_the_rest_is_named(
    given, is_there, n_missing, words, tmp_path
):
    settings = ABLATION.settings({**LINEAR, "epochs": 2, **given})
    report = untrained_report(tmp_path, list(filter(is_there, settings)), accuracy)
    (shown,) = report.select("ablation")
    assert shown.full.accumulate == bool(given)
    assert report.draw("ablation") is not None
    assert {path.stem for path in report.folder.iterdir()} == {"ablation"}
    (line,) = report.missing("ablation")
    start = f"Ablation: {n_missing} of 9 settings are missing; train them with: "
    assert line.startswith(start)
    assert re.search(words, line)
    script, *flags = line.removeprefix(start).split()
    assert (PROJECT / script).exists()
    assert set(parse(["--study", "ablation", *flags]).settings) == set(settings)


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


def test_the_ideal_network_of_other_studies_has_no_device_noise():
    settings = STUDIES["width"].settings({"device_noise": True})
    assert {(s.field.name == "double-ideal", s.device_noise) for s in settings} == {
        (True, False),
        (False, True),
    }
    with pytest.raises(UserError, match="--device_noise: has no effect"):
        STUDIES["figure2"].settings({"device_noise": True})


@pytest.mark.parametrize(("name", "count"), [("ablation", 17), ("map", 78), ("width", 225)])
def test_without_simulations_the_command_is_named(name, count, tmp_path):
    (tmp_path / "out").mkdir()
    report = report_on(tmp_path / "out", tmp_path / "figures", task="Digits")
    assert report.draw(name) is None
    (line,) = report.missing(name)
    assert line.startswith(f"{name.capitalize()}: {count} of {count} settings are missing; train")
    assert line.endswith(f"figures/{name}.sh --resume --task Digits")


def test_a_rule_goes_with_the_smallest_pulse():
    """Rounding and accumulator have no effect without it: those settings have the paper's rule."""
    given = {"accumulate": (True,), "rounding": ("nearest",), "field": (find("double-linear"),)}
    settings = STUDIES["ablation"].settings(given)
    rules = {(bool(s.clipping), s.rounding, s.accumulate) for s in settings}
    assert rules == {(True, "nearest", True), (False, "none", False)}
    assert len(settings) == 8 + 1
    full = next(s for s in settings if s.clipping and s.var and s.resistor_noise)
    assert without(full, ["clipping"]) in settings
    assert without(full, ["var"]).accumulate


def test_networks_with_an_accumulator_alone_can_be_drawn(tmp_path):
    """The figures without a smallest pulse have none of these, which is no error."""
    settings = STUDIES["figure1"].settings({"accumulate": (True,), "epochs": 2})
    report = untrained_report(tmp_path, settings, lambda setting, model: 90.0 + model)
    assert report.draw("figure1") is not None
    assert report.select("ablation") == []
    assert all(isinstance(line, str) for name in SECTIONS for line in report.missing(name))
