"""What is simulated: its name, its record, and what makes it another simulation."""

import json
from dataclasses import asdict, fields, replace

import pytest
from conftest import setting_of
from support.devices import OTHERS
from support.lab import lab_record

from devices.built_in import LIBRARY
from devices.library import Device, find
from utils import settings
from utils.errors import UserError
from utils.flags import flags_of
from utils.records.folders import identity
from utils.settings import Setting, from_json, law_of, to_json

DEVICES = [find(name) for name in LIBRARY] + list(OTHERS.values())
CHANGES = {
    "task": "MNIST", "field": find("double-exponential"), "lr": 500.0, "var": 0.3,
    "clipping": 0.2, "resistor_noise": 0.02, "voltage_noise": 2e-6, "init": 0.02,
    "layers": (24, 12), "input_scale": 0.002, "padding": 3, "epochs": 3, "batch_size": 64,
    "seed": 101, "tf32": True,
}  # fmt: skip


def read_back(setting: Setting) -> Setting:
    return from_json(json.loads(json.dumps(to_json(setting))))


def test_the_slug_by_hand():
    assert setting_of().slug == (
        "Digits-double-linear-3000.0-var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"
    )
    paper = Setting(lr=500.0, clipping=0.1, resistor_noise=0.015)
    assert paper.slug == (
        "MNIST-double-linear-500.0-var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"
    )


def test_the_record_by_hand():
    assert to_json(setting_of()) == {
        "task": "Digits", "seed": 100, "padding": 1, "batch_size": 32, "layers": [24],
        "epochs": 2, "input_scale": 0.001, "voltage_noise": 1.5e-6, "resistor_noise": 0.015,
        "time_switch": None, "init": 0.01, "optimizer": "PulseOptimizer",
        "optimizer_parameters": {
            "lr": 3000.0, "field": ["double-linear"], "scale": 1.0, "device_variability": 0.2,
            "clipping": 0.1,
        },
        "criterion": "CrossEntropyLoss", "tf32": False, "physics": 2,
        "devices": {
            "double-linear": {
                "family": "linear", "slope": -0.021, "offset": 2.742, "pulses_max": 27.0,
                "relaxes_to": "double-exponential",
            },
            "double-exponential": {
                "family": "exponential", "amplitude": 1.53, "decay": 9.741, "offset": 0.75,
                "pulses_max": 27.0,
            },
        },
    }  # fmt: skip


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


def test_every_field_of_a_setting_is_read_back():
    assert CHANGES.keys() == flags_of(Setting).keys()
    for name, value in CHANGES.items():
        assert getattr(read_back(setting_of(**{name: value})), name) == value


def test_constants_are_read_from_the_record_not_from_the_library(monkeypatch):
    record = to_json(setting_of())
    other = replace(LIBRARY["double-linear"].response, slope=-0.03)
    monkeypatch.setitem(LIBRARY, "double-linear", replace(LIBRARY["double-linear"], response=other))
    assert from_json(record).field.response.slope == -0.021
    assert find("double-linear").response.slope == -0.03


@pytest.mark.parametrize("optimizer", ["DoubleLinearOptimizer", "PulseOptimizer", "Adam"])
def test_a_record_with_the_labs_keys_only(optimizer):
    record = json.loads(json.dumps(lab_record(lr=500, optimizer=optimizer)))
    assert record.keys() == {
        "task", "seed", "padding", "batch_size", "layers", "epochs", "input_scale",
        "voltage_noise", "resistor_noise", "time_switch", "init", "optimizer",
        "optimizer_parameters", "criterion", "loss", "accuracy", "swap_accuracy",
    }  # fmt: skip
    setting = from_json(record)
    assert setting == Setting(lr=500.0, clipping=0.1, resistor_noise=0.015)
    assert setting.voltage_noise == 1.5e-6
    assert isinstance(setting.lr, float)
    assert setting.tf32 is False
    assert law_of(record) == 1


@pytest.mark.parametrize("key", [key for key in lab_record() if key not in (
    "time_switch", "optimizer", "criterion", "loss", "accuracy", "swap_accuracy",
)])  # fmt: skip
def test_a_record_that_lacks_a_setting_is_none(key):
    record = lab_record()
    del record[key]
    with pytest.raises(KeyError, match=key):
        from_json(record)


def test_a_record_of_a_device_that_nobody_knows(monkeypatch):
    with pytest.raises(UserError, match="double-linear, double-exponential"):
        from_json(lab_record(field="memristor"))
    record = to_json(setting_of())
    for content in ({}, {"double-linear": {}}, {"double-linear": {"family": "cubic"}}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_json(record | {"devices": content})


def test_laws():
    """Physics 1 and 2 draw the read noise otherwise, of the same distribution."""
    assert law_of({}) == law_of({"physics": 1}) == law_of({"physics": 2}) == 1
    assert law_of({"physics": 3}) == 3
    assert settings.PHYSICS == 2


@pytest.mark.parametrize("name", flags_of(Setting))
def test_every_field_of_a_setting_makes_it_another_simulation(name):
    changed = setting_of(**{name: CHANGES[name]})
    assert identity(changed, "data") != identity(setting_of(), "data")


def test_other_data_make_it_another_simulation():
    assert identity(setting_of(), "data") == identity(setting_of(), "data")
    assert identity(setting_of(), "other data") != identity(setting_of(), "data")


def test_other_physics_makes_it_another_simulation(monkeypatch):
    before = identity(setting_of(), "data")
    monkeypatch.setattr(settings, "PHYSICS", settings.PHYSICS + 1)
    assert identity(setting_of(), "data") != before


def other_constants(device: Device) -> list[Device]:
    """The device with each of its constants, and of its partner's, a little larger."""
    changed = []
    for name, value in asdict(device.response).items():
        changed.append(replace(device, response=replace(device.response, **{name: 1.01 * value})))
    for name, value in asdict(device.partner.response).items():
        partner = replace(device.partner.response, **{name: 1.01 * value})
        changed.append(replace(device, partner=replace(device.partner, response=partner)))
    return changed


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_each_constant_of_the_device_and_of_its_partner_makes_it_another_simulation(device):
    others = other_constants(device)
    assert len(others) == len(fields(device.response)) + len(fields(device.partner.response))
    alone = replace(device, partner=None)
    identities = [
        json.dumps(identity(setting_of(field=one), "data")) for one in (device, alone, *others)
    ]
    assert len(set(identities)) == 2 + len(others)
    for one in others:
        assert setting_of(field=one).slug == setting_of(field=device).slug
