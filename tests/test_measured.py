"""`python -m utils.measured`: what it says and the files it leaves."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from support.ramps import both_branches, exponential, measurement, two_bends

from devices import device_file
from devices.library import find
from devices.measured_branch import Estimate
from utils.measured import example
from utils.measured.__main__ import main
from utils.measured.device_fit import fit_device
from utils.measured.model_units import device_file as file_of
from utils.measured.report import pm, report

EXAMPLE = PROJECT / "figures" / "example-device.csv"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(folder) -> Path:
    """A file of one device and three cycles, as reading takes it."""
    values = exponential(2.77, devices=1, cycles=3, sigma=0.0).ramps(np.random.default_rng(0))
    lines = ["pulse,cycle 1 (uS),cycle 2 (uS),cycle 3 (uS)"]
    lines += [",".join([str(k), *(f"{v:.4f}" for v in row)]) for k, row in enumerate(values)]
    path = folder / "small.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(capsys, *arguments) -> str:
    """The one line that ends a call with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in arguments])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# The example


def test_the_example_is_what_its_script_makes():
    assert EXAMPLE.read_text() == example.text()
    assert EXAMPLE.read_text().startswith("# Simulated, not measured")
    assert example.text(seed=1) != example.text()


def test_the_example_comes_back_as_it_was_made(folder, capsys):
    assert main([str(EXAMPLE), "--name", "my-device", "--relaxes_to", "double-linear"]) == 0
    assert names(folder) == {f"my-device.{ending}" for ending in ("json", "pdf", "svg", "png")}
    device = device_file.read("my-device.json")
    response = device.response
    assert (device.name, response.family, response.pulses_max) == ("my-device", "exponential", 27)
    assert response.decay == pytest.approx(9.741, abs=3 * device.falling.errors["decay"])
    assert device.units.slope * response.span == pytest.approx(42, abs=2)
    for branch, true in ((device.falling, 27 / 9.741), (device.rising, example.RISING)):
        assert branch.range.value == pytest.approx(42, abs=3 * branch.range.error)
        nu = branch.nonlinearity
        assert nu.value == pytest.approx(true, abs=3 * nu.error)
    # By hand: steps down 2.77 (w - low), up 1.5 (top - w), low = -1 / (e^2.77 - 1) of the range.
    low, top = -1 / (math.exp(27 / 9.741) - 1), 1 / (1 - math.exp(-1.5))
    by_hand = (1.5 * top + 27 / 9.741 * low) / (1.5 + 27 / 9.741)
    point = device.symmetry_point
    assert (point.value - 2.175) / 0.567 == pytest.approx(by_hand, abs=3 * point.error / 0.567)
    for found, true in (
        (device.variability, example.VARIABILITY),
        (device.read_noise, example.READ * 0.567),
        (device.write_noise, example.WRITE),
    ):
        assert found.value == pytest.approx(true, abs=3 * found.error)
        assert found.error < 0.25 * true
    assert device.units.unit == "uS"
    assert (device.source.file, device.relaxes_to) == ("example-device.csv", "double-linear")
    output = capsys.readouterr().out
    assert "20 devices × 2 falling ramps × 28 readings and 2 rising ramps × 28 rea" in output
    assert (
        "chosen            exponential: its residuals are random, and those of linear are not"
        in output
    )
    assert "device file: my-device.json" in output


def test_main_takes_the_device_file_in_the_place_of_a_name(folder):
    main([str(EXAMPLE), "--name", "my-device"])
    device = find("my-device.json")
    assert device.name == "my-device"
    assert device.partner is None


# What it says


def test_what_is_read_is_said_before_anything_is_fitted(small, capsys, monkeypatch):
    def refuse(measurement, family):
        assert "1 device × 3 falling ramps × 28 readings" in capsys.readouterr().out
        raise KeyboardInterrupt

    monkeypatch.setattr("utils.measured.device_fit.fit_device", refuse)
    with pytest.raises(KeyboardInterrupt):
        main([str(small)])


def report_of(one) -> str:
    fitted = fit_device(one)
    return "\n".join(report(fitted, file_of(fitted, "d", None)))


