"""Settings: their names, what was measured, and what makes another simulation."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from conftest import setting_of
from msgspec import structs
from support.devices import NAMES, OTHERS, device_of, in_a_file

from devices.library import Device, find
from devices.measured_branch import Estimate
from devices.responses import Response
from utils.errors import UserError
from utils.flags import flags_of
from utils.records import setting_json
from utils.records.folders import identity
from utils.records.setting_json import from_json, to_json
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
def mine(tmp_path) -> Device:
    """A measured device, of which the write noise could not be measured."""
    return in_a_file(tmp_path, "mine", variability=0.31, read_noise=0.004)


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
    entries = {name: entry.get("relaxes_to") for name, entry in record["devices"].items()}
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
    identities = [json.dumps(identity(variant, "data")) for variant in (setting, *changed)]
    assert len(set(identities)) == len(identities)


def test_values_that_are_not_given_are_those_measured_of_either_field(tmp_path):
    linear = find("double-linear")
    weak = in_a_file(tmp_path, "weak", variability=0.31, read_noise=0.004)
    strong = in_a_file(tmp_path, "strong", variability=0.31, write_noise=0.02)
    for first, second, write_noise in (
        (weak, linear, 0.0),
        (linear, weak, 0.0),
        (weak, strong, 0.02),
    ):
        setting = Setting(field=first, second=second, time_switch=2)
        assert (setting.var, setting.resistor_noise) == (0.31, 0.004)
        assert setting.write_noise == write_noise


def test_values_of_which_both_fields_have_others_must_be_given(tmp_path):
    weak, strong = (
        in_a_file(tmp_path, "weak", variability=0.31),
        in_a_file(tmp_path, "strong", variability=0.25),
    )
    with pytest.raises(UserError, match=r"--var: measured as 0\.31 of weak, 0\.25 of strong, and"):
        Setting(field=weak, second=strong, time_switch=2)
    assert Setting(field=weak, second=strong, time_switch=2, var=0.3).var == 0.3


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


def test_endless_devices_have_no_largest_init_or_clipping():
    changes: list[dict[str, Any]] = [dict(init=1.0), dict(clipping=50.0)]
    for change in changes:
        assert Setting(field=find("double-ideal"), **change)
        with pytest.raises(UserError):
            Setting(field=find("double-curved-2.77"), **change)


@pytest.mark.parametrize("name", flags_of(Setting))
def test_every_field_is_read_back_and_makes_it_another_simulation(name):
    changed = setting_of(**{name: CHANGES[name]})
    assert getattr(read_back(changed), name) == CHANGES[name]
    assert identity(changed, "data") != identity(setting_of(), "data")


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
    variants = []
    for name, value in asdict(response).items():
        if isinstance(value, bool):
            other = not value
        elif isinstance(value, tuple):
            other = (*value[:-1], 1.01 * value[-1])
        else:
            other = 1.01 * value
        variants.append(replace(response, **{name: other}))
    return variants


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_each_constant_of_the_device_and_of_its_partner_makes_it_another_simulation(device):
    variants = other_constants(device)
    partner = [device.partner.response] if device.partner else []
    assert len(variants) == sum(len(fields(response)) for response in (device.response, *partner))
    devices = [device, replace(device, partner=None), *variants]
    identities = [json.dumps(identity(setting_of(field=variant), "data")) for variant in devices]
    assert len(set(identities)) == len(set(devices)) == 1 + len(partner) + len(variants)
    for variant in variants:
        assert setting_of(field=variant).slug == setting_of(field=device).slug


def test_a_spread_in_percent_is_refused_with_what_was_meant():
    with pytest.raises(UserError, match="almost surely 5 %: --var 0"):
        Setting(var=5.0)
    assert Setting(var=1.0).var == 1.0
