"""`python -m utils.measured`: what it prints and the files it leaves."""

import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT
from support.curves import table
from support.ramps import exponential

from devices import device_file
from devices.library import find
from utils.measured import example
from utils.measured.__main__ import main

EXAMPLE = PROJECT / "figures" / "example-device.csv"
ENDINGS = ("json", "pdf", "svg", "png")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(folder, monkeypatch) -> Path:
    """A file of one device and three cycles, whose picture is not drawn, which takes seconds."""
    pictures = dict.fromkeys(ENDINGS[1:], b"a picture")
    monkeypatch.setattr("utils.measured.picture.rendered", lambda figure: pictures)
    ramps = exponential(2.77, devices=1, cycles=3, sigma=0.0).measurement(0).ramps
    columns = [[f"{value:.4f}" for value in ramp.values] for ramp in ramps]
    path = folder / "small.csv"
    path.write_text(table("pulse,cycle 1 (uS),cycle 2 (uS),cycle 3 (uS)", range(28), *columns))
    return path


@pytest.fixture
def refused(capsys):
    """Calls the command; returns the one line that ends it with exit code 2."""

    def call(*arguments) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def files(stem: str) -> set[str]:
    """A device file and its pictures."""
    return {f"{stem}.{ending}" for ending in ENDINGS}


# The example


def test_the_example_is_what_its_script_makes():
    assert EXAMPLE.read_text() == example.text()
    assert EXAMPLE.read_text().startswith("# Simulated, not measured")
    assert example.text(seed=1) != example.text()


def test_the_example_comes_back_as_it_was_made(folder, capsys):
    assert main([str(EXAMPLE), "--name", "my-device", "--relaxes_to", "double-linear"]) == 0
    assert names(folder) == files("my-device")
    device = device_file.read("my-device.json")
    response = device.response
    assert (device.name, response.family, response.pulses_max) == ("my-device", "exponential", 27)
    for branch, true in ((device.falling, 27 / 9.741), (device.rising, example.RISING)):
        assert branch.range.value == pytest.approx(42, abs=3 * branch.range.error)
        nu = branch.nonlinearity
        assert nu.value == pytest.approx(true, abs=3 * nu.error)
    # By hand: steps down 2.77 (w - low), up 1.5 (top - w), low = -1 / (e^2.77 - 1) of the range.
    low, top = -1 / (math.exp(27 / 9.741) - 1), 1 / (1 - math.exp(-1.5))
    by_hand = (1.5 * top + 27 / 9.741 * low) / (1.5 + 27 / 9.741)
    point = device.symmetry_point
    assert (point.value - 2.175) / 0.567 == pytest.approx(by_hand, abs=3 * point.error / 0.567)
    for estimate, true in (
        (device.variability, example.VARIABILITY),
        (device.read_noise, example.READ * 0.567),
        (device.write_noise, example.WRITE),
    ):
        assert estimate.value == pytest.approx(true, abs=3 * estimate.error)
        assert estimate.error < 0.25 * true
    assert device.units.unit == "uS"
    assert (device.source.file, device.relaxes_to) == ("example-device.csv", "double-linear")
    output = capsys.readouterr().out
    for words in (
        "20 devices × 2 falling ramps × 28 readings and 2 rising ramps × 28 rea",
        "chosen            exponential: its residuals are random, and those of linear are not",
        "device file: my-device.json",
    ):
        assert words in output


def test_what_is_read_is_printed_before_anything_is_fitted(small, capsys, monkeypatch):
    def refuse(measurement, family):
        assert "1 device × 3 falling ramps × 28 readings" in capsys.readouterr().out
        raise KeyboardInterrupt

    monkeypatch.setattr("utils.measured.device_fit.fit_device", refuse)
    with pytest.raises(KeyboardInterrupt):
        main([str(small)])


# Files