def test_the_report_says_everything_of_several_devices():
    text = report_of(exponential(2.77).measurement(0))
    for words in (
        r"Values are in uS, noises and spreads in % of the range",
        r"falling branch \(depression\): 27 pulses from 6\d\.\d+ to \d\d\.\d+",
        r"R² +rms % +lag-1 +AICc +p, residuals are random",
        r"  exponential +0\.9\d+ +\S+ +\S+ +0\.0 +0\.\d",
        r"chosen +exponential: ",
        r"range +\d\d\.\d+ ± \d\.\d+; its ends have the ratio \d\.",
        r"offset \S+ ± \S+, amplitude \S+ ± \S+, decay \S+ ± \S+ pulses",
        r"nonlinearity ν +2\.\d+ ± 0\.\d+; NeuroSim's label -3\.\d+ ± 0\.\d+ \(depression\)",
        r"read noise +\S+ ± \S+ %",
        r"write noise +\S+ ± \S+ % per √pulse",
        r"resolvable states +\d+\.\d ± \d",
        r"σ_device +\d+\.?\d* ± \d+\.?\d* % \(spread of the slopes of 8 devices\)",
        r"spread of ranges +",
        r"main.py for these values: --var 0\.\d+ --resistor_noise 0\.00\d+ --write_noise 0\.0\d+$",
    ):
        assert re.search(words, text), words
    assert text.count("uS") == 1


def test_the_report_says_what_cannot_be_measured_and_what_is_odd():
    text = report_of(exponential(2.77, n=5, devices=1, cycles=1, sigma=0.0).measurement(0))
    assert "not measurable from one device; give --var" in text
    assert "read noise        not measurable" in text
    text = report_of(
        measurement(np.linspace(1, 2, 28)[:, None] + 0.001 * np.sin(np.arange(28) * 7)[:, None])
    )
    assert "uses the mirrored rising curve" in text
    text = report_of(measurement(np.exp(-np.arange(28) / 9.7)[:, None]))
    assert "have no noise, as if they were computed" in text
    text = report_of(two_bends(read=0.002, write=0.002).measurement(0))
    assert "chosen            table: neither linear nor exponential fits" in text
    assert "(of the nearest exponential)" in text


@pytest.mark.parametrize(("write", "n_notes"), [(0.02, 1), (0.005, 0)])
def test_write_noises_that_differ_between_the_branches_are_both_named(write, n_notes):
    falling = exponential(2.77, devices=1, cycles=12, sigma=0.0, read=0.005, write=write)
    rising = replace(falling, write=0.005, first=20.0, range=42.0)
    both = both_branches(falling.measurement(0), rising.measurement(1))
    notes = re.findall(
        r"note: write noise is (\S+) ± \S+ % per √pulse on the falling branch and (\S+) ± \S+ % on "
        r"the rising one; .* the device file takes (\S+) ± ",
        report_of(both),
    )
    assert len(notes) == n_notes
    for note in notes:
        down, up, taken = map(float, note)
        assert (down, up) == (pytest.approx(2.0, rel=0.15), pytest.approx(0.5, rel=0.3))
        assert taken == pytest.approx(np.hypot(down, up) / 2**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0213, "1.235 ± 0.021"),
        (2.0, 0.0996, "2.00 ± 0.10"),
        (5.0, None, "5"),
        (2.451e-7, 3.2e-9, "(2.451 ± 0.032)e-7"),
        (123.4, 56.0, "123 ± 56"),
        (0.0, 0.0125, "0.000 ± 0.013"),
        (2.5, 1e-9, "2.5"),
    ],
)
def test_numbers_carry_two_digits_of_their_error(value, error, text):
    assert pm(Estimate(value, error)) == text


# Files


