"""Settings: their names, their records, and what makes another simulation."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from conftest import setting_of
from msgspec import structs
from support.devices import NAMES, OTHERS, device_file, device_of, measured
from support.legacy_runs import legacy_record, without_newer

from devices.built_in import LIBRARY
from devices.library import Device, find, measurements
from devices.measured_branch import Estimate
from devices.responses import Response
from utils.errors import UserError
from utils.flags import flags_of
from utils.records import setting_json
from utils.records.folders import identity
from utils.records.setting_json import distribution_version, from_json, to_json, with_newer
from utils.settings import Setting
from utils.studies import STUDIES
from utils.sweeps import sweep

DEVICES = [device_of(name) for name in NAMES] + [OTHERS["other exponential"]]
CHANGES = {
    "task": "MNIST",
    "field": find("double-exponential"),
    "lr": 500.0,
    "var": 0.3,
    "clipping": 0.2,
    "resistor_noise": 0.02,
    "voltage_noise": 2e-6,
    "write_noise": 0.01,
    "init": 0.02,
    "device_noise": True,
    "physical_clipping": True,
    "cell": "reference",
    "rounding": "nearest",
    "accumulate": True,
    "max_pulses": 3.0,
    "layers": (24, 12),
    "input_scale": 0.002,
    "padding": 3,
    "epochs": 3,
    "batch_size": 64,
    "seed": 101,
    "tf32": True,
    "time_switch": 2,
    "switch_epoch": 1,
}


@pytest.fixture
def in_a_file(tmp_path) -> Callable[..., Device]:
    """A function that returns a measured device as it is read from its file."""

    def make(name: str, **values) -> Device:
        return find(str(device_file(tmp_path / f"{name}.json", measured(name, **values))))

    return make


@pytest.fixture
def mine(in_a_file) -> Device:
    """A measured device, of which the write noise could not be measured."""
    return in_a_file("mine", variability=0.31, read_noise=0.004)


def read_back(setting: Setting) -> Setting:
    return from_json(json.loads(json.dumps(to_json(setting))))


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, ""),
        ({"write_noise": 0.0}, ""),
        ({"write_noise": 0.01}, "-write-0.01"),
        ({"device_noise": True}, "-device-noise"),
        (
            {"write_noise": 0.01, "device_noise": True, "physical_clipping": True},
            "-write-0.01-device-noise-physical-clipping",
        ),
    ],
)
def test_the_slug_by_hand(changes, end):
    common = "var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"
    assert setting_of(**changes).slug == f"Digits-double-linear-3000.0-{common}{end}"
    paper = Setting(lr=500.0, clipping=0.1, resistor_noise=0.015, **changes)
    assert paper.slug == f"MNIST-double-linear-500.0-{common}{end}"


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


def test_a_switched_field_is_in_the_name_and_the_record():
    paper: dict[str, Any] = dict(lr=500.0, clipping=0.1, resistor_noise=0.015, write_noise=0.01)
    both: dict[str, Any] = dict(field=find("double-linear"), second=find("double-exponential"))
    before = "MNIST-double-linear-double-exponential-500.0-var-0.2-clipping-0.1-resistor-0.015-"
    by_fraction = Setting(**both, **paper, time_switch=3)
    assert by_fraction.slug == before + "voltage-1.5e-06-write-0.01-switch-3"
    by_epoch = Setting(**both, **paper, switch_epoch=6)
    assert by_epoch.slug == before + "voltage-1.5e-06-write-0.01-switch-epoch-6"
    assert by_fraction.switched_at == by_epoch.switched_at == 6  # 20 // 3
    record = to_json(by_fraction)
    assert record["optimizer_parameters"]["field"] == ["double-linear", "double-exponential"]
    assert (record["time_switch"], record["switch_epoch"]) == (3, None)
    entries = {name: each.get("relaxes_to") for name, each in record["devices"].items()}
    assert entries == {"double-linear": "double-exponential", "double-exponential": "double-linear"}


@pytest.mark.parametrize("second", ["double-exponential", "double-ideal", "double-curved--4.0"])
def test_a_switched_setting_is_read_back_and_each_constant_counts(second):
    """The constants of both devices, and of the partner of the second one."""
    device = find(second)
    setting = setting_of(field=OTHERS["other linear"], second=device, time_switch=2)
    assert read_back(setting) == setting
    assert list(to_json(setting)["devices"])[:2] == ["other linear", second]
    changed = [replace(setting, second=other) for other in other_constants(device)]
    changed.append(replace(setting, second=None, time_switch=None))
    identities = [json.dumps(identity(one, "data")) for one in (setting, *changed)]
    assert len(set(identities)) == len(identities)


def test_a_switched_record_of_the_original_scripts():
    record = legacy_record(lr=500)
    record["optimizer_parameters"]["field"] = ["double-exponential", "double-linear"]
    setting = from_json(record | {"time_switch": 4})
    assert (setting.field_name, setting.switched_at) == ("double-exponential-double-linear", 5)
    with pytest.raises(ValueError, match="it names 2 fields, not one"):
        from_json(record)
    with pytest.raises(ValueError, match="it names 1 fields, not two"):
        from_json(legacy_record() | {"time_switch": 4})


def test_values_that_are_not_given_are_those_measured_of_either_field(in_a_file):
    linear = find("double-linear")
    weak = in_a_file("weak", variability=0.31, read_noise=0.004)
    strong = in_a_file("strong", variability=0.31, write_noise=0.02)
    for first, second, write_noise in (
        (weak, linear, 0.0),
        (linear, weak, 0.0),
        (weak, strong, 0.02),
    ):
        setting = Setting(field=first, second=second, time_switch=2)
        assert (setting.var, setting.resistor_noise) == (0.31, 0.004)
        assert setting.write_noise == write_noise


def test_values_of_which_both_fields_have_others_must_be_given(in_a_file):
    weak, strong = in_a_file("weak", variability=0.31), in_a_file("strong", variability=0.25)
    with pytest.raises(UserError, match=r"--var: measured as 0\.31 of weak, 0\.25 of strong, and"):
        Setting(field=weak, second=strong, time_switch=2)
    assert Setting(field=weak, second=strong, time_switch=2, var=0.3).var == 0.3


def test_a_record_from_before_a_flag_is_of_its_default():
    record = json.loads(json.dumps(to_json(setting_of())))
    older = without_newer(record)
    assert older.keys() < record.keys()
    assert with_newer(older) == record
    assert "physical_clipping" not in older["optimizer_parameters"]  # and stays as it was
    assert from_json(older) == setting_of()
    for name in ("device_noise", "physical_clipping", "write_noise", "tf32"):
        other = json.loads(json.dumps(to_json(setting_of(**{name: CHANGES[name]}))))
        assert with_newer(other) == other != with_newer(older)


def test_what_is_not_given_is_as_measured_and_what_is_given_wins(mine):
    """The noise on voltages follows the read noise."""
    setting = Setting(field=mine)
    assert (setting.var, setting.resistor_noise, setting.write_noise) == (0.31, 0.004, 0.0)
    assert setting.voltage_noise == 4e-7
    assert setting.slug.startswith("MNIST-mine-1000.0-var-0.31-clipping-0.0-resistor-0.004-")
    given = Setting(field=mine, var=0.0, resistor_noise=0.0, write_noise=0.2)
    assert (given.var, given.resistor_noise, given.write_noise) == (0.0, 0.0, 0.2)
    assert given.voltage_noise == 0.0


def test_in_a_sweep_each_field_has_its_own(mine):
    settings = sweep({"field": (mine, find("double-linear")), "write_noise": (0.0, 0.1)})
    assert [(s.field.name, s.var, s.resistor_noise, s.write_noise) for s in settings] == [
        ("mine", 0.31, 0.004, 0.0),
        ("mine", 0.31, 0.004, 0.1),
        ("double-linear", 0.2, 0.0, 0.0),
        ("double-linear", 0.2, 0.0, 0.1),
    ]


def test_a_study_wins_over_what_was_measured_where_it_says_something(mine):
    """Figure 1 compares at its own variability and read noise; it says nothing of write noise."""
    device = replace(mine, measured=structs.replace(mine.measured, write_noise=Estimate(0.007)))
    settings = STUDIES["figure1"].settings({"field": (device,)})
    assert len(settings) == 6
    assert {(s.var, s.resistor_noise, s.write_noise) for s in settings} == {(0.2, 0.015, 0.007)}


def test_a_measured_device_is_read_back_with_what_was_measured(mine):
    setting = Setting(field=mine, var=0.1)
    record = json.loads(json.dumps(to_json(setting) | {"measured": measurements(mine)}))
    again = from_json(record)
    assert again == setting
    assert again.field.measured == mine.measured
    assert from_json(to_json(setting)) == setting  # a folder's settings know constants only
    record["measured"]["mine"]["units"] = None
    with pytest.raises(ValueError, match="units: expected object"):
        from_json(record)


def test_a_record_from_before_write_noise(mine):
    """There was no noise then, whatever is known of the device now."""
    record = to_json(Setting(field=mine, write_noise=0.1)) | {"measured": measurements(mine)}
    del record["write_noise"]
    record["measured"]["mine"]["write_noise"] = {"value": 0.5, "error": None}
    assert from_json(record).write_noise == 0.0


def test_an_original_record_reads_no_file(tmp_path):
    path = device_file(tmp_path / "mine.json", measured("mine"))
    with pytest.raises(UserError, match="unknown; the valid ones"):
        from_json(legacy_record(field=str(path)))


def test_endless_devices_have_no_largest_init_or_clipping():
    changes: list[dict[str, Any]] = [dict(init=1.0), dict(clipping=50.0)]
    for change in changes:
        assert Setting(field=find("double-ideal"), **change)
        with pytest.raises(UserError):
            Setting(field=find("double-curved-2.77"), **change)


def test_one_record_is_not_written_into_another():
    first, second = to_json(setting_of(lr=1.0)), to_json(setting_of(lr=2.0))
    assert first["optimizer_parameters"]["lr"] == 1.0
    assert second["optimizer_parameters"]["lr"] == 2.0


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_setting_is_read_back_from_its_record(device):
    for setting in (
        setting_of(field=device),
        setting_of(field=device, clipping=0.0, layers=(30, 20), seed=2**63 - 1, tf32=True),
        setting_of(field=replace(device, partner=None)),
    ):
        assert read_back(setting) == setting


@pytest.mark.parametrize("name", flags_of(Setting))
def test_every_field_is_read_back_and_makes_it_another_simulation(name):
    changed = setting_of(**{name: CHANGES[name]})
    assert getattr(read_back(changed), name) == CHANGES[name]
    assert identity(changed, "data") != identity(setting_of(), "data")


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


def test_other_data_and_other_physics_make_it_another_simulation(monkeypatch):
    before = identity(setting_of(), "data")
    assert identity(setting_of(), "data") == before != identity(setting_of(), "other data")
    monkeypatch.setattr(setting_json, "PHYSICS", setting_json.PHYSICS + 1)
    assert identity(setting_of(), "data") != before


def other_constants(device: Device) -> list[Device]:
    """The device with each of its constants, and of its partner's, a little larger."""
    changed = [replace(device, response=other) for other in others_of(device.response)]
    for other in others_of(device.partner.response) if device.partner else ():
        changed.append(replace(device, partner=replace(device.partner, response=other)))
    return changed


def others_of(response: Response) -> list[Response]:
    others = []
    for name, value in asdict(response).items():
        if isinstance(value, bool):
            other = not value
        elif isinstance(value, tuple):
            other = (*value[:-1], 1.01 * value[-1])
        else:
            other = 1.01 * value
        others.append(replace(response, **{name: other}))
    return others


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_each_constant_of_the_device_and_of_its_partner_makes_it_another_simulation(device):
    others = other_constants(device)
    partner = [device.partner.response] if device.partner else []
    assert len(others) == sum(len(fields(each)) for each in (device.response, *partner))
    devices = [device, replace(device, partner=None), *others]
    identities = [json.dumps(identity(setting_of(field=one), "data")) for one in devices]
    assert len(set(identities)) == len(set(devices)) == 1 + len(partner) + len(others)
    for one in others:
        assert setting_of(field=one).slug == setting_of(field=device).slug


def test_a_spread_in_percent_is_refused_with_what_was_meant():
    with pytest.raises(UserError, match="almost surely 5 %: --var 0"):
        Setting(var=5.0)
    assert Setting(var=1.0).var == 1.0
