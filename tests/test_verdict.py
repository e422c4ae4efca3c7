"""The answer for a device of the user's own: like with like, at equal steps, at which edge."""

from dataclasses import replace

import pandas as pd
import pytest
from conftest import setting_of
from support import untrained_runs
from support.devices import measured
from support.simulated import report_on, untrained_report

from devices.library import Device
from devices.responses import Exponential
from utils import studies
from utils.errors import UserError
from utils.parser import parse
from utils.plots.comparison import EQUAL_STEPS, conclusions, draw_comparison, with_equal_steps
from utils.plots.selection import fair_choices
from utils.studies import BESIDE, STUDIES, beyond_edges
from utils.study import FIELDS, rate_of_equal_steps

pytestmark = pytest.mark.usefixtures("svg_alone")
SHORT = Exponential(amplitude=0.6, decay=9.0, offset=2.142, pulses_max=27.0)
LONG = Exponential(amplitude=0.6, decay=33.3, offset=2.142, pulses_max=100.0)  # as curved
OWN = STUDIES["own-device"]


def device(name: str, response) -> Device:
    return Device(name, response, measured=measured(name, response, 0.1, 0.002, None))


def accuracy(setting, model: int) -> float:
    """Best at 500 of 27 pulses, and the linear one 2 points better; spread over seeds."""
    rate = setting.lr * 27 / setting.field.response.pulses_max
    return 90 + 2 * (setting.field == FIELDS[0]) - rate / 1000 + (0, 1, 2)[model]


def networks(*devices: Device, **given) -> pd.DataFrame:
    settings = OWN.settings({"field": [*devices, *BESIDE], "task": "Digits", **given})
    return untrained_runs.table(settings, accuracy)


def test_a_longer_device_gets_learning_rates_of_equal_steps():
    """1000 of 27 pulses are 3703.7 of 100, in four digits."""
    long = device("long", LONG)
    assert rate_of_equal_steps(1000.0, device("short", SHORT)) == 1000.0
    for field, rates in ((long, [1852.0, 3704.0]), (FIELDS[0], [500.0, 1000.0])):
        settings = OWN.settings({"field": [field], "lr": [500.0, 1000.0]})
        assert [setting.lr for setting in settings] == rates
    steps = with_equal_steps(networks(long))
    assert set(steps[EQUAL_STEPS]) == {500, 1000, 2000, 3000, 4000, 5000}
    with pytest.raises(UserError, match="given 2 times"):
        OWN.settings({"lr": [500.0, 500.0]})


def test_every_device_has_a_verdict_at_its_best_rate_and_at_equal_steps():
    """Two points below the linear one everywhere; the interval is that of one test image of 297.

    Half of it: t 4.302653 times 100 / 297 / sqrt(6) / sqrt(3), 0.34.
    """
    short, long = device("short", SHORT), device("long", LONG)
    rows = networks(short, long)
    choice, *_ = fair_choices(rows, ["short", "long", *(built_in.name for built_in in BESIDE)])
    verdicts = conclusions(choice)
    assert [verdict.split()[0] for verdict in verdicts] == ["short", "long"]
    head, linear, exponential, *_ = verdicts[1].splitlines()
    assert head == (
        "long (each field with its own noises, mean ± std, n = 3; one test image is 0.34 points):"
    )
    assert linear.startswith(
        "  worse than linear: -2.00 points (95 %: -2.34 to -1.66), each at its best learning rate "
        "(long 1852, the lowest tried; linear 500, the lowest tried); at equal steps -2.00 points"
    )
    assert exponential.startswith("  not clearly better or worse than exponential (same range): ")
    assert exponential.split(": ")[1].startswith(("+0.00 points", "-0.00 points"))


def test_the_axis_has_both_rates(tmp_path):
    settings = OWN.settings({"field": [device("long", LONG), *BESIDE], "lr": [500.0, 1000.0]})
    report = untrained_report(tmp_path, settings, accuracy)
    figure = draw_comparison(*report.select("own-device"))
    rates = figure.axes[1]
    (rate_axis,) = rates.child_axes
    assert rate_axis.get_xlabel() == "learning rate of long"
    assert "27 / pulses of the range" in rates.get_xlabel()
    assert {line.get_xdata()[0] for line in rates.get_lines()} == {500.0}
    figure.canvas.draw()
    assert rate_axis.get_xlim()[0] == pytest.approx(rates.get_xlim()[0] * 100 / 27)


def test_the_study_adds_rates_beyond_an_edge_unless_they_are_given():
    """Linear is best at the lowest of 500 and 1000, and ideal at the highest."""
    linear, _, ideal = BESIDE
    settings = OWN.settings({"field": [linear, ideal], "lr": [500.0, 1000.0]})
    accuracies = {s: 90 + s.lr / 1000 * (1 if s.field == ideal else -1) for s in settings}
    more = beyond_edges(accuracies)
    assert [(s.field, s.lr) for s in more] == [(linear, 250.0), (ideal, 2000.0)]
    inside = accuracies | {more[0]: 80.0, more[1]: 80.0}
    assert beyond_edges(inside) == ()
    assert parse(["--study", "own-device"]).extends_rates
    assert not parse(["--study", "own-device", "--lr", "500", "1000"]).extends_rates
    assert not parse(["--study", "figure1"]).extends_rates


def test_a_run_of_the_study_goes_on_until_the_best_is_inside(simulate, monkeypatch):
    """Learning rates far too large are made smaller."""
    study = replace(OWN, sweeps=[{"field": BESIDE[:1], "lr": (64000.0, 128000.0)}])
    monkeypatch.setitem(studies.STUDIES, "own-device", study)
    records = simulate("--study own-device --n_models 1 --layers 8")
    rates = sorted({r.json["optimizer_parameters"]["lr"] for r in records})
    assert rates[0] < 64000.0
    assert "best at the edge of the learning rates tried, so these are added: " in simulate.errors


def test_a_filter_draws_other_series_and_the_table_has_all(tmp_path):
    long = [setting_of(lr=lr, epochs=4) for lr in (500.0, 1000.0)]
    short = [setting_of(lr=500.0, epochs=2)]
    report = untrained_report(tmp_path, [*long, *short], accuracy)
    assert len(report.networks.main) == 6
    assert report.networks.describe()[1:] == [
        "Not drawn: 3 networks (epochs 2); --epochs 2 draws them."
    ]
    other = report_on(tmp_path / "out", tmp_path / "figures", epochs=2)
    assert len(other.networks.main) == 3
    layers = report_on(tmp_path / "out", tmp_path / "figures", layers=(24,))
    assert len(layers.networks.main) == 6
    report.write_table(tmp_path / "all.csv")
    table = pd.read_csv(tmp_path / "all.csv")
    assert len(table) == 9
    assert {"field", "lr", "accuracy", "relaxed", "epochs", "folder", "model"} <= set(table.columns)
    with pytest.raises(UserError, match=r"--table .*: cannot be written"):
        report.write_table(tmp_path / "no folder" / "all.csv")
