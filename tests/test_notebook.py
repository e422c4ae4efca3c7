"""The notebook, and the same without Jupyter: `python -m utils.plots`."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import PROJECT
from support.legacy_runs import write_legacy_folder
from support.simulated import LEGACY

from utils.plots.__main__ import main

STEMS = {
    "costs",
    "devices",
    "figure1-accuracy-against-learning-rate",
    "figure2-accuracy-against-learning-rate",
    "figure3-accuracy-against-learning-rate",
    "learning-curves",
    "weights",
}


@pytest.fixture(scope="module")
def archive(simulations, tmp_path_factory) -> Path:
    """Ours, and three networks of the lab's scripts beside them."""
    folder = tmp_path_factory.mktemp("archive") / "simulations"
    shutil.copytree(simulations, folder)
    write_legacy_folder(folder, [90.0, 92.0, 94.0], **LEGACY)
    return folder


@dataclass
class Called:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def plots(monkeypatch, capsys):
    """What `python -m utils.plots` does, in this process: with arguments, and variables."""

    def call(*arguments, **variables) -> Called:
        named = {f"MAGNETOIONIC_{name.upper()}": str(value) for name, value in variables.items()}
        monkeypatch.setattr("os.environ", dict(os.environ) | named)
        monkeypatch.setattr("sys.argv", ["plots", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return Called(code, *capsys.readouterr())

    return call


def check_files(figures: Path, *others: str) -> None:
    (folder,) = figures.iterdir()
    assert folder.name.isdigit()
    assert len(folder.name) == 14
    names = {path.name for path in folder.iterdir()}
    stems = STEMS | {*others}
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("pdf", "svg", "png")}
    assert "learning rate" in (folder / "figure1-accuracy-against-learning-rate.svg").read_text()
    assert b"/Type0" in (folder / "weights.pdf").read_bytes()  # TrueType: text, not outlines


def test_the_notebook_runs_headless(archive, tmp_path):
    environment = os.environ | {
        "MAGNETOIONIC_SIMULATIONS": str(archive),
        "MAGNETOIONIC_FIGURES": str(tmp_path / "figures"),
    }
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--output-dir",
        str(tmp_path),
        "--output",
        "done.ipynb",
        str(PROJECT / "magnetoionic-figures.ipynb"),
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    check_files(tmp_path / "figures", "ablation")  # a part of which is in figures 1 to 3
    cells = json.loads((tmp_path / "done.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 8
    text = json.dumps(outputs)
    assert "cannot be read" in text
    assert "figures/figure2.sh" in text
    assert "Drawn: 63 networks of task Digits" in text
    assert "3 of them are of the original scripts" in text
    assert "n = 3 to 6" in text


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
    assert path.stat().st_size < 700_000
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 14
    assert not [output for output in outputs if output["output_type"] == "error"]


def test_without_jupyter(archive, plots, tmp_path):
    figures = tmp_path / "figures"
    prices = ("--pulse_energy", "1e-12", "--endurance", "1e6")
    result = plots("--simulations", archive, "--figures", figures, *prices)
    assert result.returncode == 0, result.stderr
    check_files(figures, "ablation")  # a part of which is in figures 1 to 3
    assert "left out: " in result.stdout
    assert "linear reaches" in result.stdout
    assert "3 of them are of the original scripts" in result.stdout
    assert "energy / J" in result.stdout
    assert "No simulation recorded the pulses of single devices" in result.stdout
    (folder,) = figures.iterdir()
    assert result.stdout.splitlines()[-1] == f"figures are in {folder}"


def test_the_latest_run_alone(archive, plots, tmp_path):
    figures = tmp_path / "figures"
    result = plots("--latest", simulations=archive, figures=figures)
    assert result.returncode == 0, result.stderr
    (folder,) = figures.iterdir()
    names = {f"accuracy-against-epoch.{ending}" for ending in ("pdf", "svg", "png")}
    assert {path.name for path in folder.iterdir()} == names
    assert result.stdout == f"figure: {folder / 'accuracy-against-epoch.png'}\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ("--figures file", {}, "figures: file: file is a file; name a folder"),
        ("", {"figures": "file"}, "figures: file: file is a file; name a folder"),
        ("--simulations nowhere", {}, "nowhere: there is no such folder of simulations"),
        ("", {"simulations": "nowhere"}, "nowhere: there is no such folder of simulations"),
        ("--task CIFAR", {}, "task CIFAR: unknown; the valid ones: MNIST, Fashion, Digits"),
        ("--endurance no", {}, "--endurance no: must be a finite number >= 0"),
        ("--latest --pulse_time 1", {}, "--pulse_time: leave out --latest"),
        ("", {"task": "CIFAR"}, "task CIFAR: unknown; the valid ones: MNIST, Fashion, Digits"),
    ],
)
def test_what_is_missing_is_named_in_one_line(arguments, variables, message, plots, tmp_path):
    (tmp_path / "simulations").mkdir()
    (tmp_path / "file").write_text("")
    paths = {"simulations": tmp_path / "simulations", "figures": tmp_path / "figures"}
    words = [
        str(tmp_path / word) if word in ("file", "nowhere") else word for word in arguments.split()
    ]
    given = {
        name: value if name == "task" else tmp_path / value for name, value in variables.items()
    }
    result = plots(*words, **paths | given)
    assert result.returncode == 2
    assert result.stdout == ""
    said = result.stderr.replace(f"{tmp_path}/", "")
    assert said.endswith(f"python -m utils.plots: error: {message}\n")
    assert said.count("\n") == 1, result.stderr
    assert not (tmp_path / "figures").exists()


def test_the_folder_of_one_simulation_gives_a_hint(archive, plots, tmp_path):
    (folder,) = archive.glob("20240725163936-*")
    result = plots("--simulations", folder, "--figures", tmp_path / "figures")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.endswith(f"name the one that holds it: {archive}\n")
    assert not (tmp_path / "figures").exists()