def test_a_file_is_never_replaced_silently(small, folder, capsys):
    assert main([str(small), "--name", "mine"]) == 0
    before = Path("mine.json").read_bytes()
    capsys.readouterr()
    assert main([str(small), "--name", "mine", "--family", "table"]) == 0
    assert "note: mine.json, made from small.csv, is replaced" in capsys.readouterr().err
    assert Path("mine.json").read_bytes() != before

    other = folder / "other.csv"
    other.write_text(small.read_text().replace("62", "61"))
    before = {name: Path(name).read_bytes() for name in names(folder)}
    assert "was not made from other.csv" in refused(capsys, other, "--name", "mine")
    Path("notes.json").write_text("{}")
    assert "notes.json: the file exists" in refused(capsys, small, "--name", "notes")
    Path("picture.svg").write_text("a drawing")
    assert "picture.svg: the file exists" in refused(capsys, small, "--name", "picture")
    for name, content in before.items():
        assert Path(name).read_bytes() == content
    assert names(folder) == {*before, "notes.json", "picture.svg"}


def test_what_cannot_be_written_leaves_nothing(small, folder, capsys, monkeypatch):
    def full(path, device):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("devices.device_file.write", full)
    assert main([str(small)]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            "error: cannot write small.json: No space left on device; choose another --output"
        )
    )
    assert names(folder) == {"small.csv"}


def test_output_says_where_and_the_partner_is_found_from_there(small, folder):
    for name in ("here", "there"):
        (folder / name).mkdir()
    main([str(small), "--name", "one", "--output", "here/one.json"])
    main([str(small), "--name", "two", "--output", "there/2.json", "--relaxes_to", "here/one.json"])
    content = json.loads(Path("there/2.json").read_text())
    assert (content["name"], content["relaxes_to"]) == ("two", "../here/one.json")
    assert find("there/2.json").partner.name == "one"


def test_a_folder_of_the_user_s_choice_is_made(small, folder):
    main([str(small), "--output_dir", "my devices/new"])
    assert names(folder) == {"small.csv", "my devices"}
    stems = {f"small.{ending}" for ending in ("json", "pdf", "svg", "png")}
    assert names(folder / "my devices" / "new") == stems
    assert find("my devices/new/small.json").name == "small"


def test_a_reader_who_stops_reading_gets_the_files_all_the_same(small, folder):
    """As `| head -1` does: the pipe is closed after the first line."""
    command = [sys.executable, "-m", "utils.measured", str(small), "--output", f"{folder}/a.json"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "1 device × 3 falling ramps" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert names(folder) == {"small.csv", "a.json", "a.pdf", "a.svg", "a.png"}


def test_a_partner_that_is_still_to_come_is_said(small, capsys):
    main([str(small), "--relaxes_to", "later.json"])
    assert "note: later.json does not exist yet" in capsys.readouterr().err
    assert json.loads(Path("small.json").read_text())["relaxes_to"] == "later.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "double-linear"], "is that of a built-in device"),
        (["--name", "a b"], "give another with --name"),
        (["--output", "curve.txt"], "--output curve.txt: the name must end in .json"),
        (["--output", "nowhere/a.json"], "there is no folder nowhere"),
        (["--output", "a.json", "--output_dir", "b"], "--output_dir: leave it out"),
        (["--output_dir", "small.csv/there"], "small.csv is a file; name a folder"),
        (["--relaxes_to", "double-lineal"], "--relaxes_to double-lineal: unknown; the valid ones"),
        (["--relaxes_to", "small.json"], "is the device file itself"),
        (["--relaxes_to", "bad.json"], "--relaxes_to bad.json"),
        (["--family", "cubic"], "invalid choice: 'cubic'"),
        (["--nam", "a"], "unknown flag --nam; did you mean --name?"),
        (["--layout", "diagonal"], "--layout diagonal: unknown"),
        (["--name", "a", "--name", "b"], "--name: given twice"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, small, folder, capsys):
    (folder / "bad.json").write_text("{}")
    assert message in refused(capsys, small, *arguments)
    assert names(folder) == {"small.csv", "bad.json"}


def test_what_is_no_curve_is_refused_by_reading(folder, capsys):
    Path("empty.csv").write_text("")
    assert "the file is empty" in refused(capsys, "empty.csv")
    assert names(folder) == {"empty.csv"}


def test_help_is_answered_without_what_takes_seconds_to_import():
    code = (
        "import sys; from utils.measured.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "slow = {'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "--relaxes_to" in result.stdout
