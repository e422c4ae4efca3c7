"""The batch scripts: one for each figure, each a study with what else is asked for."""

import os
import subprocess
import sys

import pytest
from conftest import PROJECT

from utils.plots.accuracy import BY_RATE
from utils.studies import STUDIES

ECHO = """#!/bin/sh
printf '%s\\n' "$PWD" "$@"
"""


def run_script(name: str, *arguments, cwd, python=sys.executable) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(PROJECT / "figures" / f"{name}.sh"), *map(str, arguments)],
        env=os.environ | {"PYTHON": str(python)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def called(tmp_path):
    """Calls a script with a Python that does nothing; returns the words that it was given."""
    python = tmp_path / "python"
    python.write_text(ECHO)
    python.chmod(0o755)

    def call(name: str, *arguments) -> list[str]:
        result = run_script(name, *arguments, cwd=tmp_path, python=python)
        assert result.returncode == 0, result.stderr
        folder, *words = result.stdout.splitlines()
        assert folder == str(PROJECT)
        return words

    return call


@pytest.mark.parametrize("study", [*(f"figure{number}" for number in BY_RATE), "switch"])
def test_a_script_calls_its_study_and_passes_arguments_on(study, called):
    given = ["--task", "Fashion", "--output_dir", "a folder", "--n_models", "3"]
    assert called(study, *given) == ["main.py", "--study", study, *given]


@pytest.mark.parametrize("files", [["my device.json"], ["a.json", "b.json"]])
def test_own_device_trains_files_beside_the_built_in_ones(files, called):
    given = ["--resume", "--lr", "1000", "2000", "--output_dir", "a folder"]
    built_in = ["double-linear", "double-curved-2.77", "double-ideal"]
    expected = ["main.py", "--study", "own-device", "--field", *files, *built_in, *given]
    assert called("own-device", *files, *given) == expected


@pytest.mark.parametrize("arguments", [[], ["--resume"]])
def test_own_device_wants_a_device_file_first(arguments, tmp_path):
    result = run_script("own-device", *arguments, cwd=tmp_path, python="no python")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "figures/own-device.sh: error: name a device file first: figures/own-device.sh FILE.json\n"
    )


def test_every_study_has_its_script():
    scripts = {path.stem for path in (PROJECT / "figures").glob("*.sh")}
    assert scripts == set(STUDIES)
    for study in STUDIES.values():
        assert os.access(PROJECT / study.command, os.X_OK)


def test_batch_scripts_stop_at_a_failure_with_its_exit_code(tmp_path):
    result = run_script("figure1", "--lr", -1, "--output_dir", tmp_path / "out", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("main.py: error: --lr")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
