"""Device files: what is written is read back, found as a device, and kept in records."""

import json

import pytest
from msgspec.structs import replace
from support.devices import FIRST_FORMAT, OTHERS, device_file, device_of, measured

from devices.built_in import LIBRARY
from devices.constants import mirrored
from devices.device_file import Units, read, write
from devices.library import constants, find, from_constants, measurements
from devices.measured_branch import Estimate, MeasuredBranch, SignedEstimate
from devices.responses import Exponential, Linear

TABLE = OTHERS["table"].response
LINEAR = Linear(slope=-0.567 / 100, offset=2.742, pulses_max=100.0)
STEEPENING = Exponential(amplitude=-0.01, decay=-6.6, offset=2.752, pulses_max=27.0)


@pytest.mark.parametrize("response", [TABLE, LINEAR, STEEPENING], ids=lambda r: r.family)
def test_a_device_is_read_back(response, tmp_path):
    errors = {name: 0.001 for name in ("slope", "decay") if hasattr(response, name)}
    of_range, of_shape = Estimate(4.2e-5, 1e-7), SignedEstimate(-1.5, 0.1)
    measures = dict(errors=errors, range=of_range, nonlinearity=of_shape)
    device = replace(
        measured("my-device.2_b", response, 0.213, None, 0.0021, relaxes_to=None),
        falling=MeasuredBranch.from_response(response, **measures),
        rising=MeasuredBranch.from_response(STEEPENING, rising=True),
        symmetry_point=Estimate(2.5, 0.01),
        range_spread=Estimate(0.19, 0.04),
        variability=Estimate(0.213, 0.03),
        units=Units(None, 3.5e-6, 1.25e-5),
    )
    write(tmp_path / "device.json", device)
    assert read(tmp_path / "device.json") == device
    assert device.response == response
    assert [path.name for path in tmp_path.iterdir()] == ["device.json"]


def test_the_file_by_hand(tmp_path):
    rising = MeasuredBranch.from_response(LINEAR, rising=True, errors={"slope": 0.001})
    write(tmp_path / "mine.json", replace(measured("mine", TABLE, 0.2), rising=rising))
    content = json.loads((tmp_path / "mine.json").read_text())
    not_known = {"value": None, "error": None}
    slope, offset = (content["rising"]["constants"].pop(key) for key in ("slope", "offset"))
    assert (slope, offset) == (pytest.approx(0.00567), pytest.approx(2.175))
    assert content == {
        "format": 2,
        "name": "mine",
        "falling": {
            "family": "table",
            "constants": FIRST_FORMAT["constants"],
            "errors": {},
            "range": not_known,
            "nonlinearity": not_known,
        },
        "rising": {
            "family": "linear",
            "constants": {"pulses_max": 100.0},
            "errors": {"slope": 0.001},
            "range": not_known,
            "nonlinearity": not_known,
        },
        "symmetry_point": None,
        "range_spread": not_known,
        "variability": {"value": 0.2, "error": None},
        "read_noise": not_known,
        "write_noise": not_known,
        "units": {"unit": "S", "slope": 2e-6, "offset": -5e-6},
        "source": {"file": "curve.csv", "sha256": "0" * 64, "how": {"layout": "columns"}},
        "relaxes_to": "double-linear",
    }


def test_a_file_of_the_first_format_is_the_same_device(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(FIRST_FORMAT))
    assert read(path) == measured("mine", TABLE, 0.2, 0.01, 0.02)
    assert find(str(path)).rising is None


