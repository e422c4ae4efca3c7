"""Records of settings: by hand, read back, from before a flag, and of the original scripts."""

import json
from dataclasses import replace

import pytest
from conftest import setting_of
from support.devices import NAMES, OTHERS, device_file, device_of, in_a_file, measured
from support.legacy_runs import legacy_record, without_newer

from devices.built_in import LIBRARY
from devices.library import find, measurements
from utils.errors import UserError
from utils.records import setting_json
from utils.records.setting_json import distribution_version, from_json, to_json, with_newer
from utils.settings import Setting


def test_the_record_by_hand():
    assert to_json(setting_of()) == {
        "task": "Digits",
        "seed": 100,
        "padding": 1,
        "batch_size": 32,
        "layers": [24],
        "epochs": 2,
        "input_scale": 0.001,
        "voltage_noise": 1.5e-6,
        "resistor_noise": 0.015,
        "time_switch": None,
        "init": 0.01,
        "optimizer": "PulseOptimizer",
        "optimizer_parameters": {
            "lr": 3000.0,
            "field": ["double-linear"],
            "scale": 1.0,
            "device_variability": 0.2,
            "clipping": 0.1,
            "physical_clipping": False,
            "cell": "one-way",
            "rounding": "none",
            "accumulate": False,
            "max_pulses": None,
        },
        "criterion": "CrossEntropyLoss",
        "tf32": False,
        "physics": 9,
        "write_noise": 0.0,
        "switch_epoch": None,
        "device_noise": False,
        "devices": {
            "double-linear": {
                "family": "linear",
                "slope": -0.021,
                "offset": 2.742,
                "pulses_max": 27.0,
                "relaxes_to": "double-exponential",
            },
            "double-exponential": {
                "family": "exponential",
                "amplitude": 1.53,
                "decay": 9.741,
                "offset": 0.75,
                "pulses_max": 27.0,
            },
        },
    }


def test_a_switched_record_of_the_original_scripts():
    record = legacy_record(lr=500)
    record["optimizer_parameters"]["field"] = ["double-exponential", "double-linear"]
    setting = from_json(record | {"time_switch": 4})
    assert (setting.field_name, setting.switched_at) == ("double-exponential-double-linear", 5)
    with pytest.raises(ValueError, match="it names 2 fields, not one"):
        from_json(record)
    with pytest.raises(ValueError, match="it names 1 fields, not two"):
        from_json(legacy_record() | {"time_switch": 4})


def test_a_record_from_before_a_flag_is_of_its_default():
    record = json.loads(json.dumps(to_json(setting_of())))
    older = without_newer(record)
    assert older.keys() < record.keys()
    assert with_newer(older) == record
    assert "physical_clipping" not in older["optimizer_parameters"]  # and stays as it was
    assert from_json(older) == setting_of()
    for name, value in dict(
        device_noise=True, physical_clipping=True, write_noise=0.01, tf32=True
    ).items():
        other = json.loads(json.dumps(to_json(setting_of(**{name: value}))))
        assert with_newer(other) == other != with_newer(older)


def test_a_measured_device_is_read_back_with_what_was_measured(tmp_path):
    device = in_a_file(tmp_path, "mine", variability=0.31, read_noise=0.004)
    setting = Setting(field=device, var=0.1)
    record = json.loads(json.dumps(to_json(setting) | {"measured": measurements(device)}))
    again = from_json(record)
    assert again == setting
    assert again.field.measured == device.measured
    assert from_json(to_json(setting)) == setting  # a folder's settings know constants only
    record["measured"]["mine"]["units"] = None
    with pytest.raises(ValueError, match="units: expected object"):
        from_json(record)


def test_a_record_from_before_write_noise(tmp_path):
    """There was no noise then, whatever is known of the device now."""
    device = in_a_file(tmp_path, "mine", variability=0.31)
    record = to_json(Setting(field=device, write_noise=0.1)) | {"measured": measurements(device)}
    del record["write_noise"]
    record["measured"]["mine"]["write_noise"] = {"value": 0.5, "error": None}
    assert from_json(record).write_noise == 0.0


def test_an_original_record_reads_no_file(tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine"))
    with pytest.raises(UserError, match="unknown; the valid ones"):
        from_json(legacy_record(field=str(path)))


def test_one_record_is_not_written_into_another():
    first, second = to_json(setting_of(lr=1.0)), to_json(setting_of(lr=2.0))
    assert first["optimizer_parameters"]["lr"] == 1.0
    assert second["optimizer_parameters"]["lr"] == 2.0


@pytest.mark.parametrize("device", [*map(device_of, NAMES), OTHERS["other exponential"]], ids=str)
def test_a_setting_is_read_back_from_its_record(device):
    for setting in (
        setting_of(field=device),
        setting_of(field=device, clipping=0.0, layers=(30, 20), seed=2**63 - 1, tf32=True),
        setting_of(field=replace(device, partner=None)),
    ):
        assert from_json(json.loads(json.dumps(to_json(setting)))) == setting


def test_constants_are_read_from_the_record_not_from_the_library(monkeypatch):
    record = to_json(setting_of())
    other = replace(LIBRARY["double-linear"].response, slope=-0.03)
    monkeypatch.setitem(LIBRARY, "double-linear", replace(LIBRARY["double-linear"], response=other))
    assert from_json(record).field.response.slope == -0.021
    assert find("double-linear").response.slope == -0.03


@pytest.mark.parametrize("optimizer", ["DoubleLinearOptimizer", "PulseOptimizer", "Adam"])
def test_a_record_with_the_labs_keys_only(optimizer):
    record = json.loads(json.dumps(legacy_record(lr=500, optimizer=optimizer)))
    keys = (
        "task seed padding batch_size layers epochs input_scale voltage_noise resistor_noise "
        "time_switch init optimizer optimizer_parameters criterion loss accuracy swap_accuracy"
    )
    assert record.keys() == set(keys.split())
    setting = from_json(record)
    assert setting == Setting(lr=500.0, clipping=0.1, resistor_noise=0.015)
    assert setting.voltage_noise == 1.5e-6
    assert isinstance(setting.lr, float)
    assert setting.tf32 is False
    assert distribution_version(record) == 1


NOT_OF_THE_SETTING = "time_switch optimizer criterion loss accuracy swap_accuracy".split()


@pytest.mark.parametrize("key", [key for key in legacy_record() if key not in NOT_OF_THE_SETTING])
def test_a_record_that_lacks_a_setting_is_none(key):
    record = legacy_record()
    del record[key]
    with pytest.raises(KeyError, match=key):
        from_json(record)


def test_a_record_of_a_device_that_nobody_knows(monkeypatch):
    with pytest.raises(UserError, match="double-linear, double-exponential"):
        from_json(legacy_record(field="memristor"))
    record = to_json(setting_of())
    for content in ({}, {"double-linear": {}}, {"double-linear": {"family": "cubic"}}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_json(record | {"devices": content})


def test_versions_of_the_distributions():
    """Physics 1 draws the read noise otherwise, of one distribution; others round otherwise."""
    assert distribution_version({}) == 1
    assert {distribution_version({"physics": version}) for version in range(1, 10)} == {1}
    assert distribution_version({"physics": 10}) == 10
    assert setting_json.PHYSICS == 9
