"""Device files in which something is not as it must be: one line that names file and key."""

import json
import re

import pytest
from support.devices import FIRST_FORMAT

from devices.device_file import read

LEFT_OUT = object()


def content_of(**changes) -> dict:
    """A device file of format 1 as JSON, keys of it replaced; LEFT_OUT leaves the key out."""
    content = FIRST_FORMAT | changes
    return {key: value for key, value in content.items() if value is not LEFT_OUT}


def second_format(**changes) -> dict:
    """The device in format 2, with keys of its falling branch replaced."""
    unchanged = {
        k: v for k, v in FIRST_FORMAT.items() if k not in ("family", "constants", "errors")
    }
    falling = {"family": "table", "constants": FIRST_FORMAT["constants"]} | changes
    return unchanged | {"format": 2, "falling": falling}


def problem_of(path, text: str) -> str:
    """Return why a file with this text cannot be read: one line that begins with its path."""
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        read(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


LISTS = {"pulses": [0, 1, 2], "voltages": [2.742, 2.4, 2.175]}
RISES = {"slope": 0.021, "offset": 2.742, "pulses_max": 27}
BAD = [  # changes of the first format
    ({"name": LEFT_OUT}, "object missing required field name"),
    ({"colour": "red"}, "object contains unknown field colour"),
    ({"format": 3}, "format 3: this program reads formats 1 and 2"),
    ({"name": 7}, "name: expected str, got int"),
    ({"name": "my device"}, "name 'my device': must be letters, digits"),
    ({"name": "../mine"}, "name '../mine': must be letters, digits"),
    ({"name": "-mine"}, "a letter or digit first"),
    ({"name": "m" * 41}, "has 41 characters, at most 40"),
    ({"name": "double-linear"}, "'double-linear': is that of a built-in device; choose another"),
    ({"name": "double-curved-2"}, "is that of a built-in device"),
    ({"family": "cubic"}, "family 'cubic': unknown; the valid ones: linear, exponential, table"),
    ({"constants": LISTS | {"pulses_max": 2}}, "constants: unknown field 'pulses_max'; the valid"),
    ({"constants": {"pulses": [0, 1]}}, "constants: object missing required field voltages"),
    ({"constants": LISTS | {"pulses": [0, True, 2]}}, "constants.pulses[1]: expected float, got b"),
    ({"constants": LISTS | {"pulses": [0, 10**400, 2]}}, "constants.pulses[1]: number out of ran"),
    ({"constants": LISTS | {"pulses": [0, 1e39, 2]}}, "constants.pulses: every number must be fin"),
    ({"constants": LISTS | {"pulses": [0, 2, 1]}}, "pulses does not rise at its number 3"),
    ({"constants": LISTS | {"voltages": [2.742, 2.175]}}, "they must be equally many"),
    ({"constants": LISTS | {"voltages": [2.175, 2.4, 2.742]}}, "does not fall at its number 2"),
    ({"constants": LISTS | {"voltages": [2.742, 2.175, 2.175]}}, "leave out points of a flat part"),
    ({"constants": LISTS | {"voltages": [2.0, 1.5, 1.433]}}, "the curve starts at 2 and spans"),
    ({"constants": LISTS | {"voltages": [2.742, 1.5, 0.5]}}, "are 2.742 and 0.567; scale it"),
    (
        {"family": "linear", "constants": RISES},
        "constants.slope is 0.021, so the curve does not fall; mirror it",
    ),
    (
        {"family": "linear", "constants": RISES | {"slope": -0.021, "endless": True}},
        "constants.endless: a measured curve ends",
    ),
    ({"errors": {"slope": 0.1}}, "errors: unknown field 'slope'; the valid ones: pulses, voltages"),
    ({"errors": {"voltages": 0.1}}, "errors.voltages must be a number, or a list where"),
    ({"errors": {"voltages": [0.1]}}, "errors.voltages has 1 numbers, not 6"),
    ({"errors": {"voltages": [0.1] * 5 + [-0.1]}}, "errors.voltages must be finite and not below"),
    ({"variability": {"error": 0.2}}, "variability: object missing required field value"),
    ({"variability": {"value": -0.2, "error": None}}, "variability.value: expected float >= 0"),
    ({"write_noise": {"value": None, "error": 0.1}}, "write_noise: error must be null where"),
    ({"units": {"unit": "A", "slope": 0, "offset": 0}}, "units: slope must not be 0"),
    ({"units": {"unit": "A", "slope": 1}}, "units: object missing required field offset"),
    (
        {"source": {"file": "a.csv", "sha256": "abc", "how": {}}},
        "source.sha256: expected str match",
    ),
    ({"relaxes_to": "linear"}, "relaxes_to: linear: unknown; the valid ones: double-linear,"),
]
SECOND = [  # changes of the second format
    ({"falling": None}, "falling, rising: at least one must not be null"),
    ({"symmetry_point": {"value": -1}}, "symmetry_point.value: expected float >= 0"),
    ({"falling": second_format(range=3)["falling"]}, "falling.range: expected object"),
    ({"falling": second_format(family="x")["falling"]}, "falling.family 'x': unknown"),
    ({"falling": second_format(errors={"a": 1})["falling"]}, "falling.errors: unknown field"),
    ({"rising": second_format()["falling"]}, "rising.constants.voltages does not fall"),
    ({"family": "table"}, "object contains unknown field family"),
]
TEXTS = [
    ("", "input data was truncated"),
    ('{"format": 1,\n "name" "x"}', "JSON is malformed: expected ':' (byte 22)"),
    ("[1, 2]", "expected object, got array"),
    ('{"format": 2, "name": ' + "[" * 100_000, "recursion"),
    ('{"format": 2, "format": 2}', "the key 'format' is given twice; keep one"),
    ('{"format": 2, "units": {"slope": 1, "slope": 2}}', "the key 'slope' is given twice"),
    ('{"format": NaN}', "JSON is malformed: invalid character"),
    ('{"format": 1e999}', "format: "),
]
WRONG = [(json.dumps(content_of(**changes)), message) for changes, message in BAD]
WRONG += [(json.dumps(second_format() | changes), message) for changes, message in SECOND] + TEXTS


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_named(text, message, tmp_path):
    assert message in problem_of(tmp_path / "x.json", text)


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    for name, reason in (
        ("none.json", "No such file"),
        (".", "Is a directory"),
        ("binary.json", "it is no text"),
    ):
        with pytest.raises(ValueError, match=f"cannot be read: {reason}.*; name a device file"):
            read(tmp_path / name)
