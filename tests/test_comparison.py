"""Fields compared in one picture: a device of the user's own beside the built-in ones."""

import json
import statistics
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT, setting_of
from matplotlib import pyplot as plt
from support import untrained_runs
from support.devices import OTHERS, device_file, measured
from support.simulated import EPOCHS, N_MODELS, RATES, assert_curve, report_on

from devices.library import Device
from utils.errors import UserError
from utils.parser import parse
from utils.plots import style
from utils.plots.comparison import draw_comparison
from utils.plots.networks import Networks
from utils.plots.panels import draw_means
from utils.plots.report import Report
from utils.plots.selection import as_measured, fair_choices
from utils.records.simulations import Simulations

pytestmark = pytest.mark.usefixtures("svg_alone")
BUILT_IN = ["double-linear", "double-curved-2.77", "double-ideal"]
RUN = f"--study own-device --task Digits --layers 16 --epochs {EPOCHS} --lr 500 3000"
EQUAL_STEPS_RATES = (370.4, 2222.0)  # of a device of 20 pulses: times 20 / 27, in four digits
EQUAL = "--var 0.1 --resistor_noise 0.002 --write_noise 0.01"  # what is measured of the device


def accuracy(setting, model: int) -> float:
    """Spread over seeds; each field is best at its lowest learning rate, the measured one worst."""
    steps = setting.lr * 27 / setting.field.response.pulses_max
    return 90 + len(setting.field.name) / 10 - steps / 1000 - 50 * setting.write_noise + model


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Records of a table device beside the built-in ones, with its noises, and with equal.

    The device file is gone when they are drawn.
    """
    folder = tmp_path_factory.mktemp("simulated")
    device = measured("mine", OTHERS["table"].response, 0.1, 0.002, 0.01)
    file = device_file(folder / "x.json", device)
    words = [*RUN.split(), "--field", str(file), *BUILT_IN]
    runs = (parse([*words, *more.split()]) for more in ("", EQUAL))
    settings = dict.fromkeys(setting for run in runs for setting in run.settings)
    untrained_runs.write(folder / "simulations", list(settings), accuracy, N_MODELS)
    file.unlink()
    return folder / "simulations"


@pytest.fixture
def report(simulated, tmp_path) -> Report:
    return report_on(simulated, tmp_path / "figures")


@pytest.fixture(scope="module")
def picture(simulated):
    """Each field with its own noises, drawn in the style of a report and not saved."""
    style.use()
    return draw_comparison(
        fair_choices(Simulations.read(simulated).networks, ["mine", *BUILT_IN])[0]
    )


def accuracies(simulations, field: str, lr: float, var: float, write: float) -> list[float]:
    """Straight from the JSON files, in %."""
    values, setting = [], {"field": [field], "lr": lr, "device_variability": var}
    for path in simulations.glob("*/*.json"):
        record = json.loads(path.read_text())
        if setting.items() <= record["optimizer_parameters"].items():
            values += [record["accuracy"]] * (record["write_noise"] == write)
    return values


def lines_of(axes) -> dict:
    return {line.get_label(): line for line in axes.get_lines()}


def test_each_field_has_its_own_values(picture, simulated):
    rates, epochs, *layers = picture.axes[1:]
    values = {"mine": (0.1, 0.01)} | dict.fromkeys(BUILT_IN, (0.2, 0.0))
    lines, histories = lines_of(rates), lines_of(epochs)
    assert len(lines) == len(rates.collections) == 4  # each with a band
    for field, (var, write) in values.items():
        line = lines[style.name(field)]
        rates_of_field = EQUAL_STEPS_RATES if field == "mine" else RATES
        per_rate = [accuracies(simulated, field, lr, var, write) for lr in rates_of_field]
        assert list(map(len, per_rate)) == [N_MODELS] * 2
        means = list(map(statistics.fmean, per_rate))
        assert_curve(line, RATES, means)
        history = histories[style.name(field)]
        assert len(history.get_ydata()) == EPOCHS
        assert history.get_ydata()[-1] == pytest.approx(max(means), rel=1e-5)
    (legend,) = picture.subfigs[0].legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0].startswith(
        "mine\nvariability 0.1, read noise 0.002,\nwrite noise 0.01\nbest learning rate "
    )
    assert labels[1].startswith("linear\nvariability 0.2\nbest learning rate ")
    assert all(label.endswith(" tried") for label in labels)  # of two rates each is an edge
    assert "mean ± std, n = 3; arrow: best at the edge" in legend.get_title().get_text()
    assert len(layers) == 2


def test_equal_noises_are_a_second_picture(report, simulated):
    assert report.draw("own-device") is not None
    figure = report.draw("own-device-other-noises")
    stems = {path.stem for path in report.folder.iterdir()}
    assert stems == {"own-device", "own-device-other-noises"}
    networks = Simulations.read(simulated).networks
    measured, equal = fair_choices(networks, ["mine", *BUILT_IN])
    assert (measured.as_measured, equal.as_measured) == (True, False)
    assert measured.fields == equal.fields == ["mine", *BUILT_IN]
    assert set(equal.networks["var"]) == {0.1}
    expected = [
        statistics.fmean(accuracies(simulated, "double-ideal", lr, 0.1, 0.01)) for lr in RATES
    ]
    assert_curve(lines_of(figure.axes[1])["ideal"], RATES, expected)
    assert "all with" in figure.subfigs[0].legends[0].get_title().get_text()


def test_values_as_measured_by_hand():
    device = measured("mine", variability=0.1, read_noise=0.002)
    setting = setting_of(field=Device("mine", device.response, measured=device), write_noise=0.5)
    found = as_measured(replace(setting, voltage_noise=2e-7, resistor_noise=0.002))
    assert (found.var, found.resistor_noise) == (0.1, 0.002)
    assert (found.voltage_noise, found.write_noise) == (2e-7, 0)
    assert (
        as_measured(replace(setting, voltage_noise=1e-3)).voltage_noise == 1e-3
    )  # by its own flag
    assert as_measured(setting_of()).resistor_noise == 0


def test_the_unit_of_the_measurement_is_on_an_axis_of_its_own(picture):
    devices = picture.axes[0]
    (axis,) = devices.child_axes
    picture.canvas.draw()
    low, high = devices.get_ylim()
    assert axis.get_ylim() == pytest.approx((-5e-6 + 2e-6 * low, -5e-6 + 2e-6 * high))
    assert axis.get_ylabel() == "measured (S)"
    span = (-5e-6 + 2e-6 * 2.175, -5e-6 + 2e-6 * 2.742)
    assert all(span[0] <= tick <= span[1] for tick in axis.get_yticks())
    assert axis.spines["right"].get_bounds() == pytest.approx(span)


def test_weights_beyond_every_range_are_counted(picture):
    for number, axes in enumerate(picture.axes[3:]):
        shares = [outline.get_data().values.sum() for outline in axes.patches]
        assert shares[0] == pytest.approx(1, abs=1e-3)
        assert all(share <= 1 + 1e-3 for share in shares)
        if number == 1:  # few weights, which grow most
            assert 100 * (1 - min(shares)) > 0.1
            assert "ideal: " in axes.get_xlabel()


def test_journal_width_letters_and_a_legend_that_covers_nothing(picture):
    assert picture.get_size_inches()[0] <= 7
    assert [axes.get_title("left") for axes in picture.axes[:4]] == ["a", "b", "c", "d"]
    picture.canvas.draw()
    legend = picture.subfigs[0].legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in picture.axes)
    assert not any(axes.get_legend() for axes in picture.axes)
    assert picture.bbox.x0 <= legend.x0 <= legend.x1 <= picture.bbox.x1


def test_two_networks_have_no_band(simulated):
    networks = Simulations.read(simulated).networks
    choice, *_ = fair_choices(networks[networks["model"] < 2], ["mine", *BUILT_IN])
    figure = draw_comparison(choice)
    for axes in figure.axes[1:3]:
        for path in (path for band in axes.collections for path in band.get_paths()):
            assert not np.isfinite(path.vertices).all()  # there is no number in it
    assert "mean, n = 2" in figure.subfigs[0].legends[0].get_title().get_text()


def test_bands_start_at_three_networks():
    axes = plt.figure().add_subplot()
    points = pd.DataFrame(
        {"mean": [90.0, 91.0], "std": [1.0, 2.0], "size": [2, 3]}, [500.0, 1000.0]
    )
    draw_means(axes, points, "k", "linear")
    (band,) = axes.collections
    drawn = [path.get_extents() for path in band.get_paths()]
    assert {(part.x0, part.y0, part.y1) for part in drawn} == {(1000.0, 89.0, 93.0)}


def test_without_a_device_the_command_is_named_and_it_trains_what_is_drawn(simulations, tmp_path):
    report = report_on(simulations, tmp_path / "figures")
    assert report.draw("own-device") is None
    (line,) = report.missing("own-device")
    assert line.endswith(": figures/own-device.sh my-device.json --resume")
    file = device_file(tmp_path / "x.json", measured("mine"))
    run = parse(["--study", "own-device", "--field", str(file), *BUILT_IN, "--resume"])
    assert {setting.field.name for setting in run.settings} == {"mine", *BUILT_IN}
    built_in = [setting for setting in run.settings if setting.field.measured is None]
    assert {setting.lr for setting in built_in} == {500, 1000, 2000, 3000, 4000, 5000}
    assert all(as_measured(setting) == setting for setting in run.settings)


@pytest.mark.usefixtures("unsaved")
def test_what_is_missing_beside_a_device_is_named(simulated, tmp_path):
    simulations = Simulations.read(simulated)
    networks = simulations.networks
    part = networks[networks["field"].isin(["mine", "double-linear"])]
    report = Report(Networks(replace(simulations, networks=part)), tmp_path)
    assert report.draw("own-device") is not None
    line, *edges = report.missing("own-device")
    head, _, command = line.partition("; add with: ")
    assert head == "double-curved-2.77, double-ideal not beside it"
    script, file, *flags = command.split()
    assert (script, file.endswith(".json")) == ("figures/own-device.sh", True)
    assert " ".join(flags) == "--resume --task Digits --epochs 4 --layers 16 --n_models 3"
    assert edges  # of two learning rates the best is at an edge
    assert all(f"; try others with: {command} --lr " in line for line in edges)


def test_any_fields_are_compared_and_unknown_ones_refused(
    report, simulations, tmp_path, monkeypatch
):
    figure = report.compare(["double-ideal", "mine"])
    assert list(lines_of(figure.axes[1])) == ["mine", "ideal"]  # the first is on top
    assert {path.stem for path in report.folder.iterdir()} == {"comparison"}
    monkeypatch.setattr(style, "FORMATS", ())  # that the picture can be saved was seen
    other = report_on(simulations, tmp_path / "other")
    assert other.compare(["double-linear", "double-exponential"]) is not None
    with pytest.raises(UserError, match=r"--fields nobody: is not simulated; .*double-linear"):
        report_on(simulations, tmp_path / "none").compare(["nobody"])
    assert not (tmp_path / "none").exists()


def test_the_readme_shows_the_picture():
    assert "](figures/own-device.png)" in (PROJECT / "README.md").read_text()
    assert (PROJECT / "figures" / "own-device.png").exists()
