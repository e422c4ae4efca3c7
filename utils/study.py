"""Studies: which settings one trains to answer a question. Torch is not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from devices.library import Device, find
from devices.scheme import NEAREST, NONE, ONE_WAY, ROUNDINGS
from utils.errors import UserError
from utils.flags import flags_of
from utils.setting_checks import SWITCHES
from utils.settings import Setting, imperfections
from utils.sweeps import each_alone, settings_of, sweep, with_second

FIELDS = (find("double-linear"), find("double-exponential"))
IDEAL = find("double-ideal")
FIGURE_1 = {"var": 0.2, "resistor_noise": 0.015, "clipping": 0.1}  # imperfections of figure 1
# No imperfections; the noise on voltages follows the read noise.
PERFECT = {name: 0.0 for name in imperfections() if flags_of(Setting)[name][0].sweeps}
SCHEME = ("cell", "rounding", "accumulate")  # flags by which ways to drive a device differ
RULES = tuple(
    {"rounding": rounding, "accumulate": accumulate}
    for accumulate, roundings in ((False, ROUNDINGS), (True, (NONE, NEAREST)))
    for rounding in roundings
)


@dataclass(frozen=True)
class Study:
    """Sweeps with a name. about: a line for --help; sweeps: dicts of values by flag."""

    name: str
    about: str
    sweeps: Sequence[Mapping[str, Any]]

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """Return every setting once; given: values by flag that replace those of the study."""
        return settings_of(self.sweeps, given or {})

    @property
    def command(self) -> str:
        """The command that trains the study."""
        return f"figures/{self.name}.sh"


@dataclass(frozen=True)
class SwitchStudy(Study):
    """Two fields, switched from either to the other after some epochs, and each field alone.

    sweeps: one sweep of the values that all have in common, including the epochs of a switch.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        """Return every setting once; epochs of a switch beyond a shorter training are left out."""
        given = dict(given or {})
        common = {**self.sweeps[0], **given}
        if any(name in given for name in SWITCHES):
            switches = {name: given[name] for name in SWITCHES if name in given}
        else:
            epochs = common.get("epochs", Setting.epochs)
            switches = {"switch_epoch": [e for e in common["switch_epoch"] if e < epochs]}
            if not switches["switch_epoch"]:
                raise UserError(f"--study {self.name}: nothing to switch in {epochs} epochs")
        alone = {name: value for name, value in common.items() if name not in SWITCHES}
        orders = ({**alone, "field": alone["field"][::step], **switches} for step in (1, -1))
        return settings_of([*orders, alone], {})


@dataclass(frozen=True)
class OwnDeviceStudy(Study):
    """Devices of the user's own beside others, at learning rates that make equal steps.

    Learning rates, those given as well, are those of a device with 27 pulses in its range. One with
    more pulses makes a smaller step with each, and gets as many times the rate.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        values = with_second({**self.sweeps[0], **(given or {})})
        sweep({"field": values["field"], "lr": values["lr"]})  # which refuses what is given twice
        rates = {
            field: tuple(rate_of_equal_steps(rate, field) for rate in values["lr"])
            for field in values["field"]
        }
        sweeps = [{**values, "field": (field,), "lr": rates[field]} for field in rates]
        return settings_of(sweeps, {})


def rate_of_equal_steps(rate: float, device: Device) -> float:
    """The learning rate at which a device makes the steps that the linear one makes at `rate`."""
    factor = rate_factor(device)
    return rate if factor == 1 else float(f"{rate * factor:.4g}")


def rate_factor(device: Device) -> float:
    """By how many times more pulses than the built-in devices take a range is divided."""
    return device.response.pulses_max / FIELDS[0].response.pulses_max


@dataclass(frozen=True)
class DrivingStudy(Study):
    """Each device in the cells that it can have, driven by each rule, and the ideal network.

    The rules are combinations of rounding and accumulator. A device with a file has the noises that
    were measured, others those of figure 1. Learning rates make equal steps: see OwnDeviceStudy.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        given = dict(given or {})
        values = {**self.sweeps[0], **given}
        cells, scheme = values.pop("cell"), {"rounding": ROUNDINGS, "accumulate": (False, True)}
        wanted = {name: values.pop(name, choices) for name, choices in scheme.items()}
        rules = [rule for rule in RULES if all(rule[name] in wanted[name] for name in rule)]
        sweeps = []
        for field, cell, rule in product(values["field"], cells, rules):
            if cell != ONE_WAY and "cell" not in given and not field.can_be_driven_both_ways:
                continue
            noises = {"clipping": FIGURE_1["clipping"]} if field.measured else FIGURE_1
            rates = tuple(rate_of_equal_steps(rate, field) for rate in values["lr"])
            driven = {name: (value,) for name, value in {"cell": cell, **rule}.items()}
            common = {**each_alone(noises), **values, "field": (field,), "lr": rates}
            sweeps.append(common | driven)
        if not {*SCHEME} & given.keys():
            perfect = {**values, **each_alone(PERFECT)}
            sweeps.append({**perfect, "field": (IDEAL,)})
        return settings_of(sweeps, {})


