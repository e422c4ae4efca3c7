"""The notebook, and the same without Jupyter: `python -m utils.plots`."""

import json
import os
from dataclasses import dataclass

import pytest
from conftest import PROJECT
from support.simulated import STEMS

from utils.plots.__main__ import main

pytestmark = pytest.mark.usefixtures("svg_alone")
NOTEBOOK = PROJECT / "magnetoionic-figures.ipynb"


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


def test_the_notebook_is_small_with_outputs_and_no_formula():
    """It reads no files, and it is committed with its pictures and without errors."""
    assert NOTEBOOK.stat().st_size < 700_000
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert len(code.splitlines()) < 30
    for word in ("open(", "glob", "numpy", "exp(", "mean", "def "):
        assert word not in code
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 14
    assert not [output for output in outputs if output["output_type"] == "error"]


def test_without_jupyter(archive, plots, tmp_path):
    figures = tmp_path / "figures"
    prices = ("--pulse_energy", "1e-12", "--endurance", "1e6")
    result = plots("--simulations", archive, "--figures", figures, *prices)
    assert result.returncode == 0, result.stderr
    (folder,) = figures.iterdir()
    assert {path.name for path in folder.iterdir()} == {f"{stem}.svg" for stem in STEMS}
    for words in (
        "left out: ",
        "linear reaches",
        "3 of them are of the original scripts",
        "energy / J",
        "No simulation recorded the pulses of single devices",
    ):
        assert words in result.stdout
    assert result.stdout.splitlines()[-1] == f"figures are in {folder}"


def test_the_latest_run_alone(archive, plots, tmp_path, all_formats):
    figures = tmp_path / "figures"
    result = plots("--latest", simulations=archive, figures=figures)
    assert result.returncode == 0, result.stderr
    (folder,) = figures.iterdir()
    names = {f"accuracy-against-epoch.{ending}" for ending in all_formats}
    assert {path.name for path in folder.iterdir()} == names
    assert result.stdout == f"figure: {folder / 'accuracy-against-epoch.png'}\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ("--figures file", {}, "figures: file: file is a file; name a folder"),
        ("", {"figures": "file"}, "figures: file: file is a file; name a folder"),
        ("", {"figures": "file/below"}, "figures: file/below: file is a file; name a folder"),
        ("--simulations nowhere", {}, "nowhere: there is no such folder of simulations"),
        ("", {"simulations": "nowhere"}, "nowhere: there is no such folder of simulations"),
        ("--task CIFAR", {}, "task CIFAR: unknown; the valid ones: MNIST, Fashion, Digits"),
        ("--endurance no", {}, "--endurance no: must be a finite number >= 0"),
        ("--latest --pulse_time 1", {}, "--pulse_time: leave out --latest"),
        ("--report --latest", {}, "--report: leave out --latest"),
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
    error = result.stderr.replace(f"{tmp_path}/", "")
    assert error.endswith(f"python -m utils.plots: error: {message}\n")
    assert error.count("\n") == 1, result.stderr
    assert not (tmp_path / "figures").exists()
