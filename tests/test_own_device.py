"""A run on a device of the user's own, from its file to its records."""

import json

from support.devices import OTHERS, device_file, measured

from devices.library import find
from devices.measured_branch import Estimate
from devices.responses import Linear, Table
from utils.parser import parse
from utils.records.simulations import Simulations
from utils.training.startup_messages import measured_values

FAST = "--lr 4000 --batch_size 32"
TABLE = OTHERS["table"].response


def test_from_file_to_records(simulate, tmp_path):
    """The run logs in its first line what is as measured; nothing needs the file afterwards."""
    path = device_file(tmp_path / "x.json", measured("mine", TABLE, 0.1, 0.002, None))
    (record,) = simulate(f"{FAST} --field {path}")
    assert simulate.errors.splitlines()[0] == (
        "mine: var 0.1 as measured, resistor_noise 0.002 as measured, write_noise 0 (not measured)"
    )
    assert record.folder.name[15:] == (
        "Digits-mine-4000.0-var-0.1-clipping-0.0-resistor-0.002-voltage-2e-07"
    )
    assert record.json["optimizer_parameters"]["field"] == ["mine"]
    assert record.json["devices"]["mine"]["voltages"] == [2.742, 2.6, 2.5, 2.49, 2.3, 2.175]
    assert record.json["devices"]["mine"]["relaxes_to"] == "double-linear"
    assert record.json["measured"]["mine"]["units"] == {"unit": "S", "slope": 2e-6, "offset": -5e-6}
    assert record.json["measured"]["mine"]["source"]["file"] == "curve.csv"
    assert record.json["swap_accuracy"] > 0
    assert simulate.table.splitlines()[1].split()[:4] == ["mine", "4000", "0.1", "0.002"]
    settings = json.loads((record.folder / f"{record.folder.name}.settings").read_text())
    assert settings["devices"] == record.json["devices"]
    assert "measured" not in settings
    path.unlink()
    (row,) = Simulations.read(record.folder.parent).networks.itertuples()
    assert (row.field, row.var, row.accuracy) == ("mine", 0.1, record.json["accuracy"])
    assert row.setting.field.response == TABLE
    assert row.setting.field.measured.units.unit == "S"


def test_a_flag_wins_and_the_first_line_shows_that(simulate, tmp_path):
    path = device_file(tmp_path / "x.json", measured("mine", TABLE, 0.1, 0.002, 0.01))
    (record,) = simulate(f"{FAST} --field {path} --var 0 --write_noise 0.02")
    assert simulate.errors.splitlines()[0] == (
        "mine: var 0 (measured: 0.1), resistor_noise 0.002 as measured, "
        "write_noise 0.02 (measured: 0.01)"
    )
    assert record.folder.name.endswith("-voltage-2e-07-write-0.02")
    assert record.json["write_noise"] == 0.02


def test_a_study_may_have_other_values_which_is_logged(tmp_path):
    path = device_file(tmp_path / "x.json", measured("mine", TABLE, 0.1, 0.002, 0.01))
    run = parse(["--study", "figure1", "--field", str(path), "double-linear"])
    assert {setting.field.name for setting in run.settings} == {"mine", "double-linear"}
    assert measured_values(run.settings) == [
        "mine: var 0.2 (measured: 0.1), resistor_noise 0.015 (measured: 0.002), "
        "write_noise 0.01 as measured"
    ]
    assert {s.write_noise for s in run.settings if s.field.name == "double-linear"} == {0.0}


def test_relaxation_between_two_files_and_none(simulate, tmp_path):
    """A device that relaxes to one like itself keeps its accuracy."""
    twin = device_file(tmp_path / "twin.json", measured("twin", TABLE, relaxes_to=None))
    device = device_file(tmp_path / "mine.json", measured("mine", TABLE, relaxes_to="twin.json"))
    arguments = f"{FAST} --voltage_noise 0 --epochs 4"
    first, second = sorted(
        simulate(f"{arguments} --field {device} {twin}"), key=lambda record: record.folder.name
    )
    assert first.json["swap_accuracy"] == first.json["accuracy"] == second.json["accuracy"] > 50
    assert second.json["swap_accuracy"] is None
    assert first.json["devices"].keys() == {"mine", "twin"}
    rows = {line.split()[0]: line.split() for line in simulate.table.splitlines()[1:]}
    assert rows["mine"][6] == rows["twin"][6]
    assert (rows["mine"][7], rows["twin"][7]) == (f"{first.json['swap_accuracy']:.2f}", "–")


def test_an_ideal_device_is_standard_json_and_has_no_other_field(simulate):
    (record,) = simulate("--lr 20000 --field double-ideal")
    assert min(w.min() for name, w in record.state.items() if "weight" in name) < 2.1
    assert record.json["swap_accuracy"] is None
    assert record.json["devices"] == {
        "double-ideal": {
            "family": "linear",
            "slope": -0.021,
            "offset": 2.742,
            "pulses_max": 27.0,
            "endless": True,
            "relaxes_to": None,
        }
    }
    for path in (*record.folder.glob("*.json"), *record.folder.glob("*.settings")):
        assert "Infinity" not in path.read_text()


def test_resume_goes_by_the_constants(start, tmp_path):
    """Another source of the same constants is the same simulation; another constant is not."""
    path, out = tmp_path / "mine.json", tmp_path / "out"
    arguments = (
        *"--task Digits --epochs 1 --n_models 1 --layers 8 --var 0.1 --device cpu --resume".split(),
        "--field",
        path,
    )
    for device, line, n_folders in (
        (measured("mine", TABLE), "network 0: epoch 1/1", 1),
        (measured("mine", TABLE, sha256="1" * 64), "1 of 1 networks are complete", 1),
        (measured("mine", Table((0.0, 20.0), (2.742, 2.175))), "network 0: epoch 1/1", 2),
    ):
        device_file(path, device)
        assert line in start(*arguments).ended().log
        assert len(list(out.iterdir())) == n_folders


def test_a_file_with_a_mistake_is_refused_in_one_line(refusal, tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine"))
    path.write_text(path.read_text().replace("2.6,", "3.6,"))
    assert refusal("--field", path) == (
        f"main.py: error: --field {path}: falling.constants.voltages does not fall at its number "
        "2 (in single precision); mirror a curve that rises, leave out points of a flat part\n"
    )


def test_two_files_of_one_name_are_refused(refusal, tmp_path):
    device = device_file(tmp_path / "mine.json", measured("mine"))
    other = device_file(tmp_path / "b.json", measured("mine", Linear(-0.0567, 2.742, 10.0)))
    again = device_file(tmp_path / "c.json", measured("mine", variability=0.5))
    switched = device_file(tmp_path / "d.json", measured("mine", relaxes_to=None))
    user = device_file(tmp_path / "e.json", measured("user", relaxes_to="b.json"))
    for files, message in (
        ((device, other), "two devices with different constants are named mine"),
        ((device, user), "two devices with different constants are named mine"),
        ((device, switched), "2 devices named mine relax to different ones"),
        ((device, again), "--field mine: given 2 times; give each value once"),
    ):
        assert message in refusal("--field", *files)


def test_what_could_not_be_measured_has_the_default(tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine"))
    (setting,) = parse(["--field", str(path)]).settings
    assert (setting.var, setting.resistor_noise, setting.write_noise) == (0.2, 0.0, 0.0)
    assert find(str(path)).measured.variability == Estimate(None)
