"""From simulations to pictures: what is drawn is what is in the files."""

import statistics

import pytest
import torch
from matplotlib.colors import to_hex
from support.legacy_runs import write_legacy_folder
from support.simulated import (
    EPOCHS,
    LEGACY,
    RATES,
    assert_curve,
    from_files,
    means_of,
    report_on,
    untrained_report,
    with_other_constants,
)

import main
from utils.plots import style
from utils.plots.accuracy import BY_RATE, clippings, draw_accuracy
from utils.plots.report import Report
from utils.studies import STUDIES

pytestmark = pytest.mark.usefixtures("svg_alone")


def variability(study) -> float:
    """The variability of a figure, in which it differs from the others."""
    return study.settings()[0].var


@pytest.mark.parametrize("study", BY_RATE.values(), ids=lambda study: study.name)
def test_axes_carry_the_curves_of_the_files(study, report, simulations):
    var = variability(study)
    figure = draw_accuracy(study, report.networks.main)
    assert len(figure.axes) == len(clippings(study))
    for axes, clipping in zip(figure.axes, clippings(study), strict=True):
        linear, exponential, relaxed = axes.get_lines()
        for line, field, key in (
            (linear, "double-linear", "accuracy"),
            (exponential, "double-exponential", "accuracy"),
            (relaxed, "double-linear", "swap_accuracy"),
        ):
            expected = from_files(simulations, field, clipping, var, key)
            assert all(len(values) == 3 for values in expected.values())
            assert_curve(line, RATES, means_of(expected))
            assert to_hex(line.get_color()).upper() == style.COLOURS[field]
        bands = [band.get_paths()[0].get_extents() for band in axes.collections]
        expected = from_files(simulations, "double-linear", clipping, var)
        lows = [statistics.fmean(v) - statistics.stdev(v) for v in expected.values()]
        assert bands[0].y0 == pytest.approx(min(lows))
    assert "pulses per unit gradient" in figure.get_supxlabel()
    assert "%" in figure.axes[0].get_ylabel()
    if len(figure.axes) > 1:
        assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_table_is_rounded_for_reading(report, simulations):
    table = report.settings()
    assert len(table) == 5 * 4 + 1
    row = table[(table["field"] == "double-linear") & (table["lr"] == 500) & (table["var"] == 0.2)]
    values = from_files(simulations, "double-linear", 0.1, 0.2)[500.0]
    assert row["mean"].item() == round(statistics.fmean(values), 2)
    assert row["std"].item() == round(statistics.stdev(values), 2)
    assert row["voltage_noise"].item() == "1.5e-06"


@pytest.mark.usefixtures("unsaved")
def test_learning_curves_and_weights_show_both_fields(report, simulations):
    curves, weights = report.draw("learning-curves"), report.draw("weights")
    assert [axes.get_title() for axes in curves.axes[:2]] == ["linear", "exponential"]
    line = curves.axes[0].get_lines()[-1]
    assert len(line.get_xdata()) == EPOCHS
    values = from_files(simulations, "double-linear", 0.1, 0.2)[3000.0]
    assert line.get_ydata()[-1] == pytest.approx(statistics.fmean(values), rel=1e-5)
    assert len(weights.axes) == 3  # two layers and the single devices
    for axes in weights.axes:
        assert len(axes.patches) == 2
        for outline in axes.patches:
            assert outline.get_data().values.sum() == pytest.approx(1, abs=1e-3)


def test_where_no_figure_has_networks_the_commonest_physics_is_shown(copied, tmp_path):
    """Learning curves and weights show it with the newest constants of the device alone."""
    for folder in copied.iterdir():
        if "-777.0-" not in folder.name:
            for path in folder.glob("*.json"):
                path.unlink()
    with_other_constants(copied, "*double-linear-777.0-*", slope=-0.0211)
    networks = report_on(copied, tmp_path / "figures").networks
    assert len(networks.main) == 2
    groups = networks.reference().groupby(["field", "lr"])
    assert [rows["constants"].nunique() for _, rows in groups] == [1]