@pytest.mark.parametrize("response", [TABLE, LINEAR, STEEPENING], ids=lambda r: r.family)
def test_a_device_with_a_rising_branch_alone_is_mirrored(response, tmp_path):
    rising = MeasuredBranch.from_response(response, rising=True)
    only = replace(measured("mine"), falling=None, rising=rising, units=Units("S", 2.0, 1.0))
    device = find(str(device_file(tmp_path / "mine.json", only)))
    assert device.is_mirrored
    assert device.measured
    assert device.response == device.measured.rising_mirrored
    for pulses in (0.0, 3.7, response.pulses_max):
        falls = response.response(pulses)
        assert device.response.response(pulses) == pytest.approx(falls, rel=1e-12)
        # By hand: as measured it rises from 2 * 2.175 + 1 to 2 * 2.742 + 1.
        units = device.measured.response_units
        assert units.offset + units.slope * falls == pytest.approx(2 * (4.917 - falls) + 1)


def test_a_mirrored_curve_runs_from_the_lower_end_to_the_upper_one():
    exponential = Exponential(
        **mirrored({"amplitude": 1.0, "decay": 9.0, "offset": 2.0}), pulses_max=9
    )
    assert exponential.response(9.0) == pytest.approx(4.917 - (2 + 0.36787944))
    assert mirrored({"voltages": [2.742, 2.175]})["voltages"] == pytest.approx([2.175, 2.742])


def test_a_table_stands_in_two_lines(tmp_path):
    device = replace(
        measured("mine"), source=replace(measured("mine").source, how={"a  b": "[1,  2]"})
    )
    write(tmp_path / "mine.json", device)
    lines = (tmp_path / "mine.json").read_text().splitlines()
    assert '      "pulses": [0.0, 1.0, 3.0, 4.0, 9.5, 20.0],' in lines
    assert '      "a  b": "[1,  2]"' in lines
    assert len(lines) < 60


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write(tmp_path / "nowhere" / "mine.json", measured("mine"))
    device = replace(measured("mine"), units=Units("A", float("nan"), 0.0))
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "mine.json", device)
    assert not list(tmp_path.iterdir())


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


def test_records_hold_it_without_the_file(tmp_path):
    device_file(tmp_path / "strong.json", measured("strong", LINEAR, 0.1))
    path = device_file(
        tmp_path / "weak.json", measured("weak", TABLE, 0.3, relaxes_to="strong.json")
    )
    device = find(str(path))
    stored = json.loads(json.dumps([constants(device), measurements(device)], allow_nan=False))
    assert stored[1].keys() == {"weak", "strong"}
    again = from_constants("weak", *stored)
    assert again == device
    assert again.measured == replace(device.measured, relaxes_to="strong")
    assert again.partner.measured.variability.value == 0.1
    assert measurements(find("double-linear")) == {}


def test_what_was_measured_beside_does_not_make_it_another_device(tmp_path):
    first, other = (
        find(
            str(device_file(tmp_path / f"{n}.json", measured("mine", TABLE, n, sha256=f"{n}" * 64)))
        )
        for n in (1, 2)
    )
    assert first == other
    assert hash(first) == hash(other)
    assert constants(first) == constants(other)
    assert first.measured != other.measured


@pytest.mark.parametrize("cell", ["both-ways", "reference"])
@pytest.mark.parametrize(("missing", "only"), [("rising", "falling"), ("falling", "rising")])
def test_a_device_of_one_branch_has_no_cell_that_is_driven_both_ways(
    cell, missing, only, tmp_path, refusal
):
    branch = MeasuredBranch.from_response(LINEAR, rising=missing == "falling")
    content = replace(measured("mine"), **{missing: None, only: branch})
    path = device_file(tmp_path / "mine.json", content)
    line = refusal("--field", path, "--cell", cell)
    assert f"--cell {cell}: only the {only} branch of mine was measured" in line


def test_where_fresh_devices_start_by_hand():
    """The symmetry point within the middle half of 2.175 to 2.742, otherwise 2.4585."""
    for name, start in (
        ("falls-exponentially", 2.40),
        ("falls-by-a-table", 2.4585),
        ("asymmetric", 2.4585),
        ("double-linear", 2.4585),
        ("double-ideal", 2.732),
    ):
        assert device_of(name).driven(both_ways=True).start(0.01) == pytest.approx(start), name
    assert find("double-exponential").start(0.01) == pytest.approx(2.27)