def test_a_file_is_never_replaced_silently(small, folder, capsys, refused):
    assert main([str(small), "--name", "mine"]) == 0
    before = Path("mine.json").read_bytes()
    capsys.readouterr()
    assert main([str(small), "--name", "mine", "--family", "table"]) == 0
    assert "note: mine.json, made from small.csv, is replaced" in capsys.readouterr().err
    assert Path("mine.json").read_bytes() != before

    other = folder / "other.csv"
    other.write_text(small.read_text().replace("62", "61"))
    before = {name: Path(name).read_bytes() for name in names(folder)}
    assert "was not made from other.csv" in refused(other, "--name", "mine")
    Path("notes.json").write_text("{}")
    assert "notes.json: the file exists" in refused(small, "--name", "notes")
    Path("picture.svg").write_text("a drawing")
    assert "picture.svg: the file exists" in refused(small, "--name", "picture")
    for name, content in before.items():
        assert Path(name).read_bytes() == content
    assert names(folder) == {*before, "notes.json", "picture.svg"}


def test_what_cannot_be_written_leaves_nothing(small, folder, capsys, monkeypatch):
    def full(path, device):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("devices.device_file.write", full)
    assert main([str(small)]) == 1
    problem = "cannot write small.json: No space left on device; choose another --output"
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {problem}")
    assert names(folder) == {"small.csv"}


def test_the_device_file_is_written_where_the_flags_name(small, folder):
    """The partner is found from there; a folder of the user's choice is made."""
    for name in ("here", "there"):
        (folder / name).mkdir()
    main([str(small), "--name", "one", "--output", "here/one.json"])
    main([str(small), "--name", "two", "--output", "there/2.json", "--relaxes_to", "here/one.json"])
    content = json.loads(Path("there/2.json").read_text())
    assert (content["name"], content["relaxes_to"]) == ("two", "../here/one.json")
    assert find("there/2.json").partner.name == "one"
    assert find("here/one.json").partner is None
    main([str(small), "--output_dir", "my devices/new"])
    assert names(folder) == {"small.csv", "here", "there", "my devices"}
    assert names(folder / "my devices" / "new") == files("small")
    assert find("my devices/new/small.json").name == "small"


def test_a_partner_that_does_not_exist_yet_is_noted(small, capsys):
    main([str(small), "--relaxes_to", "later.json"])
    assert "note: later.json does not exist yet" in capsys.readouterr().err
    assert json.loads(Path("small.json").read_text())["relaxes_to"] == "later.json"


def test_a_reader_who_stops_reading_gets_the_files_all_the_same(small, folder, monkeypatch, capsys):
    """As `| head -1` does: the pipe of the output is closed."""
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with os.fdopen(writing_end, "w") as pipe:  # which must be closed without an error, too
        monkeypatch.setattr("sys.stdout", pipe)
        assert main([str(small), "--output", "a.json"]) == 0
    assert capsys.readouterr().err == ""
    assert names(folder) == {"small.csv", *files("a")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--name double-linear", "is that of a built-in device"),
        ('--name "a b"', "give another with --name"),
        ("--output curve.txt", "--output curve.txt: the name must end in .json"),
        ("--output nowhere/a.json", "there is no folder nowhere"),
        ("--output a.json --output_dir b", "--output_dir: leave it out"),
        ("--output_dir small.csv/there", "small.csv is a file; name a folder"),
        ("--relaxes_to double-lineal", "--relaxes_to double-lineal: unknown; the valid ones"),
        ("--relaxes_to small.json", "is the device file itself"),
        ("--relaxes_to bad.json", "--relaxes_to bad.json"),
        ("--family cubic", "invalid choice: 'cubic'"),
        ("--nam a", "unknown flag --nam; did you mean --name?"),
        ("--layout diagonal", "--layout diagonal: unknown"),
        ("--name a --name b", "--name: given twice"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, small, folder, refused):
    (folder / "bad.json").write_text("{}")
    assert message in refused(small, *shlex.split(arguments))
    assert names(folder) == {"small.csv", "bad.json"}


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