def test_accuracy_against_epoch_is_that_of_the_latest_run(copied, tmp_path):
    latest = write_legacy_folder(copied, [60.0, 90.0], stamp="20300101000000", **LEGACY)
    write_legacy_folder(
        copied, [50.0], stamp="20300101000000", field="double-exponential", **LEGACY
    )
    report = report_on(copied, tmp_path / "figures")
    (axes,) = report.epochs().axes
    linear, exponential = axes.get_lines()
    assert (linear.get_label(), exponential.get_label()) == ("linear", "exponential")
    paths = [latest / f"{latest.name}-{model}-accuracies.pth" for model in range(2)]
    histories = torch.stack([torch.load(path, weights_only=True) for path in paths])
    assert_curve(linear, [1, 2, 3, 4], 100 * histories.mean(0))
    assert linear.get_ydata()[-1] == pytest.approx(75.0)
    assert exponential.get_ydata()[-1] == pytest.approx(50.0)
    assert (report.folder / "accuracy-against-epoch.svg").exists()


def test_environment_variables_name_folders_and_task(simulations, tmp_path, monkeypatch):
    monkeypatch.setenv("MAGNETOIONIC_SIMULATIONS", str(simulations))
    monkeypatch.setenv("MAGNETOIONIC_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("MAGNETOIONIC_TASK", "Digits")
    report = Report.from_environment()
    assert len(report.networks.main) == 60
    assert report.folder.parent == tmp_path / "figures"
    monkeypatch.setenv("MAGNETOIONIC_TASK", "Fashion")
    networks = Report.from_environment().networks
    assert networks.main.empty
    assert networks.flags() == " --task Fashion"


def test_currents_and_voltages_of_an_image_are_those_of_the_files(copied, tmp_path, stop):
    """Those of the network at learning rate 777, which are added to its files."""
    words = "--task Digits --layers 16 --epochs 1 --n_models 1 --lr 777 --var 0 --device cpu"
    words += " --compile off --resume --compute_intermediate --output_dir"
    assert main.main([*words.split(), str(copied)]) == 0
    figure = report_on(copied, tmp_path / "figures").draw("intermediate")
    (folder,) = copied.glob("*-777.0-*")

    def read(quantity: str, layer: int) -> torch.Tensor:
        path = folder / f"{folder.name}-0-{quantity}-layer-{layer}.pth"
        return torch.load(path, weights_only=True)

    picture, first_in, second_in, _, first_out, second_out = figure.axes[:6]
    (image,) = picture.get_images()
    assert image.get_array().ravel().tolist() == read("intensity", 1).tolist()
    for axes, values in (
        (first_in, read("intensity", 1)),
        (second_in, read("intensity", 4)),
        (first_out, read("voltage", 1)),
    ):
        (outline,) = axes.patches
        counts, edges = outline.get_data().values, outline.get_data().edges
        values = values[values != 0].double()
        assert counts.sum() == len(values)
        assert edges[-1] == pytest.approx(float(values.max()))
        assert sum(counts * (edges[1:] + edges[:-1]) / 2) == pytest.approx(
            float(values.sum()), abs=len(values) * (edges[1] - edges[0]) / 2
        )
    n_zero = int((read("intensity", 1) == 0).sum())
    assert f"{100 * n_zero / 1024:.0f} % carry none" in first_in.get_xlabel()
    by_class = second_out.get_lines()[0]
    assert_curve(by_class, range(10), read("voltage", 4))
    assert "arb. u." in first_in.get_xlabel()
    assert "arb. u." in second_out.get_ylabel()


def test_a_series_that_a_figure_cannot_have_is_reported(tmp_path):
    """Figure 2 has no read noise, and so no device noise."""
    settings = STUDIES["figure1"].settings({"epochs": 2, "device_noise": True})
    report = untrained_report(tmp_path, settings, lambda setting, model: 90.0 + model)
    assert report.draw("figure1") is not None
    assert report.draw("figure2") is None
    assert "--device_noise" in report.missing("figure1")[0]
    (line,) = report.missing("figure2")
    assert line.startswith("Figure 2 has no simulations of this kind: --device_noise: has no eff")
    assert not any("Figure 2" in sentence for sentence in report.conclusions())
