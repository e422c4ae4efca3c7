"""From simulations to pictures: what is drawn is what is in the files."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from conftest import PROJECT
from matplotlib.colors import to_hex

import main
from utils.plots import style
from utils.plots.accuracy import PLANS, draw_accuracy, takeaway, tell
from utils.plots.simulations import Simulations
from utils.plots.study import Study

matplotlib.use("Agg")
RATES = (500.0, 3000.0)
BROKEN = "double-exponential-4000.0-var-0.2"  # a copy of 3000.0 with files damaged and missing
EPOCHS = 4
SMALL = (
    f"--task Digits --layers 16 --epochs {EPOCHS} --n_models 3 --device cpu --compile off"
).split()
FIELDS = "--field double-linear double-exponential --lr 500 3000".split()
STEMS = {
    "devices",
    "figure1-accuracy-against-learning-rate",
    "figure2-accuracy-against-learning-rate",
    "figure3-accuracy-against-learning-rate",
    "learning-curves",
    "weights",
}


@pytest.fixture(scope="module")
def simulations(tmp_path_factory) -> Path:
    """Small simulations for all three figures, one of another length, and one broken folder."""
    folder = tmp_path_factory.mktemp("simulations")
    for physics in (
        "--var 0.2 --resistor_noise 0.015 --clipping 0.1",
        "--var 0",
        "--var 0 --clipping 0.1 0.2 0.5",
    ):
        assert main.main([*SMALL, *FIELDS, *physics.split(), "--output_dir", str(folder)]) == 0
    other = "--var 0 --epochs 1 --n_models 1 --lr 777".split()
    assert main.main([*SMALL, *other, "--output_dir", str(folder)]) == 0
    victim = next(folder.glob("*exponential-3000.0-var-0.2-*"))
    broken = folder / victim.name.replace("3000.0", "4000.0")
    shutil.copytree(victim, broken)
    for path in sorted(broken.iterdir()):
        path.rename(broken / path.name.replace(victim.name, broken.name))
    for end in (".pth", "-accuracies.pth", "-gradients.pth"):  # whole, but of learning rate 3000
        shutil.copy(broken / f"{broken.name}-0{end}", broken / f"{broken.name}-3{end}")
    record = json.loads((broken / f"{broken.name}-0.json").read_text())
    (broken / f"{broken.name}-3.json").write_text(json.dumps(record | {"model": 3}))
    record["optimizer_parameters"]["lr"] = 4000.0
    (broken / f"{broken.name}-0.json").write_text(json.dumps(record))
    weights = broken / f"{broken.name}-0.pth"
    weights.write_bytes(weights.read_bytes()[:5000])
    (broken / f"{broken.name}-1.json").write_text("{")
    (broken / f"{broken.name}-2.json").unlink()
    return folder


@pytest.fixture(scope="module")
def study(simulations, tmp_path_factory) -> Study:
    return Study(simulations, tmp_path_factory.mktemp("figures"))


def from_files(simulations: Path, field: str, clipping: float, var: float, key="accuracy"):
    """{lr: values over networks}, straight from the JSON files."""
    values = {}
    for path in simulations.glob("[!.]*/*.json"):
        if BROKEN in path.name:
            continue
        record = json.loads(path.read_text())
        parameters = record["optimizer_parameters"]
        setting = (
            parameters["field"], parameters["clipping"], parameters["device_variability"],
            record["epochs"],
        )  # fmt: skip
        if setting == ([field], clipping, var, EPOCHS) and parameters["lr"] in RATES:
            values.setdefault(parameters["lr"], []).append(record[key])
    return values


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"figure {plan.number}")
def test_axes_carry_the_curves_of_the_files(plan, study, simulations):
    figure = draw_accuracy(plan, study.networks)
    assert len(figure.axes) == len(plan.clippings)
    for axes, clipping in zip(figure.axes, plan.clippings, strict=True):
        linear, exponential, relaxed = axes.get_lines()
        for line, field, key in (
            (linear, "double-linear", "accuracy"),
            (exponential, "double-exponential", "accuracy"),
            (relaxed, "double-linear", "swap_accuracy"),
        ):
            expected = from_files(simulations, field, clipping, plan.var, key)
            assert all(len(values) == 3 for values in expected.values())
            assert list(line.get_xdata()) == list(RATES)
            means = [statistics.fmean(expected[rate]) for rate in RATES]
            assert list(line.get_ydata()) == pytest.approx(means)
            assert to_hex(line.get_color()).upper() == style.COLOURS[field]
        bands = [band.get_paths()[0].get_extents() for band in axes.collections]
        expected = from_files(simulations, "double-linear", clipping, plan.var)
        lows = [statistics.fmean(v) - statistics.stdev(v) for v in expected.values()]
        assert bands[0].y0 == pytest.approx(min(lows))
        assert "pulses per unit gradient" in axes.get_xlabel()
    assert "%" in figure.axes[0].get_ylabel()
    if len(figure.axes) > 1:
        assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_table_has_a_row_for_each_setting(study, simulations):
    table = study.table()
    assert len(table) == 5 * 4 + 1
    row = table[(table["field"] == "double-linear") & (table["lr"] == 500) & (table["var"] == 0.2)]
    values = from_files(simulations, "double-linear", 0.1, 0.2)[500.0]
    assert row["n"].item() == 3
    assert row["mean"].item() == pytest.approx(statistics.fmean(values), abs=0.006)
    assert row["std"].item() == pytest.approx(statistics.stdev(values), abs=0.006)
    assert row["mean_request"].item() > 0


def test_broken_files_are_listed_with_the_reason(study):
    problems = study.problems()
    reasons = {row.file.rsplit("-", 1)[1]: row.reason for row in problems.itertuples()}
    assert len(problems) == 4
    assert set(problems["folder"].str.contains(BROKEN)) == {True}
    assert "cannot be read" in reasons["0.json"]
    assert "not a record" in reasons["1.json"]
    assert "incomplete: no JSON" in reasons["accuracies.pth"]
    assert "another setting than its folder" in reasons["3.json"]
    assert 4000.0 not in set(study.networks["lr"])


def test_figures_draw_the_largest_series_only(study):
    """The single network of one epoch at learning rate 777 is in the table, not in a figure."""
    assert 777.0 in set(study.table()["lr"])
    assert 777.0 not in set(study.networks["lr"])


def test_what_is_missing_names_the_command(study, capsys):
    study.accuracy(2)
    said = capsys.readouterr().out
    assert "lacks 8 of its 12 settings; make them with: figures/figure2.sh --resume --" in said
    assert {"--task Digits", "--layers 16", "--epochs 4"} <= {
        f"--{flag}" for flag in said.strip().split(" --")
    }


def test_what_is_drawn_is_said(study):
    assert study.drawn() == (
        f"Drawn: 60 networks of task Digits, epochs {EPOCHS}, layers (16,), batch_size 128, init "
        "0.01, input_scale 0.001, padding 2, tf32 False; 1 of other kinds are not."
    )


def test_an_empty_folder_gives_commands_and_no_error(tmp_path, capsys):
    study = Study(tmp_path / "nothing", tmp_path / "figures")
    assert study.table().empty
    assert [study.accuracy(number) for number in (1, 2, 3)] == [None] * 3
    assert study.learning_curves() is None
    assert study.weights() is None
    said = capsys.readouterr().out
    for number in (1, 2, 3):
        assert f"figures/figure{number}.sh" in said
    assert all("no simulations" in sentence for sentence in study.takeaways())
    study.devices()  # needs no simulations


def test_takeaway_is_computed_from_the_curves(study, simulations):
    sentence = takeaway(PLANS[0], study.networks)
    for field, word in (("double-linear", "linear"), ("double-exponential", "exponential")):
        values = from_files(simulations, field, 0.1, 0.2)
        means = {rate: statistics.fmean(values[rate]) for rate in RATES}
        best = max(means, key=means.get)
        std = statistics.stdev(values[best])
        assert (
            f"{word} reaches {means[best]:.2f} ± {std:.2f} % at learning rate {best:g}" in sentence
        )


def points(**means) -> pd.DataFrame:
    """A curve, from means by learning rate: r500=90.0."""
    rates = [float(rate[1:]) for rate in means]
    return pd.DataFrame({"mean": list(means.values()), "std": float("nan")}, index=rates)


def test_learning_rates_close_to_the_best_are_named_without_those_between_that_are_not():
    assert tell("double-linear", points(r500=95.5, r1000=96.0, r2000=95.2)).endswith("500 to 2000")
    told = tell("double-linear", points(r500=96.0, r1000=90.0, r2000=96.5))
    assert told.endswith("at learning rate 2000 and stays within 1 point of it for 500, 2000 alone")


def test_a_field_alone_has_its_sentence(study):
    linear = study.networks[study.networks["field"] == "double-linear"]
    sentence = takeaway(PLANS[0], linear)
    assert "linear reaches" in sentence
    assert "minus" not in sentence
    assert "nan" not in sentence


def test_settings_that_a_folder_name_does_not_show_are_not_mixed(simulations):
    """Two simulations that differ in batch size only have rows of their own in the table."""
    read = Simulations.read(simulations)
    other = read.networks.assign(batch_size=64)
    both = Simulations(pd.concat([read.networks, other], ignore_index=True), read.problems)
    table = both.table()
    assert len(table) == 2 * len(read.table())
    assert set(table["batch_size"]) == {64, 128}
    assert "batch_size" not in read.table()


def test_failed_networks_are_counted_and_not_averaged(simulations):
    read = Simulations.read(simulations)
    first = (read.networks["lr"] == 500) & (read.networks["model"] == 0)
    networks = read.networks.copy()
    networks.loc[first, ["accuracy", "relaxed", "request"]] = float("nan")
    networks.loc[first, "failed"] = True
    rows = Simulations(networks, read.problems).table()
    rows = rows[rows["lr"] == 500]
    assert set(rows["n"]) == {2}
    assert set(rows["failed"]) == {1}
    assert rows["mean"].notna().all()
    assert PLANS[0].missing(networks) == PLANS[0].missing(read.networks)


def test_of_equally_many_simulations_the_longer_ones_are_drawn(simulations):
    read = Simulations.read(simulations)
    longer = read.networks.assign(epochs=read.networks["epochs"] + 10)
    both = Simulations(pd.concat([longer, read.networks], ignore_index=True), read.problems)
    assert set(both.main_series()["epochs"]) == {EPOCHS + 10}


def test_learning_curves_and_weights_show_both_fields(study, simulations):
    curves, weights = study.learning_curves(), study.weights()
    assert [axes.get_title() for axes in curves.axes[:2]] == ["linear", "exponential"]
    line = curves.axes[0].get_lines()[-1]
    assert list(line.get_xdata()) == list(range(1, EPOCHS + 1))
    values = from_files(simulations, "double-linear", 0.1, 0.2)[3000.0]
    assert line.get_ydata()[-1] == pytest.approx(statistics.fmean(values), rel=1e-5)
    assert len(weights.axes) == 3  # two layers and the single devices
    for axes in weights.axes:
        assert len(axes.patches) == 2
        for outline in axes.patches:
            assert outline.get_data().values.sum() == pytest.approx(1, abs=1e-3)


def test_responses_are_drawn_over_their_range(study):
    figure = study.devices()
    line = figure.axes[0].get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(2.742)
    assert line.get_ydata()[-1] == pytest.approx(2.175)
    assert len(figure.axes[2].get_lines()) == 2 * 10 + 1  # ten devices a field, and the limit


def check_files(figures: Path) -> None:
    (folder,) = figures.iterdir()
    assert folder.name.isdigit()
    assert len(folder.name) == 14
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{stem}.{ending}" for stem in STEMS for ending in ("pdf", "svg", "png")}
    assert "learning rate" in (folder / "figure1-accuracy-against-learning-rate.svg").read_text()
    assert b"/Type0" in (folder / "weights.pdf").read_bytes()  # TrueType: text, not outlines


def test_the_notebook_runs_headless(simulations, tmp_path):
    environment = os.environ | {
        "MAGNETOIONIC_SIMULATIONS": str(simulations),
        "MAGNETOIONIC_FIGURES": str(tmp_path / "figures"),
    }
    command = [
        sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute",
        "--output-dir", str(tmp_path), "--output", "done.ipynb",
        str(PROJECT / "magnetoionic-figures.ipynb"),
    ]  # fmt: skip
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    check_files(tmp_path / "figures")
    cells = json.loads((tmp_path / "done.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 6
    text = json.dumps(outputs)
    assert "cannot be read" in text
    assert "figures/figure2.sh" in text


def test_the_notebook_holds_no_formula_and_reads_no_files():
    notebook = json.loads((PROJECT / "magnetoionic-figures.ipynb").read_text())
    code = "\n".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
    )
    assert len(code.splitlines()) < 30
    for word in ("open(", "glob", "numpy", "exp(", "mean", "def "):
        assert word not in code


def test_the_notebook_is_committed_with_outputs_and_small():
    path = PROJECT / "magnetoionic-figures.ipynb"
    cells = json.loads(path.read_text())["cells"]
    assert path.stat().st_size < 1_000_000
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    assert not [output for output in outputs if output["output_type"] == "error"]


def test_without_jupyter(simulations, tmp_path):
    command = [
        sys.executable, "-m", "utils.plots", "--simulations", str(simulations),
        "--figures", str(tmp_path / "figures"),
    ]  # fmt: skip
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    check_files(tmp_path / "figures")
    assert "left out: " in result.stdout
    assert "linear reaches" in result.stdout


def run_script(number: int, *arguments, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(PROJECT / "figures" / f"figure{number}.sh"), *map(str, arguments)],
        env=os.environ | {"PYTHON": sys.executable}, cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"figure {plan.number}")
def test_batch_scripts_make_the_settings_of_their_figure(plan, tmp_path):
    result = run_script(
        plan.number, "--task", "Digits", "--epochs", 1, "--n_models", 1, "--layers", 8,
        "--output_dir", tmp_path / "out", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    networks = Simulations.read(tmp_path / "out").networks
    assert len(networks) == 12 * len(plan.clippings)
    assert plan.missing(networks) is None


def test_batch_scripts_stop_at_a_failure_with_its_exit_code(tmp_path):
    result = run_script(1, "--lr", -1, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("main.py: error: --lr")
