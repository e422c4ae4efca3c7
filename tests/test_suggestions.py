"""Each command that the plots suggest runs as it stands, for runs with folders of their own."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import PROJECT
from support.devices import device_file, measured
from support.idx_files import example, write_idx_files

import main
from utils.plots.networks import Networks
from utils.plots.report import Report
from utils.plots.sections import SECTIONS
from utils.records.simulations import Simulations
from utils.studies import STUDIES

ECHO = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"
NOISES = "--var 0.2 --resistor_noise 0.015 --clipping 0.1"
BOTH = "--field double-linear double-exponential"
SMALL = "--batch_size 16 --layers 8 --epochs 2 --n_models 1 --device cpu --compile off"
MOST_VALUES = {"field": 2, "lr": 1, "init": 1}  # of each sweep of a study that is trained here


@pytest.fixture
def run(stop, tmp_path, monkeypatch, capsys):
    """A function that runs a command of the shell as it stands, its main.py in this process."""
    python = tmp_path / "python"
    python.write_text(ECHO)
    python.chmod(0o755)
    monkeypatch.setattr("utils.compute.distributed.usable_cores", lambda: 1)  # no forked workers

    def run_command(command: str) -> None:
        shell = {"env": os.environ | {"PYTHON": str(python)}, "cwd": PROJECT, "text": True}
        output = subprocess.run(
            command, shell=True, capture_output=True, check=True, **shell
        ).stdout
        words = output.splitlines()
        assert words[0] == "main.py"
        monkeypatch.setattr("sys.argv", words)  # which the records keep
        assert main.main(words[1:]) == 0, f"{command}: {capsys.readouterr().err}"

    return run_command


@pytest.fixture
def small_studies(monkeypatch):
    """Studies of few networks, which have every cell, rule, size and imperfection all the same."""
    for study in STUDIES.values():
        sweeps = [
            {name: values[-MOST_VALUES.get(name, len(values)) :] for name, values in sweep.items()}
            for sweep in study.sweeps
        ]
        monkeypatch.setitem(vars(study), "sweeps", sweeps)


def suggested(folder: Path, figures: Path) -> dict[str, list[str]]:
    """The commands that each section prints for networks of a folder."""
    networks = Networks(Simulations.read(folder), folder=folder)
    report = Report(networks, figures)
    lines = {name: report.missing(name) for name in SECTIONS}
    return {name: [line.rpartition("with: ")[2] for line in lines[name]] for name in SECTIONS}


@pytest.fixture
def folders(tmp_path) -> tuple[Path, str]:
    """Where results go, and the flags of folders and data, whose names have spaces."""
    data, out = tmp_path / "my data", tmp_path / "my results"
    write_idx_files(data / "MNIST" / "raw", example())
    return out, f"--data_dir {shlex.quote(str(data))} --output_dir {shlex.quote(str(out))}"


def test_commands_for_the_paper_s_figures(run, small_studies, folders, tmp_path):
    """Afterwards nothing is missing but learning rates beyond those that were added."""
    out, flags = folders
    run(f"{tmp_path}/python main.py {BOTH} --lr 500 1000 {NOISES} {SMALL} {flags}")
    before = suggested(out, tmp_path / "figures")
    for name in (*STUDIES, "intermediate", "costs"):
        assert before[name], name
    for command in dict.fromkeys(c for name in before for c in before[name]):
        if "my-device.json" not in command:
            run(command)
    after = suggested(out, tmp_path / "figures")
    for name, commands in after.items():
        assert all(" --lr " in c or "my-device.json" in c for c in commands), (name, commands)


def test_commands_for_a_device_of_one_s_own(run, folders, tmp_path):
    """Its file stands in another folder, under another name than the device."""
    out, flags = folders
    (tmp_path / "my devices").mkdir()
    device = measured("mine", variability=0.2, relaxes_to=None)
    file = device_file(tmp_path / "my devices" / "curve 1.json", device)
    field = f"--field {shlex.quote(str(file))}"
    run(f"{tmp_path}/python main.py {field} double-linear --lr 500 1000 {SMALL} {flags}")
    for _ in range(2):  # for what stands beside it, then for learning rates beyond the best
        for command in suggested(out, tmp_path / "figures")["own-device"]:
            assert shlex.quote(str(file)) in command
            run(command)
    run(f"{tmp_path}/python main.py {field} --lr 1000 --var 0.2 --clipping 0 0.1 {SMALL} {flags}")
    (command,) = suggested(out, tmp_path / "figures")["ablation"]
    assert f"--field {shlex.quote(str(file))}" in command
    run(command)
    assert suggested(out, tmp_path / "figures")["ablation"] == []
