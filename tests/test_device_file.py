"""Device files: what is written is read back; everything that is not as it must be is one line."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import PROJECT
from support.devices import OTHERS, device_file, measured

from devices.built_in import LIBRARY
from devices.device_file import Estimate, Units, read, to_json, write
from devices.library import constants, find, from_constants, measurements
from devices.responses import Exponential, Linear

TABLE = OTHERS["table"].response
LINEAR = Linear(slope=-0.567 / 100, offset=2.742, pulses_max=100.0)
STEEPENING = Exponential(amplitude=-0.01, decay=-6.6, offset=2.752, pulses_max=27.0)


def content_of(**changes) -> dict:
    """A device file as JSON, keys of it replaced; None of the names leaves the key out."""
    content = to_json(measured("mine", TABLE, 0.2, 0.01, 0.02)) | changes
    return {key: value for key, value in content.items() if value is not LEFT_OUT}


LEFT_OUT = object()


def refusal(path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        read(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("response", [TABLE, LINEAR, STEEPENING], ids=lambda r: r.family)
def test_a_device_is_read_back(response, tmp_path):
    errors = {name: 0.001 for name in ("slope", "decay") if hasattr(response, name)}
    device = replace(
        measured("my-device.2_b", response, 0.213, None, 0.0021, relaxes_to=None),
        errors=errors,
        variability=Estimate(0.213, 0.03),
        units=Units(None, -3.5e-6, 1.25e-5),
    )
    write(tmp_path / "device.json", device)
    assert read(tmp_path / "device.json") == device
    assert [path.name for path in tmp_path.iterdir()] == ["device.json"]


def test_the_file_by_hand(tmp_path):
    write(tmp_path / "mine.json", measured("mine", TABLE, 0.2))
    assert json.loads((tmp_path / "mine.json").read_text()) == {
        "format": 1,
        "name": "mine",
        "family": "table",
        "constants": {
            "pulses": [0.0, 1.0, 3.0, 4.0, 9.5, 20.0],
            "voltages": [2.742, 2.6, 2.5, 2.49, 2.3, 2.175],
        },
        "errors": {},
        "variability": {"value": 0.2, "error": None},
        "read_noise": {"value": None, "error": None},
        "write_noise": {"value": None, "error": None},
        "units": {"unit": "S", "slope": 2e-6, "offset": -5e-6},
        "source": {"file": "curve.csv", "sha256": "0" * 64, "how": {"layout": "columns"}},
        "relaxes_to": "double-linear",
    }


def test_a_table_stands_in_two_lines(tmp_path):
    device = replace(
        measured("mine"), source=replace(measured("mine").source, how={"a  b": "[1,  2]"})
    )
    write(tmp_path / "mine.json", device)
    lines = (tmp_path / "mine.json").read_text().splitlines()
    assert '    "pulses": [0.0, 1.0, 3.0, 4.0, 9.5, 20.0],' in lines
    assert '      "a  b": "[1,  2]"' in lines
    assert len(lines) < 40


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write(tmp_path / "nowhere" / "mine.json", measured("mine"))
    device = replace(measured("mine"), units=Units("A", float("nan"), 0.0))
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "mine.json", device)
    assert not list(tmp_path.iterdir())


LISTS = {"pulses": [0, 1, 2], "voltages": [2.742, 2.4, 2.175]}
BAD = [
    ({"name": LEFT_OUT}, "a device file lacks the key name"),
    ({"colour": "red"}, "unknown key 'colour'; the valid ones: format, name,"),
    ({"format": 2}, "format 2: this program reads format 1"),
    ({"format": True}, "format True: this program reads format 1"),
    ({"name": 7}, "name 7: must be letters, digits"),
    ({"name": "my device"}, "name 'my device': must be letters, digits"),
    ({"name": "../mine"}, "name '../mine': must be letters, digits"),
    ({"name": "-mine"}, "a letter or digit first"),
    ({"name": "m" * 41}, "has 41 characters, at most 40"),
    ({"name": "double-linear"}, "'double-linear': is that of a built-in device; choose another"),
    ({"name": "double-curved-2"}, "is that of a built-in device"),
    ({"family": "cubic"}, "family 'cubic': unknown; the valid ones: linear, exponential, table"),
    ({"family": None}, "family None: unknown"),
    ({"constants": []}, "constants must be an object with the keys pulses, voltages"),
    ({"constants": LISTS | {"pulses_max": 2}}, "constants has the unknown key 'pulses_max'"),
    ({"constants": {"pulses": [0, 1]}}, "constants lacks the key voltages"),
    ({"constants": LISTS | {"pulses": "0 1 2"}}, "constants.pulses must be a list of numbers"),
    ({"constants": LISTS | {"pulses": [0, True, 2]}}, "pulses, its number 2, must be a number"),
    ({"constants": LISTS | {"pulses": [0, 10**400, 2]}}, "its number 2, must be a finite number"),
    ({"constants": LISTS | {"pulses": [0, 2, 1]}}, "pulses does not rise at its number 3"),
    ({"constants": LISTS | {"voltages": [2.742, 2.175]}}, "they must be equally many"),
    ({"constants": LISTS | {"voltages": [2.175, 2.4, 2.742]}}, "does not fall at its number 2"),
    ({"constants": LISTS | {"voltages": [2.742, 2.175, 2.175]}}, "leave out points of a flat part"),
    ({"constants": LISTS | {"voltages": [2.0, 1.5, 1.433]}}, "the curve starts at 2 and spans"),
    ({"constants": LISTS | {"voltages": [2.742, 1.5, 0.5]}}, "model units are 2.742 and 0.567"),
    (
        {"family": "linear", "constants": {"slope": 0.021, "offset": 2.742, "pulses_max": 27}},
        "constants.slope is 0.021, so the curve does not fall; mirror it",
    ),
    (
        {"family": "linear", "constants": {"slope": -0.021, "offset": 2.742, "pulses_max": "27"}},
        "constants.pulses_max must be a number",
    ),
    (
        {
            "family": "linear",
            "constants": {"slope": -0.021, "offset": 2.742, "pulses_max": 27, "endless": True},
        },
        "constants.endless: a measured curve ends",
    ),
    ({"errors": {"slope": 0.1}}, "errors has the unknown key 'slope'; the valid ones: pul"),
    ({"errors": {"voltages": 0.1}}, "errors.voltages must be a list of numbers"),
    ({"errors": {"voltages": [0.1]}}, "errors.voltages has 1 numbers, not 6"),
    ({"errors": {"voltages": [0.1] * 5 + [-0.1]}}, "errors.voltages must not be below 0"),
    ({"variability": 0.2}, "variability must be an object with the keys value, error"),
    ({"variability": {"value": 0.2}}, "variability lacks the key error"),
    ({"variability": {"value": -0.2, "error": None}}, "variability.value must not be below 0"),
    ({"read_noise": {"value": "0.1", "error": None}}, "read_noise.value must be a number"),
    ({"write_noise": {"value": None, "error": 0.1}}, "write_noise.error must be null"),
    ({"units": {"unit": 3, "slope": 1, "offset": 0}}, "units.unit must be a word, or null"),
    ({"units": {"unit": "A", "slope": 0, "offset": 0}}, "units.slope must not be 0"),
    ({"units": {"unit": "A", "slope": 1}}, "units lacks the key offset"),
    ({"source": {"file": "a.csv", "sha256": "abc", "how": {}}}, "source.sha256 must be 64 hex"),
    ({"source": {"file": 1, "sha256": "0" * 64, "how": {}}}, "source.file must be the name"),
    ({"source": {"file": "a.csv", "sha256": "0" * 64, "how": 1}}, "source.how must be an object"),
    ({"relaxes_to": 3}, "relaxes_to must be null, a built-in device or the path"),
    ({"relaxes_to": "linear"}, "relaxes_to linear: unknown; the valid ones: double-linear,"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_a_wrong_key_is_named(changes, message, tmp_path):
    assert message in refusal(tmp_path / "x.json", json.dumps(content_of(**changes)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON: Expecting value, line 1 column 1"),
        ('{"format": 1,\n "name" "x"}', "is no JSON: Expecting ':' delimiter, line 2 column 9"),
        ("[1, 2]", "a device file must be an object with the keys format,"),
        ("[" * 100_000, "recursion"),
        ('{"format": 1, "format": 1}', "the key 'format' is given twice; keep one"),
        ('{"format": NaN}', "NaN: every number must be finite"),
        ('{"format": 1e999}', "1e999: every number must be finite"),
    ],
    ids=["empty", "damaged", "list", "deep", "twice", "NaN", "huge"],
)
def test_what_is_no_device_file(text, message, tmp_path):
    assert message in refusal(tmp_path / "x.json", text)


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    for name, reason in (
        ("none.json", "No such file"),
        (".", "Is a directory"),
        ("binary.json", "it is no text"),
    ):
        with pytest.raises(ValueError, match=f"cannot be read: {reason}.*; name a device file"):
            read(tmp_path / name)


def test_it_is_read_with_the_mark_that_some_editors_write(tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine"))
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert read(path) == measured("mine")


def test_a_path_is_found_as_a_device(tmp_path):
    path = device_file(tmp_path / "file.json", measured("mine", TABLE, 0.2))
    device = find(str(path))
    assert (device.name, device.response) == ("mine", TABLE)
    assert device.measured.variability == Estimate(0.2)
    assert device.partner.response is LIBRARY["double-linear"].response
    other = device_file(tmp_path / "without-ending", measured("mine"))
    assert find(str(other)).name == "mine"  # since it has a separator


def test_it_relaxes_to_another_file_beside_it(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    device_file(tmp_path / "weak.json", measured("weak", STEEPENING, relaxes_to="sub/strong.json"))
    device_file(
        tmp_path / "sub" / "strong.json", measured("strong", LINEAR, relaxes_to="../weak.json")
    )
    monkeypatch.chdir(tmp_path / "sub")
    weak, strong = find("../weak.json"), find("strong.json")
    assert (weak.partner.name, weak.partner.response) == ("strong", LINEAR)
    assert (strong.partner.name, strong.partner.response) == ("weak", STEEPENING)
    assert weak.partner.partner is None


@pytest.mark.parametrize(
    ("relaxes_to", "message"),
    [
        ("none.json", "the device that .*mine.json relaxes to, .*none.json: cannot be read"),
        ("mine.json", "relaxes to a device of its own name, mine; rename one"),
    ],
)
def test_a_partner_that_cannot_be(relaxes_to, message, tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine", relaxes_to=relaxes_to))
    with pytest.raises(ValueError, match=message):
        find(str(path))


def test_it_is_kept_in_records_without_the_file(tmp_path):
    device_file(tmp_path / "strong.json", measured("strong", LINEAR, 0.1))
    path = device_file(
        tmp_path / "weak.json", measured("weak", TABLE, 0.3, relaxes_to="strong.json")
    )
    device = find(str(path))
    kept = json.loads(json.dumps([constants(device), measurements(device)], allow_nan=False))
    assert kept[1].keys() == {"weak", "strong"}
    again = from_constants("weak", *kept)
    assert again == device
    assert again.measured == replace(device.measured, relaxes_to="strong")
    assert again.partner.measured.variability.value == 0.1
    assert measurements(find("double-linear")) == {}


def test_what_was_measured_beside_does_not_make_it_another_device(tmp_path):
    one, other = (
        find(
            str(device_file(tmp_path / f"{n}.json", measured("mine", TABLE, n, sha256=f"{n}" * 64)))
        )
        for n in (1, 2)
    )
    assert one == other
    assert hash(one) == hash(other)
    assert constants(one) == constants(other)
    assert one.measured != other.measured


def test_reading_needs_no_torch():
    code = (
        "import devices.device_file as d, sys; assert 'torch' not in sys.modules; "
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