@dataclass(frozen=True)
class AblationStudy(Study):
    """Every combination of imperfections that are present or absent, and the ideal network.

    An imperfection has the value of its flag, or the measured value of the field's device, or that
    of figure 1; an imperfection of 0 is left out. Rounding and accumulator work with the smallest
    pulse, so that they are left out together with it.
    """

    def settings(self, given: Mapping[str, Any] | None = None) -> tuple[Setting, ...]:
        given = dict(given or {})
        for name in PERFECT:
            if len(given.get(name, ())) > 1:
                raise UserError(
                    f"--{name}: --study {self.name} takes one value, with and without which it "
                    f"trains; it was given {len(given[name])}"
                )
        sizes = {name: given.pop(name)[0] for name in PERFECT if name in given}
        rule = {name: given.pop(name) for name in RULES[0] if name in given}
        sweeps = []
        for values in self.sweeps:
            fields = given.get("field", values["field"])
            sweeps += [
                {**values, "field": (field,), **dict(zip(PERFECT, chosen, strict=True))}
                for field in fields
                for chosen in combinations(field, sizes)
            ]
            sweeps.append({**values, "field": (IDEAL,), **dict.fromkeys(PERFECT, (0.0,))})
        rest = {name: value for name, value in given.items() if name != "field"}
        sweeps = [values | (rule if values["clipping"] != (0.0,) else {}) for values in sweeps]
        return settings_of(sweeps, rest)


def combinations(field: Device, given: Mapping[str, float]) -> list[tuple[tuple[float], ...]]:
    """Return one sweep for each combination, from all imperfections to none."""
    sizes = [imperfection(field, name, given) for name in PERFECT]
    axes = [((size,), (0.0,)) if size else ((0.0,),) for size in sizes]
    return list(product(*axes))


def imperfection(field: Device, name: str, given: Mapping[str, float]) -> float:
    """Return the size of an imperfection: from its flag, as measured, or from figure 1."""
    flag, _ = flags_of(Setting)[name]
    measured = field.measured and flag.measured and getattr(field.measured, flag.measured).value
    default = FIGURE_1.get(name, 0.0) if measured is None else measured
    return float(given.get(name, default))


def without(setting: Setting, names: Sequence[str]) -> Setting:
    """Return the setting without some imperfections, and without what has no effect then.

    Noises that follow the read noise go with it, rounding and accumulator with the smallest pulse.
    """
    derived = replace(setting, voltage_noise=None).voltage_noise
    follow = {
        "voltage_noise": None if setting.voltage_noise == derived else setting.voltage_noise,
        "device_noise": setting.device_noise and "resistor_noise" not in names,
    }
    rule = RULES[0] if "clipping" in names else {}
    return replace(setting, **follow, **rule, **{name: PERFECT[name] for name in names})
